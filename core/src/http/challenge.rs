//! `WWW-Authenticate` challenges (RFC 9110 §11).
//!
//! One field value can hold several challenges, several values can stand in one answer, and commas separate both
//! challenges and parameters. One pass over the text, no going back: work is linear in its length.

use core::fmt;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How many challenges one value, and how many parameters one challenge may have.
pub const MAX_CHALLENGES: usize = 100;

/// Why a field value is no list of challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeFlaw {
    /// It breaks the grammar, an open quote included.
    Malformed,
    /// A parameter stands twice in one challenge.
    DuplicateParameter,
    /// More than [`MAX_CHALLENGES`] challenges, or parameters of one.
    TooMany,
}

impl fmt::Display for ChallengeFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChallengeFlaw::Malformed => "the challenge is malformed",
            ChallengeFlaw::DuplicateParameter => "a parameter of the challenge stands there twice",
            ChallengeFlaw::TooMany => "there are too many challenges",
        })
    }
}

impl core::error::Error for ChallengeFlaw {}

/// One challenge. Its texts are the server's: not escaped, not fit for printing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    token68: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The authentication scheme, as sent.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it is of this scheme. Schemes know no case (RFC 9110 §11.1).
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// What stands in it instead of parameters.
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    /// Finds a parameter by its name, which knows no case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Goes through the parameters in the order in which they stand.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The error code (RFC 6750 §3.1).
    pub fn error(&self) -> Option<&str> {
        self.get("error")
    }

    /// What the server says about the error (RFC 6750 §3).
    pub fn error_description(&self) -> Option<&str> {
        self.get("error_description")
    }

    /// The scope that the resource needs (RFC 6750 §3).
    pub fn scope(&self) -> Option<&str> {
        self.get("scope")
    }
}

/// Reads all challenges of an answer. A value that breaks the grammar says nothing: it is left out as a whole.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().take(MAX_CHALLENGES);
    values.filter_map(|value| parse(value.as_bytes()).ok()).flatten().collect()
}

/// Reads one field value. Bytes that are not UTF-8, which a quoted text may hold, are replaced.
///
/// # Errors
/// [`ChallengeFlaw`] says what is wrong with the value.
pub fn parse(value: &[u8]) -> Result<Vec<Challenge>, ChallengeFlaw> {
    let text = String::from_utf8_lossy(value);
    let mut reader = Reader { rest: &text };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        reader.separators();
        if reader.rest.is_empty() {
            return Ok(challenges);
        }
        match reader.element()? {
            Element::Parameter(name, value) => {
                challenges.last_mut().ok_or(ChallengeFlaw::Malformed)?.add(name, value)?;
            }
            Element::Scheme(scheme) => {
                if challenges.len() == MAX_CHALLENGES {
                    return Err(ChallengeFlaw::TooMany);
                }
                let mut challenge = Challenge { scheme: scheme.to_owned(), token68: None, parameters: Vec::new() };
                if reader.space() {
                    match reader.credentials()? {
                        Credentials::Nothing => {}
                        Credentials::Token68(token) => challenge.token68 = Some(token.to_owned()),
                        Credentials::Parameter(name, value) => challenge.add(name, value)?,
                    }
                }
                challenges.push(challenge);
            }
        }
        reader.end_of_element()?;
    }
}

impl Challenge {
    fn add(&mut self, name: &str, value: String) -> Result<(), ChallengeFlaw> {
        if self.token68.is_some() {
            return Err(ChallengeFlaw::Malformed);
        }
        if self.parameters.len() == MAX_CHALLENGES {
            return Err(ChallengeFlaw::TooMany);
        }
        if self.get(name).is_some() {
            return Err(ChallengeFlaw::DuplicateParameter);
        }
        self.parameters.push((name.to_owned(), value));
        Ok(())
    }
}

/// What can stand between two commas.
enum Element<'a> {
    Scheme(&'a str),
    Parameter(&'a str, String),
}

/// What can stand behind a scheme and a space.
enum Credentials<'a> {
    Nothing,
    Token68(&'a str),
    Parameter(&'a str, String),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Skips commas and the space around them.
    fn separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// Skips space. Says whether there was any.
    fn space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.len() < before
    }

    fn end_of_element(&mut self) -> Result<(), ChallengeFlaw> {
        self.space();
        if self.rest.is_empty() || self.rest.starts_with(',') { Ok(()) } else { Err(ChallengeFlaw::Malformed) }
    }

    fn element(&mut self) -> Result<Element<'a>, ChallengeFlaw> {
        let name = self.token().ok_or(ChallengeFlaw::Malformed)?;
        let after_name = self.rest;
        self.space();
        if self.rest.starts_with('=') {
            return Ok(Element::Parameter(name, self.value()?.ok_or(ChallengeFlaw::Malformed)?));
        }
        self.rest = after_name;
        Ok(Element::Scheme(name))
    }

    fn credentials(&mut self) -> Result<Credentials<'a>, ChallengeFlaw> {
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Credentials::Nothing);
        }
        let start = self.rest;
        if let Some(name) = self.token() {
            self.space();
            if let Some(value) = self.value()? {
                return Ok(Credentials::Parameter(name, value));
            }
        }
        // `abc==` is no parameter, `abc=` ends without a value: both are padded token68.
        let unpadded = start.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "-._~+/".contains(char));
        // No `=` stands here first: the scheme would be the name of a parameter.
        let rest = unpadded.trim_start_matches('=');
        let (token, rest) = start.split_at_checked(start.len().saturating_sub(rest.len())).unwrap_or(("", start));
        self.rest = rest;
        if token.is_empty() { Err(ChallengeFlaw::Malformed) } else { Ok(Credentials::Token68(token)) }
    }

    /// Reads `=` and a value, if that is what comes.
    fn value(&mut self) -> Result<Option<String>, ChallengeFlaw> {
        let Some(rest) = self.rest.strip_prefix('=') else {
            return Ok(None);
        };
        self.rest = rest;
        self.space();
        match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.quoted().map(Some)
            }
            None => Ok(self.token().map(str::to_owned)),
        }
    }

    /// Reads a token (RFC 9110 §5.6.2).
    fn token(&mut self) -> Option<&'a str> {
        let rest =
            self.rest.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char));
        let (token, rest) = self.rest.split_at_checked(self.rest.len().saturating_sub(rest.len()))?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Reads a quoted string whose opening quote has been read (RFC 9110 §5.6.4).
    fn quoted(&mut self) -> Result<String, ChallengeFlaw> {
        let mut out = String::new();
        let mut chars = self.rest.chars();
        loop {
            let char = match chars.next() {
                Some('"') => {
                    self.rest = chars.as_str();
                    return Ok(out);
                }
                Some('\\') => chars.next(),
                other => other,
            };
            match char {
                Some(char) if char == '\t' || !char.is_control() => out.push(char),
                _ => return Err(ChallengeFlaw::Malformed),
            }
        }
    }
}

#[cfg(test)]
mod tests;
