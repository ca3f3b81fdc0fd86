//! The provider on AWS-LC: what the drivers pass.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};

use super::{Crypto, Curve, Digest, HashAlgorithm, PublicKey, VerifyingKey};
use crate::error::KeyFlaw;
use crate::jose::SignatureAlgorithm;

/// Hashes and checks signatures with AWS-LC, which is several times faster at RSA than the pure-Rust provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Crypto for AwsLc {
    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Digest {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => &digest::SHA256,
            HashAlgorithm::Sha384 => &digest::SHA384,
            HashAlgorithm::Sha512 => &digest::SHA512,
        };
        Digest::new(digest::digest(algorithm, data).as_ref())
    }

    fn import(&self, key: &PublicKey) -> Result<Arc<dyn VerifyingKey>, KeyFlaw> {
        match key {
            PublicKey::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                let parse = |parameters: &'static RsaParameters| {
                    key.to_parsed_public_key(parameters).map_err(|_| KeyFlaw::Malformed)
                };
                Ok(Arc::new(RsaKey {
                    rs256: parse(&RSA_PKCS1_2048_8192_SHA256)?,
                    rs384: parse(&RSA_PKCS1_2048_8192_SHA384)?,
                    rs512: parse(&RSA_PKCS1_2048_8192_SHA512)?,
                    ps256: parse(&RSA_PSS_2048_8192_SHA256)?,
                    ps384: parse(&RSA_PSS_2048_8192_SHA384)?,
                    ps512: parse(&RSA_PSS_2048_8192_SHA512)?,
                }))
            }
            PublicKey::Ec { curve, point } => {
                let parameters = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED,
                    Curve::P521 => &ECDSA_P521_SHA512_FIXED,
                };
                let key = ParsedPublicKey::new(parameters, point).map_err(|_| KeyFlaw::Malformed)?;
                Ok(Arc::new(OneKey { algorithm: curve.algorithm(), key }))
            }
            PublicKey::Ed25519 { point } => {
                let key = ParsedPublicKey::new(&ED25519, point).map_err(|_| KeyFlaw::Malformed)?;
                Ok(Arc::new(OneKey { algorithm: SignatureAlgorithm::EdDsa, key }))
            }
        }
    }
}

/// An RSA key, parsed for each of the algorithms it may be used with.
struct RsaKey {
    rs256: ParsedPublicKey,
    rs384: ParsedPublicKey,
    rs512: ParsedPublicKey,
    ps256: ParsedPublicKey,
    ps384: ParsedPublicKey,
    ps512: ParsedPublicKey,
}

impl VerifyingKey for RsaKey {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = match algorithm {
            SignatureAlgorithm::Rs256 => &self.rs256,
            SignatureAlgorithm::Rs384 => &self.rs384,
            SignatureAlgorithm::Rs512 => &self.rs512,
            SignatureAlgorithm::Ps256 => &self.ps256,
            SignatureAlgorithm::Ps384 => &self.ps384,
            SignatureAlgorithm::Ps512 => &self.ps512,
            SignatureAlgorithm::Es256
            | SignatureAlgorithm::Es384
            | SignatureAlgorithm::Es512
            | SignatureAlgorithm::EdDsa => return false,
        };
        key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey")
    }
}

/// A key that belongs to one algorithm.
struct OneKey {
    algorithm: SignatureAlgorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey for OneKey {
    fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm == self.algorithm && self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for OneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneKey({})", self.algorithm)
    }
}
