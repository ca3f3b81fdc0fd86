//! Asking about tokens and ending them: introspection (RFC 7662, RFC 9701) and revocation
//! (RFC 7009).

use grantflow_core::Timestamp;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client_auth;
use crate::context::Context;
use crate::faults::{Effect, Place};
use crate::id_token::{self, audience, object};
use crate::refusal::Refusal;
use crate::state::{Grant, key};
use crate::wire::{Reply, Request};

/// Tells a confidential client about a token, whoever got it.
pub(crate) fn introspect(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    let (client, form) = client_auth::read(cx.config, request)?;
    if client.secret.is_none() {
        return Err(Refusal::invalid_client("only a client with a secret may ask"));
    }
    let key = key(form.required("token")?);
    let value = if let Some(token) = cx.state.tokens.find(cx.now, &key) {
        let mut value = object(described(cx, &token.grant, token.issued, token.expires));
        value.insert("token_type".to_owned(), "Bearer".into());
        value.insert("jti".to_owned(), token.jti.as_str().into());
        Value::Object(value)
    } else {
        let refresh = cx.state.refresh_tokens.find(cx.now, &key);
        match refresh.filter(|token| !token.used && cx.now < token.expires) {
            Some(token) => described(cx, &token.grant, token.issued, token.expires),
            None => json!({ "active": false }),
        }
    };
    let note = format!("told {} about a token", client.id);
    let wants_signature = request.header("accept").is_some_and(|accept| accept.contains(SIGNED));
    let unsigned = cx.state.switches.take(|effect| matches!(effect, Effect::IntrospectionUnsigned).then_some(()));
    if !wants_signature || !unsigned.is_empty() {
        return Ok(Reply::json(StatusCode::OK, &value).no_store().with_note(note));
    }
    let jwt = id_token::introspection(cx, client, &value).map_err(|_| Refusal::server_error("no signature"))?;
    let reply = Reply::bytes(StatusCode::OK, jwt).with_type(SIGNED);
    Ok(reply.no_store().with_note(format!("{note}, and signed it")))
}

/// How a signed answer is asked for, and what it is (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";

fn described(cx: &Context<'_>, grant: &Grant, issued: Timestamp, expires: Timestamp) -> Value {
    let user = grant.user.as_deref().and_then(|name| cx.config.user(name));
    let mut value = object(json!({
        "active": true,
        "iss": cx.site.issuer(),
        "client_id": grant.client,
        "sub": user.map_or(grant.client.as_str(), |user| user.subject()),
        "aud": audience(cx, grant),
        "scope": grant.scopes.join(" "),
        "iat": issued.as_secs(),
        "exp": expires.as_secs(),
    }));
    if let Some(user) = user {
        value.insert("username".to_owned(), user.name.as_str().into());
    }
    Value::Object(value)
}

/// Ends a token. A refresh token takes its whole family along; a token that nobody knows is success.
pub(crate) fn revoke(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::Revocation, cx.site) {
        return Ok(reply);
    }
    let (client, form) = client_auth::read(cx.config, request)?;
    let key = key(form.required("token")?);
    let access = cx.state.tokens.find(cx.now, &key).map(|token| (token.grant.client.clone(), None));
    let refresh = cx.state.refresh_tokens.find(cx.now, &key);
    let refresh = refresh.map(|token| (token.grant.client.clone(), Some(token.grant.family)));
    let note = match access.or(refresh) {
        None => "nothing to revoke".to_owned(),
        Some((owner, _)) if owner != client.id => {
            return Err(Refusal::new("unauthorized_client", "the token was issued to another client"));
        }
        Some((_, None)) => {
            cx.state.tokens.remove(&key);
            format!("revoked an access token of {}", client.id)
        }
        Some((_, Some(family))) => {
            cx.state.revoke_family(family);
            format!("revoked a refresh token of {} and its family", client.id)
        }
    };
    Ok(Reply::empty(StatusCode::OK).no_store().with_note(note))
}
