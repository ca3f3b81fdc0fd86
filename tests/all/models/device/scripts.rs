//! What can happen to a device login, and the scripts of it.

use std::ops::Range;

use grantflow_core::error::{Delivery, TransportKind};
use proptest::prelude::*;

/// One thing that happens to the flow, or around it.
#[derive(Clone, Copy, Debug)]
pub enum Happens {
    /// The poll is answered after so long; before that the flow is woken in time, if it sleeps.
    Answered(Says, u64),
    /// The flow is woken so long after the time that it named.
    WokenLate(u64),
    /// The flow is woken so long before the time that it named.
    WokenEarly(u64),
    ClockSetForward(u64),
    ClockSetBack(u64),
    /// The flow is stored, and taken up by another program.
    TakenUp,
    Cancelled,
    /// An event that nothing has asked for.
    Strays(Stray),
}

/// What comes of a poll.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    Pending(u16),
    SlowDown(Option<u64>),
    Granted,
    Refused(&'static str),
    /// No verdict, with the seconds of `Retry-After`.
    Unavailable(u16, Option<u64>),
    Lost(Delivery, TransportKind),
}

#[derive(Clone, Copy, Debug)]
pub enum Stray {
    Start,
    Response,
    Lost,
    Shown,
    Elapsed,
    Resume,
}

/// The server's `interval` and `expires_in` in seconds, login for login, and what happens.
pub type Script = (Vec<(Option<u64>, Option<u64>)>, Vec<Happens>);

pub const STRAYS: [Stray; 6] =
    [Stray::Start, Stray::Response, Stray::Lost, Stray::Shown, Stray::Elapsed, Stray::Resume];
const REFUSALS: [&str; 6] =
    ["access_denied", "authorization_declined", "expired_token", "invalid_grant", "invalid_client", "made_up"];
const LOSSES: [TransportKind; 5] =
    [TransportKind::Dns, TransportKind::Connect, TransportKind::Tls, TransportKind::Timeout, TransportKind::TooLarge];

fn says() -> impl Strategy<Value = Says> {
    let seconds = |range: Range<u64>| proptest::option::of(range);
    let lost = (any::<bool>(), proptest::sample::select(&LOSSES[..]))
        .prop_map(|(sent, kind)| Says::Lost(if sent { Delivery::Unknown } else { Delivery::NotSent }, kind));
    prop_oneof![
        12 => proptest::sample::select(&[400, 200, 428, 403][..]).prop_map(Says::Pending),
        8 => seconds(0..400).prop_map(Says::SlowDown),
        3 => (proptest::sample::select(&[408, 429, 500, 503][..]), seconds(0..1000))
            .prop_map(|(status, asked)| Says::Unavailable(status, asked)),
        3 => lost,
        1 => Just(Says::Granted),
        1 => proptest::sample::select(&REFUSALS[..]).prop_map(Says::Refused),
    ]
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (says(), 0..3_000_u64).prop_map(|(says, after)| Happens::Answered(says, after)),
        2 => (0..30_000_u64).prop_map(Happens::WokenLate),
        1 => Just(Happens::WokenEarly(1)),
        2 => (1..30_000_u64).prop_map(Happens::WokenEarly),
        1 => (1..2_000_000_u64).prop_map(Happens::ClockSetForward),
        1 => (1..2_000_000_u64).prop_map(Happens::ClockSetBack),
        2 => Just(Happens::TakenUp),
        1 => proptest::sample::select(&STRAYS[..]).prop_map(Happens::Strays),
    ]
}

pub fn scripts() -> BoxedStrategy<Script> {
    let login = (proptest::option::of(0..400_u64), proptest::option::of(1..4_000_u64));
    let cancelled = prop_oneof![30 => happens(), 1 => Just(Happens::Cancelled)];
    (proptest::collection::vec(login, 1..5), proptest::collection::vec(cancelled, 1..140)).boxed()
}

/// Kept scripts by what they catch: the first was wrong once, the others fail where the machine is made wrong like that.
pub fn regressions() -> Vec<(&'static str, Script)> {
    let told = |says, after| Happens::Answered(says, after);
    let pending = told(Says::Pending(400), 0);
    let usual = || vec![(None, None)];
    vec![
        ("a wait that goes on after the code's end", (vec![(Some(300), Some(10))], vec![pending])),
        ("a sleep that is over before it begins", (vec![(Some(5), Some(6))], vec![told(Says::Pending(400), 2_000)])),
        ("a slow_down that adds nothing", (usual(), vec![told(Says::SlowDown(None), 0), pending])),
        ("a slow_down that counts once", (usual(), vec![told(Says::SlowDown(None), 0), Happens::TakenUp, pending])),
        ("an interval that is not doubled", (usual(), vec![told(Says::Unavailable(408, None), 0)])),
        ("a poll that the exchange repeats", (usual(), vec![told(Says::Unavailable(429, None), 0)])),
        ("a Retry-After that is not heard", (usual(), vec![told(Says::Unavailable(408, Some(11)), 0)])),
        ("a poll a millisecond early", (usual(), vec![Happens::WokenEarly(1)])),
        ("a poll at the very end", (vec![(Some(5), Some(5))], vec![Happens::WokenLate(0)])),
        ("a first poll at once", (usual(), vec![])),
    ]
}
