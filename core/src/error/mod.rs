//! What can go wrong, classed by who is at fault.
//!
//! Every failure is one [`Error`]: `Clone + PartialEq`, without secrets, with server text escaped and cut. What to do
//! about it is [`Error::advice`]; nobody needs to read a message to decide.

mod display;
mod kept;

pub use kept::{LoginNeeded, StoreError, StoreFault};

use core::time::Duration;

use crate::client::{HookFlaw, HookPoint};
use crate::machine::EventKind;
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

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A URL is not allowed.
    Url {
        /// What the URL is for.
        endpoint: Endpoint,
        /// What is wrong with it.
        flaw: UrlFlaw,
    },
    /// The issuer is not an `https` URL without query and fragment (RFC 8414 §2).
    Issuer(UrlFlaw),
    /// The server's metadata names no such endpoint.
    EndpointMissing(Endpoint),
    /// A setting that is needed is absent.
    Missing(&'static str),
    /// A setting has a value that cannot be used.
    Invalid {
        /// Which one.
        setting: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The client secret is empty.
    EmptySecret,
    /// The server supports none of the ways in which this client can authenticate.
    AuthenticationUnsupported,
    /// There is no client authentication of this name.
    AuthenticationUnknown(String),
    /// The server supports PKCE, but not with S256.
    PkceUnsupported,
    /// A token would go to an origin, or to a path of it, that is not of its audience. This is the origin.
    Audience(String),
    /// The request has a header or a parameter of this name already, where the credential goes.
    AuthorizationConflict(String),
    /// An extra parameter would replace one of the engine's own.
    ReservedParameter(String),
    /// A hook of the client did what no hook may do. Nothing was sent.
    HookOverstepped {
        /// Where the hook runs.
        point: HookPoint,
        /// What it did.
        flaw: HookFlaw,
    },
    /// There is no provider of this name.
    ProviderUnknown(String),
    /// There are several providers, and none was named.
    ProviderAmbiguous,
    /// A snapshot belongs to another client, server or redirect URI.
    SnapshotForeign,
    /// A snapshot cannot be read: damaged, or of another kind or version.
    SnapshotUnreadable,
    /// A stored token record cannot be used.
    Record(RecordError),
    /// A loopback port is taken.
    PortInUse(u16),
    /// The redirect listener cannot listen.
    Listen(String),
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlFlaw {
    /// It cannot be parsed.
    Unparsable,
    /// It is neither `https` nor `http` to a loopback literal.
    Insecure,
    /// Its scheme is neither `https` nor `http`.
    Scheme,
    /// It has a user name or a password in it.
    UserInfo,
    /// It has a fragment.
    Fragment,
    /// It has a query where none may be.
    Query,
    /// It has no host.
    Host,
    /// It names a private, link-local or otherwise special address that only a remote party chose.
    PrivateAddress,
    /// It is too long.
    TooLong,
}

/// What the caller did that is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The machine's table has no arrow for this event in this state.
    IllegalEvent {
        /// The innermost machine, which decides.
        machine: &'static str,
        /// Its state.
        state: &'static str,
        /// The event.
        event: EventKind,
    },
    /// A snapshot was asked for in a state that must not be stored.
    NotResting,
}

/// What is known of a request that got no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The server cannot have seen it.
    NotSent,
    /// The server may have acted on it.
    Unknown,
}

/// How a transport failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// The host name does not resolve.
    Dns,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// A deadline passed.
    Timeout,
    /// The connection broke.
    Reset,
    /// What came was not HTTP.
    Protocol,
    /// The body, or the head, is larger than the limit.
    TooLarge,
    /// The host resolves to an address that the request must not reach.
    ForbiddenAddress,
    /// The answer is a redirect, which no protocol endpoint may give.
    Redirected,
    /// The answer is a 408, 425, 429 or 5xx: no verdict.
    Unavailable,
    /// The answer is of a media type that cannot be what was asked for.
    MediaType,
}

/// What a driver reports when there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// What is known of the delivery.
    pub delivery: Delivery,
    /// How it failed.
    pub kind: TransportKind,
}

/// The network, or something on the way, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// Which endpoint was called.
    pub endpoint: Endpoint,
    /// How it failed.
    pub kind: TransportKind,
    /// What is known of the delivery of the request.
    pub delivery: Delivery,
    /// What came back, if anything did.
    pub answer: Option<Box<AnswerFacts>>,
    /// When the server asked to be called again (`Retry-After`).
    pub not_before: Option<Timestamp>,
}

/// The facts of an answer that an engineer needs to see. Text is escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The status.
    pub status: u16,
    /// The media type, as sent.
    pub media_type: Option<String>,
    /// Selected headers: `Location`, `Retry-After`, `WWW-Authenticate`, `Date`, request ids. Names in lower case.
    pub headers: Vec<(String, String)>,
    /// A piece of the body, with all that may be secret struck out.
    pub excerpt: Option<String>,
}

/// The server answered, but not by the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// Which endpoint answered.
    pub endpoint: Endpoint,
    /// The rule that was broken.
    pub rule: Rule,
    /// What came back.
    pub answer: Option<AnswerFacts>,
}

/// A rule that a server can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The status is not one that this endpoint may answer with.
    Status,
    /// The media type is not allowed here.
    MediaType,
    /// The body is not JSON; the position is a byte offset.
    Json {
        /// Where it went wrong.
        at: usize,
        /// What went wrong.
        flaw: JsonFlaw,
    },
    /// The body is not `application/x-www-form-urlencoded`.
    Form,
    /// A member is absent.
    MemberMissing(&'static str),
    /// A member has the wrong type or an impossible value.
    MemberInvalid(&'static str),
    /// The token type is not one that this client can use.
    TokenType,
    /// A DPoP proof was sent and the answer is a bearer token.
    Downgrade,
    /// `openid` was asked for and no id_token came.
    IdTokenMissing,
    /// The granted scope is wider than the one asked for, and the client demands the exact one.
    ScopeExceeded,
    /// An id_token cannot be read.
    JwtMalformed,
    /// A JWT is larger than its limit.
    JwtTooLarge,
    /// The key set holds no usable key.
    NoKeys,
    /// There is no metadata at any of the places where it may be.
    NoMetadata,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonFlaw {
    /// Not JSON.
    Syntax,
    /// It ends too early.
    Truncated,
    /// Bytes follow it.
    Trailing,
    /// It is not an object.
    NotObject,
    /// A member stands in it twice.
    DuplicateMember,
    /// It is nested deeper than 32.
    TooDeep,
    /// It has more than 10,000 members.
    TooManyMembers,
    /// It is not UTF-8.
    Encoding,
}

/// The server said no, by the rules (RFC 6749 §5.2 and its like).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which endpoint said so.
    pub endpoint: Endpoint,
    /// The code, word for word but escaped: `invalid_grant`.
    pub code: String,
    /// The server's explanation, escaped and cut to 1 KiB.
    pub description: Option<String>,
    /// Where the server explains more. Text: never opened or fetched.
    pub uri: Option<String>,
    /// The status and the rest; `None` for a refusal that came by way of the browser.
    pub answer: Option<AnswerFacts>,
    /// What this library knows about the cause.
    pub hint: Option<&'static str>,
}

/// A check that protects somebody failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityError {
    /// The issuer is another one (RFC 8414 §3.3, RFC 9207 §2.4). Compared as exact text.
    IssuerMismatch {
        /// What was expected.
        expected: String,
        /// What came, escaped and cut.
        found: String,
    },
    /// The metadata promises `iss` in the callback and it is not there (RFC 9207 §2.4).
    IssuerMissing,
    /// A URL in the server's metadata is not allowed.
    Url {
        /// What the URL is for.
        endpoint: Endpoint,
        /// What is wrong with it.
        flaw: UrlFlaw,
    },
    /// An id_token's algorithm is not allowed for this client.
    Algorithm(String),
    /// An id_token has critical headers that this library does not know (RFC 7515 §4.1.11).
    CriticalHeader,
    /// A JWT is of another kind (RFC 8725 §3.11).
    JwtType(String),
    /// No key fits, or the key that fits is too weak.
    Key(KeyFlaw),
    /// A signature is wrong.
    Signature,
    /// A claim is absent.
    ClaimMissing(&'static str),
    /// A claim has the wrong type or the wrong value.
    Claim {
        /// Which claim.
        claim: &'static str,
        /// What was expected, unless it is secret.
        expected: Option<String>,
        /// What came, unless it is secret; escaped and cut.
        found: Option<String>,
    },
    /// A time claim says too early or too late.
    Time {
        /// Which claim: `exp`, `nbf`, `iat`, `auth_time`.
        claim: &'static str,
        /// What it says, in seconds since the epoch.
        value: i64,
        /// What time it is, in seconds since the epoch.
        now: u64,
    },
    /// UserInfo speaks of somebody else than the id_token (OpenID Connect Core §5.3.2).
    SubjectMismatch,
}

/// Why no key could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFlaw {
    /// No key of the set fits.
    NotFound,
    /// Too many keys fit and the token names none.
    Ambiguous,
    /// RSA below 2048 bits or beyond 8192, or an impossible exponent.
    Weak,
    /// The key cannot be read.
    Malformed,
}

/// Why a callback was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadCallback {
    /// There is no `state`.
    StateMissing,
    /// `state` is not this flow's.
    StateMismatch,
    /// A parameter stands in it twice (RFC 6749 §3.1).
    DuplicateParameter,
    /// Neither a code nor an error.
    CodeMissing,
    /// Both a code and an error.
    CodeAndError,
    /// A code that cannot be one: empty, outside visible ASCII.
    CodeMalformed,
    /// A value that only other response types have: `access_token`, `id_token`, `token`.
    UnexpectedToken,
    /// A JARM `response` where none was asked for.
    UnexpectedResponse,
    /// Not UTF-8, or broken percent-encoding.
    Malformed,
    /// Longer than 16 KiB.
    TooLarge,
    /// More than 100 parameters.
    TooManyParameters,
    /// It came another way than asked: query for form_post or the reverse.
    ResponseMode,
    /// What a person has pasted is not the redirect URI with an answer in it.
    NotRedirectUri,
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

/// What the caller supplies and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderError {
    /// The random source gave nothing.
    Random,
    /// The signing key is not available.
    KeyUnavailable,
    /// The task or thread that did the work is gone: it panicked, or its runtime was shut down. Asking again is safe.
    Interrupted,
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

impl Refusal {
    /// Whether the code is one that says the same as `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    fn advice(&self) -> Advice {
        match self.code.as_str() {
            "invalid_grant"
            | "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
            | "bad_refresh_token"
            | "refresh_token_not_found"
            | "expired_token"
            | "bad_verification_code"
            | "invalid_token" => Advice::LogInAgain,
            "access_denied" | "authorization_declined" => Advice::GiveUp,
            "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" => {
                Advice::Retry { not_before: None }
            }
            "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "unsupported_response_type"
            | "invalid_request"
            | "invalid_scope"
            | "invalid_target"
            | "invalid_redirect_uri"
            | "unsupported_token_type"
            | "insufficient_scope" => Advice::FixConfig,
            _ => Advice::Report,
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
