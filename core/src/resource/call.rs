//! One request as a caller wants it: what is particular to it, beside what it has in common with its neighbours.

use core::fmt;
use core::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};

use super::{Audience, AuthorizedRequest, RequestSettings, Template};
use crate::error::{ConfigError, Endpoint, Error, UrlFlaw};
use crate::http::Body;

/// One request to a resource server, on its way to become an [`AuthorizedRequest`].
///
/// What is wrong with it is said when it is [prepared](Self::prepare), so that it can be written in one go.
///
/// ```
/// use grantflow_core::resource::{Audience, Call, RequestSettings};
/// let audience = Audience::only("https://api.example/v1")?;
/// let call = Call::new(http::Method::POST, "lights/7?notify=no", &audience)
///     .header("if-match", "3")
///     .content("application/json", br#"{"on":true}"#.to_vec());
/// let machine = call.prepare(&audience, RequestSettings::new())?;
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[must_use]
pub struct Call {
    request: Result<Request<Body>, Error>,
    timeout: Option<Duration>,
    particular: Particular,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Particular {
    Nothing,
    Replacing,
    Withholding,
}

impl Call {
    /// A request without a body to a path below the first base of `audience`, or to a whole URL within it; as
    /// [`Audience::resolve`] has it.
    pub fn new(method: Method, place: &str, audience: &Audience) -> Self {
        let request = audience.resolve(place).and_then(|url| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method;
            let flaw = ConfigError::Url { endpoint: Endpoint::Resource, flaw: UrlFlaw::Unparsable };
            *request.uri_mut() = url.as_str().parse().map_err(|_| flaw)?;
            Ok(request)
        });
        Self::of(request)
    }

    fn of(request: Result<Request<Body>, Error>) -> Self {
        Self { request, timeout: None, particular: Particular::Nothing }
    }

    /// Sets a header, in place of one of this name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let invalid = |why| Error::from(ConfigError::Invalid { setting: "header", why });
        self.request = self.request.and_then(|mut request| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("has a name that none can have"))?;
            let value = HeaderValue::from_str(value).map_err(|_| invalid("has a value that none can have"))?;
            request.headers_mut().insert(name, value);
            Ok(request)
        });
        self
    }

    /// Sets the body, and says what it is.
    pub fn content(self, media_type: &str, body: impl Into<Body>) -> Self {
        self.header(CONTENT_TYPE.as_str(), media_type).body(body)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        if let Ok(request) = &mut self.request {
            *request.body_mut() = body.into();
        }
        self
    }

    /// Sets how long each sending may take, in place of what is usual.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets the credential replace an `Authorization` that the request has itself.
    pub fn replacing_authorization(mut self) -> Self {
        self.particular = Particular::Replacing;
        self
    }

    /// Sends the request without a token, with the `Authorization` that it has itself, if any.
    pub fn withholding_token(mut self) -> Self {
        self.particular = Particular::Withholding;
        self
    }

    /// Makes the machine, with `settings` where the call has none of its own.
    ///
    /// # Errors
    /// What is wrong with the request, and as [`AuthorizedRequest::new`].
    pub fn prepare(self, audience: &Audience, settings: RequestSettings) -> Result<AuthorizedRequest, Error> {
        let settings = match self.timeout {
            Some(timeout) => settings.timeout(timeout),
            None => settings,
        };
        let settings = match self.particular {
            Particular::Nothing => settings,
            Particular::Replacing => settings.replacing_authorization(),
            Particular::Withholding => settings.withholding_token(),
        };
        AuthorizedRequest::new(self.request?, audience, settings)
    }
}

impl From<Request<Body>> for Call {
    fn from(request: Request<Body>) -> Self {
        Self::of(Ok(request))
    }
}

impl From<&Template> for Call {
    fn from(template: &Template) -> Self {
        Self { timeout: template.timeout(), ..Self::of(template.to_request()) }
    }
}

impl From<Template> for Call {
    fn from(template: Template) -> Self {
        Self::from(&template)
    }
}

/// Shows neither the query nor a header: both are the caller's, and may hold what nobody else should see.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Call");
        match &self.request {
            Ok(request) => out.field("method", request.method()).field("host", &request.uri().host()),
            Err(error) => out.field("error", error),
        };
        out.field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
