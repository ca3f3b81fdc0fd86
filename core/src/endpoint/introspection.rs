//! Introspection of a token (RFC 7662), with signed answers where they are demanded (RFC 9701).
//!
#![doc = include_str!("../../../docs/diagrams/introspection.md")]
//!
//! An inactive token shows nothing but that it is inactive, whatever else the server sends. `active` must be a boolean;
//! anything else is an error and never "active". An active answer that has expired, is not valid yet, is another issuer's, or
//! is not for whom it is [demanded](Introspection::for_audience) to be, is inactive.
//!
//! [`Introspection::demand_signature`] makes an answer worth something to a third party, or through an intermediary that is
//! not trusted. What is not signed then says nothing. Of a signed answer only `token_introspection` is about the token: the
//! claims around it are about the answer. Encrypted answers are left out.
//!
//! [`Remembered`] keeps good answers for a moment, so that a busy service need not ask about each request.

mod active;
mod remembered;
mod signed;

pub use active::{Active, Introspected};
pub use remembered::{REMEMBERED_FOR, Remembered};

use self::active::{Wanted, judge};
use self::signed::{Demands, MEDIA_TYPE, Sealed};
use super::exchange::{self, Exchange, Plan};
use super::jwks::{self, Jwks};
use super::nested::{self, BROKEN, Forwarded};
use super::revocation::TokenKind;
use super::single::{BEGUN, EXCHANGING, UNREADY};
use crate::Secret;
use crate::client::Client;
use crate::error::{Endpoint, Error, ProtocolError};
use crate::http::Body;
use crate::http::form::Form;
use crate::http::json::Object;
use crate::jose::{SignatureAlgorithm, VerifyError};
use crate::machine::{
    Arrow, COMPLETE, Context, Event, EventKind, FAILED, Finding, READY, StateId, StateRow, Step, Table, Transitions,
    Turn,
};
use crate::time::Timestamp;
use crate::token::{Leniency, answer, refusal};

/// The state in which the server's keys are fetched, because those at hand do not fit a signed answer.
const FETCHING_KEYS: StateId = StateId("FetchingKeys");

const ACTIVE: Finding = Finding("Active");
const INACTIVE: Finding = Finding("Inactive");
const REFUSED: Finding = Finding("Refused");
const UNTRUSTED: Finding = Finding("Untrusted");
const KEYS_MISSING: Finding = Finding("KeysMissing");

/// The states and arrows of an introspection.
pub const TABLE: Table = Table {
    machine: "introspection",
    states: &[
        StateRow::initial(),
        StateRow::nested(EXCHANGING, &exchange::TABLE),
        StateRow::nested(FETCHING_KEYS, &jwks::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, ACTIVE, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, INACTIVE, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, KEYS_MISSING, FETCHING_KEYS),
        Arrow::new(EXCHANGING, EventKind::Response, REFUSED, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, UNTRUSTED, FAILED),
        Arrow::any(EXCHANGING, BROKEN, FAILED),
        // Keys of the last hour go on serving while the server gives no new ones.
        Arrow::any(FETCHING_KEYS, ACTIVE, COMPLETE),
        Arrow::any(FETCHING_KEYS, INACTIVE, COMPLETE),
        Arrow::any(FETCHING_KEYS, REFUSED, FAILED),
        Arrow::new(FETCHING_KEYS, EventKind::Response, UNTRUSTED, FAILED),
        Arrow::any(FETCHING_KEYS, BROKEN, FAILED),
    ],
};

/// The introspection of one token.
#[derive(Debug)]
pub struct Introspection {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<(Plan, Demands)>),
    Exchanging(Box<(Exchange, Demands)>),
    FetchingKeys(Box<(Jwks, Sealed)>),
    Complete,
    Failed,
}

type Turned = Turn<Introspected>;

impl Introspection {
    /// Asks the server about `token`.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`](crate::error::ConfigError::EndpointMissing) when the server has no introspection endpoint.
    pub fn new(client: &Client, token: &Secret, kind: TokenKind) -> Result<Self, Error> {
        let mut form = Form::new();
        form.push("token", token.expose().as_str());
        form.push("token_type_hint", kind.hint());
        let wanted = Wanted { issuer: client.server().issuer().to_owned(), audience: None, thumbprint: None };
        let demands = Demands { client: client.clone(), wanted, algorithms: None };
        let plan = Plan::post(client, Endpoint::Introspection, form)?;
        Ok(Self { state: State::Ready(Box::new((plan, demands))) })
    }

    /// Takes a token that is not meant for `audience` for inactive (RFC 7662 §4). One that names nobody is not.
    #[must_use]
    pub fn for_audience(self, audience: &str) -> Self {
        self.with(|_, demands| demands.wanted.audience = Some(audience.to_owned()))
    }

    /// Takes a token that is not bound to the key of this thumbprint for inactive (RFC 9449 §6.2). So is one that is bound to
    /// none.
    #[must_use]
    pub fn bound_to(self, thumbprint: &str) -> Self {
        self.with(|_, demands| demands.wanted.thumbprint = Some(thumbprint.to_owned()))
    }

    /// Asks for an answer that the server has signed in one of these ways, for this client, within the last five minutes
    /// (RFC 9701). Any other answer is refused.
    ///
    /// The algorithms are those that the client is registered with as `introspection_signed_response_alg`; RS256 where it is
    /// registered with none. The keys are those of the server's `jwks_uri`.
    #[must_use]
    pub fn demand_signature(self, algorithms: &[SignatureAlgorithm]) -> Self {
        self.with(|plan, demands| {
            plan.accept(MEDIA_TYPE);
            demands.algorithms = Some(algorithms.to_vec());
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Plan, &mut Demands)) -> Self {
        if let State::Ready(ready) = &mut self.state {
            change(&mut ready.0, &mut ready.1);
        }
        self
    }

    fn begin(&mut self, (plan, demands): (Plan, Demands), cx: &mut Context<'_>) -> Turned {
        match Exchange::started(plan, cx) {
            Ok((exchange, effect)) => {
                self.state = State::Exchanging(Box::new((exchange, demands)));
                Turn::Moved(BEGUN, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }

    fn answered(&mut self, demands: Demands, response: &http::Response<Body>, cx: &mut Context<'_>) -> Turned {
        if demands.algorithms.is_none() {
            let document = answer::success(response, Leniency::Compat, cx.now, Endpoint::Introspection);
            let broken = |rule| refusal::broken(response, Endpoint::Introspection, rule);
            let judged = document.and_then(|success| judge(&demands.wanted, success.object, cx.now).map_err(broken));
            return self.told(judged);
        }
        let sealed = match Sealed::of(demands, response, cx.now) {
            Ok(sealed) => sealed,
            Err(error) => return Turn::Ended(if is_about_trust(&error) { UNTRUSTED } else { REFUSED }, error),
        };
        match sealed.opened_at_once(cx) {
            Ok(document) => self.read(sealed, document, cx.now),
            Err(VerifyError::Failed(error)) => Turn::Ended(UNTRUSTED, error),
            Err(VerifyError::KeysMissing(why)) => self.fetch_keys(sealed, why, cx),
        }
    }

    /// Fetches the server's keys, unless that was done less than a minute ago; `why` is then what is wrong.
    fn fetch_keys(&mut self, sealed: Sealed, why: Error, cx: &mut Context<'_>) -> Turned {
        if !cx.memory.may_fetch_keys(sealed.issuer(), cx.now) {
            return Turn::Ended(UNTRUSTED, why);
        }
        match Jwks::started(sealed.client(), cx) {
            Ok((jwks, effect)) => {
                self.state = State::FetchingKeys(Box::new((jwks, sealed)));
                Turn::Moved(KEYS_MISSING, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNTRUSTED, error),
        }
    }

    fn fetching(&mut self, mut running: Box<(Jwks, Sealed)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::FetchingKeys(running);
                Turn::Inner(effect)
            }
            Forwarded::Done(keys) => match running.1.opened(&keys, cx) {
                Ok(document) => self.read(running.1, document, cx.now),
                Err(VerifyError::Failed(error)) => Turn::Ended(UNTRUSTED, error),
                Err(VerifyError::KeysMissing(error)) => {
                    cx.memory.keys_did_not_fit(running.1.issuer(), cx.now);
                    Turn::Ended(UNTRUSTED, error)
                }
            },
            Forwarded::Broken(error) => {
                cx.memory.keys_fetch_failed(running.1.issuer(), cx.now);
                let keys = cx.memory.keys(running.1.issuer(), cx.now).unwrap_or_default();
                match running.1.opened(&keys, cx) {
                    Ok(document) => self.read(running.1, document, cx.now),
                    Err(_) => Turn::Ended(BROKEN, error),
                }
            }
        }
    }

    /// Reads an answer whose signature is right.
    fn read(&mut self, sealed: Sealed, document: Object, now: Timestamp) -> Turned {
        let endpoint = Endpoint::Introspection;
        let broken = |rule| Error::Protocol(Box::new(ProtocolError { endpoint, rule, answer: None }));
        self.told(judge(&sealed.into_wanted(), document, now).map_err(broken))
    }

    fn told(&mut self, judged: Result<Introspected, Error>) -> Turned {
        self.state = State::Complete;
        match judged {
            Ok(Introspected::Active(active)) => Turn::Moved(ACTIVE, Step::Done(Introspected::Active(active))),
            Ok(Introspected::Inactive) => Turn::Moved(INACTIVE, Step::Done(Introspected::Inactive)),
            Err(error) => Turn::Ended(REFUSED, error),
        }
    }
}

/// Whether an answer was refused for what it does not prove.
fn is_about_trust(error: &Error) -> bool {
    matches!(error, Error::Security(_))
}

impl Transitions for Introspection {
    type Output = Introspected;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::Exchanging(_) => EXCHANGING,
            State::FetchingKeys(_) => FETCHING_KEYS,
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Exchanging(running) => Some(nested::leaf(&running.0)),
            State::FetchingKeys(running) => Some(nested::leaf(&running.0)),
            State::Ready(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (State::Exchanging(mut running), event) => match nested::forward(&mut running.0, event, cx) {
                Forwarded::More(effect) => {
                    self.state = State::Exchanging(running);
                    Turn::Inner(effect)
                }
                Forwarded::Done(response) => self.answered(running.1, &response, cx),
                Forwarded::Broken(error) => Turn::Ended(BROKEN, error),
            },
            (State::FetchingKeys(running), event) => self.fetching(running, event, cx),
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}
