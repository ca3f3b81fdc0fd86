//! How a connection is made: which addresses, how long each step may take, and what each failure means.
//!
//! ureq's own connectors do the work. They are wrapped because only here it is known that a request has not been sent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::error::TransportKind;
use grantflow_core::http::{Reach, is_public};
use http::Uri;
use http::uri::Scheme;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration as Span, Instant};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport};
use ureq::{Error, Timeout};

use super::failure::{Known, connect_kind, handshake_kind, resolve_kind};
use super::tls::{Securing, Tls, host};
use super::{MAX_HEAD, Timeouts};

/// Resolves names, and lets through only the addresses that a request may reach.
///
/// What it gives is what is connected to, so a name cannot change its mind between check and connect.
#[derive(Debug)]
pub(super) struct Resolving {
    pub(super) reach: Reach,
    pub(super) limit: Duration,
}

impl Resolver for Resolving {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = match literal(uri) {
            Some(address) => {
                let mut found = self.empty();
                found.push(address);
                found
            }
            None => DefaultResolver::default()
                .resolve(uri, config, capped(timeout, self.limit, Timeout::Resolve))
                .map_err(|error| Known::not_sent(resolve_kind(&error)))?,
        };
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.reach == Reach::Any || is_public(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            return Err(Known::not_sent(TransportKind::ForbiddenAddress));
        }
        Ok(allowed)
    }
}

/// The address of a host that needs no resolving, for which ureq would start a thread.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let address: IpAddr = host(uri).parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
    Some(SocketAddr::new(address, port))
}

/// TCP, then TLS if the scheme is `https`, then the watch over what comes in.
pub(super) fn connector(timeouts: Timeouts, tls: Arc<Tls>) -> impl Connector<Out: Transport> {
    let tcp = Step { inner: TcpConnector::default(), limit: timeouts.connect, kind: connect_kind };
    let tls = Step { inner: Securing(tls), limit: timeouts.tls, kind: handshake_kind };
    ().chain(tcp).chain(tls).chain(Watching { idle: timeouts.idle })
}

/// One step of connecting, with its own deadline. Its failures say that nothing was sent.
#[derive(Debug)]
struct Step<C> {
    inner: C,
    limit: Duration,
    kind: fn(&Error) -> TransportKind,
}

impl<In: Transport, C: Connector<In>> Connector<In> for Step<C> {
    type Out = C::Out;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<C::Out>, Error> {
        let now = (details.current_time)();
        let mut addrs = details.resolver.empty();
        for address in &details.addrs {
            addrs.push(*address);
        }
        let details = ConnectionDetails {
            uri: details.uri,
            addrs,
            resolver: details.resolver,
            config: details.config,
            request_level: details.request_level,
            now,
            timeout: capped(later(details.timeout, details.now, now), self.limit, Timeout::Connect),
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.inner.connect(&details, chained).map_err(|error| Known::not_sent((self.kind)(&error)))
    }
}

/// Puts a [`Watched`] around a connection.
#[derive(Debug)]
struct Watching {
    idle: Duration,
}

impl<In: Transport> Connector<In> for Watching {
    type Out = Watched<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Watched<In>>, Error> {
        Ok(chained.map(|inner| Watched { inner, idle: self.idle, head: 0, heard: false }))
    }
}

/// A connection that tells a broken answer from a complete one and bounds what it waits for.
#[derive(Debug)]
struct Watched<T> {
    inner: T,
    idle: Duration,
    /// Bytes that came while a head was awaited, interim responses included.
    head: usize,
    /// Whether anything has come since the last byte was sent.
    heard: bool,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.heard = false;
        self.head = 0;
        self.inner.transmit_output(amount, timeout).map_err(broken)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        if self.heard {
            timeout.per_read = Some(self.idle.into());
        }
        let before = self.inner.buffers().input().len();
        let progress = self.inner.await_input(timeout).map_err(broken)?;
        self.heard = true;
        if timeout.reason == Timeout::RecvResponse {
            let came = self.inner.buffers().input().len().saturating_sub(before);
            self.head = self.head.saturating_add(came);
            // Interim responses are consumed one by one; only their sum shows that they do not end. What follows a
            // head in the same piece counts too, hence the allowance.
            if self.head > MAX_HEAD.saturating_mul(4) {
                return Err(Known::unknown(TransportKind::TooLarge));
            }
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// ureq takes a connection that breaks for the end of a body that has no length. Nothing tells such a body from one that
/// somebody cut, so only an orderly end is one.
fn broken(error: Error) -> Error {
    match error {
        Error::Io(error) if is_break(&error) => Known::unknown(TransportKind::Reset),
        error => error,
    }
}

fn is_break(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// `timeout`, but no more than `limit`.
fn capped(mut timeout: NextTimeout, limit: Duration, reason: Timeout) -> NextTimeout {
    let limit = Span::from(limit);
    if limit < timeout.after {
        timeout.after = limit;
        timeout.reason = reason;
    }
    timeout
}

/// What is left of `timeout`, which was set at `set`.
fn later(mut timeout: NextTimeout, set: Instant, now: Instant) -> NextTimeout {
    if let (Span::Exact(after), Instant::Exact(set), Instant::Exact(now)) = (timeout.after, set, now) {
        timeout.after = Span::Exact(after.saturating_sub(now.saturating_duration_since(set)));
    }
    timeout
}
