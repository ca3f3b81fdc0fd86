//! UserInfo (OpenID Connect Core §5.3): what the server says of the person who logged in.
//!
#![doc = include_str!("../../../docs/diagrams/userinfo.md")]
//!
//! The `sub` of the answer must be the id_token's; otherwise nothing of the answer is shown. The access token goes into
//! the header, never into the query. Left out on purpose for now: signed and encrypted answers; a server that sends one
//! is refused.

use super::exchange::Plan;
use super::nested;
use super::single::{self, Single, single_exchange};
use crate::Secret;
use crate::client::Client;
use crate::error::{ConfigError, Endpoint, Error, Rule, SecurityError};
use crate::http::Body;
use crate::http::json::{Object, Value};
use crate::machine::{Arrow, COMPLETE, Context, EventKind, FAILED, Finding, READY, StateId, Step, Table, Turn};
use crate::token::{Leniency, TokenSet, TokenType, answer, refusal};

const EXCHANGING: StateId = single::EXCHANGING;

const PROFILE_READ: Finding = Finding("ProfileRead");
const SUBJECT_DIFFERS: Finding = Finding("SubjectDiffers");
const REFUSED: Finding = Finding("Refused");

/// The states and arrows of a UserInfo request.
pub const TABLE: Table = Table {
    machine: "userinfo",
    states: single::STATES,
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, PROFILE_READ, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, SUBJECT_DIFFERS, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, REFUSED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
    ],
};

/// What a server says of a person. `Debug` shows nothing of it.
#[derive(Debug)]
pub struct Profile {
    subject: String,
    document: Object,
}

impl Profile {
    /// The person, as the server names them; the id_token's `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The e-mail address, if the server says that it is verified: with the boolean `true`, nothing else.
    pub fn verified_email(&self) -> Option<String> {
        match (self.document.get("email"), self.document.get("email_verified")) {
            (Some(Value::String(email)), Some(Value::Bool(true))) => Some(email.into_owned()),
            _ => None,
        }
    }

    /// Reads any member into your own type.
    ///
    /// # Errors
    /// [`Rule::MemberInvalid`] when the answer does not fit `T`.
    pub fn extra<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        self.document.extra()
    }
}

/// One question to the UserInfo endpoint.
#[derive(Debug)]
pub struct UserInfo(Single<String>);

impl UserInfo {
    /// Asks about the person whom `tokens` speak for, and who must be `subject`: the `sub` of the id_token that came with
    /// them. A token that is bound to the client's key goes with a proof (RFC 9449 §7).
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ConfigError::Missing`] when the token is bound and the client has no key.
    pub fn of(client: &Client, tokens: &TokenSet, subject: &str) -> Result<Self, Error> {
        if *tokens.token_type() != TokenType::Dpop {
            return Self::new(client, tokens.access_token(), subject);
        }
        let key = client.proof_key().ok_or(ConfigError::Missing("proof key"))?;
        Ok(Self(Single::new(plan(client, tokens.access_token())?.bound_to(key), subject.to_owned())))
    }

    /// Asks about the person whom a bearer token speaks for, and who must be `subject`: the `sub` of the id_token that
    /// came with it.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`] when the server has no UserInfo endpoint.
    pub fn new(client: &Client, access_token: &Secret, subject: &str) -> Result<Self, Error> {
        Ok(Self(Single::new(plan(client, access_token)?, subject.to_owned())))
    }
}

fn plan(client: &Client, access_token: &Secret) -> Result<Plan, Error> {
    let target = client.endpoint(Endpoint::UserInfo)?.clone();
    Ok(Plan::get_as_bearer(Endpoint::UserInfo, target, access_token.duplicate()).on_behalf_of(client))
}

single_exchange!(UserInfo, Profile, |subject, response, cx| match read(&subject, &response, cx) {
    Ok(profile) => Turn::Moved(PROFILE_READ, Step::Done(profile)),
    Err(error @ Error::Security(SecurityError::SubjectMismatch)) => Turn::Ended(SUBJECT_DIFFERS, error),
    Err(error) => Turn::Ended(REFUSED, error),
});

fn read(subject: &str, response: &http::Response<Body>, cx: &Context<'_>) -> Result<Profile, Error> {
    let document = answer::success(response, Leniency::Compat, cx.now, Endpoint::UserInfo)?.object;
    let found = match document.get("sub") {
        Some(Value::String(found)) if !found.is_empty() => found.into_owned(),
        Some(_) => return Err(refusal::broken(response, Endpoint::UserInfo, Rule::MemberInvalid("sub"))),
        None => return Err(refusal::broken(response, Endpoint::UserInfo, Rule::MemberMissing("sub"))),
    };
    if found != subject {
        return Err(SecurityError::SubjectMismatch.into());
    }
    Ok(Profile { subject: found, document })
}
