//! Every seed of every fuzz target is tried again here, with the stable compiler and without a fuzzer.
//!
//! The seeds stand in `fuzz/seeds`, one folder for each target. Those whose names begin with `found-` are inputs that
//! once broke something and stay as they are; all others are written by `UPDATE_SEEDS=1 cargo test -p grantflow-tests
//! seeds`.

mod answers;
mod inputs;
mod scripts;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use grantflow_core::testing::fuzz;

/// How many seeds a target has at least.
const FEWEST: usize = 100;

/// How large all seeds together may be, in bytes.
const LARGEST: usize = 2 * 1024 * 1024;

/// The targets that cannot have so many different seeds, with the reason.
const FEWER: &[(&str, &str)] = &[];

/// Every target of every crate by its name.
fn targets() -> impl Iterator<Item = (&'static str, fuzz::Target)> {
    fuzz::TARGETS.iter().chain(grantflow_stores::fuzz::TARGETS).chain(grantflow_tests::fuzz::TARGETS).copied()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The seeds of a target by their names.
fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = folder().join("seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn every_seed_keeps_its_targets_invariant() {
    let mut size = 0;
    let mut broken = Vec::new();
    for (name, target) in targets() {
        let seeds = seeds(name);
        for (seed, input) in &seeds {
            // A panic says what is broken; this says by what.
            if std::panic::catch_unwind(|| target(input)).is_err() {
                broken.push(format!("fuzz/seeds/{name}/{seed}"));
            }
            size += input.len();
        }
        println!("figure: seeds/{name} = {} replayed", seeds.len());
        let fewer = FEWER.iter().any(|(fewer, _)| *fewer == name);
        assert!(fewer || seeds.len() >= FEWEST, "{name} has only {} seeds", seeds.len());
    }
    assert_eq!(broken, [""; 0]);
    assert!(size <= LARGEST, "the seeds take {size} bytes");
}

/// Short and broken inputs of no format at all, for those targets whose seeds are all well formed.
#[test]
fn every_target_stands_any_bytes() {
    for (name, target) in targets() {
        target(b"");
        for byte in 0..=u8::MAX {
            target(&[byte]);
            target(&[byte; 64]);
            target(&[byte, b'\n', byte, b'.', b'.', 0xC3]);
        }
        println!("{name}: 768 inputs");
    }
}

/// A target that is not replayed, or not built, would go unnoticed.
#[test]
fn the_targets_built_are_the_targets_replayed() {
    let known: BTreeSet<&str> = targets().map(|(name, _)| name).collect();
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let built: BTreeSet<&str> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|binary| binary.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap())
        .collect();
    assert_eq!(built, known, "fuzz/Cargo.toml");
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    assert_eq!(names(folder().join("fuzz_targets")), known, "fuzz/fuzz_targets");
    assert_eq!(names(folder().join("seeds")), known, "fuzz/seeds");
    for name in known {
        let source = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("::fuzz::{name}(input)")), "{name}");
    }
}

/// Writes the seeds when it is told to, and is content with what there is otherwise: a seed stays good when the table
/// from which it was made changes.
#[test]
fn seeds_are_written_from_the_tables_on_request() {
    let mut made = answers::seeds();
    made.extend(inputs::seeds());
    made.extend(scripts::seeds());
    made.extend(stores::seeds());
    let named: BTreeSet<&str> = made.keys().copied().collect();
    assert_eq!(named, targets().map(|(name, _)| name).collect(), "targets with seeds");
    if std::env::var_os("UPDATE_SEEDS").is_none() {
        return;
    }
    for (target, seeds) in made {
        let folder = folder().join("seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_name().to_str().unwrap().starts_with("found-") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for (name, input) in seeds.0 {
            fs::write(folder.join(name), input).unwrap();
        }
    }
}

/// The seeds of one target, each different from all others.
#[derive(Default)]
struct Seeds(BTreeMap<String, Vec<u8>>);

impl Seeds {
    fn of<T: AsRef<[u8]>>(inputs: impl IntoIterator<Item = T>) -> Self {
        let mut seeds = Self::default();
        for (number, input) in inputs.into_iter().enumerate() {
            seeds.add(&format!("row-{:03}", number + 1), input);
        }
        seeds
    }

    fn add(&mut self, name: &str, input: impl AsRef<[u8]>) {
        let input = input.as_ref();
        if !self.0.values().any(|known| known == input) {
            self.0.insert(name.to_owned(), input.to_vec());
        }
    }

    /// Adds each input cut at every so many bytes, and in the other case.
    fn cut(mut self, every: usize, inputs: &[&[u8]]) -> Self {
        for (number, input) in inputs.iter().enumerate() {
            for at in (0..input.len()).step_by(every) {
                self.add(&format!("cut-{number}-{at:04}"), &input[..at]);
            }
            let other: Vec<u8> = input
                .iter()
                .map(
                    |byte| {
                        if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
                    },
                )
                .collect();
            self.add(&format!("case-{number}"), other);
        }
        self
    }

    /// Cuts what there is until there are enough, longest steps first.
    fn filled(mut self) -> Self {
        let rows: Vec<Vec<u8>> = self.0.values().cloned().collect();
        for (number, row) in rows.iter().enumerate() {
            if self.0.len() >= FEWEST + 20 {
                break;
            }
            self = self.cut_row(number, row);
        }
        self
    }

    fn cut_row(mut self, number: usize, row: &[u8]) -> Self {
        for at in (0..row.len()).step_by(7) {
            self.add(&format!("row-{:03}-cut-{at:04}", number + 1), &row[..at]);
        }
        self
    }
}
