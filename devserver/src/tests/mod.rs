//! The server as a client sees it: plain HTTP over a socket.

mod authorize;
pub(crate) mod client;
mod configuration;
mod device;
mod lifecycle;
mod pages;
mod server;
mod token;
