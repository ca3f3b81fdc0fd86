//! What must hold for any bytes whatsoever: one function for each kind of input from outside.
//!
//! Each takes the bytes as a fuzzer makes them, and panics if its invariant is broken, never because of the bytes. The
//! fuzz targets call them, and a plain test replays the seeds through [`TARGETS`].
//!
//! That no secret is shown is tried by changing it: an answer in which only hidden values differ must lead to the same
//! texts. That needs no list of what a secret looks like.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a broken invariant must stop the fuzzer, and nothing else runs this"
)]

mod audience;
mod messages;
mod record;
mod redirect;
mod script;
mod syntax;

use core::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

pub use audience::audience;
pub use messages::{device_reply, id_token, jwks, metadata, token_reply};
pub use record::record;
pub use redirect::{callback, loopback_request};
pub use script::{machine_script, operation, snapshot};
pub use syntax::{challenge, form, json, retry_after, url_policy};

use crate::error::{Error, TEXT_LIMIT};
use crate::http::Body;
use crate::http::json::{Object, Value};
use crate::time::Timestamp;

/// Tries one input against one invariant.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("audience", audience),
    ("callback", callback),
    ("challenge", challenge),
    ("device_reply", device_reply),
    ("form", form),
    ("id_token", id_token),
    ("json", json),
    ("jwks", jwks),
    ("loopback_request", loopback_request),
    ("machine_script", machine_script),
    ("metadata", metadata),
    ("record", record),
    ("retry_after", retry_after),
    ("snapshot", snapshot),
    ("token_reply", token_reply),
    ("url_policy", url_policy),
];

/// The moment at which all inputs come.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The longest error, written out for a person or for a developer: a dozen pieces of server text, each cut.
const LONGEST_ERROR: usize = 64 * 1024;

/// An answer of a server, read from an input: `200`, header fields, an empty line, the body. An input without such a
/// head is the body of a JSON answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn read(input: &[u8]) -> Self {
        Self::with_head(input).unwrap_or_else(|| {
            let json = HeaderValue::from_static("application/json");
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]);
            Self { status: StatusCode::OK, headers, body: input.to_vec() }
        })
    }

    fn with_head(input: &[u8]) -> Option<Self> {
        let end = input.windows(2).take(4096).position(|pair| pair == b"\n\n")?;
        let (head, rest) = input.split_at_checked(end)?;
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = StatusCode::from_bytes(lines.next()?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines.take(16) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let value = HeaderValue::from_bytes(value.strip_prefix(b":")?.trim_ascii()).ok()?;
            headers.append(name, value);
        }
        Some(Self { status, headers, body: rest.get(2..)?.to_vec() })
    }

    fn response(&self) -> Response<Body> {
        self.response_with(self.body.clone())
    }

    fn response_with(&self, body: Vec<u8>) -> Response<Body> {
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// The answer with every hidden value changed, if there are any.
    fn with_hidden_changed(&self, shown: &[&str]) -> Option<Response<Body>> {
        with_hidden_changed(&self.body, shown).map(|body| self.response_with(body))
    }
}

/// Changes every string of an object's own members, save those that may be seen in a text: each letter and each digit
/// becomes the next one, so that length and kind stay. `None` if there is nothing to change.
fn with_hidden_changed(body: &[u8], shown: &[&str]) -> Option<Vec<u8>> {
    let object = Object::parse(body).ok()?;
    let text = object.expose();
    let mark = body.len().checked_sub(text.len())?;
    let mut changed = body.to_vec();
    for (name, value) in object.members() {
        // A string with escapes in it does not stand in the text as it reads.
        let Value::String(std::borrow::Cow::Borrowed(value)) = value else { continue };
        if shown.contains(&name.as_ref()) {
            continue;
        }
        let start = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?.checked_add(mark)?;
        for byte in changed.get_mut(start..start.checked_add(value.len())?)? {
            *byte = match *byte {
                b'z' => b'a',
                b'Z' => b'A',
                b'9' => b'0',
                other if other.is_ascii_alphanumeric() => other.wrapping_add(1),
                other => other,
            };
        }
    }
    (changed != body).then_some(changed)
}

/// Holds an error to what all errors must be, and gives all that it says.
fn judge_error(error: &Error) -> String {
    let (said, developed) = (error.to_string(), format!("{error:?}"));
    assert!(said.len() <= LONGEST_ERROR && developed.len() <= LONGEST_ERROR, "an error without bounds");
    assert!(!said.chars().any(char::is_control), "an error of more than one line: {said:?}");
    assert!(!matches!(error, Error::Bug(_) | Error::Misuse(_) | Error::Config(_)), "not the input's fault: {said}");
    let advice = error.advice();
    format!("{said}\n{developed}\n{advice:?}")
}

/// Whether a text is one that [`safe_text`](crate::error::safe_text) has made, or one that needs no change.
fn is_safe(text: &str) -> bool {
    text.len() <= TEXT_LIMIT.saturating_add(16) && !text.chars().any(char::is_control)
}

/// Whether a moment lies between now and so much later.
fn is_within(moment: Timestamp, longest: Duration) -> bool {
    (NOW..=NOW.plus(longest)).contains(&moment)
}
