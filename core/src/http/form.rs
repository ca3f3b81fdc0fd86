//! `application/x-www-form-urlencoded`, written and read.
//!
//! Written exactly as the WHATWG URL Standard's serializer does, which is what RFC 6749 Appendix B means. Read strictly:
//! the standard's parser repairs what is broken, and a repaired value can match what it was not. Used for request
//! bodies, for callbacks and for the token answers of servers that know no JSON.

use core::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::http::Body;
use crate::secret::Secret;

/// How many parameters a form may have when it is read.
pub const MAX_PARAMETERS: usize = 100;

/// Why a text is not an acceptable form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFlaw {
    /// Longer than the limit.
    TooLarge,
    /// More than [`MAX_PARAMETERS`] parameters.
    TooManyParameters,
    /// A broken percent-escape, an escaped NUL, a control character or a space as it is, or not UTF-8. Escaped, other
    /// control characters are part of the value, and for its reader to judge.
    Malformed,
}

impl fmt::Display for FormFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FormFlaw::TooLarge => "the form is too large",
            FormFlaw::TooManyParameters => "the form has too many parameters",
            FormFlaw::Malformed => "the form is not properly encoded",
        })
    }
}

impl core::error::Error for FormFlaw {}

/// Holds parameters in order, a name possibly several times.
///
/// ```
/// use grantflow_core::http::form::Form;
/// let mut form = Form::new();
/// form.push("grant_type", "refresh_token");
/// form.push("scope", "openid email");
/// assert_eq!(form.encode().expose(), b"grant_type=refresh_token&scope=openid+email");
/// ```
#[derive(Default)]
pub struct Form {
    parameters: Vec<(String, Secret)>,
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.parameters.push((name.into(), value.into()));
    }

    /// Makes a second copy, which is wiped on its own.
    pub fn duplicate(&self) -> Self {
        let parameters = self.parameters.iter().map(|(name, value)| (name.clone(), value.duplicate()));
        Self { parameters: parameters.collect() }
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.all(name).next()
    }

    /// All values of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Secret> {
        self.parameters.iter().filter(move |(found, _)| found == name).map(|(_, value)| value)
    }

    /// Takes the first value of this name out.
    pub fn take(&mut self, name: &str) -> Option<Secret> {
        let at = self.parameters.iter().position(|(found, _)| found == name)?;
        Some(self.parameters.remove(at).1)
    }

    /// Goes through the parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Writes the form as a body.
    pub fn encode(&self) -> Body {
        // The buffer is made in its final size: a buffer that grows leaves copies behind.
        let room = self.parameters.iter().fold(0_usize, |room, (name, value)| {
            room.saturating_add(encoded_len(name)).saturating_add(encoded_len(value.expose())).saturating_add(2)
        });
        let mut out = String::with_capacity(room);
        for (name, value) in &self.parameters {
            if !out.is_empty() {
                out.push('&');
            }
            encode_to(name, &mut out);
            out.push('=');
            encode_to(value.expose(), &mut out);
        }
        Body::new(out.into_bytes())
    }

    /// Reads a form of at most `limit` bytes and [`MAX_PARAMETERS`] parameters.
    ///
    /// Escapes are resolved exactly once, `+` is a space, a parameter without `=` has the empty value. Names may stand
    /// in it several times; that is for the reader to judge.
    ///
    /// # Errors
    /// [`FormFlaw`] when it is too long, has too many parameters, or is not properly encoded: nothing is repaired.
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, FormFlaw> {
        if bytes.len() > limit {
            return Err(FormFlaw::TooLarge);
        }
        let mut form = Self::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if form.len() == MAX_PARAMETERS {
                return Err(FormFlaw::TooManyParameters);
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            form.parameters.push((name, Secret::new(value)));
        }
        Ok(form)
    }
}

impl IntoIterator for Form {
    type Item = (String, Secret);
    type IntoIter = std::vec::IntoIter<(String, Secret)>;

    fn into_iter(self) -> Self::IntoIter {
        self.parameters.into_iter()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} parameters)", self.parameters.len())
    }
}

/// Encodes one name or value, as for HTTP Basic authentication (RFC 6749 §2.3.1).
pub fn encode_component(text: &str) -> Secret {
    let mut out = String::with_capacity(encoded_len(text));
    encode_to(text, &mut out);
    Secret::new(out)
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_')
}

fn encoded_len(text: &str) -> usize {
    text.bytes().fold(0, |len: usize, byte| len.saturating_add(if is_plain(byte) || byte == b' ' { 1 } else { 3 }))
}

fn encode_to(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            plain if is_plain(plain) => out.push(char::from(plain)),
            other => {
                out.push('%');
                out.push(hex(other >> 4));
                out.push(hex(other & 0xF));
            }
        }
    }
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Resolves the escapes of one name or value.
fn decode(mut encoded: &[u8]) -> Result<String, FormFlaw> {
    // Never longer than encoded, so the buffer is not moved and leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(encoded.len()));
    while let [byte, rest @ ..] = encoded {
        encoded = rest;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let [high, low, rest @ ..] = rest else {
                    return Err(FormFlaw::Malformed);
                };
                encoded = rest;
                let byte = (unhex(*high)? << 4) | unhex(*low)?;
                if byte == 0 {
                    return Err(FormFlaw::Malformed);
                }
                byte
            }
            0..=0x20 | 0x7F => return Err(FormFlaw::Malformed),
            other => *other,
        });
    }
    String::from_utf8(core::mem::take(&mut *out)).map_err(|error| {
        error.into_bytes().zeroize();
        FormFlaw::Malformed
    })
}

fn unhex(digit: u8) -> Result<u8, FormFlaw> {
    let digit = char::from(digit).to_digit(16).ok_or(FormFlaw::Malformed)?;
    u8::try_from(digit).map_err(|_| FormFlaw::Malformed)
}

#[cfg(test)]
mod tests;
