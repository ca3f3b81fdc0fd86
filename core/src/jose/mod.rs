//! JSON Web Signatures, keys and id_tokens (RFC 7515, 7517, 7518, 8725; OpenID Connect Core §3.1.3.7).
//!
//! Everything here checks; nothing signs. `alg: none` and the HMAC algorithms do not exist here.

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
