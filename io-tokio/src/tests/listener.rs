use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use grantflow_core::callback::CallbackParams;
use grantflow_core::error::{BadCallback, ConfigError, Error, Expired};
use grantflow_core::loopback::{HEADER_DEADLINE, Host, MAX_CONNECTIONS, Pages, Place, ResponseMode, STANDALONE_WAIT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::{NOW, clock, settled, ticking};
use crate::race::{Either, race};
use crate::{LoopbackPerson, RedirectListener, Responder};

pub(super) async fn listener() -> RedirectListener {
    listener_for(ResponseMode::Query).await
}

async fn listener_for(mode: ResponseMode) -> RedirectListener {
    RedirectListener::bind(&Place::default(), mode, Pages::default()).await.unwrap()
}

pub(super) fn address(uri: &str) -> SocketAddr {
    let uri = Url::parse(uri).unwrap();
    uri.socket_addrs(|| None).unwrap()[0]
}

/// Sends bytes as they are and gives all that comes back until the other side closes.
pub(super) async fn say(uri: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(uri)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    super::rest(&mut stream).await
}

pub(super) fn get(uri: &str) -> String {
    let url = Url::parse(uri).unwrap();
    let target = &url[url::Position::BeforePath..];
    format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", &url[url::Position::BeforeHost..url::Position::AfterPort])
}

pub(super) async fn browse(uri: &str) -> String {
    say(uri, get(uri).as_bytes()).await
}

pub(super) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// What a listener waits for while `others` call; the listener must not be done before they are.
async fn heard_after(
    listener: &mut RedirectListener,
    others: impl Future<Output = ()>,
) -> Result<(CallbackParams, Responder), Error> {
    let (_, clock) = clock();
    let waiting = listener.wait(NOW.plus(Duration::from_secs(60)), &clock);
    tokio::pin!(waiting);
    match race(waiting.as_mut(), others).await {
        Either::Left(_) => panic!("the wait has ended"),
        Either::Right(()) => {}
    }
    waiting.await
}

#[tokio::test]
async fn lb_01_lb_02_only_loopback_literals_are_bound() {
    for host in [Host::Either, Host::Ipv4, Host::Localhost] {
        let place = Place::default().with_host(host);
        let listener = RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await.unwrap();
        for socket in &listener.sockets {
            let address = socket.local_addr().unwrap();
            assert!([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(&address.ip()));
            assert!(address.port() >= 1024 && listener.redirect_uri().contains(&format!(":{}/", address.port())));
        }
        assert_eq!(host == Host::Localhost, listener.redirect_uri().starts_with("http://localhost:"));
    }
    assert!(listener().await.redirect_uri().starts_with("http://127.0.0.1:"));
}

/// Whether this host has IPv6 on loopback.
async fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok()
}

#[tokio::test]
async fn lb_03_localhost_needs_the_port_on_both_families() {
    if !has_ipv6().await {
        return;
    }
    let squatter = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let port = squatter.local_addr().unwrap().port();
    let place = Place::default().with_host(Host::Localhost).with_ports([port]);
    let error = RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await.unwrap_err();
    assert_eq!(error, Error::Config(ConfigError::PortInUse(port)));
    drop(squatter);
    let listener = RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await.unwrap();
    assert_eq!(listener.sockets.len(), 2);
}

#[tokio::test]
async fn fl_42_either_family_alone_is_enough() {
    let hosts = if has_ipv6().await { &[Host::Ipv4, Host::Ipv6][..] } else { &[Host::Ipv4] };
    for host in hosts {
        let place = Place::default().with_host(*host);
        let mut listener = RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await.unwrap();
        let uri = format!("{}?code=c&state=s", listener.redirect_uri());
        let browser = tokio::spawn(async move { browse(&uri).await });
        let (callback, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
        assert!(callback.code().unwrap().matches("c"));
        responder.success().await;
        assert_eq!(status(&browser.await.unwrap()), 200);
    }
}

#[tokio::test]
async fn lb_04_lb_05_lb_09_ar_20_ar_28_what_is_no_callback_is_answered_and_the_wait_goes_on() {
    let mut listener = listener().await;
    let uri = listener.redirect_uri().to_owned();
    let good = get(&format!("{uri}?code=c&state=s"));
    let host = good.lines().nth(1).unwrap().to_owned();
    let rows = [
        (good.replace(&host, "Host: evil.test"), 421),
        (good.replace(&host, "X: y"), 400),
        (good.replace(&host, &format!("{host}\r\n{host}")), 400),
        (good.replace(&host, &format!("{host}\r\nSec-Fetch-Mode: cors\r\nOrigin: https://evil.test")), 403),
        (good.replace("/callback", "/"), 404),
        (good.replace("/callback", "/favicon.ico"), 404),
        (good.replacen("GET", "POST", 1), 405),
        (good.replacen("GET", "HEAD", 1), 405),
        (good.replacen("GET", "OPTIONS", 1), 405),
        (format!("GET /callback?{} HTTP/1.1\r\n", "x".repeat(64 * 1024)), 414),
        (format!("GET /callback HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1024 * 1024)), 431),
        (String::from("GET /callback?code=c\r\n"), 400),
        (String::from("\u{16}\u{3}\u{1}"), 400),
        (String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400),
        (good.replace("code=c", "code=%ff"), 400),
        (String::from("\0\0\0"), 400),
    ];
    let real = good.clone();
    let server = uri.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let others = async move {
        for (request, expected) in rows {
            let answer = say(&uri, request.as_bytes()).await;
            assert_eq!(status(&answer), expected, "{:.200}", request);
            assert!(!answer.to_lowercase().contains("access-control"));
        }
        tokio::spawn(async move { tell.send(say(&server, real.as_bytes()).await) });
    };
    let (callback, responder) = heard_after(&mut listener, others).await.unwrap();
    assert!(callback.state().unwrap().matches("s"));
    responder.success().await;
    let page = told.await.unwrap();
    assert!(page.contains("Code received! You may now close this window"), "{page}");
}

#[tokio::test]
async fn lb_06_a_foreign_callback_is_refused_and_the_listener_keeps_waiting() {
    let mut listener = RedirectListener::bind(&Place::default(), ResponseMode::Query, Pages::default()).await.unwrap();
    for (code, refused, expected) in [("evil", true, 400), ("real", false, 200)] {
        let uri = format!("{}?code={code}&state=s", listener.redirect_uri());
        let browser = tokio::spawn(async move { browse(&uri).await });
        let (callback, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
        assert!(callback.code().unwrap().matches(code), "whether it is the right one is the flow's business");
        if refused {
            responder.refused(BadCallback::StateMismatch).await;
        } else {
            responder.success().await;
        }
        let answer = browser.await.unwrap();
        assert_eq!((status(&answer), answer.contains("evil")), (expected, false));
    }
}

#[tokio::test]
async fn ar_20_a_form_is_received() {
    let mut listener = listener_for(ResponseMode::FormPost).await;
    let uri = listener.redirect_uri().to_owned();
    let host = Url::parse(&uri).unwrap().port().unwrap();
    let request = format!(
        "POST /callback HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 15\r\n\r\nerror=x&state=s"
    );
    let browser = tokio::spawn(async move { say(&uri, request.as_bytes()).await });
    let (callback, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    assert_eq!(callback.error(), Some("x"));
    responder.failure("<b>no</b>").await;
    let page = browser.await.unwrap();
    assert_eq!(status(&page), 400);
    assert!(page.contains("&lt;b&gt;no&lt;/b&gt;"), "{page}");
}

#[tokio::test]
async fn lb_08_many_slow_connections_do_not_delay_the_real_one() {
    let mut listener = listener().await;
    let uri = listener.redirect_uri().to_owned();
    let (manual, clock) = clock();
    // The clock stands still: no deadline helps.
    let until = NOW.plus(Duration::from_secs(60));
    let browser = tokio::spawn({
        let uri = format!("{uri}?code=c&state=s");
        async move {
            let mut slow = Vec::new();
            for _ in 0..200 {
                let mut stream = TcpStream::connect(address(&uri)).await.unwrap();
                stream.write_all(b"GET /cal").await.unwrap();
                slow.push(stream);
            }
            (browse(&uri).await, slow)
        }
    });
    let (_, responder) = listener.wait(until, &clock).await.unwrap();
    responder.success().await;
    let (page, mut slow) = browser.await.unwrap();
    assert_eq!(status(&page), 200);
    assert!(listener.connections.len() <= MAX_CONNECTIONS);
    // What is still open is answered and closed when its time is up.
    let waiting = listener.wait(until, &clock);
    tokio::pin!(waiting);
    assert!(matches!(race(waiting.as_mut(), settled()).await, Either::Right(())));
    manual.advance(HEADER_DEADLINE);
    assert!(matches!(race(waiting.as_mut(), settled()).await, Either::Right(())));
    let mut last = slow.pop().unwrap();
    let mut answer = [0; 12];
    last.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_26_an_idle_connection_and_other_tasks_do_not_wait() {
    let mut listener = listener().await;
    let uri = listener.redirect_uri().to_owned();
    let _idle = TcpStream::connect(address(&uri)).await.unwrap();
    let other = tokio::spawn(async {
        settled().await;
        7
    });
    let browser = tokio::spawn({
        let uri = format!("{uri}?code=c&state=s");
        async move {
            assert_eq!(other.await.unwrap(), 7, "another task makes progress while the listener waits");
            browse(&uri).await
        }
    });
    let (_, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    responder.success().await;
    assert_eq!(status(&browser.await.unwrap()), 200);
}

#[tokio::test]
async fn a_23_a_request_in_many_pieces_is_heard() {
    let mut listener = listener().await;
    let uri = format!("{}?state=s&code=a%252Bb", listener.redirect_uri());
    let browser = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address(&uri)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in get(&uri).bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        super::rest(&mut stream).await
    });
    let (callback, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    assert!(callback.code().unwrap().matches("a%2Bb"), "decoded once");
    responder.success().await;
    assert_eq!(status(&browser.await.unwrap()), 200);
}

#[tokio::test]
async fn a_25_a_fixed_port_can_be_used_twice_in_a_row_and_is_closed_in_between() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let place = Place::standalone().with_ports([port]);
    for _ in 0..2 {
        let mut listener = RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await.unwrap();
        let uri = format!("{}?code=c&state=s", listener.redirect_uri());
        let browser = tokio::spawn(async move { browse(&uri).await });
        let (_, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
        // The server closes first: its port is in TIME-WAIT afterwards.
        responder.success().await;
        assert_eq!(status(&browser.await.unwrap()), 200);
        drop(listener);
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "closed at once");
    }
    assert_eq!(Place::standalone().ports(), [8080]);
    assert_eq!(STANDALONE_WAIT, Duration::from_secs(120));
}

#[tokio::test]
async fn lb_12_fl_41_a_port_that_is_taken_is_named_and_the_next_is_tried() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [&first, &second].map(|socket| socket.local_addr().unwrap().port());
    let bind =
        |place: Place| async move { RedirectListener::bind(&place, ResponseMode::Query, Pages::default()).await };
    let error = bind(Place::default().with_ports(ports)).await.unwrap_err();
    assert_eq!(error, Error::Config(ConfigError::PortInUse(ports[0])));
    let listener = bind(Place::default().with_ports([ports[0], 0])).await.unwrap();
    assert!(!ports.iter().any(|port| listener.redirect_uri().contains(&format!(":{port}/"))));
    drop(second);
    let listener = bind(Place::default().with_ports(ports)).await.unwrap();
    assert_eq!(listener.redirect_uri(), format!("http://127.0.0.1:{}/callback", ports[1]));
    // And nobody else can share what is listened on.
    let error = bind(Place::default().with_ports([ports[1]])).await.unwrap_err();
    assert_eq!(error, Error::Config(ConfigError::PortInUse(ports[1])));
}

#[tokio::test]
async fn fl_37_a_25_the_wait_ends_when_its_time_is_up() {
    let mut listener = listener().await;
    let uri = listener.redirect_uri().to_owned();
    let (manual, clock) = clock();
    // Somebody who is connected and says nothing does not keep the wait alive.
    let _idle = TcpStream::connect(address(&uri)).await.unwrap();
    let (waited, seconds) = ticking(&manual, listener.wait(NOW.plus(Duration::from_secs(300)), &clock)).await;
    assert_eq!(waited.unwrap_err(), Error::Expired(Expired::Callback));
    assert_eq!(seconds, 300);
    drop(listener);
    assert!(TcpStream::connect(address(&uri)).await.is_err(), "fl_38: nobody is there any more");
}

#[tokio::test]
async fn fl_36_a_callback_that_comes_before_the_wait_is_not_lost() {
    let mut listener = listener().await;
    let uri = format!("{}?code=c&state=s", listener.redirect_uri());
    let browser = tokio::spawn(async move { browse(&uri).await });
    settled().await;
    let (callback, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    assert!(callback.code().unwrap().matches("c"));
    responder.success().await;
    assert_eq!(status(&browser.await.unwrap()), 200);
}

#[tokio::test]
async fn lb_11_after_success_the_port_is_closed_even_to_a_connection_that_is_kept_alive() {
    let mut listener = listener().await;
    let uri = format!("{}?code=c&state=s", listener.redirect_uri());
    let mut browser = TcpStream::connect(address(&uri)).await.unwrap();
    let mut second = TcpStream::connect(address(&uri)).await.unwrap();
    let request = get(&uri).replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n");
    browser.write_all(request.as_bytes()).await.unwrap();
    let (_, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    let finished = tokio::spawn(responder.success());
    let answer = super::rest(&mut browser).await;
    assert!(answer.contains("\r\nConnection: close\r\n"), "and it was closed: {answer}");
    drop(browser);
    finished.await.unwrap();
    drop(listener);
    let _ = second.write_all(request.as_bytes()).await;
    assert_eq!(super::rest(&mut second).await, "", "a second callback gets nothing");
    assert!(TcpStream::connect(address(&uri)).await.is_err());
}

#[tokio::test]
async fn lb_16_the_page_always_arrives() {
    // The browser sends more than is read, and reads late: a socket that is simply closed would be reset.
    for _ in 0..10 {
        let mut listener = listener().await;
        let uri = format!("{}?code=c&state=s", listener.redirect_uri());
        let browser = tokio::spawn(async move {
            let mut arrived = 0;
            for _ in 0..1000 {
                let request = get(&uri) + &"x".repeat(16 * 1024);
                arrived += usize::from(say(&uri, request.as_bytes()).await.ends_with("</html>\n"));
            }
            arrived
        });
        for _ in 0..1000 {
            let (_, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
            responder.success().await;
        }
        assert_eq!(browser.await.unwrap(), 1000);
    }
}

#[tokio::test]
async fn lb_16_the_page_arrives_at_a_browser_that_is_still_sending() {
    // More than the buffers between the two hold: to close the socket then would break the browser's connection.
    let mut listener = listener().await;
    let uri = format!("{}?code=c&state=s", listener.redirect_uri());
    let browser = tokio::spawn(async move {
        let request = get(&uri) + &"x".repeat(32 * 1024 * 1024);
        say(&uri, request.as_bytes()).await
    });
    let (_, responder) = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    let (_, standing) = clock();
    responder.with_clock(standing).success().await;
    assert!(browser.await.unwrap().ends_with("</html>\n"));
}

#[tokio::test]
async fn the_style_and_the_script_of_the_pages_are_those_that_the_policy_allows() {
    use base64::Engine;
    let mut listener = listener().await;
    let uri = format!("{}?code=c&state=s", listener.redirect_uri());
    let browser = tokio::spawn(async move { browse(&uri).await });
    listener.wait_for(STANDALONE_WAIT).await.unwrap().1.success().await;
    let page = browser.await.unwrap();
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let text = page.split_once(&format!("<{tag}>")).unwrap().1.split_once(&format!("</{tag}>")).unwrap().0;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(page.contains(&format!("; {directive} 'sha256-{hash}';")), "{directive} 'sha256-{hash}'");
    }
}

#[tokio::test]
async fn lb_14_nothing_that_can_be_printed_shows_a_code_or_a_state() {
    let mut listener = listener().await;
    let uri = format!("{}?code=MARKcode&state=MARKstate", listener.redirect_uri());
    let browser = tokio::spawn(async move { browse(&uri).await });
    let found = listener.wait_for(STANDALONE_WAIT).await.unwrap();
    assert!(!format!("{found:?} {listener:?}").contains("MARK"));
    found.1.success().await;
    assert!(!browser.await.unwrap().contains("MARK"));
}

#[tokio::test]
async fn a_22_the_public_redirect_uri_may_be_another_one() {
    let mut listener = listener().await.with_public_uri("https://app.example/cb").unwrap();
    assert_eq!(listener.redirect_uri(), "https://app.example/cb");
    let at = format!("http://{}", listener.address());
    let request = b"GET /cb?code=c&state=s HTTP/1.1\r\nHost: app.example\r\n\r\n";
    let proxy = tokio::spawn(async move { say(&at, request).await });
    let (_, clock) = clock();
    let (callback, responder) = listener.wait(NOW.plus(Duration::from_secs(60)), &clock).await.unwrap();
    assert_eq!(callback.code().unwrap().expose(), "c");
    responder.success().await;
    assert_eq!(status(&proxy.await.unwrap()), 200);
    assert_eq!(LoopbackPerson::new(listener).redirect_uri(), "https://app.example/cb");
    assert!(self::listener().await.with_public_uri("no uri").is_err());
}
