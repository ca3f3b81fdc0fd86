//! Stores of tokens without blocking a runtime.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Listed, StoreKey, StoreWrite, Stored};
use grantflow_stores::{Claimed, Saved, Store};
use tokio::sync::Notify;

use crate::Pending;

/// A [`Store`] that waits without blocking. Its functions promise what those of [`Store`] promise.
///
/// A call that is given up must leave the old record or the new one, whole, and should write nothing after that: a login that
/// is written late may overwrite something newer. The driver gives up a call that takes too long
/// ([`Driver::with_store_timeout`](crate::Driver::with_store_timeout)).
pub trait AsyncStore: Debug + Send + Sync {
    /// As [`Store::load`].
    fn load(&self, key: StoreKey) -> Pending<'_, Result<Option<Stored>, StoreError>>;

    /// As [`Store::save`].
    fn save(&self, write: StoreWrite) -> Pending<'_, Result<Saved, StoreError>>;

    /// As [`Store::delete`].
    fn delete(&self, key: StoreKey) -> Pending<'_, Result<(), StoreError>>;

    /// As [`Store::claim`]. The default claims nothing.
    fn claim(&self, _claim: Claim) -> Pending<'_, Result<Option<Box<dyn Claimed>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    /// As [`Store::list`].
    fn list(&self) -> Pending<'_, Result<Vec<Listed>, StoreError>> {
        Box::pin(async { Err(StoreError::new(StoreFault::Unavailable, "this store cannot list what it keeps")) })
    }
}

/// Calls a store that blocks on threads that may be blocked. A call that has begun is brought to its end there, whatever
/// becomes of whoever waits for it; until then nothing else writes that record here, so that a late write overwrites no
/// later one.
#[derive(Debug)]
pub struct OnThreads<S> {
    store: Arc<S>,
    turns: Arc<Turns>,
}

impl<S: Store + 'static> OnThreads<S> {
    /// Calls `store`.
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store), turns: Arc::default() }
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&store)).await;
            // It has panicked, or the runtime is shutting down.
            done.unwrap_or_else(|_| Err(StoreError::new(StoreFault::Unavailable, "the store's thread is gone")))
        })
    }

    /// The same for a call that writes: one after the other.
    fn write<T: Send + 'static>(
        &self,
        key: StoreKey,
        work: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        Box::pin(async move {
            let turn = Turns::take(&self.turns, key).await;
            self.call(move |store| {
                let done = work(store);
                drop(turn);
                done
            })
            .await
        })
    }
}

impl<S: Store + 'static> AsyncStore for OnThreads<S> {
    fn load(&self, key: StoreKey) -> Pending<'_, Result<Option<Stored>, StoreError>> {
        self.call(move |store| store.load(&key))
    }

    fn save(&self, write: StoreWrite) -> Pending<'_, Result<Saved, StoreError>> {
        self.write(write.key.clone(), move |store| store.save(write))
    }

    fn delete(&self, key: StoreKey) -> Pending<'_, Result<(), StoreError>> {
        self.write(key.clone(), move |store| store.delete(&key))
    }

    fn claim(&self, claim: Claim) -> Pending<'_, Result<Option<Box<dyn Claimed>>, StoreError>> {
        self.call(move |store| store.claim(&claim))
    }

    fn list(&self) -> Pending<'_, Result<Vec<Listed>, StoreError>> {
        self.call(|store| store.list())
    }
}

/// The records that are being written.
#[derive(Debug, Default)]
struct Turns {
    taken: Mutex<BTreeSet<StoreKey>>,
    freed: Notify,
}

/// Nothing else writes this record.
#[derive(Debug)]
struct Turn {
    turns: Arc<Turns>,
    key: StoreKey,
}

impl Turns {
    async fn take(turns: &Arc<Self>, key: StoreKey) -> Turn {
        loop {
            let mut freed = pin!(turns.freed.notified());
            // Before the look, so that nothing is freed unheard after it.
            freed.as_mut().enable();
            if turns.taken().insert(key.clone()) {
                return Turn { turns: Arc::clone(turns), key };
            }
            freed.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<StoreKey>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.key);
        self.turns.freed.notify_waiters();
    }
}

/// Lets a claim go. That may take the same I/O as getting it did.
pub(crate) async fn release(claimed: Box<dyn Claimed>) {
    // Whatever goes wrong there, the claim ends by itself.
    let _ = tokio::task::spawn_blocking(move || drop(claimed)).await;
}
