//! What goes to standard output: exactly the artefact, once, and only on success.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::ValueEnum;
use grantflow_core::Secret;
use grantflow_core::token::TokenSet;
use serde_json::{Map, Value};

use crate::exit::{Artefact, Failure};

/// What to print of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The access token alone.
    Token,
    /// A header line: `Authorization: Bearer …`.
    Header,
    /// The whole answer as one line of JSON, with `expires_at` in seconds since 1970.
    Json,
    /// The id_token alone, which was verified when it came.
    IdToken,
    /// A line for a shell: `ACCESS_TOKEN=…`.
    Env,
}

/// The artefact that was asked for.
pub(crate) fn artefact(tokens: &TokenSet, output: Output) -> Result<Artefact, Failure> {
    match output {
        Output::Token => line(tokens.access_token().expose().clone()),
        Output::Header => line(format!("Authorization: {} {}", tokens.token_type(), tokens.access_token().expose())),
        Output::Json => Ok(json(&Value::Object(whole(tokens)?))),
        Output::IdToken => match tokens.identity() {
            Some(identity) => line(identity.raw().expose().clone()),
            None => Err(Failure::Answer("the server sent no id_token; ask for the scope openid".to_owned())),
        },
        Output::Env => line(format!("ACCESS_TOKEN={}", quoted(tokens.access_token().expose()))),
    }
}

/// The artefact that was asked for, of tokens that are kept. The refresh token is not part of it: whoever spent it would
/// end the login.
pub(crate) fn artefact_of_saved(tokens: &TokenSet, output: Output) -> Result<Artefact, Failure> {
    match output {
        Output::Token | Output::Header | Output::Env => artefact(tokens, output),
        Output::Json => {
            let mut members = whole(tokens)?;
            for name in ["refresh_token", "granted_at", "grantflow"] {
                members.remove(name);
            }
            Ok(json(&Value::Object(members)))
        }
        Output::IdToken => match tokens.id_token() {
            Some(token) => line(token.expose().clone()),
            None => Err(Failure::Answer("no id_token is kept; log in with the scope openid".to_owned())),
        },
    }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-._~+/=".contains(char);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// One line. Whoever reads it must not be led to see two, or another end (CVE-2020-5260).
fn line(text: String) -> Result<Artefact, Failure> {
    let text = Secret::new(text);
    if text.expose().chars().any(char::is_control) {
        return Err(Failure::Answer("the token has control characters in it and is not printed".to_owned()));
    }
    Ok(text)
}

/// The members of the answer, and what was made of them.
fn whole(tokens: &TokenSet) -> Result<Map<String, Value>, Failure> {
    let mut members: Map<String, Value> = tokens.extra()?;
    members.remove("refresh_token");
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("access_token", tokens.access_token().expose().as_str().into());
    set("token_type", tokens.token_type().to_string().into());
    set("scope", tokens.scope().as_str().into());
    if let Some(token) = tokens.refresh_token() {
        set("refresh_token", token.expose().as_str().into());
    }
    if let Some(moment) = tokens.expires_at() {
        set("expires_at", moment.as_secs().into());
    }
    Ok(members)
}

/// JSON on one line. Nothing but ASCII is in it, so nothing in it can move a cursor or turn text around.
pub(crate) fn json(value: &Value) -> Artefact {
    escaped(&value.to_string())
}

/// JSON for people, otherwise the same.
pub(crate) fn pretty_json(value: &Value) -> Artefact {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()))
}

/// Escapes what is not ASCII. In JSON it stands in strings only, where this changes nothing of the meaning.
fn escaped(text: &str) -> Artefact {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char == '\n' || matches!(char, ' '..='~') {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Secret::new(out)
}

/// Writes the artefact and a line break. Nothing is written where nothing was asked for.
pub(crate) fn print(artefact: &Artefact) -> Result<(), Failure> {
    if artefact.expose().is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(artefact.expose().as_bytes())
        .and_then(|()| if artefact.expose().ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        .and_then(|()| stdout.flush());
    written.map_err(unwritten)
}

/// Writes these bytes and nothing else.
pub(crate) fn print_exactly(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(unwritten)
}

fn unwritten(error: io::Error) -> Failure {
    Failure::Local(format!("standard output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_03_a_value_with_line_breaks_or_nul_is_not_printed() {
        for hostile in ["a\nb", "a\rb", "a\0b", "a\u{1b}[2Jb", "a\u{9b}b"] {
            let failure = line(hostile.to_owned()).unwrap_err();
            assert_eq!(failure.code().number(), 8);
            assert!(!failure.to_string().contains("a\n") && !failure.to_string().contains('\u{1b}'));
        }
        assert_eq!(line("abc".to_owned()).unwrap().expose(), "abc");
    }

    #[test]
    fn what_a_shell_could_take_apart_is_quoted() {
        assert_eq!(quoted("abc-._~+/=09"), "abc-._~+/=09");
        assert_eq!(quoted("$(x) 'y"), r"'$(x) '\''y'");
    }

    #[test]
    fn cl_11_json_with_hostile_strings_is_ascii_and_means_the_same() {
        let hostile = "quote\" back\\ esc\u{1b}[2J csi\u{9b}1m turn\u{202e} del\u{7f} lone\n zoë 🦀";
        let value = serde_json::json!({ hostile: [hostile] });
        for text in [json(&value), pretty_json(&value)] {
            assert!(text.expose().chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
            assert_eq!(serde_json::from_str::<Value>(text.expose()).unwrap(), value);
        }
    }
}
