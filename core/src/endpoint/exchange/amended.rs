//! What others put into a request and take from an answer: the client's hooks, and authentication methods of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use http::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use url::Url;

use super::{Attached, Attempt, Plan};
use crate::Secret;
use crate::client::{Client, HookPoint, Hooked};
use crate::error::{Endpoint, Error};
use crate::http::Body;
use crate::http::form::Form;

impl Plan {
    /// Says of the program what the client says.
    pub(crate) fn on_behalf_of(mut self, client: &Client) -> Self {
        self.user_agent = client.user_agent();
        self
    }

    /// The headers of every such request.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if let Some(product) = &self.user_agent {
            headers.insert(USER_AGENT, product.clone());
        }
        headers
    }

    /// The request as the client's hooks leave it; `None` if there are none for it.
    pub(super) fn hooked(&self) -> Result<Option<Box<Hooked>>, Error> {
        let Attached::Client(client) = &self.credentials else { return Ok(None) };
        let point = match self.endpoint {
            Endpoint::Token if self.refreshes() => HookPoint::RefreshTokenRequest,
            Endpoint::Revocation => HookPoint::RevokeTokenRequest,
            Endpoint::Introspection => HookPoint::IntrospectTokenRequest,
            Endpoint::Token
            | Endpoint::Authorization
            | Endpoint::DeviceAuthorization
            | Endpoint::UserInfo
            | Endpoint::Metadata
            | Endpoint::Keys
            | Endpoint::Redirect
            | Endpoint::Resource
            | Endpoint::Extension => return Ok(None),
        };
        if !client.hooks().run_at(point) {
            return Ok(None);
        }
        let before = Hooked { target: self.target.clone(), headers: self.headers(), form: self.form.duplicate() };
        let mut hooked = client.hooks().change(point, before, client.id_parameter())?;
        mark_added(&self.headers(), &mut hooked.headers);
        Ok(Some(Box::new(hooked)))
    }

    /// An answer as the client's hooks leave it.
    pub(super) fn mapped(&self, answer: Response<Body>) -> Result<Response<Body>, Error> {
        match &self.credentials {
            Attached::Client(client) if self.endpoint == Endpoint::Token => {
                let point = match self.refreshes() {
                    true => HookPoint::RefreshTokenResponse,
                    false => HookPoint::AccessTokenResponse,
                };
                client.hooks().map(point, answer)
            }
            Attached::Client(_) | Attached::Nothing | Attached::Bearer(_) => Ok(answer),
        }
    }

    fn refreshes(&self) -> bool {
        self.form.get("grant_type").is_some_and(|grant| grant.expose() == "refresh_token")
    }
}

impl Attempt {
    /// Where the request goes.
    pub(super) fn target(&self) -> &crate::server::EndpointUrl {
        self.hooked.as_ref().map_or(&self.plan.target, |hooked| &hooked.target)
    }

    /// Its headers and its form, without credentials.
    pub(super) fn bare(&self) -> (HeaderMap, Form) {
        match &self.hooked {
            Some(hooked) => (hooked.headers.clone(), hooked.form.duplicate()),
            None => (self.plan.headers(), self.plan.form.duplicate()),
        }
    }
}

/// The parts of a request that were there before somebody added to them.
pub(super) struct Before<'a> {
    pub(super) url: &'a Url,
    pub(super) headers: &'a HeaderMap,
    pub(super) form: &'a Form,
}

impl Before<'_> {
    /// What was added to a request, as far as it can be told from what was there: any of it may be a secret.
    ///
    /// The client's identifier is none. Of credentials in a header there are also the parts: without the scheme, and the
    /// password alone.
    pub(super) fn added(&self, url: &Url, headers: &HeaderMap, form: &Form, client_id: &str) -> Vec<Secret> {
        let mut added = Vec::new();
        for (name, value) in form.iter() {
            if !self.form.all(name).any(|before| before.matches(value.expose())) {
                added.push(value.duplicate());
            }
        }
        for (name, value) in headers {
            if self.headers.get_all(name).iter().any(|before| before == value) {
                continue;
            }
            let Ok(value) = core::str::from_utf8(value.as_bytes()) else { continue };
            added.push(Secret::from(value));
            if let Some((scheme, credentials)) = value.split_once(' ') {
                added.push(Secret::from(credentials));
                if scheme.eq_ignore_ascii_case("basic") {
                    added.extend(password(credentials));
                }
            }
        }
        for (name, value) in url.query_pairs() {
            if !self.url.query_pairs().any(|before| before == (name.clone(), value.clone())) {
                added.push(Secret::new(value.into_owned()));
            }
        }
        added.retain(|secret| !secret.matches(client_id));
        added
    }
}

/// Marks what was added to the headers, so that nothing prints it.
pub(super) fn mark_added(before: &HeaderMap, after: &mut HeaderMap) {
    for (name, value) in after.iter_mut() {
        if !before.get_all(name).iter().any(|before| before == value) {
            value.set_sensitive(true);
        }
    }
}

/// The password of HTTP Basic credentials.
fn password(credentials: &str) -> Option<Secret> {
    let pair = Secret::new(STANDARD.decode(credentials.trim()).ok()?);
    let (_, password) = core::str::from_utf8(pair.expose()).ok()?.split_once(':')?;
    Some(Secret::from(password))
}
