//! One attempt at a request: when it is made again, how it is written, and what in it is secret.

use core::time::Duration;

use http::Method as HttpMethod;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};

use super::amended::{Before, mark_added};
use super::{Attached, Attempt, Plan, RETRIES, RETRY_BUDGET, Retries, TIMEOUT};
use crate::Secret;
use crate::client::{Credentials, Method};
use crate::error::{ConfigError, Error, SendFailure, TransportError, UrlFlaw, safe_text};
use crate::http::form::Form;
use crate::http::{Body, Sent, UrlPolicy};
use crate::machine::{Context, Outgoing};
use crate::time::Timestamp;

/// The parameters of the engine's own that are secrets.
const SECRETS: [&str; 5] = ["code", "code_verifier", "refresh_token", "device_code", "token"];

impl Attempt {
    pub(super) fn new(plan: Plan, started: Timestamp) -> Self {
        Self {
            plan,
            started,
            retried: 0,
            nonce_answered: false,
            hooked: None,
            assertion: None,
            proof: None,
            custom: Vec::new(),
        }
    }

    /// When to try again, if at all. Without a word from the server: 0.5 s, 1 s, 2 s, each with as much again at random.
    pub(super) fn pause(&mut self, asked: Option<Duration>, cx: &mut Context<'_>) -> Result<Option<Timestamp>, Error> {
        if self.plan.retries == Retries::Never || self.retried >= RETRIES {
            return Ok(None);
        }
        let base = Duration::from_millis(500).saturating_mul(1_u32.wrapping_shl(self.retried));
        let mut jitter = [0_u8; 1];
        cx.random.fill(&mut jitter)?;
        let jitter = base.saturating_mul(u32::from(jitter[0])).checked_div(256).unwrap_or_default();
        let wait = asked.map_or(base, |asked| asked.max(Duration::from_millis(1))).saturating_add(jitter);
        let until = cx.now.plus(wait);
        self.retried = self.retried.saturating_add(1);
        Ok((until.since(self.started) <= RETRY_BUDGET).then_some(until))
    }

    /// The secrets of the request, with all that hooks and an authentication method of the client's own have added.
    pub(super) fn sent(&self) -> Sent {
        let own = self.plan.secrets.iter().map(String::as_str);
        let fields = SECRETS.into_iter().chain(own).flat_map(|name| self.plan.form.all(name));
        let made = self.assertion.iter().chain(&self.proof);
        let credential = match &self.plan.credentials {
            Attached::Nothing => None,
            Attached::Bearer(token) => Some(token),
            Attached::Client(client) => match client.method() {
                Method::Basic(_, secret) | Method::Post(secret) => Some(secret),
                Method::None | Method::Assertion { .. } | Method::Custom(_) => None,
            },
        };
        let known = fields.chain(made).chain(credential).chain(&self.custom).map(Secret::duplicate);
        let added = self.hooked.as_ref().zip(self.plan.client()).map(|(hooked, client)| {
            let (url, headers, form) = (&self.plan.target.url, &self.plan.headers(), &self.plan.form);
            let before = Before { url, headers, form };
            before.added(&hooked.target.url, &hooked.headers, &hooked.form, client.client_id())
        });
        Sent::new(known.chain(added.into_iter().flatten()))
    }

    pub(super) fn broken(&self, failure: SendFailure) -> Error {
        Error::Transport(TransportError {
            endpoint: self.plan.endpoint,
            kind: failure.kind,
            delivery: failure.delivery,
            answer: None,
            not_before: None,
        })
    }

    pub(super) fn request(&mut self) -> Result<Outgoing, Error> {
        let (mut headers, mut form) = self.bare();
        let plan = &self.plan;
        let mut uri = self.target().uri.clone();
        match &plan.credentials {
            Attached::Nothing => {}
            Attached::Bearer(token) => {
                let scheme = if plan.bound_to.is_some() { "DPoP" } else { "Bearer" };
                headers.insert(AUTHORIZATION, sensitive(&format!("{scheme} {}", token.expose()))?);
            }
            Attached::Client(client) => match client.method() {
                Method::None => form.push(client.id_parameter(), client.client_id()),
                Method::Basic(value, _) => {
                    headers.insert(AUTHORIZATION, value.clone());
                }
                Method::Post(secret) => {
                    form.push(client.id_parameter(), client.client_id());
                    form.push("client_secret", secret.expose().as_str());
                }
                Method::Assertion { .. } => {
                    let assertion = self.assertion.as_ref().ok_or(Error::Bug("no assertion was made"))?;
                    form.push(client.id_parameter(), client.client_id());
                    form.push("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                    form.push("client_assertion", assertion.expose().as_str());
                }
                Method::Custom(method) => {
                    let (url, client_id) = (self.target().url.clone(), client.client_id().to_owned());
                    let (bare, bare_form) = (headers.clone(), form.duplicate());
                    let mut parts = Credentials { client_id, url, headers, form };
                    method.apply(&mut parts)?;
                    uri = self.judge(&parts.url)?;
                    let before = Before { url: &self.target().url, headers: &bare, form: &bare_form };
                    self.custom = before.added(&parts.url, &parts.headers, &parts.form, client.client_id());
                    headers = parts.headers;
                    mark_added(&bare, &mut headers);
                    form = parts.form;
                }
            },
        }
        if let Some(proof) = &self.proof {
            headers.insert(HeaderName::from_static("dpop"), sensitive(proof.expose())?);
        }
        let body = if plan.method == HttpMethod::GET {
            if !form.is_empty() {
                uri = self.with_query(&uri, &form)?;
            }
            Body::empty()
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            form.encode()
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = plan.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(Outgoing { request, max_body: plan.limit, timeout: TIMEOUT, reach: self.plan.target.reach })
    }

    /// Puts the parameters of a request without a body into its URL. No secret goes there, nor what may be one: a parameter
    /// that somebody else than the flow has put in.
    fn with_query(&self, uri: &http::Uri, form: &Form) -> Result<http::Uri, Error> {
        let id = self.plan.client().map(|client| client.id_parameter());
        let fit = |name: &str| {
            let known = id == Some(name) || self.plan.form.get(name).is_some();
            known && !SECRETS.contains(&name) && !self.plan.secrets.iter().any(|secret| secret == name)
        };
        if let Some((name, _)) = form.iter().find(|(name, _)| !fit(name)) {
            return Err(ConfigError::SecretInQuery(safe_text(name)).into());
        }
        let separator = if uri.query().is_some() { '&' } else { '?' };
        let query = form.encode();
        let query = core::str::from_utf8(query.expose()).unwrap_or_default();
        let flawed = |_| ConfigError::Url { endpoint: self.plan.endpoint, flaw: UrlFlaw::TooLong };
        Ok(format!("{uri}{separator}{query}").parse().map_err(flawed)?)
    }

    /// A custom method may change the URL, but not send credentials to another origin.
    fn judge(&self, url: &url::Url) -> Result<http::Uri, Error> {
        let flawed = |flaw| ConfigError::Url { endpoint: self.plan.endpoint, flaw };
        UrlPolicy::default().check(url).map_err(flawed)?;
        if url.origin() != self.plan.target.url.origin() {
            return Err(flawed(UrlFlaw::Host).into());
        }
        Ok(url.as_str().parse().map_err(|_| flawed(UrlFlaw::Unparsable))?)
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let invalid = ConfigError::Invalid { setting: "credentials", why: "cannot be put into a header" };
    let mut value = HeaderValue::from_str(text).map_err(|_| invalid)?;
    value.set_sensitive(true);
    Ok(value)
}
