//! What users of other libraries rely on in logins and stored tokens (catalogue A). What concerns listeners and templates of
//! requests stands beside these.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::callback::ResponseMode;
use grantflow_core::client::Authentication;
use grantflow_core::error::{
    BadCallback, ConfigError, Delivery, Error, Expired, LoginNeeded, Rule, StoreFault, TransportKind,
};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{
    AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras, GrantKind, Refresh,
};
use grantflow_core::http::Body;
use grantflow_core::loopback::{Connection, Heard, Notice, Pages, Reception};
use grantflow_core::machine::EffectKind;
use grantflow_core::token::{Tester, TokenSet, Verdict};
use grantflow_core::{Random, RandomUnavailable, Secret};
use serde_json::json;

use crate::authorization_response::waiting;
use crate::lifecycle::rig::{self, Turn, both, lasting, text};
use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

/// The names in the authorization URL, in order.
fn asked(run: &Run<AuthorizationCode>) -> Vec<String> {
    run.redirect.as_ref().unwrap().url.query_pairs().map(|(name, _)| name.into_owned()).collect()
}

fn fields(view: &View) -> BTreeSet<&str> {
    let names: BTreeSet<_> = view.form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), view.form.len(), "a field stands in the form twice");
    names
}

#[test]
fn a_02_the_name_of_the_service_is_for_people() {
    assert_eq!(Pages::default().service(), None);
    let pages = Pages::default().with_service("The Archive");
    assert_eq!(pages.service(), Some("The Archive"));
    assert!(String::from_utf8_lossy(pages.success().as_bytes()).contains("You are logged in to The Archive"));
    assert_eq!(
        Notice::Opening { service: "The Archive".to_owned() }.to_string(),
        "Opening The Archive in your browser. Log in to The Archive, authorise, and return here after"
    );
}

/// What kind an error is, told without reading a text.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Config(ConfigError::Missing(_)) => "missing",
        Error::Config(_) => "config",
        Error::Transport(error) if error.delivery == Delivery::NotSent => "not sent",
        Error::Transport(_) => "unknown delivery",
        Error::Protocol(_) => "protocol",
        Error::Refused(_) => "refused",
        Error::Callback(_) => "callback",
        Error::Expired(Expired::Callback) => "nobody came",
        Error::Store(_) => "store",
        Error::LoginNeeded(_) => "login needed",
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_03_failures_of_every_kind_are_told_apart_without_reading() {
    let after = |answer: Answer| {
        let mut run = waiting(&public(), "").answering([answer]);
        let error = run.come_back().failed();
        run.sent(&[TOKEN]);
        error
    };
    let callback = |query: &str| waiting(&public(), "").call_back(query).failed();
    let mut late = waiting(&public(), "");
    late.now = BEGIN.plus(Duration::from_secs(600));
    let mut errors = vec![
        after(lost(Delivery::Unknown, TransportKind::Reset)),
        after(json(200, &json!([]))),
        after(refusal("invalid_grant")),
        callback("code=a&error=b&state={state}&iss={iss}"),
        late.come_back().failed(),
        Authentication::from_name("client_secret_basic", None).unwrap_err(),
        Authentication::from_name("no_such", None).unwrap_err(),
    ];
    both(|rig| {
        let kept = rig.session("me");
        assert_eq!(kind(&kept.credential().unwrap_err()), "login needed");
        rig.shelf.breaks(&["load"]);
        assert_eq!(kind(&rig.session("other").credential().unwrap_err()), "store");
    });
    let mut unsent = Run::new(ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap())
        .answering((0..9).map(|_| lost(Delivery::NotSent, TransportKind::Connect)));
    errors.push(unsent.start().failed());
    unsent.all_sent();
    let kinds: BTreeSet<_> = errors.iter().map(kind).collect();
    assert_eq!(kinds.len(), errors.len(), "{kinds:?}");
}

#[test]
fn a_06_a_58_what_was_set_can_be_set_anew_and_one_tester_judges() {
    let first = AuthorizationRequest::new("https://app.example/old").scope("read").scope("write");
    let mut run = Run::new(AuthorizationCode::new(&public(), first).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("scope").as_deref(), Some("write"));
    let tester = Tester::new();
    assert!(matches!(tester.judge(Some(&lasting(100)), rig::BEGIN), Verdict::Passed));
    let tester = tester.minimum_life(Duration::from_secs(200));
    assert!(matches!(tester.judge(Some(&lasting(100)), rig::BEGIN), Verdict::Expiring));
    assert!(matches!(tester.judge(None, rig::BEGIN), Verdict::Absent));
}

#[test]
fn a_08_the_kinds_of_grants_are_enumerated_by_the_names_that_are_sent() {
    let tokens = TokenSet::from_record(br#"{"access_token":"a","token_type":"Bearer","refresh_token":"r"}"#, BEGIN);
    let mut code = waiting(&public(), "");
    code.come_back().waits_for(EffectKind::Send);
    let mut own = Run::new(ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap());
    own.start().waits_for(EffectKind::Send);
    let device = json!({ "device_code": "canary-device-code", "user_code": "canary-user-code", "verification_uri": "https://as.example/d", "expires_in": 60 });
    let mut screen = Run::new(Device::new(&public(), "", Extras::default()).unwrap()).answering([json(200, &device)]);
    screen.start().waits_for(EffectKind::Send);
    let mut renewal = Run::new(Refresh::new(&public(), RefreshRequest::of(&tokens.unwrap()).unwrap()).unwrap());
    renewal.start().waits_for(EffectKind::Send);
    let sent = [code.last(), own.last(), screen.last(), renewal.last()].map(|view| view.field("grant_type").unwrap());
    assert_eq!(GrantKind::ALL.iter().map(|kind| kind.grant_type()).collect::<Vec<_>>(), sent);
    code.all_sent();
    own.all_sent();
    screen.all_sent();
    renewal.all_sent();
}

#[test]
fn a_09_the_clients_own_tokens_are_asked_for_in_a_form_without_a_secret_in_the_target() {
    for authentication in [Authentication::SecretBasic, Authentication::SecretPost] {
        let client = builder(json!({})).authentication(authentication(Secret::from("canary-client-secret"))).build();
        let mut run = Run::new(ClientCredentials::new(&client.unwrap(), "", &Extras::default()).unwrap())
            .answering([json(200, &tokens())]);
        run.start().done();
        let view = run.last();
        assert_eq!(view.field("grant_type"), Some("client_credentials"));
        assert_eq!(view.header("accept"), Some("application/json"));
        assert!(view.header("content-type").unwrap().starts_with("application/x-www-form-urlencoded"));
        // The target is the endpoint and nothing else.
        run.sent(&[TOKEN]);
    }
}

#[test]
fn a_11_a_13_a_50_a_clients_own_token_is_kept_used_and_replaced_but_only_by_a_usable_one() {
    both(|rig| {
        // Nothing stored.
        assert_eq!(text(&rig.own().credential().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "load claim load token save");
        assert!(rig.shelf.kept("own").unwrap().contains("canary-a1"));
        // Stored and valid: another program uses it.
        let kept = rig.own();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "load");
        // Stored and stale.
        rig.time.pass(3600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a2");
        assert!(rig.happened().ends_with("token save"));
        let stored = rig.shelf.kept("own").unwrap();
        assert!(stored.contains("canary-a2") && !stored.contains("canary-a1"));
        // What comes is of no use: nothing is saved.
        rig.time.pass(3600);
        rig.authority.next([Turn::Answer(200, r#"{"token_type":"Bearer","expires_in":60}"#.to_owned())]);
        let Error::Protocol(error) = kept.credential().unwrap_err() else { panic!("no token came") };
        assert_eq!(error.rule, Rule::MemberMissing("access_token"));
        assert!(!rig.happened().contains("save"));
        assert_eq!(rig.shelf.kept("own").unwrap(), stored);
    });
}

#[test]
fn a_15_a_session_refreshes_first_and_only_a_refusal_needs_a_person() {
    both(|rig| {
        let kept = rig.session("me");
        assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        assert_eq!(rig.happened(), "load");
        // The person has logged in: saved at once, used without a request.
        kept.adopt(rig::tokens()).unwrap();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        assert!(rig.happened().ends_with("save"));
        // Stale: one refresh.
        rig.time.pass(3600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "claim load refresh save");
        // The refresh is refused: a person is needed, and the next login goes on.
        rig.time.pass(3600);
        rig.authority.next([Turn::refused("invalid_grant")]);
        assert!(matches!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::Ended(_))));
        assert!(rig.happened().starts_with("claim load refresh"));
        rig.time.set(rig::BEGIN);
        kept.adopt(rig::tokens()).unwrap();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
    });
}

#[test]
fn a_19_a_person_is_sent_with_exactly_these_parameters() {
    let names = ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];
    let mut run = waiting(&public(), "");
    let mut found = asked(&run);
    found.sort();
    assert_eq!(found, names, "an empty scope is left out");
    assert_eq!(run.parameter("response_type").as_deref(), Some("code"));
    assert_eq!(run.parameter("redirect_uri").as_deref(), Some(REDIRECT_URI));
    run.sent(&[]);
    let mut run = waiting(&public(), "read write");
    assert_eq!(asked(&run).len(), names.len() + 1);
    assert_eq!(run.parameter("scope").as_deref(), Some("read write"));
    run.sent(&[]);
}

#[test]
fn a_20_a_code_is_redeemed_with_exactly_these_parameters() {
    let uri = "https://app.example/cb?x=%C3%A9&y=a+b";
    let flow = AuthorizationCode::new(&public(), AuthorizationRequest::new(uri)).unwrap();
    let mut run = Run::new(flow).answering([json(200, &tokens())]);
    run.start().waits_for(EffectKind::Redirect);
    let asked = run.parameter("redirect_uri").unwrap();
    run.come_back().done();
    let expected = ["client_id", "code", "code_verifier", "grant_type", "redirect_uri"];
    assert_eq!(fields(run.last()), BTreeSet::from(expected));
    assert_eq!((asked.as_str(), run.last().field("redirect_uri")), (uri, Some(uri)));
    run.sent(&[TOKEN]);
}

#[test]
fn a_21_nothing_is_sent_to_the_authorization_endpoint_and_its_query_is_kept() {
    let client = builder(json!({ "authorization_endpoint": "https://as.example/authorize?tenant=a%20b&x=" }));
    let mut run = waiting(&client.build().unwrap(), "read");
    let url = run.redirect.as_ref().unwrap().url.to_string();
    assert!(url.starts_with("https://as.example/authorize?tenant=a%20b&x=&"), "{url}");
    assert_eq!(run.parameter("scope").as_deref(), Some("read"));
    run.sent(&[]);
}

#[test]
fn a_24_h_24_a_denial_ends_the_login_and_what_is_foreign_does_not() {
    let mut run = waiting(&public(), "");
    for (query, why) in [
        ("code=canary-code", BadCallback::StateMissing),
        ("code=canary-code&state=0b3c", BadCallback::StateMismatch),
        ("error=access_denied&state=other", BadCallback::StateMismatch),
    ] {
        run.call_back(query).waits_for(EffectKind::Redirect);
        assert_eq!(run.refused(), Some(why));
    }
    let denial = "error=access_denied&error_description=not+today&state={state}&iss={iss}";
    let Error::Refused(refusal) = run.call_back(denial).failed() else { panic!("a denial is a refusal") };
    assert_eq!((refusal.code.as_str(), refusal.description.as_deref()), ("access_denied", Some("not today")));
    run.sent(&[]);
    let hears = |mode: ResponseMode, request: &str| {
        let reception = Reception::new("http://127.0.0.1:5000/callback", mode).unwrap();
        Connection::new(&reception).receive(request.as_bytes())
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n\r\n");
    for path in ["/favicon.ico", "/", "/other?code=c&state=s"] {
        let Heard::Answer(reply) = hears(ResponseMode::Query, &get(path)) else { panic!("{path}") };
        assert_eq!(reply.status(), 404);
    }
    assert!(matches!(hears(ResponseMode::Query, &get("/callback?code=c&state=s")), Heard::Callback(_)));
    let form = "POST /callback HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\ncode=c&state=s";
    assert!(matches!(hears(ResponseMode::FormPost, form), Heard::Callback(_)));
}

/// Gives other bytes each time.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        self.0 = self.0.wrapping_add(7);
        out.fill(self.0);
        Ok(())
    }
}

/// A login with this randomness: the challenge and the verifier.
fn verifier(random: impl Random + 'static) -> (String, String) {
    let mut run = Run::new(AuthorizationCode::new(&public(), AuthorizationRequest::new(REDIRECT_URI)).unwrap());
    run.random = Box::new(random);
    run.start().waits_for(EffectKind::Redirect);
    let challenge = run.parameter("code_challenge").unwrap();
    assert_eq!(run.parameter("code_challenge_method").as_deref(), Some("S256"));
    run.come_back().waits_for(EffectKind::Send);
    run.sent(&[TOKEN]);
    (challenge, run.last().field("code_verifier").unwrap().to_owned())
}

#[test]
fn a_29_a_30_h_25_verifiers_are_of_legal_length_and_alphabet_and_made_for_each_login() {
    let mut seen = BTreeSet::new();
    for begin in 0..=35 {
        let (_, verifier) = verifier(Counting(begin * 7));
        assert!((43..=128).contains(&verifier.len()), "RFC 7636 §4.1");
        assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{verifier}");
        seen.insert(verifier);
    }
    assert_eq!(seen.len(), 36);
    // Nobody can give one of another length.
    let own = Extras::new([("code_verifier", "x".repeat(42))]).unwrap_err();
    assert_eq!(own, Error::Config(ConfigError::ReservedParameter("code_verifier".to_owned())));
}

/// The octets of RFC 7636, appendix B.
struct AppendixB;

impl Random for AppendixB {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        const OCTETS: [u8; 32] = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
            240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        out.copy_from_slice(&OCTETS[..out.len()]);
        Ok(())
    }
}

#[test]
fn a_31_the_challenge_of_the_rfcs_verifier_is_the_rfcs() {
    let (challenge, verifier) = verifier(AppendixB);
    assert_eq!(verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn a_32_no_setting_is_ignored() {
    for name in ["client_secret", "redirect_uri", "code_challenge_method", "grant_type"] {
        let error = Extras::new([(name, "x")]).unwrap_err();
        assert_eq!(error, Error::Config(ConfigError::ReservedParameter(name.to_owned())));
    }
    let unknown = Authentication::from_name("client_secret_magic", Some(Secret::from("s"))).unwrap_err();
    assert_eq!(unknown, Error::Config(ConfigError::AuthenticationUnknown("client_secret_magic".to_owned())));
    let flow = AuthorizationCode::new(&public(), AuthorizationRequest::new("http://127.0.0.1:32000/here")).unwrap();
    let mut run = Run::new(flow);
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("redirect_uri").as_deref(), Some("http://127.0.0.1:32000/here"));
    run.sent(&[]);
}

#[test]
fn a_33_a_34_a_client_with_a_secret_sends_basic_and_the_verifier_and_basic_again_on_refresh() {
    let mut run = waiting(&confidential(), "").answering([json(200, &tokens())]);
    assert_eq!(run.parameter("client_id").as_deref(), Some(CLIENT_ID));
    let issued = run.come_back().done();
    assert_eq!(fields(run.last()), BTreeSet::from(["code", "code_verifier", "grant_type", "redirect_uri"]));
    let basic = run.last().header("authorization").unwrap().to_owned();
    assert!(basic.starts_with("Basic "), "{basic}");
    run.sent(&[TOKEN]);
    let mut run = Run::new(Refresh::new(&confidential(), RefreshRequest::of(&issued).unwrap()).unwrap())
        .answering([json(200, &tokens())]);
    run.start().done();
    assert_eq!(run.last().header("authorization"), Some(basic.as_str()));
    assert_eq!(fields(run.last()), BTreeSet::from(["grant_type", "refresh_token"]));
    run.sent(&[TOKEN]);
}

#[test]
fn a_41_a_template_is_sent_once_and_whoever_judges_reads_the_answer() {
    let template = http::Request::get("https://api.example/me").body(Body::new(Vec::new())).unwrap();
    let knows = |answer: &http::Response<Body>| answer.status() == 200 && answer.body().expose() == b"it is you";
    let tester = Tester::new().live(template, Arc::new(knows)).unwrap();
    let Verdict::Unproven(request) = tester.judge(Some(&rig::tokens()), rig::BEGIN) else { panic!("no request") };
    assert_eq!(request.uri(), "https://api.example/me");
    assert_eq!(request.headers()["authorization"], "Bearer canary-a0");
    let answer = |body: &str| http::Response::new(Body::new(body.as_bytes().to_vec()));
    assert!(tester.accepts(&answer("it is you")));
    assert!(!tester.accepts(&answer("who is it")));
}

#[test]
fn a_47_what_prints_a_token_set_shows_none_of_its_secrets() {
    let record = json!({
        "access_token": "canary-access", "token_type": "Bearer", "refresh_token": "canary-refresh",
        "id_token": "canary-id-token", "client_secret": "canary-client-secret", "note": "canary-extra",
    });
    let set = TokenSet::from_record(record.to_string().as_bytes(), BEGIN).unwrap();
    let printed = format!("{set:?} {set:#?} {:?}", set.to_record());
    assert!(!printed.contains("canary"), "{printed}");
    assert!(set.access_token().matches("canary-access"));
    let broken = TokenSet::from_record(br#"{"access_token":{"canary-access":1}}"#, BEGIN).unwrap_err();
    assert!(!format!("{broken} {broken:?}").contains("canary"));
}

#[test]
fn a_48_damage_is_told_and_stays_until_there_is_a_new_token() {
    for damage in ["", "[1]", "{", "7"] {
        both(|rig| {
            rig.shelf.put("me", damage);
            let kept = rig.session("me");
            let Error::Store(error) = kept.credential().unwrap_err() else { panic!("{damage}") };
            assert_eq!(error.fault, StoreFault::Corrupt);
            assert_eq!(rig.shelf.kept("me").as_deref(), Some(damage), "the damage is not overwritten");
            kept.adopt(rig::tokens()).unwrap();
            assert!(rig.shelf.kept("me").unwrap().contains("canary-a0"));
        });
    }
    both(|rig| {
        let missing = rig.session("nobody").credential().unwrap_err();
        assert_eq!(missing, Error::LoginNeeded(LoginNeeded::NoSession));
    });
}
