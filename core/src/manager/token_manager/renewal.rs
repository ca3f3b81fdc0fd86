//! Getting new tokens, and what is done when nobody knows whether that went well.

use std::sync::Arc;

use super::state::{After, Doubt, Found, State, Work};
use super::{TokenManager, Turned, started};
use crate::endpoint::nested::{self, BROKEN, Forwarded};
use crate::error::{Error, LoginNeeded, StoreError, StoreFault};
use crate::grant::refresh::RefreshRequest;
use crate::grant::{ClientCredentials, Refresh};
use crate::machine::{Context, Delegation, Effect, Event, Finding, Step, Turn};
use crate::manager::table::*;
use crate::manager::{Meaning, Source};
use crate::store::{Expected, Stored};
use crate::token::TokenSet;

/// How often a save is tried again because the store held something older.
const SAVES: u8 = 3;

impl TokenManager {
    pub(super) fn renew(&mut self, work: Work, finding: Finding, cx: &mut Context<'_>) -> Turned {
        let source = self.settings.0.source.clone();
        let held = work.held.as_ref();
        if held.is_some_and(|held| !self.settings.can_renew(&held.tokens)) {
            let why = if work.wish.rejected().is_some() { LoginNeeded::Rejected } else { LoginNeeded::NotRenewable };
            let rejected = work.wish.rejected();
            let held = work.held.filter(|held| Some(held.credential.id()) != rejected);
            return self.release(After::LoginNeeded(held, why), NOT_RENEWABLE);
        }
        match source {
            Source::Session(client) => {
                let Some(held) = held else {
                    return self.release(After::LoginNeeded(None, LoginNeeded::NoSession), GONE);
                };
                let flow =
                    RefreshRequest::of(&held.tokens).and_then(|request| Refresh::new(&client, request.unretried()));
                match flow.and_then(|flow| started(flow, cx)) {
                    Ok((flow, effect)) => {
                        self.state = State::Renewing(Box::new((flow, work)));
                        Turn::Moved(finding, Step::Do(effect))
                    }
                    Err(error) => self.release_broken(work, error, UNREADY, cx),
                }
            }
            Source::ClientCredentials { client, scope, extras } => {
                let flow = ClientCredentials::unretried(&client, &scope, &extras);
                match flow.and_then(|flow| started(flow, cx)) {
                    Ok((flow, effect)) => {
                        self.state = State::Acquiring(Box::new((flow, work)));
                        Turn::Moved(finding, Step::Do(effect))
                    }
                    Err(error) => self.release_broken(work, error, UNREADY, cx),
                }
            }
            Source::Delegated => {
                let spent = held.map(|held| Arc::clone(&held.tokens));
                self.state = State::Delegating(Box::new(work));
                Turn::Moved(finding, Step::Do(Effect::Delegate(Delegation { spent })))
            }
        }
    }

    pub(super) fn renewing(&mut self, mut running: Box<(Refresh, Work)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Renewing(running);
                Turn::Inner(effect)
            }
            Forwarded::Done(tokens) => self.issued(running.1, tokens, RENEWED, cx),
            Forwarded::Broken(error) => self.not_renewed(running.1, error, cx),
        }
    }

    pub(super) fn acquiring(
        &mut self,
        mut running: Box<(ClientCredentials, Work)>,
        event: Event,
        cx: &mut Context<'_>,
    ) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Acquiring(running);
                Turn::Inner(effect)
            }
            Forwarded::Done(tokens) => self.issued(running.1, tokens, GRANTED, cx),
            // No refusal ends a session that is none.
            Forwarded::Broken(error) => self.release_broken(running.1, error, BROKEN, cx),
        }
    }

    pub(super) fn issued(
        &mut self,
        mut work: Work,
        tokens: TokenSet,
        finding: Finding,
        cx: &mut Context<'_>,
    ) -> Turned {
        if work.wish.rejected().is_some() {
            self.forced_at = Some(cx.now);
        }
        let (version, expected) = match &work.held {
            Some(old) => (old.version, old.expected),
            None => (self.forgotten, Expected::Absent),
        };
        let tokens = match &work.held {
            Some(old) if self.settings.0.merge_old => tokens.merged_over(&old.tokens),
            // The flows have done so. Whoever renews elsewhere need not send what has not changed.
            Some(old) => tokens.succeeding(&old.tokens),
            None => tokens,
        };
        match self.hold(tokens, version, expected, cx) {
            Ok(held) => {
                work.held = Some(held);
                self.save(work, finding, cx)
            }
            Err(error) => self.release_broken(work, error, BROKEN, cx),
        }
    }

    pub(super) fn not_renewed(&mut self, work: Work, error: Error, cx: &mut Context<'_>) -> Turned {
        let doubt = match Meaning::of(&error) {
            Meaning::LogInAgain => Doubt::Revoked(error),
            Meaning::Uncertain if !work.repeated => Doubt::Uncertain,
            Meaning::Uncertain | Meaning::TryLater | Meaning::FixConfig | Meaning::AskForLess => {
                return self.release_broken(work, error, BROKEN, cx);
            }
        };
        let finding = if matches!(doubt, Doubt::Revoked(_)) { REVOKED } else { UNCERTAIN };
        self.reread(work, doubt, finding)
    }

    pub(super) fn delegated(&mut self, work: Work, tokens: TokenSet, cx: &mut Context<'_>) -> Turned {
        self.issued(work, tokens, GRANTED, cx)
    }

    pub(super) fn not_delegated(&mut self, work: Work, error: Error, cx: &mut Context<'_>) -> Turned {
        match Meaning::of(&error) {
            Meaning::LogInAgain if work.held.is_some() => self.reread(work, Doubt::Revoked(error), REVOKED),
            Meaning::LogInAgain | Meaning::Uncertain | Meaning::TryLater | Meaning::FixConfig | Meaning::AskForLess => {
                self.release_broken(work, error, BROKEN, cx)
            }
        }
    }

    pub(super) fn reread(&mut self, work: Work, doubt: Doubt, finding: Finding) -> Turned {
        self.state = State::Rereading(Box::new((work, doubt)));
        Turn::Moved(finding, Step::Do(Effect::Load(self.settings.0.key.clone())))
    }

    pub(super) fn reread_done(
        &mut self,
        work: Work,
        doubt: Doubt,
        stored: Option<Stored>,
        cx: &mut Context<'_>,
    ) -> Turned {
        let found = match self.read(stored, cx) {
            Ok(found) => found,
            Err(error) => return self.release_broken(work, error, UNREADABLE, cx),
        };
        let is_newer = found.version() > work.version();
        match (doubt, found) {
            (_, Found::Live(found)) if is_newer => {
                self.failures = 0;
                self.release(After::Token(found), SIBLING_RENEWED)
            }
            (Doubt::Moved, found) => self.save_again(work, &found, cx),
            (_, Found::Ended(_)) if is_newer => {
                self.release(After::LoginNeeded(None, LoginNeeded::Ended(None)), SIBLING_ENDED)
            }
            (_, Found::Nothing) if work.in_store().is_some() => {
                self.release(After::LoginNeeded(None, LoginNeeded::NoSession), GONE)
            }
            (Doubt::Revoked(error), Found::Nothing | Found::Ended(_) | Found::Live(_)) => self.mark(work, error, cx),
            (Doubt::Uncertain, Found::Nothing | Found::Ended(_) | Found::Live(_)) => {
                self.renew(Work { repeated: true, ..work }, SAME_UNCERTAIN, cx)
            }
        }
    }

    /// The store holds something else than was expected when new tokens were to be saved, and nothing newer.
    pub(super) fn save_again(&mut self, mut work: Work, found: &Found, cx: &mut Context<'_>) -> Turned {
        let Some(held) = work.held.as_mut().filter(|_| work.saves < SAVES) else {
            let error = StoreError::new(StoreFault::Busy, "it changes with every attempt to save");
            return self.keep_unsaved(work, error, STORE_TORN, cx);
        };
        match found {
            Found::Nothing if held.in_store().is_some() && !self.settings.fetches_itself() => {
                // Somebody has signed out meanwhile: what came of the renewal is given back, not kept.
                self.discard(work, cx)
            }
            Found::Nothing => {
                held.expected = Expected::Absent;
                self.save(work, STORE_BEHIND, cx)
            }
            // A record that ended while we were renewing it has ended because we were.
            Found::Ended(version) => {
                held.expected = Expected::Version(*version);
                held.version = held.version.max(Some(*version));
                self.save(work, STORE_BEHIND, cx)
            }
            Found::Live(found) => {
                held.expected = found.expected;
                self.save(work, STORE_BEHIND, cx)
            }
        }
    }

    pub(super) fn not_reread(&mut self, work: Work, doubt: Doubt, error: StoreError, cx: &mut Context<'_>) -> Turned {
        let unshared = work.held.as_ref().is_some_and(|held| held.is_unshared());
        match doubt {
            Doubt::Moved => self.keep_unsaved(work, error, UNSAVED, cx),
            Doubt::Revoked(refusal) if unshared => self.mark(work, refusal, cx),
            Doubt::Uncertain if unshared => self.renew(Work { repeated: true, ..work }, SAME_UNCERTAIN, cx),
            Doubt::Revoked(_) | Doubt::Uncertain => self.release_broken(work, error.into(), LOAD_BROKEN, cx),
        }
    }
}
