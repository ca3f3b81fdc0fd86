//! The file whose records are sealed.

use std::fs;

use grantflow_core::Secret;
use grantflow_core::error::{ConfigError, Error, StoreFault};
use grantflow_stores::{FileStore, Saved, Store};

use crate::support::{Place, found, kept, key, log_in, place, renew};

fn at(place: &Place, key: u8) -> FileStore {
    FileStore::at(&place.path).encrypted(&Secret::new(vec![key; 32])).unwrap()
}

#[test]
fn st_08_nothing_of_a_record_can_be_read_without_the_key() {
    let place = place();
    let store = at(&place, 7);
    log_in(&store, "default", 1, "topsecret");
    let text = fs::read_to_string(&place.path).unwrap();
    assert!(!text.contains("topsecret") && !text.contains("refresh_token"), "{text}");
    assert_eq!(found(&store, "default"), kept(1, "topsecret"));
    assert_eq!(renew(&store, "default", 1, 2), Ok(Saved::Done));
    let again = fs::read_to_string(&place.path).unwrap();
    log_in(&store, "default", 2, "secret-2");
    assert_ne!(again, fs::read_to_string(&place.path).unwrap(), "the same nonce twice");
}

#[test]
fn st_08_another_key_opens_nothing_and_replaces_nothing_but_at_a_login() {
    let place = place();
    log_in(&at(&place, 7), "default", 1, "topsecret");
    let before = fs::read(&place.path).unwrap();
    let other = at(&place, 8);
    assert_eq!(found(&other, "default"), Err(StoreFault::Corrupt));
    assert_eq!(renew(&other, "default", 1, 2).map_err(|error| error.fault), Err(StoreFault::Corrupt));
    assert_eq!(fs::read(&place.path).unwrap(), before);
    log_in(&other, "default", 3, "r3");
    assert_eq!(found(&other, "default"), kept(3, "r3"));
    assert_eq!(fs::read(place.parent().join("tokens.json.corrupt-1")).unwrap(), before);
}

#[test]
fn st_08_every_flipped_byte_is_noticed() {
    let place = place();
    let store = at(&place, 7);
    log_in(&store, "default", 1, "topsecret");
    let whole = fs::read(&place.path).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let start = text.find("\"sealed\": \"").unwrap() + 11;
    let end = start + text[start..].find('"').unwrap();
    for at in start..end {
        for flip in [1, 2, 0x20] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            fs::write(&place.path, &changed).unwrap();
            assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt), "byte {at}, {flip}");
        }
    }
    let version = text.replace(r#""version": "1""#, r#""version": "2""#);
    fs::write(&place.path, version).unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt), "another version");
}

#[test]
fn st_08_records_cannot_be_exchanged() {
    let place = place();
    let store = at(&place, 7);
    log_in(&store, "one", 1, "r1");
    log_in(&store, "two", 1, "r2");
    let text = fs::read_to_string(&place.path).unwrap();
    let swapped =
        text.replace("client one", "client x").replace("client two", "client one").replace("client x", "client two");
    fs::write(&place.path, swapped).unwrap();
    for profile in ["one", "two"] {
        assert_eq!(found(&store, profile), Err(StoreFault::Corrupt), "{profile}");
    }
}

#[test]
fn st_08_a_plain_record_is_not_taken_for_a_sealed_one() {
    let place = place();
    log_in(&FileStore::at(&place.path), "default", 1, "r1");
    let store = at(&place, 7);
    assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt));
    assert_eq!(renew(&store, "default", 1, 2).map_err(|error| error.fault), Err(StoreFault::Corrupt));
    log_in(&store, "other", 3, "topsecret");
    // Longer than what random text has in it by chance.
    assert!(!fs::read_to_string(&place.path).unwrap().contains("topsecret"));
}

#[test]
fn a_key_has_32_bytes() {
    for length in [0, 16, 31, 33, 64] {
        let made = FileStore::at("tokens.json").encrypted(&Secret::new(vec![7; length]));
        let Err(Error::Config(ConfigError::Invalid { setting, .. })) = made else { panic!("{length}: {made:?}") };
        assert_eq!(setting, "encryption key");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let place = place();
    let store =
        FileStore::at(&place.path).encrypted(&Secret::new(b"topsecrettopsecrettopsecrettopse".to_vec())).unwrap();
    log_in(&store, "default", 1, "topsecret");
    let said = format!("{store:?} {:?}", store.load(&key("default")));
    assert!(!said.contains("topsecret") && !said.contains("116"), "{said}");
}
