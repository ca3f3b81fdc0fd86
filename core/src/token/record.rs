//! The stored form of a token set.
//!
//! A record is one flat JSON object: the members of the server's answer as they came, with what is in force in their
//! place (`access_token`, `token_type`, `refresh_token`, `id_token`, `scope`), and the times `granted_at` and
//! `expires_at` in whole seconds, so that other programs can read it. What only this library knows stands in one more
//! member, `grantflow`. A record without it is one that another program has written; where the two disagree, the flat
//! members win, because a program that does not know ours has changed them.
//!
//! Left out on purpose: an id_token that was verified is not verified any more after it was stored. It is kept as text,
//! and so is whom it spoke of ([`TokenSet::issuer`], [`TokenSet::subject`]), which a refresh still holds a new one
//! against.

use core::fmt;

use super::answer::{self, Expectation};
use super::members::{Layout, Members};
use super::set::Person;
use super::times::{self, Names, Times};
use super::{Note, Scopes, TokenSet, TokenType};
use crate::error::{JsonFlaw, Rule};
use crate::http::json::{Nested, Object, Value};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The longest record that is read, in bytes. None that is written is longer.
pub const RECORD_LIMIT: usize = 2 * 1024 * 1024;

/// The version that is written. A newer one is refused, an older one must load for ever.
const VERSION: u64 = 1;

/// The member with what only this library knows.
const FACTS: &str = "grantflow";

/// How long the name of a token type may be.
const LONGEST_TYPE: usize = 256;

/// The members that are written from what a token set holds, whatever the server's answer said.
pub(super) const OWN: [&str; 8] =
    ["access_token", "token_type", "refresh_token", "id_token", "scope", "granted_at", "expires_at", FACTS];

/// Why stored bytes are no token set. Nothing is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// Nothing is stored: an object without members. Log in.
    Empty,
    /// There is no access token, or an empty one. Log in.
    TokenMissing,
    /// A later version of this library has written it. Leave it alone, and update.
    Newer {
        /// The version of its form.
        version: u64,
    },
    /// It is damaged, or something else altogether. Keep it aside.
    Unreadable(RecordFlaw),
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFlaw {
    /// It is longer than [`RECORD_LIMIT`].
    TooLarge,
    /// It is not one JSON object; the position is a byte offset.
    Json {
        /// Where it went wrong.
        at: usize,
        /// What went wrong.
        flaw: JsonFlaw,
    },
    /// A member has the wrong type or an impossible value.
    Member(&'static str),
}

impl core::error::Error for RecordError {}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Empty => f.write_str("no token is stored"),
            RecordError::TokenMissing => f.write_str("the stored record holds no access token"),
            RecordError::Newer { version } => {
                write!(f, "the stored record is of version {version}, newer than {VERSION}")
            }
            RecordError::Unreadable(flaw) => write!(f, "the stored record cannot be read: {flaw}"),
        }
    }
}

impl fmt::Display for RecordFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordFlaw::TooLarge => write!(f, "longer than {RECORD_LIMIT} bytes"),
            RecordFlaw::Json { at, flaw } => write!(f, "{flaw} at byte {at}"),
            RecordFlaw::Member(name) => write!(f, "`{name}` is not valid"),
        }
    }
}

impl From<Rule> for RecordError {
    fn from(rule: Rule) -> Self {
        RecordError::Unreadable(match rule {
            Rule::MemberInvalid(name) | Rule::MemberMissing(name) => RecordFlaw::Member(name),
            Rule::JwtTooLarge => RecordFlaw::Member("id_token"),
            _ => RecordFlaw::Member("record"),
        })
    }
}

impl TokenSet {
    /// Writes the record to store: a flat JSON object, usually a few kilobytes.
    ///
    /// It holds the tokens: store it where only you can read it. What is written can be read again: an answer so large that
    /// the record would be longer than [`RECORD_LIMIT`] is stored without the members that this library does not know.
    ///
    /// ```
    /// use grantflow_core::Timestamp;
    /// use grantflow_core::token::TokenSet;
    /// let stored = br#"{"access_token":"s3cr3t","expires_at":1800000000,"team":{"id":7}}"#;
    /// let tokens = TokenSet::from_record(stored, Timestamp::from_secs(1_799_999_000))?;
    /// let record = tokens.to_record();
    /// let again = TokenSet::from_record(record.expose(), Timestamp::from_secs(1_799_999_500))?;
    /// assert_eq!(again.expires_at(), Some(Timestamp::from_secs(1_800_000_000)));
    /// assert!(again.answer().contains("team"));
    /// # Ok::<(), grantflow_core::token::RecordError>(())
    /// ```
    pub fn to_record(&self) -> Secret<Vec<u8>> {
        let whole = self.record(|_, _| true);
        let fits = whole.expose().len() <= RECORD_LIMIT && Object::parse(whole.expose()).is_ok();
        if fits { whole } else { self.to_plain_record() }
    }

    /// The record without the members that this library does not know.
    pub(crate) fn to_plain_record(&self) -> Secret<Vec<u8>> {
        self.record(|_, _| false)
    }

    fn record(&self, wanted: impl Fn(&str, &Value<'_>) -> bool) -> Secret<Vec<u8>> {
        let mut record = Members::new(Layout::Compact, self.answer.expose().len().saturating_add(2048));
        self.write_flat(&mut record, wanted);
        record.written(FACTS, &self.facts().finish());
        record.into_secret()
    }

    /// Writes what every program understands, and those other members of the answer that are wanted.
    pub(super) fn write_flat(&self, record: &mut Members, wanted: impl Fn(&str, &Value<'_>) -> bool) {
        self.write_own(record);
        for ((name, value), (written, value_written)) in self.answer.members().zip(self.answer.written()) {
            if !OWN.contains(&&*name) && wanted(&name, &value) {
                record.written(written, value_written);
            }
        }
    }

    fn write_own(&self, record: &mut Members) {
        record.string("access_token", self.access_token.expose());
        record.string("token_type", &self.token_type.to_string());
        for (name, token) in [("refresh_token", &self.refresh_token), ("id_token", &self.id_token)] {
            if let Some(token) = token {
                record.string(name, token.expose());
            }
        }
        if self.granted.is_some() || !self.requested.is_empty() {
            record.string("scope", self.scope().as_str());
        }
        record.number("granted_at", self.received_at.as_secs());
        if let Some(expires_at) = self.expires_at {
            record.number("expires_at", expires_at.as_secs());
        }
    }

    /// Writes what only this library knows.
    fn facts(&self) -> Members {
        let mut facts = Members::new(Layout::Compact, 512);
        facts.number("version", VERSION);
        facts.number("received_at_ms", self.received_at.as_millis());
        if let Some(expires_at) = self.expires_at {
            facts.number("expires_at_ms", expires_at.as_millis());
        }
        facts.string("requested", self.requested.as_str());
        facts.written("granted", if self.granted.is_some() { "true" } else { "false" });
        facts.strings("resources", self.resources.iter().map(String::as_str));
        if let Some(person) = &self.person {
            facts.string("issuer", &person.issuer);
            facts.string("subject", &person.subject);
        }
        facts.strings("notes", self.notes.iter().map(|note| note.name()));
        facts
    }

    /// Reads a record: one of [`to_record`](Self::to_record), or one that another program has written.
    ///
    /// In a record of another program, `expires_at`, `granted_at` and `expires_in` are integers, fractions or text.
    /// `expires_in` counts from `granted_at`; without it the lifetime is unknown. A time that is `null`, negative, no
    /// number or beyond the year 9999 is ignored, and so is an empty refresh token; an absent token type is `Bearer`.
    /// [`notes`](Self::notes) tells of each. `now` is when the token is taken to have come if the record does not say.
    ///
    /// [`identity`](Self::identity) is `None`: what was stored is not verified. [`subject`](Self::subject) remembers who
    /// it was.
    ///
    /// # Errors
    /// [`RecordError`] tells apart nothing stored, no token, a newer version, and what cannot be read. Nothing is quoted.
    pub fn from_record(bytes: &[u8], now: Timestamp) -> Result<Self, RecordError> {
        let object = object(bytes)?;
        let Some(facts) = object.get(FACTS) else {
            let read = Read::of(&object, "access_token")?;
            return Ok(read.foreign(Names::USUAL, now, object));
        };
        let Value::Object(facts) = facts else {
            return Err(RecordError::Unreadable(RecordFlaw::Member(FACTS)));
        };
        let version = integer(facts, "version")?.unwrap_or(0);
        if version > VERSION {
            return Err(RecordError::Newer { version });
        }
        let facts =
            Facts::of(facts).filter(|_| version > 0).ok_or(RecordError::Unreadable(RecordFlaw::Member(FACTS)))?;
        Read::of(&object, "access_token")?.own(facts, &object)
    }

    /// The issuer of the id_token that the login began with, as it was verified then; kept through refreshes and storage.
    pub fn issuer(&self) -> Option<&str> {
        self.person.as_ref().map(|person| person.issuer.as_str())
    }

    /// Whom the login was about, as it was verified then; kept through refreshes and storage.
    ///
    /// Unlike [`identity`](Self::identity) it is as trustworthy as the place where the record was stored.
    pub fn subject(&self) -> Option<&str> {
        self.person.as_ref().map(|person| person.subject.as_str())
    }
}

/// Reads the object that a record is.
pub(super) fn object(bytes: &[u8]) -> Result<Object, RecordError> {
    if bytes.len() > RECORD_LIMIT {
        return Err(RecordError::Unreadable(RecordFlaw::TooLarge));
    }
    let object = Object::parse(bytes)
        .map_err(|error| RecordError::Unreadable(RecordFlaw::Json { at: error.at, flaw: error.flaw }))?;
    if object.is_empty() { Err(RecordError::Empty) } else { Ok(object) }
}

/// What the flat members say, but for the times.
pub(super) struct Read {
    access_token: Secret,
    token_type: TokenType,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    scope: Option<Scopes>,
    notes: Vec<Note>,
}

impl Read {
    pub(super) fn of(object: &Object, token_key: &str) -> Result<Self, RecordError> {
        let mut notes = Vec::new();
        let expect = Expectation::default();
        Ok(Self {
            access_token: access_token(object, token_key)?,
            token_type: token_type(object, &mut notes)?,
            refresh_token: answer::refresh_token(object, &mut notes)?,
            id_token: answer::id_token(object, &expect, &mut notes)?,
            scope: answer::scope(object, &expect, &mut notes)?,
            notes,
        })
    }

    /// Makes the token set of a record that another program has written.
    pub(super) fn foreign(mut self, names: Names<'_>, now: Timestamp, answer: Object) -> TokenSet {
        let times = times::foreign(&answer, names, now, &mut self.notes);
        let requested = self.scope.clone().unwrap_or_default();
        let granted = self.scope.take();
        self.into_tokens(times, requested, granted, answer)
    }

    /// Makes the token set of a record of ours.
    fn own(mut self, facts: Facts, object: &Object) -> Result<TokenSet, RecordError> {
        let times = times::own(object, facts.times);
        let granted = self.scope.take().filter(|scope| facts.granted || *scope != facts.requested);
        let mut answer = Members::new(Layout::Compact, object.expose().len());
        for ((name, _), (written, value)) in object.members().zip(object.written()) {
            if name != FACTS {
                answer.written(written, value);
            }
        }
        let answer = answer.into_object().map_err(|_| RecordError::Unreadable(RecordFlaw::Member(FACTS)))?;
        // What is tolerated here was noted, or was not there, when the answer came.
        self.notes = facts.notes;
        let mut tokens = self.into_tokens(times, facts.requested, granted, answer);
        tokens.resources = facts.resources;
        tokens.person = facts.person;
        Ok(tokens)
    }

    fn into_tokens(self, times: Times, requested: Scopes, granted: Option<Scopes>, answer: Object) -> TokenSet {
        TokenSet {
            access_token: self.access_token,
            token_type: self.token_type,
            refresh_token: self.refresh_token,
            id_token: self.id_token,
            received_at: times.received_at,
            expires_at: times.expires_at,
            requested,
            granted,
            notes: self.notes,
            answer,
            resources: Vec::new(),
            identity: None,
            person: None,
        }
    }
}

/// The access token. Programs that take whatever stands there for a text also use numbers.
fn access_token(object: &Object, key: &str) -> Result<Secret, RecordError> {
    const NAME: &str = "access_token";
    match object.get(key) {
        None | Some(Value::Null) => Err(RecordError::TokenMissing),
        Some(Value::String(text)) if text.is_empty() => Err(RecordError::TokenMissing),
        Some(Value::String(text)) => Ok(answer::secret(text, NAME)?),
        Some(Value::Number(number)) => Ok(answer::secret(number.as_str().into(), NAME)?),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(RecordError::Unreadable(RecordFlaw::Member(NAME)))
        }
    }
}

/// How the token is presented. The client named the type when it took the token, so it is one that it can use.
fn token_type(object: &Object, notes: &mut Vec<Note>) -> Result<TokenType, RecordError> {
    const INVALID: RecordError = RecordError::Unreadable(RecordFlaw::Member("token_type"));
    match object.get("token_type") {
        None | Some(Value::Null) => {
            notes.push(Note::TokenTypeAssumed);
            Ok(TokenType::Bearer)
        }
        Some(Value::String(name)) if name.eq_ignore_ascii_case("Bearer") => Ok(TokenType::Bearer),
        Some(Value::String(name)) if name.eq_ignore_ascii_case("DPoP") => Ok(TokenType::Dpop),
        Some(Value::String(name)) => {
            let legal = (1..=LONGEST_TYPE).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
            if legal { Ok(TokenType::Other(name.into_owned())) } else { Err(INVALID) }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(INVALID),
    }
}

/// What only this library knows.
struct Facts {
    times: Times,
    requested: Scopes,
    granted: bool,
    resources: Vec<String>,
    person: Option<Person>,
    notes: Vec<Note>,
}

impl Facts {
    /// Reads the facts; `None` if one of them has the wrong type.
    fn of(facts: Nested<'_>) -> Option<Self> {
        let moment = |name| Some(integer(facts, name).ok()?.map(Timestamp::from_millis));
        let text = |name| facts.get(name).map_or(Some(None), |value| value.into_string().map(Some));
        let texts = |name| match facts.get(name) {
            None => Some(Vec::new()),
            Some(Value::Array(array)) => array.iter().map(Value::into_string).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => None,
        };
        let granted = match facts.get("granted")? {
            Value::Bool(granted) => granted,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let person = match (text("issuer")?, text("subject")?) {
            (Some(issuer), Some(subject)) => {
                Some(Person { issuer: issuer.into_owned(), subject: subject.into_owned() })
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(Self {
            times: Times { received_at: moment("received_at_ms")??, expires_at: moment("expires_at_ms")? },
            requested: Scopes::parse(&text("requested")??).ok()?,
            granted,
            resources: texts("resources")?.into_iter().map(|resource| resource.into_owned()).collect(),
            person,
            // A tolerance of a later version is not known by name here.
            notes: texts("notes")?.iter().filter_map(|name| Note::named(name)).collect(),
        })
    }
}

/// An integer among the facts.
fn integer(facts: Nested<'_>, name: &str) -> Result<Option<u64>, RecordError> {
    match facts.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) if number.is_integral() && !number.is_negative() => Ok(number.floor_u64()),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
        ) => Err(RecordError::Unreadable(RecordFlaw::Member(FACTS))),
    }
}

#[cfg(test)]
mod tests;
