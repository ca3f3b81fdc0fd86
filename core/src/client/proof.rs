//! DPoP proofs (RFC 9449 §4), put together here and signed by the driver.

use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

use super::assertion::Unsigned;
use crate::error::{ConfigError, Error};
use crate::http::json::{Object, Value};
use crate::jose::{KeyType, SignatureAlgorithm};
use crate::machine::Context;
use crate::random;

/// The public half of the key that tokens are bound to. The private half is the driver's.
#[derive(Clone, Debug)]
pub struct ProofKey {
    key_id: String,
    algorithm: SignatureAlgorithm,
    jwk: Box<RawValue>,
}

impl ProofKey {
    /// Names a key that the driver can sign with, and its public JWK.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when `public_jwk` is no JWK, or holds private or symmetric members (RFC 9449 §4.2).
    pub fn new(key_id: &str, algorithm: SignatureAlgorithm, public_jwk: &str) -> Result<Self, Error> {
        let invalid = |why| Error::from(ConfigError::Invalid { setting: "proof key", why });
        let object = Object::parse(public_jwk.as_bytes()).map_err(|_| invalid("is not a JWK"))?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| object.get(member).is_some()) {
            return Err(invalid("has private members"));
        }
        let expected = match algorithm.key_type() {
            KeyType::Rsa => "RSA",
            KeyType::Ec(_) => "EC",
            KeyType::Ed25519 => "OKP",
        };
        if !matches!(object.get("kty"), Some(Value::String(kty)) if kty == expected) {
            return Err(invalid("does not fit the algorithm"));
        }
        let jwk = RawValue::from_string(public_jwk.trim().to_owned()).map_err(|_| invalid("is not a JWK"))?;
        Ok(Self { key_id: key_id.to_owned(), algorithm, jwk })
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    jwk: &'a RawValue,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// A proof that lacks its signature.
#[derive(Debug)]
pub(crate) struct Proof(pub(crate) Unsigned);

impl Proof {
    /// Makes a fresh proof for one request to an endpoint of the authorization server.
    pub(crate) fn new(key: &ProofKey, method: &http::Method, url: &Url, cx: &mut Context<'_>) -> Result<Self, Error> {
        let jti = random::token::<16>(cx.random)?;
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let nonce = cx.memory.nonce(&url.origin().ascii_serialization());
        let claims =
            Claims { jti: jti.expose(), htm: method.as_str(), htu: target.as_str(), iat: cx.now.as_secs(), nonce };
        Unsigned::new(&Header { typ: "dpop+jwt", alg: key.algorithm.name(), jwk: &key.jwk }, &claims).map(Self)
    }
}
