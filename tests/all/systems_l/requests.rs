//! Requests to the token endpoint, revocation and introspection, exactly, and their answers (L-02, L-10 to L-24, L-49,
//! L-50).

use grantflow_core::callback::CallbackParams;
use grantflow_core::client::Client;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspected, Introspection, Revocation};
use grantflow_core::error::{Advice, Endpoint, Error, Rule, TransportKind};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras};
use grantflow_core::machine::{EffectKind, Event};
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Timestamp};
use serde_json::{Value, json};

use super::exact;
use crate::authorization_response::waiting;
use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";

fn credentials(client: &Client, scope: &str, extras: Extras) -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(client, scope, &extras).unwrap())
}

/// The callback of a login, with this code.
fn callback(run: &Run<AuthorizationCode>, code: &str) -> Event {
    let state = run.parameter("state").unwrap();
    let query = format!("code={code}&state={state}&iss=https%3A%2F%2Fas.example");
    Event::Callback(CallbackParams::from_query(&query).unwrap())
}

#[test]
fn l_02_what_a_client_does_unless_told_otherwise() {
    assert_eq!(public().authentication_method(), "none");
    assert_eq!(confidential().authentication_method(), "client_secret_basic");
    let token = Secret::from("t");
    for (client, header, body) in [
        (public(), None, "token=t&token_type_hint=access_token&client_id=client"),
        (confidential(), Some("Basic "), "token=t&token_type_hint=access_token"),
    ] {
        let mut revocation = Run::new(Revocation::new(&client, &token, TokenKind::Access).unwrap());
        let request = exact(&mut revocation, Event::Start);
        assert_eq!(request.body, body);
        assert_eq!(request.header("authorization").map(|value| &value[..6]), header);
    }
    // Nothing is asked for that nobody named, and a token is renewed a minute ahead.
    let mut login = waiting(&public(), "");
    assert_eq!(login.parameter("scope"), None);
    login.answer([json(200, &tokens())]);
    let tokens = login.come_back().done();
    assert_eq!(tokens.renewal_margin().as_secs(), 60);
    let due = Timestamp::from_secs(BEGIN.as_secs() + 3600 - 60);
    assert!(tokens.is_fresh(Timestamp::from_secs(due.as_secs() - 1)) && !tokens.is_fresh(due));
    login.sent(&[TOKEN]);
}

#[test]
fn l_10_the_grant_is_the_one_that_was_chosen_and_another_may_follow() {
    let client = confidential();
    let code = || {
        let mut run = waiting(&client, "");
        let callback = callback(&run, "c");
        exact(&mut run, callback).body
    };
    let own = || exact(&mut credentials(&client, "", Extras::default()), Event::Start).body;
    for _ in 0..2 {
        assert!(code().starts_with("grant_type=authorization_code&"));
        assert_eq!(own(), "grant_type=client_credentials");
        let mut device = Run::new(Device::new(&client, "", Extras::default()).unwrap());
        assert_eq!(exact(&mut device, Event::Start).target, "POST https://as.example/device");
    }
}

#[test]
fn l_13_the_body_of_a_token_request_is_exactly_this() {
    let request = AuthorizationRequest::new("https://c.example/cb")
        .scope("p q")
        .token_extras(Extras::new([("zero", "0"), ("empty", "")]).unwrap());
    let mut run = Run::new(AuthorizationCode::new(&public(), request).unwrap());
    run.random = Box::new(grantflow_core::testing::CountingRandom::default());
    run.start().waits_for(EffectKind::Redirect);
    let callback = callback(&run, "C%2B1");
    let sent = exact(&mut run, callback);
    assert_eq!(sent.target, TOKEN);
    let (before, after) = sent.body.split_once("&code_verifier=").unwrap();
    assert_eq!(before, "grant_type=authorization_code&code=C%2B1&redirect_uri=https%3A%2F%2Fc.example%2Fcb");
    // What the caller gives is sent, also if it is empty. The scope was said at the authorization endpoint.
    assert_eq!(&after[43..], "&zero=0&empty=&client_id=client");
    let sent = exact(&mut credentials(&confidential(), "p q", Extras::default()), Event::Start);
    assert_eq!(sent.body, "grant_type=client_credentials&scope=p+q");
}

#[test]
fn l_14_a_parameter_that_is_repeated_is_sent_as_often() {
    let twice = Extras::new([("resource", "urn:a"), ("resource", "urn:b")]).unwrap();
    let sent = exact(&mut credentials(&confidential(), "", twice), Event::Start);
    assert_eq!(sent.body, "grant_type=client_credentials&resource=urn%3Aa&resource=urn%3Ab");
    let request = AuthorizationRequest::new(REDIRECT_URI).resource("urn:a").resource("urn:b");
    let mut run = Run::new(AuthorizationCode::new(&public(), request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    let callback = callback(&run, "c");
    let sent = exact(&mut run, callback);
    assert!(sent.body.ends_with("&resource=urn%3Aa&resource=urn%3Ab&client_id=client"), "{}", sent.body);
}

/// UTF-8 is what a form is in; a `charset` beside the media type has no meaning (RFC 6749, appendix B).
#[test]
fn l_15_the_headers_of_a_token_request_say_form_and_json() {
    let sent = exact(&mut credentials(&confidential(), "", Extras::default()), Event::Start);
    assert_eq!(sent.header("accept"), Some("application/json"));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    let agent = format!("grantflow/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(sent.header("user-agent"), Some(agent.as_str()));
    // A method of the caller's own adds headers; those that were there stay.
    let client = super::proving::adding_a_header();
    let sent = exact(&mut credentials(&client, "", Extras::default()), Event::Start);
    assert_eq!(sent.header("x-extra"), Some("1"));
    assert_eq!(sent.header("accept"), Some("application/json"));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
}

fn answered(answer: Answer) -> Result<TokenSet, Error> {
    let mut run = credentials(&confidential(), "", Extras::default()).answering([answer]);
    let outcome = result(run.start());
    run.sent(&[TOKEN]);
    outcome
}

#[test]
fn l_17_a_refusal_is_told_whole_and_whatever_else_is_no_token_is_an_error() {
    let said = json!({
        "error": "invalid_scope", "error_description": "no such scope", "error_uri": "https://as.example/why",
    });
    for status in [200, 400, 401] {
        let Err(Error::Refused(refusal)) = answered(json(status, &said)) else { panic!("{status}") };
        assert_eq!(refusal.endpoint, Endpoint::Token);
        assert_eq!(refusal.code, "invalid_scope");
        assert_eq!(refusal.description.as_deref(), Some("no such scope"));
        assert_eq!(refusal.uri.as_deref(), Some("https://as.example/why"));
        assert_eq!(refusal.answer.as_ref().unwrap().status, status);
    }
    let broken: [(Answer, Rule); 4] = [
        (json(400, &json!({ "message": "no" })), Rule::Status),
        (json(403, &tokens()), Rule::Status),
        (json(200, &json!({ "token_type": "Bearer" })), Rule::MemberMissing("access_token")),
        (json(200, &json!({ "access_token": null, "token_type": "Bearer" })), Rule::MemberMissing("access_token")),
    ];
    for (answer, rule) in broken {
        let Err(Error::Protocol(error)) = answered(answer) else { panic!("not refused: {rule:?}") };
        assert_eq!(error.rule, rule);
    }
    let Err(Error::Protocol(error)) = answered(json(200, &json!([tokens()]))) else { panic!() };
    assert!(matches!(error.rule, Rule::Json { .. }), "{error:?}");
    // A page comes from somebody between us and the server.
    let Err(Error::Transport(error)) = answered(answer(200, &[("content-type", "text/html")], "<p>hello</p>")) else {
        panic!()
    };
    assert_eq!(error.kind, TransportKind::MediaType);
}

#[test]
fn l_20_client_credentials_ask_for_the_scope_as_given() {
    for (scope, body) in [
        ("", "grant_type=client_credentials"),
        ("p", "grant_type=client_credentials&scope=p"),
        ("q p:x/y", "grant_type=client_credentials&scope=q+p%3Ax%2Fy"),
    ] {
        let sent = exact(&mut credentials(&confidential(), scope, Extras::default()), Event::Start);
        assert_eq!((sent.target.as_str(), sent.body.as_str()), (TOKEN, body));
    }
}

/// A flow knows nothing of older tokens: whoever holds one that has expired asks for another as if there were none.
#[test]
fn l_24_an_expired_token_does_not_keep_a_new_one_away() {
    let client = confidential();
    let mut first =
        credentials(&client, "", Extras::default()).answering([json(200, &tokens_with(json!({ "expires_in": 1 })))]);
    let old = first.start().done();
    first.sent(&[TOKEN]);
    let mut second = credentials(&client, "", Extras::default()).answering([json(200, &tokens())]);
    second.now = Timestamp::from_secs(BEGIN.as_secs() + 10);
    assert!(old.is_expired(second.now));
    second.memory = std::mem::take(&mut first.memory);
    assert!(!second.start().done().is_expired(second.now));
    second.sent(&[TOKEN]);
}

fn revocation(kind: TokenKind) -> Run<Revocation> {
    Run::new(Revocation::new(&confidential(), &Secret::from("a&b"), kind).unwrap())
}

/// A revocation is of a token: without one there is none to make.
#[test]
fn l_49_a_revocation_sends_exactly_this_and_says_when_to_ask_again() {
    for (kind, body) in [
        (TokenKind::Access, "token=a%26b&token_type_hint=access_token"),
        (TokenKind::Refresh, "token=a%26b&token_type_hint=refresh_token"),
    ] {
        let sent = exact(&mut revocation(kind), Event::Start);
        assert_eq!((sent.target.as_str(), sent.body.as_str()), ("POST https://as.example/revoke", body));
        assert!(sent.header("authorization").unwrap().starts_with("Basic "));
    }
    let mut run = revocation(TokenKind::Access).answering([answer(200, &[], "")]);
    run.start().done();
    run.all_sent();
    let throttled = || answer(503, &[("retry-after", "5")], "");
    let mut run = revocation(TokenKind::Access).answering((0..4).map(|_| throttled()));
    let error = run.start().failed();
    let Advice::Retry { not_before: Some(not_before) } = error.advice() else { panic!("{error:?}") };
    assert_eq!(not_before.since(run.now).as_secs(), 5);
    assert_eq!(run.all_sent().len(), 4);
}

#[test]
fn l_50_an_introspection_sends_exactly_this_and_keeps_what_it_does_not_know() {
    let mut run = Run::new(Introspection::new(&confidential(), &Secret::from("a&b"), TokenKind::Refresh).unwrap());
    let sent = exact(&mut run, Event::Start);
    assert_eq!(sent.target, "POST https://as.example/introspect");
    assert_eq!(sent.body, "token=a%26b&token_type_hint=refresh_token");
    assert!(sent.header("authorization").unwrap().starts_with("Basic "));
    let mut run = Run::new(Introspection::new(&confidential(), &Secret::from("t"), TokenKind::Access).unwrap())
        .answering([json(200, &json!({ "active": true, "sub": "alice", "tenant": { "id": [1, 2] } }))]);
    let Introspected::Active(active) = run.start().done() else { panic!("inactive") };
    run.all_sent();
    assert_eq!(active.subject().as_deref(), Some("alice"));
    let all: Value = active.extra().unwrap();
    assert_eq!(all["tenant"], json!({ "id": [1, 2] }));
    let mut run = Run::new(Introspection::new(&confidential(), &Secret::from("t"), TokenKind::Access).unwrap())
        .answering([json(200, &json!({ "active": false }))]);
    assert!(matches!(run.start().done(), Introspected::Inactive));
    run.all_sent();
}
