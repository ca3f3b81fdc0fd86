//! A process of its own that holds a claim, to be stopped, continued or killed.
//!
//! It is this test program, told by its environment to run one test, which does nothing otherwise.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_stores::{PostgresStore, RedisStore, Store};

use crate::servers;

pub(crate) fn key(profile: &str) -> StoreKey {
    StoreKey::of("https://as.example", "client", profile).unwrap()
}

pub(crate) fn write(key: &StoreKey, expected: Expected, version: u64) -> StoreWrite {
    let bytes = Secret::new(format!("{{\"version\":\"{version}\"}}").into_bytes());
    StoreWrite { key: key.clone(), expected, stored: Stored { version: Version::from_u64(version), bytes } }
}

pub(crate) fn is(version: u64) -> Expected {
    Expected::Version(Version::from_u64(version))
}

pub(crate) fn claim(key: &StoreKey, wait: Duration, lease: Duration) -> Claim {
    Claim { key: key.clone(), wait, lease }
}

#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Holder {
    /// Starts it and waits until it holds the claim of `key("held")`.
    pub(crate) fn start(url: &str, lease: Duration) -> Self {
        Self::start_with(url, lease, &[])
    }

    /// The same, with variables of the environment.
    pub(crate) fn start_with(url: &str, lease: Duration, variables: &[(&str, &Path)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .envs(variables.iter().copied())
            .args(["--exact", "holder::a_holder_for_other_tests", "--nocapture"])
            .env("GRANTFLOW_TEST_HOLDER", url)
            .env("GRANTFLOW_TEST_LEASE", lease.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, said };
        holder.hears("claimed");
        holder
    }

    pub(crate) fn hears(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the holder ended without {word}");
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        servers::signal(&self.child, name);
    }

    /// Has it write the next version, and returns what came of it.
    pub(crate) fn writes(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "write").unwrap();
    }

    pub(crate) fn ends(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }

    pub(crate) fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_holder_for_other_tests() {
    let Ok(url) = std::env::var("GRANTFLOW_TEST_HOLDER") else { return };
    let lease = Duration::from_millis(std::env::var("GRANTFLOW_TEST_LEASE").unwrap().parse().unwrap());
    let store: Box<dyn Store> = match url.starts_with("redis") {
        true => Box::new(RedisStore::connect(&url).unwrap()),
        false => Box::new(PostgresStore::connect(&url).unwrap()),
    };
    let key = key("held");
    let found = store.load(&key).unwrap().unwrap().version;
    let held = store.claim(&claim(&key, Duration::ZERO, lease)).unwrap();
    println!("\nclaimed");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let next = found.as_u64() + 1;
    println!("\nwrote {:?}", store.save(write(&key, Expected::Version(found), next)));
    drop(held);
    println!("\nreleased");
    std::io::stdin().read_line(&mut line).unwrap();
}
