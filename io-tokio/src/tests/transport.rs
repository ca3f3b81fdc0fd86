use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::machine::Outgoing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{answering, clock, request, rest, server, settled, ticking};
use crate::connect::{Connector, Resolver, Tls};
use crate::{Clock, HttpClient, HyperClient, ManualClock, Settings, Timeouts};

const LIMIT: usize = 100_000;

fn to(url: &str) -> Outgoing {
    let request = http::Request::get(url).body(Body::empty()).unwrap();
    Outgoing { request, max_body: LIMIT, timeout: Duration::from_secs(30), reach: Reach::Any }
}

fn post(address: SocketAddr, body: &str) -> Outgoing {
    let request = http::Request::post(format!("http://{address}/token"));
    let request = request.header("accept", "application/json").body(Body::new(body.into())).unwrap();
    Outgoing { request, ..to("http://x/") }
}

fn client() -> (ManualClock, HyperClient) {
    let (manual, _) = clock();
    (manual.clone(), HyperClient::new(Settings::default().with_clock(manual)))
}

fn unknown(kind: TransportKind) -> SendFailure {
    SendFailure { delivery: Delivery::Unknown, kind }
}

fn not_sent(kind: TransportKind) -> SendFailure {
    SendFailure { delivery: Delivery::NotSent, kind }
}

async fn failure(client: &HyperClient, answer: impl Into<Vec<u8>>) -> SendFailure {
    let address = answering(answer).await;
    let answer = client.send(post(address, "a=b")).await;
    answer.map(|response| response.status()).unwrap_err()
}

#[tokio::test]
async fn a_request_is_sent_as_it_is_and_the_whole_response_comes_back() {
    let seen = Arc::new(Mutex::new(String::new()));
    let log = seen.clone();
    let address = server(move |_, mut stream| {
        let log = log.clone();
        async move {
            let head = request(&mut stream).await;
            let mut body = [0; 3];
            stream.read_exact(&mut body).await.unwrap();
            *log.lock().unwrap() = head + std::str::from_utf8(&body).unwrap();
            let answer = b"HTTP/1.1 201 Created\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1;e=f\r\n\n\r\n0\r\nT: u\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let response = client().1.send(post(address, "a=b")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x"]), (201, &http::HeaderValue::from_static("y")));
    assert_eq!(response.body().expose(), b"{}\n");
    let seen = seen.lock().unwrap();
    assert!(seen.starts_with("POST /token HTTP/1.1\r\n") && seen.ends_with("\r\n\r\na=b"), "{seen}");
    for line in ["accept: application/json", "content-length: 3", &format!("host: {address}")] {
        assert!(seen.lines().any(|found| found == line), "{line} in {seen}");
    }
}

#[tokio::test]
async fn a_get_has_no_body_and_an_empty_post_says_so() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            tell.send(request(&mut stream).await.to_lowercase()).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let client = client().1;
    client.send(to(&format!("http://{address}/"))).await.unwrap();
    client.send(post(address, "")).await.unwrap();
    let (get, post) = (told.recv().await.unwrap(), told.recv().await.unwrap());
    assert!(!get.contains("content-length") && !get.contains("transfer-encoding"), "{get}");
    assert!(post.contains("content-length: 0\r\n") && !post.contains("transfer-encoding"), "{post}");
}

#[tokio::test]
async fn connections_are_used_again_after_a_whole_response() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let address = server(move |_, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            while !request(&mut stream).await.is_empty() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
            }
        }
    })
    .await;
    let client = client().1;
    for _ in 0..5 {
        client.send(to(&format!("http://{address}/"))).await.unwrap();
        settled().await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn tt_07_a_connection_with_bytes_left_on_it_is_never_used_again() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG";
    let firsts = [
        // More than its length; more than the limit; a broken chunk; a length that is never reached.
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst{poison}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}{poison}", LIMIT + 1, "x".repeat(LIMIT + 1)),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{poison}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}"),
    ];
    for first in firsts {
        let script = Arc::new(first.clone());
        let address = server(move |number, mut stream| {
            let script = script.clone();
            async move {
                while !request(&mut stream).await.is_empty() {
                    let right = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright";
                    let answer = if number == 0 { script.as_str() } else { right };
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        })
        .await;
        let client = client().1;
        let _ = client.send(to(&format!("http://{address}/"))).await;
        settled().await;
        let second = client.send(to(&format!("http://{address}/"))).await.unwrap();
        assert_eq!(second.body().expose(), b"right", "after {:.60}", first);
    }
}

#[tokio::test]
async fn ds_01_a_body_is_read_to_its_limit_and_no_further() {
    let client = client().1;
    let sized = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let until_close = |length: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(length));
    let chunked = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(length)
        )
    };
    for answer in [sized(LIMIT), until_close(LIMIT), chunked(LIMIT)] {
        let address = answering(answer).await;
        assert_eq!(client.send(post(address, "a=b")).await.unwrap().body().len(), LIMIT);
    }
    for answer in [sized(LIMIT + 1), until_close(LIMIT + 1), chunked(LIMIT + 1)] {
        assert_eq!(failure(&client, answer).await, unknown(TransportKind::TooLarge));
    }
}

#[tokio::test]
async fn ds_12_a_declared_length_is_refused_before_a_byte_of_it_is_read() {
    let (_, client) = client();
    for length in [LIMIT + 1, usize::MAX] {
        // The server sends no byte of the body and does not close.
        let address = server(move |_, mut stream| async move {
            request(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            rest(&mut stream).await;
        })
        .await;
        let error = client.send(post(address, "a=b")).await.unwrap_err();
        assert!([TransportKind::TooLarge, TransportKind::Protocol].contains(&error.kind), "{error:?}");
        assert_eq!(error.delivery, Delivery::Unknown);
    }
}

#[tokio::test]
async fn fl_08_a_body_without_an_end_is_cut_off_and_the_server_sees_it() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let address = server(move |_, mut stream| {
            let tell = tell.clone();
            async move {
                request(&mut stream).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                let piece = format!("1000\r\n{}\r\n", "x".repeat(4096));
                while stream.write_all(piece.as_bytes()).await.is_ok() {}
                let _ = tell.lock().unwrap().take().unwrap().send(());
            }
        })
        .await;
        let error = client().1.send(post(address, "a=b")).await.unwrap_err();
        assert_eq!(error, unknown(TransportKind::TooLarge));
        told.await.unwrap();
    }
}

#[tokio::test]
async fn tt_01_tt_02_redirects_are_handed_back_and_not_followed() {
    let visits = Arc::new(AtomicUsize::new(0));
    let count = visits.clone();
    let evil = server(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        for location in [format!("http://{evil}/x"), format!("//{evil}/x"), String::from("/elsewhere")] {
            let requests = Arc::new(AtomicUsize::new(0));
            let count = requests.clone();
            let answer = format!("HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let address = server(move |_, mut stream| {
                let (answer, count) = (answer.clone(), count.clone());
                async move {
                    while !request(&mut stream).await.is_empty() {
                        count.fetch_add(1, Ordering::SeqCst);
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            })
            .await;
            let response = client().1.send(to(&format!("http://{address}/token"))).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()["location"], location.as_str());
            settled().await;
            assert_eq!(requests.load(Ordering::SeqCst), 1);
        }
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn tt_09_lengths_that_can_be_read_in_two_ways_are_refused() {
    let client = client().1;
    let rows = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: +5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: -1",
    ];
    for row in rows {
        let answer = format!("HTTP/1.1 200 OK\r\n{row}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(failure(&client, answer).await, unknown(TransportKind::Protocol), "{row}");
    }
}

#[tokio::test]
async fn tt_10_a_chunk_size_that_is_no_number_is_refused() {
    let client = client().1;
    for size in ["ffffffffffffffff1", "fffffffffffffffff", "-1", "", "g", "5 5", "0x5"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nhello\r\n0\r\n\r\n");
        let error = failure(&client, answer).await;
        assert_eq!(error, unknown(TransportKind::Protocol), "{size}");
    }
}

#[tokio::test]
async fn tt_11_ds_05_heads_are_bounded() {
    let client = client().1;
    let heads = [
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1024 * 1024)),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(65 * 1024)),
        format!("HTTP/1.1 200 {}\r\n\r\n", "O".repeat(1024 * 1024)),
    ];
    for head in heads {
        assert_eq!(failure(&client, head.clone()).await, unknown(TransportKind::TooLarge), "{:.60}", head);
    }
    let hundred = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(99));
    assert!(client.send(post(answering(hundred).await, "a=b")).await.is_ok());
}

#[tokio::test]
async fn tt_11_informational_answers_without_an_end_run_out_of_time() {
    let (clock, client) = client();
    let address = server(|_, mut stream| async move {
        request(&mut stream).await;
        // One at a time: the client must have its turn.
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (answer, seconds) = ticking(&clock, client.send(post(address, "a=b"))).await;
    assert_eq!((answer.unwrap_err(), seconds), (unknown(TransportKind::Timeout), 15));
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let client = client().1;
    for answer in [
        "hello\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 9 OK\r\n\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
    ] {
        assert_eq!(failure(&client, answer).await, unknown(TransportKind::Protocol), "{answer}");
    }
    assert_eq!(failure(&client, "").await, unknown(TransportKind::Reset));
}

#[tokio::test]
async fn a_response_that_is_cut_anywhere_is_no_response() {
    let client = client().1;
    let whole = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    for whole in whole {
        for end in 0..whole.len() {
            let error = failure(&client, &whole.as_bytes()[..end]).await;
            assert_eq!(error.delivery, Delivery::Unknown, "cut at {end}");
            assert!([TransportKind::Reset, TransportKind::Protocol].contains(&error.kind), "cut at {end}: {error:?}");
        }
    }
}

#[tokio::test]
async fn tt_12_cookies_are_not_sent_back() {
    let seen = Arc::new(Mutex::new(String::new()));
    let log = seen.clone();
    let address = server(move |_, mut stream| {
        let log = log.clone();
        async move {
            loop {
                let head = request(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                log.lock().unwrap().push_str(&head);
                let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        }
    })
    .await;
    let client = client().1;
    for _ in 0..2 {
        client.send(to(&format!("http://{address}/"))).await.unwrap();
    }
    assert!(!seen.lock().unwrap().to_lowercase().contains("cookie"));
}

#[tokio::test]
async fn what_was_not_sent_is_known() {
    let client = client().1;
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(client.send(post(gone, "a=b")).await.unwrap_err(), not_sent(TransportKind::Connect));
    // A server that speaks no TLS.
    let plain = server(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        rest(&mut stream).await;
    })
    .await;
    let error = client.send(to(&format!("https://{plain}/"))).await.unwrap_err();
    assert_eq!(error, not_sent(TransportKind::Tls));
    let error = client.send(to("ftp://127.0.0.1/")).await.unwrap_err();
    assert_eq!(error.delivery, Delivery::NotSent);
    // A name that means nothing.
    let client = resolving(|_| Vec::new());
    let error = client.send(to("http://nowhere.test/")).await.unwrap_err();
    assert_eq!(error, not_sent(TransportKind::Dns));
}

#[tokio::test]
async fn ds_06_every_part_of_an_exchange_has_its_deadline() {
    // Accepts and is silent.
    let silent = server(|_, mut stream| async move {
        rest(&mut stream).await;
    })
    .await;
    let (clock, client) = client();
    let (answer, seconds) = ticking(&clock, client.send(to(&format!("https://{silent}/")))).await;
    assert_eq!((answer.unwrap_err(), seconds), (not_sent(TransportKind::Timeout), 20), "TLS, and what connecting left");
    let (answer, seconds) = ticking(&clock, client.send(post(silent, "a=b"))).await;
    assert_eq!((answer.unwrap_err(), seconds), (unknown(TransportKind::Timeout), 15), "first byte");
    let short = Outgoing { timeout: Duration::from_secs(4), ..post(silent, "a=b") };
    let (answer, seconds) = ticking(&clock, client.send(short)).await;
    assert_eq!((answer.unwrap_err(), seconds), (unknown(TransportKind::Timeout), 4), "total");
    let short = Outgoing { timeout: Duration::from_secs(3), ..to(&format!("https://{silent}/")) };
    let (answer, seconds) = ticking(&clock, client.send(short)).await;
    assert_eq!((answer.unwrap_err(), seconds), (not_sent(TransportKind::Timeout), 3), "total, before anything is sent");
    let half = server(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let (answer, seconds) = ticking(&clock, client.send(post(half, "a=b"))).await;
    assert_eq!((answer.unwrap_err(), seconds), (unknown(TransportKind::Timeout), 10), "idle");
    let seconds = Duration::from_secs;
    let timeouts = Timeouts { connect: seconds(1), tls: seconds(1), first_byte: seconds(2), idle: seconds(3) };
    let client = HyperClient::new(Settings::default().with_clock(clock.clone()).with_timeouts(timeouts));
    for (expected, outgoing) in [(2, post(silent, "")), (3, post(half, "")), (2, to(&format!("https://{silent}/")))] {
        assert_eq!(ticking(&clock, client.send(outgoing)).await.1, expected, "all are settable");
    }
}

/// Where nobody accepts, Linux drops what comes to a full queue; other systems refuse it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn ds_06_connecting_has_a_deadline() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, soon) = (deaf.local_addr().unwrap(), Duration::from_millis(60));
    let connect = || std::net::TcpStream::connect_timeout(&address, soon).ok();
    let queue: Vec<_> = std::iter::from_fn(connect).take(10_000).collect();
    let (clock, client) = client();
    let (answer, seconds) = ticking(&clock, client.send(post(address, "a=b"))).await;
    let late = (not_sent(TransportKind::Timeout), 10);
    assert_eq!((answer.unwrap_err(), seconds), late, "{} wait", queue.len());
}

#[tokio::test]
async fn fl_07_a_drip_that_is_never_idle_runs_out_of_total_time() {
    let (clock, client) = client();
    let servers = clock.clone();
    let address = server(move |_, mut stream| {
        let clock = servers.clone();
        async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                clock.sleep(Duration::from_secs(1)).await;
            }
        }
    })
    .await;
    let (answer, seconds) = ticking(&clock, client.send(post(address, "a=b"))).await;
    assert_eq!((answer.unwrap_err(), seconds), (unknown(TransportKind::Timeout), 30));
}

/// A client for which names mean what `names` says.
fn resolving(names: fn(&str) -> Vec<IpAddr>) -> HyperClient {
    let (_, clock) = clock();
    let tls = Arc::new(Tls::new(Vec::new()));
    let connector = |reach| {
        let resolver = Resolver::scripted(reach, names);
        Connector::with_resolver(resolver, Timeouts::default(), tls.clone(), clock.clone())
    };
    HyperClient::with_connectors(connector(Reach::Any), connector(Reach::Public), Timeouts::default(), clock.clone())
}

#[tokio::test]
async fn tt_15_names_and_literals_that_are_not_public_are_out_of_reach() {
    let visits = Arc::new(AtomicUsize::new(0));
    let count = visits.clone();
    let address = server(move |_, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            rest(&mut stream).await;
        }
    })
    .await;
    let port = address.port();
    let names = |name: &str| match name {
        "public.test" => vec!["127.0.0.1".parse().unwrap()],
        "mixed.test" => ["10.0.0.1", "169.254.169.254", "127.0.0.1", "fe80::1", "::ffff:127.0.0.1"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        _ => Vec::new(),
    };
    let client = resolving(names);
    let public = |url: String| Outgoing { reach: Reach::Public, ..to(&url) };
    assert!(client.send(to(&format!("http://public.test:{port}/"))).await.is_ok(), "the user may name any host");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    settled().await;
    let urls = [
        format!("http://public.test:{port}/"),
        format!("https://public.test:{port}/"),
        format!("http://mixed.test:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        String::from("http://10.0.0.1/"),
        String::from("http://169.254.169.254/latest/meta-data"),
    ];
    for url in urls {
        let error = client.send(public(url.clone())).await.unwrap_err();
        assert_eq!(error, not_sent(TransportKind::ForbiddenAddress), "{url}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1, "not even over a connection that is there already");
    let error = self::client().1.send(public(format!("http://localhost:{port}/"))).await.unwrap_err();
    assert_eq!(error, not_sent(TransportKind::ForbiddenAddress), "as the operating system resolves it");
}

#[tokio::test]
async fn fl_35_a_dropped_request_closes_its_connection() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let address = server(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            request(&mut stream).await;
            rest(&mut stream).await;
            let _ = tell.lock().unwrap().take().unwrap().send(());
        }
    })
    .await;
    let client = client().1;
    let sending = client.send(post(address, ""));
    assert!(matches!(crate::race::race(sending, settled()).await, crate::race::Either::Right(())));
    told.await.unwrap();
}

#[tokio::test]
async fn tt_13_a_proxy_in_the_environment_is_not_used() {
    let visits = Arc::new(AtomicUsize::new(0));
    let count = visits.clone();
    let proxy = server(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let proxy = format!("http://user:secret@{proxy}");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, &proxy);
    }
    let test = "tests::transport::a_request_is_sent_as_it_is_and_the_whole_response_comes_back";
    let output = command.args(["--exact", test]).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    settled().await;
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ds_09_no_more_than_sixteen_idle_connections_are_kept() {
    let (open, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Barrier::new(20)));
    let count = open.clone();
    let address = server(move |_, mut stream| {
        let (count, all) = (count.clone(), all.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            request(&mut stream).await;
            all.wait().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            rest(&mut stream).await;
            count.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let client = client().1;
    let sent: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(to(&format!("http://{address}/"))).await.unwrap() })
        })
        .collect();
    for sent in sent {
        sent.await.unwrap();
    }
    settled().await;
    assert_eq!(open.load(Ordering::SeqCst), 16);
}
