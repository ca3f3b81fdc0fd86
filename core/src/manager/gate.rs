//! Who of many callers does the work: single flight of success and of failure, from plain data.
//!
//! A driver keeps one [`Gate`] beside one [`TokenManager`](super::TokenManager), behind a mutex that it never holds while
//! it waits. Each caller [asks](Gate::ask). Whoever is told to lead gives the manager the command and tells the gate what
//! came of it ([`Gate::settle`]); the others use what there is, follow the leader, or rest.

use core::time::Duration;

use super::lease::{Lease, Trouble};
use super::{Credential, TokenId};
use crate::error::{Error, LoginNeeded, StoreError};
use crate::time::Timestamp;

/// How long the answer "log in" stands before the store is read again: somebody else may have logged in.
const LOGGED_OUT: Duration = Duration::from_secs(5);

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A credential that works.
    Credential,
    /// A credential other than this one, which a resource server has refused.
    Other(TokenId),
}

/// What a caller does.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Use this.
    Use(Credential),
    /// Use this; and have the work done by somebody who does not keep the caller waiting.
    UseAndLead(Credential),
    /// Do the work, for everybody.
    Lead,
    /// Wait for whoever does the work.
    Follow,
    /// Nothing can be had before the moment named.
    Rest(Error, Timestamp),
}

/// What has become of the tokens, for whoever watches. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Another token is held from now on, and saved.
    Renewed,
    /// Another token is held from now on, and the store could not save it: a crash would lose it.
    Unsaved(StoreError),
    /// The token that could not be saved is saved now.
    Saved,
    /// There is none, and only a person can change that.
    LoginNeeded(LoginNeeded),
    /// The tokens are forgotten.
    SignedOut,
    /// There is none now, or it could not be renewed although that is due.
    Trouble(Trouble),
}

impl Change {
    fn of(before: Option<&Credential>, after: &Credential, trouble: Option<&Trouble>) -> Option<Self> {
        let is_new = before.is_none_or(|before| before.id() != after.id());
        match (trouble, after.unsaved(), before.and_then(Credential::unsaved)) {
            (Some(trouble), _, _) => match &trouble.error {
                Error::LoginNeeded(why) => Some(Change::LoginNeeded(why.clone())),
                _ => Some(Change::Trouble(trouble.clone())),
            },
            (None, Some(error), known) if is_new || known.is_none() => Some(Change::Unsaved(error.clone())),
            (None, None, Some(_)) if !is_new => Some(Change::Saved),
            (None, _, _) => is_new.then_some(Change::Renewed),
        }
    }
}

/// What is known to all callers.
#[derive(Debug, Default)]
pub struct Gate {
    held: Option<Credential>,
    trouble: Option<Trouble>,
    led: bool,
}

impl Gate {
    /// Nothing is known, nobody leads.
    pub fn new() -> Self {
        Self::default()
    }

    /// The credential of the last good answer.
    pub fn held(&self) -> Option<&Credential> {
        self.held.as_ref()
    }

    /// Says what a caller does. After [`Verdict::Lead`] and [`Verdict::UseAndLead`] nobody else leads until
    /// [`settle`](Self::settle) or [`abandon`](Self::abandon).
    pub fn ask(&mut self, wish: Wish, now: Timestamp) -> Verdict {
        let wanted = |held: &&Credential| wish != Wish::Other(held.id());
        let usable = self.held.as_ref().filter(wanted).filter(|held| held.is_usable(now)).cloned();
        if let Some(fresh) = usable.as_ref().filter(|held| !held.is_due(now)) {
            return Verdict::Use(fresh.clone());
        }
        if self.led {
            return usable.map_or(Verdict::Follow, Verdict::Use);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.lasts(now)) {
            return usable.map_or_else(|| Verdict::Rest(trouble.error.clone(), trouble.until), Verdict::Use);
        }
        self.led = true;
        usable.map_or(Verdict::Lead, Verdict::UseAndLead)
    }

    /// Takes note of the manager's answer to the leader's command, and lets the next one lead.
    pub fn settle(&mut self, lease: &Lease, now: Timestamp) -> Option<Change> {
        self.led = false;
        self.note(lease, now)
    }

    /// Takes note of the manager's answer to a command that nobody led, and says what is new for whoever watches.
    pub fn note(&mut self, lease: &Lease, now: Timestamp) -> Option<Change> {
        let (held, trouble) = match lease {
            Lease::Token { credential, trouble } => (Some(credential.clone()), trouble.clone()),
            Lease::LoginNeeded(why) => (None, Some(logged_out(why.clone(), now))),
            Lease::Unavailable(trouble) => (None, Some(trouble.clone())),
            Lease::SignedOut(_) => (None, Some(logged_out(LoginNeeded::NoSession, now))),
            Lease::NotAdopted(_) => return None,
        };
        let before = (core::mem::replace(&mut self.held, held), core::mem::replace(&mut self.trouble, trouble));
        match lease {
            Lease::Token { credential, trouble } => Change::of(before.0.as_ref(), credential, trouble.as_ref()),
            Lease::LoginNeeded(why) => Some(Change::LoginNeeded(why.clone())),
            Lease::Unavailable(trouble) => Some(Change::Trouble(trouble.clone())),
            Lease::SignedOut(_) => Some(Change::SignedOut),
            Lease::NotAdopted(_) => None,
        }
        // The same bad news is told once.
        .filter(|_| {
            let what = |trouble: &Option<Trouble>| trouble.as_ref().map(|trouble| trouble.error.clone());
            self.held.is_some() || before.0.is_some() || what(&self.trouble) != what(&before.1)
        })
    }

    /// The leader is gone without an answer: what is held is served on, and the next caller leads.
    pub fn abandon(&mut self) {
        self.led = false;
    }
}

fn logged_out(why: LoginNeeded, now: Timestamp) -> Trouble {
    Trouble { error: why.into(), since: now, until: now.plus(LOGGED_OUT) }
}
