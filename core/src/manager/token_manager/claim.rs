//! Reading the store, and claiming the record that is about to be replaced.

use std::sync::Arc;

use super::state::{After, Found, Held, Look, State, Wish, Work};
use super::{TokenManager, Turned};
use crate::error::{Error, LoginNeeded, StoreError};
use crate::machine::{Context, Effect, Finding, Step, Turn};
use crate::manager::Source;
use crate::manager::table::*;
use crate::store::{Expected, Life, Record, Stored, Version};
use crate::token::TokenSet;

impl TokenManager {
    pub(super) fn look(&mut self, held: Option<Box<Held>>, wish: Wish) -> Turned {
        self.state = State::Loading(Box::new(Look { held, wish }));
        Turn::Moved(LOOKUP, Step::Do(Effect::Load(self.settings.0.key.clone())))
    }

    pub(super) fn claim(&mut self, work: Work, finding: Finding) -> Turned {
        self.state = State::Claiming(Box::new(work));
        Turn::Moved(finding, Step::Do(Effect::Claim(self.settings.claim())))
    }

    /// Reads what a store holds.
    pub(super) fn read(&self, stored: Option<Stored>, cx: &mut Context<'_>) -> Result<Found, Error> {
        let Some(stored) = stored.filter(|stored| Some(stored.version) > self.forgotten) else {
            return Ok(Found::Nothing);
        };
        let record = Record::read(&stored, &self.settings.0.key)?;
        if record.life == Life::Ended {
            return Ok(Found::Ended(record.version));
        }
        self.hold(record.token_set(cx.now)?, Some(record.version), Expected::Version(record.version), cx)
            .map(Found::Live)
    }

    pub(super) fn hold(
        &self,
        tokens: TokenSet,
        version: Option<Version>,
        expected: Expected,
        cx: &mut Context<'_>,
    ) -> Result<Box<Held>, Error> {
        let tokens = Arc::new(tokens);
        let renew_at = self.settings.renew_at(&tokens, cx);
        let credential = self.settings.credential(&tokens, renew_at, None, cx)?;
        Ok(Box::new(Held { tokens, credential, version, expected, unsaved: None }))
    }

    pub(super) fn loaded(&mut self, look: Look, stored: Option<Stored>, cx: &mut Context<'_>) -> Turned {
        let Look { held, wish } = look;
        let found = match self.read(stored, cx) {
            Ok(found) => found,
            Err(error) => return self.rest(held, error, wish, UNREADABLE, cx),
        };
        // What could not be saved is newer than what is stored.
        let kept = held.filter(|held| held.unsaved.is_some() && found.version() <= held.version);
        match (kept, found) {
            (None, Found::Ended(_)) => self.vacate(None, LoginNeeded::Ended(None), FOUND_ENDED, cx.now),
            (None, Found::Nothing) => match self.settings.0.source {
                Source::Session(_) => self.vacate(None, LoginNeeded::NoSession, NO_TOKEN, cx.now),
                Source::ClientCredentials { .. } | Source::Delegated => self.claim(Work::of(None, wish), NO_TOKEN),
            },
            (Some(held), _) | (None, Found::Live(held)) => {
                if wish.is_met_by(&held, cx.now) {
                    self.failures = 0;
                    self.serve(held, FOUND_FRESH)
                } else {
                    self.claim(Work::of(Some(held), wish), FOUND_STALE)
                }
            }
        }
    }

    pub(super) fn not_loaded(&mut self, look: Look, error: StoreError, cx: &mut Context<'_>) -> Turned {
        if self.settings.fetches_itself() {
            return self.renew(Work::of(look.held, look.wish), UNSHARED, cx);
        }
        self.rest(look.held, error.into(), look.wish, LOAD_BROKEN, cx)
    }

    pub(super) fn claimed(&mut self, mut work: Work, stored: Option<Stored>, cx: &mut Context<'_>) -> Turned {
        let found = self.read(stored, cx);
        if work.wish == Wish::Leave {
            let stored = match found {
                Ok(Found::Live(held)) => Some(held),
                // What cannot be read is erased all the same.
                Ok(Found::Nothing | Found::Ended(_)) | Err(_) => None,
            };
            let newest = stored.filter(|stored| stored.version > work.version());
            work.held = newest.or(work.held);
            return self.leave(work, cx);
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.release_broken(work, error, UNREADABLE, cx),
        };
        let version = found.version();
        match found {
            Found::Ended(_) if version > work.version() => {
                self.release(After::LoginNeeded(None, LoginNeeded::Ended(None)), SIBLING_ENDED)
            }
            Found::Live(found) if version > work.version() => {
                if work.wish.is_met_by(&found, cx.now) {
                    self.failures = 0;
                    return self.release(After::Token(found), SIBLING_RENEWED);
                }
                work.held = Some(found);
                self.renew(work, UNCHANGED, cx)
            }
            Found::Nothing if !self.may_go_on_without_a_record(&work) => {
                self.release(After::LoginNeeded(None, LoginNeeded::NoSession), GONE)
            }
            Found::Nothing | Found::Ended(_) | Found::Live(_) => {
                // The same record, or one that is older because the store has lost a write: it is replaced as it is.
                if let Some(held) = &mut work.held {
                    held.expected = version.map_or(Expected::Absent, Expected::Version);
                }
                self.renew(work, UNCHANGED, cx)
            }
        }
    }

    /// Whether an empty store means that there is no token yet, and not that somebody has signed out.
    pub(super) fn may_go_on_without_a_record(&self, work: &Work) -> bool {
        match (&self.settings.0.source, &work.held) {
            (Source::ClientCredentials { .. }, _) | (Source::Delegated, None) => true,
            (Source::Session(_), None) => false,
            (Source::Session(_) | Source::Delegated, Some(held)) => held.in_store().is_none(),
        }
    }

    pub(super) fn not_claimed(&mut self, work: Work, error: StoreError, cx: &mut Context<'_>) -> Turned {
        if work.wish == Wish::Leave {
            return self.leave(work, cx);
        }
        if self.settings.fetches_itself() || work.held.as_ref().is_some_and(|held| held.is_unshared()) {
            return self.renew(work, UNSHARED, cx);
        }
        self.rest(work.held, error.into(), work.wish, CLAIM_BROKEN, cx)
    }
}
