//! A flow that is one exchange and the reading of its answer.

use super::exchange::{self, Exchange, Plan};
use super::nested::{self, Forwarded};
use crate::http::Body;
use crate::machine::{COMPLETE, Context, Event, FAILED, Finding, READY, StateId, StateRow, Step, Table, Turn};

/// The state in which the exchange runs.
pub(crate) const EXCHANGING: StateId = StateId("Exchanging");
/// The exchange has begun.
pub(crate) const BEGUN: Finding = Finding("Begun");
/// The request cannot be made.
pub(crate) const UNREADY: Finding = Finding("Unready");

/// The states of every such flow.
pub(crate) const STATES: &[StateRow] =
    &[StateRow::initial(), StateRow::nested(EXCHANGING, &exchange::TABLE), StateRow::complete(), StateRow::failed()];

/// Makes a machine of a flow that wraps a [`Single`]: its `TABLE` and a function that reads the answer are all it has of
/// its own.
macro_rules! single_exchange {
    ($flow:ty, $output:ty, $read:expr) => {
        impl crate::machine::Transitions for $flow {
            type Output = $output;

            fn state(&self) -> crate::machine::StateId {
                self.0.state()
            }

            fn table(&self) -> &'static crate::machine::Table {
                &TABLE
            }

            fn leaf(&self) -> Option<(&'static crate::machine::Table, crate::machine::StateId)> {
                self.0.leaf()
            }

            fn apply(
                &mut self,
                event: crate::machine::Event,
                cx: &mut crate::machine::Context<'_>,
            ) -> crate::machine::Turn<$output> {
                self.0.apply(event, cx, $read)
            }

            fn fail(&mut self) {
                self.0.fail();
            }
        }
    };
}
pub(crate) use single_exchange;

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
