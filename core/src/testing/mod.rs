//! Predictable stand-ins for tests and fuzzing: random numbers and signatures.
//!
//! Only there with the feature `testing`, in this crate's own tests, and when fuzzing. None of it is secure, and nothing
//! in the workspace may enable the feature outside of tests.

pub mod fuzz;
pub mod specimens;
pub mod stimuli;

use std::sync::Arc;

use crate::crypto::{Crypto, Digest, HashAlgorithm, PublicKey, VerifyingKey};
use crate::error::KeyFlaw;
use crate::jose::SignatureAlgorithm;
use crate::random::{Random, RandomUnavailable};

/// Accepts [`MarkerCrypto::SIGNATURE`], and nothing else, from every key: a fuzzer gets past the signature with it and
/// reaches the checks behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkerCrypto;

impl MarkerCrypto {
    /// The one signature that is right.
    pub const SIGNATURE: &'static [u8] = b"a signature for testing";
}

impl Crypto for MarkerCrypto {
    /// Spreads the input over the output. Equal inputs give equal outputs; that is all.
    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Digest {
        let len = match algorithm {
            HashAlgorithm::Sha256 => 32,
            HashAlgorithm::Sha384 => 48,
            HashAlgorithm::Sha512 => 64,
        };
        let mut state = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| step(state ^ u64::from(*byte)));
        let mut out = [0; 64];
        for byte in &mut out {
            state = step(state);
            let [.., high] = state.to_le_bytes();
            *byte = high;
        }
        Digest::new(out.get(..len).unwrap_or_default())
    }

    fn import(&self, _key: &PublicKey) -> Result<Arc<dyn VerifyingKey>, KeyFlaw> {
        Ok(Arc::new(MarkerKey))
    }
}

fn step(state: u64) -> u64 {
    state.wrapping_mul(0x0100_0000_01b3).rotate_left(17)
}

#[derive(Debug)]
struct MarkerKey;

impl VerifyingKey for MarkerKey {
    fn verifies(&self, _algorithm: SignatureAlgorithm, _message: &[u8], signature: &[u8]) -> bool {
        signature == MarkerCrypto::SIGNATURE
    }
}

/// Counts instead of drawing: every byte is one more than the one before, and wraps.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingRandom {
    next: u8,
}

impl CountingRandom {
    /// Begins with this byte.
    pub fn from(first: u8) -> Self {
        Self { next: first }
    }
}

impl Random for CountingRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in out {
            *byte = self.next;
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }
}
