//! JSON Web Signatures, keys and id_tokens (RFC 7515, 7517, 7518, 8037, 8725; OpenID Connect Core §3.1.3.7).
//!
//! Everything here checks; nothing signs. `alg: none` and the HMAC algorithms do not exist here.

mod algorithm;

pub use algorithm::{KeyType, SignatureAlgorithm};
