//! Servers, ways and stores that fail. What is held is kept, and what was rotated is saved.

use std::io::{Read, Write};
use std::net::TcpListener;

use grantflow_core::Timestamp;
use grantflow_core::client::Client;
use grantflow_core::error::{Error, LoginNeeded, TransportKind};
use grantflow_core::http::UrlPolicy;
use grantflow_core::manager::{Placement, Settings, Unsaved};
use grantflow_core::server::ServerMetadata;
use grantflow_core::testing::specimens::public;

use super::rig::{Kept, Rig, Turn, Which, both, settings, text, tokens};

#[test]
fn rf_04_fl_13_a_true_refusal_ends_the_session_with_one_request_and_keeps_the_record() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        // Our request arrives twice: the first answer is lost, the second says that the token was used.
        rig.authority.next([Turn::Lost(TransportKind::Reset)]);
        let error = kept.credential().unwrap_err();
        assert!(matches!(&error, Error::LoginNeeded(LoginNeeded::Ended(Some(_)))), "{error}");
        assert_eq!(rig.happened(), "claim load refresh load refresh load save");
        assert!(rig.shelf.kept("me").unwrap().contains(r#""ended":true"#));
        // Nobody sends it again: neither this program nor the next.
        for _ in 0..10 {
            rig.time.pass(60);
            assert!(matches!(kept.credential(), Err(Error::LoginNeeded(_))));
            assert!(matches!(rig.session("me").credential(), Err(Error::LoginNeeded(_))));
        }
        assert_eq!(rig.authority.asked(), 2);
        // A login ends it.
        kept.adopt(tokens()).unwrap();
        assert_eq!(text(&kept.current().unwrap()), "canary-a0");
    });
}

#[test]
fn rf_05_fl_01_fl_02_fl_04_fl_10_passing_trouble_takes_no_token_away() {
    let troubles: [fn() -> Turn; 9] = [
        || Turn::Answer(500, String::new()),
        || Turn::Answer(503, String::new()),
        || Turn::Answer(429, String::new()),
        || Turn::Answer(200, "<html>sign in to the network</html>".to_owned()),
        || Turn::Answer(200, r#"{"access_token":"#.to_owned()),
        || Turn::refused("server_error"),
        || Turn::Unsent(TransportKind::Dns),
        || Turn::Unsent(TransportKind::Tls),
        || Turn::Unsent(TransportKind::Timeout),
    ];
    for trouble in troubles {
        both(|rig| {
            let kept = rig.logged_in();
            // Due, not over: whoever asks is served, and the trouble is not theirs.
            rig.time.pass(3590);
            rig.authority.next([trouble()]);
            for _ in 0..10 {
                assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
                kept.settled();
                assert_eq!(rig.authority.asked(), 1, "it rests");
            }
            assert!(rig.shelf.kept("me").unwrap().contains("canary-r0"));
            // The next attempt after the rest ends it.
            rig.time.pass(400);
            assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        });
    }
}

#[test]
fn rf_06_x_06_l_44_h_10_what_was_rotated_is_saved_before_anybody_gets_it() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "claim load refresh save");
        assert!(rig.shelf.kept("me").unwrap().contains("canary-r1"));
        // With a store that fails, the caller gets the fact beside the token; nothing is refreshed again, it is saved again.
        rig.time.pass(3600);
        rig.shelf.breaks(&["save"]);
        assert!(kept.credential().unwrap().unsaved().is_some());
        assert_eq!(rig.happened(), "claim load refresh save");
        rig.shelf.breaks(&[]);
        rig.time.pass(2);
        let _ = kept.credential().unwrap();
        kept.settled();
        assert_eq!(rig.happened(), "save");
        assert!(kept.credential().unwrap().unsaved().is_none());
        assert!(rig.shelf.kept("me").unwrap().contains("canary-r2"));
    });
}

#[test]
fn l_44_h_10_whoever_wants_it_gets_nothing_that_is_not_saved() {
    both(|rig| {
        let kept = rig.handle(settings(&public(), "me").with_unsaved(Unsaved::Withheld));
        kept.adopt(tokens()).unwrap();
        rig.time.pass(3600);
        rig.shelf.breaks(&["save"]);
        assert!(matches!(kept.credential(), Err(Error::Store(_))));
        assert_eq!(rig.authority.asked(), 1);
        rig.shelf.breaks(&[]);
        rig.time.pass(2);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1, "saved again, not refreshed again");
    });
}

#[test]
fn fl_48_a_store_that_breaks_takes_no_token_in_memory_away() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.shelf.breaks(&["load", "claim", "save", "delete"]);
        for _ in 0..100 {
            assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        }
        // Due, but not to be renewed without a claim; served on.
        rig.time.pass(3590);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        kept.settled();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        assert_eq!(rig.authority.asked(), 0);
        rig.time.pass(10);
        assert!(matches!(kept.credential(), Err(Error::Store(_))));
        rig.shelf.breaks(&[]);
        rig.time.pass(400);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
    });
}

#[test]
fn a_store_that_panics_is_a_store_that_fails() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        rig.shelf.panics(&["save"]);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert!(kept.credential().unwrap().unsaved().is_some());
        rig.shelf.panics(&["claim", "load"]);
        rig.time.pass(3600);
        let _ = kept.credential();
        rig.shelf.panics(&[]);
        rig.time.pass(400);
        assert!(kept.credential().is_ok());
        assert!(!rig.authority.has_ended());
        assert!(rig.shelf.kept("me").unwrap().contains(&rig.authority.current()));
    });
}

#[test]
fn a_client_that_panics_loses_no_token_that_is_held() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.shelf.breaks(&["save"]);
        rig.time.pass(3600);
        // Only memory has `canary-r1`.
        assert!(kept.credential().unwrap().unsaved().is_some());
        rig.shelf.breaks(&["save", "claim"]);
        rig.time.pass(3600);
        rig.authority.next([Turn::Panic]);
        // The save is tried first; then the renewal panics.
        let _ = kept.credential();
        rig.time.pass(400);
        let _ = kept.credential();
        rig.shelf.breaks(&[]);
        rig.time.pass(4000);
        let _ = kept.credential();
        rig.time.pass(400);
        assert!(kept.credential().is_ok(), "{:?}: {}", rig.which, rig.happened());
        assert!(!rig.authority.has_ended());
    });
}

#[test]
fn l_45_a_16_a_refresh_sends_exactly_this() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        kept.credential().unwrap();
        assert_eq!(rig.authority.sent(), ["grant_type=refresh_token&refresh_token=canary-r0&client_id=client"]);
    });
}

#[test]
fn rf_13_stored_tokens_of_another_issuer_or_client_are_neither_used_nor_sent() {
    both(|rig| {
        rig.logged_in();
        let elsewhere = ServerMetadata::by_hand("https://evil.example", UrlPolicy::default()).unwrap();
        let elsewhere =
            elsewhere.with_endpoint(grantflow_core::error::Endpoint::Token, "https://evil.example/token").unwrap();
        let others = [
            Client::builder(elsewhere, public().client_id()).build().unwrap(),
            Client::builder(grantflow_core::testing::specimens::server(), "another").build().unwrap(),
        ];
        rig.time.pass(3600);
        for other in others {
            let kept = rig.handle(settings(&other, "me"));
            assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
            assert_eq!(kept.renew().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        }
        assert_eq!(rig.authority.asked(), 0);
    });
}

#[test]
fn rf_16_two_profiles_share_nothing() {
    both(|rig| {
        let me = rig.logged_in();
        let other = rig.session("other");
        assert!(matches!(other.credential(), Err(Error::LoginNeeded(_))));
        rig.time.pass(10);
        me.sign_out().unwrap();
        other.adopt(tokens()).unwrap();
        assert!(matches!(me.credential(), Err(Error::LoginNeeded(_))));
        assert_eq!(text(&other.credential().unwrap()), "canary-a0");
        assert!(rig.shelf.kept("me").is_none() && rig.shelf.kept("other").is_some());
    });
}

#[test]
fn x_10_a_14_nobody_is_sent_to_a_login() {
    both(|rig| {
        // Neither driver has a person to send; the machine never asks for one.
        let kept = rig.session("me");
        assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        assert_eq!(kept.reload().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        assert_eq!(rig.authority.asked(), 0);
    });
}

/// A server on loopback that rotates at the first request and breaks its answer off after so many bytes; to whoever asks
/// again it says the same, whole.
fn breaking(at: usize) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let body = r#"{"access_token":"canary-a1","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-r1"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).ends_with("client_id=client") {
                let mut more = [0; 4096];
                match stream.read(&mut more).unwrap() {
                    0 => return seen,
                    count => request.extend(&more[..count]),
                }
            }
            let request = String::from_utf8(request).unwrap();
            seen.push(request.split("\r\n\r\n").last().unwrap().to_owned());
            let until = if seen.len() == 1 { at.min(answer.len()) } else { answer.len() };
            stream.write_all(&answer.as_bytes()[..until]).unwrap();
            if until == answer.len() {
                return seen;
            }
        }
    });
    (port, serving)
}

fn length_of_the_answer() -> usize {
    // Longer than it is: the last offset is the whole answer.
    190
}

#[test]
fn fl_05_fl_06_fl_09_an_answer_that_breaks_off_anywhere_loses_no_token() {
    let (mut whole, mut repeated) = (0, 0);
    for which in super::rig::BOTH {
        for at in 0..length_of_the_answer() {
            let rig = Rig::new(which);
            let (port, serving) = breaking(at);
            let server = ServerMetadata::by_hand(&format!("http://127.0.0.1:{port}"), UrlPolicy::default()).unwrap();
            let server = server
                .with_endpoint(grantflow_core::error::Endpoint::Token, &format!("http://127.0.0.1:{port}/token"))
                .unwrap();
            let client = Client::builder(server, "client").build().unwrap();
            let kept = over_the_wire(&rig, settings(&client, "me"));
            kept.adopt(tokens()).unwrap();
            rig.time.pass(3600);
            let answer = kept.credential();
            let seen = match &answer {
                Ok(_) => serving.join().unwrap(),
                Err(error) => panic!("{which:?}, broken off after {at}: {error}"),
            };
            assert_eq!(text(&answer.unwrap()), "canary-a1", "{which:?} {at}");
            assert!(
                seen.iter().all(|form| form == "grant_type=refresh_token&refresh_token=canary-r0&client_id=client")
            );
            match seen.len() {
                1 => whole += 1,
                2 => repeated += 1,
                more => panic!("{more} requests, broken off after {at}"),
            }
        }
    }
    assert!(repeated > whole);
    println!("figure: lifecycle/refresh_break_offsets = {}", whole + repeated);
    println!("figure: lifecycle/refresh_tokens_lost = 0");
}

/// A handle with the driver's own HTTP client.
fn over_the_wire(rig: &Rig, settings: Settings) -> Kept {
    let placed = settings.with_placement(Placement::default());
    match rig.which {
        Which::Tokio => {
            let driver = grantflow_tokio::Driver::new().with_clock(rig.time.clone()).with_store(rig.shelf.clone());
            rig.tokio(grantflow_tokio::TokenHandle::new(driver, placed))
        }
        Which::Blocking => {
            let driver = grantflow_blocking::Driver::new().with_clock(rig.time.clone()).with_store(rig.shelf.clone());
            Kept::Blocking(grantflow_blocking::TokenHandle::new(driver, placed))
        }
    }
}

#[test]
fn x_01_a_time_that_no_answer_names_is_no_end() {
    both(|rig| {
        rig.authority.lifetime(None);
        let kept = rig.logged_in();
        rig.time.pass(3600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        rig.time.set(Timestamp::from_secs(4_000_000_000));
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1);
    });
}
