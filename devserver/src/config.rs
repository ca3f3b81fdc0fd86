//! What the server is told: where it listens, who its clients and users are, how long things live.
//!
//! A configuration is built in code or read from TOML, where unknown keys are errors:
//!
//! ```
//! let config = grantflow_devserver::Config::from_toml(r#"
//!     port = 0
//!     issuer_path = "/tenant"          # the issuer is http://127.0.0.1:PORT/tenant
//!     consent = { allow = "carol" }    # or "ask" (the default: show the page) or "deny"
//!     access_token_lifetime = 300      # seconds
//!     faults = ["token-429-retry-after"]
//!
//!     [[client]]                       # any [[client]] replaces the built-in ones
//!     id = "my-app"
//!     redirect_uris = ["http://127.0.0.1/callback"]
//!     grants = ["authorization_code", "refresh_token"]
//!
//!     [[user]]                         # any [[user]] replaces the built-in one
//!     name = "carol"
//!     password = "not-so-secret"
//!     claims = { email = "carol@example.com" }
//! "#)?;
//! assert_eq!(config.clients.len(), 1);
//! # Ok::<(), grantflow_devserver::ConfigError>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::clock::{Clock, system_clock};
use crate::faults::Fault;
use crate::keys::Algorithm;
use crate::log::LogEntry;

/// Is called with each request's log entry once the request has been served.
pub type OnRequest = Arc<dyn Fn(&LogEntry) + Send + Sync>;

/// Is called with the kind of a secret, by the name of its parameter, and with the secret.
pub type OnSecret = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The server's configuration. [`Config::default`] has one user and two clients:
///
/// | kind | name | secret | may |
/// |---|---|---|---|
/// | public client | `demo-app` | none | authorization code, refresh, device |
/// | confidential client | `demo-service` | `demo-secret` | these and client credentials, token exchange, introspection |
/// | user | `alice` | `wonderland` | |
///
/// Both clients may redirect to `/`, `/callback` and `/cb` of `http://127.0.0.1` and `http://[::1]` on any port, and
/// ask for the scopes `openid profile email address phone offline_access read write`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The TCP port on 127.0.0.1; 0, the default, takes a free one.
    pub port: u16,
    /// The issuer's path, empty or `/…` without a slash at the end.
    pub issuer_path: String,
    /// What happens at the authorization endpoint.
    pub consent: Consent,
    /// Whether a refresh token is replaced at each use.
    pub refresh_rotation: RefreshRotation,
    /// What access tokens look like.
    pub access_token_format: AccessTokenFormat,
    /// Life of an access token in seconds.
    pub access_token_lifetime: u32,
    /// Life of an id_token in seconds.
    pub id_token_lifetime: u32,
    /// Life of a refresh token in seconds.
    pub refresh_token_lifetime: u32,
    /// Life of an authorization code in seconds.
    pub code_lifetime: u32,
    /// Life of a device code in seconds.
    pub device_code_lifetime: u32,
    /// Pause between two polls of a device in seconds.
    pub device_interval: u32,
    /// The `acr` values that the server grants, in its metadata's order.
    pub acr_values: Vec<String>,
    /// Faults that are on from the start.
    pub faults: Vec<Fault>,
    /// The clients.
    #[serde(rename = "client")]
    pub clients: Vec<ClientEntry>,
    /// The users.
    #[serde(rename = "user")]
    pub users: Vec<UserEntry>,
    /// Where the time comes from.
    #[serde(skip, default = "system_clock")]
    pub clock: Clock,
    /// Hears of each request.
    #[serde(skip)]
    pub on_request: Option<OnRequest>,
    /// Hears of each secret that the server hands out or is shown.
    #[serde(skip)]
    pub on_secret: Option<OnSecret>,
}

/// What happens when an authorization request arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// A page asks for name, password and consent.
    #[default]
    Ask,
    /// No page: the named user is signed in at that moment and allows everything. A `login_hint` that names
    /// another user chooses that one.
    Allow(String),
    /// No page: the answer is `access_denied`.
    Deny,
}

/// Whether a refresh token is replaced at each use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshRotation {
    /// Each use gives a new one, and using an old one again kills the whole family (RFC 9700 §4.14.2).
    #[default]
    Rotate,
    /// The same one stays, and answers to a refresh carry none.
    Keep,
}

/// What access tokens look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessTokenFormat {
    /// Random characters that mean something to this server only.
    #[default]
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt,
}

/// A grant that a client may use, by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// RFC 6749 §4.4.
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code", alias = "device_code")]
    DeviceCode,
    /// RFC 8693, for access tokens of this server.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange", alias = "token-exchange")]
    TokenExchange,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::AuthorizationCode, Self::ClientCredentials, Self::RefreshToken, Self::DeviceCode, Self::TokenExchange];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// How a confidential client proves itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// `client_secret_basic` or `client_secret_post`.
    #[default]
    Any,
    /// The `Authorization` header only.
    ClientSecretBasic,
    /// The form only.
    ClientSecretPost,
}

/// A registered client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// Its `client_id`.
    pub id: String,
    /// Its secret; a client without one is public.
    #[serde(default, deserialize_with = "some_secret")]
    pub secret: Option<Secret>,
    /// Where the secret is taken from.
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// What people are shown; the id if empty.
    #[serde(default)]
    pub name: String,
    /// Where answers may go: exact text, but with any port for `http://127.0.0.1` and `http://[::1]` (RFC 8252 §7.3).
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The grants it may use.
    pub grants: Vec<GrantType>,
    /// The scopes it may ask for; any if empty.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How its id_tokens are signed.
    #[serde(default)]
    pub id_token_signed_response_alg: Algorithm,
}

/// Somebody who can sign in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// What is typed.
    pub name: String,
    /// What is typed below it.
    #[serde(deserialize_with = "secret")]
    pub password: Secret,
    /// The `sub` claim; the name if empty.
    #[serde(default)]
    pub subject: String,
    /// More claims for userinfo. `email…`, `address` and `phone…` need the scope of that name, others `profile`.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

impl UserEntry {
    /// The `sub` claim.
    pub fn subject(&self) -> &str {
        if self.subject.is_empty() { &self.name } else { &self.subject }
    }
}

/// The scopes of the built-in clients.
pub(crate) const SCOPES: [&str; 8] =
    ["openid", "profile", "email", "address", "phone", "offline_access", "read", "write"];

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            issuer_path: String::new(),
            consent: Consent::default(),
            refresh_rotation: RefreshRotation::default(),
            access_token_format: AccessTokenFormat::default(),
            access_token_lifetime: 3_600,
            id_token_lifetime: 3_600,
            refresh_token_lifetime: 14 * 24 * 3_600,
            code_lifetime: 60,
            device_code_lifetime: 600,
            device_interval: 5,
            acr_values: ["pwd", "mfa", "phr", "phrh"].map(str::to_owned).to_vec(),
            faults: Vec::new(),
            clients: vec![demo_app(), demo_service()],
            users: vec![alice()],
            clock: system_clock(),
            on_request: None,
            on_secret: None,
        }
    }
}

fn demo_app() -> ClientEntry {
    let redirect_uris = ["http://127.0.0.1", "http://[::1]"]
        .iter()
        .flat_map(|origin| ["/", "/callback", "/cb"].map(|path| format!("{origin}{path}")));
    ClientEntry {
        id: "demo-app".to_owned(),
        secret: None,
        authentication: ClientAuthentication::default(),
        name: "Demo application".to_owned(),
        redirect_uris: redirect_uris.collect(),
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode],
        scopes: SCOPES.map(str::to_owned).to_vec(),
        id_token_signed_response_alg: Algorithm::default(),
    }
}

fn demo_service() -> ClientEntry {
    ClientEntry {
        id: "demo-service".to_owned(),
        secret: Some(Secret::from("demo-secret")),
        name: "Demo service".to_owned(),
        grants: GrantType::ALL.to_vec(),
        ..demo_app()
    }
}

fn alice() -> UserEntry {
    let claims = [
        ("name", Value::from("Alice Liddell")),
        ("email", Value::from("alice@example.com")),
        ("email_verified", Value::from(true)),
        ("phone_number", Value::from("+44 20 7946 0000")),
    ];
    UserEntry {
        name: "alice".to_owned(),
        password: Secret::from("wonderland"),
        subject: String::new(),
        claims: claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
    }
}

impl Config {
    /// Reads a configuration; what is not named there is as in [`Config::default`].
    ///
    /// # Errors
    /// [`ConfigError`] with the line and the reason: not TOML, an unknown key, a wrong value, a client or user twice,
    /// a redirect URI that is none. The file's text is never repeated: it holds secrets.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError {
                line: Some(before.matches('\n').count().saturating_add(1)),
                reason: error.message().to_owned(),
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// No page: the named user is signed in and allows everything.
    #[must_use]
    pub fn allowing(self, user: &str) -> Self {
        Self { consent: Consent::Allow(user.to_owned()), ..self }
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Switches faults on from the start.
    #[must_use]
    pub fn with_faults(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { faults: faults.into_iter().collect(), ..self }
    }

    /// Hears of each request.
    #[must_use]
    pub fn on_request(self, hear: OnRequest) -> Self {
        Self { on_request: Some(hear), ..self }
    }

    /// Hears of each secret that the server hands out or is shown: codes, tokens, verifiers, credentials, passwords. It is for
    /// tests that look for them where they must not be, and must not call the server.
    #[must_use]
    pub fn on_secret(self, hear: OnSecret) -> Self {
        Self { on_secret: Some(hear), ..self }
    }

    /// Tells of a secret whoever wants to hear of it.
    pub(crate) fn tell_secret(&self, kind: &str, secret: &str) {
        if let Some(hear) = &self.on_secret {
            hear(kind, secret);
        }
    }

    /// Says what is wrong with the configuration, if anything.
    ///
    /// # Errors
    /// [`ConfigError`] without a line.
    pub fn check(&self) -> Result<(), ConfigError> {
        let path = &self.issuer_path;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
        if !path.is_empty() && (!path.starts_with('/') || path.ends_with('/') || !path.chars().all(plain)) {
            return Err(ConfigError::new(format!("issuer_path {path:?} is not a path such as /tenant")));
        }
        if self.device_interval == 0 {
            return Err(ConfigError::new("device_interval is zero".to_owned()));
        }
        for (at, client) in self.clients.iter().enumerate() {
            if self.clients.iter().skip(at.saturating_add(1)).any(|other| other.id == client.id) {
                return Err(ConfigError::new(format!("client {:?} is there twice", client.id)));
            }
            for uri in &client.redirect_uris {
                if url::Url::parse(uri).is_err() || uri.contains('#') {
                    return Err(ConfigError::new(format!("redirect URI {uri:?} of client {:?} is not one", client.id)));
                }
            }
        }
        for (at, user) in self.users.iter().enumerate() {
            if self.users.iter().skip(at.saturating_add(1)).any(|other| other.name == user.name) {
                return Err(ConfigError::new(format!("user {:?} is there twice", user.name)));
            }
        }
        if let Consent::Allow(name) = &self.consent
            && self.user(name).is_none()
        {
            return Err(ConfigError::new(format!("consent names {name:?}, who is no user")));
        }
        Ok(())
    }

    pub(crate) fn client(&self, id: &str) -> Option<&ClientEntry> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(crate) fn user(&self, name: &str) -> Option<&UserEntry> {
        self.users.iter().find(|user| user.name == name)
    }
}

impl ClientEntry {
    /// What people are shown.
    pub(crate) fn shown(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }

    /// The first of `scopes` that this client may not ask for.
    pub(crate) fn first_forbidden<'a>(&self, scopes: &'a [String]) -> Option<&'a String> {
        let syntax = |scope: &str| scope.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
        scopes.iter().find(|scope| !syntax(scope) || !(self.scopes.is_empty() || self.scopes.contains(scope)))
    }
}

/// Seconds as a duration.
pub(crate) fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}

fn some_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    secret(from).map(Some)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("port", &self.port)
            .field("issuer_path", &self.issuer_path)
            .field("consent", &self.consent)
            .field("faults", &self.faults)
            .field("clients", &self.clients)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientEntry").field("id", &self.id).field("secret", &self.secret).finish_non_exhaustive()
    }
}

impl fmt::Debug for UserEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEntry").field("name", &self.name).field("password", &self.password).finish_non_exhaustive()
    }
}

/// The configuration cannot be used; whoever wrote it must change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    line: Option<usize>,
    reason: String,
}

impl ConfigError {
    fn new(reason: String) -> Self {
        Self { line: None, reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for ConfigError {}
