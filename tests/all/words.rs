//! What parsers' flaws are called, and what is left of parsed text when programmers print it: kinds and sizes.

use std::collections::BTreeSet;

use grantflow_core::callback::ResponseMode;
use grantflow_core::crypto::{AwsLc, Crypto, HashAlgorithm};
use grantflow_core::error::{ConfigError, Error, JsonFlaw};
use grantflow_core::http::challenge::ChallengeFlaw;
use grantflow_core::http::form::FormFlaw;
use grantflow_core::http::json::{JsonError, Object, Value};
use grantflow_core::loopback::{Connection, Reception};
use grantflow_core::resource::{Audience, Call};
use grantflow_core::token::Scopes;
use http::Method;

#[test]
fn every_flaw_of_a_text_has_words_of_its_own() {
    let words: Vec<String> = [ChallengeFlaw::Malformed, ChallengeFlaw::DuplicateParameter, ChallengeFlaw::TooMany]
        .map(|flaw| flaw.to_string())
        .into_iter()
        .chain([FormFlaw::TooLarge, FormFlaw::TooManyParameters, FormFlaw::Malformed].map(|flaw| flaw.to_string()))
        .chain([JsonError { at: 7, flaw: JsonFlaw::Syntax }.to_string()])
        .collect();
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    assert!(words.last().unwrap().ends_with("at byte 7"), "{words:?}");
}

#[test]
fn lg_01_what_was_parsed_is_printed_by_its_kind() {
    let text = r#"{"a":"canary","b":[7001],"c":{"d":"canary"},"e":7001,"f":true,"g":null}"#;
    let object = Object::parse(text.as_bytes()).unwrap();
    for (name, value) in object.members() {
        let inner = match &value {
            Value::Array(array) => format!("{array:?}"),
            Value::Object(nested) => format!("{nested:?}"),
            Value::Number(number) => format!("{number:?}"),
            Value::String(_) | Value::Bool(_) | Value::Null => String::new(),
        };
        let said = format!("{value:?} {inner}");
        assert!(!said.contains("canary") && !said.contains("7001"), "{said}");
        assert_eq!(value.is_null(), name == "g", "{said}");
    }
    assert_eq!(object.duplicate().expose(), text);

    let reception = Reception::new("http://127.0.0.1:8400/callback", ResponseMode::Query).unwrap();
    let mut connection = Connection::new(&reception);
    connection.receive(b"GET /callback?code=canary");
    assert_eq!(format!("{connection:?}"), "Connection(25 bytes)");

    let digest = AwsLc.hash(HashAlgorithm::Sha256, b"canary");
    assert_eq!(format!("{digest:?}"), "Digest(32 bytes)");
}

#[test]
fn lg_01_a_call_is_printed_without_its_query_headers_and_body() {
    let audience = Audience::only("https://api.example").unwrap();
    let call = Call::new(Method::POST, "things?key=canary", &audience)
        .header("x-key", "canary")
        .content("text/plain", b"canary".to_vec());
    let said = format!("{call:?}");
    assert!(said.contains("POST") && said.contains("api.example") && !said.contains("canary"), "{said}");
    let flawed = Call::new(Method::GET, "https://elsewhere.example/?key=canary", &audience);
    let said = format!("{flawed:?}");
    assert!(said.contains("Audience") && !said.contains("canary"), "{said}");
}

#[test]
fn scopes_are_read_from_text_as_everything_that_is() {
    let scopes: Scopes = "read write".parse().unwrap();
    assert_eq!(scopes.as_str(), "read write");
    let refused = "re\u{0}ad".parse::<Scopes>().unwrap_err();
    assert!(matches!(refused, ConfigError::Invalid { .. }), "{refused}");
    let refused: Error = refused.into();
    assert!(!refused.to_string().contains('\u{0}'));
}
