//! id_tokens, keys, metadata, places of resources and names of clients (L-60 to L-63, L-69, L-70, L-73).

use grantflow_core::client::{Client, Registry};
use grantflow_core::crypto::{AwsLc, Crypto};
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::{ConfigError, Error, KeyFlaw, SecurityError};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::EffectKind;
use grantflow_core::resource::Audience;
use grantflow_core::token::TokenSet;
use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";
const JWKS: &str = "GET https://as.example/jwks";
const OIDC: &str = "GET https://as.example/.well-known/openid-configuration";

/// A login of a client, whose id_token is made of good claims.
fn login(client: &Client, id_token: impl FnOnce(Value) -> String) -> (Result<TokenSet, Error>, Vec<String>) {
    let request = AuthorizationRequest::new(REDIRECT_URI).scope("openid").max_age(300);
    let mut run = Run::new(AuthorizationCode::new(client, request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    let claims = merged(run.id_claims(), json!({ "auth_time": run.now.as_secs() }));
    let id_token = id_token(claims);
    let keys = || json(200, &Signer::shared().jwks());
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), keys(), keys(), keys()]);
    let outcome = result(run.come_back());
    let sent = run.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
    run.all_sent();
    (outcome, sent)
}

fn with_claims(members: Value) -> Result<TokenSet, Error> {
    login(&public(), |claims| Signer::shared().id_token(&merged(claims, members))).0
}

fn at_hash(algorithm: SignatureAlgorithm, access_token: &str) -> String {
    let digest = AwsLc.hash(algorithm.hash(), access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..digest.as_bytes().len() / 2])
}

#[test]
fn l_60_every_rule_of_an_id_token_has_an_error_of_its_own() {
    let right = at_hash(SignatureAlgorithm::Es256, "canary-access");
    for good in [json!({}), json!({ "azp": CLIENT_ID }), json!({ "amr": ["pwd", "otp"] }), json!({ "at_hash": right })]
    {
        let tokens = with_claims(good.clone()).unwrap();
        assert_eq!(tokens.identity().unwrap().subject(), "alice", "{good}");
        assert!(tokens.id_token().is_some(), "the raw one is kept");
    }
    let amr = with_claims(json!({ "amr": ["pwd", "otp"] })).unwrap();
    assert_eq!(amr.identity().unwrap().amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    for name in ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time"] {
        let error = with_claims(json!({ name: null })).unwrap_err();
        assert_eq!(error, Error::Security(SecurityError::ClaimMissing(name)), "{name}");
    }
    let now = BEGIN.as_secs();
    for (members, name) in [
        (json!({ "sub": "" }), "sub"),
        (json!({ "aud": "another" }), "aud"),
        (json!({ "aud": [CLIENT_ID, "another"], "azp": CLIENT_ID }), "aud"),
        (json!({ "azp": "another" }), "azp"),
        (json!({ "nonce": "another" }), "nonce"),
        (json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), "at_hash"),
    ] {
        let Error::Security(SecurityError::Claim { claim, .. }) = with_claims(members.clone()).unwrap_err() else {
            panic!("{members}")
        };
        assert_eq!(claim, name, "{members}");
    }
    let error = with_claims(json!({ "iss": "https://evil.example" })).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Security(SecurityError::IssuerMismatch { .. } | SecurityError::Claim { claim: "iss", .. })
        ),
        "{error:?}"
    );
    for (members, name) in [
        (json!({ "exp": now - 3600 }), "exp"),
        (json!({ "iat": now + 3600, "exp": now + 7200 }), "iat"),
        (json!({ "nbf": now + 3600 }), "nbf"),
        (json!({ "auth_time": now - 3600 }), "auth_time"),
    ] {
        let Error::Security(SecurityError::Time { claim, .. }) = with_claims(members.clone()).unwrap_err() else {
            panic!("{members}")
        };
        assert_eq!(claim, name, "{members}");
    }
    // Several audiences, of which the other is trusted: the client must be the authorized party.
    let trusting = builder(json!({})).trust_audience("another").build().unwrap();
    let several = |azp: Value| {
        login(&trusting, |claims| {
            let members = json!({ "aud": [CLIENT_ID, "another"], "azp": azp });
            Signer::shared().id_token(&merged(claims, members))
        })
        .0
    };
    several(json!(CLIENT_ID)).unwrap();
    let error = several(json!(null)).unwrap_err();
    assert!(matches!(error, Error::Security(SecurityError::Claim { claim: "aud", .. })), "{error:?}");
}

/// Who signed with RS256, ES384 or EdDSA hashed with SHA-256, SHA-384 and SHA-512. Values computed apart from this code.
#[test]
fn l_61_half_a_hash_is_that_of_the_algorithm() {
    const ACCESS_TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    for (algorithm, half) in [
        (SignatureAlgorithm::Rs256, "77QmUPtjPfzWtF2AnpK9RQ"),
        (SignatureAlgorithm::Es384, "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs"),
        (SignatureAlgorithm::EdDsa, "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"),
    ] {
        assert_eq!(at_hash(algorithm, ACCESS_TOKEN), half, "{algorithm}");
    }
    // The flow holds an id_token to the half of its own algorithm's hash.
    let client = builder(json!({}))
        .id_token_algorithms(&[SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256])
        .build()
        .unwrap();
    for (kid, algorithm) in [("rsa", SignatureAlgorithm::Rs256), ("ec", SignatureAlgorithm::Es256)] {
        let with = |half: String| {
            login(&client, |claims| {
                let header = json!({ "alg": algorithm.name(), "kid": kid });
                Signer::shared().jwt(&header, &merged(claims, json!({ "at_hash": half })))
            })
            .0
        };
        with(at_hash(algorithm, "canary-access")).unwrap();
        for wrong in [at_hash(SignatureAlgorithm::EdDsa, "canary-access"), at_hash(algorithm, "another")] {
            assert!(matches!(with(wrong).unwrap_err(), Error::Security(SecurityError::Claim { claim: "at_hash", .. })));
        }
    }
}

#[test]
fn l_63_keys_are_fetched_once_more_at_most_and_no_algorithm_is_never_one() {
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let (outcome, sent) = login(&public(), |claims| Signer::shared().jwt(&header("ES256", "unknown"), &claims));
    assert_eq!(outcome.unwrap_err(), Error::Security(SecurityError::Key(KeyFlaw::NotFound)));
    assert_eq!(sent, [TOKEN, JWKS]);
    for alg in ["none", "None", "HS256"] {
        let all = builder(json!({})).id_token_algorithms(&SignatureAlgorithm::ALL).build().unwrap();
        let (outcome, _) = login(&all, |claims| Signer::shared().jwt(&header(alg, "ec"), &claims));
        let Error::Security(SecurityError::Algorithm(name)) = outcome.unwrap_err() else { panic!("{alg}") };
        assert_eq!(name, alg);
    }
    // Who says nothing takes RS256 alone, whatever the metadata advertises.
    let advertised = json!({ "id_token_signing_alg_values_supported": ["none", "ES256", "RS256"] });
    for members in [json!({}), advertised] {
        let server = discovered(&merged(metadata(), members)).unwrap();
        let client = Client::builder(server, CLIENT_ID).build().unwrap();
        let (outcome, _) = login(&client, |claims| Signer::shared().id_token(&claims));
        assert_eq!(outcome.unwrap_err(), Error::Security(SecurityError::Algorithm("ES256".to_owned())));
        let (outcome, _) = login(&client, |claims| Signer::shared().jwt(&header("RS256", "rsa"), &claims));
        outcome.unwrap();
    }
}

#[test]
fn l_69_metadata_is_fetched_once_and_its_issuer_is_the_one_that_was_asked() {
    let mut run = Run::new(Discovery::new(ISSUER).unwrap()).answering([json(200, &metadata())]);
    let server = std::sync::Arc::new(run.start().done());
    run.sent(&[OIDC]);
    // However many clients and logins there are, nobody asks again.
    for _ in 0..2 {
        let client = Client::builder(server.clone(), CLIENT_ID).build().unwrap();
        let mut login = crate::authorization_response::waiting(&client, "");
        login.answer([json(200, &tokens())]);
        login.come_back().done();
        login.sent(&[TOKEN]);
    }
    let other = merged(metadata(), json!({ "issuer": "https://evil.example" }));
    let mut run = Run::new(Discovery::new(ISSUER).unwrap()).answering([json(200, &other)]);
    let error = run.start().failed();
    assert!(matches!(error, Error::Security(SecurityError::IssuerMismatch { .. })), "{error:?}");
    run.sent(&[OIDC]);
}

#[test]
fn l_70_a_relative_path_stays_at_its_base() {
    let audience = Audience::only("https://example.com/api/").unwrap();
    for path in ["lights", "/lights"] {
        assert_eq!(audience.join(path).unwrap().as_str(), "https://example.com/api/lights", "{path}");
    }
    assert_eq!(audience.join("lights?on=true").unwrap().as_str(), "https://example.com/api/lights?on=true");
    for elsewhere in ["https://evil.example/lights", "//evil.example/lights", "../lights"] {
        let error = audience.join(elsewhere).unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Audience(_))), "{elsewhere}: {error:?}");
    }
}

#[test]
fn l_73_clients_have_names_and_none_is_replaced_by_accident() {
    let client = |id: &str| Client::builder(discovered(&metadata()).unwrap(), id).build().unwrap();
    let mut registry = Registry::new();
    assert_eq!(registry.only().unwrap_err(), Error::Config(ConfigError::Missing("provider")));
    registry.insert("one", client("1")).unwrap();
    assert_eq!(registry.choose(None).unwrap().0, "one");
    let error = registry.insert("one", client("2")).unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::Invalid { setting: "provider name", .. })));
    assert_eq!(registry.get("one").unwrap().client_id(), "1");
    assert_eq!(registry.replace("one", client("2")).unwrap().client_id(), "1");
    assert_eq!(registry.get("one").unwrap().client_id(), "2");
    registry.insert("two", client("3")).unwrap();
    assert_eq!(registry.choose(None).unwrap_err(), Error::Config(ConfigError::ProviderAmbiguous));
    assert_eq!(registry.choose(Some("two")).unwrap().1.client_id(), "3");
    let unknown = Error::Config(ConfigError::ProviderUnknown("three".to_owned()));
    assert_eq!(registry.get("three").unwrap_err(), unknown);
    assert_eq!(registry.replace("three", client("4")).unwrap_err(), unknown);
}
