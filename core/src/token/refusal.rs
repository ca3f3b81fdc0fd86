//! The judge of everything that is no success, for all endpoints (RFC 6749 §5.2 and what servers make of it).
//!
//! In this order: a redirect, which nothing follows; no verdict (408, 425, 429, 5xx), whatever the body says, because an
//! overloaded server or a proxy says it; a refusal by the rules, in the body or in the challenge; everything else is a
//! broken rule.

use http::{Response, StatusCode, header};

use super::{answer, facts};
use crate::error::{
    Delivery, Endpoint, Error, ProtocolError, Refusal, Rule, TransportError, TransportKind, not_before, safe_text,
};
use crate::http::json::{Nested, Object, Value};
use crate::http::{Body, Sent, challenge, retry_after};
use crate::time::Timestamp;

/// Says what an answer that is no success means.
///
/// The server's words are escaped and cut, and what looks like a token in them is struck out.
pub fn classify(response: &Response<Body>, endpoint: Endpoint, now: Timestamp) -> Error {
    if let Some(error) = no_verdict(response, endpoint, now) {
        return error;
    }
    if let Some(refusal) = answer::object(response).and_then(|object| spoken(&object)) {
        return refusal.into_error(response, endpoint);
    }
    if let Some(refusal) = challenged(response, endpoint) {
        return refusal.into_error(response, endpoint);
    }
    broken(response, endpoint, Rule::Status)
}

/// The error of an answer that says nothing about the request: a redirect, or a server that cannot serve now.
pub(super) fn no_verdict(response: &Response<Body>, endpoint: Endpoint, now: Timestamp) -> Option<Error> {
    let status = response.status();
    let kind = if status.is_redirection() {
        TransportKind::Redirected
    } else if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        TransportKind::Unavailable
    } else {
        return None;
    };
    Some(transport(response, endpoint, kind, now))
}

/// An error of the transport with the answer's facts.
pub(super) fn transport(response: &Response<Body>, endpoint: Endpoint, kind: TransportKind, now: Timestamp) -> Error {
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Error::Transport(TransportError {
        endpoint,
        kind,
        delivery: Delivery::Unknown,
        answer: Some(Box::new(facts::of(response))),
        not_before: not_before(now, wait.and_then(|wait| retry_after(wait, now))),
    })
}

/// An answer that breaks a rule, with its facts.
pub fn broken(response: &Response<Body>, endpoint: Endpoint, rule: Rule) -> Error {
    Error::Protocol(Box::new(ProtocolError { endpoint, rule, answer: Some(facts::of(response)) }))
}

/// A server's no, in its own words.
pub(super) struct Words {
    code: String,
    description: Option<String>,
    uri: Option<String>,
}

impl Words {
    /// Makes the error that is reported.
    pub(super) fn into_error(self, response: &Response<Body>, endpoint: Endpoint) -> Error {
        let hint = self.description.as_deref().and_then(hint);
        let sent = Sent::of(response);
        let shown = |text: String| safe_text(&facts::strike(&sent.strike(text), facts::Words::Spoken));
        Error::Refused(Box::new(Refusal {
            endpoint,
            code: if is_word(&self.code) { self.code } else { safe_text(&sent.strike(self.code)) },
            description: self.description.map(shown),
            uri: self.uri.map(|uri| safe_text(&sent.strike(uri))),
            answer: Some(facts::of(response)),
            hint,
        }))
    }
}

/// Whether a code is made as the registered ones are. Those stay, even where a secret is a part of them by chance.
fn is_word(code: &str) -> bool {
    code.len() <= 48 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The refusal in a body: an `error` that is a string, or one of the two other shapes that large providers use.
pub(super) fn spoken(object: &Object) -> Option<Words> {
    match object.get("error") {
        Some(Value::String(code)) if !code.is_empty() => {
            return Some(Words {
                code: code.into_owned(),
                description: text(object.get("error_description")),
                uri: text(object.get("error_uri")),
            });
        }
        // Facebook, Google: {"error":{"message":"..","type":"..","code":190}}
        Some(Value::Object(nested)) => return Some(nested_words(nested)),
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {}
    }
    // GoTrue: {"code":400,"error_code":"refresh_token_not_found","msg":".."}
    let code = text(object.get("error_code"))?;
    let description = ["error_description", "msg", "message"].iter().find_map(|name| text(object.get(name)));
    Some(Words { code, description, uri: text(object.get("error_uri")) })
}

fn nested_words(nested: Nested<'_>) -> Words {
    let code = ["type", "status", "code"].iter().find_map(|name| match nested.get(name)? {
        Value::Number(number) => Some(number.as_str().to_owned()),
        value => text(Some(value)),
    });
    Words {
        code: code.unwrap_or_else(|| "error".to_owned()),
        description: text(nested.get("message")),
        uri: text(nested.get("error_uri")),
    }
}

fn text(value: Option<Value<'_>>) -> Option<String> {
    value?.into_string().filter(|text| !text.is_empty()).map(std::borrow::Cow::into_owned)
}

/// The refusal in a `WWW-Authenticate` challenge.
fn challenged(response: &Response<Body>, endpoint: Endpoint) -> Option<Words> {
    let challenges = challenge::challenges(response.headers());
    if let Some((challenge, code)) =
        challenges.iter().find_map(|challenge| challenge.error().map(|code| (challenge, code)))
    {
        return Some(Words {
            code: code.to_owned(),
            description: challenge.error_description().map(str::to_owned),
            uri: challenge.get("error_uri").map(str::to_owned),
        });
    }
    // RFC 6749 §5.2: this status is for a client that the server does not know, where clients authenticate.
    let authenticates = match endpoint {
        Endpoint::Token | Endpoint::DeviceAuthorization | Endpoint::Introspection | Endpoint::Revocation => true,
        Endpoint::Authorization
        | Endpoint::UserInfo
        | Endpoint::Metadata
        | Endpoint::Keys
        | Endpoint::Redirect
        | Endpoint::Resource
        | Endpoint::Extension => false,
    };
    (authenticates && response.status() == StatusCode::UNAUTHORIZED && !challenges.is_empty()).then(|| Words {
        code: "invalid_client".to_owned(),
        description: None,
        uri: None,
    })
}

/// What Microsoft Entra's numbers mean to whoever configures a client.
const HINTS: [(&str, &str); 10] = [
    ("AADSTS700027", "the server does not know the key or certificate that signed the client assertion: register it"),
    ("AADSTS700024", "the client assertion is outside of its time: check this machine's clock"),
    ("AADSTS7000215", "the client secret is wrong: use the secret's value, not its id"),
    ("AADSTS7000222", "the client secret has expired: make a new one"),
    (
        "AADSTS7000218",
        "the server takes this client for a confidential one: allow public client flows, or send a secret",
    ),
    ("AADSTS700016", "the tenant does not know this client id"),
    ("AADSTS50011", "the redirect URI is not registered for this client"),
    ("AADSTS65001", "consent is missing: an administrator or the person has to give it"),
    ("AADSTS50076", "the person has to log in with another factor"),
    ("AADSTS90002", "there is no such tenant"),
];

fn hint(description: &str) -> Option<&'static str> {
    let (_, number) = description.split_once("AADSTS")?;
    let digits = number.len().saturating_sub(number.trim_start_matches(|char: char| char.is_ascii_digit()).len());
    let number = number.get(..digits)?;
    HINTS.iter().find(|(name, _)| name.strip_prefix("AADSTS") == Some(number)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_made_as_the_registered_ones_are_words() {
        for (code, is) in [
            ("invalid_grant", true),
            ("", true),
            ("_", true),
            (&"a".repeat(48), true),
            (&"a".repeat(49), false),
            ("Invalid", false),
            ("invalid grant", false),
            ("invalid-grant", false),
            ("grant1", false),
        ] {
            assert_eq!(is_word(code), is, "{code}");
        }
    }
}
