//! Hooks: a caller's corrections of requests and answers, for servers that bend the rules in ways of their own.
//!
//! There are six points ([`HookPoint`]). At each, hooks run in the order in which they were added, once for every
//! attempt to send and every answer to one. What they leave behind is judged like anything else: a request must go
//! where it was going and carry the credentials that it carried, an answer has the same limits, and no check of a
//! token is skipped. A request to the authorization server passes its hooks before credentials and proofs are added, so
//! those are never shown to a hook; a protected request passes them with its token in it, before its proof is made.
//!
//! Left out on purpose: a hook at the authorization URL, which has parameters of its own
//! ([`Extras`](crate::grant::Extras)); bodies of protected requests, which may be streams; and catching panics, which are
//! the caller's.

use core::fmt;
use std::sync::Arc;

use http::header::HeaderMap;
use http::{Response, Uri};
use url::Url;

use super::Client;
use crate::Secret;
use crate::error::{ConfigError, Error, UrlFlaw};
use crate::http::form::Form;
use crate::http::{Body, UrlPolicy};
use crate::server::EndpointUrl;

/// Where hooks run. There are no other points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// The answer to a token request, whatever the grant, but for refreshes.
    AccessTokenResponse,
    /// The answer to a refresh.
    RefreshTokenResponse,
    /// The request of a refresh.
    RefreshTokenRequest,
    /// The request of a revocation.
    RevokeTokenRequest,
    /// The request of an introspection.
    IntrospectTokenRequest,
    /// A request to a resource server, with its token.
    ProtectedRequest,
}

impl HookPoint {
    /// All of them.
    pub const ALL: [HookPoint; 6] = [
        HookPoint::AccessTokenResponse,
        HookPoint::RefreshTokenResponse,
        HookPoint::RefreshTokenRequest,
        HookPoint::RevokeTokenRequest,
        HookPoint::IntrospectTokenRequest,
        HookPoint::ProtectedRequest,
    ];

    /// The name of this point in logs and errors.
    pub fn name(self) -> &'static str {
        match self {
            HookPoint::AccessTokenResponse => "access_token_response",
            HookPoint::RefreshTokenResponse => "refresh_token_response",
            HookPoint::RefreshTokenRequest => "refresh_token_request",
            HookPoint::RevokeTokenRequest => "revoke_token_request",
            HookPoint::IntrospectTokenRequest => "introspect_token_request",
            HookPoint::ProtectedRequest => "protected_request",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a hook did that no hook may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HookFlaw {
    /// It sent the request to another origin.
    Origin,
    /// It made a URL of it that the URL policy refuses.
    Url(UrlFlaw),
    /// It set, changed or removed a header that carries credentials, names the host or frames the message.
    Header(&'static str),
    /// It set, changed or removed a parameter that carries the client's credentials.
    Parameter(&'static str),
}

/// The parts of a request to the authorization server that a hook may change.
///
/// Credentials and proofs are not in it yet. `Debug` shows neither the query nor a parameter.
#[non_exhaustive]
pub struct HookedRequest {
    /// The URL. It must keep its origin.
    pub url: Url,
    /// The headers. `Authorization`, `DPoP`, `Host`, `Content-Type` and those that frame the message are not a hook's.
    pub headers: HeaderMap,
    /// The body, before it is encoded. The client's id, secret and assertion are not a hook's.
    pub form: Form,
}

impl fmt::Debug for HookedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format!("{}{}?..", self.url.origin().ascii_serialization(), self.url.path());
        f.debug_struct("HookedRequest").field("url", &url).field("form", &self.form).finish()
    }
}

type OnAnswer = Arc<dyn Fn(Response<Body>) -> Result<Response<Body>, Error> + Send + Sync>;
type OnRequest = Arc<dyn Fn(&mut HookedRequest) -> Result<(), Error> + Send + Sync>;
type OnProtected = Arc<dyn Fn(&mut Url, &mut HeaderMap) -> Result<(), Error> + Send + Sync>;

/// One hook at one point. Cloning is cheap.
///
/// An error that a hook returns ends the flow, and what was to be sent is not sent.
///
/// ```
/// use grantflow_core::client::{Client, Hook};
/// use grantflow_core::error::Endpoint;
/// use grantflow_core::http::{Body, UrlPolicy};
/// use grantflow_core::server::ServerMetadata;
///
/// let server = ServerMetadata::by_hand("https://as.example", UrlPolicy::default())?
///     .with_endpoint(Endpoint::Token, "https://as.example/token")?;
/// let client = Client::builder(server, "my-client")
///     // A server that wants to be told its site with every request for its resources.
///     .hook(Hook::protected_request(|url, _headers| {
///         url.query_pairs_mut().append_pair("site", "stackoverflow");
///         Ok(())
///     }))
///     // A server that says 203 where it means 200.
///     .hook(Hook::access_token_response(|mut answer| {
///         *answer.status_mut() = http::StatusCode::OK;
///         Ok(answer)
///     }))
///     .build()?;
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Hook(Action);

#[derive(Clone)]
enum Action {
    Answer(HookPoint, OnAnswer),
    Request(HookPoint, OnRequest),
    Protected(OnProtected),
}

impl Hook {
    /// Maps every answer to a token request before it is read, but for refreshes. A device's polls are token requests.
    pub fn access_token_response(
        hook: impl Fn(Response<Body>) -> Result<Response<Body>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Answer(HookPoint::AccessTokenResponse, Arc::new(hook)))
    }

    /// Maps every answer to a refresh before it is read.
    pub fn refresh_token_response(
        hook: impl Fn(Response<Body>) -> Result<Response<Body>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Answer(HookPoint::RefreshTokenResponse, Arc::new(hook)))
    }

    /// Changes every request of a refresh.
    pub fn refresh_token_request(
        hook: impl Fn(&mut HookedRequest) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Request(HookPoint::RefreshTokenRequest, Arc::new(hook)))
    }

    /// Changes every request of a revocation.
    pub fn revoke_token_request(
        hook: impl Fn(&mut HookedRequest) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Request(HookPoint::RevokeTokenRequest, Arc::new(hook)))
    }

    /// Changes every request of an introspection.
    pub fn introspect_token_request(
        hook: impl Fn(&mut HookedRequest) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Request(HookPoint::IntrospectTokenRequest, Arc::new(hook)))
    }

    /// Changes the URL and the headers of every request to a resource server. The token is among the headers: it can be
    /// read, and must be left alone.
    pub fn protected_request(
        hook: impl Fn(&mut Url, &mut HeaderMap) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Action::Protected(Arc::new(hook)))
    }

    /// Where it runs.
    pub fn point(&self) -> HookPoint {
        match &self.0 {
            Action::Answer(point, _) | Action::Request(point, _) => *point,
            Action::Protected(_) => HookPoint::ProtectedRequest,
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({})", self.point())
    }
}

/// All hooks of a client, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Hooks(Vec<Hook>);

/// Stands beside an answer that a hook has changed.
#[derive(Clone, Copy, Debug)]
struct Changed;

/// Whether a hook has changed this answer.
pub(crate) fn has_changed(answer: &Response<Body>) -> bool {
    answer.extensions().get::<Changed>().is_some()
}

impl Hooks {
    pub(crate) fn add(&mut self, hook: Hook) {
        self.0.push(hook);
    }

    /// Whether any hook runs at this point.
    pub(crate) fn run_at(&self, point: HookPoint) -> bool {
        self.0.iter().any(|hook| hook.point() == point)
    }

    /// Maps an answer.
    pub(crate) fn map(&self, point: HookPoint, answer: Response<Body>) -> Result<Response<Body>, Error> {
        if !self.run_at(point) {
            return Ok(answer);
        }
        let before = (answer.status(), answer.headers().clone(), Body::new(answer.body().expose().to_vec()));
        let mut answer = answer;
        for hook in &self.0 {
            match &hook.0 {
                Action::Answer(at, hook) if *at == point => answer = hook(answer)?,
                Action::Answer(..) | Action::Request(..) | Action::Protected(_) => {}
            }
        }
        let (status, headers, body) = before;
        if answer.status() != status || *answer.headers() != headers || answer.body().expose() != body.expose() {
            answer.extensions_mut().insert(Changed);
        }
        Ok(answer)
    }

    /// Changes a request, and judges what became of it. `id_parameter` is what the server calls `client_id`.
    pub(crate) fn change(&self, point: HookPoint, before: Hooked, id_parameter: &'static str) -> Result<Hooked, Error> {
        let url = before.target.url.clone();
        let mut request = HookedRequest { url, headers: before.headers.clone(), form: before.form.duplicate() };
        for hook in &self.0 {
            match &hook.0 {
                Action::Request(at, hook) if *at == point => hook(&mut request)?,
                Action::Request(..) | Action::Answer(..) | Action::Protected(_) => {}
            }
        }
        let overstepped = |flaw| ConfigError::HookOverstepped { point, flaw };
        let uri = same_place(&before.target.url, &request.url).map_err(overstepped)?;
        let fixed = FIXED.iter().chain(&["content-type"]);
        same_headers(fixed, &before.headers, &request.headers).map_err(overstepped)?;
        let credentials = [id_parameter, "client_id", "client_secret", "client_assertion", "client_assertion_type"];
        let differs =
            |name: &&str| !before.form.all(name).map(Secret::expose).eq(request.form.all(name).map(Secret::expose));
        if let Some(name) = credentials.into_iter().find(differs) {
            return Err(overstepped(HookFlaw::Parameter(name)).into());
        }
        // The origin is the same, so the host may still resolve to the same addresses.
        let target = EndpointUrl { url: request.url, reach: before.target.reach, uri };
        Ok(Hooked { target, headers: request.headers, form: request.form })
    }
}

/// A request as its hooks have left it. `Debug` shows nothing of it: what a hook puts in may be a secret.
pub(crate) struct Hooked {
    pub(crate) target: EndpointUrl,
    pub(crate) headers: HeaderMap,
    pub(crate) form: Form,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked(..)")
    }
}

/// The headers that carry credentials, name the host or frame the message.
const FIXED: [&str; 6] = ["authorization", "dpop", "host", "connection", "content-length", "transfer-encoding"];

/// Whether a URL is allowed and of the same origin as the one before.
fn same_place(before: &Url, after: &Url) -> Result<Uri, HookFlaw> {
    if before.origin() != after.origin() {
        return Err(HookFlaw::Origin);
    }
    UrlPolicy::default().check(after).map_err(HookFlaw::Url)?;
    after.as_str().parse().map_err(|_| HookFlaw::Url(UrlFlaw::Unparsable))
}

fn same_headers<'a>(
    mut fixed: impl Iterator<Item = &'a &'static str>,
    before: &HeaderMap,
    after: &HeaderMap,
) -> Result<(), HookFlaw> {
    let changed = fixed.find(|name| !before.get_all(**name).iter().eq(after.get_all(**name).iter()));
    changed.map_or(Ok(()), |name| Err(HookFlaw::Header(name)))
}

impl Client {
    /// Runs the hooks for requests to resource servers ([`HookPoint::ProtectedRequest`]) on a request that has its token
    /// and does not have its proof yet: the proof is about the URL that is sent.
    ///
    /// # Errors
    /// What a hook returns, and [`ConfigError::HookOverstepped`] when one changes the origin, makes a URL that may not be
    /// called, or touches `Authorization`, `DPoP`, `Host` or a header that frames the message. The request is then not
    /// fit to be sent.
    pub fn apply_protected_request(&self, parts: &mut http::request::Parts) -> Result<(), Error> {
        let hooks = self.hooks();
        let point = HookPoint::ProtectedRequest;
        if !hooks.run_at(point) {
            return Ok(());
        }
        let overstepped = |flaw| ConfigError::HookOverstepped { point, flaw };
        let unparsable = |_| overstepped(HookFlaw::Url(UrlFlaw::Unparsable));
        let before = Url::parse(&parts.uri.to_string()).map_err(unparsable)?;
        let (mut url, headers) = (before.clone(), parts.headers.clone());
        for hook in &hooks.0 {
            match &hook.0 {
                Action::Protected(hook) => hook(&mut url, &mut parts.headers)?,
                Action::Answer(..) | Action::Request(..) => {}
            }
        }
        parts.uri = same_place(&before, &url).map_err(overstepped)?;
        same_headers(FIXED.iter(), &headers, &parts.headers).map_err(overstepped)?;
        Ok(())
    }
}
