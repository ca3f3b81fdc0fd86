//! Sending one request: the [`HttpClient`] trait, and [`UreqClient`] which implements it with ureq and rustls.
//!
//! A client keeps the bounds that come with each request: no redirect is followed, a body is cut off while it is being
//! read, every phase has a deadline, and a host that only a remote party named is reached at public addresses only.
//! What is left out on purpose: cookies, decompression, and proxies from the environment. Nobody can loosen TLS here.
//!
//! ureq's parser logs raw bytes at the `log` crate's trace level. The default feature `no-trace-logs` takes that level
//! out of the program; whoever turns it off must keep the target `ureq_proto` out of the logs.

mod connect;
mod failure;
#[cfg(test)]
mod tests;
mod tls;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::machine::Outgoing;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response};
use ureq::config::AutoHeaderValue;
use ureq::{Agent, AsSendBody};
use zeroize::Zeroizing;

use self::connect::{Resolving, connector};
use self::failure::failure;
use self::tls::Tls;

/// The most headers of a response.
const MAX_HEADERS: usize = 100;
/// The most bytes of a response's head.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes read at a time. No more than this is read beyond a body's limit.
const READ_AT_ONCE: usize = 8 * 1024;
/// Larger than a head may be, so that a head that is too large is told from one that has not arrived.
const INPUT_BUFFER: usize = MAX_HEAD + READ_AT_ONCE;
/// Connections kept open for later requests.
const MAX_IDLE_CONNECTIONS: usize = 64;
/// The same for one host.
const MAX_IDLE_PER_HOST: usize = 16;

/// Sends one request and reads its answer.
///
/// Implement it to bring your own HTTP client. It must not follow redirects, must read no more than
/// [`Outgoing::max_body`] bytes, must be done within [`Outgoing::timeout`], and must connect to addresses within
/// [`Outgoing::reach`] only.
pub trait HttpClient: Send + Sync {
    /// Sends `outgoing` and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`SendFailure`] when there is no whole answer. Its `delivery` decides about a retry:
    /// [`Delivery::NotSent`] only if no byte of the request can have reached the server.
    fn send(&self, outgoing: Outgoing) -> Result<Response<Body>, SendFailure>;
}

/// How long the parts of an exchange may take. The whole is bounded by [`Outgoing::timeout`] besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Resolving the name, and again connecting: 10 s.
    pub connect: Duration,
    /// The TLS handshake: 10 s.
    pub tls: Duration,
    /// From the end of the request to the end of the response's head: 15 s.
    pub first_byte: Duration,
    /// Between two pieces of a response: 10 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), tls: seconds(10), first_byte: seconds(15), idle: seconds(10) }
    }
}

/// How a [`UreqClient`] is to be.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    timeouts: Timeouts,
    roots: Vec<Vec<u8>>,
}

impl Settings {
    /// Waits as long as this.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Trusts this certificate authority besides those of the operating system. In DER.
    #[must_use]
    pub fn with_root_certificate(mut self, der: Vec<u8>) -> Self {
        self.roots.push(der);
        self
    }
}

/// An [`HttpClient`] on ureq, with a pool of connections.
///
/// Connections are TLS by rustls with aws-lc-rs, and certificates are checked by the operating system's rules. One on
/// which an answer was cut short is never used again. Requests that may reach public addresses only have a pool of
/// their own, so that no connection crosses from one rule to the other.
#[derive(Clone, Debug)]
pub struct UreqClient {
    any: Agent,
    public: Agent,
}

impl UreqClient {
    /// A client with these settings. It opens no connection and reads no certificate yet.
    pub fn new(settings: Settings) -> Self {
        let Settings { timeouts, roots } = settings;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .proxy(None)
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .timeout_recv_response(Some(timeouts.first_byte))
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(16 * 1024)
            .max_idle_connections(MAX_IDLE_CONNECTIONS)
            .max_idle_connections_per_host(MAX_IDLE_PER_HOST)
            .build();
        let tls = Arc::new(Tls::new(roots));
        let agent = |reach| {
            let resolver = Resolving { reach, limit: timeouts.connect };
            Agent::with_parts(config.clone(), connector(timeouts, tls.clone()), resolver)
        };
        Self { any: agent(Reach::Any), public: agent(Reach::Public) }
    }
}

impl Default for UreqClient {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl HttpClient for UreqClient {
    fn send(&self, outgoing: Outgoing) -> Result<Response<Body>, SendFailure> {
        let Outgoing { request, max_body, timeout, reach } = outgoing;
        let agent = match reach {
            Reach::Any => &self.any,
            Reach::Public => &self.public,
        };
        let (parts, body) = request.into_parts();
        // An empty slice is a body of length zero, which a GET must not have and a POST must.
        let bare = body.is_empty() && matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
        let response = if bare {
            start(agent, Request::from_parts(parts, ()), timeout)
        } else {
            start(agent, Request::from_parts(parts, body.expose()), timeout)
        };
        let (mut parts, body) = response.map_err(|error| failure(&error))?.into_parts();
        parts.extensions.clear();
        check_head(&parts.headers).map_err(unknown)?;
        let body = read_body(body.into_reader(), max_body)?;
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

fn start(
    agent: &Agent,
    request: Request<impl AsSendBody>,
    timeout: Duration,
) -> Result<Response<ureq::Body>, ureq::Error> {
    agent.run(agent.configure_request(request).timeout_global(Some(timeout)).build())
}

/// Refuses a head that is too large or says two things about the body's length: whoever reads it differently would see
/// another message.
fn check_head(headers: &HeaderMap) -> Result<(), TransportKind> {
    if headers.len() > MAX_HEADERS {
        return Err(TransportKind::TooLarge);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    let digits = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let sound = length.is_none_or(|value| digits(value.as_bytes()))
        && lengths.next().is_none()
        && (length.is_none() || !headers.contains_key(TRANSFER_ENCODING));
    if sound { Ok(()) } else { Err(TransportKind::Protocol) }
}

/// Reads to the end, or to the first byte beyond `max`. Memory grows with what has come, not with what was promised.
fn read_body(mut body: impl Read, max: usize) -> Result<Vec<u8>, SendFailure> {
    let mut all = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new([0_u8; READ_AT_ONCE]);
    loop {
        let read = body.read(piece.as_mut_slice()).map_err(|error| failure(&ureq::Error::from(error)))?;
        if read == 0 {
            return Ok(std::mem::take(&mut *all));
        }
        let piece = piece.get(..read).unwrap_or_default();
        if all.len().saturating_add(piece.len()) > max {
            return Err(unknown(TransportKind::TooLarge));
        }
        all.extend_from_slice(piece);
    }
}

/// A failure after the first byte may have gone.
fn unknown(kind: TransportKind) -> SendFailure {
    SendFailure { delivery: Delivery::Unknown, kind }
}
