//! Key sets (RFC 7517): read once, keys imported once, one bad key never spoils the others.

use std::borrow::Cow;
use std::sync::Arc;

use super::base64url;
use super::{KeyType, SignatureAlgorithm};
use crate::crypto::{Crypto, Curve, PublicKey, VerifyingKey};
use crate::error::{KeyFlaw, Rule, safe_text};
use crate::http::json::{Nested, Object, Value};

/// The public keys of one server, ready to check signatures.
#[derive(Debug, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is meant for signatures.
#[derive(Debug)]
pub struct Jwk {
    kid: Option<String>,
    algorithm: Option<SignatureAlgorithm>,
    key_type: KeyType,
    key: Result<Arc<dyn VerifyingKey>, KeyFlaw>,
}

/// A key of a set that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, escaped and cut, if it has one.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: SkipReason,
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is not an object, or a member has the wrong type.
    Malformed,
    /// Its `kty` or `crv` is not known here.
    UnknownType,
    /// Its `alg` is not known here, or does not belong to its type.
    UnknownAlgorithm,
    /// Its `use` or `key_ops` speak of something else than checking signatures.
    OtherUse,
    /// It has private members: whoever publishes those has no secret left to sign with (RFC 7517 §9.2).
    Private,
    /// It is a shared secret (`oct`), which does not belong in public.
    Symmetric,
    /// It stands behind the first [`JwkSet::MAX_KEYS`].
    TooMany,
}

/// The members that only private keys have (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl JwkSet {
    /// The largest document that is read, in bytes.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// How many keys of a document are used.
    pub const MAX_KEYS: usize = 100;

    /// Reads a document and imports its keys. A key that cannot be used is left out and listed in [`Self::skipped`].
    ///
    /// # Errors
    /// The [`Rule`] that the document breaks as a whole: it is too long, no JSON object, or its `keys` is no array.
    pub fn parse(document: &[u8], crypto: &dyn Crypto) -> Result<Self, Rule> {
        if document.len() > Self::MAX_BYTES {
            return Err(Rule::MemberInvalid("keys"));
        }
        let document = Object::parse(document)?;
        let keys = match document.get("keys") {
            None => return Err(Rule::MemberMissing("keys")),
            Some(Value::Array(keys)) => keys,
            Some(_) => return Err(Rule::MemberInvalid("keys")),
        };
        let mut set = Self::default();
        for (at, key) in keys.iter().enumerate() {
            let read = if at < Self::MAX_KEYS { Jwk::read(&key, crypto) } else { Err(SkipReason::TooMany) };
            match read {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skip(&key, reason),
            }
        }
        Ok(set)
    }

    fn skip(&mut self, key: &Value<'_>, reason: SkipReason) {
        // One entry is enough to say that there were too many.
        if self.skipped.last().is_some_and(|last| last.reason == SkipReason::TooMany) {
            return;
        }
        let kid = match key {
            Value::Object(key) => key.get("kid").and_then(Value::into_string).map(|kid| safe_text(&kid)),
            _ => None,
        };
        self.skipped.push(SkippedKey { kid, reason });
    }

    /// The keys that are meant for signatures, also those that cannot be used.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The keys that are not looked at, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether there is no key that could check a signature.
    pub fn is_empty(&self) -> bool {
        !self.keys.iter().any(|key| key.key.is_ok())
    }

    /// The keys that may have signed what names this key and this algorithm.
    pub(super) fn fitting<'s>(
        &'s self,
        kid: Option<&'s str>,
        algorithm: SignatureAlgorithm,
    ) -> impl Iterator<Item = &'s Jwk> {
        self.keys.iter().filter(move |key| {
            kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
                && algorithm.takes(key.key_type)
                && key.algorithm.is_none_or(|own| own == algorithm)
        })
    }
}

impl Jwk {
    /// The key's name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that the key may be used with, if it names one.
    pub fn algorithm(&self) -> Option<SignatureAlgorithm> {
        self.algorithm
    }

    /// What kind of key it is.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Why the key cannot be used, if it cannot.
    pub fn flaw(&self) -> Option<KeyFlaw> {
        self.key.as_ref().err().copied()
    }

    pub(super) fn usable(&self) -> Option<&dyn VerifyingKey> {
        self.key.as_deref().ok()
    }

    fn read(key: &Value<'_>, crypto: &dyn Crypto) -> Result<Self, SkipReason> {
        let Value::Object(key) = key else {
            return Err(SkipReason::Malformed);
        };
        let kty = text(*key, "kty")?.ok_or(SkipReason::Malformed)?;
        if kty == "oct" {
            return Err(SkipReason::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()) {
            return Err(SkipReason::Private);
        }
        if text(*key, "use")?.is_some_and(|usage| usage != "sig") || !may_verify(*key)? {
            return Err(SkipReason::OtherUse);
        }
        let crv = text(*key, "crv")?;
        let key_type = match (&*kty, crv.as_deref()) {
            ("RSA", _) => KeyType::Rsa,
            ("EC", Some("P-256")) => KeyType::Ec(Curve::P256),
            ("EC", Some("P-384")) => KeyType::Ec(Curve::P384),
            ("EC", Some("P-521")) => KeyType::Ec(Curve::P521),
            ("OKP", Some("Ed25519")) => KeyType::Ed25519,
            _ => return Err(SkipReason::UnknownType),
        };
        let algorithm = match text(*key, "alg")? {
            None => None,
            Some(name) => {
                let known = SignatureAlgorithm::parse(&name).filter(|algorithm| algorithm.takes(key_type));
                Some(known.ok_or(SkipReason::UnknownAlgorithm)?)
            }
        };
        let kid = text(*key, "kid")?.map(Cow::into_owned);
        let numbers = numbers(*key, key_type);
        Ok(Self { kid, algorithm, key_type, key: numbers.and_then(|numbers| crypto.import(&numbers)) })
    }
}

fn text<'a>(key: Nested<'a>, member: &str) -> Result<Option<Cow<'a, str>>, SkipReason> {
    match key.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SkipReason::Malformed),
    }
}

fn may_verify(key: Nested<'_>) -> Result<bool, SkipReason> {
    match key.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) => {
            Ok(operations.iter().any(|it| it.into_string().is_some_and(|it| it == "verify")))
        }
        Some(_) => Err(SkipReason::Malformed),
    }
}

fn numbers(key: Nested<'_>, key_type: KeyType) -> Result<PublicKey, KeyFlaw> {
    let number = |member: &str| {
        let text = key.get(member).and_then(Value::into_string);
        text.and_then(|text| base64url::decode(&text)).ok_or(KeyFlaw::Malformed)
    };
    match key_type {
        KeyType::Rsa => PublicKey::rsa(&number("n")?, &number("e")?),
        KeyType::Ec(curve) => PublicKey::ec(curve, &number("x")?, &number("y")?),
        KeyType::Ed25519 => PublicKey::ed25519(&number("x")?),
    }
}
