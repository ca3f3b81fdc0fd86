//! Saving what is new, and giving up what is old.

use super::state::{After, Held, NotSaved, State, Wish, Work};
use super::{TokenManager, Turned, started};
use crate::endpoint::Revocation;
use crate::endpoint::nested::{self, Forwarded};
use crate::endpoint::revocation::TokenKind;
use crate::error::{Error, LoginNeeded, Refusal, StoreError};
use crate::machine::{Context, Effect, Event, Finding, Step, Turn};
use crate::manager::Unsaved;
use crate::manager::lease::{SignedOut, Trouble};
use crate::manager::table::*;
use crate::store::{Expected, Life, Record, StoreWrite, Version};

impl TokenManager {
    pub(super) fn save(&mut self, mut work: Work, finding: Finding, cx: &mut Context<'_>) -> Turned {
        work.saves = work.saves.saturating_add(1);
        let written = match &work.held {
            Some(held) => self.written(held, Life::Live, held.expected, cx),
            None => Err(Error::Bug("nothing to save")),
        };
        match written {
            Ok(write) => {
                let version = write.stored.version;
                self.state = State::Saving(Box::new((work, version)));
                Turn::Moved(finding, Step::Do(Effect::Save(write)))
            }
            Err(error) => Turn::Ended(finding, error),
        }
    }

    pub(super) fn written(
        &self,
        held: &Held,
        life: Life,
        expected: Expected,
        cx: &mut Context<'_>,
    ) -> Result<StoreWrite, Error> {
        let version = Version::after(held.version, cx);
        let key = self.settings.0.key.clone();
        let mut stored = Record { version, life, tokens: held.tokens.to_record() }.write(&key)?;
        // An answer at the limits of what can be read is beyond them inside of a record.
        if Record::read(&stored, &key).is_err() {
            stored = Record { version, life, tokens: held.tokens.to_plain_record() }.write(&key)?;
        }
        Ok(StoreWrite { key, expected, stored })
    }

    pub(super) fn saved(&mut self, work: Work, version: Version, cx: &mut Context<'_>) -> Turned {
        let Some(mut held) = work.held else {
            return Turn::Ended(SAVED, Error::Bug("nothing was saved"));
        };
        held.version = Some(version);
        held.expected = Expected::Version(version);
        if held.unsaved.take().is_some() {
            let renew_at = self.settings.renew_at(&held.tokens, cx);
            match self.settings.credential(&held.tokens, renew_at, None, cx) {
                Ok(credential) => held.credential = credential,
                Err(error) => return Turn::Ended(SAVED, error),
            }
        }
        if let Some(error) = work.trouble {
            return self.release(After::Broken(Some(held), error, work.wish), SAVED);
        }
        self.failures = 0;
        self.release(After::Token(held), SAVED)
    }

    /// Serves what could not be saved, or withholds it, and tries again later. The claim is kept until then: whoever reads the
    /// record now finds a token that is spent.
    pub(super) fn keep_unsaved(
        &mut self,
        work: Work,
        error: StoreError,
        finding: Finding,
        cx: &mut Context<'_>,
    ) -> Turned {
        let Some(mut held) = work.held else {
            return Turn::Ended(finding, Error::Bug("nothing was to be saved"));
        };
        let failures = held.unsaved.as_ref().map_or(0, |unsaved| unsaved.failures);
        let retry_at = Trouble::after(error.clone().into(), failures, cx).until;
        let due = self.settings.renew_at(&held.tokens, cx).map_or(retry_at, |due| due.min(retry_at));
        match self.settings.credential(&held.tokens, Some(due), Some(error.clone()), cx) {
            Ok(credential) => held.credential = credential,
            Err(broken) => return Turn::Ended(finding, broken),
        }
        held.unsaved = Some(NotSaved { retry_at, failures: failures.saturating_add(1) });
        match (work.trouble, self.settings.0.unsaved) {
            (Some(trouble), _) => self.rest(Some(held), trouble, work.wish, finding, cx),
            (None, Unsaved::Served) => self.serve(held, finding),
            (None, Unsaved::Withheld) => self.rest(Some(held), error.into(), work.wish, finding, cx),
        }
    }

    /// Writes down that the refresh token is worth nothing, so that no process sends it again.
    pub(super) fn mark(&mut self, work: Work, error: Error, cx: &mut Context<'_>) -> Turned {
        let why = LoginNeeded::Ended(refusal(error));
        let expected = work.in_store().map_or(Expected::Absent, Expected::Version);
        match work.held.as_ref().map(|held| self.written(held, Life::Ended, expected, cx)) {
            Some(Ok(write)) => {
                self.state = State::Marking(Box::new((work, why)));
                Turn::Moved(SAME_REVOKED, Step::Do(Effect::Save(write)))
            }
            Some(Err(error)) => Turn::Ended(SAME_REVOKED, error),
            None => Turn::Ended(SAME_REVOKED, Error::Bug("nothing was refused")),
        }
    }

    pub(super) fn leave(&mut self, work: Work, cx: &mut Context<'_>) -> Turned {
        match self.revocation(&work) {
            Some(Ok(flow)) => match started(flow, cx) {
                Ok((flow, effect)) => {
                    self.state = State::Revoking(Box::new((flow, work)));
                    Turn::Moved(LEAVING, Step::Do(effect))
                }
                Err(error) => self.erase(work, Some(Err(error)), NOTHING_TO_REVOKE),
            },
            // A server without a revocation endpoint has nothing to be told.
            Some(Err(_)) | None => self.erase(work, None, NOTHING_TO_REVOKE),
        }
    }

    pub(super) fn discard(&mut self, work: Work, cx: &mut Context<'_>) -> Turned {
        match self.revocation(&work).and_then(Result::ok).map(|flow| started(flow, cx)) {
            Some(Ok((flow, effect))) => {
                self.state = State::Revoking(Box::new((flow, Work { wish: Wish::Discard, ..work })));
                Turn::Moved(DISCARDED, Step::Do(effect))
            }
            Some(Err(_)) | None => self.release(After::LoginNeeded(None, LoginNeeded::NoSession), GONE),
        }
    }

    pub(super) fn revocation(&self, work: &Work) -> Option<Result<Revocation, Error>> {
        let (client, tokens) = (self.settings.client()?, &work.held.as_ref()?.tokens);
        Some(match tokens.refresh_token() {
            Some(token) => Revocation::new(client, token, TokenKind::Refresh),
            None => Revocation::new(client, tokens.access_token(), TokenKind::Access),
        })
    }

    pub(super) fn revoking(
        &mut self,
        mut running: Box<(Revocation, Work)>,
        event: Event,
        cx: &mut Context<'_>,
    ) -> Turned {
        let revoked = match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Revoking(running);
                return Turn::Inner(effect);
            }
            Forwarded::Done(()) => Ok(()),
            Forwarded::Broken(error) => Err(error),
        };
        if running.1.wish == Wish::Discard {
            return self.release(After::LoginNeeded(None, LoginNeeded::NoSession), DISCARDED);
        }
        let finding = if revoked.is_ok() { REVOKED } else { NOT_REVOKED };
        self.erase(running.1, Some(revoked), finding)
    }

    pub(super) fn erase(&mut self, work: Work, revoked: Option<Result<(), Error>>, finding: Finding) -> Turned {
        self.state = State::Erasing(Box::new((work, revoked)));
        Turn::Moved(finding, Step::Do(Effect::Delete(self.settings.0.key.clone())))
    }

    pub(super) fn erased(
        &mut self,
        (work, revoked): (Work, Option<Result<(), Error>>),
        erased: Result<(), Error>,
        finding: Finding,
    ) -> Turned {
        self.forgotten = work.held.and_then(|held| held.version).max(self.forgotten);
        self.failures = 0;
        self.release(After::SignedOut(SignedOut { revoked, erased }), finding)
    }
}

fn refusal(error: Error) -> Option<Box<Refusal>> {
    match error {
        Error::Refused(refusal) => Some(refusal),
        Error::LoginNeeded(LoginNeeded::Ended(refusal)) => refusal,
        _ => None,
    }
}
