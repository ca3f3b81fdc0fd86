//! The rules of the loopback redirect listener, without a socket (RFC 8252 §7.3, §8.3).
//!
//! Both drivers accept connections and move bytes; what the bytes mean stands here: [`Place`] says where to listen and
//! what the redirect URI is, [`Reception`] what a callback must look like, [`Connection`] reads one connection, and
//! [`Pages`] are the answers that a person sees. Whether a callback belongs to the login is the flow's business, not
//! this module's: any web page can send a browser here.
//!
//! Left out on purpose: keep-alive, chunked bodies, CORS and TLS. A browser that follows a redirect needs none of them.

mod connection;
mod launch;
mod pages;
mod place;
mod reception;
#[cfg(test)]
mod tests;

use core::time::Duration;

pub use connection::{Connection, Heard};
pub use launch::{Launcher, launchers, may_open};
pub use pages::{Pages, Reply};
pub use place::{Host, Notice, Place};
pub use reception::Reception;

pub use crate::callback::ResponseMode;

/// How long a connection may take to send its whole request.
pub const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// How many connections are served at once; more wait in the operating system's queue.
pub const MAX_CONNECTIONS: usize = 32;
/// How long to wait for the person, unless the flow says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);
/// How long a listener that is used alone waits.
pub const STANDALONE_WAIT: Duration = Duration::from_secs(120);
/// Where a listener that is used alone listens.
pub const STANDALONE_PORT: u16 = 8080;
/// How long to go on reading, and dropping, what a browser sends after it was answered.
///
/// A socket that is closed with unread bytes in it is reset, and the reset overtakes the answer.
pub const LINGER: Duration = Duration::from_secs(1);

/// The longest request line; the callback's own limit is 16 KiB.
const LINE_LIMIT: usize = 16 * 1024;
/// The most bytes of header fields.
const FIELDS_LIMIT: usize = 16 * 1024;
/// The most header fields.
const FIELDS_COUNT: usize = 100;
/// The longest form.
const BODY_LIMIT: usize = 16 * 1024;
