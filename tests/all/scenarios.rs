//! The same flows, run by hand, by the tokio driver and by the blocking driver, with the same outcome and the same
//! requests in the server's log.
//!
//! A [`Scenario`] is data: how the server is, the steps, and for each step what comes of it. [`play`](play::play) runs it
//! with one runner; [`same_in_all`] with all of them. `list` holds honest and half-honest servers, `adversary` every
//! fault that the development server has, `web` flows that move from one process to another, `listening` the loopback
//! listeners, `restarts` servers that restart, `hooked` clients with hooks, `secrecy` what nobody may print.

mod adversary;
mod hooked;
mod list;
mod listening;
mod play;
mod restarts;
mod secrecy;
mod web;

use grantflow_core::callback::ResponseMode;
use grantflow_devserver::Fault;

use crate::runners::{Blocking, ByHand, Decision, Tokio};
use play::{Record, play};

/// A server, steps, and what is to come of them.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    setup: Setup,
    steps: &'static [(Step, &'static str)],
    /// The requests in the server's log, by the last part of their path, and by status if that is no success.
    requests: &'static str,
}

/// How the server is, beyond what its default is: alice is signed in and allows everything.
#[derive(Clone, Copy)]
struct Setup {
    issuer_path: &'static str,
    denying: bool,
    keeping_refresh_tokens: bool,
    device_interval: u32,
    device_code_lifetime: u32,
    decision: Option<Decision>,
    /// Whether requests are given up after a fifth of a second.
    impatient: bool,
}

const HONEST: Setup = Setup {
    issuer_path: "",
    denying: false,
    keeping_refresh_tokens: false,
    device_interval: 5,
    device_code_lifetime: 600,
    decision: None,
    impatient: false,
};

/// One thing that happens. The first five happen to the world and have no outcome.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// These faults are on, and no others; the log is emptied.
    Faults(&'static [Fault]),
    /// This fault is on for the next so many times.
    FaultFor(Fault, u32),
    RotateKeys,
    /// Seconds pass.
    Pass(u64),
    /// Another process goes on: nothing learned so far is remembered.
    AnotherProcess,
    Discover,
    Login(Ask),
    Refresh,
    /// Uses the refresh token that the last refresh has used.
    RefreshSpent,
    /// Asks for less than was granted.
    RefreshNarrowed(&'static str),
    ClientCredentials(Who, &'static str),
    Device(Who, &'static str),
    UserInfo,
    Introspect(Which),
    /// The same, with a demand for a signature.
    IntrospectSigned(Which),
    Revoke(Which),
    /// Begins a login, stores it while it waits, and lets go of it.
    Begin(Ask),
    /// Takes it up again and sends the person away now.
    FinishResumed,
    /// The person comes back; the login is taken up again with the callback. A second time it is the same callback.
    FinishCalledBack,
}

/// What is asked of the authorization endpoint.
#[derive(Clone, Copy, Debug)]
struct Ask {
    who: Who,
    scope: &'static str,
    mode: ResponseMode,
    max_age: Option<u64>,
    acr: &'static [&'static str],
    resources: &'static [&'static str],
    extras: &'static [(&'static str, &'static str)],
}

const OPENID: Ask = Ask {
    who: Who::Public,
    scope: "openid profile",
    mode: ResponseMode::Query,
    max_age: None,
    acr: &[],
    resources: &[],
    extras: &[],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Public,
    Basic,
    Post,
    WrongSecret,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Access,
    Refresh,
    Unknown,
}

/// Runs a scenario in all three ways and compares: each with what is to come, and all with one another.
fn same_in_all(scenario: &Scenario) -> Record {
    let by_hand = play::<ByHand>(scenario);
    by_hand.is_expected(scenario);
    for other in [play::<Tokio>(scenario), play::<Blocking>(scenario)] {
        assert_eq!(by_hand.outcomes, other.outcomes, "{}: {}", scenario.name, other.runner);
        assert_eq!(by_hand.details, other.details, "{}: {}", scenario.name, other.runner);
        assert_eq!(by_hand.log, other.log, "{}: {}", scenario.name, other.runner);
    }
    by_hand
}
