use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::machine::Outgoing;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{rest, server};
use crate::{HttpClient, HyperClient, Settings};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What accepts connections with a certificate for `name`.
fn acceptor(authority: Option<&CertifiedIssuer<'static, KeyPair>>, name: &str, last_year: i32) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(last_year, 1, 1);
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, authority).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A server with a certificate for `name`; gives its port and whether a request has reached it.
async fn secure(
    authority: Option<&CertifiedIssuer<'static, KeyPair>>,
    name: &str,
    last_year: i32,
) -> (u16, Arc<AtomicBool>) {
    let acceptor = acceptor(authority, name, last_year);
    let reached = Arc::new(AtomicBool::new(false));
    let tell = reached.clone();
    let address = server(move |_, stream| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut bytes = [0; 4096];
            if stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {
                tell.store(true, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    (address.port(), reached)
}

async fn get(client: &HyperClient, url: String) -> Result<Vec<u8>, SendFailure> {
    let request = http::Request::get(url).body(Body::empty()).unwrap();
    let outgoing = Outgoing { request, max_body: 100, timeout: Duration::from_secs(30), reach: Reach::Any };
    client.send(outgoing).await.map(|response| response.body().expose().to_vec())
}

#[tokio::test]
async fn tt_05_certificates_are_checked_and_nothing_is_sent_where_they_fail() {
    let (ours, theirs) = (authority(), authority());
    let client = HyperClient::new(Settings::default().with_root_certificate(ours.der().to_vec()));
    let (port, reached) = secure(Some(&ours), "localhost", 4000).await;
    assert_eq!(get(&client, format!("https://localhost:{port}/")).await.unwrap(), b"{}");
    assert!(reached.load(Ordering::SeqCst));
    let refused = SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Tls };
    assert_eq!(get(&client, format!("https://127.0.0.1:{port}/")).await, Err(refused), "another name");
    let rows = [
        ("wrong host", Some(&ours), "elsewhere.test", 4000),
        ("expired", Some(&ours), "localhost", 2020),
        ("self-signed", None, "localhost", 4000),
        ("unknown authority", Some(&theirs), "localhost", 4000),
    ];
    for (what, authority, name, last_year) in rows {
        let (port, reached) = secure(authority, name, last_year).await;
        assert_eq!(get(&client, format!("https://localhost:{port}/")).await, Err(refused), "{what}");
        assert!(!reached.load(Ordering::SeqCst), "{what}: nothing was sent, not even without TLS");
    }
}

#[tokio::test]
async fn tt_05_a_server_of_another_age_is_refused() {
    let client = HyperClient::new(Settings::default().with_root_certificate(authority().der().to_vec()));
    // An alert "protocol version" as TLS 1.1 wrote it, and a ServerHello of TLS 1.1.
    let hello = [&[0x16, 3, 2, 0, 0x2a, 2, 0, 0, 0x26, 3, 2][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    for answer in [vec![0x15, 3, 2, 0, 2, 2, 70], hello] {
        let address = server(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(&answer).await;
                rest(&mut stream).await;
            }
        })
        .await;
        let failure = SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Tls };
        assert_eq!(get(&client, format!("https://localhost:{}/", address.port())).await, Err(failure));
    }
}

#[tokio::test]
async fn tt_05_what_is_no_tls_after_the_handshake_is_told_so() {
    let authority = authority();
    let acceptor = acceptor(Some(&authority), "localhost", 4000);
    let address = server(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let (socket, _) = stream.get_mut();
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            rest(socket).await;
        }
    })
    .await;
    let client = HyperClient::new(Settings::default().with_root_certificate(authority.der().to_vec()));
    let failure = SendFailure { delivery: Delivery::Unknown, kind: TransportKind::Tls };
    assert_eq!(get(&client, format!("https://localhost:{}/", address.port())).await, Err(failure));
}
