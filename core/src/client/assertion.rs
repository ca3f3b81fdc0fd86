//! The assertion of `private_key_jwt` (RFC 7523 §2.2 and §3), put together here and signed by the driver.

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::Secret;
use crate::error::Error;
use crate::jose::SignatureAlgorithm;
use crate::machine::{Context, SignRequest};
use crate::random;

/// How long an assertion may be used: long enough for one request.
const LIFETIME: Duration = Duration::from_secs(60);

/// A JWT that lacks its signature.
#[derive(Debug)]
pub(crate) struct ClientAssertion(pub(crate) Unsigned);

/// The signing input of a JWT.
#[derive(Debug)]
pub(crate) struct Unsigned {
    input: Secret,
}

impl Unsigned {
    pub(crate) fn new(header: &impl Serialize, claims: &impl Serialize) -> Result<Self, Error> {
        let part = |json: serde_json::Result<Vec<u8>>| match json {
            Ok(bytes) => Ok(URL_SAFE_NO_PAD.encode(bytes)),
            Err(_) => Err(Error::Bug("a JWT of our own that cannot be written")),
        };
        let (header, claims) = (part(serde_json::to_vec(header))?, part(serde_json::to_vec(claims))?);
        Ok(Self { input: Secret::new(format!("{header}.{claims}")) })
    }

    pub(crate) fn request(&self, key_id: &str, algorithm: SignatureAlgorithm) -> SignRequest {
        let message = Secret::new(self.input.expose().clone().into_bytes());
        SignRequest { key_id: key_id.to_owned(), algorithm, message }
    }

    pub(crate) fn signed(self, signature: &[u8]) -> Secret {
        Secret::new(format!("{}.{}", self.input.expose(), URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    /// The issuer alone, as a string: an assertion for it is of no use to anybody else.
    aud: &'a str,
    jti: &'a str,
    iat: u64,
    exp: u64,
}

impl ClientAssertion {
    /// Makes a fresh assertion: every attempt has its own `jti`, `iat` and `exp`.
    pub(crate) fn new(
        client_id: &str,
        issuer: &str,
        key_id: &str,
        algorithm: SignatureAlgorithm,
        cx: &mut Context<'_>,
    ) -> Result<Self, Error> {
        let jti = random::token::<16>(cx.random)?;
        let claims = Claims {
            iss: client_id,
            sub: client_id,
            aud: issuer,
            jti: jti.expose(),
            iat: cx.now.as_secs(),
            exp: cx.now.plus(LIFETIME).as_secs(),
        };
        let header = Header { alg: algorithm.name(), kid: key_id, typ: "JWT" };
        Unsigned::new(&header, &claims).map(Self)
    }
}
