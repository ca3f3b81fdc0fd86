//! The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9207, OpenID Connect Core §3.1).
//!
//! A person's browser is sent to the authorization endpoint and comes back to the redirect URI with a code, which is
//! exchanged for tokens. PKCE with S256, `state`, the check of `iss` and, where `openid` is asked for, `nonce` and the
//! id_token's verification are always on.
//!
#![doc = include_str!("../../../docs/diagrams/authorization-code.md")]
//!
//! While it waits for the callback the flow may be stored and finished elsewhere: [`AuthorizationCode::snapshot`] and
//! [`AuthorizationCode::restore`]. Whoever stores it must *take* it (read and delete) when the callback comes, as
//! [`PendingFlows`](super::PendingFlows) does: a copy could send the code twice.
//!
//! ```
//! # use grantflow_core::{client::Client, error::Endpoint, http::UrlPolicy, server::ServerMetadata};
//! use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest};
//! # let server = ServerMetadata::by_hand("https://as.example", UrlPolicy::default())?
//! #     .with_endpoint(Endpoint::Authorization, "https://as.example/authorize")?
//! #     .with_endpoint(Endpoint::Token, "https://as.example/token")?;
//! # let client = Client::builder(server, "my-client").build()?;
//! let request = AuthorizationRequest::new("https://app.example/callback").scope("openid email").max_age(3600);
//! let flow = AuthorizationCode::new(&client, request)?;
//! # Ok::<(), grantflow_core::Error>(())
//! ```
//!
//! What can go wrong: [`Error::Callback`] for a callback that is broken, [`Error::Refused`] when the person or the
//! server says no, [`Error::Security`] for a wrong issuer or id_token, [`Error::Expired`] when nobody comes back.
//! A callback with another `state`, or none, changes nothing: anybody can send one.
//!
//! Left out on purpose: `plain` PKCE, and a client's own `state`.

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::redeem::{self, EXCHANGING, FETCHING_KEYS, Redeeming};
use super::{Asked, Extras};
use crate::Secret;
use crate::callback::{AuthorizationResponse, CallbackParams, ResponseMode};
use crate::client::Client;
use crate::crypto::HashAlgorithm;
use crate::endpoint::exchange::{self, Plan, Retries};
use crate::endpoint::{jwks, nested};
use crate::error::{BadCallback, ConfigError, Endpoint, Error, Expired, Misuse, SecurityError, safe_text};
use crate::http::form::Form;
use crate::machine::{
    Arrow, COMPLETE, Context, Effect, EffectKind, Event, EventKind, FAILED, Finding, READY, Redirect, StateId,
    StateRow, Step, Table, Transitions, Turn,
};
use crate::random;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::token::{Scopes, TokenSet};

const AWAITING_CALLBACK: StateId = StateId("AwaitingCallback");

const PLAIN: Finding = Finding("Plain");
const UNREADY: Finding = Finding("Unready");
const CODE_RECEIVED: Finding = Finding("CodeReceived");
const DENIED: Finding = Finding("Denied");
const FOREIGN: Finding = Finding("Foreign");
const ISSUER_MISMATCHED: Finding = Finding("IssuerMismatched");
const GARBLED: Finding = Finding("Garbled");
const EARLY: Finding = Finding("Early");
const OVERDUE: Finding = Finding("Overdue");
const RESHOWN: Finding = Finding("Reshown");

/// The states and arrows of the authorization code grant.
pub const TABLE: Table = Table {
    machine: "authorization-code",
    states: &[
        StateRow::initial(),
        StateRow::resting(AWAITING_CALLBACK, EffectKind::Redirect),
        StateRow::nested(EXCHANGING, &exchange::TABLE),
        StateRow::nested(FETCHING_KEYS, &jwks::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, PLAIN, AWAITING_CALLBACK),
        Arrow::new(READY, EventKind::Start, UNREADY, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, CODE_RECEIVED, EXCHANGING),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, UNREADY, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, DENIED, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, FOREIGN, AWAITING_CALLBACK),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, ISSUER_MISMATCHED, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, GARBLED, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Callback, OVERDUE, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Elapsed, EARLY, AWAITING_CALLBACK),
        Arrow::new(AWAITING_CALLBACK, EventKind::Elapsed, OVERDUE, FAILED),
        Arrow::new(AWAITING_CALLBACK, EventKind::Resume, RESHOWN, AWAITING_CALLBACK),
        Arrow::new(AWAITING_CALLBACK, EventKind::Resume, OVERDUE, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED_VERIFIED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::KEYS_MISSING, FETCHING_KEYS),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::GRANT_REFUSED, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::UNTRUSTED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_FIT, COMPLETE),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_DO_NOT_FIT, FAILED),
        Arrow::any(FETCHING_KEYS, redeem::OLD_KEYS_FIT, COMPLETE),
        Arrow::any(FETCHING_KEYS, nested::BROKEN, FAILED),
    ],
};

/// How long a person has to come back, unless said otherwise.
const LIFETIME: Duration = Duration::from_secs(600);

/// What is asked of the authorization endpoint.
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationRequest {
    redirect_uri: String,
    scope: String,
    response_mode: ResponseMode,
    max_age: Option<u64>,
    acr_values: Vec<String>,
    resources: Vec<String>,
    extras: Extras,
    token_extras: Extras,
    lifetime: Duration,
}

impl AuthorizationRequest {
    /// Asks for an answer at `redirect_uri`, which is sent exactly so.
    pub fn new(redirect_uri: impl Into<String>) -> Self {
        Self {
            redirect_uri: redirect_uri.into(),
            scope: String::new(),
            response_mode: ResponseMode::Query,
            max_age: None,
            acr_values: Vec::new(),
            resources: Vec::new(),
            extras: Extras::default(),
            token_extras: Extras::default(),
            lifetime: LIFETIME,
        }
    }

    /// Asks for these scopes, separated by spaces. With `openid` among them an id_token is demanded.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Sets how the answer is to come.
    pub fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.response_mode = mode;
        self
    }

    /// Demands that the person logged in at most this many seconds ago; `auth_time` is checked.
    pub fn max_age(mut self, seconds: u64) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// Demands one of these authentication context classes; `acr` is checked.
    pub fn acr_values<A: Into<String>>(mut self, values: impl IntoIterator<Item = A>) -> Self {
        self.acr_values = values.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for a token for this resource, at both endpoints (RFC 8707). May be repeated.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Adds parameters to the authorization request: `login_hint`, `prompt`, `audience`.
    pub fn extras(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }

    /// Adds parameters to the token request.
    pub fn token_extras(mut self, extras: Extras) -> Self {
        self.token_extras = extras;
        self
    }

    /// Sets how long to wait for the person; ten minutes if not set, a day at most.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(Duration::from_secs(86_400));
        self
    }
}

/// The authorization code grant.
#[derive(Debug)]
pub struct AuthorizationCode {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<Ready>),
    AwaitingCallback(Box<Awaiting>),
    Redeeming(Redeeming),
    Complete,
    Failed,
}

#[derive(Debug)]
struct Ready {
    client: Client,
    request: AuthorizationRequest,
    scopes: Scopes,
}

/// What a pending flow must remember: what was asked, and the secrets that bind the answer to it.
#[derive(Debug)]
struct Awaiting {
    client: Client,
    request: AuthorizationRequest,
    scopes: Scopes,
    created_at: Timestamp,
    state: Secret,
    nonce: Option<Secret>,
    verifier: Secret,
}

/// Proof that a callback was compared with the flow: only then is there a code to exchange.
struct CheckedCallback {
    code: Secret,
}

type Turned = Turn<TokenSet>;

impl AuthorizationCode {
    /// Prepares the flow; nothing is sent or drawn yet.
    ///
    /// # Errors
    /// [`ConfigError`]: an endpoint is missing, the redirect URI or a scope is not allowed, or the server supports PKCE
    /// without S256.
    pub fn new(client: &Client, request: AuthorizationRequest) -> Result<Self, Error> {
        let scopes = Scopes::parse(&request.scope)?;
        client.endpoint(Endpoint::Authorization)?;
        client.endpoint(Endpoint::Token)?;
        if request.response_mode == ResponseMode::Fragment {
            let why = "the code grant answers in the query or by form post";
            return Err(ConfigError::Invalid { setting: "response_mode", why }.into());
        }
        client
            .server()
            .policy()
            .redirect_uri(&request.redirect_uri)
            .map_err(|flaw| ConfigError::Url { endpoint: Endpoint::Redirect, flaw })?;
        let methods = client.server().list("code_challenge_methods_supported");
        if methods.is_some_and(|methods| methods.iter().all(|method| method != "S256")) {
            return Err(ConfigError::PkceUnsupported.into());
        }
        Ok(Self { state: State::Ready(Box::new(Ready { client: client.clone(), request, scopes })) })
    }

    /// Stores the flow while it waits for the callback. The bytes hold secrets: keep them as such.
    ///
    /// # Errors
    /// [`Misuse::NotResting`] in every other state.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        match &self.state {
            State::AwaitingCallback(awaiting) => Ok(Snapshot::write(TABLE.machine, &awaiting.stored())),
            State::Ready(_) | State::Redeeming(_) | State::Complete | State::Failed => {
                Err(Error::Misuse(Misuse::NotResting))
            }
        }
    }

    /// Takes a stored flow up again. Give it [`Event::Resume`], or the callback at once.
    ///
    /// # Errors
    /// [`ConfigError::SnapshotForeign`] when the flow was begun by another client or at another server,
    /// [`ConfigError::SnapshotUnreadable`] when the snapshot is damaged or of another kind.
    pub fn restore(client: &Client, snapshot: Snapshot) -> Result<Self, Error> {
        let stored: Stored = snapshot.read(TABLE.machine)?;
        if stored.issuer != client.server().issuer() || stored.client_id != client.client_id() {
            return Err(ConfigError::SnapshotForeign.into());
        }
        Ok(Self { state: State::AwaitingCallback(Box::new(Awaiting::from_stored(stored, client)?)) })
    }

    /// The `state` of the callback that is awaited, and until when.
    pub(crate) fn waiting_for(&self) -> Result<(&Secret, Timestamp), Error> {
        match &self.state {
            State::AwaitingCallback(awaiting) => Ok((&awaiting.state, awaiting.expires_at())),
            State::Ready(_) | State::Redeeming(_) | State::Complete | State::Failed => {
                Err(Error::Misuse(Misuse::NotResting))
            }
        }
    }

    fn begin(&mut self, ready: Ready, cx: &mut Context<'_>) -> Turned {
        match Awaiting::new(ready, cx) {
            Ok(awaiting) => self.wait(Box::new(awaiting), PLAIN, None, cx),
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn wait(
        &mut self,
        awaiting: Box<Awaiting>,
        finding: Finding,
        refused: Option<BadCallback>,
        cx: &Context<'_>,
    ) -> Turned {
        match awaiting.redirect(refused, cx) {
            Ok(redirect) => {
                self.state = State::AwaitingCallback(awaiting);
                Turn::Moved(finding, Step::Do(Effect::Redirect(redirect)))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn called_back(&mut self, awaiting: Box<Awaiting>, params: CallbackParams, cx: &mut Context<'_>) -> Turned {
        if cx.now >= awaiting.expires_at() {
            return Turn::Ended(OVERDUE, Error::Expired(Expired::Callback));
        }
        match awaiting.judge(params) {
            Judgement::Foreign(why) => self.wait(awaiting, FOREIGN, Some(why), cx),
            Judgement::Ended(finding, error) => Turn::Ended(finding, error),
            Judgement::Code(checked) => {
                let plan = awaiting.token_plan(checked);
                match plan.and_then(|plan| Redeeming::begin(plan, awaiting.into_asked(), cx)) {
                    Ok((redeeming, effect)) => {
                        self.state = State::Redeeming(redeeming);
                        Turn::Moved(CODE_RECEIVED, Step::Do(effect))
                    }
                    Err(error) => Turn::Ended(UNREADY, error),
                }
            }
        }
    }
}

impl Transitions for AuthorizationCode {
    type Output = TokenSet;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::AwaitingCallback(_) => AWAITING_CALLBACK,
            State::Redeeming(redeeming) => redeeming.state(),
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Redeeming(redeeming) => Some(redeeming.leaf()),
            State::Ready(_) | State::AwaitingCallback(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (State::AwaitingCallback(awaiting), Event::Callback(params)) => self.called_back(awaiting, params, cx),
            (State::AwaitingCallback(awaiting), Event::Elapsed) if cx.now < awaiting.expires_at() => {
                self.wait(awaiting, EARLY, None, cx)
            }
            (State::AwaitingCallback(awaiting), Event::Resume) if cx.now < awaiting.expires_at() => {
                self.wait(awaiting, RESHOWN, None, cx)
            }
            (State::AwaitingCallback(_), Event::Elapsed | Event::Resume) => {
                Turn::Ended(OVERDUE, Error::Expired(Expired::Callback))
            }
            (State::Redeeming(redeeming), event) => {
                let (turn, next) = redeeming.apply(event, cx);
                self.state = next.map_or(State::Complete, State::Redeeming);
                turn
            }
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}

/// What a callback turned out to be.
enum Judgement {
    Code(CheckedCallback),
    Foreign(BadCallback),
    Ended(Finding, Error),
}

impl Awaiting {
    fn new(ready: Ready, cx: &mut Context<'_>) -> Result<Self, Error> {
        let nonce = if ready.scopes.contains("openid") { Some(random::token::<32>(cx.random)?) } else { None };
        Ok(Self {
            client: ready.client,
            request: ready.request,
            scopes: ready.scopes,
            created_at: cx.now,
            state: random::token::<32>(cx.random)?,
            nonce,
            verifier: random::token::<32>(cx.random)?,
        })
    }

    fn expires_at(&self) -> Timestamp {
        self.created_at.plus(self.request.lifetime)
    }

    /// The authorization request as a URL (RFC 6749 §4.1.1, RFC 7636 §4.3).
    fn redirect(&self, refused: Option<BadCallback>, cx: &Context<'_>) -> Result<Redirect, Error> {
        let request = &self.request;
        let digest = cx.crypto.hash(HashAlgorithm::Sha256, self.verifier.expose().as_bytes());
        let mut challenge = [0_u8; 43];
        URL_SAFE_NO_PAD
            .encode_slice(digest.as_bytes(), &mut challenge)
            .map_err(|_| Error::Bug("a SHA-256 value that is not 32 bytes long"))?;
        let challenge = core::str::from_utf8(&challenge).map_err(|_| Error::Bug("base64 that is not ASCII"))?;
        let mut url = self.client.endpoint(Endpoint::Authorization)?.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair(self.client.id_parameter(), self.client.client_id());
            query.append_pair("redirect_uri", &request.redirect_uri);
            if !self.scopes.is_empty() {
                query.append_pair("scope", &self.client.written(&self.scopes));
            }
            query.append_pair("state", self.state.expose());
            if let Some(nonce) = &self.nonce {
                query.append_pair("nonce", nonce.expose());
            }
            query.append_pair("code_challenge", challenge);
            query.append_pair("code_challenge_method", "S256");
            if request.response_mode == ResponseMode::FormPost {
                query.append_pair("response_mode", "form_post");
            }
            if let Some(max_age) = request.max_age {
                query.append_pair("max_age", &max_age.to_string());
            }
            if !request.acr_values.is_empty() {
                query.append_pair("acr_values", &request.acr_values.join(" "));
            }
            for resource in &request.resources {
                query.append_pair("resource", resource);
            }
            query.extend_pairs(request.extras.pairs());
        }
        Ok(Redirect { url, redirect_uri: request.redirect_uri.clone(), expires_at: self.expires_at(), refused })
    }

    /// Compares a callback with the flow: whose it is, then who sent it, then what it says.
    fn judge(&self, params: CallbackParams) -> Judgement {
        if params.mode() != self.request.response_mode {
            return Judgement::Foreign(BadCallback::ResponseMode);
        }
        match params.state() {
            None => return Judgement::Foreign(BadCallback::StateMissing),
            Some(state) if !self.state.matches(state.expose()) => {
                return Judgement::Foreign(BadCallback::StateMismatch);
            }
            Some(_) => {}
        }
        let server = self.client.server();
        match params.iss() {
            Some(iss) if iss != server.issuer() => {
                let (expected, found) = (server.issuer().to_owned(), safe_text(iss));
                return Judgement::Ended(ISSUER_MISMATCHED, SecurityError::IssuerMismatch { expected, found }.into());
            }
            None if server.promises_issuer_in_callback() => {
                return Judgement::Ended(ISSUER_MISMATCHED, SecurityError::IssuerMissing.into());
            }
            Some(_) | None => {}
        }
        match params.response() {
            Ok(AuthorizationResponse::Code(code)) => Judgement::Code(CheckedCallback { code }),
            Ok(AuthorizationResponse::Denied(refusal)) => Judgement::Ended(DENIED, Error::Refused(refusal)),
            // A callback without a code and without an error says nothing; anybody who saw the state could send it.
            Err(BadCallback::CodeMissing) => Judgement::Foreign(BadCallback::CodeMissing),
            Err(flaw) => Judgement::Ended(GARBLED, flaw.into()),
        }
    }

    /// The token request (RFC 6749 §4.1.3, RFC 7636 §4.5).
    fn token_plan(&self, checked: CheckedCallback) -> Result<Plan, Error> {
        let mut form = Form::new();
        form.push("grant_type", "authorization_code");
        form.push("code", checked.code.expose().as_str());
        form.push("redirect_uri", self.request.redirect_uri.as_str());
        form.push("code_verifier", self.verifier.expose().as_str());
        for resource in &self.request.resources {
            form.push("resource", resource.as_str());
        }
        self.request.token_extras.write_to(&mut form);
        Ok(Plan::post(&self.client, Endpoint::Token, form)?.with_retries(Retries::UntilDelivered))
    }

    fn into_asked(self) -> Asked {
        let mut asked = Asked::new(&self.client, self.scopes);
        asked.resources = self.request.resources;
        asked.nonce = self.nonce;
        asked.max_age = self.request.max_age;
        asked.acr_values = self.request.acr_values;
        asked
    }

    fn stored(&self) -> Stored {
        let request = &self.request;
        Stored {
            issuer: self.client.server().issuer().to_owned(),
            client_id: self.client.client_id().to_owned(),
            redirect_uri: request.redirect_uri.clone(),
            scope: self.scopes.as_str().to_owned(),
            response_mode: request.response_mode,
            max_age: request.max_age,
            acr_values: request.acr_values.clone(),
            resources: request.resources.clone(),
            extras: request.extras.pairs().to_vec(),
            token_extras: request.token_extras.pairs().to_vec(),
            lifetime_ms: u64::try_from(request.lifetime.as_millis()).unwrap_or(u64::MAX),
            created_at: self.created_at,
            state: self.state.expose().clone(),
            nonce: self.nonce.as_ref().map(|nonce| nonce.expose().clone()),
            verifier: self.verifier.expose().clone(),
        }
    }

    fn from_stored(mut stored: Stored, client: &Client) -> Result<Self, Error> {
        let request = AuthorizationRequest {
            redirect_uri: core::mem::take(&mut stored.redirect_uri),
            scope: core::mem::take(&mut stored.scope),
            response_mode: stored.response_mode,
            max_age: stored.max_age,
            acr_values: core::mem::take(&mut stored.acr_values),
            resources: core::mem::take(&mut stored.resources),
            extras: Extras::new(core::mem::take(&mut stored.extras))?,
            token_extras: Extras::new(core::mem::take(&mut stored.token_extras))?,
            lifetime: Duration::from_millis(stored.lifetime_ms),
        };
        let State::Ready(ready) = Self::ready(client, request)? else {
            return Err(ConfigError::SnapshotUnreadable.into());
        };
        Ok(Self {
            client: ready.client,
            request: ready.request,
            scopes: ready.scopes,
            created_at: stored.created_at,
            state: Secret::new(core::mem::take(&mut stored.state)),
            nonce: stored.nonce.take().map(Secret::new),
            verifier: Secret::new(core::mem::take(&mut stored.verifier)),
        })
    }

    fn ready(client: &Client, request: AuthorizationRequest) -> Result<State, Error> {
        AuthorizationCode::new(client, request).map(|flow| flow.state)
    }
}

/// The stored form of a pending flow. Its fields are the format: add, never change.
#[derive(Serialize, Deserialize)]
struct Stored {
    issuer: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    response_mode: ResponseMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    acr_values: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extras: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    token_extras: Vec<(String, String)>,
    lifetime_ms: u64,
    created_at: Timestamp,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    verifier: String,
}

impl Drop for Stored {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.state.zeroize();
        self.nonce.zeroize();
        self.verifier.zeroize();
    }
}
