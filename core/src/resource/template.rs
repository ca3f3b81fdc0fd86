//! Requests made from plain values, for programs that keep their requests as data.
//!
//! A [`Template`] is never changed by being sent: additions for one call are made to a copy ([`Template::enriched`]), so
//! nothing of a login that failed half-way stays behind. Where it goes is judged by the URL policy here, and by an
//! [`Audience`](super::Audience) when a token is to go with it. Left out on purpose: cookies, proxies and redirects.

use core::fmt;
use core::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use url::Url;

use crate::error::{ConfigError, Endpoint, Error, UrlFlaw};
use crate::http::form::Form;
use crate::http::{Body, UrlPolicy};
use crate::secret::Secret;

/// The methods that a template may have.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

/// A value of a parameter or a header. Texts may be secret, so all of them are kept as if they were.
///
/// In a query, a form and a header, everything becomes text: `true`, `null`, numbers as they are, lists and maps as JSON.
/// In a JSON body every value keeps its own type.
#[derive(Debug)]
#[non_exhaustive]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number. One that is not finite is written as `null`.
    Float(f64),
    /// A text.
    Text(Secret),
    /// Several values in order.
    List(Vec<Value>),
    /// Values by their names, in order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// Makes a second copy, which is wiped on its own.
    pub fn duplicate(&self) -> Self {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Integer(value) => Value::Integer(*value),
            Value::Float(value) => Value::Float(*value),
            Value::Text(value) => Value::Text(value.duplicate()),
            Value::List(values) => Value::List(values.iter().map(Value::duplicate).collect()),
            Value::Map(members) => Value::Map(duplicate(members)),
        }
    }

    /// As it is written where there is only text.
    fn text(&self) -> Result<Secret, Error> {
        match self {
            Value::Text(text) => Ok(text.duplicate()),
            other => json(other).map(Secret::new),
        }
    }

    /// How much room its JSON takes at most, so that no buffer grows and leaves copies behind.
    fn room(&self) -> usize {
        let of_text = |text: &str| text.len().saturating_mul(6).saturating_add(3);
        match self {
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => 32,
            Value::Text(text) => of_text(text.expose()),
            Value::List(values) => {
                values.iter().fold(2, |room, value| room.saturating_add(value.room()).saturating_add(1))
            }
            Value::Map(members) => members.iter().fold(2, |room, (name, value)| {
                room.saturating_add(of_text(name)).saturating_add(value.room()).saturating_add(2)
            }),
        }
    }
}

/// A private view: nothing else may serialise what may be secret.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text.expose()),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(&Written(value)))?;
                list.end()
            }
            Value::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, &Written(value)))?;
                map.end()
            }
        }
    }
}

fn json(value: &Value) -> Result<String, Error> {
    let mut out = Vec::with_capacity(value.room());
    let bug = Error::Bug("a value of our own that cannot be written");
    serde_json::to_writer(&mut out, &Written(value)).map_err(|_| bug.clone())?;
    String::from_utf8(out).map_err(|_| bug)
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(Secret::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(Secret::new(value))
    }
}

impl From<Secret> for Value {
    fn from(value: Secret) -> Self {
        Value::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

/// Values by their names, each name once, in the order in which they came.
type Members = Vec<(String, Value)>;

fn duplicate(members: &Members) -> Members {
    members.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect()
}

fn set(members: &mut Members, name: String, value: Value) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => members.push((name, value)),
    }
}

/// Where the parameters of a template go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Into the query of the URL.
    Query,
    /// Into a body, form-encoded.
    Form,
    /// Into a body, as one JSON object.
    Json,
}

/// A request as data. `Debug` shows neither the query nor a value.
///
/// ```
/// use grantflow_core::resource::Template;
/// let template = Template::new("post", "https://api.example/v1/search")?.with_json("limit", 10);
/// let request = template.enriched([("offset", 20)]).to_request()?;
/// assert_eq!(request.body().expose(), br#"{"limit":10,"offset":20}"#);
/// assert_eq!(template.to_request()?.body().expose(), br#"{"limit":10}"#);
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[must_use]
pub struct Template {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, Value)>,
    query: Members,
    form: Option<Members>,
    json: Option<Members>,
    timeout: Option<Duration>,
}

impl Template {
    /// Begins a template. The method may be in any case.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a method that HTTP does not have, [`ConfigError::Url`] for a URL that is missing or that
    /// the URL policy refuses.
    pub fn new(method: &str, url: &str) -> Result<Self, Error> {
        let known = METHODS.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(method));
        let method = known.ok_or(ConfigError::Invalid { setting: "method", why: "is none of HTTP" })?;
        let flawed = |flaw| ConfigError::Url { endpoint: Endpoint::Resource, flaw };
        let url = UrlPolicy::default().parse(url).map_err(flawed)?;
        Ok(Self { method, url, headers: Vec::new(), query: Vec::new(), form: None, json: None, timeout: None })
    }

    /// Sets a header, in place of one of this name.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when `name` cannot be one. A value is judged when the request is made.
    pub fn with_header(mut self, name: &str, value: impl Into<Value>) -> Result<Self, Error> {
        self.set_header(name, value.into())?;
        Ok(self)
    }

    /// Sets a parameter of the query, in place of one of this name.
    pub fn with_query(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.query, name.to_owned(), value.into());
        self
    }

    /// Sets a parameter of the form, in place of one of this name.
    pub fn with_form(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(self.form.get_or_insert_default(), name.to_owned(), value.into());
        self
    }

    /// Sets a member of the JSON body, in place of one of this name.
    pub fn with_json(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(self.json.get_or_insert_default(), name.to_owned(), value.into());
        self
    }

    /// Sets how long sending may take.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long sending may take, if the template says so.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Where the payload goes: a form if there is one, else JSON, else the query if it has anything in it.
    pub fn payload_type(&self) -> Option<Payload> {
        match (&self.form, &self.json) {
            (Some(_), _) => Some(Payload::Form),
            (None, Some(_)) => Some(Payload::Json),
            (None, None) => (!self.query.is_empty()).then_some(Payload::Query),
        }
    }

    /// The payload, if there is one.
    pub fn payload(&self) -> Option<&[(String, Value)]> {
        self.payload_type().and_then(|place| match place {
            Payload::Query => Some(self.query.as_slice()),
            Payload::Form => self.form.as_deref(),
            Payload::Json => self.json.as_deref(),
        })
    }

    /// Moves the payload, and leaves nothing where it was. What has the same name in the new place is replaced.
    pub fn set_payload_type(&mut self, place: Payload) {
        let moved = match self.payload_type() {
            Some(Payload::Form) => self.form.take(),
            Some(Payload::Json) => self.json.take(),
            Some(Payload::Query) => Some(core::mem::take(&mut self.query)),
            None => None,
        };
        let Some(moved) = moved else { return };
        let to = self.place(place);
        moved.into_iter().for_each(|(name, value)| set(to, name, value));
    }

    /// A copy with more in its payload, or other values. A template without a payload gets a query.
    pub fn enriched<N: Into<String>, V: Into<Value>>(&self, additions: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut copy = self.duplicate();
        let mut additions = additions.into_iter().peekable();
        if additions.peek().is_some() {
            let to = copy.place(self.payload_type().unwrap_or(Payload::Query));
            additions.for_each(|(name, value)| set(to, name.into(), value.into()));
        }
        copy
    }

    /// A copy with more headers, or other values.
    ///
    /// # Errors
    /// As [`with_header`](Self::with_header).
    pub fn enriched_headers<'a, V: Into<Value>>(
        &self,
        additions: impl IntoIterator<Item = (&'a str, V)>,
    ) -> Result<Self, Error> {
        let mut copy = self.duplicate();
        additions.into_iter().try_for_each(|(name, value)| copy.set_header(name, value.into()))?;
        Ok(copy)
    }

    /// Does something with a copy that may be changed at will; this template stays as it is, whatever comes of it.
    pub fn with<R>(&self, call: impl FnOnce(&mut Template) -> R) -> R {
        call(&mut self.duplicate())
    }

    /// Makes a second copy, which is wiped on its own.
    pub fn duplicate(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect(),
            query: duplicate(&self.query),
            form: self.form.as_ref().map(duplicate),
            json: self.json.as_ref().map(duplicate),
            timeout: self.timeout,
        }
    }

    /// Makes the request. Its query is the URL's own and the template's.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a form and JSON at once, and for a value that cannot stand in a header;
    /// [`ConfigError::Url`] when the query makes the URL too long.
    pub fn to_request(&self) -> Result<Request<Body>, Error> {
        let (body, media_type) = match (&self.form, &self.json) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::Invalid { setting: "payload", why: "is a form and JSON at once" }.into());
            }
            (Some(form), None) => (encoded(form)?, Some("application/x-www-form-urlencoded")),
            (None, Some(members)) => {
                (Body::new(json(&Value::Map(duplicate(members)))?.into_bytes()), Some("application/json"))
            }
            (None, None) => (Body::empty(), None),
        };
        let mut url = self.url.clone();
        if !self.query.is_empty() {
            let query = encoded(&self.query)?;
            let own = url.query().map(|own| own.trim_end_matches('&')).filter(|own| !own.is_empty());
            let own = own.map(|own| format!("{own}&")).unwrap_or_default();
            url.set_query(Some(&format!("{own}{}", String::from_utf8_lossy(query.expose()))));
        }
        let flawed = |flaw| ConfigError::Url { endpoint: Endpoint::Resource, flaw };
        UrlPolicy::default().check(&url).map_err(flawed)?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url.as_str().parse().map_err(|_| flawed(UrlFlaw::Unparsable))?;
        if let Some(media_type) = media_type {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        for (name, value) in &self.headers {
            let invalid = ConfigError::Invalid { setting: "header", why: "no header can hold its value" };
            let mut value = HeaderValue::from_str(value.text()?.expose()).map_err(|_| invalid)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    fn place(&mut self, place: Payload) -> &mut Members {
        match place {
            Payload::Query => &mut self.query,
            Payload::Form => self.form.get_or_insert_default(),
            Payload::Json => self.json.get_or_insert_default(),
        }
    }

    fn set_header(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let invalid = ConfigError::Invalid { setting: "header", why: "has a name that no header can have" };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid)?;
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        Ok(())
    }
}

fn encoded(members: &Members) -> Result<Body, Error> {
    let mut form = Form::new();
    for (name, value) in members {
        form.push(name.as_str(), value.text()?);
    }
    Ok(form.encode())
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format_args!("{}{}", self.url.origin().ascii_serialization(), self.url.path()).to_string();
        f.debug_struct("Template").field("method", &self.method).field("url", &url).finish_non_exhaustive()
    }
}
