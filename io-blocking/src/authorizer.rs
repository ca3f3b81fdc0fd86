//! What authorizes requests: one trait for tokens that renew themselves, for fixed credentials, and for whatever a user
//! writes.

use std::fmt::{self, Debug};
use std::sync::{Mutex, PoisonError};

use grantflow_core::Secret;
use grantflow_core::crypto::AwsLc;
use grantflow_core::error::{ConfigError, Error};
use grantflow_core::machine::{Event, LeaseRequest};
use grantflow_core::manager::{Charset, Credential, Placement, TokenId};
use http::header::{HeaderMap, HeaderName};

/// Gives what a request is authorized with. Ask before every request: the answer is a fact of the moment.
pub trait Authorizer: Debug + Send + Sync {
    /// A credential that works now. Whatever has to be done for it is done first, once for all who ask.
    ///
    /// # Errors
    /// What keeps it from being had.
    fn credential(&self) -> Result<Credential, Error>;

    /// A credential other than the one a resource server has just refused: a renewal, if that is still the current one.
    /// The same one comes back if nothing can be done, or was done a moment ago: then the refusal stands.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    fn invalidate(&self, refused: TokenId) -> Result<Credential, Error>;

    /// The last credential, without waiting, whether it still works or not.
    fn current(&self) -> Option<Credential>;

    /// Whether there is a credential and its time is not over. Sends nothing and changes nothing.
    fn is_valid(&self) -> bool;

    /// Whose credential it is, if that is a client's.
    fn client_id(&self) -> Option<&str> {
        None
    }

    /// The headers to set: [`credential`](Self::credential) as a map.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        self.credential()?.write_to(&mut headers);
        Ok(headers)
    }

    /// The access token of a [`credential`](Self::credential) that works now.
    ///
    /// # Errors
    /// As [`credential`](Self::credential); Basic credentials and keys have no access token.
    fn access_token(&self) -> Result<Secret, Error> {
        let credential = self.credential()?;
        credential.access_token().map(Secret::duplicate).ok_or_else(|| ConfigError::Missing("access token").into())
    }
}

/// A credential that nobody renews: a name and a password, a key, a token without a life of its own.
#[derive(Clone, Debug)]
pub struct Fixed(Credential);

impl Fixed {
    /// A token, where `placement` says.
    ///
    /// # Errors
    /// As [`Credential::bare`].
    pub fn bare(token: &Secret, placement: &Placement) -> Result<Self, Error> {
        Credential::bare(token, placement, &AwsLc).map(Self)
    }

    /// A name and a password.
    ///
    /// # Errors
    /// As [`Credential::basic`].
    pub fn basic(name: &str, password: &Secret, charset: Charset) -> Result<Self, Error> {
        Credential::basic(name, password, charset, &AwsLc).map(Self)
    }

    /// A key in a header of its own.
    ///
    /// # Errors
    /// As [`Credential::api_key`].
    pub fn api_key(header: HeaderName, key: &Secret) -> Result<Self, Error> {
        Credential::api_key(header, key, &AwsLc).map(Self)
    }
}

impl From<Credential> for Fixed {
    fn from(credential: Credential) -> Self {
        Self(credential)
    }
}

impl Authorizer for Fixed {
    fn credential(&self) -> Result<Credential, Error> {
        Ok(self.0.clone())
    }

    fn invalidate(&self, _: TokenId) -> Result<Credential, Error> {
        self.credential()
    }

    fn current(&self) -> Option<Credential> {
        Some(self.0.clone())
    }

    fn is_valid(&self) -> bool {
        true
    }
}

/// A way of your own to get tokens; [`Custom`] makes an [`Authorizer`] of it.
///
/// ```
/// use grantflow_blocking::core::{Error, Secret};
/// use grantflow_blocking::{Authorize, Custom};
///
/// struct Turnstile;
///
/// impl Authorize for Turnstile {
///     type Token = u32;
///     fn authorize(&self) -> Result<u32, Error> {
///         Ok(1)
///     }
///     fn expired(&self, token: &u32) -> bool {
///         *token > 3
///     }
///     fn refresh(&self, token: &u32) -> Result<u32, Error> {
///         Ok(*token + 1)
///     }
///     fn access_token(&self, token: &u32) -> Secret {
///         Secret::from(format!("entry-{token}"))
///     }
/// }
///
/// let authorizer = Custom::new(Turnstile);
/// ```
pub trait Authorize: Send + Sync {
    /// The token, in whatever form: the other functions get what `authorize` and `refresh` have given.
    type Token: Send + Sync;

    /// Gets the first token.
    ///
    /// # Errors
    /// Why there is none.
    fn authorize(&self) -> Result<Self::Token, Error>;

    /// Whether a token is no longer to be used.
    fn expired(&self, token: &Self::Token) -> bool;

    /// Gets the successor of a token. After a failure the old one is kept, and the next request tries again.
    ///
    /// # Errors
    /// Why there is none.
    fn refresh(&self, token: &Self::Token) -> Result<Self::Token, Error>;

    /// What stands in the header.
    fn access_token(&self, token: &Self::Token) -> Secret;

    /// Whose token it is.
    fn client_id(&self) -> Option<&str> {
        None
    }
}

/// Makes an [`Authorizer`] of an [`Authorize`].
///
/// One caller at a time gets a token, the others wait for it. The work is done in the caller's thread, and after a failure
/// the next one in line tries again. A [`TokenHandle`](crate::TokenHandle) does neither.
pub struct Custom<A: Authorize> {
    own: A,
    placement: Placement,
    held: Mutex<Option<(A::Token, Credential)>>,
}

impl<A: Authorize> Custom<A> {
    /// Tokens of `own`, in `Authorization: Bearer`. Asks nobody for anything yet.
    pub fn new(own: A) -> Self {
        Self { own, placement: Placement::default(), held: Mutex::new(None) }
    }

    /// Puts the token elsewhere.
    #[must_use]
    pub fn with_placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    fn obtain(&self, refused: Option<TokenId>) -> Result<Credential, Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match &*held {
            Some((token, credential)) if Some(credential.id()) != refused && !self.own.expired(token) => {
                return Ok(credential.clone());
            }
            Some((token, _)) => self.own.refresh(token)?,
            None => self.own.authorize()?,
        };
        let credential = Credential::bare(&self.own.access_token(&token), &self.placement, &AwsLc)?;
        *held = Some((token, credential.clone()));
        Ok(credential)
    }
}

impl<A: Authorize> Authorizer for Custom<A> {
    fn credential(&self) -> Result<Credential, Error> {
        self.obtain(None)
    }

    fn invalidate(&self, refused: TokenId) -> Result<Credential, Error> {
        self.obtain(Some(refused))
    }

    fn current(&self) -> Option<Credential> {
        self.held.try_lock().ok()?.as_ref().map(|(_, credential)| credential.clone())
    }

    fn is_valid(&self) -> bool {
        let held = self.held.try_lock();
        held.is_ok_and(|held| held.as_ref().is_some_and(|(token, _)| !self.own.expired(token)))
    }

    fn client_id(&self) -> Option<&str> {
        self.own.client_id()
    }
}

impl<A: Authorize> Debug for Custom<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("placement", &self.placement).finish_non_exhaustive()
    }
}

/// Answers a request for a credential.
pub(crate) fn leased(authorizer: &dyn Authorizer, request: LeaseRequest) -> Event {
    let answer = match request.refused {
        Some(refused) => authorizer.invalidate(refused),
        None => authorizer.credential(),
    };
    answer.map_or_else(Event::LeaseFailed, Event::Leased)
}
