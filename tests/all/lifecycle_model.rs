//! Several processes share one login: every order in which their steps can fall, with faults between any two.
//!
//! Each process is one `TokenManager`; this model is its store, its network and its authorization server, which rotates
//! refresh tokens and ends the family when one comes twice. `GRANTFLOW_MODEL_CASES` asks for more than the usual number of
//! scripts.

use std::time::Duration;

use grantflow_core::client::Client;
use grantflow_core::error::{Delivery, Endpoint, LoginNeeded, SendFailure, StoreError, StoreFault, TransportKind};
use grantflow_core::http::form::Form;
use grantflow_core::http::{Body, UrlPolicy};
use grantflow_core::machine::{Context, Effect, Event, Machine, Outgoing, StateId, Step};
use grantflow_core::manager::{Lease, Settings, Source, TokenId, TokenManager};
use grantflow_core::memory::Memory;
use grantflow_core::server::ServerMetadata;
use grantflow_core::store::{StoreKey, Stored, Version};
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Timestamp};
use proptest::prelude::*;

const PROCESSES: usize = 3;
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The authorization server: one family of refresh tokens, of which the last alone is good.
#[derive(Default)]
struct Server {
    issued: u32,
    revoked: bool,
    /// Somebody has signed out.
    left: bool,
    reuses: u32,
    refreshes: u32,
}

impl Server {
    fn answer(&mut self, body: &Body) -> Event {
        let form = Form::parse(body.expose(), usize::MAX).unwrap();
        let Some(spent) = form.get("refresh_token") else {
            self.revoked = true;
            self.left = true;
            return response(200, "");
        };
        if spent.expose() != &format!("R{}", self.issued) {
            self.reuses += 1;
            self.revoked = true;
        }
        if self.revoked {
            return response(400, r#"{"error":"invalid_grant"}"#);
        }
        self.issued += 1;
        self.refreshes += 1;
        let number = self.issued;
        response(
            200,
            &format!(
                r#"{{"access_token":"A{number}","token_type":"Bearer","expires_in":600,"refresh_token":"R{number}"}}"#
            ),
        )
    }
}

fn response(status: u16, body: &str) -> Event {
    let builder = http::Response::builder().status(status).header("content-type", "application/json");
    Event::Response(builder.body(Body::new(body.as_bytes().to_vec())).unwrap())
}

/// What a process waits for.
enum Waiting {
    Nothing,
    ToDo(Effect),
    /// The server has acted; the answer is on its way.
    Answer(Event),
}

struct Process {
    manager: TokenManager,
    waiting: Waiting,
    random: CountingRandom,
    memory: Memory,
}

impl Process {
    fn new(settings: &Settings, seed: u8) -> Self {
        Self {
            manager: TokenManager::new(settings.clone()),
            waiting: Waiting::Nothing,
            random: CountingRandom::from(seed),
            memory: Memory::new(),
        }
    }
}

struct World {
    settings: Settings,
    processes: Vec<Process>,
    server: Server,
    record: Option<Stored>,
    claimed_by: Option<usize>,
    now: Timestamp,
    /// Something happened after which a spent token may honestly be sent again, or be the last one that anybody knows:
    /// an answer was lost, or a process died with tokens that were not saved.
    excused: bool,
    logged_out: bool,
    newest_version: Option<Version>,
    steps: u32,
}

/// What happens next, to one process.
#[derive(Clone, Copy, Debug)]
enum Fate {
    GoesWell,
    StoreFails,
    NotSent,
    AnswerLost,
    Unavailable,
    Dies,
}

impl World {
    fn new() -> Self {
        let server = ServerMetadata::by_hand("https://as.example", UrlPolicy::default()).unwrap();
        let server = server.with_endpoint(Endpoint::Token, "https://as.example/token").unwrap();
        let server = server.with_endpoint(Endpoint::Revocation, "https://as.example/revoke").unwrap();
        let client = Client::builder(server, "client").build().unwrap();
        let key = StoreKey::new(&client, "default").unwrap();
        let settings = Settings::new(key, Source::Session(client)).unwrap();
        let processes = (0..PROCESSES).map(|at| Process::new(&settings, u8::try_from(at * 80).unwrap())).collect();
        let mut world = Self {
            settings,
            processes,
            server: Server::default(),
            record: None,
            claimed_by: None,
            now: BEGIN,
            excused: false,
            logged_out: false,
            newest_version: None,
            steps: 0,
        };
        world.log_in();
        world
    }

    fn log_in(&mut self) {
        let record = format!(
            r#"{{"access_token":"A0","refresh_token":"R0","granted_at":{},"expires_at":{}}}"#,
            BEGIN.as_secs(),
            BEGIN.as_secs() + 600
        );
        let tokens = TokenSet::from_record(record.as_bytes(), BEGIN).unwrap();
        self.give(0, Event::Adopt(Box::new(tokens)));
        while !matches!(self.processes[0].waiting, Waiting::Nothing) {
            self.go_on(0, Fate::GoesWell);
        }
        assert!(self.record.is_some());
    }

    fn give(&mut self, at: usize, event: Event) {
        self.steps += 1;
        let process = &mut self.processes[at];
        let mut cx = Context {
            now: self.now,
            random: &mut process.random,
            crypto: &MarkerCrypto,
            memory: &mut process.memory,
            observer: None,
        };
        match process.manager.handle(event, &mut cx).expect("a token manager has no errors but bugs and misuse") {
            Step::Do(effect) => process.waiting = Waiting::ToDo(effect),
            Step::Done(lease) => {
                process.waiting = Waiting::Nothing;
                if self.claimed_by == Some(at) && !process.manager.keeps_claim() {
                    self.claimed_by = None;
                }
                self.judge(at, &lease);
            }
        }
    }

    /// What a caller is told must be true.
    fn judge(&self, at: usize, lease: &Lease) {
        let ended = self.server.revoked || self.logged_out || self.excused;
        match lease {
            Lease::LoginNeeded(LoginNeeded::Ended(_)) => assert!(self.server.revoked, "{at}: the server ended nothing"),
            Lease::LoginNeeded(_) => assert!(ended, "{at}: a login is lost: {lease:?}"),
            Lease::Token { credential, .. } => {
                let tokens = credential.tokens().expect("tokens of a session");
                let saved = tokens.refresh_token().unwrap().expose();
                let kept =
                    self.record.as_ref().map(|stored| String::from_utf8_lossy(stored.bytes.expose()).into_owned());
                let newest = format!("R{}", self.server.issued);
                // Whatever is handed out as new is durable, or says that it is not.
                if *saved == newest && credential.unsaved().is_none() && !ended {
                    assert!(kept.is_some_and(|kept| kept.contains(&newest)), "{at}: handed out and not saved");
                }
            }
            Lease::Unavailable(_) | Lease::SignedOut(_) | Lease::NotAdopted(_) => {}
        }
    }

    fn go_on(&mut self, at: usize, fate: Fate) {
        if matches!(fate, Fate::Dies) {
            return self.die(at);
        }
        let event = match std::mem::replace(&mut self.processes[at].waiting, Waiting::Nothing) {
            Waiting::Nothing => return,
            Waiting::Answer(_) if matches!(fate, Fate::AnswerLost) => {
                self.excused = true;
                Event::SendFailed(SendFailure { delivery: Delivery::Unknown, kind: TransportKind::Reset })
            }
            Waiting::Answer(answer) => answer,
            Waiting::ToDo(Effect::Send(outgoing)) => match self.send(&outgoing, fate) {
                Some(event) => event,
                None => {
                    let answer = self.server.answer(outgoing.request.body());
                    self.logged_out |= self.server.left;
                    self.processes[at].waiting = Waiting::Answer(answer);
                    return;
                }
            },
            Waiting::ToDo(effect) => match self.store(at, &effect, fate) {
                Some(event) => event,
                None => {
                    self.processes[at].waiting = Waiting::ToDo(effect);
                    return;
                }
            },
        };
        self.give(at, event);
    }

    fn send(&self, outgoing: &Outgoing, fate: Fate) -> Option<Event> {
        assert_eq!(outgoing.request.uri().host(), Some("as.example"));
        match fate {
            Fate::NotSent => {
                Some(Event::SendFailed(SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Connect }))
            }
            Fate::Unavailable => Some(response(503, "")),
            Fate::GoesWell | Fate::StoreFails | Fate::AnswerLost | Fate::Dies => None,
        }
    }

    /// `None` when the process has to wait for another.
    fn store(&mut self, at: usize, effect: &Effect, fate: Fate) -> Option<Event> {
        let failing = matches!(fate, Fate::StoreFails);
        let failed = || Event::StoreFailed(StoreError::new(StoreFault::Unavailable, "as the model wants it"));
        let loaded = |record: &Option<Stored>| Event::Loaded(record.as_ref().map(Stored::duplicate));
        Some(match effect {
            Effect::Release(_) => {
                if self.claimed_by == Some(at) {
                    self.claimed_by = None;
                }
                Event::Released
            }
            Effect::Sleep { until } => {
                self.now = (*until).max(self.now);
                Event::Elapsed
            }
            _ if failing => failed(),
            Effect::Claim(_) => match self.claimed_by {
                Some(other) if other != at => return None,
                _ => {
                    self.claimed_by = Some(at);
                    loaded(&self.record)
                }
            },
            Effect::Load(_) => loaded(&self.record),
            Effect::Save(write) => {
                if !write.expected.allows(self.record.as_ref().map(|stored| stored.version)) {
                    return Some(Event::Conflict);
                }
                assert!(Some(write.stored.version) > self.newest_version, "an older record over a newer one");
                self.newest_version = Some(write.stored.version);
                self.record = Some(write.stored.duplicate());
                Event::Stored
            }
            Effect::Delete(_) => {
                self.record = None;
                self.logged_out = true;
                Event::Stored
            }
            other => panic!("{other:?}"),
        })
    }

    /// The process ends where it is; the operating system lets its claim go.
    fn die(&mut self, at: usize) {
        let unsaved = || {
            let newest = format!("R{}", self.server.issued);
            let kept = self.record.as_ref().is_some_and(|record| {
                String::from_utf8_lossy(record.bytes.expose()).contains(&format!(r#""refresh_token":"{newest}""#))
            });
            !kept
        };
        self.excused |= unsaved();
        if self.claimed_by == Some(at) {
            self.claimed_by = None;
        }
        self.processes[at] = Process::new(&self.settings, u8::try_from(self.steps % 251).unwrap());
    }
}

/// What a caller can want, and what can happen.
#[derive(Clone, Copy, Debug)]
enum What {
    Command(u8),
    Goes(Fate),
    Passes(u16),
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => (0..12_u8).prop_map(What::Command),
        24 => Just(What::Goes(Fate::GoesWell)),
        1 => Just(What::Goes(Fate::StoreFails)),
        1 => Just(What::Goes(Fate::NotSent)),
        1 => Just(What::Goes(Fate::AnswerLost)),
        1 => Just(What::Goes(Fate::Unavailable)),
        1 => Just(What::Goes(Fate::Dies)),
        5 => (0..700_u16).prop_map(What::Passes),
    ]
}

fn event(command: u8, server: &Server) -> Event {
    let id = |token: String| TokenId::of(&Secret::from(token), &MarkerCrypto);
    match command {
        0 => Event::Renew,
        1 => Event::Reload,
        2 => Event::Reject(id(format!("A{}", server.issued))),
        3 => Event::Reject(id(format!("A{}", server.issued.saturating_sub(1)))),
        _ => Event::Acquire,
    }
}

const IDLE: [&str; 4] = ["Ready", "Vacant", "Fresh", "Resting"];

fn run(script: &[(usize, What)], faults: bool, leaving: bool) -> (u32, u32) {
    let mut world = World::new();
    for (at, what) in script {
        match *what {
            What::Passes(seconds) => world.now = world.now.plus(Duration::from_secs(seconds.into())),
            What::Goes(fate) => world.go_on(*at, if faults { fate } else { Fate::GoesWell }),
            What::Command(command) => {
                if matches!(world.processes[*at].waiting, Waiting::Nothing) {
                    let StateId(state) = Machine::state(&world.processes[*at].manager);
                    assert!(IDLE.contains(&state), "{at} waits for nothing in {state}");
                    let leaves = command == 11 && leaving;
                    // Whatever becomes of it: this process does not come back to the login.
                    world.logged_out |= leaves;
                    world.give(*at, if leaves { Event::SignOut } else { event(command, &world.server) });
                }
            }
        }
        if !world.excused && !world.logged_out {
            assert_eq!(world.server.reuses, 0, "a spent refresh token was sent although nothing was lost");
        }
    }
    // Whoever works gets to an end, and then everybody agrees on the newest token.
    for round in 0..400 {
        for at in 0..PROCESSES {
            world.go_on(at, Fate::GoesWell);
            // Who keeps a claim because of a save that failed lets it go once somebody asks for the token again.
            if round % 40 == 39 && matches!(world.processes[at].waiting, Waiting::Nothing) {
                world.now = world.now.plus(Duration::from_secs(100));
                world.give(at, Event::Acquire);
            }
        }
    }
    for at in 0..PROCESSES {
        for _ in 0..40 {
            world.go_on(at, Fate::GoesWell);
        }
    }
    for process in &world.processes {
        assert!(matches!(process.waiting, Waiting::Nothing), "a process that waits for ever");
    }
    if !world.excused && !world.logged_out {
        assert!(!world.server.revoked, "the login is lost");
        for at in 0..PROCESSES {
            world.now = world.now.plus(Duration::from_secs(400));
            world.give(at, Event::Acquire);
            for _ in 0..40 {
                world.go_on(at, Fate::GoesWell);
            }
            let StateId(state) = Machine::state(&world.processes[at].manager);
            assert_eq!(state, "Fresh", "{at} does not come back");
        }
        assert_eq!(world.server.reuses, 0);
    }
    (world.steps, world.server.refreshes)
}

fn cases() -> u32 {
    std::env::var("GRANTFLOW_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn rf_02_rf_15_no_order_of_steps_and_faults_loses_a_login_or_sends_a_spent_token(
        script in proptest::collection::vec((0..PROCESSES, what()), 50..300),
    ) {
        run(&script, true, false);
    }

    #[test]
    fn rf_02_without_faults_each_rotation_has_one_refresh(
        script in proptest::collection::vec((0..PROCESSES, what()), 50..300),
    ) {
        run(&script, false, false);
    }

    #[test]
    fn rf_18_nothing_brings_a_login_back_that_was_given_up(
        script in proptest::collection::vec((0..PROCESSES, what()), 50..300),
    ) {
        run(&script, true, true);
    }
}

/// Goes on with one process, for short scripts.
fn well(at: usize, times: usize) -> impl Iterator<Item = (usize, What)> {
    std::iter::repeat_n((at, What::Goes(Fate::GoesWell)), times)
}

#[test]
fn rf_15_nobody_spends_the_old_token_while_the_new_one_waits_to_be_saved() {
    let begin = [(0, What::Passes(540)), (0, What::Command(0))];
    let unsaved = begin.into_iter().chain(well(0, 3)).chain([(0, What::Goes(Fate::StoreFails)), (2, What::Command(0))]);
    run(&unsaved.chain(well(2, 6)).collect::<Vec<_>>(), true, false);
}

/// The one window: the server has rotated and the process dies before the save. The next one asks once, is refused, and says
/// that somebody has to log in; it does not ask again.
#[test]
fn fl_18_a_death_between_rotation_and_save_costs_one_login_and_no_loop() {
    let mut world = World::new();
    world.now = world.now.plus(Duration::from_secs(700));
    world.give(0, Event::Acquire);
    for _ in 0..3 {
        world.go_on(0, Fate::GoesWell);
    }
    assert_eq!(world.server.refreshes, 1);
    world.go_on(0, Fate::Dies);
    for at in [1, 0, 1] {
        world.give(at, Event::Acquire);
        for _ in 0..8 {
            world.go_on(at, Fate::GoesWell);
        }
        let StateId(state) = Machine::state(&world.processes[at].manager);
        assert_eq!(state, "Vacant", "somebody has to log in");
        world.now = world.now.plus(Duration::from_secs(60));
    }
    assert_eq!((world.server.reuses, world.server.refreshes), (1, 1), "asked once with the token that was spent");
}

#[test]
fn rf_15_a_claim_is_not_let_go_before_what_was_unsaved_is_saved() {
    let begin = [(0, What::Passes(322)), (0, What::Command(0))];
    let unsaved = begin.into_iter().chain(well(0, 3)).chain([(0, What::Goes(Fate::StoreFails))]);
    let reloaded =
        unsaved.chain([(0, What::Passes(200)), (1, What::Command(0)), (0, What::Command(1))]).chain(well(0, 2));
    let failed = reloaded.chain([(0, What::Goes(Fate::Unavailable))]).chain(well(0, 2));
    run(&failed.chain(well(1, 8)).chain(well(0, 8)).collect::<Vec<_>>(), true, false);
}

/// Prints how much of the model a run of the usual length takes.
#[test]
fn the_model_takes_twenty_thousand_transitions() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = proptest::collection::vec((0..PROCESSES, what()), 50..300);
    let (mut steps, mut refreshes) = (0, 0);
    for _ in 0..cases() {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let (taken, refreshed) = run(&script, true, false);
        steps += taken;
        refreshes += refreshed;
    }
    println!(
        "figure: lifecycle/model of three processes = {steps} transitions, {refreshes} rotations, {} scripts",
        cases()
    );
    assert!(steps >= 20_000 && refreshes > 0, "{steps}");
}
