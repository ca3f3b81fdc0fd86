use std::sync::Arc;

use http::Response;
use http::header::{ACCEPT, RETRY_AFTER};

use super::*;
use crate::client::{Authentication, AuthenticationMethod, Credentials, Hook};
use crate::http::Sent;
use crate::jose::SignatureAlgorithm;
use crate::machine::Outgoing;
use crate::memory::Memory;
use crate::testing::specimens::{proof_key, public, server};
use crate::testing::{CountingRandom, MarkerCrypto};

const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// An exchange, and how often it has asked for a signature.
struct Run {
    exchange: Exchange,
    random: CountingRandom,
    memory: Memory,
    signatures: usize,
}

impl Run {
    /// Goes on until something else than a signature is wanted.
    fn give(&mut self, mut event: Event, now: Timestamp) -> Result<Step<Response<Body>>, Error> {
        loop {
            let (random, memory) = (&mut self.random, &mut self.memory);
            let mut cx = Context { now, random, crypto: &MarkerCrypto, memory, observer: None };
            match self.exchange.handle(event, &mut cx)? {
                Step::Do(Effect::Sign(_)) => {
                    self.signatures = self.signatures.saturating_add(1);
                    event = Event::Signed(Secret::new(b"signature".to_vec()));
                }
                step => return Ok(step),
            }
        }
    }

    fn answer(&mut self, response: Response<Body>) -> Result<Step<Response<Body>>, Error> {
        self.give(Event::Response(response), BEGIN)
    }
}

fn sent(plan: Plan) -> (Run, Outgoing) {
    let (random, memory) = (CountingRandom::default(), Memory::new());
    let mut run = Run { exchange: Exchange::new(plan), random, memory, signatures: 0 };
    match run.give(Event::Start, BEGIN) {
        Ok(Step::Do(Effect::Send(outgoing))) => (run, outgoing),
        other => panic!("{other:?}"),
    }
}

fn post(client: &Client, endpoint: Endpoint) -> Plan {
    Plan::post(client, endpoint, Form::new()).unwrap()
}

fn target() -> EndpointUrl {
    server().endpoint(Endpoint::UserInfo).unwrap().clone()
}

fn as_bearer() -> Plan {
    Plan::get_as_bearer(Endpoint::UserInfo, target(), Secret::from("canary-access"))
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response<Body> {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Body::new(body.into())).unwrap()
}

#[test]
fn a_proof_goes_with_token_requests_and_bound_tokens_and_an_assertion_with_whatever_the_client_asks() {
    let assertion =
        || Authentication::SignedAssertion { key_id: "key".to_owned(), algorithm: SignatureAlgorithm::Es256 };
    let builder = || Client::builder(server(), "client");
    let (proving, signing) = (builder().proof_key(proof_key()), builder().authentication(assertion()));
    let both = builder().authentication(assertion()).proof_key(proof_key());
    let [proving, signing, both] = [proving, signing, both].map(|builder| builder.build().unwrap());
    for (row, (plan, signatures)) in [
        (post(&public(), Endpoint::Token), 0),
        (post(&proving, Endpoint::Token), 1),
        (post(&proving, Endpoint::Revocation), 0),
        (post(&proving, Endpoint::Introspection), 0),
        (post(&signing, Endpoint::Token), 1),
        (post(&signing, Endpoint::Revocation), 1),
        (post(&both, Endpoint::Token), 2),
        (post(&both, Endpoint::Introspection), 1),
        (as_bearer(), 0),
        (as_bearer().bound_to(&proof_key()), 1),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(sent(plan).0.signatures, signatures, "row {row}");
    }
}

#[test]
fn an_answer_at_its_limit_is_taken_and_one_beyond_is_not_also_when_a_hook_has_made_it_longer() {
    let client = public();
    let plan = |row| match row {
        0 => post(&client, Endpoint::Token),
        1 => as_bearer(),
        _ => Plan::get(Endpoint::Metadata, target()),
    };
    let is_too_large = |result: Result<Step<Response<Body>>, Error>| match result {
        Ok(Step::Done(_)) => false,
        Err(Error::Transport(error)) if error.kind == TransportKind::TooLarge => true,
        other => panic!("{other:?}"),
    };
    for (row, limit) in [1024 * 1024, 1024 * 1024, 512 * 1024].into_iter().enumerate() {
        for (length, expected) in [(limit, false), (limit + 1, true), (limit + 2, true)] {
            let (mut run, outgoing) = sent(plan(row));
            assert_eq!(outgoing.max_body, limit, "row {row}");
            let result = run.answer(answer(200, &[], vec![b' '; length]));
            assert_eq!(is_too_large(result), expected, "row {row}: {length}");
        }
    }
    let doubling =
        Hook::access_token_response(|answer| Ok(answer.map(|body| Body::new([body.expose(), body.expose()].concat()))));
    let client = Client::builder(server(), "client").hook(doubling).build().unwrap();
    for (length, expected) in [(ANSWER_LIMIT / 2, false), (ANSWER_LIMIT / 2 + 1, true), (ANSWER_LIMIT, true)] {
        let (mut run, _) = sent(post(&client, Endpoint::Token));
        assert_eq!(is_too_large(run.answer(answer(200, &[], vec![b' '; length]))), expected, "{length} twice");
    }
}

#[test]
fn only_an_answer_that_brings_a_nonce_can_demand_it() {
    let client = Client::builder(server(), "client").proof_key(proof_key()).build().unwrap();
    let demand = r#"{"error":"use_dpop_nonce"}"#;
    for (row, (headers, body, signatures)) in [
        (vec![("dpop-nonce", "n")], demand, 2),
        (vec![], demand, 1),
        (vec![("dpop-nonce", "n")], r#"{"error":"invalid_grant"}"#, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut run, _) = sent(post(&client, Endpoint::Token));
        let step = run.answer(answer(400, &headers, body)).unwrap();
        assert_eq!((run.signatures, matches!(step, Step::Done(_))), (signatures, signatures == 1), "row {row}");
    }
}

#[test]
fn a_retry_is_made_within_a_minute_and_not_after_it() {
    for (late, is_made) in [(0, true), (1, false)] {
        let (mut run, _) = sent(post(&public(), Endpoint::Token));
        let Ok(Step::Do(Effect::Sleep { until })) = run.answer(answer(429, &[(RETRY_AFTER.as_str(), "60")], "")) else {
            panic!("it waits")
        };
        assert_eq!(until.since(BEGIN), RETRY_BUDGET);
        match run.give(Event::Elapsed, until.plus(Duration::from_millis(late))) {
            Ok(Step::Do(Effect::Send(_))) => assert!(is_made),
            Err(Error::Expired(Expired::Retries)) => assert!(!is_made),
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Debug)]
struct Own;

impl AuthenticationMethod for Own {
    fn name(&self) -> &str {
        "own"
    }

    fn apply(&self, request: &mut Credentials) -> Result<(), Error> {
        request.url.query_pairs_mut().append_pair("key", "canary-query");
        request.headers.insert("x-key", HeaderValue::from_static("canary-header"));
        Ok(())
    }
}

/// What is struck out of an answer's words before an error shows them.
#[test]
fn what_a_method_of_the_clients_own_adds_is_secret_and_what_was_there_before_is_not() {
    let server = server().with_endpoint(Endpoint::Token, "https://as.example/token?tenant=northern").unwrap();
    let method = Authentication::Custom(Arc::new(Own));
    let client = Client::builder(server, "client").authentication(method).build().unwrap();
    for (status, body, may_explain) in [
        (400, "", true),
        (401, r#"{"error":"invalid_client"}"#, true),
        (200, r#"{"error":"invalid_client"}"#, true),
        (200, r#"{"access_token":"a"}"#, false),
    ] {
        let (mut run, outgoing) = sent(post(&client, Endpoint::Token));
        let headers = outgoing.request.headers();
        assert!(headers["x-key"].is_sensitive() && !headers[ACCEPT].is_sensitive());
        let Ok(Step::Done(answer)) = run.answer(answer(status, &[], body)) else { panic!() };
        assert_eq!(answer.extensions().get::<Sent>().is_some(), may_explain, "{status} {body}");
        if may_explain {
            let said = Sent::of(&answer).strike("canary-query, canary-header, application/json, northern").into_owned();
            assert_eq!(said, "[..], [..], application/json, northern");
        }
    }
}
