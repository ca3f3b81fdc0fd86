//! OAuth 2.0 and OpenID Connect flows as explicit state machines, without I/O.
#![cfg_attr(not(test), warn(missing_docs))]

pub mod callback;
pub mod client;
pub mod crypto;
pub mod endpoint;
pub mod error;
pub mod grant;
pub mod http;
pub mod jose;
pub mod loopback;
pub mod machine;
pub mod manager;
pub mod memory;
mod random;
pub mod resource;
mod secret;
pub mod server;
mod snapshot;
pub mod store;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod testing;
mod time;
pub mod token;

pub use error::Error;
pub use random::{Random, RandomUnavailable, unguessable};
pub use secret::{Secret, Wipe};
pub use snapshot::Snapshot;
pub use time::Timestamp;

use machine::Table;

/// The tables of all machines there are, as a reader meets them. The first is part of all others.
pub const TABLES: &[&Table] = &[
    &endpoint::exchange::TABLE,
    &grant::authorization_code::TABLE,
    &grant::client_credentials::TABLE,
    &grant::device::TABLE,
    &grant::refresh::TABLE,
    &grant::extension::TABLE,
    &endpoint::discovery::TABLE,
    &endpoint::jwks::TABLE,
    &endpoint::userinfo::TABLE,
    &endpoint::introspection::TABLE,
    &endpoint::revocation::TABLE,
    &manager::TABLE,
    &resource::TABLE,
];
