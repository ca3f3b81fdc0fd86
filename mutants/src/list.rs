//! Which mutants there are.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::{CRATES, Result};

/// One change of the code.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// Counted from one, over all files.
    pub id: usize,
    /// Relative to the tree.
    pub file: String,
    /// What is done where, without line and column: they move.
    pub change: String,
    pub genre: String,
    pub replacement: String,
    /// Line and column, both counted from one, columns in characters.
    pub start: (usize, usize),
    pub end: (usize, usize),
    pub state: State,
}

impl Mutant {
    /// The folder of its crate.
    pub fn folder(&self) -> &str {
        self.file.split('/').next().unwrap_or_default()
    }

    /// How many modules it has in common with a test of its crate.
    pub fn nearness(&self, test: &str) -> usize {
        let path = self.file.split_once("/src/").map_or("", |(_, path)| path).trim_end_matches(".rs");
        path.split('/')
            .zip(test.split("::").filter(|module| *module != "tests"))
            .take_while(|(module, other)| module == other)
            .count()
    }

    /// What programmers read is nobody's contract; that it shows no secret is tested apart from this.
    pub fn is_of_debug(&self) -> bool {
        self.change.contains("<impl Debug for ") || self.change.contains("<impl fmt::Debug for ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Woven,
    /// The change does not compile.
    Unviable,
    /// The question cannot stand there (in a `const fn`, for one), though the change may.
    NotWoven,
    /// Not part of the program on this system or with these features.
    NotBuilt,
}

/// All mutants of the crates, in the order of files and lines.
pub fn all() -> Result<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "--colors", "never"]);
    for folder in CRATES {
        let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml"))?;
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")).unwrap_or_default();
        command.args(["--package", name.trim_end_matches('"')]);
    }
    // What tests are made of, and the provider that the tests do not sign with.
    for exclude in [
        "core/src/testing/**",
        "**/tests/**",
        "core/src/crypto/rust_crypto.rs",
        "stores/src/conformance**",
        "stores/src/conformance/**",
        "**/fuzz.rs",
    ] {
        command.args(["--exclude", exclude]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut mutants = Vec::new();
    for (index, one) in listed.iter().enumerate() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = |at: &str| -> (usize, usize) {
            let number = |what: &str| {
                one.pointer(&format!("/span/{at}/{what}"))
                    .and_then(Value::as_u64)
                    .and_then(|number| usize::try_from(number).ok())
            };
            (number("line").unwrap_or(0), number("column").unwrap_or(0))
        };
        let file = text(&one["file"]);
        let name = text(&one["name"]);
        let change = name.splitn(4, ':').nth(3).unwrap_or_default().trim().to_owned();
        let count = seen.entry((file.clone(), change.clone())).or_insert(0);
        *count += 1;
        let (genre, return_type) =
            (text(&one["genre"]), one.pointer("/function/return_type").map(text).unwrap_or_default());
        // `impl Trait` is one type: what the change gives is another.
        let hidden = genre == "FnValue" && return_type.contains("impl ");
        mutants.push(Mutant {
            id: index + 1,
            change: if *count == 1 { change } else { format!("{change} (#{count})") },
            file,
            genre,
            replacement: text(&one["replacement"]),
            start: place("start"),
            end: place("end"),
            state: if hidden { State::NotWoven } else { State::Woven },
        });
    }
    Ok(mutants)
}
