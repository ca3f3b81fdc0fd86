//! The HTTP client: one request, one response, everything bounded (hyper 1, HTTP/1.1, rustls).

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::machine::Outgoing;
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use zeroize::Zeroizing;

use crate::connect::{Connector, Tls, connect_failure};
use crate::race::{Either, race, within};
use crate::{Clock, Pending, SystemClock};

/// The most bytes of a response head.
const HEAD_LIMIT: usize = 64 * 1024;
/// The most header fields of a response.
const FIELDS_COUNT: usize = 100;
/// The most connections kept for one server.
const POOL_SIZE: usize = 16;
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Sends requests. Implement it to use a client of your own.
///
/// An implementation must not follow redirects, must not read more than [`Outgoing::max_body`] bytes of a body, must
/// keep to [`Outgoing::timeout`], and must reach nothing that [`Outgoing::reach`] forbids. The driver watches over the
/// size and the time as well; the other two only the client can do.
pub trait HttpClient: Send + Sync {
    /// Sends a request and reads the whole response.
    ///
    /// The future's error says how it failed and whether the server may have seen the request:
    /// [`Delivery::NotSent`] only if it is certain that no byte left.
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>>;
}

/// How long the parts of an exchange may take. The whole is bounded by [`Outgoing::timeout`] besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Resolving the name and connecting: 10 s.
    pub connect: Duration,
    /// The TLS handshake: 10 s, and what connecting has left over.
    pub tls: Duration,
    /// From having a connection to having a response head: 15 s.
    pub first_byte: Duration,
    /// Between two pieces of a body: 10 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), tls: seconds(10), first_byte: seconds(15), idle: seconds(10) }
    }
}

/// How a [`HyperClient`] is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    timeouts: Timeouts,
    roots: Vec<Vec<u8>>,
    clock: Arc<dyn Clock>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeouts: Timeouts::default(), roots: Vec::new(), clock: Arc::new(SystemClock) }
    }
}

impl Settings {
    /// Waits as long as this.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Keeps deadlines with this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Trusts this certificate authority besides those of the operating system. In DER.
    #[must_use]
    pub fn with_root_certificate(mut self, der: Vec<u8>) -> Self {
        self.roots.push(der);
        self
    }
}

/// An [`HttpClient`] on hyper, with a pool of connections.
///
/// No proxy, no cookies, no redirects, nothing from the environment. Requests that may reach public addresses only have
/// a pool of their own. Certificates are checked by the operating system's rules.
#[derive(Clone)]
pub struct HyperClient {
    any: Client<Connector, Wiped>,
    public: Client<Connector, Wiped>,
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
}

impl HyperClient {
    /// A client with these settings. It opens no connection and reads no certificate yet.
    pub fn new(settings: Settings) -> Self {
        let Settings { timeouts, roots, clock } = settings;
        let tls = Arc::new(Tls::new(roots));
        let connector = |reach| Connector::new(reach, timeouts, tls.clone(), clock.clone());
        Self::with_connectors(connector(Reach::Any), connector(Reach::Public), timeouts, clock.clone())
    }

    pub(crate) fn with_connectors(
        any: Connector,
        public: Connector,
        timeouts: Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = |connector| {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_timer(TokioTimer::new()).pool_idle_timeout(POOL_IDLE).pool_max_idle_per_host(POOL_SIZE);
            builder.http1_max_buf_size(HEAD_LIMIT).http1_max_headers(FIELDS_COUNT);
            builder.build(connector)
        };
        Self { any: client(any), public: client(public), timeouts, clock }
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        let client = match outgoing.reach {
            Reach::Any => &self.any,
            Reach::Public => &self.public,
        };
        let mut request = outgoing.request.map(|body| Wiped::new(body.expose()));
        // hyper says nothing of a body of length zero, which a GET must not have and a POST must.
        if request.body().0.is_empty() && !matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut connected = capture_connection(&mut request);
        let delivery = connected.clone();
        let whole = async {
            let response = pin!(client.request(request));
            let response = match race(response, self.too_late(&mut connected)).await {
                Either::Left(answer) => answer.map_err(|error| failed_to_send(&error))?,
                Either::Right(()) => return Err(unknown(TransportKind::Timeout)),
            };
            let (head, body) = response.into_parts();
            // hyper's own bound is that of its buffer, which may grow a little beyond it.
            if size(&head.headers) > HEAD_LIMIT {
                return Err(unknown(TransportKind::TooLarge));
            }
            let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
            let chunked = usize::from(head.headers.contains_key(TRANSFER_ENCODING));
            // hyper takes these for a chunked body; whoever stands in between may not.
            if lengths.saturating_add(chunked) > 1 {
                return Err(unknown(TransportKind::Protocol));
            }
            let body = self.read(body, outgoing.max_body).await?;
            Ok(http::Response::from_parts(head, body))
        };
        match within(&*self.clock, outgoing.timeout, whole).await {
            Some(answer) => answer,
            None if delivery.connection_metadata().is_some() => Err(unknown(TransportKind::Timeout)),
            None => Err(not_sent(TransportKind::Timeout)),
        }
    }

    /// Waits until the first byte of an answer is overdue.
    async fn too_late(&self, connected: &mut CaptureConnection) {
        let _ = connected.wait_for_connection_metadata().await.is_some();
        self.clock.sleep(self.timeouts.first_byte).await;
    }

    /// Reads a body, at most `limit` bytes of it. Whatever is left makes the connection unusable, and hyper closes it.
    async fn read(&self, mut body: Incoming, limit: usize) -> Result<Body, SendFailure> {
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(unknown(TransportKind::TooLarge));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        loop {
            let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            match within(&*self.clock, self.timeouts.idle, next).await {
                None => return Err(unknown(TransportKind::Timeout)),
                Some(None) => return Ok(Body::new(std::mem::take(&mut *bytes))),
                Some(Some(Err(error))) => return Err(unknown(broken(&error))),
                Some(Some(Ok(frame))) => {
                    // Trailers say nothing that an answer needs.
                    let Ok(piece) = frame.into_data() else { continue };
                    if bytes.len().saturating_add(piece.remaining()) > limit {
                        return Err(unknown(TransportKind::TooLarge));
                    }
                    bytes.extend_from_slice(&piece);
                }
            }
        }
    }
}

impl Default for HyperClient {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl HttpClient for HyperClient {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(self.exchange(outgoing))
    }
}

impl fmt::Debug for HyperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperClient").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// How many bytes of header fields there are.
fn size(fields: &HeaderMap) -> usize {
    let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len().saturating_add(value.len());
    fields.iter().map(field).fold(0, usize::saturating_add)
}

fn failed_to_send(error: &ClientError) -> SendFailure {
    if let Some(failure) = connect_failure(error) {
        return not_sent(failure.0);
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    match cause {
        // hyper gives the request back, untouched.
        Some(cause) if cause.is_canceled() => not_sent(TransportKind::Reset),
        Some(cause) if cause.is_user() => not_sent(TransportKind::Protocol),
        Some(cause) => unknown(broken(cause)),
        None => unknown(TransportKind::Protocol),
    }
}

fn broken(error: &hyper::Error) -> TransportKind {
    if error.is_parse_too_large() {
        return TransportKind::TooLarge;
    }
    if error.is_parse() {
        return TransportKind::Protocol;
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if cause.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>()) {
        return TransportKind::Tls;
    }
    match cause.map(io::Error::kind) {
        // A chunk that is none.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => TransportKind::Protocol,
        _ => TransportKind::Reset,
    }
}

fn unknown(kind: TransportKind) -> SendFailure {
    SendFailure { delivery: Delivery::Unknown, kind }
}

fn not_sent(kind: TransportKind) -> SendFailure {
    SendFailure { delivery: Delivery::NotSent, kind }
}

/// A request body that is wiped when hyper is done with it.
struct Wiped(Bytes);

impl Wiped {
    fn new(bytes: &[u8]) -> Self {
        Self(Bytes::from_owner(Zeroizing::new(bytes.to_vec())))
    }
}

impl http_body::Body for Wiped {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}
