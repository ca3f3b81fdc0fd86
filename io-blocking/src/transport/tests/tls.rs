use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use grantflow_core::error::{Delivery, TransportKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Server, failed, post, read_request};
use crate::transport::{HttpClient, Settings, UreqClient};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn trusting(authority: &Authority) -> UreqClient {
    UreqClient::new(Settings::default().with_root_certificate(authority.der().to_vec()))
}

/// The settings of a server with a certificate for `name`.
fn config(authority: Option<&Authority>, name: &str, last_year: i32) -> Arc<ServerConfig> {
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
    Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
}

fn stream(config: &Arc<ServerConfig>, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket)
}

/// A server that keeps the requests that it could decrypt.
fn secure(authority: Option<&Authority>, name: &str, last_year: i32) -> Server {
    let config = config(authority, name, last_year);
    Server::raw(move |number, socket, seen| {
        let mut stream = stream(&config, socket);
        while let Some(request) = read_request(&mut stream) {
            seen.lock().unwrap().push(format!("{number}: {request}"));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    })
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/token", server.port)
}

#[test]
fn tt_05_certificates_are_checked_and_nothing_is_sent_where_they_fail() {
    let (ours, theirs) = (authority(), authority());
    let client = trusting(&ours);
    let good = secure(Some(&ours), "localhost", 4000);
    for _ in 0..2 {
        assert_eq!(client.send(post(&url(&good))).unwrap().body().expose(), b"ok");
    }
    assert!(good.seen()[1].starts_with("0: "), "the connection is used again");
    let refused = failed(Delivery::NotSent, TransportKind::Tls);
    for (what, authority, name, last_year) in [
        ("wrong host", Some(&ours), "elsewhere.test", 4000),
        ("expired", Some(&ours), "localhost", 2020),
        ("self-signed", None, "localhost", 4000),
        ("unknown authority", Some(&theirs), "localhost", 4000),
    ] {
        let server = secure(authority, name, last_year);
        assert_eq!(client.send(post(&url(&server))).unwrap_err(), refused, "{what}");
        assert_eq!(server.seen(), Vec::<String>::new(), "{what}: nothing was sent");
    }
}

#[test]
fn tt_05_a_server_of_another_age_or_without_tls_is_refused() {
    let client = trusting(&authority());
    // An alert "protocol version" as TLS 1.1 wrote it, a ServerHello of TLS 1.1, and plain text.
    let hello = [&[0x16, 3, 2, 0, 0x2a, 2, 0, 0, 0x26, 3, 2][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    for answer in [vec![0x15, 3, 2, 0, 2, 2, 70], hello, b"HTTP/1.1 400 Plain\r\n\r\n".to_vec()] {
        let server = Server::raw(move |_, mut stream, _| drop(stream.write_all(&answer)));
        assert_eq!(client.send(post(&url(&server))).unwrap_err(), failed(Delivery::NotSent, TransportKind::Tls));
    }
}

#[test]
fn tt_05_fl_09_an_end_that_tls_does_not_vouch_for_is_no_end() {
    // Without a length only the end of the connection ends the body, and anybody can end a connection.
    let authority = authority();
    for says_goodbye in [true, false] {
        let config = config(Some(&authority), "localhost", 4000);
        let server = Server::raw(move |_, socket, _| {
            let mut stream = stream(&config, socket);
            let _ = read_request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it?");
            if says_goodbye {
                stream.conn.send_close_notify();
            }
            let _ = stream.flush();
        });
        let answer = trusting(&authority).send(post(&url(&server)));
        if says_goodbye {
            assert_eq!(answer.unwrap().body().expose(), b"all of it?");
        } else {
            assert_eq!(answer.unwrap_err(), failed(Delivery::Unknown, TransportKind::Reset));
        }
    }
}

#[test]
fn tt_05_what_is_no_tls_after_the_handshake_is_told_so() {
    let authority = authority();
    let config = config(Some(&authority), "localhost", 4000);
    let server = Server::raw(move |_, socket, _| {
        let mut stream = stream(&config, socket);
        let _ = read_request(&mut stream);
        let _ = stream.sock.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    let answer = trusting(&authority).send(post(&url(&server)));
    assert_eq!(answer.unwrap_err(), failed(Delivery::Unknown, TransportKind::Tls));
}

#[test]
fn fl_06_a_head_comes_in_pieces_within_tls_and_a_goodbye_before_its_end_is_no_answer() {
    let authority = authority();
    let cut = Err(failed(Delivery::Unknown, TransportKind::Reset));
    for (pieces, expected) in [
        (["HTTP/1.1 200 OK\r\ncontent-", "length: 2\r\n\r\nok"], Ok("ok")),
        (["HTTP/1.1 200 OK\r\n", "content-length: 2\r\n"], cut),
        (["", ""], cut),
    ] {
        let config = config(Some(&authority), "localhost", 4000);
        let server = Server::raw(move |_, socket, _| {
            let mut stream = stream(&config, socket);
            let _ = read_request(&mut stream);
            for piece in pieces {
                let _ = stream.write_all(piece.as_bytes());
                let _ = stream.flush();
                // So that each is read by itself.
                thread::sleep(Duration::from_millis(20));
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        let answer = trusting(&authority).send(post(&url(&server)));
        let said = answer.map(|answer| String::from_utf8(answer.body().expose().to_vec()).unwrap());
        assert_eq!(said, expected.map(String::from), "{pieces:?}");
    }
}

#[test]
fn fl_14_a_connection_within_tls_that_the_server_has_closed_is_not_used_again() {
    let authority = authority();
    let config = config(Some(&authority), "localhost", 4000);
    let (tell, closed) = mpsc::channel();
    let server = Server::raw(move |_, socket, seen| {
        let mut stream = stream(&config, socket);
        let Some(request) = read_request(&mut stream) else { return };
        seen.lock().unwrap().push(request);
        // It says nothing of closing: the end itself has to be seen.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.sock.shutdown(Shutdown::Both);
        tell.send(()).unwrap();
    });
    let client = trusting(&authority);
    for _ in 0..3 {
        client.send(post(&url(&server))).unwrap();
        closed.recv().unwrap();
    }
    assert_eq!(server.seen().len(), 3);
}
