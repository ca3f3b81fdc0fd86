//! Stores of tokens without blocking a runtime.

use std::fmt::Debug;
use std::sync::Arc;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Listed, StoreKey, StoreWrite, Stored};
use grantflow_stores::{Claimed, Saved, Store};

use crate::Pending;

/// A [`Store`] that waits without blocking. Its functions promise what those of [`Store`] promise.
///
/// A call that is given up must leave the old record or the new one, whole.
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
/// becomes of whoever waits for it.
#[derive(Debug)]
pub struct OnThreads<S>(Arc<S>);

impl<S: Store + 'static> OnThreads<S> {
    /// Calls `store`.
    pub fn new(store: S) -> Self {
        Self(Arc::new(store))
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&store)).await;
            // It has panicked, or the runtime is shutting down.
            done.unwrap_or_else(|_| Err(StoreError::new(StoreFault::Unavailable, "the store's thread is gone")))
        })
    }
}

impl<S: Store + 'static> AsyncStore for OnThreads<S> {
    fn load(&self, key: StoreKey) -> Pending<'_, Result<Option<Stored>, StoreError>> {
        self.call(move |store| store.load(&key))
    }

    fn save(&self, write: StoreWrite) -> Pending<'_, Result<Saved, StoreError>> {
        self.call(move |store| store.save(write))
    }

    fn delete(&self, key: StoreKey) -> Pending<'_, Result<(), StoreError>> {
        self.call(move |store| store.delete(&key))
    }

    fn claim(&self, claim: Claim) -> Pending<'_, Result<Option<Box<dyn Claimed>>, StoreError>> {
        self.call(move |store| store.claim(&claim))
    }

    fn list(&self) -> Pending<'_, Result<Vec<Listed>, StoreError>> {
        self.call(|store| store.list())
    }
}

/// Lets a claim go. That may take the same I/O as getting it did.
pub(crate) async fn release(claimed: Box<dyn Claimed>) {
    // Whatever goes wrong there, the claim ends by itself.
    let _ = tokio::task::spawn_blocking(move || drop(claimed)).await;
}
