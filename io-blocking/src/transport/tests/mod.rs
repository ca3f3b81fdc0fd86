use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::machine::Outgoing;
use http::{Request, Response};

use super::{HttpClient, Settings, Timeouts, UreqClient};

mod limits;
#[cfg(feature = "no-trace-logs")]
mod logs;
mod tls;

/// A server that answers each connection with bytes that a test chooses, and keeps what was asked.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads one request from each connection and hands the stream to `answer`.
    fn new(mut answer: impl FnMut(usize, &mut TcpStream) + Send + 'static) -> Self {
        Self::raw(move |number, mut stream, seen| {
            // A client may keep its connection and ask again.
            while let Some(request) = read_request(&mut stream) {
                seen.lock().unwrap().push(format!("{number}: {request}"));
                answer(number, &mut stream);
            }
        })
    }

    /// Answers every request with `bytes` and closes.
    fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |_, stream| {
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    fn raw(mut serve: impl FnMut(usize, TcpStream, &Mutex<Vec<String>>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                serve(number, stream.unwrap(), &log);
            }
        });
        Self { port, seen }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn post(&self) -> Result<Response<Body>, SendFailure> {
        UreqClient::default().send(post(&self.url()))
    }
}

fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

fn outgoing(request: Request<Body>) -> Outgoing {
    Outgoing { request, max_body: 1024, timeout: Duration::from_secs(20), reach: Reach::Any }
}

fn post(url: &str) -> Outgoing {
    outgoing(Request::post(url).body(Body::from(b"grant_type=client_credentials".to_vec())).unwrap())
}

fn get(url: &str) -> Outgoing {
    outgoing(Request::get(url).body(Body::empty()).unwrap())
}

fn quick() -> Settings {
    let soon = Duration::from_millis(60);
    Settings::default().with_timeouts(Timeouts { connect: soon, tls: soon, first_byte: soon, idle: soon })
}

fn failed(delivery: Delivery, kind: TransportKind) -> SendFailure {
    SendFailure { delivery, kind }
}

fn unknown(kind: TransportKind) -> SendFailure {
    failed(Delivery::Unknown, kind)
}

#[test]
fn a_post_carries_its_body_and_nothing_that_was_not_asked_for() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let request =
        Request::post(server.url()).header("accept", "application/json").header("authorization", "Basic eA==");
    let answer = UreqClient::default().send(outgoing(request.body(Body::from(b"a=b".to_vec())).unwrap())).unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().expose()), (200, b"ok".as_slice()));
    let mut lines: Vec<String> = server.seen()[0].split("\r\n").map(String::from).collect();
    assert_eq!(lines.remove(0), "0: POST /token HTTP/1.1");
    lines.sort();
    let expected = [
        "",
        "a=b",
        "accept: application/json",
        "authorization: Basic eA==",
        "content-length: 3",
        &format!("host: 127.0.0.1:{}", server.port),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_get_has_no_body_and_an_empty_post_says_so() {
    let server = Server::saying("HTTP/1.1 204 No Content\r\n\r\n");
    UreqClient::default().send(get(&server.url())).unwrap();
    UreqClient::default().send(outgoing(Request::post(server.url()).body(Body::empty()).unwrap())).unwrap();
    let seen = server.seen();
    assert!(!seen[0].contains("content-length") && !seen[0].contains("transfer-encoding"), "{seen:?}");
    assert!(seen[1].contains("content-length: 0\r\n"), "{seen:?}");
}

#[test]
fn a_status_that_says_no_is_an_answer() {
    let server = Server::saying("HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 4\r\n\r\nlate");
    let answer = server.post().unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().expose()), (503, b"late".as_slice()));
    assert_eq!(answer.headers()["retry-after"], "5");
}

#[test]
fn a_whole_answer_leaves_the_connection_for_the_next_request() {
    let server = Server::new(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap());
    let client = UreqClient::default();
    for _ in 0..3 {
        client.send(post(&server.url())).unwrap();
    }
    assert!(server.seen().iter().all(|request| request.starts_with("0: ")), "{:?}", server.seen());
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn tt_01_tt_02_ds_07_a_redirect_is_given_back_and_never_followed() {
    let elsewhere = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for status in [301, 302, 303, 307, 308] {
        for location in [elsewhere.url(), format!("//127.0.0.1:{}/x", elsewhere.port)] {
            let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            let server = Server::saying(head);
            let answer = server.post().unwrap();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers()["location"], location.as_str());
            assert_eq!(server.seen().len(), 1, "sent exactly once");
        }
    }
    assert_eq!(elsewhere.seen(), Vec::<String>::new());
}

#[test]
fn tt_07_fl_05_fl_09_an_answer_that_breaks_off_is_no_answer() {
    let cut = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nonly",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ];
    for bytes in cut {
        let server = Server::saying(bytes);
        assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Reset), "{bytes:?}");
        assert_eq!(server.seen().len(), 1, "sent once only: {bytes:?}");
    }
}

#[test]
fn fl_06_an_answer_that_is_cut_at_any_byte_is_no_answer() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
    assert_eq!(Server::saying(whole).post().unwrap().body().len(), 7);
    for cut in 0..whole.len() {
        let server = Server::saying(&whole.as_bytes()[..cut]);
        assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Reset), "{cut}");
    }
}

#[test]
fn fl_14_a_connection_that_the_server_has_closed_is_not_used_again() {
    let (tell, closed) = mpsc::channel();
    let server = Server::new(move |_, stream| {
        // It says nothing of closing: the end itself has to be seen.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        tell.send(()).unwrap();
    });
    let client = UreqClient::default();
    for _ in 0..3 {
        client.send(post(&server.url())).unwrap();
        closed.recv().unwrap();
    }
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn ds_09_no_more_than_sixteen_idle_connections_are_kept() {
    const CLIENTS: usize = 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (all, ended) = (Arc::new(Barrier::new(CLIENTS)), Arc::new(AtomicUsize::new(0)));
    let count = ended.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, all, ended) = (stream.unwrap(), all.clone(), count.clone());
            thread::spawn(move || {
                let _ = read_request(&mut stream);
                all.wait();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.read(&mut [0]);
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    let client = UreqClient::default();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| client.send(post(&format!("http://127.0.0.1:{port}/"))).unwrap());
        }
    });
    for _ in 0..2000 {
        if ended.load(Ordering::SeqCst) == CLIENTS - 16 {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ended.load(Ordering::SeqCst), CLIENTS - 16);
}

#[test]
fn tt_07_a_reset_is_no_end_of_a_body_without_length() {
    let server = Server::raw(|_, mut stream, _| {
        let _ = stream.read(&mut [0]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of it");
        thread::sleep(Duration::from_millis(20));
        // Closing a socket with unread bytes in it makes a reset of the end.
    });
    assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Reset));
}

#[test]
fn tt_07_a_body_without_length_ends_with_an_orderly_end() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_eq!(server.post().unwrap().body().expose(), b"all of it");
}

#[test]
fn tt_07_bytes_after_an_answer_are_never_taken_for_the_next_one() {
    let server = Server::new(|number, stream| {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{number}!");
        let stray = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";
        // In one piece: what comes after the next request has been sent is an answer to it.
        let _ = stream.write_all((answer + stray).as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
    });
    let client = UreqClient::default();
    for number in 0..3 {
        let answer = client.send(post(&server.url())).unwrap();
        assert_eq!(answer.body().expose(), format!("{number}!").as_bytes());
    }
}

#[test]
fn tt_07_a_connection_with_a_body_beyond_the_limit_is_not_used_again() {
    let server = Server::new(|number, stream| {
        let length = if number == 0 { 5000 } else { 2 };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
    });
    let client = UreqClient::default();
    assert_eq!(client.send(post(&server.url())).unwrap_err(), unknown(TransportKind::TooLarge));
    assert_eq!(client.send(post(&server.url())).unwrap().body().expose(), b"xx");
    assert!(server.seen()[1].starts_with("1: "));
}

#[test]
fn tt_09_a_body_with_two_lengths_or_none_that_is_a_number_is_refused() {
    for fields in [
        "content-length: 2\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 2",
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "content-length: ",
        "content-length: 99999999999999999999",
    ] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
        assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Protocol), "{fields}");
    }
}

#[test]
fn tt_10_a_chunk_size_beyond_all_numbers_is_refused() {
    for size in ["ffffffffffffffff1", "-1", "0x2", "", "zz"] {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let server = Server::saying(format!("{head}{size}\r\nok\r\n0\r\n\r\n"));
        assert_eq!(server.post().unwrap_err(), unknown(TransportKind::Protocol), "{size}");
    }
}

#[test]
fn tt_11_ds_05_a_head_is_bounded() {
    let with = |count: usize, length: usize| {
        let fields: String = (0..count).map(|n| format!("x-{n}: {}\r\n", "v".repeat(length))).collect();
        Server::saying(format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{fields}\r\n")).post()
    };
    assert!(with(99, 1).is_ok());
    assert!(with(1, 60 * 1024).is_ok());
    for (count, length) in [(100, 1), (127, 1), (200, 1), (10_000, 1), (1, 64 * 1024), (1, 70_000), (1, 1 << 20)] {
        assert_eq!(with(count, length).unwrap_err(), unknown(TransportKind::TooLarge), "{count} of {length}");
    }
}

#[test]
fn tt_11_interim_answers_without_end_are_cut_off() {
    let server = Server::new(|_, stream| {
        let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        // In small pieces: what fills the buffer at once is too large a head already.
        while stream.write_all(&hint.repeat(40)).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    });
    assert_eq!(server.post().unwrap_err(), unknown(TransportKind::TooLarge));
    let server = Server::saying("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(server.post().unwrap().status().as_u16(), 200);
}

#[test]
fn tt_11_what_is_not_http_is_told_so() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.9\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 099 Low\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\r\n"]
    {
        assert_eq!(Server::saying(bytes).post().unwrap_err(), unknown(TransportKind::Protocol), "{bytes:?}");
    }
}

#[test]
fn tt_12_a_cookie_is_not_sent_back() {
    let answer = "HTTP/1.1 200 OK\r\nset-cookie: a=b; Path=/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::new(move |_, stream| stream.write_all(answer.as_bytes()).unwrap());
    let client = UreqClient::default();
    client.send(post(&server.url())).unwrap();
    client.send(post(&server.url())).unwrap();
    assert!(!server.seen()[1].to_lowercase().contains("cookie"));
}

#[test]
fn tt_13_tt_16_a_proxy_in_the_environment_is_not_used() {
    const URL: &str = "GRANTFLOW_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        // The child: whatever the environment says, the request goes straight to its host.
        assert_eq!(UreqClient::default().send(post(&url)).unwrap().body().expose(), b"direct");
        return;
    }
    let proxy = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy");
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ndirect");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["transport::tests::tt_13_tt_16_a_proxy_in_the_environment_is_not_used", "--exact"]);
    child.env(URL, server.url());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let proxy = format!("http://user:pass@127.0.0.1:{}", proxy.port);
        child.env(name, &proxy).env(name.to_lowercase(), &proxy);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((server.seen().len(), proxy.seen().len()), (1, 0));
}

#[test]
fn tt_15_a_host_that_a_remote_party_named_is_reached_at_public_addresses_only() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let client = UreqClient::default();
    let refused = failed(Delivery::NotSent, TransportKind::ForbiddenAddress);
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let mut outgoing = get(&format!("http://{host}:{}/", server.port));
        outgoing.reach = Reach::Public;
        assert_eq!(client.send(outgoing).unwrap_err(), refused, "{host}");
    }
    assert_eq!(server.seen(), Vec::<String>::new());
}

#[test]
fn tt_15_an_open_connection_does_not_lead_around_the_rule() {
    let server = Server::new(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap());
    let client = UreqClient::default();
    client.send(get(&server.url())).unwrap();
    let mut again = get(&server.url());
    again.reach = Reach::Public;
    assert_eq!(client.send(again).unwrap_err().kind, TransportKind::ForbiddenAddress);
    assert_eq!(server.seen().len(), 1);
}
