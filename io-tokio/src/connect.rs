//! Resolving, connecting and the TLS handshake, each with its deadline and its own kind of failure.
//!
//! Which addresses may be reached is decided on the addresses that are then connected to: a name that resolves
//! differently a moment later changes nothing.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use grantflow_core::error::TransportKind;
use grantflow_core::http::{Reach, is_public};
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::Clock;
use crate::race::within;
use crate::transport::Timeouts;

/// Why there is no connection. Nothing has been sent then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectFailure(pub(crate) TransportKind);

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection: {:?}", self.0)
    }
}

impl StdError for ConnectFailure {}

/// The failure that stands in the chain of causes of `error`, if one does.
pub(crate) fn connect_failure(error: &(dyn StdError + 'static)) -> Option<ConnectFailure> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<ConnectFailure>() {
            return Some(*failure);
        }
        cause = error.source();
    }
    None
}

/// Names to addresses, of which only those within reach are given.
#[derive(Clone)]
pub(crate) struct Resolver {
    reach: Reach,
    /// What names mean in a test, instead of asking the operating system.
    #[cfg(test)]
    pub(crate) names: Option<fn(&str) -> Vec<IpAddr>>,
}

impl Resolver {
    async fn resolve(self, name: Name) -> Result<std::vec::IntoIter<SocketAddr>, ConnectFailure> {
        let found = self.look_up(name.as_str()).await?;
        let within: Vec<_> = found.into_iter().filter(|address| self.reaches(address.ip())).collect();
        if within.is_empty() { Err(ConnectFailure(TransportKind::ForbiddenAddress)) } else { Ok(within.into_iter()) }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, ConnectFailure> {
        // The port is put in later, by the connector.
        #[cfg(test)]
        let found = match self.names {
            Some(names) => names(name).into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
            None => ask_the_system(name).await,
        };
        #[cfg(not(test))]
        let found = ask_the_system(name).await;
        if found.is_empty() { Err(ConnectFailure(TransportKind::Dns)) } else { Ok(found) }
    }

    fn reaches(&self, address: IpAddr) -> bool {
        match self.reach {
            Reach::Any => true,
            Reach::Public => is_public(address),
        }
    }
}

async fn ask_the_system(name: &str) -> Vec<SocketAddr> {
    tokio::net::lookup_host((name, 0)).await.map(Iterator::collect).unwrap_or_default()
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name))
    }
}

/// Connections without TLS, within reach and in time.
#[derive(Clone)]
struct Tcp {
    connector: HttpConnector<Resolver>,
    resolver: Resolver,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The connector does not ask the resolver about literals.
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.parse().is_ok_and(|address| !self.resolver.reaches(address)) {
            return Box::pin(async { Err(ConnectFailure(TransportKind::ForbiddenAddress)) });
        }
        let (connecting, clock, deadline) = (self.connector.call(uri), self.clock.clone(), self.deadline);
        Box::pin(async move {
            match within(&*clock, deadline, connecting).await {
                Some(Ok(stream)) => Ok(stream),
                Some(Err(error)) => Err(connect_failure(&error).unwrap_or(ConnectFailure(TransportKind::Connect))),
                None => Err(ConnectFailure(TransportKind::Timeout)),
            }
        })
    }
}

/// Connections with TLS where the URL says so.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: Tcp,
    tls: Arc<Tls>,
    deadline: Duration,
}

/// What certificates are checked against. Read from the system when it is first needed: that takes milliseconds.
pub(crate) struct Tls {
    roots: Vec<Vec<u8>>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    pub(crate) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, config: Mutex::new(None) }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = held.as_ref() {
            return Ok(config.clone());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = self.roots.iter().cloned().map(CertificateDer::from);
        let verifier = Arc::new(Verifier::new_with_extra_roots(roots, provider.clone())?);
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        // rustls calls every verifier of another crate dangerous; this one is the operating system's.
        let config = Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        *held = Some(config.clone());
        Ok(config)
    }
}

impl Connector {
    pub(crate) fn new(reach: Reach, timeouts: Timeouts, tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Self {
        let resolver = Resolver {
            reach,
            #[cfg(test)]
            names: None,
        };
        Self::with_resolver(resolver, timeouts, tls, clock)
    }

    pub(crate) fn with_resolver(resolver: Resolver, timeouts: Timeouts, tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Self {
        let mut connector = HttpConnector::new_with_resolver(resolver.clone());
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let tcp = Tcp { connector, resolver, deadline: timeouts.connect, clock };
        Self { tcp, tls, deadline: timeouts.connect.saturating_add(timeouts.tls) }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.tcp.call(uri);
            return Box::pin(async move { connecting.await.map(MaybeHttpsStream::Http) });
        }
        let Ok(config) = self.tls.config() else {
            return Box::pin(async { Err(ConnectFailure(TransportKind::Tls)) });
        };
        let connecting = HttpsConnector::from((self.tcp.clone(), config)).call(uri);
        let (clock, deadline) = (self.tcp.clock.clone(), self.deadline);
        Box::pin(async move {
            match within(&*clock, deadline, connecting).await {
                Some(Ok(stream)) => Ok(stream),
                Some(Err(error)) => Err(connect_failure(&*error).unwrap_or(ConnectFailure(TransportKind::Tls))),
                None => Err(ConnectFailure(TransportKind::Timeout)),
            }
        })
    }
}

#[cfg(test)]
impl Resolver {
    pub(crate) fn scripted(reach: Reach, names: fn(&str) -> Vec<IpAddr>) -> Self {
        Self { reach, names: Some(names) }
    }
}
