//! What a token handle costs while its token is good, when it is over, and while it lies there; beside it what the cache of
//! yup-oauth2 costs while its token is good.
//!
//! `handle` prints lines of `what<TAB>figure`; `handle once ROW TIMES` runs one row for an instruction counter.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use grantflow_core::Timestamp;
use grantflow_core::error::Error;
use grantflow_core::store::StoreKey;
use grantflow_core::token::TokenSet;
use grantflow_tokio::stores::MemoryStore;
use grantflow_tokio::{Clock, Driver, Pending, Refresher, SystemClock, TokenHandle, Tokens};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::{AccessToken, ApplicationSecret, CustomHyperClientBuilder, DeviceFlowAuthenticator};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIMES: u32 = 2_000_000;
const CALLERS: usize = 1_000;
const SESSIONS: usize = 100_000;

fn tokens(life: i64) -> TokenSet {
    let now = SystemClock.now();
    let second = i64::try_from(now.as_millis() / 1000).unwrap() + life;
    let record = format!(
        r#"{{"access_token":"{}","token_type":"Bearer","refresh_token":"{}","scope":"read write","expires_at":{second}}}"#,
        "a".repeat(43),
        "r".repeat(43)
    );
    TokenSet::from_record(record.as_bytes(), Timestamp::from_secs(1)).unwrap()
}

/// Renews after a while, and remembers when it was done.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicUsize>, Arc<Mutex<Option<Instant>>>);

impl Refresher for Slow {
    fn refresh(&self, _: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        Box::pin(async {
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            *self.1.lock().unwrap() = Some(Instant::now());
            Ok(tokens(3600))
        })
    }
}

async fn handle(driver: &Driver, profile: &str, slow: Slow, tokens: TokenSet) -> TokenHandle {
    let key = StoreKey::of("https://issuer.example", "client", profile).unwrap();
    Tokens::delegated(driver.clone(), key, slow).adopt(tokens).await.unwrap()
}

/// Asks for a credential that is there: nothing is waited for.
fn attach(handle: &TokenHandle, headers: &mut HeaderMap) {
    let asked = std::pin::pin!(handle.credential());
    let Poll::Ready(Ok(credential)) = asked.poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
    credential.write_to(headers);
}

/// What the token of [`tokens`] is kept under by yup-oauth2.
const SCOPES: [&str; 2] = ["read", "write"];

/// yup-oauth2 with the same token in its cache, from the file that it writes such tokens to. It is read once.
async fn other() -> Authenticator<HttpConnector> {
    let token = "a".repeat(43);
    let refresh_token = "r".repeat(43);
    let file = tempfile::NamedTempFile::new().unwrap();
    // Year, day of the year, time, offset.
    let kept = format!(
        r#"[{{"scopes":["read","write"],"token":{{"access_token":"{token}","refresh_token":"{refresh_token}","expires_at":[2100,1,0,0,0,0,0,0,0],"id_token":null}}}}]"#
    );
    std::fs::write(file.path(), kept).unwrap();
    // Nothing is ever sent.
    let client = Client::builder(TokioExecutor::new()).build::<_, String>(HttpConnector::new());
    let builder =
        DeviceFlowAuthenticator::with_client(ApplicationSecret::default(), CustomHyperClientBuilder::from(client));
    builder.persist_tokens_to_disk(file.path()).build().await.unwrap()
}

/// Asks yup-oauth2 for its token. Its cache is behind a mutex: who finds it taken asks again at once, which is cheaper than
/// being woken.
fn ask(other: &Authenticator<HttpConnector>) -> AccessToken {
    let mut asked = std::pin::pin!(other.token(&SCOPES));
    loop {
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(token) => return token.unwrap(),
            Poll::Pending => std::hint::spin_loop(),
        }
    }
}

/// The same, and what its users write then.
fn attach_other(other: &Authenticator<HttpConnector>, headers: &mut HeaderMap) {
    let value = format!("Bearer {}", ask(other).token().unwrap());
    headers.insert(AUTHORIZATION, HeaderValue::try_from(value).unwrap());
}

fn timed(threads: usize, work: &(dyn Fn() -> Box<dyn FnMut()> + Sync)) -> f64 {
    let best = (0..5).map(|_| {
        let took: Vec<f64> = std::thread::scope(|scope| {
            let run = || {
                let mut each = work();
                let began = Instant::now();
                (0..TIMES).for_each(|_| each());
                began.elapsed().as_nanos() as f64 / f64::from(TIMES)
            };
            let others: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            others.into_iter().map(|other| other.join().unwrap()).collect()
        });
        took.iter().sum::<f64>() / took.len() as f64
    });
    best.fold(f64::MAX, f64::min)
}

#[inline(never)]
fn collected(times: usize, work: &mut dyn FnMut()) {
    (0..times).for_each(|_| work());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let driver = Driver::new().with_store(MemoryStore::new());
    let fresh = handle(&driver, "one", Slow::default(), tokens(3600)).await;
    let bare: Arc<ArcSwapOption<u64>> = Arc::new(ArcSwapOption::from_pointee(1));

    let attaching = || -> Box<dyn FnMut()> {
        let (fresh, mut headers) = (fresh.clone(), HeaderMap::with_capacity(8));
        attach(&fresh, &mut headers);
        Box::new(move || attach(black_box(&fresh), black_box(&mut headers)))
    };
    let loading = || -> Box<dyn FnMut()> {
        let bare = bare.clone();
        Box::new(move || {
            black_box(black_box(&bare).load().as_deref().copied());
        })
    };
    let other = other().await;
    let asking = || -> Box<dyn FnMut()> {
        let other = other.clone();
        Box::new(move || {
            black_box(ask(black_box(&other)));
        })
    };
    let attaching_other = || -> Box<dyn FnMut()> {
        let (other, mut headers) = (other.clone(), HeaderMap::with_capacity(8));
        attach_other(&other, &mut headers);
        Box::new(move || attach_other(black_box(&other), black_box(&mut headers)))
    };
    let clock = || -> Box<dyn FnMut()> {
        Box::new(|| {
            black_box(SystemClock.now());
        })
    };
    let rows: [(&str, &(dyn Fn() -> Box<dyn FnMut()> + Sync)); 5] = [
        ("attach a valid token", &attaching),
        ("bare ArcSwap load", &loading),
        ("yup-oauth2's token()", &asking),
        ("attach the token of yup-oauth2", &attaching_other),
        ("read the clock", &clock),
    ];

    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [once, row, times] = &arguments[..]
        && once == "once"
    {
        let (_, work) = rows.iter().find(|(name, _)| name == row).expect("no such row");
        collected(times.parse().unwrap(), &mut *work());
        return;
    }
    for (name, work) in rows {
        let mut each = work();
        let region = Region::new(HEAP);
        (0..1000).for_each(|_| each());
        println!("{name}, allocations\t{}", region.change().allocations / 1000);
        for threads in [1, 2] {
            println!("{name}, ns on {threads} threads\t{:.1}", timed(threads, work));
        }
    }

    let slow = Slow::default();
    let over = handle(&driver, "over", slow.clone(), tokens(-10)).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let over = over.clone();
            tokio::spawn(async move { over.credential().await.map(|_| Instant::now()) })
        })
        .collect();
    let mut last = None;
    for caller in callers {
        last = last.max(Some(caller.await.unwrap().unwrap()));
    }
    let renewed = slow.1.lock().unwrap().unwrap();
    println!("{CALLERS} callers at expiry, renewals\t{}", slow.0.load(Ordering::Relaxed));
    let took: Duration = last.unwrap() - renewed;
    println!("{CALLERS} callers at expiry, from the new token to the last caller, µs\t{}", took.as_micros());

    let live = || HEAP.stats().bytes_allocated - HEAP.stats().bytes_deallocated;
    let driver = Driver::new().with_store(MemoryStore::new());
    let mut sessions = Vec::with_capacity(SESSIONS);
    let before = live();
    for number in 0..SESSIONS {
        sessions.push(handle(&driver, &number.to_string(), Slow::default(), tokens(3600)).await);
    }
    println!("{SESSIONS} sessions, bytes each, stored copy in memory included\t{}", (live() - before) / SESSIONS);
    let before = live();
    drop(driver);
    drop(sessions);
    println!("{SESSIONS} sessions, bytes each given back\t{}", (before - live()) / SESSIONS);
}
