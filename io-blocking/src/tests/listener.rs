use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use grantflow_core::callback::CallbackParams;
use grantflow_core::error::{BadCallback, ConfigError, Error, Expired};
use grantflow_core::loopback::{HEADER_DEADLINE, Host, MAX_CONNECTIONS, Pages, Place, ResponseMode, STANDALONE_PORT};

use super::{anywhere, ask, clock, get, is_closed, patience, read_all, start, status};
use crate::{Cancel, Clock, ManualClock, RedirectListener, Responder};

fn bind(place: &Place) -> Result<RedirectListener, Error> {
    RedirectListener::bind(place, ResponseMode::Query, Pages::default())
}

fn listener() -> RedirectListener {
    bind(&anywhere()).unwrap()
}

/// Waits on a clock that stands still.
fn wait(listener: &mut RedirectListener) -> (CallbackParams, Responder) {
    listener.wait(start().plus(Duration::from_secs(300)), &clock(), &patience()).unwrap()
}

fn code(callback: CallbackParams) -> String {
    callback.code().unwrap().expose().clone()
}

/// What each of `requests` is answered while a login goes on, and then the login's own callback.
fn answers(requests: impl FnOnce(SocketAddr) -> Vec<String>) -> Vec<String> {
    let mut listener = listener();
    let address = listener.address();
    let requests = requests(address);
    let browser = thread::spawn(move || {
        let answers = requests.iter().map(|request| ask(address, request)).collect();
        assert_eq!(status(&ask(address, &get(address, "/callback?code=real&state=s"))), 200);
        answers
    });
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "real", "the login went on");
    responder.success();
    browser.join().unwrap()
}

#[test]
fn lb_01_only_loopback_addresses_are_listened_on() {
    for host in [Host::Either, Host::Ipv4, Host::Ipv6, Host::Localhost] {
        let listener = bind(&anywhere().with_host(host)).unwrap();
        assert!(listener.address().ip().is_loopback(), "{host:?}");
    }
}

#[test]
fn lb_02_a_25_the_redirect_uri_has_an_ip_literal_and_the_port_that_was_found() {
    let listener = listener();
    assert_ne!(listener.address().port(), 0);
    assert_eq!(listener.redirect_uri(), format!("http://127.0.0.1:{}/callback", listener.address().port()));
    let six = bind(&anywhere().with_host(Host::Ipv6)).unwrap();
    assert_eq!(six.redirect_uri(), format!("http://[::1]:{}/callback", six.address().port()));
}

#[test]
fn lb_03_localhost_is_listened_on_in_both_families_or_not_at_all() {
    let mut both = bind(&anywhere().with_host(Host::Localhost)).unwrap();
    let port = both.address().port();
    assert_eq!(both.redirect_uri(), format!("http://localhost:{port}/callback"));
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))] {
        let request = format!("GET /callback?code=c&state=s HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        let browser = thread::spawn(move || ask(address, &request));
        wait(&mut both).1.success();
        assert_eq!(status(&browser.join().unwrap()), 200);
    }
    let squatter = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let taken = squatter.local_addr().unwrap().port();
    let refused = bind(&anywhere().with_host(Host::Localhost).with_ports([taken])).unwrap_err();
    assert_eq!(refused, ConfigError::PortInUse(taken).into());
}

#[test]
fn lb_04_a_request_for_another_host_is_refused_and_the_login_goes_on() {
    let request = |fields: &str| format!("GET /callback?code=c&state=s HTTP/1.1\r\n{fields}\r\n");
    let answers = answers(|_| {
        vec![
            request("Host: evil.test:8080\r\n"),
            request(""),
            request("Host: 127.0.0.1:1\r\nHost: 127.0.0.1:1\r\n"),
            String::from("OPTIONS /callback HTTP/1.1\r\nHost: evil.test\r\nOrigin: https://evil.test\r\n\r\n"),
        ]
    });
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [421, 400, 400, 421]);
    assert!(answers.iter().all(|answer| !answer.to_lowercase().contains("access-control")));
}

#[test]
fn lb_05_other_paths_and_methods_are_answered_and_the_login_goes_on() {
    let answers = answers(|at| {
        let request = |method, path| get(at, path).replacen("GET", method, 1);
        let gets = ["/", "/favicon.ico", "/callback/x?code=c"].map(|path| request("GET", path));
        let others = ["POST", "HEAD", "OPTIONS"].map(|method| request(method, "/callback?code=c&state=s"));
        [gets, others].concat()
    });
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [404, 404, 404, 405, 405, 405]);
}

#[test]
fn lb_06_a_foreign_callback_is_refused_and_the_listener_keeps_waiting() {
    let mut listener = listener();
    let address = listener.address();
    let stranger = thread::spawn(move || ask(address, &get(address, "/callback?code=evil&state=evil")));
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "evil", "whether it is the right one is the flow's business");
    responder.refused(BadCallback::StateMismatch);
    let answer = stranger.join().unwrap();
    assert_eq!(status(&answer), 400);
    assert!(!answer.contains("evil"));
    let browser = thread::spawn(move || ask(address, &get(address, "/callback?code=real&state=s")));
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "real");
    responder.success();
    assert_eq!(status(&browser.join().unwrap()), 200);
}

#[test]
fn lb_07_an_error_callback_reaches_the_caller() {
    let mut listener = listener();
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, &get(address, "/callback?error=access_denied&state=s")));
    let (callback, responder) = wait(&mut listener);
    assert_eq!(callback.error(), Some("access_denied"));
    responder.failure("access_denied <script>");
    let answer = browser.join().unwrap();
    assert_eq!(status(&answer), 400);
    assert!(answer.contains("access_denied &lt;script&gt;"));
}

#[test]
fn lb_08_a_26_hundreds_of_connections_that_drip_do_not_delay_the_real_one() {
    let mut listener = listener();
    let address = listener.address();
    let browser = thread::spawn(move || {
        let dripping: Vec<TcpStream> = (0..200)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                let _ = stream.write_all(b"G");
                stream
            })
            .collect();
        let answer = ask(address, &get(address, "/callback?code=real&state=s"));
        drop(dripping);
        answer
    });
    // The clock stands still: nobody is waiting for a deadline to pass.
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "real");
    responder.success();
    assert_eq!(status(&browser.join().unwrap()), 200);
}

#[test]
fn lb_08_a_request_that_is_not_whole_in_time_is_answered_408() {
    let mut listener = listener();
    let (address, clock) = (listener.address(), clock());
    let moved = clock.clone();
    let browser = thread::spawn(move || {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /callback?code=c&state=s HTTP/1.1\r\nHost:").unwrap();
        // Whoever came after it has been served: it has been seen.
        assert_eq!(status(&ask(address, &get(address, "/"))), 404);
        moved.advance(HEADER_DEADLINE);
        let answer = read_all(&mut slow);
        ask(address, &get(address, "/callback?code=real&state=s"));
        answer
    });
    let (callback, responder) = listener.wait(start().plus(Duration::from_secs(300)), &clock, &patience()).unwrap();
    assert_eq!(code(callback), "real");
    responder.success();
    assert_eq!(status(&browser.join().unwrap()), 408);
}

#[test]
fn lb_08_no_more_connections_are_kept_than_allowed() {
    let mut listener = listener();
    let address = listener.address();
    let kept: Vec<TcpStream> = (0..MAX_CONNECTIONS + 10).map(|_| TcpStream::connect(address).unwrap()).collect();
    let soon = thread::spawn(move || ask(address, &get(address, "/callback?code=c&state=s")));
    wait(&mut listener).1.success();
    soon.join().unwrap();
    let open = kept.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        let mut stream = *stream;
        stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert!(open.count() <= MAX_CONNECTIONS);
}

#[test]
fn lb_09_what_is_no_request_is_answered_or_closed_and_the_login_goes_on() {
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let with = |fields: &str| format!("GET /callback HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let answers = answers(|_| {
        vec![
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(64 * 1024)),
            with(&format!("X: {}\r\n", "a".repeat(1 << 20))),
            with(&fields(1000)),
            String::from("GET /\0 HTTP/1.1\r\n\r\n"),
            String::from("GET /callback?code=c\r\n"),
            String::from("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}"),
            String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ]
    });
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [414, 431, 431, 400, 400, 400, 400]);
}

#[test]
fn lb_10_a_27_the_answer_is_a_whole_http_response_that_reflects_nothing() {
    let mut listener = listener();
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, &get(address, "/callback?code=CODE&state=STATE&x=<b>REFLECTED")));
    wait(&mut listener).1.success();
    let answer = browser.join().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in [
        &format!("Content-Length: {}", body.len()),
        "Connection: close",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert!(head.contains("Content-Security-Policy: default-src 'none'"));
    assert!(body.contains("Code received! You may now close this window"));
    assert!(!["CODE", "STATE", "REFLECTED"].iter().any(|word| answer.contains(word)));
}

#[test]
fn lb_12_fl_41_a_25_a_taken_port_is_named_and_the_next_one_tried() {
    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = squatter.local_addr().unwrap().port();
    let place = anywhere().with_host(Host::Ipv4);
    assert_eq!(bind(&place.clone().with_ports([taken])).unwrap_err(), ConfigError::PortInUse(taken).into());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let both = [taken, other.local_addr().unwrap().port()];
    assert_eq!(bind(&place.clone().with_ports(both)).unwrap_err(), ConfigError::PortInUse(taken).into());
    let free = bind(&place.clone().with_ports([taken, 0])).unwrap();
    assert_ne!(free.address().port(), taken);
    let held = free.address().port();
    assert!(TcpListener::bind(("127.0.0.1", held)).is_err(), "nobody shares the port");
}

#[test]
fn lb_14_nothing_that_is_printed_shows_the_callback() {
    let mut listener = listener();
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, &get(address, "/callback?code=CANARY&state=CANARY")));
    let (callback, responder) = wait(&mut listener);
    let printed = format!("{listener:?} {callback:?} {responder:?}");
    assert!(!printed.contains("CANARY"), "{printed}");
    responder.success();
    browser.join().unwrap();
}

#[test]
fn lb_16_the_page_reaches_the_browser_every_time() {
    let mut listener = listener();
    let address = listener.address();
    const ROUNDS: usize = 10_000;
    let browser = thread::spawn(move || {
        for round in 0..ROUNDS {
            // Bytes that nobody reads would make a reset of the close, which overtakes the page.
            let request = get(address, "/callback?code=c&state=s") + &"x".repeat(round % 7000);
            let answer = ask(address, &request);
            assert!(answer.ends_with("</html>\n"), "round {round}: {answer:?}");
        }
    });
    for _ in 0..ROUNDS {
        wait(&mut listener).1.success();
    }
    browser.join().unwrap();
}

#[test]
fn lb_16_the_page_reaches_a_browser_that_is_still_sending() {
    let mut listener = listener();
    let address = listener.address();
    // More than the buffers between the two hold: to close the socket then would break the browser's connection.
    let request = get(address, "/callback?code=c&state=s") + &"x".repeat(8 * 1024 * 1024);
    let browser = thread::spawn(move || ask(address, &request));
    wait(&mut listener).1.success();
    assert!(browser.join().unwrap().ends_with("</html>\n"));
}

#[test]
fn fl_37_a_25_a_callback_that_never_comes_ends_with_the_injected_clock() {
    let mut listener = listener();
    let (address, clock) = (listener.address(), clock());
    let moved = clock.clone();
    let hand = thread::spawn(move || {
        assert_eq!(status(&ask(address, &get(address, "/"))), 404);
        moved.advance(Duration::from_secs(120));
    });
    let late = listener.wait(start().plus(Duration::from_secs(120)), &clock, &patience());
    assert_eq!(late.unwrap_err(), Error::Expired(Expired::Callback));
    hand.join().unwrap();
    drop(listener);
    assert!(is_closed(address));
}

#[test]
fn fl_38_a_callback_that_comes_too_late_finds_nobody() {
    let mut listener = listener();
    let address = listener.address();
    assert!(listener.wait(start(), &clock(), &patience()).is_err());
    drop(listener);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn fl_42_one_family_is_enough() {
    for host in [Host::Ipv4, Host::Ipv6] {
        let mut listener = bind(&anywhere().with_host(host)).unwrap();
        let address = listener.address();
        let browser = thread::spawn(move || ask(address, &get(address, "/callback?code=c&state=s")));
        wait(&mut listener).1.success();
        assert_eq!(status(&browser.join().unwrap()), 200, "{host:?}");
    }
}

#[test]
fn a_25_a_listener_that_is_used_alone_has_its_place_and_can_be_used_again() {
    assert_eq!(Place::standalone().ports(), [STANDALONE_PORT]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::standalone().with_ports([free]);
    for _ in 0..2 {
        let mut listener = bind(&place).unwrap();
        let address = listener.address();
        assert_eq!(listener.redirect_uri(), format!("http://127.0.0.1:{free}/"));
        let browser = thread::spawn(move || ask(address, &get(address, "/?code=c&state=s")));
        wait(&mut listener).1.success();
        assert_eq!(status(&browser.join().unwrap()), 200);
    }
    assert!(is_closed(SocketAddr::from(([127, 0, 0, 1], free))));
}

#[test]
fn a_23_a_request_in_many_pieces_is_read() {
    let mut listener = listener();
    let address = listener.address();
    let browser = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in get(address, "/callback?code=a%252Bb&state=s").as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        read_all(&mut stream)
    });
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "a%2Bb");
    responder.success();
    assert_eq!(status(&browser.join().unwrap()), 200);
}

#[test]
fn a_22_the_public_redirect_uri_may_be_another_one() {
    let mut listener = listener().with_public_uri("https://app.example/cb").unwrap();
    let address = listener.address();
    assert_eq!(listener.redirect_uri(), "https://app.example/cb");
    let request = "GET /cb?code=c&state=s HTTP/1.1\r\nHost: app.example\r\n\r\n";
    let proxy = thread::spawn(move || ask(address, request));
    wait(&mut listener).1.success();
    assert_eq!(status(&proxy.join().unwrap()), 200);
}

#[test]
fn a_27_the_text_of_the_page_can_be_chosen() {
    let pages = Pages::default().with_success_text("Well <done>");
    let mut listener = RedirectListener::bind(&anywhere(), ResponseMode::Query, pages).unwrap();
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, &get(address, "/callback?code=c&state=s")));
    let (_, responder) = wait(&mut listener);
    let page = responder.pages().success();
    responder.answer(&page);
    assert!(browser.join().unwrap().contains("Well &lt;done&gt;"));
}

#[test]
fn a_form_post_is_received() {
    let mut listener = RedirectListener::bind(&anywhere(), ResponseMode::FormPost, Pages::default()).unwrap();
    let address = listener.address();
    let browser = thread::spawn(move || {
        let fields = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n";
        ask(address, &format!("POST /callback HTTP/1.1\r\nHost: {address}\r\n{fields}\r\ncode=c&state=s"))
    });
    let (callback, responder) = wait(&mut listener);
    assert_eq!(code(callback), "c");
    responder.success();
    assert_eq!(status(&browser.join().unwrap()), 200);
}

#[test]
fn cancelling_ends_the_wait() {
    let mut listener = listener();
    let address = listener.address();
    let cancel = Cancel::new();
    let hand = cancel.clone();
    let canceller = thread::spawn(move || {
        assert_eq!(status(&ask(address, &get(address, "/"))), 404);
        hand.cancel();
    });
    let clock: &dyn Clock = &ManualClock::new(start());
    let until = start().plus(Duration::from_secs(300));
    assert_eq!(listener.wait(until, clock, &cancel).unwrap_err(), Error::Cancelled);
    canceller.join().unwrap();
}
