//! TLS by rustls, checked by the operating system's rules.
//!
//! ureq's own connector can trust the system or a list, not both; a company's certificate authority comes besides.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use grantflow_core::error::TransportKind;
use http::Uri;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_platform_verifier::Verifier;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::failure::Known;

/// What certificates are checked against. Read from the system when it is first needed: that takes milliseconds.
pub(super) struct Tls {
    roots: Vec<Vec<u8>>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
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

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

/// Wraps a connection in TLS where the URL says so.
#[derive(Debug)]
pub(super) struct Securing(pub(super) Arc<Tls>);

impl<In: Transport> Connector<In> for Securing {
    type Out = Either<In, Secured<In>>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let none = || Known::not_sent(TransportKind::Tls);
        let name = ServerName::try_from(host(details.uri).to_owned()).map_err(|_| none())?;
        let config = self.0.config().map_err(|_| none())?;
        let mut connection = ClientConnection::new(config, name).map_err(|_| none())?;
        let mut socket = TransportAdapter::new(inner, details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Secured { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

/// The host of a URL, without the brackets of an IPv6 literal.
pub(super) fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A connection within TLS.
pub(super) struct Secured<T: Transport> {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter<T>>,
}

impl<T: Transport> Transport for Secured<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        self.stream.flush()?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<T: Transport> fmt::Debug for Secured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("inner", self.stream.sock.get_ref()).finish_non_exhaustive()
    }
}
