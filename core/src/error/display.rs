//! Every error in words, for people. Programs look at the variants.

use core::fmt;

use super::*;
use crate::client::HookFlaw;

impl core::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(error) => write!(f, "configuration: {error}"),
            Error::Misuse(error) => write!(f, "misuse: {error}"),
            Error::Transport(error) => write!(f, "{error}"),
            Error::Protocol(error) => write!(f, "{error}"),
            Error::Refused(refusal) => write!(f, "{refusal}"),
            Error::Security(error) => write!(f, "security check failed: {error}"),
            Error::Callback(error) => write!(f, "callback refused: {error}"),
            Error::Expired(Expired::Callback) => f.write_str("nobody came back from the login page in time"),
            Error::Expired(Expired::DeviceCode) => f.write_str("the device code expired before it was confirmed"),
            Error::Expired(Expired::Retries) => f.write_str("the server did not answer within the time for retries"),
            Error::Cancelled => f.write_str("cancelled"),
            Error::Provider(ProviderError::Random) => f.write_str("the random source gave nothing"),
            Error::Provider(ProviderError::KeyUnavailable) => f.write_str("the signing key is not available"),
            Error::Provider(ProviderError::Interrupted) => f.write_str("whoever did the work is gone; ask again"),
            Error::Store(error) => write!(f, "token store: {error}"),
            Error::LoginNeeded(why) => write!(f, "a login is needed: {why}"),
            Error::Bug(what) => write!(f, "this is a bug in grantflow, please report it: {what}"),
        }
    }
}

impl fmt::Display for LoginNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoginNeeded::NoSession => f.write_str("nobody is logged in"),
            LoginNeeded::Ended(Some(refusal)) => write!(f, "{refusal}"),
            LoginNeeded::Ended(None) => f.write_str("the server has ended the session"),
            LoginNeeded::NotRenewable => f.write_str("the access token has expired and cannot be renewed"),
            LoginNeeded::Rejected => f.write_str("the access token was refused and cannot be renewed"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            StoreFault::Unavailable => "not available",
            StoreFault::Busy => "claimed by somebody else",
            StoreFault::Full => "full",
            StoreFault::Denied => "access denied",
            StoreFault::Corrupt => "damaged record",
            StoreFault::Newer => "record of a newer version",
            StoreFault::Foreign => "record of another login",
            StoreFault::TooLarge => "record too large",
        };
        if self.detail.is_empty() { f.write_str(what) } else { write!(f, "{what} ({})", self.detail) }
    }
}

impl core::error::Error for StoreError {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Endpoint::Authorization => "authorization endpoint",
            Endpoint::Token => "token endpoint",
            Endpoint::DeviceAuthorization => "device authorization endpoint",
            Endpoint::UserInfo => "userinfo endpoint",
            Endpoint::Introspection => "introspection endpoint",
            Endpoint::Revocation => "revocation endpoint",
            Endpoint::Metadata => "server metadata",
            Endpoint::Keys => "key set",
            Endpoint::Redirect => "redirect URI",
            Endpoint::Resource => "resource server",
            Endpoint::Extension => "endpoint",
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Url { endpoint, flaw } => write!(f, "{endpoint}: {flaw}"),
            ConfigError::Issuer(flaw) => write!(f, "issuer: {flaw}"),
            ConfigError::EndpointMissing(endpoint) => write!(f, "the server's metadata names no {endpoint}"),
            ConfigError::Missing(setting) => write!(f, "{setting} is not set"),
            ConfigError::Invalid { setting, why } => write!(f, "{setting}: {why}"),
            ConfigError::EmptySecret => f.write_str("the client secret is empty"),
            ConfigError::AuthenticationUnsupported => {
                f.write_str("the server supports none of the ways in which this client can authenticate")
            }
            ConfigError::AuthenticationUnknown(name) => write!(f, "there is no client authentication named `{name}`"),
            ConfigError::PkceUnsupported => f.write_str("the server supports PKCE, but not with S256"),
            ConfigError::Audience(origin) => write!(f, "the token is not for this place at {origin}"),
            ConfigError::AuthorizationConflict(name) => {
                write!(f, "the request has `{name}` already, where the credential goes")
            }
            ConfigError::ReservedParameter(name) => write!(f, "the parameter `{name}` is the engine's own"),
            ConfigError::SecretInQuery(name) => write!(f, "the parameter `{name}` must not stand in a URL"),
            ConfigError::HookOverstepped { point, flaw } => write!(f, "a hook at {point} {flaw}"),
            ConfigError::ProviderUnknown(name) => write!(f, "there is no provider named `{name}`"),
            ConfigError::ProviderAmbiguous => f.write_str("there are several providers: name one"),
            ConfigError::SnapshotForeign => {
                f.write_str("the snapshot belongs to another client, server or redirect URI")
            }
            ConfigError::SnapshotUnreadable => f.write_str("the snapshot cannot be read"),
            ConfigError::Record(error) => write!(f, "{error}"),
            ConfigError::TokenTypeUnknown(name) => {
                write!(f, "the token is of type `{name}`, which this client does not know how to present")
            }
            ConfigError::PortInUse(port) => write!(f, "port {port} is in use"),
            ConfigError::Listen(why) => write!(f, "the redirect listener cannot listen: {why}"),
        }
    }
}

impl fmt::Display for UrlFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlFlaw::Unparsable => "not a URL",
            UrlFlaw::Insecure => "http is allowed to a loopback address only (127.0.0.1, [::1])",
            UrlFlaw::Scheme => "the scheme is not https",
            UrlFlaw::UserInfo => "a user name or password in a URL is not allowed",
            UrlFlaw::Fragment => "a fragment is not allowed",
            UrlFlaw::Query => "a query is not allowed",
            UrlFlaw::Host => "there is no host",
            UrlFlaw::PrivateAddress => "a private or special address that only the server's metadata names",
            UrlFlaw::TooLong => "too long",
        })
    }
}

impl fmt::Display for HookFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookFlaw::Origin => f.write_str("sent the request to another origin"),
            HookFlaw::Url(flaw) => write!(f, "made a URL that may not be called: {flaw}"),
            HookFlaw::Header(name) => write!(f, "touched the header `{name}`"),
            HookFlaw::Parameter(name) => write!(f, "touched the parameter `{name}`"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::IllegalEvent { machine, state, event } => {
                write!(f, "{machine} takes no {event} while it is {state}")
            }
            Misuse::NotResting => f.write_str("the flow is not in a state that may be stored"),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            TransportKind::Dns => "the host name does not resolve",
            TransportKind::Connect => "no connection",
            TransportKind::Tls => "TLS failed",
            TransportKind::Timeout => "timed out",
            TransportKind::Reset => "the connection broke",
            TransportKind::Protocol => "the answer is not HTTP",
            TransportKind::TooLarge => "the answer is larger than allowed",
            TransportKind::ForbiddenAddress => "the host resolves to an address that must not be reached",
            TransportKind::Redirected => "the answer is a redirect, which is not followed",
            TransportKind::Unavailable => "not available",
            TransportKind::MediaType => "the answer has the wrong media type",
        };
        write!(f, "{}: {what}", self.endpoint)?;
        self.answer.as_ref().map_or(Ok(()), |answer| write!(f, " ({answer})"))
    }
}

impl fmt::Display for AnswerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(media_type) = &self.media_type {
            write!(f, ", {media_type}")?;
        }
        for (name, value) in &self.headers {
            write!(f, ", {name}: {value}")?;
        }
        self.excerpt.as_ref().map_or(Ok(()), |excerpt| write!(f, ", body: {excerpt}"))
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.rule)?;
        self.answer.as_ref().map_or(Ok(()), |answer| write!(f, " ({answer})"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Status => f.write_str("unexpected status"),
            Rule::MediaType => f.write_str("unexpected media type"),
            Rule::Json { at, flaw } => write!(f, "{flaw} at byte {at}"),
            Rule::Form => f.write_str("not a form"),
            Rule::MemberMissing(name) => write!(f, "`{name}` is missing"),
            Rule::MemberInvalid(name) => write!(f, "`{name}` is not valid"),
            Rule::TokenType => f.write_str("`token_type` is not one that this client can use"),
            Rule::KeyBound => f.write_str("the token is bound to a key (DPoP), and this client has none"),
            Rule::Downgrade => f.write_str("a DPoP proof was sent and a bearer token came back"),
            Rule::IdTokenMissing => f.write_str("`openid` was asked for and no id_token came"),
            Rule::ScopeExceeded => f.write_str("more scope was granted than asked for"),
            Rule::JwtMalformed => f.write_str("the JWT cannot be read"),
            Rule::JwtTooLarge => f.write_str("the JWT is too large"),
            Rule::NoKeys => f.write_str("the key set holds no usable key"),
            Rule::NoMetadata => f.write_str("there is no metadata at any of its places"),
        }
    }
}

impl fmt::Display for JsonFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonFlaw::Syntax => "not JSON",
            JsonFlaw::Truncated => "the JSON ends too early",
            JsonFlaw::Trailing => "bytes follow the JSON",
            JsonFlaw::NotObject => "the JSON is not an object",
            JsonFlaw::DuplicateMember => "a JSON member stands there twice",
            JsonFlaw::TooDeep => "the JSON is nested too deep",
            JsonFlaw::TooManyMembers => "the JSON has too many members",
            JsonFlaw::Encoding => "the JSON is not UTF-8",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.endpoint, self.code)?;
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        if let Some(uri) = &self.uri {
            write!(f, " (see {uri})")?;
        }
        if let Some(hint) = self.hint {
            write!(f, " [hint: {hint}]")?;
        }
        Ok(())
    }
}

impl fmt::Display for SecurityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecurityError::IssuerMismatch { expected, found } => {
                write!(f, "the issuer is `{found}`, expected `{expected}`")?;
                if found.trim_end_matches('/') == expected.trim_end_matches('/') {
                    f.write_str(" (they differ by a trailing slash only)")?;
                }
                Ok(())
            }
            SecurityError::IssuerMissing => f.write_str("the callback lacks the `iss` that the server promises"),
            SecurityError::Url { endpoint, flaw } => write!(f, "{endpoint} in the server's metadata: {flaw}"),
            SecurityError::Unsigned => f.write_str("the answer is not signed, and a signed one was demanded"),
            SecurityError::Algorithm(found) => write!(f, "the algorithm `{found}` is not allowed"),
            SecurityError::CriticalHeader => f.write_str("the JWT has critical headers that are not understood"),
            SecurityError::JwtType(found) => write!(f, "a JWT of type `{found}` is not of the kind that was wanted"),
            SecurityError::Key(KeyFlaw::NotFound) => f.write_str("no key of the server fits"),
            SecurityError::Key(KeyFlaw::Ambiguous) => f.write_str("too many keys of the server fit"),
            SecurityError::Key(KeyFlaw::Weak) => f.write_str("the server's key is too weak"),
            SecurityError::Key(KeyFlaw::Malformed) => f.write_str("the server's key cannot be read"),
            SecurityError::Signature => f.write_str("the signature is wrong"),
            SecurityError::ClaimMissing(claim) => write!(f, "`{claim}` is missing"),
            SecurityError::Claim { claim, expected, found } => {
                write!(f, "`{claim}` is not as it must be")?;
                if let Some(found) = found {
                    write!(f, ": `{found}`")?;
                }
                expected.as_ref().map_or(Ok(()), |expected| write!(f, ", expected `{expected}`"))
            }
            SecurityError::Time { claim, value, now } => write!(f, "`{claim}` is {value}, and it is {now} now"),
            SecurityError::SubjectMismatch => f.write_str("UserInfo speaks of somebody else"),
        }
    }
}

impl fmt::Display for BadCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadCallback::StateMissing => "`state` is missing",
            BadCallback::StateMismatch => "`state` belongs to another login",
            BadCallback::DuplicateParameter => "a parameter stands there twice",
            BadCallback::CodeMissing => "there is no code",
            BadCallback::CodeAndError => "there is a code and an error",
            BadCallback::CodeMalformed => "the code is malformed",
            BadCallback::UnexpectedToken => "there is a token where a code was asked for",
            BadCallback::UnexpectedResponse => "there is a JARM response where none was asked for",
            BadCallback::Malformed => "it is not properly encoded",
            BadCallback::TooLarge => "it is too long",
            BadCallback::TooManyParameters => "there are too many parameters",
            BadCallback::ResponseMode => "it came another way than asked for",
            BadCallback::NotRedirectUri => "it is not the whole address that the browser was sent back to",
        })
    }
}
