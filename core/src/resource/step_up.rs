//! What a resource server's 401 and 403 say (RFC 6750 §3.1, RFC 9470 §3).

use core::time::Duration;

use http::{Response, StatusCode};

use crate::http::challenge::{Challenge, challenges};
use crate::token::Scopes;

/// The most values of `acr_values` that are read.
const MAX_VALUES: usize = 100;

/// A token that is good but not enough: what another one would need.
///
/// Nothing here asks for it. Whether a person is to agree to more is the caller's to decide, and the texts are the
/// server's: a server that asks for `admin` need not get it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepUp {
    /// `insufficient_scope` with 403 (RFC 6750 §3.1).
    Scope {
        /// What the request needs, if the server says so.
        scope: Scopes,
    },
    /// `insufficient_user_authentication` with 401 (RFC 9470 §3): the person must log in again, or better.
    Authentication {
        /// How, in order of preference; nothing if the server does not say. Fit for `acr_values` of a new request.
        acr_values: Vec<String>,
        /// How long ago the login may be at most.
        max_age: Option<Duration>,
        /// The scope that the request needs, if the server says so.
        scope: Scopes,
    },
}

/// Finds out whether an answer asks for another token, and for which.
///
/// ```
/// use grantflow_core::resource::{StepUp, challenge_of};
/// let answer = http::Response::builder()
///     .status(403)
///     .header("www-authenticate", r#"Bearer error="insufficient_scope", scope="mail.send""#)
///     .body(())?;
/// let Some(StepUp::Scope { scope }) = challenge_of(&answer) else { panic!("not understood") };
/// assert_eq!(scope.to_string(), "mail.send");
/// # Ok::<(), http::Error>(())
/// ```
pub fn challenge_of<B>(response: &Response<B>) -> Option<StepUp> {
    let code = match response.status() {
        StatusCode::FORBIDDEN => "insufficient_scope",
        StatusCode::UNAUTHORIZED => "insufficient_user_authentication",
        _ => return None,
    };
    let challenges = challenges(response.headers());
    let challenge = challenges.iter().find(|challenge| is_oauth(challenge) && challenge.error() == Some(code))?;
    let scope = challenge.scope().and_then(|scope| Scopes::parse(scope).ok()).unwrap_or_default();
    Some(if response.status() == StatusCode::FORBIDDEN {
        StepUp::Scope { scope }
    } else {
        let legal = |value: &&str| value.bytes().all(|byte| byte.is_ascii_graphic());
        let values = challenge.get("acr_values").unwrap_or_default().split(' ').filter(|value| !value.is_empty());
        let max_age = challenge.get("max_age").and_then(|age| age.parse().ok()).map(Duration::from_secs);
        let acr_values = values.filter(legal).take(MAX_VALUES).map(str::to_owned).collect();
        StepUp::Authentication { acr_values, max_age, scope }
    })
}

/// Whether an answer says that the token is bad, so that another one may help: 401, and `invalid_token` or no reason.
///
/// For whoever sends a request once only ([`Replay::Impossible`](super::Replay::Impossible)) and wants the next one to
/// have another token: an [`AuthorizedRequest`](super::AuthorizedRequest) that may send twice has seen to it.
///
/// Other schemes than those of OAuth alone say nothing of the token, and another reason (`invalid_request`,
/// `invalid_dpop_proof`) would be the same with another token.
pub fn refuses_token<B>(response: &Response<B>) -> bool {
    if response.status() != StatusCode::UNAUTHORIZED {
        return false;
    }
    let challenges = challenges(response.headers());
    let codes = || challenges.iter().filter(|challenge| is_oauth(challenge)).map(Challenge::error);
    if codes().any(|code| code == Some("invalid_token")) {
        return true;
    }
    challenges.is_empty() || (codes().next().is_some() && codes().all(|code| code.is_none()))
}

fn is_oauth(challenge: &Challenge) -> bool {
    challenge.is("bearer") || challenge.is("dpop")
}
