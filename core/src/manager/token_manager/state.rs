//! What a token manager has in hand while it works.

use core::time::Duration;
use std::sync::Arc;

use crate::endpoint::Revocation;
use crate::error::{Error, LoginNeeded};
use crate::grant::{ClientCredentials, Refresh};
use crate::manager::lease::{SignedOut, Trouble};
use crate::manager::{Credential, TokenId};
use crate::store::{Expected, Version};
use crate::time::Timestamp;
use crate::token::TokenSet;

/// Nothing is renewed twice within this time, however short the lifetime is.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum State {
    Ready,
    Loading(Box<Look>),
    Vacant(Option<Box<Held>>, LoginNeeded),
    Fresh(Box<Held>),
    Resting(Option<Box<Held>>, Box<Rest>),
    Claiming(Box<Work>),
    Renewing(Box<(Refresh, Work)>),
    Acquiring(Box<(ClientCredentials, Work)>),
    Delegating(Box<Work>),
    Rereading(Box<(Work, Doubt)>),
    Saving(Box<(Work, Version)>),
    Marking(Box<(Work, LoginNeeded)>),
    Revoking(Box<(Revocation, Work)>),
    Erasing(Box<(Work, Option<Result<(), Error>>)>),
    Releasing(Box<After>),
    Failed,
}

/// Tokens in hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tokens: Arc<TokenSet>,
    pub(super) credential: Credential,
    /// Whatever has no greater version is older than these tokens.
    pub(super) version: Option<Version>,
    /// What the store must hold for these tokens to replace it.
    pub(super) expected: Expected,
    pub(super) unsaved: Option<NotSaved>,
}

#[derive(Debug)]
pub(super) struct NotSaved {
    pub(super) retry_at: Timestamp,
    pub(super) failures: u32,
}

#[derive(Debug)]
pub(super) struct Look {
    pub(super) held: Option<Box<Held>>,
    pub(super) wish: Wish,
}

#[derive(Debug)]
pub(super) struct Rest {
    pub(super) trouble: Trouble,
    pub(super) rejected: Option<TokenId>,
}

/// What is being worked for while the record is claimed.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wish: Wish,
    pub(super) held: Option<Box<Held>>,
    /// Whether a refresh of unknown delivery was repeated already.
    pub(super) repeated: bool,
    pub(super) saves: u8,
    /// Why nothing was renewed; answered once what was unsaved before is saved.
    pub(super) trouble: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Any token that is not due.
    Usable,
    /// A new one.
    Newer,
    /// Any but this one.
    Other(TokenId),
    /// None at all.
    Leave,
    /// None at all, since somebody else has signed out.
    Discard,
}

/// Why the store is read again.
#[derive(Debug)]
pub(super) enum Doubt {
    Revoked(Error),
    Uncertain,
    Moved,
}

/// What is answered once the claim is let go.
#[derive(Debug)]
pub(super) enum After {
    Token(Box<Held>),
    LoginNeeded(Option<Box<Held>>, LoginNeeded),
    SignedOut(SignedOut),
    Broken(Option<Box<Held>>, Error, Wish),
}

/// What a store holds.
pub(super) enum Found {
    Nothing,
    Ended(Version),
    Live(Box<Held>),
}

impl Held {
    pub(super) fn in_store(&self) -> Option<Version> {
        match self.expected {
            Expected::Version(version) => Some(version),
            Expected::Absent | Expected::Anything => None,
        }
    }

    /// Whether nobody else can know these tokens: no store has ever held them.
    pub(super) fn is_unshared(&self) -> bool {
        self.unsaved.is_some()
    }

    pub(super) fn save_is_due(&self, now: Timestamp) -> bool {
        self.unsaved.as_ref().is_some_and(|unsaved| now >= unsaved.retry_at)
    }

    pub(super) fn is_just_received(&self, now: Timestamp) -> bool {
        let since = self.tokens.received_at();
        since <= now && now < since.plus(PAUSE)
    }
}

impl Wish {
    pub(super) fn rejected(self) -> Option<TokenId> {
        match self {
            Wish::Other(id) => Some(id),
            Wish::Usable | Wish::Newer | Wish::Leave | Wish::Discard => None,
        }
    }

    pub(super) fn is_met_by(self, held: &Held, now: Timestamp) -> bool {
        match self {
            Wish::Usable => !held.credential.is_due(now),
            Wish::Other(id) => held.credential.id() != id && !held.credential.is_due(now),
            Wish::Newer | Wish::Leave | Wish::Discard => false,
        }
    }
}

impl Work {
    pub(super) fn of(held: Option<Box<Held>>, wish: Wish) -> Self {
        Self { wish, held, repeated: false, saves: 0, trouble: None }
    }

    pub(super) fn in_store(&self) -> Option<Version> {
        self.held.as_ref().and_then(|held| held.in_store())
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.held.as_ref().and_then(|held| held.version)
    }

    /// New tokens, of which nobody knows whether they are saved.
    fn unsaved(self) -> Option<Box<Held>> {
        let mut held = self.held?;
        held.unsaved.get_or_insert(NotSaved { retry_at: Timestamp::from_millis(0), failures: 0 });
        Some(held)
    }
}

/// What a state that accepts commands has in hand, borrowed or taken as the state itself is. The others have it in their work.
macro_rules! in_hand {
    ($state:expr) => {
        match $state {
            State::Fresh(held) => Some(held),
            State::Vacant(held, _) | State::Resting(held, _) => Option::from(held),
            State::Ready
            | State::Loading(_)
            | State::Claiming(_)
            | State::Renewing(_)
            | State::Acquiring(_)
            | State::Delegating(_)
            | State::Rereading(_)
            | State::Saving(_)
            | State::Marking(_)
            | State::Revoking(_)
            | State::Erasing(_)
            | State::Releasing(_)
            | State::Failed => None,
        }
    };
}

impl State {
    pub(super) fn held(&self) -> Option<&Held> {
        in_hand!(self).map(Box::as_ref)
    }

    pub(super) fn into_held(self) -> Option<Box<Held>> {
        in_hand!(self)
    }

    /// Where to go on after a command that nobody has brought to its end. What is held is kept.
    pub(super) fn recovered(self) -> Self {
        let held = match self {
            idle @ (State::Ready | State::Vacant(..) | State::Fresh(_) | State::Resting(..)) => return idle,
            State::Loading(look) => look.held,
            State::Claiming(work) | State::Delegating(work) => work.held,
            State::Renewing(running) => running.1.held,
            State::Acquiring(running) => running.1.held,
            State::Rereading(doubtful) => match doubtful.1 {
                Doubt::Moved => doubtful.0.unsaved(),
                Doubt::Revoked(_) | Doubt::Uncertain => doubtful.0.held,
            },
            State::Saving(saving) => saving.0.unsaved(),
            State::Marking(marking) => return State::Vacant(marking.0.held, marking.1),
            State::Revoking(running) if running.1.wish == Wish::Discard => None,
            State::Revoking(running) => running.1.held,
            State::Erasing(erasing) => erasing.0.held,
            State::Releasing(after) => match *after {
                After::Token(held) => Some(held),
                After::Broken(held, ..) => held,
                After::LoginNeeded(held, why) => return State::Vacant(held, why),
                After::SignedOut(_) => None,
            },
            State::Failed => None,
        };
        held.map_or(State::Ready, State::Fresh)
    }
}

impl Found {
    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Found::Nothing => None,
            Found::Ended(version) => Some(*version),
            Found::Live(held) => held.version,
        }
    }
}
