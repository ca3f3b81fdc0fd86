//! An OAuth 2.0 and OpenID Connect server on loopback for development and tests: honest by default, faulty on request.
//!
//! ```
//! use grantflow_devserver::{Config, DevServer, Fault};
//!
//! let mut server = DevServer::start(Config::default().allowing("alice"))?;
//! println!("issuer: {}", server.issuer());
//! server.set_fault(Some(Fault::IdTokenWrongNonce));       // from now on
//! server.set_fault_for(Fault::Token503RetryAfter, 1);     // and this once
//! for entry in server.log() {
//!     println!("{entry}");
//! }
//! server.stop();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does
//! | endpoint | path below the issuer | |
//! |---|---|---|
//! | metadata | `/.well-known/openid-configuration`, `/.well-known/oauth-authorization-server` | both also inserted before the issuer's path (RFC 8414 §3.1) |
//! | keys | `/jwks` | RSA, P-256, P-384, P-521, Ed25519; [`DevServer::rotate_keys`] |
//! | authorization | `/authorize` | PKCE S256 demanded; `response_mode` query and form_post; `iss` (RFC 9207); `prompt`, `max_age`, `acr_values`, `nonce`, `login_hint`, `resource`, `audience` |
//! | token | `/token` | authorization code, client credentials, refresh, device |
//! | device authorization | `/device_authorization`, page at `/device` | RFC 8628; [`DevServer::approve_device`] |
//! | userinfo | `/userinfo` | GET and POST |
//! | introspection | `/introspect` | for clients with a secret |
//! | revocation | `/revoke` | a refresh token takes its family along |
//! | protected resource | `/api/me` | says whose token it was |
//!
//! Codes work once: a second use revokes what came of the first. Refresh tokens rotate, and using an old one again
//! revokes the whole family. All state is in memory, bounded by [`CAPACITY`] entries of each kind, and expires. Codes,
//! tokens and cookies are kept as hashes. [`Config::default`] names the built-in clients and user.
//!
//! # What it can do wrong
//! [`Fault`] lists it; [`DevServer::answer_next`] gives any answer, byte by byte, torn where you like.
//!
//! # What it leaves out on purpose
//! It is no authorization server for real use: users are a list, passwords are compared in plain text, nobody is locked
//! out, the first RSA key is public. It speaks HTTP on 127.0.0.1 only, and refuses requests whose `Host` is not its own.
//! Pushed and signed authorization requests, DPoP, client assertions and registration do not exist here yet.

mod answer;
mod authorize;
mod client_auth;
mod clock;
mod config;
mod context;
mod device;
mod faults;
mod id_token;
mod keys;
mod lifecycle;
mod log;
mod metadata;
mod pages;
mod params;
mod redirect;
mod refusal;
mod resource;
mod router;
mod server;
mod session;
mod site;
mod state;
mod token;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use clock::{Clock, ManualClock, system_clock};
pub use config::{
    AccessTokenFormat, ClientAuthentication, ClientEntry, Config, ConfigError, Consent, GrantType, OnRequest, OnSecret,
    RefreshRotation, UserEntry,
};
pub use faults::{Fault, UnknownFault};
pub use keys::Algorithm;
pub use log::{LOG_CAPACITY, LogEntry};
pub use server::DevServer;
pub use state::CAPACITY;
