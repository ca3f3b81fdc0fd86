//! Whole lives of machines, and their snapshots.

use core::time::Duration;
use std::collections::BTreeSet;

use http::{Response, StatusCode};

use crate::callback::CallbackParams;
use crate::error::{Delivery, Error, Expired};
use crate::grant::{AuthorizationCode, Device};
use crate::http::Body;
use crate::http::form::Form;
use crate::jose::JwkSet;
use crate::machine::{
    COMPLETE, Check, Context, Effect, Event, EventKind, FAILED, Observer, STOPPED, StateId, StateKind, Step, Table,
    Transition,
};
use crate::memory::Memory;
use crate::random::{Random, RandomUnavailable};
use crate::snapshot::Snapshot;
use crate::testing::specimens::{AnyMachine, SPECIMENS, Specimen, public};
use crate::testing::stimuli::{ISSUER, KEYS, STIMULI, Situation};
use crate::testing::{CountingRandom, MarkerCrypto};
use crate::time::Timestamp;

/// The bytes of a script that mean something else than a stimulus. All others are places in [`STIMULI`].
pub mod operation {
    /// A second passes.
    pub const SECOND: u8 = 0xF0;
    /// A minute and a second pass.
    pub const MINUTE: u8 = 0xF1;
    /// An hour passes.
    pub const HOUR: u8 = 0xF2;
    /// A day passes.
    pub const DAY: u8 = 0xF3;
    /// The clock is set back by an hour.
    pub const BACK: u8 = 0xF4;
    /// The clock is set to the end of time.
    pub const END: u8 = 0xF5;
    /// The machine is stored and restored, if it rests.
    pub const STORE: u8 = 0xF6;
    /// A response: a byte for its status, one for its header fields, one for its length, and the body.
    pub const RESPONSE: u8 = 0xF7;
    /// A callback: a byte for its length, and the query.
    pub const CALLBACK: u8 = 0xF8;
    /// From now on there is no randomness.
    pub const DRAINED: u8 = 0xF9;
}

/// What a script's response can have for a status.
const STATUSES: [u16; 16] = [200, 201, 204, 302, 400, 401, 403, 404, 408, 425, 428, 429, 500, 502, 503, 100];

/// What is in one of these is a secret.
const CANARIES: [&str; 5] =
    ["canary-code", "canary-access", "canary-refresh", "canary-client-secret", "canary-device-code"];

/// How many operations of a script are looked at.
const LONGEST: usize = 64;

/// The stimulus that is there for its size. It would take most of the time, and the tests of the tables give it to every
/// state.
const LARGE: &str = "too much";

/// Whatever happens, at whatever time and in whatever order: every move stands in the table of its machine and begins
/// where the last one ended; misuse is exactly what the innermost table refuses, and changes nothing; what has ended stays
/// as it is; a sleep ends later than now; requests go to the server and nowhere else; a code or a refresh token that the
/// server may have seen is not sent again; what rests can be stored and restored; no text shows a secret; nothing is a
/// bug.
///
/// The first byte chooses the machine, the second its variant, the third what is remembered and how long the random
/// source lasts. The others are [`operation`]s.
pub fn machine_script(input: &[u8]) {
    let [which, variant, setup, script @ ..] = input else { return };
    let Some(specimen) = SPECIMENS.get(usize::from(*which) % SPECIMENS.len()) else { return };
    let mut play = Play::begin(specimen, *variant, *setup);
    let mut script = Script(script);
    for _ in 0..LONGEST {
        let Some(operation) = script.byte() else { break };
        match operation {
            operation::SECOND => play.pass(1),
            operation::MINUTE => play.pass(61),
            operation::HOUR => play.pass(3_600),
            operation::DAY => play.pass(86_400),
            operation::BACK => play.situation.now = play.situation.now.minus(Duration::from_secs(3_600)),
            operation::END => play.situation.now = Timestamp::from_millis(u64::MAX),
            operation::STORE => play.store(),
            operation::RESPONSE => {
                let response = script.response();
                play.taint(response.body().expose());
                play.apply(Event::Response(response));
            }
            operation::CALLBACK => {
                let query = script.text();
                play.taint(query.as_bytes());
                if let Ok(params) = CallbackParams::from_query(&query) {
                    play.apply(Event::Callback(params));
                }
            }
            operation::DRAINED => play.random.left = 0,
            place => {
                let Some(stimulus) = STIMULI.get(usize::from(place) % STIMULI.len()) else { return };
                if stimulus.name != LARGE {
                    let event = (stimulus.event)(&mut play.situation);
                    play.apply(event);
                }
            }
        }
    }
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte().unwrap_or_default()).min(self.0.len());
        let (bytes, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn response(&mut self) -> Response<Body> {
        let status = usize::from(self.byte().unwrap_or_default()) % STATUSES.len();
        let fields = self.byte().unwrap_or_default();
        let mut response = Response::new(Body::new(self.bytes()));
        *response.status_mut() = StatusCode::from_u16(STATUSES[status]).unwrap_or_default();
        let choices = [
            ("content-type", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-type", "text/html"),
            ("dpop-nonce", "a-nonce"),
            ("retry-after", "1"),
            ("retry-after", "99999"),
            ("location", "https://as.example/moved"),
            ("www-authenticate", "DPoP error=\"use_dpop_nonce\""),
        ];
        for (place, (name, value)) in choices.into_iter().enumerate() {
            if fields >> place & 1 == 1 {
                response.headers_mut().append(name, http::HeaderValue::from_static(value));
            }
        }
        response
    }
}

/// Random numbers until they run out.
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

#[derive(Default)]
struct Seen {
    transitions: Vec<Transition>,
    said: String,
}

impl Observer for Seen {
    fn transition(&mut self, transition: &Transition) {
        self.transitions.push(*transition);
    }

    fn check(&mut self, check: &Check<'_>) {
        self.said.push_str(&format!("{check:?}"));
    }
}

/// A machine with the world around it, and what must not happen any more.
struct Play {
    specimen: &'static Specimen,
    machine: Box<dyn AnyMachine>,
    situation: Situation,
    random: Draw,
    memory: Memory,
    /// Codes and refresh tokens that the server may have seen.
    spent: BTreeSet<String>,
    /// The one in the request that is under way.
    under_way: Option<String>,
    /// Whether the script itself writes what must not be shown.
    tainted: bool,
}

impl Play {
    fn begin(specimen: &'static Specimen, variant: u8, setup: u8) -> Self {
        let variant = usize::from(variant) % specimen.variants.len();
        let mut memory = Memory::new();
        if setup & 3 != 0 {
            let keys = JwkSet::parse(KEYS.as_bytes(), &MarkerCrypto).expect("the keys can be read");
            let age = if setup & 1 == 1 { 0 } else { 600 };
            memory.keys_fetched(ISSUER, keys, super::NOW.minus(Duration::from_secs(age)));
        }
        let left = if setup & 4 == 0 { u32::MAX } else { u32::from(setup >> 4) };
        Self {
            specimen,
            machine: (specimen.variants[variant].1)(),
            situation: Situation::new(super::NOW),
            random: Draw { counting: CountingRandom::default(), left },
            memory,
            spent: BTreeSet::new(),
            under_way: None,
            tainted: false,
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.situation.now = self.situation.now.plus(Duration::from_secs(seconds));
    }

    fn states(&self) -> Vec<StateId> {
        self.machine.chain().into_iter().map(|(_, state)| state).collect()
    }

    fn taint(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let secrets = CANARIES.iter().copied().chain([self.situation.state.as_str(), self.situation.nonce.as_str()]);
        self.tainted |= secrets.filter(|secret| !secret.is_empty()).any(|secret| text.contains(secret));
    }

    fn apply(&mut self, event: Event) {
        let (chain, before, kind) = (self.machine.chain(), self.states(), event.kind());
        let legal = chain.last().is_some_and(|(table, state)| table.accepts(*state, kind));
        let over = before == [FAILED] || before == [COMPLETE];
        assert!(!(over && legal), "a terminal state has an arrow");
        let shown = (!legal).then(|| format!("{:?}", self.machine));
        if legal && may_be_seen(&event) {
            self.spent.extend(self.under_way.take());
        }
        let mut seen = Seen::default();
        let mut cx = Context {
            now: self.situation.now,
            random: &mut self.random,
            crypto: &MarkerCrypto,
            memory: &mut self.memory,
            observer: Some(&mut seen),
        };
        let result = self.machine.handle(event, &mut cx);
        self.judge_moves(&seen.transitions, &before);
        let states = self.states();
        let said = match &result {
            Err(error @ Error::Misuse(_)) => {
                assert!(!legal, "{kind} is refused in {before:?}");
                assert_eq!(states, before, "misuse has moved the machine");
                assert!(seen.transitions.is_empty() && shown == Some(format!("{:?}", self.machine)));
                return assert!(!error.to_string().contains("canary"));
            }
            Err(error) => {
                assert_eq!(states, [FAILED], "an error that does not end the flow: {error}");
                assert!(!matches!(error, Error::Bug(_)), "{error}");
                format!("{error} {error:?} {:?}", error.advice())
            }
            Ok(Step::Done(what)) => {
                let answers = |(table, state): &(&Table, StateId)| {
                    table.state(*state).is_some_and(|row| matches!(row.kind, StateKind::Idle | StateKind::Terminal))
                };
                assert!(states != [FAILED] && self.machine.chain().iter().all(answers), "done in {states:?}");
                what.clone()
            }
            Ok(Step::Do(effect)) => {
                self.perform(effect);
                format!("{effect:?}")
            }
        };
        assert!(legal, "{kind} is taken in {before:?}");
        self.judge_words(&format!("{said} {:?} {}", self.machine, seen.said));
    }

    fn judge_moves(&self, transitions: &[Transition], before: &[StateId]) {
        let mut at = before.first().copied();
        for transition in transitions {
            let Transition { machine, from, event, finding, to } = *transition;
            let specimen = SPECIMENS.iter().find(|specimen| specimen.table.machine == machine);
            let table = specimen.map(|specimen| specimen.table).expect("a machine that is not registered");
            let stopped = event == EventKind::Cancel && finding == STOPPED && to == FAILED;
            assert!(stopped || table.allows(from, event, finding, to), "{transition:?} stands in no table");
            if machine == self.specimen.table.machine {
                assert_eq!(at, Some(from), "{transition:?} begins elsewhere");
                at = Some(to);
            }
        }
        assert_eq!(at, self.states().first().copied(), "a move that was not told");
    }

    fn perform(&mut self, effect: &Effect) {
        self.situation.note(effect);
        match effect {
            Effect::Sleep { until } => assert!(*until > self.situation.now, "a sleep that is over"),
            Effect::Send(outgoing) => {
                let uri = outgoing.request.uri();
                let at_resource = self.specimen.table.machine == "authorized-request";
                let host = if at_resource { "api.example" } else { "as.example" };
                assert_eq!((uri.scheme_str(), uri.host()), (Some("https"), Some(host)), "{uri}");
                assert!(outgoing.max_body > 0 && !outgoing.timeout.is_zero());
                self.under_way = single_use(outgoing.request.body());
                // A token manager may repeat a refresh that nobody answered; its own model counts how often.
                let may_repeat = self.specimen.table.machine == "token-manager";
                if let Some(sent) = self.under_way.as_ref().filter(|_| !may_repeat) {
                    assert!(!self.spent.contains(sent), "sent again although the server may have seen it");
                }
            }
            Effect::Redirect(redirect) => {
                assert_eq!((redirect.url.scheme(), redirect.url.host_str()), ("https", Some("as.example")));
            }
            Effect::ShowUserCode(_)
            | Effect::Sign(_)
            | Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
            | Effect::Delete(_)
            | Effect::Release(_)
            | Effect::Delegate(_)
            | Effect::Lease(_) => {}
        }
    }

    fn judge_words(&self, said: &str) {
        if self.tainted {
            return;
        }
        for secret in CANARIES.iter().copied().chain([self.situation.state.as_str(), self.situation.nonce.as_str()]) {
            assert!(secret.is_empty() || !said.contains(secret), "{secret} is shown: {said}");
        }
    }

    fn store(&mut self) {
        let Some(stored) = self.machine.stored() else { return };
        let (bytes, machine) = stored.expect("what rests can be restored");
        let before = self.states();
        self.machine = machine;
        assert_eq!(self.states(), before);
        let again = self.machine.stored().and_then(Result::ok);
        assert!(again.is_some_and(|(again, _)| again == bytes), "restored as something else");
    }
}

/// Whether the request that this answers may have been acted on. A server that is busy, or that demands a nonce, says
/// that it has not.
fn may_be_seen(event: &Event) -> bool {
    match event {
        Event::SendFailed(failure) => failure.delivery == Delivery::Unknown,
        Event::Response(response) => {
            !matches!(response.status().as_u16(), 429 | 503) && !response.headers().contains_key("dpop-nonce")
        }
        _ => false,
    }
}

/// What a request spends: a code or a refresh token.
fn single_use(body: &Body) -> Option<String> {
    let mut form = Form::parse(body.expose(), usize::MAX).ok()?;
    let name = match form.get("grant_type")?.expose().as_str() {
        "authorization_code" => "code",
        "refresh_token" => "refresh_token",
        _ => return None,
    };
    Some(form.take(name).expect("a grant without what it is of").expose().clone())
}

/// Whatever the bytes: they are refused, or the flow that is restored rests, goes on, and is stored as the same again.
pub fn snapshot(input: &[u8]) {
    let client = public();
    let read = || Snapshot::from_bytes(input.to_vec());
    if let Ok(machine) = AuthorizationCode::restore(&client, read()) {
        let stored = machine.snapshot().expect("what was restored can be stored");
        let again = AuthorizationCode::restore(&client, stored).expect("and restored again");
        resume(again);
        resume(machine);
    }
    if let Ok(machine) = Device::restore(&client, read()) {
        let stored = machine.snapshot().expect("what was restored can be stored");
        let again = Device::restore(&client, stored).expect("and restored again");
        resume(again);
        resume(machine);
    }
}

fn resume<M: crate::machine::Machine>(mut machine: M) {
    let mut random = CountingRandom::default();
    let mut memory = Memory::new();
    let now = super::NOW;
    for event in [Event::Resume, Event::Elapsed, Event::Cancel] {
        let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
        match machine.handle(event, &mut cx) {
            Ok(Step::Do(Effect::Sleep { until })) => assert!(until > now),
            Ok(Step::Do(_)) | Err(Error::Cancelled | Error::Expired(Expired::Callback | Expired::DeviceCode)) => {}
            Err(Error::Misuse(_)) => assert!(matches!(machine.state(), FAILED)),
            Ok(Step::Done(_)) => panic!("complete without an answer"),
            Err(error) => panic!("{error}"),
        }
    }
}
