use std::io::Write;
#[cfg(target_os = "linux")]
use std::net::TcpStream;
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use grantflow_core::error::{Delivery, TransportKind};

use super::{Server, failed, post, quick, unknown};
use crate::transport::{HttpClient, Settings, Timeouts, UreqClient};

#[test]
fn ds_01_a_body_is_cut_off_at_its_limit() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
    assert_eq!(Server::saying(head(1024)).post().unwrap().body().len(), 1024);
    for length in [1025, 102_400] {
        assert_eq!(Server::saying(head(length)).post().unwrap_err(), unknown(TransportKind::TooLarge), "{length}");
    }
    let mut none = post(&Server::saying(head(1)).url());
    none.max_body = 0;
    assert_eq!(UreqClient::default().send(none).unwrap_err(), unknown(TransportKind::TooLarge));
}

#[test]
fn ds_01_fl_08_a_body_without_end_is_cut_off() {
    for head in ["", "transfer-encoding: chunked\r\n", "content-length: 18446744073709551615\r\n"] {
        let server = Server::new(move |_, stream| {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n");
            while stream.write_all(b"400\r\n").and_then(|()| stream.write_all(&[b'x'; 0x400])).is_ok() {
                if stream.write_all(b"\r\n").is_err() {
                    break;
                }
            }
        });
        assert_eq!(server.post().unwrap_err(), unknown(TransportKind::TooLarge), "{head}");
    }
}

#[test]
fn ds_12_a_declared_length_costs_nothing() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nfew");
    assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Reset));
}

#[test]
fn ds_06_each_phase_has_a_deadline() {
    let client = UreqClient::new(quick());
    // Whoever waits longer than it should sees the connection break instead.
    let pause = Duration::from_secs(5);
    let silent = Server::raw(move |_, stream, _| {
        thread::sleep(pause);
        drop(stream);
    });
    // No first byte.
    assert_eq!(client.send(post(&silent.url())).unwrap_err(), unknown(TransportKind::Timeout));
    // No TLS.
    let tls = format!("https://127.0.0.1:{}/", silent.port);
    assert_eq!(client.send(post(&tls)).unwrap_err(), failed(Delivery::NotSent, TransportKind::Timeout));
    // No TLS in the time for all of it.
    let another = Server::raw(move |_, stream, _| {
        thread::sleep(pause);
        drop(stream);
    });
    let mut short = post(&format!("https://127.0.0.1:{}/", another.port));
    short.timeout = Duration::from_millis(100);
    let late = failed(Delivery::NotSent, TransportKind::Timeout);
    assert_eq!(UreqClient::default().send(short).unwrap_err(), late);
    // Then silence.
    let stops = Server::new(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        thread::sleep(pause);
        let _ = stream.shutdown(Shutdown::Both);
    });
    assert_eq!(client.send(post(&stops.url())).unwrap_err(), unknown(TransportKind::Timeout));
}

#[test]
fn ds_06_resolving_a_name_has_a_deadline() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let timeouts = Timeouts { connect: Duration::from_nanos(1), ..Timeouts::default() };
    let client = UreqClient::new(Settings::default().with_timeouts(timeouts));
    let late = Some(failed(Delivery::NotSent, TransportKind::Timeout));
    // The answer may be there before anybody looks at the clock.
    let outcome = || client.send(post(&format!("http://localhost:{}/", server.port))).err();
    assert!((0..1000).any(|_| outcome() == late));
}

/// Where nobody accepts, Linux drops what comes to a full queue; other systems refuse it.
#[cfg(target_os = "linux")]
#[test]
fn ds_06_connecting_has_a_deadline() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    let soon = Duration::from_millis(60);
    let queue: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, soon).ok()).take(10_000).collect();
    let late = UreqClient::new(quick()).send(post(&format!("http://{address}/"))).unwrap_err();
    assert_eq!(late, failed(Delivery::NotSent, TransportKind::Timeout), "{} wait", queue.len());
}

#[test]
fn ds_06_fl_07_a_slow_drip_ends_with_the_whole_deadline() {
    let drip = Server::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut slow = post(&drip.url());
    slow.timeout = Duration::from_millis(100);
    assert_eq!(UreqClient::default().send(slow).unwrap_err(), unknown(TransportKind::Timeout));
}

#[test]
fn fl_04_where_nobody_listens_nothing_is_sent() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = UreqClient::default().send(post(&format!("http://127.0.0.1:{port}/"))).unwrap_err();
    assert_eq!(refused, failed(Delivery::NotSent, TransportKind::Connect));
}

#[test]
fn fl_04_a_name_that_does_not_resolve_is_told_so() {
    // An empty label: no resolver asks the network for it.
    let failure = UreqClient::default().send(post("http://a..b/")).unwrap_err();
    assert_eq!(failure, failed(Delivery::NotSent, TransportKind::Dns));
}
