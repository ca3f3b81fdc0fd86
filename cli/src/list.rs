//! `grantflow list`: what is saved, without its tokens.

use std::fmt::Write as _;

use grantflow_core::Timestamp;
use grantflow_core::error::safe_text;
use grantflow_core::store::Life;
use grantflow_tokio::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::args::{ListArgs, Listing};
use crate::exit::{Artefact, Failure};
use crate::kept::{Held, Kept, Login};
use crate::output;

/// Lists them.
pub(crate) fn run(args: &ListArgs, kept: &Kept) -> Result<Artefact, Failure> {
    let now = SystemClock.now();
    let mut rows = Vec::new();
    for login in kept.logins()? {
        let held = kept.held(&login)?;
        rows.push((login, held));
    }
    Ok(match args.output {
        Listing::Json => {
            let rows = rows.iter().map(|(login, held)| described(login, held.as_ref(), now)).collect();
            output::json(&Value::Array(rows))
        }
        Listing::Table => Artefact::new(table(&rows, now)),
    })
}

/// What can be said of a login without its tokens.
pub(crate) fn described(login: &Login, held: Option<&Held>, now: Timestamp) -> Value {
    let expires_at = held.and_then(|held| held.tokens.expires_at()).map(Timestamp::as_secs);
    json!({
        "name": login.name,
        "issuer": login.profile.issuer,
        "client_id": login.profile.client_id,
        "state": state(held, now),
        "expires_at": expires_at,
    })
}

/// In which state a login is.
fn state(held: Option<&Held>, now: Timestamp) -> &'static str {
    match held {
        None | Some(Held { life: Life::Ended, .. }) => "login-needed",
        Some(held) if !held.tokens.is_expired(now) => "valid",
        Some(held) if held.tokens.refresh_token().is_some() => "renewable",
        Some(_) => "login-needed",
    }
}

fn table(rows: &[(Login, Option<Held>)], now: Timestamp) -> String {
    let heads = ["NAME", "STATE", "EXPIRES", "CLIENT", "ISSUER"].map(str::to_owned);
    let lines = rows.iter().map(|(login, held)| {
        let expires = match held.as_ref().and_then(|held| held.tokens.expires_at()) {
            None => "-".to_owned(),
            Some(end) if now < end => format!("in {}", rough(end.since(now).as_secs())),
            Some(end) => format!("{} ago", rough(now.since(end).as_secs())),
        };
        [
            safe_text(&login.name),
            state(held.as_ref(), now).to_owned(),
            expires,
            safe_text(&login.profile.client_id),
            safe_text(&login.profile.issuer),
        ]
    });
    let lines: Vec<_> = std::iter::once(heads).chain(lines).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (at, cell) in line.iter().enumerate() {
            let width = lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max();
            let width = width.unwrap_or_default();
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    out
}

/// A time span for people: in its largest unit.
fn rough(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    match unit.and_then(|(length, name)| Some((seconds.checked_div(length)?, name))) {
        Some((count, name)) => format!("{count} {name}"),
        None => format!("{seconds} s"),
    }
}
