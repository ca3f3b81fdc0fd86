//! What the caller does, or supplies, and is at fault.

use crate::machine::EventKind;

/// What the caller did that is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The machine's table has no arrow for this event in this state.
    IllegalEvent {
        /// The innermost machine, which decides.
        machine: &'static str,
        /// Its state.
        state: &'static str,
        /// The event.
        event: EventKind,
    },
    /// A snapshot was asked for in a state that must not be stored.
    NotResting,
}

/// What the caller supplies and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderError {
    /// The random source gave nothing.
    Random,
    /// The signing key is not available.
    KeyUnavailable,
    /// The task or thread that did the work is gone: it panicked, or its runtime was shut down. Asking again is safe.
    Interrupted,
}
