//! Records to keep, and a look at what was kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_stores::{Saved, Store};
use tempfile::TempDir;

/// A folder of its own and the path of a file in it, two folders further down.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

pub(crate) fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/grantflow/tokens.json");
    Place { folder, path }
}

impl Place {
    pub(crate) fn parent(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// The names beside the file, it included, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.parent()) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// All bytes of all files beside the file, it included.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.names().iter().flat_map(|name| std::fs::read(self.parent().join(name)).unwrap()).collect()
    }
}

pub(crate) fn key(profile: &str) -> StoreKey {
    StoreKey::of("https://as.example", "client", profile).unwrap()
}

/// A record as the core writes it, with a secret that tells it from others.
pub(crate) fn record(version: u64, secret: &str) -> Vec<u8> {
    format!(
        r#"{{"schema":1,"issuer":"https://as.example","version":"{version}","ended":false,"tokens":{{"refresh_token":"{secret}","a":[],"b":[1,{{}}],"c":"\"{{, \\"}}}}"#
    )
    .into_bytes()
}

pub(crate) fn stored(version: u64, bytes: &[u8]) -> Stored {
    Stored { version: Version::from_u64(version), bytes: Secret::new(bytes.to_vec()) }
}

pub(crate) fn write(profile: &str, expected: Expected, version: u64, bytes: &[u8]) -> StoreWrite {
    StoreWrite { key: key(profile), expected, stored: stored(version, bytes) }
}

/// Saves as a login does.
#[track_caller]
pub(crate) fn log_in(store: &dyn Store, profile: &str, version: u64, secret: &str) {
    let saved = store.save(write(profile, Expected::Anything, version, &record(version, secret)));
    assert_eq!(saved, Ok(Saved::Done));
}

/// Saves as a renewal does.
pub(crate) fn renew(store: &dyn Store, profile: &str, from: u64, to: u64) -> Result<Saved, StoreError> {
    let expected = Expected::Version(Version::from_u64(from));
    store.save(write(profile, expected, to, &record(to, &format!("secret-{to}"))))
}

pub(crate) fn found(store: &dyn Store, profile: &str) -> Result<Option<(u64, String)>, StoreFault> {
    let stored = store.load(&key(profile)).map_err(|error| error.fault)?;
    Ok(stored.map(|stored| (stored.version.as_u64(), String::from_utf8(stored.bytes.expose().clone()).unwrap())))
}

/// What [`found`] gives after [`log_in`].
pub(crate) fn kept(version: u64, secret: &str) -> Result<Option<(u64, String)>, StoreFault> {
    Ok(Some((version, String::from_utf8(record(version, secret)).unwrap())))
}

pub(crate) fn claim(profile: &str, wait: Duration) -> Claim {
    Claim { key: key(profile), wait, lease: Duration::from_secs(60) }
}
