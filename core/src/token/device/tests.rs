use http::header;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn read_as(leniency: Leniency, body: &str) -> Result<DeviceAuthorization, Error> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::new(body.as_bytes().to_vec()))
        .unwrap();
    let result = parse(&response, leniency, NOW);
    let shown = match &result {
        Ok(device) => format!("{device:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains("s3cr3t"), "{shown}");
    result
}

/// An answer with these members besides the two codes.
fn body(members: &str) -> String {
    format!(r#"{{"device_code":"s3cr3t","user_code":"s3cr3t-WDJB",{members}}}"#)
}

const URI: &str = r#""verification_uri":"https://as.example/device""#;

fn with(members: &str) -> Result<DeviceAuthorization, Error> {
    read_as(Leniency::Compat, &body(members))
}

fn strictly_with(members: &str) -> Result<DeviceAuthorization, Error> {
    read_as(Leniency::Strict, &body(members))
}

fn rule(result: Result<DeviceAuthorization, Error>) -> Rule {
    match result.unwrap_err() {
        Error::Protocol(error) => error.rule,
        other => panic!("{other}"),
    }
}

fn names(device: &DeviceAuthorization) -> Vec<&'static str> {
    device.notes.iter().map(|note| note.name()).collect()
}

fn interval_of(value: &str) -> (u64, Vec<&'static str>) {
    let device = with(&format!(r#"{URI},"expires_in":900,"interval":{value}"#)).unwrap();
    (device.interval.as_secs(), names(&device))
}

#[test]
fn rfc_8628_example_is_read() {
    let device = read_as(
        Leniency::Strict,
        r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT",
            "verification_uri":"https://example.com/device",
            "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_in":1800,"interval":5}"#,
    )
    .unwrap();
    assert_eq!(device.device_code.expose(), "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS");
    assert_eq!(device.user_code.expose(), "WDJB-MJHT");
    assert_eq!(device.verification_uri, "https://example.com/device");
    assert_eq!(device.openable.unwrap().as_str(), "https://example.com/device");
    assert_eq!(device.complete.unwrap().as_str(), "https://example.com/device?user_code=WDJB-MJHT");
    assert_eq!(device.expires_at, NOW.plus(Duration::from_secs(1800)));
    assert_eq!((device.interval.as_secs(), device.notes.len()), (5, 0));
}

#[test]
fn answers_41_the_drafts_name_of_the_uri_is_accepted_and_the_rfcs_wins() {
    let alias = r#""verification_url":"https://as.example/old","expires_in":900"#;
    let device = with(alias).unwrap();
    assert_eq!(device.verification_uri, "https://as.example/old");
    assert_eq!(names(&device), ["verification_url"]);
    assert_eq!(rule(strictly_with(alias)), Rule::MemberMissing("verification_uri"));
    let both = with(&format!("{alias},{URI}")).unwrap();
    assert_eq!((both.verification_uri.as_str(), both.notes.len()), ("https://as.example/device", 0));
    assert_eq!(rule(with(r#""expires_in":900"#)), Rule::MemberMissing("verification_uri"));
    for value in ["7", "[]", r#""""#] {
        let members = format!(r#""verification_uri":{value},"expires_in":900"#);
        assert_eq!(rule(with(&members)), Rule::MemberInvalid("verification_uri"), "{value}");
    }
}

#[test]
fn answers_42_dv_04_the_interval_is_read_and_bounded() {
    assert_eq!(with(&format!(r#"{URI},"expires_in":900"#)).unwrap().interval.as_secs(), 5);
    for (value, seconds, note) in [
        ("null", 5, Some("interval_null")),
        (r#""5""#, 5, Some("interval_text")),
        ("5.0", 5, None),
        ("2.5", 3, Some("interval_fraction")),
        ("1", 1, None),
        ("300", 300, None),
        ("301", 300, Some("interval_clamped")),
        ("1000000000", 300, Some("interval_clamped")),
        ("18446744073709551615", 300, Some("interval_clamped")),
        ("1e999", 300, Some("interval_clamped")),
        ("0", 1, Some("interval_zero")),
    ] {
        assert_eq!(interval_of(value), (seconds, note.into_iter().collect()), "{value}");
    }
    for value in ["-1", "-0.5", "true", r#""five""#, r#""-5""#, r#""""#, "[5]", "{}"] {
        let members = format!(r#"{URI},"expires_in":900,"interval":{value}"#);
        assert_eq!(rule(with(&members)), Rule::MemberInvalid("interval"), "{value}");
    }
    assert_eq!(
        rule(strictly_with(&format!(r#"{URI},"expires_in":900,"interval":"5""#))),
        Rule::MemberInvalid("interval")
    );
}

#[test]
fn answers_43_dv_05_the_lifetime_is_read_and_bounded() {
    for (value, seconds, note) in [
        ("1800", 1800, None),
        (r#""1800""#, 1800, Some("expires_in_text")),
        ("null", 900, Some("expires_in_assumed")),
        ("1800.5", 1800, Some("expires_in_fraction")),
        ("86400", 86_400, None),
        ("86401", 86_400, Some("expires_in_clamped")),
        ("1e99", 86_400, Some("expires_in_clamped")),
    ] {
        let device = with(&format!(r#"{URI},"expires_in":{value}"#)).unwrap();
        assert_eq!(device.expires_at.since(NOW).as_secs(), seconds, "{value}");
        assert_eq!(names(&device), note.into_iter().collect::<Vec<_>>(), "{value}");
    }
    let absent = with(URI).unwrap();
    assert_eq!((absent.expires_at.since(NOW).as_secs(), names(&absent)), (900, vec!["expires_in_assumed"]));
    assert_eq!(rule(strictly_with(URI)), Rule::MemberMissing("expires_in"));
    for value in ["0", "0.5", "-1", r#""soon""#, "true", "[]"] {
        assert_eq!(rule(with(&format!(r#"{URI},"expires_in":{value}"#))), Rule::MemberInvalid("expires_in"), "{value}");
    }
}

#[test]
fn answers_43_dv_06_only_safe_uris_may_be_opened() {
    for uri in [
        "javascript:alert(1)",
        "http://as.example/device",
        "file:///etc/passwd",
        "go to the bank",
        "https://a@as.example/",
        "https:///x",
    ] {
        let device = with(&format!(
            r#""verification_uri":"{uri}","expires_in":900,"verification_uri_complete":"https://as.example/x""#
        ))
        .unwrap();
        assert_eq!(device.verification_uri, uri);
        assert!(device.openable.is_none() && device.complete.is_none(), "{uri}");
        assert_eq!(names(&device), ["verification_uri_not_openable", "verification_uri_complete_dropped"]);
    }
    for uri in ["https://as.example/device", "http://127.0.0.1:8080/device", "https://as.example/#/device"] {
        let device = with(&format!(r#""verification_uri":"{uri}","expires_in":900"#)).unwrap();
        assert_eq!(device.openable.unwrap().as_str(), uri);
    }
    for complete in [
        r#""https://evil.example/device?user_code=x""#,
        r#""http://as.example/device""#,
        r#""https://as.example:8443/""#,
        r#""javascript:alert(1)""#,
        "7",
        "null",
        r#""""#,
    ] {
        let device = with(&format!(r#"{URI},"expires_in":900,"verification_uri_complete":{complete}"#)).unwrap();
        assert!(device.openable.is_some() && device.complete.is_none(), "{complete}");
        assert_eq!(names(&device), ["verification_uri_complete_dropped"], "{complete}");
    }
}

#[test]
fn dv_07_texts_for_people_are_escaped_and_bounded() {
    let code = |code: &str| {
        read_as(Leniency::Compat, &format!(r#"{{"device_code":"d","user_code":"{code}",{URI},"expires_in":900}}"#))
    };
    assert_eq!(code("A\\u001b[31mB\\u202e").unwrap().user_code.expose(), "A\\u{1b}[31mB\\u{202e}");
    assert_eq!(code("ВDJB").unwrap().user_code.expose(), "ВDJB");
    assert!(code(&"A".repeat(128)).is_ok());
    for len in [129, 1024, 12_800] {
        assert_eq!(rule(code(&"A".repeat(len))), Rule::MemberInvalid("user_code"));
    }
    assert_eq!(rule(code("")), Rule::MemberInvalid("user_code"));
    let uri = |uri: &str| with(&format!(r#""verification_uri":"{uri}","expires_in":900"#));
    assert_eq!(
        uri("https://as.example/\\n\\u001b[2J").unwrap().verification_uri,
        "https://as.example/\\u{a}\\u{1b}[2J"
    );
    assert!(uri(&format!("https://as.example/{}", "a".repeat(981))).is_ok());
    assert_eq!(rule(uri(&format!("https://as.example/{}", "a".repeat(982)))), Rule::MemberInvalid("verification_uri"));
}

#[test]
fn the_codes_must_be_there() {
    for (members, missing) in [
        (r#""user_code":"u""#, "device_code"),
        (r#""device_code":"d""#, "user_code"),
        (r#""device_code":null,"user_code":"u""#, "device_code"),
    ] {
        let body = format!(r#"{{{members},{URI},"expires_in":900}}"#);
        assert_eq!(rule(read_as(Leniency::Compat, &body)), Rule::MemberMissing(missing));
    }
    for (members, invalid) in [
        (r#""device_code":"","user_code":"u""#, "device_code"),
        (r#""device_code":"a\nb","user_code":"u""#, "device_code"),
        (r#""device_code":7,"user_code":"u""#, "device_code"),
        (r#""device_code":"d","user_code":7"#, "user_code"),
    ] {
        let body = format!(r#"{{{members},{URI},"expires_in":900}}"#);
        assert_eq!(rule(read_as(Leniency::Compat, &body)), Rule::MemberInvalid(invalid));
    }
}

#[test]
fn a_refusal_is_the_servers_refusal() {
    let Error::Refused(refusal) = read_as(Leniency::Compat, r#"{"error":"unauthorized_client"}"#).unwrap_err() else {
        panic!()
    };
    assert_eq!((refusal.code.as_str(), refusal.endpoint), ("unauthorized_client", Endpoint::DeviceAuthorization));
}
