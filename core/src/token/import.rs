//! Token files of other programs.
//!
//! Four shapes are read, each as its program writes it. All are JSON objects with the members of a server's answer; they
//! differ in where the object stands and in what is known of its time. One shape is written too,
//! [`TokenSet::to_reference_file`].
//!
//! Left out on purpose: finding the files, and programs that store something else than JSON.

use super::members::{Layout, Members};
use super::record::{self, Read, RecordError, RecordFlaw};
use super::times::{self, Names};
use super::{Note, TokenSet};
use crate::http::json::{Nested, Object, Value};
use crate::jose::base64url;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Which program has written a token file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// `aiorequestful`: a flat object, `granted_at` and `expires_at` in fractions of seconds.
    Aiorequestful,
    /// Authlib: the token `dict` as JSON, `expires_at` in whole seconds or as text, and no time of its coming.
    Authlib,
    /// Home Assistant: the token of a config entry, or the entry around it; `expires_at` in fractions of seconds.
    ///
    /// The name of the implementation, `auth_implementation`, is kept as a member.
    HomeAssistant,
    /// pycognito: the attributes `access_token`, `id_token`, `refresh_token` and `token_type` as an object; whatever else
    /// is in it is left out.
    ///
    /// There is no time among them. When the access token ends is read from its own claim `exp`, **which nobody has
    /// verified**: good enough to know when to refresh, and for nothing else.
    Pycognito,
}

/// How to read the token file of another program.
///
/// ```
/// use grantflow_core::Timestamp;
/// use grantflow_core::token::{Import, Shape};
/// let file = br#"{"api_key": "s3cr3t", "lifetime": "3600", "granted_at": 1799999000.25}"#;
/// let import = Import::of(Shape::Aiorequestful).token_key("api_key").expires_in("lifetime");
/// let tokens = import.read(file, Timestamp::from_secs(1_800_000_000))?;
/// assert_eq!(tokens.expires_at(), Some(Timestamp::from_millis(1_800_002_600_250)));
/// # Ok::<(), grantflow_core::token::RecordError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Import {
    shape: Shape,
    token_key: String,
    granted_at: String,
    expires_at: String,
    expires_in: String,
}

impl Import {
    /// Reads a file of this shape, whose members have the usual names: `access_token`, `granted_at`, `expires_at`,
    /// `expires_in`.
    pub fn of(shape: Shape) -> Self {
        let Names { granted_at, expires_at, expires_in } = Names::USUAL;
        Self {
            shape,
            token_key: "access_token".to_owned(),
            granted_at: granted_at.to_owned(),
            expires_at: expires_at.to_owned(),
            expires_in: expires_in.to_owned(),
        }
    }

    /// Names the member with the token. `access_token` is then the name under which it is stored here.
    pub fn token_key(mut self, name: impl Into<String>) -> Self {
        self.token_key = name.into();
        self
    }

    /// Names the member with the time at which the token came.
    pub fn granted_at(mut self, name: impl Into<String>) -> Self {
        self.granted_at = name.into();
        self
    }

    /// Names the member with the time at which the token ends.
    pub fn expires_at(mut self, name: impl Into<String>) -> Self {
        self.expires_at = name.into();
        self
    }

    /// Names the member with the token's lifetime.
    pub fn expires_in(mut self, name: impl Into<String>) -> Self {
        self.expires_in = name.into();
        self
    }

    /// Reads a file. Members are read as [`TokenSet::from_record`] reads those of another program.
    ///
    /// # Errors
    /// [`RecordError`], as there. Nothing is quoted.
    pub fn read(&self, file: &[u8], now: Timestamp) -> Result<TokenSet, RecordError> {
        let object = record::object(file)?;
        let object = match self.shape {
            Shape::HomeAssistant if !object.contains(&self.token_key) => of_entry(&object)?.unwrap_or(object),
            Shape::HomeAssistant | Shape::Aiorequestful | Shape::Authlib | Shape::Pycognito => object,
        };
        let names = Names { granted_at: &self.granted_at, expires_at: &self.expires_at, expires_in: &self.expires_in };
        let mut tokens = Read::of(&object, &self.token_key)?.foreign(names, now, object);
        if self.shape == Shape::Pycognito && tokens.expires_at.is_none() {
            tokens.believe_claims(now);
        }
        let mut answer = Members::new(Layout::Compact, tokens.answer.expose().len().saturating_add(128));
        tokens.write_flat(&mut answer, |name, _| self.shape != Shape::Pycognito && !self.has_renamed(name));
        tokens.answer = answer.into_object().map_err(unreadable)?;
        Ok(tokens)
    }

    /// Whether a member has been read under another name than the one it is stored under.
    fn has_renamed(&self, name: &str) -> bool {
        let renamed = [&self.token_key, &self.granted_at, &self.expires_at, &self.expires_in];
        name != Names::USUAL.expires_in && renamed.iter().any(|renamed| *renamed == name)
    }
}

fn unreadable(error: crate::http::json::JsonError) -> RecordError {
    RecordError::Unreadable(RecordFlaw::Json { at: error.at, flaw: error.flaw })
}

/// The token in a config entry, if it is one: `{"data": {"auth_implementation": .., "token": {..}}}`, or what is `data`.
fn of_entry(object: &Object) -> Result<Option<Object>, RecordError> {
    let data = match object.get("data") {
        Some(Value::Object(data)) => data.get("token").zip(Some(data.get("auth_implementation"))),
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => None,
    };
    let here = || object.get("token").map(|token| (token, object.get("auth_implementation")));
    match data.or_else(here) {
        Some((Value::Object(token), implementation)) => with_implementation(token, implementation).map(Some),
        Some((Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_), _)) => {
            Err(RecordError::Unreadable(RecordFlaw::Member("token")))
        }
        None => Ok(None),
    }
}

fn with_implementation(token: Nested<'_>, implementation: Option<Value<'_>>) -> Result<Object, RecordError> {
    const NAME: &str = "auth_implementation";
    let token = Object::parse(token.as_str().as_bytes()).map_err(unreadable)?;
    let Some(Value::String(implementation)) = implementation.filter(|_| !token.contains(NAME)) else {
        return Ok(token);
    };
    let mut members = Members::new(Layout::Compact, token.expose().len().saturating_add(64));
    for (name, value) in token.written() {
        members.written(name, value);
    }
    members.string(NAME, &implementation);
    members.into_object().map_err(unreadable)
}

impl TokenSet {
    /// Reads the token file of another program. [`Import`] also reads files with other names in them.
    ///
    /// # Errors
    /// [`RecordError`], as [`from_record`](Self::from_record). Nothing is quoted.
    ///
    /// ```
    /// use grantflow_core::Timestamp;
    /// use grantflow_core::token::{Shape, TokenSet};
    /// let entry = br#"{"data": {"auth_implementation": "cloud", "token": {"access_token": "s3cr3t", "expires_at": 1800003600.5}}}"#;
    /// let tokens = TokenSet::import(Shape::HomeAssistant, entry, Timestamp::from_secs(1_800_000_000))?;
    /// assert_eq!(tokens.expires_at(), Some(Timestamp::from_millis(1_800_003_600_500)));
    /// # Ok::<(), grantflow_core::token::RecordError>(())
    /// ```
    pub fn import(shape: Shape, file: &[u8], now: Timestamp) -> Result<Self, RecordError> {
        Import::of(shape).read(file, now)
    }

    /// Takes the times from the access token's own claims, as a hint.
    fn believe_claims(&mut self, now: Timestamp) {
        let claims = self.access_token.expose().split('.').nth(1).and_then(base64url::decode);
        let Some(claims) = claims.and_then(|claims| Object::parse_owned(claims).ok()) else {
            return;
        };
        let claim = |name| claims.get(name).and_then(|value| times::believable(&value));
        if let Some(expires_at) = claim("exp") {
            self.expires_at = Some(expires_at);
            self.received_at = claim("iat").map_or(now, |issued_at| issued_at.min(now));
            self.notes.retain(|note| *note != Note::GrantTimeMissing);
        }
    }

    /// Writes a file that the Python library `aiorequestful` loads as its own: one flat object, a member to a line.
    ///
    /// The times are in whole seconds. What only this library knows is left out; a lifetime that is no number or
    /// counts from nowhere too, because that library would stumble over it.
    ///
    /// ```
    /// use grantflow_core::Timestamp;
    /// use grantflow_core::token::TokenSet;
    /// let stored = br#"{"access_token":"s3cr3t","granted_at":1799996400,"expires_in":"3600"}"#;
    /// let tokens = TokenSet::from_record(stored, Timestamp::from_secs(1_799_999_000))?;
    /// let file = String::from_utf8(tokens.to_reference_file().expose().clone()).unwrap_or_default();
    /// assert_eq!(file.lines().nth(1), Some(r#"  "access_token": "s3cr3t","#));
    /// assert_eq!(file.lines().nth(4), Some(r#"  "expires_at": 1800000000,"#));
    /// # Ok::<(), grantflow_core::token::RecordError>(())
    /// ```
    pub fn to_reference_file(&self) -> Secret<Vec<u8>> {
        let mut file = Members::new(Layout::Indented, self.answer.expose().len().saturating_add(1024));
        self.write_flat(&mut file, |name, value| {
            let counts = self.expires_at.is_some() && times::moment(value).is_some();
            name != Names::USUAL.expires_in || counts
        });
        file.into_secret()
    }
}

#[cfg(test)]
mod tests;
