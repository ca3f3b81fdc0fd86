//! Proofs of possession at the token endpoint (catalogue DP).

use std::collections::BTreeSet;

use grantflow_core::Secret;
use grantflow_core::client::{Client, ProofKey};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Revocation, UserInfo};
use grantflow_core::error::{ConfigError, Error};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{EffectKind, Machine, READY};
use grantflow_core::token::TokenSet;
use serde_json::{Value, json};

use crate::scripted::*;
use crate::token_response::proof_key;

const TOKEN: &str = "POST https://as.example/token";

fn asking(client: &Client) -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(client, "", &Extras::default()).unwrap())
}

pub fn bound_client() -> Client {
    builder(json!({})).secret(Secret::from("canary-client-secret")).proof_key(proof_key()).build().unwrap()
}

fn bound() -> Answer {
    json(200, &tokens_with(json!({ "token_type": "DPoP" })))
}

fn demand(nonce: &str) -> Answer {
    answer(400, &[("content-type", "application/json"), ("dpop-nonce", nonce)], r#"{"error":"use_dpop_nonce"}"#)
}

#[test]
fn dp_01_a_nonce_is_answered_once() {
    let mut run = asking(&bound_client()).answering([demand("first"), bound()]);
    run.start().done();
    assert_eq!(run.requests[0].claims("dpop").get("nonce"), None);
    assert_eq!(run.requests[1].claims("dpop")["nonce"], json!("first"));
    run.sent(&[TOKEN, TOKEN]);

    let mut run = asking(&bound_client()).answering([demand("first"), demand("second")]);
    assert!(matches!(run.start().failed(), Error::Refused(refusal) if refusal.code == "use_dpop_nonce"));
    run.sent(&[TOKEN, TOKEN]);

    let mut run = asking(&bound_client()).answering([bound()]);
    run.start().done();
    run.sent(&[TOKEN]);
}

#[test]
fn dp_01_a_client_without_proofs_does_not_answer_a_demand() {
    let mut run = asking(&confidential()).answering([demand("first")]);
    assert!(matches!(run.start().failed(), Error::Refused(refusal) if refusal.code == "use_dpop_nonce"));
    assert_eq!(run.last().header("dpop"), None);
    run.sent(&[TOKEN]);
}

#[test]
fn dp_02_a_nonce_stays_with_its_origin() {
    let mut first = asking(&bound_client()).answering([demand("of-as"), bound()]);
    first.start().done();
    first.sent(&[TOKEN, TOKEN]);
    let elsewhere =
        discovered(&merged(metadata(), json!({ "token_endpoint": "https://tokens.example/token" }))).unwrap();
    let client = Client::builder(elsewhere, CLIENT_ID)
        .secret(Secret::from("canary-client-secret"))
        .proof_key(proof_key())
        .build()
        .unwrap();
    let mut second = asking(&client).answering([bound()]);
    second.memory = std::mem::take(&mut first.memory);
    second.start().done();
    assert_eq!(second.last().claims("dpop").get("nonce"), None, "another origin");
    second.sent(&["POST https://tokens.example/token"]);
    let mut third = asking(&bound_client()).answering([bound()]);
    third.memory = std::mem::take(&mut second.memory);
    third.start().done();
    assert_eq!(third.last().claims("dpop")["nonce"], json!("of-as"), "the same origin, another flow");
    third.sent(&[TOKEN]);
}

#[test]
fn dp_03_a_challenge_is_recognised_in_any_case() {
    let challenge = [("www-authenticate", r#"dPoP error="use_dpop_nonce""#), ("dpop-nonce", "fresh")];
    let mut run = asking(&bound_client()).answering([answer(401, &challenge, ""), bound()]);
    run.start().done();
    assert_eq!(run.last().claims("dpop")["nonce"], json!("fresh"));
    run.sent(&[TOKEN, TOKEN]);
}

#[test]
fn dp_03_no_other_challenge_and_none_without_a_nonce_is_answered_with_another_proof() {
    let nonce = ("dpop-nonce", "fresh");
    let challenge = |value| ("www-authenticate", value);
    for headers in [
        vec![challenge(r#"DPoP error="invalid_dpop_proof""#), nonce],
        vec![challenge(r#"Bearer error="use_dpop_nonce""#), nonce],
        vec![challenge(r#"DPoP error="use_dpop_nonce""#)],
        vec![nonce],
    ] {
        let mut run = asking(&bound_client()).answering([answer(401, &headers, "")]);
        run.start().failed();
        run.sent(&[TOKEN]);
    }
}

#[test]
fn dp_04_a_nonce_that_is_none_is_not_echoed() {
    let long = "n".repeat(64 * 1024);
    for nonce in [long.as_str(), "a b", "a\"b", "a\\b", ""] {
        let mut run = asking(&bound_client()).answering([demand(nonce)]);
        let stop = run.start();
        assert!(run.requests.iter().all(|view| view.claims("dpop").get("nonce").is_none()), "{nonce:.20}");
        drop(stop);
        let sent: Vec<_> = run.requests.iter().map(|_| TOKEN).collect();
        assert!(sent.len() <= 2);
        run.sent(&sent);
    }
    let two = [("content-type", "application/json"), ("dpop-nonce", "one"), ("dpop-nonce", "two")];
    let mut run = asking(&bound_client()).answering([answer(400, &two, r#"{"error":"use_dpop_nonce"}"#)]);
    let _ = run.start();
    assert!(run.requests.iter().all(|view| view.claims("dpop").get("nonce").is_none()));
    let sent: Vec<_> = run.requests.iter().map(|_| TOKEN).collect();
    run.sent(&sent);
}

#[test]
fn dp_05_every_request_has_a_proof_of_its_own() {
    let throttled = || answer(429, &[("retry-after", "3")], "");
    let mut run = asking(&bound_client()).answering([throttled(), demand("nonce"), bound()]);
    run.start().done();
    let proofs: Vec<_> = run.requests.iter().map(|view| view.claims("dpop")).collect();
    let unique: BTreeSet<_> = proofs.iter().map(|claims| claims["jti"].as_str().unwrap()).collect();
    assert_eq!(unique.len(), 3);
    assert!(proofs[1]["iat"].as_u64() > proofs[0]["iat"].as_u64());
    run.sent(&[TOKEN, TOKEN, TOKEN]);
}

#[test]
fn dp_06_a_proof_names_the_method_and_the_bare_url() {
    let document = merged(metadata(), json!({ "token_endpoint": "HTTPS://AS.Example:443/token?tenant=1" }));
    let client = Client::builder(discovered(&document).unwrap(), CLIENT_ID)
        .secret(Secret::from("canary-client-secret"))
        .proof_key(proof_key())
        .build()
        .unwrap();
    let mut run = asking(&client).answering([bound()]);
    run.start().done();
    let claims = run.last().claims("dpop");
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!("https://as.example/token")));
    assert_eq!(claims.get("ath"), None, "there is no access token yet");
    let header = run.last().header("dpop").unwrap().split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(
        &base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap(),
    )
    .unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    run.sent(&["POST https://as.example/token?tenant=1"]);
}

#[test]
fn dp_08_a_private_key_is_not_taken_for_a_public_one() {
    let jwk = Signer::shared().ec_jwk("proof");
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let private = merged(jwk.clone(), json!({ member: "canary-extra" }));
        let made = ProofKey::new("proof", SignatureAlgorithm::Es256, &private.to_string());
        assert!(matches!(made, Err(Error::Config(ConfigError::Invalid { setting: "proof key", .. }))), "{member}");
    }
    for (algorithm, text) in [
        (SignatureAlgorithm::Rs256, jwk.to_string()),
        (SignatureAlgorithm::Es256, "[]".to_owned()),
        (SignatureAlgorithm::Es256, "{}".to_owned()),
    ] {
        assert!(ProofKey::new("proof", algorithm, &text).is_err());
    }
}

#[test]
fn dp_05_an_assertion_and_a_proof_are_both_made_anew() {
    use grantflow_core::client::Authentication;
    let authentication =
        Authentication::SignedAssertion { key_id: "key".to_owned(), algorithm: SignatureAlgorithm::Es256 };
    let client = builder(json!({})).authentication(authentication).proof_key(proof_key()).build().unwrap();
    let mut run = asking(&client);
    assert_eq!(Machine::state(&run.machine), READY);
    run.answer([demand("nonce"), bound()]).start().done();
    for name in ["client_assertion", "dpop"] {
        assert_ne!(run.requests[0].claims(name)["jti"], run.requests[1].claims(name)["jti"], "{name}");
    }
    run.sent(&[TOKEN, TOKEN]);
}

#[test]
fn dp_05_only_token_requests_carry_a_proof() {
    let token = Secret::from("canary-access");
    let client = bound_client();
    let mut run = Run::new(Introspection::new(&client, &token, TokenKind::Access).unwrap());
    run.start().waits_for(EffectKind::Send);
    assert_eq!(run.last().header("dpop"), None, "introspection binds nothing");
    run.sent(&["POST https://as.example/introspect"]);
    let mut run = Run::new(Revocation::new(&client, &token, TokenKind::Access).unwrap());
    run.start().waits_for(EffectKind::Send);
    assert_eq!(run.last().header("dpop"), None, "revocation binds nothing");
    run.sent(&["POST https://as.example/revoke"]);
}

#[test]
fn dp_07_a_question_to_userinfo_with_a_bound_token_carries_a_proof_of_it() {
    let tokens = |kind: &str| {
        let record = json!({ "access_token": "canary-access", "token_type": kind }).to_string();
        TokenSet::from_record(record.as_bytes(), BEGIN).unwrap()
    };
    const USERINFO: &str = "GET https://as.example/userinfo";
    let demand = [("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "fresh")];
    let profile = || json(200, &json!({ "sub": "alice" }));
    let mut run = Run::new(UserInfo::of(&bound_client(), &tokens("DPoP"), "alice").unwrap())
        .answering([answer(401, &demand, ""), profile()]);
    run.start().done();
    let claims = run.last().claims("dpop");
    assert_eq!((&claims["htm"], &claims["nonce"]), (&json!("GET"), &json!("fresh")));
    assert_eq!(claims["ath"], json!("7fDAJF_3B9KcqLRbkOdgCmjuQO4Bt3Gmg2ckGP_9_2A"));
    assert_eq!(run.last().header("authorization"), Some("DPoP canary-access"));
    run.sent(&[USERINFO, USERINFO]);

    let mut run = Run::new(UserInfo::of(&bound_client(), &tokens("Bearer"), "alice").unwrap()).answering([profile()]);
    run.start().done();
    assert_eq!(run.last().header("authorization"), Some("Bearer canary-access"));
    assert_eq!(run.last().header("dpop"), None);
    run.sent(&[USERINFO]);

    let error = UserInfo::of(&confidential(), &tokens("DPoP"), "alice").map(|_| ()).unwrap_err();
    assert_eq!(error, ConfigError::Missing("proof key").into());
}
