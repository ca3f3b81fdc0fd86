//! Sending a person away, and what comes back (L-03 to L-07, L-11, L-12, X-07).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantflow_core::callback::{CallbackParams, ResponseMode};
use grantflow_core::error::{BadCallback, ConfigError, Error, SecurityError, UrlFlaw};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Extras, PendingFlows};
use grantflow_core::machine::{EffectKind, Event};
use grantflow_core::{Random, RandomUnavailable, Secret, Snapshot, unguessable};
use serde_json::json;

use crate::authorization_response::waiting;
use crate::runners::SystemRandom;
use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

/// Draws the same 32 bytes every time.
struct Same([u8; 32]);

impl Random for Same {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }
}

/// The verifier of RFC 7636, appendix B, as the bytes that it spells, and its challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn spelt() -> Same {
    Same(URL_SAFE_NO_PAD.decode(VERIFIER).unwrap().try_into().unwrap())
}

#[test]
fn l_03_the_authorization_url_keeps_the_endpoints_query_and_repeats_what_is_repeated() {
    let client = builder(json!({ "authorization_endpoint": "https://as.example/authorize?foo=bar" })).build().unwrap();
    let request = AuthorizationRequest::new("https://c.example/cb?x=1")
        .scope("a b")
        .resource("https://r1.example")
        .resource("https://r2.example")
        .extras(Extras::new([("prompt", "login")]).unwrap());
    let mut run = Run::new(AuthorizationCode::new(&client, request).unwrap());
    run.random = Box::new(spelt());
    run.start().waits_for(EffectKind::Redirect);
    let expected = [
        "https://as.example/authorize?foo=bar&response_type=code&client_id=client",
        "&redirect_uri=https%3A%2F%2Fc.example%2Fcb%3Fx%3D1&scope=a+b",
        &format!("&state={VERIFIER}&code_challenge={CHALLENGE}&code_challenge_method=S256"),
        "&resource=https%3A%2F%2Fr1.example&resource=https%3A%2F%2Fr2.example&prompt=login",
    ];
    assert_eq!(run.redirect.as_ref().unwrap().url.as_str(), expected.concat());
    run.sent(&[]);
    let fragment = merged(metadata(), json!({ "authorization_endpoint": "https://as.example/authorize?foo=bar#frag" }));
    let error = discovered(&fragment).unwrap_err();
    assert!(matches!(error, Error::Security(SecurityError::Url { flaw: UrlFlaw::Fragment, .. })), "{error:?}");
}

#[test]
fn l_04_x_07_a_state_is_drawn_for_each_login_and_compared_as_exact_text() {
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let flow = AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap();
        let mut run = Run::new(flow);
        run.random = Box::new(SystemRandom);
        run.start().waits_for(EffectKind::Redirect);
        let state = run.parameter("state").unwrap();
        assert!(URL_SAFE_NO_PAD.decode(&state).unwrap().len() * 8 >= 128, "{state}");
        assert!(seen.insert(state), "a state was drawn twice");
    }
    // Where randomness comes from is the caller's to say.
    let mut run = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    run.random = Box::new(spelt());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("state").as_deref(), Some(VERIFIER));
    // The same bits in another spelling are another text.
    for other in [VERIFIER.to_ascii_lowercase(), format!("{VERIFIER}="), VERIFIER.replace('-', "+")] {
        let other: String = url::form_urlencoded::byte_serialize(other.as_bytes()).collect();
        run.call_back(&format!("code=canary-code&iss={{iss}}&state={other}")).waits_for(EffectKind::Redirect);
        assert_eq!(run.refused(), Some(BadCallback::StateMismatch));
    }
    run.sent(&[]);
}

/// The extras of an authorization request are said per request, and what the engine checks is a setting of its own.
#[test]
fn l_05_response_mode_nonce_prompt_and_login_hint_reach_the_url() {
    let request = AuthorizationRequest::new(REDIRECT_URI)
        .scope("openid")
        .response_mode(ResponseMode::FormPost)
        .extras(Extras::new([("prompt", "login"), ("login_hint", "alice@as.example")]).unwrap());
    let mut run = Run::new(AuthorizationCode::new(&public(), request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("response_mode").as_deref(), Some("form_post"));
    assert_eq!(run.parameter("prompt").as_deref(), Some("login"));
    assert_eq!(run.parameter("login_hint").as_deref(), Some("alice@as.example"));
    assert_eq!(run.parameter("nonce").unwrap().len(), 43);
    run.sent(&[]);
    let mut plain = waiting(&public(), "read");
    for name in ["response_mode", "prompt", "login_hint", "nonce"] {
        assert_eq!(plain.parameter(name), None, "{name}");
    }
    plain.sent(&[]);
    for name in ["response_mode", "nonce"] {
        assert!(Extras::new([(name, "x")]).is_err(), "{name} is the engine's own");
    }
}

#[test]
fn l_06_pkce_is_on_by_default_and_refused_where_it_cannot_be() {
    let mut run = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    run.random = Box::new(spelt());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("code_challenge").as_deref(), Some(CHALLENGE));
    assert_eq!(run.parameter("code_challenge_method").as_deref(), Some("S256"));
    run.come_back().waits_for(EffectKind::Send);
    assert_eq!(run.last().field("code_verifier"), Some(VERIFIER));
    run.sent(&[TOKEN]);
    let plain = builder(json!({ "code_challenge_methods_supported": ["plain"] })).build().unwrap();
    let made = AuthorizationCode::new(&plain, AuthorizationRequest::new(REDIRECT_URI));
    assert_eq!(made.unwrap_err(), Error::Config(ConfigError::PkceUnsupported));
    let fragment = AuthorizationRequest::new(REDIRECT_URI).response_mode(ResponseMode::Fragment);
    let made = AuthorizationCode::new(&public(), fragment);
    assert!(matches!(made, Err(Error::Config(ConfigError::Invalid { setting: "response_mode", .. }))));
    for name in ["code_verifier", "code_challenge", "code_challenge_method"] {
        assert!(Extras::new([(name, VERIFIER)]).is_err(), "{name} is the engine's own");
    }
}

#[test]
fn l_07_a_login_is_stored_and_finished_elsewhere_and_only_once() {
    let client = public();
    let begun = waiting(&client, "read");
    let mut pending = PendingFlows::default();
    pending.insert("session", &begun.machine, BEGIN).unwrap();
    let state = begun.parameter("state").unwrap();
    let callback =
        || CallbackParams::from_query(&format!("code=canary-code&state={state}&iss=https%3A%2F%2Fas.example")).unwrap();
    let bytes = pending.take("session", &callback(), BEGIN).unwrap().as_bytes().to_vec();
    drop(begun);
    // Another client, made of the same settings, as another process would.
    let flow = AuthorizationCode::restore(&public(), Snapshot::from_bytes(bytes)).unwrap();
    let mut run = Run::new(flow).answering([json(200, &tokens())]);
    run.give(Event::Callback(callback())).done();
    run.sent(&[TOKEN]);
    let again = pending.take("session", &callback(), BEGIN).unwrap_err();
    assert_eq!(again, Error::Callback(BadCallback::StateMismatch));
}

#[test]
fn l_11_a_denial_is_an_error_and_no_other_grant_is_tried() {
    let mut run = waiting(&confidential(), "read");
    let error = run.call_back("error=access_denied&error_description=no&state={state}&iss={iss}").failed();
    let Error::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.code, "access_denied");
    run.sent(&[]);
}

#[test]
fn l_12_a_state_that_is_wrong_or_missing_is_refused_before_the_code_is_looked_at() {
    for (query, why) in [
        ("code=canary-code&iss={iss}&state=another", BadCallback::StateMismatch),
        ("code=canary-code&iss={iss}", BadCallback::StateMissing),
        ("iss={iss}&state=another", BadCallback::StateMismatch),
        ("iss={iss}", BadCallback::StateMissing),
        ("iss={iss}&state={state}", BadCallback::CodeMissing),
    ] {
        let mut run = waiting(&public(), "read");
        run.call_back(query).waits_for(EffectKind::Redirect);
        assert_eq!(run.refused(), Some(why), "{query}");
        run.sent(&[]);
    }
    let mut run = waiting(&public(), "read");
    let error = run.call_back("code=&iss={iss}&state={state}").failed();
    assert_eq!(error, Error::Callback(BadCallback::CodeMalformed), "an empty code is none");
    run.sent(&[]);
    let callback = CallbackParams::from_query("code=c&state=a+b").unwrap();
    assert!(callback.state().unwrap().matches("a b"));
}

#[test]
fn l_72_what_nobody_guesses_can_be_drawn_by_anybody() {
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let drawn: Secret = unguessable(&mut SystemRandom).unwrap();
        let text = drawn.expose().clone();
        assert!((43..=128).contains(&text.len()), "fit to be a verifier (RFC 7636 §4.1)");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert!(seen.insert(text), "drawn twice");
    }
    assert_eq!(unguessable(&mut spelt()).unwrap().expose(), VERIFIER);
}
