//! The `Retry-After` header (RFC 9110 §10.2.3) and the dates of HTTP (RFC 9110 §5.6.7).

use core::time::Duration;

use crate::time::Timestamp;

/// The longest wait that a server can ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a `Retry-After` value asks to wait from `now`; `None` if it cannot be read.
///
/// Seconds, or a date in any of the three forms. A date in the past is no wait; nothing is longer than
/// [`LONGEST_WAIT`].
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits only, so what does not parse is too large.
        value.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        http_date(value)?.since(now)
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Reads a date of HTTP: IMF-fixdate, or one of the obsolete forms of RFC 850 and asctime. Whole seconds.
///
/// The day must exist; whether it is the weekday that is named is not checked. Years of two digits are 1970 to 2069, and
/// what lies before 1970 is the epoch.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.split_at_checked(text.find([',', ' '])?)?;
    let [day, month, year, time] = if let Some(date) = rest.strip_prefix(", ") {
        let date = date.strip_suffix(" GMT")?;
        if let Some((date, time)) = date.split_once(' ').filter(|(date, _)| date.contains('-')) {
            member(&LONG_WEEKDAYS, weekday)?;
            let mut parts = date.split('-');
            let [day, month, year] = [parts.next()?, parts.next()?, parts.next()?];
            let year = number(year, 2)?;
            if parts.next().is_some() {
                return None;
            }
            let century = if year < 70 { 2000 } else { 1900 };
            return moment(number(day, 2)?, month, year.saturating_add(century), time);
        }
        member(&WEEKDAYS, weekday)?;
        words(date)?
    } else {
        member(&WEEKDAYS, weekday)?;
        let [month, day, time, year] = words(rest.strip_prefix(' ')?)?;
        [day, month, year, time]
    };
    // asctime writes a day of one digit after a second space, which `words` leaves in place.
    let day = day.strip_prefix(' ').map_or_else(|| number(day, 2), |digit| number(digit, 1))?;
    moment(day, month, number(year, 4)?, time)
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Each month's name and how many days of a common year lie before it and in it.
const MONTHS: [(&str, u64, u64); 12] = [
    ("Jan", 0, 31),
    ("Feb", 31, 28),
    ("Mar", 59, 31),
    ("Apr", 90, 30),
    ("May", 120, 31),
    ("Jun", 151, 30),
    ("Jul", 181, 31),
    ("Aug", 212, 31),
    ("Sep", 243, 30),
    ("Oct", 273, 31),
    ("Nov", 304, 30),
    ("Dec", 334, 31),
];

fn member(names: &[&str], name: &str) -> Option<()> {
    names.contains(&name).then_some(())
}

/// Splits at single spaces into four words; a second space stays with the word after it.
fn words(text: &str) -> Option<[&str; 4]> {
    let (one, rest) = text.split_once(' ')?;
    let (padding, rest) = rest.strip_prefix(' ').map_or((0, rest), |_| (1, rest));
    let end = rest.get(padding..)?.find(' ')?.checked_add(padding)?;
    let (two, rest) = rest.split_at_checked(end)?;
    let (three, four) = rest.strip_prefix(' ')?.split_once(' ')?;
    Some([one, two, three, four])
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn moment(day: u64, month: &str, year: u64, time: &str) -> Option<Timestamp> {
    let (_, before, length) = MONTHS.iter().find(|(name, ..)| *name == month)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = *length == 28;
    if day == 0 || day > length.saturating_add(u64::from(leap && february)) {
        return None;
    }
    let mut parts = time.split(':');
    let [hour, minute, second] = [number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?];
    // RFC 9110 allows a leap second.
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let past_february = *before >= 59;
    let leap_days = |year: u64| (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
    let Some(years) = year.checked_sub(1970) else {
        return Some(Timestamp::from_secs(0));
    };
    let days = years
        .saturating_mul(365)
        .saturating_add(leap_days(year.saturating_sub(1)).saturating_sub(leap_days(1969)))
        .saturating_add(*before)
        .saturating_add(u64::from(leap && past_february))
        .saturating_add(day.saturating_sub(1));
    let seconds = days.saturating_mul(24).saturating_add(hour).saturating_mul(60).saturating_add(minute);
    Some(Timestamp::from_secs(seconds.saturating_mul(60).saturating_add(second)))
}

#[cfg(test)]
mod tests;
