//! What a store of tokens is asked for, as data: keys, versions, records.
//!
//! A store is dumb on purpose. It keeps bytes under a [`StoreKey`], compares a [`Version`] before it replaces them, and
//! may let one process at a time claim a key. What the bytes mean is decided here: a record names its key, its schema
//! and its version, so one that was moved, mixed up or written by a newer program is found out when it is read.
//!
//! Not here: files, databases, keyrings. They do I/O.

#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::{ConfigError, Error, StoreError, StoreFault};
use crate::http::json::{Object, Value};
use crate::machine::Context;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::{RecordError, TokenSet};

/// The schema that is written. A newer one is refused, an older one must load for ever.
const SCHEMA: u64 = 1;

/// The most bytes of one record: more than the largest token answer can make of one.
pub const RECORD_LIMIT: usize = 4 * 1024 * 1024;

/// The longest profile name, in bytes.
pub const PROFILE_LIMIT: usize = 255;

/// Under what the tokens of one login are kept: authorization server, client, and a name that the user chose.
///
/// All three are compared as exact text, so tokens are never sent to a server or by a client that did not get them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey {
    issuer: String,
    client_id: String,
    profile: String,
}

impl StoreKey {
    /// The key of `client`'s login called `profile`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when the name is empty or longer than [`PROFILE_LIMIT`] bytes.
    pub fn new(client: &Client, profile: &str) -> Result<Self, Error> {
        Self::of(client.server().issuer(), client.client_id(), profile)
    }

    /// The key of a login whose client is not at hand.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(issuer: &str, client_id: &str, profile: &str) -> Result<Self, Error> {
        if profile.is_empty() || profile.len() > PROFILE_LIMIT {
            let why = "must have 1 to 255 bytes";
            return Err(ConfigError::Invalid { setting: "profile", why }.into());
        }
        Ok(Self { issuer: issuer.to_owned(), client_id: client_id.to_owned(), profile: profile.to_owned() })
    }

    /// The authorization server.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The name that the user chose.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The key as one line of visible ASCII: no two keys give the same one, whatever characters are in them.
    ///
    /// ```
    /// use grantflow_core::store::StoreKey;
    /// let key = StoreKey::of("https://as.example", "my client", "../x")?;
    /// assert_eq!(key.to_text(), "https%3A%2F%2Fas.example my+client ..%2Fx");
    /// # Ok::<(), grantflow_core::Error>(())
    /// ```
    pub fn to_text(&self) -> String {
        let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("{} {} {}", part(&self.issuer), part(&self.client_id), part(&self.profile))
    }

    /// Reads what [`to_text`](Self::to_text) has written.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(' ').map(|part| {
            // One name without a value: exactly one encoded text.
            url::form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name.into_owned()).next()
        });
        let key = Self::of(&parts.next()??, &parts.next()??, &parts.next()??).ok()?;
        (parts.next().is_none() && key.to_text() == text).then_some(key)
    }
}

/// Which writing of a record this is: unique, and greater than that of all earlier ones.
///
/// Made of the time and random bits, but always above the version it replaces, so that a clock that goes back cannot make an
/// older record look newer. Fits a signed integer of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The number, for a store to keep.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// A number that a store has kept.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// A version that follows `previous`.
    pub fn after(previous: Option<Self>, cx: &mut Context<'_>) -> Self {
        let mut bits = [0; 4];
        // Without randomness two writers of the same millisecond may choose alike; what they expect to find still tells
        // them apart.
        let _ = cx.random.fill(&mut bits);
        let noise = u64::from(u32::from_le_bytes(bits)) & 0xF_FFFF;
        let time = cx.now.as_millis().min(1 << 42);
        let least = previous.map_or(0, |previous| previous.0.saturating_add(1));
        Self(((time << 20) | noise).max(least))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a store keeps under one key: bytes, and the version to compare.
#[derive(Debug)]
pub struct Stored {
    /// Which writing this is.
    pub version: Version,
    /// A record, as JSON text. Nobody but the core reads it.
    pub bytes: Secret<Vec<u8>>,
}

impl Stored {
    /// Makes a second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { version: self.version, bytes: self.bytes.duplicate() }
    }

    /// Reads the tokens, and whether they still work: for whoever shows what is stored. A token manager reads by itself.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`], [`StoreFault::Newer`] and [`StoreFault::Foreign`].
    pub fn tokens(&self, key: &StoreKey, now: Timestamp) -> Result<(Life, TokenSet), StoreError> {
        let record = Record::read(self, key)?;
        Ok((record.life, record.token_set(now)?))
    }
}

/// What must be in the store for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// This version, and no other.
    Version(Version),
    /// Whatever there is: a person has just logged in. What cannot be read is kept aside.
    Anything,
}

impl Expected {
    /// Whether a store that holds `found` may write.
    pub fn allows(self, found: Option<Version>) -> bool {
        match self {
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found == Some(version),
            Expected::Anything => true,
        }
    }
}

/// A write that a store does as a whole or not at all.
#[derive(Debug)]
pub struct StoreWrite {
    /// Under which key.
    pub key: StoreKey,
    /// What must be there now.
    pub expected: Expected,
    /// What shall be there.
    pub stored: Stored,
}

/// The wish to be the only one who replaces what is under a key, until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which key.
    pub key: StoreKey,
    /// How long to wait for somebody else who has it, before [`StoreFault::Busy`].
    pub wait: Duration,
    /// How long it lasts at most in stores that cannot see that its holder is gone.
    pub lease: Duration,
}

/// Whether the tokens of a record still work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// They do, as far as anybody knows.
    Live,
    /// The server has refused the refresh token: it is never sent again. The record says who has to log in again.
    Ended,
}

/// A record as it is read and written by the core.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) life: Life,
    /// The tokens, in the form that the token set defines.
    pub(crate) tokens: Secret<Vec<u8>>,
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u64,
    issuer: &'a str,
    client_id: &'a str,
    profile: &'a str,
    /// Text, since it is beyond what a double can hold.
    version: String,
    ended: bool,
    tokens: &'a RawValue,
}

impl Record {
    pub(crate) fn write(&self, key: &StoreKey) -> Result<Stored, Error> {
        let broken = |_| Error::Bug("a record that cannot be written");
        let tokens: &RawValue = serde_json::from_slice(self.tokens.expose()).map_err(broken)?;
        let written = Written {
            schema: SCHEMA,
            issuer: &key.issuer,
            client_id: &key.client_id,
            profile: &key.profile,
            version: self.version.to_string(),
            ended: self.life == Life::Ended,
            tokens,
        };
        // Room for all of it at once, so that no half-grown copy is left behind unwiped.
        let names = key.issuer.len().saturating_add(key.client_id.len()).saturating_add(key.profile.len());
        let room = self.tokens.expose().len().saturating_add(names.saturating_mul(6)).saturating_add(256);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, &written).map_err(broken)?;
        if bytes.len() > RECORD_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "a record of more than 4 MiB").into());
        }
        Ok(Stored { version: self.version, bytes: Secret::new(core::mem::take(&mut *bytes)) })
    }

    pub(crate) fn read(stored: &Stored, key: &StoreKey) -> Result<Self, StoreError> {
        let corrupt = |why| StoreError::new(StoreFault::Corrupt, why);
        let bytes = stored.bytes.expose();
        if bytes.len() > RECORD_LIMIT {
            return Err(corrupt("larger than 4 MiB"));
        }
        let object = Object::parse(bytes).map_err(|_| corrupt("not one JSON object"))?;
        let text = |name: &str| object.get(name).and_then(Value::into_string);
        let Some(Value::Number(schema)) = object.get("schema") else {
            return Err(corrupt("no schema"));
        };
        match schema.floor_u64() {
            Some(SCHEMA) => {}
            Some(0) | None => return Err(corrupt("a schema that never was")),
            Some(_) => return Err(StoreError::new(StoreFault::Newer, "written by a newer version of this software")),
        }
        let belongs = text("issuer").as_deref() == Some(&key.issuer)
            && text("client_id").as_deref() == Some(&key.client_id)
            && text("profile").as_deref() == Some(&key.profile);
        if !belongs {
            return Err(StoreError::new(StoreFault::Foreign, "the record of another login"));
        }
        if text("version").and_then(|version| version.parse().ok()) != Some(stored.version.0) {
            return Err(corrupt("another version than the store says"));
        }
        let life = match object.get("ended") {
            Some(Value::Bool(false)) => Life::Live,
            Some(Value::Bool(true)) => Life::Ended,
            _ => return Err(corrupt("neither live nor ended")),
        };
        let Some(Value::Object(tokens)) = object.get("tokens") else {
            return Err(corrupt("no tokens"));
        };
        Ok(Self { version: stored.version, life, tokens: Secret::new(tokens.as_str().as_bytes().to_vec()) })
    }

    pub(crate) fn token_set(&self, now: Timestamp) -> Result<TokenSet, StoreError> {
        TokenSet::from_record(self.tokens.expose(), now).map_err(|error| {
            let fault =
                if matches!(error, RecordError::Newer { .. }) { StoreFault::Newer } else { StoreFault::Corrupt };
            StoreError::new(fault, error.to_string())
        })
    }
}

/// What can be told of a stored login without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Under which key it is.
    pub key: StoreKey,
    /// Which writing it is.
    pub version: Version,
}
