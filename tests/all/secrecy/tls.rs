//! Tokens over TLS, so that what rustls says is heard too.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use grantflow_core::Secret;
use grantflow_core::client::Client;
use grantflow_core::error::Endpoint;
use grantflow_core::http::UrlPolicy;
use grantflow_core::server::ServerMetadata;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{hear_debug, keep, outcome};

const SECRET: &str = "canary/client-secret+over+tls";
const ANSWER: &str =
    r#"{"access_token":"canary-a-over-tls","token_type":"Bearer","refresh_token":"canary-r-over-tls"}"#;

/// The certificate authority of a token endpoint on this port.
fn secure_server() -> (u16, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket.unwrap());
            let mut read = Vec::new();
            let mut piece = [0; 4096];
            while !is_whole(&read) {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => read.extend_from_slice(&piece[..length]),
                }
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{ANSWER}", ANSWER.len());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, authority.der().to_vec())
}

fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[test]
fn what_goes_over_tls() {
    let (port, authority) = secure_server();
    for (kind, secret) in
        [("client_secret", SECRET), ("access_token", "canary-a-over-tls"), ("refresh_token", "canary-r-over-tls")]
    {
        keep(kind, secret);
    }
    let issuer = format!("https://localhost:{port}");
    let metadata = ServerMetadata::by_hand(&issuer, UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, &format!("{issuer}/token")))
        .unwrap();
    let client = Client::builder(metadata, "client").secret(Secret::from(SECRET)).build().unwrap();

    let settings = grantflow_tokio::Settings::default().with_root_certificate(authority.clone());
    let driver = grantflow_tokio::Driver::with_client(grantflow_tokio::HyperClient::new(settings));
    let tokio = grantflow_tokio::Client::new(driver, client.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    outcome(runtime.block_on(tokio.client_credentials(""))).unwrap();

    let settings = grantflow_blocking::Settings::default().with_root_certificate(authority);
    let driver = grantflow_blocking::Driver::with_client(grantflow_blocking::UreqClient::new(settings));
    let blocking = grantflow_blocking::Client::new(driver, client);
    outcome(blocking.client_credentials("")).unwrap();
    hear_debug(&(&tokio, &blocking));
}
