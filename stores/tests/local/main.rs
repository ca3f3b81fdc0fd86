//! The stores of one machine: what they promise, and what they do when things go wrong.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what the tests share stands outside of them"
)]

mod conformity;
mod databases;
mod documents;
#[cfg(unix)]
mod files;
mod keyrings;
#[cfg(unix)]
mod processes;
mod sealed;
mod support;
mod transfers;
