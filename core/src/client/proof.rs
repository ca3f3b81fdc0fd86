//! DPoP proofs (RFC 9449 §4), put together here and signed by the driver, and the nonces that servers want in them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

use super::assertion::Unsigned;
use crate::Secret;
use crate::crypto::HashAlgorithm;
use crate::error::{ConfigError, Error};
use crate::http::challenge::{Challenge, challenges};
use crate::http::json::{Object, Value};
use crate::jose::{KeyType, SignatureAlgorithm};
use crate::machine::Context;
use crate::random;

/// The header in which a server gives a nonce.
pub(crate) const NONCE: &str = "dpop-nonce";

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
    /// The hash of the access token that the proof goes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

/// A proof that lacks its signature.
#[derive(Debug)]
pub(crate) struct Proof(pub(crate) Unsigned);

impl Proof {
    /// Makes a fresh proof for one request. A request with an access token names its hash (RFC 9449 §7).
    pub(crate) fn new(
        key: &ProofKey,
        method: &http::Method,
        url: &Url,
        access_token: Option<&Secret>,
        cx: &mut Context<'_>,
    ) -> Result<Self, Error> {
        let jti = random::token::<16>(cx.random)?;
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let hash = |token: &Secret| cx.crypto.hash(HashAlgorithm::Sha256, token.expose().as_bytes());
        let ath = access_token.map(|token| URL_SAFE_NO_PAD.encode(hash(token).as_bytes()));
        let nonce = cx.memory.nonce(&url.origin().ascii_serialization());
        let (htm, htu, iat) = (method.as_str(), target.as_str(), cx.now.as_secs());
        let claims = Claims { jti: jti.expose(), htm, htu, iat, nonce, ath };
        Unsigned::new(&Header { typ: "dpop+jwt", alg: key.algorithm.name(), jwk: &key.jwk }, &claims).map(Self)
    }
}

/// Remembers the nonce that an answer brings, whatever its status (RFC 9449 §8.2).
pub(crate) fn keep_nonce(url: &Url, headers: &HeaderMap, cx: &mut Context<'_>) {
    let mut values = headers.get_all(NONCE).iter();
    // Two nonces are as good as none: which of them is meant nobody knows.
    if let (Some(nonce), None) = (values.next(), values.next())
        && let Ok(nonce) = nonce.to_str()
    {
        cx.memory.keep_nonce(&url.origin().ascii_serialization(), nonce);
    }
}

/// Whether the headers of a 401 ask for a proof with the nonce that they bring (RFC 9449 §9).
pub(crate) fn challenges_nonce(headers: &HeaderMap) -> bool {
    let asks = |challenge: &Challenge| challenge.is("dpop") && challenge.error() == Some("use_dpop_nonce");
    headers.contains_key(NONCE) && challenges(headers).iter().any(asks)
}
