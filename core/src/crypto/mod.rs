//! Hashes and signature checks as an argument: the trait, and the providers behind features.
//!
//! Private keys never come here: signing is an effect ([`Effect::Sign`](crate::machine::Effect::Sign)), so that keys may
//! live in a KMS or an HSM.

use core::fmt::Debug;
use std::sync::Arc;

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

    /// Reads a public key for one algorithm, once, so that checking is cheap.
    ///
    /// # Errors
    /// [`KeyFlaw::Weak`] for RSA below 2048 or beyond 8192 bits or an impossible exponent, [`KeyFlaw::Malformed`] for a
    /// point that is not on its curve and for everything else that is no key.
    fn import(&self, algorithm: SignatureAlgorithm, key: &PublicKey) -> Result<Arc<dyn VerifyingKey>, KeyFlaw>;
}

/// A public key that is ready to check signatures of one algorithm.
pub trait VerifyingKey: Debug + Send + Sync {
    /// Whether `signature` is this key's over `message`. ECDSA signatures have the fixed length of RFC 7518 §3.4.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// The numbers of a public key, big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA (RFC 7518 §6.3)
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// An elliptic curve (RFC 7518 §6.2)
    Ec {
        /// Which curve.
        curve: Curve,
        /// The point's first coordinate, of the curve's full length.
        x: Vec<u8>,
        /// The point's second coordinate, of the curve's full length.
        y: Vec<u8>,
    },
    /// Ed25519 (RFC 8037 §2)
    Ed25519 {
        /// The point.
        x: Vec<u8>,
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
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}
