//! A flow that is one exchange and the reading of its answer.

use super::exchange::{Exchange, Plan};
use super::nested::{self, Forwarded};
use crate::http::Body;
use crate::machine::{COMPLETE, Context, Event, FAILED, Finding, READY, StateId, Step, Table, Turn};

/// The state in which the exchange runs.
pub(crate) const EXCHANGING: StateId = StateId("Exchanging");
/// The exchange has begun.
pub(crate) const BEGUN: Finding = Finding("Begun");
/// The request cannot be made.
pub(crate) const UNREADY: Finding = Finding("Unready");

/// The states of such a flow; `A` is what the answer is compared with.
#[derive(Debug)]
pub(crate) enum Single<A> {
    Ready(Box<(Plan, A)>),
    Exchanging(Box<(Exchange, A)>),
    Complete,
    Failed,
}

impl<A> Single<A> {
    pub(crate) fn new(plan: Plan, asked: A) -> Self {
        Single::Ready(Box::new((plan, asked)))
    }

    pub(crate) fn state(&self) -> StateId {
        match self {
            Single::Ready(_) => READY,
            Single::Exchanging(_) => EXCHANGING,
            Single::Complete => COMPLETE,
            Single::Failed => FAILED,
        }
    }

    pub(crate) fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match self {
            Single::Exchanging(running) => Some(nested::leaf(&running.0)),
            Single::Ready(_) | Single::Complete | Single::Failed => None,
        }
    }

    pub(crate) fn fail(&mut self) {
        *self = Single::Failed;
    }

    /// Starts the exchange, forwards to it, and lets `read` name the finding in its answer.
    pub(crate) fn apply<O>(
        &mut self,
        event: Event,
        cx: &mut Context<'_>,
        read: impl FnOnce(A, http::Response<Body>, &mut Context<'_>) -> Turn<O>,
    ) -> Turn<O> {
        match (core::mem::replace(self, Single::Failed), event) {
            (Single::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (Single::Exchanging(mut running), event) => match nested::forward(&mut running.0, event, cx) {
                Forwarded::More(effect) => {
                    *self = Single::Exchanging(running);
                    Turn::Inner(effect)
                }
                Forwarded::Done(response) => {
                    *self = Single::Complete;
                    read(running.1, response, cx)
                }
                Forwarded::Broken(error) => Turn::Ended(nested::BROKEN, error),
            },
            (_, _) => nested::refused_by_table(),
        }
    }

    fn begin<O>(&mut self, (plan, asked): (Plan, A), cx: &mut Context<'_>) -> Turn<O> {
        match Exchange::started(plan, cx) {
            Ok((exchange, effect)) => {
                *self = Single::Exchanging(Box::new((exchange, asked)));
                Turn::Moved(BEGUN, Step::Do(effect))
            }
            Err(error) => Turn::Ended(UNREADY, error),
        }
    }
}
