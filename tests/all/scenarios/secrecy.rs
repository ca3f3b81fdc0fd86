//! What nobody prints. Every scenario, and every fault, is overheard: observers, `Debug` and `Display` texts of machines,
//! events, effects, outcomes and errors, what the person is told, and the server's own log. [`play`](super::play) fails
//! when a secret that went over the wire is in any of it. Here is the proof that there was something to be found.

use std::collections::BTreeSet;

use super::Scenario;
use super::list::scenarios;
use super::play::play;
use crate::runners::{Blocking, ByHand, Ears, Runner, Tokio};

/// The kinds of secrets that go over the wire somewhere in the list.
const KINDS: [&str; 12] = [
    "access token",
    "client secret",
    "code",
    "credentials",
    "device code",
    "id_token",
    "nonce",
    "refresh token",
    "state",
    "token",
    "user code",
    "verifier",
];

fn overheard<R: Runner>(scenarios: &[&Scenario]) {
    let mut kinds = BTreeSet::new();
    for scenario in scenarios {
        let ears = play::<R>(scenario).world.ears;
        let (said, given_away) = ears.given_away();
        assert!(said > 10, "{}: {said}", scenario.name);
        assert_eq!(given_away, [""; 0], "{}, {}", R::NAME, scenario.name);
        kinds.extend(ears.kinds());
    }
    assert_eq!(kinds, KINDS.into(), "{}", R::NAME);
}

#[test]
fn lg_01_no_runner_prints_a_secret_in_any_flow() {
    // Those that make new keys say nothing else than the others, and take their time.
    let scenarios: Vec<_> = scenarios().iter().filter(|scenario| !scenario.name.starts_with("keys that")).collect();
    overheard::<ByHand>(&scenarios);
    overheard::<Tokio>(&scenarios);
    overheard::<Blocking>(&scenarios);
}

#[test]
fn ears_hear_a_secret_that_is_printed() {
    let ears = Ears::default();
    ears.hear(&"early: canary-4711");
    ears.keep("canary", "canary-4711");
    ears.hear_debug(&("late", "canary-4711x"));
    ears.hear(&"canary-471");
    let (said, given_away) = ears.given_away();
    assert_eq!((said, given_away.len()), (3, 2), "{given_away:?}");
}
