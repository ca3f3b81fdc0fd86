//! What happens outside a machine.

use core::fmt;

use crate::callback::CallbackParams;
use crate::error::{Error, ProviderError, SendFailure, StoreError};
use crate::http::Body;
use crate::manager::{Credential, TokenId};
use crate::secret::Secret;
use crate::store::Stored;
use crate::token::TokenSet;

/// One thing that happened outside: the answer to an effect, or a wish of the caller.
///
/// Each [`Effect`](super::Effect) names its legal answers; everything else is refused as misuse and changes nothing.
#[derive(Debug)]
pub enum Event {
    /// The caller begins the flow.
    Start,
    /// The caller has restored the flow from a snapshot and wants its effect again.
    Resume,
    /// The caller gives the flow up. Legal in every state that is not terminal.
    Cancel,
    /// The answer to `Send`: a whole response, its body cut at the effect's limit.
    Response(http::Response<Body>),
    /// The answer to `Send`: there is no response.
    SendFailed(SendFailure),
    /// The answer to `Redirect`: somebody called the redirect URI. It need not be the person who was sent away.
    Callback(CallbackParams),
    /// The code was shown to the person: the answer to `ShowUserCode`.
    Shown,
    /// The time named by `Sleep` or `Redirect` has come.
    Elapsed,
    /// The answer to `Sign`: the raw signature, for ECDSA in the fixed-length form of RFC 7518 §3.4.
    Signed(Secret<Vec<u8>>),
    /// The answer to `Sign`: there is no signature.
    SignFailed(ProviderError),
    /// The caller wants a usable credential.
    Acquire,
    /// The caller wants the token renewed ahead of its time.
    Renew,
    /// A resource server has refused the token of this fingerprint.
    Reject(TokenId),
    /// The caller has tokens from a login.
    Adopt(Box<TokenSet>),
    /// The caller wants what is stored to replace what is held.
    Reload,
    /// The caller wants the tokens revoked and forgotten.
    SignOut,
    /// The answer to `Load` and `Claim`: what is stored, if anything is.
    Loaded(Option<Stored>),
    /// The answer to `Save` and `Delete`: it is done and will survive a crash.
    Stored,
    /// The answer to `Save`: something else is stored than was expected. Nothing was written.
    Conflict,
    /// The answer to an effect on the store: it failed.
    StoreFailed(StoreError),
    /// The answer to `Release`.
    Released,
    /// The answer to `Delegate`: new tokens.
    Delegated(Box<TokenSet>),
    /// The answer to `Delegate`: there are none.
    DelegateFailed(Error),
    /// The answer to `Lease`: a credential to use now.
    Leased(Credential),
    /// The answer to `Lease`: there is none.
    LeaseFailed(Error),
}

/// The kind of an [`Event`], as tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Start`]
    Start,
    /// [`Event::Resume`]
    Resume,
    /// [`Event::Cancel`]
    Cancel,
    /// [`Event::Response`]
    Response,
    /// [`Event::SendFailed`]
    SendFailed,
    /// [`Event::Callback`]
    Callback,
    /// [`Event::Shown`]
    Shown,
    /// [`Event::Elapsed`]
    Elapsed,
    /// [`Event::Signed`]
    Signed,
    /// [`Event::SignFailed`]
    SignFailed,
    /// [`Event::Acquire`]
    Acquire,
    /// [`Event::Renew`]
    Renew,
    /// [`Event::Reject`]
    Reject,
    /// [`Event::Adopt`]
    Adopt,
    /// [`Event::Reload`]
    Reload,
    /// [`Event::SignOut`]
    SignOut,
    /// [`Event::Loaded`]
    Loaded,
    /// [`Event::Stored`]
    Stored,
    /// [`Event::Conflict`]
    Conflict,
    /// [`Event::StoreFailed`]
    StoreFailed,
    /// [`Event::Released`]
    Released,
    /// [`Event::Delegated`]
    Delegated,
    /// [`Event::DelegateFailed`]
    DelegateFailed,
    /// [`Event::Leased`]
    Leased,
    /// [`Event::LeaseFailed`]
    LeaseFailed,
}

impl EventKind {
    /// Every kind there is, for tests that try them all.
    pub const ALL: [EventKind; 25] = [
        EventKind::Start,
        EventKind::Resume,
        EventKind::Cancel,
        EventKind::Response,
        EventKind::SendFailed,
        EventKind::Callback,
        EventKind::Shown,
        EventKind::Elapsed,
        EventKind::Signed,
        EventKind::SignFailed,
        EventKind::Acquire,
        EventKind::Renew,
        EventKind::Reject,
        EventKind::Adopt,
        EventKind::Reload,
        EventKind::SignOut,
        EventKind::Loaded,
        EventKind::Stored,
        EventKind::Conflict,
        EventKind::StoreFailed,
        EventKind::Released,
        EventKind::Delegated,
        EventKind::DelegateFailed,
        EventKind::Leased,
        EventKind::LeaseFailed,
    ];
}

impl Event {
    /// Which kind of event this is.
    pub fn kind(&self) -> EventKind {
        match self {
            Event::Start => EventKind::Start,
            Event::Resume => EventKind::Resume,
            Event::Cancel => EventKind::Cancel,
            Event::Response(_) => EventKind::Response,
            Event::SendFailed(_) => EventKind::SendFailed,
            Event::Callback(_) => EventKind::Callback,
            Event::Shown => EventKind::Shown,
            Event::Elapsed => EventKind::Elapsed,
            Event::Signed(_) => EventKind::Signed,
            Event::SignFailed(_) => EventKind::SignFailed,
            Event::Acquire => EventKind::Acquire,
            Event::Renew => EventKind::Renew,
            Event::Reject(_) => EventKind::Reject,
            Event::Adopt(_) => EventKind::Adopt,
            Event::Reload => EventKind::Reload,
            Event::SignOut => EventKind::SignOut,
            Event::Loaded(_) => EventKind::Loaded,
            Event::Stored => EventKind::Stored,
            Event::Conflict => EventKind::Conflict,
            Event::StoreFailed(_) => EventKind::StoreFailed,
            Event::Released => EventKind::Released,
            Event::Delegated(_) => EventKind::Delegated,
            Event::DelegateFailed(_) => EventKind::DelegateFailed,
            Event::Leased(_) => EventKind::Leased,
            Event::LeaseFailed(_) => EventKind::LeaseFailed,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
