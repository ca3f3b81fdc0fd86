//! Tokens for the requests of reqwest.

use std::sync::Arc;

use ::reqwest::redirect::Policy;
use ::reqwest::{Client, ClientBuilder, Request, RequestBuilder, Response};
use grantflow_core::error::{ConfigError, Endpoint, Error, UrlFlaw};
use grantflow_core::machine::Event;
use grantflow_core::resource::{Audience, Replay, RequestSettings};
use http::Method;
use http::request::Parts;
use url::Url;

use crate::driver::Sending;
use crate::head::{Authorization, NO_BODY_LEFT, NO_RESPONSE, answered, head};
use crate::{Authorizer, Driver, RequestError};

/// An API that takes somebody's token, by way of reqwest. Cheap to clone; clones share everything.
///
/// A response comes back as it is, whatever its status. A refused token is renewed and the request sent again, once, if its
/// body can be had again; a request with a body that streams is sent once, and the token is renewed for the next one. The
/// reqwest client follows no redirect, so that neither the token nor a key beside it can go to another origin.
///
/// ```no_run
/// # async fn example(session: grantflow_tokio::TokenHandle) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use grantflow_tokio::core::resource::Audience;
/// use grantflow_tokio::{Driver, ReqwestApi};
///
/// let audience = Audience::only("https://api.example/v1")?;
/// let api = ReqwestApi::new(reqwest::Client::builder(), Driver::new(), Arc::new(session), audience)?;
/// let lights = api.get("lights").await?.text().await?;
/// let off = api.request(http::Method::PUT, "lights/7")?.body(r#"{"on":false}"#).build()?;
/// api.execute(off).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestApi {
    client: Client,
    authorization: Authorization,
}

impl ReqwestApi {
    /// The API at `audience`, with what `authorizer` gives. The client is built from `settings`, but follows no redirects.
    ///
    /// # Errors
    /// [`Sending`](RequestError::Sending) when reqwest can build no client.
    pub fn new(
        settings: ClientBuilder,
        driver: Driver,
        authorizer: Arc<dyn Authorizer>,
        audience: Audience,
    ) -> Result<Self, RequestError<::reqwest::Error>> {
        let client = settings.redirect(Policy::none()).build().map_err(RequestError::Sending)?;
        Ok(Self { client, authorization: Authorization::new(driver, authorizer, audience) })
    }

    /// Changes how requests are made. Time and size are reqwest's to bound, and are not changed by this.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(RequestSettings) -> RequestSettings) -> Self {
        self.authorization = self.authorization.with(change);
        self
    }

    /// Gets a path below the audience's first base, or a whole URL within it.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn get(&self, place: &str) -> Result<Response, RequestError<::reqwest::Error>> {
        let url = self.authorization.audience().resolve(place)?;
        self.execute(Request::new(Method::GET, url)).await
    }

    /// A request to a path below the audience's first base, or to a whole URL within it. Build it and
    /// [`execute`](Self::execute) it; sent by itself, it would have no token.
    ///
    /// # Errors
    /// As [`Audience::resolve`].
    pub fn request(&self, method: Method, place: &str) -> Result<RequestBuilder, Error> {
        Ok(self.client.request(method, self.authorization.audience().resolve(place)?))
    }

    /// Sends a request with a token. Default headers of the client do not replace the token.
    ///
    /// # Errors
    /// [`Authorization`](RequestError::Authorization) when the request may not have a token, or none can be had: nothing is
    /// sent then. [`Sending`](RequestError::Sending) is reqwest's own. No status is an error.
    pub async fn execute(&self, request: Request) -> Result<Response, RequestError<::reqwest::Error>> {
        let spare = request.try_clone();
        let replay = if spare.is_some() { Replay::Possible } else { Replay::Impossible };
        let mut exchange = self.authorization.begin(head_of(&request)?, replay)?;
        let mut first = Some(request);
        let mut received: Option<Response> = None;
        let mut event = Event::Start;
        loop {
            match exchange.next(event).await? {
                Sending::Done(_) => return Ok(received.ok_or(NO_RESPONSE)?),
                Sending::Wanted(outgoing) => {
                    let again = || spare.as_ref().and_then(Request::try_clone);
                    let mut request = first.take().or_else(again).ok_or(NO_BODY_LEFT)?;
                    let head = head(*outgoing);
                    *request.url_mut() = Url::parse(&head.uri.to_string()).map_err(|_| unparsable())?;
                    *request.method_mut() = head.method;
                    *request.headers_mut() = head.headers;
                    drop(received.take());
                    let response = self.client.execute(request).await.map_err(RequestError::Sending)?;
                    let mut head = http::Response::new(()).into_parts().0;
                    head.status = response.status();
                    head.headers = response.headers().clone();
                    received = Some(response);
                    event = answered(head);
                }
            }
        }
    }
}

fn head_of(request: &Request) -> Result<Parts, Error> {
    let mut head = http::Request::new(()).into_parts().0;
    head.method = request.method().clone();
    head.uri = request.url().as_str().parse().map_err(|_| unparsable())?;
    head.headers = request.headers().clone();
    Ok(head)
}

fn unparsable() -> Error {
    ConfigError::Url { endpoint: Endpoint::Resource, flaw: UrlFlaw::Unparsable }.into()
}
