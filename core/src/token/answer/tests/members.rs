//! The members of an answer, one by one.

use super::*;

#[test]
fn answers_09_tr_06_a_lifetime_in_digits_is_read() {
    assert_eq!(lifetime_of(r#","expires_in":"3600""#), (Some(3600), vec!["expires_in_text"]));
    assert_eq!(rule(strictly_with(r#","expires_in":"3600""#)), Rule::MemberInvalid("expires_in"));
}

#[test]
fn answers_10_a_lifetime_with_a_fraction_is_rounded_down() {
    assert_eq!(lifetime_of(r#","expires_in":3600.0"#), (Some(3600), vec![]));
    assert_eq!(lifetime_of(r#","expires_in":36e2"#), (Some(3600), vec![]));
    assert_eq!(lifetime_of(r#","expires_in":3599.5"#), (Some(3599), vec!["expires_in_fraction"]));
}

#[test]
fn answers_11_tr_05_without_a_lifetime_it_is_unknown() {
    assert_eq!(lifetime_of(""), (None, vec![]));
    assert_eq!(lifetime_of(r#","expires_in":null"#), (None, vec!["expires_in_unreadable"]));
    assert_eq!(strictly_with("").unwrap().expires_at(), None);
    assert_eq!(rule(strictly_with(r#","expires_in":null"#)), Rule::MemberInvalid("expires_in"));
    let tokens = with("").unwrap();
    assert!(tokens.is_fresh(Timestamp::from_millis(u64::MAX)) && !tokens.is_expired(Timestamp::from_millis(u64::MAX)));
}

#[test]
fn answers_12_tr_07_a_lifetime_that_is_none_is_unknown_and_never_a_failed_login() {
    for value in [
        "-1",
        "-0.5",
        "-1e99",
        r#""abc""#,
        "true",
        "[]",
        "{}",
        r#""""#,
        r#""-1""#,
        r#""1.5""#,
        r#"" 60""#,
        r#""NaN""#,
        r#""3600abc""#,
    ] {
        let members = format!(r#","expires_in":{value}"#);
        assert_eq!(lifetime_of(&members), (None, vec!["expires_in_unreadable"]), "{value}");
        assert_eq!(rule(strictly_with(&members)), Rule::MemberInvalid("expires_in"), "{value}");
    }
    assert!(matches!(rule(with(r#","expires_in":NaN"#)), Rule::Json { flaw: JsonFlaw::Syntax, .. }));
}

#[test]
fn answers_13_tr_08_a_lifetime_of_zero_is_over() {
    for value in ["0", "0.0", "-0", "0.5"] {
        let tokens = with(&format!(r#","expires_in":{value}"#)).unwrap();
        assert_eq!(tokens.expires_at(), Some(NOW), "{value}");
        assert!(tokens.is_expired(NOW) && !tokens.is_fresh(NOW), "{value}");
    }
}

#[test]
fn answers_14_tr_07_huge_lifetimes_are_clamped() {
    for value in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551617",
        "1e20",
        "1.5e400",
        "315360001",
        r#""99999999999999999999999""#,
    ] {
        let (seconds, notes) = lifetime_of(&format!(r#","expires_in":{value}"#));
        assert_eq!(seconds, Some(315_360_000), "{value}");
        assert!(notes.contains(&"expires_in_clamped"), "{value}");
    }
    assert_eq!(lifetime_of(r#","expires_in":315360000"#), (Some(315_360_000), vec![]));
    let late = parse(
        &response(200, JSON, body_with(r#","expires_in":1e99"#)),
        &strict(),
        Timestamp::from_millis(u64::MAX),
        Endpoint::Token,
    );
    assert_eq!(late.unwrap().expires_at(), Some(Timestamp::from_millis(u64::MAX)));
}

#[test]
fn answers_15_tr_19_an_array_of_scopes_is_accepted() {
    let tokens = with(r#","scope":["read","write"]"#).unwrap();
    assert_eq!(tokens.scope().iter().collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(notes(&tokens), ["scope_array"]);
    assert_eq!(with(r#","scope":[]"#).unwrap().granted_scope(), Some(Scopes::EMPTY));
    assert_eq!(rule(strictly_with(r#","scope":["read"]"#)), Rule::MemberInvalid("scope"));
    for value in ["7", "true", "{}", r#"["a",1]"#, r#"[["a"]]"#, r#""a\nb""#, r#""a\u0000""#, r#""é""#] {
        assert_eq!(rule(with(&format!(r#","scope":{value}"#))), Rule::MemberInvalid("scope"), "{value}");
    }
}

#[test]
fn answers_16_a_comma_separates_scopes_only_where_the_profile_says_so() {
    assert_eq!(with(r#","scope":"read,write""#).unwrap().scope().len(), 1);
    let commas = Expectation { separator: Separator::SpaceOrComma, ..Expectation::default() };
    let tokens = read_as(&commas, 200, JSON, body_with(r#","scope":"read, write,,x""#)).unwrap();
    assert_eq!(tokens.scope().iter().collect::<Vec<_>>(), ["read", "write", "x"]);
}

#[test]
fn answers_17_tr_18_empty_absent_and_double_spaced_scopes_are_told_apart() {
    let requested = Scopes::parse("read write").unwrap();
    let expect = Expectation { requested: &requested, ..Expectation::default() };
    let read = |members: &str| read_as(&expect, 200, JSON, body_with(members)).unwrap();
    let empty = read(r#","scope":"""#);
    assert_eq!((empty.granted_scope(), empty.scope(), empty.is_narrowed()), (Some(Scopes::EMPTY), Scopes::EMPTY, true));
    let double = read(r#","scope":"read  write ""#);
    assert_eq!((double.scope(), double.is_narrowed(), double.is_exceeded()), (&requested, false, false));
    let null = read(r#","scope":null"#);
    assert_eq!((null.granted_scope(), null.scope(), notes(&null)), (None, &requested, vec!["scope_null"]));
    let absent = read("");
    assert_eq!((absent.granted_scope(), absent.scope(), absent.is_narrowed()), (None, &requested, false));
    assert_eq!(rule(strictly_with(r#","scope":null"#)), Rule::MemberInvalid("scope"));
}

#[test]
fn tr_17_tr_19_a_scope_narrower_or_wider_than_asked_is_surfaced() {
    let requested = Scopes::parse("read write").unwrap();
    let expect = Expectation { requested: &requested, ..Expectation::default() };
    let exact = Expectation { wider_scope: WiderScope::Refused, ..expect };
    for (granted, narrowed, exceeded) in
        [("read", true, false), ("write read", false, false), ("read write admin", false, true), ("admin", true, true)]
    {
        let body = body_with(&format!(r#","scope":"{granted}""#));
        let tokens = read_as(&expect, 200, JSON, &body).unwrap();
        assert_eq!((tokens.is_narrowed(), tokens.is_exceeded()), (narrowed, exceeded), "{granted}");
        assert_eq!(tokens.scope().to_string(), granted);
        let exact = read_as(&exact, 200, JSON, &body);
        assert_eq!(exact.as_ref().err().is_some(), exceeded, "{granted}");
        if exceeded {
            assert_eq!(rule(exact), Rule::ScopeExceeded);
        }
    }
    let nothing_asked = Expectation { wider_scope: WiderScope::Refused, ..Expectation::default() };
    assert!(read_as(&nothing_asked, 200, JSON, body_with(r#","scope":"default""#)).is_ok());
}

#[test]
fn answers_18_answers_36_answers_37_tr_20_a_refresh_token_is_there_or_not_but_never_empty() {
    assert_eq!(with(r#","refresh_token":"r/1""#).unwrap().refresh_token().unwrap().expose(), "r/1");
    assert!(with("").unwrap().refresh_token().is_none());
    for value in [r#""""#, "null"] {
        let tokens = with(&format!(r#","refresh_token":{value}"#)).unwrap();
        assert!(tokens.refresh_token().is_none());
        assert_eq!(notes(&tokens), ["refresh_token_empty"]);
        assert!(strictly_with(&format!(r#","refresh_token":{value}"#)).unwrap().refresh_token().is_none());
    }
    for value in ["1", "true", "[]", "{}", r#""a\nb""#, r#""é""#] {
        assert_eq!(
            rule(with(&format!(r#","refresh_token":{value}"#))),
            Rule::MemberInvalid("refresh_token"),
            "{value}"
        );
    }
}

#[test]
fn answers_19_tr_01_tr_21_an_access_token_that_cannot_be_one_is_refused() {
    let token = |value: &str| read(200, JSON, format!(r#"{{"access_token":{value},"token_type":"Bearer"}}"#));
    for value in [
        r#""""#,
        "1",
        "true",
        "[]",
        r#"["a"]"#,
        "{}",
        r#""a\nb""#,
        r#""a\rb""#,
        r#""\u0000""#,
        r#""a\u007f""#,
        r#""é""#,
        r#""\t""#,
    ] {
        assert_eq!(rule(token(value)), Rule::MemberInvalid("access_token"), "{value}");
    }
    assert_eq!(rule(token("null")), Rule::MemberMissing("access_token"));
    for body in [r#"{"token_type":"Bearer"}"#, r#"{"Access_Token":"a","token_type":"Bearer"}"#, "{}"] {
        assert_eq!(rule(read(200, JSON, body)), Rule::MemberMissing("access_token"), "{body}");
    }
    assert_eq!(token(r#""a\/b\u002b\u0063""#).unwrap().access_token().expose(), "a/b+c");
    assert_eq!(token(r#"" !~""#).unwrap().access_token().expose(), " !~");
}

/// The three tokens, and what is said of one that is too large.
const BOUNDED: [(&str, Rule); 3] = [
    ("access_token", Rule::MemberInvalid("access_token")),
    ("refresh_token", Rule::MemberInvalid("refresh_token")),
    ("id_token", Rule::JwtTooLarge),
];

/// Reads an answer in which this token has this length.
fn sized(name: &str, len: usize) -> Result<TokenSet, Error> {
    let other = if name == "access_token" { "" } else { r#""access_token":"a","# };
    read(200, JSON, format!(r#"{{{other}"{name}":"{}","token_type":"Bearer"}}"#, "a".repeat(len)))
}

#[test]
fn tr_21_tokens_are_bounded() {
    for (name, too_large) in BOUNDED {
        assert!(sized(name, MAX_TOKEN).is_ok());
        assert_eq!(rule(sized(name, MAX_TOKEN + 1)), too_large);
    }
}

#[test]
fn tr_21_tokens_far_beyond_their_bound_are_refused_alike() {
    for (name, too_large) in BOUNDED {
        assert_eq!(rule(sized(name, MAX_TOKEN * 16)), too_large);
    }
}

#[test]
fn tr_23_an_id_token_that_must_be_there_is_missed() {
    let expect = Expectation { id_token: IdToken::Required, ..Expectation::default() };
    for members in ["", r#","id_token":null"#, r#","id_token":"""#] {
        assert_eq!(rule(read_as(&expect, 200, JSON, body_with(members))), Rule::IdTokenMissing, "{members}");
    }
    let tokens = read_as(&expect, 200, JSON, body_with(r#","id_token":"a.b.c""#)).unwrap();
    assert_eq!(tokens.id_token().unwrap().expose(), "a.b.c");
    assert_eq!(rule(with(r#","id_token":{}"#)), Rule::MemberInvalid("id_token"));
    assert_eq!(notes(&with(r#","id_token":"""#).unwrap()), ["id_token_empty"]);
    assert_eq!(rule(strictly_with(r#","id_token":null"#)), Rule::MemberInvalid("id_token"));
}

#[test]
fn x_01_tokens_are_renewed_a_minute_or_a_tenth_before_their_end() {
    let fresh = |lifetime: u64, age: u64| {
        let tokens = with(&format!(r#","expires_in":{lifetime}"#)).unwrap();
        let now = NOW.plus(Duration::from_secs(age));
        (tokens.is_fresh(now), tokens.is_expired(now))
    };
    assert_eq!(fresh(3600, 3539), (true, false));
    assert_eq!(fresh(3600, 3540), (false, false));
    assert_eq!(fresh(3600, 3600), (false, true));
    assert_eq!(fresh(100, 89), (true, false));
    assert_eq!(fresh(100, 90), (false, false));
}

#[test]
fn fl_30_a_clock_that_went_back_makes_a_token_stale_until_it_is_renewed() {
    let day = Duration::from_secs(24 * 60 * 60);
    for lifetime in [100, 3600, 10 * 365 * 24 * 60 * 60] {
        let tokens = with(&format!(r#","expires_in":{lifetime}"#)).unwrap();
        for back in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(60)] {
            assert!(tokens.is_fresh(NOW.minus(back)), "{lifetime} {back:?}");
        }
        for back in [Duration::from_millis(60_001), day, day * 3650] {
            assert!(!tokens.is_fresh(NOW.minus(back)), "{lifetime} {back:?}");
            assert!(!tokens.is_expired(NOW.minus(back)));
        }
    }
    // The successor has come by the clock that went back, and there is no need for another one.
    let mut renewed = with(r#","expires_in":3600"#).unwrap();
    renewed.received_at = NOW.minus(day);
    renewed.expires_at = Some(renewed.received_at.plus(Duration::from_secs(3600)));
    assert!(renewed.is_fresh(NOW.minus(day)));
    // Of a token whose lifetime nobody ever knew, the clock says nothing.
    assert!(with("").unwrap().is_fresh(NOW.minus(day)));
}

#[test]
fn fl_31_no_year_is_too_late_for_a_token() {
    let day = Duration::from_secs(24 * 60 * 60);
    for then in [1_u64 << 31, 1 << 32, 1 << 33, 253_402_300_800, u64::MAX / 1000 - 10_000, u64::MAX] {
        let mut tokens = with("").unwrap();
        tokens.received_at = Timestamp::from_secs(then).minus(Duration::from_secs(1));
        tokens.expires_at = Some(tokens.received_at.plus(Duration::from_secs(3600)));
        assert!(tokens.is_fresh(tokens.received_at), "{then}");
        let ahead = tokens.received_at.plus(day);
        assert!(!tokens.is_fresh(ahead) && tokens.is_expired(ahead), "{then}");
    }
}
