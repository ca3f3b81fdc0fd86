//! What a callback must look like.

use std::sync::Arc;

use url::Url;

use super::{LINE_LIMIT, Pages};
use crate::callback::{CallbackParams, ResponseMode};
use crate::error::{BadCallback, ConfigError, Endpoint, UrlFlaw};

/// What a callback must look like: host, path, method. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reception(Arc<Expected>);

#[derive(Debug)]
struct Expected {
    redirect_uri: Url,
    /// What a `Host` field may say.
    hosts: Vec<String>,
    mode: ResponseMode,
    pages: Pages,
}

impl Reception {
    /// Expects a callback on `redirect_uri`.
    ///
    /// # Errors
    /// [`ConfigError::Url`] if it is no absolute `http` or `https` URL without user name and fragment.
    pub fn new(redirect_uri: &str, mode: ResponseMode) -> Result<Self, ConfigError> {
        let flawed = |flaw| ConfigError::Url { endpoint: Endpoint::Redirect, flaw };
        let redirect_uri = Url::parse(redirect_uri).map_err(|_| flawed(UrlFlaw::Unparsable))?;
        if !matches!(redirect_uri.scheme(), "http" | "https") {
            return Err(flawed(UrlFlaw::Scheme));
        }
        if !redirect_uri.username().is_empty() || redirect_uri.password().is_some() {
            return Err(flawed(UrlFlaw::UserInfo));
        }
        if redirect_uri.fragment().is_some() {
            return Err(flawed(UrlFlaw::Fragment));
        }
        let host = redirect_uri.host_str().ok_or_else(|| flawed(UrlFlaw::Host))?;
        let hosts = match redirect_uri.port() {
            Some(port) => vec![format!("{host}:{port}")],
            // The scheme's own port may be written or left out.
            None => {
                let port = redirect_uri.port_or_known_default().unwrap_or_default();
                vec![host.to_owned(), format!("{host}:{port}")]
            }
        };
        Ok(Self(Arc::new(Expected { hosts, redirect_uri, mode, pages: Pages::default() })))
    }

    /// Answers with these pages.
    #[must_use]
    pub fn with_pages(self, pages: Pages) -> Self {
        let expected = &self.0;
        let (redirect_uri, hosts) = (expected.redirect_uri.clone(), expected.hosts.clone());
        Self(Arc::new(Expected { redirect_uri, hosts, mode: expected.mode, pages }))
    }

    /// The pages to answer with.
    pub fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// Reads a redirect URL that a person has copied from the browser's address bar.
    ///
    /// It is held to the same rules as one that comes through the listener: scheme, host, port and path must be those
    /// of the redirect URI. A bare code is refused: without `state` and `iss` nobody can tell whose it is.
    ///
    /// # Errors
    /// [`BadCallback::NotRedirectUri`] for everything that is not this redirect URI with a query;
    /// [`BadCallback::ResponseMode`] where the answer comes in a form; otherwise what the parameters are lacking.
    pub fn pasted(&self, text: &str) -> Result<CallbackParams, BadCallback> {
        if text.len() > LINE_LIMIT {
            return Err(BadCallback::TooLarge);
        }
        let text = text.trim();
        // The URL Standard drops some of them, wherever they are.
        if text.contains(char::is_control) {
            return Err(BadCallback::NotRedirectUri);
        }
        let url = Url::parse(text).map_err(|_| BadCallback::NotRedirectUri)?;
        let expected = &self.0.redirect_uri;
        let same = url.scheme() == expected.scheme()
            && url.host() == expected.host()
            && url.port_or_known_default() == expected.port_or_known_default()
            && url.path() == expected.path();
        if !same || !url.username().is_empty() || url.password().is_some() {
            return Err(BadCallback::NotRedirectUri);
        }
        match self.0.mode {
            ResponseMode::Query => CallbackParams::from_query(url.query().unwrap_or_default()),
            ResponseMode::Fragment => CallbackParams::from_fragment(url.fragment().unwrap_or_default()),
            ResponseMode::FormPost => Err(BadCallback::ResponseMode),
        }
    }

    pub(crate) fn mode(&self) -> ResponseMode {
        self.0.mode
    }

    pub(super) fn is_path(&self, path: &str) -> bool {
        path == self.0.redirect_uri.path()
    }

    pub(super) fn is_host(&self, host: &str) -> bool {
        self.0.hosts.iter().any(|expected| expected.eq_ignore_ascii_case(host))
    }
}
