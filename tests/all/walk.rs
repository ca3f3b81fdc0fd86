//! Walks a registered machine through its states, by replaying what happened to a fresh one.

use std::time::Duration;

use grantflow_core::error::Error;
use grantflow_core::jose::JwkSet;
use grantflow_core::machine::{Context, Effect, EventKind, Observer, StateId, Step, Transition};
use grantflow_core::memory::Memory;
use grantflow_core::testing::specimens::{AnyMachine, Specimen};
use grantflow_core::testing::stimuli::{ISSUER, KEYS, STIMULI, Situation, Stimulus};
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::{Random, RandomUnavailable, Timestamp};

/// The moment at which every walk begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A machine on its way, with the world around it.
pub struct Walk {
    pub machine: Box<dyn AnyMachine>,
    pub situation: Situation,
    random: Draw,
    memory: Memory,
    pub seen: Vec<Transition>,
}

/// Random numbers until they run out.
struct Draw {
    counting: CountingRandom,
    left: u32,
}

impl Random for Draw {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        self.left = self.left.checked_sub(1).ok_or(RandomUnavailable)?;
        self.counting.fill(out)
    }
}

/// What a stimulus did.
#[expect(clippy::large_enum_variant, reason = "a test looks at one at a time")]
pub enum Outcome {
    Effect(Effect),
    Done,
    Failed(Error),
}

struct Seen<'a>(&'a mut Vec<Transition>);

impl Observer for Seen<'_> {
    fn transition(&mut self, transition: &Transition) {
        self.0.push(*transition);
    }
}

impl Walk {
    pub fn begin(specimen: &Specimen, variant: usize) -> Self {
        Self {
            machine: (specimen.variants[variant].1)(),
            situation: Situation::new(BEGIN),
            random: Draw { counting: CountingRandom::default(), left: u32::MAX },
            memory: Memory::default(),
            seen: Vec::new(),
        }
    }

    /// Replays what happened to a fresh machine.
    pub fn replay(specimen: &Specimen, variant: usize, path: &[usize]) -> Self {
        let mut walk = Self::begin(specimen, variant);
        for stimulus in path {
            let _ = walk.step(&STIMULI[*stimulus]);
        }
        walk
    }

    pub fn step(&mut self, stimulus: &Stimulus) -> (EventKind, Outcome) {
        let event = (stimulus.event)(&mut self.situation);
        let kind = event.kind();
        let mut observer = Seen(&mut self.seen);
        let mut cx = Context {
            now: self.situation.now,
            random: &mut self.random,
            crypto: &MarkerCrypto,
            memory: &mut self.memory,
            observer: Some(&mut observer),
        };
        let outcome = match self.machine.handle(event, &mut cx) {
            Ok(Step::Do(effect)) => {
                self.situation.note(&effect);
                Outcome::Effect(effect)
            }
            Ok(Step::Done(_)) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        };
        (kind, outcome)
    }

    /// The names of the states, outermost first.
    pub fn states(&self) -> Vec<StateId> {
        self.machine.chain().into_iter().map(|(_, state)| state).collect()
    }

    /// Lets the random source fail after so many draws.
    pub fn random_fails_after(&mut self, draws: u32) {
        self.random.left = draws;
    }

    /// Lets the flow begin with a key set that was fetched so long ago.
    pub fn remember_keys(&mut self, age: Duration) {
        let keys = JwkSet::parse(KEYS.as_bytes(), &MarkerCrypto).unwrap();
        self.memory.keys_fetched(ISSUER, keys, BEGIN.minus(age));
    }

    /// Lets the flow begin with a key set that has just been fetched in vain.
    pub fn remember_misfit(&mut self) {
        self.remember_keys(Duration::ZERO);
        self.memory.keys_did_not_fit(ISSUER, BEGIN);
    }

    /// Moves the clock.
    pub fn pass(&mut self, time: Duration) {
        self.situation.now = self.situation.now.plus(time);
    }
}
