//! Who the client is (RFC 6749 §2.3): `none`, `client_secret_basic`, `client_secret_post`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::config::{ClientAuthentication, ClientEntry, Config};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::wire::Request;

/// What the request says about its client.
enum Credentials {
    Basic { id: String, secret: String },
    Post { id: String, secret: String },
    Named { id: String },
}

/// Reads the form of a direct request and finds its client.
///
/// # Errors
/// `invalid_request` if it is no form, has a query or repeats a parameter; `invalid_client`.
pub(crate) fn read<'a, 'r>(config: &'a Config, request: &'r Request) -> Result<(&'a ClientEntry, &'r Params), Refusal> {
    if !request.query.is_empty() {
        return Err(Refusal::invalid_request("parameters belong into the body"));
    }
    let form = request.form.as_ref().ok_or_else(|| Refusal::invalid_request("the body is no form"))?.checked()?;
    let client = authenticate(config, request, form)?;
    Ok((client, form))
}

fn authenticate<'a>(config: &'a Config, request: &Request, form: &Params) -> Result<&'a ClientEntry, Refusal> {
    let (id, secret, method) = match credentials(request, form)? {
        Credentials::Basic { id, secret } => (id, secret, Some(ClientAuthentication::ClientSecretBasic)),
        Credentials::Post { id, secret } => (id, secret, Some(ClientAuthentication::ClientSecretPost)),
        Credentials::Named { id } => (id, String::new(), None),
    };
    if !secret.is_empty() {
        config.tell_secret("client_secret", &secret);
    }
    let client = config.client(&id).ok_or_else(|| Refusal::invalid_client("the client is unknown"))?;
    match (&client.secret, method) {
        (None, None) => Ok(client),
        (None, Some(_)) => Err(Refusal::invalid_client("the client has no secret")),
        (Some(_), None) => Err(Refusal::invalid_client("the client must authenticate")),
        (Some(known), Some(method)) => {
            if client.authentication != ClientAuthentication::Any && client.authentication != method {
                return Err(Refusal::invalid_client("the client is registered for another authentication method"));
            }
            if known.matches(&secret) { Ok(client) } else { Err(Refusal::invalid_client("the secret is wrong")) }
        }
    }
}

fn credentials(request: &Request, form: &Params) -> Result<Credentials, Refusal> {
    let named = form.one("client_id").map(str::to_owned);
    let posted = form.one("client_secret").map(str::to_owned);
    if !request.headers.contains_key("authorization") {
        let id = named.ok_or_else(|| Refusal::invalid_client("the client is not named"))?;
        return Ok(match posted {
            Some(secret) => Credentials::Post { id, secret },
            None => Credentials::Named { id },
        });
    }
    if posted.is_some() {
        return Err(Refusal::invalid_request("the client authenticates in two ways"));
    }
    let (id, secret) = request
        .header("authorization")
        .and_then(basic)
        .ok_or_else(|| Refusal::invalid_client("the Authorization header is not Basic"))?;
    if named.is_some_and(|named| named != id) {
        return Err(Refusal::invalid_request("client_id is not the authenticated client"));
    }
    Ok(Credentials::Basic { id, secret })
}

/// Id and secret, each form-decoded (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// One form value; `None` if it is more than one, which an encoder cannot have made.
fn form_decoded(value: &str) -> Option<String> {
    let pair = format!("v={value}");
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((_, value)), None) => Some(value.into_owned()),
        _ => None,
    }
}
