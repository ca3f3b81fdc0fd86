use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName};

use super::*;
use crate::testing::MarkerCrypto;
use crate::token::RecordError;

fn secret(text: &str) -> Secret {
    Secret::from(text)
}

fn basic(name: &str, password: &str, charset: Charset) -> Result<Credential, Error> {
    Credential::basic(name, &secret(password), charset, &MarkerCrypto)
}

/// All that a credential writes, as text.
fn written(credential: Result<Credential, Error>) -> Vec<String> {
    let credential = credential.unwrap();
    assert!(credential.headers().all(|(_, value)| value.is_sensitive()));
    credential.headers().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

fn tokens(record: &str) -> Arc<TokenSet> {
    Arc::new(TokenSet::from_record(record.as_bytes(), Timestamp::from_secs(0)).unwrap())
}

fn presented(record: &str, placement: &Placement) -> Vec<String> {
    written(Credential::new(tokens(record), placement, None, None, &MarkerCrypto))
}

fn is_invalid(result: Result<impl fmt::Debug, Error>) -> bool {
    matches!(result, Err(Error::Config(ConfigError::Invalid { .. })))
}

#[test]
fn a_04_e_03_a_name_and_a_password_are_encoded_in_either_alphabet() {
    for (name, password, charset, expected) in [
        ("u", "", Charset::Latin1, "Basic dTo="),
        ("usér", "pä:ss", Charset::Latin1, "Basic dXPpcjpw5Dpzcw=="),
        ("usér", "pä:ss", Charset::Utf8, "Basic dXPDqXI6cMOkOnNz"),
        ("client", "canary-client-secret", Charset::Utf8, "Basic Y2xpZW50OmNhbmFyeS1jbGllbnQtc2VjcmV0"),
        ("", "", Charset::Utf8, "Basic Og=="),
    ] {
        assert_eq!(written(basic(name, password, charset)), [format!("authorization: {expected}")], "{name}");
    }
}

#[test]
fn a_05_what_an_alphabet_does_not_have_is_refused() {
    assert!(is_invalid(basic("u", "пароль", Charset::Latin1)));
    assert!(is_invalid(basic("u", "ÿĀ", Charset::Latin1)));
    assert_eq!(written(basic("u", "пароль", Charset::Utf8)).len(), 1);
    for charset in [Charset::Latin1, Charset::Utf8] {
        assert!(is_invalid(basic("a:b", "c", charset)), "the colon would move into the password");
        assert!(written(basic("ü", "\u{ff}", charset)).iter().all(|header| header.is_ascii()));
    }
    let error = basic("u", "canary-пароль", Charset::Latin1).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn a_44_what_a_store_may_lack_is_told_apart() {
    let read =
        |record: &str| TokenSet::from_record(record.as_bytes(), Timestamp::from_secs(0)).map(|_| ()).unwrap_err();
    assert_eq!(read("{}"), RecordError::Empty);
    assert_eq!(read(r#"{"token_type":"Bearer"}"#), RecordError::TokenMissing);
    assert_eq!(read(r#"{"access_token":""}"#), RecordError::TokenMissing);
    assert_eq!(read(r#"{"access_token":null}"#), RecordError::TokenMissing);
    assert!(matches!(read(r#"{"access_token":[]}"#), RecordError::Unreadable(_)));
    assert_eq!(
        Credential::bare(&secret(""), &Placement::default(), &MarkerCrypto).unwrap_err(),
        ConfigError::Missing("access token").into()
    );
}

#[test]
fn a_45_a_prefix_and_more_headers_are_sent() {
    let placement = Placement::default().with_prefix("Basic").unwrap();
    let placement = placement.with_header(CONTENT_TYPE, &secret("application/json")).unwrap();
    let expected = ["authorization: Basic you_are_authorised", "content-type: application/json"];
    assert_eq!(presented(r#"{"access_token":"you_are_authorised"}"#, &placement), expected);
    let placement = placement.with_header(CONTENT_TYPE, &secret("text/plain")).unwrap();
    let expected = ["authorization: Basic x", "content-type: text/plain"];
    assert_eq!(presented(r#"{"access_token":"x"}"#, &placement), expected, "one of each name");
}

#[test]
fn a_46_nothing_replaces_the_token() {
    for record in [r#"{"access_token":"x"}"#, r#"{"access_token":"x","token_type":null}"#] {
        assert_eq!(presented(record, &Placement::default()), ["authorization: Bearer x"]);
    }
    assert!(is_invalid(Placement::default().with_header(AUTHORIZATION, &secret("x"))));
    assert!(is_invalid(Placement::default().with_api_key(AUTHORIZATION, &secret("x"))));
    let own = HeaderName::from_static("x-token");
    assert!(is_invalid(Placement::default().in_header(own.clone()).with_header(own.clone(), &secret("y"))));
    let turned = Placement::default().with_header(own.clone(), &secret("y")).unwrap().in_header(own);
    assert_eq!(presented(r#"{"access_token":"x"}"#, &turned), ["x-token: Bearer x"]);
    assert!(is_invalid(Placement::default().with_header(CONTENT_TYPE, &secret("a\r\nb: c"))));
}

#[test]
fn e_01_a_key_has_a_header_of_its_own() {
    assert_eq!((AUTHORIZATION.as_str(), API_KEY_HEADER.as_str()), ("authorization", "x-api-key"));
    let other = HeaderName::from_static("x-api-header");
    for header in [API_KEY_HEADER, other] {
        let key = Credential::api_key(header.clone(), &secret("canary-key"), &MarkerCrypto);
        assert_eq!(written(key), [format!("{header}: canary-key")]);
        let placement = Placement::default().with_api_key(header.clone(), &secret("canary-key")).unwrap();
        let expected = ["authorization: Bearer x".to_owned(), format!("{header}: canary-key")];
        assert_eq!(presented(r#"{"access_token":"x"}"#, &placement), expected);
    }
    let empty = Credential::api_key(API_KEY_HEADER, &secret(""), &MarkerCrypto);
    assert_eq!(empty.unwrap_err(), ConfigError::EmptySecret.into());
}

#[test]
fn e_03_an_empty_key_is_none_and_no_key_is_shown() {
    let placement = Placement::default().with_api_key(API_KEY_HEADER, &secret("")).unwrap();
    assert_eq!(presented(r#"{"access_token":"x"}"#, &placement), ["authorization: Bearer x"]);
    let placement = Placement::default().with_api_key(API_KEY_HEADER, &secret("canary-key")).unwrap();
    let record = r#"{"access_token":"canary-access","refresh_token":"canary-refresh"}"#;
    let credential = Credential::new(tokens(record), &placement, None, None, &MarkerCrypto).unwrap();
    let mut headers = HeaderMap::new();
    credential.write_to(&mut headers);
    let basic = basic("client", "canary-client-secret", Charset::Utf8).unwrap();
    let shown = format!("{placement:?} {credential:?} {headers:?} {basic:?} {:?}", credential.id());
    assert!(!shown.contains("canary") && !shown.contains("Y2xpZW50"), "{shown}");
}

#[test]
fn e_08_h_05_x_05_what_stands_before_the_token_is_the_callers_choice() {
    let record = r#"{"access_token":"tok","token_type":"Bearer"}"#;
    for (placement, expected) in [
        (Placement::default(), "authorization: Bearer tok"),
        (Placement::default().bare(), "authorization: tok"),
        (Placement::default().with_prefix("Token").unwrap(), "authorization: Token tok"),
        (Placement::default().bare().in_header(HeaderName::from_static("x-token")), "x-token: tok"),
    ] {
        assert_eq!(presented(record, &placement), [expected]);
        assert_eq!(written(Credential::bare(&secret("tok"), &placement, &MarkerCrypto)), [expected]);
    }
    for prefix in ["a b", "a\r\n", "ä", "a\0"] {
        assert!(is_invalid(Placement::default().with_prefix(prefix)), "{prefix:?}");
    }
}

#[test]
fn h_06_a_credential_stands_alone_in_its_place() {
    let mut headers = HeaderMap::new();
    headers.append("AUTHORIZATION", HeaderValue::from_static("one"));
    headers.append("authorization", HeaderValue::from_static("two"));
    headers.append("x-other", HeaderValue::from_static("stays"));
    let before = headers.clone();
    Credential::bare(&secret("tok"), &Placement::default(), &MarkerCrypto).unwrap().write_to(&mut headers);
    assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer tok"]);
    assert_eq!((headers.len(), &headers["x-other"]), (2, &before["x-other"]));
}

#[test]
fn l_41_the_type_of_a_token_knows_no_case_and_is_bearer_if_none_is_named() {
    for kind in [r#","token_type":"BEARER""#, r#","token_type":"bearer""#, r#","token_type":null"#, ""] {
        let record = format!(r#"{{"access_token":"a"{kind}}}"#);
        assert_eq!(presented(&record, &Placement::default()), ["authorization: Bearer a"], "{record}");
    }
    let bound = r#"{"access_token":"a","token_type":"dpop"}"#;
    assert_eq!(presented(bound, &Placement::default()), ["authorization: DPoP a"]);
}

#[test]
fn no_header_holds_a_token_of_more_than_one_line() {
    for token in ["a\r\nx: y", "a\0b", "a\nb"] {
        assert!(is_invalid(Credential::bare(&secret(token), &Placement::default(), &MarkerCrypto)), "{token:?}");
    }
}

#[test]
fn tokens_are_told_apart_by_their_fingerprints() {
    let id = |token: &str| Credential::bare(&secret(token), &Placement::default(), &MarkerCrypto).unwrap().id();
    assert_eq!(id("a"), id("a"));
    assert_ne!(id("a"), id("b"));
    let of_set =
        Credential::new(tokens(r#"{"access_token":"a"}"#), &Placement::default().bare(), None, None, &MarkerCrypto);
    assert_eq!(of_set.unwrap().id(), id("a"), "however it is presented");
}

#[test]
fn a_credential_says_when_it_stops_working_if_that_is_known() {
    let end = |record: &str| {
        let credential = Credential::new(tokens(record), &Placement::default(), None, None, &MarkerCrypto).unwrap();
        (credential.expires_at(), credential.is_usable(Timestamp::from_secs(60)))
    };
    assert_eq!(end(r#"{"access_token":"a"}"#), (None, true));
    assert_eq!(end(r#"{"access_token":"a","expires_at":60}"#), (Some(Timestamp::from_secs(60)), false));
}
