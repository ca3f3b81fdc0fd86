//! The refresh of an access token (RFC 6749 §6, OpenID Connect Core §12).
//!
#![doc = include_str!("../../../docs/diagrams/refresh.md")]
//!
//! A server that sends no new refresh token lets the old one live on, and so does the result here. The same resources
//! are asked for as were granted, and an id_token in the answer must be about the same person.
//!
//! Two endings are told apart because a token manager reacts to them: the server refused the refresh token
//! ([`Error::Refused`] with `invalid_grant` or a provider's word for it), and nobody knows whether the server used it
//! ([`Error::Transport`] with [`Delivery::Unknown`]).

use super::asked::IdTokenDemand;
use super::redeem::{self, EXCHANGING, FETCHING_KEYS, Redeeming};
use super::{Asked, Extras};
use crate::Secret;
use crate::client::Client;
use crate::endpoint::exchange::{self, Plan, Retries};
use crate::endpoint::{jwks, nested, single};
use crate::error::{Advice, ConfigError, Delivery, Endpoint, Error};
use crate::http::form::Form;
use crate::machine::{
    Arrow, COMPLETE, Context, Event, EventKind, FAILED, Finding, READY, StateId, StateRow, Step, Table, Transitions,
    Turn,
};
use crate::token::{Person, Scopes, TokenSet};

const REVOKED: Finding = Finding("Revoked");
const UNCERTAIN: Finding = Finding("Uncertain");

/// The states and arrows of a refresh.
pub const TABLE: Table = Table {
    machine: "refresh",
    states: &[
        StateRow::initial(),
        StateRow::nested(EXCHANGING, &exchange::TABLE),
        StateRow::nested(FETCHING_KEYS, &jwks::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED_VERIFIED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::KEYS_MISSING, FETCHING_KEYS),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::SET_ASIDE, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, REVOKED, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::GRANT_REFUSED, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::UNTRUSTED, FAILED),
        Arrow::any(EXCHANGING, UNCERTAIN, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_FIT, COMPLETE),
        Arrow::any(FETCHING_KEYS, redeem::SET_ASIDE, COMPLETE),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_DO_NOT_FIT, FAILED),
        Arrow::any(FETCHING_KEYS, redeem::OLD_KEYS_FIT, COMPLETE),
        Arrow::any(FETCHING_KEYS, nested::BROKEN, FAILED),
    ],
};

/// One refresh.
#[derive(Debug)]
pub struct Refresh {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<(Plan, Asked)>),
    Redeeming(Redeeming),
    Complete,
    Failed,
}

/// What is asked of a refresh. Everything but the refresh token itself is optional.
#[derive(Debug)]
#[must_use]
pub struct RefreshRequest {
    refresh_token: Secret,
    scopes: Scopes,
    narrowed: Option<Scopes>,
    resources: Vec<String>,
    extras: Extras,
    person: Option<Person>,
    retries: Retries,
}

impl RefreshRequest {
    /// Asks for a new access token with this refresh token.
    pub fn new(refresh_token: Secret) -> Self {
        Self {
            refresh_token,
            scopes: Scopes::default(),
            narrowed: None,
            resources: Vec::new(),
            extras: Extras::default(),
            person: None,
            retries: Retries::Bounded,
        }
    }

    /// Leaves it to the caller to try again.
    pub(crate) fn unretried(mut self) -> Self {
        self.retries = Retries::Never;
        self
    }

    /// Asks for the successor of `tokens`: with the same resources and scopes, about the same person.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when there is no refresh token among them.
    pub fn of(tokens: &TokenSet) -> Result<Self, Error> {
        let refresh_token = tokens.refresh_token().ok_or(ConfigError::Missing("refresh token"))?.duplicate();
        let mut request = Self::new(refresh_token);
        request.scopes = tokens.scope().clone();
        request.resources = tokens.resources().to_vec();
        request.person.clone_from(&tokens.person);
        Ok(request)
    }

    /// Asks for less than was granted, separated by spaces. More is refused by every server (RFC 6749 §6).
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when a scope is malformed.
    pub fn narrow_scope(mut self, scope: &str) -> Result<Self, Error> {
        self.narrowed = Some(Scopes::parse(scope)?);
        Ok(self)
    }

    /// Asks for a token for this resource (RFC 8707). May be repeated.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Adds parameters to the request.
    pub fn extras(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }
}

type Turned = Turn<TokenSet>;

impl Refresh {
    /// Prepares the refresh.
    ///
    /// # Errors
    /// [`ConfigError`]: the token endpoint is not known, the refresh token is empty.
    pub fn new(client: &Client, request: RefreshRequest) -> Result<Self, Error> {
        if request.refresh_token.expose().is_empty() {
            return Err(ConfigError::Missing("refresh token").into());
        }
        let mut form = Form::new();
        form.push("grant_type", "refresh_token");
        form.push("refresh_token", request.refresh_token.expose().as_str());
        if let Some(scopes) = &request.narrowed {
            form.push("scope", client.written(scopes).as_ref());
        }
        for resource in &request.resources {
            form.push("resource", resource.as_str());
        }
        request.extras.write_to(&mut form);
        let plan = Plan::post(client, Endpoint::Token, form)?.with_retries(request.retries);
        let mut asked = Asked::new(client, request.narrowed.unwrap_or(request.scopes));
        // A server need not send an id_token again (OpenID Connect Core §12.2).
        asked.id_token = IdTokenDemand::Welcome;
        asked.resources = request.resources;
        asked.person = request.person;
        asked.spent = Some(request.refresh_token);
        Ok(Self { state: State::Ready(Box::new((plan, asked))) })
    }

    fn begin(&mut self, (plan, asked): (Plan, Asked), cx: &mut Context<'_>) -> Turned {
        match Redeeming::begin(plan, asked, cx) {
            Ok((redeeming, effect)) => {
                self.state = State::Redeeming(redeeming);
                Turn::Moved(single::BEGUN, Step::Do(effect))
            }
            Err(error) => Turn::Ended(single::UNREADY, error),
        }
    }

    fn redeem(&mut self, redeeming: Redeeming, event: Event, cx: &mut Context<'_>) -> Turned {
        let exchanging = redeeming.state() == EXCHANGING;
        let (turn, next) = redeeming.apply(event, cx);
        self.state = next.map_or(State::Complete, State::Redeeming);
        match turn {
            Turn::Ended(finding, error) if exchanging => Turn::Ended(named(finding, &error), error),
            other => other,
        }
    }
}

/// Tells the two endings apart to which a token manager reacts.
fn named(finding: Finding, error: &Error) -> Finding {
    match error {
        Error::Transport(failure) if finding == nested::BROKEN && failure.delivery == Delivery::Unknown => UNCERTAIN,
        Error::Refused(_) if finding == redeem::GRANT_REFUSED && error.advice() == Advice::LogInAgain => REVOKED,
        _ => finding,
    }
}

impl Transitions for Refresh {
    type Output = TokenSet;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
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
            State::Ready(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (State::Redeeming(redeeming), event) => self.redeem(redeeming, event, cx),
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}
