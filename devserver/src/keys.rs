//! The server's signing keys and what of them is public (RFC 7517, RFC 7518 §6, RFC 8037).
//!
//! The first RSA key is the same in every copy of this program: making one takes a noticeable while, and a
//! development server should start at once. [`KeyRing::rotate`] makes real new ones.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

const DEVELOPMENT_KEY: &str = include_str!("development-key.pem");

/// How an id_token is signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what clients expect that registered nothing.
    #[default]
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All of them, in the metadata's order.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The left half of the hash that belongs to the algorithm (OpenID Connect Core §3.1.3.6); SHA-512 for Ed25519.
    pub(crate) fn half_hash(self, text: &str) -> String {
        let hash = match self {
            Self::RS256 | Self::PS256 | Self::ES256 => &digest::SHA256,
            Self::RS384 | Self::PS384 | Self::ES384 => &digest::SHA384,
            Self::RS512 | Self::PS512 | Self::ES512 | Self::EdDSA => &digest::SHA512,
        };
        let whole = digest::digest(hash, text.as_bytes());
        let half = whole.as_ref().len() / 2;
        base64url(whole.as_ref().get(..half).unwrap_or_default())
    }
}

/// One key of each kind.
struct KeySet {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    p521: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

/// The keys that sign, and the ones before them, which stay published.
pub(crate) struct KeyRing {
    current: KeySet,
    previous: Vec<Value>,
}

impl KeySet {
    fn with_rsa(rsa: RsaKeyPair) -> Result<Self, Unspecified> {
        Ok(Self {
            rsa,
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)?,
            p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)?,
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING)?,
            ed25519: Ed25519KeyPair::generate()?,
        })
    }

    fn public(&self) -> Vec<Value> {
        let keys = [
            rsa_jwk(self.rsa.public_key()),
            ec_jwk("P-256", self.p256.public_key().as_ref()),
            ec_jwk("P-384", self.p384.public_key().as_ref()),
            ec_jwk("P-521", self.p521.public_key().as_ref()),
            okp_jwk(self.ed25519.public_key().as_ref()),
        ];
        keys.to_vec()
    }
}

impl KeyRing {
    /// The well-known development RSA key and fresh others.
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let text: String = DEVELOPMENT_KEY.lines().filter(|line| !line.starts_with(['#', '-'])).collect();
        let der = STANDARD.decode(text).map_err(|_| Unspecified)?;
        let rsa = RsaKeyPair::from_pkcs8(&der).map_err(|_| Unspecified)?;
        Ok(Self { current: KeySet::with_rsa(rsa)?, previous: Vec::new() })
    }

    /// Makes new keys. The ones before stay published until the next rotation.
    pub(crate) fn rotate(&mut self) -> Result<(), Unspecified> {
        let next = KeySet::with_rsa(RsaKeyPair::generate(KeySize::Rsa2048)?)?;
        self.previous = self.current.public();
        self.current = next;
        Ok(())
    }

    /// The public keys, those that sign first.
    pub(crate) fn public(&self) -> Vec<Value> {
        self.current.public().into_iter().chain(self.previous.iter().cloned()).collect()
    }

    /// The `kid` of the key that signs with `algorithm`.
    pub(crate) fn kid(&self, algorithm: Algorithm) -> String {
        let keys = &self.current;
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => kid(keys.rsa.public_key().modulus().big_endian_without_leading_zero()),
            Algorithm::ES256 => kid(keys.p256.public_key().as_ref()),
            Algorithm::ES384 => kid(keys.p384.public_key().as_ref()),
            Algorithm::ES512 => kid(keys.p521.public_key().as_ref()),
            Algorithm::EdDSA => kid(keys.ed25519.public_key().as_ref()),
        }
    }

    /// Signs.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let keys = &self.current;
        match algorithm {
            Algorithm::RS256 => sign_rsa(&keys.rsa, &signature::RSA_PKCS1_SHA256, message),
            Algorithm::RS384 => sign_rsa(&keys.rsa, &signature::RSA_PKCS1_SHA384, message),
            Algorithm::RS512 => sign_rsa(&keys.rsa, &signature::RSA_PKCS1_SHA512, message),
            Algorithm::PS256 => sign_rsa(&keys.rsa, &signature::RSA_PSS_SHA256, message),
            Algorithm::PS384 => sign_rsa(&keys.rsa, &signature::RSA_PSS_SHA384, message),
            Algorithm::PS512 => sign_rsa(&keys.rsa, &signature::RSA_PSS_SHA512, message),
            Algorithm::ES256 => sign_ec(&keys.p256, message),
            Algorithm::ES384 => sign_ec(&keys.p384, message),
            Algorithm::ES512 => sign_ec(&keys.p521, message),
            Algorithm::EdDSA => Ok(keys.ed25519.try_sign(message)?.as_ref().to_vec()),
        }
    }

    /// The MAC that a client accepts which takes the RSA public key, as PEM text, for an HS256 secret.
    pub(crate) fn confused_mac(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = self.current.rsa.public_key().as_der()?;
        let pem = pem(der.as_ref());
        let key = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
        Ok(hmac::sign(&key, message).as_ref().to_vec())
    }

    /// The current public keys, the last of their kinds, behind keys that sign nothing, all without `kid`:
    /// three each of RSA, P-256, secp256k1 and Ed25519.
    pub(crate) fn without_kids(&self) -> Result<Vec<Value>, Unspecified> {
        let mut keys = Vec::new();
        for _ in 0..2 {
            keys.push(decoy_rsa_jwk(256)?);
            keys.push(decoy_ec_jwk("P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)?);
            keys.push(okp_jwk(Ed25519KeyPair::generate()?.public_key().as_ref()));
        }
        for _ in 0..3 {
            keys.push(decoy_ec_jwk("secp256k1", &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING)?);
        }
        keys.extend(self.current.public());
        for key in keys.iter_mut().filter_map(Value::as_object_mut) {
            key.remove("kid");
        }
        Ok(keys)
    }
}

/// An RSA public key of `length` bytes that nobody can sign with.
pub(crate) fn decoy_rsa_jwk(length: usize) -> Result<Value, Unspecified> {
    let mut modulus = vec![0_u8; length];
    aws_lc_rs::rand::fill(&mut modulus)?;
    if let Some(first) = modulus.first_mut() {
        *first |= 0x80;
    }
    if let Some(last) = modulus.last_mut() {
        *last |= 1;
    }
    Ok(jwk_of_rsa(&modulus, &[1, 0, 1]))
}

fn decoy_ec_jwk(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> Result<Value, Unspecified> {
    Ok(ec_jwk(curve, EcdsaKeyPair::generate(algorithm)?.public_key().as_ref()))
}

fn sign_rsa(
    key: &RsaKeyPair,
    encoding: &'static signature::RsaSignatureEncoding,
    message: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let mut out = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut out)?;
    Ok(out)
}

fn sign_ec(key: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    Ok(key.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
}

fn rsa_jwk(key: &aws_lc_rs::rsa::PublicKey) -> Value {
    jwk_of_rsa(key.modulus().big_endian_without_leading_zero(), key.exponent().big_endian_without_leading_zero())
}

fn jwk_of_rsa(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({ "kty": "RSA", "use": "sig", "kid": kid(modulus), "n": base64url(modulus), "e": base64url(exponent) })
}

/// `point` is uncompressed: 4, then both coordinates.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2).unwrap_or_default();
    json!({
        "kty": "EC", "use": "sig", "kid": kid(point), "crv": curve, "x": base64url(x), "y": base64url(y)
    })
}

fn okp_jwk(public: &[u8]) -> Value {
    json!({ "kty": "OKP", "use": "sig", "kid": kid(public), "crv": "Ed25519", "x": base64url(public) })
}

/// A name that belongs to the key: 16 characters of its hash.
fn kid(public: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, public);
    base64url(hash.as_ref().get(..12).unwrap_or_default())
}

/// The PEM text of a public key.
pub(crate) fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for (at, c) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at.is_multiple_of(64) {
            text.push('\n');
        }
        text.push(c);
    }
    text.push_str("\n-----END PUBLIC KEY-----\n");
    text
}

/// base64url without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `N` random bytes in base64url.
pub(crate) fn random_text<const N: usize>() -> Result<String, Unspecified> {
    let mut bytes = [0_u8; N];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(base64url(&bytes))
}
