//! What access tokens open: userinfo and one protected resource (OpenID Connect Core §5.3, RFC 6750).

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::faults::Place;
use crate::id_token::object;
use crate::refusal::{BearerFault, Refusal};
use crate::state::{AccessToken, key};
use crate::wire::{Reply, Request};

/// The token of a request: in the header, exactly once, and nowhere else.
fn bearer(cx: &Context<'_>, request: &Request) -> Result<AccessToken, Refusal> {
    let elsewhere = request.query.one("access_token").is_some()
        || request.form.as_ref().is_some_and(|form| form.one("access_token").is_some());
    if elsewhere {
        return Err(Refusal::bearer(BearerFault::Malformed));
    }
    if !request.headers.contains_key("authorization") {
        return Err(Refusal::bearer(BearerFault::Missing));
    }
    let header = request.header("authorization").ok_or_else(|| Refusal::bearer(BearerFault::Malformed))?;
    let Some((scheme, text)) = header.split_once(' ') else {
        return Err(Refusal::bearer(BearerFault::Malformed));
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::bearer(BearerFault::Missing));
    }
    let token = cx.state.tokens.find(cx.now, &key(text));
    token.cloned().ok_or_else(|| Refusal::bearer(BearerFault::Invalid))
}

pub(crate) fn userinfo(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::Userinfo, cx.site) {
        return Ok(reply);
    }
    let token = bearer(cx, request)?;
    let user = token.grant.user.as_deref().and_then(|name| cx.config.user(name));
    let user = user.filter(|_| token.grant.has_scope("openid"));
    let user = user.ok_or_else(|| Refusal::bearer(BearerFault::OpenidMissing))?;
    let mut members = Map::new();
    members.insert("sub".to_owned(), user.subject().into());
    if token.grant.has_scope("profile") {
        members.insert("preferred_username".to_owned(), user.name.as_str().into());
    }
    for (name, value) in &user.claims {
        if token.grant.has_scope(scope_of(name)) {
            members.insert(name.clone(), value.clone());
        }
    }
    let reply = cx.state.switches.spoil(Place::Userinfo, members);
    Ok(reply.no_store().with_note(format!("told {} about {}", token.grant.client, user.name)))
}

/// The scope that opens a claim (OpenID Connect Core §5.4).
fn scope_of(claim: &str) -> &'static str {
    match claim {
        "email" | "email_verified" => "email",
        "phone_number" | "phone_number_verified" => "phone",
        "address" => "address",
        _ => "profile",
    }
}

/// A protected resource: says whose token it was.
pub(crate) fn me(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    let token = bearer(cx, request)?;
    let user = token.grant.user.as_deref().and_then(|name| cx.config.user(name));
    let value = json!({
        "client_id": token.grant.client,
        "sub": user.map_or(token.grant.client.as_str(), |user| user.subject()),
        "scope": token.grant.scopes.join(" "),
    });
    let note = format!("served {}", token.grant.client);
    Ok(Reply::json(StatusCode::OK, &Value::Object(object(value))).no_store().with_note(note))
}
