//! The stores of one machine: what they promise, and what they do when things go wrong.

#![expect(clippy::unwrap_used, reason = "what the tests share stands outside of them")]

mod documents;
#[cfg(unix)]
mod files;
mod support;
