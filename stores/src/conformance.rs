//! What every store must do, as checks that any implementation can be put through. Feature `testing`.
//!
//! ```
//! use grantflow_stores::{MemoryStore, conformance};
//! let store = MemoryStore::new();
//! let can = conformance::check(|| Box::new(store.clone()));
//! assert!(can.claim && can.list);
//! ```
//!
//! A failed check panics and names the claim. [`model`] drives a store with random operations beside a map that cannot be
//! wrong. Not here: what a store does when its medium breaks; that is told by the tests of each.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a check that does not hold panics, which is how tests fail"
)]

mod model;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use grantflow_core::Secret;
use grantflow_core::error::StoreFault;
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};

use crate::{Claimed, Saved, Store};

pub use model::{model, transitions};

/// What a store can do beyond loading, saving and deleting. A test should demand what its store promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Can {
    /// It claims: [`Store::claim`] gave something to hold.
    pub claim: bool,
    /// It tells what it keeps.
    pub list: bool,
}

/// Puts a store through all checks. `make` opens the same medium each time, as one process after the other would.
///
/// Keys are new in every call and deleted at the end, so the medium may hold other things.
///
/// # Panics
/// When a claim does not hold.
pub fn check(make: impl Fn() -> Box<dyn Store>) -> Can {
    nothing_is_found_where_nothing_was_saved(&*make());
    records_come_back_byte_for_byte(&make);
    odd_keys_are_kept_apart(&make);
    versions_are_compared_exactly(&make);
    writes_happen_if_what_was_expected_is_there(&make);
    a_conflict_and_an_odd_size_leave_what_is_there(&make);
    what_is_deleted_is_gone(&make);
    only_one_of_many_writers_wins(&make);
    Can { claim: claims_exclude_each_other(&make), list: what_is_kept_is_listed(&make) }
}

/// A name that no other call has given, in this process or another.
pub(crate) fn fresh(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("https://{what}.{}.{now}.{}.example", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn key(issuer: &str, profile: &str) -> StoreKey {
    StoreKey::of(issuer, "client", profile).unwrap()
}

fn stored(version: u64, bytes: &[u8]) -> Stored {
    Stored { version: Version::from_u64(version), bytes: Secret::new(bytes.to_vec()) }
}

fn write(key: &StoreKey, expected: Expected, version: u64, bytes: &[u8]) -> StoreWrite {
    StoreWrite { key: key.clone(), expected, stored: stored(version, bytes) }
}

#[track_caller]
fn saves(store: &dyn Store, key: &StoreKey, expected: Expected, version: u64, bytes: &[u8]) -> Saved {
    match store.save(write(key, expected, version, bytes)) {
        Ok(saved) => saved,
        Err(error) => panic!("{key:?} cannot be saved: {error:?}"),
    }
}

/// What is under the key, as plain data.
#[track_caller]
fn found(store: &dyn Store, key: &StoreKey) -> Option<(u64, Vec<u8>)> {
    match store.load(key) {
        Ok(stored) => stored.map(|stored| (stored.version.as_u64(), stored.bytes.expose().clone())),
        Err(error) => panic!("{key:?} cannot be loaded: {error:?}"),
    }
}

fn nothing_is_found_where_nothing_was_saved(store: &dyn Store) {
    assert_eq!(found(store, &key(&fresh("nothing"), "default")), None, "a record out of nowhere");
}

fn records_come_back_byte_for_byte(make: &impl Fn() -> Box<dyn Store>) {
    let key = key(&fresh("bytes"), "default");
    let all: Vec<u8> = (0..=255).collect();
    let records: [&[u8]; 12] = [
        b"{}",
        b"",
        b" \r\n",
        b"\r\n$3\r\nSET\r\n*1\r\n",
        b"+OK\r\n-ERR\r\n:1\r\n",
        b"\0\0\0",
        b"\xff\xfe\x00\xd8 not text",
        b"'; drop table grantflow_tokens; -- $$ $1 \\x00 \\",
        b"{\"a\":\"\xc3\xa9\"}",
        b"\xef\xbb\xbf{}",
        &[0xAA; 40 * 1024],
        &all,
    ];
    for (bytes, version) in records.into_iter().zip(1..) {
        assert_eq!(saves(&*make(), &key, Expected::Anything, version, bytes), Saved::Done);
        assert_eq!(found(&*make(), &key), Some((version, bytes.to_vec())), "another record than was saved");
    }
    make().delete(&key).unwrap();
}

fn odd_keys_are_kept_apart(make: &impl Fn() -> Box<dyn Store>) {
    let issuer = fresh("keys");
    let longest = "x".repeat(255);
    let wide = "\u{e9}".repeat(127);
    let profiles = [
        "default",
        "Default",
        "DEFAULT",
        "\u{e9}",
        "e\u{301}",
        "\u{c9}",
        "../x",
        "..",
        ".",
        "/",
        "/etc/passwd",
        "x/../x",
        "..\\x",
        "a b",
        "a+b",
        "a%20b",
        "a%2520b",
        "a\0b",
        "a\r\nb",
        "a\nb",
        " a",
        "a ",
        "a.",
        "CON",
        "nul.json",
        "C:x",
        "*",
        "?",
        "[a]",
        "{a}",
        ":",
        "|",
        "~",
        "'",
        "\"",
        "$1",
        "$$",
        "--",
        "-rf",
        "\u{202e}x",
        "\u{1f511}",
        "\u{df}",
        "ss",
        "i",
        "\u{130}",
        "\u{131}",
        &longest,
        &wide,
    ];
    let mut keys: Vec<_> = profiles.into_iter().map(|profile| key(&issuer, profile)).collect();
    // Names that run into each other if they are only put side by side.
    for (issuer_end, client, profile) in [("", "a b", "c"), ("", "a", "b c"), (" a", "b", "c"), ("/", "a b", "c")] {
        keys.push(StoreKey::of(&format!("{issuer}{issuer_end}"), client, profile).unwrap());
    }
    keys.push(StoreKey::of(&issuer.to_uppercase(), "client", "default").unwrap());
    keys.push(StoreKey::of(&issuer, "Client", "default").unwrap());
    keys.push(StoreKey::of(&issuer, "", "default").unwrap());
    let bytes = |number: u64| format!("{{\"number\":{number}}}").into_bytes();
    for (key, number) in keys.iter().zip(1..) {
        let saved = saves(&*make(), key, Expected::Absent, number, &bytes(number));
        assert_eq!(saved, Saved::Done, "{key:?} is taken for another key");
    }
    for (key, number) in keys.iter().zip(1..) {
        assert_eq!(found(&*make(), key), Some((number, bytes(number))), "{key:?} holds another key's record");
    }
    for (key, number) in keys.iter().zip(1..) {
        assert_eq!(found(&*make(), key), Some((number, bytes(number))), "{key:?} went with another key");
        make().delete(key).unwrap();
        assert_eq!(found(&*make(), key), None, "{key:?} is deleted and still there");
    }
}

fn versions_are_compared_exactly(make: &impl Fn() -> Box<dyn Store>) {
    let key = key(&fresh("versions"), "default");
    let store = make();
    // Beyond 2^53 a double cannot tell neighbours apart; as text, 9 stands behind 10.
    let numbers = [0, 1, 9, 10, (1 << 53) + 1, (1 << 53) + 2, (1 << 62) - 1, 1 << 62, (1 << 62) + 1, (1 << 63) - 1];
    for number in numbers {
        assert_eq!(saves(&*store, &key, Expected::Anything, number, b"{}"), Saved::Done);
        assert_eq!(found(&*store, &key), Some((number, b"{}".to_vec())), "version {number} is changed");
        for other in numbers {
            let saved = saves(&*store, &key, Expected::Version(Version::from_u64(other)), number, b"{}");
            let right = if other == number { Saved::Done } else { Saved::Conflict };
            assert_eq!(saved, right, "{number} is there, {other} was expected");
        }
    }
    store.delete(&key).unwrap();
}

fn writes_happen_if_what_was_expected_is_there(make: &impl Fn() -> Box<dyn Store>) {
    let key = key(&fresh("expected"), "default");
    let [one, two, three] = [1, 2, 3].map(|number| number + (1_u64 << 61));
    let version = |number| Expected::Version(Version::from_u64(number));
    let rows = [
        (None, Expected::Absent, Saved::Done),
        (None, version(one), Saved::Conflict),
        (None, Expected::Anything, Saved::Done),
        (Some(one), Expected::Absent, Saved::Conflict),
        (Some(one), version(one), Saved::Done),
        (Some(one), version(two), Saved::Conflict),
        (Some(one), Expected::Anything, Saved::Done),
    ];
    for (there, expected, right) in rows {
        make().delete(&key).unwrap();
        if let Some(there) = there {
            assert_eq!(saves(&*make(), &key, Expected::Absent, there, b"{\"old\":1}"), Saved::Done);
        }
        let saved = saves(&*make(), &key, expected, three, b"{\"new\":1}");
        assert_eq!(saved, right, "{there:?} is there, {expected:?} was expected");
        let kept = match right {
            Saved::Done => Some((three, b"{\"new\":1}".to_vec())),
            Saved::Conflict => there.map(|there| (there, b"{\"old\":1}".to_vec())),
        };
        assert_eq!(found(&*make(), &key), kept, "{there:?} was there, {expected:?} was expected");
    }
    make().delete(&key).unwrap();
}

fn a_conflict_and_an_odd_size_leave_what_is_there(make: &impl Fn() -> Box<dyn Store>) {
    let key = key(&fresh("sizes"), "default");
    let large = vec![b'x'; 1024 * 1024];
    assert_eq!(saves(&*make(), &key, Expected::Absent, 1, b"{}"), Saved::Done);
    let expected = Expected::Version(Version::from_u64(1));
    match make().save(write(&key, expected, 2, &large)) {
        Ok(saved) => {
            assert_eq!(saved, Saved::Done);
            assert_eq!(found(&*make(), &key), Some((2, large)), "a large record is not kept whole");
            // Nothing of the longer one may stay behind the shorter.
            assert_eq!(saves(&*make(), &key, Expected::Version(Version::from_u64(2)), 3, b"{}"), Saved::Done);
            assert_eq!(found(&*make(), &key), Some((3, b"{}".to_vec())));
        }
        Err(error) => {
            assert_eq!(error.fault, StoreFault::TooLarge, "{error:?}");
            assert_eq!(found(&*make(), &key), Some((1, b"{}".to_vec())), "a refused record has replaced another");
        }
    }
    make().delete(&key).unwrap();
}

fn what_is_deleted_is_gone(make: &impl Fn() -> Box<dyn Store>) {
    let issuer = fresh("deleted");
    let [gone, stays] = ["gone", "stays"].map(|profile| key(&issuer, profile));
    let store = make();
    store.delete(&gone).unwrap();
    for key in [&gone, &stays] {
        assert_eq!(saves(&*store, key, Expected::Absent, 1, b"{}"), Saved::Done);
    }
    store.delete(&gone).unwrap();
    store.delete(&gone).unwrap();
    assert_eq!(found(&*make(), &gone), None);
    assert_eq!(found(&*make(), &stays), Some((1, b"{}".to_vec())), "a neighbour is deleted too");
    let expected = Expected::Version(Version::from_u64(1));
    assert_eq!(saves(&*make(), &gone, expected, 2, b"{}"), Saved::Conflict, "a late writer brings a login back");
    assert_eq!(saves(&*make(), &gone, Expected::Absent, 2, b"{}"), Saved::Done);
    for key in [&gone, &stays] {
        store.delete(key).unwrap();
    }
}

fn only_one_of_many_writers_wins(make: &impl Fn() -> Box<dyn Store>) {
    let key = key(&fresh("writers"), "default");
    assert_eq!(saves(&*make(), &key, Expected::Absent, 1, b"{}"), Saved::Done);
    for round in 1..=5 {
        let there = round * 100;
        assert_eq!(saves(&*make(), &key, Expected::Anything, there, b"{}"), Saved::Done);
        let stores: Vec<_> = (1..=6).map(|number| (there + number, make())).collect();
        let done: Vec<u64> = thread::scope(|scope| {
            let writers: Vec<_> = stores
                .iter()
                .map(|(version, store)| {
                    let key = &key;
                    scope.spawn(move || {
                        let expected = Expected::Version(Version::from_u64(there));
                        (*version, saves(&**store, key, expected, *version, version.to_string().as_bytes()))
                    })
                })
                .collect();
            let all: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
            all.into_iter().filter(|(_, saved)| *saved == Saved::Done).map(|(version, _)| version).collect()
        });
        let [winner] = done[..] else { panic!("{} writers replaced the same version", done.len()) };
        assert_eq!(found(&*make(), &key), Some((winner, winner.to_string().into_bytes())));
    }
    make().delete(&key).unwrap();
}

fn claim(key: &StoreKey, wait: Duration) -> Claim {
    Claim { key: key.clone(), wait, lease: Duration::from_secs(60) }
}

/// Whether the store claims at all.
fn claims_exclude_each_other(make: &impl Fn() -> Box<dyn Store>) -> bool {
    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(50);
    let issuer = fresh("claims");
    let [one, other] = ["one", "other"].map(|profile| key(&issuer, profile));
    let (first, second) = (make(), make());
    let Some(held) = first.claim(&claim(&one, LONG)).unwrap() else {
        return false;
    };
    for (store, who) in [(&second, "another opening"), (&first, "the same opening")] {
        let began = Instant::now();
        let error = match store.claim(&claim(&one, SHORT)) {
            Err(error) => error,
            Ok(claimed) => panic!("{who} claims what is claimed: {claimed:?}"),
        };
        assert_eq!(error.fault, StoreFault::Busy, "{error:?}");
        assert!(began.elapsed() >= SHORT, "it did not wait: {:?}", began.elapsed());
        assert!(began.elapsed() < LONG / 2, "it waited without end: {:?}", began.elapsed());
        let error = store.claim(&claim(&one, Duration::ZERO)).map(drop).unwrap_err();
        assert_eq!(error.fault, StoreFault::Busy, "{error:?}");
    }
    let beside: Option<Box<dyn Claimed>> = second.claim(&claim(&other, Duration::ZERO)).unwrap();
    assert!(beside.is_some(), "another key is claimed along");
    // A claim is about who renews; reading, and writing with the right version, stay possible.
    assert_eq!(saves(&*second, &one, Expected::Absent, 1, b"{}"), Saved::Done);
    assert_eq!(found(&*first, &one), Some((1, b"{}".to_vec())));
    drop(held);
    let again = second.claim(&claim(&one, LONG)).unwrap();
    assert!(again.is_some(), "it is not let go");
    // Who waits gets it once it is let go.
    let waited = thread::scope(|scope| {
        let waiter = scope.spawn(|| first.claim(&claim(&one, LONG)).map(|claimed| claimed.is_some()));
        thread::sleep(SHORT);
        drop(again);
        waiter.join().unwrap()
    });
    assert_eq!(waited, Ok(true), "who waited did not get it");
    // Deleting the record frees nobody else's claim, and a claim outlives no drop.
    let held = first.claim(&claim(&one, LONG)).unwrap();
    second.delete(&one).unwrap();
    let error = second.claim(&claim(&one, Duration::ZERO)).map(drop).unwrap_err();
    assert_eq!(error.fault, StoreFault::Busy, "deleting has let go: {error:?}");
    drop((held, beside));
    assert!(second.claim(&claim(&one, LONG)).unwrap().is_some());
    true
}

/// Whether the store lists at all.
fn what_is_kept_is_listed(make: &impl Fn() -> Box<dyn Store>) -> bool {
    let issuer = fresh("listed");
    let profiles = ["default", "a b", "../x", "\u{e9}", "e\u{301}", "*"];
    let mut keys: Vec<_> = profiles.into_iter().map(|profile| key(&issuer, profile)).collect();
    keys.sort();
    for (key, number) in keys.iter().zip(1..) {
        assert_eq!(saves(&*make(), key, Expected::Absent, number, b"{}"), Saved::Done);
    }
    let listed = make().list();
    let mut removed = keys.iter().zip(1..);
    let can = match listed {
        Ok(listed) => {
            let mut own: Vec<_> = listed.into_iter().filter(|listed| listed.key.issuer() == issuer).collect();
            own.sort_by(|a, b| a.key.cmp(&b.key));
            let own: Vec<_> = own.into_iter().map(|listed| (listed.key, listed.version.as_u64())).collect();
            let right: Vec<_> = keys.iter().cloned().zip(1..).collect();
            assert_eq!(own, right, "the list is not what is kept");
            true
        }
        Err(error) => {
            assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
            false
        }
    };
    removed.try_for_each(|(key, _)| make().delete(key)).unwrap();
    if can {
        let left = make().list().unwrap();
        assert!(left.iter().all(|listed| listed.key.issuer() != issuer), "what is deleted is listed");
    }
    can
}
