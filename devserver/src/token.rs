//! The token endpoint: the five grants, and the answer they share
//! (RFC 6749 §4.1.3, §4.4, §5, §6; RFC 7636 §4.6; RFC 8628 §3.4; RFC 8693 §2; RFC 8707 §2.2; RFC 9700 §2.1, §4.14).

use std::time::Duration;

use aws_lc_rs::digest;
use grantflow_core::Secret;
use serde_json::json;

use crate::authorize::audience;
use crate::client_auth;
use crate::config::{AccessTokenFormat, ClientEntry, GrantType, RefreshRotation, seconds};
use crate::context::Context;
use crate::faults::Place;
use crate::id_token::{self, Occasion, object};
use crate::keys::{base64url, random_text};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{AccessToken, DeviceAnswer, Grant, REMEMBERED, RefreshToken, key};
use crate::wire::{Reply, Request};

/// What `slow_down` adds to a device's interval (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

pub(crate) fn token(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::Token, cx.site) {
        return Ok(reply);
    }
    let (client, form) = client_auth::read(cx.config, request)?;
    let name = form.required("grant_type")?;
    let grant_type = GrantType::ALL
        .into_iter()
        .find(|known| known.as_str() == name)
        .ok_or_else(|| Refusal::new("unsupported_grant_type", "grant_type is unknown"))?;
    if !client.grants.contains(&grant_type) {
        return Err(Refusal::new("unauthorized_client", "the client may not use this grant"));
    }
    match grant_type {
        GrantType::AuthorizationCode => authorization_code(cx, client, form),
        GrantType::ClientCredentials => client_credentials(cx, client, form),
        GrantType::RefreshToken => refresh_token(cx, client, form),
        GrantType::DeviceCode => device_code(cx, client, form),
        GrantType::TokenExchange => token_exchange(cx, client, form),
    }
}

fn authorization_code(cx: &mut Context<'_>, client: &ClientEntry, form: &Params) -> Result<Reply, Refusal> {
    let text = form.required("code")?;
    let redirect_uri = form.required("redirect_uri")?;
    let verifier = form.required("code_verifier")?;
    let narrowed = audience(form).map_err(|why| Refusal::new("invalid_target", why))?;
    let unknown = || Refusal::invalid_grant("the code is unknown or has expired");
    let code = cx.state.codes.find_mut(cx.now, &key(text)).ok_or_else(unknown)?;
    if code.grant.client != client.id {
        return Err(Refusal::invalid_grant("the code was issued to another client"));
    }
    if code.used {
        let family = code.grant.family;
        cx.state.revoke_family(family);
        return Err(Refusal::invalid_grant("the code was used before; its tokens are revoked"));
    }
    code.used = true;
    let code = code.clone();
    if cx.now >= code.expires {
        return Err(unknown());
    }
    if code.redirect_uri != redirect_uri {
        return Err(Refusal::invalid_grant("redirect_uri is not the one of the authorization request"));
    }
    if !proves(verifier, &code.challenge) {
        return Err(Refusal::invalid_grant("code_verifier does not fit the challenge"));
    }
    let grant = Grant { audience: narrow(&code.grant.audience, narrowed)?, ..code.grant };
    issue(cx, client, &grant, &grant.scopes, Occasion::Login)
}

fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    (43..=128).contains(&verifier.len())
        && verifier.chars().all(unreserved)
        && Secret::from(challenge).matches(base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()))
}

/// A token request may ask for some of what was granted.
fn narrow(granted: &[String], asked: Vec<String>) -> Result<Vec<String>, Refusal> {
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    if !granted.is_empty() && asked.iter().any(|one| !granted.contains(one)) {
        return Err(Refusal::new("invalid_target", "this resource or audience was not granted"));
    }
    Ok(asked)
}

fn scopes(client: &ClientEntry, form: &Params) -> Result<Vec<String>, Refusal> {
    let scopes = form.words("scope");
    match client.first_forbidden(&scopes) {
        Some(scope) => Err(Refusal::new("invalid_scope", format!("scope {scope:?} is not for this client"))),
        None => Ok(scopes),
    }
}

fn client_credentials(cx: &mut Context<'_>, client: &ClientEntry, form: &Params) -> Result<Reply, Refusal> {
    if client.secret.is_none() {
        return Err(Refusal::new("unauthorized_client", "a public client has no credentials"));
    }
    let grant = Grant {
        family: cx.state.new_family(),
        client: client.id.clone(),
        user: None,
        scopes: scopes(client, form)?,
        audience: audience(form).map_err(|why| Refusal::new("invalid_target", why))?,
        nonce: None,
        auth_time: None,
        acr: None,
    };
    issue(cx, client, &grant, &grant.scopes, Occasion::Login)
}

fn refresh_token(cx: &mut Context<'_>, client: &ClientEntry, form: &Params) -> Result<Reply, Refusal> {
    let text = form.required("refresh_token")?;
    let narrowed = audience(form).map_err(|why| Refusal::new("invalid_target", why))?;
    let asked = form.words("scope");
    let unknown = || Refusal::invalid_grant("the refresh token is unknown, expired or revoked");
    let token = cx.state.refresh_tokens.find_mut(cx.now, &key(text)).ok_or_else(unknown)?;
    if token.grant.client != client.id {
        return Err(Refusal::invalid_grant("the refresh token was issued to another client"));
    }
    if token.used {
        let family = token.grant.family;
        cx.state.revoke_family(family);
        return Err(Refusal::invalid_grant("the refresh token was used before; its family is revoked"));
    }
    if cx.now >= token.expires {
        return Err(unknown());
    }
    if asked.iter().any(|scope| !token.grant.has_scope(scope)) {
        return Err(Refusal::new("invalid_scope", "the scope is wider than what was granted"));
    }
    let audience = narrow(&token.grant.audience, narrowed)?;
    token.used = cx.config.refresh_rotation == RefreshRotation::Rotate;
    let grant = token.grant.clone();
    let scopes = if asked.is_empty() { grant.scopes.clone() } else { asked };
    issue(cx, client, &Grant { audience, ..grant }, &scopes, Occasion::Refresh)
}

fn device_code(cx: &mut Context<'_>, client: &ClientEntry, form: &Params) -> Result<Reply, Refusal> {
    let text = form.required("device_code")?;
    if let Some(reply) = cx.state.switches.answer(Place::Poll, cx.site) {
        return Ok(reply);
    }
    let unknown = || Refusal::invalid_grant("the device code is unknown");
    let now = cx.now;
    let device = cx.state.devices.find_mut(now, &key(text)).ok_or_else(unknown)?;
    if device.client != client.id {
        return Err(Refusal::invalid_grant("the device code was issued to another client"));
    }
    if now >= device.expires {
        return Err(Refusal::new("expired_token", "the device code has expired"));
    }
    let early = device.polled.is_some_and(|polled| now < polled.plus(device.interval));
    device.polled = Some(now);
    if early {
        device.interval = device.interval.saturating_add(SLOWER);
        return Err(Refusal::new("slow_down", "the device polls too fast"));
    }
    let (user, at) = match &device.answer {
        DeviceAnswer::Awaited => {
            return Err(Refusal::new("authorization_pending", "nobody has decided yet"));
        }
        DeviceAnswer::Denied => return Err(Refusal::new("access_denied", "the user denied the request")),
        DeviceAnswer::Redeemed { family } => {
            let family = *family;
            cx.state.revoke_family(family);
            return Err(Refusal::invalid_grant("the device code was used before; its tokens are revoked"));
        }
        DeviceAnswer::Approved { user, at } => (user.clone(), *at),
    };
    let asked = device.clone();
    let family = cx.state.new_family();
    if let Some(device) = cx.state.devices.find_mut(now, &key(text)) {
        device.answer = DeviceAnswer::Redeemed { family };
    }
    let grant = Grant {
        family,
        client: client.id.clone(),
        user: Some(user),
        scopes: asked.scopes,
        audience: asked.audience,
        nonce: None,
        auth_time: Some(at),
        acr: asked.acr,
    };
    issue(cx, client, &grant, &grant.scopes, Occasion::Login)
}

/// Gives another access token for one of this server's, with as much scope or less (RFC 8693 §2).
fn token_exchange(cx: &mut Context<'_>, client: &ClientEntry, form: &Params) -> Result<Reply, Refusal> {
    if client.secret.is_none() {
        return Err(Refusal::new("unauthorized_client", "a public client exchanges nothing"));
    }
    if form.required("subject_token_type")? != ACCESS_TOKEN {
        return Err(Refusal::invalid_request("subject_token_type is none that is exchanged here"));
    }
    let subject = cx.state.tokens.find(cx.now, &key(form.required("subject_token")?));
    let subject = subject.ok_or_else(|| Refusal::invalid_request("subject_token is unknown or has expired"))?;
    let held = subject.grant.clone();
    let asked = form.words("scope");
    if asked.iter().any(|scope| !held.has_scope(scope)) {
        return Err(Refusal::new("invalid_scope", "the scope is wider than that of the subject's token"));
    }
    let mut scopes = if asked.is_empty() { held.scopes.clone() } else { asked };
    scopes.retain(|scope| scope != "openid");
    let audience = audience(form).map_err(|why| Refusal::new("invalid_target", why))?;
    let grant = Grant { client: client.id.clone(), audience, scopes, ..held };
    issue(cx, client, &grant, &grant.scopes, Occasion::Exchange)
}

/// What is exchanged, and what comes of it (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Issues tokens with `scopes`, which are the grant's or some of them.
fn issue(
    cx: &mut Context<'_>,
    client: &ClientEntry,
    grant: &Grant,
    scopes: &[String],
    occasion: Occasion,
) -> Result<Reply, Refusal> {
    let trouble = |_| Refusal::server_error("no randomness or no signature");
    let narrowed = Grant { scopes: scopes.to_vec(), ..grant.clone() };
    let user = grant.user.as_deref().and_then(|name| cx.config.user(name));
    let jti = random_text::<16>().map_err(trouble)?;
    let access_token = match cx.config.access_token_format {
        AccessTokenFormat::Opaque => random_text::<32>().map_err(trouble)?,
        AccessTokenFormat::Jwt => {
            let subject = user.map_or(client.id.as_str(), |user| user.subject());
            id_token::access_token(cx, &narrowed, subject, &jti).map_err(trouble)?
        }
    };
    let expires = cx.now.plus(seconds(cx.config.access_token_lifetime));
    let mut members = object(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": cx.config.access_token_lifetime,
        "scope": scopes.join(" "),
    }));
    if user.is_some() && narrowed.has_scope("openid") {
        let token = id_token::id_token(cx, client, &narrowed, &access_token, occasion).map_err(trouble)?;
        cx.config.tell_secret("id_token", &token);
        members.insert("id_token".to_owned(), token.into());
    }
    let renewed = match occasion {
        Occasion::Login => true,
        Occasion::Refresh => cx.config.refresh_rotation == RefreshRotation::Rotate,
        Occasion::Exchange => {
            members.insert("issued_token_type".to_owned(), ACCESS_TOKEN.into());
            false
        }
    };
    if user.is_some() && renewed && client.grants.contains(&GrantType::RefreshToken) {
        let text = random_text::<32>().map_err(trouble)?;
        let expires = cx.now.plus(seconds(cx.config.refresh_token_lifetime));
        let token = RefreshToken { grant: grant.clone(), issued: cx.now, expires, used: false };
        cx.state.refresh_tokens.insert(cx.now, key(&text), expires.plus(REMEMBERED), token);
        cx.config.tell_secret("refresh_token", &text);
        members.insert("refresh_token".to_owned(), text.into());
    }
    cx.config.tell_secret("access_token", &access_token);
    let token = AccessToken { grant: narrowed, issued: cx.now, expires, jti };
    cx.state.tokens.insert(cx.now, key(&access_token), expires, token);
    let reply = cx.state.switches.spoil(Place::Token, members);
    Ok(reply.no_store().with_note(format!("issued tokens to {}", client.id)))
}
