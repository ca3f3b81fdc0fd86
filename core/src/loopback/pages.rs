//! What the listener answers: whole HTTP/1.1 responses, and the pages that a person sees.
//!
//! The pages are static. The only texts in them that are not constants are those the application chose and, after a
//! failed login, the reason, escaped and cut. One constant script takes the spent code out of the browser's history;
//! a redirect to a clean address would do so without a script, but needs a second request, which may come after the
//! listener is closed. The policy header allows exactly that script and that style, by their hashes.

use core::fmt;

use crate::error::{BadCallback, safe_text};

/// `{STYLE}` and `{SCRIPT}` may only change together with their hashes in `POLICY`; a test compares them.
pub(super) const STYLE: &str = "html{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:0;min-height:100vh;display:grid;place-items:center}\
main{max-width:32em;margin:1em;padding:1em 2em;border:1px solid #8888;border-top:.4em solid #2a8a4a;border-radius:.6em;overflow-wrap:anywhere}\
main.bad{border-top-color:#c0392b}h1{font-size:1.4em}";
pub(super) const SCRIPT: &str = "history.replaceState(null,'',location.pathname)";
pub(super) const POLICY: &str = "default-src 'none'; style-src 'sha256-phOTpms0Caxai1/juJIGMp6ET1cWChdW7eCi70m6jtw='; script-src 'sha256-UBodp8UhLR9ASBc1PNRKcs3r2CjAFWxCbrUGPN7u1jo='; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SUCCESS_TEXT: &str = "Code received! You may now close this window";

/// A whole HTTP/1.1 response. Send it, say that nothing more will come, read and drop what still comes for
/// [`LINGER`](super::LINGER) or until the browser closes, then close.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    bytes: Vec<u8>,
}

impl Reply {
    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The status in it.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// An answer of a few words, for what is no browser that comes back from a login.
    pub(super) fn text(status: u16) -> Self {
        Self::new(status, "", "text/plain; charset=utf-8", reason(status))
    }

    pub(super) fn not_allowed(allow: &str, method: &str) -> Self {
        let body = if method == "HEAD" { "" } else { reason(405) };
        Self::new(405, &format!("Allow: {allow}\r\n"), "text/plain; charset=utf-8", body)
    }

    fn html(status: u16, body: &str) -> Self {
        Self::new(status, "", "text/html; charset=utf-8", body)
    }

    /// Nothing that came in a request may go into `fields`.
    fn new(status: u16, fields: &str, media_type: &str, body: &str) -> Self {
        let text = format!(
            "HTTP/1.1 {status} {}\r\n{fields}Content-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\
             Referrer-Policy: no-referrer\r\n\r\n{body}",
            reason(status),
            body.len(),
        );
        Self { status, bytes: text.into_bytes() }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.bytes.len())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        _ => "Bad Request",
    }
}

/// The pages that a person sees after a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    app: Option<String>,
    service: Option<String>,
    success_text: Option<String>,
}

impl Pages {
    /// Names the application that logs in.
    #[must_use]
    pub fn with_app(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    /// Names what the person logs in to: a service, or the issuer.
    #[must_use]
    pub fn with_service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Says this on the page of a login that has succeeded. It is text, not HTML.
    #[must_use]
    pub fn with_success_text(mut self, text: impl Into<String>) -> Self {
        self.success_text = Some(text.into());
        self
    }

    /// What the person logs in to, for messages.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The login has succeeded: the tokens are in hand. Nothing less may be answered with this.
    pub fn success(&self) -> Reply {
        let app =
            self.app.as_deref().map_or_else(|| String::from("You are logged in"), |app| format!("{app} is logged in"));
        let title = self.service.as_deref().map_or_else(|| app.clone(), |service| format!("{app} to {service}"));
        page(200, "good", &title, &[self.success_text.as_deref().unwrap_or(SUCCESS_TEXT)])
    }

    /// The login has failed. `reason` is shown, cut to 1 KiB; it may be the server's own text.
    pub fn failure(&self, reason: &str) -> Reply {
        let whose = self.app.as_deref().map_or_else(String::new, |app| format!(" of {app}"));
        let title = format!("The login{whose} has failed");
        page(400, "bad", &title, &[reason, "You may close this window and try again."])
    }

    /// The callback is not that of the login that is waited for, which goes on.
    pub fn refused(&self, why: BadCallback) -> Reply {
        let why = why.to_string();
        page(400, "bad", "This is not the login that is waited for", &[&why, "If you are logging in just now, go on."])
    }

    /// The login is over, or has had its callback.
    pub fn late(&self) -> Reply {
        page(
            410,
            "bad",
            "This login is over",
            &["It has been answered already, or took too long. You may close this window."],
        )
    }

    /// The request took longer than [`HEADER_DEADLINE`](super::HEADER_DEADLINE).
    pub fn slow(&self) -> Reply {
        Reply::text(408)
    }
}

fn page(status: u16, class: &str, title: &str, texts: &[&str]) -> Reply {
    let title = escape(title);
    let texts: String = texts.iter().map(|text| format!("<p>{}</p>", escape(text))).collect();
    Reply::html(
        status,
        &format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
             <body><main class=\"{class}\"><h1>{title}</h1>{texts}</main><script>{SCRIPT}</script></body></html>\n"
        ),
    )
}

/// Makes text safe between tags and in attributes.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for char in safe_text(text).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}
