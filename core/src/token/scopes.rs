//! Sets of scope tokens (RFC 6749 §3.3).

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// How many scope tokens a set may be made of.
const MAX_SCOPES: usize = 1_000;

/// How long all tokens of a set may be together, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// A set of scope tokens that keeps their order. Case counts.
///
/// ```
/// use grantflow_core::token::Scopes;
/// let scopes = Scopes::new(["openid", "email"])?;
/// assert!(scopes.contains("email"));
/// assert_eq!(scopes.to_string(), "openid email");
/// assert_eq!(Scopes::parse("openid email openid")?, scopes);
/// # Ok::<(), grantflow_core::error::ConfigError>(())
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes {
    /// The tokens, each once, with one space between two.
    list: String,
}

impl Scopes {
    /// The set without a token.
    pub const EMPTY: &'static Scopes = &Scopes { list: String::new() };

    /// Makes a set of tokens.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for an empty token, for one with a character other than visible ASCII without quote and
    /// backslash (so not a space either), and beyond 1,000 tokens or 64 KiB.
    pub fn new<S: AsRef<str>>(tokens: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        let tokens: Vec<S> = tokens.into_iter().take(MAX_SCOPES.saturating_add(1)).collect();
        Self::of(tokens.iter().map(AsRef::as_ref), String::new())
    }

    /// Reads a list with spaces between the tokens, as it stands in messages. Spaces may be doubled.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn parse(list: &str) -> Result<Self, ConfigError> {
        Self::split(list, |char| char == ' ')
    }

    /// Reads a list with separators between the tokens.
    pub(super) fn split(list: &str, is_separator: impl Fn(char) -> bool) -> Result<Self, ConfigError> {
        let room = String::with_capacity(list.len().min(MAX_LENGTH));
        Self::of(list.split(is_separator).filter(|token| !token.is_empty()), room)
    }

    fn of<'a>(tokens: impl Iterator<Item = &'a str>, mut list: String) -> Result<Self, ConfigError> {
        let invalid = |why| Err(ConfigError::Invalid { setting: "scope", why });
        // Looking each token up in the list itself would make a long list cost the square of its length.
        let mut known = BTreeSet::new();
        for (count, token) in tokens.enumerate() {
            if count >= MAX_SCOPES {
                return invalid("more than 1,000 scopes");
            }
            if list.len().saturating_add(token.len()) > MAX_LENGTH {
                return invalid("more than 64 KiB of scopes");
            }
            if token.is_empty() || !token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
                return invalid("a scope is visible ASCII without spaces, quotes and backslashes");
            }
            if known.insert(token) {
                if !list.is_empty() {
                    list.push(' ');
                }
                list.push_str(token);
            }
        }
        Ok(Self { list })
    }

    /// Goes through the tokens in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether the token is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|found| found == token)
    }

    /// Whether all tokens of this set are in the other.
    pub fn is_subset(&self, other: &Scopes) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// The tokens that are not in the other set.
    pub fn difference<'a>(&'a self, other: &'a Scopes) -> impl Iterator<Item = &'a str> {
        self.iter().filter(|token| !other.contains(token))
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The tokens with a space between two, as they stand in a request.
    pub fn as_str(&self) -> &str {
        &self.list
    }
}

/// Sets are equal when they have the same tokens, in whatever order.
impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.list.len() == other.list.len() && self.is_subset(other)
    }
}

impl Eq for Scopes {}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({})", self.list)
    }
}

impl FromStr for Scopes {
    type Err = ConfigError;

    fn from_str(list: &str) -> Result<Self, ConfigError> {
        Self::parse(list)
    }
}

impl TryFrom<String> for Scopes {
    type Error = ConfigError;

    fn try_from(list: String) -> Result<Self, ConfigError> {
        Self::parse(&list)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> String {
        scopes.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_order_and_drops_doubles() {
        let scopes = Scopes::parse("  b a  b c ").unwrap();
        assert_eq!(scopes.to_string(), "b a c");
        assert_eq!(scopes.len(), 3);
        assert_eq!(scopes, Scopes::new(["a", "c", "b"]).unwrap());
        assert_ne!(scopes, Scopes::new(["a", "c", "d"]).unwrap());
        assert_ne!(Scopes::parse("ab c").unwrap(), Scopes::parse("a bc").unwrap());
        assert!(!scopes.contains("B") && !scopes.contains("") && !scopes.contains("b a"));
        assert_eq!(Scopes::parse("").unwrap(), *Scopes::EMPTY);
        assert_eq!(Scopes::EMPTY.iter().count(), 0);
    }

    #[test]
    fn subsets_and_differences_are_of_whole_tokens() {
        let wide = Scopes::parse("read write:all").unwrap();
        let narrow = Scopes::parse("write").unwrap();
        assert!(!narrow.is_subset(&wide));
        assert_eq!(narrow.difference(&wide).collect::<Vec<_>>(), ["write"]);
        assert!(Scopes::EMPTY.is_subset(&narrow) && wide.is_subset(&wide));
    }

    #[test]
    fn tt_08_a_token_with_other_characters_is_refused() {
        for token in ["", "a b", "a\r\nb", "a\0", "a\"b", "a\\b", "é", "\u{7f}", "\t"] {
            assert!(matches!(Scopes::new([token]), Err(ConfigError::Invalid { setting: "scope", .. })), "{token:?}");
        }
        let every: String = ('!'..='~').filter(|char| !['"', '\\'].contains(char)).collect();
        assert_eq!(Scopes::new([&every]).unwrap().as_str(), every);
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let tokens = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(Scopes::new(tokens(1_000)).unwrap().len(), 1_000);
        assert!(Scopes::new(tokens(1_001)).is_err());
        assert!(Scopes::parse(&"a ".repeat(1_001)).is_err());
        assert!(Scopes::parse(&"a ".repeat(100_000)).is_err());
        assert!(Scopes::parse(&"a".repeat(64 * 1024)).is_ok());
        assert!(Scopes::parse(&"a".repeat(64 * 1024 + 1)).is_err());
    }

    #[test]
    fn a_set_is_stored_as_its_text() {
        let scopes = Scopes::parse("a b").unwrap();
        let stored = serde_json::to_string(&scopes).unwrap();
        assert_eq!(stored, r#""a b""#);
        assert_eq!(serde_json::from_str::<Scopes>(&stored).unwrap(), scopes);
        assert!(serde_json::from_str::<Scopes>(r#""a\nb""#).is_err());
    }
}
