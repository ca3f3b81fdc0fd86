//! Client authentication, exactly (L-32 to L-39, X-04).

use std::sync::Arc;

use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantflow_core::Secret;
use grantflow_core::client::{Authentication, AuthenticationMethod, Client, Credentials};
use grantflow_core::error::{ConfigError, Error};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{Effect, Event, SignRequest, Step};
use grantflow_core::testing::CountingRandom;
use serde_json::{Value, json};

use super::{Exact, exact};
use crate::scripted::*;

/// Adds a header and nothing else.
#[derive(Debug)]
struct Adding;

impl AuthenticationMethod for Adding {
    fn name(&self) -> &str {
        "adding"
    }

    fn apply(&self, request: &mut Credentials) -> Result<(), Error> {
        request.headers.insert("x-extra", http::HeaderValue::from_static("1"));
        Ok(())
    }
}

/// A client whose method adds the header `x-extra`.
pub fn adding_a_header() -> Client {
    builder(json!({})).authentication(Authentication::Custom(Arc::new(Adding))).build().unwrap()
}

/// The token request of a client with this id.
fn sent(id: &str, authentication: Authentication) -> Exact {
    let server = discovered(&metadata()).unwrap();
    let client = Client::builder(server, id).authentication(authentication).build().unwrap();
    exact(&mut asking(&client), Event::Start)
}

fn asking(client: &Client) -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(client, "", &Extras::default()).unwrap())
}

#[test]
fn l_32_basic_is_form_encoded_and_raw_only_by_name() {
    let encoded = sent("id", Authentication::SecretBasic(Secret::from("s:ec ret&")));
    let value = format!("Basic {}", STANDARD.encode("id:s%3Aec+ret%26"));
    assert_eq!(encoded.header("authorization"), Some(value.as_str()));
    let raw = sent("id", Authentication::from_name("client_secret_basic_raw", Some("s:ec ret&".into())).unwrap());
    assert_eq!(raw.header("authorization"), Some("Basic aWQ6czplYyByZXQm"));
    for request in [encoded, raw] {
        assert_eq!(request.body, "grant_type=client_credentials");
    }
    // UTF-8, before it is encoded.
    let other = sent("id", Authentication::SecretBasic(Secret::from("\u{444}")));
    let value = format!("Basic {}", STANDARD.encode("id:%D1%84"));
    assert_eq!(other.header("authorization"), Some(value.as_str()));
}

#[test]
fn l_33_a_secret_in_the_body_is_percent_encoded_utf_8() {
    let request = sent("id", Authentication::SecretPost(Secret::from("s:\u{e9}c ret&")));
    assert_eq!(request.body, "grant_type=client_credentials&client_id=id&client_secret=s%3A%C3%A9c+ret%26");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.target, "POST https://as.example/token");
}

#[test]
fn l_34_a_client_without_a_secret_names_itself_in_the_body() {
    let mut run = Run::new(
        grantflow_core::grant::Refresh::new(
            &public(),
            grantflow_core::grant::refresh::RefreshRequest::new(Secret::from("r")),
        )
        .unwrap(),
    );
    let request = exact(&mut run, Event::Start);
    assert_eq!(request.body, "grant_type=refresh_token&refresh_token=r&client_id=client");
    assert_eq!(request.target, "POST https://as.example/token");
    assert_eq!(request.header("authorization"), None);
}

/// Puts everything into the query, as a server may want that knows no better.
#[derive(Debug)]
struct SecretUri(Secret);

impl AuthenticationMethod for SecretUri {
    fn name(&self) -> &str {
        "client_secret_uri"
    }

    fn apply(&self, request: &mut Credentials) -> Result<(), Error> {
        let mut query = request.url.query_pairs_mut();
        query.append_pair("client_id", &request.client_id);
        query.append_pair("client_secret", self.0.expose());
        for (name, value) in request.form.iter() {
            query.append_pair(name, value.expose());
        }
        drop(query);
        request.form = grantflow_core::http::form::Form::new();
        Ok(())
    }
}

#[test]
fn l_35_a_method_of_ones_own_may_rewrite_url_headers_and_body() {
    let request = sent("id", Authentication::Custom(Arc::new(SecretUri(Secret::from("sec")))));
    assert_eq!(
        request.target,
        "POST https://as.example/token?client_id=id&client_secret=sec&grant_type=client_credentials"
    );
    assert_eq!(request.body, "");
    assert_eq!(adding_a_header().authentication_method(), "adding");
    let unknown = Authentication::from_name("client_secret_uri", Some(Secret::from("sec"))).unwrap_err();
    assert_eq!(unknown, Error::Config(ConfigError::AuthenticationUnknown("client_secret_uri".to_owned())));
}

#[test]
fn x_04_a_secret_goes_into_the_header_unless_another_place_is_named() {
    let secret = || Secret::from("sec");
    let basic = format!("Basic {}", STANDARD.encode("id:sec"));
    for (authentication, header, body) in [
        (Authentication::Secret(secret()), Some(basic.as_str()), "grant_type=client_credentials"),
        (Authentication::SecretBasic(secret()), Some(basic.as_str()), "grant_type=client_credentials"),
        (Authentication::SecretBasicRaw(secret()), Some(basic.as_str()), "grant_type=client_credentials"),
        (Authentication::SecretPost(secret()), None, "grant_type=client_credentials&client_id=id&client_secret=sec"),
    ] {
        let request = sent("id", authentication);
        assert_eq!(request.header("authorization"), header);
        assert_eq!(request.body, body);
        assert_eq!(request.target, "POST https://as.example/token", "never in the query");
    }
}

/// The assertion that is sent, and what was signed of it.
fn assertion(algorithm: SignatureAlgorithm, sign: impl Fn(&SignRequest) -> Vec<u8>, seed: u8) -> String {
    let authentication = Authentication::SignedAssertion { key_id: "key-1".to_owned(), algorithm };
    let client = builder(json!({})).authentication(authentication).build().unwrap();
    let mut run = asking(&client);
    run.random = Box::new(CountingRandom::from(seed));
    let step = run.handle(Event::Start).unwrap();
    let Step::Do(Effect::Sign(request)) = step else { panic!("nothing to sign: {step:?}") };
    assert_eq!((request.key_id.as_str(), request.algorithm), ("key-1", algorithm));
    let signature = sign(&request);
    let request = exact(&mut run, Event::Signed(Secret::new(signature)));
    assert_eq!(request.header("authorization"), None);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let names: Vec<_> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "client_id", "client_assertion_type", "client_assertion"]);
    assert_eq!(form[2].1, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form[3].1.clone()
}

#[test]
fn l_38_assertions_of_four_algorithms_are_verified_with_the_public_key() {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let ec = signature::EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let rsa_sign = |padding: &'static dyn signature::RsaEncoding, message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(padding, &random, message, &mut signature).unwrap();
        signature
    };
    let sign = |request: &SignRequest| {
        let message = request.message.expose();
        match request.algorithm {
            SignatureAlgorithm::Rs256 => rsa_sign(&signature::RSA_PKCS1_SHA256, message),
            SignatureAlgorithm::Ps256 => rsa_sign(&signature::RSA_PSS_SHA256, message),
            SignatureAlgorithm::Es256 => ec.sign(&random, message).unwrap().as_ref().to_vec(),
            SignatureAlgorithm::EdDsa => ed.sign(message).as_ref().to_vec(),
            other => panic!("no key for {other}"),
        }
    };
    let public: [(SignatureAlgorithm, &'static dyn signature::VerificationAlgorithm, &[u8]); 4] = [
        (SignatureAlgorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref()),
        (SignatureAlgorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256, rsa.public_key().as_ref()),
        (SignatureAlgorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, ec.public_key().as_ref()),
        (SignatureAlgorithm::EdDsa, &signature::ED25519, ed.public_key().as_ref()),
    ];
    for (algorithm, verification, key) in public {
        let jwt = assertion(algorithm, sign, 0);
        let (input, signature) = jwt.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(verification, key).verify(input.as_bytes(), &signature).unwrap();
        let header = URL_SAFE_NO_PAD.decode(input.split_once('.').unwrap().0).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, json!({ "alg": algorithm.name(), "kid": "key-1", "typ": "JWT" }));
        let claims = claims(&jwt);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
        assert_eq!(claims["aud"], json!(ISSUER));
        let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert_eq!(iat, BEGIN.as_secs());
        assert!(exp - iat <= 300, "short-lived");
    }
}

#[test]
fn l_39_no_two_assertions_have_the_same_jti() {
    let sign = |request: &SignRequest| Signer::shared().sign(request.algorithm, request.message.expose());
    let first = claims(&assertion(SignatureAlgorithm::Es256, sign, 0));
    let second = claims(&assertion(SignatureAlgorithm::Es256, sign, 100));
    assert_ne!(first["jti"], second["jti"]);
    for name in ["iss", "sub", "aud"] {
        assert_eq!(first[name], second[name]);
    }
    // Within one flow too: what is asked again has an assertion of its own.
    let client = builder(json!({}))
        .authentication(Authentication::SignedAssertion {
            key_id: "key".to_owned(),
            algorithm: SignatureAlgorithm::Es256,
        })
        .build()
        .unwrap();
    let mut run = asking(&client).answering([answer(503, &[("retry-after", "2")], ""), json(200, &tokens())]);
    run.start().done();
    let ids: Vec<_> = run.requests.iter().map(|view| view.claims("client_assertion")["jti"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    run.all_sent();
}
