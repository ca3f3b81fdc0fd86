//! Tokens for the requests of ureq.

use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;

use grantflow_core::error::Error;
use grantflow_core::http::Body;
use grantflow_core::machine::Event;
use grantflow_core::manager::TokenId;
use grantflow_core::resource::{Audience, AuthorizedRequest, Replay, RequestSettings, refuses_token};
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Agent, RequestExt, SendBody};
use zeroize::Zeroizing;

use crate::driver::Sending;
use crate::{Authorizer, Driver};

/// Authorizes the requests of an [`ureq::Agent`], and sends one again whose token is refused, once, if its body can be had
/// again.
///
/// Every response comes back as it is: with this middleware no status is an error, and no redirect is followed, whatever
/// the agent's settings say, since neither the token nor a key beside it may go to another origin. A request that may not
/// have the token is not sent: the agent is for one [`Audience`].
///
/// ureq does not tell a body in memory from one that streams. So a request with a body is sent once, as it is: when its
/// token is refused, the answer is passed on after the token was renewed, and the next request has another.
/// [`replaying_up_to`](Self::replaying_up_to) changes that.
///
/// ```
/// use std::sync::Arc;
/// use grantflow_blocking::core::resource::Audience;
/// use grantflow_blocking::{AuthorizeMiddleware, Authorizer, Driver};
///
/// # fn example(authorizer: Arc<dyn Authorizer>) -> Result<(), grantflow_blocking::core::Error> {
/// let audience = Audience::only("https://api.example/v1")?;
/// let authorize = AuthorizeMiddleware::new(Driver::new(), authorizer, audience).replaying_up_to(64 * 1024);
/// let agent: ureq::Agent = ureq::Agent::config_builder().middleware(authorize).build().into();
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct AuthorizeMiddleware {
    driver: Driver,
    audience: Audience,
    settings: RequestSettings,
    again: Agent,
    replayed: usize,
}

impl AuthorizeMiddleware {
    /// Authorizes requests to `audience` with what `authorizer` gives.
    pub fn new(driver: Driver, authorizer: Arc<dyn Authorizer>, audience: Audience) -> Self {
        Self {
            driver: driver.with_authorizer(authorizer),
            audience,
            settings: RequestSettings::new(),
            again: Agent::new_with_defaults(),
            replayed: 0,
        }
    }

    /// Changes how requests are made. Time and size are ureq's to bound, and are not changed by this.
    pub fn with(mut self, change: impl FnOnce(RequestSettings) -> RequestSettings) -> Self {
        self.settings = change(self.settings);
        self
    }

    /// Reads bodies of up to so many bytes before they are sent, so that they can be sent again. Larger ones are sent once,
    /// in chunks unless the request has a `Content-Length`.
    pub fn replaying_up_to(mut self, bytes: usize) -> Self {
        self.replayed = bytes;
        self
    }

    /// Sends the second time with `agent`, for agents with a connector or a resolver of their own: ureq lets a middleware
    /// send once. Without this it is an agent with ureq's usual ones. The settings are those of the first time; middlewares
    /// that come after this one do not see the second. `agent` must not have this middleware.
    pub fn sending_again_with(mut self, agent: Agent) -> Self {
        self.again = agent;
        self
    }

    fn exchange(&self, request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<ureq::Body>, ureq::Error> {
        let (mut head, body) = request.into_parts();
        let mut body = self.outset(&mut head, body)?;
        let replay = if matches!(body, Outset::Whole(_)) { Replay::Possible } else { Replay::Impossible };
        let settings = self.settings.clone();
        let mut machine = AuthorizedRequest::head_only(head, replay, &self.audience, settings).map_err(failed)?;
        let mut next = Some(next);
        let mut received = None;
        let mut leased = None;
        let mut event = Event::Start;
        loop {
            match self.driver.until_sending(&mut machine, event, &mut leased).map_err(failed)? {
                Sending::Done(response) => {
                    self.learn(&response, replay, leased);
                    let nobody = || failed(Error::Bug("a response was given that nobody has sent"));
                    let body = received.ok_or_else(nobody)?;
                    return Ok(response.map(|_| body));
                }
                Sending::Wanted(outgoing) => {
                    let head = outgoing.request.into_parts().0;
                    // Its connection may be of use again.
                    drop(received.take());
                    let response = match &mut body {
                        Outset::Untouched(body) => match body.take() {
                            Some(body) => self.send(&mut next, head, body)?,
                            None => return Err(failed(Error::Bug("a body was to be sent twice that can be had once"))),
                        },
                        Outset::Begun(reader) => self.send(&mut next, head, SendBody::from_reader(reader))?,
                        Outset::Whole(bytes) if bytes.is_empty() => self.send(&mut next, head, SendBody::none())?,
                        Outset::Whole(bytes) => {
                            let mut reader = bytes.as_slice();
                            self.send(&mut next, head, SendBody::from_reader(&mut reader))?
                        }
                    };
                    let (head, body) = response.into_parts();
                    received = Some(body);
                    event = Event::Response(Response::from_parts(head, Body::empty()));
                }
            }
        }
    }

    /// Sends with the chain of middlewares that goes on, which can be had once.
    fn send(
        &self,
        next: &mut Option<MiddlewareNext<'_>>,
        head: Parts,
        body: SendBody<'_>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = Request::from_parts(head, body);
        match next.take() {
            Some(next) => next.handle(request),
            None => self.again.run(request),
        }
    }

    /// Reads as much of a body as is to be kept.
    fn outset<'a>(&self, head: &mut Parts, body: SendBody<'a>) -> Result<Outset<'a, impl Read + use<'a>>, ureq::Error> {
        let bare = [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS, Method::TRACE].contains(&head.method);
        if !bare && self.replayed == 0 {
            return Ok(Outset::Untouched(Some(body)));
        }
        let mut reader = body.into_reader();
        let mut begun = Zeroizing::new(Vec::new());
        let one_more = u64::try_from(self.replayed).unwrap_or(u64::MAX).saturating_add(1);
        (&mut reader).take(one_more).read_to_end(&mut begun)?;
        if begun.len() > self.replayed {
            return Ok(Outset::Begun(Cursor::new(begun).chain(reader)));
        }
        let framed = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
        if !(framed || bare && begun.is_empty()) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(begun.len()));
        }
        Ok(Outset::Whole(begun))
    }

    /// A request that is sent once only cannot have another token any more. The next one can.
    fn learn(&self, response: &Response<Body>, replay: Replay, leased: Option<TokenId>) {
        if let (Replay::Impossible, true, Some(refused), Some(authorizer)) =
            (replay, refuses_token(response), leased, self.driver.authorizer())
        {
            // The refusal is the answer, whatever comes of this.
            let _ = authorizer.invalidate(refused);
        }
    }
}

/// What is known of a body before it is sent.
enum Outset<'a, R> {
    /// All of it.
    Whole(Zeroizing<Vec<u8>>),
    /// Nothing.
    Untouched(Option<SendBody<'a>>),
    /// More than is to be kept has been read. This reads it all.
    Begun(R),
}

fn failed(error: Error) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

impl Middleware for AuthorizeMiddleware {
    /// An error of ours is in [`ureq::Error::Other`].
    fn handle(&self, request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<ureq::Body>, ureq::Error> {
        let settings =
            request.middleware_config().ok_or_else(|| failed(Error::Bug("a middleware without an agent")))?;
        let settings = settings.max_redirects(0).max_redirects_will_error(false).http_status_as_error(false);
        self.exchange(settings.build(), next)
    }
}

impl fmt::Debug for AuthorizeMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeMiddleware").field("audience", &self.audience).finish_non_exhaustive()
    }
}
