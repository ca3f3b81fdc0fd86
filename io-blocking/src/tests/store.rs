//! The store beside the token manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, StoreKey, StoreWrite, Stored};
use grantflow_stores::{Claimed, MemoryStore, Saved, Store};

use super::api::{Renewals, driver, fresh};
use crate::Tokens;

/// A store whose saves can be made to fail.
#[derive(Clone, Debug, Default)]
struct Fragile {
    inner: MemoryStore,
    broken: Arc<AtomicBool>,
}

impl Store for Fragile {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key)
    }
    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreFault::Full, "no room"));
        }
        self.inner.save(write)
    }
    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(key)
    }
    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        self.inner.claim(claim)
    }
}

#[test]
fn nobody_else_may_renew_before_what_was_renewed_is_saved() {
    let (driver, clock) = driver();
    let store = Fragile::default();
    let key = StoreKey::of("https://issuer.example", "me", "someone").unwrap();
    let tokens = Tokens::delegated(driver, key.clone(), Renewals::default()).with_store(store.clone());
    let handle = tokens.adopt(fresh()).unwrap();
    let claim = || store.claim(&Claim { key: key.clone(), wait: Duration::ZERO, lease: Duration::from_secs(60) });
    store.broken.store(true, Ordering::Relaxed);
    // The second time it is only tried again.
    for _ in 0..2 {
        clock.advance(Duration::from_secs(100));
        assert!(handle.renew().unwrap().unsaved().is_some());
        assert!(claim().is_err(), "others would renew with the token that was used up");
    }
    store.broken.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_secs(60));
    handle.credential().unwrap();
    handle.settled();
    assert!(handle.credential().unwrap().unsaved().is_none());
    assert!(claim().is_ok());
}
