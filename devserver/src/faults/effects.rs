//! What each fault does, one small function each.

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::id_token::{Draft, Signing};
use crate::keys::{base64url, decoy_rsa_jwk, random_text};
use crate::site::Site;
use crate::wire::{Ending, Payload, Reply};

/// How often the letter a stands in an answer without end.
const ENDLESS: usize = 1 << 30;
/// How often it stands in metadata that is too large.
const HUGE: usize = 10 << 20;
/// Between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_millis(100);

type Members = Map<String, Value>;
type Parameters = Vec<(String, String)>;

// Answers in an endpoint's place.

pub(super) fn unavailable(_: &Site) -> Reply {
    Reply::bytes(StatusCode::SERVICE_UNAVAILABLE, "try again later").with_type("text/plain")
}

pub(super) fn busy(site: &Site) -> Reply {
    unavailable(site).with_header("retry-after", "1")
}

pub(super) fn throttled(_: &Site) -> Reply {
    Reply::json(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": "temporarily_unavailable" }))
        .with_header("retry-after", "1")
}

pub(super) fn broken(_: &Site) -> Reply {
    Reply::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "invalid_grant" }))
}

pub(super) fn portal(_: &Site) -> Reply {
    let page = "<!doctype html><title>Welcome</title><p>Please sign in to this network.</p>";
    Reply::html(StatusCode::OK, page.to_owned())
}

pub(super) fn metadata_redirect(site: &Site) -> Reply {
    Reply::redirect(StatusCode::FOUND, &site.url("/redirected/metadata"))
}

pub(super) fn token_redirect(site: &Site) -> Reply {
    Reply::redirect(StatusCode::FOUND, &site.url("/redirected/token"))
}

pub(super) fn ok_error(_: &Site) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "error": "invalid_grant" })).no_store()
}

pub(super) fn slow_down(_: &Site) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": "slow_down" })).no_store()
}

pub(super) fn silence(_: &Site) -> Reply {
    Reply { payload: Payload::Silence, ..Reply::empty(StatusCode::OK) }
}

// How a success is sent.

pub(super) fn lost(reply: Reply) -> Reply {
    Reply { payload: Payload::Silence, ..reply }
}

pub(super) fn truncated(reply: Reply) -> Reply {
    let bytes = reply.whole();
    let at = bytes.len() / 2;
    Reply { payload: Payload::Cut { bytes, at, ending: Ending::Close }, ..reply }
}

pub(super) fn slow_drip(reply: Reply) -> Reply {
    Reply { payload: Payload::Drip { bytes: reply.whole(), every: DRIP }, ..reply }
}

pub(super) fn endless(reply: Reply) -> Reply {
    let head = Bytes::from_static(b"{\"access_token\":\"");
    Reply { payload: Payload::Long { head, filler: ENDLESS, tail: Bytes::new() }, ..reply }
}

pub(super) fn huge(reply: Reply) -> Reply {
    let bytes = reply.whole();
    let members = bytes.strip_prefix(b"{").unwrap_or_default();
    let tail = Bytes::from([b"\",".as_slice(), members].concat());
    let head = Bytes::from_static(b"{\"service_documentation\":\"");
    Reply { payload: Payload::Long { head, filler: HUGE, tail }, ..reply }
}

pub(super) fn form_body(reply: Reply) -> Reply {
    let members: Members = serde_json::from_slice(&reply.whole()).unwrap_or_default();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &members {
        form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Reply { payload: Payload::Whole(form.finish().into()), ..reply }.with_type("application/x-www-form-urlencoded")
}

pub(super) fn duplicate_member(reply: Reply) -> Reply {
    let bytes = reply.whole();
    let members = bytes.strip_prefix(b"{").unwrap_or_default();
    let doubled = [b"{\"access_token\":\"another\",".as_slice(), members].concat();
    Reply { payload: Payload::Whole(doubled.into()), ..reply }
}

pub(super) fn trailing_bytes(reply: Reply) -> Reply {
    let longer = [reply.whole().as_ref(), b"{}".as_slice()].concat();
    Reply { payload: Payload::Whole(longer.into()), ..reply }
}

pub(super) fn byte_order_mark(reply: Reply) -> Reply {
    let marked = ["\u{feff}".as_bytes(), reply.whole().as_ref()].concat();
    Reply { payload: Payload::Whole(marked.into()), ..reply }
}

// What a success says.

/// Puts a 1 behind a string member, as the conformance suite does.
fn append(members: &mut Members, name: &str) {
    if let Some(Value::String(text)) = members.get_mut(name) {
        text.push('1');
    }
}

fn set(members: &mut Members, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}

/// Sets a member that is there.
fn replace(members: &mut Members, name: &str, value: impl Into<Value>) {
    if let Some(member) = members.get_mut(name) {
        *member = value.into();
    }
}

pub(super) fn issuer_mismatch(members: &mut Members) {
    append(members, "issuer");
}

pub(super) fn id_token_missing(members: &mut Members) {
    members.remove("id_token");
}

pub(super) fn id_token_garbled(members: &mut Members) {
    replace(members, "id_token", "not.a-jwt");
}

pub(super) fn token_and_error(members: &mut Members) {
    set(members, "error", "server_error");
}

pub(super) fn token_missing(members: &mut Members) {
    members.remove("access_token");
}

pub(super) fn token_control_character(members: &mut Members) {
    if let Some(Value::String(token)) = members.get_mut("access_token") {
        token.push_str("\r\nX-Injected: 1");
    }
}

pub(super) fn type_missing(members: &mut Members) {
    members.remove("token_type");
}

pub(super) fn type_mac(members: &mut Members) {
    set(members, "token_type", "mac");
}

pub(super) fn type_inverted(members: &mut Members) {
    set(members, "token_type", "bEARER");
}

pub(super) fn expires_string(members: &mut Members) {
    let text = members.get("expires_in").map(ToString::to_string).unwrap_or_default();
    set(members, "expires_in", text);
}

pub(super) fn expires_float(members: &mut Members) {
    set(members, "expires_in", 3_599.5);
}

pub(super) fn expires_null(members: &mut Members) {
    set(members, "expires_in", Value::Null);
}

pub(super) fn expires_negative(members: &mut Members) {
    set(members, "expires_in", -1);
}

pub(super) fn expires_huge(members: &mut Members) {
    set(members, "expires_in", u64::MAX);
}

pub(super) fn expires_missing(members: &mut Members) {
    members.remove("expires_in");
}

pub(super) fn refresh_empty(members: &mut Members) {
    set(members, "refresh_token", "");
}

pub(super) fn scope_wider(members: &mut Members) {
    if let Some(Value::String(scope)) = members.get_mut("scope") {
        scope.push_str(" admin");
    }
}

pub(super) fn userinfo_wrong_sub(members: &mut Members) {
    append(members, "sub");
}

pub(super) fn interval_zero(members: &mut Members) {
    set(members, "interval", 0);
}

pub(super) fn interval_string(members: &mut Members) {
    let text = members.get("interval").map(ToString::to_string).unwrap_or_default();
    set(members, "interval", text);
}

pub(super) fn interval_missing(members: &mut Members) {
    members.remove("interval");
}

pub(super) fn verification_url(members: &mut Members) {
    if let Some(uri) = members.remove("verification_uri") {
        set(members, "verification_url", uri);
    }
}

pub(super) fn javascript_uri(members: &mut Members) {
    set(members, "verification_uri", "javascript:alert(1)");
    set(members, "verification_uri_complete", "javascript:alert(2)");
}

// What goes back to the client through the browser.

fn alter(parameters: &mut Parameters, name: &str) {
    for (_, value) in parameters.iter_mut().filter(|(n, _)| n == name) {
        value.push('1');
    }
}

fn remove(parameters: &mut Parameters, name: &str) {
    parameters.retain(|(n, _)| n != name);
}

fn push(parameters: &mut Parameters, name: &str, value: &str) {
    parameters.push((name.to_owned(), value.to_owned()));
}

pub(super) fn iss_wrong(parameters: &mut Parameters) {
    alter(parameters, "iss");
}

pub(super) fn iss_missing(parameters: &mut Parameters) {
    remove(parameters, "iss");
}

pub(super) fn state_wrong(parameters: &mut Parameters) {
    alter(parameters, "state");
}

pub(super) fn state_missing(parameters: &mut Parameters) {
    remove(parameters, "state");
}

pub(super) fn duplicate_code(parameters: &mut Parameters) {
    push(parameters, "code", "another");
}

pub(super) fn duplicate_state(parameters: &mut Parameters) {
    let state = parameters.iter().find(|(name, _)| name == "state").map(|(_, value)| value.clone());
    if let Some(state) = state {
        push(parameters, "state", &state);
    }
}

pub(super) fn code_and_error(parameters: &mut Parameters) {
    push(parameters, "error", "server_error");
}

pub(super) fn code_missing(parameters: &mut Parameters) {
    remove(parameters, "code");
}

pub(super) fn front_token(parameters: &mut Parameters) {
    push(parameters, "access_token", "from-the-front");
}

pub(super) fn error_wrong_state(parameters: &mut Parameters) {
    remove(parameters, "code");
    push(parameters, "error", "access_denied");
    state_wrong(parameters);
}

// The id_token.

/// Seconds that a claim names, moved.
fn moved(draft: &Draft, claim: &str, by: i64) -> Value {
    draft.claims.get(claim).and_then(Value::as_i64).map(|at| at.saturating_add(by)).into()
}

pub(super) fn bad_signature(draft: &mut Draft) {
    draft.signing = Signing::Spoiled;
}

pub(super) fn alg_none(draft: &mut Draft) {
    draft.signing = Signing::None;
    set(&mut draft.header, "alg", "none");
    draft.header.remove("kid");
}

pub(super) fn hs256(draft: &mut Draft) {
    draft.signing = Signing::PublicKeyAsSecret;
    set(&mut draft.header, "alg", "HS256");
}

pub(super) fn expired(draft: &mut Draft) {
    let exp = moved(draft, "iat", -360);
    let iat = moved(draft, "iat", -720);
    set(&mut draft.claims, "exp", exp);
    set(&mut draft.claims, "iat", iat);
}

pub(super) fn missing_exp(draft: &mut Draft) {
    draft.claims.remove("exp");
}

pub(super) fn string_exp(draft: &mut Draft) {
    let text = draft.claims.get("exp").map(ToString::to_string).unwrap_or_default();
    set(&mut draft.claims, "exp", text);
}

pub(super) fn wrong_aud(draft: &mut Draft) {
    append(&mut draft.claims, "aud");
}

pub(super) fn missing_aud(draft: &mut Draft) {
    draft.claims.remove("aud");
}

pub(super) fn aud_array(draft: &mut Draft) {
    let own = draft.claims.remove("aud");
    set(&mut draft.claims, "aud", json!([own]));
}

pub(super) fn secondary_aud(draft: &mut Draft) {
    let own = draft.claims.get("aud").and_then(Value::as_str).unwrap_or_default().to_owned();
    set(&mut draft.claims, "aud", json!([own, format!("{own}1")]));
}

pub(super) fn foreign_azp(draft: &mut Draft) {
    set(&mut draft.claims, "azp", "another-client");
}

pub(super) fn wrong_iss(draft: &mut Draft) {
    append(&mut draft.claims, "iss");
}

pub(super) fn missing_iss(draft: &mut Draft) {
    draft.claims.remove("iss");
}

pub(super) fn wrong_nonce(draft: &mut Draft) {
    append(&mut draft.claims, "nonce");
}

pub(super) fn missing_nonce(draft: &mut Draft) {
    draft.claims.remove("nonce");
}

pub(super) fn wrong_sub(draft: &mut Draft) {
    append(&mut draft.claims, "sub");
}

pub(super) fn missing_sub(draft: &mut Draft) {
    draft.claims.remove("sub");
}

pub(super) fn empty_sub(draft: &mut Draft) {
    set(&mut draft.claims, "sub", "");
}

pub(super) fn numeric_sub(draft: &mut Draft) {
    set(&mut draft.claims, "sub", 4711);
}

pub(super) fn missing_iat(draft: &mut Draft) {
    draft.claims.remove("iat");
}

pub(super) fn future_iat(draft: &mut Draft) {
    let exp = moved(draft, "iat", 7_200);
    let iat = moved(draft, "iat", 3_600);
    set(&mut draft.claims, "exp", exp);
    set(&mut draft.claims, "iat", iat);
}

pub(super) fn bad_at_hash(draft: &mut Draft) {
    let other = draft.algorithm.half_hash("another token");
    set(&mut draft.claims, "at_hash", other);
}

pub(super) fn missing_at_hash(draft: &mut Draft) {
    draft.claims.remove("at_hash");
}

pub(super) fn old_auth_time(draft: &mut Draft) {
    let yesterday = moved(draft, "iat", -86_400);
    set(&mut draft.claims, "auth_time", yesterday);
}

pub(super) fn missing_auth_time(draft: &mut Draft) {
    draft.claims.remove("auth_time");
}

pub(super) fn wrong_acr(draft: &mut Draft) {
    set(&mut draft.claims, "acr", "urn:example:unasked");
}

pub(super) fn crit(draft: &mut Draft) {
    set(&mut draft.header, "crit", json!(["urn:example:critical"]));
    set(&mut draft.header, "urn:example:critical", true);
}

pub(super) fn b64_false(draft: &mut Draft) {
    set(&mut draft.header, "crit", json!(["b64"]));
    set(&mut draft.header, "b64", false);
}

pub(super) fn typ_at_jwt(draft: &mut Draft) {
    set(&mut draft.header, "typ", "at+jwt");
}

pub(super) fn typ_jwt(draft: &mut Draft) {
    set(&mut draft.header, "typ", "JWT");
}

pub(super) fn top_level(draft: &mut Draft) {
    if let Some(Value::Object(answer)) = draft.claims.remove("token_introspection") {
        draft.claims.extend(answer.into_iter().filter(|(name, _)| !matches!(&**name, "iss" | "aud" | "iat")));
    }
}

pub(super) fn introspection_text(draft: &mut Draft) {
    let text = draft.claims.get("token_introspection").map(ToString::to_string).unwrap_or_default();
    set(&mut draft.claims, "token_introspection", text);
}

pub(super) fn embedded_key(draft: &mut Draft) {
    unknown_kid(draft);
    set(&mut draft.header, "jku", "https://attacker.example/jwks");
    set(&mut draft.header, "jwk", draft.public_key.clone());
}

pub(super) fn unknown_kid(draft: &mut Draft) {
    set(&mut draft.header, "kid", "unknown");
}

// The published keys.

pub(super) fn no_keys(_: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    Ok(Vec::new())
}

/// Changes each key's members.
fn each(mut keys: Vec<Value>, change: impl Fn(&mut Members)) -> Vec<Value> {
    keys.iter_mut().filter_map(Value::as_object_mut).for_each(change);
    keys
}

pub(super) fn duplicate_kids(keys: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    let mut doubled = Vec::new();
    for key in keys {
        let mut decoy = decoy_rsa_jwk(256)?;
        if let (Some(decoy), Some(kid)) = (decoy.as_object_mut(), key.get("kid")) {
            set(decoy, "kid", kid.clone());
        }
        doubled.push(decoy);
        doubled.push(key);
    }
    Ok(doubled)
}

pub(super) fn encryption_keys(keys: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    Ok(each(keys, |key| set(key, "use", "enc")))
}

pub(super) fn short_keys(keys: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    let short = decoy_rsa_jwk(128)?;
    Ok(each(keys, |key| {
        if let (Some("RSA"), Some(modulus)) = (key.get("kty").and_then(Value::as_str), short.get("n")) {
            set(key, "n", modulus.clone());
        }
    }))
}

pub(super) fn symmetric_keys(keys: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    Ok(each(keys, |key| {
        key.retain(|name, _| name == "kid");
        set(key, "kty", "oct");
        set(key, "k", base64url(&[7; 32]));
    }))
}

pub(super) fn new_kids(keys: Vec<Value>) -> Result<Vec<Value>, Unspecified> {
    let suffix = random_text::<6>()?;
    Ok(each(keys, |key| {
        if let Some(Value::String(kid)) = key.get_mut("kid") {
            kid.push_str(&suffix);
        }
    }))
}
