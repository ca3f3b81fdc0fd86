//! The checks of the claims, one after another, each told to whoever watches.

use core::time::Duration;
use std::borrow::Cow;

use super::SignatureAlgorithm;
use super::base64url;
use super::rules::{Binding, IdTokenRules, NonceRule, Requirement};
use crate::crypto::Crypto;
use crate::error::{Error, SecurityError, safe_text};
use crate::http::json::{Array, Object, Value};
use crate::machine::{Check, Observer};
use crate::time::Timestamp;

/// What is shown in place of a secret.
const HIDDEN: &str = "(hidden)";
const ABSENT: &str = "(absent)";

/// The longest `sub` (OpenID Connect Core §2).
const SUBJECT_LIMIT: usize = 255;

/// The first second of the year 10000. A later time is no time but a mistake, or milliseconds.
const END_OF_TIME: u64 = 253_402_300_800;

/// Tells checks to whoever watches. With nobody there, no text is made.
pub(super) struct Checks<'o> {
    pub(super) observer: Option<&'o mut dyn Observer>,
}

impl Checks<'_> {
    /// Tells one check and hands its result on. `facts` gives what is expected and what is found.
    pub(super) fn require<T, E>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
        facts: impl FnOnce() -> (String, String),
    ) -> Result<T, E> {
        if let Some(observer) = self.observer.as_deref_mut() {
            let (expected, found) = facts();
            observer.check(&Check { name, expected: &expected, found: &found, passed: result.is_ok() });
        }
        result
    }
}

/// The claims that are read in any case.
pub(super) struct Essentials {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Checks all claims of a token whose signature is right.
pub(super) fn check(
    claims: &Object,
    algorithm: SignatureAlgorithm,
    rules: &IdTokenRules<'_>,
    now: Timestamp,
    crypto: &dyn Crypto,
    checks: &mut Checks<'_>,
) -> Result<Essentials, Error> {
    let issuer = issuer(claims, rules, checks)?;
    let subject = subject(claims, rules, checks)?;
    audience(claims, rules, checks)?;
    let clock = Clock { now, skew: rules.skew };
    let expires_at = expiry(claims, clock, checks)?;
    let issued_at = issue(claims, rules, clock, checks)?;
    not_before(claims, clock, checks)?;
    authentication(claims, rules, clock, checks)?;
    context_class(claims, rules, checks)?;
    nonce(claims, rules, checks)?;
    hash("at_hash", claims, rules.access_token, algorithm, crypto, checks)?;
    hash("c_hash", claims, rules.code, algorithm, crypto, checks)?;
    Ok(Essentials { issuer, subject, issued_at, expires_at })
}

/// Checks what stands around the answer in a signed introspection answer, and takes the answer out (RFC 9701 §5). `None` if it
/// cannot be read by itself.
pub(super) fn introspection(
    claims: &Object,
    rules: &IdTokenRules<'_>,
    now: Timestamp,
    checks: &mut Checks<'_>,
) -> Result<Option<Object>, Error> {
    const NAME: &str = "token_introspection";
    issuer(claims, rules, checks)?;
    audience(claims, rules, checks)?;
    let clock = Clock { now, skew: rules.skew };
    issue(claims, rules, clock, checks)?;
    if claims.contains("exp") {
        expiry(claims, clock, checks)?;
    }
    not_before(claims, clock, checks)?;
    let found = claims.get(NAME);
    let object = match &found {
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(wrong(NAME, Some("an object"), None)),
        None => Err(missing(NAME)),
    };
    // It is about a person, so it is not shown.
    let object = checks.require(NAME, object, || ("an object".to_owned(), hidden(found.as_ref())))?;
    Ok(Object::parse(object.as_str().as_bytes()).ok())
}

fn issuer(claims: &Object, rules: &IdTokenRules<'_>, checks: &mut Checks<'_>) -> Result<String, Error> {
    let found = claims.get("iss");
    let tid = || claims.get("tid").and_then(Value::into_string);
    let expected = rules.issuer_rule.expected(rules.issuer, tid);
    let result = match (&found, &expected) {
        (None, _) => Err(missing("iss")),
        (Some(_), None) => Err(missing("tid")),
        (Some(Value::String(found)), Some(expected)) if rules.issuer_rule.accepts(expected, found) => Ok(()),
        (Some(found), Some(expected)) => Err(wrong("iss", Some(expected), Some(found))),
    };
    let expected = || expected.as_deref().unwrap_or(rules.issuer).to_owned();
    checks.require("iss", result, || (expected(), shown(found.as_ref())))?;
    string(found, "iss")
}

fn subject(claims: &Object, rules: &IdTokenRules<'_>, checks: &mut Checks<'_>) -> Result<String, Error> {
    let found = claims.get("sub");
    let result = match &found {
        None => Err(missing("sub")),
        Some(Value::String(sub)) if sub.is_empty() || sub.len() > SUBJECT_LIMIT => Err(wrong("sub", None, None)),
        Some(Value::String(sub)) if rules.subject.is_some_and(|expected| expected != sub) => {
            Err(wrong("sub", None, None))
        }
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(wrong("sub", None, None)),
    };
    // It names a person, so it is not shown.
    checks.require("sub", result, || {
        let expected = if rules.subject.is_some() { "the same person" } else { "1 to 255 bytes" };
        (expected.to_owned(), hidden(found.as_ref()))
    })?;
    string(found, "sub")
}

fn string(claim: Option<Value<'_>>, name: &'static str) -> Result<String, Error> {
    claim.and_then(Value::into_string).map(Cow::into_owned).ok_or_else(|| missing(name))
}

fn audience(claims: &Object, rules: &IdTokenRules<'_>, checks: &mut Checks<'_>) -> Result<(), Error> {
    let found = claims.get("aud");
    let azp = claims.get("azp");
    let all = || audiences(found.clone());
    let wrong_audience = || wrong("aud", Some(rules.client_id), found.as_ref());
    let authorized = match &azp {
        None => None,
        Some(Value::String(azp)) => Some(azp == rules.client_id),
        Some(_) => Some(false),
    };
    let others_trusted =
        || all().all(|one| one == rules.client_id || rules.trusted_audiences.iter().any(|trusted| *trusted == one));
    let result = match &found {
        None => Err(missing("aud")),
        Some(Value::Array(array)) if array.iter().any(|one| one.into_string().is_none()) => Err(wrong_audience()),
        Some(_) if !all().any(|one| one == rules.client_id) => Err(wrong_audience()),
        // A token for several audiences is meant for the client only if it says who asked for it.
        Some(_) if all().nth(1).is_some() && (authorized.is_none() || !others_trusted()) => Err(wrong_audience()),
        Some(_) => Ok(()),
    };
    checks.require("aud", result, || (rules.client_id.to_owned(), shown(found.as_ref())))?;
    if let Some(authorized) = authorized {
        let result = if authorized { Ok(()) } else { Err(wrong("azp", Some(rules.client_id), azp.as_ref())) };
        checks.require("azp", result, || (rules.client_id.to_owned(), shown(azp.as_ref())))?;
    }
    Ok(())
}

/// The audiences, whether `aud` is one string or several. What is not a string is left out.
pub(super) fn audiences(aud: Option<Value<'_>>) -> impl Iterator<Item = Cow<'_, str>> {
    let (one, several) = match aud {
        Some(Value::String(one)) => (Some(one), None),
        Some(Value::Array(several)) => (None, Some(several)),
        _ => (None, None),
    };
    one.into_iter().chain(several.into_iter().flat_map(Array::iter).filter_map(Value::into_string))
}

#[derive(Clone, Copy)]
struct Clock {
    now: Timestamp,
    skew: Duration,
}

impl Clock {
    /// Whether a moment lies further ahead than the clocks may differ.
    fn is_ahead(self, moment: Timestamp) -> bool {
        moment > self.now.plus(self.skew)
    }

    /// Whether a moment has passed, even if the clocks differ as far as they may. Equality is passed.
    fn is_past(self, moment: Timestamp) -> bool {
        moment.plus(self.skew) <= self.now
    }

    fn wrong(self, claim: &'static str, moment: Timestamp) -> Error {
        let value = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
        Error::Security(SecurityError::Time { claim, value, now: self.now.as_secs() })
    }
}

fn expiry(claims: &Object, clock: Clock, checks: &mut Checks<'_>) -> Result<Timestamp, Error> {
    let found = claims.get("exp");
    let result = moment(found.as_ref(), "exp")
        .and_then(|moment| if clock.is_past(moment) { Err(clock.wrong("exp", moment)) } else { Ok(moment) });
    checks.require("exp", result, || (format!("after {}", clock.now.as_secs()), shown(found.as_ref())))
}

fn issue(claims: &Object, rules: &IdTokenRules<'_>, clock: Clock, checks: &mut Checks<'_>) -> Result<Timestamp, Error> {
    let found = claims.get("iat");
    let result = moment(found.as_ref(), "iat").and_then(|moment| {
        let too_old = rules.max_issued_age.is_some_and(|age| clock.is_past(moment.plus(age)));
        if too_old || clock.is_ahead(moment) { Err(clock.wrong("iat", moment)) } else { Ok(moment) }
    });
    checks.require("iat", result, || (format!("not after {}", clock.now.as_secs()), shown(found.as_ref())))
}

fn not_before(claims: &Object, clock: Clock, checks: &mut Checks<'_>) -> Result<(), Error> {
    let Some(found) = claims.get("nbf") else {
        return Ok(());
    };
    let result = moment(Some(&found), "nbf")
        .and_then(|moment| if clock.is_ahead(moment) { Err(clock.wrong("nbf", moment)) } else { Ok(()) });
    checks.require("nbf", result, || (format!("not after {}", clock.now.as_secs()), shown(Some(&found))))
}

fn authentication(
    claims: &Object,
    rules: &IdTokenRules<'_>,
    clock: Clock,
    checks: &mut Checks<'_>,
) -> Result<(), Error> {
    if rules.max_age.is_none() && rules.auth_time == Requirement::Optional {
        return Ok(());
    }
    let found = claims.get("auth_time");
    let result = moment(found.as_ref(), "auth_time").and_then(|moment| {
        // Not `is_past`: a login exactly as old as asked for is young enough.
        let too_old = rules.max_age.is_some_and(|age| moment.plus(age).plus(clock.skew) < clock.now);
        if too_old || clock.is_ahead(moment) { Err(clock.wrong("auth_time", moment)) } else { Ok(()) }
    });
    checks.require("auth_time", result, || {
        let since = rules.max_age.map_or(Timestamp::from_secs(0), |age| clock.now.minus(age));
        (format!("not before {}", since.as_secs()), shown(found.as_ref()))
    })
}

fn context_class(claims: &Object, rules: &IdTokenRules<'_>, checks: &mut Checks<'_>) -> Result<(), Error> {
    if rules.acr_values.is_empty() {
        return Ok(());
    }
    let found = claims.get("acr");
    let expected = || rules.acr_values.join(" ");
    let result = match &found {
        None => Err(missing("acr")),
        Some(Value::String(acr)) if rules.acr_values.iter().any(|wanted| wanted == acr) => Ok(()),
        Some(other) => Err(wrong("acr", Some(&expected()), Some(other))),
    };
    checks.require("acr", result, || (expected(), shown(found.as_ref())))
}

fn nonce(claims: &Object, rules: &IdTokenRules<'_>, checks: &mut Checks<'_>) -> Result<(), Error> {
    let found = claims.get("nonce");
    let (result, expected) = match (rules.nonce, &found) {
        (NonceRule::Unchecked, _) => return Ok(()),
        (NonceRule::Absent, None) => (Ok(()), ABSENT),
        (NonceRule::Absent, Some(_)) => (Err(wrong("nonce", None, None)), ABSENT),
        (NonceRule::Equal(_), None) => (Err(missing("nonce")), HIDDEN),
        (NonceRule::Equal(nonce), Some(Value::String(found))) if nonce.matches(found.as_bytes()) => (Ok(()), HIDDEN),
        (NonceRule::Equal(_), Some(_)) => (Err(wrong("nonce", None, None)), HIDDEN),
    };
    checks.require("nonce", result, || (expected.to_owned(), hidden(found.as_ref())))
}

/// Compares the left half of a secret's hash (OpenID Connect Core §3.1.3.6, §3.3.2.11).
fn hash(
    name: &'static str,
    claims: &Object,
    binding: Option<Binding<'_>>,
    algorithm: SignatureAlgorithm,
    crypto: &dyn Crypto,
    checks: &mut Checks<'_>,
) -> Result<(), Error> {
    let Some(binding) = binding else { return Ok(()) };
    let found = claims.get(name);
    let result = match (&found, binding.requirement) {
        (None, Requirement::Optional) => return Ok(()),
        (None, Requirement::Required) => Err(missing(name)),
        (Some(Value::String(found)), _) => {
            let digest = crypto.hash(algorithm.hash(), binding.secret.expose().as_bytes());
            let digest = digest.as_bytes();
            let half = digest.get(..digest.len() / 2).unwrap_or_default();
            if base64url::spells(found, half) { Ok(()) } else { Err(wrong(name, None, None)) }
        }
        (Some(_), _) => Err(wrong(name, None, None)),
    };
    checks.require(name, result, || (HIDDEN.to_owned(), hidden(found.as_ref())))
}

/// Reads a `NumericDate`: a number, rounded down, between 1970 and the year 9999.
pub(super) fn numeric_date(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Number(number) => number.floor_u64().filter(|seconds| *seconds < END_OF_TIME).map(Timestamp::from_secs),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn moment(value: Option<&Value<'_>>, name: &'static str) -> Result<Timestamp, Error> {
    let value = value.ok_or_else(|| missing(name))?;
    numeric_date(value).ok_or_else(|| wrong(name, None, Some(value)))
}

fn missing(claim: &'static str) -> Error {
    Error::Security(SecurityError::ClaimMissing(claim))
}

fn wrong(claim: &'static str, expected: Option<&str>, found: Option<&Value<'_>>) -> Error {
    Error::Security(SecurityError::Claim {
        claim,
        expected: expected.map(str::to_owned),
        found: found.map(|found| shown(Some(found))),
    })
}

fn hidden(value: Option<&Value<'_>>) -> String {
    if value.is_some() { HIDDEN.to_owned() } else { ABSENT.to_owned() }
}

/// What a claim says, safe to print and cut.
fn shown(value: Option<&Value<'_>>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => safe_text(number.as_str()),
        Some(Value::String(text)) => safe_text(text),
        Some(Value::Array(array)) => {
            let members: Vec<_> = array.iter().take(4).map(|one| one.into_string().unwrap_or("?".into())).collect();
            safe_text(&format!("[{}]", members.join(", ")))
        }
        Some(Value::Object(_)) => "{..}".to_owned(),
    }
}
