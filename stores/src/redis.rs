//! Records in Redis or a server that speaks its protocol, for programs on many machines. Feature `redis`.
//!
//! A record is a hash with the fields `version` and `record`; each call is one script, which the server runs as a whole.
//! All text travels with its length before it, so no byte of a key or a record can become a command. One primary server
//! is meant, with replicas or without; not a cluster of shards, since a record and what is kept aside of it have two keys.
//!
//! What scales: load, save and delete are one round trip of one script, whatever else is kept. At most
//! [`CONNECTIONS`] connections are open; further calls wait for one. Waiting for a claim costs one small command every
//! 10 to 100 ms and holds no connection. [`list`](Store::list) walks all keys of the database and is for people.
//!
//! What is lost when the server is away: time. Calls end with [`StoreFault::Unavailable`] in 2 s (connecting) or 5 s
//! (answering), tokens in memory work on, and the next call after the server's return finds it. Each call tries a
//! second connection if the first was closed, and then gives up.
//!
//! What Redis itself may lose: with `appendfsync everysec`, the last second; with a failover, what the replica had not
//! received; with eviction, anything. The version tells: a writer that expects what was lost gets [`Saved::Conflict`] and
//! reads again. If refresh tokens are used once, use `appendfsync always`, `min-replicas-to-write` and `noeviction`, or
//! expect a login now and then. A claim is a lease: a holder that is paused for longer may find its write refused.
//!
//! Tokens are as safe as the server and the way to it: use a password and, beyond a trusted network, `rediss://` (feature
//! `redis-tls`). Copies in the buffers of the client library are not wiped.

mod connections;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ::redis::{Cmd, Value, cmd};
use grantflow_core::Secret;
use grantflow_core::error::{ConfigError, Error, StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, Listed, RECORD_LIMIT, StoreKey, StoreWrite, Stored, Version};

use crate::waiting::{self, Backoff};
use crate::{Claimed, Saved, Store};
use connections::{Attempt, Connections};

pub use connections::CONNECTIONS;

/// How long a walk over all keys may take.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// Keeps records in a Redis server. Clones share the connections.
///
/// ```no_run
/// use grantflow_stores::RedisStore;
/// let store = RedisStore::connect("redis://:password@127.0.0.1:6379/0")?.with_prefix("my-app:");
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    connections: Arc<Connections>,
    prefix: String,
    lifetime: Duration,
}

impl RedisStore {
    /// Remembers the server's URL; the first call connects.
    ///
    /// `redis://`, `rediss://` with the feature `redis-tls`, `unix://`; user, password, port and number of the database
    /// as in `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], without the URL.
    pub fn connect(url: &str) -> Result<Self, Error> {
        let why = "is not the URL of a Redis server, or needs the feature redis-tls";
        let connections = Connections::new(url).ok_or(ConfigError::Invalid { setting: "Redis URL", why })?;
        Ok(Self { connections: Arc::new(connections), prefix: "grantflow:".to_owned(), lifetime: Duration::ZERO })
    }

    /// Begins all keys with `prefix` instead of `grantflow:`.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Forgets a record when it was not replaced for so long, at least a millisecond. Without this, records stay.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: lifetime.max(Duration::from_millis(1)), ..self }
    }

    /// Waits so long for a connection and for an answer, instead of 2 s and 5 s; at least a millisecond.
    #[must_use]
    pub fn with_timeouts(self, connecting: Duration, answering: Duration) -> Self {
        Self { connections: Arc::new(self.connections.with_timeouts(connecting, answering)), ..self }
    }

    fn record_key(&self, key: &StoreKey) -> String {
        format!("{}token:{}", self.prefix, key.to_text())
    }

    fn aside_key(&self, key: &StoreKey) -> String {
        format!("{}aside:{}", self.prefix, key.to_text())
    }

    fn claim_key(&self, key: &StoreKey) -> String {
        format!("{}claim:{}", self.prefix, key.to_text())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Store for RedisStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let key = self.record_key(key);
        let found =
            self.connections.call(|_| script(include_str!("redis/load.lua"), &[&key]).arg(RECORD_LIMIT).take())?;
        let mut parts = match found {
            Value::Nil => return Ok(None),
            Value::Array(parts) => parts.into_iter(),
            _ => return Err(unexpected()),
        };
        match (parts.next().as_ref().and_then(text), parts.next(), parts.next()) {
            (Some("record"), Some(version), Some(Value::BulkString(bytes))) => {
                let bytes = Secret::new(bytes);
                let version = text(&version).and_then(|text| text.parse().ok());
                let version =
                    version.ok_or_else(|| StoreError::new(StoreFault::Corrupt, "a version that is no number"))?;
                Ok(Some(Stored { version: Version::from_u64(version), bytes }))
            }
            (Some("large"), ..) => Err(StoreError::new(StoreFault::Corrupt, "larger than 4 MiB")),
            (Some("foreign"), ..) => {
                Err(StoreError::new(StoreFault::Corrupt, "something else stands where a record should"))
            }
            _ => Err(unexpected()),
        }
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        let StoreWrite { key, expected, stored } = write;
        if stored.bytes.expose().len() > RECORD_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "a record of more than 4 MiB"));
        }
        let keys = [&*self.record_key(&key), &*self.aside_key(&key)];
        let expected = match expected {
            Expected::Absent => "absent".to_owned(),
            Expected::Anything => "anything".to_owned(),
            Expected::Version(version) => version.to_string(),
        };
        let version = stored.version.to_string();
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX).min(LONGEST);
        let done = self.connections.call(|attempt| {
            let again = match attempt {
                Attempt::First => "first",
                Attempt::Second => "again",
            };
            let mut save = script(include_str!("redis/save.lua"), &keys);
            save.arg(&expected).arg(&version).arg(stored.bytes.expose()).arg(lifetime).arg(again);
            save
        })?;
        match done {
            Value::Int(1) => Ok(Saved::Done),
            Value::Int(0) => Ok(Saved::Conflict),
            _ => Err(unexpected()),
        }
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let keys = [self.record_key(key), self.aside_key(key)];
        self.connections.call(|_| cmd("DEL").arg(&keys).take()).map(drop)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        let key = self.claim_key(&claim.key);
        let holder = waiting::unique();
        let lease = u64::try_from(claim.lease.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST);
        let mut backoff = Backoff::of(claim.wait);
        loop {
            let done = self
                .connections
                .call(|_| script(include_str!("redis/claim.lua"), &[&key]).arg(&holder).arg(lease).take())?;
            match done {
                Value::Int(1) => break,
                Value::Int(0) => {}
                _ => return Err(unexpected()),
            }
            let Some(pause) = backoff.next_pause() else {
                return Err(StoreError::new(StoreFault::Busy, "another program renews"));
            };
            thread::sleep(pause);
        }
        Ok(Some(Box::new(InRedis { connections: Arc::clone(&self.connections), key, holder })))
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let began = Instant::now();
        let start = format!("{}token:", self.prefix);
        let pattern = format!("{}*", escaped(&start));
        // A walk may show a key twice.
        let mut listed = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let page = self
                .connections
                .call(|_| cmd("SCAN").arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000).take())?;
            let Value::Array(page) = page else { return Err(unexpected()) };
            let mut page = page.into_iter();
            let (Some(next), Some(Value::Array(keys))) = (page.next(), page.next()) else { return Err(unexpected()) };
            for name in keys.iter().filter_map(text) {
                let Some(key) = name.strip_prefix(&start).and_then(StoreKey::from_text) else { continue };
                match self.connections.call(|_| cmd("HGET").arg(name).arg("version").take()) {
                    // What is no record was kept aside by nobody yet, and is none of the logins.
                    Err(error) if error.fault == StoreFault::Corrupt => {}
                    Err(error) => return Err(error),
                    Ok(version) => {
                        if let Some(version) = text(&version).and_then(|text| text.parse().ok()) {
                            listed.insert(key, Version::from_u64(version));
                        }
                    }
                }
                if began.elapsed() > LIST_LIMIT {
                    return Err(StoreError::new(StoreFault::Unavailable, "it keeps too much to be listed"));
                }
            }
            cursor = text(&next).ok_or_else(unexpected)?.to_owned();
            if cursor == "0" {
                break;
            }
            if began.elapsed() > LIST_LIMIT {
                return Err(StoreError::new(StoreFault::Unavailable, "it keeps too much to be listed"));
            }
        }
        Ok(listed.into_iter().map(|(key, version)| Listed { key, version }).collect())
    }
}

/// The longest lifetime that is asked for: a hundred years.
const LONGEST: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// A script with its keys. Its arguments follow.
fn script(source: &str, keys: &[&str]) -> Cmd {
    cmd("EVAL").arg(source).arg(keys.len()).arg(keys).take()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn unexpected() -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the server answers as Redis does not")
}

/// A pattern that matches `text` itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

struct InRedis {
    connections: Arc<Connections>,
    key: String,
    holder: String,
}

impl Claimed for InRedis {}

impl fmt::Debug for InRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InRedis").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Drop for InRedis {
    fn drop(&mut self) {
        // If this fails, the lease ends by itself.
        let _ =
            self.connections.call(|_| script(include_str!("redis/release.lua"), &[&self.key]).arg(&self.holder).take());
    }
}
