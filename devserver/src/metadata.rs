//! What the server says of itself: metadata (RFC 8414, OpenID Connect Discovery) and keys (RFC 7517).

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::config::{GrantType, SCOPES};
use crate::context::Context;
use crate::faults::{Effect, Place};
use crate::id_token::object;
use crate::keys::Algorithm;
use crate::refusal::Refusal;
use crate::wire::Reply;

/// Both discovery documents, which are one.
pub(crate) fn metadata(cx: &mut Context<'_>) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::Metadata, cx.site) {
        return Ok(reply);
    }
    let members = document(cx);
    Ok(cx.state.switches.spoil(Place::Metadata, members).with_note("told its metadata"))
}

fn document(cx: &Context<'_>) -> Map<String, Value> {
    let url = |path: &str| cx.site.url(path);
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let secret_methods = ["client_secret_basic", "client_secret_post"];
    object(json!({
        "issuer": cx.site.issuer(),
        "authorization_endpoint": url("/authorize"),
        "token_endpoint": url("/token"),
        "device_authorization_endpoint": url("/device_authorization"),
        "userinfo_endpoint": url("/userinfo"),
        "jwks_uri": url("/jwks"),
        "introspection_endpoint": url("/introspect"),
        "revocation_endpoint": url("/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": secret_methods,
        "introspection_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::as_str),
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::as_str),
        "scopes_supported": SCOPES,
        "acr_values_supported": cx.config.acr_values,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash",
            "name", "preferred_username", "email", "email_verified", "phone_number", "address",
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    }))
}

/// The public keys.
pub(crate) fn jwks(cx: &mut Context<'_>) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::Jwks, cx.site) {
        return Ok(reply);
    }
    let trouble = |_| Refusal::server_error("no randomness");
    let bare = cx.state.switches.take(|effect| matches!(effect, Effect::NoKids).then_some(()));
    let mut keys =
        if bare.is_empty() { cx.state.keys.public() } else { cx.state.keys.without_kids().map_err(trouble)? };
    let changes = cx.state.switches.take(|effect| if let Effect::Keys(change) = effect { Some(change) } else { None });
    for change in changes {
        keys = change(keys).map_err(trouble)?;
    }
    Ok(Reply::json(StatusCode::OK, &json!({ "keys": keys })).with_note("told its keys"))
}
