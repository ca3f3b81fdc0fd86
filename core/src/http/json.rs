//! JSON objects as protocol messages: strict, bounded, unknown members kept.
//!
//! [`Object::parse`] accepts exactly one JSON object (RFC 8259) in UTF-8 and notes where its members stand. Nothing is
//! copied out or converted before somebody asks: a member nobody knows costs its validation and no more. Stricter than
//! RFC 8259 demands: a member twice at any level (RFC 8725 §2.6), half a surrogate pair, nesting beyond
//! [`MAX_DEPTH`], more than [`MAX_MEMBERS`] members. A byte-order mark is tolerated. There is no recursion, and no
//! input makes the work grow faster than `n log n`.
//!
//! Left out on purpose: writing JSON, and top levels that are not objects; no message of the protocols has one.

mod parser;
#[cfg(test)]
mod tests;
mod value;

use core::fmt;
use std::borrow::Cow;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{Endpoint, Error, JsonFlaw, ProtocolError, Rule};
use crate::secret::Secret;
pub use value::{Array, Nested, Number, Value};
pub(crate) use value::{escape, escaped_len};

/// How deep objects and arrays may nest, the outermost object included.
pub const MAX_DEPTH: usize = 32;

/// How many members all objects of one text may have together.
pub const MAX_MEMBERS: usize = 10_000;

/// Why a text is not an acceptable JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The byte at which it went wrong.
    pub at: usize,
    /// What went wrong.
    pub flaw: JsonFlaw,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.flaw, self.at)
    }
}

impl core::error::Error for JsonError {}

impl From<JsonError> for Rule {
    fn from(JsonError { at, flaw }: JsonError) -> Self {
        Rule::Json { at, flaw }
    }
}

/// Holds a JSON object: its text, wiped on drop, and where its members stand in it.
///
/// ```
/// use grantflow_core::http::json::{Object, Value};
/// let object = Object::parse(br#"{"active":true,"scope":"a b"}"#)?;
/// assert!(matches!(object.get("active"), Some(Value::Bool(true))));
/// assert!(object.get("sub").is_none());
/// assert_eq!(format!("{object:?}"), "Object(2 members)");
/// # Ok::<(), grantflow_core::http::json::JsonError>(())
/// ```
pub struct Object {
    text: Secret,
    members: Vec<Member>,
}

/// Where one member stands. The name's span is without its quotes, the value's with them.
#[derive(Clone, Copy)]
struct Member {
    name: Span,
    value: Span,
    name_escaped: bool,
    /// Of a value that is a string.
    value_escaped: bool,
}

/// A piece of the text. Small, since an answer can have thousands; a text beyond 4 GiB is never read.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    fn of(self, text: &str) -> &str {
        let (Ok(start), Ok(end)) = (usize::try_from(self.start), usize::try_from(self.end)) else {
            return "";
        };
        text.get(start..end).unwrap_or_default()
    }
}

impl Member {
    fn is_named(&self, name: &str, text: &str) -> bool {
        let written = self.name.of(text);
        if self.name_escaped { value::unescape(written) == name } else { written == name }
    }

    fn name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let written = self.name.of(text);
        if self.name_escaped { value::unescape(written) } else { Cow::Borrowed(written) }
    }

    fn value<'a>(&self, text: &'a str) -> Value<'a> {
        Value::of(self.value.of(text), self.value_escaped)
    }
}

impl Object {
    /// Reads one JSON object, to the last byte.
    ///
    /// # Errors
    /// [`JsonError`] names the first thing that is wrong and the byte where it stands; it quotes nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mark = bytes.len().saturating_sub(text.len());
        let text = core::str::from_utf8(text).map_err(|error| JsonError {
            at: error.valid_up_to(),
            flaw: if error.error_len().is_some() { JsonFlaw::Encoding } else { JsonFlaw::Truncated },
        });
        text.and_then(|text| Ok(Self { members: parser::members(text)?, text: Secret::new(text.to_owned()) }))
            .map_err(|error| JsonError { at: error.at.saturating_add(mark), flaw: error.flaw })
    }

    /// Reads one JSON object without copying it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_owned(bytes: Vec<u8>) -> Result<Self, JsonError> {
        match String::from_utf8(bytes) {
            Ok(text) if !text.starts_with('\u{feff}') => {
                let text = Secret::new(text);
                Ok(Self { members: parser::members(text.expose())?, text })
            }
            Ok(marked) => Self::parse(&Zeroizing::new(marked.into_bytes())),
            Err(other) => Self::parse(&Zeroizing::new(other.into_bytes())),
        }
    }

    /// Makes the object whose members are these strings: what a form says, read as JSON.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), of the text that the object would be.
    pub fn of_strings(members: &[(&str, &str)]) -> Result<Self, JsonError> {
        // The buffer is made in its final size: a buffer that grows leaves copies behind.
        let room = members.iter().fold(2_usize, |room, (name, value)| {
            room.saturating_add(value::escaped_len(name)).saturating_add(value::escaped_len(value)).saturating_add(6)
        });
        let mut text = String::with_capacity(room);
        text.push('{');
        for (at, (name, value)) in members.iter().enumerate() {
            text.push_str(if at == 0 { "\"" } else { ",\"" });
            value::escape(name, &mut text);
            text.push_str("\":\"");
            value::escape(value, &mut text);
            text.push('"');
        }
        text.push('}');
        let text = Secret::new(text);
        Ok(Self { members: parser::members(text.expose())?, text })
    }

    /// Finds a member by its name.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let text = self.expose();
        // Most names differ in length already, and an answer can have thousands.
        let len = u32::try_from(name.len()).ok()?;
        let alike = |member: &&Member| member.name_escaped || member.name.end.wrapping_sub(member.name.start) == len;
        let member = self.members.iter().filter(alike).find(|member| member.is_named(name, text))?;
        Some(member.value(text))
    }

    /// Whether there is a member of this name, if only `null`.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Goes through the members in the order in which they stand.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, Value<'_>)> {
        let text = self.expose();
        self.members.iter().map(move |member| (member.name(text), member.value(text)))
    }

    /// Goes through the members as they are written: the name without its quotes, the value with them.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.expose();
        self.members.iter().map(move |member| (member.name.of(text), member.value.of(text)))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Reads the whole text, as sent but without a byte-order mark.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Reads the whole object as a type of the caller's: members of its own, or of an extension.
    ///
    /// # Errors
    /// [`Error::Protocol`] with [`Rule::MemberInvalid`] when the object is not of that shape. No value is quoted.
    pub fn extra<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.expose()).map_err(|_| {
            Error::Protocol(Box::new(ProtocolError {
                endpoint: Endpoint::Extension,
                rule: Rule::MemberInvalid("extra members"),
                answer: None,
            }))
        })
    }

    /// Makes a second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { text: self.text.duplicate(), members: self.members.clone() }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} members)", self.members.len())
    }
}
