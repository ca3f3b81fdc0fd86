//! Compact JWS: cut apart within limits, its header read strictly, its signature checked (RFC 7515 §3.1, §5.2).

use std::borrow::Cow;

use super::base64url;
use super::keys::JwkSet;
use super::{KeyType, SignatureAlgorithm};
use crate::error::{Endpoint, Error, KeyFlaw, ProtocolError, Rule, SecurityError, safe_text};
use crate::http::json::{Object, Value};

/// The longest token, header and signature, in characters as sent.
const TOKEN_LIMIT: usize = 64 * 1024;
const HEADER_LIMIT: usize = 8 * 1024;
const SIGNATURE_LIMIT: usize = 2 * 1024;

/// How many keys are tried when the token does not name one.
const TRIALS: usize = 4;

/// Why a token was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// No key of the set fits. A newer set may have it: fetch that, or fail with the error inside.
    ///
    /// A token that names no key and fits none of those tried ends here too, since its key may be new.
    KeysMissing(Error),
    /// The token is not what it must be, whatever keys there are.
    Failed(Error),
}

impl VerifyError {
    /// The error to end with when there are no newer keys.
    pub fn into_error(self) -> Error {
        match self {
            VerifyError::KeysMissing(error) | VerifyError::Failed(error) => error,
        }
    }
}

impl From<Error> for VerifyError {
    fn from(error: Error) -> Self {
        VerifyError::Failed(error)
    }
}

impl From<SecurityError> for VerifyError {
    fn from(error: SecurityError) -> Self {
        VerifyError::Failed(Error::Security(error))
    }
}

/// A token cut at its dots. Nothing is decoded yet.
#[derive(Clone, Copy)]
pub(super) struct Compact<'a> {
    endpoint: Endpoint,
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// A header whose critical extensions are known, which is to say that there are none.
pub(super) struct Header {
    object: Object,
}

impl<'a> Compact<'a> {
    /// Cuts a token apart; allocates nothing, however many dots there are.
    pub(super) fn cut(token: &'a str, endpoint: Endpoint) -> Result<Self, Error> {
        let too_large = || Error::Protocol(Box::new(ProtocolError { endpoint, rule: Rule::JwtTooLarge, answer: None }));
        if token.len() > TOKEN_LIMIT {
            return Err(too_large());
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(endpoint));
        };
        if header.len() > HEADER_LIMIT || signature.len() > SIGNATURE_LIMIT {
            return Err(too_large());
        }
        let signed = token.len().saturating_sub(signature.len()).saturating_sub(1);
        let signed = token.get(..signed).unwrap_or_default();
        Ok(Self { endpoint, signed, header, payload, signature })
    }

    /// Reads the header.
    pub(super) fn header(&self) -> Result<Header, Error> {
        Ok(Header { object: self.object(self.header)? })
    }

    /// Reads the payload. To be called only once the signature is known to be right.
    pub(super) fn payload(&self) -> Result<Object, Error> {
        self.object(self.payload)
    }

    /// That the token cannot be read.
    pub(super) fn malformed(&self) -> Error {
        malformed(self.endpoint)
    }

    fn object(&self, part: &str) -> Result<Object, Error> {
        let bytes = base64url::decode(part).ok_or_else(|| self.malformed())?;
        Object::parse_owned(bytes).map_err(|_| self.malformed())
    }

    /// Checks the signature with the keys that fit.
    pub(super) fn check(
        &self,
        header: &Header,
        algorithm: SignatureAlgorithm,
        keys: &JwkSet,
    ) -> Result<(), VerifyError> {
        let kid = header.kid(self)?;
        let fitting = || keys.fitting(kid.as_deref(), algorithm);
        let usable = || fitting().filter_map(|key| key.usable());
        match usable().count() {
            0 => {
                return Err(match fitting().find_map(|key| key.flaw()) {
                    Some(flaw) => SecurityError::Key(flaw).into(),
                    None => VerifyError::KeysMissing(Error::Security(SecurityError::Key(KeyFlaw::NotFound))),
                });
            }
            1..=TRIALS => {}
            _ => return Err(SecurityError::Key(KeyFlaw::Ambiguous).into()),
        }
        let mut buffer = [0; SIGNATURE_LIMIT / 4 * 3];
        let signature = base64url::decode_into(self.signature, &mut buffer).ok_or_else(|| self.malformed())?;
        if usable().any(|key| key.verifies(algorithm, self.signed.as_bytes(), signature)) {
            return Ok(());
        }
        let wrong = Error::Security(SecurityError::Signature);
        Err(if kid.is_some() { VerifyError::Failed(wrong) } else { VerifyError::KeysMissing(wrong) })
    }
}

impl Header {
    /// The algorithm, if it is one of those allowed.
    pub(super) fn algorithm(
        &self,
        token: &Compact<'_>,
        allowed: &[SignatureAlgorithm],
    ) -> Result<SignatureAlgorithm, Error> {
        let name = self.algorithm_name().ok_or_else(|| token.malformed())?;
        let known = SignatureAlgorithm::parse(&name).filter(|algorithm| allowed.contains(algorithm));
        known.ok_or_else(|| Error::Security(SecurityError::Algorithm(safe_text(&name))))
    }

    /// The `alg` as sent, if it is text.
    pub(super) fn algorithm_name(&self) -> Option<Cow<'_, str>> {
        self.object.get("alg").and_then(Value::into_string)
    }

    /// Whether there are extensions that must be understood. None is, so every `crit` counts, and `b64` unless it says
    /// what holds anyway (RFC 7797 §3).
    pub(super) fn has_critical(&self) -> bool {
        self.object.get("crit").is_some() || !matches!(self.object.get("b64"), None | Some(Value::Bool(true)))
    }

    /// A header that says what kind of JWT this is.
    pub(super) fn kind(&self, member: &'static str, token: &Compact<'_>) -> Result<Option<Cow<'_, str>>, Error> {
        match self.object.get(member) {
            None => Ok(None),
            Some(Value::String(kind)) => Ok(Some(kind)),
            Some(_) => Err(token.malformed()),
        }
    }

    /// The name of the key.
    pub(super) fn kid(&self, token: &Compact<'_>) -> Result<Option<Cow<'_, str>>, Error> {
        match self.object.get("kid") {
            None => Ok(None),
            Some(Value::String(kid)) => Ok(Some(kid)),
            Some(_) => Err(token.malformed()),
        }
    }
}

fn malformed(endpoint: Endpoint) -> Error {
    Error::Protocol(Box::new(ProtocolError { endpoint, rule: Rule::JwtMalformed, answer: None }))
}

impl SignatureAlgorithm {
    /// Whether a key of this type can be used with the algorithm.
    pub(super) fn takes(self, key: KeyType) -> bool {
        self.key_type() == key
    }
}
