//! Verifying an id_token, and reading one that is verified (OpenID Connect Core §2, §3.1.3.7; RFC 8725 §3).

use core::fmt;
use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::SignatureAlgorithm;
use super::claims::{self, Checks};
use super::jws::{Compact, VerifyError};
use super::keys::JwkSet;
use super::rules::IdTokenRules;
use super::signed;
use crate::crypto::Crypto;
use crate::error::{Error, SecurityError, safe_text};
use crate::http::json::{Object, Value};
use crate::machine::Observer;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Checks everything about an id_token: form, header, algorithm, signature, claims, in this order.
///
/// The algorithm is compared with the client's list before any key is looked for. No claim is read before the signature
/// is right.
///
/// # Errors
/// [`VerifyError::KeysMissing`] when a newer key set may help. [`VerifyError::Failed`] with [`Error::Protocol`] for what
/// cannot be read or is too long (64 KiB, its header 8 KiB, its signature 2 KiB), and with [`Error::Security`] for
/// everything that does not agree with the rules.
pub fn verify(
    token: &Secret,
    keys: &JwkSet,
    rules: &IdTokenRules<'_>,
    now: Timestamp,
    crypto: &dyn Crypto,
    observer: Option<&mut dyn Observer>,
) -> Result<VerifiedIdToken, VerifyError> {
    let mut checks = Checks { observer };
    let jws = Compact::cut(token.expose(), rules.endpoint)?;
    let algorithm = signed::check(&jws, keys, rules, &mut checks, ("JWT", kind))?;
    let claims = jws.payload()?;
    let essentials = claims::check(&claims, algorithm, rules, now, crypto, &mut checks)?;
    let claims::Essentials { issuer, subject, issued_at, expires_at } = essentials;
    Ok(VerifiedIdToken { token: token.duplicate(), claims, algorithm, issuer, subject, issued_at, expires_at })
}

/// Holds the claims of an id_token against the rules although nobody can check its signature.
///
/// What fails here fails for good; what passes is not true for that, so nothing of it is given out.
pub(crate) fn judge_unverified(
    token: &Secret,
    rules: &IdTokenRules<'_>,
    now: Timestamp,
    crypto: &dyn Crypto,
) -> Result<(), Error> {
    let mut checks = Checks { observer: None };
    let jws = Compact::cut(token.expose(), rules.endpoint)?;
    let header = jws.header()?;
    let algorithm = header.algorithm(&jws, rules.algorithms)?;
    claims::check(&jws.payload()?, algorithm, rules, now, crypto, &mut checks).map(|_| ())
}

/// Refuses JWTs of other kinds (RFC 8725 §3.11) and JWTs inside of JWTs.
fn kind(typ: Option<&str>, cty: Option<&str>) -> Result<(), SecurityError> {
    const ACCEPTED: [&str; 3] = ["JWT", "application/JWT", "JOSE"];
    const NESTED: [&str; 2] = ["JWT", "application/JWT"];
    let is_one_of = |kinds: &[&str], found: &str| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(found));
    match (typ, cty) {
        (Some(typ), _) if !is_one_of(&ACCEPTED, typ) => Err(SecurityError::JwtType(safe_text(typ))),
        (_, Some(cty)) if is_one_of(&NESTED, cty) => Err(SecurityError::JwtType(safe_text(&format!("nested {cty}")))),
        _ => Ok(()),
    }
}

/// An id_token of which everything has been checked. Only [`verify`] makes one, so its claims are never read too early.
///
/// A person is known by [`issuer`](Self::issuer) and [`subject`](Self::subject) together, and by nothing else: an
/// address or a name may pass to somebody else.
///
/// ```compile_fail
/// # use grantflow_core::{Secret, jose::VerifiedIdToken};
/// let forged = VerifiedIdToken { token: Secret::from("e30.e30.") };
/// ```
pub struct VerifiedIdToken {
    token: Secret,
    claims: Object,
    algorithm: SignatureAlgorithm,
    issuer: String,
    subject: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// What the server says about an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailVerification {
    /// It has verified that the address is this person's: `email_verified` is the boolean `true`.
    Verified,
    /// It says so in the text `"true"`, against the rules. Do not count on it.
    ClaimedInText,
    /// It has not.
    Unverified,
}

impl VerifiedIdToken {
    /// Who issued the token (`iss`), as the token says it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom the token is about (`sub`), unique with this issuer. 1 to 255 bytes.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whom the token is meant for (`aud`). The client is one of them.
    pub fn audience(&self) -> impl Iterator<Item = Cow<'_, str>> {
        claims::audiences(self.claims.get("aud"))
    }

    /// When the token expires (`exp`).
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When the token was issued (`iat`).
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// How the token is signed.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// When the person logged in (`auth_time`), if the token says so.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.claims.get("auth_time").as_ref().and_then(claims::numeric_date)
    }

    /// How well the person was authenticated (`acr`).
    pub fn acr(&self) -> Option<Cow<'_, str>> {
        self.text("acr")
    }

    /// By what means the person was authenticated (`amr`). What is not a string is left out.
    pub fn amr(&self) -> impl Iterator<Item = Cow<'_, str>> {
        claims::audiences(self.claims.get("amr").filter(|amr| matches!(amr, Value::Array(_))))
    }

    /// The session at the server (`sid`).
    pub fn session_id(&self) -> Option<Cow<'_, str>> {
        self.text("sid")
    }

    /// The e-mail address, whether it is this person's or not; see [`Self::email_verified`].
    ///
    /// `None` also for what is no address: not exactly one `@` with something on both sides, or space or control
    /// characters in it.
    pub fn email(&self) -> Option<Cow<'_, str>> {
        self.text("email").filter(|email| {
            let sound = !email.chars().any(|char| char.is_whitespace() || char.is_control());
            let parts = email.split_once('@');
            sound && parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
        })
    }

    /// What the server says about the e-mail address.
    pub fn email_verified(&self) -> EmailVerification {
        match self.claims.get("email_verified") {
            Some(Value::Bool(true)) => EmailVerification::Verified,
            Some(Value::String(text)) if text == "true" => EmailVerification::ClaimedInText,
            _ => EmailVerification::Unverified,
        }
    }

    /// Reads all claims as a type of the caller's, for claims that are not named here.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the claims are not of that shape.
    pub fn extra<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.claims.extra()
    }

    /// The token as it came: for `id_token_hint`, or to pass on.
    pub fn raw(&self) -> &Secret {
        &self.token
    }

    fn text(&self, claim: &str) -> Option<Cow<'_, str>> {
        self.claims.get(claim).and_then(Value::into_string)
    }
}

/// Shows the issuer alone: all else is about a person.
impl fmt::Debug for VerifiedIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedIdToken").field("issuer", &safe_text(&self.issuer)).finish_non_exhaustive()
    }
}
