//! Introspection, revocation and UserInfo (catalogue IR and UI, answers 48 and 49).

use std::sync::Arc;
use std::time::Duration;

use grantflow_core::client::Client;
use grantflow_core::crypto::AwsLc;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspected, Introspection, Profile, Remembered, Revocation, UserInfo};
use grantflow_core::error::{Advice, ConfigError, Delivery, Endpoint, Error, Rule, SecurityError, TransportKind};
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::http::UrlPolicy;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::EffectKind;
use grantflow_core::manager::TokenId;
use grantflow_core::memory::Memory;
use grantflow_core::server::ServerMetadata;
use grantflow_core::{Secret, Timestamp};
use serde_json::{Value, json};

use crate::scripted::*;
use crate::token_response::result;

const INTROSPECT: &str = "POST https://as.example/introspect";
const JWKS: &str = "GET https://as.example/jwks";
const REVOKE: &str = "POST https://as.example/revoke";
const USERINFO: &str = "GET https://as.example/userinfo";

fn introspected(answers: impl IntoIterator<Item = Answer>) -> (Run<Introspection>, Result<Introspected, Error>) {
    let flow = Introspection::new(&confidential(), &Secret::from("canary-access"), TokenKind::Access).unwrap();
    let mut run = Run::new(flow).answering(answers);
    let stop = result(run.start());
    (run, stop)
}

#[test]
fn ir_01_only_the_boolean_true_is_active() {
    for active in [json!(null), json!("true"), json!(1), json!("active"), json!([true])] {
        let (mut run, result) = introspected([json(200, &json!({ "active": active, "sub": "alice" }))]);
        assert!(
            matches!(result, Err(Error::Protocol(error)) if matches!(error.rule, Rule::MemberInvalid("active") | Rule::MemberMissing("active"))),
            "{active}"
        );
        run.sent(&[INTROSPECT]);
    }
    let (mut run, result) = introspected([json(200, &json!({ "sub": "alice" }))]);
    assert!(matches!(result, Err(Error::Protocol(error)) if error.rule == Rule::MemberMissing("active")));
    run.sent(&[INTROSPECT]);
}

#[test]
fn ir_02_a_token_of_another_issuer_for_others_or_bound_to_another_key_is_inactive() {
    let now = BEGIN.as_secs();
    let rows = [
        (json!({}), true),
        (json!({ "iss": ISSUER, "exp": now + 60 }), true),
        (json!({ "iss": "https://evil.example" }), false),
        (json!({ "aud": ["https://other.example"] }), false),
        (json!({ "aud": "https://api.example.evil" }), false),
        (json!({ "aud": null }), false),
        (json!({ "cnf": { "jkt": "another" } }), false),
        (json!({ "cnf": "mine" }), false),
        (json!({ "cnf": null }), false),
        (json!({ "exp": now - 1 }), false),
    ];
    for (members, expected) in rows {
        let fitting = json!({ "active": true, "aud": ["https://api.example", "x"], "cnf": { "jkt": "mine" } });
        let flow = Introspection::new(&confidential(), &Secret::from("canary-access"), TokenKind::Access).unwrap();
        let flow = flow.for_audience("https://api.example").bound_to("mine");
        let mut run = Run::new(flow).answering([json(200, &merged(fitting, members.clone()))]);
        let result = result(run.start());
        assert_eq!(matches!(result, Ok(Introspected::Active(_))), expected, "{members}");
        run.sent(&[INTROSPECT]);
    }
}

const JWT: &str = "application/token-introspection+jwt";

/// The claims of a good signed answer, and its header.
fn sealed(answer: Value) -> (Value, Value) {
    let header = json!({ "alg": "ES256", "kid": "ec", "typ": "token-introspection+jwt" });
    let claims = json!({ "iss": ISSUER, "aud": CLIENT_ID, "iat": BEGIN.as_secs(), "token_introspection": answer });
    (header, claims)
}

/// An introspection that demands a signature by ES256 and is answered so, with the keys where they are asked for.
fn demanded(answer: Answer) -> (Run<Introspection>, Result<Introspected, Error>) {
    let flow = Introspection::new(&confidential(), &Secret::from("canary-access"), TokenKind::Access).unwrap();
    let flow = flow.demand_signature(&[SignatureAlgorithm::Es256]);
    let keys = json(200, &Signer::shared().jwks());
    let mut run = Run::new(flow).answering([answer, keys]);
    let stop = result(run.start());
    (run, stop)
}

fn jwt(header: &Value, claims: &Value) -> Answer {
    answer(200, &[("content-type", JWT)], Signer::shared().jwt(header, claims))
}

#[test]
fn ir_03_a_signed_answer_is_asked_for_and_only_the_answer_in_it_is_about_the_token() {
    let (header, claims) = sealed(json!({ "active": true, "sub": "alice", "exp": BEGIN.as_secs() + 60 }));
    for (header, claims) in [
        (header.clone(), claims.clone()),
        (merged(header.clone(), json!({ "typ": "application/Token-Introspection+JWT" })), claims.clone()),
        (header.clone(), merged(claims.clone(), json!({ "aud": [CLIENT_ID], "sub": "mallory", "active": false }))),
    ] {
        let (mut run, result) = demanded(jwt(&header, &claims));
        let Ok(Introspected::Active(active)) = result else { panic!("{result:?}") };
        assert_eq!(active.subject().as_deref(), Some("alice"));
        assert_eq!(run.requests[0].header("accept"), Some(JWT));
        run.sent(&[INTROSPECT, JWKS]);
    }
    // What stands around the answer does not make a token active.
    for answer in [json!({ "active": false }), json!({ "active": true, "exp": BEGIN.as_secs() - 1 })] {
        let claims = merged(sealed(answer).1, json!({ "active": true, "exp": BEGIN.as_secs() + 600 }));
        let (mut run, result) = demanded(jwt(&header, &claims));
        assert!(matches!(result, Ok(Introspected::Inactive)), "{result:?}");
        run.sent(&[INTROSPECT, JWKS]);
    }
}

#[test]
fn ir_03_a_signed_answer_of_the_wrong_kind_is_refused() {
    let now = BEGIN.as_secs();
    let (header, claims) = sealed(json!({ "active": true, "sub": "alice" }));
    let headers = [
        json!({ "typ": "JWT" }),
        json!({ "typ": "at+jwt" }),
        json!({ "typ": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        // Not one that was registered, although the server has the key.
        json!({ "alg": "RS256", "kid": "rsa" }),
        json!({ "crit": ["x"], "x": 1 }),
    ];
    for members in headers {
        let (mut run, result) = demanded(jwt(&merged(header.clone(), members.clone()), &claims));
        assert!(matches!(result, Err(Error::Security(_) | Error::Protocol(_))), "{members}: {result:?}");
        // No key makes it right, so none is fetched.
        run.sent(&[INTROSPECT]);
    }
    let bodies = [
        json!({ "aud": "another" }),
        json!({ "aud": ["another"] }),
        json!({ "aud": [CLIENT_ID, "another"] }),
        json!({ "aud": null }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": null }),
        json!({ "iat": null }),
        json!({ "iat": now + 3600 }),
        json!({ "iat": now - 3600 }),
        json!({ "exp": now - 3600 }),
        json!({ "nbf": now + 3600 }),
        json!({ "token_introspection": null }),
        json!({ "token_introspection": "{\"active\":true}" }),
        json!({ "token_introspection": [{ "active": true }] }),
        json!({ "token_introspection": {}, "active": true }),
        json!({ "token_introspection": { "active": "true" } }),
    ];
    for members in bodies {
        let (mut run, result) = demanded(jwt(&header, &merged(claims.clone(), members.clone())));
        assert!(matches!(result, Err(Error::Security(_) | Error::Protocol(_))), "{members}: {result:?}");
        run.sent(&[INTROSPECT, JWKS]);
    }
    let forged = Signer::generate().jwt(&header, &claims);
    let (mut run, result) = demanded(answer(200, &[("content-type", JWT)], forged));
    assert_eq!(result.unwrap_err(), Error::Security(SecurityError::Signature));
    run.sent(&[INTROSPECT, JWKS]);
}

#[test]
fn ir_03_what_is_not_signed_says_nothing_where_a_signature_is_demanded() {
    let good = json!({ "active": true });
    let (header, claims) = sealed(good.clone());
    let signed = || Signer::shared().jwt(&header, &claims);
    let unsigned: [fn(&Value, &str) -> Answer; 3] = [
        |good, _| json(200, good),
        |_, signed| answer(200, &[("content-type", "application/json")], format!("\"{signed}\"")),
        |good, _| answer(200, &[("content-type", JWT)], good.to_string()),
    ];
    for answer in unsigned {
        let (mut run, result) = demanded(answer(&good, &signed()));
        assert!(matches!(result, Err(Error::Security(_) | Error::Protocol(_))), "{result:?}");
        run.sent(&[INTROSPECT]);
    }
    let found = |run: &Run<Introspection>| run.seen.transitions.last().map(|seen| seen.finding.0);
    let (mut run, result) = demanded(json(200, &good));
    assert_eq!(result.unwrap_err(), Error::Security(SecurityError::Unsigned));
    assert_eq!(found(&run), Some("Untrusted"));
    run.sent(&[INTROSPECT]);
    // A refusal stays what it is, and a server that cannot serve is no verdict.
    let (mut run, result) = demanded(refusal("invalid_client"));
    assert_eq!(found(&run), Some("Refused"));
    assert!(matches!(result, Err(Error::Refused(refusal)) if refusal.is("invalid_client")));
    run.sent(&[INTROSPECT]);
    let (mut run, result) = demanded(answer(500, &[("content-type", JWT)], signed()));
    assert!(matches!(result, Err(Error::Transport(failure)) if failure.kind == TransportKind::Unavailable));
    run.sent(&[INTROSPECT]);
    // Where none is demanded, none is taken: nobody has said how it should be signed.
    let (mut run, result) = introspected([answer(200, &[("content-type", JWT)], signed())]);
    assert!(matches!(result, Err(Error::Protocol(error)) if error.rule == Rule::MediaType));
    run.sent(&[INTROSPECT]);
}

#[test]
fn ir_03_keys_of_the_last_hour_bridge_an_outage_and_one_fetch_a_minute_is_made() {
    let (header, claims) = sealed(json!({ "active": true }));
    let ask = |memory: Memory, now: Timestamp, answers: Vec<Answer>| {
        let flow = Introspection::new(&confidential(), &Secret::from("canary-access"), TokenKind::Access).unwrap();
        let mut run = Run::new(flow.demand_signature(&[SignatureAlgorithm::Es256])).answering(answers);
        (run.memory, run.now) = (memory, now);
        let active = matches!(result(run.start()), Ok(Introspected::Active(_)));
        let asked = run.all_sent().len();
        (active, asked, std::mem::take(&mut run.memory))
    };
    let at = |secs: u64| BEGIN.plus(Duration::from_secs(secs));
    let good = |now: Timestamp| jwt(&header, &merged(claims.clone(), json!({ "iat": now.as_secs() })));
    let keys = || json(200, &Signer::shared().jwks());
    let (active, asked, memory) = ask(Memory::new(), BEGIN, vec![good(BEGIN), keys()]);
    assert_eq!((active, asked), (true, 2));
    let (active, asked, memory) = ask(memory, at(60), vec![good(at(60))]);
    assert_eq!((active, asked), (true, 1));
    // The set is not fresh any more and cannot be fetched.
    let lost = || lost(Delivery::Unknown, TransportKind::TooLarge);
    let (active, asked, memory) = ask(memory, at(1800), vec![good(at(1800)), lost()]);
    assert_eq!((active, asked), (true, 2));
    // An unknown key causes one fetch, not one for each answer.
    let unknown = |now: Timestamp| {
        jwt(&merged(header.clone(), json!({ "kid": "new" })), &merged(claims.clone(), json!({ "iat": now.as_secs() })))
    };
    let (active, asked, memory) = ask(memory, at(3000), vec![unknown(at(3000)), keys()]);
    assert_eq!((active, asked), (false, 2));
    let (active, asked, _) = ask(memory, at(3001), vec![unknown(at(3001))]);
    assert_eq!((active, asked), (false, 1));
}

#[test]
fn ir_05_what_was_active_is_believed_for_a_minute_and_not_beyond_its_end() {
    let active = |members| {
        let (mut run, result) = introspected([json(200, &merged(json!({ "active": true }), members))]);
        run.sent(&[INTROSPECT]);
        let Ok(Introspected::Active(active)) = result else { panic!() };
        Arc::new(active)
    };
    let id = |token: &str| TokenId::of(&Secret::from(token), &AwsLc);
    let at = |secs: u64| BEGIN.plus(Duration::from_secs(secs));
    let mut remembered = Remembered::new();
    remembered.keep(id("long"), active(json!({ "exp": BEGIN.as_secs() + 3600 })), BEGIN);
    remembered.keep(id("short"), active(json!({ "exp": BEGIN.as_secs() + 10 })), BEGIN);
    remembered.keep(id("endless"), active(json!({})), BEGIN);
    let known = |remembered: &Remembered, secs| {
        ["long", "short", "endless"].map(|token| remembered.get(id(token), at(secs)).is_some())
    };
    assert_eq!(known(&remembered, 9), [true, true, true]);
    assert_eq!(known(&remembered, 10), [true, false, true]);
    assert_eq!(known(&remembered, 59), [true, false, true]);
    assert_eq!(known(&remembered, 60), [false, false, false]);
    assert!(remembered.get(id("long"), BEGIN.minus(Duration::from_secs(1))).is_none(), "a clock that went back");
    remembered.forget(id("long"));
    assert!(remembered.get(id("long"), at(1)).is_none() && remembered.get(id("other"), at(1)).is_none());
}

/// As many answers as are remembered at most, and all but one of them old.
#[test]
fn where_too_much_is_remembered_what_may_no_longer_be_believed_goes_first() {
    let (mut run, result) = introspected([json(200, &json!({ "active": true }))]);
    run.sent(&[INTROSPECT]);
    let Ok(Introspected::Active(active)) = result else { panic!() };
    let active = Arc::new(active);
    let mut ids: Vec<_> = (0..10_000).map(|n: u32| TokenId::of(&Secret::from(n.to_string()), &AwsLc)).collect();
    ids.sort();
    let at = |secs: u64| BEGIN.plus(Duration::from_secs(secs));
    let mut remembered = Remembered::new();
    for (place, id) in ids.iter().enumerate() {
        remembered.keep(*id, active.clone(), at(if place == 0 { 30 } else { 0 }));
    }
    let new = ["one", "another"].map(|token| TokenId::of(&Secret::from(token), &AwsLc));
    for id in new {
        remembered.keep(id, active.clone(), at(60));
    }
    for id in [ids[0], new[0], new[1]] {
        assert!(remembered.get(id, at(60)).is_some());
    }
}

#[test]
fn h_16_a_client_may_demand_that_answers_say_how_long_a_token_lives() {
    let token = |lifetime: Value| {
        json(200, &json!({ "access_token": "canary-access", "token_type": "Bearer", "expires_in": lifetime }))
    };
    let rows =
        [(json!(3600), true), (json!("60"), true), (json!(null), false), (json!("soon"), false), (json!(-1), false)];
    for (lifetime, accepted) in rows {
        for demanded in [false, true] {
            let builder = builder(json!({})).secret(Secret::from("canary-client-secret"));
            let client = if demanded { builder.require_lifetime() } else { builder }.build().unwrap();
            let flow = ClientCredentials::new(&client, "", &Extras::default()).unwrap();
            let mut run = Run::new(flow).answering([token(lifetime.clone())]);
            let result = result(run.start());
            assert_eq!(result.is_ok(), accepted || !demanded, "{lifetime}, demanded: {demanded}");
            run.sent(&["POST https://as.example/token"]);
        }
    }
}

#[test]
fn an_active_token_that_has_expired_or_is_not_yet_valid_is_inactive() {
    let now = BEGIN.as_secs();
    for members in [
        json!({ "exp": now }),
        json!({ "exp": now - 3600 }),
        json!({ "exp": 0 }),
        json!({ "exp": -1 }),
        json!({ "nbf": now + 3600 }),
        json!({ "nbf": now + 61 }),
    ] {
        let (mut run, result) = introspected([json(200, &merged(json!({ "active": true }), members.clone()))]);
        assert!(matches!(result, Ok(Introspected::Inactive)), "{members}");
        run.sent(&[INTROSPECT]);
    }
    // The clocks of two machines differ by a minute, no more.
    let (mut run, result) = introspected([json(200, &json!({ "active": true, "nbf": now + 60 }))]);
    assert!(matches!(result, Ok(Introspected::Active(_))), "{result:?}");
    run.sent(&[INTROSPECT]);
    // A time that cannot be read is not the absence of one.
    for members in [json!({ "exp": "never" }), json!({ "exp": [1] }), json!({ "nbf": "soon" })] {
        let (mut run, result) = introspected([json(200, &merged(json!({ "active": true }), members.clone()))]);
        assert!(!matches!(result, Ok(Introspected::Active(_))), "{members}");
        run.sent(&[INTROSPECT]);
    }
}

#[test]
fn ir_04_whatever_is_no_answer_is_never_active() {
    let answers: [fn() -> Answer; 4] = [
        || answer(500, &[], r#"{"active":true}"#),
        || answer(200, &[("content-type", "text/html")], r#"{"active":true}"#),
        || lost(Delivery::Unknown, TransportKind::Timeout),
        || answer(401, &[("www-authenticate", "Basic")], ""),
    ];
    for answer in answers {
        let (mut run, result) = introspected([answer()]);
        assert!(result.is_err());
        run.sent(&[INTROSPECT]);
    }
}

#[test]
fn ir_06_ui_03_a_token_is_never_in_a_url() {
    let (mut run, _) = introspected([json(200, &json!({ "active": false }))]);
    assert_eq!(
        (run.last().field("token"), run.last().field("token_type_hint")),
        (Some("canary-access"), Some("access_token"))
    );
    run.sent(&[INTROSPECT]);
    let (mut run, _) = revoked(&confidential(), [answer(200, &[], "")]);
    run.sent(&[REVOKE]);
    let (mut run, _) = profiled([json(200, &json!({ "sub": "alice" }))]);
    assert_eq!(run.last().header("authorization"), Some("Bearer canary-access"));
    assert!(run.last().form.is_empty());
    run.sent(&[USERINFO]);
}

#[test]
fn answers_48_what_is_said_of_a_token_is_read_and_of_an_inactive_one_hidden() {
    for (aud, expected) in [(json!("a"), vec!["a"]), (json!(["a", "b"]), vec!["a", "b"])] {
        let (mut run, result) = introspected([json(200, &json!({ "active": true, "aud": aud }))]);
        let Ok(Introspected::Active(active)) = result else { panic!() };
        assert_eq!(active.audience(), expected);
        run.sent(&[INTROSPECT]);
    }
    for (members, client_id, scope) in
        [(json!({}), None, None), (json!({ "client_id": "c", "scope": "a b" }), Some("c"), Some("a b"))]
    {
        let (mut run, result) = introspected([json(200, &merged(json!({ "active": true }), members))]);
        let Ok(Introspected::Active(active)) = result else { panic!() };
        assert_eq!((active.client_id().as_deref(), active.scope().as_deref()), (client_id, scope));
        run.sent(&[INTROSPECT]);
    }
    let (mut run, result) = introspected([json(200, &json!({ "active": false, "sub": "alice", "scope": "admin" }))]);
    assert!(matches!(result, Ok(Introspected::Inactive)), "the type has no place for more");
    run.sent(&[INTROSPECT]);
}

fn revoked(client: &Client, answers: impl IntoIterator<Item = Answer>) -> (Run<Revocation>, Result<(), Error>) {
    let flow = Revocation::new(client, &Secret::from("canary-refresh"), TokenKind::Refresh).unwrap();
    let mut run = Run::new(flow).answering(answers);
    let stop = result(run.start());
    (run, stop)
}

#[test]
fn ir_07_answers_49_200_and_204_are_success_whatever_the_body_says() {
    let successes: [fn() -> Answer; 5] = [
        || answer(200, &[], ""),
        || json(200, &json!({})),
        || answer(200, &[("content-type", "application/octet-stream")], b"\x00\x01"),
        || answer(204, &[], ""),
        || json(200, &json!({ "error": "unknown_token" })),
    ];
    for success in successes {
        let (mut run, result) = revoked(&public(), [success()]);
        assert_eq!(result, Ok(()));
        run.sent(&[REVOKE]);
    }
}

#[test]
fn ir_08_a_token_is_never_called_revoked_when_that_is_not_known() {
    let (mut run, result) = revoked(&public(), (0..4).map(|_| answer(503, &[("retry-after", "5")], "")));
    let error = result.unwrap_err();
    assert!(matches!(error.advice(), Advice::Retry { not_before: Some(_) }), "{error:?}");
    run.sent(&[REVOKE; 4]);
    let (mut run, result) = revoked(&public(), [answer(503, &[("retry-after", "1")], ""), answer(200, &[], "")]);
    assert_eq!(result, Ok(()));
    run.sent(&[REVOKE; 2]);
    for answer in [
        lost(Delivery::Unknown, TransportKind::Timeout),
        answer(500, &[], ""),
        answer(202, &[], ""),
        redirect_to(302, "/"),
    ] {
        let (mut run, result) = revoked(&public(), [answer]);
        assert!(result.is_err());
        run.sent(&[REVOKE]);
    }
    let hand_made = || ServerMetadata::by_hand(ISSUER, UrlPolicy::default()).unwrap();
    let http = hand_made().with_endpoint(Endpoint::Revocation, "http://as.example/revoke");
    assert!(matches!(http, Err(Error::Config(ConfigError::Url { endpoint: Endpoint::Revocation, .. }))));
    let without = Client::builder(hand_made(), CLIENT_ID).build().unwrap();
    let made = Revocation::new(&without, &Secret::from("canary-refresh"), TokenKind::Refresh);
    assert_eq!(made.unwrap_err(), Error::Config(ConfigError::EndpointMissing(Endpoint::Revocation)));
}

#[test]
fn ir_09_a_public_client_names_itself() {
    let (mut run, result) = revoked(&public(), [answer(200, &[], "")]);
    assert_eq!(result, Ok(()));
    assert_eq!(run.last().field("client_id"), Some(CLIENT_ID));
    assert_eq!(run.last().header("authorization"), None);
    run.sent(&[REVOKE]);
}

#[test]
fn ir_10_a_kind_of_token_that_cannot_be_revoked_is_told() {
    let (mut run, result) = revoked(&public(), [refusal("unsupported_token_type")]);
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.code == "unsupported_token_type"), "{error:?}");
    run.sent(&[REVOKE]);
}

fn profiled(answers: impl IntoIterator<Item = Answer>) -> (Run<UserInfo>, Result<Profile, Error>) {
    let flow = UserInfo::new(&public(), &Secret::from("canary-access"), "alice").unwrap();
    let mut run = Run::new(flow).answering(answers);
    let stop = result(run.start());
    (run, stop)
}

#[test]
fn ui_01_an_answer_about_somebody_else_shows_nothing() {
    let (mut run, result) = profiled([json(200, &json!({ "sub": "mallory", "email": "m@evil.example" }))]);
    assert_eq!(result.unwrap_err(), Error::Security(SecurityError::SubjectMismatch));
    run.sent(&[USERINFO]);
    for sub in [json!(""), json!(5), json!(["alice"]), json!("Alice "), json!("alice\u{0}")] {
        let (mut run, result) = profiled([json(200, &json!({ "sub": sub }))]);
        assert!(result.is_err(), "{sub}");
        run.sent(&[USERINFO]);
    }
    // Nobody is no other person either.
    let (mut run, result) = profiled([json(200, &json!({ "sub": "" }))]);
    assert!(matches!(result, Err(Error::Protocol(error)) if error.rule == Rule::MemberInvalid("sub")));
    run.sent(&[USERINFO]);
    let (mut run, result) = profiled([json(200, &json!({ "email": "a@as.example" }))]);
    assert!(matches!(result, Err(Error::Protocol(error)) if error.rule == Rule::MemberMissing("sub")));
    run.sent(&[USERINFO]);
    let (mut run, result) = profiled([json(200, &json!({ "sub": "alice" }))]);
    assert_eq!(result.unwrap().subject(), "alice");
    run.sent(&[USERINFO]);
}

#[test]
fn ui_03_what_is_no_profile_is_refused_and_asked_for_once() {
    let large = format!("{}{}", json!({ "sub": "alice" }), " ".repeat(1024 * 1024));
    let answers = [
        redirect_to(307, "https://evil.example/userinfo"),
        answer(401, &[("www-authenticate", r#"Bearer error="invalid_token""#)], ""),
        answer(200, &[("content-type", "application/json")], large),
        answer(200, &[("content-type", "text/html")], json!({ "sub": "alice" }).to_string()),
        answer(200, &[("content-type", "application/jwt")], "a.b.c"),
    ];
    for answer in answers {
        let (mut run, result) = profiled([answer]);
        assert!(result.is_err());
        run.sent(&[USERINFO]);
    }
    let (mut run, result) = profiled([answer(401, &[("www-authenticate", r#"Bearer error="invalid_token""#)], "")]);
    assert_eq!(result.unwrap_err().advice(), Advice::LogInAgain);
    run.sent(&[USERINFO]);
}

#[test]
fn ui_04_claims_that_live_elsewhere_are_not_fetched() {
    let sources = json!({
        "sub": "alice",
        "_claim_names": { "address": "src1", "phone": "src2" },
        "_claim_sources": {
            "src1": { "endpoint": "http://169.254.169.254/latest", "access_token": "canary-extra" },
            "src2": { "JWT": "eyJhbGciOiJub25lIn0.e30." },
        },
    });
    let (mut run, result) = profiled([json(200, &sources)]);
    let profile = result.unwrap();
    assert!(!format!("{profile:?}").contains("canary"));
    assert_eq!(profile.extra::<Value>().unwrap().get("address"), None);
    run.sent(&[USERINFO]);
}

#[test]
fn ui_05_an_address_is_verified_by_the_boolean_true_alone() {
    for (verified, expected) in [
        (json!(true), Some("a@as.example")),
        (json!("true"), None),
        (json!("false"), None),
        (json!(1), None),
        (json!(false), None),
        (json!(null), None),
    ] {
        let (mut run, result) =
            profiled([json(200, &json!({ "sub": "alice", "email": "a@as.example", "email_verified": verified }))]);
        assert_eq!(result.unwrap().verified_email().as_deref(), expected, "{verified}");
        run.sent(&[USERINFO]);
    }
}

#[test]
fn ir_06_waiting_for_an_answer_shows_no_token() {
    let flow = UserInfo::new(&public(), &Secret::from("canary-access"), "alice").unwrap();
    let mut run = Run::new(flow);
    run.start().waits_for(EffectKind::Send);
    run.sent(&[USERINFO]);
}
