//! What all three ways of running have in common (L-01, L-13 to L-33 in part, L-54, L-74).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::callback::ResponseMode;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspected, Introspection, Revocation, UserInfo};
use grantflow_core::error::{Endpoint, Error, Rule, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Extras, Refresh};
use grantflow_core::http::UrlPolicy;
use grantflow_core::loopback::{Pages, Place};
use grantflow_core::machine::Event;
use grantflow_core::server::ServerMetadata;
use grantflow_devserver::Config;
use url::Url;

use crate::runners::{Blocking, ByHand, Runner, Tokio, Traveller, World};

/// A hang is a failure: this is long after everything is done.
const TOO_LONG: Duration = Duration::from_secs(30);

fn world() -> World {
    World::new(Config::default().allowing("alice"), None, None)
}

/// Everything that a client does, once; what came of it, and the server's log.
fn everything<R: Runner>() -> (Vec<String>, Vec<String>) {
    let world = world();
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = std::sync::Arc::new(runner.run(&mut discovery, Event::Start, &mut person).unwrap());
    let public = Client::builder(metadata.clone(), "demo-app").build().unwrap();
    let service = Client::builder(metadata, "demo-service").secret(Secret::from("demo-secret")).build().unwrap();
    let mut outcomes = Vec::new();
    let request = AuthorizationRequest::new("http://127.0.0.1:7777/callback").scope("openid read");
    let mut login = AuthorizationCode::new(&public, request).unwrap();
    let tokens = runner.run(&mut login, Event::Start, &mut person).unwrap();
    outcomes.push(format!("{} {}", tokens.scope(), tokens.identity().unwrap().subject()));
    let mut refresh = Refresh::new(&public, RefreshRequest::of(&tokens).unwrap()).unwrap();
    let tokens = runner.run(&mut refresh, Event::Start, &mut person).unwrap();
    outcomes.push(format!("{} {:?}", tokens.scope(), tokens.expires_at()));
    let mut own = ClientCredentials::new(&service, "read", &Extras::default()).unwrap();
    let own = runner.run(&mut own, Event::Start, &mut person).unwrap();
    outcomes.push(format!("{} {}", own.scope(), own.refresh_token().is_some()));
    let mut active = || {
        let mut introspection = Introspection::new(&service, own.access_token(), TokenKind::Access).unwrap();
        match runner.run(&mut introspection, Event::Start, &mut person).unwrap() {
            Introspected::Active(active) => format!("active {:?}", active.scope()),
            Introspected::Inactive => "inactive".to_owned(),
        }
    };
    outcomes.push(active());
    let mut runner = R::new(&world);
    let mut revocation = Revocation::new(&service, own.access_token(), TokenKind::Access).unwrap();
    runner.run(&mut revocation, Event::Start, &mut person).unwrap();
    let mut introspection = Introspection::new(&service, own.access_token(), TokenKind::Access).unwrap();
    let after = runner.run(&mut introspection, Event::Start, &mut person).unwrap();
    outcomes.push(format!("{}", matches!(after, Introspected::Inactive)));
    let mut unknown = Refresh::new(&public, RefreshRequest::new(Secret::from("no-such-token"))).unwrap();
    let error = runner.run(&mut unknown, Event::Start, &mut person).unwrap_err();
    outcomes.push(world.masked(&format!("{error}; {:?}", error.advice())));
    let log = world.server.log().iter().map(|entry| world.masked(&entry.to_string())).collect();
    (outcomes, log)
}

#[test]
fn l_01_one_engine_does_the_same_with_every_driver() {
    let (outcomes, log) = everything::<ByHand>();
    assert!(outcomes[0].ends_with(" alice") && outcomes[3].starts_with("active"), "{outcomes:?}");
    assert_eq!(outcomes[4], "true");
    assert!(outcomes[5].contains("invalid_grant") && outcomes[5].ends_with("LogInAgain"), "{outcomes:?}");
    assert_eq!(log.len(), 10, "{log:#?}");
    assert_eq!(everything::<Tokio>(), (outcomes.clone(), log.clone()));
    assert_eq!(everything::<Blocking>(), (outcomes, log));
}

/// Reads one request from a stream, as text.
fn request(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(TOO_LONG)).unwrap();
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the request ends too early");
        read.extend_from_slice(&piece[..length]);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |text| text.parse::<usize>().unwrap());
        if body.len() >= length {
            return text;
        }
    }
}

/// A server that gives each request the next of these answers, and what it was sent.
fn serving(answers: Vec<String>) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            requests.push(request(&mut stream));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    });
    (address, server)
}

/// An answer with this status, media type and body.
fn answer(status: u16, media_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: {media_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// What comes of answers to a client's requests for a token of its own, and the bodies that the server was sent.
fn asked<R: Runner>() -> (Vec<String>, Vec<String>) {
    let json = "application/json";
    let refusal = r#"{"error":"invalid_scope","error_description":"no","error_uri":"https://as.example/why"}"#;
    let answers = vec![
        answer(200, json, refusal),
        answer(400, json, refusal),
        answer(401, json, refusal),
        answer(400, json, r#"{"message":"no"}"#),
        answer(200, json, r#"[{"access_token":"canary-access"}]"#),
        answer(200, "text/html", "<p>hello</p>"),
        answer(200, json, r#"{"token_type":"Bearer"}"#),
        answer(200, json, r#"{"access_token":"canary-access","token_type":"Bearer"}"#),
    ];
    let count = answers.len();
    let (address, server) = serving(answers);
    let world = world();
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let issuer = format!("http://{address}");
    let metadata = ServerMetadata::by_hand(&issuer, UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, &format!("{issuer}/token")))
        .unwrap();
    let authentication = Authentication::SecretPost(Secret::from("p&w secret"));
    let client = Client::builder(metadata, "client").authentication(authentication).build().unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..count {
        let extras = Extras::new([("resource", "urn:a"), ("resource", "urn:b")]).unwrap();
        let mut flow = ClientCredentials::new(&client, "p q", &extras).unwrap();
        outcomes.push(match runner.run(&mut flow, Event::Start, &mut person) {
            Ok(tokens) => format!("{} [{}]", tokens.token_type(), tokens.scope()),
            Err(Error::Refused(refusal)) => {
                let status = refusal.answer.as_ref().unwrap().status;
                format!("{status} {} {:?} {:?}", refusal.code, refusal.description, refusal.uri)
            }
            Err(Error::Protocol(error)) => format!("{:?}", error.rule),
            Err(Error::Transport(error)) => format!("{:?}", error.kind),
            Err(other) => panic!("{}: {other:?}", R::NAME),
        });
    }
    let requests = server.join().unwrap();
    let bodies = requests.iter().map(|text| text.split_once("\r\n\r\n").unwrap().1.to_owned()).collect();
    (outcomes, bodies)
}

#[test]
fn l_13_l_14_l_17_l_20_l_33_requests_and_what_is_made_of_answers_are_the_same_with_every_driver() {
    let (outcomes, bodies) = asked::<ByHand>();
    let refused = |status: u16| format!(r#"{status} invalid_scope Some("no") Some("https://as.example/why")"#);
    assert_eq!(outcomes[..3], [refused(200), refused(400), refused(401)]);
    assert!(outcomes[4].starts_with("Json"), "{outcomes:?}");
    let rest = [&outcomes[3], &outcomes[5], &outcomes[6], &outcomes[7]];
    assert_eq!(rest, ["Status", "MediaType", r#"MemberMissing("access_token")"#, "Bearer [p q]"]);
    let body = "grant_type=client_credentials&scope=p+q&resource=urn%3Aa&resource=urn%3Ab";
    let body = format!("{body}&client_id=client&client_secret=p%26w+secret");
    assert!(bodies.iter().all(|sent| *sent == body), "{bodies:#?}");
    assert_eq!(asked::<Tokio>(), (outcomes.clone(), bodies.clone()));
    assert_eq!(asked::<Blocking>(), (outcomes, bodies));
}

fn redirected<R: Runner>() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let head = "HTTP/1.1 307 Temporary Redirect\r\nconnection: close\r\ncontent-length: 0\r\nlocation";
    let moved = format!("{head}: http://{}/token\r\n\r\n", elsewhere.local_addr().unwrap());
    let (address, server) = serving(vec![moved.clone(), moved]);
    let world = world();
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let issuer = format!("http://{address}");
    let metadata = ServerMetadata::by_hand(&issuer, UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, &format!("{issuer}/token")))
        .and_then(|metadata| metadata.with_endpoint(Endpoint::UserInfo, &format!("{issuer}/userinfo")))
        .unwrap();
    let client = Client::builder(metadata, "client").secret(Secret::from("client-secret")).build().unwrap();
    let refused = |error: Error| match error {
        Error::Protocol(error) => assert_eq!(error.rule, Rule::Status, "{}", R::NAME),
        Error::Transport(error) => assert_eq!(error.kind, TransportKind::Redirected, "{}", R::NAME),
        other => panic!("{}: {other:?}", R::NAME),
    };
    let mut refresh = Refresh::new(&client, RefreshRequest::new(Secret::from("refresh-token"))).unwrap();
    refused(runner.run(&mut refresh, Event::Start, &mut person).unwrap_err());
    let mut profile = UserInfo::new(&client, &Secret::from("access-token"), "alice").unwrap();
    refused(runner.run(&mut profile, Event::Start, &mut person).unwrap_err());
    let requests = server.join().unwrap();
    assert!(requests[0].contains("refresh-token") && requests[1].contains("Bearer access-token"), "{requests:?}");
    let nobody = elsewhere.accept().map(|_| ()).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock, "{}: the redirect was followed", R::NAME);
}

/// No request follows a redirect, so no token, secret or key leaves its origin with one.
#[test]
fn l_54_a_token_does_not_follow_a_redirect_to_another_origin() {
    redirected::<ByHand>();
    redirected::<Tokio>();
    redirected::<Blocking>();
}

/// Sends one request on a connection that could be used again, drops the client, and waits until the server sees its end.
fn closes(send: impl FnOnce(&str)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream.read(&mut [0; 16]).unwrap_or(0)
    });
    send(&issuer);
    assert_eq!(server.join().unwrap(), 0, "the connection is still open");
}

fn revoking<R: Runner>(issuer: &str) {
    let world = world();
    let mut runner = R::new(&world);
    let metadata = ServerMetadata::by_hand(issuer, UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Revocation, &format!("{issuer}/revoke")))
        .unwrap();
    let client = Client::builder(metadata, "client").build().unwrap();
    let mut revocation = Revocation::new(&client, &Secret::from("some-access-token"), TokenKind::Access).unwrap();
    runner.run(&mut revocation, Event::Start, &mut Traveller::new(&world)).unwrap();
}

#[test]
fn l_74_a_client_that_is_dropped_closes_its_sockets_and_listeners() {
    closes(revoking::<Tokio>);
    closes(revoking::<Blocking>);
    let place = || Place::default();
    let port = |uri: &str| {
        let url = Url::parse(uri).unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    };
    let listener = grantflow_blocking::RedirectListener::bind(&place(), ResponseMode::Query, Pages::default()).unwrap();
    let address = port(listener.redirect_uri());
    TcpStream::connect(address).unwrap();
    drop(listener);
    assert!(TcpStream::connect(address).is_err(), "blocking: the port is still open");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener =
            grantflow_tokio::RedirectListener::bind(&place(), ResponseMode::Query, Pages::default()).await.unwrap();
        let address = port(listener.redirect_uri());
        TcpStream::connect(address).unwrap();
        drop(listener);
        tokio::task::yield_now().await;
        assert!(TcpStream::connect(address).is_err(), "tokio: the port is still open");
    });
}
