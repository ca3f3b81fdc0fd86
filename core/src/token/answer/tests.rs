//! Each row is an answer and what is made of it. The rows with numbers were seen in the wild.

use proptest::prelude::*;

use super::*;
use crate::error::{Advice, AnswerFacts, Refusal, TransportError};
use crate::token::refusal::classify;

mod members;
mod refusals;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const JSON: &str = "application/json";

fn response(status: u16, media_type: &str, body: impl AsRef<[u8]>) -> Response<Body> {
    let mut builder = Response::builder().status(status);
    if !media_type.is_empty() {
        builder = builder.header(header::CONTENT_TYPE, media_type);
    }
    builder.body(Body::new(body.as_ref().to_vec())).unwrap()
}

fn strict() -> Expectation<'static> {
    Expectation { leniency: Leniency::Strict, ..Expectation::default() }
}

fn read_as(expect: &Expectation<'_>, status: u16, media_type: &str, body: impl AsRef<[u8]>) -> Result<TokenSet, Error> {
    let result = parse(&response(status, media_type, body), expect, NOW, Endpoint::Token);
    // Whatever comes out, it shows no secret.
    let shown = match &result {
        Ok(tokens) => format!("{tokens:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains("s3cr3t"), "{shown}");
    result
}

fn read(status: u16, media_type: &str, body: impl AsRef<[u8]>) -> Result<TokenSet, Error> {
    read_as(&Expectation::default(), status, media_type, body)
}

/// Reads an answer with these members besides a token and its type.
fn with(members: &str) -> Result<TokenSet, Error> {
    read(200, JSON, body_with(members))
}

fn strictly_with(members: &str) -> Result<TokenSet, Error> {
    read_as(&strict(), 200, JSON, body_with(members))
}

fn body_with(members: &str) -> String {
    format!(r#"{{"access_token":"s3cr3t","token_type":"Bearer"{members}}}"#)
}

fn rule(result: Result<TokenSet, Error>) -> Rule {
    match result.unwrap_err() {
        Error::Protocol(error) => error.rule,
        other => panic!("{other}"),
    }
}

fn refused(result: Result<TokenSet, Error>) -> Refusal {
    match result.unwrap_err() {
        Error::Refused(refusal) => *refusal,
        other => panic!("{other}"),
    }
}

fn unavailable(result: Result<TokenSet, Error>) -> (TransportKind, Option<Timestamp>, AnswerFacts) {
    match result.unwrap_err() {
        Error::Transport(TransportError { kind, not_before, answer: Some(answer), .. }) => (kind, not_before, *answer),
        other => panic!("{other}"),
    }
}

fn notes(tokens: &TokenSet) -> Vec<&'static str> {
    tokens.notes().iter().map(|note| note.name()).collect()
}

/// Lifetime in seconds and notes.
fn lifetime_of(members: &str) -> (Option<u64>, Vec<&'static str>) {
    let tokens = with(members).unwrap();
    (tokens.expires_at().map(|end| end.since(NOW).as_secs()), notes(&tokens))
}

#[test]
fn answers_01_a_type_in_capitals_and_no_content_type_are_accepted() {
    let tokens = read(200, "", r#"{"access_token":"12/34","token_type":"BEARER"}"#).unwrap();
    assert_eq!(tokens.access_token().expose(), "12/34");
    assert_eq!(*tokens.token_type(), TokenType::Bearer);
    assert_eq!(notes(&tokens), ["media_type"]);
    assert_eq!(rule(read_as(&strict(), 200, "", body_with(""))), Rule::MediaType);
}

#[test]
fn answers_02_media_types_know_no_case_and_may_name_utf_8() {
    for media_type in [
        "APPLICATION/jSoN",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json ; x=y",
    ] {
        assert!(read_as(&strict(), 200, media_type, body_with("")).unwrap().notes().is_empty(), "{media_type}");
    }
}

#[test]
fn answers_03_json_as_plain_text_is_accepted_and_as_a_page_refused() {
    for media_type in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "text/javascript",
        "application/vnd.api+json",
        "application/hal+JSON",
    ] {
        assert_eq!(notes(&read(200, media_type, body_with("")).unwrap()), ["media_type"], "{media_type}");
        assert_eq!(rule(read_as(&strict(), 200, media_type, body_with(""))), Rule::MediaType, "{media_type}");
    }
    for media_type in ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"] {
        assert_eq!(unavailable(read(200, media_type, body_with(""))).0, TransportKind::MediaType, "{media_type}");
        assert_eq!(unavailable(read_as(&strict(), 200, media_type, body_with(""))).0, TransportKind::MediaType);
    }
    assert_eq!(rule(read(200, "text/plain", "hello s3cr3t")), Rule::Json { at: 0, flaw: JsonFlaw::Syntax });
}

#[test]
fn answers_04_tr_13_media_types_are_compared_whole() {
    for media_type in [
        "application/jsonp",
        "application/json-seq",
        "application/octet-stream",
        "json",
        "+json/x",
        "application/json;charset=utf-16",
    ] {
        assert_eq!(rule(read(200, media_type, body_with(""))), Rule::MediaType, "{media_type}");
    }
}

#[test]
fn answers_05_a_form_is_read_as_a_form() {
    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
    let tokens =
        read(200, FORM, "access_token=s3cr3t&token_type=bearer&scope=read%2Cwrite&expires_in=60&x=%22%0A").unwrap();
    assert_eq!(tokens.access_token().expose(), "s3cr3t");
    assert_eq!(tokens.scope().as_str(), "read,write");
    assert_eq!(tokens.expires_at(), Some(NOW.plus(Duration::from_secs(60))));
    assert_eq!(notes(&tokens), ["form_encoded"]);
    assert_eq!(tokens.answer().get("x").unwrap().into_string().unwrap(), "\"\n");
    assert_eq!(rule(read_as(&strict(), 200, FORM, "access_token=a&token_type=bearer")), Rule::MediaType);
    assert_eq!(rule(read(200, FORM, "access_token=%zz&token_type=bearer")), Rule::Form);
    assert!(matches!(
        rule(read(200, FORM, "access_token=a&access_token=b")),
        Rule::Json { flaw: JsonFlaw::DuplicateMember, .. }
    ));
    assert_eq!(rule(read(200, FORM, body_with(""))), Rule::MemberMissing("access_token"));
    assert!(read(200, JSON, "access_token=a&token_type=bearer").is_err());
    let refusal = refused(read(200, FORM, "error=bad_verification_code&error_description=expired"));
    assert_eq!((refusal.code.as_str(), refusal.description.as_deref()), ("bad_verification_code", Some("expired")));
    assert_eq!(refused(read(400, FORM, "error=slow_down")).code, "slow_down");
}

#[test]
fn answers_06_tr_02_a_missing_token_type_is_taken_for_bearer() {
    for body in [r#"{"access_token":"s3cr3t"}"#, r#"{"access_token":"s3cr3t","token_type":null}"#] {
        let tokens = read(200, JSON, body).unwrap();
        assert_eq!(*tokens.token_type(), TokenType::Bearer);
        assert_eq!(notes(&tokens), ["token_type_assumed"]);
        assert_eq!(rule(read_as(&strict(), 200, JSON, body)), Rule::MemberMissing("token_type"));
        for proof in [Proof::Sent, Proof::SentBearerAllowed] {
            let expect = Expectation { proof, ..Expectation::default() };
            assert_eq!(rule(read_as(&expect, 200, JSON, body)), Rule::Downgrade);
        }
    }
    let inverted = read_as(&strict(), 200, JSON, r#"{"access_token":"s3cr3t","token_type":"bEARER"}"#).unwrap();
    assert_eq!(*inverted.token_type(), TokenType::Bearer);
}

#[test]
fn answers_07_a_token_type_that_is_no_string_is_refused() {
    for value in ["123", "true", "[]", r#"{"a":1}"#, r#"["Bearer"]"#] {
        let body = format!(r#"{{"access_token":"s3cr3t","token_type":{value}}}"#);
        assert_eq!(rule(read(200, JSON, body)), Rule::MemberInvalid("token_type"), "{value}");
    }
}

#[test]
fn answers_08_tr_03_tr_04_only_types_that_the_client_can_use_are_accepted() {
    let typed = |name: &str| format!(r#"{{"access_token":"s3cr3t","token_type":"{name}"}}"#);
    for name in ["green", "mac", "N_A", "", "Bearer ", "Bearer\\u0000"] {
        assert_eq!(rule(read(200, JSON, typed(name))), Rule::TokenType, "{name}");
    }
    assert_eq!(rule(read(200, JSON, typed("dPoP"))), Rule::KeyBound);
    let types = ["N_A".to_owned()];
    let named = Expectation { token_types: &types, ..Expectation::default() };
    let tokens = read_as(&named, 200, JSON, typed("n_a")).unwrap();
    assert_eq!(*tokens.token_type(), TokenType::Other("N_A".to_owned()));
    assert_eq!(rule(read_as(&named, 200, JSON, typed("DPoP"))), Rule::KeyBound);

    let bound = Expectation { proof: Proof::Sent, ..Expectation::default() };
    assert_eq!(*read_as(&bound, 200, JSON, typed("dpop")).unwrap().token_type(), TokenType::Dpop);
    assert_eq!(rule(read_as(&bound, 200, JSON, typed("Bearer"))), Rule::Downgrade);
    let allowed = Expectation { proof: Proof::SentBearerAllowed, ..Expectation::default() };
    assert_eq!(notes(&read_as(&allowed, 200, JSON, typed("bearer")).unwrap()), ["bearer_despite_proof"]);
    assert_eq!(*read_as(&allowed, 200, JSON, typed("DPoP")).unwrap().token_type(), TokenType::Dpop);
}

#[test]
fn answers_20_tr_09_a_member_twice_is_refused() {
    for body in [
        r#"{"access_token":"s3cr3t","access_token":"b","token_type":"Bearer"}"#,
        r#"{"access_token":"s3cr3t","token_type":"Bearer","x":{"y":1,"y":2}}"#,
    ] {
        assert!(matches!(rule(read(200, JSON, body)), Rule::Json { flaw: JsonFlaw::DuplicateMember, .. }));
    }
}

#[test]
fn answers_23_every_2xx_is_a_success() {
    for status in [201, 202, 203, 206, 299] {
        assert_eq!(notes(&read(status, JSON, body_with("")).unwrap()), ["status"], "{status}");
        assert_eq!(rule(read_as(&strict(), status, JSON, body_with(""))), Rule::Status, "{status}");
    }
    assert!(matches!(rule(read(204, "", "")), Rule::Json { at: 0, flaw: JsonFlaw::Truncated }));
}

#[test]
fn answers_30_what_is_not_json_is_refused_with_the_position_and_without_the_text() {
    assert_eq!(rule(read(200, JSON, "broken json")), Rule::Json { at: 0, flaw: JsonFlaw::Syntax });
    assert_eq!(rule(read(200, JSON, "")), Rule::Json { at: 0, flaw: JsonFlaw::Truncated });
    let Error::Protocol(error) = read(200, JSON, r#"{"access_token":"s3cr3t","#).unwrap_err() else { panic!() };
    assert_eq!(error.rule, Rule::Json { at: 25, flaw: JsonFlaw::Truncated });
    assert_eq!(error.answer.unwrap().excerpt, None);
}

#[test]
fn answers_31_bytes_after_the_json_are_refused() {
    assert!(matches!(
        rule(read(200, JSON, format!("{}xx", body_with("")))),
        Rule::Json { flaw: JsonFlaw::Trailing, .. }
    ));
}

#[test]
fn answers_32_a_byte_order_mark_is_accepted() {
    let tokens = read(200, JSON, format!("\u{FEFF}{}", body_with(""))).unwrap();
    assert_eq!(notes(&tokens), ["byte_order_mark"]);
    assert!(read_as(&strict(), 200, JSON, format!("\u{FEFF}{}", body_with(""))).is_ok());
}

#[test]
fn answers_33_tr_16_what_is_no_object_is_refused() {
    for body in
        [r#"["a","bearer",1,null,null,null]"#, r#"["a",null,"bearer",3600,null]"#, "null", r#""access_token""#, "7"]
    {
        assert_eq!(rule(read(200, JSON, body)), Rule::Json { at: 0, flaw: JsonFlaw::NotObject }, "{body}");
    }
    assert!(matches!(
        rule(read(200, JSON, b"{\"access_token\":\"\xFF\"}")),
        Rule::Json { flaw: JsonFlaw::Encoding, .. }
    ));
}

#[test]
fn tr_10_deep_nesting_is_refused() {
    let deep = format!(r#","x":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(rule(with(&deep)), Rule::Json { flaw: JsonFlaw::TooDeep, .. }));
}

#[test]
fn answers_34_an_id_token_alone_is_accepted_only_where_asked_for() {
    const BODY: &str = r#"{"id_token":"s3cr3t.x.y"}"#;
    assert_eq!(rule(read(200, JSON, BODY)), Rule::MemberMissing("access_token"));
    let read_as = |leniency, body: &str| parse_id_token(&response(200, JSON, body), leniency, NOW, Endpoint::Token);
    let read = |body: &str| read_as(Leniency::Compat, body);
    let answer = read(BODY).unwrap();
    assert_eq!(answer.id_token.expose(), "s3cr3t.x.y");
    assert!(!format!("{answer:?}").contains("s3cr3t"));
    for body in ["{}", r#"{"id_token":null}"#, r#"{"id_token":""}"#, r#"{"access_token":"a"}"#] {
        let Error::Protocol(error) = read(body).unwrap_err() else { panic!() };
        assert_eq!(error.rule, Rule::IdTokenMissing, "{body}");
    }
    let Error::Protocol(error) = read_as(Leniency::Strict, r#"{"id_token":""}"#).unwrap_err() else { panic!() };
    assert_eq!(error.rule, Rule::MemberInvalid("id_token"));
}

#[test]
fn tr_15_an_answer_cut_anywhere_is_refused_and_shows_nothing() {
    let body = body_with(r#","refresh_token":"s3cr3t","expires_in":3600,"scope":"a b""#);
    for cut in 0..body.len() {
        assert!(
            matches!(rule(read(200, JSON, &body.as_bytes()[..cut])), Rule::Json { flaw: JsonFlaw::Truncated, .. }),
            "{cut}"
        );
    }
}

#[test]
fn members_that_nobody_knows_are_kept() {
    #[derive(serde::Deserialize)]
    struct Tenant {
        tenant: String,
    }
    let tokens = with(r#","tenant":"t","deep":{"er":[1]}"#).unwrap();
    assert_eq!(tokens.extra::<Tenant>().unwrap().tenant, "t");
    assert!(matches!(tokens.answer().get("deep"), Some(Value::Object(_))));
    assert!(tokens.extra::<Vec<String>>().is_err());
}
proptest! {
    #[test]
    fn no_damaged_answer_panics_or_shows_a_token(
        status in prop::sample::select(&[200_u16, 201, 302, 400, 401, 503][..]),
        media_type in prop::sample::select(&["", JSON, "text/plain", "text/html", "application/x-www-form-urlencoded"][..]),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        const TOKENS: [&str; 2] = ["canary-ABCDEF-0123456789", "canary/abcdef/0123456789"];
        let [one, two] = TOKENS;
        let body = format!(r#"{{"access_token":"{one}","token_type":"Bearer","error":7,"expires_in":60,"refresh_token":"{two}"}}"#);
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        body.splice(at..=at, with);
        if let Err(error) = read(status, media_type, body) {
            let shown = format!("{error} {error:?}");
            prop_assert!(TOKENS.iter().all(|token| !shown.contains(token)), "{}", shown);
        }
    }
}
