//! Introspection of a token (RFC 7662).
//!
#![doc = include_str!("../../../docs/diagrams/introspection.md")]
//!
//! An inactive token shows nothing but that it is inactive, whatever else the server sends. `active` must be a boolean;
//! anything else is an error and never "active". An active answer that has expired, is not valid yet, is another issuer's, or
//! is not for whom it is [demanded](Introspection::for_audience) to be, is inactive.
//!
//! [`Remembered`] keeps good answers for a moment, so that a busy service need not ask about each request.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::exchange::Plan;
use super::nested;
use super::revocation::TokenKind;
use super::single::{self, EXCHANGING, Single, single_exchange};
use crate::Secret;
use crate::client::Client;
use crate::error::{Endpoint, Error, Rule};
use crate::http::Body;
use crate::http::form::Form;
use crate::http::json::{Object, Value};
use crate::machine::{Arrow, COMPLETE, Context, EventKind, FAILED, Finding, READY, Step, Table, Turn};
use crate::manager::TokenId;
use crate::time::Timestamp;
use crate::token::{Leniency, answer, refusal};

const ACTIVE: Finding = Finding("Active");
const INACTIVE: Finding = Finding("Inactive");
const REFUSED: Finding = Finding("Refused");

/// The states and arrows of an introspection.
pub const TABLE: Table = Table {
    machine: "introspection",
    states: single::STATES,
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, ACTIVE, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, INACTIVE, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, REFUSED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
    ],
};

/// What a server says of a token.
#[derive(Debug)]
pub enum Introspected {
    /// The token may be used.
    Active(Active),
    /// It may not: expired, revoked, unknown. Servers do not say which.
    Inactive,
}

/// The facts of an active token (RFC 7662 §2.2).
#[derive(Debug)]
pub struct Active {
    document: Object,
}

impl Active {
    /// The person the token speaks for.
    pub fn subject(&self) -> Option<String> {
        self.text("sub")
    }

    /// The client it was issued to.
    pub fn client_id(&self) -> Option<String> {
        self.text("client_id")
    }

    /// Its scope, as the server writes it.
    pub fn scope(&self) -> Option<String> {
        self.text("scope")
    }

    /// The server that issued it.
    pub fn issuer(&self) -> Option<String> {
        self.text("iss")
    }

    /// Whom it is meant for: one or several.
    pub fn audience(&self) -> Vec<String> {
        match self.document.get("aud") {
            Some(Value::String(one)) => vec![one.into_owned()],
            Some(Value::Array(many)) => many
                .iter()
                .filter_map(|value| match value {
                    Value::String(one) => Some(one.into_owned()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The key it is bound to (RFC 9449 §6.2).
    pub fn key_thumbprint(&self) -> Option<String> {
        match self.document.get("cnf") {
            Some(Value::Object(confirmation)) => {
                confirmation.get("jkt")?.into_string().map(std::borrow::Cow::into_owned)
            }
            _ => None,
        }
    }

    /// When it expires, in seconds since the epoch.
    pub fn expires_at(&self) -> Option<i64> {
        self.seconds("exp")
    }

    /// Reads any member into your own type.
    ///
    /// # Errors
    /// [`Rule::MemberInvalid`] when the answer does not fit `T`.
    pub fn extra<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        self.document.extra()
    }

    fn text(&self, member: &str) -> Option<String> {
        match self.document.get(member) {
            Some(Value::String(text)) => Some(text.into_owned()),
            _ => None,
        }
    }

    fn seconds(&self, member: &str) -> Option<i64> {
        match self.document.get(member) {
            Some(Value::Number(number)) => Some(number.floor_i64()),
            _ => None,
        }
    }
}

/// The introspection of one token.
#[derive(Debug)]
pub struct Introspection(Single<Demands>);

/// What a token has to be, beside active.
#[derive(Debug)]
struct Demands {
    issuer: String,
    audience: Option<String>,
    thumbprint: Option<String>,
}

impl Demands {
    fn are_met_by(&self, active: &Active) -> bool {
        let issuer = active.issuer().is_none_or(|issuer| issuer == self.issuer);
        let audience = self.audience.as_ref().is_none_or(|audience| active.audience().contains(audience));
        let bound = active.key_thumbprint();
        let key = self.thumbprint.as_ref().is_none_or(|thumbprint| bound.as_ref() == Some(thumbprint));
        issuer && audience && key
    }
}

impl Introspection {
    /// Asks the server about `token`.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`](crate::error::ConfigError::EndpointMissing) when the server has no introspection endpoint.
    pub fn new(client: &Client, token: &Secret, kind: TokenKind) -> Result<Self, Error> {
        let mut form = Form::new();
        form.push("token", token.expose().as_str());
        form.push("token_type_hint", kind.hint());
        let demands = Demands { issuer: client.server().issuer().to_owned(), audience: None, thumbprint: None };
        Ok(Self(Single::new(Plan::post(client, Endpoint::Introspection, form)?, demands)))
    }

    /// Takes a token that is not meant for `audience` for inactive (RFC 7662 §4). One that names nobody is not.
    #[must_use]
    pub fn for_audience(mut self, audience: &str) -> Self {
        if let Some(demands) = self.0.asked_mut() {
            demands.audience = Some(audience.to_owned());
        }
        self
    }

    /// Takes a token that is not bound to the key of this thumbprint for inactive (RFC 9449 §6.2). So is one that is bound to
    /// none.
    #[must_use]
    pub fn bound_to(mut self, thumbprint: &str) -> Self {
        if let Some(demands) = self.0.asked_mut() {
            demands.thumbprint = Some(thumbprint.to_owned());
        }
        self
    }
}

/// The longest time for which an answer is believed without asking again.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// How many answers are remembered at most.
const REMEMBERED: usize = 10_000;

/// Remembers which tokens were active, for a minute at most and never beyond their end (RFC 7662 §4).
///
/// A token that is revoked meanwhile goes on working for that long. What was inactive is not remembered: nobody gets a server
/// asked less by sending tokens that are none.
#[derive(Debug, Default)]
pub struct Remembered(BTreeMap<TokenId, (Arc<Active>, Timestamp, Timestamp)>);

impl Remembered {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was said of this token, if that may still be believed.
    pub fn get(&self, token: TokenId, now: Timestamp) -> Option<&Arc<Active>> {
        let (active, since, until) = self.0.get(&token)?;
        // A clock that went back says nothing about how old an answer is.
        (*since <= now && now < *until).then_some(active)
    }

    /// Remembers what a server has said of this token just now.
    pub fn keep(&mut self, token: TokenId, active: Arc<Active>, now: Timestamp) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (_, since, until)| *since <= now && now < *until);
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_first();
        }
        let end = active.expires_at().map(|end| Timestamp::from_secs(u64::try_from(end).unwrap_or_default()));
        let until = now.plus(REMEMBERED_FOR);
        self.0.insert(token, (active, now, end.map_or(until, |end| end.min(until))));
    }

    /// Forgets a token: it was revoked.
    pub fn forget(&mut self, token: TokenId) {
        self.0.remove(&token);
    }
}

single_exchange!(Introspection, Introspected, |demands, response, cx| match read(&demands, &response, cx) {
    Ok(Introspected::Active(active)) => Turn::Moved(ACTIVE, Step::Done(Introspected::Active(active))),
    Ok(Introspected::Inactive) => Turn::Moved(INACTIVE, Step::Done(Introspected::Inactive)),
    Err(error) => Turn::Ended(REFUSED, error),
});

fn read(demands: &Demands, response: &http::Response<Body>, cx: &Context<'_>) -> Result<Introspected, Error> {
    let document = answer::success(response, Leniency::Compat, cx.now, Endpoint::Introspection)?.object;
    let member = |rule| refusal::broken(response, Endpoint::Introspection, rule);
    match document.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Introspected::Inactive),
        Some(_) => return Err(member(Rule::MemberInvalid("active"))),
        None => return Err(member(Rule::MemberMissing("active"))),
    }
    let active = Active { document };
    // A time that cannot be read is not the absence of one: the token might have expired long ago.
    for time in ["exp", "nbf"] {
        if !matches!(active.document.get(time), None | Some(Value::Null | Value::Number(_))) {
            return Err(member(Rule::MemberInvalid(time)));
        }
    }
    let now = i64::try_from(cx.now.as_secs()).unwrap_or(i64::MAX);
    let expired = active.expires_at().is_some_and(|expiry| expiry <= now);
    let early = active.seconds("nbf").is_some_and(|begin| begin > now.saturating_add(60));
    let usable = !expired && !early && demands.are_met_by(&active);
    Ok(if usable { Introspected::Active(active) } else { Introspected::Inactive })
}
