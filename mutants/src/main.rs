//! Changes the code in one small way after the other, and sees whether a test notices.
//!
//! `cargo mutants --list` says which changes there are. Building once for each of them would take days, so all of them
//! are woven into a copy of the tree, each behind a question that the environment answers; what does not compile is
//! taken out again. Then each test says which mutants it reaches, and each mutant is tried on the tests that reach it.

mod build;
mod judge;
mod list;
mod record;
mod weave;

use std::hash::{Hash, Hasher};
use std::path::PathBuf;

/// The crates that are changed, by folder.
const CRATES: [&str; 4] = ["core", "stores", "io-tokio", "io-blocking"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut again = false;
    let mut paths = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--again" => again = true,
            _ => paths.push(argument),
        }
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let results = std::path::absolute(target)?.join("verification");
    let tree = results.join("mutants");
    std::fs::create_dir_all(&tree)?;

    let mut mutants = list::all()?;
    let mut record = record::Record::read(&results)?;
    if again {
        record.recall(&mut mutants);
    }
    build::copy(&tree)?;
    build::weave_until_it_compiles(&tree, &mut mutants)?;
    let programs = build::tests(&tree)?;
    let tests = judge::trace(&programs, &tree)?;
    let mut wanted: Vec<&list::Mutant> = mutants
        .iter()
        .filter(|mutant| !mutant.is_of_debug())
        .filter(|mutant| paths.is_empty() || paths.iter().any(|path| mutant.file.contains(path.as_str())))
        .filter(|mutant| !again || record.outcome(mutant) != Some("caught"))
        .collect();
    // In an order of no meaning: what was tried before a run was ended is a fair sample.
    wanted.sort_by_key(|mutant| {
        let mut hasher = std::hash::DefaultHasher::new();
        (&mutant.file, &mutant.change).hash(&mut hasher);
        hasher.finish()
    });
    judge::all(&wanted, &tests, &mut record)?;
    if record.write(&mutants)? { Ok(()) } else { std::process::exit(1) }
}
