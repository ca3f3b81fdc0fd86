//! The way back to the client: which redirect URIs are its own, and the answer that goes there
//! (RFC 6749 §4.1.2, RFC 8252 §7.3, RFC 9207, OAuth 2.0 Form Post Response Mode).

use hyper::StatusCode;
use url::{Host, Url, form_urlencoded};

use crate::context::Context;
use crate::faults::Effect;
use crate::pages;
use crate::wire::Reply;

/// The origins whose port the client chooses at run time.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// Where an authorization response goes, and what comes back with it.
#[derive(Clone)]
pub(crate) struct Return {
    pub(crate) redirect_uri: String,
    pub(crate) mode: ResponseMode,
    pub(crate) state: Option<String>,
}

/// How an authorization response travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    Query,
    FormPost,
}

/// Whether `asked` is the registered redirect URI: the same text, or the same but for the port of a loopback
/// literal. `localhost` is no literal (RFC 8252 §8.3).
pub(crate) fn matches(registered: &str, asked: &str) -> bool {
    if asked == registered {
        return true;
    }
    LOOPBACK.iter().any(|origin| {
        let own = registered.strip_prefix(origin).and_then(without_port);
        own.is_some() && own == asked.strip_prefix(origin).and_then(without_port)
    })
}

/// What follows the port, if there is a path, a query or nothing.
fn without_port(rest: &str) -> Option<&str> {
    let path = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let port = rest.strip_suffix(path)?;
            port.parse::<u16>().ok().filter(|port| *port != 0)?;
            path
        }
    };
    (path.is_empty() || path.starts_with(['/', '?'])).then_some(path)
}

impl Return {
    /// Sends `parameters` back, with `state` and `iss`.
    pub(crate) fn send(&self, cx: &mut Context<'_>, parameters: &[(&str, &str)]) -> Reply {
        let mut parameters: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Some(state) = &self.state {
            parameters.push(("state".to_owned(), state.clone()));
        }
        parameters.push(("iss".to_owned(), cx.site.issuer()));
        let changes =
            cx.state.switches.take(|effect| if let Effect::Callback(change) = effect { Some(change) } else { None });
        for change in changes {
            change(&mut parameters);
        }
        match self.mode {
            ResponseMode::Query => {
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
                let joint = if self.redirect_uri.contains('?') { '&' } else { '?' };
                Reply::redirect(StatusCode::SEE_OTHER, &format!("{}{joint}{query}", self.redirect_uri))
            }
            ResponseMode::FormPost => pages::form_post(&self.redirect_uri, &parameters),
        }
    }

    /// Sends an error back.
    pub(crate) fn refuse(&self, cx: &mut Context<'_>, code: &str, description: &str) -> Reply {
        self.send(cx, &[("error", code), ("error_description", description)])
            .with_note(format!("sent back {code} ({description})"))
    }

    /// What a page's `form-action` must allow for the browser to get there: browsers apply it to redirects too.
    /// A policy cannot name an IPv6 literal or a private scheme's host, so these stand for themselves.
    pub(crate) fn form_action(&self) -> String {
        form_action(&self.redirect_uri)
    }
}

/// The `form-action` source for a URL.
pub(crate) fn form_action(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.origin().is_tuple() && !matches!(url.host(), Some(Host::Ipv6(_))) => {
            url.origin().ascii_serialization()
        }
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}
