//! Tokens that renew themselves, for any number of threads at once.
//!
//! All rules are the core's: its [`TokenManager`] knows what to do, its [`Gate`](grantflow_core::manager::Gate) who does it.
//! Here are the threads; the [`Desk`] is where they meet.

use std::fmt;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use grantflow_core::error::Error;
use grantflow_core::machine::Event;
use grantflow_core::manager::{Change, Credential, Settings, SignedOut, Source, TokenId, TokenManager, Wish};
use grantflow_core::resource::Audience;
use grantflow_core::store::StoreKey;
use grantflow_core::token::TokenSet;
use grantflow_stores::{Claimed, MemoryStore, Store};

use crate::desk::{Asked, Desk, Flight, Landing, Outcome};
use crate::{Api, Authorizer, Cancel, Driver, Refresher};

/// How many changes wait for a watcher who does not look.
const UNSEEN_CHANGES: usize = 64;

/// The tokens of one login, or of one client: loaded, kept fresh, saved. Cheap to clone; clones are one.
///
/// While a token is fresh, asking takes no lock and allocates nothing. When it is due, one thread of its own renews it, and
/// all who wait get the same answer, good or bad. While the old token still works, nobody waits. Nothing runs between
/// requests, and nobody is ever sent to a login. The work is never cancelled: a [`Cancel`] of the driver does not reach it,
/// since what it brings may be a token that exists nowhere else. Do not use a handle in a child that was forked without
/// `exec`: the threads stay behind.
///
/// Within an async runtime a call blocks its thread, but never for the sake of another task: the work has a thread of its
/// own. Still, make it on a thread that may be blocked.
#[derive(Clone)]
pub struct TokenHandle(Arc<Shared>);

struct Shared {
    desk: Arc<Desk>,
    // Held by the thread at work, so commands run one after the other.
    manager: Mutex<Managed>,
    driver: Driver,
    settings: Settings,
    watchers: Mutex<Vec<SyncSender<Change>>>,
}

/// The machine, and the claim that it keeps between two commands while a save is due.
type Managed = (TokenManager, Option<Box<dyn Claimed>>);

impl TokenHandle {
    /// Tokens that `driver` gets and keeps. Nothing is read, sent or started yet. A driver without a store gets one that
    /// ends with the process.
    pub fn new(driver: Driver, settings: Settings) -> Self {
        let driver = if driver.has_store() { driver } else { driver.with_store(MemoryStore::new()) };
        Self(Arc::new(Shared {
            desk: Arc::default(),
            manager: Mutex::new((TokenManager::new(settings.clone()), None)),
            driver: driver.with_cancel(&Cancel::new()),
            settings,
            watchers: Mutex::default(),
        }))
    }

    /// A credential that works now.
    ///
    /// # Errors
    /// What keeps it from being had; [`Error::LoginNeeded`] when only a person can change that.
    pub fn credential(&self) -> Result<Credential, Error> {
        match self.0.desk.fresh(self.0.driver.clock().now()) {
            Some(fresh) => Ok(fresh),
            None => self.obtain(Wish::Credential),
        }
    }

    /// A credential other than the one that was refused; see [`Authorizer::invalidate`].
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    pub fn invalidate(&self, refused: TokenId) -> Result<Credential, Error> {
        self.obtain(Wish::Other(refused))
    }

    /// Renews ahead of time, unless the token came within the last second.
    ///
    /// # Errors
    /// Why nothing was renewed; the old token may still work.
    pub fn renew(&self) -> Result<Credential, Error> {
        self.command(Event::Renew)?.renewed()
    }

    /// Takes up what is stored in place of what is held.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    pub fn reload(&self) -> Result<Credential, Error> {
        self.command(Event::Reload)?.granted(Wish::Credential)
    }

    /// Takes the tokens of a login, and saves them before anybody gets them. [`Credential::unsaved`] says if that failed.
    ///
    /// # Errors
    /// The tokens cannot be used.
    pub fn adopt(&self, tokens: TokenSet) -> Result<Credential, Error> {
        self.command(Event::Adopt(Box::new(tokens)))?.granted(Wish::Credential)
    }

    /// Revokes the tokens and forgets them. They are forgotten even if the server does not answer.
    ///
    /// # Errors
    /// Whoever did the work is gone.
    pub fn sign_out(&self) -> Result<SignedOut, Error> {
        self.command(Event::SignOut)?.left()
    }

    /// The last credential, without waiting, whether it still works or not.
    pub fn current(&self) -> Option<Credential> {
        self.0.desk.published()
    }

    /// Tells of what becomes of the tokens from now on.
    pub fn subscribe(&self) -> Changes {
        let (watcher, changes) = mpsc::sync_channel(UNSEEN_CHANGES);
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        Changes(changes)
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
    pub fn settled(&self) {
        let _ = self.0.desk.flight().map(|flight| flight.wait());
    }

    fn obtain(&self, wish: Wish) -> Result<Credential, Error> {
        let event = match wish {
            Wish::Credential => Event::Acquire,
            Wish::Other(refused) => Event::Reject(refused),
        };
        match self.0.desk.ask(wish, self.0.driver.clock().now()) {
            Asked::Use(credential) => Ok(credential),
            Asked::Rest(error) => Err(error),
            Asked::Follow(flight) => flight.wait()?.granted(wish),
            Asked::Lead(landing, Some(meanwhile)) => {
                self.start(landing, event);
                Ok(meanwhile)
            }
            Asked::Lead(landing, None) => self.start(landing, event).wait()?.granted(wish),
        }
    }

    fn command(&self, event: Event) -> Outcome {
        self.start(self.0.desk.command(), event).wait()
    }

    /// Has the work done in a thread of its own; in this one, if there is no other.
    fn start(&self, landing: Landing, event: Event) -> Flight {
        let flight = landing.flight();
        let shared = Arc::clone(&self.0);
        let work = Arc::new(Mutex::new(Some(move || shared.work(landing, event))));
        let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let begin = {
            let work = Arc::clone(&work);
            move || take(&work).map(|work| work())
        };
        if thread::Builder::new().name("grantflow-tokens".to_owned()).spawn(begin).is_err() {
            let _ = take(&work).map(|work| work());
        }
        flight
    }
}

impl Shared {
    fn work(&self, landing: Landing, event: Event) {
        let mut managed = self.manager.lock().unwrap_or_else(PoisonError::into_inner);
        let (manager, claimed) = &mut *managed;
        manager.recover();
        let outcome = self.driver.command(manager, event, claimed);
        // While the manager is still ours: what is published is what it said last.
        landing.land(outcome, self.driver.clock().now(), |change| {
            let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
            watchers.retain(|watcher| !matches!(watcher.try_send(change.clone()), Err(TrySendError::Disconnected(_))));
        });
    }
}

impl Authorizer for TokenHandle {
    fn credential(&self) -> Result<Credential, Error> {
        self.credential()
    }

    fn invalidate(&self, refused: TokenId) -> Result<Credential, Error> {
        self.invalidate(refused)
    }

    fn current(&self) -> Option<Credential> {
        self.current()
    }

    fn is_valid(&self) -> bool {
        self.0.desk.fresh(self.0.driver.clock().now()).is_some()
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

/// What becomes of tokens, as it happens. One who does not look misses the newest.
#[derive(Debug)]
pub struct Changes(Receiver<Change>);

impl Changes {
    /// A change that has happened already, if there is one.
    pub fn try_next(&mut self) -> Option<Change> {
        self.0.try_recv().ok()
    }
}

impl Iterator for Changes {
    type Item = Change;

    /// Waits for the next change. `None` when the last handle is gone.
    fn next(&mut self) -> Option<Change> {
        self.0.recv().ok()
    }
}

/// What a [`TokenHandle`] is made of. Nothing is read or sent before the handle is used.
///
/// ```no_run
/// # fn example(client: grantflow_blocking::Client) -> Result<(), grantflow_blocking::core::Error> {
/// use grantflow_blocking::stores::MemoryStore;
/// let tokens = client.login("openid offline_access")?;
/// let session = client.tokens("me").with_store(MemoryStore::new()).adopt(tokens)?;
/// let credential = session.credential()?; // before every request: fresh, renewed once for all who ask
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

    /// Keeps them in `store`.
    pub fn with_store(mut self, store: impl Store + 'static) -> Self {
        self.driver = self.driver.with_store(store);
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
    pub fn adopt(self, tokens: TokenSet) -> Result<TokenHandle, Error> {
        let handle = self.open()?;
        handle.adopt(tokens)?;
        Ok(handle)
    }
}
