//! What happens outside a machine.

use core::fmt;

use crate::callback::CallbackParams;
use crate::error::{ProviderError, SendFailure};
use crate::http::Body;
use crate::secret::Secret;

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
}

impl EventKind {
    /// Every kind there is, for tests that try them all.
    pub const ALL: [EventKind; 10] = [
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
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
