//! Machines beside plain references of their own: random scripts of what happens, and after each step both say the same.
//!
//! A reference is written from the RFCs and from what the documentation promises, in plain numbers, and uses no code of the
//! machine. Each test runs the same scripts each time; `GRANTFLOW_MODEL_CASES` asks for that many, and for other ones. A
//! script that failed is made as short as can be and belongs into the model's list of regressions, by the name of what it
//! catches. `lifecycle_model` beside this folder is a model of its own kind: of several processes.

mod device;
mod exchange;
mod single_flight;

use std::cell::Cell;
use std::fmt::Debug;

use grantflow_core::{Random, RandomUnavailable};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner};

/// How many scripts a plain run takes.
const USUAL: u32 = 256;

/// Runs a model: the scripts that have failed once, then random ones. `run` panics where the machine and the reference
/// differ, and returns how many transitions it took.
fn explore<S: Debug>(
    name: &str,
    source: &'static str,
    regressions: &[(&str, S)],
    scripts: impl Strategy<Value = S>,
    run: impl Fn(&S) -> u32,
) {
    for (catches, script) in regressions {
        println!("{name}: {catches}");
        run(script);
    }
    let asked = std::env::var("GRANTFLOW_MODEL_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(USUAL);
    let config = Config {
        cases,
        source_file: Some(source),
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))),
        ..Config::default()
    };
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let transitions = Cell::new(0);
    let outcome = runner.run(&scripts, |script| {
        transitions.set(transitions.get() + u64::from(run(&script)));
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, script)) => {
            panic!("{name} does not do what the reference says: {why}\nthe shortest script: {script:?}")
        }
        Err(TestError::Abort(why)) => panic!("{name}: {why}"),
    }
    let transitions = transitions.get();
    println!("figure: models/{name} = {transitions} transitions in {cases} scripts");
    assert!(transitions >= u64::from(cases) * 80, "the scripts of {name} end too early: {transitions} in {cases}");
}

/// Draws the same jitter each time, so that a reference can know it, and counts where more than a byte is asked for.
struct Steady {
    jitter: u8,
    counted: u64,
}

impl Steady {
    fn new(jitter: u8) -> Self {
        Self { jitter, counted: 0 }
    }
}

impl Random for Steady {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        if let [jitter] = out {
            *jitter = self.jitter;
            return Ok(());
        }
        for bytes in out.chunks_mut(8) {
            self.counted += 1;
            bytes.copy_from_slice(&self.counted.to_be_bytes()[8 - bytes.len()..]);
        }
        Ok(())
    }
}
