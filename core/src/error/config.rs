//! What can be wrong with the settings.

use super::Endpoint;
use crate::client::{HookFlaw, HookPoint};
use crate::token::RecordError;

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
    /// This parameter would stand in a URL, and is a secret or may be one.
    SecretInQuery(String),
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
    /// A token that was stored, imported or handed over is of a type that this client does not know how to present
    /// (RFC 6749 §7.1). [`accept_token_type`](crate::client::ClientBuilder::accept_token_type) and
    /// [`Placement::with_prefix`](crate::manager::Placement::with_prefix) say how.
    TokenTypeUnknown(String),
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
