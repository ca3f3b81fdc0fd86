//! The flows end to end, against an authorization server of a few lines.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::endpoint::Introspected;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::error::{Advice, Error, SecurityError, SendFailure};
use grantflow_core::grant::Refresh;
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::http::Body;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::loopback::ResponseMode;
use grantflow_core::machine::{Event, Outgoing};
use url::Url;

use super::{ask, get, patience, start, status};
use crate::{Cancel, Client, Clock, Driver, HttpClient, ManualClock, Nobody, Opening, Server, UreqClient};

/// What an honest server answers.
fn answer(issuer: &str, path: &str, body: &str, polls: &mut usize) -> (u16, String) {
    match path {
        "/.well-known/openid-configuration" => (
            200,
            format!(
                r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/authorize",
                "token_endpoint":"{issuer}/token","device_authorization_endpoint":"{issuer}/device",
                "introspection_endpoint":"{issuer}/introspect","revocation_endpoint":"{issuer}/revoke",
                "response_types_supported":["code"],"code_challenge_methods_supported":["S256"],
                "token_endpoint_auth_methods_supported":["client_secret_post","none"],
                "introspection_endpoint_auth_methods_supported":["client_secret_post","none"],
                "revocation_endpoint_auth_methods_supported":["client_secret_post","none"],
                "authorization_response_iss_parameter_supported":true}}"#
            ),
        ),
        "/device" => (
            200,
            format!(
                r#"{{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"{issuer}/activate",
                "expires_in":600,"interval":5}}"#
            ),
        ),
        "/token" if body.contains("device_code") && std::mem::replace(polls, 1) == 0 => {
            (400, r#"{"error":"authorization_pending"}"#.into())
        }
        "/token" if body.contains("refresh_token=old") => (400, r#"{"error":"invalid_grant"}"#.into()),
        "/token" => (200, r#"{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r"}"#.into()),
        "/introspect" => (200, r#"{"active":true,"client_id":"me"}"#.into()),
        "/revoke" => (200, String::new()),
        _ => (404, String::new()),
    }
}

/// Serves what [`answer`] says, and remembers what it was asked.
fn authorization_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let (name, asked, polls) = (issuer.clone(), log.clone(), Arc::new(Mutex::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, name, asked, polls) = (stream.unwrap(), name.clone(), asked.clone(), polls.clone());
            thread::spawn(move || {
                while let Some((path, body)) = request(&mut stream) {
                    asked.lock().unwrap().push(format!("{path} {body}"));
                    let (code, answer) = answer(&name, &path, &body, &mut polls.lock().unwrap());
                    let head = format!(
                        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
                         Content-Length: {}\r\n\r\n",
                        answer.len()
                    );
                    stream.write_all((head + &answer).as_bytes()).unwrap();
                }
            });
        }
    });
    (issuer, log)
}

/// The path and the body of the next request.
fn request(stream: &mut impl Read) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some((head.split(' ').nth(1)?.to_owned(), String::from_utf8(body).unwrap()))
}

fn discovered(issuer: &str) -> (Server, ManualClock) {
    let clock = ManualClock::jumping(start());
    let driver = Driver::new().with_clock(clock.clone()).with_cancel(&patience());
    (Server::discover(driver, issuer).unwrap(), clock)
}

/// A browser with a person who agrees to everything at once, and the page they see in the end.
fn agreeing() -> (impl FnMut(&Url) -> Opening, Arc<Mutex<String>>) {
    let page = Arc::new(Mutex::new(String::new()));
    let seen = page.clone();
    let open = move |url: &Url| {
        let find = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        let mut callback = Url::parse(&find("redirect_uri").unwrap()).unwrap();
        let issuer = url.origin().ascii_serialization();
        callback.query_pairs_mut().append_pair("code", "c/1+2").append_pair("iss", &issuer);
        callback.query_pairs_mut().append_pair("state", &find("state").unwrap());
        assert_eq!(find("code_challenge_method").as_deref(), Some("S256"));
        let seen = seen.clone();
        thread::spawn(move || {
            let address = callback.socket_addrs(|| None).unwrap()[0];
            let target = format!("{}?{}", callback.path(), callback.query().unwrap());
            // Locked first, so that whoever wants the page waits for it.
            let mut page = seen.lock().unwrap();
            *page = ask(address, &get(address, &target));
        });
        Opening::Opened
    };
    (open, page)
}

#[test]
fn a_public_client_logs_in_and_refreshes() {
    let (issuer, log) = authorization_server();
    let client = discovered(&issuer).0.public("me").unwrap();
    let (browser, page) = agreeing();
    let person = client.person(ResponseMode::Query).unwrap().with_browser(browser);
    let tokens = client.login_with(person, |request| request.scope("read")).unwrap();
    assert_eq!(tokens.access_token().expose(), "a");
    assert_eq!(status(&page.lock().unwrap()), 200);
    let renewed = client.refresh(&tokens).unwrap();
    assert!(renewed.refresh_token().is_some());
    let log = log.lock().unwrap();
    assert!(log[1].starts_with("/token ") && log[1].contains("code=c%2F1%2B2") && log[1].contains("code_verifier="));
    assert!(log[2].contains("grant_type=refresh_token") && log[2].contains("refresh_token=r"), "{log:?}");
    assert_eq!(log.len(), 3);
}

#[test]
fn a_device_is_logged_in_after_a_pause() {
    let (issuer, log) = authorization_server();
    let (server, clock) = discovered(&issuer);
    let mut shown = String::new();
    let client = server.public("me").unwrap();
    let tokens = client.device_login("read", |code| shown.push_str(code.user_code.expose())).unwrap();
    assert_eq!((tokens.access_token().expose().as_str(), shown.as_str()), ("a", "WDJB-MJHT"));
    assert_eq!(log.lock().unwrap().len(), 4, "metadata, code, two polls");
    assert!(clock.now() >= start().plus(Duration::from_secs(10)), "the clock was waited on, not the wall");
}

#[test]
fn a_device_login_that_is_cancelled_polls_no_more() {
    let (issuer, log) = authorization_server();
    let cancel = Cancel::new();
    let driver = Driver::new().with_clock(ManualClock::new(start())).with_cancel(&cancel);
    let client = Server::discover(driver, &issuer).unwrap().public("me").unwrap();
    assert_eq!(client.device_login("read", |_| cancel.cancel()).unwrap_err(), Error::Cancelled);
    assert_eq!(log.lock().unwrap().len(), 2, "metadata, code, no poll");
}

#[test]
fn a_confidential_client_gets_a_token_of_its_own_asks_about_it_and_revokes_it() {
    let (issuer, log) = authorization_server();
    let client = discovered(&issuer).0.confidential("me", Secret::from("s3cret")).unwrap();
    let tokens = client.client_credentials("read").unwrap();
    let told = client.introspect(tokens.access_token(), TokenKind::Access).unwrap();
    assert!(matches!(told, Introspected::Active(active) if active.client_id().as_deref() == Some("me")));
    let algorithms = [SignatureAlgorithm::Es256];
    let unsigned = client.introspect_signed(tokens.access_token(), TokenKind::Access, &algorithms);
    assert_eq!(unsigned.unwrap_err(), Error::Security(SecurityError::Unsigned));
    client.revoke(tokens.access_token(), TokenKind::Access).unwrap();
    assert!(matches!(client.userinfo(&tokens).unwrap_err(), Error::Config(_)), "there is no identity");
    let log = log.lock().unwrap();
    assert!(log[1..].iter().all(|asked| asked.contains("client_secret=s3cret")), "{log:?}");
    let paths: Vec<_> = log.iter().map(|asked| asked.split(' ').next().unwrap()).collect();
    assert_eq!(paths[1..], ["/token", "/introspect", "/introspect", "/revoke"]);
}

#[test]
fn the_servers_refusal_is_the_error() {
    let (issuer, _) = authorization_server();
    let client = discovered(&issuer).0.public("me").unwrap();
    let request = RefreshRequest::new(Secret::from("old"));
    let mut flow = Refresh::new(client.registered(), request).unwrap();
    assert_eq!(client.driver().clock().now(), start(), "it is the driver that was given");
    let error = client.driver().run(&mut flow, Event::Start, &mut Nobody).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("invalid_grant")), "{error}");
    assert_eq!(error.advice(), Advice::LogInAgain);
}

#[test]
fn flows_run_side_by_side_on_one_client() {
    let (issuer, log) = authorization_server();
    let client = discovered(&issuer).0.confidential("me", Secret::from("s3cret")).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(client.client_credentials("read").unwrap().access_token().expose(), "a"));
        }
    });
    assert_eq!(log.lock().unwrap().len(), 9);
}

#[test]
fn a_client_of_somebody_else_can_send() {
    /// Counts, and leaves the rest to ureq.
    struct Counting(Arc<Mutex<usize>>, UreqClient);
    impl HttpClient for Counting {
        fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
            *self.0.lock().unwrap() += 1;
            self.1.send(outgoing)
        }
    }
    let (issuer, _) = authorization_server();
    let count = Arc::new(Mutex::new(0));
    let driver = Driver::with_client(Counting(count.clone(), UreqClient::default()));
    let server = Server::discover(driver, &issuer).unwrap();
    server.public("me").unwrap();
    Client::new(Driver::new(), server.public("me").unwrap().registered().clone());
    assert_eq!(*count.lock().unwrap(), 1);
}
