//! Dates of HTTP beside `httpdate`: a grid over all three forms, and every byte of three examples replaced.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grantflow_core::http::http_date;

use super::Comparison;

const SHORT: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn inputs() -> Vec<String> {
    let mut inputs = Vec::new();
    let years = [1599, 1600, 1900, 1969, 1970, 1994, 1999, 2000, 2024, 2069, 2100, 9999];
    for (at, month) in MONTHS.iter().enumerate() {
        for year in years {
            for day in [0, 1, 6, 28, 29, 30, 31, 32] {
                for time in ["00:00:00", "23:59:59", "24:00:00", "12:60:00", "23:59:60", "08:49:61"] {
                    let weekday = (at + day + year) % 7;
                    let (short, long) = (SHORT[weekday], LONG[weekday]);
                    inputs.push(format!("{short}, {day:02} {month} {year} {time} GMT"));
                    inputs.push(format!("{long}, {day:02}-{month}-{:02} {time} GMT", year % 100));
                    inputs.push(format!("{short} {month} {day:2} {time} {year}"));
                }
            }
        }
    }
    let examples = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    for example in examples {
        inputs.push(example.to_owned());
        for place in 0..=example.len() {
            inputs.push(example[..place].to_owned());
            for with in ["", " ", "0", "1", "9", "-", ":", ",", "a", "N", "\t", "\u{e9}"] {
                inputs.push(format!("{}{with}{}", &example[..place], &example[place..]));
                if place < example.len() {
                    inputs.push(format!("{}{with}{}", &example[..place], &example[place + 1..]));
                }
            }
        }
    }
    inputs
}

/// Which rule makes us refuse what they read as this moment.
fn our_reason(text: &str, read: SystemTime) -> String {
    let fixdate = httpdate::fmt_http_date(read);
    let [day, month, year] = [&fixdate[5..7], &fixdate[8..11], &fixdate[14..16]];
    let long = LONG.iter().find(|long| long[..3] == fixdate[..3]).unwrap();
    let time = &fixdate[17..25];
    let short_day = day.strip_prefix('0').map_or(day.to_owned(), |digit| format!(" {digit}"));
    let forms = [
        format!("{long}, {day}-{month}-{year} {time} GMT"),
        format!("{} {month} {short_day} {time} {}", &fixdate[..3], &fixdate[12..16]),
        fixdate,
    ];
    let one_byte_differs = |form: &String| {
        form.len() == text.len() && form.bytes().zip(text.bytes()).filter(|(one, other)| one != other).count() == 1
    };
    let class = if text.trim() != text {
        "space around"
    } else if forms.iter().any(one_byte_differs) {
        "a wrong separator"
    } else {
        "?"
    };
    class.to_owned()
}

/// Which rule makes them refuse what we read as this moment.
fn their_reason(text: &str, read: u64) -> String {
    let right = || httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(read));
    let class = if read == 0 {
        "before 1970"
    } else if text.contains(":60") {
        "leap second"
    } else if right()[..3] != text[..3] {
        "wrong weekday"
    } else {
        "?"
    };
    class.to_owned()
}

#[test]
fn dates_are_read_as_httpdate_reads_them_but_for_explained_differences() {
    let mut comparison = Comparison::with("httpdate");
    for text in inputs() {
        let read = http_date(&text).map(|moment| moment.as_secs());
        let standard = httpdate::parse_http_date(&text);
        let ours = read.ok_or_else(|| standard.as_ref().map_or(String::new(), |moment| our_reason(&text, *moment)));
        let seconds = |moment: &SystemTime| moment.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let theirs =
            standard.as_ref().map(seconds).map_err(|_| read.map_or(String::new(), |at| their_reason(&text, at)));
        comparison.compare(&text, ours, theirs, |ours, theirs| format!("{ours} is not {theirs}"));
    }
    comparison.judge();
}
