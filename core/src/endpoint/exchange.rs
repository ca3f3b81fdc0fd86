//! One request to an endpoint and its answer: authentication, proof of possession, retries, limits.
//!
//! Every flow that talks to a server runs an [`Exchange`] inside one of its states, so these rules stand here once.
//! Client authentication follows RFC 6749 §2.3 and RFC 7523 §2.2, proofs and their nonces RFC 9449 §8. What an answer
//! means is the flow's business; an exchange ends with the response, whatever its status.
//!
//! A nonce is demanded and answered once. `NotSent`, 429 and 503 are retried up to three times within a minute and
//! honour `Retry-After`; an unknown delivery is retried for requests that change nothing. Every attempt is signed anew.
//! Redirects are never followed.

mod amended;
mod attempt;
#[cfg(test)]
mod tests;

use core::time::Duration;

use http::header::HeaderValue;
use http::{Method as HttpMethod, StatusCode};

use crate::Secret;
use crate::client::{
    Client, ClientAssertion, Hooked, Method, NONCE, Proof, ProofKey, challenges_nonce, default_user_agent, keep_nonce,
};
use crate::error::{Delivery, Endpoint, Error, Expired, SendFailure, TransportKind};
use crate::http::form::Form;
use crate::http::json::{Object, Value};
use crate::http::{Body, retry_after};
use crate::machine::{
    Arrow, Context, Effect, EffectKind, Event, EventKind, FAILED, Finding, Machine, READY, StateId, StateRow, Step,
    Table, Transitions, Turn,
};
use crate::server::EndpointUrl;
use crate::time::Timestamp;

const SIGNING_ASSERTION: StateId = StateId("SigningAssertion");
const SIGNING_PROOF: StateId = StateId("SigningProof");
const SENDING: StateId = StateId("Sending");
const PAUSING: StateId = StateId("Pausing");
const COMPLETE: StateId = crate::machine::COMPLETE;

const NEEDS_ASSERTION: Finding = Finding("NeedsAssertion");
const NEEDS_PROOF: Finding = Finding("NeedsProof");
const PLAIN: Finding = Finding("Plain");
const UNREADY: Finding = Finding("Unready");
const ASSERTION_MADE: Finding = Finding("AssertionMade");
const ASSERTION_THEN_PROOF: Finding = Finding("AssertionThenProof");
const PROOF_MADE: Finding = Finding("ProofMade");
const KEY_UNAVAILABLE: Finding = Finding("KeyUnavailable");
const REPLIED: Finding = Finding("Replied");
const NONCE_DEMANDED: Finding = Finding("NonceDemanded");
const NONCE_DEMANDED_RESIGN: Finding = Finding("NonceDemandedResign");
const THROTTLED: Finding = Finding("Throttled");
const MALFORMED: Finding = Finding("Malformed");
const UNSENT: Finding = Finding("Unsent");
const UNSURE_SAFE: Finding = Finding("UnsureSafe");
const UNSURE: Finding = Finding("Unsure");
const EXHAUSTED: Finding = Finding("Exhausted");
const DUE_ASSERTION: Finding = Finding("DueAssertion");
const DUE_PROOF: Finding = Finding("DueProof");
const DUE_PLAIN: Finding = Finding("DuePlain");
const EARLY: Finding = Finding("Early");
const OUT_OF_TIME: Finding = Finding("OutOfTime");

/// The states and arrows of every exchange.
pub(crate) const TABLE: Table = Table {
    machine: "exchange",
    states: &[
        StateRow::initial(),
        StateRow::live(SIGNING_ASSERTION, EffectKind::Sign),
        StateRow::live(SIGNING_PROOF, EffectKind::Sign),
        StateRow::live(SENDING, EffectKind::Send),
        StateRow::live(PAUSING, EffectKind::Sleep),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, NEEDS_ASSERTION, SIGNING_ASSERTION),
        Arrow::new(READY, EventKind::Start, NEEDS_PROOF, SIGNING_PROOF),
        Arrow::new(READY, EventKind::Start, PLAIN, SENDING),
        Arrow::new(READY, EventKind::Start, UNREADY, FAILED),
        Arrow::new(SIGNING_ASSERTION, EventKind::Signed, ASSERTION_MADE, SENDING),
        Arrow::new(SIGNING_ASSERTION, EventKind::Signed, ASSERTION_THEN_PROOF, SIGNING_PROOF),
        Arrow::new(SIGNING_ASSERTION, EventKind::Signed, UNREADY, FAILED),
        Arrow::new(SIGNING_ASSERTION, EventKind::SignFailed, KEY_UNAVAILABLE, FAILED),
        Arrow::new(SIGNING_PROOF, EventKind::Signed, PROOF_MADE, SENDING),
        Arrow::new(SIGNING_PROOF, EventKind::Signed, UNREADY, FAILED),
        Arrow::new(SIGNING_PROOF, EventKind::SignFailed, KEY_UNAVAILABLE, FAILED),
        Arrow::new(SENDING, EventKind::Response, REPLIED, COMPLETE),
        Arrow::new(SENDING, EventKind::Response, NONCE_DEMANDED, SIGNING_PROOF),
        Arrow::new(SENDING, EventKind::Response, NONCE_DEMANDED_RESIGN, SIGNING_ASSERTION),
        Arrow::new(SENDING, EventKind::Response, THROTTLED, PAUSING),
        Arrow::new(SENDING, EventKind::Response, MALFORMED, FAILED),
        Arrow::new(SENDING, EventKind::Response, UNREADY, FAILED),
        Arrow::new(SENDING, EventKind::SendFailed, UNSENT, PAUSING),
        Arrow::new(SENDING, EventKind::SendFailed, UNSURE_SAFE, PAUSING),
        Arrow::new(SENDING, EventKind::SendFailed, UNSURE, FAILED),
        Arrow::new(SENDING, EventKind::SendFailed, EXHAUSTED, FAILED),
        Arrow::new(PAUSING, EventKind::Elapsed, DUE_ASSERTION, SIGNING_ASSERTION),
        Arrow::new(PAUSING, EventKind::Elapsed, DUE_PROOF, SIGNING_PROOF),
        Arrow::new(PAUSING, EventKind::Elapsed, DUE_PLAIN, SENDING),
        Arrow::new(PAUSING, EventKind::Elapsed, EARLY, PAUSING),
        Arrow::new(PAUSING, EventKind::Elapsed, OUT_OF_TIME, FAILED),
        Arrow::new(PAUSING, EventKind::Elapsed, UNREADY, FAILED),
    ],
};

/// The most bytes of a body that an endpoint may answer with.
pub(crate) const ANSWER_LIMIT: usize = 1024 * 1024;
/// The most bytes of a metadata document or a key set.
pub(crate) const DOCUMENT_LIMIT: usize = 512 * 1024;

const TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_BUDGET: Duration = Duration::from_secs(60);
const RETRIES: u32 = 3;

/// What is sent, and how often.
#[derive(Debug)]
pub(crate) struct Plan {
    endpoint: Endpoint,
    method: HttpMethod,
    target: EndpointUrl,
    credentials: Attached,
    /// The key that the access token is bound to.
    bound_to: Option<ProofKey>,
    accept: &'static str,
    user_agent: Option<HeaderValue>,
    /// The body; the query where there is none.
    form: Form,
    /// The parameters that are secrets of the caller's own, by name.
    secrets: Vec<String>,
    limit: usize,
    retries: Retries,
}

/// With what a request is authenticated.
#[derive(Debug)]
enum Attached {
    Nothing,
    Client(Client),
    Bearer(Secret),
}

/// Whether an exchange tries again on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retries {
    /// Up to three times within a minute.
    Bounded,
    /// Up to three times within a minute, as long as nothing was delivered: a code is never sent twice.
    UntilDelivered,
    /// Never: the flow owns the pace.
    Never,
}

impl Plan {
    /// A form for an endpoint, authenticated as the client.
    pub(crate) fn post(client: &Client, endpoint: Endpoint, form: Form) -> Result<Self, Error> {
        let target = client.endpoint(endpoint)?.clone();
        let by_get = endpoint == Endpoint::Token && client.asks_by_get();
        Ok(Self {
            endpoint,
            method: if by_get { HttpMethod::GET } else { HttpMethod::POST },
            target,
            credentials: Attached::Client(client.clone()),
            bound_to: None,
            accept: "application/json",
            user_agent: client.user_agent(),
            form,
            secrets: Vec::new(),
            limit: ANSWER_LIMIT,
            retries: Retries::Bounded,
        })
    }

    /// A question with an access token.
    pub(crate) fn get_as_bearer(endpoint: Endpoint, target: EndpointUrl, token: Secret) -> Self {
        Self { credentials: Attached::Bearer(token), limit: ANSWER_LIMIT, ..Self::get(endpoint, target) }
    }

    /// Sends a proof besides, for a token that is bound to a key (RFC 9449 §7).
    pub(crate) fn bound_to(self, key: &ProofKey) -> Self {
        Self { bound_to: Some(key.clone()), ..self }
    }

    /// A public document.
    pub(crate) fn get(endpoint: Endpoint, target: EndpointUrl) -> Self {
        Self {
            endpoint,
            method: HttpMethod::GET,
            target,
            credentials: Attached::Nothing,
            bound_to: None,
            accept: "application/json",
            user_agent: Some(default_user_agent()),
            form: Form::new(),
            secrets: Vec::new(),
            limit: DOCUMENT_LIMIT,
            retries: Retries::Bounded,
        }
    }

    /// Says which parameters are secrets although the engine does not know them.
    pub(crate) fn with_secrets(mut self, names: Vec<String>) -> Self {
        self.secrets = names;
        self
    }

    /// Whether the request changes nothing at the server.
    fn is_safe(&self) -> bool {
        self.method.is_safe() && self.form.is_empty()
    }

    /// Asks for another media type than JSON.
    pub(crate) fn accept(&mut self, media_type: &'static str) {
        self.accept = media_type;
    }

    pub(crate) fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    fn assertion_key(&self) -> Option<(&Client, &str, crate::jose::SignatureAlgorithm)> {
        match &self.credentials {
            Attached::Client(client) => match client.method() {
                Method::Assertion { key_id, algorithm } => Some((client, key_id, *algorithm)),
                Method::None | Method::Basic(..) | Method::Post(_) | Method::Custom(_) => None,
            },
            Attached::Nothing | Attached::Bearer(_) => None,
        }
    }

    fn client(&self) -> Option<&Client> {
        match &self.credentials {
            Attached::Client(client) => Some(client),
            Attached::Nothing | Attached::Bearer(_) => None,
        }
    }

    /// Of what a client authenticates, only token requests carry a proof: introspection and revocation bind nothing.
    fn proof_key(&self) -> Option<&ProofKey> {
        match &self.credentials {
            Attached::Client(client) if self.endpoint == Endpoint::Token => client.proof_key(),
            Attached::Bearer(_) => self.bound_to.as_ref(),
            Attached::Client(_) | Attached::Nothing => None,
        }
    }

    fn access_token(&self) -> Option<&Secret> {
        match &self.credentials {
            Attached::Bearer(token) => Some(token),
            Attached::Client(_) | Attached::Nothing => None,
        }
    }
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<Plan>),
    SigningAssertion(Box<Attempt>, ClientAssertion),
    SigningProof(Box<Attempt>, Proof),
    Sending(Box<Attempt>),
    Pausing(Box<Attempt>, Timestamp),
    Complete,
    Failed,
}

#[derive(Debug)]
struct Attempt {
    plan: Plan,
    started: Timestamp,
    retried: u32,
    nonce_answered: bool,
    /// The request as the client's hooks have left it, if there are any.
    hooked: Option<Box<Hooked>>,
    assertion: Option<Secret>,
    proof: Option<Secret>,
    /// What an authentication method of the client's own put in.
    custom: Vec<Secret>,
}

type Turned = Turn<http::Response<Body>>;

impl Exchange {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { state: State::Ready(Box::new(plan)) }
    }

    /// Makes the exchange and starts it, for a flow that enters the state in which it runs.
    pub(crate) fn started(plan: Plan, cx: &mut Context<'_>) -> Result<(Self, Effect), Error> {
        let mut exchange = Self::new(plan);
        match exchange.handle(Event::Start, cx)? {
            Step::Do(effect) => Ok((exchange, effect)),
            Step::Done(_) => Err(Error::Bug("an exchange that is complete before it began")),
        }
    }

    /// Begins an attempt: signs what must be signed, then sends.
    fn begin(&mut self, mut attempt: Box<Attempt>, cx: &mut Context<'_>, findings: [Finding; 3]) -> Turned {
        let [assertion, proof, plain] = findings;
        attempt.hooked = match attempt.plan.hooked() {
            Ok(hooked) => hooked,
            Err(error) => return Turn::Ended(UNREADY, error),
        };
        attempt.assertion = None;
        attempt.proof = None;
        let Some((client, key_id, algorithm)) = attempt.plan.assertion_key() else {
            return self.prove(attempt, cx, proof, plain);
        };
        match ClientAssertion::new(client.client_id(), client.server().issuer(), key_id, algorithm, cx) {
            Ok(unsigned) => {
                let effect = Effect::Sign(unsigned.0.request(key_id, algorithm));
                self.state = State::SigningAssertion(attempt, unsigned);
                Turn::Moved(assertion, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn prove(&mut self, attempt: Box<Attempt>, cx: &mut Context<'_>, proof: Finding, plain: Finding) -> Turned {
        let Some(key) = attempt.plan.proof_key() else {
            return self.send(attempt, plain);
        };
        match Proof::new(key, &attempt.plan.method, &attempt.target().url, attempt.plan.access_token(), cx) {
            Ok(unsigned) => {
                let effect = Effect::Sign(unsigned.0.request(key.key_id(), key.algorithm()));
                self.state = State::SigningProof(attempt, unsigned);
                Turn::Moved(proof, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn send(&mut self, mut attempt: Box<Attempt>, finding: Finding) -> Turned {
        match attempt.request() {
            Ok(outgoing) => {
                self.state = State::Sending(attempt);
                Turn::Moved(finding, Step::Do(Effect::Send(outgoing)))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn received(&mut self, mut attempt: Box<Attempt>, response: http::Response<Body>, cx: &mut Context<'_>) -> Turned {
        let too_large = SendFailure { delivery: Delivery::Unknown, kind: TransportKind::TooLarge };
        if response.body().len() > attempt.plan.limit {
            return Turn::Ended(MALFORMED, attempt.broken(too_large));
        }
        let mut response = match attempt.plan.mapped(response) {
            Ok(response) if response.body().len() > attempt.plan.limit => {
                return Turn::Ended(MALFORMED, attempt.broken(too_large));
            }
            Ok(response) => response,
            Err(error) => return Turn::Ended(UNREADY, error),
        };
        keep_nonce(&attempt.plan.target.url, response.headers(), cx);
        if attempt.plan.proof_key().is_some() && !attempt.nonce_answered && demands_nonce(&response) {
            attempt.nonce_answered = true;
            return self.begin(attempt, cx, [NONCE_DEMANDED_RESIGN, NONCE_DEMANDED, NONCE_DEMANDED]);
        }
        if is_throttled(response.status()) && attempt.plan.retries == Retries::Bounded {
            let wait = response.headers().get(http::header::RETRY_AFTER);
            let wait = wait.and_then(|value| value.to_str().ok()).and_then(|value| retry_after(value, cx.now));
            match attempt.pause(wait, cx) {
                Ok(Some(until)) => return self.rest(attempt, until, THROTTLED),
                Ok(None) => {}
                Err(error) => return Turn::Ended(UNREADY, error),
            }
        }
        if may_explain(&response) {
            response.extensions_mut().insert(attempt.sent());
        }
        self.state = State::Complete;
        Turn::Moved(REPLIED, Step::Done(response))
    }

    fn lost(&mut self, mut attempt: Box<Attempt>, failure: SendFailure, cx: &mut Context<'_>) -> Turned {
        let finding = match failure.delivery {
            Delivery::NotSent => UNSENT,
            Delivery::Unknown if attempt.plan.is_safe() => UNSURE_SAFE,
            Delivery::Unknown => return Turn::Ended(UNSURE, attempt.broken(failure)),
        };
        // What will fail the same way again is not tried again.
        let lasting =
            matches!(failure.kind, TransportKind::TooLarge | TransportKind::ForbiddenAddress | TransportKind::Tls);
        match attempt.pause(None, cx) {
            Ok(Some(until)) if !lasting => self.rest(attempt, until, finding),
            Ok(_) => Turn::Ended(EXHAUSTED, attempt.broken(failure)),
            Err(error) => Turn::Ended(EXHAUSTED, error),
        }
    }

    fn rest(&mut self, attempt: Box<Attempt>, until: Timestamp, finding: Finding) -> Turned {
        self.state = State::Pausing(attempt, until);
        Turn::Moved(finding, Step::Do(Effect::Sleep { until }))
    }

    fn rested(&mut self, attempt: Box<Attempt>, until: Timestamp, cx: &mut Context<'_>) -> Turned {
        if cx.now < until {
            return self.rest(attempt, until, EARLY);
        }
        if cx.now.since(attempt.started) > RETRY_BUDGET {
            return Turn::Ended(OUT_OF_TIME, Error::Expired(Expired::Retries));
        }
        self.begin(attempt, cx, [DUE_ASSERTION, DUE_PROOF, DUE_PLAIN])
    }
}

impl Transitions for Exchange {
    type Output = http::Response<Body>;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::SigningAssertion(..) => SIGNING_ASSERTION,
            State::SigningProof(..) => SIGNING_PROOF,
            State::Sending(_) => SENDING,
            State::Pausing(..) => PAUSING,
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(plan), Event::Start) => {
                let attempt = Box::new(Attempt::new(*plan, cx.now));
                self.begin(attempt, cx, [NEEDS_ASSERTION, NEEDS_PROOF, PLAIN])
            }
            (State::SigningAssertion(mut attempt, unsigned), Event::Signed(signature)) => {
                attempt.assertion = Some(unsigned.0.signed(signature.expose()));
                self.prove(attempt, cx, ASSERTION_THEN_PROOF, ASSERTION_MADE)
            }
            (State::SigningProof(mut attempt, unsigned), Event::Signed(signature)) => {
                attempt.proof = Some(unsigned.0.signed(signature.expose()));
                self.send(attempt, PROOF_MADE)
            }
            (State::SigningAssertion(..) | State::SigningProof(..), Event::SignFailed(error)) => {
                Turn::Ended(KEY_UNAVAILABLE, error.into())
            }
            (State::Sending(attempt), Event::Response(response)) => self.received(attempt, response, cx),
            (State::Sending(attempt), Event::SendFailed(failure)) => self.lost(attempt, failure, cx),
            (State::Pausing(attempt, until), Event::Elapsed) => self.rested(attempt, until, cx),
            (_, _) => Turn::Ended(MALFORMED, Error::Bug("an exchange was given an event that its table refuses")),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}

/// Whether an answer may end in an error that shows the server's words: some servers refuse with a 200.
fn may_explain(response: &http::Response<Body>) -> bool {
    let refuses = || core::str::from_utf8(response.body().expose()).is_ok_and(|body| body.contains("error"));
    !response.status().is_success() || refuses()
}

fn is_throttled(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

/// Whether the answer asks for a proof with the nonce it brings (RFC 9449 §8, §9).
fn demands_nonce(response: &http::Response<Body>) -> bool {
    match response.status() {
        StatusCode::BAD_REQUEST if response.headers().contains_key(NONCE) => Object::parse(response.body().expose())
            .is_ok_and(|body| matches!(body.get("error"), Some(Value::String(code)) if code == "use_dpop_nonce")),
        StatusCode::UNAUTHORIZED => challenges_nonce(response.headers()),
        _ => false,
    }
}
