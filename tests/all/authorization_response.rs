//! What comes back by way of the browser, and who may finish a login (catalogue AR).

use std::time::Duration;

use grantflow_core::callback::{CallbackParams, ResponseMode};
use grantflow_core::client::Client;
use grantflow_core::error::{BadCallback, ConfigError, Error, Expired, Misuse, SecurityError};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, PendingFlows};
use grantflow_core::machine::{EffectKind, Event, FAILED, Machine};
use grantflow_core::testing::CountingRandom;
use grantflow_core::{Snapshot, Timestamp};
use serde_json::json;

use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

/// A login that waits for its callback.
pub fn waiting(client: &Client, scope: &str) -> Run<AuthorizationCode> {
    let flow = AuthorizationCode::new(client, AuthorizationRequest::new(REDIRECT_URI).scope(scope)).unwrap();
    let mut run = Run::new(flow);
    run.start().waits_for(EffectKind::Redirect);
    run
}

/// The login goes on: it told why, made no request, and the right callback still ends it well.
fn goes_on(run: &mut Run<AuthorizationCode>, why: BadCallback) {
    assert_eq!(run.refused(), Some(why));
    run.sent(&[]);
    run.answer([json(200, &tokens())]);
    run.come_back().done();
    run.sent(&[TOKEN]);
}

#[test]
fn ar_01_a_callback_without_state_changes_nothing() {
    let mut run = waiting(&public(), "read");
    run.call_back("code=canary-code&iss={iss}").waits_for(EffectKind::Redirect);
    goes_on(&mut run, BadCallback::StateMissing);
}

#[test]
fn ar_02_a_callback_with_another_state_changes_nothing() {
    let right = waiting(&public(), "read").parameter("state").unwrap();
    let swapped: String =
        right.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect();
    for wrong in ["random", "", &right[..right.len() - 1], &format!("{right}x"), &format!(" {right}"), &swapped] {
        let mut run = waiting(&public(), "read");
        run.call_back(&format!("code=canary-code&iss={{iss}}&state={}", wrong.replace(' ', "+")))
            .waits_for(EffectKind::Redirect);
        goes_on(&mut run, BadCallback::StateMismatch);
    }
}

#[test]
fn ar_03_fl_36_a_callback_that_comes_twice_is_used_once() {
    let mut run = waiting(&public(), "read").answering([json(200, &tokens())]);
    // A callback before anybody was sent away is not even looked at.
    let mut early = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    assert!(matches!(early.call_back("code=canary-code&state=x").failed(), Error::Misuse(Misuse::IllegalEvent { .. })));
    run.come_back().done();
    assert!(matches!(run.come_back().failed(), Error::Misuse(Misuse::IllegalEvent { .. })));
    run.sent(&[TOKEN]);
}

#[test]
fn ar_03_a_callback_while_the_code_is_exchanged_is_misuse_and_harms_nothing() {
    let mut run = waiting(&public(), "read");
    run.come_back().waits_for(EffectKind::Send);
    assert!(matches!(run.come_back().failed(), Error::Misuse(Misuse::IllegalEvent { .. })));
    let answer = json(200, &tokens())(run.last());
    run.give(answer).done();
    run.sent(&[TOKEN]);
}

#[test]
fn ar_04_the_callback_of_one_login_does_not_finish_another() {
    let mut attacker = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    attacker.random = Box::new(CountingRandom::from(128));
    attacker.start().waits_for(EffectKind::Redirect);
    let state = attacker.parameter("state").unwrap();
    assert_eq!(state.len(), 43, "256 bits as base64url");
    let mut victim = waiting(&public(), "");
    victim.call_back(&format!("code=canary-code&state={state}&iss={{iss}}")).waits_for(EffectKind::Redirect);
    goes_on(&mut victim, BadCallback::StateMismatch);
    attacker.sent(&[]);
}

#[test]
fn ar_05_only_the_session_that_began_a_login_can_finish_it() {
    let run = waiting(&public(), "");
    let callback = callback(&format!("code=canary-code&state={}", run.parameter("state").unwrap()));
    let mut pending = PendingFlows::default();
    pending.insert("attacker", &run.machine, BEGIN).unwrap();
    let error = pending.take("victim", &callback, BEGIN).unwrap_err();
    assert_eq!(error, Error::Callback(BadCallback::StateMismatch));
    assert_eq!(pending.len(), 1, "somebody else's callback takes nothing");
    let end = run.redirect.as_ref().unwrap().expires_at;
    assert_eq!(pending.take("attacker", &callback, end).unwrap_err(), error, "it is over then");
    pending.take("attacker", &callback, end.minus(Duration::from_millis(1))).unwrap();
    assert!(pending.take("attacker", &callback, BEGIN).is_err(), "a flow is taken once");
}

fn callback(query: &str) -> CallbackParams {
    CallbackParams::from_query(query).unwrap()
}

#[test]
fn ar_06_fl_38_a_callback_that_comes_too_late_is_refused() {
    for late in [Duration::from_secs(600), Duration::from_secs(86_400)] {
        let mut run = waiting(&public(), "openid");
        run.now = BEGIN.plus(late);
        assert_eq!(run.come_back().failed(), Error::Expired(Expired::Callback));
        run.sent(&[]);
    }
    let mut run = waiting(&public(), "").answering([json(200, &tokens())]);
    run.now = BEGIN.plus(Duration::from_millis(599_999));
    run.come_back().done();
    run.sent(&[TOKEN]);
}

#[test]
fn ar_07_a_login_ends_with_a_doubled_parameter_only_if_the_state_is_right() {
    for doubled in [
        "code=canary-code&code=canary-code",
        "code=canary-code&error=a&error=b",
        "code=canary-code&iss={iss}&iss={iss}",
    ] {
        let mut run = waiting(&public(), "");
        let query = if doubled.contains("iss") { doubled.to_owned() } else { format!("{doubled}&iss={{iss}}") };
        run.call_back(&format!("{query}&state=wrong")).waits_for(EffectKind::Redirect);
        assert_eq!(run.refused(), Some(BadCallback::StateMismatch));
        assert_eq!(
            run.call_back(&format!("{query}&state={{state}}")).failed(),
            Error::Callback(BadCallback::DuplicateParameter)
        );
        run.sent(&[]);
    }
}

#[test]
fn ar_08_a_code_beside_an_error_is_not_redeemed() {
    let mut run = waiting(&public(), "");
    let error = run.call_back("code=canary-code&error=access_denied&state={state}&iss={iss}").failed();
    assert_eq!(error, Error::Callback(BadCallback::CodeAndError));
    run.sent(&[]);
}

#[test]
fn ar_09_lb_07_a_denial_ends_the_login_and_reaches_the_caller() {
    let mut run = waiting(&public(), "openid");
    let error = run.call_back("error=access_denied&error_description=not+today&state={state}&iss={iss}").failed();
    let Error::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!((refusal.code.as_str(), refusal.description.as_deref()), ("access_denied", Some("not today")));
    assert_eq!(Machine::state(&run.machine), FAILED);
    run.sent(&[]);
}

#[test]
fn ar_10_an_error_that_is_somebody_elses_does_not_abort_a_login() {
    for (query, why) in [
        ("error=access_denied", BadCallback::StateMissing),
        ("error=access_denied&state=wrong", BadCallback::StateMismatch),
        ("error=server_error&state=&iss=https://evil.example", BadCallback::StateMismatch),
    ] {
        let mut run = waiting(&public(), "");
        run.call_back(query).waits_for(EffectKind::Redirect);
        goes_on(&mut run, why);
    }
}

#[test]
fn ar_12_a_promised_issuer_that_is_missing_ends_the_login() {
    for query in ["code=canary-code&state={state}", "error=access_denied&state={state}"] {
        let mut run = waiting(&public(), "");
        assert_eq!(run.call_back(query).failed(), Error::Security(SecurityError::IssuerMissing));
        run.sent(&[]);
    }
}

#[test]
fn ar_13_another_issuer_ends_the_login_promised_or_not() {
    let silent = builder(json!({ "authorization_response_iss_parameter_supported": null })).build().unwrap();
    let others = [
        "https://evil.example",
        "https://as.example/",
        "HTTPS://as.example",
        "https://AS.example",
        "https%253A%252F%252Fas.example",
        "https://as.example:443",
        "",
    ];
    for client in [public(), silent] {
        for other in others {
            for said in ["code=canary-code", "error=access_denied"] {
                let mut run = waiting(&client, "");
                let error = run.call_back(&format!("{said}&state={{state}}&iss={other}")).failed();
                let Error::Security(SecurityError::IssuerMismatch { expected, .. }) = error else {
                    panic!("{other}: {error:?}")
                };
                assert_eq!(expected, ISSUER);
                run.sent(&[]);
            }
        }
    }
}

#[test]
fn ar_13_an_issuer_that_is_not_promised_may_be_absent() {
    let silent = builder(json!({ "authorization_response_iss_parameter_supported": null })).build().unwrap();
    let mut run = waiting(&silent, "").answering([json(200, &tokens())]);
    run.call_back("code=canary-code&state={state}").done();
    run.sent(&[TOKEN]);
}

#[test]
fn ar_14_a_code_of_another_server_is_sent_nowhere() {
    let mut run = waiting(&public(), "openid");
    let error = run.call_back("code=canary-code&state={state}&iss=https://other.example").failed();
    assert!(matches!(error, Error::Security(SecurityError::IssuerMismatch { .. })));
    run.sent(&[]);
}

#[test]
fn ar_15_a_pending_login_is_bound_to_its_issuer_client_and_redirect_uri() {
    let run = waiting(&public(), "");
    let bytes = run.machine.snapshot().unwrap().as_bytes().to_vec();
    let elsewhere = discovered(&merged(metadata(), json!({ "issuer": "https://other.example" }))).unwrap();
    let other_server = Client::builder(elsewhere, CLIENT_ID).build().unwrap();
    let other_client = Client::builder(discovered(&metadata()).unwrap(), "another").build().unwrap();
    for client in [other_server, other_client] {
        let error = AuthorizationCode::restore(&client, Snapshot::from_bytes(bytes.clone())).unwrap_err();
        assert_eq!(error, Error::Config(ConfigError::SnapshotForeign));
    }
    // The redirect URI that goes with the code is the one that was shown, not one that the callback could choose.
    let mut restored = Run::new(AuthorizationCode::restore(&public(), Snapshot::from_bytes(bytes)).unwrap());
    restored.redirect = run.redirect.as_ref().map(|redirect| grantflow_core::machine::Redirect {
        url: redirect.url.clone(),
        redirect_uri: redirect.redirect_uri.clone(),
        expires_at: redirect.expires_at,
        refused: None,
    });
    restored
        .call_back("code=canary-code&state={state}&iss={iss}&redirect_uri=https://evil.example")
        .waits_for(EffectKind::Send);
    assert_eq!(restored.last().field("redirect_uri"), Some(REDIRECT_URI));
    restored.sent(&[TOKEN]);
}

#[test]
fn ar_16_ar_17_tokens_and_jarm_responses_end_the_login_unused() {
    for (query, why) in [
        ("access_token=canary-access&code=canary-code", BadCallback::UnexpectedToken),
        ("id_token=canary-access&code=canary-code", BadCallback::UnexpectedToken),
        ("token=canary-access", BadCallback::UnexpectedToken),
        ("response=canary-access", BadCallback::UnexpectedResponse),
    ] {
        let mut run = waiting(&public(), "");
        let error = run.call_back(&format!("{query}&state={{state}}&iss={{iss}}")).failed();
        assert_eq!(error, Error::Callback(why), "{query}");
        run.sent(&[]);
    }
}

#[test]
fn ar_20_a_form_post_login_takes_no_query() {
    let request = AuthorizationRequest::new(REDIRECT_URI).response_mode(ResponseMode::FormPost);
    let mut run = Run::new(AuthorizationCode::new(&public(), request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("response_mode").as_deref(), Some("form_post"));
    run.come_back().waits_for(EffectKind::Redirect);
    assert_eq!(run.refused(), Some(BadCallback::ResponseMode));
    let form = format!("error=access_denied&state={}&iss={ISSUER}", run.parameter("state").unwrap());
    let error = run.give(Event::Callback(CallbackParams::from_form(form.as_bytes()).unwrap())).failed();
    assert!(matches!(error, Error::Refused(refusal) if refusal.code == "access_denied"));
    run.sent(&[]);
}

#[test]
fn ar_21_a_code_that_cannot_be_one_is_not_sent() {
    for (code, why) in [
        ("", BadCallback::CodeMalformed),
        ("a%0Ab", BadCallback::CodeMalformed),
        ("caf%C3%A9", BadCallback::CodeMalformed),
    ] {
        let mut run = waiting(&public(), "");
        assert_eq!(
            run.call_back(&format!("code={code}&state={{state}}&iss={{iss}}")).failed(),
            Error::Callback(why),
            "{code}"
        );
        run.sent(&[]);
    }
    let long = CallbackParams::from_query(&format!("code={}&state=x", "a".repeat(64 * 1024)));
    assert_eq!(long.unwrap_err(), BadCallback::TooLarge);
}

#[test]
fn ar_22_a_code_of_legal_characters_is_sent_exactly() {
    let mut run = waiting(&public(), "");
    run.call_back("code=a%2Bb%2Fc%3Dd%25e+f%26g&state={state}&iss={iss}").waits_for(EffectKind::Send);
    assert_eq!(run.last().field("code"), Some("a+b/c=d%e f&g"));
    run.sent(&[TOKEN]);
}

#[test]
fn ar_26_a_redirect_uri_is_judged_before_anything_is_drawn() {
    for uri in [
        "http://app.example/cb",
        "https://app.example/cb#frag",
        "https://user@app.example/cb",
        "https://*.example/cb#",
        "ftp://app.example/",
    ] {
        let made = AuthorizationCode::new(&public(), AuthorizationRequest::new(uri));
        assert!(matches!(made, Err(Error::Config(ConfigError::Url { .. }))), "{uri}");
    }
}

#[test]
fn fl_37_nobody_comes_back_and_the_login_expires() {
    let mut run = waiting(&public(), "");
    run.give(Event::Elapsed).waits_for(EffectKind::Redirect);
    run.now = run.redirect.as_ref().unwrap().expires_at;
    assert_eq!(run.now, Timestamp::from_secs(BEGIN.as_secs() + 600));
    assert_eq!(run.give(Event::Elapsed).failed(), Error::Expired(Expired::Callback));
    run.sent(&[]);
    let mut run = waiting(&public(), "");
    let end = run.redirect.as_ref().unwrap().expires_at;
    run.now = end.minus(Duration::from_millis(1));
    run.give(Event::Resume).waits_for(EffectKind::Redirect);
    run.now = end;
    assert_eq!(run.give(Event::Resume).failed(), Error::Expired(Expired::Callback));
    run.sent(&[]);
}
