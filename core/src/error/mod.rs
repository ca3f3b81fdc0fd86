//! What can go wrong, classed by who is at fault.
//!
//! Every failure is one [`Error`]: `Clone + PartialEq`, without secrets, with server text escaped and cut. What to do
//! about it is [`Error::advice`]; nobody needs to read a message to decide.

mod answer;
mod caller;
mod config;
mod display;
mod kept;
mod security;
#[cfg(test)]
mod tests;
mod transport;

pub use answer::{AnswerFacts, JsonFlaw, ProtocolError, Refusal, Rule};
pub use caller::{Misuse, ProviderError};
pub use config::{ConfigError, UrlFlaw};
pub use kept::{LoginNeeded, StoreError, StoreFault};
pub use security::{BadCallback, KeyFlaw, SecurityError};
pub use transport::{Delivery, SendFailure, TransportError, TransportKind};

use core::time::Duration;

use crate::time::Timestamp;
use crate::token::RecordError;

/// Why a flow did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong; nothing was sent. Fix the configuration.
    Config(ConfigError),
    /// The caller did what is not legal now. The machine has not changed and goes on.
    Misuse(Misuse),
    /// The network, or something on the way, failed.
    Transport(TransportError),
    /// The server answered, but not by the rules.
    Protocol(Box<ProtocolError>),
    /// The server said no, by the rules.
    Refused(Box<Refusal>),
    /// A check that protects somebody failed. Never retried.
    Security(SecurityError),
    /// A callback could not be used.
    Callback(BadCallback),
    /// Time ran out.
    Expired(Expired),
    /// The caller gave the flow up.
    Cancelled,
    /// What the caller supplies failed: random source, signing key.
    Provider(ProviderError),
    /// The store of tokens failed.
    Store(StoreError),
    /// There is no token, and only a person can change that. This library never starts a login by itself.
    LoginNeeded(LoginNeeded),
    /// This library is wrong. Please report it.
    Bug(&'static str),
}

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The same thing may work later, not before the moment named.
    Retry {
        /// What the server asked for, if it did.
        not_before: Option<Timestamp>,
    },
    /// A person has to log in (or agree) again.
    LogInAgain,
    /// The settings of this client are wrong.
    FixConfig,
    /// The server or this library breaks a rule: tell whoever runs it.
    Report,
    /// There is nothing to be done: a person said no, or the caller stopped.
    GiveUp,
}

/// Which endpoint or document something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Authorization endpoint (RFC 6749 §3.1).
    Authorization,
    /// Token endpoint (RFC 6749 §3.2).
    Token,
    /// Device authorization endpoint (RFC 8628 §3.1).
    DeviceAuthorization,
    /// UserInfo endpoint (OpenID Connect Core §5.3).
    UserInfo,
    /// Introspection endpoint (RFC 7662 §2).
    Introspection,
    /// Revocation endpoint (RFC 7009 §2).
    Revocation,
    /// Metadata of the authorization server (RFC 8414 §3, OpenID Connect Discovery §4).
    Metadata,
    /// Key set of the authorization server (RFC 7517 §5).
    Keys,
    /// The client's own redirect URI (RFC 6749 §3.1.2).
    Redirect,
    /// A resource server (RFC 6749 §7).
    Resource,
    /// An endpoint of an extension.
    Extension,
}

/// What ran out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expired {
    /// Nobody came back from the authorization endpoint in time.
    Callback,
    /// The device code expired before the person was done.
    DeviceCode,
    /// Retrying took longer than a request may.
    Retries,
}

impl Error {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Error::Config(_) => Advice::FixConfig,
            Error::Misuse(_) | Error::Bug(_) => Advice::Report,
            Error::Transport(error) => Advice::Retry { not_before: error.not_before },
            Error::Protocol(_) | Error::Security(_) | Error::Callback(_) => Advice::Report,
            Error::Refused(refusal) => refusal.advice(),
            Error::Expired(Expired::Retries) => Advice::Retry { not_before: None },
            Error::Expired(Expired::Callback | Expired::DeviceCode) => Advice::LogInAgain,
            Error::Cancelled => Advice::GiveUp,
            Error::Provider(ProviderError::Random | ProviderError::KeyUnavailable) => Advice::FixConfig,
            Error::Provider(ProviderError::Interrupted) => Advice::Retry { not_before: None },
            Error::Store(error) => error.advice(),
            Error::LoginNeeded(_) => Advice::LogInAgain,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::Config(error)
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Error::Config(ConfigError::Record(error))
    }
}

impl From<SecurityError> for Error {
    fn from(error: SecurityError) -> Self {
        Error::Security(error)
    }
}

impl From<BadCallback> for Error {
    fn from(error: BadCallback) -> Self {
        Error::Callback(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}

impl From<LoginNeeded> for Error {
    fn from(why: LoginNeeded) -> Self {
        Error::LoginNeeded(why)
    }
}

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        Error::Provider(error)
    }
}

/// The longest piece of server text that an error keeps, in bytes.
pub const TEXT_LIMIT: usize = 1024;

/// Makes text from outside safe to print and to keep: control, bidirectional and other invisible characters are
/// escaped, and it is cut at [`TEXT_LIMIT`] bytes.
pub fn safe_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(TEXT_LIMIT));
    for char in text.chars() {
        if is_visible(char) {
            out.push(char);
        } else {
            out.extend(char.escape_unicode());
        }
        if out.len() >= TEXT_LIMIT {
            out.push('…');
            break;
        }
    }
    out
}

fn is_visible(char: char) -> bool {
    let invisible = matches!(char,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}');
    !char.is_control() && !invisible
}

/// How long from `now` the server asked to be left alone.
pub(crate) fn not_before(now: Timestamp, wait: Option<Duration>) -> Option<Timestamp> {
    wait.map(|wait| now.plus(wait))
}
