//! The machine trait and its vocabulary: tables, events, effects.
//!
//! A machine is given events and gives effects. It does no I/O, so everything it can ever do stands in its [`Table`].
//! Flows implement [`Transitions`]; [`Machine`] is written once on top of it and holds every flow to its table.
//! What is not here: the flows ([`grant`](crate::grant), [`endpoint`](crate::endpoint)) and anything about tokens.

mod effect;
mod event;
mod svg;
mod table;
#[cfg(test)]
mod tests;

pub use effect::{Delegation, Effect, EffectKind, LeaseRequest, Outgoing, Redirect, SignRequest, UserCode};
pub use event::{Event, EventKind};
pub use table::{Arrow, COMPLETE, FAILED, Finding, On, READY, STOPPED, StateId, StateKind, StateRow, Table};

use core::fmt;

use crate::crypto::Crypto;
use crate::error::{Error, Misuse};
use crate::memory::Memory;
use crate::random::Random;
use crate::time::Timestamp;

/// A flow that can be driven.
///
/// The trait is open: implement [`Transitions`] for an extension grant and every driver runs it.
pub trait Machine {
    /// What the machine gives when it is done.
    type Output;

    /// The state this machine is in: a label for logs, tests and pictures.
    fn state(&self) -> StateId;

    /// Its states and arrows.
    fn table(&self) -> &'static Table;

    /// Applies one event and says what to do next.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the event is not legal now; nothing has changed then. Every other error ends the flow
    /// and drops its data.
    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<Self::Output>, Error>;
}

/// What a machine says after an event.
#[must_use = "an effect that nobody performs stalls the flow"]
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; a box would be one more allocation a request"
)]
pub enum Step<O> {
    /// Perform this effect and come back with its answer.
    Do(Effect),
    /// The flow is complete.
    Done(O),
}

/// All that a machine may know about the world, passed with every event.
pub struct Context<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// Where random bytes come from.
    pub random: &'a mut dyn Random,
    /// Hashes and signature checks.
    pub crypto: &'a dyn Crypto,
    /// What flows learn for one another: key sets and DPoP nonces.
    pub memory: &'a mut Memory,
    /// Who watches, if anybody does.
    pub observer: Option<&'a mut dyn Observer>,
}

/// Watches machines at work. It is told nothing secret.
pub trait Observer {
    /// A machine, possibly a child of another, moved along an arrow of its table.
    fn transition(&mut self, _transition: &Transition) {}

    /// A check of an id_token was made.
    fn check(&mut self, _check: &Check<'_>) {}
}

/// One move of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose table the arrow stands in.
    pub machine: &'static str,
    /// The state left.
    pub from: StateId,
    /// The event applied.
    pub event: EventKind,
    /// What was found in it.
    pub finding: Finding,
    /// The state entered.
    pub to: StateId,
}

/// One check of an id_token, with what was compared. Secret values are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// What is checked: `iss`, `aud`, `signature`.
    pub name: &'static str,
    /// What it must be.
    pub expected: &'a str,
    /// What it is; cut and escaped, since it comes from the server.
    pub found: &'a str,
    /// Whether the check passed.
    pub passed: bool,
}

/// What a flow implements. [`Machine`] follows from it.
///
/// A flow must enter [`FAILED`] in `fail` and drop all of its data there, and must report every move as a [`Turn`].
pub trait Transitions {
    /// What the flow gives when it is done.
    type Output;

    /// The state this machine is in.
    fn state(&self) -> StateId;

    /// Its states and arrows.
    fn table(&self) -> &'static Table;

    /// The table and state of the innermost machine that runs inside this one now, if one does.
    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        None
    }

    /// Applies an event that the innermost machine's table accepts.
    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turn<Self::Output>;

    /// Drops all data and enters [`FAILED`].
    fn fail(&mut self);
}

/// What [`Transitions::apply`] did.
#[derive(Debug)]
pub enum Turn<O> {
    /// The child took the event and wants more; this machine has not moved.
    Inner(Effect),
    /// This machine moved, and emits an effect or is complete.
    Moved(Finding, Step<O>),
    /// This machine ends.
    Ended(Finding, Error),
}

impl<T: Transitions> Machine for T {
    type Output = T::Output;

    fn state(&self) -> StateId {
        Transitions::state(self)
    }

    fn table(&self) -> &'static Table {
        Transitions::table(self)
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<Self::Output>, Error> {
        let table = Transitions::table(self);
        let from = Transitions::state(self);
        let kind = event.kind();
        // The innermost machine decides: a parent that asked only its own table would forward an event that its child
        // refuses, and the refusal would kill the flow.
        let (leaf_table, leaf_state) = self.leaf().unwrap_or((table, from));
        if !leaf_table.accepts(leaf_state, kind) {
            return Err(Error::Misuse(Misuse::IllegalEvent {
                machine: leaf_table.machine,
                state: leaf_state.0,
                event: kind,
            }));
        }
        if kind == EventKind::Cancel {
            self.fail();
            cx.tell(table, from, kind, STOPPED, FAILED);
            return Err(Error::Cancelled);
        }
        let (finding, result) = match self.apply(event, cx) {
            Turn::Inner(effect) => return Ok(Step::Do(effect)),
            Turn::Moved(finding, step) => (finding, Ok(step)),
            Turn::Ended(finding, error) => {
                self.fail();
                (finding, Err(error))
            }
        };
        let to = Transitions::state(self);
        if !table.allows(from, kind, finding, to) {
            self.fail();
            return Err(Error::Bug("a transition that stands in no table"));
        }
        cx.tell(table, from, kind, finding, to);
        result
    }
}

impl Context<'_> {
    /// Who watches, lent on to a function that reports checks.
    pub fn watch(&mut self) -> Option<&mut dyn Observer> {
        match &mut self.observer {
            Some(observer) => Some(&mut **observer),
            None => None,
        }
    }

    fn tell(&mut self, table: &'static Table, from: StateId, event: EventKind, finding: Finding, to: StateId) {
        if let Some(observer) = self.observer.as_deref_mut() {
            observer.transition(&Transition { machine: table.machine, from, event, finding, to });
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}
