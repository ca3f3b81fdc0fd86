//! From one store to another.

use std::sync::Mutex;

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{StoreKey, StoreWrite, Stored};
use grantflow_stores::{FileStore, MemoryStore, Saved, SqliteStore, Store, Transferred, transfer};

use crate::support::{found, kept, key, log_in, place, renew};

#[test]
fn st_11_a_login_moves_whole_and_is_erased_behind() {
    let (one, two) = (place(), place());
    let stores: [&dyn Store; 3] = [&FileStore::at(&one.path), &SqliteStore::at(&two.path), &MemoryStore::new()];
    log_in(stores[0], "default", 1, "r1");
    log_in(stores[0], "other", 2, "r2");
    for pair in stores.windows(2) {
        assert_eq!(transfer(pair[0], pair[1], &key("default")), Ok(Transferred::Done));
        assert_eq!((found(pair[0], "default"), found(pair[1], "default")), (Ok(None), kept(1, "r1")));
        assert_eq!(transfer(pair[0], pair[1], &key("default")), Ok(Transferred::Nothing));
    }
    assert_eq!(found(stores[0], "other"), kept(2, "r2"));
}

#[test]
fn st_11_another_login_in_the_new_store_stays() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    log_in(&old, "default", 1, "r1");
    log_in(&new, "default", 2, "r2");
    assert_eq!(transfer(&old, &new, &key("default")), Ok(Transferred::Conflict));
    assert_eq!((found(&old, "default"), found(&new, "default")), (kept(1, "r1"), kept(2, "r2")));
}

#[test]
fn st_11_a_move_that_was_interrupted_is_completed() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    log_in(&old, "default", 1, "r1");
    log_in(&new, "default", 1, "r1");
    assert_eq!(transfer(&old, &new, &key("default")), Ok(Transferred::Done));
    assert_eq!((found(&old, "default"), found(&new, "default")), (Ok(None), kept(1, "r1")));
}

#[test]
fn st_11_a_store_moved_to_itself_keeps_its_login() {
    let place = place();
    let (one, two) = (FileStore::at(&place.path), FileStore::at(place.parent().join("./tokens.json")));
    log_in(&one, "default", 1, "r1");
    assert_eq!(transfer(&one, &two, &key("default")).map_err(|error| error.fault), Err(StoreFault::Denied));
    assert_eq!(found(&one, "default"), kept(1, "r1"));
}

/// A store in which something goes wrong.
#[derive(Debug)]
struct Odd {
    inner: MemoryStore,
    what: What,
    /// What is renewed here while the record moves.
    other: Mutex<Option<MemoryStore>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Forgets,
    Changes,
    Fails,
    Renews,
    LogsOut,
}

impl Store for Odd {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key)
    }

    fn save(&self, mut write: StoreWrite) -> Result<Saved, StoreError> {
        match self.what {
            What::Forgets => return Ok(Saved::Done),
            What::Changes => write.stored.bytes = grantflow_core::Secret::new(b"{}".to_vec()),
            What::Fails => return Err(StoreError::new(StoreFault::Full, "")),
            What::Renews | What::LogsOut => {
                if let Some(other) = self.other.lock().unwrap().take() {
                    match self.what {
                        What::LogsOut => other.delete(&write.key)?,
                        _ => drop(renew(&other, "default", 1, 2)?),
                    }
                }
            }
        }
        self.inner.save(write)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(key)
    }
}

#[test]
fn st_11_nothing_is_erased_before_the_new_store_gives_the_record_back() {
    for what in [What::Forgets, What::Changes, What::Fails] {
        let old = MemoryStore::new();
        log_in(&old, "default", 1, "r1");
        let new = Odd { inner: MemoryStore::new(), what, other: Mutex::default() };
        let fault = if what == What::Fails { StoreFault::Full } else { StoreFault::Unavailable };
        assert_eq!(transfer(&old, &new, &key("default")).map_err(|error| error.fault), Err(fault), "{what:?}");
        assert_eq!(found(&old, "default"), kept(1, "r1"), "{what:?}");
    }
}

#[test]
fn st_11_a_record_that_is_renewed_meanwhile_is_followed() {
    let old = MemoryStore::new();
    log_in(&old, "default", 1, "r1");
    let new = Odd { inner: MemoryStore::new(), what: What::Renews, other: Mutex::new(Some(old.clone())) };
    assert_eq!(transfer(&old, &new, &key("default")), Ok(Transferred::Done));
    assert_eq!((found(&old, "default"), found(&new, "default")), (Ok(None), kept(2, "secret-2")));
}

#[test]
fn st_11_a_logout_meanwhile_counts_for_both() {
    let old = MemoryStore::new();
    log_in(&old, "default", 1, "r1");
    let new = Odd { inner: MemoryStore::new(), what: What::LogsOut, other: Mutex::new(Some(old.clone())) };
    assert_eq!(transfer(&old, &new, &key("default")), Ok(Transferred::Nothing));
    assert_eq!((found(&old, "default"), found(&new, "default")), (Ok(None), Ok(None)));
}
