use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::error::{ConfigError, Delivery, Error, ProviderError, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{
    COMPLETE, Context, Effect, Event, EventKind, FAILED, Machine, Observer, Outgoing, READY, Redirect, STOPPED,
    SignRequest, StateId, Step, Table, Transition, UserCode,
};
use grantflow_core::{Secret, Timestamp};

use super::{NOW, settled, ticking};
use crate::race::{Either, race};
use crate::{Clock, DevicePerson, Driver, HttpClient, ManualClock, Nobody, Pending, Signer, SystemClock};

/// Emits these effects one after the other and remembers what it was answered, and when.
struct Script {
    effects: VecDeque<Effect>,
    seen: Vec<(EventKind, Timestamp)>,
}

static TABLE: Table = Table { machine: "script", states: &[], rows: &[] };

impl Script {
    fn new(effects: impl IntoIterator<Item = Effect>) -> Self {
        Self { effects: effects.into_iter().collect(), seen: Vec::new() }
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.seen.iter().map(|(kind, _)| *kind).collect()
    }
}

impl Machine for Script {
    type Output = [u8; 8];

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<[u8; 8]>, Error> {
        self.seen.push((event.kind(), cx.now));
        if let Event::Cancel = event {
            return Err(Error::Cancelled);
        }
        if let Some(observer) = cx.observer.as_deref_mut() {
            let (event, finding) = (event.kind(), STOPPED);
            observer.transition(&Transition { machine: "script", from: READY, event, finding, to: COMPLETE });
        }
        match self.effects.pop_front() {
            Some(effect) => Ok(Step::Do(effect)),
            None => {
                let mut random = [0; 8];
                cx.random.fill(&mut random)?;
                Ok(Step::Done(random))
            }
        }
    }
}

fn outgoing() -> Outgoing {
    let request = http::Request::get("http://127.0.0.1:9/").body(Body::empty()).unwrap();
    Outgoing { request, max_body: 10, timeout: Duration::from_secs(30), reach: Reach::Any }
}

/// A client of the user's own.
struct Mine(Vec<u8>);

impl HttpClient for Mine {
    fn send(&self, _: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(async { Ok(http::Response::new(Body::new(self.0.clone()))) })
    }
}

/// A client that never answers.
struct Silent;

impl HttpClient for Silent {
    fn send(&self, _: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(std::future::pending())
    }
}

fn code() -> UserCode {
    UserCode {
        user_code: Secret::from("WDJB-MJHT"),
        verification_uri: "https://as.example/device".into(),
        openable: None,
        complete: None,
        expires_at: NOW.plus(Duration::from_secs(900)),
    }
}

fn redirect() -> Redirect {
    Redirect {
        url: "https://as.example/authorize".parse().unwrap(),
        redirect_uri: "http://127.0.0.1:1/callback".into(),
        expires_at: NOW.plus(Duration::from_secs(300)),
        refused: None,
    }
}

fn sign() -> Effect {
    let message = Secret::from(b"m".to_vec());
    Effect::Sign(SignRequest { key_id: "k".into(), algorithm: SignatureAlgorithm::Es256, message })
}

#[tokio::test]
async fn each_effect_is_answered_with_one_event() {
    let clock = ManualClock::jumping(NOW);
    let driver = Driver::with_client(Mine(b"{}".to_vec())).with_clock(clock);
    let later = NOW.plus(Duration::from_secs(5));
    let effects = [Effect::Send(outgoing()), Effect::Sleep { until: later }, sign(), Effect::ShowUserCode(code())];
    let mut machine = Script::new(effects);
    let shown = Arc::new(Mutex::new(String::new()));
    let screen = shown.clone();
    let mut person = DevicePerson::new(move |code: &UserCode| screen.lock().unwrap().push_str(code.user_code.expose()));
    let first = driver.run(&mut machine, Event::Start, &mut person).await.unwrap();
    let expected = [
        (EventKind::Start, NOW),
        (EventKind::Response, NOW),
        (EventKind::Elapsed, later),
        (EventKind::SignFailed, later),
        (EventKind::Shown, later),
    ];
    assert_eq!(machine.seen, expected);
    assert_eq!(*shown.lock().unwrap(), "WDJB-MJHT");
    let second = driver.run(&mut Script::new([]), Event::Start, &mut Nobody).await.unwrap();
    assert_ne!(first, second, "random");
}

#[tokio::test]
async fn failures_become_events_and_do_not_end_the_loop() {
    struct Broken;
    impl HttpClient for Broken {
        fn send(&self, _: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
            Box::pin(async { Err(SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Dns }) })
        }
    }
    let mut machine = Script::new([Effect::Send(outgoing()), Effect::Send(outgoing())]);
    Driver::with_client(Broken).run(&mut machine, Event::Resume, &mut Nobody).await.unwrap();
    assert_eq!(machine.kinds(), [EventKind::Resume, EventKind::SendFailed, EventKind::SendFailed]);
}

#[tokio::test]
async fn a_signer_signs() {
    struct Key;
    impl Signer for Key {
        fn sign(&self, request: SignRequest) -> Pending<'_, Result<Secret<Vec<u8>>, ProviderError>> {
            Box::pin(async move { Ok(Secret::from([request.message.expose().as_slice(), b"!"].concat())) })
        }
    }
    let mut machine = Script::new([sign()]);
    Driver::with_client(Silent).with_signer(Key).run(&mut machine, Event::Start, &mut Nobody).await.unwrap();
    assert_eq!(machine.kinds(), [EventKind::Start, EventKind::Signed]);
}

#[tokio::test]
async fn where_a_person_is_needed_and_there_is_none_the_flow_is_cancelled_and_says_why() {
    for effect in [Effect::Redirect(redirect()), Effect::ShowUserCode(code())] {
        let mut machine = Script::new([effect]);
        let error = Driver::with_client(Silent).run(&mut machine, Event::Start, &mut Nobody).await.unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Missing(_))), "{error}");
        assert_eq!(machine.kinds(), [EventKind::Start, EventKind::Cancel]);
    }
}

#[tokio::test]
async fn ds_01_ds_06_a_client_of_somebody_else_is_held_to_the_bounds() {
    for (length, expected) in [(10, EventKind::Response), (11, EventKind::SendFailed)] {
        let mut machine = Script::new([Effect::Send(outgoing())]);
        Driver::with_client(Mine(vec![b'x'; length])).run(&mut machine, Event::Start, &mut Nobody).await.unwrap();
        assert_eq!(machine.kinds()[1], expected, "{length} bytes");
    }
    let clock = ManualClock::new(NOW);
    let driver = Driver::with_client(Silent).with_clock(clock.clone());
    let mut machine = Script::new([Effect::Send(outgoing())]);
    let (_, seconds) = ticking(&clock, driver.run(&mut machine, Event::Start, &mut Nobody)).await;
    assert_eq!((machine.kinds()[1], seconds), (EventKind::SendFailed, 31));
}

#[tokio::test]
async fn an_observer_is_told() {
    struct Count(usize);
    impl Observer for Count {
        fn transition(&mut self, transition: &Transition) {
            assert_eq!(transition.to, COMPLETE);
            assert_ne!(transition.to, FAILED);
            self.0 += 1;
        }
    }
    let count = Arc::new(Mutex::new(Count(0)));
    let driver = Driver::with_client(Mine(Vec::new())).with_observer(count.clone());
    driver.run(&mut Script::new([Effect::Send(outgoing())]), Event::Start, &mut Nobody).await.unwrap();
    assert_eq!(count.lock().unwrap().0, 2);
}

#[tokio::test]
async fn fl_35_a_dropped_run_leaves_nothing_behind() {
    /// Counts how many requests are under way.
    struct Counting(Arc<AtomicUsize>);
    struct Under(Arc<AtomicUsize>);
    impl Drop for Under {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    impl HttpClient for Counting {
        fn send(&self, _: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let under = Under(self.0.clone());
            Box::pin(async move {
                let _under = under;
                std::future::pending().await
            })
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let driver = Driver::with_client(Counting(count.clone()));
    let mut machine = Script::new([Effect::Send(outgoing())]);
    let running = race(driver.run(&mut machine, Event::Start, &mut Nobody), settled()).await;
    assert!(matches!(running, Either::Right(())));
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // No lock is left held: another flow runs.
    driver.run(&mut Script::new([]), Event::Start, &mut Nobody).await.unwrap();
}

#[tokio::test]
async fn flows_run_side_by_side_and_can_be_spawned() {
    let driver = Driver::with_client(Mine(Vec::new())).with_clock(ManualClock::jumping(NOW));
    let runs = (0..50).map(|_| {
        let driver = driver.clone();
        tokio::spawn(async move {
            let until = NOW.plus(Duration::from_secs(1));
            let effects = [Effect::Send(outgoing()), Effect::Sleep { until }, Effect::Send(outgoing())];
            driver.run(&mut Script::new(effects), Event::Start, &mut Nobody).await.unwrap()
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
}

#[tokio::test]
async fn the_systems_clock_does_not_wait_for_what_is_past() {
    let now = SystemClock.now();
    assert!(now > NOW);
    SystemClock.sleep_until(now).await;
    SystemClock.sleep(Duration::ZERO).await;
    assert!(SystemClock.now() >= now);
}
