//! What users of other libraries rely on in authorizers and sessions (catalogue E and H).

use std::collections::BTreeSet;
use std::time::Duration;

use grantflow_core::callback::CallbackParams;
use grantflow_core::client::Authentication;
use grantflow_core::crypto::AwsLc;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Revocation};
use grantflow_core::error::{Advice, BadCallback, Delivery, Endpoint, Error, Expired, Refusal, TransportKind};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Extras, PendingFlows};
use grantflow_core::loopback::Pages;
use grantflow_core::machine::{Effect, EffectKind, Event, Step};
use grantflow_core::manager::{Charset, Credential};
use grantflow_core::{Secret, Snapshot};
use serde_json::json;

use crate::authorization_response::waiting;
use crate::lifecycle::rig::{self, Which, both, text};
use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

fn asking() -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap())
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// What comes of this answer to a request for tokens.
fn after(answer: Answer) -> Error {
    let mut run = asking().answering([answer]);
    let error = run.start().failed();
    run.sent(&[TOKEN]);
    error
}

#[test]
fn e_04_a_name_and_a_password_are_one_credential_that_shows_no_password() {
    let password = Secret::from("canary-password");
    let credential = Credential::basic("alice", &password, Charset::Utf8, &AwsLc).unwrap();
    let printed = format!("{password:?} {credential:?} {credential:#?}");
    assert!(!printed.contains("canary") && !printed.contains("YWxpY2U6"), "{printed}");
    let headers: Vec<_> = credential.headers().collect();
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[0].1, "Basic YWxpY2U6Y2FuYXJ5LXBhc3N3b3Jk");
    assert!(headers[0].1.is_sensitive(), "nor does what prints headers");
}

#[test]
fn e_18_what_nobody_knows_has_its_status_and_a_message_that_is_cut() {
    let long = "x".repeat(100_000);
    let refusal = refused(after(json(418, &json!({ "error": "tea_only", "error_description": long }))));
    assert_eq!(refusal.code, "tea_only");
    assert_eq!(refusal.answer.unwrap().status, 418);
    assert!(refusal.description.unwrap().len() <= 1024 + 16);
    for status in [500, 429] {
        let mut run = asking().answering((0..9).map(|_| answer(status, &[], "")));
        let Error::Transport(error) = run.start().failed() else { panic!("{status}") };
        assert_eq!((error.kind, error.answer.unwrap().status), (TransportKind::Unavailable, status));
        run.all_sent();
    }
}

#[test]
fn e_19_wrong_client_data_are_told_and_the_secret_is_not_shown() {
    for (status, code) in [(401, "invalid_client"), (400, "unauthorized_client")] {
        // The server repeats what it was sent.
        let said = json!({ "error": code, "error_description": "no canary-client-secret here" });
        let error = after(json(status, &said));
        assert_eq!(error.advice(), Advice::FixConfig);
        assert!(!format!("{error} {error:?}").contains("canary-client-secret"));
        assert_eq!(refused(error).code, code);
    }
    assert!(!format!("{:?}", confidential()).contains("canary-client-secret"));
    assert_eq!(confidential().client_id(), CLIENT_ID);
}

#[test]
fn e_21_a_refusal_is_the_same_error_from_every_endpoint() {
    let token = Secret::from("canary-access");
    for (code, advice) in [
        ("invalid_client", Advice::FixConfig),
        ("unauthorized_client", Advice::FixConfig),
        ("invalid_request", Advice::FixConfig),
        ("invalid_grant", Advice::LogInAgain),
        ("access_denied", Advice::GiveUp),
        ("nobody_knows", Advice::Report),
    ] {
        let said = || json(400, &json!({ "error": code, "error_description": "why" }));
        let mut asked =
            Run::new(Introspection::new(&confidential(), &token, TokenKind::Access).unwrap()).answering([said()]);
        let mut revoked =
            Run::new(Revocation::new(&confidential(), &token, TokenKind::Access).unwrap()).answering([said()]);
        let errors = [after(said()), asked.start().failed(), revoked.start().failed()];
        asked.all_sent();
        revoked.all_sent();
        let endpoints = errors.clone().map(|error| refused(error).endpoint);
        assert_eq!(endpoints, [Endpoint::Token, Endpoint::Introspection, Endpoint::Revocation]);
        for error in errors {
            assert_eq!(error.advice(), advice, "{code}");
            let refusal = refused(error);
            assert_eq!((refusal.code.as_str(), refusal.description.as_deref()), (code, Some("why")));
        }
    }
}

/// A service of somebody's own, which gives out one ticket.
struct Tickets;

impl grantflow_blocking::Authorize for Tickets {
    type Token = Option<String>;

    fn authorize(&self) -> Result<Option<String>, Error> {
        Ok(Some("ticket".to_owned()))
    }

    fn expired(&self, token: &Option<String>) -> bool {
        token.is_some()
    }

    fn refresh(&self, _: &Option<String>) -> Result<Option<String>, Error> {
        Err(after(refusal("sold_out")))
    }

    fn access_token(&self, token: &Option<String>) -> Secret {
        Secret::from(token.clone().unwrap_or_default())
    }
}

#[test]
fn e_23_another_service_is_three_functions_and_the_librarys_errors() {
    use grantflow_blocking::Authorizer;
    let tickets = grantflow_blocking::Custom::new(Tickets);
    assert_eq!(tickets.headers().unwrap()["authorization"], "Bearer ticket");
    assert_eq!(refused(tickets.headers().unwrap_err()).code, "sold_out");
}

#[test]
fn h_02_without_a_store_nothing_is_stored() {
    // By hand: nothing but requests is asked of the caller.
    let mut run = asking();
    let mut kinds = Vec::new();
    let mut step = run.handle(Event::Start).unwrap();
    while let Step::Do(effect) = step {
        kinds.push(effect.kind());
        let Effect::Send(_) = effect else { panic!("{effect:?}") };
        let mut response = http::Response::new(grantflow_core::http::Body::new(tokens().to_string().into_bytes()));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        step = run.handle(Event::Response(response)).unwrap();
    }
    assert_eq!(kinds, [EffectKind::Send]);
    // With a driver that was given no store, nothing survives the handle.
    both(|rig| {
        let settings = || rig::settings(&rig_client(), "me");
        let kept = || match rig.which {
            Which::Tokio => {
                let driver = grantflow_tokio::Driver::with_client(rig.authority.clone()).with_clock(rig.time.clone());
                rig.tokio(grantflow_tokio::TokenHandle::new(driver, settings()))
            }
            Which::Blocking => {
                let driver = grantflow_blocking::Driver::with_client(rig.authority.clone());
                let driver = driver.with_clock(rig.time.clone());
                rig::Kept::Blocking(grantflow_blocking::TokenHandle::new(driver, settings()))
            }
        };
        let first = kept();
        first.adopt(rig::tokens()).unwrap();
        assert_eq!(text(&first.credential().unwrap()), "canary-a0");
        assert!(matches!(kept().credential().unwrap_err(), Error::LoginNeeded(_)));
        assert_eq!(rig.happened(), "");
    });
}

fn rig_client() -> grantflow_core::client::Client {
    grantflow_core::testing::specimens::public()
}

#[test]
fn h_07_two_authorizers_share_one_transport_that_the_caller_gives() {
    both(|rig| {
        let (session, own) = (rig.session("me"), rig.own());
        session.adopt(rig::tokens()).unwrap();
        rig.time.pass(3600);
        let first = text(&session.credential().unwrap()).to_owned();
        let second = text(&own.credential().unwrap()).to_owned();
        assert_eq!((first.as_str(), second.as_str()), ("canary-a1", "canary-a2"), "one server has answered both");
        assert_eq!(rig.authority.asked(), 2);
    });
}

#[test]
fn h_11_a_refresh_gives_the_whole_token_to_whoever_keeps_it_and_returns_it() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(10);
        assert_eq!(text(&kept.renew().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "claim load refresh save");
        assert_eq!(rig.authority.sent(), ["grant_type=refresh_token&refresh_token=canary-r0&client_id=client"]);
        let record = rig.shelf.kept("me").unwrap();
        for member in [r#""access_token""#, "canary-a1", r#""refresh_token""#, "canary-r1", r#""expires_at""#] {
            assert!(record.contains(member), "{member}: {record}");
        }
    });
}

#[test]
fn h_20_a_secret_in_the_form_and_an_error_that_is_no_json_keeps_its_status() {
    let authentication = Authentication::SecretPost(Secret::from("canary-client-secret"));
    let client = builder(json!({})).authentication(authentication).build().unwrap();
    let mut run = waiting(&client, "").answering([json(200, &tokens())]);
    run.come_back().done();
    assert_eq!(run.last().field("client_id"), Some(CLIENT_ID));
    assert_eq!(run.last().field("client_secret"), Some("canary-client-secret"));
    assert_eq!(run.last().header("authorization"), None);
    run.sent(&[TOKEN]);
    for status in [400, 403, 502] {
        let facts = match after(answer(status, &[("content-type", "text/html")], "<h1>no</h1>")) {
            Error::Protocol(error) => error.answer.unwrap(),
            Error::Transport(error) => *error.answer.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(facts.status, status);
    }
}

#[test]
fn h_22_time_runs_out_by_name_at_each_step() {
    let request = AuthorizationRequest::new(REDIRECT_URI).lifetime(Duration::from_secs(30));
    let mut run = Run::new(AuthorizationCode::new(&public(), request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    run.now = BEGIN.plus(Duration::from_secs(30));
    assert_eq!(run.come_back().failed(), Error::Expired(Expired::Callback));
    run.sent(&[]);
    let mut run = waiting(&public(), "").answering([lost(Delivery::Unknown, TransportKind::Timeout)]);
    let Error::Transport(error) = run.come_back().failed() else { panic!("a timeout is the transport's") };
    assert_eq!((error.endpoint, error.kind), (Endpoint::Token, TransportKind::Timeout));
    run.sent(&[TOKEN]);
    // Whoever sends is told how long that may take.
    let mut run = asking();
    let Ok(Step::Do(Effect::Send(outgoing))) = run.handle(Event::Start) else { panic!("nothing to send") };
    assert_eq!(outgoing.timeout, Duration::from_secs(30));
}

#[test]
fn h_23_the_state_is_opaque_bound_to_its_login_used_once_and_failures_are_4xx() {
    let run = waiting(&public(), "");
    let state = run.parameter("state").unwrap();
    assert_eq!(state.len(), 43, "256 bits, and nothing that can be read");
    let come = |query: &str| CallbackParams::from_query(query).unwrap();
    let good = come(&format!("code=canary-code&state={state}&iss={ISSUER}"));
    let mut pending = PendingFlows::default();
    pending.insert("browser", &run.machine, BEGIN).unwrap();
    assert!(pending.take("another browser", &good, BEGIN).is_err());
    let snapshot: Snapshot = pending.take("browser", &good, BEGIN).unwrap();
    assert!(pending.take("browser", &good, BEGIN).is_err(), "used once");
    // The flow that is taken up has its own verifier and redirect URI.
    let mut resumed =
        Run::new(AuthorizationCode::restore(&public(), snapshot).unwrap()).answering([json(200, &tokens())]);
    resumed.give(Event::Callback(good)).done();
    assert_eq!(resumed.last().field("redirect_uri"), Some(REDIRECT_URI));
    resumed.sent(&[TOKEN]);
    pending.insert("browser", &run.machine, BEGIN).unwrap();
    let late = BEGIN.plus(Duration::from_secs(600));
    assert!(pending.take("browser", &come(&format!("code=c&state={state}")), late).is_err(), "over after its time");
    let pages = Pages::default();
    let replies = [pages.refused(BadCallback::StateMismatch), pages.failure("no"), pages.late(), pages.slow()];
    let statuses: BTreeSet<_> = replies.iter().map(grantflow_core::loopback::Reply::status).collect();
    assert!(statuses.iter().all(|status| (400..500).contains(status)), "{statuses:?}");
}

#[test]
fn h_28_a_fixed_public_page_hands_the_callback_on_and_nothing_listens() {
    let relay = "https://relay.example/redirect/oauth";
    let mut run = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(relay)).unwrap())
        .answering([json(200, &tokens())]);
    run.start().waits_for(EffectKind::Redirect);
    let state = run.parameter("state").unwrap();
    // The application was given the address by the page, at an address of its own.
    let handed_on = format!("https://home.example/auth/external?code=canary-code&state={state}&iss={ISSUER}");
    run.give(Event::Callback(CallbackParams::from_url(&handed_on).unwrap())).done();
    assert_eq!(run.last().field("redirect_uri"), Some(relay));
    run.sent(&[TOKEN]);
}
