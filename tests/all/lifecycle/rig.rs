//! A handle of either driver, an authorization server made of data, a store that can fail, and one clock for all.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use grantflow_blocking::stores::{Claimed, MemoryStore, Saved, Store};
use grantflow_core::client::Client;
use grantflow_core::error::{Delivery, Error, SendFailure, StoreError, StoreFault, TransportKind};
use grantflow_core::grant::Extras;
use grantflow_core::http::Body;
use grantflow_core::machine::Outgoing;
use grantflow_core::manager::{Change, Credential, Settings, SignedOut, Source, TokenId};
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_core::testing::specimens::{confidential, public};
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Timestamp};
use grantflow_tokio::Pending;
use tokio::runtime::Runtime;

use crate::secrecy;

/// When every story begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What happened, in order, at the server and at the store.
pub type Events = Arc<Mutex<Vec<String>>>;

/// A clock that only a test moves, in both directions.
#[derive(Clone, Debug)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    pub fn pass(&self, seconds: u64) {
        self.set(self.now().plus(Duration::from_secs(seconds)));
    }
}

impl grantflow_tokio::Clock for Time {
    fn now(&self) -> Timestamp {
        Time::now(self)
    }

    fn sleep_until(&self, _: Timestamp) -> Pending<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl grantflow_blocking::Clock for Time {
    fn now(&self) -> Timestamp {
        Time::now(self)
    }

    fn sleep_until(&self, _: Timestamp, _: &grantflow_blocking::Cancel) {
        panic!("a handle never sleeps");
    }
}

/// How the server, or the way to it, treats one request.
pub enum Turn {
    Honest,
    /// Status and body.
    Answer(u16, String),
    /// The request does not arrive.
    Unsent(TransportKind),
    /// The request arrives, the answer does not.
    Lost(TransportKind),
    /// What the user's HTTP client does at worst.
    Panic,
    /// Something happens before the honest answer.
    After(Box<dyn FnOnce() + Send>),
    /// Something happens before the refresh token is refused.
    RefusedAfter(Box<dyn FnOnce() + Send>),
}

impl Turn {
    pub fn refused(code: &str) -> Self {
        Turn::Answer(400, format!(r#"{{"error":"{code}"}}"#))
    }
}

/// An authorization server: refresh tokens rotate, and a second use of one ends the family.
#[derive(Clone)]
pub struct Authority(Arc<Office>);

struct Office {
    events: Events,
    desk: Mutex<Desk>,
}

struct Desk {
    issued: u64,
    current: String,
    ended: bool,
    rotates: bool,
    lifetime: Option<u64>,
    turns: VecDeque<Turn>,
    sent: Vec<String>,
    headers: Vec<String>,
}

impl Authority {
    pub fn new(events: &Events) -> Self {
        let desk = Desk {
            issued: 0,
            current: "canary-r0".to_owned(),
            ended: false,
            rotates: true,
            lifetime: Some(3600),
            turns: VecDeque::new(),
            sent: Vec::new(),
            headers: Vec::new(),
        };
        Self(Arc::new(Office { events: events.clone(), desk: Mutex::new(desk) }))
    }

    /// The next requests are treated like this.
    pub fn next(&self, turns: impl IntoIterator<Item = Turn>) {
        self.0.desk.lock().unwrap().turns.extend(turns);
    }

    pub fn lifetime(&self, seconds: Option<u64>) {
        self.0.desk.lock().unwrap().lifetime = seconds;
    }

    pub fn keeps_refresh_tokens(&self) {
        self.0.desk.lock().unwrap().rotates = false;
    }

    /// The refresh token that works.
    pub fn current(&self) -> String {
        self.0.desk.lock().unwrap().current.clone()
    }

    pub fn has_ended(&self) -> bool {
        self.0.desk.lock().unwrap().ended
    }

    /// The forms that came in.
    pub fn sent(&self) -> Vec<String> {
        self.0.desk.lock().unwrap().sent.clone()
    }

    /// The `Authorization` headers that came in.
    pub fn headers(&self) -> Vec<String> {
        self.0.desk.lock().unwrap().headers.clone()
    }

    /// How many requests came in.
    pub fn asked(&self) -> usize {
        self.sent().len()
    }

    fn answer(&self, outgoing: &Outgoing) -> Result<http::Response<Body>, SendFailure> {
        let form = String::from_utf8(outgoing.request.body().expose().to_vec()).unwrap();
        let header = outgoing.request.headers().get("authorization");
        let header = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        secrecy::keep("credentials", header.split_once(' ').map_or("", |(_, credentials)| credentials));
        if let Some(proof) = outgoing.request.headers().get("dpop") {
            secrecy::keep("dpop", proof.to_str().unwrap());
        }
        let revoking = outgoing.request.uri().path() == "/revoke";
        let kind = match (revoking, form.contains("grant_type=refresh_token")) {
            (true, _) => "revoke",
            (false, true) => "refresh",
            (false, false) => "token",
        };
        let turn = {
            let mut desk = self.0.desk.lock().unwrap();
            desk.sent.push(form.clone());
            desk.headers.push(header);
            desk.turns.pop_front().unwrap_or(Turn::Honest)
        };
        self.0.events.lock().unwrap().push(kind.to_owned());
        let lost = |delivery, kind| Err(SendFailure { delivery, kind });
        match turn {
            Turn::Honest => Ok(self.honest(kind, &form)),
            Turn::Answer(status, body) => Ok(response(status, body)),
            Turn::Unsent(kind) => lost(Delivery::NotSent, kind),
            Turn::Lost(why) => {
                let _ = self.honest(kind, &form);
                lost(Delivery::Unknown, why)
            }
            Turn::Panic => panic!("the HTTP client of a test panics"),
            Turn::After(happens) => {
                happens();
                Ok(self.honest(kind, &form))
            }
            Turn::RefusedAfter(happens) => {
                happens();
                Ok(response(400, r#"{"error":"invalid_grant"}"#.to_owned()))
            }
        }
    }

    fn honest(&self, kind: &str, form: &str) -> http::Response<Body> {
        let mut desk = self.0.desk.lock().unwrap();
        if kind == "revoke" {
            desk.ended = true;
            return response(200, String::new());
        }
        let mut refresh = String::new();
        if kind == "refresh" {
            let used = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap();
            if desk.ended || used != desk.current {
                desk.ended = true;
                return response(400, r#"{"error":"invalid_grant","error_description":"used before"}"#.to_owned());
            }
            if desk.rotates {
                desk.current = format!("canary-r{}", desk.issued + 1);
                refresh = format!(r#","refresh_token":"{}""#, desk.current);
            }
        }
        desk.issued += 1;
        secrecy::keep("access token", &format!("canary-a{}", desk.issued));
        secrecy::keep("refresh token", &desk.current);
        let life = desk.lifetime.map(|life| format!(r#","expires_in":{life}"#)).unwrap_or_default();
        response(200, format!(r#"{{"access_token":"canary-a{}","token_type":"Bearer"{life}{refresh}}}"#, desk.issued))
    }
}

fn response(status: u16, body: String) -> http::Response<Body> {
    let response = http::Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::new(body.into_bytes())).unwrap()
}

impl grantflow_tokio::HttpClient for Authority {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        let office = self.clone();
        // The server goes on although the client may be gone.
        let answer = tokio::task::spawn_blocking(move || office.answer(&outgoing));
        Box::pin(async move { answer.await.expect("the HTTP client panics") })
    }
}

impl grantflow_blocking::HttpClient for Authority {
    fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        self.answer(&outgoing)
    }
}

/// A store in memory that tells what it is asked, and fails on demand.
#[derive(Clone, Debug)]
pub struct Shelf {
    inner: MemoryStore,
    events: Events,
    broken: Arc<Mutex<BTreeSet<&'static str>>>,
    panics: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Shelf {
    fn new(events: &Events) -> Self {
        let (broken, panics) = (Arc::default(), Arc::default());
        Self { inner: MemoryStore::new(), events: events.clone(), broken, panics }
    }

    /// These calls fail from now on, and no others.
    pub fn breaks(&self, calls: &[&'static str]) {
        *self.broken.lock().unwrap() = calls.iter().copied().collect();
    }

    /// These calls panic from now on, and no others.
    pub fn panics(&self, calls: &[&'static str]) {
        *self.panics.lock().unwrap() = calls.iter().copied().collect();
    }

    fn told(&self, call: &'static str) -> Result<(), StoreError> {
        self.events.lock().unwrap().push(call.to_owned());
        secrecy::hear_debug(&self.inner);
        assert!(!self.panics.lock().unwrap().contains(call), "the store of a test panics");
        match self.broken.lock().unwrap().contains(call) {
            true => Err(StoreError::new(StoreFault::Unavailable, "out of reach")),
            false => Ok(()),
        }
    }

    /// Keeps this text for a profile, whatever was there.
    pub fn put(&self, profile: &str, text: &str) {
        let stored = Stored { version: Version::from_u64(1), bytes: Secret::new(text.as_bytes().to_vec()) };
        let write = StoreWrite { key: key(profile), expected: Expected::Anything, stored };
        self.inner.save(write).unwrap();
    }

    /// The text of what is kept for this profile.
    pub fn kept(&self, profile: &str) -> Option<String> {
        let stored = self.inner.load(&key(profile)).unwrap()?;
        Some(String::from_utf8(stored.bytes.expose().clone()).unwrap())
    }
}

impl Store for Shelf {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.told("load")?;
        self.inner.load(key)
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        self.told("save")?;
        self.inner.save(write)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.told("delete")?;
        self.inner.delete(key)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        self.told("claim")?;
        self.inner.claim(claim)
    }
}

pub fn key(profile: &str) -> StoreKey {
    StoreKey::new(&public(), profile).unwrap()
}

/// Tokens of a login: `canary-a0` and `canary-r0`, good for an hour.
pub fn tokens() -> TokenSet {
    lasting(3600)
}

pub fn lasting(seconds: u64) -> TokenSet {
    let (from, to) = (BEGIN.as_secs(), BEGIN.as_secs() + seconds);
    let record = format!(
        r#"{{"access_token":"canary-a0","token_type":"Bearer","refresh_token":"canary-r0","granted_at":{from},"expires_at":{to}}}"#
    );
    TokenSet::from_record(record.as_bytes(), BEGIN).unwrap()
}

/// What a caller wants.
#[derive(Clone, Copy)]
pub enum Want {
    Credential,
    Other(TokenId),
}

/// A handle of either driver, for threads.
pub enum Kept {
    Tokio(Arc<Runtime>, grantflow_tokio::TokenHandle),
    Blocking(grantflow_blocking::TokenHandle),
}

macro_rules! forwarded {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $output:ty;)*) => {
        $(pub fn $name(&self $(, $argument: $kind)*) -> Result<$output, Error> {
            self.heard();
            let outcome = match self {
                Kept::Tokio(runtime, handle) => runtime.block_on(handle.$name($($argument),*)),
                Kept::Blocking(handle) => handle.$name($($argument),*),
            };
            self.heard();
            secrecy::outcome(outcome)
        })*
    };
}

impl Kept {
    forwarded! {
        fn credential() -> Credential;
        fn invalidate(refused: TokenId) -> Credential;
        fn renew() -> Credential;
        fn reload() -> Credential;
        fn adopt(tokens: TokenSet) -> Credential;
        fn sign_out() -> SignedOut;
    }

    pub fn settled(&self) {
        match self {
            Kept::Tokio(runtime, handle) => runtime.block_on(handle.settled()),
            Kept::Blocking(handle) => handle.settled(),
        }
    }

    /// Lets the handle be heard, as one who debugs sees it.
    fn heard(&self) {
        match self {
            Kept::Tokio(_, handle) => secrecy::hear_debug(handle),
            Kept::Blocking(handle) => secrecy::hear_debug(handle),
        }
    }

    pub fn clone(&self) -> Self {
        match self {
            Kept::Tokio(runtime, handle) => Kept::Tokio(runtime.clone(), handle.clone()),
            Kept::Blocking(handle) => Kept::Blocking(handle.clone()),
        }
    }

    pub fn current(&self) -> Option<Credential> {
        match self {
            Kept::Tokio(_, handle) => handle.current(),
            Kept::Blocking(handle) => handle.current(),
        }
    }

    pub fn is_valid(&self) -> bool {
        match self {
            Kept::Tokio(_, handle) => grantflow_tokio::Authorizer::is_valid(handle),
            Kept::Blocking(handle) => grantflow_blocking::Authorizer::is_valid(handle),
        }
    }

    /// Tells what changes from now on.
    pub fn changes(&self) -> Box<dyn FnMut() -> Vec<Change> + '_> {
        match self {
            Kept::Tokio(_, handle) => {
                let mut changes = handle.subscribe();
                Box::new(move || std::iter::from_fn(|| changes.try_next()).inspect(secrecy::hear_debug).collect())
            }
            Kept::Blocking(handle) => {
                let mut changes = handle.subscribe();
                Box::new(move || std::iter::from_fn(|| changes.try_next()).inspect(secrecy::hear_debug).collect())
            }
        }
    }

    /// So many callers at once. `arrived` counts them as they come.
    pub fn many(&self, callers: usize, want: Want, arrived: &Arc<AtomicUsize>) -> Vec<Result<Credential, Error>> {
        let answers = match self {
            Kept::Tokio(runtime, handle) => runtime.block_on(async {
                let one = || {
                    let (handle, arrived) = (handle.clone(), arrived.clone());
                    tokio::spawn(async move {
                        arrived.fetch_add(1, Ordering::SeqCst);
                        match want {
                            Want::Credential => handle.credential().await,
                            Want::Other(id) => handle.invalidate(id).await,
                        }
                    })
                };
                let all: Vec<_> = (0..callers).map(|_| one()).collect();
                let mut answers = Vec::new();
                for each in all {
                    answers.push(each.await.unwrap());
                }
                answers
            }),
            Kept::Blocking(handle) => std::thread::scope(|scope| {
                let one = || {
                    let (handle, arrived) = (handle.clone(), arrived.clone());
                    let work = move || {
                        arrived.fetch_add(1, Ordering::SeqCst);
                        match want {
                            Want::Credential => handle.credential(),
                            Want::Other(id) => handle.invalidate(id),
                        }
                    };
                    std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work).unwrap()
                };
                let all: Vec<_> = (0..callers).map(|_| one()).collect();
                all.into_iter().map(|each| each.join().unwrap()).collect::<Vec<_>>()
            }),
        };
        self.heard();
        answers.into_iter().map(secrecy::outcome).collect()
    }
}

/// Which driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Tokio,
    Blocking,
}

pub const BOTH: [Which; 2] = [Which::Tokio, Which::Blocking];

/// One story's world.
pub struct Rig {
    pub which: Which,
    pub events: Events,
    pub authority: Authority,
    pub shelf: Shelf,
    pub time: Time,
    runtime: Arc<Runtime>,
}

impl Rig {
    pub fn new(which: Which) -> Self {
        secrecy::begins("story");
        // Those of before the story, and of another program.
        for (kind, secret) in [("access token", "canary-a"), ("refresh token", "canary-r")] {
            ["0", "9"].iter().for_each(|number| secrecy::keep(kind, &format!("{secret}{number}")));
        }
        let events = Events::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self {
            which,
            authority: Authority::new(&events),
            shelf: Shelf::new(&events),
            events,
            time: Time(Arc::new(AtomicU64::new(BEGIN.as_millis()))),
            runtime: Arc::new(runtime),
        }
    }

    /// The same world, seen by a program with the other driver.
    pub fn through(&self, which: Which) -> Self {
        let Self { events, authority, shelf, time, runtime, .. } = self;
        let (events, authority, shelf) = (events.clone(), authority.clone(), shelf.clone());
        Self { which, events, authority, shelf, time: time.clone(), runtime: runtime.clone() }
    }

    pub fn tokio_driver(&self) -> grantflow_tokio::Driver {
        let driver = grantflow_tokio::Driver::with_client(self.authority.clone());
        driver.with_clock(self.time.clone()).with_store(self.shelf.clone())
    }

    pub fn blocking_driver(&self) -> grantflow_blocking::Driver {
        let driver = grantflow_blocking::Driver::with_client(self.authority.clone());
        driver.with_clock(self.time.clone()).with_store(self.shelf.clone())
    }

    pub fn handle(&self, settings: Settings) -> Kept {
        match self.which {
            Which::Tokio => {
                Kept::Tokio(self.runtime.clone(), grantflow_tokio::TokenHandle::new(self.tokio_driver(), settings))
            }
            Which::Blocking => Kept::Blocking(grantflow_blocking::TokenHandle::new(self.blocking_driver(), settings)),
        }
    }

    /// A handle on tokens that somebody else gets, with this driver.
    pub fn delegated(&self, settings: Settings, gets: fn() -> Result<TokenSet, Error>) -> Kept {
        match self.which {
            Which::Tokio => {
                let driver = self.tokio_driver().with_refresher(Elsewhere(gets));
                Kept::Tokio(self.runtime.clone(), grantflow_tokio::TokenHandle::new(driver, settings))
            }
            Which::Blocking => {
                let driver = self.blocking_driver().with_refresher(Elsewhere(gets));
                Kept::Blocking(grantflow_blocking::TokenHandle::new(driver, settings))
            }
        }
    }

    /// A session that is loaded from the store when it is first used.
    pub fn session(&self, profile: &str) -> Kept {
        self.handle(settings(&public(), profile))
    }

    /// A session of a login that has just been: `canary-a0` and `canary-r0`, good for an hour. Nothing is told of its beginning.
    pub fn logged_in(&self) -> Kept {
        let kept = self.session("me");
        kept.adopt(tokens()).unwrap();
        self.events.lock().unwrap().clear();
        kept
    }

    /// The client's own tokens.
    pub fn own(&self) -> Kept {
        let source =
            Source::ClientCredentials { client: confidential(), scope: String::new(), extras: Extras::default() };
        self.handle(Settings::new(StoreKey::new(&confidential(), "own").unwrap(), source).unwrap())
    }

    /// What happened since the last time this was asked.
    pub fn happened(&self) -> String {
        std::mem::take(&mut *self.events.lock().unwrap()).join(" ")
    }

    pub fn tokio(&self, handle: grantflow_tokio::TokenHandle) -> Kept {
        Kept::Tokio(self.runtime.clone(), handle)
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Gets tokens in some way that is nobody's business here.
struct Elsewhere(fn() -> Result<TokenSet, Error>);

impl grantflow_tokio::Refresher for Elsewhere {
    fn refresh(&self, _: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        Box::pin(std::future::ready((self.0)()))
    }
}

impl grantflow_blocking::Refresher for Elsewhere {
    fn refresh(&self, _: Option<Arc<TokenSet>>) -> Result<TokenSet, Error> {
        (self.0)()
    }
}

pub fn settings(client: &Client, profile: &str) -> Settings {
    Settings::new(StoreKey::new(client, profile).unwrap(), Source::Session(client.clone())).unwrap()
}

/// Tells the story once with each driver.
pub fn both(story: impl Fn(&Rig)) {
    for which in BOTH {
        story(&Rig::new(which));
    }
}

pub fn text(credential: &Credential) -> &str {
    credential.access_token().unwrap().expose()
}

/// A door that stays shut until somebody opens it.
#[derive(Clone, Default)]
pub struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }

    /// The server answers when the door is open.
    pub fn turn(&self) -> Turn {
        let door = self.clone();
        Turn::After(Box::new(move || door.pass()))
    }
}

/// The server answers when so many callers have come.
pub fn when(arrived: &Arc<AtomicUsize>, callers: usize) -> Box<dyn FnOnce() + Send> {
    let arrived = arrived.clone();
    Box::new(move || {
        while arrived.load(Ordering::SeqCst) < callers {
            std::thread::yield_now();
        }
    })
}
