//! The closed list of signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).

use core::fmt;

use crate::crypto::{Curve, HashAlgorithm};

/// How a JWS is signed. A closed list: what is not here is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// RSASSA-PSS with SHA-256
    Ps256,
    /// RSASSA-PSS with SHA-384
    Ps384,
    /// RSASSA-PSS with SHA-512
    Ps512,
    /// ECDSA on P-256 with SHA-256
    Es256,
    /// ECDSA on P-384 with SHA-384
    Es384,
    /// ECDSA on P-521 with SHA-512
    Es512,
    /// Ed25519 (RFC 8037; also named `Ed25519` by RFC 9864)
    EdDsa,
}

/// What kind of key an algorithm takes: `kty` and `crv` of a JWK together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `RSA`
    Rsa,
    /// `EC` on one curve.
    Ec(Curve),
    /// `OKP` with `Ed25519`.
    Ed25519,
}

impl SignatureAlgorithm {
    /// Every algorithm there is.
    pub const ALL: [SignatureAlgorithm; 10] = [
        SignatureAlgorithm::Rs256,
        SignatureAlgorithm::Rs384,
        SignatureAlgorithm::Rs512,
        SignatureAlgorithm::Ps256,
        SignatureAlgorithm::Ps384,
        SignatureAlgorithm::Ps512,
        SignatureAlgorithm::Es256,
        SignatureAlgorithm::Es384,
        SignatureAlgorithm::Es512,
        SignatureAlgorithm::EdDsa,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            SignatureAlgorithm::Rs256 => "RS256",
            SignatureAlgorithm::Rs384 => "RS384",
            SignatureAlgorithm::Rs512 => "RS512",
            SignatureAlgorithm::Ps256 => "PS256",
            SignatureAlgorithm::Ps384 => "PS384",
            SignatureAlgorithm::Ps512 => "PS512",
            SignatureAlgorithm::Es256 => "ES256",
            SignatureAlgorithm::Es384 => "ES384",
            SignatureAlgorithm::Es512 => "ES512",
            SignatureAlgorithm::EdDsa => "EdDSA",
        }
    }

    /// Finds an algorithm by its name, in exactly this spelling. `Ed25519` is another name for `EdDSA`.
    ///
    /// ```
    /// use grantflow_core::jose::SignatureAlgorithm;
    /// assert_eq!(SignatureAlgorithm::parse("Ed25519"), Some(SignatureAlgorithm::EdDsa));
    /// assert_eq!(SignatureAlgorithm::parse("none"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => SignatureAlgorithm::Rs256,
            "RS384" => SignatureAlgorithm::Rs384,
            "RS512" => SignatureAlgorithm::Rs512,
            "PS256" => SignatureAlgorithm::Ps256,
            "PS384" => SignatureAlgorithm::Ps384,
            "PS512" => SignatureAlgorithm::Ps512,
            "ES256" => SignatureAlgorithm::Es256,
            "ES384" => SignatureAlgorithm::Es384,
            "ES512" => SignatureAlgorithm::Es512,
            "EdDSA" | "Ed25519" => SignatureAlgorithm::EdDsa,
            _ => return None,
        })
    }

    /// The kind of key that the algorithm takes.
    pub const fn key_type(self) -> KeyType {
        match self {
            SignatureAlgorithm::Rs256
            | SignatureAlgorithm::Rs384
            | SignatureAlgorithm::Rs512
            | SignatureAlgorithm::Ps256
            | SignatureAlgorithm::Ps384
            | SignatureAlgorithm::Ps512 => KeyType::Rsa,
            SignatureAlgorithm::Es256 => KeyType::Ec(Curve::P256),
            SignatureAlgorithm::Es384 => KeyType::Ec(Curve::P384),
            SignatureAlgorithm::Es512 => KeyType::Ec(Curve::P521),
            SignatureAlgorithm::EdDsa => KeyType::Ed25519,
        }
    }

    /// The hash that the algorithm uses, also for `at_hash` and `c_hash` (OpenID Connect Core §3.3.2.11).
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            SignatureAlgorithm::Rs256 | SignatureAlgorithm::Ps256 | SignatureAlgorithm::Es256 => HashAlgorithm::Sha256,
            SignatureAlgorithm::Rs384 | SignatureAlgorithm::Ps384 | SignatureAlgorithm::Es384 => HashAlgorithm::Sha384,
            SignatureAlgorithm::Rs512
            | SignatureAlgorithm::Ps512
            | SignatureAlgorithm::Es512
            | SignatureAlgorithm::EdDsa => HashAlgorithm::Sha512,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
