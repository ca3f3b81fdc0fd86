//! The stores that are servers, against real servers.
//!
//! `GRANTFLOW_TEST_REDIS` and `GRANTFLOW_TEST_POSTGRES` name servers to check for conformance; without them, and for
//! everything that stops or breaks a server, the tests start their own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "helpers of tests fail and speak as tests do"
)]

mod holder;
mod load;
mod postgres;
mod proxy;
mod redis;
mod servers;
#[cfg(all(feature = "postgres-tls", feature = "redis-tls"))]
mod tls;
