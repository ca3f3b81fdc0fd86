//! The life of a token after it was got: loaded, kept fresh, saved, given up.
//!
//! [`TokenManager`] is one login's machine. It is long-lived: each command of the caller ([`Event::Acquire`], `Renew`,
//! `Reject`, `Adopt`, `Reload`, `SignOut`) ends with a [`Lease`], and the machine waits for the next. [`Gate`] decides
//! which of many callers gives it commands. [`Meaning`] is the table of what a failed renewal means; nothing else ends a
//! session.
//!
#![doc = include_str!("../../../docs/diagrams/token-manager.md")]
//!
//! **What is never lost.** A renewal claims the record first, so that of all processes one spends a refresh token. What the
//! server sends is saved before anybody gets it. Where the store fails, the caller gets the token with that fact
//! ([`Credential::unsaved`]), the save is tried again, and the spent token is not sent again. A refusal is believed only
//! after the store was read once more: somebody else may have renewed.
//!
//! **What is not renewed without a claim.** While the store is away, an expired token of a login that others may share is
//! not renewed: time is lost, nothing else. A token that no store knows is nobody else's and is.

mod credential;
mod gate;
mod lease;
mod meaning;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod token_manager;

pub use credential::{API_KEY_HEADER, Charset, Credential, Placement, TokenId};
#[cfg(feature = "legacy-grants")]
pub(crate) use credential::{Parameter, Part};
pub use gate::{Change, Gate, Verdict, Wish};
pub use lease::{Lease, SignedOut, Trouble};
pub use meaning::Meaning;
pub use settings::{Settings, Source, Unsaved};
pub use table::TABLE;
pub use token_manager::TokenManager;

#[cfg(doc)]
use crate::machine::Event;
