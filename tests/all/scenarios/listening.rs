//! Flows that move.
