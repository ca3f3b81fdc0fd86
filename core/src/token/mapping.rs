//! Changing what a token set keeps beside its tokens: the members that this library does not know.
//!
//! Reading them is [`TokenSet::answer`]: [`get`](Object::get), [`contains`](Object::contains),
//! [`members`](Object::members), [`len`](Object::len). The members that this library does know are what the accessors
//! say, and cannot be set: a token set is what a server has answered.

use serde::Serialize;
use zeroize::Zeroizing;

use super::TokenSet;
use super::members::{Layout, Members};
use super::record::{OWN, RECORD_LIMIT};
use crate::error::ConfigError;
use crate::http::json::Object;
use crate::secret::Secret;

/// What a member cannot be, because it would not be read again.
const UNREADABLE: ConfigError = ConfigError::Invalid { setting: "member", why: "too large, too deep, or no JSON" };

impl TokenSet {
    /// Sets a member that this library does not know. It is stored with the tokens, and lost with the next refresh.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a member that this library knows; [`ConfigError::Invalid`] for a value that
    /// is no JSON or with which the whole would be too large. The token set is then as it was.
    ///
    /// ```
    /// use grantflow_core::Timestamp;
    /// use grantflow_core::token::TokenSet;
    /// let stored = br#"{"access_token":"s3cr3t","team":7}"#;
    /// let mut tokens = TokenSet::from_record(stored, Timestamp::from_secs(1_800_000_000))?;
    /// tokens.set_member("team", &8)?;
    /// tokens.set_member("tags", &["a", "b"])?;
    /// assert_eq!(tokens.answer().members().count(), 3);
    /// tokens.remove_member("tags")?;
    /// assert!(!tokens.answer().contains("tags"));
    /// assert!(tokens.set_member("expires_at", &1_900_000_000).is_err());
    /// # Ok::<(), grantflow_core::Error>(())
    /// ```
    pub fn set_member(&mut self, name: &str, value: &impl Serialize) -> Result<(), ConfigError> {
        let value = Zeroizing::new(serde_json::to_string(value).map_err(|_| UNREADABLE)?);
        self.change(name, Some(&value))
    }

    /// Removes a member that this library does not know. That it is not there is no error.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a member that this library knows.
    pub fn remove_member(&mut self, name: &str) -> Result<(), ConfigError> {
        self.change(name, None)
    }

    /// Removes all members that this library does not know.
    pub fn clear_members(&mut self) {
        let mut left = Members::new(Layout::Compact, self.answer.expose().len());
        for ((name, _), (written, value)) in self.answer.members().zip(self.answer.written()) {
            if is_known(&name) {
                left.written(written, value);
            }
        }
        // A part of a good object is one.
        if let Ok(left) = left.into_object() {
            self.answer = left;
        }
    }

    fn change(&mut self, name: &str, value: Option<&str>) -> Result<(), ConfigError> {
        if is_known(name) {
            return Err(ConfigError::ReservedParameter(name.to_owned()));
        }
        let mut changed = Members::new(Layout::Compact, self.answer.expose().len());
        let (removed, mut value) = (value.is_none(), value);
        for ((found, _), (written, kept)) in self.answer.members().zip(self.answer.written()) {
            if found != name {
                changed.written(written, kept);
            } else if let Some(value) = value.take() {
                changed.written(written, value);
            }
        }
        if let Some(value) = value {
            changed.named(name, value);
        }
        let changed = changed.into_object().ok().filter(|changed| removed || is_small(changed));
        self.answer = changed.ok_or(UNREADABLE)?;
        Ok(())
    }

    /// Keeps of the tokens before these what a refresh need not say again: the refresh token, the scope, the resources
    /// and whom they speak of (RFC 6749 §5.1, §6).
    ///
    /// The flows of this library do so on their own. It is for tokens that somebody else has refreshed.
    #[must_use]
    pub fn succeeding(mut self, old: &TokenSet) -> Self {
        if self.granted.is_none() && self.requested.is_empty() {
            self.requested = old.scope().clone();
        }
        if self.resources.is_empty() {
            self.resources = old.resources.clone();
        }
        self.person = self.person.or_else(|| old.person.clone());
        self.keeping(old.refresh_token.as_ref())
    }

    /// Lays these tokens over the ones before: all that [`succeeding`](Self::succeeding) keeps, and the id_token and all
    /// members too that are not in the new answer.
    ///
    /// For programs that keep more with their tokens than a server sends each time. Times are never kept. Where both
    /// together would be too large, the old members are left behind.
    #[must_use]
    pub fn merged_over(self, old: &TokenSet) -> Self {
        let mut merged = self.succeeding(old);
        if merged.id_token.is_none() {
            merged.id_token = old.id_token.as_ref().map(Secret::duplicate);
        }
        let room = old.answer.expose().len().saturating_add(merged.answer.expose().len());
        let mut both = Members::new(Layout::Compact, room);
        let old_members = old
            .answer
            .members()
            .zip(old.answer.written())
            .filter(|((name, _), _)| !is_known(name) && !merged.answer.contains(name));
        let new_members = merged.answer.members().zip(merged.answer.written());
        for (_, (written, value)) in old_members.chain(new_members) {
            both.written(written, value);
        }
        if let Some(both) = both.into_object().ok().filter(is_small) {
            merged.answer = both;
        }
        merged
    }
}

/// Whether this library knows a member, and says itself what it is.
fn is_known(name: &str) -> bool {
    name == "expires_in" || OWN.contains(&name)
}

/// Whether a record with this answer in it can be read again: half of one is room for the tokens.
fn is_small(answer: &Object) -> bool {
    answer.expose().len() <= RECORD_LIMIT / 2
}

#[cfg(test)]
mod tests;
