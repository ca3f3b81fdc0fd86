//! The pages that people see. No page loads anything, runs a script (but for the one line of form_post) or may be framed.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;

use crate::redirect::form_action;
use crate::wire::Reply;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:2rem 1rem}\
main{max-width:26rem;margin:0 auto}\
h1{font-size:1.4rem}\
label{display:block;margin-top:1rem;font-weight:600}\
input{box-sizing:border-box;width:100%;font:inherit;padding:.5rem;margin-top:.25rem}\
button{font:inherit;padding:.5rem 1.25rem;margin:1.5rem .5rem 0 0;cursor:pointer}\
.alert{border-left:.25rem solid #c00;padding:.25rem .75rem}\
.code{font:600 1.5rem ui-monospace,monospace;letter-spacing:.1em}\
footer{margin-top:3rem;font-size:.85rem;opacity:.75}";

/// Submits the only form there is.
const SUBMIT: &str = "document.forms[0].submit()";

/// What the sign-in page asks.
pub(crate) struct Ask<'a> {
    /// The form's token.
    pub(crate) request: &'a str,
    /// Where the form goes.
    pub(crate) action: &'a str,
    /// Whom the answer is for.
    pub(crate) client: &'a str,
    pub(crate) scopes: &'a [String],
    /// Who is signed in; nobody means that name and password are asked.
    pub(crate) signed_in: Option<&'a str>,
    /// What stands in the name field at first.
    pub(crate) login_hint: Option<&'a str>,
    /// The device's code, which the person compares.
    pub(crate) user_code: Option<&'a str>,
    /// What was wrong with the last try.
    pub(crate) alert: Option<&'a str>,
    /// What `form-action` allows beside this server.
    pub(crate) form_action: &'a str,
}

/// The sign-in and consent page.
pub(crate) fn ask(ask: &Ask<'_>) -> Reply {
    let mut body = format!("<h1>{} wants access</h1>", escaped(ask.client));
    if let Some(alert) = ask.alert {
        let _ = write!(body, "<p class=alert role=alert>{}</p>", escaped(alert));
    }
    if let Some(code) = ask.user_code {
        let _ = write!(
            body,
            "<p>Go on only if your device shows this code:</p><p class=code id=user-code>{}</p>",
            escaped(code)
        );
    }
    if ask.scopes.is_empty() {
        body.push_str("<p>It asks for no particular scope.</p>");
    } else {
        body.push_str("<p>It asks for:</p><ul id=scopes>");
        for scope in ask.scopes {
            let _ = write!(body, "<li>{}</li>", escaped(scope));
        }
        body.push_str("</ul>");
    }
    let _ = write!(
        body,
        "<form method=post action=\"{}\"><input type=hidden name=request value=\"{}\">",
        escaped(ask.action),
        escaped(ask.request)
    );
    match ask.signed_in {
        Some(user) => {
            let _ = write!(body, "<p>You are signed in as <strong>{}</strong>.</p>", escaped(user));
        }
        None => {
            let _ = write!(
                body,
                "<label for=username>Name</label>\
                 <input id=username name=username autocomplete=username required autofocus value=\"{}\">\
                 <label for=password>Password</label>\
                 <input id=password name=password type=password autocomplete=current-password required>",
                escaped(ask.login_hint.unwrap_or_default())
            );
        }
    }
    body.push_str(
        "<button type=submit name=decision value=allow>Allow</button>\
         <button type=submit name=decision value=deny formnovalidate>Deny</button></form>",
    );
    page(StatusCode::OK, "Sign in", &body, ask.form_action, "")
}

/// The page where a device's code is typed.
pub(crate) fn enter_code(action: &str, alert: Option<&str>) -> Reply {
    let mut body = "<h1>Connect a device</h1>".to_owned();
    if let Some(alert) = alert {
        let _ = write!(body, "<p class=alert role=alert>{}</p>", escaped(alert));
    }
    let _ = write!(
        body,
        "<form method=get action=\"{}\"><label for=user_code>Code on your device</label>\
         <input id=user_code name=user_code autocomplete=off autocapitalize=characters spellcheck=false required autofocus>\
         <button type=submit>Continue</button></form>",
        escaped(action)
    );
    page(StatusCode::OK, "Connect a device", &body, "", "")
}

/// A page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, text: &str) -> Reply {
    let body = format!("<h1>{}</h1><p>{}</p>", escaped(title), escaped(text));
    page(status, title, &body, "", "")
}

/// The page that posts an authorization response to the client.
pub(crate) fn form_post(redirect_uri: &str, parameters: &[(String, String)]) -> Reply {
    let mut body = format!("<h1>Signing in</h1><form method=post action=\"{}\">", escaped(redirect_uri));
    for (name, value) in parameters {
        let _ = write!(body, "<input type=hidden name=\"{}\" value=\"{}\">", escaped(name), escaped(value));
    }
    let _ = write!(body, "<button type=submit>Continue</button></form><script>{SUBMIT}</script>");
    page(StatusCode::OK, "Signing in", &body, &form_action(redirect_uri), SUBMIT)
}

fn page(status: StatusCode, title: &str, body: &str, form_action: &str, script: &str) -> Reply {
    let html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>{body}\
         <footer>grantflow development server: for tests only.</footer></main></body></html>",
        escaped(title)
    );
    let script = if script.is_empty() { "'none'".to_owned() } else { source(script) };
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {script}; form-action 'self' {form_action}; \
         frame-ancestors 'none'; base-uri 'none'",
        source(STYLE)
    );
    Reply::html(status, html)
        .no_store()
        .with_header("content-security-policy", &policy)
        .with_header("x-content-type-options", "nosniff")
        .with_header("x-frame-options", "DENY")
        .with_header("referrer-policy", "no-referrer")
}

/// The policy's name for an inline style or script.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// Text that means nothing in HTML, quoted attributes included.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
