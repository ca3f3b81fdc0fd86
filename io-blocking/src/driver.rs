//! The loop that drives every flow.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use grantflow_core::crypto::{AwsLc, Crypto};
use grantflow_core::error::{Delivery, Error, ProviderError, SendFailure, StoreError, StoreFault, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::machine::{Context, Effect, Event, Machine, Observer, Outgoing, SignRequest, Step};
#[cfg(feature = "middleware")]
use grantflow_core::manager::TokenId;
use grantflow_core::manager::{Lease, TokenManager};
use grantflow_core::memory::Memory;
use grantflow_core::token::TokenSet;
use grantflow_core::{Random, RandomUnavailable, Secret};
use grantflow_stores::{Claimed, Saved, Store};

use crate::authorizer::leased;
use crate::person::{Came, Nobody, Person};
use crate::{Authorizer, Cancel, Clock, HttpClient, SystemClock, UreqClient};

/// Signs with keys that the core does not hold.
pub trait Signer: Send + Sync {
    /// Signs [`SignRequest::message`]. ECDSA signatures have the fixed length of RFC 7518 §3.4.
    ///
    /// # Errors
    /// [`ProviderError`] when there is no signature.
    fn sign(&self, request: SignRequest) -> Result<Secret<Vec<u8>>, ProviderError>;
}

/// Gets new tokens where the client's id and secret live: in a cloud service, or in a vault.
pub trait Refresher: Send + Sync {
    /// Gives the successors of these tokens, or the first ones. Without a refresh token the old one lives on.
    ///
    /// # Errors
    /// Why there are none.
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Result<TokenSet, Error>;
}

/// Drives machines: performs their effects and gives them the answers. Cheap to clone, and to be shared by threads.
///
/// It holds what outlives a flow: the connections, the clock, and what flows learn for one another.
#[derive(Clone)]
pub struct Driver {
    http: Arc<dyn HttpClient>,
    crypto: Arc<dyn Crypto>,
    clock: Arc<dyn Clock>,
    memory: Arc<Mutex<Memory>>,
    signer: Option<Arc<dyn Signer>>,
    store: Option<Arc<dyn Store>>,
    refresher: Option<Arc<dyn Refresher>>,
    authorizer: Option<Arc<dyn Authorizer>>,
    observer: Option<Arc<Mutex<dyn Observer + Send>>>,
    cancel: Cancel,
}

impl Driver {
    /// A driver on [`UreqClient`] and the system's clock.
    pub fn new() -> Self {
        Self::with_client(UreqClient::default())
    }

    /// A driver that sends with `client`.
    pub fn with_client(client: impl HttpClient + 'static) -> Self {
        Self {
            http: Arc::new(client),
            crypto: Arc::new(AwsLc),
            clock: Arc::new(SystemClock),
            memory: Arc::default(),
            signer: None,
            store: None,
            refresher: None,
            authorizer: None,
            observer: None,
            cancel: Cancel::new(),
        }
    }

    /// Uses another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Uses other cryptography than aws-lc.
    #[must_use]
    pub fn with_crypto(mut self, crypto: impl Crypto + 'static) -> Self {
        self.crypto = Arc::new(crypto);
        self
    }

    /// Signs with this.
    #[must_use]
    pub fn with_signer(mut self, signer: impl Signer + 'static) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Keeps tokens in `store`. A call that does not come back keeps whoever waits for a token: a thread that is blocked
    /// cannot be called back, so a store has to bound its calls itself, as those of this project do.
    #[must_use]
    pub fn with_store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Gets new tokens from `refresher`, for machines whose source is
    /// [`Delegated`](grantflow_core::manager::Source::Delegated).
    #[must_use]
    pub fn with_refresher(mut self, refresher: impl Refresher + 'static) -> Self {
        self.refresher = Some(Arc::new(refresher));
        self
    }

    /// Authorizes the requests to resources with what `authorizer` gives.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// What authorizes the requests to resources.
    pub(crate) fn authorizer(&self) -> Option<&Arc<dyn Authorizer>> {
        self.authorizer.as_ref()
    }

    /// Whether there is somewhere to keep tokens.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Tells `observer` of every transition and every check.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<Mutex<dyn Observer + Send>>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Gives up when `cancel` is used. Everything else stays shared with the driver that this one was cloned from.
    #[must_use]
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The clock in use.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Drives `machine` to its end, beginning with `first`: [`Event::Start`], or [`Event::Resume`] after a restore.
    ///
    /// # Errors
    /// What the machine ends with.
    pub fn run<M: Machine>(&self, machine: &mut M, first: Event, person: &mut dyn Person) -> Result<M::Output, Error> {
        let outcome = self.turns(machine, first, person, &mut Run::default());
        person.finish(outcome.as_ref().map(|_| ()));
        outcome
    }

    /// Gives a token manager one command. A claim that it keeps is in `claimed`, before and after.
    pub(crate) fn command(
        &self,
        manager: &mut TokenManager,
        command: Event,
        claimed: &mut Option<Box<dyn Claimed>>,
    ) -> Result<Lease, Error> {
        let mut run = Run { claimed: claimed.take().filter(|_| manager.keeps_claim()), ..Run::default() };
        let lease = self.turns(manager, command, &mut Nobody, &mut run);
        *claimed = run.claimed.filter(|_| manager.keeps_claim());
        lease
    }

    fn turns<M: Machine>(
        &self,
        machine: &mut M,
        first: Event,
        person: &mut dyn Person,
        run: &mut Run,
    ) -> Result<M::Output, Error> {
        let mut event = first;
        loop {
            match self.handle(machine, event) {
                Ok(Step::Done(output)) => return Ok(output),
                Ok(Step::Do(effect)) => event = self.perform(effect, person, run),
                Err(Error::Cancelled) => return Err(run.gone.take().unwrap_or(Error::Cancelled)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Drives `machine` until something is to be sent, which the caller does, or to its end. `leased` is what it was given
    /// last.
    #[cfg(feature = "middleware")]
    pub(crate) fn until_sending<M>(
        &self,
        machine: &mut M,
        first: Event,
        leased: &mut Option<TokenId>,
    ) -> Result<Sending<M::Output>, Error>
    where
        M: Machine,
    {
        let mut run = Run::default();
        let mut event = first;
        loop {
            match self.handle(machine, event)? {
                Step::Done(output) => return Ok(Sending::Done(output)),
                Step::Do(Effect::Send(outgoing)) => return Ok(Sending::Wanted(Box::new(outgoing))),
                Step::Do(effect) => event = self.perform(effect, &mut Nobody, &mut run),
            }
            if let Event::Leased(credential) = &event {
                *leased = Some(credential.id());
            }
        }
    }

    /// Gives `machine` one event, with this driver's clock, randomness and memory, and says what it wants next.
    ///
    /// For whoever performs an effect elsewhere: a web server that answers a request with the redirect and stores the
    /// flow until the callback comes.
    ///
    /// # Errors
    /// As [`Machine::handle`].
    pub fn handle<M: Machine>(&self, machine: &mut M, event: Event) -> Result<Step<M::Output>, Error> {
        // The only place that holds a lock, and nothing waits in it.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut observer = self.observer.as_ref().map(|held| held.lock().unwrap_or_else(PoisonError::into_inner));
        machine.handle(
            event,
            &mut Context {
                now: self.clock.now(),
                random: &mut SystemRandom,
                crypto: &*self.crypto,
                memory: &mut memory,
                observer: observer.as_deref_mut().map(|observer| -> &mut dyn Observer { observer }),
            },
        )
    }

    fn perform(&self, effect: Effect, person: &mut dyn Person, run: &mut Run) -> Event {
        // Before an effect, never after it: an answer in hand is not thrown away.
        if self.cancel.is_cancelled() {
            return Event::Cancel;
        }
        if !matches!(effect, Effect::Redirect(_)) {
            person.attend();
        }
        match effect {
            Effect::Send(outgoing) => match self.send(outgoing) {
                Ok(response) => Event::Response(response),
                Err(failure) => Event::SendFailed(failure),
            },
            Effect::Redirect(redirect) => match person.redirect(redirect, &*self.clock, &self.cancel) {
                Came::Back(parameters) => Event::Callback(parameters),
                Came::TooLate => Event::Elapsed,
                Came::Gone(error) => {
                    run.gone = Some(error);
                    Event::Cancel
                }
            },
            Effect::ShowUserCode(code) => match person.show_user_code(&code) {
                Ok(()) => Event::Shown,
                Err(error) => {
                    run.gone = Some(error);
                    Event::Cancel
                }
            },
            Effect::Sleep { until } => {
                self.clock.sleep_until(until, &self.cancel);
                if self.cancel.is_cancelled() { Event::Cancel } else { Event::Elapsed }
            }
            effect @ (Effect::Load(_) | Effect::Claim(_) | Effect::Save(_) | Effect::Delete(_)) => match &self.store {
                None => effect.refused(),
                Some(store) => {
                    // A store's panic must not take the tokens along that only the machine holds.
                    let done = catch_unwind(AssertUnwindSafe(|| stored(&**store, effect, &mut run.claimed)));
                    done.unwrap_or_else(|_| {
                        Event::StoreFailed(StoreError::new(StoreFault::Unavailable, "the store has panicked"))
                    })
                }
            },
            Effect::Release(_) => {
                run.claimed = None;
                Event::Released
            }
            Effect::Delegate(delegation) => match &self.refresher {
                None => Effect::Delegate(delegation).refused(),
                Some(refresher) => match refresher.refresh(delegation.spent) {
                    Ok(tokens) => Event::Delegated(Box::new(tokens)),
                    Err(error) => Event::DelegateFailed(error),
                },
            },
            Effect::Lease(request) => match &self.authorizer {
                None => Effect::Lease(request).refused(),
                Some(authorizer) => leased(&**authorizer, request),
            },
            Effect::Sign(request) => match self.signer.as_ref().map(|signer| signer.sign(request)) {
                None => Event::SignFailed(ProviderError::KeyUnavailable),
                Some(Ok(signature)) => Event::Signed(signature),
                Some(Err(error)) => Event::SignFailed(error),
            },
        }
    }

    /// Sends, and holds a client that somebody else wrote to the size it was given.
    fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        let limit = outgoing.max_body;
        let response = self.http.send(outgoing)?;
        if response.body().len() > limit {
            return Err(SendFailure { delivery: Delivery::Unknown, kind: TransportKind::TooLarge });
        }
        Ok(response)
    }
}

impl Default for Driver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What a machine comes to whose messages somebody else sends.
#[cfg(feature = "middleware")]
pub(crate) enum Sending<T> {
    /// Send this.
    Wanted(Box<Outgoing>),
    /// It is done.
    Done(T),
}

/// What one run of a machine holds beside the machine.
#[derive(Default)]
struct Run {
    /// Why the person is gone, if so: the machine only knows that it is cancelled.
    gone: Option<Error>,
    /// The claim on a record.
    claimed: Option<Box<dyn Claimed>>,
}

/// Performs an effect on the store.
fn stored(store: &dyn Store, effect: Effect, claimed: &mut Option<Box<dyn Claimed>>) -> Event {
    let answer = match effect {
        Effect::Load(key) => store.load(&key).map(Event::Loaded),
        Effect::Claim(claim) if claimed.is_some() => store.load(&claim.key).map(Event::Loaded),
        Effect::Claim(claim) => {
            let key = claim.key.clone();
            match store.claim(&claim) {
                Ok(held) => {
                    *claimed = held;
                    store.load(&key).map(Event::Loaded)
                }
                Err(error) => Err(error),
            }
        }
        Effect::Save(write) => store.save(write).map(|saved| match saved {
            Saved::Done => Event::Stored,
            Saved::Conflict => Event::Conflict,
        }),
        Effect::Delete(key) => store.delete(&key).map(|()| Event::Stored),
        other => Ok(other.refused()),
    };
    answer.unwrap_or_else(Event::StoreFailed)
}

/// The operating system's randomness, by way of aws-lc.
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        aws_lc_rs::rand::fill(out).map_err(|_| RandomUnavailable)
    }
}
