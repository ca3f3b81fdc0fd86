//! What a machine asks of the world.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use url::Url;

use super::{Event, EventKind};
use crate::error::{
    BadCallback, ConfigError, Delivery, Error, ProviderError, SendFailure, StoreError, StoreFault, TransportKind,
};
use crate::http::{Body, Reach};
use crate::jose::SignatureAlgorithm;
use crate::manager::TokenId;
use crate::secret::Secret;
use crate::store::{Claim, StoreKey, StoreWrite};
use crate::time::Timestamp;
use crate::token::TokenSet;

/// One thing for the driver to do. The enum is closed: a new effect must not pass a driver unnoticed.
#[derive(Debug)]
pub enum Effect {
    /// Send this request.
    Send(Outgoing),
    /// Send a person's browser to a URL and wait for the call of the redirect URI.
    Redirect(Redirect),
    /// Show a person this code (RFC 8628 §3.3).
    ShowUserCode(UserCode),
    /// Wait until the moment named, which lies after `Context::now`.
    Sleep {
        /// When to answer [`Event::Elapsed`](super::Event::Elapsed).
        until: Timestamp,
    },
    /// Sign these bytes with a key that the core does not hold.
    Sign(SignRequest),
    /// Read what is stored under this key.
    Load(StoreKey),
    /// Become the only one who may replace what is stored under a key, then read it.
    Claim(Claim),
    /// Write this, if what is stored is what was expected. It must survive a crash before the answer is given.
    Save(StoreWrite),
    /// Forget what is stored under this key, with all copies of it.
    Delete(StoreKey),
    /// Let the claimed key go. Whatever goes wrong here ends by itself: a claim does not last.
    Release(StoreKey),
    /// Get new tokens from whoever can: the client's id and secret live elsewhere.
    Delegate(Delegation),
    /// Get a credential from the authorizer of this request.
    Lease(LeaseRequest),
}

/// The kind of an [`Effect`], as tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EffectKind {
    /// [`Effect::Send`]
    Send,
    /// [`Effect::Redirect`]
    Redirect,
    /// [`Effect::ShowUserCode`]
    ShowUserCode,
    /// [`Effect::Sleep`]
    Sleep,
    /// [`Effect::Sign`]
    Sign,
    /// [`Effect::Load`]
    Load,
    /// [`Effect::Claim`]
    Claim,
    /// [`Effect::Save`]
    Save,
    /// [`Effect::Delete`]
    Delete,
    /// [`Effect::Release`]
    Release,
    /// [`Effect::Delegate`]
    Delegate,
    /// [`Effect::Lease`]
    Lease,
}

impl Effect {
    /// Which kind of effect this is.
    pub fn kind(&self) -> EffectKind {
        match self {
            Effect::Send(_) => EffectKind::Send,
            Effect::Redirect(_) => EffectKind::Redirect,
            Effect::ShowUserCode(_) => EffectKind::ShowUserCode,
            Effect::Sleep { .. } => EffectKind::Sleep,
            Effect::Sign(_) => EffectKind::Sign,
            Effect::Load(_) => EffectKind::Load,
            Effect::Claim(_) => EffectKind::Claim,
            Effect::Save(_) => EffectKind::Save,
            Effect::Delete(_) => EffectKind::Delete,
            Effect::Release(_) => EffectKind::Release,
            Effect::Delegate(_) => EffectKind::Delegate,
            Effect::Lease(_) => EffectKind::Lease,
        }
    }

    /// The answer of a driver that has nobody to do this: no key, no person, no store.
    pub fn refused(&self) -> Event {
        let unsent = SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Connect };
        let missing = |what| Error::from(ConfigError::Missing(what));
        match self {
            Effect::Send(_) => Event::SendFailed(unsent),
            Effect::Sign(_) => Event::SignFailed(ProviderError::KeyUnavailable),
            Effect::Redirect(_) | Effect::ShowUserCode(_) | Effect::Sleep { .. } => Event::Cancel,
            Effect::Load(_) | Effect::Claim(_) | Effect::Save(_) | Effect::Delete(_) => {
                Event::StoreFailed(StoreError::new(StoreFault::Unavailable, "there is no store"))
            }
            Effect::Release(_) => Event::Released,
            Effect::Delegate(_) => Event::DelegateFailed(missing("refresher")),
            Effect::Lease(_) => Event::LeaseFailed(missing("authorizer")),
        }
    }

    /// The events that answer this effect.
    pub fn answers(&self) -> &'static [EventKind] {
        self.kind().answers()
    }
}

impl EffectKind {
    /// Every kind there is, for tests that try them all.
    pub const ALL: [EffectKind; 12] = [
        EffectKind::Send,
        EffectKind::Redirect,
        EffectKind::ShowUserCode,
        EffectKind::Sleep,
        EffectKind::Sign,
        EffectKind::Load,
        EffectKind::Claim,
        EffectKind::Save,
        EffectKind::Delete,
        EffectKind::Release,
        EffectKind::Delegate,
        EffectKind::Lease,
    ];

    /// The events that answer an effect of this kind. `Cancel` is legal besides, always.
    pub const fn answers(self) -> &'static [EventKind] {
        match self {
            EffectKind::Send => &[EventKind::Response, EventKind::SendFailed],
            EffectKind::Redirect => &[EventKind::Callback, EventKind::Elapsed],
            EffectKind::ShowUserCode => &[EventKind::Shown],
            EffectKind::Sleep => &[EventKind::Elapsed],
            EffectKind::Sign => &[EventKind::Signed, EventKind::SignFailed],
            EffectKind::Load | EffectKind::Claim => &[EventKind::Loaded, EventKind::StoreFailed],
            EffectKind::Save => &[EventKind::Stored, EventKind::Conflict, EventKind::StoreFailed],
            EffectKind::Delete => &[EventKind::Stored, EventKind::StoreFailed],
            EffectKind::Release => &[EventKind::Released],
            EffectKind::Delegate => &[EventKind::Delegated, EventKind::DelegateFailed],
            EffectKind::Lease => &[EventKind::Leased, EventKind::LeaseFailed],
        }
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A request and the bounds within which to send it. A driver never follows a redirect.
///
/// `Debug` shows no query: some servers want a credential in it.
pub struct Outgoing {
    /// The request, its URL already judged by the URL policy.
    pub request: http::Request<Body>,
    /// The most bytes of a body to read; one more is [`TransportKind::TooLarge`](crate::error::TransportKind::TooLarge).
    pub max_body: usize,
    /// How long the whole exchange may take, connecting included.
    pub timeout: Duration,
    /// Which addresses the host may resolve to, checked when connecting.
    pub reach: Reach,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.request.uri();
        let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = if uri.query().is_some() { "?.." } else { "" };
        f.debug_struct("Outgoing")
            .field("method", self.request.method())
            .field("url", &format_args!("{scheme}://{host}{port}{}{query}", uri.path()))
            .field("headers", self.request.headers())
            .field("body", self.request.body())
            .field("max_body", &self.max_body)
            .field("timeout", &self.timeout)
            .field("reach", &self.reach)
            .finish()
    }
}

/// A person is to be sent to the authorization endpoint.
///
/// `Debug` shows neither `state` nor `nonce`.
pub struct Redirect {
    /// Where to send the browser.
    pub url: Url,
    /// Where the answer will come in, exactly as the server was told.
    pub redirect_uri: String,
    /// When to stop waiting and answer [`Event::Elapsed`](super::Event::Elapsed).
    pub expires_at: Timestamp,
    /// Why the last callback was not this flow's, when this effect comes again because of one.
    ///
    /// Answer whoever sent it with an error and go on waiting.
    pub refused: Option<BadCallback>,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect")
            .field("url", &format_args!("{}{}?..", self.url.origin().ascii_serialization(), self.url.path()))
            .field("redirect_uri", &self.redirect_uri)
            .field("expires_at", &self.expires_at)
            .field("refused", &self.refused)
            .finish()
    }
}

/// What a person needs to finish a device authorization on another screen (RFC 8628 §3.2).
///
/// The texts come from the server: control characters are escaped already, lengths are bounded.
pub struct UserCode {
    /// The code to type.
    pub user_code: Secret,
    /// Where to type it, as text.
    pub verification_uri: String,
    /// The same address if it may be opened in a browser: `https`, or loopback.
    pub openable: Option<Url>,
    /// The address with the code in it, if the server gave one that may be opened.
    pub complete: Option<Url>,
    /// When the code stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserCode")
            .field("verification_uri", &self.verification_uri)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// New tokens are wanted from whoever holds the client's id and secret.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// The tokens to be replaced; `None` when there are none yet.
    pub spent: Option<Arc<TokenSet>>,
}

/// A request to a resource wants a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The token that the resource server has just refused, if it has.
    pub refused: Option<TokenId>,
}

/// Bytes to be signed with a named key. The JWT around them is made by the core.
#[derive(Debug)]
pub struct SignRequest {
    /// The name by which the driver knows the key.
    pub key_id: String,
    /// How to sign.
    pub algorithm: SignatureAlgorithm,
    /// What to sign.
    pub message: Secret<Vec<u8>>,
}
