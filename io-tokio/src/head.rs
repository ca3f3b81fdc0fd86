//! Requests whose bodies somebody else sends: the machine sees heads only, so a body of any kind passes it by.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use grantflow_core::error::Error;
use grantflow_core::http::Body;
use grantflow_core::machine::{Event, Outgoing};
use grantflow_core::manager::TokenId;
use grantflow_core::resource::{Audience, AuthorizedRequest, Replay, RequestSettings, refuses_token};
use http::Response;
use http::request::Parts;

use crate::driver::Sending;
use crate::{Authorizer, Driver};

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError<E> {
    /// The request cannot be authorized, or may not go where it would.
    Authorization(Error),
    /// Whoever sends it has failed.
    Sending(E),
}

impl<E> From<Error> for RequestError<E> {
    fn from(error: Error) -> Self {
        Self::Authorization(error)
    }
}

impl<E: fmt::Display> fmt::Display for RequestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorization(error) => write!(f, "the request is not authorized: {error}"),
            Self::Sending(error) => write!(f, "the request was not answered: {error}"),
        }
    }
}

impl<E: StdError + 'static> StdError for RequestError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Authorization(error) => Some(error),
            Self::Sending(error) => Some(error),
        }
    }
}

/// What authorizes the requests of an adapter.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    driver: Driver,
    audience: Audience,
    settings: RequestSettings,
}

impl Authorization {
    pub(crate) fn new(driver: Driver, authorizer: Arc<dyn Authorizer>, audience: Audience) -> Self {
        Self { driver: driver.with_authorizer(authorizer), audience, settings: RequestSettings::new() }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(RequestSettings) -> RequestSettings) -> Self {
        self.settings = change(self.settings);
        self
    }

    pub(crate) fn audience(&self) -> &Audience {
        &self.audience
    }

    pub(crate) fn begin(&self, head: Parts, replay: Replay) -> Result<Exchange, Error> {
        let machine = AuthorizedRequest::head_only(head, replay, &self.audience, self.settings.clone())?;
        Ok(Exchange { driver: self.driver.clone(), machine, replay, leased: None })
    }
}

/// One request on its way.
pub(crate) struct Exchange {
    driver: Driver,
    machine: AuthorizedRequest,
    replay: Replay,
    leased: Option<TokenId>,
}

impl Exchange {
    /// The next head to send, or that of the response.
    pub(crate) async fn next(&mut self, event: Event) -> Result<Sending<Response<Body>>, Error> {
        let next = self.driver.until_sending(&mut self.machine, event, &mut self.leased).await?;
        if let Sending::Done(response) = &next {
            self.learn(response).await;
        }
        Ok(next)
    }

    /// A request that is sent once only cannot have another token any more. The next one can.
    async fn learn(&self, response: &Response<Body>) {
        if let (Replay::Impossible, true, Some(refused), Some(authorizer)) =
            (self.replay, refuses_token(response), self.leased, self.driver.authorizer())
        {
            // The refusal is the answer, whatever comes of this.
            let _ = authorizer.invalidate(refused).await;
        }
    }
}

/// The head of what is to be sent.
pub(crate) fn head(outgoing: Outgoing) -> Parts {
    outgoing.request.into_parts().0
}

/// What the machine sees of a response.
pub(crate) fn answered(head: http::response::Parts) -> Event {
    Event::Response(Response::from_parts(head, Body::empty()))
}

pub(crate) const NO_BODY_LEFT: Error = Error::Bug("a request was to be sent once more than its body can be had");
pub(crate) const NO_RESPONSE: Error = Error::Bug("a response was given that nobody has sent");
