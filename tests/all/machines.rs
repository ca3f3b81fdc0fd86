//! Every registered machine does what its table says, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::error::Error;
use grantflow_core::machine::{Arrow, COMPLETE, Effect, EventKind, FAILED, On, READY, StateId, StateKind, Table};
use grantflow_core::testing::specimens::{SPECIMENS, Specimen};
use grantflow_core::testing::stimuli::STIMULI;
use proptest::prelude::*;

use crate::walk::{Outcome, Walk};

/// The shortest way to every constellation of states, found by trying every stimulus everywhere.
fn constellations(specimen: &'static Specimen, variant: usize) -> Arc<Constellations> {
    static FOUND: Mutex<BTreeMap<(&str, usize), Arc<Constellations>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap();
    let key = (specimen.table.machine, variant);
    Arc::clone(found.entry(key).or_insert_with(|| Arc::new(explore(specimen, variant))))
}

type Constellations = BTreeMap<Vec<StateId>, Vec<usize>>;

fn explore(specimen: &Specimen, variant: usize) -> Constellations {
    let begin = Walk::begin(specimen, variant).states();
    let mut found = BTreeMap::from([(begin.clone(), Vec::new())]);
    let mut queue = VecDeque::from([begin]);
    while let Some(states) = queue.pop_front() {
        let path = found[&states].clone();
        for (index, stimulus) in STIMULI.iter().enumerate() {
            let mut walk = Walk::replay(specimen, variant, &path);
            let _ = walk.step(stimulus);
            let reached = walk.states();
            if !found.contains_key(&reached) {
                let longer = path.iter().copied().chain([index]).collect();
                found.insert(reached.clone(), longer);
                queue.push_back(reached);
            }
        }
    }
    found
}

#[test]
fn every_event_in_every_state_is_either_in_the_table_or_misuse_that_changes_nothing() {
    for specimen in SPECIMENS {
        let mut states = BTreeSet::new();
        let mut tried = BTreeSet::new();
        for variant in 0..specimen.variants.len() {
            for (chain, path) in constellations(specimen, variant).iter() {
                states.insert(chain.clone());
                for stimulus in STIMULI {
                    let mut walk = Walk::replay(specimen, variant, path);
                    let machines = walk.machine.chain();
                    let (leaf, leaf_state) = *machines.last().unwrap();
                    let (kind, outcome) = walk.step(stimulus);
                    tried.insert((chain.clone(), kind));
                    let context = format!("{} in {chain:?}: {}", specimen.table.machine, stimulus.name);
                    if leaf.accepts(leaf_state, kind) {
                        assert!(!matches!(outcome, Outcome::Failed(Error::Misuse(_) | Error::Bug(_))), "{context}");
                        if !matches!(outcome, Outcome::Effect(_) | Outcome::Done) {
                            assert_eq!(walk.states(), [FAILED], "{context}: an error must drop everything");
                        }
                    } else {
                        assert!(matches!(outcome, Outcome::Failed(Error::Misuse(_))), "{context}");
                        assert_eq!(&walk.states(), chain, "{context}: misuse must change nothing");
                        assert!(walk.seen.len() == Walk::replay(specimen, variant, path).seen.len(), "{context}");
                    }
                }
            }
        }
        let pairs = states.len() * EventKind::ALL.len();
        assert_eq!(tried.len(), pairs, "{}: not every pair was tried", specimen.table.machine);
        println!(
            "figure: pairs/{} = {} states, {} events, {} of {pairs} pairs",
            specimen.table.machine,
            states.len(),
            EventKind::ALL.len(),
            tried.len()
        );
    }
}

/// Every arrow of every table is taken at least once: by a search of all that can happen in every state whatever
/// happened just before, and by long walks for what needs repetition.
#[test]
fn every_arrow_of_every_table_is_taken() {
    for specimen in SPECIMENS {
        let mut missing: Vec<Arrow> = specimen.table.arrows().collect();
        for variant in 0..specimen.variants.len() {
            search(specimen, variant, |_| {}, &mut missing);
            for age in [0, 600] {
                search(specimen, variant, |walk| walk.remember_keys(Duration::from_secs(age)), &mut missing);
            }
            search(specimen, variant, Walk::remember_misfit, &mut missing);
            for draws in 0..4 {
                search(specimen, variant, |walk| walk.random_fails_after(draws), &mut missing);
            }
        }
        let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
        for round in 0..4_000 {
            if missing.is_empty() {
                break;
            }
            let mut walk = Walk::begin(specimen, round % specimen.variants.len());
            for _ in 0..24 {
                let legal = legal_stimuli(&walk, false);
                if legal.is_empty() {
                    break;
                }
                let _ = walk.step(&STIMULI[legal[rng.below(legal.len())]]);
            }
            cross_off(specimen, &walk, &mut missing);
        }
        for (machine, variant, script) in SCRIPTS {
            if *machine == specimen.table.machine {
                cross_off(specimen, &scripted(specimen, variant, script), &mut missing);
            }
        }
        missing.retain(|arrow| !is_a_safety_net(specimen.table, arrow));
        assert!(missing.is_empty(), "{}: no walk takes {missing:#?}", specimen.table.machine);
    }
}

/// Tries every legal stimulus in every constellation of states, once for each stimulus that can come just before.
fn search(specimen: &Specimen, variant: usize, prepare: impl Fn(&mut Walk), missing: &mut Vec<Arrow>) {
    if missing.is_empty() {
        return;
    }
    let replay = |path: &[usize]| {
        let mut walk = Walk::begin(specimen, variant);
        prepare(&mut walk);
        for stimulus in path {
            let _ = walk.step(&STIMULI[*stimulus]);
        }
        walk
    };
    let mut known = BTreeSet::new();
    let mut queue = VecDeque::from([Vec::new()]);
    while let Some(path) = queue.pop_front() {
        let here = replay(&path);
        for stimulus in [legal_stimuli(&here, false), legal_stimuli(&here, true)].concat() {
            let mut walk = replay(&path);
            let _ = walk.step(&STIMULI[stimulus]);
            cross_off(specimen, &walk, missing);
            if known.insert((walk.states(), stimulus)) {
                queue.push_back(path.iter().copied().chain([stimulus]).collect());
            }
        }
    }
}

fn cross_off(specimen: &Specimen, walk: &Walk, missing: &mut Vec<Arrow>) {
    missing.retain(|arrow| {
        !walk.seen.iter().any(|seen| {
            let on = arrow.on == On::Any || arrow.on == On::Event(seen.event);
            let ends = seen.from == arrow.from && seen.finding == arrow.finding && seen.to == arrow.to;
            seen.machine == specimen.table.machine && ends && on
        })
    });
}

/// Numbers that look random and are the same in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Ways to arrows that no search finds, because they need a past: machine, variant, stimuli by name. `-` is the end of all
/// randomness.
const SCRIPTS: &[(&str, &str, &str)] = &[
    ("token-manager", "session", "unsaved and expired; store failed; refused: invalid_grant; store failed"),
    ("token-manager", "session", "unsaved and expired; store failed; delivery unknown; store failed"),
    (
        "token-manager",
        "session that proves",
        "expired; loaded what was saved; signed; delivery unknown; -; loaded what was saved",
    ),
    (
        "token-manager",
        "session that proves",
        "unsaved and expired; store failed; signed; delivery unknown; -; store failed",
    ),
    ("token-manager", "session that proves", "unsaved and expired; -; loaded nothing"),
    ("token-manager", "session that proves", "unsaved and expired; -; store failed"),
    (
        "token-manager",
        "session that proves",
        "unsaved and expired; store failed; signed; delivery unknown; -; loaded nothing",
    ),
    ("token-manager", "session", "adopt; conflict; loaded nothing; conflict; loaded nothing; conflict; loaded nothing"),
    (
        "token-manager",
        "session that withholds",
        "adopt; conflict; loaded nothing; conflict; loaded nothing; conflict; loaded nothing",
    ),
    ("token-manager", "client credentials that sign", "acquire; -; store failed"),
    (
        "token-manager",
        "client credentials that sign",
        "acquire; store failed; signed; token; store failed; reload; -; store failed",
    ),
];

/// The beginnings that several scripts share.
const BEGINNINGS: [(&str, &str); 2] = [
    ("expired", "adopt; stored; released; acquire a day later"),
    ("unsaved and expired", "adopt; store failed; acquire a day later"),
];

fn scripted(specimen: &'static Specimen, variant: &str, script: &str) -> Walk {
    let variant = specimen.variants.iter().position(|(name, _)| *name == variant).expect(variant);
    let mut walk = Walk::begin(specimen, variant);
    let (first, rest) = script.split_once("; ").unwrap_or((script, ""));
    let beginning = BEGINNINGS.iter().find(|(name, _)| *name == first).map_or(first, |(_, steps)| *steps);
    for step in beginning.split("; ").chain(rest.split("; ")) {
        if step == "-" {
            walk.random_fails_after(0);
        } else {
            let stimulus = STIMULI.iter().find(|stimulus| stimulus.name == step).expect(step);
            let (_, outcome) = walk.step(stimulus);
            assert!(!matches!(outcome, Outcome::Failed(Error::Misuse(_))), "{script}: {step} in {:?}", walk.states());
        }
    }
    walk
}

/// A request for a public document cannot fail to be made; the arrow is there so that a future one may.
fn is_a_safety_net(table: &Table, arrow: &Arrow) -> bool {
    ["jwks", "discovery"].contains(&table.machine) && arrow.from == READY && arrow.to == FAILED
}

/// The stimuli that the innermost machine accepts; cancelling only now and then, so that walks get anywhere.
fn legal_stimuli(walk: &Walk, cancelling: bool) -> Vec<usize> {
    let (leaf, state) = *walk.machine.chain().last().unwrap();
    let wanted = |kind: EventKind| leaf.accepts(state, kind) && (kind == EventKind::Cancel) == cancelling;
    (0..STIMULI.len()).filter(|index| wanted(STIMULI[*index].kind)).collect()
}

#[test]
fn every_answer_of_an_effect_has_an_arrow() {
    for table in tables() {
        for row in table.states {
            for answer in row.emits.map_or(&[][..], |effect| effect.answers()) {
                assert!(table.accepts(row.id, *answer), "{} in {}: no arrow for {answer}", table.machine, row.id);
            }
        }
    }
}

#[test]
fn every_state_is_reachable_and_every_live_state_can_end() {
    for table in tables() {
        let reached = closure(READY, |from| {
            table.arrows().filter(move |arrow| arrow.from == from).map(|arrow| arrow.to).collect()
        });
        let ending =
            closure(FAILED, |to| table.arrows().filter(move |arrow| arrow.to == to).map(|arrow| arrow.from).collect());
        for row in table.states {
            assert!(reached.contains(&row.id), "{}: {} is not reachable", table.machine, row.id);
            assert!(row.id == COMPLETE || ending.contains(&row.id), "{}: {} cannot end", table.machine, row.id);
        }
    }
}

fn closure(begin: StateId, next: impl Fn(StateId) -> Vec<StateId>) -> BTreeSet<StateId> {
    let mut seen = BTreeSet::from([begin]);
    let mut queue = vec![begin];
    while let Some(state) = queue.pop() {
        queue.extend(next(state).into_iter().filter(|state| seen.insert(*state)));
    }
    seen
}

#[test]
fn terminal_states_have_no_arrows_and_resting_states_can_be_resumed() {
    for table in tables() {
        for row in table.states {
            match row.kind {
                StateKind::Terminal => {
                    assert!(table.arrows().all(|arrow| arrow.from != row.id), "{}: {}", table.machine, row.id);
                }
                StateKind::Resting => {
                    assert!(table.accepts(row.id, EventKind::Resume), "{}: {}", table.machine, row.id);
                }
                StateKind::Idle => {
                    assert!(row.emits.is_none() && table.accepts(row.id, EventKind::Acquire), "{}", row.id);
                }
                StateKind::Initial | StateKind::Live => {}
            }
        }
    }
}

#[test]
fn every_arrow_begins_and_ends_at_a_state_of_its_table_and_stands_there_once() {
    for table in tables() {
        let arrows: Vec<_> = table.arrows().collect();
        for (index, arrow) in arrows.iter().enumerate() {
            assert!(table.state(arrow.from).is_some() && table.state(arrow.to).is_some(), "{arrow:?}");
            assert!(!arrows[..index].contains(arrow), "{}: {arrow:?} twice", table.machine);
        }
    }
}

/// A machine whose table stands in the sources but not in the register would escape every check here.
#[test]
fn every_machine_with_a_table_is_registered() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let mut found = BTreeSet::new();
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                // The tables of unit tests are nobody's machines.
                let text = std::fs::read_to_string(&path).unwrap();
                for table in text.split("TABLE: Table = Table {").skip(1) {
                    found.insert(table.split('"').nth(1).unwrap().to_owned());
                }
            }
        }
    }
    let registered: BTreeSet<_> = SPECIMENS.iter().map(|specimen| specimen.table.machine.to_owned()).collect();
    assert_eq!(found, registered);
}

#[test]
fn a_sleep_always_ends_later_than_now() {
    for_each_step(|walk, outcome, context| {
        if let Outcome::Effect(Effect::Sleep { until }) = outcome {
            assert!(*until > walk.situation.now, "{context}");
        }
    });
}

/// Stored and restored, a machine wants the same thing; the bytes stay near a kilobyte.
#[test]
fn a_restored_machine_emits_the_same_effect() {
    let mut stored = BTreeSet::new();
    for_each_step(|walk, outcome, context| {
        let Some(restored) = walk.machine.stored() else { return };
        let (bytes, machine) = restored.unwrap();
        assert!(bytes.len() <= 1024, "{context}: {} bytes", bytes.len());
        let Outcome::Effect(before) = outcome else { panic!("{context}: a machine rests without an effect") };
        let (name, state) = (walk.machine.chain()[0].0.machine, walk.states());
        assert_eq!(machine.chain().len(), walk.machine.chain().len());
        stored.insert((name, state));
        let situation = walk.situation.clone();
        let mut again = Walk::begin(&SPECIMENS[0], 0);
        again.machine = machine;
        again.situation = situation;
        let resume = STIMULI.iter().find(|stimulus| stimulus.name == "resume").unwrap();
        match (again.step(resume).1, before) {
            (Outcome::Effect(Effect::Redirect(after)), Effect::Redirect(before)) => {
                assert_eq!(after.url, before.url, "{context}");
                assert_eq!(after.redirect_uri, before.redirect_uri);
                assert_eq!(after.expires_at, before.expires_at);
            }
            (Outcome::Effect(Effect::Sleep { until: after }), Effect::Sleep { until: before }) => {
                assert_eq!(after, *before, "{context}");
            }
            (Outcome::Failed(Error::Expired(_)), _) => {}
            (_, before) => panic!("{context}: {before:?} became something else"),
        }
    });
    assert_eq!(stored.len(), 2, "the flows that wait for a person: {stored:?}");
}

/// Everything that any machine ever shows, over all constellations and stimuli, is free of secrets.
#[test]
fn no_secret_is_in_debug_or_errors() {
    for_each_step(|walk, outcome, context| {
        let mut shown = format!("{:?} {:#?}", walk.machine, walk.machine);
        match outcome {
            Outcome::Effect(effect) => shown.push_str(&format!("{effect:?} {effect:#?}")),
            Outcome::Failed(error) => shown.push_str(&format!("{error} {error:?} {error:#?}")),
            Outcome::Done => {}
        }
        let mut secrets =
            vec!["canary-code", "canary-access", "canary-refresh", "canary-client-secret", "canary-device-code"];
        secrets.extend(
            [walk.situation.state.as_str(), walk.situation.nonce.as_str()].iter().filter(|secret| !secret.is_empty()),
        );
        for secret in secrets {
            assert!(!shown.contains(secret), "{context} shows {secret}: {shown}");
        }
    });
}

/// Tries every stimulus in every constellation of every machine.
fn for_each_step(mut look: impl FnMut(&Walk, &Outcome, &str)) {
    for specimen in SPECIMENS {
        for variant in 0..specimen.variants.len() {
            for (chain, path) in constellations(specimen, variant).iter() {
                for stimulus in STIMULI {
                    let mut walk = Walk::replay(specimen, variant, path);
                    let (_, outcome) = walk.step(stimulus);
                    if matches!(outcome, Outcome::Failed(Error::Misuse(_))) {
                        continue;
                    }
                    look(&walk, &outcome, &format!("{} in {chain:?}: {}", specimen.table.machine, stimulus.name));
                }
            }
        }
    }
}

fn tables() -> impl Iterator<Item = &'static Table> {
    SPECIMENS.iter().map(|specimen| specimen.table)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens, in whatever order and with whatever pauses: the table is obeyed, a failed machine stays failed,
    /// and no code is sent twice.
    #[test]
    fn any_script_of_events_keeps_to_the_table(
        which in 0..SPECIMENS.len(),
        variant in 0..8_usize,
        script in proptest::collection::vec((0..STIMULI.len(), 0..100_000_u64), 1..60),
    ) {
        let specimen = &SPECIMENS[which];
        let mut walk = Walk::begin(specimen, variant % specimen.variants.len());
        let mut codes_sent = 0;
        for (stimulus, pause) in script {
            walk.pass(Duration::from_millis(pause));
            let before = walk.states();
            let (kind, outcome) = walk.step(&STIMULI[stimulus]);
            match outcome {
                Outcome::Failed(Error::Misuse(_)) => prop_assert_eq!(&walk.states(), &before),
                Outcome::Failed(Error::Bug(what)) => prop_assert!(false, "{}: {}", kind, what),
                Outcome::Failed(_) => prop_assert_eq!(walk.states(), [FAILED]),
                Outcome::Done => {
                    let at = walk.states();
                    let row = specimen.table.state(at[0]).unwrap();
                    prop_assert!(at != [FAILED] && matches!(row.kind, StateKind::Idle | StateKind::Terminal), "{at:?}");
                }
                Outcome::Effect(Effect::Sleep { until }) => prop_assert!(until > walk.situation.now),
                Outcome::Effect(Effect::Send(outgoing)) => {
                    let body = String::from_utf8_lossy(outgoing.request.body().expose()).into_owned();
                    if body.contains("grant_type=authorization_code") {
                        codes_sent += 1;
                    }
                }
                Outcome::Effect(_) => {}
            }
            if before == [FAILED] || before == [COMPLETE] {
                prop_assert_eq!(walk.states(), before, "a terminal state is left");
            }
        }
        // A request that was certainly not sent may be tried again: the first and three more.
        prop_assert!(codes_sent <= 4);
        for seen in &walk.seen {
            let table = if seen.machine == specimen.table.machine { Some(specimen.table) } else { tables().find(|table| table.machine == seen.machine) };
            let table = table.expect("only registered machines run inside others");
            let known = table.allows(seen.from, seen.event, seen.finding, seen.to) || seen.event == EventKind::Cancel;
            prop_assert!(known, "{seen:?}");
        }
    }
}
