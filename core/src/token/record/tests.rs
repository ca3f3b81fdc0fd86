use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_250);
const LATER: Timestamp = Timestamp::from_secs(1_800_000_900);

fn answered(body: &str, requested: &str) -> TokenSet {
    let requested = Scopes::parse(requested).unwrap();
    let types = ["N_A".to_owned()];
    let expect = Expectation { requested: &requested, token_types: &types, ..Expectation::default() };
    let mut response = http::Response::new(crate::http::Body::new(body.as_bytes().to_vec()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    answer::parse(&response, &expect, NOW, crate::error::Endpoint::Token).unwrap()
}

fn text(tokens: &TokenSet) -> String {
    String::from_utf8(tokens.to_record().expose().clone()).unwrap()
}

fn read(record: &str) -> TokenSet {
    TokenSet::from_record(record.as_bytes(), LATER).unwrap()
}

fn refused(record: &str) -> RecordError {
    TokenSet::from_record(record.as_bytes(), LATER).unwrap_err()
}

/// All that the accessors show, but for the identity and the answer.
fn shown(tokens: &TokenSet) -> String {
    let secret = |secret: &Secret| secret.expose().clone();
    let texts = (
        secret(tokens.access_token()),
        tokens.refresh_token().map(secret),
        tokens.id_token().map(secret),
        tokens.token_type().to_string(),
    );
    let scopes = (tokens.scope(), tokens.granted_scope(), tokens.requested_scope());
    let rest = (tokens.received_at(), tokens.expires_at(), tokens.notes(), tokens.resources());
    format!("{texts:?} {scopes:?} {rest:?} {:?} {:?}", tokens.issuer(), tokens.subject())
}

fn member(tokens: &TokenSet, name: &str) -> Option<String> {
    let answer = tokens.answer();
    let mut members = answer.members().zip(answer.written());
    members.find_map(|((found, _), (_, value))| (found == name).then(|| value.to_owned()))
}

const FULL: &str = r#"{"access_token":"at\\1","token_type":"bearer","expires_in":"3600","refresh_token":"rt","id_token":"a.b.c",
    "scope":["a","b"],"n\u0061me":"\u00e9\/x","big":12345678901234567890.50,"nested":{"deep":[1, {"x":null}]},
    "expires_at":17,"granted_at":"the server's","grantflow":{"version":99}}"#;

#[test]
fn h_03_x_02_a_token_set_survives_being_stored() {
    let person = Person { issuer: "https://as.example".to_owned(), subject: "al\"ice".to_owned() };
    for (body, requested) in [
        (FULL, "a b c"),
        (r#"{"access_token":"t","token_type":"N_A"}"#, ""),
        (r#"{"access_token":"t"}"#, "z a"),
        (r#"{"access_token":"t","scope":""}"#, ""),
        (r#"{"access_token":"t","scope":""}"#, "a"),
        (r#"{"access_token":"t","scope":"a"}"#, "a"),
        (r#"{"access_token":"t","expires_in":-5,"refresh_token":"","id_token":null}"#, "a"),
        (r#"{"access_token":"t","expires_in":0.5}"#, "a"),
        (r#"{"access_token":"t","expires_in":99999999999}"#, "a"),
    ] {
        let mut tokens = answered(body, requested);
        for person in [None, Some(person.clone())] {
            tokens.person = person;
            tokens.resources = vec!["https://api.example/?a=\"b\"".to_owned(), "urn:x".to_owned()];
            let stored = text(&tokens);
            let loaded = read(&stored);
            assert_eq!(shown(&loaded), shown(&tokens), "{body}");
            assert_eq!(text(&loaded), stored, "stored again, it is the same record");
            assert!(loaded.identity().is_none());
        }
    }
    // Kept at a refresh, dropped by the client: what is in force is stored, not what the answer says.
    let kept = answered(r#"{"access_token":"t"}"#, "").keeping(Some(&Secret::from("old")));
    assert_eq!(read(&text(&kept)).refresh_token().unwrap().expose(), "old");
    let dropped = answered(r#"{"access_token":"t","refresh_token":"unwanted"}"#, "").without_refresh_token();
    assert!(!text(&dropped).contains("unwanted"));
    assert_eq!(read(&text(&dropped)).notes(), dropped.notes());
}

#[test]
fn a_42_a_53_the_record_is_flat_and_keeps_unknown_members_as_they_are_written() {
    let record = text(&answered(FULL, "a b c"));
    let object = Object::parse(record.as_bytes()).unwrap();
    let names: Vec<String> = object.members().map(|(name, _)| name.into_owned()).collect();
    let flat = ["access_token", "token_type", "refresh_token", "id_token", "scope", "granted_at", "expires_at"];
    assert_eq!(names, [&flat[..], &["expires_in", "name", "big", "nested", "grantflow"]].concat());
    for written in [
        r#""scope":"a b""#,
        r#""granted_at":1800000000,"expires_at":1800003600"#,
        r#""expires_in":"3600""#,
        r#""n\u0061me":"\u00e9\/x""#,
        r#""big":12345678901234567890.50"#,
        r#""nested":{"deep":[1, {"x":null}]}"#,
        r#""access_token":"at\\1""#,
    ] {
        assert!(record.contains(written), "{written} is not in {record}");
    }
    let loaded = read(&record);
    for name in ["name", "big", "nested", "expires_in"] {
        assert_eq!(member(&loaded, name), member(&answered(FULL, ""), name), "{name}");
    }
    assert!(!loaded.answer().contains("grantflow") && loaded.answer().contains("name"));
}

#[test]
fn x_08_the_record_says_whole_seconds_and_remembers_milliseconds() {
    let record = text(&answered(r#"{"access_token":"t","expires_in":60}"#, ""));
    assert!(record.contains(r#""granted_at":1800000000,"expires_at":1800000060"#), "{record}");
    let loaded = read(&record);
    assert_eq!(loaded.received_at(), NOW);
    assert_eq!(loaded.expires_at(), Some(Timestamp::from_millis(1_800_000_060_250)));
    assert!(!record.contains(r#""scope""#), "nobody spoke of one");
    assert!(text(&answered(r#"{"access_token":"t"}"#, "z a")).contains(r#""scope":"z a""#));
    // Another program has put a new token into the record, and left what it does not know.
    let changed = record.replace("1800000060,", "1800009999,").replace(r#":"t""#, r#":"new""#);
    let loaded = read(&changed);
    assert_eq!(loaded.expires_at(), Some(Timestamp::from_secs(1_800_009_999)));
    assert_eq!(loaded.access_token().expose(), "new");
}

#[test]
fn a_record_of_another_program_is_read() {
    let loaded =
        read(r#"{"access_token":"t","granted_at":1799999999.5,"expires_at":"1800003599.5","scope":"b a","team":7}"#);
    assert_eq!(loaded.received_at(), Timestamp::from_millis(1_799_999_999_500));
    assert_eq!(loaded.expires_at(), Some(Timestamp::from_millis(1_800_003_599_500)));
    assert_eq!((loaded.scope().as_str(), loaded.is_narrowed(), loaded.is_exceeded()), ("b a", false, false));
    assert_eq!((loaded.issuer(), loaded.subject()), (None, None));
    assert_eq!(loaded.notes(), [Note::TokenTypeAssumed]);
    let loaded = read(r#"{"access_token":17,"token_type":null,"refresh_token":"","expires_in":60}"#);
    assert_eq!(loaded.access_token().expose(), "17");
    assert!(loaded.refresh_token().is_none() && loaded.expires_at().is_none());
    assert_eq!(loaded.received_at(), LATER);
    assert_eq!(loaded.notes(), [Note::TokenTypeAssumed, Note::RefreshTokenEmpty, Note::GrantTimeMissing]);
    // Once loaded, it is a record of ours.
    assert_eq!(shown(&read(&text(&loaded))), shown(&loaded));
}

#[test]
fn a_newer_record_is_refused_whatever_else_it_says() {
    for version in ["2", "2.0", "1e300"] {
        let record = format!(r#"{{"tokens":[],"grantflow":{{"version":{version},"requested":7}}}}"#);
        assert!(matches!(refused(&record), RecordError::Newer { version: 2.. }), "{version}");
    }
}

#[test]
fn a_44_nothing_stored_no_token_and_damage_are_told_apart() {
    let member = |name| RecordError::Unreadable(RecordFlaw::Member(name));
    for (record, error) in [
        ("{}", RecordError::Empty),
        (r#"{"token_type":"Bearer"}"#, RecordError::TokenMissing),
        (r#"{"access_token":null}"#, RecordError::TokenMissing),
        (r#"{"access_token":""}"#, RecordError::TokenMissing),
        (r#"{"access_token":true}"#, member("access_token")),
        (r#"{"access_token":"a\nb"}"#, member("access_token")),
        (r#"{"access_token":"t","token_type":""}"#, member("token_type")),
        (r#"{"access_token":"t","token_type":"a b"}"#, member("token_type")),
        (r#"{"access_token":"t","token_type":1}"#, member("token_type")),
        (r#"{"access_token":"t","refresh_token":1}"#, member("refresh_token")),
        (r#"{"access_token":"t","scope":1}"#, member("scope")),
        (r#"{"access_token":"t","grantflow":null}"#, member("grantflow")),
        (r#"{"access_token":"t","grantflow":{}}"#, member("grantflow")),
        ("", RecordError::Unreadable(RecordFlaw::Json { at: 0, flaw: JsonFlaw::Truncated })),
        ("[]", RecordError::Unreadable(RecordFlaw::Json { at: 0, flaw: JsonFlaw::NotObject })),
    ] {
        assert_eq!(refused(record), error, "{record}");
        assert!(!error.to_string().contains("a\nb"));
    }
    let facts = [
        ("version", "0"),
        ("version", "null"),
        ("version", "1.5"),
        ("received_at_ms", "-1"),
        ("received_at_ms", "null"),
        ("expires_at_ms", r#""1""#),
        ("requested", "null"),
        ("requested", r#""a\nb""#),
        ("granted", "1"),
        ("issuer", r#""x""#),
        ("subject", "1"),
        ("resources", "{}"),
        ("resources", "[1]"),
        ("notes", "1"),
    ];
    for (name, value) in facts {
        let mut all = vec![("version", "1"), ("received_at_ms", "1"), ("requested", r#""""#), ("granted", "true")];
        all.retain(|(kept, _)| *kept != name);
        all.push((name, value));
        let all: Vec<_> = all.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let record = format!(r#"{{"access_token":"t","grantflow":{{{}}}}}"#, all.join(","));
        assert_eq!(refused(&record), member("grantflow"), "{record}");
    }
    let error = crate::Error::from(RecordError::TokenMissing);
    assert_eq!(error.to_string(), "configuration: the stored record holds no access token");
}

#[test]
fn a_record_cut_at_any_byte_is_refused() {
    let record = answered(FULL, "a b c").to_record();
    for end in 0..record.expose().len() {
        let error = TokenSet::from_record(&record.expose()[..end], NOW).unwrap_err();
        assert!(matches!(error, RecordError::Unreadable(RecordFlaw::Json { .. })), "{end}: {error}");
    }
}

#[test]
fn what_is_written_is_never_too_large_to_be_read() {
    let many: Vec<_> = (0..9_995).map(|n| format!(r#""m{n}":0"#)).collect();
    let tokens = answered(&format!(r#"{{"access_token":"t","expires_in":9,{}}}"#, many.join(",")), "a");
    let loaded = TokenSet::from_record(tokens.to_record().expose(), LATER).unwrap();
    assert_eq!(shown(&loaded), shown(&tokens));
    assert!(!loaded.answer().contains("m0"));
    let large = format!(r#"{{"access_token":"{}","x":"{}"}}"#, "\\\\".repeat(60_000), "y".repeat(RECORD_LIMIT));
    let tokens = answered(&large, "");
    assert!(tokens.to_record().expose().len() < RECORD_LIMIT);
    assert_eq!(shown(&read(&text(&tokens))), shown(&tokens));
}

#[test]
fn a_record_is_read_up_to_its_limit() {
    let record = r#"{"access_token":"t"}"#;
    let padded = |len: usize| format!("{record}{}", " ".repeat(len - record.len()));
    assert_eq!(read(&padded(RECORD_LIMIT)).access_token().expose(), "t");
    for len in [RECORD_LIMIT + 1, 2 * RECORD_LIMIT] {
        assert_eq!(refused(&padded(len)), RecordError::Unreadable(RecordFlaw::TooLarge));
    }
    let large = format!(r#"{{"access_token":"t","id_token":"{}"}}"#, "x".repeat(64 * 1024 + 1));
    assert_eq!(refused(&large), RecordError::Unreadable(RecordFlaw::Member("id_token")));
}
