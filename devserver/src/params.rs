//! Request parameters: query strings and form bodies (RFC 6749 §3.1, §3.2, Appendix B).
//!
//! They are read with the URL Standard's own parser and not with the core's: a server that shared its clients' code would
//! share their mistakes and notice none.

use url::form_urlencoded;

use crate::refusal::Refusal;

/// More parameters than any honest request has.
const MOST_PARAMETERS: usize = 100;

/// Parameters whose repetition means something (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The decoded parameters of one request, in order.
#[derive(Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// The text was broken or had too many parameters; what could be read is there.
    broken: bool,
}

impl Params {
    /// Decodes a query string or a form body. Never fails: what is wrong shows in [`Params::checked`].
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let mut pairs: Vec<_> =
            form_urlencoded::parse(encoded).into_owned().take(MOST_PARAMETERS.saturating_add(1)).collect();
        let repaired = pairs.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'));
        let broken = repaired || has_broken_escape(encoded) || pairs.len() > MOST_PARAMETERS;
        pairs.truncate(MOST_PARAMETERS);
        Self { pairs, broken }
    }

    /// Refuses broken text, and a parameter that is there twice, save those that may be.
    ///
    /// # Errors
    /// `invalid_request`, naming the parameter.
    pub(crate) fn checked(&self) -> Result<&Self, Refusal> {
        if self.broken {
            return Err(Refusal::invalid_request("the parameters are not properly encoded, or too many"));
        }
        match self.repeated() {
            Some(name) => Err(Refusal::invalid_request(format!("parameter {name} is repeated"))),
            None => Ok(self),
        }
    }

    /// Whether the text was broken or had too many parameters.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The first parameter that is there twice and may not be.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut seen = Vec::new();
        for (name, _) in &self.pairs {
            if REPEATABLE.contains(&name.as_str()) {
                continue;
            }
            if seen.contains(&name) {
                return Some(name);
            }
            seen.push(name);
        }
        None
    }

    /// The value of `name`; a parameter without a value counts as omitted (RFC 6749 §3.1).
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// `invalid_request`, naming the parameter.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name).ok_or_else(|| Refusal::invalid_request(format!("parameter {name} is missing")))
    }

    /// All values of `name`.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.pairs.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// The set of words in `name`, in order, each once.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for word in self.one(name).unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
            if !words.iter().any(|seen| seen == word) {
                words.push(word.to_owned());
            }
        }
        words
    }

    /// Names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Whether a percent sign stands without two hexadecimal digits behind it.
fn has_broken_escape(encoded: &[u8]) -> bool {
    encoded
        .split(|byte| *byte == b'%')
        .skip(1)
        .any(|rest| !matches!(rest, [first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit()))
}
