//! Checks that protect somebody, and callbacks that cannot be used.

use super::{Endpoint, UrlFlaw};

/// A check that protects somebody failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityError {
    /// The issuer is another one (RFC 8414 §3.3, RFC 9207 §2.4). Compared as exact text.
    IssuerMismatch {
        /// What was expected.
        expected: String,
        /// What came, escaped and cut.
        found: String,
    },
    /// The metadata promises `iss` in the callback and it is not there (RFC 9207 §2.4).
    IssuerMissing,
    /// A URL in the server's metadata is not allowed.
    Url {
        /// What the URL is for.
        endpoint: Endpoint,
        /// What is wrong with it.
        flaw: UrlFlaw,
    },
    /// A signed answer was demanded, and this one is not signed.
    Unsigned,
    /// An id_token's algorithm is not allowed for this client.
    Algorithm(String),
    /// An id_token has critical headers that this library does not know (RFC 7515 §4.1.11).
    CriticalHeader,
    /// A JWT is of another kind (RFC 8725 §3.11).
    JwtType(String),
    /// No key fits, or the key that fits is too weak.
    Key(KeyFlaw),
    /// A signature is wrong.
    Signature,
    /// A claim is absent.
    ClaimMissing(&'static str),
    /// A claim has the wrong type or the wrong value.
    Claim {
        /// Which claim.
        claim: &'static str,
        /// What was expected, unless it is secret.
        expected: Option<String>,
        /// What came, unless it is secret; escaped and cut.
        found: Option<String>,
    },
    /// A time claim says too early or too late.
    Time {
        /// Which claim: `exp`, `nbf`, `iat`, `auth_time`.
        claim: &'static str,
        /// What it says, in seconds since the epoch.
        value: i64,
        /// What time it is, in seconds since the epoch.
        now: u64,
    },
    /// UserInfo speaks of somebody else than the id_token (OpenID Connect Core §5.3.2).
    SubjectMismatch,
}

/// Why no key could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFlaw {
    /// No key of the set fits.
    NotFound,
    /// Too many keys fit and the token names none.
    Ambiguous,
    /// RSA below 2048 bits or beyond 8192, or an impossible exponent.
    Weak,
    /// The key cannot be read.
    Malformed,
}

/// Why a callback was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadCallback {
    /// There is no `state`.
    StateMissing,
    /// `state` is not this flow's.
    StateMismatch,
    /// A parameter stands in it twice (RFC 6749 §3.1).
    DuplicateParameter,
    /// Neither a code nor an error.
    CodeMissing,
    /// Both a code and an error.
    CodeAndError,
    /// A code that cannot be one: empty, outside visible ASCII.
    CodeMalformed,
    /// A value that only other response types have: `access_token`, `id_token`, `token`.
    UnexpectedToken,
    /// A JARM `response` where none was asked for.
    UnexpectedResponse,
    /// Not UTF-8, or broken percent-encoding.
    Malformed,
    /// Longer than 16 KiB.
    TooLarge,
    /// More than 100 parameters.
    TooManyParameters,
    /// It came another way than asked: query for form_post or the reverse.
    ResponseMode,
    /// What a person has pasted is not the redirect URI with an answer in it.
    NotRedirectUri,
}
