//! What comes back by way of the browser (RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode).
//!
//! Anybody can call a redirect URI, so nothing here believes anything: [`CallbackParams`] is what was said, parsed
//! strictly and bounded. The flow compares `state` first, then `iss`, and only then asks for the
//! [`response`](CallbackParams::response). Unknown parameters are ignored (RFC 6749 §4.1.2).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{BadCallback, Endpoint, Refusal, safe_text};
use crate::http::form::{Form, FormFlaw};
use crate::secret::Secret;

/// How long a callback may be, in bytes: the whole URL, or the whole form.
pub const MAX_CALLBACK: usize = 16 * 1024;

/// The parameters that mean something. Each may stand in a callback once (RFC 6749 §3.1).
const KNOWN: [&str; 12] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
    "access_token",
    "id_token",
    "token",
    "session_state",
    "scope",
];

/// How a callback came (OAuth 2.0 Multiple Response Type Encoding Practices §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect URI: the default of the code grant.
    #[default]
    Query,
    /// In the fragment of the redirect URI.
    Fragment,
    /// As a form that the browser posted.
    FormPost,
}

/// The parameters of a callback, parsed and bounded, before anybody has compared them with anything.
///
/// ```
/// use grantflow_core::callback::{AuthorizationResponse, CallbackParams};
/// let callback = CallbackParams::from_query("code=a%2Fb&state=xyz")?;
/// assert!(callback.state().is_some_and(|state| state.matches("xyz")));
/// let AuthorizationResponse::Code(code) = callback.response()? else { panic!() };
/// assert_eq!(code.expose(), "a/b");
/// # Ok::<(), grantflow_core::error::BadCallback>(())
/// ```
pub struct CallbackParams {
    mode: ResponseMode,
    /// Known parameters only, each at most once.
    known: Form,
    /// Whether one of them stood there again.
    doubled: bool,
}

/// What the authorization server answers, once it is known that it was that server and this flow.
#[derive(Debug)]
pub enum AuthorizationResponse {
    /// A code to be redeemed. Not empty, visible ASCII and spaces only (RFC 6749 §A.11).
    Code(Secret),
    /// The server, or the person, said no (RFC 6749 §4.1.2.1).
    Denied(Box<Refusal>),
}

impl CallbackParams {
    /// Reads the query of a URL, with or without its question mark.
    ///
    /// # Errors
    /// [`BadCallback::TooLarge`] beyond 16 KiB, [`BadCallback::TooManyParameters`] beyond 100,
    /// [`BadCallback::Malformed`] for broken escapes and what is not UTF-8.
    ///
    /// A known parameter that stands there twice is held against the callback by [`response`](Self::response): whether
    /// it is this flow's business must be known first.
    pub fn from_query(query: &str) -> Result<Self, BadCallback> {
        Self::read(query.strip_prefix('?').unwrap_or(query).as_bytes(), ResponseMode::Query)
    }

    /// Reads a posted form.
    ///
    /// # Errors
    /// As [`from_query`](Self::from_query).
    pub fn from_form(form: &[u8]) -> Result<Self, BadCallback> {
        Self::read(form, ResponseMode::FormPost)
    }

    /// Reads the fragment of a URL, with or without its hash sign.
    ///
    /// # Errors
    /// As [`from_query`](Self::from_query).
    pub fn from_fragment(fragment: &str) -> Result<Self, BadCallback> {
        Self::read(fragment.strip_prefix('#').unwrap_or(fragment).as_bytes(), ResponseMode::Fragment)
    }

    /// Reads a whole URL, or the part of it that a browser asks a server for.
    ///
    /// The query counts; the fragment does if nothing known stands in the query.
    ///
    /// # Errors
    /// As [`from_query`](Self::from_query), of the whole URL. If something known stands in the query and in the
    /// fragment: [`BadCallback::DuplicateParameter`] if it is the same, else [`BadCallback::UnexpectedToken`] for a token
    /// and [`BadCallback::ResponseMode`] for the rest.
    pub fn from_url(url: &str) -> Result<Self, BadCallback> {
        if url.len() > MAX_CALLBACK {
            return Err(BadCallback::TooLarge);
        }
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        let query = Self::from_query(url.split_once('?').map_or("", |(_, query)| query))?;
        let fragment = Self::from_fragment(fragment)?;
        if fragment.known.is_empty() {
            Ok(query)
        } else if query.known.is_empty() {
            Ok(fragment)
        } else if query.known.iter().any(|(name, _)| fragment.known.get(name).is_some()) {
            Err(BadCallback::DuplicateParameter)
        } else if fragment.has_token() {
            Err(BadCallback::UnexpectedToken)
        } else {
            Err(BadCallback::ResponseMode)
        }
    }

    fn read(bytes: &[u8], mode: ResponseMode) -> Result<Self, BadCallback> {
        let form = Form::parse(bytes, MAX_CALLBACK).map_err(|flaw| match flaw {
            FormFlaw::TooLarge => BadCallback::TooLarge,
            FormFlaw::TooManyParameters => BadCallback::TooManyParameters,
            FormFlaw::Malformed => BadCallback::Malformed,
        })?;
        let (mut known, mut doubled) = (Form::new(), false);
        for (name, value) in form {
            if !KNOWN.contains(&name.as_str()) {
                continue;
            }
            if known.get(&name).is_some() {
                doubled = true;
            } else {
                known.push(name, value);
            }
        }
        Ok(Self { mode, known, doubled })
    }

    /// How it came.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// The code, as sent and judged by nobody.
    pub fn code(&self) -> Option<&Secret> {
        self.known.get("code")
    }

    /// The state that says whose callback this is.
    pub fn state(&self) -> Option<&Secret> {
        self.known.get("state")
    }

    /// The issuer that the callback claims to be of (RFC 9207 §2).
    pub fn iss(&self) -> Option<&str> {
        self.text("iss")
    }

    /// The error code, as sent: not fit for printing. [`response`](Self::response) gives it escaped.
    pub fn error(&self) -> Option<&str> {
        self.text("error")
    }

    /// The state of the login at the server (OpenID Connect Session Management §2).
    pub fn session_state(&self) -> Option<&Secret> {
        self.known.get("session_state")
    }

    /// Judges what the server answers. Ask only after `state` and `iss` have been compared.
    ///
    /// # Errors
    /// [`BadCallback::DuplicateParameter`] for a parameter that stands there twice (RFC 6749 §3.1),
    /// [`BadCallback::UnexpectedResponse`] and [`BadCallback::UnexpectedToken`] for what a code flow never gets,
    /// [`BadCallback::CodeAndError`], [`BadCallback::CodeMissing`], and [`BadCallback::CodeMalformed`] for a code that is
    /// empty or not of visible ASCII and spaces.
    pub fn response(mut self) -> Result<AuthorizationResponse, BadCallback> {
        if self.doubled {
            return Err(BadCallback::DuplicateParameter);
        }
        if self.known.get("response").is_some() {
            return Err(BadCallback::UnexpectedResponse);
        }
        if self.has_token() {
            return Err(BadCallback::UnexpectedToken);
        }
        let code = self.known.take("code");
        match (code, self.text("error")) {
            (Some(_), Some(_)) => Err(BadCallback::CodeAndError),
            (None, None | Some("")) => Err(BadCallback::CodeMissing),
            (None, Some(error)) => Ok(AuthorizationResponse::Denied(Box::new(Refusal {
                endpoint: Endpoint::Authorization,
                code: safe_text(error),
                description: self.text("error_description").map(safe_text),
                uri: self.text("error_uri").map(safe_text),
                answer: None,
                hint: None,
            }))),
            (Some(code), None) => {
                let text = code.expose();
                if !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7E)) {
                    Ok(AuthorizationResponse::Code(code))
                } else {
                    Err(BadCallback::CodeMalformed)
                }
            }
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(|value| value.expose().as_str())
    }

    fn has_token(&self) -> bool {
        ["access_token", "id_token", "token"].iter().any(|name| self.known.get(name).is_some())
    }
}

/// Shows how it came and which parameters are there, not what they say.
impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.known.iter().map(|(name, _)| name).collect();
        f.debug_struct("CallbackParams").field("mode", &self.mode).field("names", &names).finish()
    }
}

#[cfg(test)]
mod tests;
