//! Tokens for the requests of any tower service.

use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use grantflow_core::http::Body;
use grantflow_core::machine::Event;
use grantflow_core::resource::{Audience, Replay, RequestSettings};
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower_layer::Layer;
use tower_service::Service;

use crate::driver::Sending;
use crate::head::{Authorization, NO_BODY_LEFT, NO_RESPONSE, answered, head};
use crate::{Authorizer, Driver, Pending, RequestError};

/// Says how a body is had a second time.
pub trait CopyBody: Sized {
    /// The same body, or `None` if it can be sent once only. A large one is best shared.
    fn copy_body(&self) -> Option<Self>;
}

impl CopyBody for () {
    fn copy_body(&self) -> Option<Self> {
        Some(())
    }
}

impl CopyBody for Bytes {
    fn copy_body(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl CopyBody for Full<Bytes> {
    fn copy_body(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<D> CopyBody for Empty<D> {
    fn copy_body(&self) -> Option<Self> {
        Some(Self::new())
    }
}

impl CopyBody for Body {
    fn copy_body(&self) -> Option<Self> {
        Some(Self::new(self.expose().to_vec()))
    }
}

/// Decides for a layer how bodies are copied.
pub trait Copier<B> {
    /// The same body, or `None` if it is to be sent once only.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Copies bodies as their type says: [`CopyBody`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AsTheyAre;

impl<B: CopyBody> Copier<B> for AsTheyAre {
    fn copy(&self, body: &B) -> Option<B> {
        body.copy_body()
    }
}

/// Copies no body, whatever its type is: every request is sent once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Once;

impl<B> Copier<B> for Once {
    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

/// Copies bodies with a function.
#[derive(Clone, Copy)]
pub struct By<F>(F);

impl<B, F: Fn(&B) -> Option<B>> Copier<B> for By<F> {
    fn copy(&self, body: &B) -> Option<B> {
        (self.0)(body)
    }
}

impl<F> Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("By").finish_non_exhaustive()
    }
}

/// Authorizes the requests of a service, and sends one again whose token is refused, once, if its body can be had again.
///
/// Any `Service<http::Request<B>, Response = http::Response<R>>` will do, hyper-util's client for one. Bodies are neither
/// read nor changed, whatever their type; how one is copied, the layer is [told](Copier). A request whose body cannot be
/// copied is sent once: when its token is refused, the answer is passed on after the token was renewed, so that the next
/// request has another.
///
/// The service must not follow redirects: put this layer inside one that does. A request that may not have the token
/// fails before anything is sent, so the layer is for clients that talk to one [`Audience`].
///
/// ```
/// use std::sync::Arc;
/// use grantflow_tokio::core::resource::Audience;
/// use grantflow_tokio::{AuthorizeLayer, Authorizer, Driver};
/// use http_body_util::Full;
/// use hyper_util::client::legacy::Client;
/// use tower_layer::Layer;
///
/// # fn example(authorizer: Arc<dyn Authorizer>) -> Result<(), grantflow_tokio::core::Error> {
/// let layer = AuthorizeLayer::new(Driver::new(), authorizer, Audience::only("https://api.example/v1")?);
/// # let connector = hyper_util::client::legacy::connect::HttpConnector::new();
/// let client: Client<_, Full<bytes::Bytes>> = Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
/// let service = layer.layer(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizeLayer<C = AsTheyAre> {
    authorization: Authorization,
    copier: C,
}

impl AuthorizeLayer {
    /// Authorizes requests to `audience` with what `authorizer` gives. Bodies are copied as [`CopyBody`] says.
    pub fn new(driver: Driver, authorizer: Arc<dyn Authorizer>, audience: Audience) -> Self {
        Self { authorization: Authorization::new(driver, authorizer, audience), copier: AsTheyAre }
    }
}

impl<C> AuthorizeLayer<C> {
    /// Changes how requests are made. Time and size are the service's to bound, and are not changed by this.
    pub fn with(mut self, change: impl FnOnce(RequestSettings) -> RequestSettings) -> Self {
        self.authorization = self.authorization.with(change);
        self
    }

    /// Where tokens may go.
    pub fn audience(&self) -> &Audience {
        self.authorization.audience()
    }

    /// Sends every request once. Bodies may be of any type.
    pub fn sending_once(self) -> AuthorizeLayer<Once> {
        AuthorizeLayer { authorization: self.authorization, copier: Once }
    }

    /// Copies bodies with `copy`, which gives `None` for those that can be sent once only.
    pub fn copying<B, F>(self, copy: F) -> AuthorizeLayer<By<F>>
    where
        F: Fn(&B) -> Option<B> + Clone,
    {
        AuthorizeLayer { authorization: self.authorization, copier: By(copy) }
    }
}

impl<S, C: Clone> Layer<S> for AuthorizeLayer<C> {
    type Service = AuthorizeService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthorizeService { inner, authorization: self.authorization.clone(), copier: self.copier.clone() }
    }
}

/// What an [`AuthorizeLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct AuthorizeService<S, C = AsTheyAre> {
    inner: S,
    authorization: Authorization,
    copier: C,
}

impl<S, C, B, R> Service<Request<B>> for AuthorizeService<S, C>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    C: Copier<B> + Clone + Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = RequestError<S::Error>;
    type Future = Pending<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(RequestError::Sending)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was found ready is the one to call; a clone of it need not be.
        let another = self.inner.clone();
        let ready = mem::replace(&mut self.inner, another);
        Box::pin(exchange(ready, self.authorization.clone(), self.copier.clone(), request))
    }
}

async fn exchange<S, C, B, R>(
    mut service: S,
    authorization: Authorization,
    copier: C,
    request: Request<B>,
) -> Result<Response<R>, RequestError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>>,
    C: Copier<B>,
{
    let (own, body) = request.into_parts();
    let spare = copier.copy(&body);
    let replay = if spare.is_some() { Replay::Possible } else { Replay::Impossible };
    let mut exchange = authorization.begin(own, replay)?;
    let mut first = Some(body);
    let mut received = None;
    let mut event = Event::Start;
    loop {
        match exchange.next(event).await? {
            Sending::Done(response) => {
                let body = received.ok_or(NO_RESPONSE)?;
                return Ok(response.map(|_| body));
            }
            Sending::Wanted(outgoing) => {
                let body = match first.take() {
                    Some(body) => body,
                    None => {
                        poll_fn(|cx| service.poll_ready(cx)).await.map_err(RequestError::Sending)?;
                        spare.as_ref().and_then(|spare| copier.copy(spare)).ok_or(NO_BODY_LEFT)?
                    }
                };
                // What was received before is of no use any more, and its connection may be.
                drop(received.take());
                let sent = service.call(Request::from_parts(head(*outgoing), body));
                let (head, body) = sent.await.map_err(RequestError::Sending)?.into_parts();
                received = Some(body);
                event = answered(head);
            }
        }
    }
}
