//! The client credentials grant (RFC 6749 §4.4): a token for the client itself.
//!
#![doc = include_str!("../../../docs/diagrams/client-credentials.md")]
//!
//! A refresh token in the answer is dropped, with a note: the client can always ask again (RFC 6749 §4.4.3).

use super::asked::IdTokenDemand;
use super::{Asked, Extras, redeem};
use crate::client::Client;
use crate::endpoint::exchange::{Plan, Retries};
use crate::endpoint::nested;
use crate::endpoint::single::{self, EXCHANGING, Single, single_exchange};
use crate::error::{ConfigError, Endpoint, Error};
use crate::http::form::Form;
use crate::machine::{Arrow, COMPLETE, EventKind, FAILED, READY, Step, Table, Turn};
use crate::token::{Scopes, TokenSet};

/// The states and arrows of the client credentials grant.
pub const TABLE: Table = Table {
    machine: "client-credentials",
    states: single::STATES,
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::GRANT_REFUSED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
    ],
};

/// The client credentials grant.
#[derive(Debug)]
pub struct ClientCredentials(Single<Asked>);

impl ClientCredentials {
    /// Asks for a token with these scopes (separated by spaces, possibly none) and extra parameters.
    ///
    /// # Errors
    /// [`ConfigError`]: the client is public, the token endpoint is not known, a scope is malformed.
    pub fn new(client: &Client, scope: &str, extras: &Extras) -> Result<Self, Error> {
        Self::with_retries(client, scope, extras, Retries::Bounded)
    }

    /// The same, and it is left to the caller to try again.
    pub(crate) fn unretried(client: &Client, scope: &str, extras: &Extras) -> Result<Self, Error> {
        Self::with_retries(client, scope, extras, Retries::Never)
    }

    fn with_retries(client: &Client, scope: &str, extras: &Extras, retries: Retries) -> Result<Self, Error> {
        if client.is_public() {
            return Err(ConfigError::Missing("client authentication (client credentials need it)").into());
        }
        let scopes = Scopes::parse(scope)?;
        let mut form = Form::new();
        form.push("grant_type", "client_credentials");
        if !scopes.is_empty() {
            form.push("scope", client.written(&scopes).as_ref());
        }
        extras.write_to(&mut form);
        let plan = Plan::post(client, Endpoint::Token, form)?.with_retries(retries);
        let mut asked = Asked::new(client, scopes);
        asked.id_token = IdTokenDemand::Ignored;
        Ok(Self(Single::new(plan, asked)))
    }
}

single_exchange!(ClientCredentials, TokenSet, |asked, response, cx| match redeem::parsed(&asked, &response, cx) {
    Ok(tokens) => Turn::Moved(redeem::ISSUED, Step::Done(tokens.without_refresh_token())),
    Err(error) => Turn::Ended(redeem::GRANT_REFUSED, error),
});
