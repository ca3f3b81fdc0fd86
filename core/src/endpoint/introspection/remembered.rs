//! Good answers, remembered for a moment, so that a busy service need not ask about each request.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Active;
use crate::manager::TokenId;
use crate::time::Timestamp;

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
