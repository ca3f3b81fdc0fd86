//! Memory is a store like any other.

use grantflow_stores::{MemoryStore, Store, conformance};

#[test]
fn memory_conforms() {
    let store = MemoryStore::new();
    let can = conformance::check(|| Box::new(store.clone()));
    assert_eq!(can, conformance::Can { claim: true, list: true });
}

#[test]
fn memory_does_what_the_model_says() {
    let store = MemoryStore::new();
    let make = || -> Box<dyn Store> { Box::new(store.clone()) };
    println!(
        "figure: stores/memory: model transitions = {}",
        conformance::model(make, conformance::transitions(20_000))
    );
}
