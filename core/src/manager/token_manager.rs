//! The machine: its states, the caller's commands, the answers.

use core::time::Duration;
use std::sync::Arc;

use super::lease::{Lease, SignedOut, Trouble};
use super::table::*;
use super::{Credential, Meaning, Settings, Source, TokenId, Unsaved};
use crate::endpoint::Revocation;
use crate::endpoint::nested::{self, BROKEN, Forwarded};
use crate::endpoint::revocation::TokenKind;
use crate::error::{Error, LoginNeeded, Refusal, StoreError, StoreFault};
use crate::grant::refresh::RefreshRequest;
use crate::grant::{ClientCredentials, Refresh};
use crate::machine::{
    Context, Delegation, Effect, Event, FAILED, Finding, Machine, READY, StateId, Step, Table, Transitions, Turn,
};
use crate::store::{Expected, Life, Record, StoreWrite, Stored, Version};
use crate::time::Timestamp;
use crate::token::{RecordError, TokenSet};

/// Nothing is renewed twice within this time, however short the lifetime is.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a save is tried again because the store held something older.
const SAVES: u8 = 3;

type Turned = Turn<Lease>;

/// Holds the tokens of one login, or of one client, and keeps them fresh.
///
/// Every state but the working ones accepts every command, and every command ends with a [`Lease`]. The picture is in the
/// [module's documentation](super).
#[derive(Debug)]
pub struct TokenManager {
    settings: Settings,
    /// Failed renewals in a row.
    failures: u32,
    /// When a token was last renewed because a resource server had refused it.
    forced_at: Option<Timestamp>,
    /// Records up to this version were signed out: a store that could not erase them does not bring them back.
    forgotten: Option<Version>,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Loading(Box<Look>),
    Vacant(Option<Box<Held>>, LoginNeeded),
    Fresh(Box<Held>),
    Resting(Box<Rest>),
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
struct Held {
    tokens: Arc<TokenSet>,
    credential: Credential,
    /// The greatest version seen of them.
    version: Option<Version>,
    /// What the store must hold for these tokens to replace it.
    expected: Expected,
    unsaved: Option<NotSaved>,
}

#[derive(Debug)]
struct NotSaved {
    retry_at: Timestamp,
    failures: u32,
}

#[derive(Debug)]
struct Look {
    held: Option<Box<Held>>,
    wish: Wish,
}

#[derive(Debug)]
struct Rest {
    held: Option<Box<Held>>,
    trouble: Trouble,
    rejected: Option<TokenId>,
}

/// What is being worked for while the record is claimed.
#[derive(Debug)]
struct Work {
    wish: Wish,
    held: Option<Box<Held>>,
    /// Whether a refresh of unknown delivery was repeated already.
    repeated: bool,
    saves: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
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
enum Doubt {
    Revoked(Error),
    Uncertain,
    Moved,
}

/// What is answered once the claim is let go.
#[derive(Debug)]
enum After {
    Token(Box<Held>),
    LoginNeeded(Option<Box<Held>>, LoginNeeded),
    SignedOut(SignedOut),
    Broken(Option<Box<Held>>, Error, Wish),
}

/// What a store holds.
enum Found {
    Nothing,
    Ended(Version),
    Live(Box<Held>),
}

impl Held {
    fn in_store(&self) -> Option<Version> {
        match self.expected {
            Expected::Version(version) => Some(version),
            Expected::Absent | Expected::Anything => None,
        }
    }

    /// Whether nobody else can know these tokens: no store has ever held them, nor any of which they are successors.
    fn is_unshared(&self) -> bool {
        self.unsaved.is_some() || self.in_store().is_none()
    }

    fn save_is_due(&self, now: Timestamp) -> bool {
        self.unsaved.as_ref().is_some_and(|unsaved| now >= unsaved.retry_at)
    }

    fn is_just_received(&self, now: Timestamp) -> bool {
        let since = self.tokens.received_at();
        since <= now && now < since.plus(PAUSE)
    }
}

impl Wish {
    fn rejected(self) -> Option<TokenId> {
        match self {
            Wish::Other(id) => Some(id),
            Wish::Usable | Wish::Newer | Wish::Leave | Wish::Discard => None,
        }
    }

    fn is_met_by(self, held: &Held, now: Timestamp) -> bool {
        match self {
            Wish::Usable => !held.credential.is_due(now),
            Wish::Other(id) => held.credential.id() != id && !held.credential.is_due(now),
            Wish::Newer | Wish::Leave | Wish::Discard => false,
        }
    }
}

impl Work {
    fn of(held: Option<Box<Held>>, wish: Wish) -> Self {
        Self { wish, held, repeated: false, saves: 0 }
    }

    fn in_store(&self) -> Option<Version> {
        self.held.as_ref().and_then(|held| held.in_store())
    }
}

impl TokenManager {
    /// Holds nothing yet, and has asked nobody.
    pub fn new(settings: Settings) -> Self {
        Self { settings, failures: 0, forced_at: None, forgotten: None, state: State::Ready }
    }

    /// What it was told once.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    // Commands.

    fn command(&mut self, state: State, event: Event, cx: &mut Context<'_>) -> Turned {
        let wish = match &event {
            Event::Renew => Wish::Newer,
            Event::Reject(id) => Wish::Other(*id),
            Event::SignOut => Wish::Leave,
            _ => Wish::Usable,
        };
        match (state, event) {
            (state, Event::Adopt(tokens)) => self.adopt(state.into_held(), *tokens, cx),
            (state, Event::SignOut) => self.claim(Work::of(state.into_held(), wish), LEAVING),
            (state, Event::Reload) => self.look(state.into_held(), wish),
            (State::Fresh(held), _) => self.fresh(held, wish, cx),
            (State::Resting(rest), _) => self.resting(*rest, wish, cx),
            (State::Vacant(Some(held), why), Event::Acquire) if held.credential.is_usable(cx.now) => {
                self.ended_but_usable(held, why, cx.now)
            }
            (state, _) => self.look(state.into_held(), wish),
        }
    }

    fn fresh(&mut self, held: Box<Held>, wish: Wish, cx: &mut Context<'_>) -> Turned {
        if held.save_is_due(cx.now) && wish == Wish::Usable {
            return self.save(Work::of(Some(held), wish), SAVE_DUE, cx);
        }
        let finding = match wish {
            Wish::Usable if held.credential.is_due(cx.now) && !held.is_just_received(cx.now) => AGED,
            Wish::Usable => return self.serve(held, USABLE),
            Wish::Other(id) if id != held.credential.id() => return self.serve(held, OUTDATED),
            Wish::Other(_) if self.was_just_forced(&held, cx.now) => return self.serve(held, TOO_SOON),
            Wish::Newer if held.is_just_received(cx.now) => return self.serve(held, TOO_SOON),
            Wish::Other(_) => CURRENT,
            Wish::Newer | Wish::Leave | Wish::Discard => EARLY,
        };
        self.claim(Work::of(Some(held), wish), finding)
    }

    /// A resource server that refuses every token gets one renewal a margin, no more.
    fn was_just_forced(&self, held: &Held, now: Timestamp) -> bool {
        let pause = held.tokens.renewal_margin().max(PAUSE);
        self.forced_at.is_some_and(|forced| forced <= now && now < forced.plus(pause))
    }

    fn resting(&mut self, mut rest: Rest, wish: Wish, cx: &mut Context<'_>) -> Turned {
        if rest.held.as_ref().is_some_and(|held| held.save_is_due(cx.now)) {
            return self.save(Work::of(rest.held, wish), SAVE_DUE, cx);
        }
        rest.rejected = wish.rejected().or(rest.rejected);
        if rest.trouble.lasts(cx.now) {
            let lease = self.lease_while_resting(&rest, cx.now);
            self.state = State::Resting(Box::new(rest));
            return Turn::Moved(TOO_SOON, Step::Done(lease));
        }
        let wish = rest.rejected.map_or(wish, Wish::Other);
        self.claim(Work::of(rest.held, wish), DUE)
    }

    fn lease_while_resting(&self, rest: &Rest, now: Timestamp) -> Lease {
        let withheld = |held: &Held| self.settings.0.unsaved == Unsaved::Withheld && held.unsaved.is_some();
        let served = rest.held.as_ref().filter(|held| {
            held.credential.is_usable(now) && rest.rejected != Some(held.credential.id()) && !withheld(held)
        });
        match served {
            Some(held) => Lease::Token { credential: held.credential.clone(), trouble: Some(rest.trouble.clone()) },
            None => Lease::Unavailable(rest.trouble.clone()),
        }
    }

    /// The server has ended the session, but the access token works on until its time is over.
    fn ended_but_usable(&mut self, held: Box<Held>, why: LoginNeeded, now: Timestamp) -> Turned {
        let lease = while_ended(&held, &why, now);
        self.state = State::Vacant(Some(held), why);
        Turn::Moved(USABLE, Step::Done(lease))
    }

    fn serve(&mut self, held: Box<Held>, finding: Finding) -> Turned {
        let lease = Lease::Token { credential: held.credential.clone(), trouble: None };
        self.state = State::Fresh(held);
        Turn::Moved(finding, Step::Done(lease))
    }

    fn adopt(&mut self, before: Option<Box<Held>>, tokens: TokenSet, cx: &mut Context<'_>) -> Turned {
        let version = before.as_ref().and_then(|held| held.version).max(self.forgotten);
        match self.hold(tokens, version, Expected::Anything, cx) {
            Ok(held) => self.save(Work::of(Some(held), Wish::Usable), ADOPTED, cx),
            Err(error) => self.rest(before, error, Wish::Usable, UNREADY, cx),
        }
    }

    // The store.

    fn look(&mut self, held: Option<Box<Held>>, wish: Wish) -> Turned {
        self.state = State::Loading(Box::new(Look { held, wish }));
        Turn::Moved(LOOKUP, Step::Do(Effect::Load(self.settings.0.key.clone())))
    }

    fn claim(&mut self, work: Work, finding: Finding) -> Turned {
        self.state = State::Claiming(Box::new(work));
        Turn::Moved(finding, Step::Do(Effect::Claim(self.settings.claim())))
    }

    /// Reads what a store holds.
    fn read(&self, stored: Option<Stored>, cx: &mut Context<'_>) -> Result<Found, Error> {
        let Some(stored) = stored.filter(|stored| Some(stored.version) > self.forgotten) else {
            return Ok(Found::Nothing);
        };
        let record = Record::read(&stored, &self.settings.0.key)?;
        if record.life == Life::Ended {
            return Ok(Found::Ended(record.version));
        }
        let tokens = TokenSet::from_record(record.tokens.expose(), cx.now).map_err(unreadable)?;
        self.hold(tokens, Some(record.version), Expected::Version(record.version), cx).map(Found::Live)
    }

    fn hold(
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

    fn loaded(&mut self, look: Look, stored: Option<Stored>, cx: &mut Context<'_>) -> Turned {
        let Look { held, wish } = look;
        let found = match self.read(stored, cx) {
            Ok(found) => found,
            Err(error) => return self.rest(held, error, wish, UNREADABLE, cx),
        };
        // What could not be saved is newer than what is stored.
        let kept = held.filter(|held| held.unsaved.is_some() && found.version() <= held.in_store());
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

    fn not_loaded(&mut self, look: Look, error: StoreError, cx: &mut Context<'_>) -> Turned {
        if self.settings.fetches_itself() {
            return self.renew(Work::of(look.held, look.wish), UNSHARED, cx);
        }
        self.rest(look.held, error.into(), look.wish, LOAD_BROKEN, cx)
    }

    fn claimed(&mut self, mut work: Work, stored: Option<Stored>, cx: &mut Context<'_>) -> Turned {
        let found = self.read(stored, cx);
        if work.wish == Wish::Leave {
            let stored = match found {
                Ok(Found::Live(held)) => Some(held),
                // What cannot be read is erased all the same.
                Ok(Found::Nothing | Found::Ended(_)) | Err(_) => None,
            };
            let newest = stored.filter(|stored| stored.version > work.held.as_ref().and_then(|held| held.version));
            work.held = newest.or(work.held);
            return self.leave(work, cx);
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.release_broken(work, error, UNREADABLE),
        };
        let version = found.version();
        match found {
            Found::Ended(_) if version > work.in_store() => {
                self.release(After::LoginNeeded(None, LoginNeeded::Ended(None)), SIBLING_ENDED)
            }
            Found::Live(found) if work.held.as_ref().is_none_or(|held| version > held.version) => {
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
    fn may_go_on_without_a_record(&self, work: &Work) -> bool {
        match (&self.settings.0.source, &work.held) {
            (Source::ClientCredentials { .. }, _) | (Source::Delegated, None) => true,
            (Source::Session(_), None) => false,
            (Source::Session(_) | Source::Delegated, Some(held)) => held.in_store().is_none(),
        }
    }

    fn not_claimed(&mut self, work: Work, error: StoreError, cx: &mut Context<'_>) -> Turned {
        if work.wish == Wish::Leave {
            return self.leave(work, cx);
        }
        if self.settings.fetches_itself() || work.held.as_ref().is_some_and(|held| held.is_unshared()) {
            return self.renew(work, UNSHARED, cx);
        }
        self.rest(work.held, error.into(), work.wish, CLAIM_BROKEN, cx)
    }

    // New tokens.

    fn renew(&mut self, work: Work, finding: Finding, cx: &mut Context<'_>) -> Turned {
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
                    Err(error) => self.release_broken(work, error, UNREADY),
                }
            }
            Source::ClientCredentials { client, scope, extras } => {
                let flow = ClientCredentials::unretried(&client, &scope, &extras);
                match flow.and_then(|flow| started(flow, cx)) {
                    Ok((flow, effect)) => {
                        self.state = State::Acquiring(Box::new((flow, work)));
                        Turn::Moved(finding, Step::Do(effect))
                    }
                    Err(error) => self.release_broken(work, error, UNREADY),
                }
            }
            Source::Delegated => {
                let spent = held.map(|held| Arc::clone(&held.tokens));
                self.state = State::Delegating(Box::new(work));
                Turn::Moved(finding, Step::Do(Effect::Delegate(Delegation { spent })))
            }
        }
    }

    fn renewing(&mut self, mut running: Box<(Refresh, Work)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Renewing(running);
                Turn::Inner(effect)
            }
            Forwarded::Done(tokens) => self.issued(running.1, tokens, RENEWED, cx),
            Forwarded::Broken(error) => self.not_renewed(running.1, error),
        }
    }

    fn acquiring(&mut self, mut running: Box<(ClientCredentials, Work)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Acquiring(running);
                Turn::Inner(effect)
            }
            Forwarded::Done(tokens) => self.issued(running.1, tokens, GRANTED, cx),
            // No refusal ends a session that is none.
            Forwarded::Broken(error) => self.release_broken(running.1, error, BROKEN),
        }
    }

    fn issued(&mut self, mut work: Work, tokens: TokenSet, finding: Finding, cx: &mut Context<'_>) -> Turned {
        if work.wish.rejected().is_some() {
            self.forced_at = Some(cx.now);
        }
        let old = work.held.take();
        let (version, expected) = match &old {
            Some(old) => (old.version, old.expected),
            None => (self.forgotten, Expected::Absent),
        };
        match self.hold(tokens, version, expected, cx) {
            Ok(held) => {
                work.held = Some(held);
                self.save(work, finding, cx)
            }
            Err(error) => {
                work.held = old;
                self.release_broken(work, error, if finding == GRANTED { UNREADY } else { BROKEN })
            }
        }
    }

    fn not_renewed(&mut self, work: Work, error: Error) -> Turned {
        let doubt = match Meaning::of(&error) {
            Meaning::LogInAgain => Doubt::Revoked(error),
            Meaning::Uncertain if !work.repeated => Doubt::Uncertain,
            Meaning::Uncertain | Meaning::TryLater | Meaning::FixConfig | Meaning::AskForLess => {
                return self.release_broken(work, error, BROKEN);
            }
        };
        let finding = if matches!(doubt, Doubt::Revoked(_)) { REVOKED } else { UNCERTAIN };
        self.reread(work, doubt, finding)
    }

    fn delegated(&mut self, mut work: Work, tokens: TokenSet, cx: &mut Context<'_>) -> Turned {
        let spent = work.held.as_ref().and_then(|held| held.tokens.refresh_token());
        let tokens = tokens.keeping(spent);
        work.repeated = true;
        self.issued(work, tokens, GRANTED, cx)
    }

    fn not_delegated(&mut self, work: Work, error: Error) -> Turned {
        match Meaning::of(&error) {
            Meaning::LogInAgain if work.held.is_some() => self.reread(work, Doubt::Revoked(error), REVOKED),
            Meaning::LogInAgain | Meaning::Uncertain | Meaning::TryLater | Meaning::FixConfig | Meaning::AskForLess => {
                self.release_broken(work, error, BROKEN)
            }
        }
    }

    // Doubt.

    fn reread(&mut self, work: Work, doubt: Doubt, finding: Finding) -> Turned {
        self.state = State::Rereading(Box::new((work, doubt)));
        Turn::Moved(finding, Step::Do(Effect::Load(self.settings.0.key.clone())))
    }

    fn reread_done(&mut self, work: Work, doubt: Doubt, stored: Option<Stored>, cx: &mut Context<'_>) -> Turned {
        let found = match self.read(stored, cx) {
            Ok(found) => found,
            Err(error) => return self.release_broken(work, error, UNREADABLE),
        };
        let is_newer = found.version() > work.in_store();
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
    fn save_again(&mut self, mut work: Work, found: &Found, cx: &mut Context<'_>) -> Turned {
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

    fn not_reread(&mut self, work: Work, doubt: Doubt, error: StoreError, cx: &mut Context<'_>) -> Turned {
        let unshared = work.held.as_ref().is_some_and(|held| held.is_unshared());
        match doubt {
            Doubt::Moved => self.keep_unsaved(work, error, LOAD_BROKEN, cx),
            Doubt::Revoked(refusal) if unshared => self.mark(work, refusal, cx),
            Doubt::Uncertain if unshared => self.renew(Work { repeated: true, ..work }, SAME_UNCERTAIN, cx),
            Doubt::Revoked(_) | Doubt::Uncertain => self.release_broken(work, error.into(), LOAD_BROKEN),
        }
    }

    // Kept.

    fn save(&mut self, mut work: Work, finding: Finding, cx: &mut Context<'_>) -> Turned {
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

    fn written(&self, held: &Held, life: Life, expected: Expected, cx: &mut Context<'_>) -> Result<StoreWrite, Error> {
        let version = Version::after(held.version, cx);
        let key = self.settings.0.key.clone();
        let stored = Record { version, life, tokens: held.tokens.to_record() }.write(&key)?;
        Ok(StoreWrite { key, expected, stored })
    }

    fn saved(&mut self, work: Work, version: Version, cx: &mut Context<'_>) -> Turned {
        self.failures = 0;
        let Some(mut held) = work.held else {
            return Turn::Ended(SAVED, Error::Bug("nothing was saved"));
        };
        held.version = Some(version);
        held.expected = Expected::Version(version);
        if held.unsaved.take().is_some() {
            let renew_at = self.settings.renew_at(&held.tokens, cx);
            match self.settings.credential(&held.tokens, renew_at, None, cx) {
                Ok(credential) => held.credential = credential,
                Err(error) => return self.release_broken(Work::of(Some(held), work.wish), error, SAVED),
            }
        }
        self.release(After::Token(held), SAVED)
    }

    /// Serves what could not be saved, or withholds it, and tries again later.
    fn keep_unsaved(&mut self, work: Work, error: StoreError, finding: Finding, cx: &mut Context<'_>) -> Turned {
        let Some(mut held) = work.held else {
            return self.release(After::Broken(None, error.into(), work.wish), finding);
        };
        let failures = held.unsaved.as_ref().map_or(0, |unsaved| unsaved.failures);
        let retry_at = Trouble::after(error.clone().into(), failures, cx).until;
        let due = self.settings.renew_at(&held.tokens, cx).map_or(retry_at, |due| due.min(retry_at));
        match self.settings.credential(&held.tokens, Some(due), Some(error.clone()), cx) {
            Ok(credential) => held.credential = credential,
            Err(broken) => return self.release(After::Broken(Some(held), broken, work.wish), finding),
        }
        held.unsaved = Some(NotSaved { retry_at, failures: failures.saturating_add(1) });
        match self.settings.0.unsaved {
            Unsaved::Served => self.release(After::Token(held), finding),
            Unsaved::Withheld => self.release(After::Broken(Some(held), error.into(), work.wish), finding),
        }
    }

    /// Writes down that the refresh token is worth nothing, so that no process sends it again.
    fn mark(&mut self, work: Work, error: Error, cx: &mut Context<'_>) -> Turned {
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

    // Given up.

    fn leave(&mut self, work: Work, cx: &mut Context<'_>) -> Turned {
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

    fn discard(&mut self, work: Work, cx: &mut Context<'_>) -> Turned {
        match self.revocation(&work).and_then(Result::ok).map(|flow| started(flow, cx)) {
            Some(Ok((flow, effect))) => {
                self.state = State::Revoking(Box::new((flow, Work { wish: Wish::Discard, ..work })));
                Turn::Moved(DISCARDED, Step::Do(effect))
            }
            Some(Err(_)) | None => self.release(After::LoginNeeded(None, LoginNeeded::NoSession), GONE),
        }
    }

    fn revocation(&self, work: &Work) -> Option<Result<Revocation, Error>> {
        let (client, tokens) = (self.settings.client()?, &work.held.as_ref()?.tokens);
        Some(match tokens.refresh_token() {
            Some(token) => Revocation::new(client, token, TokenKind::Refresh),
            None => Revocation::new(client, tokens.access_token(), TokenKind::Access),
        })
    }

    fn revoking(&mut self, mut running: Box<(Revocation, Work)>, event: Event, cx: &mut Context<'_>) -> Turned {
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

    fn erase(&mut self, work: Work, revoked: Option<Result<(), Error>>, finding: Finding) -> Turned {
        self.state = State::Erasing(Box::new((work, revoked)));
        Turn::Moved(finding, Step::Do(Effect::Delete(self.settings.0.key.clone())))
    }

    fn erased(
        &mut self,
        (work, revoked): (Work, Option<Result<(), Error>>),
        erased: Result<(), Error>,
        finding: Finding,
    ) -> Turned {
        self.forgotten = work.held.and_then(|held| held.version).max(self.forgotten);
        self.failures = 0;
        self.release(After::SignedOut(SignedOut { revoked, erased }), finding)
    }

    // Answers.

    fn release(&mut self, after: After, finding: Finding) -> Turned {
        self.state = State::Releasing(Box::new(after));
        Turn::Moved(finding, Step::Do(Effect::Release(self.settings.0.key.clone())))
    }

    fn release_broken(&mut self, work: Work, error: Error, finding: Finding) -> Turned {
        self.release(After::Broken(work.held, error, work.wish), finding)
    }

    fn released(&mut self, after: After, cx: &mut Context<'_>) -> Turned {
        match after {
            After::Token(held) => self.serve(held, USABLE),
            After::LoginNeeded(held, why) => self.vacate(held, why, LOGIN_NEEDED, cx.now),
            After::Broken(held, error, wish) => self.rest(held, error, wish, BROKEN, cx),
            After::SignedOut(outcome) => {
                self.state = State::Vacant(None, LoginNeeded::NoSession);
                Turn::Moved(SIGNED_OUT, Step::Done(Lease::SignedOut(outcome)))
            }
        }
    }

    fn vacate(&mut self, held: Option<Box<Held>>, why: LoginNeeded, finding: Finding, now: Timestamp) -> Turned {
        let held = held.filter(|held| held.credential.is_usable(now));
        let lease = match &held {
            Some(held) => while_ended(held, &why, now),
            None => Lease::LoginNeeded(why.clone()),
        };
        self.state = State::Vacant(held, why);
        Turn::Moved(finding, Step::Done(lease))
    }

    fn rest(
        &mut self,
        held: Option<Box<Held>>,
        error: Error,
        wish: Wish,
        finding: Finding,
        cx: &mut Context<'_>,
    ) -> Turned {
        let trouble = Trouble::after(error, self.failures, cx);
        self.failures = self.failures.saturating_add(1);
        let rest = Rest { held, trouble, rejected: wish.rejected() };
        let lease = self.lease_while_resting(&rest, cx.now);
        self.state = State::Resting(Box::new(rest));
        Turn::Moved(finding, Step::Done(lease))
    }
}

impl State {
    fn into_held(self) -> Option<Box<Held>> {
        match self {
            State::Fresh(held) => Some(held),
            State::Vacant(held, _) => held,
            State::Resting(rest) => rest.held,
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
    }
}

impl Found {
    fn version(&self) -> Option<Version> {
        match self {
            Found::Nothing => None,
            Found::Ended(version) => Some(*version),
            Found::Live(held) => held.version,
        }
    }
}

/// The access token of a session that has ended, as long as its time is not over.
fn while_ended(held: &Held, why: &LoginNeeded, now: Timestamp) -> Lease {
    let until = held.credential.expires_at().unwrap_or_else(|| now.plus(Duration::from_secs(60)));
    let trouble = Trouble { error: why.clone().into(), since: now, until };
    Lease::Token { credential: held.credential.clone(), trouble: Some(trouble) }
}

fn unreadable(error: RecordError) -> StoreError {
    let fault = if matches!(error, RecordError::Newer { .. }) { StoreFault::Newer } else { StoreFault::Corrupt };
    StoreError::new(fault, error.to_string())
}

fn refusal(error: Error) -> Option<Box<Refusal>> {
    match error {
        Error::Refused(refusal) => Some(refusal),
        Error::LoginNeeded(LoginNeeded::Ended(refusal)) => refusal,
        _ => None,
    }
}

/// Starts a flow that runs inside.
fn started<M: Machine>(mut flow: M, cx: &mut Context<'_>) -> Result<(M, Effect), Error> {
    match flow.handle(Event::Start, cx)? {
        Step::Do(effect) => Ok((flow, effect)),
        Step::Done(_) => Err(Error::Bug("a flow that is complete before it began")),
    }
}

impl Transitions for TokenManager {
    type Output = Lease;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready => READY,
            State::Loading(_) => LOADING,
            State::Vacant(..) => VACANT,
            State::Fresh(_) => FRESH,
            State::Resting(_) => RESTING,
            State::Claiming(_) => CLAIMING,
            State::Renewing(_) => RENEWING,
            State::Acquiring(_) => ACQUIRING,
            State::Delegating(_) => DELEGATING,
            State::Rereading(_) => REREADING,
            State::Saving(_) => SAVING,
            State::Marking(_) => MARKING,
            State::Revoking(_) => REVOKING,
            State::Erasing(_) => ERASING,
            State::Releasing(_) => RELEASING,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Renewing(running) => Some(nested::leaf(&running.0)),
            State::Acquiring(running) => Some(nested::leaf(&running.0)),
            State::Revoking(running) => Some(nested::leaf(&running.0)),
            State::Ready
            | State::Loading(_)
            | State::Vacant(..)
            | State::Fresh(_)
            | State::Resting(_)
            | State::Claiming(_)
            | State::Delegating(_)
            | State::Rereading(_)
            | State::Saving(_)
            | State::Marking(_)
            | State::Erasing(_)
            | State::Releasing(_)
            | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (state @ (State::Ready | State::Vacant(..) | State::Fresh(_) | State::Resting(_)), event) => {
                self.command(state, event, cx)
            }
            (State::Loading(look), Event::Loaded(stored)) => self.loaded(*look, stored, cx),
            (State::Loading(look), Event::StoreFailed(error)) => self.not_loaded(*look, error, cx),
            (State::Claiming(work), Event::Loaded(stored)) => self.claimed(*work, stored, cx),
            (State::Claiming(work), Event::StoreFailed(error)) => self.not_claimed(*work, error, cx),
            (State::Renewing(running), event) => self.renewing(running, event, cx),
            (State::Acquiring(running), event) => self.acquiring(running, event, cx),
            (State::Delegating(work), Event::Delegated(tokens)) => self.delegated(*work, *tokens, cx),
            (State::Delegating(work), Event::DelegateFailed(error)) => self.not_delegated(*work, error),
            (State::Rereading(doubtful), Event::Loaded(stored)) => {
                let (work, doubt) = *doubtful;
                self.reread_done(work, doubt, stored, cx)
            }
            (State::Rereading(doubtful), Event::StoreFailed(error)) => {
                let (work, doubt) = *doubtful;
                self.not_reread(work, doubt, error, cx)
            }
            (State::Saving(saving), Event::Stored) => self.saved(saving.0, saving.1, cx),
            (State::Saving(saving), Event::Conflict) => self.reread(saving.0, Doubt::Moved, STORE_MOVED),
            (State::Saving(saving), Event::StoreFailed(error)) => self.keep_unsaved(saving.0, error, UNSAVED, cx),
            (State::Marking(marking), event) => {
                let finding = match event {
                    Event::Stored => MARKED,
                    Event::Conflict => STORE_MOVED,
                    _ => UNMARKED,
                };
                self.release(After::LoginNeeded(marking.0.held, marking.1), finding)
            }
            (State::Revoking(running), event) => self.revoking(running, event, cx),
            (State::Erasing(erasing), Event::Stored) => self.erased(*erasing, Ok(()), ERASED),
            (State::Erasing(erasing), Event::StoreFailed(error)) => {
                self.erased(*erasing, Err(error.into()), ERASE_BROKEN)
            }
            (State::Releasing(after), Event::Released) => self.released(*after, cx),
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}
