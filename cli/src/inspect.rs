//! `grantflow inspect`: what is known of a saved login, its tokens left out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantflow_core::Timestamp;
use grantflow_core::token::TokenSet;
use grantflow_tokio::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::exit::{Artefact, Failure};
use crate::kept::Kept;
use crate::{list, output};

/// Tells it as JSON, laid out for people.
pub(crate) fn run(name: &str, kept: &Kept) -> Result<Artefact, Failure> {
    let login = kept.login(name)?;
    let held = kept.held(&login)?;
    let mut all = list::described(&login, held.as_ref(), SystemClock.now());
    let mut set = |name: &str, value: Value| {
        if let Some(members) = all.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    set("authentication_method", json!(login.profile.authentication_method));
    set("audience", json!(login.profile.audience));
    set("asked_scope", json!(login.profile.scope));
    if let Some(held) = &held {
        of_tokens(&held.tokens, &mut set);
    }
    Ok(output::pretty_json(&all))
}

fn of_tokens(tokens: &TokenSet, set: &mut impl FnMut(&str, Value)) {
    set("scope", tokens.scope().as_str().into());
    set("token_type", tokens.token_type().to_string().into());
    set("received_at", tokens.received_at().as_secs().into());
    set("expires_at", json!(tokens.expires_at().map(Timestamp::as_secs)));
    set("has_refresh_token", tokens.refresh_token().is_some().into());
    set("notes", tokens.notes().iter().map(|note| note.name()).collect());
    set("subject", json!(tokens.subject()));
    // Nobody but the resource server can judge an access token, whatever is written in it.
    set("access_token", described(tokens.access_token().expose(), "no"));
    if let Some(token) = tokens.id_token() {
        // What lies in a file is not verified; it was, when it came with a login that named its subject.
        let verified = if tokens.subject().is_some() { "when it came" } else { "no" };
        set("id_token", described(token.expose(), verified));
    }
}

/// The claims of a token that is a JWT. Its signature, without which nobody can use it, is left out.
fn described(token: &str, verified: &str) -> Value {
    match claims(token) {
        Some(claims) => json!({ "format": "jwt", "verified": verified, "claims": claims }),
        None => json!({ "format": "opaque" }),
    }
}

fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(claims).ok().filter(|_| parts.next().is_none())?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}
