//! The command as people use it: the built program, against a development server in this process.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "helpers of tests may panic, and are public to the modules of this binary only"
)]

mod arguments;
mod bound;
mod demo;
mod home;
mod login;
mod pictures;
mod process;
mod saved;
mod saved_use;
mod secrecy;
mod stores;
mod support;
mod token;
