//! Introspection of a token (RFC 7662).
//!
#![doc = include_str!("../../../docs/diagrams/introspection.md")]
//!
//! An inactive token shows nothing but that it is inactive, whatever else the server sends. `active` must be a boolean;
//! anything else is an error and never "active". An active answer that has expired, or is not valid yet, is inactive.

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
pub struct Introspection(Single<()>);

impl Introspection {
    /// Asks the server about `token`.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`](crate::error::ConfigError::EndpointMissing) when the server has no introspection endpoint.
    pub fn new(client: &Client, token: &Secret, kind: TokenKind) -> Result<Self, Error> {
        let mut form = Form::new();
        form.push("token", token.expose().as_str());
        form.push("token_type_hint", kind.hint());
        Ok(Self(Single::new(Plan::post(client, Endpoint::Introspection, form)?, ())))
    }
}

single_exchange!(Introspection, Introspected, |(), response, cx| match read(&response, cx) {
    Ok(Introspected::Active(active)) => Turn::Moved(ACTIVE, Step::Done(Introspected::Active(active))),
    Ok(Introspected::Inactive) => Turn::Moved(INACTIVE, Step::Done(Introspected::Inactive)),
    Err(error) => Turn::Ended(REFUSED, error),
});

fn read(response: &http::Response<Body>, cx: &Context<'_>) -> Result<Introspected, Error> {
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
    Ok(if expired || early { Introspected::Inactive } else { Introspected::Active(active) })
}
