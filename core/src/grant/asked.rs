//! What was asked for, and is enforced when the answer comes.

use crate::Secret;
use crate::client::Client;
use crate::token::{Person, Scopes};

/// All that a token answer is held to. It travels with the flow, so nobody can forget to compare.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) scopes: Scopes,
    pub(crate) resources: Vec<String>,
    pub(crate) nonce: Option<Secret>,
    pub(crate) max_age: Option<u64>,
    pub(crate) acr_values: Vec<String>,
    /// Whether an answer without an id_token is refused.
    pub(crate) id_token: IdTokenDemand,
    /// Whose tokens are refreshed (OpenID Connect Core §12.2).
    pub(crate) person: Option<Person>,
    /// The refresh token that is spent; it lives on if no new one comes (RFC 6749 §6).
    pub(crate) spent: Option<Secret>,
}

/// What to make of an id_token, and of its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdTokenDemand {
    /// It must be there.
    Required,
    /// It is verified if it is there.
    Welcome,
    /// It is not looked at: the grant has no user.
    Ignored,
}

impl Asked {
    /// Asks for these scopes; `openid` among them demands an id_token (OpenID Connect Core §3.1.3.3).
    pub(crate) fn new(client: &Client, scopes: Scopes) -> Self {
        let id_token = if scopes.contains("openid") { IdTokenDemand::Required } else { IdTokenDemand::Welcome };
        Self {
            client: client.clone(),
            scopes,
            resources: Vec::new(),
            nonce: None,
            max_age: None,
            acr_values: Vec::new(),
            id_token,
            person: None,
            spent: None,
        }
    }
}
