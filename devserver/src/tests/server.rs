use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::client::*;
use crate::state::{Bounded, CAPACITY};
use crate::{Answer, Config, DevServer, Fault, LOG_CAPACITY};

#[test]
fn both_discovery_documents_are_complete_and_alike() {
    let (server, _) = allowing();
    let openid = get(&server, "/.well-known/openid-configuration");
    assert_eq!(openid.header("content-type"), "application/json");
    assert_eq!(openid.json(), get(&server, "/.well-known/oauth-authorization-server").json());
    let metadata = openid.json();
    assert_eq!(metadata["issuer"], server.issuer());
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    for (name, value) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            let path = value.as_str().unwrap().strip_prefix(&server.issuer()).unwrap();
            assert_ne!(get(&server, path).status, 404, "{name}");
        }
    }
}

#[test]
fn rotation_signs_with_new_keys_and_keeps_the_last_ones_published() {
    let (server, _) = allowing();
    let before = redeem(&server, &code(&server)).member("id_token");
    server.rotate_keys().unwrap();
    let after = redeem(&server, &code(&server)).member("id_token");
    assert_ne!(header_of(&before)["kid"], header_of(&after)["kid"]);
    assert!(verifies(&server, &before));
    assert!(verifies(&server, &after));
    server.rotate_keys().unwrap();
    assert!(!verifies(&server, &before), "two rotations ago");
}

#[test]
fn published_keys_have_no_private_parts() {
    let (server, _) = allowing();
    let keys = get(&server, "/jwks").json();
    for key in keys["keys"].as_array().unwrap() {
        for name in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(name).is_none(), "{name}");
        }
    }
}

#[test]
fn log_has_names_and_harmless_values_only() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let config = Config::default().allowing("alice");
    let config = config.on_request(Arc::new(move |entry| hear.lock().unwrap().push(entry.to_string())));
    let (server, _) = started(config);
    let code = code(&server);
    let tokens = redeem(&server, &code);
    credentials(&server);
    bearer(&server, "GET", "/userinfo", &tokens.member("access_token"));
    refresh(&server, &tokens.member("refresh_token"));
    let lines: Vec<String> = server.log().iter().map(ToString::to_string).collect();
    assert_eq!(*heard.lock().unwrap(), lines);
    assert_eq!(
        lines[1],
        "POST /token grant_type=authorization_code client_id=demo-app code=[hidden] \
         redirect_uri=http://127.0.0.1:54321/callback code_verifier=[hidden] -> 200 issued tokens to demo-app"
    );
    assert_eq!(
        lines[2],
        "POST /token grant_type=client_credentials scope=read auth=Basic -> 200 issued tokens to demo-service"
    );
    let all = format!("{lines:?}{:?}", server.log());
    let secrets = [
        code,
        tokens.member("access_token"),
        tokens.member("refresh_token"),
        VERIFIER.to_owned(),
        "demo-secret".to_owned(),
        "some-nonce".to_owned(),
        "some-state".to_owned(),
    ];
    for secret in secrets {
        assert!(!all.contains(&secret), "{secret}");
    }
    let entry = &server.log()[1];
    assert_eq!((entry.status, entry.at, entry.form_value("client_id")), (200, START, Some("demo-app")));
    server.clear_log();
    assert!(server.log().is_empty());
}

#[test]
fn log_keeps_text_from_outside_on_one_line() {
    let (server, _) = allowing();
    get(&server, &authorization(&[("scope", "a\r\nGET /forged")]));
    assert_eq!(server.log()[0].to_string().lines().count(), 1);
}

#[test]
fn log_is_bounded() {
    let mut log = crate::log::Log::default();
    let (server, _) = allowing();
    get(&server, "/");
    let entry = server.log().remove(0);
    for status in 0..=u16::try_from(LOG_CAPACITY).unwrap() {
        log.push(crate::LogEntry { status, ..entry.clone() });
    }
    assert_eq!(log.entries().len(), LOG_CAPACITY);
    assert_eq!(log.entries()[0].status, 1, "the oldest went");
}

#[test]
fn memory_is_bounded_and_forgets_the_expired_before_the_oldest() {
    let mut map = Bounded::default();
    let key = |number: usize| number.to_string().into_bytes();
    let later = START.plus(std::time::Duration::from_secs(10));
    for number in 0..CAPACITY {
        map.insert(START, key(number), if number == 5 { START } else { later }, number);
    }
    assert!(map.find(START, &key(5)).is_none(), "expired");
    map.insert(START, key(CAPACITY), later, CAPACITY);
    assert!(map.find(START, &key(0)).is_some(), "there was room once the expired one was gone");
    map.insert(START, key(CAPACITY + 1), later, CAPACITY + 1);
    assert!(map.find(START, &key(0)).is_none(), "the oldest made room");
    assert!(map.find(START, &key(1)).is_some());
    assert_eq!(map.iter(START).count(), CAPACITY);
}

#[test]
fn scripted_answers_come_in_order_and_then_the_server_is_itself_again() {
    let (server, _) = allowing();
    server.answer_next("/jwks", Answer::new(418, &[("x-tea", "pot"), ("content-length", "99")], "one"));
    server.answer_next("/jwks", Answer::new(200, &[], vec![0xff, 0x00]));
    let first = get(&server, "/jwks");
    assert_eq!((first.status, first.header("x-tea"), first.text().as_str()), (418, "pot", "one"));
    assert_eq!(get(&server, "/jwks").body, [0xff, 0x00]);
    assert!(get(&server, "/jwks").json()["keys"].is_array());
    assert_eq!(server.log()[0].note, "scripted answer");
}

#[test]
fn scripted_answers_can_be_torn() {
    let (server, _) = allowing();
    let answer = Answer::new(200, &[], "0123456789");
    server.answer_next("/jwks", answer.clone().close_after(4));
    let closed = get(&server, "/jwks");
    assert_eq!((closed.text().as_str(), closed.header("content-length"), closed.error), ("0123", "10", None));
    server.answer_next("/jwks", answer.clone().reset_after(4));
    let reset = get(&server, "/jwks");
    assert_eq!((reset.text().as_str(), reset.error), ("0123", Some(ErrorKind::ConnectionReset)));
    server.answer_next("/jwks", answer.close_after(99));
    let end = get(&server, "/jwks");
    assert_eq!((end.text().as_str(), end.is_whole()), ("0123456789", false));
    server.answer_next("/jwks", Answer::silence());
    let silent = get(&server, "/jwks");
    assert_eq!((silent.status, silent.body.len()), (0, 0));
    assert_eq!(server.log().last().unwrap().status, 0);
}

#[test]
fn foreign_hosts_are_refused() {
    let (server, _) = allowing();
    let port = server.address().port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("attacker.example:{port}"), 421),
        ("127.0.0.1".to_owned(), 421),
    ] {
        let answer = exchange(&server, &format!("GET /jwks HTTP/1.0\r\nHost: {host}\r\n\r\n"), usize::MAX);
        assert_eq!(answer.status, status, "{host}");
    }
}

#[test]
fn large_bodies_unknown_paths_and_methods_are_refused() {
    let (server, _) = allowing();
    assert_eq!(post(&server, "/token", &[("a", &"x".repeat(70_000))]).status, 413);
    assert_eq!(get(&server, "/nothing").status, 404);
    let answer = send(&server, "DELETE", "/userinfo", &[], "");
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, POST"));
}

#[test]
fn connections_are_kept_alive() {
    use std::io::{Read, Write};
    let (server, _) = allowing();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    for _ in 0..2 {
        stream.write_all(format!("GET /jwks HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        let mut rest = Vec::new();
        while !rest.ends_with(b"}]}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            rest.push(byte[0]);
        }
    }
}

#[test]
fn stop_frees_the_port_and_keeps_the_log() {
    let (mut server, _) = allowing();
    get(&server, "/");
    let address = server.address();
    let idle = TcpStream::connect(address).unwrap();
    server.stop();
    server.stop();
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(server.log().len(), 1);
    drop(idle);
}

#[test]
fn taken_port_and_wrong_configuration_are_errors() {
    let (server, _) = allowing();
    let taken = Config { port: server.address().port(), ..Config::default() };
    assert_eq!(DevServer::start(taken).unwrap_err().kind(), ErrorKind::AddrInUse);
    let wrong = Config::default().allowing("nobody");
    assert_eq!(DevServer::start(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn counted_faults_wear_off() {
    let (server, _) = allowing();
    server.set_fault_for(Fault::Token503RetryAfter, 2);
    server.set_fault_for(Fault::ExpiresInNull, 1);
    let statuses = [credentials(&server).status, credentials(&server).status];
    assert_eq!(statuses, [503, 503]);
    assert!(credentials(&server).json()["expires_in"].is_null(), "the other fault waited for a success");
    assert_eq!(credentials(&server).json()["expires_in"], 3_600);
    assert!(server.faults().is_empty());
    server.set_fault(Some(Fault::Token500));
    server.set_fault(None);
    assert_eq!(credentials(&server).status, 200);
}

#[test]
fn fault_in_an_endpoints_place_leaves_the_state_alone() {
    let (server, _) = allowing();
    let code = code(&server);
    server.set_fault_for(Fault::Token500, 1);
    assert_eq!(redeem(&server, &code).status, 500);
    assert_eq!(redeem(&server, &code).status, 200);
}

#[test]
fn whoever_wants_to_hears_of_every_secret_that_is_handed_out_or_shown() {
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    let hearing = heard.clone();
    let hear = move |kind: &str, secret: &str| drop(hearing.lock().unwrap().insert(kind.to_owned(), secret.to_owned()));
    let (server, _) = started(Config::default().allowing("alice").on_secret(Arc::new(hear)));
    let code = code(&server);
    let tokens = redeem(&server, &code);
    let heard = heard.lock().unwrap();
    assert_eq!(heard["code"], code);
    assert_eq!(heard["code_verifier"], VERIFIER);
    for name in ["access_token", "refresh_token", "id_token"] {
        assert_eq!(heard[name], tokens.member(name), "{name}");
    }
}
