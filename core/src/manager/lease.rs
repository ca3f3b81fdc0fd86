//! What a token manager answers its callers.

use core::time::Duration;

use super::{Credential, Wish};
use crate::error::{Error, LoginNeeded};
use crate::machine::Context;
use crate::time::Timestamp;

/// The answer to the last command. Bad news of the world is an answer too: an `Err` of the machine means a bug.
#[derive(Clone, Debug)]
pub enum Lease {
    /// A credential that works, as far as anybody knows.
    Token {
        /// What to attach.
        credential: Credential,
        /// Why it could not be renewed although that is due.
        trouble: Option<Trouble>,
    },
    /// There is none, and only a person can change that.
    LoginNeeded(LoginNeeded),
    /// There is none now.
    Unavailable(Trouble),
    /// The tokens are forgotten.
    SignedOut(SignedOut),
    /// Tokens were to be adopted and cannot be used. What was held before is held on.
    NotAdopted(Error),
}

/// What went wrong, and how long to leave everybody alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong.
    pub error: Error,
    /// When it went wrong.
    pub since: Timestamp,
    /// When the next attempt may be made.
    pub until: Timestamp,
}

/// What became of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Whether the server has confirmed that the tokens are worth nothing now; `None` if there was nothing to revoke, or
    /// the server has no revocation endpoint.
    pub revoked: Option<Result<(), Error>>,
    /// Whether the store has forgotten them.
    pub erased: Result<(), Error>,
}

impl Lease {
    /// What a caller gets who had this wish: a credential that works, although it may be due.
    ///
    /// # Errors
    /// Why there is none.
    pub fn granted(self, wish: Wish) -> Result<Credential, Error> {
        match self {
            Lease::Token { credential, trouble: Some(trouble) } if wish == Wish::Other(credential.id()) => {
                Err(trouble.error)
            }
            Lease::Token { credential, .. } => Ok(credential),
            Lease::LoginNeeded(why) => Err(why.into()),
            Lease::Unavailable(trouble) => Err(trouble.error),
            Lease::SignedOut(_) => Err(LoginNeeded::NoSession.into()),
            Lease::NotAdopted(error) => Err(error),
        }
    }

    /// What a caller gets who wanted a renewal and nothing less.
    ///
    /// # Errors
    /// Why there was none.
    pub fn renewed(self) -> Result<Credential, Error> {
        match self {
            Lease::Token { trouble: Some(trouble), .. } => Err(trouble.error),
            Lease::Token { .. }
            | Lease::LoginNeeded(_)
            | Lease::Unavailable(_)
            | Lease::SignedOut(_)
            | Lease::NotAdopted(_) => self.granted(Wish::Credential),
        }
    }

    /// What a caller gets who wanted to sign out.
    ///
    /// # Errors
    /// Why that did not even begin.
    pub fn left(self) -> Result<SignedOut, Error> {
        match self {
            Lease::SignedOut(outcome) => Ok(outcome),
            Lease::LoginNeeded(why) => Err(why.into()),
            Lease::Unavailable(trouble) => Err(trouble.error),
            Lease::NotAdopted(error) => Err(error),
            Lease::Token { .. } => Err(Error::Bug("signed out and still there")),
        }
    }
}

/// The first rest after a failure.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest, unless the server asks for more.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// The longest rest that a server can ask for: its clients must recover within the hour.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

impl Trouble {
    /// Rests after the failure number `failures`, counted from zero: twice as long each time, jittered so that many clients
    /// do not come back at once, or as long as the server asks for.
    pub(crate) fn after(error: Error, failures: u32, cx: &mut Context<'_>) -> Self {
        let mut jitter = [0_u8; 1];
        // Without randomness the rest is a little more regular, no more.
        let _ = cx.random.fill(&mut jitter);
        let base = FIRST_REST.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(LONGEST_REST);
        let asked = match error.advice() {
            crate::error::Advice::Retry { not_before: Some(moment) } => moment.since(cx.now).min(LONGEST_ASKED),
            _ => Duration::ZERO,
        };
        let rest = base.max(asked);
        let spread = base.checked_div(4).unwrap_or_default().saturating_mul(u32::from(jitter[0]));
        let rest = rest.saturating_add(spread.checked_div(256).unwrap_or_default());
        Self { error, since: cx.now, until: cx.now.plus(rest) }
    }

    /// Whether to go on resting at `now`. A clock that went back ends the rest.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}
