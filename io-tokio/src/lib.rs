//! Drives grantflow's machines with tokio.
//!
//! [`Client`] has the flows as calls of a few words. Beneath it, [`Driver::run`] is the one loop that drives every flow:
//! it knows effects, never flows. Around it stand the things that effects need: an [`HttpClient`] ([`HyperClient`], or your own), a [`Clock`], a [`Person`] with a browser
//! ([`LoopbackPerson`]), with a terminal ([`ConsolePerson`]) or with another screen ([`DevicePerson`]), and the
//! [`RedirectListener`], which also works alone.
//! [`TokenHandle`] keeps tokens fresh and saved; it is the [`Authorizer`] that most programs want.
//! [`Api`] makes requests with them.
//!
//! Left out on purpose: proxies from the environment, cookies, and following redirects. No protocol message needs them,
//! and each has been a hole in somebody's client.

mod api;
mod authorizer;
mod bind;
mod client;
mod clock;
mod connect;
mod console;
mod driver;
mod handle;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod head;
mod listener;
mod loopback;
mod person;
mod race;
#[cfg(feature = "reqwest")]
mod reqwest;
mod store;
#[cfg(test)]
mod tests;
#[cfg(feature = "tower")]
mod tower;
mod transport;

use std::future::Future;
use std::pin::Pin;

pub use api::Api;
pub use authorizer::{Authorize, Authorizer, Custom, Fixed};
pub use client::{Client, Server};
#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use clock::{Clock, SystemClock};
pub use console::ConsolePerson;
pub use driver::{Driver, Refresher, Signer};
pub use grantflow_core as core;
pub use grantflow_stores as stores;
pub use handle::{Changes, TokenHandle, Tokens};
#[cfg(any(feature = "reqwest", feature = "tower"))]
pub use head::RequestError;
pub use listener::{RedirectListener, Responder};
pub use loopback::{Browser, LoopbackPerson, SystemBrowser};
pub use person::{Came, DevicePerson, Nobody, Notifier, Person};
#[cfg(feature = "reqwest")]
pub use reqwest::ReqwestApi;
pub use store::{AsyncStore, OnThreads};
#[cfg(feature = "tower")]
pub use tower::{AsTheyAre, AuthorizeLayer, AuthorizeService, By, Copier, CopyBody, Once};
pub use transport::{HttpClient, HyperClient, Settings, Timeouts};

/// A future that a `dyn` trait can give.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
