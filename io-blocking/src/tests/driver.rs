use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use grantflow_core::error::{ConfigError, Delivery, Error, ProviderError, SendFailure, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{
    Context, Effect, Event, EventKind, Finding, Machine, Observer, Outgoing, READY, Redirect, SignRequest, StateId,
    Step, Table, Transition, UserCode,
};
use grantflow_core::{Secret, Timestamp};
use http::Response;
use url::Url;

use super::{EMPTY, clock, post, start};
use crate::{Cancel, Clock, DevicePerson, Driver, HttpClient, ManualClock, Nobody, Signer, SystemClock};

/// Emits effects in order and keeps the kinds of the events that answer them.
struct Script {
    effects: Vec<Effect>,
    events: Vec<EventKind>,
    last: Option<Event>,
}

impl Script {
    fn new(effects: impl IntoIterator<Item = Effect>) -> Self {
        let mut effects: Vec<_> = effects.into_iter().collect();
        effects.reverse();
        Self { effects, events: Vec::new(), last: None }
    }
}

impl Machine for Script {
    type Output = Timestamp;

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &EMPTY
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<Timestamp>, Error> {
        self.events.push(event.kind());
        if let Some(observer) = cx.observer.as_deref_mut() {
            let (event, finding) = (event.kind(), Finding("Stepped"));
            observer.transition(&Transition { machine: "script", from: READY, event, finding, to: READY });
        }
        if event.kind() == EventKind::Cancel {
            return Err(Error::Cancelled);
        }
        self.last = Some(event);
        Ok(self.effects.pop().map_or(Step::Done(cx.now), Step::Do))
    }
}

/// Answers every request with what the function gives.
struct Answers<F>(F);

impl<F: Fn() -> Result<Response<Body>, SendFailure> + Send + Sync> HttpClient for Answers<F> {
    fn send(&self, _: Outgoing) -> Result<Response<Body>, SendFailure> {
        (self.0)()
    }
}

fn ok(length: usize) -> Result<Response<Body>, SendFailure> {
    Ok(Response::new(Body::from(vec![b'x'; length])))
}

fn answering(length: usize) -> Driver {
    Driver::with_client(Answers(move || ok(length))).with_clock(clock())
}

fn send() -> Effect {
    Effect::Send(post("https://server.example/token"))
}

fn redirect() -> Effect {
    Effect::Redirect(Redirect {
        url: Url::parse("https://server.example/authorize").unwrap(),
        redirect_uri: String::from("http://127.0.0.1:1/"),
        expires_at: start(),
        refused: None,
    })
}

fn user_code() -> Effect {
    Effect::ShowUserCode(UserCode {
        user_code: Secret::from("WDJB-MJHT"),
        verification_uri: String::from("https://server.example/device"),
        openable: None,
        complete: None,
        expires_at: start(),
    })
}

fn signing() -> Effect {
    let message = Secret::from(b"message".to_vec());
    Effect::Sign(SignRequest { key_id: String::from("k"), algorithm: SignatureAlgorithm::Es256, message })
}

#[test]
fn a_driver_is_cheap_to_clone_and_shared_by_threads() {
    fn check<T: Clone + Send + Sync>() {}
    check::<Driver>();
    check::<Cancel>();
    let driver = answering(1);
    thread::scope(|scope| {
        for _ in 0..8 {
            let driver = driver.clone();
            scope.spawn(move || driver.run(&mut Script::new([send(), send()]), Event::Start, &mut Nobody).unwrap());
        }
    });
}

#[test]
fn every_effect_is_answered_by_one_of_its_events() {
    let mut shown = Vec::new();
    let mut person = DevicePerson::new(|code: &UserCode| shown.push(code.user_code.expose().clone()));
    let driver = answering(1).with_clock(ManualClock::jumping(start())).with_signer(Echo);
    let until = start().plus(Duration::from_secs(3600));
    let effects = [send(), user_code(), Effect::Sleep { until }, signing()];
    let answers: Vec<_> = effects.iter().map(Effect::answers).collect();
    let mut script = Script::new(effects);
    assert_eq!(driver.run(&mut script, Event::Start, &mut person).unwrap(), until);
    assert_eq!(script.events[0], EventKind::Start);
    assert!(script.events[1..].iter().zip(answers).all(|(event, legal)| legal.contains(event)), "{:?}", script.events);
    assert_eq!(shown, ["WDJB-MJHT"]);
}

struct Echo;

impl Signer for Echo {
    fn sign(&self, request: SignRequest) -> Result<Secret<Vec<u8>>, ProviderError> {
        Ok(request.message)
    }
}

#[test]
fn a_failure_to_send_is_an_event() {
    let failure = SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Connect };
    let driver = Driver::with_client(Answers(move || Err(failure)));
    let mut script = Script::new([send()]);
    driver.run(&mut script, Event::Start, &mut Nobody).unwrap();
    assert!(matches!(script.last, Some(Event::SendFailed(found)) if found == failure));
}

#[test]
fn ds_01_a_client_that_somebody_else_wrote_is_held_to_the_size() {
    let mut script = Script::new([send(), send()]);
    answering(1024).run(&mut script, Event::Start, &mut Nobody).unwrap();
    assert_eq!(script.events, [EventKind::Start, EventKind::Response, EventKind::Response]);
    let mut script = Script::new([send()]);
    answering(1025).run(&mut script, Event::Start, &mut Nobody).unwrap();
    let too_large = SendFailure { delivery: Delivery::Unknown, kind: TransportKind::TooLarge };
    assert!(matches!(script.last, Some(Event::SendFailed(found)) if found == too_large));
}

#[test]
fn without_a_signer_there_is_no_signature() {
    let mut script = Script::new([signing()]);
    answering(0).run(&mut script, Event::Start, &mut Nobody).unwrap();
    assert!(matches!(script.last, Some(Event::SignFailed(ProviderError::KeyUnavailable))));
}

#[test]
fn a_flow_that_needs_a_person_and_has_none_says_so() {
    for (effect, missing) in [(redirect(), "a person with a browser"), (user_code(), "a person to show the code to")] {
        let error = answering(0).run(&mut Script::new([effect]), Event::Start, &mut Nobody).unwrap_err();
        assert_eq!(error, ConfigError::Missing(missing).into());
    }
}

#[test]
fn cancelling_ends_a_sleep_that_would_never_end() {
    let cancel = Cancel::new();
    let driver = answering(0).with_cancel(&cancel);
    let hand = thread::spawn(move || cancel.cancel());
    let mut script = Script::new([Effect::Sleep { until: start().plus(Duration::from_secs(1)) }]);
    assert_eq!(driver.run(&mut script, Event::Start, &mut Nobody).unwrap_err(), Error::Cancelled);
    hand.join().unwrap();
}

#[test]
fn cancelling_ends_a_sleep_on_the_systems_clock() {
    let cancel = Cancel::new();
    let driver = Driver::with_client(Answers(|| ok(0))).with_cancel(&cancel);
    let hand = thread::spawn(move || cancel.cancel());
    let mut script = Script::new([Effect::Sleep { until: Timestamp::from_millis(u64::MAX) }]);
    assert_eq!(driver.run(&mut script, Event::Start, &mut Nobody).unwrap_err(), Error::Cancelled);
    hand.join().unwrap();
}

#[test]
fn an_answer_that_is_in_hand_is_not_thrown_away() {
    let cancel = Cancel::new();
    let hand = cancel.clone();
    let driver = Driver::with_client(Answers(move || {
        hand.cancel();
        ok(1)
    }));
    let driver = driver.with_cancel(&cancel);
    let mut script = Script::new([send()]);
    driver.run(&mut script, Event::Start, &mut Nobody).unwrap();
    assert_eq!(script.events, [EventKind::Start, EventKind::Response]);
    let mut script = Script::new([send()]);
    assert_eq!(driver.run(&mut script, Event::Start, &mut Nobody).unwrap_err(), Error::Cancelled);
    assert_eq!(script.events, [EventKind::Start, EventKind::Cancel], "nothing more is begun");
}

#[test]
fn a_panic_in_an_observer_does_not_lock_the_others_out() {
    struct Once(bool);
    impl Observer for Once {
        fn transition(&mut self, _: &Transition) {
            assert!(std::mem::replace(&mut self.0, true), "the observer fails once");
        }
    }
    let driver = answering(1).with_observer(Arc::new(Mutex::new(Once(false))));
    let run = || driver.run(&mut Script::new([send()]), Event::Start, &mut Nobody);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    run().unwrap();
}

/// Draws once.
struct Draw;

impl Machine for Draw {
    type Output = [u8; 16];

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &EMPTY
    }

    fn handle(&mut self, _: Event, cx: &mut Context<'_>) -> Result<Step<[u8; 16]>, Error> {
        let mut drawn = [0; 16];
        cx.random.fill(&mut drawn)?;
        Ok(Step::Done(drawn))
    }
}

#[test]
fn what_a_machine_draws_is_never_the_same() {
    let draw = || Driver::new().run(&mut Draw, Event::Start, &mut Nobody).unwrap();
    assert_ne!(draw(), draw());
}

#[test]
fn the_systems_clock_sleeps_to_the_moment_that_is_named() {
    let until = SystemClock.now().plus(Duration::from_millis(20));
    SystemClock.sleep_until(until, &Cancel::new());
    assert!(SystemClock.now() >= until);
}
