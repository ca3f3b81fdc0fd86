//! What is never shown, and what is wiped (catalogue LG, DS-13).

use std::fmt::Display;
use std::marker::PhantomData;

use grantflow_core::callback::CallbackParams;
use grantflow_core::client::Authentication;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Revocation, UserInfo};
use grantflow_core::error::{Error, safe_text};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, ClientCredentials, Device, Extras, Refresh};
use grantflow_core::http::Body;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{Effect, EffectKind, Event, Step};
use grantflow_core::{Secret, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::authorization_response::waiting;
use crate::client_authentication::asserting;
use crate::scripted::*;
use crate::token_response::proof_key;

const TOKEN: &str = "POST https://as.example/token";

/// Every flow from its beginning to its end, with a marker in every secret. The looking is done by [`Run`].
#[test]
fn lg_01_no_flow_shows_a_secret_from_beginning_to_end() {
    let secret_ways = || {
        [
            confidential(),
            builder(json!({}))
                .authentication(Authentication::SecretPost(Secret::from("canary-client-secret")))
                .build()
                .unwrap(),
            asserting(),
            builder(json!({}))
                .secret(Secret::from("canary-client-secret"))
                .proof_key(proof_key())
                .dangerous_accept_bearer_for_proof()
                .build()
                .unwrap(),
        ]
    };
    let access = Secret::from("canary-access");
    let extra = || json(200, &tokens_with(json!({ "x_extra": "canary-extra" })));
    for client in secret_ways() {
        let mut run = waiting(&client, "openid");
        let claims = merged(run.id_claims(), json!({ "email": "canary-extra", "x": "canary-extra" }));
        let id_token = Signer::shared().id_token(&claims);
        run.secrets.push(id_token.clone());
        run.answer([
            json(200, &tokens_with(json!({ "id_token": id_token, "x": "canary-extra" }))),
            json(200, &Signer::shared().jwks()),
        ]);
        let tokens = run.come_back().done();
        assert_eq!(run.requests[0].field("code"), Some("canary-code"), "the marker was in play");
        assert_eq!(tokens.access_token().expose(), "canary-access");
        assert!(!run.seen.checks.is_empty());
        for secret in run.secrets.iter().map(String::as_str).chain(CANARIES) {
            assert!(!format!("{tokens:?} {tokens:#?} {client:?}").contains(secret), "{secret}: {tokens:?}");
        }
        run.sent(&[TOKEN, "GET https://as.example/jwks"]);

        let mut run =
            Run::new(Refresh::new(&client, RefreshRequest::of(&tokens).unwrap()).unwrap()).answering([extra()]);
        run.start().done();
        run.sent(&[TOKEN]);
        let mut run = Run::new(ClientCredentials::new(&client, "", &Extras::default()).unwrap()).answering([extra()]);
        run.start().done();
        run.sent(&[TOKEN]);
        let device = json!({ "device_code": "canary-device-code", "user_code": "canary-user-code", "verification_uri": "https://as.example/d", "expires_in": 60 });
        let mut run = Run::new(Device::new(&client, "", Extras::default()).unwrap()).answering([
            json(200, &device),
            refusal("authorization_pending"),
            extra(),
        ]);
        run.start().done();
        assert_eq!(run.last().field("device_code"), Some("canary-device-code"));
        run.sent(&["POST https://as.example/device", TOKEN, TOKEN]);
        let mut run = Run::new(Introspection::new(&client, &access, TokenKind::Access).unwrap())
            .answering([json(200, &json!({ "active": true, "x": "canary-extra" }))]);
        let active = run.start().done();
        assert!(!format!("{active:?}").contains("canary"));
        run.sent(&["POST https://as.example/introspect"]);
        let mut run =
            Run::new(Revocation::new(&client, &access, TokenKind::Access).unwrap()).answering([answer(200, &[], "")]);
        run.start().done();
        run.sent(&["POST https://as.example/revoke"]);
        let mut run = Run::new(UserInfo::new(&client, &access, "alice").unwrap())
            .answering([json(200, &json!({ "sub": "alice", "email": "canary-extra" }))]);
        assert!(!format!("{:?}", run.start().done()).contains("canary"));
        run.sent(&["GET https://as.example/userinfo"]);
    }
}

/// Every answer there is, put where it is not expected, with markers in it.
#[test]
fn lg_01_no_failure_shows_a_secret() {
    let bodies = [
        r#"{"access_token":"canary-access","token_type":5}"#,
        r#"{"access_token":"canary-access","access_token":"canary-access"}"#,
        r#"{"access_token":"canary-access""#,
        r#"{"access_token":"canary-access"} canary-extra"#,
        r#"["canary-access"]"#,
        r#""canary-access""#,
        "access_token=canary-access&token_type=",
        r#"{"error":"invalid_grant","refresh_token":"canary-refresh"}"#,
        r#"{"access_token":"canary-access","token_type":"Bearer","id_token":"canary-extra"}"#,
    ];
    for body in bodies {
        for media_type in
            ["application/json", "text/plain", "text/html", "application/x-www-form-urlencoded", "application/jwt", ""]
        {
            for status in [200, 400, 401, 500] {
                let mut run = waiting(&confidential(), "openid").answering([answer(
                    status,
                    &[("content-type", media_type)],
                    body,
                )]);
                match run.come_back() {
                    Stop::Failed(error) => assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}"),
                    Stop::Done(_) | Stop::Waiting(_) => {}
                }
                let sent: Vec<_> = run.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
                run.sent(&sent.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is never made: the members have other types")]
struct Wrong {
    access_token: u32,
}

#[derive(Debug, Deserialize)]
enum Named {
    Known,
}

#[test]
fn lg_02_reading_into_a_type_that_does_not_fit_quotes_nothing() {
    let mut run = waiting(&public(), "").answering([json(200, &tokens())]);
    let tokens = run.come_back().done();
    for error in [
        tokens.extra::<Wrong>().map(drop).unwrap_err(),
        tokens.extra::<std::collections::BTreeMap<String, Named>>().map(drop).unwrap_err(),
    ] {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    run.sent(&[TOKEN]);
    for stored in [
        r#"{"version":1,"flow":"authorization-code","state":{"state":"canary-extra"}}"#,
        r#"{"version":"canary-extra"}"#,
        "canary-extra",
    ] {
        let error =
            AuthorizationCode::restore(&public(), Snapshot::from_bytes(stored.as_bytes().to_vec())).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn lg_03_urls_and_callbacks_are_not_shown_whole() {
    let run = waiting(&public(), "openid");
    let shown = format!("{:?}", run.redirect.as_ref().unwrap());
    for name in ["state", "nonce", "code_challenge"] {
        assert!(!shown.contains(&run.parameter(name).unwrap()), "{shown}");
    }
    assert!(shown.contains("https://as.example/authorize?.."), "{shown}");
    let callback = CallbackParams::from_query("code=canary-code&state=canary-extra&iss=https://as.example").unwrap();
    assert!(!format!("{callback:?} {:?}", Event::Callback(callback_again())).contains("canary"));
    let error = CallbackParams::from_query("code=canary-code%").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}

fn callback_again() -> CallbackParams {
    CallbackParams::from_query("code=canary-code&state=canary-extra&error_description=canary-extra").unwrap()
}

#[test]
fn lg_04_headers_with_secrets_are_marked() {
    let client =
        builder(json!({})).secret(Secret::from("canary-client-secret")).proof_key(proof_key()).build().unwrap();
    let mut run = Run::new(ClientCredentials::new(&client, "", &Extras::default()).unwrap());
    let Ok(Step::Do(Effect::Sign(request))) = run.handle(Event::Start) else { panic!() };
    let signature = Signer::shared().sign(SignatureAlgorithm::Es256, request.message.expose());
    let Ok(Step::Do(Effect::Send(outgoing))) = run.handle(Event::Signed(Secret::new(signature))) else { panic!() };
    for name in ["authorization", "dpop"] {
        assert!(outgoing.request.headers()[name].is_sensitive(), "{name}");
    }
    let mut run = Run::new(UserInfo::new(&public(), &Secret::from("canary-access"), "alice").unwrap());
    let Ok(Step::Do(Effect::Send(outgoing))) = run.handle(Event::Start) else { panic!() };
    assert!(outgoing.request.headers()["authorization"].is_sensitive());
    assert!(!format!("{outgoing:?}").contains("canary"));
}

/// Tells at compile time whether a type implements a trait: the constant of [`Probe`] hides the one of [`Absent`].
struct Probe<T>(PhantomData<T>);

trait Absent {
    const CLONES: bool = false;
    const COMPARES: bool = false;
    const DISPLAYS: bool = false;
    const SERIALIZES: bool = false;
}

impl<T> Absent for Probe<T> {}

impl<T: Clone> Probe<T> {
    const CLONES: bool = true;
}

impl<T: PartialEq> Probe<T> {
    const COMPARES: bool = true;
}

impl<T: Display> Probe<T> {
    const DISPLAYS: bool = true;
}

impl<T: Serialize> Probe<T> {
    const SERIALIZES: bool = true;
}

macro_rules! traits {
    ($($type:ty),*) => {
        [$((stringify!($type), Probe::<$type>::CLONES || Probe::<$type>::COMPARES || Probe::<$type>::DISPLAYS || Probe::<$type>::SERIALIZES)),*]
    };
}

#[test]
fn lg_05_types_of_secrets_cannot_be_printed_compared_copied_or_stored() {
    let secret = traits!(
        Secret,
        Secret<Vec<u8>>,
        Body,
        Snapshot,
        CallbackParams,
        grantflow_core::http::form::Form,
        grantflow_core::token::TokenSet,
        Event,
        AuthorizationCode,
        Device,
        Refresh
    );
    for (name, has) in secret {
        assert!(!has, "{name}");
    }
    assert!(traits!(String)[0].1, "the probe sees what is there");
}

#[test]
fn lg_07_ar_11_a_servers_text_is_one_line_without_tricks() {
    let forged = "x\r\n2027-01-15 INFO login ok\u{1b}[2J\u{202e}\u{2028}<script>";
    for body in [
        json!({ "error": forged }),
        json!({ "error": "invalid_grant", "error_description": forged, "error_uri": forged }),
    ] {
        let mut run = waiting(&public(), "").answering([json(400, &body)]);
        let error = run.come_back().failed();
        let shown = error.to_string();
        assert!(!shown.chars().any(|char| char.is_control() || ['\u{202e}', '\u{2028}'].contains(&char)), "{shown:?}");
        run.sent(&[TOKEN]);
    }
    let mut run = waiting(&public(), "");
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("error", forged)
        .append_pair("error_description", forged)
        .finish();
    let error = run.call_back(&format!("{query}&state={{state}}&iss={{iss}}")).failed();
    assert_eq!(error.to_string().lines().count(), 1);
    run.sent(&[]);
    for headers in [
        [("location", "https://as.example/\tx"), ("x", "y")],
        [("www-authenticate", "Basic realm=\"\u{e9}\t\""), ("retry-after", "\t")],
    ] {
        let mut run = waiting(&public(), "").answering([answer(302, &headers, "")]);
        assert_eq!(run.come_back().failed().to_string().lines().count(), 1);
        run.sent(&[TOKEN]);
    }
}

#[test]
fn ds_13_text_of_a_server_is_cut_at_a_kibibyte() {
    for (len, cut) in [(1023, false), (1024, true), (102_400, true)] {
        let kept = safe_text(&"a".repeat(len));
        assert!(kept.len() <= 1024 + '\u{2026}'.len_utf8(), "{}", kept.len());
        assert_eq!(kept.ends_with('\u{2026}'), cut, "{len}");
    }
    assert!(safe_text(&"\u{1b}".repeat(100_000)).len() <= 1024 + 16);
    let words = "no ".repeat(50_000);
    let mut run = waiting(&public(), "")
        .answering([json(400, &json!({ "error": words, "error_description": words, "error_uri": words }))]);
    let Error::Refused(refusal) = run.come_back().failed() else { panic!() };
    for text in [Some(refusal.code), refusal.description, refusal.uri, refusal.answer.unwrap().excerpt] {
        assert!(text.unwrap_or_default().len() <= 1024 + 16);
    }
    run.sent(&[TOKEN]);
}

/// Looks for a word in the memory of this process that can be written to, where the heap and the stacks are.
#[cfg(target_os = "linux")]
fn copies_in_memory(hidden: &[u8]) -> usize {
    use std::io::{Read, Seek, SeekFrom};
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut copies = 0;
    let mut chunk = vec![0_u8; 1 << 16];
    for line in maps.lines().filter(|line| line.contains(" rw-p ") && !line.contains("[v")) {
        let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (mut at, end) = (u64::from_str_radix(begin, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        while at < end {
            if memory.seek(SeekFrom::Start(at)).is_err() {
                break;
            }
            let wanted = usize::try_from(end - at).unwrap().min(chunk.len());
            let Ok(read) = memory.read(&mut chunk[..wanted]) else { break };
            if read == 0 {
                break;
            }
            // The word is compared bit-flipped, so that this function keeps no copy of it.
            copies += chunk[..read]
                .windows(hidden.len())
                .filter(|window| window.iter().zip(hidden).all(|(a, b)| *a == !*b))
                .count();
            at += u64::try_from(read).unwrap();
        }
    }
    chunk.fill(0);
    copies
}

/// Best effort: the copies that are ours are wiped when they are dropped. What is in the request that a driver sends,
/// and what a network stack keeps, is not ours.
#[cfg(target_os = "linux")]
#[test]
fn lg_06_tokens_are_gone_from_memory_when_they_are_dropped() {
    // Flipped, so that the word itself stands nowhere until the answer is made.
    let hidden: Vec<u8> =
        b"wiped-".iter().copied().chain(std::process::id().to_string().into_bytes()).map(|byte| !byte).collect();
    let mut run = waiting(&public(), "");
    run.come_back().waits_for(EffectKind::Send);
    run.sent(&[TOKEN]);
    let mut body = Vec::with_capacity(256);
    body.extend_from_slice(br#"{"access_token":""#);
    body.extend(hidden.iter().map(|byte| !byte));
    body.extend_from_slice(br#"","token_type":"Bearer","refresh_token":""#);
    body.extend(hidden.iter().map(|byte| !byte));
    body.extend_from_slice(br#""}"#);
    let mut response = http::Response::new(Body::new(body));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    let tokens = run.give(Event::Response(response)).done();
    assert!(copies_in_memory(&hidden) >= 2, "the search finds what is there");
    drop(tokens);
    drop(run);
    assert_eq!(copies_in_memory(&hidden), 0);
}
