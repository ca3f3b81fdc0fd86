//! Drives grantflow's machines with tokio.
//!
//! [`HyperClient`] sends requests within bounds; the [`RedirectListener`] waits for callbacks; [`Clock`] is the time they
//! keep.
//!
//! Left out on purpose: proxies from the environment, cookies, and following redirects. No protocol message needs them,
//! and each has been a hole in somebody's client.

mod clock;
mod connect;
mod listener;
mod race;
#[cfg(test)]
mod tests;
mod transport;

use std::future::Future;
use std::pin::Pin;

#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use clock::{Clock, SystemClock};
pub use grantflow_core as core;
pub use listener::{RedirectListener, Responder};
pub use transport::{HttpClient, HyperClient, Settings, Timeouts};

/// A future that a `dyn` trait can give.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
