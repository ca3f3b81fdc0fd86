//! What a client asks of a server besides tokens, and how any request is made.
//!
//! Each endpoint is a flow of its own: [`Discovery`], [`Jwks`], [`UserInfo`], [`Introspection`], [`Revocation`].
//! Beneath all flows lies the exchange: one request, authenticated, retried within bounds, and its answer.

pub mod discovery;
pub(crate) mod exchange;
pub mod introspection;
pub mod jwks;
pub(crate) mod nested;
pub mod revocation;
pub(crate) mod single;
pub mod userinfo;

pub use discovery::Discovery;
pub use introspection::{Introspected, Introspection, Remembered};
pub use jwks::Jwks;
pub use revocation::Revocation;
pub use userinfo::{Profile, UserInfo};
