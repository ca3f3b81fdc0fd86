//! The facts of an answer that may stand in an error.
//!
//! A server can echo anything: the code it refuses, the password in the form it shows again. So nothing is shown because
//! it looks harmless; shown is what has a reason to be seen, and in that, long runs of characters as tokens have them
//! are struck out.

use http::{Response, header};

use super::answer::{self, MediaType};
use crate::error::{AnswerFacts, safe_text};
use crate::http::json::Value;
use crate::http::{Body, Sent};

/// The headers that help an engineer, or the people who run the server, to find the cause.
const HEADERS: [&str; 12] = [
    "location",
    "retry-after",
    "www-authenticate",
    "date",
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-okta-request-id",
    "x-github-request-id",
    "cf-ray",
];

/// The members whose strings are shown: what servers write for engineers to read.
const SPOKEN: [&str; 17] = [
    "error",
    "error_description",
    "error_uri",
    "error_code",
    "error_codes",
    "suberror",
    "code",
    "type",
    "status",
    "title",
    "detail",
    "message",
    "msg",
    "reason",
    "timestamp",
    "trace_id",
    "correlation_id",
];

/// The members among them whose strings look like tokens and are none.
const IDENTIFIERS: [&str; 3] = ["timestamp", "trace_id", "correlation_id"];

/// How long an excerpt may grow before it is cut, in bytes.
const EXCERPT: usize = 512;

/// How much of a body that is no message is looked at, in bytes.
const LOOK: usize = 8 * 1024;

/// Collects the facts of an answer.
pub(super) fn of(response: &Response<Body>) -> AnswerFacts {
    let sent = Sent::of(response);
    let headers = HEADERS
        .iter()
        .filter_map(|name| Some((*name, response.headers().get(*name)?)))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = if name == "location" { without_parameters(&value) } else { value.into_owned() };
            let value = if name == "www-authenticate" { strike(&value, Words::Spoken) } else { value };
            (name.to_owned(), safe_text(&sent.strike(value)))
        })
        .collect();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    AnswerFacts {
        status: response.status().as_u16(),
        media_type: media_type.map(|value| safe_text(&String::from_utf8_lossy(value.as_bytes()))),
        headers,
        excerpt: excerpt(response, &sent),
    }
}

/// Where a redirect leads, without what may be a code or a token on its way.
fn without_parameters(location: &str) -> String {
    let end = location.find(['?', '#', ';']).unwrap_or(location.len());
    let (place, parameters) = location.split_at_checked(end).unwrap_or((location, ""));
    let place = place.split_once("//").and_then(|(scheme, rest)| {
        let authority = rest.split('/').next().unwrap_or_default();
        let (user_info, _) = authority.rsplit_once('@')?;
        let rest = rest.get(user_info.len()..)?;
        Some(format!("{scheme}//..{rest}"))
    });
    let place = place.unwrap_or_else(|| location.get(..end).unwrap_or_default().to_owned());
    let mark = parameters.get(..1).unwrap_or_default();
    if mark.is_empty() { place } else { format!("{place}{mark}..") }
}

fn excerpt(response: &Response<Body>, sent: &Sent) -> Option<String> {
    let body = response.body().expose();
    if body.is_empty() {
        return None;
    }
    if let Some(object) = answer::object(response) {
        let mut out = String::new();
        show_members(&mut out, object.members());
        return Some(safe_text(&sent.strike(out)));
    }
    // A message that broke on the way still holds what it holds: show nothing of it.
    let text = String::from_utf8_lossy(body.get(..body.len().min(LOOK)).unwrap_or_default());
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let readable = match MediaType::of(response) {
        MediaType::Page => true,
        MediaType::JsonLike | MediaType::Absent => !response.status().is_success(),
        MediaType::Json | MediaType::Form | MediaType::Other => false,
    };
    if !readable || text.starts_with(['{', '[', '"']) {
        return None;
    }
    let text = strike(&sent.strike(without_tags(text)), Words::Struck);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let cut = text.char_indices().map(|(at, _)| at).nth(EXCERPT).unwrap_or(text.len());
    Some(safe_text(text.get(..cut).unwrap_or_default())).filter(|text| !text.is_empty())
}

/// Writes the skeleton of an object: all names, but only those values that have a reason to be seen.
fn show_members<'a>(out: &mut String, members: impl Iterator<Item = (std::borrow::Cow<'a, str>, Value<'a>)>) {
    out.push('{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        if out.len() > EXCERPT {
            out.push_str("..");
            break;
        }
        out.push_str(if is_name(&name) { &name } else { "(name)" });
        out.push_str(": ");
        show(out, &name, value);
    }
    out.push('}');
}

/// Whether a name looks like one: a form that was taken for something else can have a token for a name.
fn is_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-.:".contains(&byte))
}

fn show<'a>(out: &mut String, name: &str, value: Value<'a>) {
    let spoken = SPOKEN.contains(&name);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if bool { "true" } else { "false" }),
        Value::Number(number) if spoken && number.as_str().len() <= 20 => out.push_str(number.as_str()),
        Value::Number(_) => out.push_str("(number)"),
        Value::String(text) if IDENTIFIERS.contains(&name) && text.len() <= 64 => out.push_str(&text),
        Value::String(text) if spoken => out.push_str(&strike(&text, Words::Spoken)),
        Value::String(_) => out.push_str("(string)"),
        Value::Array(array) if name == "error_codes" => {
            for value in array.iter().take(8) {
                match value {
                    Value::Number(_) => show(out, name, value),
                    Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                        out.push_str("..");
                    }
                }
                out.push(' ');
            }
        }
        Value::Array(_) => out.push_str("(array)"),
        // Only here, and only one level: error objects as the large API providers send them.
        Value::Object(nested) if name == "error" => {
            show_members(out, nested.members().filter(|(name, _)| *name != "error"));
        }
        Value::Object(_) => out.push_str("(object)"),
    }
}

/// Takes the tags out of a page, with the contents of scripts and styles.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        out.push(' ');
        let mut hidden = false;
        for name in ["script", "style", "textarea", "pre"] {
            hidden |= after.get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name));
        }
        let end = if hidden { after.find("</") } else { after.find('>') };
        rest = end.and_then(|end| after.get(end..)).unwrap_or_default();
        rest = rest.strip_prefix('>').unwrap_or(rest);
    }
    out.push_str(rest);
    out
}

/// Whether runs of small letters and underscores stay, as error codes are made of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Spoken,
    Struck,
}

/// Strikes out all runs that are as long as a token and made as tokens are.
pub(super) fn strike(text: &str, words: Words) -> String {
    const LONG: usize = 16;
    let token_like = |char: char| char.is_ascii_alphanumeric() || "_-.~+/=%".contains(char);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let run = rest.find(|char| !token_like(char)).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(run.max(char.len_utf8())).unwrap_or((rest, ""));
        let word = run.len() <= 48 && run.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if run.len() < LONG || (word && words == Words::Spoken) {
            out.push_str(run);
        } else {
            out.push_str("[..]");
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_struck_and_words_stay() {
        for (text, struck) in [
            ("authorization_pending", "authorization_pending"),
            ("the code abcdefghijklmno1 is invalid", "the code [..] is invalid"),
            ("token=abc123", "token=abc123"),
            ("short abc.def-123", "short abc.def-123"),
            ("eyJhbGciOiJSUzI1NiJ9.eyJz.c2ln", "[..]"),
            ("é€ ABCDEFGHIJKLMNOP é", "é€ [..] é"),
            ("", ""),
        ] {
            assert_eq!(strike(text, Words::Spoken), struck);
        }
        assert_eq!(strike("correcthorsebattery", Words::Struck), "[..]");
        assert_eq!(strike(&"a".repeat(49), Words::Spoken), "[..]");
    }

    #[test]
    fn a_page_is_shown_without_tags_scripts_and_fields() {
        let page = "<!DOCTYPE html><head><title>502 Bad Gateway</title><style>p{}</style><script>var t='s3cr3t';</script></head>
            <body><input name=password value='s3cr3t'><PRE>s3cr3t</PRE><p>nginx</p></body>";
        let text = without_tags(page);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["502", "Bad", "Gateway", "nginx"]);
    }

    #[test]
    fn a_location_is_shown_without_parameters_and_user_info() {
        for (location, shown) in [
            ("https://as.example/login?code=s3cr3t&state=x", "https://as.example/login?.."),
            ("//evil.example/x#token", "//evil.example/x#.."),
            ("https://user:s3cr3t@as.example/login", "https://..@as.example/login"),
            ("https://s3cr3t@a@as.example?x", "https://..@as.example?.."),
            ("/login;jsessionid=s3cr3t", "/login;.."),
            ("/login", "/login"),
        ] {
            assert_eq!(without_parameters(location), shown);
        }
    }
}
