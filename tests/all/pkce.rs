//! What binds an answer to the flow that asked: verifier, state, nonce (catalogue PK).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantflow_core::callback::CallbackParams;
use grantflow_core::crypto::{AwsLc, Crypto, HashAlgorithm};
use grantflow_core::error::{BadCallback, ConfigError, Error, ProviderError, SecurityError};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Extras, PendingFlows};
use grantflow_core::machine::{EffectKind, Machine};
use grantflow_core::testing::CountingRandom;
use grantflow_core::{Random, RandomUnavailable};
use serde_json::{Value, json};

use crate::authorization_response::waiting;
use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

#[test]
fn pk_01_pk_04_the_verifier_is_drawn_and_always_sent_and_fits_the_challenge() {
    let mut run = waiting(&public(), "");
    let challenge = run.parameter("code_challenge").unwrap();
    assert_eq!(run.parameter("code_challenge_method").as_deref(), Some("S256"));
    run.come_back().waits_for(EffectKind::Send);
    let verifier = run.last().field("code_verifier").unwrap().to_owned();
    assert_eq!(verifier.len(), 43);
    assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "RFC 7636 §4.1");
    let digest = AwsLc.hash(HashAlgorithm::Sha256, verifier.as_bytes());
    assert_eq!(challenge, URL_SAFE_NO_PAD.encode(digest.as_bytes()));
    run.sent(&[TOKEN]);
}

#[test]
fn pk_02_a_server_without_s256_is_refused_and_never_gets_plain() {
    for methods in [json!(["plain"]), json!([]), json!(["s256"]), json!(["plain", "S512"])] {
        let client = builder(json!({ "code_challenge_methods_supported": methods })).build().unwrap();
        let made = AuthorizationCode::new(&client, AuthorizationRequest::new(REDIRECT_URI));
        assert_eq!(made.unwrap_err(), Error::Config(ConfigError::PkceUnsupported), "{methods}");
    }
}

#[test]
fn pk_03_a_server_that_says_nothing_gets_s256() {
    for members in [json!({}), json!({ "code_challenge_methods_supported": ["plain", "S256"] })] {
        let mut run = waiting(&builder(members).build().unwrap(), "");
        assert_eq!(run.parameter("code_challenge_method").as_deref(), Some("S256"));
        run.sent(&[]);
    }
}

struct Empty;

impl Random for Empty {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
        Err(RandomUnavailable)
    }
}

#[test]
fn pk_05_without_randomness_nothing_begins() {
    let mut run =
        Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI).scope("openid")).unwrap());
    run.random = Box::new(Empty);
    assert_eq!(run.start().failed(), Error::Provider(ProviderError::Random));
    assert!(run.redirect.is_none());
    run.sent(&[]);
}

/// A generator with a long period, so that what is drawn twice was not drawn by chance.
struct Xorshift(u64);

impl Random for Xorshift {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = (self.0 >> 32) as u8;
        }
        Ok(())
    }
}

/// 1,000 flows, 3,000 values, 126,000 symbols that carry six bits each.
#[test]
fn pk_06_states_nonces_and_verifiers_are_distinct_uniform_and_256_bits_long() {
    let client = public();
    let mut random = Xorshift(0x9E37_79B9_7F4A_7C15);
    let mut values = BTreeSet::new();
    let mut counts = [0_u32; 128];
    for _ in 0..1_000 {
        let flow = AuthorizationCode::new(&client, AuthorizationRequest::new(REDIRECT_URI).scope("openid")).unwrap();
        let mut run = Run::new(flow);
        run.random = Box::new(Xorshift({
            let mut seed = [0; 8];
            random.fill(&mut seed).unwrap();
            u64::from_le_bytes(seed) | 1
        }));
        run.start().waits_for(EffectKind::Redirect);
        run.come_back().waits_for(EffectKind::Send);
        let verifier = run.last().field("code_verifier").unwrap().to_owned();
        for value in [run.parameter("state").unwrap(), run.parameter("nonce").unwrap(), verifier] {
            assert_eq!(URL_SAFE_NO_PAD.decode(&value).unwrap().len(), 32);
            value[..42].bytes().for_each(|byte| counts[usize::from(byte)] += 1);
            assert!(values.insert(value), "a value was drawn twice");
        }
        run.sent(&[TOKEN]);
    }
    let used: Vec<_> = counts.iter().filter(|count| **count > 0).collect();
    assert_eq!(used.len(), 64);
    // The mean is 1,969 and the standard deviation 44: six of them are never reached by fair dice.
    assert!(used.iter().all(|count| (1_705..2_233).contains(*count)), "{used:?}");
}

#[test]
fn pk_07_nobody_brings_a_state_or_verifier_of_his_own() {
    for name in ["state", "nonce", "code_challenge", "code_challenge_method", "code_verifier"] {
        let extras = Extras::new([(name, "abc")]);
        assert_eq!(extras.unwrap_err(), Error::Config(ConfigError::ReservedParameter(name.to_owned())));
    }
}

#[test]
fn pk_08_each_flow_has_its_own_verifier_and_nonce_and_knows_no_other_state() {
    let mut first = waiting(&public(), "openid");
    let mut second =
        Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI).scope("openid")).unwrap());
    second.random = Box::new(CountingRandom::from(100));
    second.start().waits_for(EffectKind::Redirect);
    let crossed = format!("code=canary-code&iss={{iss}}&state={}", second.parameter("state").unwrap());
    first.call_back(&crossed).waits_for(EffectKind::Redirect);
    assert_eq!(first.refused(), Some(BadCallback::StateMismatch));
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(first.parameter(name), second.parameter(name), "{name}");
    }
    first.come_back().waits_for(EffectKind::Send);
    second.come_back().waits_for(EffectKind::Send);
    assert_ne!(first.last().field("code_verifier"), second.last().field("code_verifier"));
    first.sent(&[TOKEN]);
    second.sent(&[TOKEN]);
}

/// Finishes a login with an id_token whose claims are changed so.
fn with_claims(scope: &str, members: Value) -> (Run<AuthorizationCode>, Result<(), Error>) {
    let mut run = waiting(&public(), scope);
    let id_token = Signer::shared().id_token(&merged(run.id_claims(), members));
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
    let result = match run.come_back() {
        Stop::Done(_) => Ok(()),
        Stop::Failed(error) => Err(error),
        Stop::Waiting(kind) => panic!("waits for {kind}"),
    };
    run.sent(&[TOKEN, "GET https://as.example/jwks"]);
    (run, result)
}

#[test]
fn pk_09_a_nonce_that_is_not_the_one_sent_is_refused() {
    assert_eq!(with_claims("openid", json!({})).1, Ok(()));
    let missing = with_claims("openid", json!({ "nonce": null })).1;
    assert_eq!(missing, Err(Error::Security(SecurityError::ClaimMissing("nonce"))));
    for wrong in [json!("another"), json!(1), json!(""), json!(["a"])] {
        let error = with_claims("openid", json!({ "nonce": wrong })).1.unwrap_err();
        assert!(
            matches!(error, Error::Security(SecurityError::Claim { claim: "nonce", expected: None, found: None })),
            "{error:?}"
        );
    }
    // Nothing was sent, so nothing may come back.
    let error = with_claims("profile", json!({ "nonce": "uncalled-for" })).1.unwrap_err();
    assert!(matches!(error, Error::Security(SecurityError::Claim { claim: "nonce", .. })), "{error:?}");
}

#[test]
fn pk_10_ds_09_flows_that_nobody_finishes_are_forgotten() {
    let run = waiting(&public(), "");
    let mut pending = PendingFlows::default();
    for _ in 0..10_050 {
        pending.insert("session", &run.machine, BEGIN).unwrap();
    }
    assert_eq!(pending.len(), 10_000);
    let later = run.redirect.as_ref().unwrap().expires_at;
    let mut fresh = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    fresh.now = later;
    fresh.start().waits_for(EffectKind::Redirect);
    pending.insert("session", &fresh.machine, later).unwrap();
    assert_eq!(pending.len(), 1, "what has expired is gone");
}

#[test]
fn pk_11_a_stored_flow_is_taken_once_and_shows_nothing() {
    let run = waiting(&public(), "openid");
    let state = run.parameter("state").unwrap();
    let mut pending = PendingFlows::default();
    pending.insert("canary-session", &run.machine, BEGIN).unwrap();
    let shown = format!("{pending:?} {:?}", run.machine.snapshot().unwrap());
    let snapshot = run.machine.snapshot().unwrap();
    let stored: Value = serde_json::from_slice(snapshot.as_bytes()).unwrap();
    for secret in [
        state.as_str(),
        stored["state"]["verifier"].as_str().unwrap(),
        stored["state"]["nonce"].as_str().unwrap(),
        "canary-session",
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let callback = CallbackParams::from_query(&format!("code=canary-code&state={state}")).unwrap();
    pending.take("canary-session", &callback, BEGIN).unwrap();
    assert!(pending.is_empty());
    assert!(pending.take("canary-session", &callback, BEGIN).is_err());
}

/// The attacker's code was issued for another session, so the id_token carries another nonce; the verifier that the
/// server compares is the victim's.
#[test]
fn pk_12_an_injected_code_fails_by_its_nonce() {
    let (run, result) = with_claims("openid", json!({ "nonce": "the-nonce-of-the-attackers-session" }));
    assert!(matches!(result, Err(Error::Security(SecurityError::Claim { claim: "nonce", .. }))));
    assert!(run.requests[0].field("code_verifier").is_some());
    assert_eq!(Machine::state(&run.machine), grantflow_core::machine::FAILED);
}
