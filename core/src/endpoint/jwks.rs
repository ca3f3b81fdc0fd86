//! The key set of a server (RFC 7517 §5, OpenID Connect Core §10.1.1).
//!
#![doc = include_str!("../../../docs/diagrams/jwks.md")]
//!
//! What is read goes into the caller's [`Memory`](crate::memory::Memory) under the issuer's name, so that the next flow
//! need not fetch it. An id_token that names an unknown key causes one fetch, and no second within a minute.

use std::sync::Arc;

use super::exchange::Plan;
use super::nested;
use super::single::{self, EXCHANGING, Single, single_exchange};
use crate::client::Client;
use crate::error::{Endpoint, Error, Rule};
use crate::jose::JwkSet;
use crate::machine::{
    Arrow, COMPLETE, Context, Effect, Event, EventKind, FAILED, Finding, Machine, READY, Step, Table, Turn,
};
use crate::token::{Leniency, answer, refusal};

const READ: Finding = Finding("Read");
const EMPTY: Finding = Finding("Empty");

/// The states and arrows of the fetch of a key set.
pub const TABLE: Table = Table {
    machine: "jwks",
    states: single::STATES,
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, READ, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, EMPTY, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
    ],
};

/// The fetch of a server's key set.
#[derive(Debug)]
pub struct Jwks(Single<Client>);

impl Jwks {
    /// Asks for the keys of the client's server.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`](crate::error::ConfigError::EndpointMissing) when the metadata names no `jwks_uri`.
    pub fn new(client: &Client) -> Result<Self, Error> {
        let target = client.endpoint(Endpoint::Keys)?.clone();
        Ok(Self(Single::new(Plan::get(Endpoint::Keys, target).on_behalf_of(client), client.clone())))
    }
}

impl Jwks {
    /// Asks for them at once, for a flow that enters the state in which it waits for them.
    pub(crate) fn started(client: &Client, cx: &mut Context<'_>) -> Result<(Self, Effect), Error> {
        let mut jwks = Self::new(client)?;
        match jwks.handle(Event::Start, cx)? {
            Step::Do(effect) => Ok((jwks, effect)),
            Step::Done(_) => Err(Error::Bug("keys that were there before they were fetched")),
        }
    }
}

single_exchange!(Jwks, Arc<JwkSet>, |client, response, cx| {
    let issuer = client.server().issuer();
    let keys = answer::success(&response, Leniency::Compat, cx.now, Endpoint::Keys).and_then(|_| {
        JwkSet::parse(response.body().expose(), cx.crypto)
            .map_err(|rule| refusal::broken(&response, Endpoint::Keys, rule))
    });
    match keys {
        Ok(keys) if keys.is_empty() => {
            let error = refusal::broken(&response, Endpoint::Keys, Rule::NoKeys);
            Turn::Ended(EMPTY, error)
        }
        Ok(keys) => Turn::Moved(READ, Step::Done(cx.memory.keys_fetched(issuer, keys, cx.now))),
        Err(error) => Turn::Ended(EMPTY, error),
    }
});
