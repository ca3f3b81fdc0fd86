//! What a token manager is told once.

use core::time::Duration;
use std::sync::Arc;

use super::{Credential, Placement};
use crate::client::Client;
use crate::error::{ConfigError, Error, safe_text};
use crate::grant::{ClientCredentials, Extras};
use crate::machine::Context;
use crate::store::{Claim, StoreKey};
use crate::time::Timestamp;
use crate::token::{TokenSet, TokenType};

/// How long to wait for another process that renews the same token. Longer than a token request may take.
const CLAIM_WAIT: Duration = Duration::from_secs(45);
/// How long a claim lasts where nobody sees that its holder is gone. Longer than a renewal and its one repetition.
const CLAIM_LEASE: Duration = Duration::from_secs(90);

/// Where new tokens come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// A person has logged in; renewals spend the refresh token.
    Session(Client),
    /// The client asks for itself, as often as it likes (RFC 6749 §4.4). No refresh token is ever sent.
    ClientCredentials {
        /// The client.
        client: Client,
        /// The scope to ask for, separated by spaces.
        scope: String,
        /// Parameters to add.
        extras: Extras,
    },
    /// Somebody else renews: the client's id and secret live elsewhere.
    Delegated,
}

/// What happens to a token that could not be saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsaved {
    /// Callers get it, with the fact that a crash would lose it.
    #[default]
    Served,
    /// Callers get the store's error until it is saved.
    Withheld,
}

/// What a token manager is told once. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Settings(pub(super) Arc<Inner>);

#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) key: StoreKey,
    pub(super) source: Source,
    pub(super) placement: Arc<Placement>,
    pub(super) unsaved: Unsaved,
    pub(super) merge_old: bool,
    pub(super) skew: Option<Duration>,
    pub(super) claim_wait: Duration,
}

impl Settings {
    /// The tokens of `source`, kept under `key`.
    ///
    /// # Errors
    /// As [`ClientCredentials::new`], when the source asks for itself.
    pub fn new(key: StoreKey, source: Source) -> Result<Self, Error> {
        if let Source::ClientCredentials { client, scope, extras } = &source {
            ClientCredentials::new(client, scope, extras)?;
        }
        Ok(Self(Arc::new(Inner {
            key,
            source,
            placement: Arc::default(),
            unsaved: Unsaved::default(),
            merge_old: false,
            skew: None,
            claim_wait: CLAIM_WAIT,
        })))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Puts the token elsewhere than into `Authorization: Bearer`.
    #[must_use]
    pub fn with_placement(self, placement: Placement) -> Self {
        self.with(|inner| inner.placement = Arc::new(placement))
    }

    /// Says what happens to a token that could not be saved.
    #[must_use]
    pub fn with_unsaved(self, unsaved: Unsaved) -> Self {
        self.with(|inner| inner.unsaved = unsaved)
    }

    /// Keeps members of the old token answer that the new one does not have. Without this only the refresh token, the scope
    /// and the person live on.
    #[must_use]
    pub fn merging_old_members(self) -> Self {
        self.with(|inner| inner.merge_old = true)
    }

    /// Renews this long before the end, whatever the lifetime is. Without this it is a minute, or a tenth of the lifetime if
    /// that is less, and a little earlier at random, so that many instances do not renew at once.
    #[must_use]
    pub fn with_skew(self, skew: Duration) -> Self {
        self.with(|inner| inner.skew = Some(skew))
    }

    /// Waits this long for another process that renews the same token. 45 seconds without this.
    #[must_use]
    pub fn with_claim_wait(self, wait: Duration) -> Self {
        self.with(|inner| inner.claim_wait = wait)
    }

    /// Under which key the tokens are kept.
    pub fn key(&self) -> &StoreKey {
        &self.0.key
    }

    /// Where new tokens come from.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The client, unless somebody else renews.
    pub fn client(&self) -> Option<&Client> {
        match &self.0.source {
            Source::Session(client) | Source::ClientCredentials { client, .. } => Some(client),
            Source::Delegated => None,
        }
    }

    pub(super) fn claim(&self) -> Claim {
        Claim { key: self.0.key.clone(), wait: self.0.claim_wait, lease: CLAIM_LEASE.max(self.0.claim_wait) }
    }

    /// Whether the source needs nothing but itself to get a token.
    pub(super) fn fetches_itself(&self) -> bool {
        matches!(self.0.source, Source::ClientCredentials { .. })
    }

    /// Whether these tokens can be replaced without a person.
    pub(super) fn can_renew(&self, tokens: &TokenSet) -> bool {
        match self.0.source {
            Source::Session(_) => tokens.refresh_token().is_some(),
            Source::ClientCredentials { .. } | Source::Delegated => true,
        }
    }

    /// When to renew these tokens.
    pub(super) fn renew_at(&self, tokens: &TokenSet, cx: &mut Context<'_>) -> Option<Timestamp> {
        let end = tokens.expires_at()?;
        if !self.can_renew(tokens) {
            return Some(end);
        }
        if let Some(skew) = self.0.skew {
            return Some(end.minus(skew));
        }
        let margin = tokens.renewal_margin();
        let mut jitter = [0_u8; 1];
        // Without randomness all instances renew at the same moment, no more.
        let _ = cx.random.fill(&mut jitter);
        let early = margin.saturating_mul(u32::from(jitter[0])).checked_div(256).unwrap_or_default();
        Some(end.minus(margin).minus(early))
    }

    /// Refuses a token of a type that nobody here knows how to present (RFC 6749 §7.1). The answers of servers are judged by
    /// the same rule; what was stored, imported or got by somebody else comes this way.
    fn knows(&self, tokens: &TokenSet) -> Result<(), Error> {
        let TokenType::Other(name) = tokens.token_type() else { return Ok(()) };
        let named = self
            .client()
            .is_some_and(|client| client.tolerance().token_types.iter().any(|known| known.eq_ignore_ascii_case(name)));
        if named || self.0.placement.has_own_prefix() {
            return Ok(());
        }
        Err(ConfigError::TokenTypeUnknown(safe_text(name)).into())
    }

    pub(super) fn credential(
        &self,
        tokens: &Arc<TokenSet>,
        renew_at: Option<Timestamp>,
        unsaved: Option<crate::error::StoreError>,
        cx: &Context<'_>,
    ) -> Result<Credential, Error> {
        self.knows(tokens)?;
        Credential::new(Arc::clone(tokens), &self.0.placement, renew_at, unsaved, cx.crypto)
    }
}
