//! The one reader of token answers (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3, RFC 9449 §5).
//!
//! An answer is judged in this order: its status, its media type, its body as JSON (or as a form), a refusal in it, and
//! then member by member. Members that nobody asks for are validated and kept.

use core::time::Duration;
use std::borrow::Cow;

use http::{Response, StatusCode, header};

use super::refusal::{self, broken};
use super::{Leniency, Note, Scopes, TokenSet, TokenType};
use crate::error::{Endpoint, Error, JsonFlaw, Rule, TransportKind};
use crate::http::Body;
use crate::http::form::Form;
use crate::http::json::{Object, Value};
use crate::secret::Secret;
use crate::time::Timestamp;

/// How long a token may be, in bytes.
pub const MAX_TOKEN: usize = 64 * 1024;

/// The longest lifetime that is believed: ten years.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What the flow asked for and will accept.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// How strictly to read.
    pub leniency: Leniency,
    /// The scope that was asked for; what is in force if the answer names none.
    pub requested: &'a Scopes,
    /// Whether a DPoP proof went with the request.
    pub proof: Proof,
    /// Token types besides `Bearer` and `DPoP` that the client can use.
    pub token_types: &'a [String],
    /// What to do with a scope that is wider than the requested one.
    pub wider_scope: WiderScope,
    /// What stands between two scopes.
    pub separator: Separator,
    /// Whether there must be an id_token.
    pub id_token: IdToken,
}

impl Default for Expectation<'_> {
    fn default() -> Self {
        Self {
            leniency: Leniency::Compat,
            requested: Scopes::EMPTY,
            proof: Proof::NotSent,
            token_types: &[],
            wider_scope: WiderScope::Surfaced,
            separator: Separator::Space,
            id_token: IdToken::Optional,
        }
    }
}

/// Whether a DPoP proof went with the request, and what follows from it (RFC 9449 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// None was sent: the token must not be bound to one.
    NotSent,
    /// One was sent: a bearer token is a downgrade.
    Sent,
    /// One was sent, and the client takes a bearer token all the same.
    SentBearerAllowed,
}

/// What to do with a scope that is wider than the requested one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WiderScope {
    /// [`TokenSet::is_exceeded`] tells.
    Surfaced,
    /// The answer is refused.
    Refused,
}

/// What stands between two scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// A space (RFC 6749 §3.3).
    Space,
    /// A comma too, as some providers write.
    SpaceOrComma,
}

/// Whether there must be an id_token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdToken {
    /// It need not be.
    Optional,
    /// `openid` was asked for (OpenID Connect Core §3.1.3.3).
    Required,
}

/// An answer that holds an id_token and no access token, for flows that asked for just that.
#[derive(Debug)]
pub struct IdTokenAnswer {
    /// The id_token as it came.
    pub id_token: Secret,
    /// The tolerances that were used.
    pub notes: Vec<Note>,
    /// The whole answer.
    pub answer: Object,
}

/// Reads the answer of a token endpoint.
///
/// # Errors
/// [`Error::Refused`] when the server says no; [`Error::Transport`] for redirects, for a server that cannot serve now and
/// for a page where a message should be; [`Error::Protocol`] names the rule that is broken. No value is quoted.
pub fn parse(
    response: &Response<Body>,
    expect: &Expectation<'_>,
    now: Timestamp,
    endpoint: Endpoint,
) -> Result<TokenSet, Error> {
    let Success { object, mut notes } = success(response, expect.leniency, now, endpoint)?;
    let invalid = |rule| broken(response, endpoint, rule);

    let access_token = access_token(&object).map_err(invalid)?;
    let token_type = token_type(&object, expect, &mut notes).map_err(invalid)?;
    let lifetime = lifetime(&object, expect.leniency, &mut notes).map_err(invalid)?;
    let refresh_token = refresh_token(&object, &mut notes).map_err(invalid)?;
    let id_token = id_token(&object, expect, &mut notes).map_err(invalid)?;
    let granted = scope(&object, expect, &mut notes).map_err(invalid)?;

    let tokens = TokenSet {
        access_token,
        token_type,
        refresh_token,
        id_token,
        received_at: now,
        expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
        requested: expect.requested.clone(),
        granted,
        notes,
        answer: object,
        resources: Vec::new(),
        identity: None,
        person: None,
    };
    if expect.wider_scope == WiderScope::Refused && tokens.is_exceeded() {
        return Err(invalid(Rule::ScopeExceeded));
    }
    Ok(tokens)
}

/// Reads an answer that holds an id_token only.
///
/// # Errors
/// As [`parse`]; [`Rule::IdTokenMissing`] when there is none.
pub fn parse_id_token(
    response: &Response<Body>,
    leniency: Leniency,
    now: Timestamp,
    endpoint: Endpoint,
) -> Result<IdTokenAnswer, Error> {
    let Success { object, mut notes } = success(response, leniency, now, endpoint)?;
    let expect = Expectation { leniency, ..Expectation::default() };
    let id_token = id_token(&object, &expect, &mut notes)
        .and_then(|token| token.ok_or(Rule::IdTokenMissing))
        .map_err(|rule| broken(response, endpoint, rule))?;
    Ok(IdTokenAnswer { id_token, notes, answer: object })
}

/// An object that a server answered with success, and the tolerances used so far.
#[derive(Debug)]
pub struct Success {
    /// The answer. One that came as a form is an object of strings.
    pub object: Object,
    /// The tolerances that were used.
    pub notes: Vec<Note>,
}

/// Reads the answer of any endpoint that answers with an object: status, media type, JSON, refusal.
///
/// # Errors
/// As [`parse`], but for the members, of which only `error` is judged.
pub fn success(
    response: &Response<Body>,
    leniency: Leniency,
    now: Timestamp,
    endpoint: Endpoint,
) -> Result<Success, Error> {
    if !response.status().is_success() {
        return Err(refusal::classify(response, endpoint, now));
    }
    let mut notes = Vec::new();
    let body = response.body().expose();
    let media_type = MediaType::of(response);
    match (media_type, leniency) {
        (MediaType::Json, _) => {}
        (MediaType::Page, _) => {
            return Err(refusal::transport(response, endpoint, TransportKind::MediaType, now));
        }
        (MediaType::Other, _) | (MediaType::Form | MediaType::JsonLike | MediaType::Absent, Leniency::Strict) => {
            return Err(broken(response, endpoint, Rule::MediaType));
        }
        (MediaType::Form, Leniency::Compat) => notes.push(Note::FormEncoded),
        (MediaType::JsonLike | MediaType::Absent, Leniency::Compat) => notes.push(Note::MediaType),
    }
    let object = match media_type {
        MediaType::Form => form_object(body),
        MediaType::Json | MediaType::JsonLike | MediaType::Absent | MediaType::Page | MediaType::Other => {
            Object::parse(body).map_err(Rule::from)
        }
    };
    let object = object.map_err(|rule| broken(response, endpoint, rule))?;
    if let Some(refusal) = refusal::spoken(&object) {
        return Err(refusal.into_error(response, endpoint));
    }
    if body.starts_with(b"\xEF\xBB\xBF") {
        notes.push(Note::ByteOrderMark);
    }
    if response.status() != StatusCode::OK {
        if leniency == Leniency::Strict {
            return Err(broken(response, endpoint, Rule::Status));
        }
        notes.push(Note::Status);
    }
    Ok(Success { object, notes })
}

/// What a `Content-Type` says a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`
    Json,
    /// Another type under which servers send JSON.
    JsonLike,
    /// `application/x-www-form-urlencoded`
    Form,
    /// No type at all.
    Absent,
    /// A page for people: a login form, a proxy's error, a captive portal.
    Page,
    /// Everything else, and everything that is not in UTF-8.
    Other,
}

impl MediaType {
    pub(super) fn of(response: &Response<Body>) -> Self {
        let Some(value) = response.headers().get(header::CONTENT_TYPE) else {
            return MediaType::Absent;
        };
        let Ok(value) = value.to_str() else {
            return MediaType::Other;
        };
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let other_charset =
            parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
                let value = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("charset")
                    && !["utf-8", "utf8", "us-ascii"].iter().any(|charset| value.eq_ignore_ascii_case(charset))
            });
        if is("text/html") || is("application/xhtml+xml") {
            MediaType::Page
        } else if other_charset {
            MediaType::Other
        } else if is("application/json") {
            MediaType::Json
        } else if is("application/x-www-form-urlencoded") {
            MediaType::Form
        } else if essence.is_empty() {
            MediaType::Absent
        } else if is("text/javascript") || is("text/plain") || is_json_suffixed(essence) {
            MediaType::JsonLike
        } else {
            MediaType::Other
        }
    }
}

fn is_json_suffixed(essence: &str) -> bool {
    essence.len().checked_sub(5).and_then(|at| essence.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

/// The object that a body holds, however it is written; for answers that are no success.
pub(super) fn object(response: &Response<Body>) -> Option<Object> {
    let body = response.body().expose();
    match MediaType::of(response) {
        MediaType::Form => form_object(body).ok(),
        MediaType::Json | MediaType::JsonLike | MediaType::Absent | MediaType::Page | MediaType::Other => {
            Object::parse(body).ok()
        }
    }
}

/// Reads a form as the object of strings that it means.
pub(crate) fn form_object(body: &[u8]) -> Result<Object, Rule> {
    let form = Form::parse(body, usize::MAX).map_err(|_| Rule::Form)?;
    let members: Vec<_> = form.iter().map(|(name, value)| (name, value.expose().as_str())).collect();
    Object::of_strings(&members).map_err(|error| match error.flaw {
        JsonFlaw::DuplicateMember => error.into(),
        _ => Rule::Form,
    })
}

/// A member that is a string as secrets are: visible ASCII and spaces (RFC 6749 §A.12), at most 64 KiB.
pub(super) fn secret(value: Cow<'_, str>, name: &'static str) -> Result<Secret, Rule> {
    let secret = Secret::new(value.into_owned());
    let text = secret.expose();
    // Without a branch in a chunk, so that the compiler looks at all of its bytes at once.
    let legal = text.as_bytes().chunks(32).all(|chunk| {
        chunk.iter().fold(0, |illegal, byte| illegal | u8::from(byte.wrapping_sub(0x20) > 0x7E - 0x20)) == 0
    });
    if text.len() > MAX_TOKEN || !legal {
        return Err(Rule::MemberInvalid(name));
    }
    Ok(secret)
}

/// The access token, which must be there.
pub(super) fn access_token(object: &Object) -> Result<Secret, Rule> {
    const NAME: &str = "access_token";
    match object.get(NAME) {
        None | Some(Value::Null) => Err(Rule::MemberMissing(NAME)),
        Some(Value::String(text)) if !text.is_empty() => secret(text, NAME),
        Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Rule::MemberInvalid(NAME))
        }
    }
}

/// A refresh token need not be there. Empty and `null` are none.
pub(super) fn refresh_token(object: &Object, notes: &mut Vec<Note>) -> Result<Option<Secret>, Rule> {
    const NAME: &str = "refresh_token";
    match object.get(NAME) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => secret(text, NAME).map(Some),
        Some(Value::Null | Value::String(_)) => {
            notes.push(Note::RefreshTokenEmpty);
            Ok(None)
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Rule::MemberInvalid(NAME)),
    }
}

pub(super) fn id_token(
    object: &Object,
    expect: &Expectation<'_>,
    notes: &mut Vec<Note>,
) -> Result<Option<Secret>, Rule> {
    const NAME: &str = "id_token";
    let token = match (object.get(NAME), expect.leniency) {
        (None, _) => None,
        (Some(Value::String(text)), _) if text.len() > MAX_TOKEN => return Err(Rule::JwtTooLarge),
        (Some(Value::String(text)), _) if !text.is_empty() => Some(secret(text, NAME)?),
        (Some(Value::Null | Value::String(_)), Leniency::Compat) => {
            notes.push(Note::IdTokenEmpty);
            None
        }
        (Some(Value::Null | Value::String(_)), Leniency::Strict)
        | (Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)), _) => {
            return Err(Rule::MemberInvalid(NAME));
        }
    };
    match expect.id_token {
        IdToken::Required => token.ok_or(Rule::IdTokenMissing).map(Some),
        IdToken::Optional => Ok(token),
    }
}

fn token_type(object: &Object, expect: &Expectation<'_>, notes: &mut Vec<Note>) -> Result<TokenType, Rule> {
    const NAME: &str = "token_type";
    let name = match object.get(NAME) {
        None | Some(Value::Null) => {
            return match (expect.proof, expect.leniency) {
                (Proof::Sent | Proof::SentBearerAllowed, _) => Err(Rule::Downgrade),
                (Proof::NotSent, Leniency::Strict) => Err(Rule::MemberMissing(NAME)),
                (Proof::NotSent, Leniency::Compat) => {
                    notes.push(Note::TokenTypeAssumed);
                    Ok(TokenType::Bearer)
                }
            };
        }
        Some(Value::String(name)) => name,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Rule::MemberInvalid(NAME));
        }
    };
    if name.eq_ignore_ascii_case("Bearer") {
        match expect.proof {
            Proof::NotSent => {}
            Proof::Sent => return Err(Rule::Downgrade),
            Proof::SentBearerAllowed => notes.push(Note::BearerDespiteProof),
        }
        return Ok(TokenType::Bearer);
    }
    if name.eq_ignore_ascii_case("DPoP") {
        return match expect.proof {
            Proof::NotSent => Err(Rule::KeyBound),
            Proof::Sent | Proof::SentBearerAllowed => Ok(TokenType::Dpop),
        };
    }
    let known = expect.token_types.iter().find(|known| known.eq_ignore_ascii_case(&name));
    known.map(|known| TokenType::Other(known.clone())).ok_or(Rule::TokenType)
}

/// `expires_in`: a lifetime that cannot be read is an unknown one, not a failed login.
fn lifetime(object: &Object, leniency: Leniency, notes: &mut Vec<Note>) -> Result<Option<Duration>, Rule> {
    let Some(value) = object.get("expires_in") else {
        return Ok(None);
    };
    let Some((seconds, tolerance)) = seconds(&value) else {
        if leniency == Leniency::Strict {
            return Err(Rule::MemberInvalid("expires_in"));
        }
        notes.push(Note::ExpiresInUnreadable);
        return Ok(None);
    };
    note_seconds(tolerance, "expires_in", [Note::ExpiresInText, Note::ExpiresInFraction], leniency, notes)?;
    if seconds > LONGEST_LIFETIME {
        notes.push(Note::ExpiresInClamped);
    }
    Ok(Some(seconds.min(LONGEST_LIFETIME)))
}

/// How a number of seconds was written, other than as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Text,
    Fraction,
}

/// Reads a number of seconds, rounded down: a number that is not negative, or a string of digits.
pub(super) fn seconds(value: &Value<'_>) -> Option<(Duration, Option<Written>)> {
    match value {
        Value::Number(number) => {
            let fraction = (!number.is_integral()).then_some(Written::Fraction);
            Some((Duration::from_secs(number.floor_u64()?), fraction))
        }
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // Digits only, so what does not parse is too large.
            Some((Duration::from_secs(text.parse().unwrap_or(u64::MAX)), Some(Written::Text)))
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Notes how a number of seconds was written; strictly, a string is none. In a form, everything is a string.
pub(super) fn note_seconds(
    written: Option<Written>,
    name: &'static str,
    [text, fraction]: [Note; 2],
    leniency: Leniency,
    notes: &mut Vec<Note>,
) -> Result<(), Rule> {
    match written {
        None => {}
        Some(Written::Fraction) => notes.push(fraction),
        Some(Written::Text) if notes.contains(&Note::FormEncoded) => {}
        Some(Written::Text) if leniency == Leniency::Strict => return Err(Rule::MemberInvalid(name)),
        Some(Written::Text) => notes.push(text),
    }
    Ok(())
}

pub(super) fn scope(object: &Object, expect: &Expectation<'_>, notes: &mut Vec<Note>) -> Result<Option<Scopes>, Rule> {
    let invalid = Rule::MemberInvalid("scope");
    let is_separator = |char| match expect.separator {
        Separator::Space => char == ' ',
        Separator::SpaceOrComma => char == ' ' || char == ',',
    };
    let split = |list: &str| Scopes::split(list, is_separator).map(Some).map_err(|_| invalid);
    match (object.get("scope"), expect.leniency) {
        (None, _) => Ok(None),
        (Some(Value::String(list)), _) => split(&list),
        (Some(Value::Null), Leniency::Compat) => {
            notes.push(Note::ScopeNull);
            Ok(None)
        }
        (Some(Value::Array(array)), Leniency::Compat) => {
            notes.push(Note::ScopeArray);
            let mut list = String::new();
            for value in array.iter() {
                list.push_str(&value.into_string().ok_or(invalid)?);
                list.push(' ');
            }
            split(&list)
        }
        (Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)), _) => Err(invalid),
    }
}

#[cfg(test)]
mod tests;
