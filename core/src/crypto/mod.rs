//! Hashes and signature checks as an argument: the trait, the keys, and the providers behind features.
//!
//! `AwsLc` (feature `aws-lc-rs`) is what the drivers pass; `RustCrypto` (feature `rust-crypto`) builds anywhere. One
//! table of vectors holds both to the same behaviour. What makes a key too weak is decided here, once for all providers.
//! Private keys never come here: signing is an effect ([`Effect::Sign`](crate::machine::Effect::Sign)), so that keys may
//! live in a KMS or an HSM.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "rust-crypto")]
mod rust_crypto;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod tests;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod vectors;

use core::fmt;
use core::fmt::Debug;
use std::sync::Arc;

#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::AwsLc;
#[cfg(feature = "rust-crypto")]
pub use rust_crypto::RustCrypto;

use crate::error::KeyFlaw;
use crate::jose::SignatureAlgorithm;

/// Which SHA-2 to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// What the core needs of a crypto library. Passed explicitly with every event; there is no process-wide default.
pub trait Crypto: Send + Sync {
    /// Hashes `data`.
    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Digest;

    /// Reads a public key once, so that every check with it is cheap.
    ///
    /// # Errors
    /// [`KeyFlaw::Malformed`] for a point that is not on its curve and for everything else that is no key. An Ed25519
    /// point off the curve may pass here; no signature fits it then.
    fn import(&self, key: &PublicKey) -> Result<Arc<dyn VerifyingKey>, KeyFlaw>;
}

/// A public key that is ready to check signatures.
pub trait VerifyingKey: Debug + Send + Sync {
    /// Whether `signature` is this key's over `message`; `false` too for an algorithm that is not this key's.
    ///
    /// ECDSA signatures have the fixed length of RFC 7518 §3.4, PSS salts the length of the hash (§3.5).
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool;
}

/// The numbers of a public key, big-endian, of a size that may be used.
///
/// Only the constructors make one, so that every provider gets keys that have passed the same checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA (RFC 7518 §6.3)
    #[non_exhaustive]
    Rsa {
        /// The modulus, without leading zeros.
        n: Vec<u8>,
        /// The exponent, without leading zeros.
        e: Vec<u8>,
    },
    /// An elliptic curve (RFC 7518 §6.2)
    #[non_exhaustive]
    Ec {
        /// Which curve.
        curve: Curve,
        /// The point in uncompressed form (SEC 1 §2.3.3): 4, x, y. Not known to be on the curve.
        point: Vec<u8>,
    },
    /// Ed25519 (RFC 8037 §2)
    #[non_exhaustive]
    Ed25519 {
        /// The point. Not known to be on the curve.
        point: [u8; 32],
    },
}

/// A curve for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
}

/// The shortest and the longest RSA modulus in bits. Below is breakable; above costs a hostile amount of time.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest RSA exponent in bits: 65537 needs 17, and the longer it is the more a check costs.
const RSA_EXPONENT_BITS: usize = 33;

impl PublicKey {
    /// Takes an RSA key of 2048 to 8192 bits with an odd exponent of at least 3 and at most 33 bits.
    ///
    /// # Errors
    /// [`KeyFlaw::Weak`] for sizes and exponents out of these bounds, [`KeyFlaw::Malformed`] for an absent or even modulus.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyFlaw> {
        let n = without_leading_zeros(n);
        let e = without_leading_zeros(e);
        if n.is_empty() {
            return Err(KeyFlaw::Malformed);
        }
        let too_small = matches!(e, [] | [0..=2]);
        if !RSA_BITS.contains(&bits(n)) || !is_odd(e) || too_small || bits(e) > RSA_EXPONENT_BITS {
            return Err(KeyFlaw::Weak);
        }
        if !is_odd(n) {
            return Err(KeyFlaw::Malformed);
        }
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// Takes a point by its coordinates, each of the curve's full length (RFC 7518 §6.2.1.2).
    ///
    /// # Errors
    /// [`KeyFlaw::Malformed`] for another length.
    pub fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyFlaw> {
        if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
            return Err(KeyFlaw::Malformed);
        }
        Ok(Self::Ec { curve, point: [&[4], x, y].concat() })
    }

    /// Takes an Ed25519 point of 32 bytes.
    ///
    /// # Errors
    /// [`KeyFlaw::Malformed`] for another length or a coordinate beyond the field, [`KeyFlaw::Weak`] for a point of small
    /// order: a signature that fits any message can be made for those.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyFlaw> {
        let point: [u8; 32] = x.try_into().map_err(|_| KeyFlaw::Malformed)?;
        let mut y = point;
        y.reverse();
        if let Some(first) = y.first_mut() {
            // The highest bit is the sign of the other coordinate.
            *first &= 0x7f;
        }
        if y >= ED25519_PRIME {
            return Err(KeyFlaw::Malformed);
        }
        if ED25519_SMALL_ORDER.contains(&y) {
            return Err(KeyFlaw::Weak);
        }
        Ok(Self::Ed25519 { point })
    }
}

impl Curve {
    /// The length of one coordinate, and of one half of a signature, in bytes.
    pub const fn coordinate_len(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    /// The algorithm that belongs to the curve (RFC 7518 §3.4).
    pub const fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Curve::P256 => SignatureAlgorithm::Es256,
            Curve::P384 => SignatureAlgorithm::Es384,
            Curve::P521 => SignatureAlgorithm::Es512,
        }
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or(&[])
}

fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| usize::try_from(first.leading_zeros()).unwrap_or(0));
    number.len().saturating_mul(8).saturating_sub(unused)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// 2^255 - 19, big-endian.
const ED25519_PRIME: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
];

/// The y coordinates, big-endian, of the eight points whose order divides 8: orders 4, 1, 8, 8 and 2.
const ED25519_SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [
        0x05, 0xfc, 0x53, 0x6d, 0x88, 0x02, 0x38, 0xb1, 0x39, 0x33, 0xc6, 0xd3, 0x05, 0xac, 0xdf, 0xd5, 0xf0, 0x98,
        0xef, 0xf2, 0x89, 0xf4, 0xc3, 0x45, 0xb0, 0x27, 0xb2, 0xc2, 0x8f, 0x95, 0xe8, 0x26,
    ],
    [
        0x7a, 0x03, 0xac, 0x92, 0x77, 0xfd, 0xc7, 0x4e, 0xc6, 0xcc, 0x39, 0x2c, 0xfa, 0x53, 0x20, 0x2a, 0x0f, 0x67,
        0x10, 0x0d, 0x76, 0x0b, 0x3c, 0xba, 0x4f, 0xd8, 0x4d, 0x3d, 0x70, 0x6a, 0x17, 0xc7,
    ],
    [
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xec,
    ],
];

/// The value of a hash: up to 64 bytes, on the stack.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; 64],
    len: usize,
}

impl Digest {
    /// Takes the first 64 bytes of `value`.
    pub fn new(value: &[u8]) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        Self { bytes, len: value.len().min(64) }
    }

    /// The bytes of the value.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}
