//! The provider in pure Rust: slower, and builds wherever Rust does.
//!
//! The `rsa` crate is used for public keys only. Its private-key operations leak timing, and nothing here can reach them.

use core::fmt;
use std::sync::Arc;

use ed25519_dalek::Verifier;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Crypto, Curve, Digest, HashAlgorithm, PublicKey, VerifyingKey};
use crate::error::KeyFlaw;
use crate::jose::SignatureAlgorithm;

/// Hashes and checks signatures with the RustCrypto and dalek crates.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Crypto for RustCrypto {
    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Digest {
        match algorithm {
            HashAlgorithm::Sha256 => Digest::new(&Sha256::digest(data)),
            HashAlgorithm::Sha384 => Digest::new(&Sha384::digest(data)),
            HashAlgorithm::Sha512 => Digest::new(&Sha512::digest(data)),
        }
    }

    fn import(&self, key: &PublicKey) -> Result<Arc<dyn VerifyingKey>, KeyFlaw> {
        match key {
            PublicKey::Rsa { n, e } => {
                let n = BoxedUint::from_be_slice_vartime(n);
                let e = BoxedUint::from_be_slice_vartime(e);
                let key = RsaPublicKey::new(n, e).map_err(|_| KeyFlaw::Malformed)?;
                Ok(Arc::new(RsaKey(key)))
            }
            PublicKey::Ec { curve: Curve::P256, point } => {
                Ok(Arc::new(P256Key(p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(malformed)?)))
            }
            PublicKey::Ec { curve: Curve::P384, point } => {
                Ok(Arc::new(P384Key(p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(malformed)?)))
            }
            PublicKey::Ec { curve: Curve::P521, point } => {
                Ok(Arc::new(P521Key(p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(malformed)?)))
            }
            PublicKey::Ed25519 { point } => Ok(Arc::new(EdKey(ed25519_dalek::VerifyingKey::from_bytes(point).ok()))),
        }
    }
}

fn malformed<E>(_: E) -> KeyFlaw {
    KeyFlaw::Malformed
}

struct RsaKey(RsaPublicKey);

impl VerifyingKey for RsaKey {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = &self.0;
        let result = match algorithm {
            SignatureAlgorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature),
            SignatureAlgorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature),
            SignatureAlgorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature),
            SignatureAlgorithm::Ps256 => {
                key.verify(Pss::<Sha256>::new_with_salt(32), &Sha256::digest(message), signature)
            }
            SignatureAlgorithm::Ps384 => {
                key.verify(Pss::<Sha384>::new_with_salt(48), &Sha384::digest(message), signature)
            }
            SignatureAlgorithm::Ps512 => {
                key.verify(Pss::<Sha512>::new_with_salt(64), &Sha512::digest(message), signature)
            }
            SignatureAlgorithm::Es256
            | SignatureAlgorithm::Es384
            | SignatureAlgorithm::Es512
            | SignatureAlgorithm::EdDsa => return false,
        };
        result.is_ok()
    }
}

struct P256Key(p256::ecdsa::VerifyingKey);

impl VerifyingKey for P256Key {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let signature = p256::ecdsa::Signature::from_slice(signature);
        algorithm == SignatureAlgorithm::Es256 && signature.is_ok_and(|it| self.0.verify(message, &it).is_ok())
    }
}

struct P384Key(p384::ecdsa::VerifyingKey);

impl VerifyingKey for P384Key {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let signature = p384::ecdsa::Signature::from_slice(signature);
        algorithm == SignatureAlgorithm::Es384 && signature.is_ok_and(|it| self.0.verify(message, &it).is_ok())
    }
}

struct P521Key(p521::ecdsa::VerifyingKey);

impl VerifyingKey for P521Key {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let signature = p521::ecdsa::Signature::from_slice(signature);
        algorithm == SignatureAlgorithm::Es512 && signature.is_ok_and(|it| self.0.verify(message, &it).is_ok())
    }
}

/// Empty for 32 bytes that are no point: no signature fits those, exactly as with AWS-LC, which looks only then.
struct EdKey(Option<ed25519_dalek::VerifyingKey>);

impl VerifyingKey for EdKey {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let (Some(key), Ok(signature)) = (&self.0, ed25519_dalek::Signature::from_slice(signature)) else {
            return false;
        };
        algorithm == SignatureAlgorithm::EdDsa && key.verify(message, &signature).is_ok()
    }
}

macro_rules! debug_by_name {
    ($($key:ident)*) => {
        $(impl fmt::Debug for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($key))
            }
        })*
    };
}

debug_by_name!(RsaKey P256Key P384Key P521Key EdKey);
