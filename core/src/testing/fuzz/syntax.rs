//! The small grammars: JSON, forms, challenges, dates, URLs.

use core::time::Duration;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use url::{Host, Url};

use super::NOW;
use crate::error::JsonFlaw;
use crate::http::challenge::{self as challenges, Challenge, MAX_CHALLENGES};
use crate::http::form::{Form, MAX_PARAMETERS, encode_component};
use crate::http::json::{MAX_DEPTH, MAX_MEMBERS, Object, Value};
use crate::http::{LONGEST_WAIT, MAX_URL, Reach, UrlPolicy, http_date, is_public};
use crate::server::EndpointUrl;
use crate::testing::stimuli::ISSUER;
use crate::time::Timestamp;

/// What is accepted, `serde_json` accepts and reads alike; what only `serde_json` accepts is refused for a member that
/// stands twice, for depth or for size.
pub fn json(input: &[u8]) {
    let unmarked = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let reference = serde_json::from_slice::<serde_json::Value>(unmarked);
    let object = match Object::parse(input) {
        Ok(object) => object,
        Err(error) => {
            assert!(error.at <= input.len(), "an error behind the end of the text");
            let count = |wanted: &[u8]| unmarked.iter().filter(|byte| wanted.contains(byte)).count();
            match (error.flaw, reference.is_ok_and(|value| value.is_object())) {
                (_, false) | (JsonFlaw::DuplicateMember, true) => {}
                (JsonFlaw::TooDeep, true) => assert!(count(b"[{") >= MAX_DEPTH),
                (JsonFlaw::TooManyMembers, true) => assert!(count(b":") >= MAX_MEMBERS),
                (flaw, true) => panic!("{flaw} at {} in what is JSON", error.at),
            }
            return;
        }
    };
    assert_eq!(object.expose().as_bytes(), unmarked);
    let raw: BTreeMap<String, &RawValue> = serde_json::from_slice(unmarked).expect("what is accepted is JSON");
    assert_eq!(object.len(), raw.len());
    assert_eq!(format!("{object:?}"), format!("Object({} members)", raw.len()));
    for (name, value) in object.members() {
        assert!(raw.contains_key(name.as_ref()));
        assert!(object.get(&name).is_some());
        judge_number(&value);
    }
    match &reference {
        Ok(reference) => {
            for (name, value) in object.members() {
                compare(&value, &reference[name.as_ref()]);
            }
        }
        // Numbers that no `f64` holds are its own limit.
        Err(error) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
    }
    let owned = Object::parse_owned(input.to_vec()).expect("one that is copied and one that is not are alike");
    assert_eq!(owned.expose(), object.expose());
    let members: Vec<(String, String)> = object
        .members()
        .filter_map(|(name, value)| Some((name.into_owned(), value.into_string()?.into_owned())))
        .collect();
    let members: Vec<(&str, &str)> = members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let rewritten = Object::of_strings(&members).expect("strings that were read can be written");
    for (name, value) in members {
        let again = rewritten.get(name).and_then(Value::into_string);
        assert_eq!(again.as_deref(), Some(value));
    }
}

fn judge_number(value: &Value<'_>) {
    let Value::Number(number) = value else { return };
    let (unsigned, signed) = (number.floor_u64(), number.floor_i64());
    assert_eq!(unsigned.is_none(), number.is_negative());
    assert_eq!(signed < 0, number.is_negative());
    assert!(unsigned.is_none_or(|unsigned| i64::try_from(unsigned).unwrap_or(i64::MAX) == signed));
}

fn compare(ours: &Value<'_>, reference: &serde_json::Value) {
    match (ours, reference) {
        (Value::Null, serde_json::Value::Null) => {}
        (Value::Bool(ours), serde_json::Value::Bool(reference)) => assert_eq!(ours, reference),
        (Value::String(ours), serde_json::Value::String(reference)) => assert_eq!(ours, reference),
        (Value::Number(ours), serde_json::Value::Number(reference)) => {
            if let Some(reference) = reference.as_u64() {
                assert_eq!(ours.floor_u64(), Some(reference));
                assert!(ours.is_integral());
            }
            if let Some(reference) = reference.as_i64() {
                assert_eq!(ours.floor_i64(), reference);
            }
        }
        (Value::Array(ours), serde_json::Value::Array(reference)) => {
            assert_eq!(ours.iter().count(), reference.len());
            ours.iter().zip(reference).for_each(|(ours, reference)| compare(&ours, reference));
        }
        (Value::Object(ours), serde_json::Value::Object(reference)) => {
            assert_eq!(ours.members().count(), reference.len());
            for (name, value) in ours.members() {
                compare(&value, &reference[name.as_ref()]);
            }
        }
        (ours, reference) => panic!("{ours:?} is {reference}"),
    }
}

/// What is read, written and read again is the same; the URL Standard's parser reads it alike; limits hold.
pub fn form(input: &[u8]) {
    const LIMIT: usize = 16 * 1024;
    let Ok(form) = Form::parse(input, LIMIT) else { return };
    assert!(input.len() <= LIMIT && form.len() <= MAX_PARAMETERS);
    let reference: Vec<_> = url::form_urlencoded::parse(input).collect();
    assert_eq!(form.len(), reference.len());
    for ((name, value), (other_name, other_value)) in form.iter().zip(&reference) {
        assert_eq!((name, value.expose().as_str()), (other_name.as_ref(), other_value.as_ref()));
        assert!(!name.contains('\0') && !value.expose().contains('\0'));
        let expected: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        assert_eq!(encode_component(name).expose(), &expected);
    }
    let written = form.encode();
    let again = Form::parse(written.expose(), usize::MAX).expect("what was written can be read");
    let pairs = |form: &Form| -> Vec<(String, String)> {
        form.iter().map(|(name, value)| (name.to_owned(), value.expose().clone())).collect()
    };
    assert_eq!(pairs(&form), pairs(&again));
    assert_eq!(again.encode().expose(), written.expose());
    assert_eq!(format!("{form:?}"), format!("Form({} parameters)", reference.len()));
}

/// What is read can be written and read again with the same meaning; two values are read as one with a comma between.
pub fn challenge(input: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(input) {
        headers.append(http::header::WWW_AUTHENTICATE, value);
    }
    let found = challenges::challenges(&headers);
    let Ok(read) = challenges::parse(input) else {
        assert!(found.is_empty());
        return;
    };
    assert!(headers.is_empty() || found == read);
    assert!(read.len() <= MAX_CHALLENGES);
    let written: Vec<String> = read.iter().map(write).collect();
    assert_eq!(challenges::parse(written.join(", ").as_bytes()).as_ref(), Ok(&read));
    if read.len() <= MAX_CHALLENGES / 2 {
        let doubled = [input, b", ", input].concat();
        assert_eq!(challenges::parse(&doubled), Ok([read.clone(), read].concat()));
    }
}

fn write(challenge: &Challenge) -> String {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    assert!(is_token(challenge.scheme()) && challenge.is(&challenge.scheme().to_ascii_uppercase()));
    let mut out = challenge.scheme().to_owned();
    if let Some(token) = challenge.token68() {
        assert!(!token.is_empty() && challenge.parameters().count() == 0);
        out.push(' ');
        out.push_str(token);
    }
    assert!(challenge.parameters().count() <= MAX_CHALLENGES);
    for (at, (name, value)) in challenge.parameters().enumerate() {
        assert!(is_token(name) && challenge.get(&name.to_ascii_uppercase()) == Some(value));
        assert!(!value.chars().any(|char| char.is_control() && char != '\t'));
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        out.push_str(if at == 0 { " " } else { ", " });
        out.push_str(&format!("{name} = \"{quoted}\""));
    }
    out
}

/// No wait is longer than a day; later means shorter; a date is the same moment when it is written in the usual form.
pub fn retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let wait = |now| crate::http::retry_after(&text, now);
    let moments = [Timestamp::from_secs(0), NOW.minus(Duration::from_secs(60)), NOW, Timestamp::from_millis(u64::MAX)];
    let waits = moments.map(wait);
    for (earlier, later) in waits.iter().zip(waits.iter().skip(1)) {
        assert_eq!(earlier.is_some(), later.is_some(), "whether it can be read depends on the time");
        assert!(earlier >= later, "the later it is, the shorter the wait");
    }
    assert!(waits.iter().flatten().all(|wait| *wait <= LONGEST_WAIT));
    let Some(moment) = http_date(&text) else { return };
    assert_eq!(moment.as_millis() % 1000, 0);
    assert_eq!(wait(moment), Some(Duration::ZERO));
    // A leap second at the end of the year 9999 is in a year of five digits.
    if let Some(written) = write_date(moment) {
        assert_eq!(http_date(&written), Some(moment), "{written}");
    }
}

/// Writes a moment as IMF-fixdate, if its year has four digits (after Howard Hinnant's `civil_from_days`).
fn write_date(moment: Timestamp) -> Option<String> {
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let (days, seconds) = (moment.as_secs() / 86_400, moment.as_secs() % 86_400);
    // Days since the first of March of the year 0, in eras of 400 years.
    let days = days.checked_add(719_468)?;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = (day_of_era / 1_460).checked_sub(day_of_era / 36_524)?.checked_add(day_of_era / 146_096)?;
    let year_of_era = day_of_era.checked_sub(leap_days)? / 365;
    let before = year_of_era.checked_mul(365)?.checked_add(year_of_era / 4)?.checked_sub(year_of_era / 100)?;
    let day_of_year = day_of_era.checked_sub(before)?;
    let month = day_of_year.checked_mul(5)?.checked_add(2)? / 153;
    let day = day_of_year.checked_sub(month.checked_mul(153)?.checked_add(2)? / 5)?.checked_add(1)?;
    let year = era.checked_mul(400)?.checked_add(year_of_era)?.checked_add(u64::from(month >= 10))?;
    let month = MONTHS.get(usize::try_from(month).ok()?)?;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // The weekday is not looked at.
    (year <= 9999).then(|| format!("Mon, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

/// Nothing is accepted but `https`, or `http` to a loopback literal, without user info and fragment; what is accepted is
/// accepted again as written by the parser, and both URL parsers see the same host; nobody else's metadata leads to a
/// private address.
pub fn url_policy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let policy = UrlPolicy::default();
    let accepted = policy.parse(&text);
    if let Ok(url) = &accepted {
        judge_url(url);
        assert!(text.len() <= MAX_URL && text.is_ascii(), "text that no URI can have");
        assert_eq!(policy.parse(url.as_str()).as_ref(), Ok(url), "a URL that is refused when it is written out");
        judge_reach(url);
    }
    assert_eq!(policy.issuer(&text).is_ok(), accepted.as_ref().is_ok_and(|url| url.query().is_none()));
    for policy in [policy, policy.with_localhost_redirects()] {
        let Ok(url) = policy.redirect_uri(&text) else { continue };
        assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
        match url.scheme() {
            "https" => judge_url(&url),
            "http" if url.host_str() == Some("localhost") => assert_ne!(policy, UrlPolicy::default()),
            "http" => judge_url(&url),
            private => assert!(private.contains('.'), "the scheme {private}"),
        }
    }
}

fn judge_url(url: &Url) {
    let loopback = match url.host().expect("no host") {
        Host::Domain(_) => false,
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && loopback), "not protected: {url}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(url.as_str().len() <= MAX_URL);
}

/// Judges a URL as one of the metadata of the server at [`ISSUER`].
fn judge_reach(url: &Url) {
    let policy = UrlPolicy::default();
    let trusted = Url::parse(ISSUER).expect("the issuer is a URL");
    let Ok(reach) = policy.reach(url, Some(&trusted)) else { return };
    let host = url.host_str().unwrap_or_default();
    match reach {
        Reach::Any => assert!(matches!(host, "as.example" | "as.example."), "{host}"),
        Reach::Public => match url.host() {
            Some(Host::Ipv4(address)) => assert!(is_public(address.into()), "{address}"),
            Some(Host::Ipv6(address)) => assert!(is_public(address.into()), "{address}"),
            Some(Host::Domain(name)) => assert!(!is_localhost(name), "{name}"),
            None => panic!("no host"),
        },
    }
    if let Ok(EndpointUrl { uri, .. }) = EndpointUrl::new(url.clone(), reach) {
        assert_eq!(uri.host(), Some(host), "two parsers see two hosts");
        assert_eq!(uri.scheme_str(), Some(url.scheme()));
        assert_eq!(uri.port_u16(), url.port(), "two parsers see two ports");
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
