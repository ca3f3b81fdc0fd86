//! Where callers meet: who works, who waits, and what came of it. Small, so that a test can try every order of things.

use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwapOption;
use grantflow_core::Timestamp;
use grantflow_core::error::{Error, ProviderError};
use grantflow_core::manager::{Change, Credential, Gate, Lease, Verdict, Wish};

use super::sync::{Condvar, Mutex, MutexGuard};

/// What a piece of work comes to.
pub(crate) type Outcome = Result<Lease, Error>;

/// The core's gate behind a mutex that is never held across a wait, and the last good answer beside it.
#[derive(Default)]
pub(crate) struct Desk {
    published: ArcSwapOption<Credential>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gate: Gate,
    /// What the last leader's work comes to.
    flight: Option<Flight>,
}

/// What a caller does.
pub(crate) enum Asked {
    Use(Credential),
    Rest(Error),
    Follow(Flight),
    /// Work, or have it done, and use this meanwhile if it is there.
    Lead(Landing, Option<Credential>),
}

impl Desk {
    /// The last good answer.
    pub(crate) fn published(&self) -> Option<Credential> {
        self.published.load().as_deref().cloned()
    }

    /// The last good answer, if nothing is to be done. Takes no lock.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<Credential> {
        self.published.load().as_deref().filter(|held| !held.is_due(now)).cloned()
    }

    pub(crate) fn ask(self: &Arc<Self>, wish: Wish, now: Timestamp) -> Asked {
        let mut state = self.state();
        let meanwhile = match state.gate.ask(wish, now) {
            Verdict::Use(credential) => return Asked::Use(credential),
            Verdict::Rest(error, _) => return Asked::Rest(error),
            Verdict::Follow => {
                let missing = Asked::Rest(Error::Bug("nobody to follow"));
                return state.flight.clone().map_or(missing, Asked::Follow);
            }
            Verdict::UseAndLead(credential) => Some(credential),
            Verdict::Lead => None,
        };
        let landing = self.landing(Part::Leader);
        state.flight = Some(landing.flight.clone());
        Asked::Lead(landing, meanwhile)
    }

    /// A command that nobody led to: whoever gave it waits for it alone.
    pub(crate) fn command(self: &Arc<Self>) -> Landing {
        self.landing(Part::Commander)
    }

    /// The work that is under way, or was last.
    pub(crate) fn flight(&self) -> Option<Flight> {
        self.state().flight.clone()
    }

    fn landing(self: &Arc<Self>, part: Part) -> Landing {
        Landing { desk: Arc::clone(self), part, flight: Flight::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to say what came of the work. However the worker ends, those who wait hear of it.
pub(crate) struct Landing {
    desk: Arc<Desk>,
    part: Part,
    flight: Flight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Others follow.
    Leader,
    /// Nobody follows but whoever gave the command.
    Commander,
    Done,
}

impl Landing {
    /// Where to wait for this.
    pub(crate) fn flight(&self) -> Flight {
        self.flight.clone()
    }

    /// Says what came of it: first to those who watch, then to those who wait.
    pub(crate) fn land(mut self, outcome: Outcome, now: Timestamp, tell: impl FnOnce(Change)) {
        let change = {
            let mut state = self.desk.state();
            let change = match (&outcome, self.part) {
                (Ok(lease), Part::Leader) => state.gate.settle(lease, now),
                (Ok(lease), Part::Commander | Part::Done) => state.gate.note(lease, now),
                (Err(_), Part::Leader) => {
                    state.gate.abandon();
                    None
                }
                (Err(_), Part::Commander | Part::Done) => None,
            };
            self.desk.published.store(state.gate.held().cloned().map(Arc::new));
            change
        };
        if let Some(change) = change {
            tell(change);
        }
        self.flight.end(outcome);
        self.part = Part::Done;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.part == Part::Leader {
            self.desk.state().gate.abandon();
        }
        if self.part != Part::Done {
            self.flight.end(Err(ProviderError::Interrupted.into()));
        }
    }
}

/// A piece of work, to those who wait for it.
#[derive(Clone, Default)]
pub(crate) struct Flight(Arc<Ending>);

#[derive(Default)]
struct Ending {
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

impl Flight {
    /// Waits until it is over.
    pub(crate) fn wait(&self) -> Outcome {
        let mut outcome = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.0.ended.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn end(&self, outcome: Outcome) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.0.ended.notify_all();
    }
}
