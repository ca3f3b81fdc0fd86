//! What can be done with a saved login besides printing its token: requests, a look at it, revocation, other programs'
//! files; and what an interruption leaves behind.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use grantflow_devserver::{AccessTokenFormat, Answer, DevServer};
use serde_json::Value;

use crate::home::{Home, requests};
use crate::support::{Ran, Running, assert_absent, honest, server};

fn logged_in(more: &str) -> (DevServer, Home) {
    let (server, home) = (honest(), Home::new());
    let login = home.log_in(&server, "work", more);
    assert_eq!(login.code, Some(0), "{login:?}");
    (server, home)
}

fn curl(server: &DevServer, home: &Home, rest: &str) -> Ran {
    home.run(&format!("curl work --audience {} {rest}", server.url("/api")).replace("API", &server.url("/api/me")))
}

#[test]
fn a_request_carries_the_token_and_gives_the_answer_as_it_came() {
    let (server, home) = logged_in("");
    let answer: Value = serde_json::from_str(&curl(&server, &home, "API").out).unwrap();
    assert_eq!(answer["client_id"], "demo-app");
    let wrapped = curl(&server, &home, "-- API -i");
    assert!(wrapped.out.starts_with("HTTP/1.1 200 OK\r\n") && wrapped.out.contains("\r\n\r\n{"), "{wrapped:?}");
    assert_eq!(wrapped.err, "");
    let file = home.0.join("answer");
    let written = curl(&server, &home, &format!("API -o {}", file.display()));
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{written:?}");
    assert!(fs::read_to_string(file).unwrap().contains("demo-app"));
    assert_eq!(requests(&server, "refresh_token"), 0);
}

#[test]
fn cl_09_a_token_goes_nowhere_but_to_the_places_that_are_named() {
    let (server, home) = logged_in("");
    let other = honest();
    assert!(home.run(&format!("curl work {}", server.url("/api/me"))).failed(2).contains("--audience"));
    other.clear_log();
    curl(&server, &home, &other.url("/api/me")).failed(10);
    curl(&server, &home, &server.url("/apis/me")).failed(10);
    curl(&server, &home, "http://as.example/api/me").failed(10);
    assert_eq!(other.log(), []);
    for place in ["http://api.example", "ftp://api.example", "nonsense"] {
        let line = format!("login --issuer {} --client-id x --save y --audience {place}", server.issuer());
        home.run(&line).failed(10);
    }
    let login = home.log_in(&server, "work", &format!("--audience {}", server.url("/api")));
    assert_eq!(login.code, Some(0), "{login:?}");
    assert!(home.run(&format!("curl work {}", server.url("/api/me"))).out.contains("demo-app"));
}

#[test]
fn a_refused_token_is_renewed_once_and_the_request_sent_again() {
    let (server, home) = logged_in("");
    let old = home.stored();
    let refusal = || Answer::new(401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], "no");
    server.answer_next("/api/me", refusal());
    assert!(curl(&server, &home, "API").out.contains("demo-app"));
    let new = home.stored();
    assert_ne!(old["access_token"], new["access_token"]);
    assert_eq!(requests(&server, "refresh_token"), 1);

    server.answer_next("/api/me", refusal());
    server.answer_next("/api/me", refusal());
    let refused = curl(&server, &home, "API");
    assert_eq!((refused.code, refused.out.as_str()), (Some(0), "no"), "{refused:?}");

    home.age(-10);
    assert!(curl(&server, &home, "API").out.contains("demo-app"));
}

#[test]
fn what_is_sent_is_what_was_typed_and_fail_prints_nothing() {
    let (server, home) = logged_in("");
    let fail = curl(&server, &home, "API --fail -X DELETE");
    let status = fail.failed(4).to_owned();
    assert!(status.contains("40"), "{status}");
    let posted = curl(&server, &home, "API -X POST -d a=1 -d b=2 -H x-own:yes -i");
    assert_eq!(posted.code, Some(0), "{posted:?}");
    let log = server.log();
    let entry = log.iter().rfind(|entry| entry.path == "/api/me").unwrap();
    assert_eq!(entry.method, "POST");
    curl(&server, &home, "API -H nonsense").failed(2);
    curl(&server, &home, "API --json {} -d x").failed(2);
    curl(&server, &home, "API -d @/nowhere/file").failed(9);
    home.run("curl work").failed(2);
    home.run("curl other --audience https://a.example https://a.example/x").failed(11);
}

#[test]
fn an_inspection_shows_claims_and_no_token() {
    let (server, home) = (server(|config| config.access_token_format = AccessTokenFormat::Jwt), Home::new());
    home.log_in(&server, "work", "");
    let inspected = home.run("inspect work");
    let all: Value = serde_json::from_str(inspected.printed()).unwrap();
    assert_eq!(all["state"], "valid");
    assert_eq!(all["subject"], "alice");
    assert_eq!(all["has_refresh_token"], true);
    assert_eq!(all["access_token"]["verified"], "no");
    assert_eq!(all["access_token"]["claims"]["client_id"], "demo-app");
    assert_eq!(all["id_token"]["verified"], "when it came");
    assert_eq!(all["id_token"]["claims"]["aud"], "demo-app");
    let stored = home.stored();
    let tokens = ["access_token", "refresh_token", "id_token"].map(|name| stored[name].as_str().unwrap());
    assert_absent(&inspected.out, tokens);
    let signatures = [tokens[0], tokens[2]].map(|token| token.rsplit('.').next().unwrap());
    assert_absent(&inspected.out, signatures);
    home.run("inspect other").failed(11);
}

#[test]
fn what_was_revoked_is_used_no_more() {
    let (server, home) = logged_in("");
    let old = home.run("token work").printed().to_owned();
    let revoked = home.run("revoke work --kind access");
    assert_eq!((revoked.code, revoked.out.as_str()), (Some(0), ""), "{revoked:?}");
    assert_ne!(home.run("token work").printed(), old);
    assert_eq!(requests(&server, "refresh_token"), 1);

    home.run("revoke work");
    home.run("token work").failed(11);
    assert!(home.run("list").printed().contains("login-needed"));
    assert_eq!(requests(&server, "refresh_token"), 1);
    home.run("revoke work").failed(10);
}

#[test]
fn a_revocation_that_fails_changes_nothing() {
    let (mut server, home) = logged_in("");
    let before = home.tokens();
    server.stop();
    home.run("revoke work").failed(3);
    assert_eq!(home.tokens(), before);
}

/// Keeps tokens of a file at this issuer, whose access token is over.
fn import(home: &Home, issuer: &str) -> Ran {
    let file = home.0.join("theirs.json");
    let tokens = r#"{"access_token":"canary-a1","refresh_token":"canary-r1","token_type":"Bearer","expires_at":1000}"#;
    fs::write(&file, tokens).unwrap();
    home.run(&format!("import work {} --shape authlib --issuer {issuer} --client-id x", file.display()))
}

#[test]
fn tokens_come_from_other_programs_and_go_to_them() {
    let home = Home::new();
    let imported = import(&home, "https://as.example");
    assert_eq!((imported.code, imported.out.as_str()), (Some(0), ""), "{imported:?}");
    assert_absent(&imported.err, ["canary"]);
    assert!(home.run("list").printed().contains("renewable"));
    let exported = home.run("export work");
    let file: Value = serde_json::from_str(exported.printed()).unwrap();
    assert_eq!(file["refresh_token"], "canary-r1");
    assert_eq!(file["expires_at"], 1000);

    let nonsense = home.0.join("nonsense");
    fs::write(&nonsense, "canary").unwrap();
    let line = format!("import other {} --shape authlib --issuer https://as.example --client-id x", nonsense.display());
    assert_absent(home.run(&line).failed(10), ["canary"]);
    home.run("inspect other").failed(11);
}

/// Reads one request and gives its first line.
fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    first
}

fn answer(stream: &mut TcpStream, json: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}",
        json.len()
    );
    write!(stream, "{head}\r\n\r\n{json}").unwrap();
}

#[test]
fn fl_34_an_interrupt_during_a_renewal_leaves_the_new_tokens_in_the_store() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let home = Home::new();
        assert_eq!(import(&home, &issuer).code, Some(0));
        let running = Running::start(&mut home.command("token work"));
        let token = loop {
            let (mut stream, _) = listener.accept().unwrap();
            if request(&mut stream).starts_with("POST /token") {
                break stream;
            }
            answer(
                &mut stream,
                &format!(
                    r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token","response_types_supported":["code"]}}"#
                ),
            );
        };
        // The server has replaced the token, and the signal is there before its answer.
        running.signal(signal);
        let mut token = token;
        answer(
            &mut token,
            r#"{"access_token":"canary-a2","refresh_token":"canary-r2","token_type":"Bearer","expires_in":3600}"#,
        );
        let ran = running.ended();
        if ran.code == Some(code) {
            ran.failed(code);
        } else {
            // It was quicker than the signal.
            assert_eq!(ran.printed(), "canary-a2");
        }
        assert_eq!(home.stored()["refresh_token"], "canary-r2");
        assert_eq!(home.run("token work").printed(), "canary-a2");
    }
}
