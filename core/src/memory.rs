//! What flows learn for one another: key sets by issuer, DPoP nonces by origin.
//!
//! The caller owns a [`Memory`] and lends it with every event. It is bounded, holds nothing that must survive a
//! restart, and keeps what belongs to one issuer apart from all others.

mod keys;
mod nonces;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::jose::JwkSet;
use crate::time::Timestamp;

/// Holds what one flow learns and the next one needs.
///
/// **Key sets.** A set is fresh for five minutes and answers without a fetch. If then a fetch fails, the old set goes on
/// answering, for an hour at most. A token that no fresh key fits may cause one fetch a minute and issuer, so that
/// forged key names cannot turn this client against its server. A flow does this:
///
/// 1. ask [`keys`](Self::keys); with none, fetch if [`may_fetch_keys`](Self::may_fetch_keys), which without a set is always so;
/// 2. on [`VerifyError::KeysMissing`](crate::jose::VerifyError::KeysMissing), fetch if `may_fetch_keys`, else end with
///    the error inside; if the newly fetched keys do not fit either, say [`keys_did_not_fit`](Self::keys_did_not_fit);
/// 3. tell the outcome of every fetch with [`keys_fetched`](Self::keys_fetched) or
///    [`keys_fetch_failed`](Self::keys_fetch_failed), and after a failure ask `keys` once more.
#[derive(Debug, Default)]
pub struct Memory {
    keys: keys::KeySets,
    nonces: nonces::Nonces,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys of this issuer, and of no other, while they may be used.
    pub fn keys(&self, issuer: &str, now: Timestamp) -> Option<Arc<JwkSet>> {
        self.keys.usable(issuer, now)
    }

    /// Whether the keys of this issuer may be fetched now.
    pub fn may_fetch_keys(&self, issuer: &str, now: Timestamp) -> bool {
        self.keys.may_fetch(issuer, now)
    }

    /// Remembers keys that were fetched from this issuer's `jwks_uri`.
    pub fn keys_fetched(&mut self, issuer: &str, keys: JwkSet, now: Timestamp) -> Arc<JwkSet> {
        self.keys.fetched(issuer, keys, now)
    }

    /// Remembers that the keys of this issuer could not be fetched.
    pub fn keys_fetch_failed(&mut self, issuer: &str, now: Timestamp) {
        self.keys.fetch_failed(issuer, now);
    }

    /// Remembers that even keys just fetched did not fit a token: fetching again at once would not help.
    pub fn keys_did_not_fit(&mut self, issuer: &str, now: Timestamp) {
        self.keys.did_not_fit(issuer, now);
    }

    /// The nonce that proofs for this origin must carry, if it has given one.
    pub fn nonce(&self, origin: &str) -> Option<&str> {
        self.nonces.of(origin)
    }

    /// Remembers the nonce that an origin has given with any answer.
    pub fn keep_nonce(&mut self, origin: &str, nonce: &str) {
        self.nonces.keep(origin, nonce);
    }
}
