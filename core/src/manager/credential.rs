//! What a request is authorized with, ready to be attached.

use core::fmt;
use core::time::Duration;
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
    header: HeaderName,
    prefix: Prefix,
    beside: Option<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Prefix {
    TokenType,
    Own(String),
}

impl Default for Placement {
    fn default() -> Self {
        Self { header: AUTHORIZATION, prefix: Prefix::TokenType, beside: None }
    }
}

impl Placement {
    /// Uses another header than `Authorization`.
    pub fn in_header(mut self, header: HeaderName) -> Self {
        self.header = header;
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
    /// [`ConfigError::Invalid`] when the key cannot stand in a header.
    pub fn with_api_key(mut self, header: HeaderName, key: &Secret) -> Result<Self, Error> {
        self.beside = if key.expose().is_empty() { None } else { Some((header, value("", key, "api_key")?)) };
        Ok(self)
    }

    fn headers(&self, tokens: &TokenSet) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let token = tokens.access_token();
        let value = match (&self.prefix, tokens.token_type()) {
            (Prefix::Own(prefix), _) => value(prefix, token, "access_token")?,
            (Prefix::TokenType, TokenType::Bearer) => value("Bearer ", token, "access_token")?,
            (Prefix::TokenType, TokenType::Dpop) => value("DPoP ", token, "access_token")?,
            (Prefix::TokenType, TokenType::Other(name)) => value(&format!("{name} "), token, "access_token")?,
        };
        Ok(core::iter::once((self.header.clone(), value)).chain(self.beside.clone()).collect())
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
            headers: placement.headers(&tokens)?,
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
        let prefix = match &placement.prefix {
            Prefix::Own(prefix) => prefix,
            Prefix::TokenType => "Bearer ",
        };
        let own = (placement.header.clone(), value(prefix, token, "access_token")?);
        let headers = core::iter::once(own).chain(placement.beside.clone()).collect();
        Ok(Self::fixed(headers, TokenId::of(token, crypto), Some(token.duplicate())))
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
        Ok(Self::fixed(vec![header], TokenId::of(&encoded, crypto), None))
    }

    /// A key in a header of its own, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`]: the key is empty or cannot stand in a header.
    pub fn api_key(header: HeaderName, key: &Secret, crypto: &dyn Crypto) -> Result<Self, Error> {
        if key.expose().is_empty() {
            return Err(ConfigError::EmptySecret.into());
        }
        Ok(Self::fixed(vec![(header, value("", key, "api_key")?)], TokenId::of(key, crypto), None))
    }

    fn fixed(headers: Vec<(HeaderName, HeaderValue)>, id: TokenId, bare: Option<Secret>) -> Self {
        let since = Timestamp::from_millis(0);
        let (tokens, renew_at, expires_at, unsaved) = (None, None, None, None);
        Self(Arc::new(Inner { headers, id, tokens, bare, since, renew_at, expires_at, unsaved }))
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

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("expires_at", &self.0.expires_at)
            .field("unsaved", &self.0.unsaved)
            .finish_non_exhaustive()
    }
}
