//! Revocation of a token (RFC 7009).
//!
#![doc = include_str!("../../../docs/diagrams/revocation.md")]
//!
//! 200 and 204 are success, whatever the body says, and so is a token that the server does not know (§2.2). Everything
//! else is an error: a token is never reported revoked when that is not known.

use super::exchange::Plan;
use super::nested;
use super::single::{self, EXCHANGING, Single, single_exchange};
use crate::Secret;
use crate::client::Client;
use crate::error::{Endpoint, Error};
use crate::http::form::Form;
use crate::machine::{Arrow, COMPLETE, EventKind, FAILED, Finding, READY, Step, Table, Turn};
use crate::token::refusal;

const REVOKED: Finding = Finding("Revoked");
const REFUSED: Finding = Finding("Refused");

/// The states and arrows of a revocation.
pub const TABLE: Table = Table {
    machine: "revocation",
    states: single::STATES,
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, REVOKED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, REFUSED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
    ],
};

/// What kind of token a request is about (RFC 7009 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

impl TokenKind {
    pub(crate) fn hint(self) -> &'static str {
        match self {
            TokenKind::Access => "access_token",
            TokenKind::Refresh => "refresh_token",
        }
    }
}

/// The revocation of one token.
#[derive(Debug)]
pub struct Revocation(Single<()>);

impl Revocation {
    /// Asks the server to forget `token`.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`](crate::error::ConfigError::EndpointMissing) when the server has no revocation endpoint.
    pub fn new(client: &Client, token: &Secret, kind: TokenKind) -> Result<Self, Error> {
        let mut form = Form::new();
        form.push("token", token.expose().as_str());
        form.push("token_type_hint", kind.hint());
        Ok(Self(Single::new(Plan::post(client, Endpoint::Revocation, form)?, ())))
    }
}

single_exchange!(Revocation, (), |(), response, cx| match response.status().as_u16() {
    200 | 204 => Turn::Moved(REVOKED, Step::Done(())),
    _ => Turn::Ended(REFUSED, refusal::classify(&response, Endpoint::Revocation, cx.now)),
});
