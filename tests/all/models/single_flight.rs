//! Many callers, one login: who works, who waits, who gets what, and when a token may be asked for.
//!
//! The gate and the machine are the core's; the desk at which callers meet is the blocking driver's own file, with a
//! condition variable on which nobody sleeps. The model plays the callers, those who work, the server and the clock, one
//! step at a time, in any order. Stores do not fail here, and nobody dies while they save: `lifecycle_model` has that.

#[path = "../../../io-blocking/src/desk.rs"]
mod desk;
mod reference;
mod scripts;
mod sync;
mod terms;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use grantflow_core::client::Client;
use grantflow_core::error::Endpoint;
use grantflow_core::grant::Extras;
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::{Context, Effect, Event, Machine, Step};
use grantflow_core::manager::{self, Lease, Settings, Source, TokenManager};
use grantflow_core::memory::Memory;
use grantflow_core::server::ServerMetadata;
use grantflow_core::store::{StoreKey, Stored};
use grantflow_core::testing::MarkerCrypto;
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Timestamp};

use super::{Steady, explore};
use desk::{Asked, Desk, Flight, Landing, Outcome};
use reference::{Answer, Crowd, Keeper, Next, Order, Verdict, Why, Wish};
use scripts::{CALLERS, Command, Fate, Happens, Script};
use terms::{answer, given, id, number, why};

/// Somebody who waits for a piece of work.
struct Waiting {
    flight: Flight,
    /// Which one.
    work: usize,
    wish: Wish,
    asleep: bool,
}

/// A piece of work: an order that is not answered yet.
struct Work {
    number: usize,
    landing: Landing,
    leads: bool,
    order: Order,
    /// What the machine wants, once it has begun with this order.
    effect: Option<Effect>,
}

struct World {
    desk: Arc<Desk>,
    manager: TokenManager,
    record: Option<Stored>,
    now: u64,
    random: Steady,
    memory: Memory,
    callers: Vec<Option<Waiting>>,
    /// Who has given a command, and waits for its end.
    commanders: Vec<Waiting>,
    works: Vec<Work>,
    /// What came of each piece of work, as the reference has it.
    outcomes: Vec<Option<Result<Answer, Why>>>,
    crowd: Crowd,
    keeper: Keeper,
    transitions: u32,
    /// How often anybody was woken when last we looked.
    woken: u32,
}

impl World {
    fn new(own: bool, jitter: u8) -> Self {
        let server = ServerMetadata::by_hand("https://as.example", UrlPolicy::default()).unwrap();
        let server = server.with_endpoint(Endpoint::Token, "https://as.example/token").unwrap();
        let client = Client::builder(server, "client").secret(Secret::from("client-secret")).build().unwrap();
        let key = StoreKey::new(&client, "default").unwrap();
        let source = match own {
            true => Source::ClientCredentials { client, scope: "read".to_owned(), extras: Extras::default() },
            false => Source::Session(client),
        };
        let mut world = Self {
            desk: Arc::default(),
            manager: TokenManager::new(Settings::new(key, source).unwrap()),
            record: None,
            now: 1_800_000_000_000,
            random: Steady::new(jitter),
            memory: Memory::new(),
            callers: (0..CALLERS).map(|_| None).collect(),
            commanders: Vec::new(),
            works: Vec::new(),
            outcomes: Vec::new(),
            crowd: Crowd::default(),
            keeper: Keeper::new(own, jitter),
            transitions: 0,
            woken: sync::woken(),
        };
        world.happens(Happens::Commanded(Command::Adopt));
        world.come_to_an_end();
        world
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn happens(&mut self, happens: Happens) {
        match happens {
            Happens::Asks(caller) => self.ask(caller, Wish::Any),
            Happens::Refused(caller, older) => self.ask(caller, Wish::Other(self.keeper.newest.saturating_sub(older))),
            Happens::Leaves(caller) => self.callers[caller] = None,
            Happens::Commanded(command) => {
                let landing = self.desk.command();
                let wish = match command {
                    Command::Renew => Wish::New,
                    Command::SignOut => Wish::Leave,
                    Command::Reload | Command::Adopt => Wish::Any,
                };
                let waiting = Waiting { flight: landing.flight(), work: self.outcomes.len(), wish, asleep: false };
                self.commanders.push(waiting);
                self.work(landing, false, Order::Given(command));
            }
            Happens::GoesOn(which, fate) => self.go_on(which, fate),
            Happens::Dies(which) => self.die(which),
            Happens::Passes(seconds) => self.now += seconds * 1_000,
            Happens::ClockSetBack(seconds) => self.now -= seconds * 1_000,
        }
        self.look_around();
    }

    fn ask(&mut self, caller: usize, wish: Wish) {
        if self.callers[caller].is_some() {
            return;
        }
        self.transitions += 1;
        let (wished, order) = match wish {
            Wish::Other(number) => (manager::Wish::Other(id(number)), Order::Reject(number)),
            Wish::Any | Wish::New | Wish::Leave => (manager::Wish::Credential, Order::Acquire),
        };
        let expected = self.crowd.asked(wish, self.now);
        let (verdict, flight) = match self.desk.ask(wished, self.time()) {
            Asked::Use(credential) => (Verdict::Uses(number(&credential)), None),
            Asked::Rest(error) => (Verdict::Rests(why(&error)), None),
            Asked::Follow(flight) => (Verdict::Follows, Some(flight)),
            Asked::Lead(landing, meanwhile) => {
                let flight = landing.flight();
                self.work(landing, true, order);
                (Verdict::Leads(meanwhile.as_ref().map(number)), Some(flight))
            }
        };
        assert_eq!(verdict, expected, "{wish:?} at {}", self.now);
        // Whoever has something to use does not wait.
        let waits = matches!(verdict, Verdict::Follows | Verdict::Leads(None));
        let work = self.works.iter().find(|work| work.leads).map(|work| work.number);
        self.callers[caller] = flight.filter(|_| waits).map(|flight| Waiting {
            flight,
            work: work.expect("somebody leads"),
            wish,
            asleep: false,
        });
    }

    fn work(&mut self, landing: Landing, leads: bool, order: Order) {
        let number = self.outcomes.len();
        self.outcomes.push(None);
        self.works.push(Work { number, landing, leads, order, effect: None });
    }

    /// Whoever has the machine goes on, or one of those who wait for it begins.
    fn go_on(&mut self, which: usize, fate: Fate) {
        if self.works.is_empty() {
            return;
        }
        let begun = self.works.iter().position(|work| work.effect.is_some());
        let at = begun.unwrap_or(which % self.works.len());
        let (event, expected) = match self.works[at].effect.take() {
            None => self.begin(at),
            Some(Effect::Claim(_)) => (self.loaded(), self.keeper.claimed(self.now)),
            Some(Effect::Send(_)) => {
                let expected = self.keeper.answered(fate, self.now);
                (answer(fate, self.keeper.newest), expected)
            }
            Some(Effect::Save(write)) => {
                self.record = Some(write.stored.duplicate());
                (Event::Stored, self.keeper.saved(self.now))
            }
            Some(effect) => panic!("{effect:?}"),
        };
        let step = self.give(event);
        let (next, lease) = match step {
            Step::Do(Effect::Claim(_)) => (Next::Claims, None),
            Step::Do(Effect::Send(_)) => (Next::Sends, None),
            Step::Do(Effect::Save(_)) => (Next::Saves, None),
            Step::Do(_) => panic!("nothing else is waited for"),
            Step::Done(ref lease) => (expected, Some(lease.clone())),
        };
        assert_eq!(next, expected, "{:?} at {}", self.works[at].order, self.now);
        match step {
            Step::Do(effect) => self.works[at].effect = Some(effect),
            Step::Done(_) => self.land(at, Ok(lease.unwrap()), expected),
        }
        let asking = self.works.iter().filter(|work| matches!(work.effect, Some(Effect::Send(_)))).count();
        assert!(asking <= 1, "{asking} token requests at once");
    }

    fn begin(&mut self, at: usize) -> (Event, Next) {
        self.manager.recover();
        let order = self.works[at].order;
        let expected = self.keeper.ordered(order, self.now);
        let event = match order {
            Order::Acquire => Event::Acquire,
            Order::Reject(number) => Event::Reject(id(number)),
            Order::Given(Command::Renew) => Event::Renew,
            Order::Given(Command::Reload) => Event::Reload,
            Order::Given(Command::SignOut) => Event::SignOut,
            Order::Given(Command::Adopt) => {
                let (begin, end) = (self.now / 1_000, self.now / 1_000 + 600);
                let token = self.keeper.newest;
                let record = format!(
                    r#"{{"access_token":"A{token}","refresh_token":"R","granted_at":{begin},"expires_at":{end}}}"#
                );
                Event::Adopt(Box::new(TokenSet::from_record(record.as_bytes(), self.time()).unwrap()))
            }
        };
        (event, expected)
    }

    /// Gives an event, and does what nobody has to wait for.
    fn give(&mut self, mut event: Event) -> Step<Lease> {
        loop {
            self.transitions += 1;
            let mut cx = Context {
                now: Timestamp::from_millis(self.now),
                random: &mut self.random,
                crypto: &MarkerCrypto,
                memory: &mut self.memory,
                observer: None,
            };
            event =
                match self.manager.handle(event, &mut cx).expect("a token manager has no errors but bugs and misuse") {
                    Step::Do(Effect::Load(_)) => self.loaded(),
                    Step::Do(Effect::Release(_)) => Event::Released,
                    Step::Do(Effect::Delete(_)) => {
                        self.record = None;
                        Event::Stored
                    }
                    step => return step,
                };
        }
    }

    fn loaded(&self) -> Event {
        Event::Loaded(self.record.as_ref().map(Stored::duplicate))
    }

    fn land(&mut self, at: usize, outcome: Outcome, expected: Next) {
        let Next::Answers(answer) = expected else { panic!("an answer before its time: {expected:?}") };
        let told = outcome.as_ref().unwrap();
        match (told, answer) {
            (Lease::Token { credential, trouble }, Answer::Token(token, rest)) => {
                assert_eq!(number(credential), token.number);
                assert_eq!(trouble.as_ref().map(|trouble| why(&trouble.error)), rest.map(|rest| rest.why));
            }
            (Lease::LoginNeeded(error), Answer::LoginNeeded(reason)) => assert_eq!(why(&error.clone().into()), reason),
            (Lease::Unavailable(trouble), Answer::Unavailable(rest)) => assert_eq!(why(&trouble.error), rest.why),
            (Lease::SignedOut(_), Answer::SignedOut) => {}
            (told, answer) => panic!("{told:?} instead of {answer:?}"),
        }
        let Work { number, landing, leads, .. } = self.works.remove(at);
        self.crowd.led &= !leads;
        self.crowd.told(answer, self.now);
        self.outcomes[number] = Some(Ok(answer));
        let woken = sync::woken();
        landing.land(outcome, self.time(), |_| {});
        assert_eq!(sync::woken(), woken + 1, "whoever waits is woken");
    }

    /// Somebody who works is gone: not while something is being saved.
    fn die(&mut self, which: usize) {
        if self.works.is_empty() || matches!(self.works[which % self.works.len()].effect, Some(Effect::Save(_))) {
            return;
        }
        let Work { number, landing, leads, effect, .. } = self.works.remove(which % self.works.len());
        if effect.is_some() {
            self.keeper.left_alone();
        }
        self.crowd.led &= !leads;
        self.outcomes[number] = Some(Err(Why::Interrupted));
        let woken = sync::woken();
        drop(landing);
        assert_eq!(sync::woken(), woken + 1, "whoever waits is woken");
    }

    /// Everybody who waits for what is over has their answer, and nobody else has.
    fn look_around(&mut self) {
        let outcomes = &self.outcomes;
        // Whoever sleeps looks again when woken, and not before.
        let woken = sync::woken() != self.woken;
        self.woken = sync::woken();
        let waits = |waiting: &mut Waiting| {
            if waiting.asleep && !woken {
                return true;
            }
            let found = match catch_unwind(AssertUnwindSafe(|| waiting.flight.wait())) {
                Ok(outcome) => Some(outcome),
                Err(payload) if payload.is::<sync::Asleep>() => None,
                Err(payload) => resume_unwind(payload),
            };
            let expected = outcomes[waiting.work].map(|outcome| outcome.and_then(|answer| answer.to(waiting.wish)));
            assert_eq!(found.map(|outcome| given(outcome, waiting.wish)), expected, "work {}", waiting.work);
            waiting.asleep = true;
            expected.is_none()
        };
        self.commanders.retain_mut(waits);
        for caller in &mut self.callers {
            caller.take_if(|waiting| !waits(waiting));
        }
        let held = self.crowd.held;
        assert_eq!(self.desk.published().as_ref().map(number), held.map(|held| held.number));
        let fresh = held.filter(|held| !held.is_due(self.now)).map(|held| held.number);
        assert_eq!(self.desk.fresh(self.time()).as_ref().map(number), fresh, "without a lock, at {}", self.now);
    }

    fn come_to_an_end(&mut self) {
        while !self.works.is_empty() {
            self.happens(Happens::GoesOn(0, Fate::Well(600)));
        }
        assert!(!self.crowd.led, "somebody leads and does not work");
        assert!(self.callers.iter().all(Option::is_none) && self.commanders.is_empty(), "somebody waits for ever");
    }
}

fn run((own, jitter, happens): &Script) -> u32 {
    let mut world = World::new(*own, *jitter);
    for happens in happens {
        world.happens(*happens);
    }
    world.come_to_an_end();
    // Whoever waits for the last renewal before the program ends does not wait for ever.
    let _ = world.desk.flight().map(|flight| flight.wait());
    world.transitions
}

#[test]
fn fl_33_rf_01_rf_10_rf_11_callers_get_what_the_reference_says() {
    explore("single flight", file!(), &scripts::regressions(), scripts::scripts(), run);
}
