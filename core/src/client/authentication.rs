//! How a client proves who it is at the server's endpoints (RFC 6749 §2.3, RFC 7523 §2.2).

use core::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::Secret;
use crate::error::{ConfigError, Error};
use crate::http::form::{Form, encode_component};
use crate::jose::SignatureAlgorithm;
use crate::server::ServerMetadata;

/// How a client authenticates.
#[derive(Debug)]
pub enum Authentication {
    /// Not at all: a public client, which names itself only.
    None,
    /// With a secret, in the way the server's metadata prefers.
    Secret(Secret),
    /// `client_secret_basic`: form-encoded, then base64 (RFC 6749 §2.3.1).
    SecretBasic(Secret),
    /// `client_secret_basic` as some servers wrongly expect it: base64 without form-encoding.
    SecretBasicRaw(Secret),
    /// `client_secret_post`: in the body.
    SecretPost(Secret),
    /// `private_key_jwt`: an assertion signed by the driver (RFC 7523 §2.2).
    SignedAssertion {
        /// The name by which the driver knows the key; sent as `kid`.
        key_id: String,
        /// How the key signs.
        algorithm: SignatureAlgorithm,
    },
    /// A method of your own.
    Custom(Arc<dyn AuthenticationMethod>),
}

/// A client authentication method of the user's own.
///
/// ```
/// use grantflow_core::client::{AuthenticationMethod, Credentials};
///
/// /// Puts a key into a header.
/// #[derive(Debug)]
/// struct ApiKey(http::HeaderValue);
///
/// impl AuthenticationMethod for ApiKey {
///     fn name(&self) -> &str {
///         "api_key"
///     }
///     fn apply(&self, request: &mut Credentials) -> Result<(), grantflow_core::Error> {
///         request.headers.insert("x-api-key", self.0.clone());
///         Ok(())
///     }
/// }
/// ```
pub trait AuthenticationMethod: fmt::Debug + Send + Sync {
    /// Its name, for logs and settings.
    fn name(&self) -> &str;

    /// Puts credentials into a request. Called anew for every attempt.
    ///
    /// # Errors
    /// Whatever keeps the credentials from being made; the flow ends with it and nothing is sent.
    fn apply(&self, request: &mut Credentials) -> Result<(), Error>;
}

/// The parts of a request that an authentication method may change.
#[derive(Debug)]
pub struct Credentials {
    /// The client's identifier.
    pub client_id: String,
    /// The URL; it is judged by the URL policy again afterwards and must keep its origin.
    pub url: url::Url,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, before it is encoded.
    pub form: Form,
}

/// An authentication that has been checked against the server.
#[derive(Debug)]
pub(crate) enum Method {
    None,
    /// The header, and the secret in it.
    Basic(HeaderValue, Secret),
    Post(Secret),
    Assertion {
        key_id: String,
        algorithm: SignatureAlgorithm,
    },
    Custom(Arc<dyn AuthenticationMethod>),
}

impl Method {
    pub(crate) fn name(&self) -> &str {
        match self {
            Method::None => "none",
            Method::Basic(..) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            Method::Assertion { .. } => "private_key_jwt",
            Method::Custom(method) => method.name(),
        }
    }
}

impl Authentication {
    /// Makes a method from its registered name and a secret, as a configuration file gives them.
    ///
    /// # Errors
    /// [`ConfigError::AuthenticationUnknown`] for any name but `none`, `client_secret_basic`, `client_secret_basic_raw`
    /// and `client_secret_post`; [`ConfigError::Missing`] when the method needs a secret and there is none.
    pub fn from_name(name: &str, secret: Option<Secret>) -> Result<Self, Error> {
        let secret = secret.ok_or(ConfigError::Missing("client secret"));
        Ok(match name {
            "none" => Authentication::None,
            "client_secret_basic" => Authentication::SecretBasic(secret?),
            "client_secret_basic_raw" => Authentication::SecretBasicRaw(secret?),
            "client_secret_post" => Authentication::SecretPost(secret?),
            other => return Err(ConfigError::AuthenticationUnknown(crate::error::safe_text(other)).into()),
        })
    }

    pub(super) fn resolve(self, client_id: &str, server: &ServerMetadata) -> Result<Method, Error> {
        let offered = |name: &str| {
            // A server that says nothing offers client_secret_basic (RFC 8414 §2).
            server
                .list("token_endpoint_auth_methods_supported")
                .map_or(name == "client_secret_basic", |names| names.iter().any(|offered| offered == name))
        };
        match self {
            Authentication::None => Ok(Method::None),
            Authentication::Secret(secret) if offered("client_secret_basic") => basic(client_id, secret, true),
            Authentication::Secret(secret) if offered("client_secret_post") => post(secret),
            Authentication::Secret(_) => Err(ConfigError::AuthenticationUnsupported.into()),
            Authentication::SecretBasic(secret) => basic(client_id, secret, true),
            Authentication::SecretBasicRaw(secret) => basic(client_id, secret, false),
            Authentication::SecretPost(secret) => post(secret),
            Authentication::SignedAssertion { key_id, algorithm } => Ok(Method::Assertion { key_id, algorithm }),
            Authentication::Custom(method) => Ok(Method::Custom(method)),
        }
    }
}

fn post(secret: Secret) -> Result<Method, Error> {
    if secret.expose().is_empty() {
        return Err(ConfigError::EmptySecret.into());
    }
    Ok(Method::Post(secret))
}

fn basic(client_id: &str, secret: Secret, encode: bool) -> Result<Method, Error> {
    if secret.expose().is_empty() {
        return Err(ConfigError::EmptySecret.into());
    }
    let pair = Zeroizing::new(if encode {
        format!("{}:{}", encode_component(client_id).expose(), encode_component(secret.expose()).expose())
    } else {
        format!("{client_id}:{}", secret.expose())
    });
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| ConfigError::Invalid { setting: "client secret", why: "cannot be put into a header" })?;
    value.set_sensitive(true);
    Ok(Method::Basic(value, secret))
}
