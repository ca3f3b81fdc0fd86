//! What can go wrong with tokens that are kept: the store fails, or there are none.

use super::{Advice, Refusal, safe_text};

/// Why a person has to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginNeeded {
    /// Nobody has logged in, or somebody has logged out.
    NoSession,
    /// The server has refused the refresh token: in these words, if they are still known.
    Ended(Option<Box<Refusal>>),
    /// The access token's time is over and there is no refresh token.
    NotRenewable,
    /// A resource server has refused the access token and there is no refresh token.
    Rejected,
}

/// How a store of tokens failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What kind of failure it is.
    pub fault: StoreFault,
    /// What the store says about it, escaped and cut. No secret, no password of a URL.
    pub detail: String,
}

/// The kinds of failure of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreFault {
    /// It cannot be reached, or does not work now.
    Unavailable,
    /// Somebody else has claimed the record and did not let go in time.
    Busy,
    /// No room is left.
    Full,
    /// No permission, a read-only medium, or a file that others may read.
    Denied,
    /// What is there cannot be read. It is kept, and only a login replaces it.
    Corrupt,
    /// What is there was written by a newer version of this software. It is kept.
    Newer,
    /// What is there belongs to another login.
    Foreign,
    /// The record is larger than the store takes.
    TooLarge,
}

impl StoreError {
    /// A failure, with what the store says about it.
    pub fn new(fault: StoreFault, detail: impl AsRef<str>) -> Self {
        Self { fault, detail: safe_text(detail.as_ref()) }
    }
}

impl StoreError {
    pub(super) fn advice(&self) -> Advice {
        match self.fault {
            StoreFault::Unavailable | StoreFault::Busy | StoreFault::Full => Advice::Retry { not_before: None },
            StoreFault::Denied
            | StoreFault::Corrupt
            | StoreFault::Newer
            | StoreFault::Foreign
            | StoreFault::TooLarge => Advice::FixConfig,
        }
    }
}
