//! Records that end with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Listed, StoreKey, StoreWrite, Stored};

use crate::{Claimed, Saved, Store};

/// Keeps records as long as the process lives. Clones share them, so handles of both drivers can.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<StoreKey, Stored>,
    claimed: BTreeSet<StoreKey>,
}

impl MemoryStore {
    /// Keeps nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.kept().records.get(key).map(Stored::duplicate))
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        let mut kept = self.kept();
        if !write.expected.allows(kept.records.get(&write.key).map(|stored| stored.version)) {
            return Ok(Saved::Conflict);
        }
        kept.records.insert(write.key, write.stored);
        Ok(Saved::Done)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.kept().records.remove(key);
        Ok(())
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        let began = Instant::now();
        let mut kept = self.kept();
        while !kept.claimed.insert(claim.key.clone()) {
            let Some(left) = claim.wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(StoreError::new(StoreFault::Busy, "another part of this program renews"));
            };
            kept = self.0.let_go.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Some(Box::new(InMemory { shared: Arc::clone(&self.0), key: claim.key.clone() })))
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let kept = self.kept();
        Ok(kept.records.iter().map(|(key, stored)| Listed { key: key.clone(), version: stored.version }).collect())
    }
}

#[derive(Debug)]
struct InMemory {
    shared: Arc<Shared>,
    key: StoreKey,
}

impl Claimed for InMemory {}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).claimed.remove(&self.key);
        self.shared.let_go.notify_all();
    }
}
