//! Where tokens are kept. One trait, [`Store`], serves both drivers.
//!
//! Every call blocks: the tokio driver makes it on a thread that may be blocked. A renewal an hour is worth no second
//! implementation. What the bytes mean is not known here; see [`grantflow_core::store`].
//!
//! A store of your own is three functions; without a claim of its own, processes that renew the same token at the same moment are told
//! apart by the version alone, and the server sees the refresh token twice:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Mutex;
//! use grantflow_core::error::StoreError;
//! use grantflow_core::store::{StoreKey, StoreWrite, Stored};
//! use grantflow_stores::{Saved, Store};
//!
//! #[derive(Debug, Default)]
//! struct Own(Mutex<BTreeMap<StoreKey, Stored>>);
//!
//! impl Store for Own {
//!     fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
//!         Ok(self.0.lock().unwrap().get(key).map(Stored::duplicate))
//!     }
//!     fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
//!         let mut records = self.0.lock().unwrap();
//!         if !write.expected.allows(records.get(&write.key).map(|stored| stored.version)) {
//!             return Ok(Saved::Conflict);
//!         }
//!         records.insert(write.key, write.stored);
//!         Ok(Saved::Done)
//!     }
//!     fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
//!         self.0.lock().unwrap().remove(key);
//!         Ok(())
//!     }
//! }
//! ```

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "encrypted")]
mod encrypted;
mod file;
#[cfg(any(fuzzing, feature = "testing"))]
pub mod fuzz;
#[cfg(feature = "keyring-core")]
mod keyring;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transfer;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod waiting;

use std::fmt::Debug;
use std::sync::Arc;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Listed, StoreKey, StoreWrite, Stored};

#[cfg(feature = "encrypted")]
pub use encrypted::ENCRYPTION_KEY_LENGTH;
pub use file::FileStore;
#[cfg(feature = "keyring-core")]
pub use keyring::KeyringStore;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use transfer::{Transferred, transfer};

/// Keeps records under keys.
///
/// Errors name no secret, and no password of a URL. Nothing is retried without bound, and every call comes back: whoever waits
/// for a token may wait for it. The tokio driver gives up a call that takes too long; a thread that is blocked cannot be called
/// back, so the blocking driver waits as long as the store does.
pub trait Store: Debug + Send + Sync {
    /// What is kept under `key`, as a whole.
    ///
    /// # Errors
    /// [`StoreError`]; what cannot be read is never reported as absent.
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError>;

    /// Writes, if what is kept is what was expected. After [`Saved::Done`] the record survives a crash, or the store says in
    /// its documentation that it does not.
    ///
    /// # Errors
    /// [`StoreError`]; what was there before is there still.
    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError>;

    /// Forgets what is kept under `key`, with all copies of it. Nothing to forget is success.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete(&self, key: &StoreKey) -> Result<(), StoreError>;

    /// Becomes the only one who may replace what is under a key, among all processes that share the medium. Waits for others
    /// as long as the claim says.
    ///
    /// The default claims nothing, for media that cannot.
    ///
    /// # Errors
    /// [`StoreFault::Busy`] when somebody else did not let go in time.
    fn claim(&self, _claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        Ok(None)
    }

    /// Which logins are kept here.
    ///
    /// # Errors
    /// [`StoreFault::Unavailable`] where the medium cannot tell.
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        Err(StoreError::new(StoreFault::Unavailable, "this store cannot list what it keeps"))
    }
}

/// A claim that is held. Dropping it lets go; a process that dies lets go too, at once or when the lease is over.
pub trait Claimed: Debug + Send {}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is done.
    Done,
    /// Something else is kept than was expected. Nothing was written.
    Conflict,
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        (**self).load(key)
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        (**self).save(write)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        (**self).delete(key)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        (**self).claim(claim)
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        (**self).list()
    }
}
