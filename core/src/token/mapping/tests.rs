use super::*;
use crate::time::Timestamp;
use crate::token::Scopes;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn tokens(stored: &str) -> TokenSet {
    TokenSet::from_record(stored.as_bytes(), NOW).unwrap()
}

fn again(tokens: &TokenSet) -> TokenSet {
    TokenSet::from_record(tokens.to_record().expose(), NOW).unwrap()
}

#[test]
fn a_42_members_are_set_replaced_in_their_place_removed_and_stored() {
    let mut tokens = tokens(r#"{"a":1,"access_token":"t","b":{"c":[ 1.50 ]},"expires_in":5,"d":null}"#);
    assert_eq!(tokens.answer().len(), 5);
    assert!(tokens.answer().contains("d") && !tokens.answer().contains("e"));
    tokens.set_member("a", &["x", "\"\n"]).unwrap();
    tokens.set_member("e\"\\", &Some(2)).unwrap();
    tokens.remove_member("d").unwrap();
    tokens.remove_member("no such member").unwrap();
    let expected = r#"{"a":["x","\"\n"],"access_token":"t","b":{"c":[ 1.50 ]},"expires_in":5,"e\"\\":2}"#;
    assert_eq!(tokens.answer().expose(), expected);
    let loaded = again(&tokens);
    assert!(loaded.answer().contains("e\"\\"));
    assert!(loaded.answer().expose().contains(r#""b":{"c":[ 1.50 ]}"#));
    tokens.clear_members();
    assert_eq!(tokens.answer().expose(), r#"{"access_token":"t","expires_in":5}"#);
    assert_eq!(again(&tokens).access_token().expose(), "t");
}

#[test]
fn a_42_what_the_library_says_itself_cannot_be_set() {
    let mut tokens = tokens(r#"{"access_token":"t","big":"x"}"#);
    for name in OWN.iter().chain(&["expires_in"]) {
        let reserved = ConfigError::ReservedParameter((*name).to_owned());
        assert_eq!(tokens.set_member(name, &"x").unwrap_err(), reserved);
        assert_eq!(tokens.remove_member(name).unwrap_err(), reserved);
    }
    let mut deep = serde_json::json!(0);
    for _ in 0..32 {
        deep = serde_json::json!([deep]);
    }
    let not_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(tokens.set_member("m", &deep).unwrap_err(), UNREADABLE);
    assert_eq!(tokens.set_member("m", &not_json).unwrap_err(), UNREADABLE);
    assert_eq!(tokens.set_member("big", &"y".repeat(RECORD_LIMIT / 2)).unwrap_err(), UNREADABLE);
    assert_eq!(tokens.answer().expose(), r#"{"access_token":"t","big":"x"}"#);
}

#[test]
fn h_19_x_03_old_members_are_dropped_unless_they_are_merged() {
    let mut old = tokens(
        r#"{"access_token":"old","refresh_token":"r","id_token":"a.b.c","scope":"a b","expires_at":1800000900,
            "expires_in":900,"region":"eu","team":1,"granted_at":1800000000}"#,
    );
    old.resources.push("https://api.example".to_owned());
    old.person = Some(crate::token::Person { issuer: "https://as.example".into(), subject: "alice".into() });
    let new = r#"{"access_token":"new","team":2,"extra":[3]}"#;
    let dropping = tokens(new).succeeding(&old);
    assert_eq!(dropping.answer().expose(), new);
    assert!(dropping.id_token().is_none());
    let merging = tokens(new).merged_over(&old);
    assert_eq!(merging.answer().expose(), r#"{"region":"eu","access_token":"new","team":2,"extra":[3]}"#);
    assert_eq!(merging.id_token().unwrap().expose(), "a.b.c");
    for kept in [dropping, merging] {
        assert_eq!(kept.access_token().expose(), "new");
        assert_eq!(kept.refresh_token().unwrap().expose(), "r");
        assert_eq!((kept.scope(), kept.granted_scope()), (&Scopes::parse("a b").unwrap(), None));
        assert_eq!((kept.resources(), kept.subject()), (&["https://api.example".to_owned()][..], Some("alice")));
        assert_eq!(kept.expires_at(), None, "the old token's time is not the new one's");
    }
    // What the new answer says itself stays.
    let new = tokens(r#"{"access_token":"new","refresh_token":"r2","scope":"a","id_token":"d.e.f"}"#).merged_over(&old);
    assert_eq!(new.refresh_token().unwrap().expose(), "r2");
    assert_eq!(new.id_token().unwrap().expose(), "d.e.f");
    assert_eq!(new.scope().as_str(), "a");
    assert!(!new.answer().contains("expires_in"));
    let none = tokens(r#"{"access_token":"new","scope":""}"#).succeeding(&old);
    assert_eq!((none.scope(), none.requested_scope()), (Scopes::EMPTY, Scopes::EMPTY));
}

#[test]
fn merging_again_and_again_does_not_grow_without_end() {
    let answer = |n: u32| tokens(&format!(r#"{{"access_token":"t","m{n}":"{}"}}"#, "x".repeat(100_000)));
    let mut merged = answer(0);
    for n in 1..30 {
        merged = answer(n).merged_over(&merged);
        assert!(merged.answer().expose().len() <= RECORD_LIMIT / 2);
        assert!(again(&merged).answer().contains(&format!("m{n}")));
    }
    let many = |from: u32| {
        let members: Vec<_> = (from..from + 6_000).map(|n| format!(r#""m{n}":0"#)).collect();
        tokens(&format!(r#"{{"access_token":"t",{}}}"#, members.join(",")))
    };
    let merged = many(0).merged_over(&many(10_000));
    assert!(merged.answer().contains("m0") && !merged.answer().contains("m10000"));
}
