//! The grants: how a client comes to tokens. One flow, one file.
//!
//! Each flow is a [`Machine`](crate::machine::Machine) with a table of its own. What they share is here too: extra
//! parameters ([`Extras`]), what was asked and is enforced (`Asked`), and the last steps of every flow that may bring
//! an id_token (`redeem`). What a server's answer looks like is [`token`](crate::token)'s business.

mod asked;
pub mod authorization_code;
pub mod client_credentials;
pub mod device;
pub mod extension;
mod extras;
mod kind;
mod pending;
mod redeem;
pub mod refresh;

pub use authorization_code::{AuthorizationCode, AuthorizationRequest};
pub use client_credentials::ClientCredentials;
pub use device::Device;
pub use extension::{ExtensionGrant, ExtensionRequest};
pub use extras::Extras;
pub use kind::GrantKind;
pub use pending::PendingFlows;
pub use refresh::Refresh;

pub(crate) use asked::Asked;
