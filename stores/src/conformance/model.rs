//! Random operations by two clients, beside a map that cannot be wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grantflow_core::error::StoreFault;
use grantflow_core::store::{Expected, StoreKey, Version};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{claim, found, fresh, key, saves};
use crate::{Claimed, Saved, Store};

/// How many clients share the medium.
const CLIENTS: u8 = 2;
/// How many keys they use.
const KEYS: u8 = 3;

/// One thing that one client does to one key.
#[derive(Clone, Copy, Debug)]
struct Operation {
    client: u8,
    key: u8,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Load,
    Save(Expecting),
    Delete,
    Claim,
    Release,
}

/// What a writer believes to be there.
#[derive(Clone, Copy, Debug)]
enum Expecting {
    /// What is there.
    Right,
    /// What this client saw last, which may be there no more.
    Remembered,
    /// A version that never was, next to one that is.
    Neighbour,
    Absent,
    Anything,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let expecting = prop_oneof![
        3 => Just(Expecting::Right),
        3 => Just(Expecting::Remembered),
        1 => Just(Expecting::Neighbour),
        2 => Just(Expecting::Absent),
        1 => Just(Expecting::Anything),
    ];
    let what = prop_oneof![
        4 => Just(What::Load),
        8 => expecting.prop_map(What::Save),
        2 => Just(What::Delete),
        3 => Just(What::Claim),
        3 => Just(What::Release),
    ];
    let one = (any::<bool>(), 0..KEYS, what).prop_map(|(second, key, what)| Operation {
        client: u8::from(second),
        key,
        what,
    });
    vec(one, 1..=100)
}

/// What must be in the medium, and what the clients know.
#[derive(Debug, Default)]
struct World {
    records: BTreeMap<u8, (u64, Vec<u8>)>,
    /// By client and key, the version seen last.
    seen: BTreeMap<(u8, u8), Option<u64>>,
    /// By key, who holds its claim.
    held: BTreeMap<u8, (u8, Option<Box<dyn Claimed>>)>,
    count: u64,
}

/// How many transitions to make: `least`, or more if `GRANTFLOW_STORE_TRANSITIONS` says so.
pub fn transitions(least: u64) -> u64 {
    let wished = std::env::var("GRANTFLOW_STORE_TRANSITIONS").ok().and_then(|text| text.parse().ok());
    wished.map_or(least, |wished: u64| wished.max(least))
}

/// Drives a store with at least `least` random operations, and returns how many there were. A failing list of them is
/// made as short as can be. `make` opens the same medium each time.
///
/// # Panics
/// When the store does something else than the model.
pub fn model(make: impl Fn() -> Box<dyn Store>, least: u64) -> u64 {
    let done = AtomicU64::new(0);
    while done.load(Ordering::Relaxed) < least {
        let config = Config { cases: 64, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        let ran = TestRunner::new(config).run(&operations(), |operations| {
            done.fetch_add(u64::try_from(operations.len()).unwrap_or_default(), Ordering::Relaxed);
            run(&make, &operations)
        });
        if let Err(failure) = ran {
            panic!("the store is not what the model says: {failure}");
        }
    }
    done.into_inner()
}

fn run(make: &impl Fn() -> Box<dyn Store>, operations: &[Operation]) -> Result<(), TestCaseError> {
    let issuer = fresh("model");
    let stores: Vec<_> = (0..CLIENTS).map(|_| make()).collect();
    let keys: Vec<_> = (0..KEYS).map(|number| key(&issuer, &number.to_string())).collect();
    let mut world = World::default();
    let mut outcome = Ok(());
    for operation in operations {
        let at = |list: &[StoreKey]| list.get(usize::from(operation.key)).cloned();
        let (Some(store), Some(key)) = (stores.get(usize::from(operation.client)), at(&keys)) else { break };
        outcome = world.apply(&**store, &key, *operation);
        if outcome.is_err() {
            break;
        }
    }
    drop(world);
    if let Some(store) = stores.first() {
        for key in &keys {
            let _ = store.delete(key);
        }
    }
    outcome
}

impl World {
    fn apply(&mut self, store: &dyn Store, key: &StoreKey, operation: Operation) -> Result<(), TestCaseError> {
        let Operation { client, key: number, what } = operation;
        let there = self.records.get(&number).cloned();
        let wrong = |what: String| Err(TestCaseError::fail(format!("{operation:?}: {what}")));
        match what {
            What::Load => {
                let found = found(store, key);
                if found != there {
                    return wrong(format!("found {found:?} instead of {there:?}"));
                }
                self.seen.insert((client, number), there.map(|(version, _)| version));
            }
            What::Save(expecting) => {
                self.count = self.count.saturating_add(1);
                // Where doubles cannot tell neighbours apart.
                let version = (1_u64 << 60).saturating_add(self.count.saturating_mul(2));
                let current = there.as_ref().map(|(version, _)| *version);
                let is = |number: u64| Expected::Version(Version::from_u64(number));
                let expected = match expecting {
                    Expecting::Right => current.map_or(Expected::Absent, is),
                    Expecting::Remembered => {
                        self.seen.get(&(client, number)).copied().flatten().map_or(Expected::Absent, is)
                    }
                    Expecting::Neighbour => is(current.unwrap_or(version).saturating_add(1)),
                    Expecting::Absent => Expected::Absent,
                    Expecting::Anything => Expected::Anything,
                };
                let right = match expected.allows(current.map(Version::from_u64)) {
                    true => Saved::Done,
                    false => Saved::Conflict,
                };
                let bytes = format!("{{\"by\":{client},\"version\":\"{version}\"}}").into_bytes();
                let saved = saves(store, key, expected, version, &bytes);
                if saved != right {
                    return wrong(format!("{saved:?} with {expected:?} where {current:?} is"));
                }
                if saved == Saved::Done {
                    self.records.insert(number, (version, bytes));
                    self.seen.insert((client, number), Some(version));
                }
            }
            What::Delete => {
                if let Err(error) = store.delete(key) {
                    return wrong(format!("{error:?}"));
                }
                self.records.remove(&number);
                self.seen.insert((client, number), None);
            }
            What::Claim => {
                let taken = self.held.contains_key(&number);
                match store.claim(&claim(key, Duration::ZERO)) {
                    // A medium that cannot claim.
                    Ok(None) => {}
                    Ok(Some(_)) if taken => return wrong("claimed twice".to_owned()),
                    Ok(claimed) => drop(self.held.insert(number, (client, claimed))),
                    Err(error) if taken && error.fault == StoreFault::Busy => {}
                    Err(error) => return wrong(format!("{error:?}")),
                }
            }
            What::Release => {
                if self.held.get(&number).is_some_and(|(holder, _)| *holder == client) {
                    self.held.remove(&number);
                }
            }
        }
        Ok(())
    }
}
