//! One request to a resource server (RFC 6750 §2.1, RFC 9449 §7).
//!
#![doc = include_str!("../../../docs/diagrams/authorized-request.md")]
//!
//! Where it goes is judged before anybody is asked for a credential. A refused token is given back once, and the request is
//! sent once more if that brings another one: a server that answers 401 for ever sees two requests. A nonce is answered
//! once. Every other answer, a redirect included, is the caller's as it came: nothing here follows, retries or interprets.
//!
//! A body that cannot be sent twice is sent once, whatever the answer is. A body that streams never comes here at all
//! ([`AuthorizedRequest::head_only`]).

use core::fmt;
use core::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use url::Url;

use super::Audience;
#[cfg(feature = "legacy-grants")]
use super::legacy;
use super::step_up::{challenge_of, refuses_token};
use crate::client::{Client, Proof, ProofKey, challenges_nonce, keep_nonce};
use crate::error::{ConfigError, Endpoint, Error, SendFailure, TransportError, UrlFlaw};
use crate::http::{Body, Reach};
use crate::machine::{
    Arrow, COMPLETE, Context, Effect, EffectKind, Event, EventKind, FAILED, Finding, LeaseRequest, Outgoing, READY,
    StateId, StateRow, Step, Table, Transitions, Turn,
};
use crate::manager::{API_KEY_HEADER, Credential, TokenId};
use crate::secret::Secret;
use crate::token::{TokenSet, TokenType};

const LEASING: StateId = StateId("Leasing");
const SIGNING_PROOF: StateId = StateId("SigningProof");
const SENDING: StateId = StateId("Sending");

const BEGUN: Finding = Finding("Begun");
const WITHHELD: Finding = Finding("Withheld");
const AUTHORIZED: Finding = Finding("Authorized");
const BOUND: Finding = Finding("Bound");
const UNCHANGED: Finding = Finding("Unchanged");
const UNREADY: Finding = Finding("Unready");
const LOGIN_NEEDED: Finding = Finding("LoginNeeded");
const LEASE_FAILED: Finding = Finding("LeaseFailed");
const PROOF_MADE: Finding = Finding("ProofMade");
const KEY_UNAVAILABLE: Finding = Finding("KeyUnavailable");
const ANSWERED: Finding = Finding("Answered");
const STEP_UP_ASKED: Finding = Finding("StepUpAsked");
const NONCE_DEMANDED: Finding = Finding("NonceDemanded");
const TOKEN_REFUSED: Finding = Finding("TokenRefused");
const LOST: Finding = Finding("Lost");

/// The states and arrows of a request to a resource server.
pub const TABLE: Table = Table {
    machine: "authorized-request",
    states: &[
        StateRow::initial(),
        StateRow::live(LEASING, EffectKind::Lease),
        StateRow::live(SIGNING_PROOF, EffectKind::Sign),
        StateRow::live(SENDING, EffectKind::Send),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, BEGUN, LEASING),
        Arrow::new(READY, EventKind::Start, WITHHELD, SENDING),
        Arrow::new(LEASING, EventKind::Leased, AUTHORIZED, SENDING),
        Arrow::new(LEASING, EventKind::Leased, BOUND, SIGNING_PROOF),
        Arrow::new(LEASING, EventKind::Leased, UNCHANGED, COMPLETE),
        Arrow::new(LEASING, EventKind::Leased, UNREADY, FAILED),
        Arrow::new(LEASING, EventKind::LeaseFailed, LOGIN_NEEDED, FAILED),
        Arrow::new(LEASING, EventKind::LeaseFailed, LEASE_FAILED, FAILED),
        Arrow::new(SIGNING_PROOF, EventKind::Signed, PROOF_MADE, SENDING),
        Arrow::new(SIGNING_PROOF, EventKind::SignFailed, KEY_UNAVAILABLE, FAILED),
        Arrow::new(SENDING, EventKind::Response, ANSWERED, COMPLETE),
        Arrow::new(SENDING, EventKind::Response, STEP_UP_ASKED, COMPLETE),
        Arrow::new(SENDING, EventKind::Response, NONCE_DEMANDED, SIGNING_PROOF),
        Arrow::new(SENDING, EventKind::Response, TOKEN_REFUSED, LEASING),
        Arrow::new(SENDING, EventKind::Response, UNREADY, FAILED),
        Arrow::new(SENDING, EventKind::SendFailed, LOST, FAILED),
    ],
};

const PROOF: &str = "dpop";
/// What commonly holds a secret of the caller's own, and is shown to nobody.
const SECRET: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, API_KEY_HEADER];
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a body that a resource server may answer with, unless the caller says otherwise.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// Whether a request may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Its body can be had again.
    Possible,
    /// Its body is gone once it is sent, so the first answer stands.
    Impossible,
}

/// How a request to a resource server is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequestSettings {
    replay: Replay,
    max_body: usize,
    timeout: Duration,
    client: Option<Client>,
    proof_key: Option<ProofKey>,
    own: Own,
}

/// What becomes of a credential that the caller's request has itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Refused,
    Replaced,
    Kept,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            replay: Replay::Possible,
            max_body: ANSWER_LIMIT,
            timeout: TIMEOUT,
            client: None,
            proof_key: None,
            own: Own::Refused,
        }
    }
}

impl RequestSettings {
    /// The usual: a body that may be sent twice, 30 seconds, an answer of at most 16 MiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the request may be sent a second time. The default is [`Replay::Possible`].
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Sets the most bytes of a body that the answer may have. The default is 16 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets how long each sending may take, connecting included. The default is 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Names the client that the tokens belong to: its hooks change the request, and its key makes the proofs of tokens that
    /// are bound to it.
    pub fn client(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Names the key that makes the proofs, in place of the client's.
    pub fn proof_key(mut self, key: ProofKey) -> Self {
        self.proof_key = Some(key);
        self
    }

    /// Lets the credential replace what the caller has put in its place. Without this, both is a conflict.
    pub fn replacing_authorization(mut self) -> Self {
        self.own = Own::Replaced;
        self
    }

    /// Sends the request without a token, with the `Authorization` that it has itself, if any.
    pub fn withholding_token(mut self) -> Self {
        self.own = Own::Kept;
        self
    }

    fn key(&self) -> Option<&ProofKey> {
        self.proof_key.as_ref().or_else(|| self.client.as_ref().and_then(Client::proof_key))
    }
}

/// One request to a resource server, with the credential of whoever answers [`Effect::Lease`].
///
/// Its output is the response as it came, whatever its status: see [`challenge_of`] for those that want another token.
///
/// ```
/// use grantflow_core::http::Body;
/// use grantflow_core::resource::{Audience, AuthorizedRequest, RequestSettings};
/// let audience = Audience::only("https://api.example/v1")?;
/// let request = http::Request::get(audience.join("lights")?.as_str()).body(Body::empty()).unwrap();
/// let machine = AuthorizedRequest::new(request, &audience, RequestSettings::new())?;
///
/// let elsewhere = http::Request::get("https://evil.example/").body(Body::empty()).unwrap();
/// assert!(AuthorizedRequest::new(elsewhere, &audience, RequestSettings::new()).is_err());
/// # Ok::<(), grantflow_core::Error>(())
/// ```
pub struct AuthorizedRequest(State);

enum State {
    Ready(Box<Job>),
    Leasing(Box<Job>),
    SigningProof(Box<Job>, Box<Parts>, Proof),
    Sending(Box<Job>),
    Complete,
    Failed,
}

struct Job {
    /// The caller's own, but for the URL: it is written as it was judged.
    head: Parts,
    /// `None` when the caller holds it.
    body: Option<Body>,
    url: Url,
    audience: Audience,
    settings: RequestSettings,
    credential: Option<Credential>,
    /// The answer that refused the first token, while another one is asked for.
    refusal: Option<Response<Body>>,
    renewed: bool,
    nonce_answered: bool,
}

type Turned = Turn<Response<Body>>;

impl AuthorizedRequest {
    /// Makes a request that goes to a place of `audience`.
    ///
    /// # Errors
    /// [`ConfigError::Audience`] and [`ConfigError::Url`] as [`Audience::admit`] has them. Nothing is sent then, and nobody is
    /// asked for a credential.
    pub fn new(request: Request<Body>, audience: &Audience, settings: RequestSettings) -> Result<Self, Error> {
        let (head, body) = request.into_parts();
        Self::made(head, Some(body), audience, settings)
    }

    fn made(
        mut head: Parts,
        body: Option<Body>,
        audience: &Audience,
        settings: RequestSettings,
    ) -> Result<Self, Error> {
        let url = parsed(&head)?;
        audience.admit(&url)?;
        // What was judged is what is sent, however two parsers read what the caller wrote.
        head.uri = url.as_str().parse().map_err(|_| unparsable())?;
        for (name, value) in &mut head.headers {
            if SECRET.contains(name) {
                value.set_sensitive(true);
            }
        }
        let job = Job {
            head,
            body,
            url,
            audience: audience.clone(),
            settings,
            credential: None,
            refusal: None,
            renewed: false,
            nonce_answered: false,
        };
        Ok(Self(State::Ready(Box::new(job))))
    }

    /// Makes a request whose body the caller holds, because it streams.
    ///
    /// Each [`Effect::Send`] has an empty body: put yours in. Answer with the head of the response and an empty body, and keep
    /// the response's own: it belongs to the head that the machine gives in the end. When the machine is done without a
    /// second `Send`, that is the first one's, even though a credential was asked for in between.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn head_only(
        head: Parts,
        replay: Replay,
        audience: &Audience,
        settings: RequestSettings,
    ) -> Result<Self, Error> {
        Self::made(head, None, audience, settings.replay(replay))
    }

    fn begin(&mut self, mut job: Box<Job>) -> Turned {
        if job.settings.own != Own::Kept {
            self.0 = State::Leasing(job);
            return lease(BEGUN, None);
        }
        let head = job.head.clone();
        let outgoing = job.outgoing(head);
        self.send(job, outgoing, WITHHELD)
    }

    fn leased(&mut self, mut job: Box<Job>, credential: Credential, cx: &mut Context<'_>) -> Turned {
        if let Some(refusal) = job.refusal.take()
            && job.credential.as_ref().is_some_and(|refused| refused.id() == credential.id())
        {
            self.0 = State::Complete;
            return Turn::Moved(UNCHANGED, Step::Done(refusal));
        }
        job.credential = Some(credential);
        self.attempt(job, cx, [AUTHORIZED, BOUND])
    }

    /// Attaches the credential, and begins a proof if the token is bound to a key.
    fn attempt(&mut self, mut job: Box<Job>, cx: &mut Context<'_>, findings: [Finding; 2]) -> Turned {
        let [authorized, bound] = findings;
        let head = match job.authorized() {
            Ok(head) => head,
            Err(error) => return Turn::Ended(UNREADY, error),
        };
        let Some(tokens) = job.bound_tokens() else {
            let outgoing = job.outgoing(head);
            return self.send(job, outgoing, authorized);
        };
        match job.proof(&head, tokens, cx) {
            Ok((effect, proof)) => {
                self.0 = State::SigningProof(job, Box::new(head), proof);
                Turn::Moved(bound, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn proved(&mut self, mut job: Box<Job>, mut head: Parts, proof: Secret) -> Turned {
        let Ok(mut value) = HeaderValue::from_str(proof.expose()) else {
            return Turn::Ended(PROOF_MADE, Error::Bug("a proof that no header can hold"));
        };
        value.set_sensitive(true);
        head.headers.insert(HeaderName::from_static(PROOF), value);
        let outgoing = job.outgoing(head);
        self.send(job, outgoing, PROOF_MADE)
    }

    fn send(&mut self, job: Box<Job>, outgoing: Outgoing, finding: Finding) -> Turned {
        self.0 = State::Sending(job);
        Turn::Moved(finding, Step::Do(Effect::Send(outgoing)))
    }

    fn received(&mut self, mut job: Box<Job>, response: Response<Body>, cx: &mut Context<'_>) -> Turned {
        keep_nonce(&job.url, response.headers(), cx);
        let again = job.settings.replay == Replay::Possible && response.status() == StatusCode::UNAUTHORIZED;
        if again && job.bound_tokens().is_some() && !job.nonce_answered && challenges_nonce(response.headers()) {
            job.nonce_answered = true;
            return self.attempt(job, cx, [NONCE_DEMANDED, NONCE_DEMANDED]);
        }
        if challenge_of(&response).is_some() {
            self.0 = State::Complete;
            return Turn::Moved(STEP_UP_ASKED, Step::Done(response));
        }
        if let Some(refused) = job.credential.as_ref().map(Credential::id)
            && again
            && !job.renewed
            && refuses_token(&response)
        {
            job.renewed = true;
            job.refusal = Some(response);
            self.0 = State::Leasing(job);
            return lease(TOKEN_REFUSED, Some(refused));
        }
        self.0 = State::Complete;
        Turn::Moved(ANSWERED, Step::Done(response))
    }
}

fn lease(finding: Finding, refused: Option<TokenId>) -> Turned {
    Turn::Moved(finding, Step::Do(Effect::Lease(LeaseRequest { refused })))
}

impl Job {
    /// The tokens, if they are bound to a key.
    fn bound_tokens(&self) -> Option<&TokenSet> {
        let tokens = self.credential.as_ref().and_then(Credential::tokens)?;
        (*tokens.token_type() == TokenType::Dpop).then_some(tokens)
    }

    /// The head with the credential in it.
    fn authorized(&self) -> Result<Parts, Error> {
        let mut head = self.head.clone();
        let Some(credential) = &self.credential else {
            return Err(Error::Bug("a request was to be sent before there was a credential"));
        };
        if self.settings.own == Own::Refused {
            let proof = self.bound_tokens().map(|_| PROOF);
            let mut places = credential.headers().map(|(name, _)| name.as_str()).chain(proof);
            if let Some(taken) = places.find(|name| head.headers.contains_key(*name)) {
                return Err(ConfigError::AuthorizationConflict(taken.to_owned()).into());
            }
        }
        credential.write_to(&mut head.headers);
        #[cfg(feature = "legacy-grants")]
        if let Some(parameter) = credential.parameter() {
            if self.bound_tokens().is_some() {
                let why = "a token that is bound to a key goes into the header (RFC 9449 §7.1)";
                return Err(ConfigError::Invalid { setting: "token placement", why }.into());
            }
            legacy::prepare(parameter, &self.url, self.body.as_ref(), &mut head)?;
        }
        self.amend(&mut head)?;
        Ok(head)
    }

    /// The last changes to a head that has its token and does not have its proof yet: a proof is about the URL that is sent.
    /// Here run the client's hooks for protected requests. They cannot lead out of the audience.
    fn amend(&self, head: &mut Parts) -> Result<(), Error> {
        let Some(client) = &self.settings.client else { return Ok(()) };
        client.apply_protected_request(head)?;
        if head.uri == self.head.uri { Ok(()) } else { self.audience.admit(&parsed(head)?) }
    }

    fn proof(&self, head: &Parts, tokens: &TokenSet, cx: &mut Context<'_>) -> Result<(Effect, Proof), Error> {
        let key = self.settings.key().ok_or(ConfigError::Missing("proof key"))?;
        let proof = Proof::new(key, &head.method, &parsed(head)?, Some(tokens.access_token()), cx)?;
        Ok((Effect::Sign(proof.0.request(key.key_id(), key.algorithm())), proof))
    }

    fn outgoing(&mut self, head: Parts) -> Outgoing {
        let body = match self.settings.replay {
            Replay::Possible => self.body.as_ref().map(|body| Body::new(body.expose().to_vec())),
            Replay::Impossible => self.body.take(),
        };
        let body = body.unwrap_or_default();
        #[cfg(feature = "legacy-grants")]
        let body = legacy::filled(body, self.credential.as_ref().and_then(Credential::parameter));
        let request = Request::from_parts(head, body);
        Outgoing { request, max_body: self.settings.max_body, timeout: self.settings.timeout, reach: Reach::Any }
    }
}

impl Transitions for AuthorizedRequest {
    type Output = Response<Body>;

    fn state(&self) -> StateId {
        match &self.0 {
            State::Ready(_) => READY,
            State::Leasing(_) => LEASING,
            State::SigningProof(..) => SIGNING_PROOF,
            State::Sending(_) => SENDING,
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.0, State::Failed), event) {
            (State::Ready(job), Event::Start) => self.begin(job),
            (State::Leasing(job), Event::Leased(credential)) => self.leased(job, credential, cx),
            (State::Leasing(_), Event::LeaseFailed(error @ Error::LoginNeeded(_))) => Turn::Ended(LOGIN_NEEDED, error),
            (State::Leasing(_), Event::LeaseFailed(error)) => Turn::Ended(LEASE_FAILED, error),
            (State::SigningProof(job, head, proof), Event::Signed(signature)) => {
                self.proved(job, *head, proof.0.signed(signature.expose()))
            }
            (State::SigningProof(..), Event::SignFailed(error)) => Turn::Ended(KEY_UNAVAILABLE, error.into()),
            (State::Sending(job), Event::Response(response)) => self.received(job, response, cx),
            (State::Sending(_), Event::SendFailed(failure)) => Turn::Ended(LOST, lost(failure)),
            (_, _) => Turn::Ended(UNREADY, Error::Bug("a request was given an event that its table refuses")),
        }
    }

    fn fail(&mut self) {
        self.0 = State::Failed;
    }
}

fn parsed(head: &Parts) -> Result<Url, Error> {
    Url::parse(&head.uri.to_string()).map_err(|_| unparsable())
}

fn unparsable() -> Error {
    ConfigError::Url { endpoint: Endpoint::Resource, flaw: UrlFlaw::Unparsable }.into()
}

fn lost(failure: SendFailure) -> Error {
    Error::Transport(TransportError {
        endpoint: Endpoint::Resource,
        kind: failure.kind,
        delivery: failure.delivery,
        answer: None,
        not_before: None,
    })
}

/// Shows neither the query nor a header: both are the caller's, and may hold what nobody else should see.
impl fmt::Debug for AuthorizedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("AuthorizedRequest");
        out.field("state", &Transitions::state(self));
        match &self.0 {
            State::Ready(job) | State::Leasing(job) | State::SigningProof(job, ..) | State::Sending(job) => {
                out.field("method", &job.head.method).field("origin", &job.url.origin().ascii_serialization());
            }
            State::Complete | State::Failed => {}
        }
        out.finish_non_exhaustive()
    }
}
