//! Tokens made for the tests, and the one function that verifies them with every provider.

mod claims;
mod forms;
mod keys;

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::crypto::tests::providers;
use crate::error::{Error, KeyFlaw, Rule, SecurityError};
use crate::{Secret, Timestamp};

pub(super) const ISSUER: &str = "https://op.example";
pub(super) const CLIENT: &str = "client-1";
pub(super) const NOW: u64 = 1_750_000_000;

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key, and how its public half is written.
pub(super) enum Signer {
    Rsa(RsaKeyPair),
    Ec(&'static str, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    /// Reads a key: making one of this kind takes longer than most tests.
    fn rsa(pem: &str) -> Self {
        let text: String = pem.lines().filter(|line| !line.starts_with(['#', '-'])).collect();
        Signer::Rsa(RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap())
    }

    fn ec(curve: &'static str, how: &'static EcdsaSigningAlgorithm) -> Self {
        Signer::Ec(curve, EcdsaKeyPair::generate(how).unwrap())
    }

    pub(super) fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    SignatureAlgorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    SignatureAlgorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    SignatureAlgorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    SignatureAlgorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    SignatureAlgorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Ec(_, key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as a JWK with further members.
    pub(super) fn jwk(&self, members: &str) -> String {
        let numbers = match self {
            Signer::Rsa(key) => {
                let key = key.public_key();
                let n = encode(key.modulus().big_endian_without_leading_zero());
                let e = encode(key.exponent().big_endian_without_leading_zero());
                format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
            }
            Signer::Ec(curve, key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, encode(x), encode(y))
            }
            Signer::Ed(key) => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, encode(key.public_key())),
        };
        let comma = if members.is_empty() { "" } else { "," };
        format!("{{{numbers}{comma}{members}}}")
    }
}

pub(super) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(include_str!("rsa.pem")));
pub(super) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(include_str!("other-rsa.pem")));
pub(super) static P256: LazyLock<Signer> =
    LazyLock::new(|| Signer::ec("P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING));
pub(super) static P384: LazyLock<Signer> =
    LazyLock::new(|| Signer::ec("P-384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING));
pub(super) static P521: LazyLock<Signer> =
    LazyLock::new(|| Signer::ec("P-521", &signature::ECDSA_P521_SHA512_FIXED_SIGNING));
pub(super) static ED: LazyLock<Signer> = LazyLock::new(|| Signer::Ed(Ed25519KeyPair::generate().unwrap()));

/// The signer for an algorithm.
pub(super) fn signer(algorithm: SignatureAlgorithm) -> &'static Signer {
    match algorithm {
        SignatureAlgorithm::Es256 => &P256,
        SignatureAlgorithm::Es384 => &P384,
        SignatureAlgorithm::Es512 => &P521,
        SignatureAlgorithm::EdDsa => &ED,
        _ => &RSA,
    }
}

pub(super) const HEADER: &str = r#"{"alg":"RS256","kid":"k1"}"#;

/// The claims of a token that is right, as raw JSON values.
const CLAIMS: [(&str, &str); 5] = [
    ("iss", r#""https://op.example""#),
    ("sub", r#""248289761001""#),
    ("aud", r#""client-1""#),
    ("exp", "1750000300"),
    ("iat", "1750000000"),
];

/// Good claims, with some replaced, added or (with `None`) taken away.
pub(super) fn claims(changes: &[(&str, Option<&str>)]) -> String {
    let kept = CLAIMS.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let kept = kept.map(|(name, value)| format!(r#""{name}":{value}"#));
    let changed = changes.iter().filter_map(|(name, value)| value.map(|value| format!(r#""{name}":{value}"#)));
    format!("{{{}}}", kept.chain(changed).collect::<Vec<_>>().join(","))
}

/// Signs with RS256.
pub(super) fn token(header: &str, claims: &str) -> String {
    signed(&RSA, SignatureAlgorithm::Rs256, header, claims)
}

pub(super) fn signed(signer: &Signer, algorithm: SignatureAlgorithm, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = encode(signer.sign(algorithm, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A key set that holds the RSA key as `k1`.
pub(super) fn keys() -> String {
    set(&[RSA.jwk(r#""kid":"k1""#)])
}

pub(super) fn set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub(super) fn rules() -> IdTokenRules<'static> {
    IdTokenRules::new(ISSUER, CLIENT)
}

/// Verifies with every provider, and demands that all say the same.
pub(super) fn verify_with(token: &str, keys: &str, rules: &IdTokenRules<'_>) -> Result<VerifiedIdToken, VerifyError> {
    let mut outcomes = providers().into_iter().map(|(name, crypto)| {
        let keys = JwkSet::parse(keys.as_bytes(), crypto).unwrap();
        (name, verify(&Secret::from(token), &keys, rules, Timestamp::from_secs(NOW), crypto, None))
    });
    let (_, outcome) = outcomes.next().unwrap();
    for (provider, other) in outcomes {
        assert_eq!(other.as_ref().err(), outcome.as_ref().err(), "{provider} says something else");
    }
    outcome
}

/// Verifies a token that is signed properly, with these rules.
pub(super) fn check(claims: &str, rules: &IdTokenRules<'_>) -> Result<VerifiedIdToken, VerifyError> {
    verify_with(&token(HEADER, claims), &keys(), rules)
}

/// Verifies a token with the standard rules and keys.
pub(super) fn plain(token: &str) -> Result<VerifiedIdToken, VerifyError> {
    verify_with(token, &keys(), &rules())
}

pub(super) fn security(result: Result<VerifiedIdToken, VerifyError>) -> SecurityError {
    match result {
        Err(VerifyError::Failed(Error::Security(error))) => error,
        other => panic!("not refused as insecure: {other:?}"),
    }
}

pub(super) fn rule(result: Result<VerifiedIdToken, VerifyError>) -> Rule {
    match result {
        Err(VerifyError::Failed(Error::Protocol(error))) => error.rule,
        other => panic!("not refused as against the protocol: {other:?}"),
    }
}

pub(super) fn keys_missing(result: Result<VerifiedIdToken, VerifyError>) -> SecurityError {
    match result {
        Err(VerifyError::KeysMissing(Error::Security(error))) => error,
        other => panic!("keys are not missing: {other:?}"),
    }
}

/// Which claim was refused, whatever was wrong with it.
pub(super) fn refused_claim(result: Result<VerifiedIdToken, VerifyError>) -> &'static str {
    match security(result) {
        SecurityError::Claim { claim, .. } | SecurityError::Time { claim, .. } | SecurityError::ClaimMissing(claim) => {
            claim
        }
        other => panic!("no claim was refused: {other:?}"),
    }
}

#[test]
fn a_token_that_is_right_is_accepted_with_every_algorithm() {
    for algorithm in SignatureAlgorithm::ALL {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k","typ":"JWT"}}"#);
        let token = signed(signer(algorithm), algorithm, &header, &claims(&[]));
        let keys = set(&[signer(algorithm).jwk(r#""kid":"k","use":"sig""#)]);
        let mut rules = rules();
        let allowed = [algorithm];
        rules.algorithms = &allowed;
        let verified = verify_with(&token, &keys, &rules).unwrap();
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!((verified.issuer(), verified.subject()), (ISSUER, "248289761001"));
        assert_eq!(verified.audience().collect::<Vec<_>>(), [CLIENT]);
        assert_eq!(verified.expires_at(), Timestamp::from_secs(NOW + 300));
        assert_eq!(verified.issued_at(), Timestamp::from_secs(NOW));
        assert_eq!(verified.raw().expose(), &token);
    }
}

#[test]
fn the_name_ed25519_means_eddsa() {
    let token = signed(&ED, SignatureAlgorithm::EdDsa, r#"{"alg":"Ed25519"}"#, &claims(&[]));
    let mut rules = rules();
    rules.algorithms = &[SignatureAlgorithm::EdDsa];
    verify_with(&token, &set(&[ED.jwk(r#""alg":"Ed25519""#)]), &rules).unwrap();
    verify_with(&token, &set(&[ED.jwk(r#""alg":"EdDSA""#)]), &rules).unwrap();
}

#[test]
fn names_of_algorithms_are_read_as_written() {
    for algorithm in SignatureAlgorithm::ALL {
        assert_eq!(SignatureAlgorithm::parse(algorithm.name()), Some(algorithm));
        assert_eq!(SignatureAlgorithm::parse(&algorithm.name().to_lowercase()), None);
    }
}
