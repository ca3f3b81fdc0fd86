//! All that a driver can ask of the world, answered from a script.
//!
//! The script is read where the machine emits an effect, which is the same place however it is driven. A driver's
//! components then find their answer ready.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use grantflow_blocking::Cancel;
use grantflow_core::error::{Delivery, Error, SendFailure, StoreError, TransportKind};
use grantflow_core::jose::JwkSet;
use grantflow_core::machine::{
    COMPLETE, Check, Context, Effect, Event, EventKind, FAILED, Machine, Observer, Outgoing, StateId, StateKind, Step,
    Table, Transition,
};
use grantflow_core::testing::specimens::AnyMachine;
use grantflow_core::testing::stimuli::{ISSUER, KEYS, Situation, Stimulus};
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::{Random, RandomUnavailable, Timestamp};

use super::at;
use super::script::{Answer, CANARIES, Inner};

/// When every script begins.
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// How much longer than its time a client may take before a driver gives it up.
const GRACE: Duration = Duration::from_secs(1);

/// What happened, in the order in which it did. Equal accounts are equal runs.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// What the components were asked, requests byte for byte.
    asked: Vec<String>,
    /// What the machine was told, and how it moved.
    moved: Vec<String>,
    /// What each command came to, in what states the machine was then, and when that was.
    ended: Vec<String>,
}

impl Account {
    /// Fails with the first thing that differs.
    pub(super) fn must_equal(&self, other: &Account, whose: &str) {
        for (one, other) in [(&self.moved, &other.moved), (&self.asked, &other.asked), (&self.ended, &other.ended)] {
            let longest = one.len().max(other.len());
            let difference = (0..longest).find(|at| one.get(*at) != other.get(*at));
            if let Some(at) = difference {
                panic!("{whose} does {:?}, and by hand it is {:?}", other.get(at), one.get(at));
            }
        }
    }
}

/// The world of one run. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct World {
    inner: Arc<Mutex<Inner>>,
    ears: Ears,
    /// Gives up for the blocking driver.
    pub(super) cancel: Cancel,
    /// Whether there is a store, a signer, a refresher and an authorizer.
    pub(super) equipped: bool,
    setup: u8,
}

/// What observers hear. A lock of its own, because they are told while a machine moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears(Arc<Mutex<Vec<String>>>);

/// Ends the flow in the machine's stead.
#[derive(Debug)]
pub(super) enum Reply {
    Event(Event),
    /// The person is gone.
    Gone,
}

/// What comes of a claim.
#[derive(Debug)]
pub(super) enum Claiming {
    Held,
    NothingHeld,
    Failed(StoreError),
    GivenUp,
}

impl World {
    pub(super) fn new(table: &'static Table, setup: u8, script: &[u8]) -> Self {
        let equipped = setup & 8 == 0;
        let inner = Inner {
            table,
            equipped,
            script: script.iter().rev().copied().collect(),
            situation: Situation::new(BEGIN),
            answer: None,
            surprises: 0,
            effects: 0,
            overflows: 0,
            timers: Vec::new(),
            held: 0,
            letting_go: false,
            gone: false,
            said: String::new(),
            secrets: CANARIES.map(str::to_owned).into(),
            own_words: false,
            account: Account::default(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), ears: Ears::default(), cancel: Cancel::new(), equipped, setup }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A broken invariant poisons it, and is what there is to see.
        self.inner.lock().expect("nothing is broken yet")
    }

    pub(super) fn ears(&self) -> Ears {
        self.ears.clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner().situation.now
    }

    /// The next command. There is always a first one.
    pub(super) fn next_command(&self, first: bool, accepts: impl Fn(&Stimulus) -> bool) -> Option<Event> {
        let mut inner = self.inner();
        if inner.gone {
            return None;
        }
        let place = inner.script.pop().or(first.then_some(0))?;
        let stimulus = at(place.into(), accepts)?;
        Some((stimulus.event)(&mut inner.situation))
    }

    /// Whether the caller has given the flow up.
    pub(super) fn is_given_up(&self) -> bool {
        self.inner().gone
    }

    /// A driver's component is asked, and has its answer; `None` if the caller has given up and nobody answers any more.
    pub(super) fn reply(&self, asked: impl FnOnce() -> String) -> Option<Reply> {
        let mut inner = self.inner();
        if inner.gone {
            return None;
        }
        inner.account.asked.push(asked());
        let answer = inner.answer.take().expect("asked for what the machine did not ask");
        Some(if let Event::Cancel = answer.event { Reply::Gone } else { Reply::Event(answer.event) })
    }

    /// As [`reply`](Self::reply), for what a person is not asked for.
    pub(super) fn event(&self, asked: impl FnOnce() -> String) -> Option<Event> {
        match self.reply(asked)? {
            Reply::Event(event) => Some(event),
            Reply::Gone => panic!("nobody can walk away from this"),
        }
    }

    /// Somebody claims.
    pub(super) fn claim(&self, asked: impl FnOnce() -> String) -> Claiming {
        let mut inner = self.inner();
        if inner.gone {
            return Claiming::GivenUp;
        }
        inner.account.asked.push(asked());
        match &inner.answer {
            None => panic!("a claim that the machine did not ask for"),
            Some(Answer { event: Event::StoreFailed(error), unclaimed: true, .. }) => {
                let failed = Claiming::Failed(error.clone());
                inner.answer = None;
                failed
            }
            Some(Answer { nothing_held: true, .. }) => Claiming::NothingHeld,
            Some(_) => {
                assert_eq!(inner.held, 0, "claimed twice");
                inner.held = 1;
                Claiming::Held
            }
        }
    }

    pub(super) fn let_go(&self) {
        self.inner().held -= 1;
    }

    /// How long the answer to a request takes, which has this long; `None` if it never comes.
    pub(super) fn delay(&self, timeout: Duration) -> Option<Duration> {
        let inner = self.inner();
        let delay = inner.answer.as_ref().map_or(Duration::ZERO, |answer| answer.delay);
        (delay < timeout + GRACE).then_some(delay)
    }

    /// Sends by hand, or with a client that waits as long as a driver's patience lasts.
    pub(super) fn send(&self, outgoing: &Outgoing) -> Event {
        let delay = self.delay(outgoing.timeout);
        let answer = self.event(|| request(outgoing)).expect("nobody sends who has given up");
        self.pass(delay.unwrap_or(outgoing.timeout + GRACE));
        let failed = |kind| Event::SendFailed(SendFailure { delivery: Delivery::Unknown, kind });
        match answer {
            _ if delay.is_none() => failed(TransportKind::Timeout),
            Event::Response(response) if response.body().len() > outgoing.max_body => failed(TransportKind::TooLarge),
            answer => answer,
        }
    }

    pub(super) fn pass(&self, time: Duration) {
        let now = &mut self.inner().situation.now;
        *now = now.plus(time);
    }

    /// Waits; `true` if there is nothing more to wait for.
    pub(super) fn wait(&self, until: Timestamp) -> bool {
        let mut inner = self.inner();
        let over = inner.situation.now >= until;
        if !over {
            inner.timers.push(until);
        }
        over
    }

    /// Moves the time to the next moment that somebody waits for; `false` if nobody does, or if what is waited for is a
    /// thread that lets a claim go.
    pub(super) fn advance(&self) -> bool {
        let mut inner = self.inner();
        if inner.letting_go {
            return false;
        }
        let next = std::mem::take(&mut inner.timers).into_iter().min();
        if let Some(next) = next {
            inner.situation.now = next.max(inner.situation.now);
        }
        next.is_some()
    }

    /// A command has come to its end.
    pub(super) fn ended(&self, player: &Player, outcome: &Result<String, Error>) {
        let states = player.states();
        let mut inner = self.inner();
        assert_eq!(inner.held, 0, "a claim outlives the flow");
        let now = inner.situation.now;
        let mut said = format!("{outcome:?} {outcome:#?} {states:?} {:?}", player.machine);
        match outcome {
            Err(error) => {
                assert!(!matches!(error, Error::Bug(_) | Error::Misuse(_)), "not the world's fault: {error}");
                assert_eq!(states, [FAILED], "an error that does not end the flow: {error}");
                let _ = write!(said, " {error} {:?}", error.advice());
                let mut source = std::error::Error::source(error);
                while let Some(error) = source {
                    let _ = write!(said, " {error} {error:?}");
                    source = error.source();
                }
            }
            Ok(_) => {
                let answers = |(table, state): &(&Table, StateId)| {
                    table.state(*state).is_some_and(|row| matches!(row.kind, StateKind::Idle | StateKind::Terminal))
                };
                assert!(states != [FAILED] && player.machine.chain().iter().all(answers), "done in {states:?}");
            }
        }
        inner.account.ended.push(format!("{outcome:?} in {states:?} at {now:?}"));
        inner.said.push_str(&said);
    }

    /// What happened. Nothing more happens.
    pub(super) fn account(self) -> Account {
        let mut inner = self.inner();
        for heard in self.ears.0.lock().expect("nothing is broken yet").iter() {
            inner.said.push_str(heard);
        }
        for secret in &inner.secrets {
            assert!(!inner.said.contains(secret.as_str()), "{secret} is shown: {}", inner.said);
        }
        std::mem::take(&mut inner.account)
    }
}

/// A request, byte for byte.
pub(super) fn request(outgoing: &Outgoing) -> String {
    let (request, mut text) = (&outgoing.request, String::from("Send "));
    let _ = write!(text, "{} {}", request.method(), request.uri());
    for (name, value) in request.headers() {
        let _ = write!(text, "; {name}: {}", value.as_bytes().escape_ascii());
    }
    let _ = write!(text, "; {}", request.body().expose().escape_ascii());
    text
}

impl Ears {
    fn hear(&self, heard: String) {
        self.0.lock().expect("nothing is broken yet").push(heard);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("nothing is broken yet"))
    }
}

impl Observer for Ears {
    fn transition(&mut self, transition: &Transition) {
        self.hear(format!("{transition:?}"));
    }

    fn check(&mut self, check: &Check<'_>) {
        self.hear(format!("{check:?}"));
    }
}

/// Random numbers until they run out.
#[derive(Debug)]
struct Draw {
    counting: CountingRandom,
    left: u32,
}

impl Random for Draw {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        self.left = self.left.checked_sub(1).ok_or(RandomUnavailable)?;
        self.counting.fill(out)
    }
}

/// A machine of the register with randomness that is the same in every run, whoever drives it. It notes what it is told,
/// and tells the world what it wants.
#[derive(Debug)]
pub(super) struct Player {
    machine: Box<dyn AnyMachine>,
    random: Draw,
    world: World,
    begun: bool,
}

impl Player {
    pub(super) fn new(machine: Box<dyn AnyMachine>, world: World) -> Self {
        let left = if world.setup & 4 == 0 { u32::MAX } else { u32::from(world.setup >> 4) };
        Self { machine, random: Draw { counting: CountingRandom::default(), left }, world, begun: false }
    }

    fn states(&self) -> Vec<StateId> {
        self.machine.chain().into_iter().map(|(_, state)| state).collect()
    }

    /// Whether the innermost machine takes events of a kind now.
    pub(super) fn accepts(&self, kind: EventKind) -> bool {
        let chain = self.machine.chain();
        chain.last().is_some_and(|(table, state)| {
            let over = *state == FAILED || *state == COMPLETE;
            !over && table.accepts(*state, kind)
        })
    }
}

impl Machine for Player {
    type Output = String;

    fn state(&self) -> StateId {
        self.machine.chain().first().map_or(FAILED, |(_, state)| *state)
    }

    fn table(&self) -> &'static Table {
        self.world.inner().table
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<String>, Error> {
        if !std::mem::replace(&mut self.begun, true) && self.world.setup & 3 != 0 {
            let keys = JwkSet::parse(KEYS.as_bytes(), &MarkerCrypto).expect("the keys can be read");
            let age = if self.world.setup & 1 == 1 { 0 } else { 600 };
            cx.memory.keys_fetched(ISSUER, keys, BEGIN.minus(Duration::from_secs(age)));
        }
        assert_eq!(cx.now, self.world.now(), "another clock");
        let told = format!("{event:?}");
        let mut cx = Context {
            now: cx.now,
            random: &mut self.random,
            crypto: cx.crypto,
            memory: &mut *cx.memory,
            observer: match &mut cx.observer {
                Some(observer) => Some(&mut **observer),
                None => None,
            },
        };
        let result = self.machine.handle(event, &mut cx);
        let mut inner = self.world.inner();
        let heard = self.world.ears.take();
        inner.said.push_str(&told);
        inner.said.push_str(&format!("{:?}", self.machine));
        inner.said.extend(heard.iter().map(String::as_str));
        inner.account.moved.push(told);
        inner.account.moved.extend(heard);
        inner.letting_go = matches!(&result, Ok(Step::Do(Effect::Release(_))));
        if let Ok(Step::Do(effect)) = &result {
            inner.answer = inner.decide(effect);
            if inner.answer.is_none() {
                inner.gone = true;
                self.world.cancel.cancel();
            }
        }
        result
    }
}
