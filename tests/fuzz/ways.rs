//! Three ways to run a machine in a scripted world: by hand, with the tokio driver, with the blocking driver.

use std::fmt::Debug;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use grantflow_blocking::Cancel;
use grantflow_core::Secret;
use grantflow_core::Timestamp;
use grantflow_core::error::{Error, ProviderError, SendFailure, StoreError};
use grantflow_core::http::Body;
use grantflow_core::machine::{Context, Effect, Event, Machine, Outgoing, Redirect, SignRequest, Step, UserCode};
use grantflow_core::manager::{Credential, TokenId};
use grantflow_core::memory::Memory;
use grantflow_core::store::{Claim, StoreKey, StoreWrite, Stored};
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::token::TokenSet;
use grantflow_stores::{Claimed, Saved, Store};
use grantflow_tokio::Pending;

use super::world::{Claiming, Player, Reply, World, request};

/// A way to run a machine.
pub(super) trait Way {
    fn new(world: &World) -> Self;

    /// Runs it to its end, or until the caller gives up.
    fn run(&mut self, player: &mut Player, first: Event) -> Result<String, Error>;
}

/// Why a person is gone.
fn walked_away() -> Error {
    ProviderError::Interrupted.into()
}

fn signing(request: &SignRequest) -> String {
    format!("Sign {} {} {}", request.key_id, request.algorithm, request.message.expose().escape_ascii())
}

fn saving(write: &StoreWrite) -> String {
    let StoreWrite { key, expected, stored } = write;
    format!("Save {key:?} {expected:?} {:?} {}", stored.version, stored.bytes.expose().escape_ascii())
}

fn delegating(spent: Option<&TokenSet>) -> String {
    format!("Delegate {:?}", spent.and_then(|tokens| tokens.refresh_token()).map(|token| token.expose().to_owned()))
}

fn leasing(refused: Option<TokenId>) -> String {
    format!("Lease {refused:?}")
}

fn redirecting(redirect: &Redirect) -> String {
    format!("Redirect {} {} {:?} {:?}", redirect.url, redirect.redirect_uri, redirect.expires_at, redirect.refused)
}

fn showing(code: &UserCode) -> String {
    format!("Show {} {:?} {:?}", code.user_code.expose(), code, code.complete.as_ref().map(ToString::to_string))
}

/// The core by hand.
pub(super) struct ByHand {
    world: World,
    memory: Memory,
}

impl Way for ByHand {
    fn new(world: &World) -> Self {
        Self { world: world.clone(), memory: Memory::new() }
    }

    fn run(&mut self, player: &mut Player, first: Event) -> Result<String, Error> {
        let (mut event, mut gone, mut claimed) = (first, None, None);
        loop {
            let mut cx = Context {
                now: self.world.now(),
                random: &mut CountingRandom::default(),
                crypto: &MarkerCrypto,
                memory: &mut self.memory,
                observer: Some(&mut self.world.ears()),
            };
            let effect = match player.handle(event, &mut cx) {
                Ok(Step::Done(output)) => return Ok(output),
                Ok(Step::Do(effect)) => effect,
                Err(Error::Cancelled) => return Err(gone.take().unwrap_or(Error::Cancelled)),
                Err(error) => return Err(error),
            };
            if self.world.is_given_up() {
                event = Event::Cancel;
                continue;
            }
            event = match self.perform(effect, &mut claimed) {
                Reply::Event(event) => event,
                Reply::Gone => {
                    gone = Some(walked_away());
                    Event::Cancel
                }
            };
        }
    }
}

impl ByHand {
    fn perform(&self, effect: Effect, claimed: &mut Option<Held>) -> Reply {
        let world = &self.world;
        let ask = |asked: String| world.reply(|| asked).expect("nobody asks who has given up");
        match effect {
            Effect::Send(outgoing) => Reply::Event(world.send(&outgoing)),
            Effect::Redirect(redirect) => ask(redirecting(&redirect)),
            Effect::ShowUserCode(code) => ask(showing(&code)),
            Effect::Sleep { until } => ask(format!("Sleep {until:?}")),
            effect @ (Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
            | Effect::Delete(_)
            | Effect::Sign(_)
            | Effect::Delegate(_)
            | Effect::Lease(_))
                if !world.equipped =>
            {
                Reply::Event(effect.refused())
            }
            Effect::Load(key) => ask(format!("Load {key:?}")),
            Effect::Claim(claim) => {
                if claimed.is_none() {
                    match world.claim(|| format!("{claim:?}")) {
                        Claiming::Held => *claimed = Some(Held(world.clone())),
                        Claiming::NothingHeld => {}
                        Claiming::Failed(error) => return Reply::Event(Event::StoreFailed(error)),
                        Claiming::GivenUp => panic!("nobody claims who has given up"),
                    }
                }
                ask(format!("Load {:?}", claim.key))
            }
            Effect::Save(write) => ask(saving(&write)),
            Effect::Delete(key) => ask(format!("Delete {key:?}")),
            Effect::Release(_) => {
                *claimed = None;
                Reply::Event(Event::Released)
            }
            Effect::Sign(request) => ask(signing(&request)),
            Effect::Delegate(delegation) => ask(delegating(delegation.spent.as_deref())),
            Effect::Lease(lease) => ask(leasing(lease.refused)),
        }
    }
}

/// A claim that is held.
#[derive(Debug)]
struct Held(World);

impl Claimed for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// Everything that a driver is given: client, clock, person, store, signer, refresher, authorizer.
#[derive(Clone, Debug)]
struct Parts(World);

/// What a component says, from the event that answers its effect.
mod said {
    use super::{
        Body, Credential, Error, Event, ProviderError, Saved, Secret, SendFailure, StoreError, Stored, TokenSet,
    };

    pub(super) fn sent(event: Event) -> Result<http::Response<Body>, SendFailure> {
        match event {
            Event::Response(response) => Ok(response),
            Event::SendFailed(failure) => Err(failure),
            other => panic!("not about a request: {other:?}"),
        }
    }

    pub(super) fn signed(event: Event) -> Result<Secret<Vec<u8>>, ProviderError> {
        match event {
            Event::Signed(signature) => Ok(signature),
            Event::SignFailed(error) => Err(error),
            other => panic!("not about a signature: {other:?}"),
        }
    }

    pub(super) fn loaded(event: Event) -> Result<Option<Stored>, StoreError> {
        match event {
            Event::Loaded(stored) => Ok(stored),
            Event::StoreFailed(error) => Err(error),
            other => panic!("not about a record: {other:?}"),
        }
    }

    pub(super) fn saved(event: Event) -> Result<Saved, StoreError> {
        match event {
            Event::Stored => Ok(Saved::Done),
            Event::Conflict => Ok(Saved::Conflict),
            Event::StoreFailed(error) => Err(error),
            other => panic!("not about a record: {other:?}"),
        }
    }

    pub(super) fn delegated(event: Event) -> Result<TokenSet, Error> {
        match event {
            Event::Delegated(tokens) => Ok(*tokens),
            Event::DelegateFailed(error) => Err(error),
            other => panic!("not about tokens: {other:?}"),
        }
    }

    pub(super) fn leased(event: Event) -> Result<Credential, Error> {
        match event {
            Event::Leased(credential) => Ok(credential),
            Event::LeaseFailed(error) => Err(error),
            other => panic!("not about a credential: {other:?}"),
        }
    }
}

/// The blocking driver.
pub(super) struct Blocking {
    driver: grantflow_blocking::Driver,
    parts: Parts,
}

impl Way for Blocking {
    fn new(world: &World) -> Self {
        let parts = Parts(world.clone());
        let mut driver = grantflow_blocking::Driver::with_client(parts.clone())
            .with_clock(parts.clone())
            .with_crypto(MarkerCrypto)
            .with_observer(Arc::new(Mutex::new(world.ears())))
            .with_cancel(&world.cancel);
        if world.equipped {
            driver = driver
                .with_store(parts.clone())
                .with_signer(parts.clone())
                .with_refresher(parts.clone())
                .with_authorizer(Arc::new(parts.clone()));
        }
        Self { driver, parts }
    }

    fn run(&mut self, player: &mut Player, first: Event) -> Result<String, Error> {
        self.driver.run(player, first, &mut self.parts)
    }
}

/// Nobody asks a component of the blocking driver after the flow was given up.
const TOLD: &str = "the driver knows that the flow was given up";

impl grantflow_blocking::HttpClient for Parts {
    fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        said::sent(self.0.send(&outgoing))
    }
}

impl grantflow_blocking::Clock for Parts {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, until: Timestamp, _: &Cancel) {
        let event = self.0.event(|| format!("Sleep {until:?}")).expect(TOLD);
        assert!(matches!(event, Event::Elapsed));
    }
}

impl grantflow_blocking::Person for Parts {
    fn redirect(
        &mut self,
        redirect: Redirect,
        _: &dyn grantflow_blocking::Clock,
        _: &Cancel,
    ) -> grantflow_blocking::Came {
        match self.0.reply(|| redirecting(&redirect)).expect(TOLD) {
            Reply::Event(Event::Callback(parameters)) => grantflow_blocking::Came::Back(parameters),
            Reply::Event(_) => grantflow_blocking::Came::TooLate,
            Reply::Gone => grantflow_blocking::Came::Gone(walked_away()),
        }
    }

    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        match self.0.reply(|| showing(code)).expect(TOLD) {
            Reply::Event(_) => Ok(()),
            Reply::Gone => Err(walked_away()),
        }
    }
}

impl Store for Parts {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        said::loaded(self.0.event(|| format!("Load {key:?}")).expect(TOLD))
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        said::saved(self.0.event(|| saving(&write)).expect(TOLD))
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        said::saved(self.0.event(|| format!("Delete {key:?}")).expect(TOLD)).map(|_| ())
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        match self.0.claim(|| format!("{claim:?}")) {
            Claiming::Held => Ok(Some(Box::new(Held(self.0.clone())))),
            Claiming::NothingHeld => Ok(None),
            Claiming::Failed(error) => Err(error),
            Claiming::GivenUp => panic!("{TOLD}"),
        }
    }
}

impl grantflow_blocking::Signer for Parts {
    fn sign(&self, request: SignRequest) -> Result<Secret<Vec<u8>>, ProviderError> {
        said::signed(self.0.event(|| signing(&request)).expect(TOLD))
    }
}

impl grantflow_blocking::Refresher for Parts {
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Result<TokenSet, Error> {
        said::delegated(self.0.event(|| delegating(spent.as_deref())).expect(TOLD))
    }
}

impl grantflow_blocking::Authorizer for Parts {
    fn credential(&self) -> Result<Credential, Error> {
        said::leased(self.0.event(|| leasing(None)).expect(TOLD))
    }

    fn invalidate(&self, refused: TokenId) -> Result<Credential, Error> {
        said::leased(self.0.event(|| leasing(Some(refused))).expect(TOLD))
    }

    fn current(&self) -> Option<Credential> {
        None
    }

    fn is_valid(&self) -> bool {
        false
    }
}

thread_local! {
    /// Without timers: the world's clock is the only one.
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
}

/// The tokio driver.
pub(super) struct Tokio {
    driver: grantflow_tokio::Driver,
    parts: Parts,
}

impl Way for Tokio {
    fn new(world: &World) -> Self {
        let parts = Parts(world.clone());
        let mut driver = grantflow_tokio::Driver::with_client(parts.clone())
            .with_clock(parts.clone())
            .with_crypto(MarkerCrypto)
            .with_observer(Arc::new(Mutex::new(world.ears())));
        if world.equipped {
            driver = driver
                .with_async_store(parts.clone())
                .with_signer(parts.clone())
                .with_refresher(parts.clone())
                .with_authorizer(Arc::new(parts.clone()));
        }
        Self { driver, parts }
    }

    fn run(&mut self, player: &mut Player, first: Event) -> Result<String, Error> {
        let world = self.parts.0.clone();
        let running = self.driver.run(player, first, &mut self.parts);
        let outcome = RUNTIME.with(|runtime| runtime.block_on(until_given_up(&world, running)));
        // Whoever drops the future of a flow may still tell the machine.
        outcome.unwrap_or_else(|| match self.driver.handle(player, Event::Cancel) {
            Ok(step) => panic!("it goes on: {step:?}"),
            Err(error) => Err(error),
        })
    }
}

/// Runs a future and moves the world's clock whenever it waits for that. `None` if it is given up.
async fn until_given_up<T>(world: &World, running: impl Future<Output = T>) -> Option<T> {
    let mut running = pin!(running);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = running.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            if world.is_given_up() {
                return Poll::Ready(None);
            }
            if !world.advance() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Waits for what comes at once, or never if the flow was given up.
async fn unless_given_up<T>(answer: Option<T>) -> T {
    match answer {
        Some(answer) => answer,
        None => pending().await,
    }
}

impl Parts {
    /// The answer of a component, as soon as it is asked for.
    fn soon<'a, T>(
        &'a self,
        asked: impl FnOnce() -> String + Send + 'a,
        said: impl FnOnce(Event) -> T + Send + 'a,
    ) -> Pending<'a, T> {
        Box::pin(async { said(unless_given_up(self.0.event(asked)).await) })
    }

    async fn until(&self, moment: Timestamp) {
        poll_fn(|_| if self.0.wait(moment) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl grantflow_tokio::HttpClient for Parts {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(async move {
            let delay = self.0.delay(outgoing.timeout);
            let answer = unless_given_up(self.0.event(|| request(&outgoing))).await;
            let Some(delay) = delay else { return pending().await };
            self.until(self.0.now().plus(delay)).await;
            said::sent(answer)
        })
    }
}

impl grantflow_tokio::Clock for Parts {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()> {
        self.soon(move || format!("Sleep {until:?}"), |event| assert!(matches!(event, Event::Elapsed)))
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(self.until(self.0.now().plus(duration)))
    }
}

impl grantflow_tokio::Person for Parts {
    fn redirect<'a>(
        &'a mut self,
        redirect: Redirect,
        _: &'a Arc<dyn grantflow_tokio::Clock>,
    ) -> Pending<'a, grantflow_tokio::Came> {
        Box::pin(async move {
            match unless_given_up(self.0.reply(|| redirecting(&redirect))).await {
                Reply::Event(Event::Callback(parameters)) => grantflow_tokio::Came::Back(parameters),
                Reply::Event(_) => grantflow_tokio::Came::TooLate,
                Reply::Gone => grantflow_tokio::Came::Gone(walked_away()),
            }
        })
    }

    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        match self.0.reply(|| showing(code)) {
            Some(Reply::Event(_)) => Ok(()),
            Some(Reply::Gone) => Err(walked_away()),
            None => Err(Error::Cancelled),
        }
    }
}

impl grantflow_tokio::AsyncStore for Parts {
    fn load(&self, key: StoreKey) -> Pending<'_, Result<Option<Stored>, StoreError>> {
        self.soon(move || format!("Load {key:?}"), said::loaded)
    }

    fn save(&self, write: StoreWrite) -> Pending<'_, Result<Saved, StoreError>> {
        self.soon(move || saving(&write), said::saved)
    }

    fn delete(&self, key: StoreKey) -> Pending<'_, Result<(), StoreError>> {
        self.soon(move || format!("Delete {key:?}"), |event| said::saved(event).map(|_| ()))
    }

    fn claim(&self, claim: Claim) -> Pending<'_, Result<Option<Box<dyn Claimed>>, StoreError>> {
        Box::pin(async move {
            match self.0.claim(|| format!("{claim:?}")) {
                Claiming::Held => Ok(Some(Box::new(Held(self.0.clone())) as Box<dyn Claimed>)),
                Claiming::NothingHeld => Ok(None),
                Claiming::Failed(error) => Err(error),
                Claiming::GivenUp => pending().await,
            }
        })
    }
}

impl grantflow_tokio::Signer for Parts {
    fn sign(&self, request: SignRequest) -> Pending<'_, Result<Secret<Vec<u8>>, ProviderError>> {
        self.soon(move || signing(&request), said::signed)
    }
}

impl grantflow_tokio::Refresher for Parts {
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        self.soon(move || delegating(spent.as_deref()), said::delegated)
    }
}

impl grantflow_tokio::Authorizer for Parts {
    fn credential(&self) -> Pending<'_, Result<Credential, Error>> {
        self.soon(|| leasing(None), said::leased)
    }

    fn invalidate(&self, refused: TokenId) -> Pending<'_, Result<Credential, Error>> {
        self.soon(move || leasing(Some(refused)), said::leased)
    }

    fn current(&self) -> Option<Credential> {
        None
    }

    fn is_valid(&self) -> bool {
        false
    }
}
