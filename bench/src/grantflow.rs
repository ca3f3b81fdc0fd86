//! grantflow, driven by hand as a driver would: its clients and keys made beforehand, like everybody's.

use grantflow_core::client::{Authentication, Client};
use grantflow_core::crypto::AwsLc;
use grantflow_core::error::Endpoint;
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Refresh};
use grantflow_core::http::{Body, UrlPolicy};
use grantflow_core::jose::{IdTokenRules, JwkSet, NonceRule, SignatureAlgorithm, verify};
use grantflow_core::machine::{Context, Effect, Event, Machine, Step};
use grantflow_core::memory::Memory;
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::answer::{self, Expectation};
use grantflow_core::{Random, RandomUnavailable, Secret, Timestamp};
use rand::RngCore;

use crate::inputs::{
    AUTHORIZATION_ENDPOINT, CLIENT_ID, CLIENT_SECRET, ISSUER, Inputs, NONCE, REDIRECT_URI, REFRESH_TOKEN, SCOPES,
    Signed, TOKEN_ENDPOINT,
};
use crate::{Case, Pending};

const WHO: &str = "grantflow";

/// A moment when the id_tokens are good.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_660);

/// The random numbers that everybody here has.
struct ThreadRandom;

impl Random for ThreadRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        rand::thread_rng().fill_bytes(out);
        Ok(())
    }
}

fn client(authentication: Authentication) -> Client {
    let server = ServerMetadata::by_hand(ISSUER, UrlPolicy::default())
        .and_then(|server| server.with_endpoint(Endpoint::Authorization, AUTHORIZATION_ENDPOINT))
        .and_then(|server| server.with_endpoint(Endpoint::Token, TOKEN_ENDPOINT))
        .expect("a server");
    Client::builder(server, CLIENT_ID).authentication(authentication).build().expect("a client")
}

/// Gives one event.
fn step<M: Machine>(machine: &mut M, event: Event, memory: &mut Memory) -> Step<M::Output> {
    let mut context = Context { now: NOW, random: &mut ThreadRandom, crypto: &AwsLc, memory, observer: None };
    machine.handle(event, &mut context).expect("a step")
}

/// Begins a login; the flow then waits for its callback.
fn begun(client: &Client, scope: &str, memory: &mut Memory) -> (AuthorizationCode, Effect) {
    let request = AuthorizationRequest::new(REDIRECT_URI).scope(scope);
    let mut flow = AuthorizationCode::new(client, request).expect("a flow");
    match step(&mut flow, Event::Start, memory) {
        Step::Do(effect) => (flow, effect),
        Step::Done(_) => panic!("nobody has come back yet"),
    }
}

fn response(body: &str) -> http::Response<Body> {
    let response = http::Response::builder().header(http::header::CONTENT_TYPE, "application/json");
    response.body(Body::new(body.as_bytes().to_vec())).expect("a response")
}

pub(crate) fn cases(inputs: &Inputs) -> Vec<Case> {
    let public = client(Authentication::None);
    let confidential = client(Authentication::SecretBasic(Secret::from(CLIENT_SECRET)));
    let scope = SCOPES.join(" ");
    let (mut memory, mut memory_too) = (Memory::new(), Memory::new());
    let plain = inputs.plain.clone();

    let mut cases = vec![
        Case::new("url", WHO, move || begun(&public, &scope, &mut memory)),
        parsing("answer", &inputs.answer),
        parsing("unknown", &inputs.unknown),
        Case::new("exchange", WHO, move || {
            let request = RefreshRequest::new(Secret::from(REFRESH_TOKEN));
            let mut flow = Refresh::new(&confidential, request).expect("a flow");
            let _ = std::hint::black_box(step(&mut flow, Event::Start, &mut memory_too));
            match step(&mut flow, Event::Response(response(&plain)), &mut memory_too) {
                Step::Done(tokens) => tokens,
                Step::Do(effect) => panic!("{effect:?}"),
            }
        }),
    ];
    cases.extend(inputs.signed.iter().map(verification));
    cases
}

fn parsing(row: &'static str, body: &str) -> Case {
    let response = response(body);
    Case::new(row, "grantflow (keeps them)", move || {
        answer::parse(&response, &Expectation::default(), NOW, Endpoint::Token).expect("an answer")
    })
}

fn verification(signed: &Signed) -> Case {
    let document = format!(r#"{{"keys":[{}]}}"#, signed.jwk);
    let keys = JwkSet::parse(document.as_bytes(), &AwsLc).expect("keys");
    let token = Secret::from(signed.token.as_str());
    let nonce = Secret::from(NONCE);
    let algorithms = [SignatureAlgorithm::parse(&signed.alg).expect("an algorithm")];
    Case::new(signed.row, WHO, move || {
        let mut rules = IdTokenRules::new(ISSUER, CLIENT_ID);
        rules.algorithms = &algorithms;
        rules.nonce = NonceRule::Equal(&nonce);
        verify(&token, &keys, &rules, NOW, &AwsLc, None).expect("a good token")
    })
}

pub(crate) fn pending() -> Vec<Pending> {
    let client = client(Authentication::None);
    let make = move || begun(&client, "openid email profile", &mut Memory::new()).0;
    vec![Pending::new(WHO, make, |flow| flow.snapshot().ok().map(|snapshot| snapshot.as_bytes().len()))]
}
