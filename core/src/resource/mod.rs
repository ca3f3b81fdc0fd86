//! Requests to resource servers: where a token may go, how it gets there, and what a 401 means.
//!
//! [`Audience`] says where, [`AuthorizedRequest`] is the machine that gets a credential, attaches it and judges the answer,
//! [`step_up`](challenge_of) reads what a server asks for besides. [`Template`] makes requests from plain values. What a
//! credential is and how it is kept fresh stands in [`manager`](crate::manager); what an answer means is the caller's.

mod audience;
mod call;
#[cfg(feature = "legacy-grants")]
mod legacy;
mod request;
mod step_up;
pub mod template;

pub use audience::Audience;
pub use call::Call;
pub use request::{AuthorizedRequest, Replay, RequestSettings, TABLE};
pub use step_up::{StepUp, challenge_of, refuses_token};
pub use template::Template;

#[cfg(test)]
mod tests;
