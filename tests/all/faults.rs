//! What goes wrong on the way, and what a machine does about it (catalogue FL and DS-08).

use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::endpoint::{Discovery, Jwks};
use grantflow_core::error::{Advice, Delivery, Error, TransportKind};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::machine::{Effect, Event, Step};

use crate::authorization_response::waiting;
use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";
const JWKS: &str = "GET https://as.example/jwks";

fn asking() -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap())
}

fn unavailable() -> Answer {
    answer(503, &[], "")
}

/// How long each pause of a run was, in milliseconds.
fn pauses(sleeps: &[Timestamp]) -> Vec<u128> {
    let mut before = BEGIN;
    sleeps
        .iter()
        .map(|until| {
            let pause = until.since(before).as_millis();
            before = *until;
            pause
        })
        .collect()
}

#[test]
fn ds_08_fl_01_a_server_that_is_ill_is_asked_four_times_within_a_minute() {
    let mut run = asking().answering((0..10).map(|_| unavailable()));
    let error = run.start().failed();
    assert!(matches!(error.advice(), Advice::Retry { .. }), "{error:?}");
    assert!(
        matches!(&error, Error::Transport(error) if error.kind == TransportKind::Unavailable && error.answer.as_ref().unwrap().status == 503)
    );
    run.sent(&[TOKEN; 4]);
    for (pause, least) in pauses(&run.sleeps).into_iter().zip([500, 1_000, 2_000]) {
        assert!((least..2 * least).contains(&pause), "{pause} ms: the wait doubles, and as much again at random");
    }
    let mut run = asking().answering([unavailable(), unavailable(), unavailable(), json(200, &tokens())]);
    run.start().done();
    run.sent(&[TOKEN; 4]);
    // Other codes of the 500s are no promise that it will get better soon.
    for status in [500, 502, 504] {
        let mut run = asking().answering([answer(status, &[], "")]);
        assert!(matches!(run.start().failed(), Error::Transport(_)));
        run.sent(&[TOKEN]);
    }
}

#[test]
fn fl_01_documents_are_asked_for_again() {
    let mut run =
        Run::new(Jwks::new(&public()).unwrap()).answering([unavailable(), json(200, &Signer::shared().jwks())]);
    run.start().done();
    run.sent(&[JWKS; 2]);
    let mut run = Run::new(Discovery::new(ISSUER).unwrap()).answering([unavailable(), json(200, &metadata())]);
    run.start().done();
    run.sent(&["GET https://as.example/.well-known/openid-configuration"; 2]);
}

#[test]
fn fl_02_a_wait_that_the_server_asks_for_is_kept_within_bounds() {
    let wait = |value: &str| {
        let mut run = asking().answering([answer(429, &[("retry-after", value)], ""), json(200, &tokens())]);
        let end = result(run.start()).is_ok();
        let sent = vec![TOKEN; run.requests.len()];
        run.sent(&sent);
        (end, pauses(&run.sleeps).first().copied())
    };
    let (done, pause) = wait("20");
    assert!(done && (20_000..21_000).contains(&pause.unwrap()), "{pause:?}");
    // BEGIN is 15 Jan 2027 08:00:00 GMT.
    let (done, pause) = wait("Fri, 15 Jan 2027 08:00:30 GMT");
    assert!(done && (30_000..31_000).contains(&pause.unwrap()), "{pause:?}");
    for soon in ["0", "Fri, 15 Jan 2021 08:00:00 GMT", "junk", "-1", ""] {
        let (done, pause) = wait(soon);
        assert!(done && (1..1_001).contains(&pause.unwrap()), "{soon}: {pause:?}");
    }
    for huge in ["86400", "99999999999999999999", "Fri, 15 Jan 2100 08:00:00 GMT"] {
        assert_eq!(wait(huge), (false, None), "{huge}");
    }
}

#[test]
fn fl_03_a_wait_beyond_the_budget_is_told_at_once() {
    let mut run = asking().answering([answer(503, &[("retry-after", "3600")], "")]);
    let error = run.start().failed();
    assert_eq!(error.advice(), Advice::Retry { not_before: Some(BEGIN.plus(Duration::from_secs(3600))) });
    assert!(run.sleeps.is_empty());
    run.sent(&[TOKEN]);
}

#[test]
fn fl_04_what_was_never_sent_is_sent_again_and_kinds_are_told_apart() {
    for kind in [TransportKind::Dns, TransportKind::Connect] {
        let mut run = asking().answering((0..4).map(|_| lost(Delivery::NotSent, kind)));
        assert!(
            matches!(run.start().failed(), Error::Transport(error) if error.kind == kind && error.delivery == Delivery::NotSent)
        );
        run.sent(&[TOKEN; 4]);
        let mut run = waiting(&public(), "").answering([lost(Delivery::NotSent, kind), json(200, &tokens())]);
        run.come_back().done();
        run.sent(&[TOKEN; 2]);
    }
    for kind in [TransportKind::Tls, TransportKind::ForbiddenAddress] {
        let mut run = asking().answering([lost(Delivery::NotSent, kind)]);
        assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == kind));
        run.sent(&[TOKEN]);
    }
}

#[test]
fn fl_07_fl_08_a_deadline_or_a_limit_ends_the_flow_and_every_request_has_both() {
    for kind in [TransportKind::Timeout, TransportKind::TooLarge] {
        let mut run = waiting(&public(), "").answering([lost(Delivery::Unknown, kind)]);
        assert!(matches!(result(run.come_back()), Err(Error::Transport(error)) if error.kind == kind));
        run.sent(&[TOKEN]);
    }
    let mut run = asking();
    let Ok(Step::Do(Effect::Send(outgoing))) = run.handle(Event::Start) else { panic!() };
    assert_eq!((outgoing.timeout, outgoing.max_body), (Duration::from_secs(30), 1024 * 1024));
}

#[test]
fn fl_14_a_connection_that_closes_as_we_send_is_tried_again_only_where_that_is_safe() {
    let mut run = Run::new(Jwks::new(&public()).unwrap())
        .answering([lost(Delivery::Unknown, TransportKind::Reset), json(200, &Signer::shared().jwks())]);
    run.start().done();
    run.sent(&[JWKS; 2]);
    let mut run = asking().answering([lost(Delivery::Unknown, TransportKind::Reset)]);
    assert!(matches!(run.start().failed(), Error::Transport(error) if error.delivery == Delivery::Unknown));
    run.sent(&[TOKEN]);
}

#[test]
fn fl_10_a_captive_portal_is_told_by_its_page_and_spoils_nothing() {
    let portal = || answer(200, &[("content-type", "text/html")], "<html>please pay</html>");
    let mut run = asking().answering([portal()]);
    assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::MediaType));
    run.sent(&[TOKEN]);
    let mut run = Run::new(Jwks::new(&public()).unwrap()).answering([portal()]);
    assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::MediaType));
    assert!(run.memory.keys(ISSUER, run.now).is_none());
    run.sent(&[JWKS]);
}

#[test]
fn ds_08_a_pause_that_is_slept_through_is_the_end() {
    let mut run = asking();
    assert!(matches!(run.handle(Event::Start), Ok(Step::Do(_))));
    let throttled = unavailable()(&View { method: String::new(), url: String::new(), headers: vec![], form: vec![] });
    assert!(matches!(run.handle(throttled), Ok(Step::Do(Effect::Sleep { .. }))));
    run.now = run.now.plus(Duration::from_secs(61));
    let error = run.give(Event::Elapsed).failed();
    assert!(matches!(error.advice(), Advice::Retry { .. }), "{error:?}");
    assert!(run.requests.is_empty(), "nothing more was sent");
}

#[test]
fn fl_04_a_throttled_code_is_not_sent_again() {
    // The server has seen the code, so nobody knows whether it was spent.
    let mut run = waiting(&public(), "").answering([answer(429, &[("retry-after", "1")], "")]);
    assert!(matches!(run.come_back().failed(), Error::Transport(error) if error.kind == TransportKind::Unavailable));
    assert!(run.sleeps.is_empty());
    run.sent(&[TOKEN]);
}
