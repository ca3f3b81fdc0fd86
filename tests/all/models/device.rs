//! The polling of the device grant (RFC 8628 §3.4, §3.5) beside a reference that knows when each poll must come.
//!
//! Times are milliseconds. A script is one device that logs in again and again: whoever is done begins anew.

use grantflow_core::client::Client;
use grantflow_core::error::{Delivery, Error, Expired, Misuse, SendFailure, TransportKind};
use grantflow_core::grant::{Device, Extras};
use grantflow_core::http::Body;
use grantflow_core::http::form::Form;
use grantflow_core::machine::{Context, Effect, Event, Machine, Outgoing, Step};
use grantflow_core::memory::Memory;
use grantflow_core::testing::MarkerCrypto;
use grantflow_core::testing::specimens::public;
use grantflow_core::{Secret, Timestamp};

use super::{Steady, explore};

mod reference;
mod scripts;

use reference::{Does, End, LONGEST, Phase, Reference, SECOND};
use scripts::{Happens, STRAYS, Says, Script, Stray};

/// The device, its clock and its server.
struct World {
    client: Client,
    flow: Device,
    reference: Reference,
    now: u64,
    random: Steady,
    memory: Memory,
    logins: u32,
    transitions: u32,
    /// When the server last said something to the device, its interval at first, and how often it said `slow_down`. No time
    /// is known once the clock was set.
    heard: Option<u64>,
    first_interval: u64,
    slow_downs: u64,
}

impl World {
    fn new() -> Self {
        let client = public();
        Self {
            flow: Device::new(&client, "read", Extras::default()).unwrap(),
            client,
            reference: Reference { phase: Phase::Ended, interval: 0, expires_at: 0, next_poll: 0 },
            now: 1_800_000_000 * SECOND,
            random: Steady::new(0),
            memory: Memory::new(),
            logins: 0,
            transitions: 0,
            heard: None,
            first_interval: 0,
            slow_downs: 0,
        }
    }

    fn code(&self) -> String {
        format!("device-code-{}-", self.logins)
    }

    fn token(&self) -> String {
        format!("access-{}", self.logins)
    }

    fn begin(&mut self, (interval, expires_in): (Option<u64>, Option<u64>)) {
        self.logins += 1;
        self.flow = Device::new(&self.client, "read", Extras::default()).unwrap();
        self.reference.phase = Phase::Ready;
        assert_eq!(self.give(Event::Start), Does::Asks);
        self.reference.phase = Phase::Asking;
        let member = |name: &str, value: Option<u64>| value.map_or(String::new(), |n| format!(r#","{name}":{n}"#));
        let answer = format!(
            r#"{{"device_code":"{}","user_code":"WDJB","verification_uri":"https://as.example/device"{}{}}}"#,
            self.code(),
            member("interval", interval),
            member("expires_in", expires_in)
        );
        let expected = self.reference.issued(interval, expires_in, self.now);
        assert_eq!(self.give(response(200, None, &answer)), expected);
        (self.heard, self.slow_downs) = (Some(self.now), 0);
        self.first_interval = self.reference.interval;
        let expected = self.reference.waits(self.now);
        assert_eq!(self.give(Event::Shown), expected, "the first wait");
    }

    fn give(&mut self, event: Event) -> Does {
        self.transitions += 1;
        let now = Timestamp::from_millis(self.now);
        let mut cx =
            Context { now, random: &mut self.random, crypto: &MarkerCrypto, memory: &mut self.memory, observer: None };
        match self.flow.handle(event, &mut cx) {
            Ok(Step::Do(Effect::Send(outgoing))) => self.sends(&outgoing),
            Ok(Step::Do(Effect::ShowUserCode(code))) => {
                assert_eq!(code.expires_at.as_millis(), self.reference.expires_at);
                Does::Shows
            }
            Ok(Step::Do(Effect::Sleep { until })) => {
                assert!(until > now, "a sleep that is over before it begins");
                Does::Sleeps(until.as_millis())
            }
            Ok(Step::Do(effect)) => panic!("a device login has no use for {effect:?}"),
            Ok(Step::Done(tokens)) => {
                assert_eq!(tokens.access_token().expose(), &self.token());
                Does::Ended(End::Granted)
            }
            Err(Error::Refused(refusal)) => Does::Ended(End::Refused(refusal.code)),
            Err(Error::Expired(Expired::DeviceCode)) => Does::Ended(End::Expired),
            Err(Error::Cancelled) => Does::Ended(End::Cancelled),
            Err(Error::Misuse(Misuse::IllegalEvent { .. })) => Does::Objects,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The device code goes into the form of a token request, and nowhere else.
    fn sends(&self, outgoing: &Outgoing) -> Does {
        let (request, code) = (&outgoing.request, self.code());
        let form = Form::parse(request.body().expose(), usize::MAX).unwrap();
        let body = String::from_utf8_lossy(request.body().expose());
        let elsewhere = format!("{} {:?}", request.uri(), request.headers());
        assert!(!elsewhere.contains("device-code"), "the code is seen outside of the form");
        if request.uri() == "https://as.example/device" {
            assert!(!body.contains("device-code"), "there can be no code yet");
            return Does::Asks;
        }
        assert_eq!(request.uri(), "https://as.example/token", "nobody else is sent anything");
        assert_eq!(form.get("device_code").map(Secret::expose), Some(&code));
        assert_eq!(body.matches("device-code").count(), 1);
        assert!(self.now < self.reference.expires_at, "a poll after the end");
        if let Some(heard) = self.heard {
            let least = (self.first_interval + 5 * SECOND * self.slow_downs).min(LONGEST);
            assert!(self.now >= heard + least, "a poll {} ms early", heard + least - self.now);
        }
        Does::Polls
    }

    fn happens(&mut self, happens: Happens) {
        let waiting = self.reference.phase == Phase::Waiting;
        let named = self.reference.next_poll.min(self.reference.expires_at.max(self.now));
        match happens {
            Happens::Answered(says, after) => {
                if waiting {
                    self.wake(named);
                }
                if self.reference.phase == Phase::Polling {
                    self.answer(says, after);
                }
            }
            Happens::WokenLate(late) if waiting => self.wake(named + late),
            Happens::WokenEarly(early) if waiting => self.wake(named.saturating_sub(early)),
            Happens::WokenLate(_) | Happens::WokenEarly(_) => {}
            Happens::ClockSetForward(by) => (self.now, self.heard) = (self.now + by, None),
            Happens::ClockSetBack(by) => (self.now, self.heard) = (self.now - by, None),
            Happens::TakenUp => self.take_up(),
            Happens::Cancelled => {
                let over = self.reference.phase == Phase::Ended;
                let expected = if over { Does::Objects } else { self.reference.ends(End::Cancelled) };
                assert_eq!(self.give(Event::Cancel), expected);
            }
            Happens::Strays(stray) if self.reference.takes(stray) => {}
            Happens::Strays(stray) => {
                let before = Machine::state(&self.flow);
                assert_eq!(self.give(event(stray)), Does::Objects, "{stray:?}");
                assert_eq!(Machine::state(&self.flow), before);
            }
        }
    }

    fn wake(&mut self, at: u64) {
        // A moment that lies behind by now is no time to wake at.
        self.now = self.now.max(at);
        let expected = self.reference.woken(self.now);
        assert_eq!(self.give(Event::Elapsed), expected, "woken at {}", self.now);
    }

    fn answer(&mut self, says: Says, after: u64) {
        self.now += after;
        self.heard = Some(self.now);
        self.slow_downs += u64::from(matches!(says, Says::SlowDown(_)));
        let expected = self.reference.told(says, self.now);
        let event = match says {
            Says::Pending(status) => response(status, None, r#"{"error":"authorization_pending"}"#),
            Says::SlowDown(None) => response(400, None, r#"{"error":"slow_down"}"#),
            Says::SlowDown(Some(named)) => {
                response(400, None, &format!(r#"{{"error":"slow_down","interval":{named}}}"#))
            }
            Says::Granted => {
                response(200, None, &format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, self.token()))
            }
            Says::Refused(code) => response(400, None, &format!(r#"{{"error":"{code}"}}"#)),
            // Whatever an overloaded server says besides, it is no verdict.
            Says::Unavailable(status, asked) => response(status, asked, r#"{"error":"access_denied"}"#),
            Says::Lost(delivery, kind) => Event::SendFailed(SendFailure { delivery, kind }),
        };
        assert_eq!(self.give(event), expected, "told {says:?} at {}", self.now);
    }

    fn take_up(&mut self) {
        match self.flow.snapshot() {
            Err(error) => {
                assert_eq!(error, Error::Misuse(Misuse::NotResting));
                assert_ne!(self.reference.phase, Phase::Waiting, "who waits can be stored");
            }
            Ok(stored) => {
                assert_eq!(self.reference.phase, Phase::Waiting, "nobody else can be stored");
                self.flow = Device::restore(&self.client, stored).unwrap();
                let expected = self.reference.taken_up(self.now);
                assert_eq!(self.give(Event::Resume), expected, "taken up at {}", self.now);
            }
        }
    }
}

fn response(status: u16, retry_after: Option<u64>, body: &str) -> Event {
    let mut builder = http::Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        builder = builder.header("retry-after", seconds);
    }
    Event::Response(builder.body(Body::new(body.as_bytes().to_vec())).unwrap())
}

fn event(stray: Stray) -> Event {
    match stray {
        Stray::Start => Event::Start,
        Stray::Response => response(200, None, r#"{"access_token":"stray","token_type":"Bearer"}"#),
        Stray::Lost => Event::SendFailed(SendFailure { delivery: Delivery::Unknown, kind: TransportKind::Reset }),
        Stray::Shown => Event::Shown,
        Stray::Elapsed => Event::Elapsed,
        Stray::Resume => Event::Resume,
    }
}

fn run((logins, happens): &Script) -> u32 {
    let mut world = World::new();
    let mut logins = logins.iter().cycle();
    let mut happens = happens.iter();
    while happens.len() > 0 {
        world.begin(*logins.next().unwrap());
        for happens in happens.by_ref() {
            world.happens(*happens);
            if world.reference.phase == Phase::Ended {
                break;
            }
        }
        if world.reference.phase == Phase::Ended {
            for stray in STRAYS {
                world.happens(Happens::Strays(stray));
            }
            world.happens(Happens::Cancelled);
            world.happens(Happens::TakenUp);
        }
    }
    // Left alone, every login comes to its end, and exactly then.
    while world.reference.phase != Phase::Ended {
        world.happens(Happens::Answered(Says::SlowDown(None), 0));
    }
    world.transitions
}

#[test]
fn dv_01_dv_02_dv_09_dv_10_polls_come_when_the_reference_says() {
    explore("device polling", file!(), &scripts::regressions(), scripts::scripts(), run);
}
