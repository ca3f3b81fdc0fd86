//! Tokens that renew themselves, for any number of tasks at once.
//!
//! All rules are the core's: its [`TokenManager`] knows what to do, its [`Gate`] who does it. Here are a mutex that is never
//! held across a wait, and the tasks.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use grantflow_core::error::{ConfigError, Error, ProviderError};
use grantflow_core::machine::Event;
use grantflow_core::manager::{
    Change, Credential, Gate, Lease, Settings, SignedOut, Source, TokenId, TokenManager, Verdict, Wish,
};
use grantflow_core::resource::Audience;
use grantflow_core::store::StoreKey;
use grantflow_core::token::TokenSet;
use grantflow_stores::{Claimed, MemoryStore, Store};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};

use crate::{Api, AsyncStore, Authorizer, Driver, Pending, Refresher};

/// How many changes wait for a watcher who does not look.
const UNSEEN_CHANGES: usize = 64;

/// The tokens of one login, or of one client: loaded, kept fresh, saved. Cheap to clone; clones are one.
///
/// While a token is fresh, asking takes no lock and allocates nothing. When it is due, one task of its own renews it: a
/// caller that goes away cancels nothing, and all who wait get the same answer, good or bad. While the old token still
/// works, nobody waits. Nothing runs between requests, and nobody is ever sent to a login. Do not use a handle in a
/// child that was forked without `exec`: the threads stay behind.
#[derive(Clone)]
pub struct TokenHandle(Arc<Shared>);

struct Shared {
    published: ArcSwapOption<Credential>,
    desk: Mutex<Desk>,
    // Held by the task at work, so commands run one after the other.
    manager: tokio::sync::Mutex<Managed>,
    driver: Driver,
    settings: Settings,
    /// Only there once somebody watches: a hundred thousand handles that nobody watches should be small.
    changes: OnceLock<broadcast::Sender<Change>>,
}

#[derive(Default)]
struct Desk {
    gate: Gate,
    /// What the last leader's work comes to.
    flight: Option<Flight>,
}

/// The machine, and the claim that it keeps between two commands while a save is due.
type Managed = (TokenManager, Option<Box<dyn Claimed>>);
type Outcome = Result<Lease, Error>;
type Flight = watch::Receiver<Option<Outcome>>;

impl TokenHandle {
    /// Tokens that `driver` gets and keeps. Nothing is read, sent or started yet. A driver without a store gets one that
    /// ends with the process.
    pub fn new(driver: Driver, settings: Settings) -> Self {
        let driver = if driver.has_store() { driver } else { driver.with_store(MemoryStore::new()) };
        Self(Arc::new(Shared {
            published: ArcSwapOption::empty(),
            desk: Mutex::default(),
            manager: tokio::sync::Mutex::new((TokenManager::new(settings.clone()), None)),
            driver,
            settings,
            changes: OnceLock::new(),
        }))
    }

    /// A credential that works now.
    ///
    /// # Errors
    /// What keeps it from being had; [`Error::LoginNeeded`] when only a person can change that.
    pub async fn credential(&self) -> Result<Credential, Error> {
        let now = self.0.driver.clock().now();
        if let Some(fresh) = self.0.published.load().as_deref().filter(|held| !held.is_due(now)) {
            return Ok(fresh.clone());
        }
        self.obtain(Wish::Credential).await
    }

    /// A credential other than the one that was refused; see [`Authorizer::invalidate`].
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    pub async fn invalidate(&self, refused: TokenId) -> Result<Credential, Error> {
        self.obtain(Wish::Other(refused)).await
    }

    /// Renews ahead of time, unless the token came within the last second.
    ///
    /// # Errors
    /// Why nothing was renewed; the old token may still work.
    pub async fn renew(&self) -> Result<Credential, Error> {
        self.command(Event::Renew).await?.renewed()
    }

    /// Takes up what is stored in place of what is held.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    pub async fn reload(&self) -> Result<Credential, Error> {
        self.command(Event::Reload).await?.granted(Wish::Credential)
    }

    /// Takes the tokens of a login, and saves them before anybody gets them. [`Credential::unsaved`] says if that failed.
    ///
    /// # Errors
    /// The tokens cannot be used.
    pub async fn adopt(&self, tokens: TokenSet) -> Result<Credential, Error> {
        self.command(Event::Adopt(Box::new(tokens))).await?.granted(Wish::Credential)
    }

    /// Revokes the tokens and forgets them. They are forgotten even if the server does not answer.
    ///
    /// # Errors
    /// Whoever did the work is gone.
    pub async fn sign_out(&self) -> Result<SignedOut, Error> {
        self.command(Event::SignOut).await?.left()
    }

    /// The last credential, without waiting, whether it still works or not.
    pub fn current(&self) -> Option<Credential> {
        self.0.published.load().as_deref().cloned()
    }

    /// Tells of what becomes of the tokens from now on.
    pub fn subscribe(&self) -> Changes {
        Changes(self.0.changes.get_or_init(|| broadcast::Sender::new(UNSEEN_CHANGES)).subscribe())
    }

    /// The API at `audience`, with these tokens, and with the hooks and the key of the client that they belong to.
    pub fn api(&self, audience: Audience) -> Api {
        let api = Api::new(self.0.driver.clone(), Arc::new(self.clone()), audience);
        match self.0.settings.client() {
            Some(client) => api.with_client(client),
            None => api,
        }
    }

    /// Waits for a renewal that is under way. A program that is about to end does: the server may have replaced the token.
    pub async fn settled(&self) {
        let flight = self.0.desk().flight.clone();
        if let Some(flight) = flight {
            let _ = landed(flight).await;
        }
    }

    async fn obtain(&self, wish: Wish) -> Result<Credential, Error> {
        let runtime = runtime()?;
        let (meanwhile, led, flight) = {
            let mut desk = self.0.desk();
            let (meanwhile, leads) = match desk.gate.ask(wish, self.0.driver.clock().now()) {
                Verdict::Use(credential) => return Ok(credential),
                Verdict::Rest(error, _) => return Err(error),
                Verdict::UseAndLead(credential) => (Some(credential), true),
                Verdict::Lead => (None, true),
                Verdict::Follow => (None, false),
            };
            let work = leads.then(|| Work::new(&self.0, Part::Leader));
            let (work, flight) = work.unzip();
            desk.flight = flight.or(desk.flight.take());
            (meanwhile, work, desk.flight.clone())
        };
        // Not under the mutex: a runtime that is shutting down drops the work at once, and that takes it too.
        if let Some(work) = led {
            let event = match wish {
                Wish::Credential => Event::Acquire,
                Wish::Other(refused) => Event::Reject(refused),
            };
            runtime.spawn(work.run(event));
        }
        match (meanwhile, flight) {
            (Some(credential), _) => Ok(credential),
            (None, Some(flight)) => landed(flight).await?.granted(wish),
            (None, None) => Err(Error::Bug("nobody to follow")),
        }
    }

    async fn command(&self, event: Event) -> Outcome {
        let (work, flight) = Work::new(&self.0, Part::Commander);
        runtime()?.spawn(work.run(event));
        landed(flight).await
    }
}

fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| ConfigError::Missing("tokio runtime").into())
}

async fn landed(mut flight: Flight) -> Outcome {
    match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(ProviderError::Interrupted.into())),
        Err(_) => Err(ProviderError::Interrupted.into()),
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One command at work, in a task of its own. However the task ends, those who wait hear of it.
struct Work {
    shared: Arc<Shared>,
    part: Part,
    landing: watch::Sender<Option<Outcome>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Others follow.
    Leader,
    /// Nobody follows but whoever gave the command.
    Commander,
    Done,
}

impl Work {
    fn new(shared: &Arc<Shared>, part: Part) -> (Self, Flight) {
        let (landing, flight) = watch::channel(None);
        (Self { shared: Arc::clone(shared), part, landing }, flight)
    }

    async fn run(mut self, event: Event) {
        let shared = Arc::clone(&self.shared);
        let mut managed = shared.manager.lock().await;
        let (manager, claimed) = &mut *managed;
        manager.recover();
        let outcome = shared.driver.command(manager, event, claimed).await;
        // While the manager is still ours: what is published is what it said last.
        self.land(outcome);
    }

    fn land(&mut self, outcome: Outcome) {
        let now = self.shared.driver.clock().now();
        let change = {
            let mut desk = self.shared.desk();
            let change = match (&outcome, self.part) {
                (Ok(lease), Part::Leader) => desk.gate.settle(lease, now),
                (Ok(lease), Part::Commander | Part::Done) => desk.gate.note(lease, now),
                (Err(_), Part::Leader) => {
                    desk.gate.abandon();
                    None
                }
                (Err(_), Part::Commander | Part::Done) => None,
            };
            self.shared.published.store(desk.gate.held().cloned().map(Arc::new));
            self.part = Part::Done;
            change
        };
        if let (Some(change), Some(watched)) = (change, self.shared.changes.get()) {
            // Nobody has to watch any more.
            let _ = watched.send(change);
        }
        self.landing.send_replace(Some(outcome));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.part == Part::Leader {
            self.shared.desk().gate.abandon();
        }
        // The sender goes now, and wakes all who still wait.
    }
}

impl Authorizer for TokenHandle {
    fn credential(&self) -> Pending<'_, Result<Credential, Error>> {
        Box::pin(self.credential())
    }

    fn invalidate(&self, refused: TokenId) -> Pending<'_, Result<Credential, Error>> {
        Box::pin(self.invalidate(refused))
    }

    fn current(&self) -> Option<Credential> {
        self.current()
    }

    fn is_valid(&self) -> bool {
        let now = self.0.driver.clock().now();
        self.0.published.load().as_deref().is_some_and(|held| !held.is_due(now))
    }

    fn client_id(&self) -> Option<&str> {
        Some(self.0.settings.key().client_id())
    }
}

impl fmt::Debug for TokenHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.0.settings.key();
        f.debug_struct("TokenHandle").field("key", key).field("current", &self.current()).finish_non_exhaustive()
    }
}

/// What becomes of tokens, as it happens. One who does not look misses the oldest.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// Waits for the next change. `None` when the last handle is gone.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            match self.0.recv().await {
                Ok(change) => return Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// A change that has happened already, if there is one.
    pub fn try_next(&mut self) -> Option<Change> {
        loop {
            match self.0.try_recv() {
                Ok(change) => return Some(change),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => return None,
            }
        }
    }
}

/// What a [`TokenHandle`] is made of. Nothing is read or sent before the handle is used.
///
/// ```no_run
/// # async fn example(client: grantflow_tokio::Client) -> Result<(), grantflow_tokio::core::Error> {
/// use grantflow_tokio::stores::MemoryStore;
/// let tokens = client.login("openid offline_access").await?;
/// let session = client.tokens("me").with_store(MemoryStore::new()).adopt(tokens).await?;
/// let credential = session.credential().await?; // before every request: fresh, renewed once for all who ask
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Tokens {
    driver: Driver,
    settings: Result<Settings, Error>,
}

impl Tokens {
    /// Tokens of `source`, kept under `key`.
    pub fn new(driver: Driver, key: Result<StoreKey, Error>, source: Source) -> Self {
        Self { driver, settings: key.and_then(|key| Settings::new(key, source)) }
    }

    /// Tokens that `refresher` gets: neither a client nor its secret is needed here.
    pub fn delegated(driver: Driver, key: StoreKey, refresher: impl Refresher + 'static) -> Self {
        Self::new(driver.with_refresher(refresher), Ok(key), Source::Delegated)
    }

    /// Keeps them in `store`, which is called on threads that may be blocked.
    pub fn with_store(mut self, store: impl Store + 'static) -> Self {
        self.driver = self.driver.with_store(store);
        self
    }

    /// Keeps them in `store`.
    pub fn with_async_store(mut self, store: impl AsyncStore + 'static) -> Self {
        self.driver = self.driver.with_async_store(store);
        self
    }

    /// Changes the settings.
    pub fn with(mut self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.settings = self.settings.map(change);
        self
    }

    /// A handle on what is stored, or on what the source gives.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn open(self) -> Result<TokenHandle, Error> {
        Ok(TokenHandle::new(self.driver, self.settings?))
    }

    /// A handle on the tokens of a login, which are saved first.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`TokenHandle::adopt`].
    pub async fn adopt(self, tokens: TokenSet) -> Result<TokenHandle, Error> {
        let handle = self.open()?;
        handle.adopt(tokens).await?;
        Ok(handle)
    }
}
