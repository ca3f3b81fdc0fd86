//! What a request is authorized with, ready to be attached.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::crypto::{Crypto, HashAlgorithm};
use crate::error::{ConfigError, Error, StoreError};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::{TokenSet, TokenType};

/// The header that API keys commonly stand in.
pub const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// How far a clock may go back unnoticed.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// The fingerprint of a token: tells tokens apart without showing them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// The fingerprint of this token.
    pub fn of(token: &Secret, crypto: &dyn Crypto) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(crypto.hash(HashAlgorithm::Sha256, token.expose().as_bytes()).as_bytes()) {
            *to = *from;
        }
        Self(id)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenId(..)")
    }
}

/// Where an access token goes in a request, and what goes beside it.
///
/// The default is `Authorization: Bearer ...` (RFC 6750 §2.1), or `DPoP` for a token that is bound to a key (RFC 9449 §7.1).
#[derive(Debug)]
#[must_use]
pub struct Placement {
    place: Place,
    prefix: Prefix,
    beside: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Header(HeaderName),
    #[cfg(feature = "legacy-grants")]
    Parameter(Part, String),
}

/// Which part of a request a parameter stands in.
#[cfg(feature = "legacy-grants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Query,
    Form,
}

/// A token that goes with a request as a parameter.
#[cfg(feature = "legacy-grants")]
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) part: Part,
    pub(crate) name: String,
    pub(crate) value: Secret,
}

#[derive(Debug)]
enum Prefix {
    TokenType,
    Own(String),
}

impl Default for Placement {
    fn default() -> Self {
        Self { place: Place::Header(AUTHORIZATION), prefix: Prefix::TokenType, beside: Vec::new() }
    }
}

impl Placement {
    /// Uses another header than `Authorization`.
    pub fn in_header(mut self, header: HeaderName) -> Self {
        self.place = Place::Header(header);
        self
    }

    /// Puts the bare token into the query of the URL, as the parameter of this name (RFC 6750 §2.3).
    ///
    /// Dangerous: URLs stand in the logs of every server and proxy on the way, and RFC 9700 §4.3.2 forbids it. Only
    /// [`AuthorizedRequest`](crate::resource::AuthorizedRequest) sends it; [`Credential::headers`] has no token then.
    #[cfg(feature = "legacy-grants")]
    pub fn dangerous_in_query(mut self, name: &str) -> Self {
        self.place = Place::Parameter(Part::Query, name.to_owned());
        self
    }

    /// Puts the bare token into a form-encoded body, as the parameter of this name (RFC 6750 §2.2). A request with any other
    /// body is refused.
    ///
    /// Dangerous: what logs or forwards forms gets the token. Only
    /// [`AuthorizedRequest`](crate::resource::AuthorizedRequest) sends it; [`Credential::headers`] has no token then.
    #[cfg(feature = "legacy-grants")]
    pub fn dangerous_in_form(mut self, name: &str) -> Self {
        self.place = Place::Parameter(Part::Form, name.to_owned());
        self
    }

    /// Writes this word and a space before the token, whatever the token's type is.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is not visible ASCII.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::Invalid { setting: "token prefix", why: "must be visible ASCII" }.into());
        }
        self.prefix = Prefix::Own(format!("{prefix} "));
        Ok(self)
    }

    /// Writes the token and nothing else.
    pub fn bare(mut self) -> Self {
        self.prefix = Prefix::Own(String::new());
        self
    }

    /// Sends an API key besides. An empty one is none.
    ///
    /// # Errors
    /// As [`with_header`](Self::with_header).
    pub fn with_api_key(self, header: HeaderName, key: &Secret) -> Result<Self, Error> {
        if key.expose().is_empty() { Ok(self) } else { self.with_header(header, key) }
    }

    /// Sends this header besides, in place of one of the same name.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when no header can hold the value, and for `Authorization`: it could replace the token.
    pub fn with_header(mut self, header: HeaderName, content: &Secret) -> Result<Self, Error> {
        if header == AUTHORIZATION || self.place == Place::Header(header.clone()) {
            return Err(ConfigError::Invalid { setting: "additional header", why: "is where the token goes" }.into());
        }
        let content = value("", content, "additional header")?;
        self.beside.retain(|(known, _)| *known != header);
        self.beside.push((header, content));
        Ok(self)
    }

    /// The headers of a token that is written behind `prefix`. Where the token goes, nothing else does.
    fn headers(&self, prefix: &str, token: &Secret) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let own = match &self.place {
            Place::Header(header) => Some((header.clone(), value(prefix, token, "access_token")?)),
            #[cfg(feature = "legacy-grants")]
            Place::Parameter(..) => None,
        };
        let beside = self.beside.iter().filter(|(name, _)| self.place != Place::Header(name.clone()));
        Ok(own.into_iter().chain(beside.cloned()).collect())
    }

    #[cfg(feature = "legacy-grants")]
    fn parameter(&self, token: &Secret) -> Option<Parameter> {
        match &self.place {
            Place::Header(_) => None,
            Place::Parameter(part, name) => {
                Some(Parameter { part: *part, name: name.clone(), value: token.duplicate() })
            }
        }
    }

    /// Whether the caller has said what stands before the token, whatever its type is.
    pub(crate) fn has_own_prefix(&self) -> bool {
        matches!(self.prefix, Prefix::Own(_))
    }

    fn prefix(&self, kind: Option<&TokenType>) -> Cow<'_, str> {
        match (&self.prefix, kind) {
            (Prefix::Own(prefix), _) => Cow::Borrowed(prefix),
            (Prefix::TokenType, None | Some(TokenType::Bearer)) => Cow::Borrowed("Bearer "),
            (Prefix::TokenType, Some(TokenType::Dpop)) => Cow::Borrowed("DPoP "),
            (Prefix::TokenType, Some(TokenType::Other(name))) => Cow::Owned(format!("{name} ")),
        }
    }
}

fn value(prefix: &str, secret: &Secret, setting: &'static str) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new([prefix.as_bytes(), secret.expose().as_bytes()].concat());
    let mut value =
        HeaderValue::from_bytes(&text).map_err(|_| ConfigError::Invalid { setting, why: "no header can hold it" })?;
    value.set_sensitive(true);
    Ok(value)
}

/// In which alphabet a name and a password are written (RFC 7617 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// ISO 8859-1, as most servers expect.
    Latin1,
    /// UTF-8
    Utf8,
}

/// What authorizes a request now. Cloning costs a reference count; `Debug` shows nothing secret.
///
/// It is a fact of the moment it was given: ask again before the next request instead of keeping it.
#[derive(Clone)]
pub struct Credential(Arc<Inner>);

struct Inner {
    headers: Vec<(HeaderName, HeaderValue)>,
    #[cfg(feature = "legacy-grants")]
    parameter: Option<Parameter>,
    id: TokenId,
    tokens: Option<Arc<TokenSet>>,
    bare: Option<Secret>,
    since: Timestamp,
    renew_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    unsaved: Option<StoreError>,
}

impl Credential {
    /// A token that is presented as `placement` says, and is due for renewal at `renew_at`. No token set holds a token that
    /// cannot stand in a header.
    pub(crate) fn new(
        tokens: Arc<TokenSet>,
        placement: &Placement,
        renew_at: Option<Timestamp>,
        unsaved: Option<StoreError>,
        crypto: &dyn Crypto,
    ) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            headers: placement.headers(&placement.prefix(Some(tokens.token_type())), tokens.access_token())?,
            #[cfg(feature = "legacy-grants")]
            parameter: placement.parameter(tokens.access_token()),
            id: TokenId::of(tokens.access_token(), crypto),
            since: tokens.received_at(),
            renew_at,
            expires_at: tokens.expires_at(),
            tokens: Some(tokens),
            bare: None,
            unsaved,
        })))
    }

    /// A token that nobody renews (Home Assistant's static token, a personal access token).
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is empty or cannot stand in a header.
    pub fn bare(token: &Secret, placement: &Placement, crypto: &dyn Crypto) -> Result<Self, Error> {
        if token.expose().is_empty() {
            return Err(ConfigError::Missing("access token").into());
        }
        let headers = placement.headers(&placement.prefix(None), token)?;
        let bare = Inner {
            #[cfg(feature = "legacy-grants")]
            parameter: placement.parameter(token),
            bare: Some(token.duplicate()),
            ..Inner::fixed(headers, TokenId::of(token, crypto))
        };
        Ok(Self(Arc::new(bare)))
    }

    /// A name and a password (RFC 7617).
    ///
    /// ```
    /// use grantflow_core::Secret;
    /// use grantflow_core::manager::{Charset, Credential};
    /// # use grantflow_core::crypto::AwsLc;
    /// let basic = Credential::basic("u", &Secret::from(""), Charset::Latin1, &AwsLc)?;
    /// assert_eq!(basic.headers().next().map(|(_, value)| value.as_bytes()), Some(&b"Basic dTo="[..]));
    /// # Ok::<(), grantflow_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]: a colon in the name, or a character that the alphabet does not have.
    pub fn basic(name: &str, password: &Secret, charset: Charset, crypto: &dyn Crypto) -> Result<Self, Error> {
        use base64::Engine;
        if name.contains(':') {
            return Err(ConfigError::Invalid { setting: "user name", why: "must have no colon in it" }.into());
        }
        let pair = Zeroizing::new([name, ":", password.expose()].concat());
        let bytes = Zeroizing::new(match charset {
            Charset::Utf8 => pair.as_bytes().to_vec(),
            Charset::Latin1 => {
                let why = "has a character that ISO 8859-1 does not have";
                let encoded: Result<Vec<u8>, _> = pair.chars().map(u8::try_from).collect();
                encoded.map_err(|_| ConfigError::Invalid { setting: "user name or password", why })?
            }
        });
        let encoded = Secret::from(base64::engine::general_purpose::STANDARD.encode(&*bytes));
        let header = (AUTHORIZATION, value("Basic ", &encoded, "password")?);
        Ok(Self::fixed(vec![header], TokenId::of(&encoded, crypto)))
    }

    /// A key in a header of its own, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`]: the key is empty or cannot stand in a header.
    pub fn api_key(header: HeaderName, key: &Secret, crypto: &dyn Crypto) -> Result<Self, Error> {
        if key.expose().is_empty() {
            return Err(ConfigError::EmptySecret.into());
        }
        Ok(Self::fixed(vec![(header, value("", key, "api_key")?)], TokenId::of(key, crypto)))
    }

    fn fixed(headers: Vec<(HeaderName, HeaderValue)>, id: TokenId) -> Self {
        Self(Arc::new(Inner::fixed(headers, id)))
    }

    /// What goes with the request as a parameter.
    #[cfg(feature = "legacy-grants")]
    pub(crate) fn parameter(&self) -> Option<&Parameter> {
        self.0.parameter.as_ref()
    }

    /// The headers to set, values marked as sensitive.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.headers.iter().map(|(name, value)| (name, value))
    }

    /// Sets the headers, in place of any of the same name.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, value.clone());
        }
    }

    /// The fingerprint of the token: what to name when a resource server refuses it.
    pub fn id(&self) -> TokenId {
        self.0.id
    }

    /// The tokens behind it; Basic credentials, keys and bare tokens have none.
    pub fn tokens(&self) -> Option<&Arc<TokenSet>> {
        self.0.tokens.as_ref()
    }

    /// The token itself; Basic credentials and keys have none.
    pub fn access_token(&self) -> Option<&Secret> {
        self.0.bare.as_ref().or_else(|| self.0.tokens.as_ref().map(|tokens| tokens.access_token()))
    }

    /// When it stops working, if that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// Why it has not been saved, if it has not: a crash now would lose it.
    pub fn unsaved(&self) -> Option<&StoreError> {
        self.0.unsaved.as_ref()
    }

    /// Whether a renewal should begin. It works on until [`is_usable`](Self::is_usable) says no.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // A clock that went back tells nothing about the life that is left; one renewal sets it right.
        let went_back = self.0.renew_at.is_some() && now.plus(CLOCK_SLACK) < self.0.since;
        went_back || self.0.renew_at.is_some_and(|due| now >= due)
    }

    /// Whether its time is not over. At the very end it is.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.0.expires_at.is_none_or(|end| now < end)
    }
}

impl Inner {
    fn fixed(headers: Vec<(HeaderName, HeaderValue)>, id: TokenId) -> Self {
        Self {
            headers,
            #[cfg(feature = "legacy-grants")]
            parameter: None,
            id,
            tokens: None,
            bare: None,
            since: Timestamp::from_millis(0),
            renew_at: None,
            expires_at: None,
            unsaved: None,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("expires_at", &self.0.expires_at)
            .field("unsaved", &self.0.unsaved)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
