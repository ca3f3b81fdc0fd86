//! Hooks and a provider's profile with both drivers: the same order, the same requests, the same outcome.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use grantflow_core::Secret;
use grantflow_core::client::{Client, Hook, HookPoint, HookedRequest, Profile};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspection, Revocation};
use grantflow_core::error::{Endpoint, Error};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Refresh};
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::Event;
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::TokenSet;

use super::HONEST;
use super::play::{REDIRECT_URI, line, world};
use crate::runners::{Blocking, ByHand, Runner, Tokio, Traveller, World};

/// What hooks wrote down, in the order in which they ran.
type Notebook = Arc<Mutex<Vec<String>>>;

fn hooks(notebook: &Notebook) -> Vec<Hook> {
    let at = |point: HookPoint, name: &'static str| {
        let notebook = notebook.clone();
        move || notebook.lock().unwrap().push(format!("{point} {name}"))
    };
    let seen = |point, name: &'static str| {
        let write = at(point, name);
        move |request: &mut HookedRequest| {
            write();
            // The server refuses a parameter twice, and any in the query.
            request.form.push(format!("seen_{name}"), "1");
            Ok(())
        }
    };
    let passed = |point, name| {
        let write = at(point, name);
        move |answer| {
            write();
            Ok(answer)
        }
    };
    let mut hooks = Vec::new();
    for name in ["two", "one", "three"] {
        hooks.extend([
            Hook::introspect_token_request(seen(HookPoint::IntrospectTokenRequest, name)),
            Hook::revoke_token_request(seen(HookPoint::RevokeTokenRequest, name)),
            Hook::refresh_token_request(seen(HookPoint::RefreshTokenRequest, name)),
            Hook::refresh_token_response(passed(HookPoint::RefreshTokenResponse, name)),
            Hook::access_token_response(passed(HookPoint::AccessTokenResponse, name)),
        ]);
    }
    hooks
}

/// A login, a refresh, an introspection and a revocation of a client with hooks: what they wrote down, and the log.
fn with_hooks<R: Runner>() -> (Vec<String>, Vec<String>) {
    let world = world(&HONEST);
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = Arc::new(runner.run(&mut discovery, Event::Start, &mut person).unwrap());
    let notebook = Notebook::default();
    let client = |id: &str, secret: Option<&str>| {
        let mut builder = Client::builder(metadata.clone(), id);
        if let Some(secret) = secret {
            builder = builder.secret(Secret::from(secret));
        }
        hooks(&notebook).into_iter().fold(builder, |builder, hook| builder.hook(hook)).build().unwrap()
    };
    let public = client("demo-app", None);
    let request = AuthorizationRequest::new(REDIRECT_URI).scope("read");
    let mut login = AuthorizationCode::new(&public, request).unwrap();
    let tokens = runner.run(&mut login, Event::Start, &mut person).unwrap();
    let mut refresh = Refresh::new(&public, RefreshRequest::of(&tokens).unwrap()).unwrap();
    let tokens = runner.run(&mut refresh, Event::Start, &mut person).unwrap();
    let service = client("demo-service", Some("demo-secret"));
    let mut introspection = Introspection::new(&service, tokens.access_token(), TokenKind::Access).unwrap();
    runner.run(&mut introspection, Event::Start, &mut person).unwrap();
    let mut revocation = Revocation::new(&public, tokens.access_token(), TokenKind::Access).unwrap();
    runner.run(&mut revocation, Event::Start, &mut person).unwrap();
    let (_, given_away) = world.ears.given_away();
    assert_eq!(given_away, [""; 0], "{}", R::NAME);
    let log = world.server.log().iter().map(|entry| line(&world, entry)).collect();
    let written = notebook.lock().unwrap().clone();
    (written, log)
}

#[test]
fn l_51_hooks_run_in_the_order_of_registration_with_every_driver() {
    let (written, log) = with_hooks::<ByHand>();
    let points = [
        HookPoint::AccessTokenResponse,
        HookPoint::RefreshTokenRequest,
        HookPoint::RefreshTokenResponse,
        HookPoint::IntrospectTokenRequest,
        HookPoint::RevokeTokenRequest,
    ];
    let expected: Vec<_> =
        points.iter().flat_map(|point| ["two", "one", "three"].map(|name| format!("{point} {name}"))).collect();
    assert_eq!(written, expected);
    let seen = |line: &&String| {
        let places: Vec<_> = ["seen_two", "seen_one", "seen_three"].iter().map(|name| line.find(name)).collect();
        places[0].is_some() && places.is_sorted()
    };
    assert_eq!(log.iter().filter(seen).count(), 3, "in the forms of three requests: {log:#?}");
    assert_eq!(with_hooks::<Tokio>(), (written.clone(), log.clone()));
    assert_eq!(with_hooks::<Blocking>(), (written, log));
}

/// A token endpoint on loopback that answers each request with the next of these, and says what it was sent.
fn scripted(answers: &'static [&'static str]) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for body in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            let request = loop {
                let mut piece = [0; 4096];
                let length = stream.read(&mut piece).unwrap();
                assert_ne!(length, 0, "the request ends too early");
                read.extend_from_slice(&piece[..length]);
                let text = String::from_utf8(read.clone()).unwrap().to_ascii_lowercase();
                let Some((head, form)) = text.split_once("\r\n\r\n") else { continue };
                let length: usize =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
                if form.len() == length {
                    let agent = head.lines().find(|line| line.starts_with("user-agent: ")).unwrap_or_default();
                    let line = head.lines().next().unwrap();
                    break format!("{line}; {agent}; {form}");
                }
            };
            requests.push(request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
            write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        requests
    });
    (address, server)
}

/// Refreshes at a server that speaks as Slack does: what comes of it, and what the server was sent.
fn at_slack<R: Runner>() -> (Vec<String>, Vec<String>) {
    let (address, server) = scripted(&[
        r#"{"ok":true,"access_token":"xoxb-17653672481","token_type":"bot","scope":"commands,chat:write","expires_in":43200,"refresh_token":"xoxe-1-abcdefg"}"#,
        r#"{"ok":true,"authed_user":{"id":"U1234","scope":"chat:write","access_token":"xoxp-1234567","token_type":"user"}}"#,
        r#"{"ok":false,"error":"invalid_refresh_token"}"#,
    ]);
    let world: World = world(&HONEST);
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let issuer = format!("http://{address}");
    let metadata = ServerMetadata::by_hand(&issuer, UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, &format!("{issuer}/api/oauth.v2.access")))
        .unwrap();
    let client = Client::builder(metadata, "2141029472.691202649728").profile(&Profile::SLACK).build().unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let mut refresh = Refresh::new(&client, RefreshRequest::new(Secret::from("xoxe-1-0123456"))).unwrap();
        outcomes.push(outcome(runner.run(&mut refresh, Event::Start, &mut person)));
    }
    let (said, given_away) = world.ears.given_away();
    assert!(said > 0 && given_away.is_empty(), "{}: {given_away:#?}", R::NAME);
    (outcomes, server.join().unwrap())
}

fn outcome(result: Result<TokenSet, Error>) -> String {
    match result {
        Ok(tokens) => format!("{} [{}] {:?}", tokens.token_type(), tokens.scope(), tokens.notes()),
        Err(error) => format!("{error}; {:?}", error.advice()),
    }
}

#[test]
fn l_51_a_providers_profile_makes_the_same_of_its_answers_with_every_driver() {
    let (outcomes, requests) = at_slack::<ByHand>();
    assert_eq!(outcomes[..2], ["Bearer [commands chat:write] [Hooked]", "Bearer [chat:write] [Hooked]"]);
    assert!(outcomes[2].contains("invalid_grant") && outcomes[2].contains("invalid_refresh_token"), "{}", outcomes[2]);
    assert!(outcomes[2].ends_with("LogInAgain"), "{}", outcomes[2]);
    let form = "grant_type=refresh_token&refresh_token=xoxe-1-0123456&client_id=2141029472.691202649728";
    let agent = format!("user-agent: grantflow/{}", env!("CARGO_PKG_VERSION"));
    let request = format!("post /api/oauth.v2.access http/1.1; {agent}; {form}");
    assert_eq!(requests, [request.as_str(); 3]);
    assert_eq!(at_slack::<Tokio>(), (outcomes.clone(), requests.clone()));
    assert_eq!(at_slack::<Blocking>(), (outcomes, requests));
}
