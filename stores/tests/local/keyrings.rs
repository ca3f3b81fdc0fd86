//! The keyring, played by the mock of keyring-core.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::error::StoreFault;
use grantflow_core::store::Expected;
use grantflow_stores::{FileStore, KeyringStore, Saved, Store};
use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::{Entry, Error, mock};

use crate::support::{Place, claim, found, kept, key, log_in, place, record, renew, write};

/// As large as a piece is.
const PIECE: usize = 32 * 1024;

struct Keyring {
    place: Place,
    items: Arc<mock::Store>,
    store: KeyringStore,
}

fn keyring() -> Keyring {
    let (place, items) = (place(), mock::Store::new().unwrap());
    let store = KeyringStore::in_keyring(items.clone(), "tests").with_lock_folder(place.parent());
    Keyring { place, items, store }
}

impl Keyring {
    fn item(&self, end: &str) -> Entry {
        self.items.build("tests", &format!("{}{end}", key("default").to_text()), None).unwrap()
    }

    /// Lets the next thing fail that is done with an item.
    fn fail(&self, end: &str, error: Error) {
        let item = self.item(end);
        item.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
    }

    /// How many items are there.
    fn items(&self) -> usize {
        let mut inner = self.items.inner.lock().unwrap();
        inner.get_mut().iter().filter(|item| item.inner.lock().unwrap().get_mut().secret.is_some()).count()
    }
}

fn locked() -> Error {
    Error::NoStorageAccess("the collection is locked, a prompt was dismissed".into())
}

#[test]
fn st_09_a_locked_keyring_is_told_and_nothing_is_written_elsewhere() {
    let keyring = keyring();
    for error in [locked, || Error::PlatformFailure("no session bus".into()), || Error::NoDefaultStore] {
        keyring.fail("", error());
        assert_eq!(found(&keyring.store, "default"), Err(StoreFault::Unavailable));
        keyring.fail("", error());
        let saved = keyring.store.save(write("default", Expected::Anything, 1, &record(1, "topsecret")));
        assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Unavailable));
        keyring.fail("", error());
        assert_eq!(keyring.store.delete(&key("default")).map_err(|error| error.fault), Err(StoreFault::Unavailable));
    }
    assert!(keyring.place.bytes().is_empty(), "something is in a file");
    assert_eq!(keyring.items(), 0);
}

/// What the caller holds in memory goes on working: that is the token manager's part, and is the same for every store that fails.
#[test]
fn fl_29_a_keyring_that_dies_between_read_and_write_is_told_and_keeps_what_it_had() {
    let keyring = keyring();
    let old = record(1, "old");
    keyring.store.save(write("default", Expected::Anything, 1, &old)).unwrap();
    assert_eq!(keyring.store.load(&key("default")).unwrap().unwrap().bytes.expose(), &old);
    keyring.fail("", Error::PlatformFailure("the service has left the bus".into()));
    let expected = Expected::Version(grantflow_core::store::Version::from_u64(1));
    let saved = keyring.store.save(write("default", expected, 2, &record(2, "new")));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Unavailable));
    // It is back: the old record stands whole, and the new one can be saved in its place.
    assert_eq!(keyring.store.load(&key("default")).unwrap().unwrap().bytes.expose(), &old);
    assert_eq!(keyring.store.save(write("default", expected, 2, &record(2, "new"))), Ok(Saved::Done));
}

#[test]
fn st_10_a_long_record_is_cut_into_pieces_and_put_together() {
    let keyring = keyring();
    for (version, length) in
        [(1, 0), (2, 1), (3, PIECE - 1), (4, PIECE), (5, PIECE + 1), (6, 5 * PIECE), (7, 128 * PIECE), (8, 3)]
    {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let saved = keyring.store.save(write("default", Expected::Anything, version, &bytes));
        assert_eq!(saved, Ok(Saved::Done));
        assert_eq!(keyring.store.load(&key("default")).unwrap().unwrap().bytes.expose(), &bytes);
        assert_eq!(keyring.items(), 1 + length.div_ceil(PIECE), "pieces of another record are left");
    }
    let large = vec![0; 128 * PIECE + 1];
    let saved = keyring.store.save(write("default", Expected::Anything, 9, &large));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::TooLarge));
    keyring.store.delete(&key("default")).unwrap();
    assert_eq!(keyring.items(), 0);
}

/// Fails a save at each item, as if the daemon had gone.
#[test]
fn st_10_half_written_pieces_leave_the_old_record() {
    for stop in [" b 1", " b 2", " b 3", ""] {
        let keyring = keyring();
        log_in(&keyring.store, "default", 1, "r1");
        let long = record(2, &"x".repeat(3 * PIECE - 500));
        let saves = || {
            keyring.store.save(write(
                "default",
                Expected::Version(grantflow_core::store::Version::from_u64(1)),
                2,
                &long,
            ))
        };
        if stop.is_empty() {
            // The head is read first, so it is made to fail for good at the second time.
            keyring.fail(" b 3", locked());
        } else {
            keyring.fail(stop, locked());
        }
        assert_eq!(saves().map_err(|error| error.fault), Err(StoreFault::Unavailable), "{stop}");
        assert_eq!(found(&keyring.store, "default"), kept(1, "r1"), "{stop}");
        assert_eq!(saves(), Ok(Saved::Done));
        assert_eq!(keyring.store.load(&key("default")).unwrap().unwrap().bytes.expose(), &long);
        keyring.store.delete(&key("default")).unwrap();
        assert_eq!(keyring.items(), 0, "{stop}");
    }
}

#[test]
fn st_10_pieces_of_different_records_are_noticed() {
    let change: [fn(&Keyring); 5] = [
        |keyring| keyring.item(" a 2").delete_credential().unwrap(),
        |keyring| keyring.item(" a 1").set_secret(b"{").unwrap(),
        |keyring| {
            let (one, two) = (keyring.item(" a 1").get_secret().unwrap(), keyring.item(" a 2").get_secret().unwrap());
            keyring.item(" a 1").set_secret(&two).unwrap();
            keyring.item(" a 2").set_secret(&one).unwrap();
        },
        |keyring| keyring.item("").set_secret(b"grantflow 1 1 a 2").unwrap(),
        |keyring| keyring.item("").set_secret(b"somebody else's").unwrap(),
    ];
    for change in change {
        let keyring = keyring();
        log_in(&keyring.store, "default", 1, &"x".repeat(PIECE + 500));
        change(&keyring);
        assert_eq!(found(&keyring.store, "default"), Err(StoreFault::Corrupt));
        assert_eq!(renew(&keyring.store, "default", 1, 2).map_err(|error| error.fault), Err(StoreFault::Corrupt));
        log_in(&keyring.store, "default", 3, "r3");
        assert_eq!(found(&keyring.store, "default"), kept(3, "r3"));
    }
}

#[test]
fn a_piece_that_is_gone_for_a_moment_is_looked_for_again_and_any_other_failure_is_told() {
    let keyring = keyring();
    log_in(&keyring.store, "default", 1, "r1");
    // As when somebody else saves between the head and the pieces.
    keyring.fail(" a 1", Error::NoEntry);
    assert_eq!(found(&keyring.store, "default"), kept(1, "r1"));
    keyring.fail(" a 1", locked());
    assert_eq!(found(&keyring.store, "default"), Err(StoreFault::Unavailable));
}

#[test]
fn every_program_has_locks_of_its_own_in_the_lock_folder() {
    let place = place();
    let services = ["te-sts", "tests", "te/../sts", "te_sts"];
    let held = services.map(|service| {
        let store = KeyringStore::in_keyring(mock::Store::new().unwrap(), service).with_lock_folder(place.parent());
        store.claim(&claim("default", Duration::ZERO)).unwrap().unwrap()
    });
    let names = place.names();
    let end = ".claim-35763799e42d13574585d24f81294977";
    let names: Vec<_> = names.iter().map(|name| name.strip_suffix(end).unwrap()).collect();
    // All versions of a program must lock the same files.
    assert_eq!(names, ["keyring-te-sts", "keyring-te_2f_2e_2e_2fsts", "keyring-te_5fsts", "keyring-tests"]);
    drop(held);
}

#[test]
fn st_10_a_keyring_that_takes_less_is_told() {
    let keyring = keyring();
    keyring.fail(" a 1", Error::TooLong("secret".to_owned(), 2560));
    let saved = keyring.store.save(write("default", Expected::Anything, 1, &record(1, "r1")));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::TooLarge));
    assert_eq!(found(&keyring.store, "default"), Ok(None));
}

/// A keyring that keeps the beginning of what it is given, and says that all is well.
#[derive(Debug)]
struct Cutting(Arc<mock::Store>);

#[derive(Debug)]
struct Cut(Entry);

impl CredentialStoreApi for Cutting {
    fn vendor(&self) -> String {
        self.0.vendor()
    }
    fn id(&self) -> String {
        self.0.id()
    }
    fn build(&self, service: &str, user: &str, modifiers: Option<&HashMap<&str, &str>>) -> keyring_core::Result<Entry> {
        Ok(Entry::new_with_credential(Arc::new(Cut(self.0.build(service, user, modifiers)?))))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl CredentialApi for Cut {
    fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
        self.0.set_secret(secret.get(..2560).unwrap_or(secret))
    }
    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        self.0.get_secret()
    }
    fn delete_credential(&self) -> keyring_core::Result<()> {
        self.0.delete_credential()
    }
    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }
    fn get_specifiers(&self) -> Option<(String, String)> {
        self.0.get_specifiers()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn st_10_a_keyring_that_cuts_is_found_out_before_the_old_record_is_replaced() {
    let keyring = keyring();
    let cutting = Arc::new(Cutting(keyring.items.clone()));
    let store = KeyringStore::in_keyring(cutting, "tests").with_lock_folder(keyring.place.parent());
    log_in(&store, "default", 1, "r1");
    let saved = store.save(write("default", Expected::Anything, 2, &record(2, &"x".repeat(2560))));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Unavailable));
    assert_eq!(found(&store, "default"), kept(1, "r1"));
}

#[test]
fn st_22_a_logout_empties_the_keyring() {
    let keyring = keyring();
    log_in(&keyring.store, "default", 1, &"x".repeat(2 * PIECE));
    // What a killed save has left beside the pieces in use.
    keyring.item(" b 1").set_secret(b"topsecret").unwrap();
    keyring.item(" b 2").set_secret(b"topsecret").unwrap();
    keyring.store.delete(&key("default")).unwrap();
    assert_eq!(keyring.items(), 0);
}

#[test]
fn a_key_for_a_file_is_made_once_and_kept() {
    let keyring = keyring();
    let sealed = |name| FileStore::at(&keyring.place.path).encrypted_with_key_in(&keyring.store, name);
    let store = sealed("tokens").unwrap();
    log_in(&store, "default", 1, "r1");
    let again = sealed("tokens").unwrap();
    assert_eq!(found(&again, "default"), kept(1, "r1"));
    let other = sealed("other").unwrap();
    assert_eq!(found(&other, "default"), Err(StoreFault::Corrupt));
    let item = keyring.items.build("tests", "encryption key tokens", None).unwrap();
    assert_eq!(item.get_secret().unwrap().len(), 32);
    item.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(locked());
    let failed = sealed("tokens");
    assert!(matches!(failed, Err(grantflow_core::Error::Store(error)) if error.fault == StoreFault::Unavailable));
}

#[test]
fn what_a_keyring_says_is_told_by_its_kind() {
    let keyring = keyring();
    log_in(&keyring.store, "default", 1, "r1");
    let strange = || "strange".into();
    let rows = [
        (locked(), StoreFault::Unavailable, "the collection is locked, a prompt was dismissed"),
        (Error::PlatformFailure("no session bus".into()), StoreFault::Unavailable, "no session bus"),
        (Error::BadEncoding(Vec::new()), StoreFault::Corrupt, "something else"),
        (Error::BadDataFormat(Vec::new(), strange()), StoreFault::Corrupt, "something else"),
        (Error::BadStoreFormat("strange".to_owned()), StoreFault::Corrupt, "something else"),
        (Error::Ambiguous(Vec::new()), StoreFault::Corrupt, "several items"),
        (Error::Invalid("user".to_owned(), "too odd".to_owned()), StoreFault::Unavailable, "such items"),
        (Error::NotSupportedByStore("secrets".to_owned()), StoreFault::Unavailable, "such items"),
    ];
    for (error, fault, words) in rows {
        let shown = format!("{error:?}");
        keyring.fail("", error);
        let told = keyring.store.load(&key("default")).unwrap_err();
        assert!(told.fault == fault && told.detail.contains(words), "{shown}: {told:?}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let keyring = keyring();
    log_in(&keyring.store, "default", 1, "topsecret");
    keyring.fail("", Error::BadEncoding(b"topsecret".to_vec()));
    let error = keyring.store.load(&key("default")).unwrap_err();
    keyring.fail("", Error::BadDataFormat(b"topsecret".to_vec(), "topsecret".into()));
    let other = keyring.store.load(&key("default")).unwrap_err();
    keyring.fail("", Error::Ambiguous(vec![keyring.item(" a 1")]));
    let more = keyring.store.load(&key("default")).unwrap_err();
    let said = format!("{:?} {error} {error:?} {other} {other:?} {more:?}", keyring.store);
    assert!(!said.contains("topsecret") && !said.contains("[116"), "{said}");
}
