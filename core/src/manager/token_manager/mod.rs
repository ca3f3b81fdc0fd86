//! The machine: its states, the caller's commands, the answers.

mod claim;
mod keeping;
mod renewal;
mod state;

use core::time::Duration;

use self::state::{After, Doubt, Held, Rest, State, Wish, Work};
use super::lease::{Lease, Trouble};
use super::table::*;
use super::{Settings, TokenId, Unsaved};
use crate::endpoint::nested::{self, BROKEN};
use crate::error::{Error, LoginNeeded};
use crate::machine::{
    Context, Effect, Event, FAILED, Finding, Machine, READY, StateId, Step, Table, Transitions, Turn,
};
use crate::store::{Expected, Version};
use crate::time::Timestamp;
use crate::token::TokenSet;

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

impl TokenManager {
    /// Holds nothing yet, and has asked nobody.
    pub fn new(settings: Settings) -> Self {
        Self { settings, failures: 0, forced_at: None, forgotten: None, state: State::Ready }
    }

    /// What it was told once.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes up a manager whose last command nobody has brought to its end: the task that drove it is gone. What it holds is
    /// kept; new tokens that may not have been saved are saved next. One that waits for a command is left as it is.
    pub fn recover(&mut self) {
        self.state = core::mem::replace(&mut self.state, State::Ready).recovered();
    }

    /// Whether the claim on the record is to be kept although no command is at work: there are new tokens that could not be
    /// saved, and what the record holds is spent. A driver that still has a claim lets it go otherwise.
    pub fn keeps_claim(&self) -> bool {
        self.state.held().is_some_and(Held::is_unshared)
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
            (state, Event::Adopt(tokens)) => self.adopt(state, *tokens, cx),
            (state, Event::SignOut) => self.claim(Work::of(state.into_held(), wish), LEAVING),
            (state, Event::Reload) => self.look(state.into_held(), wish),
            (State::Fresh(held), _) => self.fresh(held, wish, cx),
            (State::Resting(held, rest), _) => self.resting(held, *rest, wish, cx),
            (State::Vacant(Some(held), why), Event::Acquire) if held.credential.is_usable(cx.now) => {
                self.ended_but_usable(held, why, USABLE, cx.now)
            }
            (State::Vacant(Some(held), why), Event::Reject(id))
                if id != held.credential.id() && held.credential.is_usable(cx.now) =>
            {
                self.ended_but_usable(held, why, OUTDATED, cx.now)
            }
            (state, _) => self.look(state.into_held(), wish),
        }
    }

    fn fresh(&mut self, held: Box<Held>, wish: Wish, cx: &mut Context<'_>) -> Turned {
        // A late refusal of an older token is no news. Whoever brings it wants a token that can be used, as all do.
        let (wish, served) = match wish {
            Wish::Other(id) if id != held.credential.id() => (Wish::Usable, OUTDATED),
            wish => (wish, USABLE),
        };
        if held.save_is_due(cx.now) && held.credential.is_usable(cx.now) && wish == Wish::Usable {
            return self.save(Work::of(Some(held), wish), SAVE_DUE, cx);
        }
        let finding = match wish {
            Wish::Usable if held.credential.is_due(cx.now) && !held.is_just_received(cx.now) => AGED,
            Wish::Usable => return self.serve(held, served),
            Wish::Other(_) if self.was_just_forced(&held, cx.now) => return self.serve(held, TOO_SOON),
            Wish::Newer if held.is_just_received(cx.now) => return self.serve(held, TOO_SOON),
            Wish::Other(_) => CURRENT,
            Wish::Newer | Wish::Leave | Wish::Discard => EARLY,
        };
        self.claim(Work::of(Some(held), wish), finding)
    }

    /// A resource server that refuses every token gets one renewal a margin, no more.
    fn was_just_forced(&self, held: &Held, now: Timestamp) -> bool {
        let pause = held.tokens.renewal_margin().max(state::PAUSE);
        self.forced_at.is_some_and(|forced| forced <= now && now < forced.plus(pause))
    }

    fn resting(&mut self, held: Option<Box<Held>>, mut rest: Rest, wish: Wish, cx: &mut Context<'_>) -> Turned {
        let due = |held: &Held| held.save_is_due(cx.now) && held.credential.is_usable(cx.now);
        if held.as_ref().is_some_and(|held| due(held)) {
            return self.save(Work::of(held, wish), SAVE_DUE, cx);
        }
        let is_news = |id: &TokenId| held.as_ref().is_none_or(|held| held.credential.id() == *id);
        rest.rejected = wish.rejected().filter(is_news).or(rest.rejected);
        if rest.trouble.lasts(cx.now) {
            let lease = self.lease_while_resting(held.as_deref(), &rest, cx.now);
            self.state = State::Resting(held, Box::new(rest));
            return Turn::Moved(TOO_SOON, Step::Done(lease));
        }
        let wish = match (rest.rejected, wish) {
            (Some(id), _) => Wish::Other(id),
            (None, Wish::Other(_)) => Wish::Usable,
            (None, wish) => wish,
        };
        self.claim(Work::of(held, wish), DUE)
    }

    fn lease_while_resting(&self, held: Option<&Held>, rest: &Rest, now: Timestamp) -> Lease {
        let withheld = |held: &Held| self.settings.0.unsaved == Unsaved::Withheld && held.unsaved.is_some();
        let served = held.filter(|held| {
            held.credential.is_usable(now) && rest.rejected != Some(held.credential.id()) && !withheld(held)
        });
        match served {
            Some(held) => Lease::Token { credential: held.credential.clone(), trouble: Some(rest.trouble.clone()) },
            None => Lease::Unavailable(rest.trouble.clone()),
        }
    }

    /// The server has ended the session, but the access token works on until its time is over.
    fn ended_but_usable(&mut self, held: Box<Held>, why: LoginNeeded, finding: Finding, now: Timestamp) -> Turned {
        let lease = while_ended(&held, &why, now);
        self.state = State::Vacant(Some(held), why);
        Turn::Moved(finding, Step::Done(lease))
    }

    fn serve(&mut self, held: Box<Held>, finding: Finding) -> Turned {
        let lease = Lease::Token { credential: held.credential.clone(), trouble: None };
        self.state = State::Fresh(held);
        Turn::Moved(finding, Step::Done(lease))
    }

    /// Takes tokens over, unless they cannot be used: then nothing has changed.
    fn adopt(&mut self, before: State, tokens: TokenSet, cx: &mut Context<'_>) -> Turned {
        // A person has just logged in: what was stored before is older, whether or not it was ever seen.
        let version = Version::after(before.held().and_then(|held| held.version).max(self.forgotten), cx);
        match self.hold(tokens, Some(version), Expected::Anything, cx) {
            Ok(held) => self.save(Work::of(Some(held), Wish::Usable), ADOPTED, cx),
            Err(error) => {
                // Where nothing is known yet, nothing is still: the store is read with the next command either way.
                self.state = match before {
                    State::Ready => State::Vacant(None, LoginNeeded::NoSession),
                    before => before,
                };
                Turn::Moved(UNPRESENTABLE, Step::Done(Lease::NotAdopted(error)))
            }
        }
    }

    fn release(&mut self, after: After, finding: Finding) -> Turned {
        self.state = State::Releasing(Box::new(after));
        Turn::Moved(finding, Step::Do(Effect::Release(self.settings.0.key.clone())))
    }

    fn release_broken(&mut self, mut work: Work, error: Error, finding: Finding, cx: &mut Context<'_>) -> Turned {
        if work.held.as_ref().is_some_and(|held| held.is_unshared()) {
            // The record is spent. Before the claim is let go, what is better has to be there.
            work.trouble = Some(error);
            return self.save(work, finding, cx);
        }
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
        let rest = Rest { trouble, rejected: wish.rejected() };
        let lease = self.lease_while_resting(held.as_deref(), &rest, cx.now);
        self.state = State::Resting(held, Box::new(rest));
        Turn::Moved(finding, Step::Done(lease))
    }
}

/// The access token of a session that has ended, as long as its time is not over.
fn while_ended(held: &Held, why: &LoginNeeded, now: Timestamp) -> Lease {
    let until = held.credential.expires_at().unwrap_or_else(|| now.plus(Duration::from_secs(60)));
    let trouble = Trouble { error: why.clone().into(), since: now, until };
    Lease::Token { credential: held.credential.clone(), trouble: Some(trouble) }
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
            State::Resting(..) => RESTING,
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
            | State::Resting(..)
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
            (state @ (State::Ready | State::Vacant(..) | State::Fresh(_) | State::Resting(..)), event) => {
                self.command(state, event, cx)
            }
            (State::Loading(look), Event::Loaded(stored)) => self.loaded(*look, stored, cx),
            (State::Loading(look), Event::StoreFailed(error)) => self.not_loaded(*look, error, cx),
            (State::Claiming(work), Event::Loaded(stored)) => self.claimed(*work, stored, cx),
            (State::Claiming(work), Event::StoreFailed(error)) => self.not_claimed(*work, error, cx),
            (State::Renewing(running), event) => self.renewing(running, event, cx),
            (State::Acquiring(running), event) => self.acquiring(running, event, cx),
            (State::Delegating(work), Event::Delegated(tokens)) => self.delegated(*work, *tokens, cx),
            (State::Delegating(work), Event::DelegateFailed(error)) => self.not_delegated(*work, error, cx),
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
