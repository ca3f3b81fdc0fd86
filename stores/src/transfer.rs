//! From one store to another.

use std::time::Duration;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored};

use crate::Store;

/// How often a record is followed that is renewed while it moves, where it cannot be claimed.
const ATTEMPTS: usize = 5;

/// How long to wait for somebody who renews.
const WAIT: Duration = Duration::from_secs(30);

/// How long a claim may last where the store cannot see that its holder is gone.
const LEASE: Duration = Duration::from_secs(60);

/// What came of moving a login to another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// It is in the new store, and in the old one no more.
    Done,
    /// There was nothing to move.
    Nothing,
    /// The new store has another login under this key. Nothing was changed.
    Conflict,
}

/// Moves what is under `key` to another store. The old record is erased only after the new one was saved and read back.
///
/// If it fails, or the program ends on the way, the login is in the old store or in both, and the same call completes it.
///
/// # Errors
/// [`StoreError`] of either store; [`StoreFault::Busy`] when the record was renewed again and again meanwhile.
pub fn transfer(from: &dyn Store, to: &dyn Store, key: &StoreKey) -> Result<Transferred, StoreError> {
    let _claimed = from.claim(&Claim { key: key.clone(), wait: WAIT, lease: LEASE })?;
    let mut expected = Expected::Absent;
    let Some(mut old) = from.load(key)? else { return Ok(Transferred::Nothing) };
    for _ in 0..ATTEMPTS {
        let there = to.load(key)?;
        let allowed = expected.allows(there.as_ref().map(|there| there.version));
        match there {
            Some(there) if is_same(&there, &old) => {}
            _ if !allowed => return Ok(Transferred::Conflict),
            _ => {
                // Whether it did so is seen next.
                to.save(StoreWrite { key: key.clone(), expected, stored: old.duplicate() })?;
            }
        }
        if !to.load(key)?.is_some_and(|there| is_same(&there, &old)) {
            return Err(StoreError::new(
                StoreFault::Unavailable,
                "the new store does not give back what was saved in it",
            ));
        }
        match from.load(key)? {
            Some(now) if is_same(&now, &old) => {
                from.delete(key)?;
                return confirm(to, key, &old);
            }
            // Somebody has logged out.
            None => {
                to.delete(key)?;
                return Ok(Transferred::Nothing);
            }
            Some(now) => {
                expected = Expected::Version(old.version);
                old = now;
            }
        }
    }
    Err(StoreError::new(StoreFault::Busy, "the record is renewed all the time"))
}

/// Two ways to the same store look like two stores until the record is erased.
fn confirm(to: &dyn Store, key: &StoreKey, moved: &Stored) -> Result<Transferred, StoreError> {
    if to.load(key)?.is_some() {
        return Ok(Transferred::Done);
    }
    to.save(StoreWrite { key: key.clone(), expected: Expected::Absent, stored: moved.duplicate() })?;
    Err(StoreError::new(StoreFault::Denied, "the new store is the old one"))
}

fn is_same(one: &Stored, other: &Stored) -> bool {
    one.version == other.version && one.bytes.matches(other.bytes.expose())
}
