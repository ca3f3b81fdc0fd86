use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT
const EXAMPLE: u64 = 784_111_777;

fn wait(value: &str) -> Option<u64> {
    retry_after(value, Timestamp::from_secs(EXAMPLE - 100)).map(|wait| wait.as_secs())
}

#[test]
fn fl_02_seconds_are_read_and_clamped() {
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 120\t", Some(120)),
        ("00120", Some(120)),
        ("86400", Some(86_400)),
        ("86401", Some(86_400)),
        ("18446744073709551616", Some(86_400)),
        ("99999999999999999999999999999999", Some(86_400)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
    ] {
        assert_eq!(wait(value), seconds, "{value}");
    }
}

#[test]
fn fl_02_dates_of_all_three_forms_are_read() {
    for (value, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(100)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(100)),
        ("Sun Nov  6 08:49:37 1994", Some(100)),
        ("Sun, 06 Nov 1994 08:47:57 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
        ("Mon, 01 Jan 1900 00:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
        ("Sun, 06 Nov 1994 08:49:60 GMT", Some(123)),
    ] {
        assert_eq!(wait(value), seconds, "{value}");
    }
}

#[test]
fn years_of_two_digits_end_in_2069_and_leap_years_have_one_day_more() {
    for (value, seconds) in [
        ("Thursday, 01-Jan-70 00:00:07 GMT", Some(7)),
        ("Tuesday, 19-Jan-38 03:14:08 GMT", Some(2_147_483_648)),
        ("Tuesday, 31-Dec-69 23:59:59 GMT", Some(3_155_759_999)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
        ("Wed, 31 Apr 2024 00:00:00 GMT", None),
        ("Wed, 29 Feb 2023 00:00:00 GMT", None),
        ("Mon, 29 Feb 2100 00:00:00 GMT", None),
    ] {
        assert_eq!(http_date(value).map(Timestamp::as_secs), seconds, "{value}");
    }
}

#[test]
fn fl_02_junk_is_no_date() {
    for value in [
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94-1 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov   6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "Sun,",
        "Sun ",
        ", ",
        ",",
        " ",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "é, 06 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(wait(value), None, "{value}");
    }
}

#[test]
fn every_day_of_four_centuries_is_what_httpdate_says() {
    for day in 0..146_097_u64 {
        let time = system_time(Timestamp::from_secs(day * 86_400 + day % 86_400));
        let text = httpdate::fmt_http_date(time);
        let ours = http_date(&text).map(system_time);
        assert_eq!(ours, Some(time), "{text}");
    }
}

fn system_time(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(moment.as_secs())).unwrap()
}

/// The differences: a day that the month does not have, a wrong weekday, a leap second, and what lies before 1970.
fn compare(text: &str) {
    let theirs = httpdate::parse_http_date(text).ok();
    let ours = http_date(text).map(system_time);
    match (ours, theirs) {
        (None, Some(_)) => {
            let day = text.split([' ', '-']).find_map(|word| word.parse::<u8>().ok());
            assert!(day > Some(28), "{text}");
        }
        (Some(ours), None) => {
            let weekday_differs = httpdate::fmt_http_date(ours).get(..3) != text.get(..3);
            assert!(weekday_differs || text.contains(":60") || ours == UNIX_EPOCH, "{text}");
        }
        (ours, theirs) => assert_eq!(ours, theirs, "{text}"),
    }
}

proptest! {
    #[test]
    fn all_three_forms_are_judged_as_httpdate_does(
        weekday in 0..7_usize, day in 0..33_u8, month in 0..12_usize, year in 1960..2200_u16,
        hour in 0..26_u8, minute in 0..62_u8, second in 0..62_u8, form in 0..3,
    ) {
        let (short, long, month, century) = (WEEKDAYS[weekday], LONG_WEEKDAYS[weekday], MONTHS[month].0, year % 100);
        compare(&match form {
            0 => format!("{short}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT"),
            1 => format!("{long}, {day:02}-{month}-{century:02} {hour:02}:{minute:02}:{second:02} GMT"),
            _ => format!("{short} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"),
        });
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>()) {
        let _ = retry_after(&text, Timestamp::from_secs(EXAMPLE));
    }
}
