//! The answer that begins a device authorization (RFC 8628 §3.2).

use core::fmt;
use core::time::Duration;

use http::Response;
use url::Url;

use super::answer::{self, Success, Written};
use super::refusal::broken;
use super::{Leniency, Note};
use crate::error::{Endpoint, Error, Rule, safe_text};
use crate::http::json::{Object, Value};
use crate::http::{Body, UrlPolicy};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The time between two polls if the server does not say (RFC 8628 §3.2).
const USUAL_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest and the longest time between two polls, whatever the server says.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// How long a device code is taken to live if the server does not say.
const USUAL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a device code is believed to live at most.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a user code may be, in bytes. A person has to type it.
const MAX_USER_CODE: usize = 128;

/// How long a verification URI may be, in bytes. A person may have to type that too.
const MAX_VERIFICATION_URI: usize = 1_000;

/// What the server gives to begin with: a code for the device and a code for the person.
///
/// Texts for people are escaped and bounded. `Debug` shows no code.
pub struct DeviceAuthorization {
    /// What the device polls with.
    pub device_code: Secret,
    /// What the person types.
    pub user_code: Secret,
    /// Where the person types it, as text.
    pub verification_uri: String,
    /// The same as a URL, if a browser may open it: `https`, or `http` to a loopback literal.
    pub openable: Option<Url>,
    /// The URL with the code in it, if it may be opened and is of the same host.
    pub complete: Option<Url>,
    /// When the codes stop working.
    pub expires_at: Timestamp,
    /// How long to wait between two polls: 1 to 300 seconds.
    pub interval: Duration,
    /// The tolerances that were used.
    pub notes: Vec<Note>,
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("expires_at", &self.expires_at)
            .field("interval", &self.interval)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Reads the answer of a device authorization endpoint.
///
/// # Errors
/// As [`answer::success`], and [`Error::Protocol`] for a member that is missing or impossible.
pub fn parse(response: &Response<Body>, leniency: Leniency, now: Timestamp) -> Result<DeviceAuthorization, Error> {
    let endpoint = Endpoint::DeviceAuthorization;
    let Success { object, notes } = answer::success(response, leniency, now, endpoint)?;
    read(&object, leniency, now, notes).map_err(|rule| broken(response, endpoint, rule))
}

/// The interval that some servers name in a `slow_down`, if this one does.
pub(crate) fn named_interval(response: &Response<Body>) -> Option<Duration> {
    let object = answer::object(response)?;
    object.get("interval")?;
    interval(&object, Leniency::Compat, &mut Vec::new()).ok()
}

fn read(
    object: &Object,
    leniency: Leniency,
    now: Timestamp,
    mut notes: Vec<Note>,
) -> Result<DeviceAuthorization, Rule> {
    let device_code = answer::secret(string(object, "device_code")?.into(), "device_code")?;
    let user_code = string(object, "user_code")?;
    if user_code.len() > MAX_USER_CODE {
        return Err(Rule::MemberInvalid("user_code"));
    }
    let verification_uri = verification_uri(object, leniency, &mut notes)?;
    if verification_uri.len() > MAX_VERIFICATION_URI {
        return Err(Rule::MemberInvalid("verification_uri"));
    }
    let openable = openable(&verification_uri);
    if openable.is_none() {
        notes.push(Note::VerificationUriNotOpenable);
    }
    let complete = match object.get("verification_uri_complete") {
        None => None,
        Some(value) => {
            let complete = value
                .into_string()
                .and_then(|text| self::openable(&text))
                .filter(|complete| openable.as_ref().is_some_and(|openable| openable.origin() == complete.origin()));
            if complete.is_none() {
                notes.push(Note::VerificationUriCompleteDropped);
            }
            complete
        }
    };
    let lifetime = lifetime(object, leniency, &mut notes)?;
    Ok(DeviceAuthorization {
        device_code,
        user_code: Secret::new(safe_text(&user_code)),
        verification_uri: safe_text(&verification_uri),
        openable,
        complete,
        expires_at: now.plus(lifetime),
        interval: interval(object, leniency, &mut notes)?,
        notes,
    })
}

/// A string that must be there and not be empty.
fn string(object: &Object, name: &'static str) -> Result<String, Rule> {
    match object.get(name) {
        None | Some(Value::Null) => Err(Rule::MemberMissing(name)),
        Some(Value::String(text)) if !text.is_empty() => Ok(text.into_owned()),
        Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Rule::MemberInvalid(name))
        }
    }
}

/// Some servers keep the name that the drafts of RFC 8628 had. The name of the RFC wins.
fn verification_uri(object: &Object, leniency: Leniency, notes: &mut Vec<Note>) -> Result<String, Rule> {
    match string(object, "verification_uri") {
        Err(Rule::MemberMissing(name)) if leniency == Leniency::Compat => {
            let uri = string(object, "verification_url").map_err(|_| Rule::MemberMissing(name))?;
            notes.push(Note::VerificationUrl);
            Ok(uri)
        }
        uri => uri,
    }
}

/// The URL, if a browser may be sent there. Unlike an endpoint, a page may be named by a fragment.
fn openable(text: &str) -> Option<Url> {
    let (page, fragment) = text.split_once('#').map_or((text, None), |(page, fragment)| (page, Some(fragment)));
    let mut url = UrlPolicy::default().parse(page).ok()?;
    let graphic = |fragment: &&str| fragment.bytes().all(|byte| byte.is_ascii_graphic());
    if fragment.is_some_and(|fragment| !graphic(&fragment)) {
        return None;
    }
    url.set_fragment(fragment);
    Some(url)
}

fn lifetime(object: &Object, leniency: Leniency, notes: &mut Vec<Note>) -> Result<Duration, Rule> {
    const NAME: &str = "expires_in";
    let value = match (object.get(NAME), leniency) {
        (None | Some(Value::Null), Leniency::Compat) => {
            notes.push(Note::ExpiresInAssumed);
            return Ok(USUAL_LIFETIME);
        }
        (None | Some(Value::Null), Leniency::Strict) => return Err(Rule::MemberMissing(NAME)),
        (Some(value), _) => value,
    };
    let (seconds, written) = answer::seconds(&value).ok_or(Rule::MemberInvalid(NAME))?;
    answer::note_seconds(written, NAME, [Note::ExpiresInText, Note::ExpiresInFraction], leniency, notes)?;
    if seconds.is_zero() {
        return Err(Rule::MemberInvalid(NAME));
    }
    if seconds > LONGEST_LIFETIME {
        notes.push(Note::ExpiresInClamped);
    }
    Ok(seconds.min(LONGEST_LIFETIME))
}

fn interval(object: &Object, leniency: Leniency, notes: &mut Vec<Note>) -> Result<Duration, Rule> {
    const NAME: &str = "interval";
    let value = match object.get(NAME) {
        None => return Ok(USUAL_INTERVAL),
        Some(Value::Null) => {
            notes.push(Note::IntervalNull);
            return Ok(USUAL_INTERVAL);
        }
        Some(value) => value,
    };
    let (seconds, written) = answer::seconds(&value).ok_or(Rule::MemberInvalid(NAME))?;
    answer::note_seconds(written, NAME, [Note::IntervalText, Note::IntervalFraction], leniency, notes)?;
    // Asking too early costs five seconds more each time, so a fraction counts as a whole second.
    let seconds = match written {
        Some(Written::Fraction) => seconds.saturating_add(Duration::from_secs(1)),
        Some(Written::Text) | None => seconds,
    };
    let (shortest, longest) = INTERVALS;
    if seconds < shortest {
        notes.push(Note::IntervalZero);
    }
    if seconds > longest {
        notes.push(Note::IntervalClamped);
    }
    Ok(seconds.clamp(shortest, longest))
}

#[cfg(test)]
mod tests;
