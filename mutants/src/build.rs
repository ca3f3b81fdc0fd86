//! A copy of the tree with all mutants in it that compile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::list::{Mutant, State};
use crate::{CRATES, Result, weave};

/// Programs of tests that have a file of one of the crates among their own.
const INCLUDING: [&str; 2] = ["tests/all/main.rs", "tests/desk/main.rs"];

/// Stores that are tested when a variable names their server: without one, no test would reach them.
const SERVED: [(&str, &str); 2] = [
    ("GRANTFLOW_TEST_POSTGRES", ",grantflow-stores/postgres-tls"),
    ("GRANTFLOW_TEST_REDIS", ",grantflow-stores/redis-tls"),
];

/// All that needs no server to test.
const FEATURES: &str = "grantflow-core/aws-lc-rs,grantflow-core/legacy-grants,grantflow-core/testing,\
    grantflow-stores/encrypted,grantflow-stores/keyring,grantflow-stores/sqlite,grantflow-stores/testing,grantflow-tokio/testing,\
    grantflow-tokio/tower,grantflow-tokio/reqwest,grantflow-blocking/testing,grantflow-blocking/middleware";
const TESTED: [&str; 5] =
    ["grantflow-core", "grantflow-stores", "grantflow-tokio", "grantflow-blocking", "grantflow-tests"];

/// A program of tests.
#[derive(Debug)]
pub struct Program {
    /// Where it runs.
    pub folder: PathBuf,
    pub path: PathBuf,
    pub name: String,
}

/// Writes what is different only, so that cargo knows what it has built before.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}

fn files() -> Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output()?;
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split('\0').filter(|name| !name.is_empty() && Path::new(name).is_file()).map(str::to_owned).collect())
}

/// Copies all that no mutant is in.
pub fn copy(tree: &Path) -> Result<()> {
    for name in files()? {
        if !is_woven(&name) {
            let copied = tree.join(&name);
            let mut text = std::fs::read(&name)?;
            // These include files of a crate.
            if INCLUDING.contains(&name.as_str()) {
                text.extend_from_slice(weave::ANSWER.as_bytes());
            }
            write(&copied, &text)?;
            std::fs::set_permissions(&copied, std::fs::metadata(&name)?.permissions())?;
        }
    }
    Ok(())
}

fn is_woven(name: &str) -> bool {
    name.ends_with(".rs") && CRATES.iter().any(|folder| name.starts_with(&format!("{folder}/src/")))
}

/// Weaves, compiles, takes out what does not compile, and begins again.
pub fn weave_until_it_compiles(tree: &Path, mutants: &mut [Mutant]) -> Result<()> {
    // Read once: the places of the mutants are those of now.
    let mut sources = Vec::new();
    for name in files()?.into_iter().filter(|name| is_woven(name)) {
        sources.push((std::fs::read_to_string(&name)?, name));
    }
    for round in 1.. {
        let mut by_file: BTreeMap<String, Vec<&mut Mutant>> = BTreeMap::new();
        for mutant in mutants.iter_mut() {
            by_file.entry(mutant.file.clone()).or_default().push(mutant);
        }
        for (source, name) in &sources {
            let mut text = match by_file.get_mut(name) {
                Some(mutants) => weave::file(source, mutants)?,
                None => source.clone(),
            };
            if name.matches('/').count() == 2 && name.ends_with("/src/lib.rs") {
                text.push_str(weave::ANSWER);
            }
            write(&tree.join(name), text.as_bytes())?;
        }
        let messages = cargo(tree, &["check", "--keep-going"])?;
        let errors: Vec<&Value> = messages.iter().filter(|one| one["level"] == "error").collect();
        let woven = mutants.iter().filter(|mutant| mutant.state == State::Woven).count();
        eprintln!("round {round}: {woven} mutants woven, {} errors", errors.len());
        if errors.is_empty() {
            let built: Vec<usize> = messages.iter().flat_map(|message| asked(tree, message)).collect();
            for mutant in
                mutants.iter_mut().filter(|mutant| mutant.state == State::Woven && !built.contains(&mutant.id))
            {
                mutant.state = State::NotBuilt;
            }
            return Ok(());
        }
        let mut taken = 0;
        for error in errors {
            let (ids, state) = blamed(tree, error);
            if ids.is_empty() && error["spans"].as_array().is_some_and(|spans| !spans.is_empty()) {
                eprintln!("whose fault is this? {}", error["rendered"].as_str().unwrap_or_default());
            }
            for mutant in mutants.iter_mut().filter(|mutant| ids.contains(&mutant.id) && mutant.state == State::Woven) {
                mutant.state = state;
                taken += 1;
            }
        }
        if taken == 0 {
            return Err("the copy does not compile, and no mutant is the reason".into());
        }
    }
    Ok(())
}

/// Runs cargo in the copy and gives what the compiler says.
fn cargo(tree: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let mut features = FEATURES.to_owned();
    for (_, feature) in SERVED.iter().filter(|(variable, _)| std::env::var_os(variable).is_some()) {
        features.push_str(feature);
    }
    let mut command = Command::new("cargo");
    command.current_dir(tree).args(arguments).args(["--message-format=json", "--features", &features]);
    for package in TESTED {
        command.args(["--package", package]);
    }
    let output = command.env("CARGO_TERM_COLOR", "never").stderr(Stdio::inherit()).output()?;
    let mut messages = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        match message["reason"].as_str() {
            Some("compiler-message") => messages.push(message["message"].clone()),
            Some("compiler-artifact") if !message["executable"].is_null() => messages.push(message),
            _ => {}
        }
    }
    Ok(messages)
}

/// The file and the bytes that a span means, without what macros made of it.
fn place(tree: &Path, span: &Value) -> Option<(String, usize, usize)> {
    let mut span = span;
    while let Some(outer) = span.pointer("/expansion/span") {
        span = outer;
    }
    let text = std::fs::read_to_string(tree.join(span["file_name"].as_str()?)).ok()?;
    let byte = |name: &str| span[name].as_u64().and_then(|byte| usize::try_from(byte).ok());
    Some((text, byte("byte_start")?, byte("byte_end")?))
}

/// The mutants whose question a warning is about.
fn asked(tree: &Path, message: &Value) -> Vec<usize> {
    if message.pointer("/code/code").and_then(Value::as_str) != Some("deprecated") {
        return Vec::new();
    }
    let spans = message["spans"].as_array().into_iter().flatten();
    spans.filter_map(|span| place(tree, span).and_then(|(text, start, _)| question(&text[start..]))).collect()
}

/// The number in `__mutant(7)`, if the text begins with it, with or without the path.
fn question(text: &str) -> Option<usize> {
    let text = text.strip_prefix("crate::").unwrap_or(text).strip_prefix("__mutant(")?;
    text[..text.find(')')?].parse().ok()
}

/// The mutants that an error is about, and what becomes of them.
fn blamed(tree: &Path, error: &Value) -> (Vec<usize>, State) {
    let empty = Vec::new();
    let spans = error["spans"].as_array().unwrap_or(&empty);
    let (primary, others): (Vec<&Value>, Vec<&Value>) = spans.iter().partition(|span| span["is_primary"] == true);
    let places: Vec<_> = primary.into_iter().chain(others).filter_map(|span| place(tree, span)).collect();
    for (text, start, _) in &places {
        if let Some(id) = question(&text[*start..]) {
            return (vec![id], State::NotWoven);
        }
        if let Some(id) = changed(text, *start) {
            return (vec![id], State::Unviable);
        }
    }
    for (text, start, end) in &places {
        let ids = around(text, *start);
        if !ids.is_empty() {
            return (ids, State::NotWoven);
        }
        // An arm with a question no longer counts as one that always matches.
        let rest = &text[*end..];
        let line = &rest[..rest.find("\n}\n").unwrap_or(rest.len())];
        let ids: Vec<usize> =
            line.split("/*a").skip(1).filter_map(|tail| tail[..tail.find('*')?].parse().ok()).collect();
        if !ids.is_empty() {
            return (ids, State::NotWoven);
        }
    }
    (Vec::new(), State::Unviable)
}

/// The mutant whose changed code holds this byte.
fn changed(text: &str, byte: usize) -> Option<usize> {
    let at = text[..byte].rfind("/*m")?;
    let tail = &text[at + 3..];
    let id = tail[..tail.find('*')?].parse().ok()?;
    let end = text.find(&format!("/*/m{id}*/"))?;
    (end >= byte).then_some(id)
}

/// The mutants of the smallest expression with a question that holds this byte.
fn around(text: &str, byte: usize) -> Vec<usize> {
    let mut depth = 0usize;
    let mut at = byte;
    loop {
        let (open, close) = (text[..at].rfind("/*w*/"), text[..at].rfind("/*/w*/"));
        match (open, close) {
            (None, _) => return Vec::new(),
            (Some(open), Some(close)) if close > open => {
                depth += 1;
                at = close;
            }
            (Some(open), _) if depth > 0 => {
                depth -= 1;
                at = open;
            }
            (Some(open), _) => {
                let mut ids = Vec::new();
                let mut rest = &text[open + 5..];
                while let Some(id) = rest.strip_prefix("if crate::").and_then(question) {
                    ids.push(id);
                    let end = format!("/*/m{id}*/ }} else ");
                    rest = rest.find(&end).map_or("", |at| &rest[at + end.len()..]);
                }
                return ids;
            }
        }
    }
}

/// Builds the tests of the copy.
pub fn tests(tree: &Path) -> Result<Vec<Program>> {
    let messages = cargo(tree, &["test", "--no-run"])?;
    if let Some(error) = messages.iter().find(|one| one["level"] == "error") {
        return Err(error["rendered"].as_str().unwrap_or("the tests do not compile").into());
    }
    let mut programs = Vec::new();
    for message in &messages {
        let (Some(path), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str()) else {
            continue;
        };
        let name = message.pointer("/target/name").and_then(Value::as_str).unwrap_or_default();
        // These weigh and count; they do not judge.
        if message.pointer("/profile/test") != Some(&Value::Bool(true)) || ["limits", "desk"].contains(&name) {
            continue;
        }
        let folder = Path::new(manifest).parent().unwrap_or(tree).to_owned();
        programs.push(Program { folder, path: path.into(), name: name.to_owned() });
    }
    Ok(programs)
}
