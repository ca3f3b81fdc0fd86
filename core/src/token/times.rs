//! The times of a stored token, which every writer writes in another way.

use core::time::Duration;

use super::Note;
use super::answer::LONGEST_LIFETIME;
use crate::http::json::{Object, Value};
use crate::time::Timestamp;

/// The last moment that is believed: the end of the year 9999. What lies behind it is no time in seconds.
const LATEST: Timestamp = Timestamp::from_secs(253_402_300_799);

/// How long the text of a number may be.
const LONGEST_NUMBER: usize = 64;

/// The names of the members that speak of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) granted_at: &'a str,
    pub(super) expires_at: &'a str,
    pub(super) expires_in: &'a str,
}

impl Names<'_> {
    pub(super) const USUAL: Names<'static> =
        Names { granted_at: "granted_at", expires_at: "expires_at", expires_in: "expires_in" };
}

/// When a token came and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) received_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

/// Reads the times of a record that any program may have written: integers, fractions or text.
///
/// `expires_at` wins; else `expires_in` counts from `granted_at`. A token that nobody knows the age of came `now`, but its
/// lifetime is then unknown.
pub(super) fn foreign(object: &Object, names: Names<'_>, now: Timestamp, notes: &mut Vec<Note>) -> Times {
    let mut read = |name, note| {
        let value = object.get(name)?;
        let moment = believable(&value);
        if moment.is_none() {
            notes.push(note);
        }
        moment
    };
    let granted_at = read(names.granted_at, Note::GrantedAtUnreadable);
    let expires_at = read(names.expires_at, Note::ExpiresAtUnreadable);
    let lifetime = object.get(names.expires_in).and_then(|value| {
        let lifetime = moment(&value).map(|lifetime| lifetime.since(Timestamp::from_secs(0)));
        match lifetime {
            None => notes.push(Note::ExpiresInUnreadable),
            Some(lifetime) if lifetime > LONGEST_LIFETIME => notes.push(Note::ExpiresInClamped),
            Some(_) => {}
        }
        lifetime.map(|lifetime| lifetime.min(LONGEST_LIFETIME))
    });
    match (granted_at, expires_at, lifetime) {
        (Some(received_at), Some(_), _) => Times { received_at, expires_at },
        (Some(received_at), None, lifetime) => {
            Times { received_at, expires_at: lifetime.map(|lifetime| received_at.plus(lifetime)) }
        }
        (None, Some(end), lifetime) => {
            Times { received_at: lifetime.map_or(now, |lifetime| end.minus(lifetime).min(now)), expires_at }
        }
        (None, None, lifetime) => {
            if lifetime.is_some() {
                notes.push(Note::GrantTimeMissing);
            }
            Times { received_at: now, expires_at: None }
        }
    }
}

/// Reads the times of a record of ours, which knows them to the millisecond. What the flat members say wins where they
/// disagree: then another program has written new tokens into the record.
pub(super) fn own(object: &Object, known: Times) -> Times {
    let read = |name, known: Option<Timestamp>| {
        let moment = moment(&object.get(name)?)?;
        known.filter(|known| known.as_secs() == moment.as_secs()).or(Some(moment).filter(|moment| *moment <= LATEST))
    };
    Times {
        received_at: read(Names::USUAL.granted_at, Some(known.received_at)).unwrap_or(known.received_at),
        expires_at: read(Names::USUAL.expires_at, known.expires_at),
    }
}

/// Reads a moment that lies before the end of all years.
pub(super) fn believable(value: &Value<'_>) -> Option<Timestamp> {
    moment(value).filter(|moment| *moment <= LATEST)
}

/// Reads a number of seconds to the nearest millisecond: a number that is not negative, or the text of one.
pub(super) fn moment(value: &Value<'_>) -> Option<Timestamp> {
    let text = match value {
        Value::Number(number) => number.as_str(),
        Value::String(text) => text.trim(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    if let Ok(whole) = text.parse() {
        return Some(Timestamp::from_secs(whole));
    }
    let seconds = Some(text).filter(|text| text.len() <= LONGEST_NUMBER)?.parse().ok()?;
    let nearest = Duration::try_from_secs_f64(seconds).ok()?.saturating_add(Duration::from_micros(500));
    Some(Timestamp::from_secs(0).plus(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn read(json: &str) -> (u64, Option<u64>, Vec<Note>) {
        let mut notes = Vec::new();
        let times = foreign(&Object::parse(json.as_bytes()).unwrap(), Names::USUAL, NOW, &mut notes);
        (times.received_at.as_millis(), times.expires_at.map(Timestamp::as_millis), notes)
    }

    #[test]
    fn x_08_l_30_a_51_a_56_times_are_integers_fractions_or_text() {
        for (json, received, expires) in [
            (r#"{"granted_at":900,"expires_at":1010}"#, 900_000, Some(1_010_000)),
            (r#"{"granted_at":900.25,"expires_at":1010.001}"#, 900_250, Some(1_010_001)),
            (r#"{"granted_at":"900.25","expires_at":" 1010 "}"#, 900_250, Some(1_010_000)),
            (r#"{"granted_at":1800000000.123457,"expires_at":1.8e9}"#, 1_800_000_000_123, Some(1_800_000_000_000)),
            (r#"{"granted_at":900,"expires_in":"3600"}"#, 900_000, Some(4_500_000)),
            (r#"{"granted_at":900,"expires_in":10.5}"#, 900_000, Some(910_500)),
            (r#"{"granted_at":900,"expires_in":0}"#, 900_000, Some(900_000)),
            (r#"{"granted_at":900,"expires_at":2000,"expires_in":3600}"#, 900_000, Some(2_000_000)),
            (r#"{"expires_at":0}"#, 1_000_000, Some(0)),
            (r#"{"expires_at":4500,"expires_in":3600}"#, 900_000, Some(4_500_000)),
            (r#"{"expires_at":9500,"expires_in":3600}"#, 1_000_000, Some(9_500_000)),
            (r#"{"granted_at":900}"#, 900_000, None),
            ("{}", 1_000_000, None),
        ] {
            assert_eq!(read(json), (received, expires, vec![]), "{json}");
        }
    }

    #[test]
    fn a_52_what_is_no_time_is_absent_and_noted() {
        for value in
            ["null", "-1", r#""-1""#, r#""soon""#, "1e300", r#""inf""#, r#""NaN""#, "true", "[]", "{}", r#""""#]
        {
            let (_, expires, notes) = read(&format!(r#"{{"granted_at":900,"expires_at":{value}}}"#));
            assert_eq!((expires, notes), (None, vec![Note::ExpiresAtUnreadable]), "{value}");
            let (_, expires, notes) = read(&format!(r#"{{"granted_at":900,"expires_in":{value}}}"#));
            assert_eq!((expires, notes), (None, vec![Note::ExpiresInUnreadable]), "{value}");
            let (received, _, notes) = read(&format!(r#"{{"granted_at":{value}}}"#));
            assert_eq!((received, notes), (1_000_000, vec![Note::GrantedAtUnreadable]), "{value}");
        }
        // The lifetime still counts when the end cannot be read.
        assert_eq!(read(r#"{"granted_at":900,"expires_at":"soon","expires_in":60}"#).1, Some(960_000));
        for (lifetime, notes) in
            [("315360000", vec![]), ("315360001", vec![Note::ExpiresInClamped]), ("1e15", vec![Note::ExpiresInClamped])]
        {
            let (_, expires, found) = read(&format!(r#"{{"granted_at":900,"expires_in":{lifetime}}}"#));
            assert_eq!((expires, found), (Some(315_360_900_000), notes), "{lifetime}");
        }
        let long = format!(r#"{{"expires_at":"1{}"}}"#, "0".repeat(100_000));
        assert_eq!(read(&long).1, None);
    }

    #[test]
    fn fl_31_a_time_in_milliseconds_or_beyond_all_years_is_none() {
        assert_eq!(read(r#"{"expires_at":253402300799}"#).1, Some(253_402_300_799_000));
        for value in ["253402300800", "1800000000000", "18446744073709551615"] {
            let (_, expires, notes) = read(&format!(r#"{{"expires_at":{value}}}"#));
            assert_eq!((expires, notes), (None, vec![Note::ExpiresAtUnreadable]), "{value}");
        }
        for seconds in [2_147_483_647_u64, 2_147_483_648, 4_294_967_295, 4_294_967_296] {
            assert_eq!(read(&format!(r#"{{"expires_at":{seconds}}}"#)).1, Some(seconds * 1000));
        }
    }

    #[test]
    fn h_13_a_lifetime_that_counts_from_nowhere_is_unknown() {
        assert_eq!(read(r#"{"expires_in":3600}"#), (1_000_000, None, vec![Note::GrantTimeMissing]));
    }

    #[test]
    fn flat_times_win_over_our_own() {
        let known =
            Times { received_at: Timestamp::from_millis(900_250), expires_at: Some(Timestamp::from_millis(1_010_250)) };
        let read = |json: &str| own(&Object::parse(json.as_bytes()).unwrap(), known);
        assert_eq!(read(r#"{"granted_at":900,"expires_at":1010}"#), known);
        let other =
            Times { received_at: Timestamp::from_secs(901), expires_at: Some(Timestamp::from_millis(1_011_500)) };
        assert_eq!(read(r#"{"granted_at":901,"expires_at":1011.5}"#), other);
        assert_eq!(read("{}"), Times { expires_at: None, ..known });
    }
}
