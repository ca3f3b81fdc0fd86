//! A store that somebody else wrote, and that does not come back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::error::{Error, StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_core::token::TokenSet;
use grantflow_stores::{Claimed, MemoryStore, Saved, Store};

use super::{NOW, clock, settled, ticking};
use crate::race::{Either, race};
use crate::{AsyncStore, Driver, ManualClock, OnThreads, Pending, Refresher, TokenHandle, Tokens};

/// What hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Load,
    Save,
    Claim,
}

/// A store whose calls of one kind wait until they are let go.
#[derive(Clone, Debug, Default)]
struct Stuck {
    inner: MemoryStore,
    stuck: Arc<(Mutex<Option<Call>>, Condvar)>,
    waiting: Arc<AtomicUsize>,
    saves: Arc<AtomicUsize>,
}

impl Stuck {
    fn hang(&self, call: Call) {
        *self.stuck.0.lock().unwrap() = Some(call);
    }

    fn let_go(&self) {
        *self.stuck.0.lock().unwrap() = None;
        self.stuck.1.notify_all();
    }

    fn pass(&self, call: Call) {
        let stuck = self.stuck.0.lock().unwrap();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.stuck.1.wait_while(stuck, |stuck| *stuck == Some(call)).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for a thread that hangs.
    async fn hangs(&self) {
        while self.stuck.0.lock().unwrap().is_none() || self.waiting.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Store for Stuck {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.pass(Call::Load);
        self.inner.load(key)
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        self.pass(Call::Save);
        let saved = self.inner.save(write)?;
        if saved == Saved::Done {
            self.saves.fetch_add(1, Ordering::SeqCst);
        }
        Ok(saved)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.pass(Call::Save);
        self.inner.delete(key)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        self.pass(Call::Claim);
        self.inner.claim(claim)
    }
}

/// Threads that hang are let go even if a test fails, or the runtime would wait for them for ever.
struct Freed(Stuck);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

fn tokens(name: &str, seconds_left: i64) -> TokenSet {
    let end = i64::try_from(NOW.as_secs()).unwrap().saturating_add(seconds_left);
    let record =
        format!(r#"{{"access_token":"{name}","refresh_token":"{name}","token_type":"Bearer","expires_at":{end}}}"#);
    TokenSet::from_record(record.as_bytes(), NOW).unwrap()
}

/// Gives new tokens each time.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Refresher for Counting {
    fn refresh(&self, _: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        Box::pin(async move { Ok(tokens(&format!("new-{number}"), 100_000)) })
    }
}

fn key() -> StoreKey {
    StoreKey::of("https://as.example", "client", "me").unwrap()
}

fn in_time(result: Result<impl Sized, Error>) -> StoreError {
    match result.map(|_| ()) {
        Err(Error::Store(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Moves the clock to the end of a timeout, once the store hangs; nothing comes of it before.
async fn given_up<T: Send + 'static>(
    ticks: &ManualClock,
    store: &Stuck,
    timeout: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let work = tokio::spawn(work);
    store.hangs().await;
    settled().await;
    ticks.advance(timeout.saturating_sub(Duration::from_secs(1)));
    settled().await;
    assert!(!work.is_finished(), "too early");
    ticks.advance(Duration::from_secs(1));
    work.await.unwrap()
}

const UNANSWERED: &str = "the store has not answered in time";

#[tokio::test]
async fn a_store_that_hangs_costs_its_time_and_the_error_names_it() {
    let (ticks, _) = clock();
    for timeout in [None, Some(Duration::from_secs(5))] {
        let store = Stuck::default();
        let _freed = Freed(store.clone());
        store.hang(Call::Load);
        let driver = Driver::new().with_clock(ticks.clone());
        let driver = timeout.map_or(driver.clone(), |timeout| driver.with_store_timeout(timeout));
        let handle = Tokens::delegated(driver, key(), Counting::default()).with_store(store.clone()).open().unwrap();
        let timeout = timeout.unwrap_or(Duration::from_secs(60));
        let error = in_time(given_up(&ticks, &store, timeout, async move { handle.credential().await }).await);
        assert_eq!((error.fault, error.detail.as_str()), (StoreFault::Unavailable, UNANSWERED));
    }
}

/// A store that waits without a thread, and never comes back.
#[derive(Debug)]
struct Silent;

impl AsyncStore for Silent {
    fn load(&self, _: StoreKey) -> Pending<'_, Result<Option<Stored>, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn save(&self, _: StoreWrite) -> Pending<'_, Result<Saved, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn delete(&self, _: StoreKey) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn every_caller_of_a_silent_store_is_told_and_none_waits_for_another_round() {
    let (ticks, _) = clock();
    let driver = Driver::new().with_clock(ticks.clone());
    let handle = Tokens::delegated(driver, key(), Counting::default()).with_async_store(Silent).open().unwrap();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.credential().await })
        })
        .collect();
    let all = async {
        for caller in callers {
            assert_eq!(in_time(caller.await.unwrap()).detail, UNANSWERED);
        }
    };
    let ((), took) = ticking(&ticks, all).await;
    assert_eq!(took, 60);
    // A login is not lost by it: the token is there, and it is not saved.
    let (adopted, took) = ticking(&ticks, handle.adopt(tokens("login", 100_000))).await;
    assert_eq!(adopted.unwrap().unsaved().unwrap().detail, UNANSWERED);
    assert!(took <= 180, "{took}");
}

/// Tokens that have so many seconds left, of somebody who can renew them.
async fn logged_in(ticks: &ManualClock, store: &Stuck, seconds_left: i64) -> (TokenHandle, Counting) {
    let refresher = Counting::default();
    let driver = Driver::new().with_clock(ticks.clone());
    let made = Tokens::delegated(driver, key(), refresher.clone()).with_store(store.clone());
    (made.adopt(tokens("old", seconds_left)).await.unwrap(), refresher)
}

#[tokio::test]
async fn a_save_that_hangs_after_a_rotation_leaves_an_unsaved_token_and_is_done_once() {
    let (ticks, _) = clock();
    let store = Stuck::default();
    let _freed = Freed(store.clone());
    let (handle, refresher) = logged_in(&ticks, &store, 100).await;
    assert_eq!(store.saves.load(Ordering::SeqCst), 1);

    store.hang(Call::Save);
    // A renewal just after a login would be too soon.
    ticks.advance(Duration::from_secs(2));
    let renewing = handle.clone();
    let renewed = given_up(&ticks, &store, Duration::from_secs(60), async move { renewing.renew().await }).await;
    assert_eq!(renewed.unwrap().unsaved().unwrap().detail, UNANSWERED);
    assert_eq!(refresher.0.load(Ordering::SeqCst), 1);

    // The late save and the one that is made again come to one.
    store.let_go();
    let mut unsaved = true;
    for _ in 0..600 {
        ticks.advance(Duration::from_secs(1));
        handle.settled().await;
        unsaved = handle.credential().await.unwrap().unsaved().is_some();
        if !unsaved {
            break;
        }
    }
    assert!(!unsaved);
    assert_eq!(refresher.0.load(Ordering::SeqCst), 1);
    assert_eq!(store.saves.load(Ordering::SeqCst), 2);
    let kept = store.inner.load(&key()).unwrap().unwrap();
    assert!(String::from_utf8_lossy(kept.bytes.expose()).contains("new-1"));
}

fn write(text: &str, version: u64) -> StoreWrite {
    let stored = Stored { version: Version::from_u64(version), bytes: Secret::new(text.as_bytes().to_vec()) };
    StoreWrite { key: key(), expected: Expected::Anything, stored }
}

#[tokio::test]
async fn a_late_write_overwrites_no_later_one() {
    let store = Stuck::default();
    let _freed = Freed(store.clone());
    let calls = OnThreads::new(store.clone());
    store.hang(Call::Save);
    assert!(matches!(race(calls.save(write("first", 1)), settled()).await, Either::Right(())), "it does not hang");
    // Given up, and not over. What comes now waits for it.
    let mut second = calls.save(write("second", 2));
    assert!(matches!(race(second.as_mut(), settled()).await, Either::Right(())), "it has gone before");
    let mut third = calls.delete(key());
    assert!(matches!(race(third.as_mut(), settled()).await, Either::Right(())), "it has gone before");
    drop(third);
    store.let_go();
    assert_eq!(second.await.unwrap(), Saved::Done);
    assert_eq!(calls.load(key()).await.unwrap().unwrap().bytes.expose(), b"second");
    assert_eq!(store.saves.load(Ordering::SeqCst), 2);
    calls.delete(key()).await.unwrap();
    assert!(calls.load(key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_claim_that_comes_too_late_is_let_go() {
    let (ticks, _) = clock();
    let store = Stuck::default();
    let _freed = Freed(store.clone());
    let (handle, refresher) = logged_in(&ticks, &store, 100).await;
    ticks.advance(Duration::from_secs(101));
    store.hang(Call::Claim);
    // Somebody else may have it for so long.
    let timeout = Duration::from_secs(45 + 60);
    let asked = given_up(&ticks, &store, timeout, async move { handle.credential().await }).await;
    assert_eq!(in_time(asked).detail, UNANSWERED);
    assert_eq!(refresher.0.load(Ordering::SeqCst), 0);
    store.let_go();
    // Nobody has it: whoever comes next gets it.
    let claim = Claim { key: key(), wait: Duration::from_secs(20), lease: Duration::from_secs(60) };
    let claimed = OnThreads::new(store.inner.clone()).claim(claim).await.unwrap();
    assert!(claimed.is_some());
}

/// A store whose saves can be made to fail.
#[derive(Clone, Debug, Default)]
struct Fragile {
    inner: MemoryStore,
    broken: Arc<AtomicBool>,
}

impl Store for Fragile {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key)
    }
    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreFault::Full, "no room"));
        }
        self.inner.save(write)
    }
    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(key)
    }
    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        self.inner.claim(claim)
    }
}

#[tokio::test]
async fn nobody_else_may_renew_before_what_was_renewed_is_saved() {
    let (ticks, _) = clock();
    let store = Fragile::default();
    let driver = Driver::new().with_clock(ticks.clone());
    let made = Tokens::delegated(driver, key(), Counting::default()).with_store(store.clone());
    let handle = made.adopt(tokens("old", 100_000)).await.unwrap();
    let claim = |wait| store.claim(&Claim { key: key(), wait, lease: Duration::from_secs(60) });
    store.broken.store(true, Ordering::SeqCst);
    // The second time it is only tried again.
    for _ in 0..2 {
        ticks.advance(Duration::from_secs(100));
        assert!(handle.renew().await.unwrap().unsaved().is_some());
        assert!(claim(Duration::ZERO).is_err(), "others would renew with the token that was used up");
    }
    store.broken.store(false, Ordering::SeqCst);
    ticks.advance(Duration::from_secs(60));
    handle.credential().await.unwrap();
    handle.settled().await;
    assert!(handle.credential().await.unwrap().unsaved().is_none());
    assert!(claim(Duration::from_secs(10)).is_ok());
}
