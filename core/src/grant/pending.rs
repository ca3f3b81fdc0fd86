//! Pending authorization-code flows of many people, for a web server that keeps them in memory.

use std::collections::BTreeMap;

use crate::Secret;
use crate::callback::CallbackParams;
use crate::error::{BadCallback, Error};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

use super::AuthorizationCode;

/// The most flows that wait at once; beyond it the oldest is forgotten.
const CAPACITY: usize = 10_000;

/// Flows that wait for their callback, each bound to the browser session that began it.
///
/// A callback *takes* its flow: a second one finds nothing. A flow is found only from the session that began it, so
/// nobody can finish a login in another person's browser. For several processes keep the same rules in your own store:
/// key by session and `state`, let entries expire, and read and delete in one step.
///
/// ```
/// use grantflow_core::grant::PendingFlows;
/// let mut pending = PendingFlows::default();
/// assert!(pending.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct PendingFlows {
    flows: BTreeMap<u64, Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    session: Secret,
    state: Secret,
    snapshot: Snapshot,
    expires_at: Timestamp,
}

impl PendingFlows {
    /// Keeps a flow that waits for its callback. `session` names the browser session that began it.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the flow does not wait for a callback.
    pub fn insert(&mut self, session: &str, flow: &AuthorizationCode, now: Timestamp) -> Result<(), Error> {
        let snapshot = flow.snapshot()?;
        let (state, expires_at) = flow.waiting_for()?;
        while let Some(oldest) = self.flows.first_entry() {
            if oldest.get().expires_at > now && self.flows.len() < CAPACITY {
                break;
            }
            self.flows.pop_first();
        }
        let waiting = Waiting { session: Secret::from(session), state: state.duplicate(), snapshot, expires_at };
        self.flows.insert(self.next, waiting);
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// Takes the flow that a callback belongs to, if the same session began it and it has not expired.
    ///
    /// # Errors
    /// [`BadCallback::StateMissing`] or [`BadCallback::StateMismatch`]: there is no such flow (any more).
    pub fn take(&mut self, session: &str, callback: &CallbackParams, now: Timestamp) -> Result<Snapshot, Error> {
        let state = callback.state().ok_or(BadCallback::StateMissing)?;
        let found = self.flows.iter().find(|(_, waiting)| {
            waiting.expires_at > now && waiting.state.matches(state.expose()) && waiting.session.matches(session)
        });
        let key = found.map(|(key, _)| *key).ok_or(BadCallback::StateMismatch)?;
        let waiting = self.flows.remove(&key).ok_or(BadCallback::StateMismatch)?;
        Ok(waiting.snapshot)
    }

    /// How many flows wait.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether no flow waits.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}
