//! From ureq's errors to what a machine needs to know: how it failed, and whether the server may have seen the request.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use ureq::Error;

/// A failure whose kind is known where it happens; it travels through ureq as [`Error::Other`].
#[derive(Debug)]
pub(super) struct Known(pub(super) SendFailure);

impl Known {
    /// There was no connection yet: the server cannot have seen anything.
    pub(super) fn not_sent(kind: TransportKind) -> Error {
        Error::Other(Box::new(Known(SendFailure { delivery: Delivery::NotSent, kind })))
    }

    /// The connection was in use.
    pub(super) fn unknown(kind: TransportKind) -> Error {
        Error::Other(Box::new(Known(SendFailure { delivery: Delivery::Unknown, kind })))
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.0.kind, self.0.delivery)
    }
}

impl StdError for Known {}

/// What is known of an error that ended a request.
///
/// Everything that happens before there is a connection arrives as [`Known`], so that whatever else comes counts as
/// [`Delivery::Unknown`].
pub(super) fn failure(error: &Error) -> SendFailure {
    if let Error::Other(inner) = error
        && let Some(known) = inner.downcast_ref::<Known>()
    {
        return known.0;
    }
    match error {
        // The request cannot be written: nothing was.
        Error::Http(_) | Error::BadUri(_) | Error::HostNotFound => {
            SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Connect }
        }
        error => SendFailure { delivery: Delivery::Unknown, kind: kind(error) },
    }
}

/// How a connection in use failed.
fn kind(error: &Error) -> TransportKind {
    match error {
        Error::Timeout(_) => TransportKind::Timeout,
        Error::LargeResponseHeader(..) => TransportKind::TooLarge,
        Error::Protocol(ureq_proto_error) if too_many_headers(ureq_proto_error) => TransportKind::TooLarge,
        Error::Io(error) if is_tls(error) => TransportKind::Tls,
        Error::Io(_) => TransportKind::Reset,
        // ureq's errors are an open list. What is left says that the bytes were not the HTTP that they should have been.
        _ => TransportKind::Protocol,
    }
}

/// ureq does not export the error type of its parser, so its text has to do.
fn too_many_headers(error: &impl fmt::Display) -> bool {
    error.to_string().contains("too many headers")
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// How connecting failed before TLS.
pub(super) fn connect_kind(error: &Error) -> TransportKind {
    match error {
        Error::Timeout(_) => TransportKind::Timeout,
        _ => TransportKind::Connect,
    }
}

/// How the TLS handshake failed. Whatever broke it, there is no TLS.
pub(super) fn handshake_kind(error: &Error) -> TransportKind {
    match error {
        Error::Timeout(_) => TransportKind::Timeout,
        _ => TransportKind::Tls,
    }
}

/// How resolving a name failed.
pub(super) fn resolve_kind(error: &Error) -> TransportKind {
    match error {
        Error::Timeout(_) => TransportKind::Timeout,
        _ => TransportKind::Dns,
    }
}
