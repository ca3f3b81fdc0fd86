//! How a flow runs another machine inside one of its states.

use crate::error::Error;
use crate::machine::{Context, Effect, Event, Finding, Machine, StateId, Step, Table, Transitions, Turn};

/// The child ended with an error.
pub(crate) const BROKEN: Finding = Finding("Broken");

/// What came of an event that was handed down.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; a box would be one more allocation a request"
)]
pub(crate) enum Forwarded<O> {
    /// The child wants more.
    More(Effect),
    /// The child is complete.
    Done(O),
    /// The child has ended.
    Broken(Error),
}

/// Hands an event to the machine inside.
pub(crate) fn forward<M: Machine>(child: &mut M, event: Event, cx: &mut Context<'_>) -> Forwarded<M::Output> {
    match child.handle(event, cx) {
        Ok(Step::Do(effect)) => Forwarded::More(effect),
        Ok(Step::Done(output)) => Forwarded::Done(output),
        Err(error) => Forwarded::Broken(error),
    }
}

/// The innermost machine of a child: the one that decides which events are legal.
pub(crate) fn leaf<M: Transitions>(child: &M) -> (&'static Table, StateId) {
    child.leaf().unwrap_or_else(|| (Transitions::table(child), Transitions::state(child)))
}

/// The answer to an event that the table should have refused.
pub(crate) fn refused_by_table<O>() -> Turn<O> {
    Turn::Ended(BROKEN, Error::Bug("a machine was given an event that its table refuses"))
}
