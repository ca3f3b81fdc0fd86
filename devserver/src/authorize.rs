//! The authorization endpoint and the decision that a person makes there
//! (RFC 6749 §4.1.1, RFC 7636, RFC 8707, OpenID Connect Core §3.1.2).

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use grantflow_core::Timestamp;
use hyper::{Method, StatusCode};
use url::Url;

use crate::config::{ClientEntry, Consent, GrantType, seconds};
use crate::context::Context;
use crate::keys::random_text;
use crate::pages;
use crate::params::Params;
use crate::redirect::{self, ResponseMode, Return};
use crate::refusal::Refusal;
use crate::session;
use crate::state::{Asked, Code, Grant, Pending, REMEMBERED, key};
use crate::wire::{Reply, Request};

/// Why a request gets no page.
enum Stop {
    /// The person is told: the client or its redirect URI cannot be trusted.
    Tell(String),
    /// The client is told.
    Back(Box<Return>, &'static str, String),
}

/// What `prompt` and `max_age` want (OpenID Connect Core §3.1.2.1).
#[derive(Default)]
struct Wanted {
    silent: bool,
    login: bool,
    max_age: Option<Duration>,
}

pub(crate) fn authorize(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    let params = match (&request.method, &request.form) {
        (&Method::POST, Some(form)) => form,
        (&Method::POST, None) => return Err(Refusal::invalid_request("the body is no form")),
        _ => &request.query,
    };
    match asked(cx, params) {
        Err(Stop::Tell(why)) => {
            let note = format!("told the person: {why}");
            Ok(pages::message(StatusCode::BAD_REQUEST, "This sign-in cannot start", &why).with_note(note))
        }
        Err(Stop::Back(back, code, why)) => Ok(back.refuse(cx, code, &why)),
        Ok((asked, wanted)) => decide(cx, request, asked, &wanted),
    }
}

/// Checks the request: first where answers may go, then the rest.
fn asked(cx: &Context<'_>, params: &Params) -> Result<(Asked, Wanted), Stop> {
    let tell = |why: &str| Stop::Tell(why.to_owned());
    if params.is_broken() {
        return Err(tell("the parameters are not properly encoded, or too many"));
    }
    let repeated = params.repeated();
    if matches!(repeated, Some("client_id" | "redirect_uri" | "state" | "response_mode")) {
        return Err(Stop::Tell(format!("parameter {} is repeated", repeated.unwrap_or_default())));
    }
    let id = params.one("client_id").ok_or_else(|| tell("parameter client_id is missing"))?;
    let client = cx.config.client(id).ok_or_else(|| tell("the client is unknown"))?;
    let uri = params.one("redirect_uri").ok_or_else(|| tell("parameter redirect_uri is missing"))?;
    if !client.redirect_uris.iter().any(|registered| redirect::matches(registered, uri)) {
        return Err(tell("the redirect URI is not registered"));
    }
    let mut back = Return {
        redirect_uri: uri.to_owned(),
        mode: ResponseMode::Query,
        state: params.one("state").map(str::to_owned),
    };
    let mode = match params.one("response_mode") {
        None | Some("query") => Ok(ResponseMode::Query),
        Some("form_post") => Ok(ResponseMode::FormPost),
        Some(_) => Err(("invalid_request", "response_mode is neither query nor form_post".to_owned())),
    };
    let checked = mode.and_then(|mode| {
        back.mode = mode;
        match repeated {
            Some(name) => Err(("invalid_request", format!("parameter {name} is repeated"))),
            None => checked(cx, params, client, &back),
        }
    });
    checked.map_err(|(code, why)| Stop::Back(Box::new(back), code, why))
}

fn checked(
    cx: &Context<'_>,
    params: &Params,
    client: &ClientEntry,
    back: &Return,
) -> Result<(Asked, Wanted), (&'static str, String)> {
    let invalid = |why: &str| ("invalid_request", why.to_owned());
    if params.one("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported".to_owned()));
    }
    if params.one("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri is not supported".to_owned()));
    }
    match params.one("response_type") {
        Some("code") => {}
        None => return Err(invalid("parameter response_type is missing")),
        Some(_) => {
            return Err(("unsupported_response_type", "response_type is not code".to_owned()));
        }
    }
    if !client.grants.contains(&GrantType::AuthorizationCode) {
        return Err(("unauthorized_client", "the client may not use this grant".to_owned()));
    }
    if params.one("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method is not S256"));
    }
    let challenge = params.one("code_challenge").unwrap_or_default();
    if challenge.len() != 43 || !challenge.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(invalid("code_challenge is not the base64url text of a SHA-256 hash"));
    }
    let scopes = params.words("scope");
    if let Some(scope) = client.first_forbidden(&scopes) {
        return Err(("invalid_scope", format!("scope {scope:?} is not for this client")));
    }
    let audience = audience(params).map_err(|why| ("invalid_target", why))?;
    let asked = Asked {
        client: client.id.clone(),
        back: back.clone(),
        scopes,
        audience,
        challenge: challenge.to_owned(),
        nonce: params.one("nonce").map(str::to_owned),
        acr: acr(cx, params),
        login_hint: params.one("login_hint").map(str::to_owned),
    };
    Ok((asked, wanted(params).map_err(invalid)?))
}

fn wanted(params: &Params) -> Result<Wanted, &'static str> {
    let mut wanted = Wanted::default();
    let prompts = params.words("prompt");
    for prompt in &prompts {
        match prompt.as_str() {
            "none" => wanted.silent = true,
            "login" | "select_account" => wanted.login = true,
            "consent" => {}
            _ => return Err("prompt is unknown"),
        }
    }
    if wanted.silent && prompts.len() > 1 {
        return Err("prompt none stands with others");
    }
    if let Some(text) = params.one("max_age") {
        let seconds = text.parse().map_err(|_| "max_age is not a number of seconds")?;
        wanted.max_age = Some(Duration::from_secs(seconds));
    }
    Ok(wanted)
}

/// The resources and audiences asked for (RFC 8707 §2).
pub(crate) fn audience(params: &Params) -> Result<Vec<String>, String> {
    let mut audience = params.all("resource");
    if let Some(bad) = audience.iter().find(|resource| Url::parse(resource).is_err() || resource.contains('#')) {
        return Err(format!("resource {bad:?} is not an absolute URI without fragment"));
    }
    audience.extend(params.all("audience"));
    Ok(audience)
}

/// The first `acr` value asked for that the server grants; its first one if it grants none of them.
pub(crate) fn acr(cx: &Context<'_>, params: &Params) -> Option<String> {
    let asked = params.words("acr_values");
    if asked.is_empty() {
        return None;
    }
    asked
        .into_iter()
        .find(|value| cx.config.acr_values.contains(value))
        .or_else(|| cx.config.acr_values.first().cloned())
}

/// Answers at once where no person is needed, and shows the page where one is.
fn decide(cx: &mut Context<'_>, request: &Request, asked: Asked, wanted: &Wanted) -> Result<Reply, Refusal> {
    match cx.state.consent.clone() {
        Consent::Deny => Ok(asked.back.refuse(cx, "access_denied", "consent is always denied")),
        Consent::Allow(user) => {
            let hinted = asked.login_hint.as_deref().and_then(|hint| cx.config.user(hint));
            let user = hinted.map_or(user, |user| user.name.clone());
            let now = cx.now;
            grant(cx, &asked, &user, now).map_err(|_| Refusal::server_error("no randomness"))
        }
        Consent::Ask => {
            let session = session::current(cx, request);
            let fresh = session.as_ref().and_then(|session| session.signed_in.clone()).filter(|(_, at)| {
                !wanted.login && wanted.max_age.is_none_or(|age| cx.now.since(*at) <= age && !age.is_zero())
            });
            if !wanted.silent {
                return session::ask(cx, request, Pending::Authorization(Box::new(asked)), fresh.is_none());
            }
            let Some((user, at)) = fresh else {
                return Ok(asked.back.refuse(cx, "login_required", "nobody is signed in"));
            };
            if !session.is_some_and(|session| session.has_allowed(&asked)) {
                return Ok(asked.back.refuse(cx, "consent_required", "this was not allowed before"));
            }
            grant(cx, &asked, &user, at).map_err(|_| Refusal::server_error("no randomness"))
        }
    }
}

/// Sends an authorization code back.
pub(crate) fn grant(
    cx: &mut Context<'_>,
    asked: &Asked,
    user: &str,
    auth_time: Timestamp,
) -> Result<Reply, Unspecified> {
    let text = random_text::<32>()?;
    let expires = cx.now.plus(seconds(cx.config.code_lifetime));
    let code = Code {
        grant: Grant {
            family: cx.state.new_family(),
            client: asked.client.clone(),
            user: Some(user.to_owned()),
            scopes: asked.scopes.clone(),
            audience: asked.audience.clone(),
            nonce: asked.nonce.clone(),
            auth_time: Some(auth_time),
            acr: asked.acr.clone(),
        },
        redirect_uri: asked.back.redirect_uri.clone(),
        challenge: asked.challenge.clone(),
        expires,
        used: false,
    };
    cx.config.tell_secret("code", &text);
    cx.state.codes.insert(cx.now, key(&text), expires.plus(REMEMBERED), code);
    let note = format!("sent back a code for {} to {}", user, asked.client);
    Ok(asked.back.send(cx, &[("code", &text)]).with_note(note))
}
