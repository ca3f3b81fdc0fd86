//! What a client keeps of a token answer.

use core::fmt;
use core::time::Duration;

use serde::de::DeserializeOwned;

use super::{Note, Scopes};
use crate::error::Error;
use crate::http::json::Object;
use crate::jose::VerifiedIdToken;
use crate::secret::Secret;
use crate::time::Timestamp;

/// How much clocks may differ, and how early a token of a long life is renewed.
const SKEW: Duration = Duration::from_secs(60);

/// How a token is presented (RFC 6749 §7.1). Names know no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `Bearer` (RFC 6750)
    Bearer,
    /// `DPoP` (RFC 9449)
    Dpop,
    /// Another one that the client has named, in the client's own spelling.
    Other(String),
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenType::Bearer => "Bearer",
            TokenType::Dpop => "DPoP",
            TokenType::Other(name) => name,
        })
    }
}

/// The tokens of one answer and what the server says about them.
///
/// `Debug` shows no token, and no member that this library does not know.
pub struct TokenSet {
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) received_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) requested: Scopes,
    pub(crate) granted: Option<Scopes>,
    pub(crate) notes: Vec<Note>,
    pub(crate) answer: Object,
    pub(crate) resources: Vec<String>,
    pub(crate) identity: Option<VerifiedIdToken>,
    pub(crate) person: Option<Person>,
}

/// Whom the tokens of a login speak for, from the first id_token to the last refresh.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) issuer: String,
    pub(crate) subject: String,
}

impl Person {
    pub(crate) fn of(identity: &VerifiedIdToken) -> Self {
        Self { issuer: identity.issuer().to_owned(), subject: identity.subject().to_owned() }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(..)")
    }
}

impl TokenSet {
    /// Who logged in: the id_token, verified. There is none without `openid` in the scope.
    pub fn identity(&self) -> Option<&VerifiedIdToken> {
        self.identity.as_ref()
    }

    /// The resources that the tokens were asked for (RFC 8707).
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// Keeps the refresh token that was spent, if no new one came (RFC 6749 §6).
    pub(crate) fn keeping(mut self, spent: Option<&Secret>) -> Self {
        if self.refresh_token.is_none() {
            self.refresh_token = spent.map(Secret::duplicate);
        }
        self
    }

    /// Drops the refresh token of a grant that should not bring one (RFC 6749 §4.4.3).
    pub(crate) fn without_refresh_token(mut self) -> Self {
        if self.refresh_token.take().is_some() {
            self.notes.push(Note::RefreshTokenDropped);
        }
        self
    }

    /// The access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How to present it.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// The refresh token, if there is one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// The id_token as it came. Whether it is true is not known here.
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// When the answer came.
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// When the access token stops working; `None` if the server does not say.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether the access token should be used at `now`.
    ///
    /// A token is renewed a minute before its end, or a tenth of its lifetime if that is less. One of unknown lifetime is
    /// always fresh. When the clock has gone back by more than a minute behind [`received_at`](Self::received_at), nobody
    /// knows how much of the lifetime is left: such a token is not fresh, and its successor is by the new clock.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now.plus(self.renewal_margin()) < end && self.received_at <= now.plus(SKEW))
    }

    /// How long before its end a token is renewed: a minute, or a tenth of its lifetime if that is less.
    pub fn renewal_margin(&self) -> Duration {
        let lifetime = self.expires_at.map_or(Duration::MAX, |end| end.since(self.received_at));
        lifetime.checked_div(10).unwrap_or_default().min(SKEW)
    }

    /// Whether the access token's time is over at `now`. At the very end it is.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// The scope in force: the granted one, or the requested one if the server named none (RFC 6749 §5.1).
    pub fn scope(&self) -> &Scopes {
        self.granted.as_ref().unwrap_or(&self.requested)
    }

    /// The scope that the server named.
    pub fn granted_scope(&self) -> Option<&Scopes> {
        self.granted.as_ref()
    }

    /// The scope that was asked for.
    pub fn requested_scope(&self) -> &Scopes {
        &self.requested
    }

    /// Whether something that was asked for was not granted.
    pub fn is_narrowed(&self) -> bool {
        !self.requested.is_subset(self.scope())
    }

    /// Whether something was granted that was not asked for. Who asks for nothing gets the server's default: not more.
    pub fn is_exceeded(&self) -> bool {
        !self.requested.is_empty() && !self.scope().is_subset(&self.requested)
    }

    /// The tolerances that were used in reading the answer, in the order of use.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Reads the whole answer as a type of the caller's, for members that this library does not know.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the answer is not of that shape. No value is quoted.
    pub fn extra<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.answer.extra()
    }

    /// The whole answer. One that came as a form is an object of strings.
    pub fn answer(&self) -> &Object {
        &self.answer
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("token_type", &self.token_type)
            .field("refresh_token", &self.refresh_token)
            .field("id_token", &self.id_token)
            .field("received_at", &self.received_at)
            .field("expires_at", &self.expires_at)
            .field("requested", &self.requested)
            .field("granted", &self.granted)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}
