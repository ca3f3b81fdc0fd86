//! The checks that every store is put through.

use std::sync::Arc;

use grantflow_core::Secret;
use grantflow_stores::{FileStore, KeyringStore, SqliteStore, Store, conformance};
use keyring_core::mock;

use crate::support::place;

fn conforms(what: &str, list: bool, make: impl Fn() -> Box<dyn Store>) {
    let can = conformance::check(&make);
    assert_eq!(can, conformance::Can { claim: true, list }, "{what}");
    let least = conformance::transitions(500);
    println!("figure: stores/model transitions of the {what} = {}", conformance::model(&make, least));
}

#[test]
fn a_file_conforms() {
    let place = place();
    conforms("file", true, || Box::new(FileStore::at(&place.path)));
}

#[test]
fn an_encrypted_file_conforms() {
    let place = place();
    let key = Secret::new(vec![7; 32]);
    conforms("encrypted file", true, || Box::new(FileStore::at(&place.path).encrypted(&key).unwrap()));
}

#[test]
fn a_database_conforms() {
    let place = place();
    conforms("database", true, || Box::new(SqliteStore::at(&place.path)));
}

#[test]
fn a_keyring_conforms() {
    let place = place();
    let keyring = mock::Store::new().unwrap();
    conforms("keyring", false, || {
        Box::new(KeyringStore::in_keyring(keyring.clone(), "tests").with_lock_folder(place.parent()))
    });
}

/// As several parts of a program hold it.
#[test]
fn a_shared_store_conforms() {
    let place = place();
    let store = Arc::new(FileStore::at(&place.path));
    conforms("shared store", true, || Box::new(Arc::clone(&store)));
}
