//! The text of the file: one JSON object, a record under each key.
//!
//! ```json
//! {
//!   "schema": 1,
//!   "records": {
//!     "https%3A%2F%2Fas.example my-client default": {
//!       "schema": 1,
//!       "version": "1886000000000000000",
//!       "tokens": {}
//!     }
//!   }
//! }
//! ```
//!
//! Each record says its version in a member. What else is in it is copied as it stands when another one is replaced. Bytes
//! that are no such record stand under `base64`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::Version;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The schema that is written. A newer one is refused, an older one must load for ever.
const SCHEMA: u64 = 1;

/// The most bytes of a file.
pub(crate) const DOCUMENT_LIMIT: usize = 64 * 1024 * 1024;

/// The longest record that is laid out in lines. Nobody reads longer ones.
const LAID_OUT: usize = 64 * 1024;

/// How far lines go to the right at most.
const DEEPEST: usize = 32;

/// The records of a file, by the texts of their keys.
pub(crate) struct Document<'a> {
    records: BTreeMap<Cow<'a, str>, &'a str>,
}

#[derive(Deserialize)]
struct Head {
    schema: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    #[serde(rename = "schema")]
    _schema: u64,
    #[serde(borrow)]
    records: Members<'a>,
}

/// The members of an object, each name once.
struct Members<'a>(BTreeMap<Cow<'a, str>, &'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = BTreeMap<Cow<'de, str>, &'de str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    match members.entry(name.0) {
                        Entry::Vacant(vacant) => vacant.insert(value.get()),
                        Entry::Occupied(_) => return Err(de::Error::custom("a member twice")),
                    };
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
}

fn corrupt(why: &str) -> StoreError {
    StoreError::new(StoreFault::Corrupt, why)
}

impl<'a> Document<'a> {
    /// A file in which nothing is kept.
    pub(crate) fn empty() -> Self {
        Self { records: BTreeMap::new() }
    }

    /// Reads a file.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(bytes).map_err(|_| corrupt("the file is not text"))?;
        let Head { schema } = serde_json::from_str(text).map_err(|_| corrupt("the file is not a JSON object"))?;
        if schema > SCHEMA {
            return Err(StoreError::new(StoreFault::Newer, "the file was written by a newer version of this software"));
        }
        if schema != SCHEMA {
            return Err(corrupt("the file has a schema that never was"));
        }
        let read: Read<'a> = serde_json::from_str(text).map_err(|_| corrupt("the file holds something else"))?;
        Ok(Self { records: read.records.0 })
    }

    /// The record under a key: its version and its text.
    pub(crate) fn record(&self, key: &str) -> Option<Result<(Version, &'a str), StoreError>> {
        self.records
            .get(key)
            .map(|text| Ok((version_of(text).ok_or_else(|| corrupt("a record without a version"))?, *text)))
    }

    /// The keys of all records.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(AsRef::as_ref)
    }

    /// Puts a record under a key.
    pub(crate) fn put(&mut self, key: &'a str, text: &'a str) {
        self.records.insert(Cow::Borrowed(key), text);
    }

    /// Forgets the record under a key, and says whether there was one.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        self.records.remove(key).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> Secret<Vec<u8>> {
        let names: Vec<String> =
            self.records.keys().map(|key| serde_json::Value::from(key.as_ref()).to_string()).collect();
        collected(|sink| {
            sink(b"{\n  \"schema\": ");
            sink(SCHEMA.to_string().as_bytes());
            sink(b",\n  \"records\": {");
            for (at, (name, record)) in names.iter().zip(self.records.values()).enumerate() {
                sink(if at == 0 { b"\n    " } else { b",\n    " });
                sink(name.as_bytes());
                sink(b": ");
                sink(record.as_bytes());
            }
            sink(b"\n  }\n}\n");
        })
    }
}

/// Gathers what is written in pieces. All room is made at once, so that no half-grown copy is left behind unwiped.
fn collected(write: impl Fn(&mut dyn FnMut(&[u8]))) -> Secret<Vec<u8>> {
    let mut length = 0_usize;
    write(&mut |piece| length = length.saturating_add(piece.len()));
    let mut bytes = Vec::with_capacity(length);
    write(&mut |piece| bytes.extend_from_slice(piece));
    Secret::new(bytes)
}

fn version_of(record: &str) -> Option<Version> {
    let Versioned { version } = serde_json::from_str(record).ok().filter(|_| record.starts_with('{'))?;
    let number: u64 = version.parse().ok()?;
    (number.to_string() == version).then(|| Version::from_u64(number))
}

/// Writes a record as it stands in the file.
pub(crate) fn plain(version: Version, bytes: &[u8]) -> Secret<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| {
        // Only what comes back byte for byte, and cannot be taken for the other form.
        version_of(text) == Some(version) && encoded(text).is_none() && compact(text).expose() == bytes
    });
    match text {
        Some(text) => laid_out(text),
        None => {
            let encoded = Secret::new(STANDARD.encode(bytes));
            coded(version, "base64", encoded.expose())
        }
    }
}

/// Reads what [`plain`] has written.
pub(crate) fn read_plain(text: &str) -> Option<Secret<Vec<u8>>> {
    match encoded(text) {
        Some(encoded) => STANDARD.decode(encoded).ok().map(Secret::new),
        None => Some(compact(text)),
    }
}

/// What stands under `base64` in a record.
fn encoded(record: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct Encoded<'a> {
        #[serde(borrow)]
        base64: &'a RawValue,
    }
    let Encoded { base64 } = serde_json::from_str(record).ok()?;
    Some(base64.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or("?"))
}

/// Writes a record whose bytes are not for reading: `{"version":"7","NAME":"CODED"}`, laid out. No escapes are made.
pub(crate) fn coded(version: Version, name: &str, coded: &str) -> Secret<Vec<u8>> {
    let version = version.to_string();
    collected(|sink| {
        for piece in ["{\n      \"version\": \"", &version, "\",\n      \"", name, "\": \"", coded, "\"\n    }"] {
            sink(piece.as_bytes());
        }
    })
}

/// Lays out a record in lines.
fn laid_out(text: &str) -> Secret<Vec<u8>> {
    const SPACES: [u8; 2 * DEEPEST] = [b' '; 2 * DEEPEST];
    if text.len() > LAID_OUT {
        return Secret::new(text.as_bytes().to_vec());
    }
    collected(|sink| {
        // In the file it is the third object, so its lines begin further right.
        let mut depth = 2_usize;
        let line = |depth: usize, sink: &mut dyn FnMut(&[u8])| {
            sink(b"\n");
            sink(SPACES.get(..depth.min(DEEPEST).saturating_mul(2)).unwrap_or_default());
        };
        let mut opened = false;
        tokens(text, |token| match token {
            b"{" | b"[" => {
                if opened {
                    line(depth, sink);
                }
                opened = true;
                sink(token);
                depth = depth.saturating_add(1);
            }
            b"}" | b"]" => {
                depth = depth.saturating_sub(1);
                if !opened {
                    line(depth, sink);
                }
                opened = false;
                sink(token);
            }
            b"," => {
                sink(token);
                line(depth, sink);
            }
            b":" => sink(b": "),
            _ => {
                if opened {
                    line(depth, sink);
                }
                opened = false;
                sink(token);
            }
        });
    })
}

/// The same JSON text without white space between its tokens.
pub(crate) fn compact(text: &str) -> Secret<Vec<u8>> {
    collected(|sink| tokens(text, |token| sink(token)))
}

/// Goes through the tokens of a JSON text, that is: through all bytes, save white space outside of strings.
fn tokens(text: &str, mut each: impl FnMut(&[u8])) {
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => {
                let mut escaped = false;
                let end = rest.iter().skip(1).position(|byte| {
                    let ends = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end.saturating_add(2))
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => 1,
            _ => rest.iter().position(|byte| b"\"{}[],: \n\r\t".contains(byte)).unwrap_or(rest.len()),
        };
        let Some((token, after)) = rest.split_at_checked(length) else { return };
        if !token.first().is_some_and(u8::is_ascii_whitespace) {
            each(token);
        }
        rest = after;
    }
}
