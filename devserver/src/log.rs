//! What was asked and what was answered, one entry a request, without secrets.

use std::collections::VecDeque;
use std::fmt;

use grantflow_core::Timestamp;

use crate::params::Params;

/// The log keeps this many entries and drops the oldest.
pub const LOG_CAPACITY: usize = 10_000;

/// A value longer than this many characters is cut.
const LONGEST_VALUE: usize = 256;

/// Stands where a value is not shown.
const HIDDEN: &str = "[hidden]";

/// The parameters whose values are shown; all others might be secrets.
const SHOWN: [&str; 24] = [
    "acr_values",
    "audience",
    "client_id",
    "code_challenge_method",
    "decision",
    "display",
    "error",
    "grant_type",
    "login_hint",
    "max_age",
    "prompt",
    "redirect_uri",
    "requested_token_type",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "subject_token_type",
    "actor_token_type",
    "token_type_hint",
    "ui_locales",
    "access_type",
    "iss",
    "claims_locales",
];

/// The parameters whose values are secrets.
const SECRET: [&str; 11] = [
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "nonce",
    "password",
    "refresh_token",
    "state",
    "token",
    "user_code",
];

/// The secrets among the parameters, with their names.
pub(crate) fn secrets(params: &Params) -> impl Iterator<Item = (&str, &str)> {
    params.iter().filter(|(name, _)| SECRET.contains(name))
}

/// One request and its answer.
///
/// `Display` writes one line:
/// `POST /token grant_type=authorization_code code=[hidden] auth=Basic -> 200 issued tokens to demo-app`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it arrived, by the server's clock.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's parameters in order; values only of names that cannot hold a secret, `[hidden]` otherwise.
    pub query: Vec<(String, String)>,
    /// The form's parameters, likewise.
    pub form: Vec<(String, String)>,
    /// The scheme of the `Authorization` header.
    pub scheme: Option<String>,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The answer's status; 0 if the connection was closed without an answer.
    pub status: u16,
    /// What the server did.
    pub note: String,
}

impl LogEntry {
    /// The value of a form parameter, if it is there.
    pub fn form_value(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The parameters as the log shows them.
pub(crate) fn shown(params: &Params) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            (printable(name), if SHOWN.contains(&name) { printable(value) } else { HIDDEN.to_owned() })
        })
        .collect()
}

/// Text from outside on one line, cut.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(LONGEST_VALUE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (name, value) in self.query.iter().chain(&self.form) {
            write!(f, " {name}={value}")?;
        }
        if let Some(scheme) = &self.scheme {
            write!(f, " auth={scheme}")?;
        }
        write!(f, " -> {}", self.status)?;
        if !self.note.is_empty() {
            write!(f, " {}", self.note)?;
        }
        Ok(())
    }
}

/// The last entries.
#[derive(Default)]
pub(crate) struct Log(VecDeque<LogEntry>);

impl Log {
    pub(crate) fn push(&mut self, entry: LogEntry) {
        if self.0.len() >= LOG_CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
