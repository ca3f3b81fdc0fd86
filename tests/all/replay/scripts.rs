//! Seeds that are lives of machines: the bytes of a script, and snapshots taken on the way.

use std::collections::BTreeMap;

use grantflow_core::machine::EventKind;
use grantflow_core::testing::fuzz::operation;
use grantflow_core::testing::specimens::SPECIMENS;
use grantflow_core::testing::stimuli::STIMULI;
use grantflow_tests::fuzz::operation as driving;

use super::Seeds;
use crate::walk::{Outcome, Walk};

pub fn seeds() -> BTreeMap<&'static str, Seeds> {
    BTreeMap::from([("driver_script", driver_script()), ("machine_script", machine_script()), ("snapshot", snapshot())])
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

/// Walks through every variant of every machine, on which nearly all events are legal, with time passing and the machine
/// stored now and then.
fn machine_script() -> Seeds {
    let mut seeds = Seeds::default();
    let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
    for (which, specimen) in SPECIMENS.iter().enumerate() {
        for (variant, (name, _)) in specimen.variants.iter().enumerate() {
            for round in 0..6_u8 {
                let setup = [0, 1, 2, 0, 0, 0x34][usize::from(round)];
                let mut script = vec![u8::try_from(which).unwrap(), u8::try_from(variant).unwrap(), setup];
                let mut walk = Walk::begin(specimen, variant);
                for _ in 0..24 {
                    let (leaf, state) = *walk.machine.chain().last().unwrap();
                    let legal = |stimulus: usize| {
                        let kind = STIMULI[stimulus].kind;
                        leaf.accepts(state, kind) && kind != EventKind::Cancel
                    };
                    let legal: Vec<usize> = (0..STIMULI.len()).filter(|stimulus| legal(*stimulus)).collect();
                    let Some(stimulus) = (!legal.is_empty()).then(|| legal[rng.below(legal.len())]) else { break };
                    match rng.below(8) {
                        0 => script.push(operation::STORE),
                        1 => script.push([operation::SECOND, operation::MINUTE, operation::BACK][rng.below(3)]),
                        2 => script.push(u8::try_from(rng.below(STIMULI.len())).unwrap()),
                        _ => {}
                    }
                    script.push(u8::try_from(stimulus).unwrap());
                    let _ = walk.step(&STIMULI[stimulus]);
                }
                // What has ended is asked again.
                script.extend([0, 1, 2, operation::DAY, 4, operation::END, 4]);
                let name = name.replace(' ', "-");
                seeds.add(&format!("{}-{name}-{round}", specimen.table.machine), &script);
                for (number, body) in
                    [&br#"{"access_token":"a","token_type":"Bearer"}"#[..], br#"{"error":"x"}"#, b""].iter().enumerate()
                {
                    let mut script = script.get(..5).unwrap_or(&script).to_vec();
                    script.extend([operation::RESPONSE, 0, 1 << number, u8::try_from(body.len()).unwrap()]);
                    script.extend_from_slice(body);
                    if round == 0 {
                        seeds.add(&format!("{}-{name}-answer-{number}", specimen.table.machine), &script);
                    }
                }
            }
        }
    }
    seeds
}

/// Walks through every variant of every machine on which everything answers what was asked, with faults in between: late,
/// cut and endless answers, people who leave, callers who give up, drivers without a store.
fn driver_script() -> Seeds {
    let mut seeds = Seeds::default();
    let mut rng = Rng(0xD1B5_4A32_D192_ED03);
    let bodies = [
        &br#"{"access_token":"a","token_type":"Bearer","expires_in":9,"refresh_token":"r"}"#[..],
        br#"{"device_code":"d","user_code":"u","verification_uri":"https://as.example/v","expires_in":99,"interval":1}"#,
        br#"{"error":"invalid_grant"}"#,
    ];
    for (which, specimen) in SPECIMENS.iter().enumerate() {
        for (variant, (name, _)) in specimen.variants.iter().enumerate() {
            for round in 0..6_usize {
                let setup = [0, 1, 2, 0, 0x34, 8][round];
                let begin = [u8::try_from(which).unwrap(), u8::try_from(variant).unwrap(), setup];
                let mut script = begin.to_vec();
                let mut walk = Walk::begin(specimen, variant);
                let mut wanted: Option<&[EventKind]> = None;
                for turn in 0..24 {
                    let (leaf, state) = *walk.machine.chain().last().unwrap();
                    let fits = |stimulus: usize| {
                        let kind = STIMULI[stimulus].kind;
                        wanted.map_or(leaf.accepts(state, kind), |wanted| wanted.contains(&kind))
                            && kind != EventKind::Cancel
                    };
                    let fitting: Vec<usize> = (0..STIMULI.len()).filter(|stimulus| fits(*stimulus)).collect();
                    let Some(stimulus) = (!fitting.is_empty()).then(|| fitting[rng.below(fitting.len())]) else {
                        break;
                    };
                    if wanted.is_some() {
                        match rng.below(if round == 3 { 6 } else { 24 }) {
                            0 => script.extend([driving::DELAY, u8::try_from(rng.below(6)).unwrap()]),
                            1 => script.extend([driving::CUT, u8::try_from(rng.below(60)).unwrap()]),
                            2 => script.push([driving::UNCLAIMED, driving::NOTHING_HELD][rng.below(2)]),
                            3 if turn > 3 => script.push(driving::WALK_AWAY),
                            4 if turn > 5 => script.push(driving::GIVE_UP),
                            5 if turn > 3 => script.push(driving::OVERFLOW),
                            _ => {}
                        }
                    }
                    script.push(u8::try_from(stimulus).unwrap());
                    wanted = match walk.step(&STIMULI[stimulus]).1 {
                        Outcome::Effect(effect) => Some(effect.answers()),
                        Outcome::Done | Outcome::Failed(_) => None,
                    };
                }
                let name = name.replace(' ', "-");
                seeds.add(&format!("{}-{name}-{round}", specimen.table.machine), &script);
                if let Some(body) = bodies.get(round) {
                    let mut script = begin.to_vec();
                    script.extend([0, driving::RESPONSE, 0, 1, u8::try_from(body.len()).unwrap()]);
                    script.extend_from_slice(body);
                    seeds.add(&format!("{}-{name}-answer-{round}", specimen.table.machine), &script);
                }
            }
        }
    }
    let login = |more: &[u8]| [&[1, 1, 0, 0][..], more].concat();
    let query = b"code=c&state=s&iss=https://as.example";
    seeds.add("login-foreign-callback", login(&[&[driving::CALLBACK, 37][..], query].concat()));
    seeds.add("login-given-up-at-once", login(&[driving::GIVE_UP]));
    seeds.add("login-walked-away", login(&[driving::WALK_AWAY]));
    seeds.add("login-in-vain", login(&[]));
    seeds
}

/// What is stored of the flows that wait for a person, whole, cut, and with each member damaged.
fn snapshot() -> Seeds {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    let stimulus = |name: &str| STIMULI.iter().find(|stimulus| stimulus.name == name).unwrap();
    for specimen in SPECIMENS {
        for variant in 0..specimen.variants.len() {
            let mut walk = Walk::begin(specimen, variant);
            for name in ["start", "signed", "device code", "shown", "elapsed when due", "refused: slow_down"] {
                let _ = walk.step(stimulus(name));
                if let Some(stored) = walk.machine.stored() {
                    whole.push(stored.unwrap().0);
                }
            }
        }
    }
    assert!(whole.len() >= 4, "the flows that wait for a person");
    let mut seeds = Seeds::of(&whole);
    for (number, bytes) in whole.iter().enumerate() {
        let text = String::from_utf8(bytes.clone()).unwrap();
        for (at, _) in text.match_indices("\":") {
            let (before, after) = text.split_at(at + 2);
            let end = after.find([',', '}']).unwrap();
            for (kind, value) in ["null", "5", "\"x\"", "18446744073709551615", "[]"].into_iter().enumerate() {
                if number < 2 || kind == at % 5 {
                    seeds.add(&format!("damaged-{number}-{at:04}-{kind}"), format!("{before}{value}{}", &after[end..]));
                }
            }
        }
    }
    let longest: Vec<&[u8]> = whole.iter().take(2).map(Vec::as_slice).collect();
    seeds.cut(7, &longest)
}
