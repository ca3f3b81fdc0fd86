//! The loop that drives every flow.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grantflow_core::crypto::{AwsLc, Crypto};
use grantflow_core::error::{Delivery, Error, ProviderError, SendFailure, StoreError, StoreFault, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::machine::{Context, Effect, Event, Machine, Observer, Outgoing, SignRequest, Step};
#[cfg(any(feature = "reqwest", feature = "tower"))]
use grantflow_core::manager::TokenId;
use grantflow_core::manager::{Lease, TokenManager};
use grantflow_core::memory::Memory;
use grantflow_core::token::TokenSet;
use grantflow_core::{Random, RandomUnavailable, Secret};
use grantflow_stores::{Claimed, Saved, Store};

use crate::authorizer::leased;
use crate::person::{Came, Nobody, Person};
use crate::race::{Either, race, within};
use crate::store::release;
use crate::{AsyncStore, Authorizer, Clock, HttpClient, HyperClient, OnThreads, Pending, SystemClock};

/// How much longer than its time a client may take.
const GRACE: Duration = Duration::from_secs(1);

/// How long a store may take, unless the caller says otherwise. Those of this project give up long before.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);

/// Signs with keys that the core does not hold.
pub trait Signer: Send + Sync {
    /// Signs [`SignRequest::message`]. ECDSA signatures have the fixed length of RFC 7518 §3.4.
    fn sign(&self, request: SignRequest) -> Pending<'_, Result<Secret<Vec<u8>>, ProviderError>>;
}

/// Gets new tokens where the client's id and secret live: in a cloud service, or in a vault.
pub trait Refresher: Send + Sync {
    /// Gives the successors of these tokens, or the first ones. Without a refresh token the old one lives on.
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>>;
}

/// Drives machines: performs their effects and gives them the answers. Cheap to clone.
///
/// It holds what outlives a flow: the connections, the clock, and what flows learn for one another.
#[derive(Clone)]
pub struct Driver {
    http: Arc<dyn HttpClient>,
    crypto: Arc<dyn Crypto>,
    clock: Arc<dyn Clock>,
    memory: Arc<Mutex<Memory>>,
    signer: Option<Arc<dyn Signer>>,
    store: Option<Arc<dyn AsyncStore>>,
    store_timeout: Duration,
    refresher: Option<Arc<dyn Refresher>>,
    authorizer: Option<Arc<dyn Authorizer>>,
    observer: Option<Arc<Mutex<dyn Observer + Send>>>,
}

impl Driver {
    /// A driver on [`HyperClient`] and the system's clock.
    pub fn new() -> Self {
        Self::with_client(HyperClient::default())
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
            store_timeout: STORE_TIMEOUT,
            refresher: None,
            authorizer: None,
            observer: None,
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

    /// Keeps tokens in `store`, which is called on threads that may be blocked.
    #[must_use]
    pub fn with_store(self, store: impl Store + 'static) -> Self {
        self.with_async_store(OnThreads::new(store))
    }

    /// Keeps tokens in `store`.
    #[must_use]
    pub fn with_async_store(mut self, store: impl AsyncStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Waits so long for each call of the store, and a claim's own time longer for a claim: 60 seconds if this is not called.
    ///
    /// Then the call has failed with [`StoreFault::Unavailable`], and whoever waits for tokens is told so. A save that has
    /// failed so leaves a token that is [unsaved](grantflow_core::manager::Credential::unsaved), and is made again.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
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

    /// The clock in use.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Drives `machine` to its end, beginning with `first`: [`Event::Start`], or [`Event::Resume`] after a restore.
    ///
    /// Dropping the future stops the flow where it is: nothing goes on in the background.
    ///
    /// # Errors
    /// What the machine ends with.
    pub async fn run<M>(&self, machine: &mut M, first: Event, person: &mut dyn Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let outcome = self.turns(machine, first, person, &mut Run::default()).await;
        person.finish(outcome.as_ref().map(|_| ()), &self.clock).await;
        outcome
    }

    /// Gives a token manager one command. A claim that it keeps is in `claimed`, before and after.
    pub(crate) async fn command(
        &self,
        manager: &mut TokenManager,
        command: Event,
        claimed: &mut Option<Box<dyn Claimed>>,
    ) -> Result<Lease, Error> {
        let mut run = Run { claimed: claimed.take().filter(|_| manager.keeps_claim()), ..Run::default() };
        let lease = self.turns(manager, command, &mut Nobody, &mut run).await;
        *claimed = run.claimed.filter(|_| manager.keeps_claim());
        lease
    }

    async fn turns<M>(
        &self,
        machine: &mut M,
        first: Event,
        person: &mut dyn Person,
        run: &mut Run,
    ) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let mut event = first;
        loop {
            match self.handle(machine, event) {
                Ok(Step::Done(output)) => return Ok(output),
                Ok(Step::Do(effect)) => event = self.perform(effect, person, run).await,
                Err(Error::Cancelled) => return Err(run.gone.take().unwrap_or(Error::Cancelled)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Drives `machine` until something is to be sent, which the caller does, or to its end. `leased` is what it was given
    /// last.
    #[cfg(any(feature = "reqwest", feature = "tower"))]
    pub(crate) async fn until_sending<M>(
        &self,
        machine: &mut M,
        first: Event,
        leased: &mut Option<TokenId>,
    ) -> Result<Sending<M::Output>, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let mut run = Run::default();
        let mut event = first;
        loop {
            match self.handle(machine, event)? {
                Step::Done(output) => return Ok(Sending::Done(output)),
                Step::Do(Effect::Send(outgoing)) => return Ok(Sending::Wanted(Box::new(outgoing))),
                Step::Do(effect) => event = self.perform(effect, &mut Nobody, &mut run).await,
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

    async fn perform(&self, effect: Effect, person: &mut dyn Person, run: &mut Run) -> Event {
        match effect {
            Effect::Send(outgoing) => match self.attended(person, self.send(outgoing)).await {
                Ok(response) => Event::Response(response),
                Err(failure) => Event::SendFailed(failure),
            },
            Effect::Redirect(redirect) => match person.redirect(redirect, &self.clock).await {
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
                self.attended(person, self.clock.sleep_until(until)).await;
                Event::Elapsed
            }
            effect @ (Effect::Load(_) | Effect::Claim(_) | Effect::Save(_) | Effect::Delete(_)) => match &self.store {
                None => effect.refused(),
                Some(store) => self.attended(person, self.stored(&**store, effect, &mut run.claimed)).await,
            },
            Effect::Release(_) => {
                if let Some(claimed) = run.claimed.take() {
                    // One that hangs is let go by its thread, or by its lease.
                    let _ = within(&*self.clock, self.store_timeout, release(claimed)).await;
                }
                Event::Released
            }
            Effect::Delegate(delegation) => match &self.refresher {
                None => Effect::Delegate(delegation).refused(),
                Some(refresher) => match self.attended(person, refresher.refresh(delegation.spent)).await {
                    Ok(tokens) => Event::Delegated(Box::new(tokens)),
                    Err(error) => Event::DelegateFailed(error),
                },
            },
            Effect::Lease(request) => match &self.authorizer {
                None => Effect::Lease(request).refused(),
                Some(authorizer) => self.attended(person, leased(&**authorizer, request)).await,
            },
            Effect::Sign(request) => match &self.signer {
                None => Event::SignFailed(ProviderError::KeyUnavailable),
                Some(signer) => match self.attended(person, signer.sign(request)).await {
                    Ok(signature) => Event::Signed(signature),
                    Err(error) => Event::SignFailed(error),
                },
            },
        }
    }

    /// Does something while the person is attended to.
    async fn attended<T>(&self, person: &mut dyn Person, work: impl Future<Output = T>) -> T {
        let attending = async {
            person.attend(&self.clock).await;
            std::future::pending::<Infallible>().await
        };
        match race(work, attending).await {
            Either::Left(done) => done,
            Either::Right(never) => match never {},
        }
    }

    /// Performs an effect on the store, and holds a store that somebody else wrote to its time.
    async fn stored(&self, store: &dyn AsyncStore, effect: Effect, claimed: &mut Option<Box<dyn Claimed>>) -> Event {
        // Somebody else may have the record for so long.
        let wait = if let Effect::Claim(claim) = &effect { claim.wait } else { Duration::ZERO };
        let answer =
            within(&*self.clock, self.store_timeout.saturating_add(wait), stored(store, effect, claimed)).await;
        answer.unwrap_or_else(|| {
            Event::StoreFailed(StoreError::new(StoreFault::Unavailable, "the store has not answered in time"))
        })
    }

    /// Sends, and holds a client that somebody else wrote to the bounds it was given.
    async fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        // A client that keeps to its time knows better than this loop whether something was sent.
        let (timeout, limit) = (outgoing.timeout.saturating_add(GRACE), outgoing.max_body);
        let unknown = |kind| SendFailure { delivery: Delivery::Unknown, kind };
        match within(&*self.clock, timeout, self.http.send(outgoing)).await {
            Some(Ok(response)) if response.body().len() > limit => Err(unknown(TransportKind::TooLarge)),
            Some(answer) => answer,
            None => Err(unknown(TransportKind::Timeout)),
        }
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
#[cfg(any(feature = "reqwest", feature = "tower"))]
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
async fn stored(store: &dyn AsyncStore, effect: Effect, claimed: &mut Option<Box<dyn Claimed>>) -> Event {
    let answer = match effect {
        Effect::Load(key) => store.load(key).await.map(Event::Loaded),
        Effect::Claim(claim) if claimed.is_some() => store.load(claim.key).await.map(Event::Loaded),
        Effect::Claim(claim) => {
            let key = claim.key.clone();
            match store.claim(claim).await {
                Ok(held) => {
                    *claimed = held;
                    store.load(key).await.map(Event::Loaded)
                }
                Err(error) => Err(error),
            }
        }
        Effect::Save(write) => store.save(write).await.map(|saved| match saved {
            Saved::Done => Event::Stored,
            Saved::Conflict => Event::Conflict,
        }),
        Effect::Delete(key) => store.delete(key).await.map(|()| Event::Stored),
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
