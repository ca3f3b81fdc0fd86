//! What a renewal that failed means: the one table that decides whether a session goes on.

use crate::error::{Advice, Delivery, Error, LoginNeeded, Refusal, TransportKind};

/// What to do after a failed renewal. In all cases but the last everything is kept, and an access token whose time is not
/// over is served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The server, or something on the way to it, does not work now. Try again later.
    TryLater,
    /// Nobody knows whether the server has used the refresh token. See whether somebody else got an answer, then try the
    /// same token once more: if it was used, nothing is left to lose.
    Uncertain,
    /// The client's settings are wrong. Trying again is of no use before they are fixed; nothing is lost meanwhile.
    FixConfig,
    /// The scope or the resource is not granted any more. Ask for less.
    AskForLess,
    /// The server has ended the session. Only a login helps.
    LogInAgain,
}

/// The codes that end a session, and no others do: RFC 6749 §5.2, the spellings of GitHub and GoTrue for the same, and
/// what OpenID Connect Core §3.1.2.6 says when a person has to act.
const ENDS: [&str; 6] = [
    "invalid_grant",
    "bad_refresh_token",
    "refresh_token_not_found",
    "login_required",
    "interaction_required",
    "consent_required",
];

const CONFIGURED: [&str; 4] = ["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"];

const TOO_MUCH: [&str; 2] = ["invalid_scope", "invalid_target"];

impl Meaning {
    /// What this error means, when it is what a renewal came to.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::of_refusal(refusal),
            // Without any answer. A slow server is not asked twice in a row: its next chance comes after the rest.
            Error::Transport(failure)
                if failure.delivery == Delivery::Unknown
                    && failure.answer.is_none()
                    && failure.kind != TransportKind::Timeout =>
            {
                Meaning::Uncertain
            }
            Error::LoginNeeded(LoginNeeded::Ended(_) | LoginNeeded::Rejected) => Meaning::LogInAgain,
            other if other.advice() == Advice::FixConfig => Meaning::FixConfig,
            Error::Config(_)
            | Error::Misuse(_)
            | Error::Transport(_)
            | Error::Protocol(_)
            | Error::Security(_)
            | Error::Callback(_)
            | Error::Expired(_)
            | Error::Cancelled
            | Error::Provider(_)
            | Error::Store(_)
            | Error::LoginNeeded(LoginNeeded::NoSession | LoginNeeded::NotRenewable)
            | Error::Bug(_) => Meaning::TryLater,
        }
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        let among = |codes: &[&str]| codes.contains(&refusal.code.as_str());
        if among(&ENDS) {
            Meaning::LogInAgain
        } else if among(&CONFIGURED) {
            Meaning::FixConfig
        } else if among(&TOO_MUCH) {
            Meaning::AskForLess
        } else {
            Meaning::TryLater
        }
    }
}
