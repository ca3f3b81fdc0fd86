//! JSON Web Signatures, keys and id_tokens (RFC 7515, 7517, 7518, 8037, 8725; OpenID Connect Core §3.1.3.7).
//!
//! Everything here checks; nothing signs. `alg: none`, the HMAC algorithms, encryption and the JSON serialisations of
//! RFC 7515 do not exist here, and no header of a token chooses its key but by name: `jwk`, `jku`, `x5u` and `x5c` are
//! never looked at. Claims can be read from a [`VerifiedIdToken`] only, which only [`verify`] makes. Signed answers of an
//! introspection (RFC 9701) are checked here too, for the flow that asks for them.

mod algorithm;
pub(crate) mod base64url;
mod claims;
mod id_token;
mod introspection;
mod jws;
mod keys;
mod rules;
mod signed;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests;

pub use algorithm::{KeyType, SignatureAlgorithm};
pub(crate) use id_token::judge_unverified;
pub use id_token::{EmailVerification, VerifiedIdToken, verify};
pub(crate) use introspection::verify_introspection;
pub use jws::VerifyError;
pub use keys::{Jwk, JwkSet, SkipReason, SkippedKey};
pub use rules::{Binding, IdTokenRules, IssuerRule, NonceRule, Requirement};
