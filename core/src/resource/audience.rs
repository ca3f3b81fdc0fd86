//! Where a token may be sent (RFC 9700 §4.9).
//!
//! Everything is compared after one normalisation: case, the dot at the end of a name, default ports and international
//! names as the URL Standard has them. A base with a path admits what lies below that path, and nothing beside it.

use std::sync::Arc;

use url::Url;

use crate::error::{ConfigError, Endpoint, Error, UrlFlaw, safe_text};
use crate::http::{UrlPolicy, same_origin};

/// The base URLs that a token may be sent to, and no others. Cloning is cheap.
///
/// ```
/// use grantflow_core::resource::Audience;
/// let audience = Audience::only("https://api.example/v1")?.and("https://files.example")?;
/// assert_eq!(audience.join("lights?on=true")?.as_str(), "https://api.example/v1/lights?on=true");
/// assert!(audience.admit(&"https://API.example:443/v1/lights".parse().unwrap()).is_ok());
/// assert!(audience.admit(&"https://api.example.evil.example/v1/lights".parse().unwrap()).is_err());
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Audience {
    first: Arc<Url>,
    more: Arc<Vec<Url>>,
    loopback_http: bool,
}

impl Audience {
    /// Names the one base URL that tokens may go to.
    ///
    /// # Errors
    /// [`ConfigError::Url`] unless it is `https` without user info, query and fragment, or `http` to a loopback literal; the
    /// latter is of use only with [`dangerous_allow_loopback_http`](Self::dangerous_allow_loopback_http).
    pub fn only(base: &str) -> Result<Self, Error> {
        Ok(Self { first: Arc::new(read(base)?), more: Arc::default(), loopback_http: false })
    }

    /// Names one more.
    ///
    /// # Errors
    /// As [`only`](Self::only).
    pub fn and(mut self, base: &str) -> Result<Self, Error> {
        Arc::make_mut(&mut self.more).push(read(base)?);
        Ok(self)
    }

    /// Lets tokens travel unencrypted to bases at `http://127.0.0.1` and `http://[::1]`.
    ///
    /// Dangerous: any program on this machine may listen there and keep what it hears.
    pub fn dangerous_allow_loopback_http(self) -> Self {
        Self { loopback_http: true, ..self }
    }

    /// Judges where a request goes, before anything is sent.
    ///
    /// # Errors
    /// [`ConfigError::Audience`] for a URL below none of the bases; [`ConfigError::Url`] for one that no token may go to
    /// whatever the bases are: unencrypted, with user info or with a fragment.
    pub fn admit(&self, url: &Url) -> Result<(), Error> {
        self.check(url)?;
        if core::iter::once(&*self.first).chain(&*self.more).any(|base| covers(base, url)) {
            return Ok(());
        }
        Err(elsewhere(url))
    }

    /// Joins a path, and a query if it has one, to the first base: exactly one slash between, the base's own path kept.
    ///
    /// What is joined is encoded already; nothing is repaired.
    ///
    /// # Errors
    /// [`ConfigError::Audience`] for a whole URL, for `//host` and for dot segments that leave the base;
    /// [`ConfigError::Url`] for what no path can have: a backslash, a control character, a space, a fragment, and an `@` at
    /// the very front.
    pub fn join(&self, path: &str) -> Result<Url, Error> {
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(flawed(UrlFlaw::Unparsable));
        }
        let first = path.split(['/', '?']).next().unwrap_or_default();
        let rest = path.strip_prefix('/').unwrap_or(path);
        if first.contains(':') || rest.starts_with('/') {
            return Err(self.first.join(path).map_or_else(|_| flawed(UrlFlaw::Unparsable), |url| elsewhere(&url)));
        }
        if first.starts_with('@') {
            return Err(flawed(UrlFlaw::UserInfo));
        }
        let base = self.first.as_str().trim_end_matches('/');
        let url = UrlPolicy::default().parse(&format!("{base}/{rest}")).map_err(flawed)?;
        self.check(&url)?;
        if covers(&self.first, &url) { Ok(url) } else { Err(elsewhere(&url)) }
    }

    /// Finds what a caller has written: a whole URL within the audience as it is, anything else [joined](Self::join).
    ///
    /// # Errors
    /// As [`admit`](Self::admit) and [`join`](Self::join).
    pub fn resolve(&self, place: &str) -> Result<Url, Error> {
        let whole = |scheme: &str| place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        if !whole("https://") && !whole("http://") {
            return self.join(place);
        }
        let url = UrlPolicy::default().parse(place).map_err(flawed)?;
        self.admit(&url)?;
        Ok(url)
    }

    fn check(&self, url: &Url) -> Result<(), Error> {
        UrlPolicy::default().check(url).map_err(flawed)?;
        if url.scheme() == "http" && !self.loopback_http {
            return Err(flawed(UrlFlaw::Insecure));
        }
        Ok(())
    }
}

fn read(base: &str) -> Result<Url, Error> {
    UrlPolicy::default().issuer(base).map_err(flawed)
}

fn flawed(flaw: UrlFlaw) -> Error {
    ConfigError::Url { endpoint: Endpoint::Resource, flaw }.into()
}

fn elsewhere(url: &Url) -> Error {
    ConfigError::Audience(safe_text(&url.origin().ascii_serialization())).into()
}

fn covers(base: &Url, url: &Url) -> bool {
    let own = base.path().trim_end_matches('/');
    let below = || url.path().strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    same_origin(base, url) && (own.is_empty() || (below() && !climbs(url.path())))
}

/// Whether a server that decodes more than the URL Standard does would leave the path: `..%2F`, `..%5C`, `..;x`.
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let decoded = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    let decoded = decoded.replace("%3b", ";");
    decoded.split('/').any(|segment| segment.split(';').next() == Some(".."))
}
