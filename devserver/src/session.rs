//! Browsers: the session cookie, the sign-in form, and the decision that it posts.
//!
//! The form carries a random token, and the token is bound to the cookie of the browser that was shown the form: no other
//! site's page can post a decision. Signing in gives the browser a new cookie.

use std::time::Duration;

use hyper::StatusCode;

use crate::authorize;
use crate::context::Context;
use crate::device;
use crate::keys::random_text;
use crate::pages::{self, Ask};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{Pending, PendingRequest, Session, key};
use crate::wire::{Reply, Request};

/// A form waits this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// A session lives this long.
const LIFETIME: Duration = Duration::from_secs(8 * 3_600);

/// The session of the request's browser.
pub(crate) fn current(cx: &Context<'_>, request: &Request) -> Option<Session> {
    let (_, session) = found(cx, request)?;
    Some(session)
}

fn found(cx: &Context<'_>, request: &Request) -> Option<(Vec<u8>, Session)> {
    let name = cx.site.cookie();
    let cookies = request.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(n, value)| (n == name).then_some(value))?;
    let key = key(value);
    let session = cx.state.sessions.find(cx.now, &key)?.clone();
    Some((key, session))
}

/// Makes a session and the cookie for it.
fn begin(cx: &mut Context<'_>, session: Session) -> Result<(Vec<u8>, String), Refusal> {
    let value = random_text::<32>().map_err(|_| Refusal::server_error("no randomness"))?;
    let cookie = format!("{}={value}; Path={}; HttpOnly; SameSite=Lax", cx.site.cookie(), cx.site.cookie_path());
    let key = key(&value);
    cx.state.sessions.insert(cx.now, key.clone(), cx.now.plus(LIFETIME), session);
    Ok((key, cookie))
}

/// Shows the sign-in and consent page.
pub(crate) fn ask(
    cx: &mut Context<'_>,
    request: &Request,
    subject: Pending,
    fresh_login: bool,
) -> Result<Reply, Refusal> {
    let (browser, session, cookie) = match found(cx, request) {
        Some((browser, session)) => (browser, session, None),
        None => {
            let session = Session::default();
            let (browser, cookie) = begin(cx, session.clone())?;
            (browser, session, Some(cookie))
        }
    };
    let token = random_text::<32>().map_err(|_| Refusal::server_error("no randomness"))?;
    let pending = PendingRequest { browser, fresh_login, subject };
    let reply = show(cx, &token, &pending, &session, None);
    cx.state.requests.insert(cx.now, key(&token), cx.now.plus(PATIENCE), pending);
    let reply = reply.with_note("showed the sign-in page");
    Ok(match cookie {
        Some(cookie) => reply.with_header("set-cookie", &cookie),
        None => reply,
    })
}

fn show(cx: &Context<'_>, token: &str, pending: &PendingRequest, session: &Session, alert: Option<&str>) -> Reply {
    let signed_in = session.signed_in.as_ref().filter(|_| !pending.fresh_login).map(|(user, _)| user.as_str());
    let action = format!("{}/decision", cx.site.path);
    let (client, scopes, login_hint, user_code, form_action) = match &pending.subject {
        Pending::Authorization(asked) => {
            (&asked.client, asked.scopes.as_slice(), asked.login_hint.as_deref(), None, asked.back.form_action())
        }
        Pending::Device(device) => match cx.state.devices.find(cx.now, device) {
            Some(device) => {
                (&device.client, device.scopes.as_slice(), None, Some(device.user_code.as_str()), String::new())
            }
            None => return gone(),
        },
    };
    let client = cx.config.client(client).map_or(client.as_str(), |client| client.shown());
    pages::ask(&Ask {
        request: token,
        action: &action,
        client,
        scopes,
        signed_in,
        login_hint,
        user_code,
        alert,
        form_action: &form_action,
    })
}

fn gone() -> Reply {
    pages::message(StatusCode::BAD_REQUEST, "Too late", "This request has expired or was answered before.")
        .with_note("refused: the form is unknown or has expired")
}

/// Takes the decision that the page posts.
pub(crate) fn decision(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    let form = request.form.as_ref().ok_or_else(|| Refusal::invalid_request("the body is no form"))?.checked()?;
    let token = form.required("request")?;
    let Some(pending) = cx.state.requests.find(cx.now, &key(token)).cloned() else {
        return Ok(gone());
    };
    let Some((browser, session)) = found(cx, request).filter(|(browser, _)| *browser == pending.browser) else {
        let text = "The form was not shown to this browser.";
        return Ok(pages::message(StatusCode::FORBIDDEN, "Not yours", text)
            .with_note("refused: the form was shown to another browser"));
    };
    match form.one("decision") {
        Some("deny") => {
            cx.state.requests.remove(&key(token));
            Ok(match &pending.subject {
                Pending::Authorization(asked) => asked.back.refuse(cx, "access_denied", "the user denied the request"),
                Pending::Device(device) => device::denied(cx, device),
            })
        }
        Some("allow") => allowed(cx, form, token, &pending, browser, session),
        _ => Err(Refusal::invalid_request("decision is neither allow nor deny")),
    }
}

fn allowed(
    cx: &mut Context<'_>,
    form: &Params,
    token: &str,
    pending: &PendingRequest,
    browser: Vec<u8>,
    mut session: Session,
) -> Result<Reply, Refusal> {
    let mut cookie = None;
    if session.signed_in.is_none() || pending.fresh_login {
        let name = form.one("username").unwrap_or_default();
        let password = form.one("password").unwrap_or_default();
        let user = cx.config.user(name).filter(|user| user.password.matches(password));
        let Some(user) = user else {
            let alert = Some("Name or password is wrong.");
            return Ok(show(cx, token, pending, &session, alert).with_note("refused: wrong name or password"));
        };
        session.signed_in = Some((user.name.clone(), cx.now));
        cx.state.sessions.remove(&browser);
    }
    let Some((user, at)) = session.signed_in.clone() else {
        return Ok(gone());
    };
    cx.state.requests.remove(&key(token));
    let reply = match &pending.subject {
        Pending::Authorization(asked) => {
            session.allow(asked);
            authorize::grant(cx, asked, &user, at).map_err(|_| Refusal::server_error("no randomness"))?
        }
        Pending::Device(device) => device::approved(cx, device, &user, at),
    };
    match cx.state.sessions.find_mut(cx.now, &browser) {
        Some(kept) => *kept = session,
        None => cookie = Some(begin(cx, session)?.1),
    }
    Ok(match cookie {
        Some(cookie) => reply.with_header("set-cookie", &cookie),
        None => reply,
    })
}
