//! The stores of one machine: what they promise, and what they do when things go wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share stands outside of them")]

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
