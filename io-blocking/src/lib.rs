//! Drives grantflow's machines on threads.
//!
//! [`Driver::run`] is the one loop that drives every flow: it knows effects, never flows. Around it stand the things
//! that effects need: an [`HttpClient`] ([`UreqClient`], or your own), a [`Clock`], a [`Person`] with a browser
//! ([`LoopbackPerson`]), with a terminal ([`ConsolePerson`]) or with another screen ([`DevicePerson`]), and the
//! [`RedirectListener`], which also works alone. A [`Cancel`] ends any wait from another thread.
//! [`TokenHandle`] keeps tokens fresh and saved; it is the [`Authorizer`] that most programs want.
//! [`Api`] makes requests with them.
//!
//! Every call blocks its thread: within an async runtime, make it on a thread that may be blocked. Nothing is left behind
//! when a call returns, with two exceptions: a [`TokenHandle`] renews in a thread while the old token is still good, and a name that the operating system is still resolving when its time is up
//! keeps one thread busy until the system gives up too.
//!
//! Left out on purpose: proxies from the environment, cookies, and following redirects. No protocol message needs them,
//! and each has been a hole in somebody's client.
#![cfg_attr(not(test), warn(missing_docs))]

mod api;
mod authorizer;
mod bind;
mod browser;
mod cancel;
mod client;
mod clock;
mod console;
mod desk;
mod driver;
mod handle;
mod listener;
mod loopback;
#[cfg(feature = "middleware")]
mod middleware;
mod person;
#[cfg(test)]
mod tests;
mod transport;

mod sync {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
}

pub use api::Api;
pub use authorizer::{Authorize, Authorizer, Custom, Fixed};
pub use browser::{Browser, Opening, SystemBrowser};
pub use cancel::Cancel;
pub use client::{Client, Server};
#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use clock::{Clock, SystemClock};
pub use console::ConsolePerson;
pub use driver::{Driver, Refresher, Signer};
pub use grantflow_core as core;
pub use grantflow_stores as stores;
pub use handle::{Changes, TokenHandle, Tokens};
pub use listener::{RedirectListener, Responder};
pub use loopback::LoopbackPerson;
#[cfg(feature = "middleware")]
pub use middleware::AuthorizeMiddleware;
pub use person::{Came, DevicePerson, Nobody, Notifier, Person};
pub use transport::{HttpClient, Settings, Timeouts, UreqClient};
