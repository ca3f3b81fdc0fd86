//! Eight threads that renew, while their server is killed and started again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use grantflow_core::error::StoreFault;
use grantflow_core::store::{Expected, StoreKey};
use grantflow_stores::{Saved, Store};

use crate::holder::{claim, is, key, write};
use crate::servers::{Postgres, Redis};

/// How often the server is killed.
const KILLS: usize = 5;

#[derive(Debug, Default)]
struct Log {
    /// Every version that somebody tried to write, the one that it replaces, and whether the store said `Done`.
    attempts: Mutex<BTreeMap<u64, (Option<u64>, bool)>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    conflicts: AtomicU64,
    busy: AtomicU64,
    away: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One renewal, as the token manager does it.
fn renew(store: &dyn Store, key: &StoreKey, log: &Log, next: &AtomicU64) {
    let failed = |fault: StoreFault| match fault {
        StoreFault::Busy => count(&log.counts.busy),
        StoreFault::Unavailable => count(&log.counts.away),
        other => panic!("{other:?}"),
    };
    let failed = |fault| {
        failed(fault);
        // As a caller who comes again, not as one who hammers.
        thread::sleep(Duration::from_millis(5));
    };
    let held = match store.claim(&claim(key, Duration::from_millis(500), Duration::from_secs(2))) {
        Ok(held) => held,
        Err(error) => return failed(error.fault),
    };
    assert!(held.is_some());
    let found = match store.load(key) {
        Ok(found) => found,
        Err(error) => return failed(error.fault),
    };
    let found = found.map(|stored| {
        let version = stored.version.as_u64();
        let right = format!("{{\"version\":\"{version}\"}}");
        assert_eq!(stored.bytes.expose(), right.as_bytes(), "the token of another version");
        version
    });
    // Taken after the load, so it is above what is there.
    let version = next.fetch_add(1, Ordering::Relaxed);
    log.attempts.lock().unwrap().insert(version, (found, false));
    match store.save(write(key, found.map_or(Expected::Absent, is), version)) {
        Ok(Saved::Done) => {
            count(&log.counts.done);
            log.attempts.lock().unwrap().insert(version, (found, true));
        }
        Ok(Saved::Conflict) => count(&log.counts.conflicts),
        Err(error) => failed(error.fault),
    }
}

fn renewed_while_killed(what: &str, store: &dyn Store, mut kill: impl FnMut(usize)) {
    let key = key("load");
    let (log, next, over) = (Log::default(), AtomicU64::new(1 << 60), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    renew(store, &key, &log, &next);
                }
            });
        }
        for round in 0..KILLS {
            let before = log.counts.done.load(Ordering::Relaxed);
            kill(round);
            // Renewing goes on by itself.
            while log.counts.done.load(Ordering::Relaxed) < before + 20 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let attempts = log.attempts.into_inner().unwrap();
    let last = store.load(&key).unwrap().unwrap().version.as_u64();
    // Back from the last version, each replaced the one before: nothing was written twice, nothing that was promised is
    // missing, nothing older stands over something newer.
    let mut chain = BTreeMap::new();
    let mut at = Some(last);
    while let Some(version) = at {
        let (replaced, done) = attempts[&version];
        assert!(replaced.is_none_or(|replaced| replaced < version));
        chain.insert(version, done);
        at = replaced;
    }
    for (version, (_, done)) in &attempts {
        assert!(!done || chain.contains_key(version), "{version} was promised and is lost");
    }
    let unsure = chain.values().filter(|done| !**done).count();
    let Counts { done, conflicts, busy, away } = log.counts;
    println!(
        "figure: stores/{what} killed and started {KILLS} times under 8 threads = {} renewals, {} conflicts, {} busy, \
         {} unavailable, {unsure} written without a promise, 0 lost",
        done.into_inner(),
        conflicts.into_inner(),
        busy.into_inner(),
        away.into_inner(),
    );
}

#[test]
fn fl_27_redis_is_killed_under_load_and_nothing_is_lost() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    renewed_while_killed("redis", &store, |_| {
        thread::sleep(Duration::from_millis(200));
        redis.kill();
        thread::sleep(Duration::from_millis(200));
        redis.start_again();
    });
}

#[test]
fn st_20_fl_27_fl_28_postgres_is_killed_under_load_and_nothing_is_lost() {
    let Some(mut postgres) = Postgres::start() else { return };
    let store = postgres.store();
    renewed_while_killed("postgres", &store, |round| {
        thread::sleep(Duration::from_millis(200));
        match round % 2 {
            0 => postgres.kill(),
            _ => postgres.stop(),
        }
        thread::sleep(Duration::from_millis(200));
        postgres.start_again();
    });
}

/// Keys that differ in one part only.
pub(crate) fn another_login_finds_nothing(store: &dyn Store) {
    let login = |issuer: &str, client: &str, profile: &str| StoreKey::of(issuer, client, profile).unwrap();
    let own = login("https://as.example", "client", "default");
    store.delete(&own).unwrap();
    assert_eq!(store.save(write(&own, Expected::Absent, 1)).unwrap(), Saved::Done);
    for other in [
        login("https://as.example/", "client", "default"),
        login("https://other.example", "client", "default"),
        login("https://as.example", "Client", "default"),
        login("https://as.example", "client ", "default"),
        login("https://as.example", "client", "default2"),
        login("https://as.example client", "default", "x"),
    ] {
        assert!(store.load(&other).unwrap().is_none(), "{other:?}");
        assert_eq!(store.save(write(&other, is(1), 2)).unwrap(), Saved::Conflict, "{other:?}");
    }
    store.delete(&own).unwrap();
}
