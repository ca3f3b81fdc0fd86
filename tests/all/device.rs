//! The device grant: its pace, its end, what is shown to a person (catalogue DV, answers 41 to 46).

use std::time::Duration;

use grantflow_core::error::{Advice, Delivery, Error, Expired, Misuse, Rule, TransportKind};
use grantflow_core::grant::{Device, Extras};
use grantflow_core::machine::{Effect, EffectKind, Event, FAILED, Machine, Step};
use serde_json::{Value, json};

use crate::scripted::*;
use crate::token_response::result;

const DEVICE: &str = "POST https://as.example/device";
const TOKEN: &str = "POST https://as.example/token";

fn issued(members: Value) -> Answer {
    let device = json!({
        "device_code": "canary-device-code",
        "user_code": "canary-user-code",
        "verification_uri": "https://as.example/device",
        "expires_in": 1800,
        "interval": 5,
    });
    json(200, &merged(device, members))
}

/// A device login that got these answers, and how it ended.
fn played(members: Value, answers: impl IntoIterator<Item = Answer>) -> (Run<Device>, Result<(), Error>) {
    let mut run = Run::new(Device::new(&public(), "read", Extras::default()).unwrap())
        .answering([issued(members)])
        .answering(answers);
    let stop = match run.start() {
        Stop::Waiting(EffectKind::Send) => Ok(()),
        stop => result(stop).map(drop),
    };
    (run, stop)
}

/// How many seconds lie between the steps of a run.
fn pauses(run: &Run<Device>) -> Vec<u64> {
    let mut before = BEGIN;
    run.sleeps
        .iter()
        .map(|until| {
            let pause = until.since(before).as_secs();
            before = *until;
            pause
        })
        .collect()
}

fn polls(run: &mut Run<Device>, polls: usize) {
    let mut expected = vec![DEVICE];
    expected.extend(std::iter::repeat_n(TOKEN, polls));
    run.sent(&expected);
}

fn done() -> Answer {
    json(200, &tokens())
}

#[test]
fn dv_01_answers_44_each_slow_down_adds_five_seconds_for_good() {
    let answers = [
        refusal("slow_down"),
        refusal("authorization_pending"),
        refusal("slow_down"),
        refusal("slow_down"),
        refusal("authorization_pending"),
        done(),
    ];
    let (mut run, end) = played(json!({}), answers);
    end.unwrap();
    assert_eq!(pauses(&run), [5, 10, 10, 15, 20, 20]);
    assert_eq!(run.last().field("device_code"), Some("canary-device-code"));
    polls(&mut run, 6);
}

#[test]
fn dv_01_an_interval_named_in_the_refusal_counts_if_it_is_longer() {
    let named = json(400, &json!({ "error": "slow_down", "interval": 42 }));
    let (mut run, end) = played(json!({}), [named, done()]);
    end.unwrap();
    assert_eq!(pauses(&run), [5, 42]);
    polls(&mut run, 2);
}

#[test]
fn dv_02_polling_ends_with_the_code() {
    let (mut run, end) = played(json!({ "expires_in": 22 }), (0..9).map(|_| refusal("authorization_pending")));
    assert_eq!(end, Err(Error::Expired(Expired::DeviceCode)));
    polls(&mut run, 4);
    assert!(run.requests.len() == 5, "nothing is asked after the end");
    assert_eq!(pauses(&run), [5, 5, 5, 5, 2], "and nobody waits beyond it");
}

#[test]
fn dv_03_answers_44_answers_46_a_verdict_ends_the_polling() {
    for (code, found, advice) in [
        ("expired_token", "CodeExpired", Advice::LogInAgain),
        ("access_denied", "Denied", Advice::GiveUp),
        ("authorization_declined", "Denied", Advice::GiveUp),
        ("invalid_grant", "GrantRefused", Advice::LogInAgain),
    ] {
        let (mut run, end) = played(json!({}), [refusal("authorization_pending"), refusal(code)]);
        let error = end.unwrap_err();
        assert_eq!(error.advice(), advice, "{code}: {error:?}");
        match &error {
            Error::Refused(refusal) => assert_eq!(refusal.code, code),
            error => assert_eq!((error, code), (&Error::Expired(Expired::DeviceCode), "expired_token")),
        }
        assert_eq!(run.seen.transitions.last().unwrap().finding.0, found, "{code}");
        polls(&mut run, 2);
    }
}

#[test]
fn dv_04_answers_42_the_first_poll_comes_after_one_interval() {
    for (interval, seconds) in [
        (json!(null), 5),
        (json!(7), 7),
        (json!("5"), 5),
        (json!(5.0), 5),
        (json!(0), 1),
        (json!(1_000_000_000), 300),
        (json!(u64::MAX), 300),
    ] {
        let (mut run, end) = played(json!({ "interval": interval }), [done()]);
        end.unwrap();
        assert_eq!(pauses(&run), [seconds], "{interval}");
        polls(&mut run, 1);
    }
    for interval in [json!(-1), json!("soon"), json!([5])] {
        let (mut run, end) = played(json!({ "interval": interval }), []);
        assert!(
            matches!(end, Err(Error::Protocol(error)) if error.rule == Rule::MemberInvalid("interval")),
            "{interval}"
        );
        polls(&mut run, 0);
    }
}

#[test]
fn dv_05_a_code_without_a_lifetime_lives_a_quarter_of_an_hour() {
    let (mut run, end) = played(json!({ "expires_in": null }), (0..200).map(|_| refusal("authorization_pending")));
    assert_eq!(end, Err(Error::Expired(Expired::DeviceCode)));
    assert_eq!(run.user_codes[0].expires_at, BEGIN.plus(Duration::from_secs(900)));
    polls(&mut run, 179);
    for wrong in [json!(-1), json!("x"), json!(0)] {
        let (mut run, end) = played(json!({ "expires_in": wrong }), []);
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Protocol(_) | Error::Expired(_)), "{wrong}: {error:?}");
        polls(&mut run, 0);
    }
}

#[test]
fn dv_06_answers_43_an_address_that_must_not_be_opened_is_shown_as_text() {
    for uri in ["javascript:alert(1)", "http://as.example/device", "file:///etc/passwd", "not a url"] {
        let (mut run, end) = played(json!({ "verification_uri": uri }), [done()]);
        end.unwrap();
        let code = &run.user_codes[0];
        assert!(code.openable.is_none() && code.complete.is_none(), "{uri}");
        assert_eq!(code.verification_uri, uri);
        polls(&mut run, 1);
    }
    for complete in ["https://evil.example/device?user_code=X", "javascript:alert(1)"] {
        let (mut run, end) = played(json!({ "verification_uri_complete": complete }), [done()]);
        end.unwrap();
        assert!(run.user_codes[0].complete.is_none(), "{complete}");
        polls(&mut run, 1);
    }
    let (mut run, end) =
        played(json!({ "verification_uri_complete": "https://as.example/device?user_code=X" }), [done()]);
    end.unwrap();
    assert_eq!(run.user_codes[0].complete.as_ref().unwrap().as_str(), "https://as.example/device?user_code=X");
    polls(&mut run, 1);
}

#[test]
fn dv_07_a_user_code_is_fit_to_be_shown() {
    let (mut run, end) = played(json!({ "user_code": "\u{1b}[2JWDJB\u{202e}-MJHT" }), [done()]);
    if end.is_ok() {
        let shown = run.user_codes[0].user_code.expose();
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
    }
    let sent = run.requests.len();
    polls(&mut run, sent - 1);
    let (mut run, end) = played(json!({ "user_code": "W".repeat(1024 * 1024 / 2) }), [done()]);
    assert!(end.is_err() || run.user_codes[0].user_code.expose().len() <= 1100);
    let sent = run.requests.len();
    polls(&mut run, sent - 1);
}

#[test]
fn dv_09_answers_45_a_poll_without_a_verdict_doubles_the_interval_and_goes_on() {
    let answers = [
        lost(Delivery::Unknown, TransportKind::Timeout),
        answer(500, &[], ""),
        answer(503, &[("content-type", "text/html")], "<html>"),
        lost(Delivery::NotSent, TransportKind::Connect),
        json(200, &json!({ "error": "authorization_pending" })),
        json(428, &json!({ "error": "authorization_pending" })),
        json(429, &json!({ "error": "slow_down" })),
        answer(503, &[("retry-after", "200")], ""),
        done(),
    ];
    let (mut run, end) = played(json!({}), answers);
    end.unwrap();
    assert_eq!(pauses(&run), [5, 10, 20, 40, 80, 80, 80, 160, 300]);
    polls(&mut run, 9);
    // What the server asks for counts if it is longer.
    let (mut run, end) = played(json!({}), [answer(503, &[("retry-after", "100")], ""), done()]);
    end.unwrap();
    assert_eq!(pauses(&run), [5, 100]);
    polls(&mut run, 2);
}

#[test]
fn dv_10_a_wait_that_was_slept_through_is_one_poll_or_the_end() {
    let mut run = waiting(json!({}));
    run.now = run.now.plus(Duration::from_secs(1_000));
    run.answer([refusal("authorization_pending"), done()]);
    let before = run.now;
    run.give(Event::Elapsed).done();
    assert_eq!(run.sleeps.len(), 1);
    assert_eq!(run.sleeps[0].since(before).as_secs(), 5, "no burst: a whole interval to the next poll");
    polls(&mut run, 2);
    let mut run = waiting(json!({}));
    run.now = run.now.plus(Duration::from_secs(1_800));
    assert_eq!(run.give(Event::Elapsed).failed(), Error::Expired(Expired::DeviceCode));
    polls(&mut run, 0);
    // The clock is set back: nothing is asked before its time.
    let mut run = waiting(json!({}));
    run.now = run.now.minus(Duration::from_secs(86_400));
    assert!(matches!(run.handle(Event::Elapsed), Ok(Step::Do(Effect::Sleep { .. }))));
    polls(&mut run, 0);
}

/// A device login that waits for its first poll.
fn waiting(members: Value) -> Run<Device> {
    let mut run = Run::new(Device::new(&public(), "read", Extras::default()).unwrap());
    run.start().waits_for(EffectKind::Send);
    let answer = issued(members)(run.last());
    assert!(matches!(run.handle(answer), Ok(Step::Do(_))));
    assert!(matches!(run.handle(Event::Shown), Ok(Step::Do(_))));
    run
}

#[test]
fn dv_11_a_cancelled_wait_is_over_at_once() {
    let mut run = waiting(json!({}));
    assert_eq!(run.give(Event::Cancel).failed(), Error::Cancelled);
    assert_eq!(Machine::state(&run.machine), FAILED);
    assert!(matches!(run.give(Event::Elapsed).failed(), Error::Misuse(Misuse::IllegalEvent { .. })));
    polls(&mut run, 0);
}

#[test]
fn answers_41_the_drafts_name_of_the_address_is_accepted() {
    let (mut run, end) =
        played(json!({ "verification_uri": null, "verification_url": "https://as.example/draft" }), [done()]);
    end.unwrap();
    assert_eq!(run.user_codes[0].verification_uri, "https://as.example/draft");
    polls(&mut run, 1);
    let (mut run, end) = played(json!({ "verification_url": "https://as.example/draft" }), [done()]);
    end.unwrap();
    assert_eq!(run.user_codes[0].verification_uri, "https://as.example/device", "the standard's name counts");
    polls(&mut run, 1);
}

#[test]
fn dv_02_a_device_login_is_bound_to_issuer_and_client() {
    let mut run = waiting(json!({}));
    let stored = run.machine.snapshot().unwrap();
    let other = builder(json!({ "issuer": "https://other.example" })).build().unwrap();
    assert!(Device::restore(&other, stored).is_err());
    let mut restored =
        Run::new(Device::restore(&public(), run.machine.snapshot().unwrap()).unwrap()).answering([done()]);
    restored.give(Event::Resume).done();
    restored.sent(&[TOKEN]);
    polls(&mut run, 0);
}

#[test]
fn dv_10_a_stored_wait_goes_on_to_its_poll_and_one_that_is_over_begins_anew() {
    // The poll of the stored wait is due after 5 s.
    for (later, pause) in [(0, 5), (3, 2), (5, 5), (60, 5)] {
        let mut stored = waiting(json!({}));
        let mut run = Run::new(Device::restore(&public(), stored.machine.snapshot().unwrap()).unwrap());
        polls(&mut stored, 0);
        run.now = stored.now.plus(Duration::from_secs(later));
        let Ok(Step::Do(Effect::Sleep { until })) = run.handle(Event::Resume) else { panic!("it waits") };
        assert_eq!(until.since(run.now).as_secs(), pause, "resumed after {later} s");
        run.sent(&[]);
    }
}
