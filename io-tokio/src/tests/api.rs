//! Requests to resource servers: what goes over the wire, and how often.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::error::{ConfigError, Error, LoginNeeded, SendFailure, UrlFlaw};
use grantflow_core::http::Body;
use grantflow_core::machine::Outgoing;
use grantflow_core::manager::{API_KEY_HEADER, Change, Placement};
use grantflow_core::resource::{Audience, RequestSettings, StepUp, Template, challenge_of};
use grantflow_core::store::StoreKey;
use grantflow_core::token::{Tester, TokenSet};
use grantflow_core::{Secret, Timestamp};
use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{NOW, server};
use crate::{
    Api, Authorize, Authorizer, Clock, Custom, Driver, Fixed, HttpClient, ManualClock, Pending, Refresher, TokenHandle,
    Tokens,
};

/// One request, as a resource server has seen it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }

    pub(super) fn token(&self) -> String {
        let [one] = &self.headers("authorization")[..] else { panic!("not one token: {}", self.head) };
        one.clone()
    }

    fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

/// A resource server on loopback.
pub(super) struct Resource {
    pub(super) base: String,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Resource {
    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(super) fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        self.all().iter().map(Asked::token).collect()
    }

    pub(super) fn audience(&self) -> Audience {
        Audience::only(&self.base).unwrap().dangerous_allow_loopback_http()
    }
}

/// A resource server that gives the status, headers and body that `answer` gives.
pub(super) async fn resource(
    answer: impl Fn(&Asked) -> (u16, String, &'static str) + Send + Sync + 'static,
) -> Resource {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, answer) = (asked.clone(), Arc::new(answer));
    let address = server(move |_, mut stream| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let head = super::request(&mut stream).await;
            let mut asked = Asked { head, body: String::new() };
            let mut body = Vec::new();
            if let [length] = &asked.headers("content-length")[..] {
                body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
            } else if !asked.headers("transfer-encoding").is_empty() {
                while !body.ends_with(b"0\r\n\r\n") {
                    body.push(stream.read_u8().await.unwrap());
                }
            }
            asked.body = String::from_utf8(body).unwrap();
            let (status, headers, body) = answer(&asked);
            log.lock().unwrap().push(asked);
            let head =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes()).await;
            let _ = stream.shutdown().await;
            super::rest(&mut stream).await;
        }
    })
    .await;
    Resource { base: format!("http://{address}/v1"), asked }
}

pub(super) const REFUSED: &str = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";

pub(super) fn ok() -> (u16, String, &'static str) {
    (200, String::new(), "fine")
}

/// A server to which `good` alone is a token that works.
pub(super) async fn taking(good: &'static str) -> Resource {
    resource(move |asked| if asked.token() == format!("Bearer {good}") { ok() } else { (401, REFUSED.into(), "no") })
        .await
}

/// A server that never takes a token.
pub(super) async fn refusing() -> Resource {
    resource(|_| (401, REFUSED.into(), "no")).await
}

/// Tokens t1, t2, ... and a log of what was asked for.
#[derive(Default)]
pub(super) struct Counting {
    pub(super) log: Mutex<Vec<String>>,
    pub(super) expired: AtomicBool,
}

impl Counting {
    pub(super) fn calls(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(what.to_owned());
    }
}

impl Authorize for Arc<Counting> {
    type Token = usize;
    async fn authorize(&self) -> Result<usize, Error> {
        self.note("authorize");
        tokio::task::yield_now().await;
        Ok(1)
    }
    fn expired(&self, token: &usize) -> bool {
        self.note(&format!("expired {token}"));
        self.expired.swap(false, Ordering::Relaxed)
    }
    async fn refresh(&self, token: &usize) -> Result<usize, Error> {
        self.note(&format!("refresh {token}"));
        Ok(token.saturating_add(1))
    }
    fn access_token(&self, token: &usize) -> Secret {
        Secret::from(format!("t{token}"))
    }
}

pub(super) fn counting() -> (Arc<Counting>, Arc<dyn Authorizer>) {
    let counting = Arc::new(Counting::default());
    (counting.clone(), Arc::new(Custom::new(counting)))
}

pub(super) fn bare(token: &str) -> Arc<dyn Authorizer> {
    Arc::new(Fixed::bare(&Secret::from(token), &Placement::default()).unwrap())
}

pub(super) fn with_key(token: &str) -> Arc<dyn Authorizer> {
    let placement = Placement::default().with_api_key(API_KEY_HEADER, &Secret::from("key")).unwrap();
    Arc::new(Fixed::bare(&Secret::from(token), &placement).unwrap())
}

fn api(authorizer: Arc<dyn Authorizer>, resource: &Resource) -> Api {
    Api::new(Driver::new(), authorizer, resource.audience())
}

pub(super) fn driver() -> (Driver, ManualClock) {
    let clock = ManualClock::new(NOW);
    (Driver::new().with_clock(clock.clone()), clock)
}

fn record(token: &str, members: &str) -> TokenSet {
    TokenSet::from_record(format!(r#"{{"access_token":"{token}"{members}}}"#).as_bytes(), NOW).unwrap()
}

/// Renews tokens: t1, t2, ...
#[derive(Clone, Default)]
pub(super) struct Renewals(pub(super) Arc<AtomicUsize>);

impl Refresher for Renewals {
    fn refresh(&self, _: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(record(&format!("t{number}"), r#","expires_at":1700003600"#))
        })
    }
}

/// A handle that holds `tokens`, if any, and renews them.
pub(super) async fn handle(tokens: Option<TokenSet>) -> (TokenHandle, Renewals, ManualClock) {
    let renewals = Renewals::default();
    let (driver, clock) = driver();
    let key = StoreKey::of("https://issuer.example", "me", "someone").unwrap();
    let builder = Tokens::delegated(driver, key, renewals.clone());
    let handle = match tokens {
        Some(tokens) => builder.adopt(tokens).await.unwrap(),
        None => builder.open().unwrap(),
    };
    (handle, renewals, clock)
}

pub(super) fn fresh() -> TokenSet {
    record("t0", r#","expires_at":1700003600"#)
}

#[tokio::test]
async fn e_06_h_08_the_authorizer_is_asked_before_every_request() {
    let server = resource(|_| ok()).await;
    let (log, authorizer) = counting();
    let api = api(authorizer, &server);
    api.get("a").await.unwrap();
    assert_eq!(log.calls(), ["authorize"]);
    api.get("a").await.unwrap();
    assert_eq!(log.calls(), ["authorize", "expired 1"]);
    log.expired.store(true, Ordering::Relaxed);
    api.get("a").await.unwrap();
    api.get("a").await.unwrap();
    assert_eq!(log.calls(), ["authorize", "expired 1", "expired 1", "refresh 1", "expired 2"]);
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]);
    assert!(server.all().iter().all(|asked| asked.headers("x-api-key").is_empty()));
    self::api(with_key("t"), &server).get("a").await.unwrap();
    assert_eq!(server.all()[4].headers("x-api-key"), ["key"]);
}

#[tokio::test]
async fn a_fixed_credential_is_there_at_once_and_for_good_and_is_no_clients() {
    let fixed = bare("t");
    let held = fixed.current().unwrap();
    assert_eq!(held.access_token().unwrap().expose(), "t");
    assert!(fixed.is_valid());
    assert_eq!(fixed.invalidate(held.id()).await.unwrap().id(), held.id(), "there is no other one");
    assert_eq!(fixed.client_id(), None);
}

#[tokio::test]
async fn e_11_an_authorizer_of_ones_own_has_nothing_before_it_is_asked() {
    let (log, authorizer) = counting();
    assert!(authorizer.current().is_none() && !authorizer.is_valid());
    let id = authorizer.credential().await.unwrap().id();
    assert_eq!(authorizer.current().unwrap().id(), id);
    assert_eq!(log.calls(), ["authorize"]);
    assert_eq!(authorizer.client_id(), None, "it is nobody's unless it says so");
}

#[tokio::test]
async fn h_08_an_error_of_the_authorizer_ends_the_request() {
    struct Broken;
    impl Authorize for Broken {
        type Token = ();
        async fn authorize(&self) -> Result<(), Error> {
            Err(LoginNeeded::NoSession.into())
        }
        fn expired(&self, (): &()) -> bool {
            false
        }
        async fn refresh(&self, (): &()) -> Result<(), Error> {
            Ok(())
        }
        fn access_token(&self, (): &()) -> Secret {
            Secret::from("t")
        }
    }
    let server = resource(|_| ok()).await;
    let api = api(Arc::new(Custom::new(Broken)), &server);
    assert_eq!(api.get("a").await.unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn e_12_h_07_one_authorizer_serves_two_clients_and_authorizes_once_for_twenty_requests() {
    let server = resource(|_| ok()).await;
    let (log, authorizer) = counting();
    let apis = [api(authorizer.clone(), &server), api(authorizer, &server)];
    let requests: Vec<_> = (0..20)
        .map(|number| {
            let api = apis[number % 2].clone();
            tokio::spawn(async move { api.get("a").await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(log.calls().iter().filter(|call| *call == "authorize").count(), 1);
    assert_eq!(server.count(), 20);
}

#[tokio::test]
async fn rs_09_e_13_h_06_a_callers_authorization_is_a_conflict_unless_it_may_be_replaced() {
    let server = resource(|_| ok()).await;
    let api = api(bare("t"), &server);
    let own = || api.request(Method::GET, "a").header("Authorization", "Basic eA==").header("x-own", "1");
    let conflict = Error::from(ConfigError::AuthorizationConflict("authorization".into()));
    assert_eq!(api.send(own()).await.unwrap_err(), conflict);
    assert_eq!(server.count(), 0);
    api.send(own().replacing_authorization()).await.unwrap();
    let asked = &server.all()[0];
    assert_eq!((asked.token().as_str(), asked.headers("x-own")), ("Bearer t", vec!["1".to_owned()]));
}

#[tokio::test]
async fn rs_08_e_14_a_403_is_shown_and_renews_nothing() {
    let scope = "WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"admin\"\r\n";
    let server = resource(move |_| (403, scope.into(), "")).await;
    let (log, authorizer) = counting();
    let answer = api(authorizer, &server).get("a").await.unwrap();
    let Some(StepUp::Scope { scope }) = challenge_of(&answer) else { panic!("{answer:?}") };
    assert_eq!((scope.to_string().as_str(), server.count()), ("admin", 1));
    assert_eq!(log.calls(), ["authorize"]);
}

#[tokio::test]
async fn h_01_h_04_h_06_methods_headers_and_bodies_arrive_unchanged_at_the_joined_url() {
    let server = resource(|_| ok()).await;
    let api = api(bare("t"), &server);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        let mut request = Request::new(Body::from(b"\x00a body".to_vec()));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = format!("{}/lights?on=1", server.base).parse().unwrap();
        request.headers_mut().insert("x-own", "1".parse().unwrap());
        if method == "GET" {
            *request.body_mut() = Body::empty();
        }
        let (headers, uri) = (request.headers().clone(), request.uri().clone());
        assert_eq!(api.send(request).await.unwrap().status(), 200);
        let asked = server.all().pop().unwrap();
        assert_eq!(asked.line(), format!("{method} {} HTTP/1.1", uri.path_and_query().unwrap()));
        assert_eq!((asked.headers("x-own").len(), asked.token().as_str(), headers.len()), (1, "Bearer t", 1));
        assert_eq!(asked.body, if method == "GET" { "" } else { "\x00a body" });
    }
    for place in ["lights", "/lights", &format!("{}/lights", server.base)] {
        api.get(place).await.unwrap();
        assert_eq!(server.all().pop().unwrap().line(), "GET /v1/lights HTTP/1.1", "{place}");
    }
    let count = server.count();
    for place in ["//other.example/x", "https://other.example/x", "../x", "http://other.example/v1/x"] {
        assert!(api.get(place).await.is_err(), "{place}");
    }
    assert_eq!(server.count(), count);
}

#[tokio::test]
async fn h_09_a_41_every_status_is_a_response_with_its_body() {
    for status in [200, 201, 404, 418, 500, 503] {
        let server = resource(move |_| (status, "X-Their: 1\r\n".into(), "their body")).await;
        let answer = api(bare("t"), &server).get("a").await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().expose()), (status, &b"their body"[..]));
        assert_eq!((answer.headers()["x-their"].as_bytes(), server.count()), (&b"1"[..], 1));
    }
}

#[tokio::test]
async fn rs_07_rf_11_a_59_x_09_h_12_a_refused_token_is_renewed_once_and_the_second_answer_stands() {
    let server = taking("t2").await;
    let (log, authorizer) = counting();
    let template = Template::new("POST", &format!("{}/a", server.base)).unwrap().with_form("on", "1");
    let answer = api(authorizer, &server).send(&template).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.tokens()), (200, vec!["Bearer t1".into(), "Bearer t2".into()]));
    assert!(server.all().iter().all(|asked| asked.body == "on=1"));
    assert_eq!(log.calls(), ["authorize", "refresh 1"]);

    let server = refusing().await;
    let (log, authorizer) = counting();
    let answer = api(authorizer, &server).get("a").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().expose(), server.count()), (401, &b"no"[..], 2));
    assert_eq!(log.calls(), ["authorize", "refresh 1"]);
}

#[tokio::test]
async fn rf_11_a_hundred_late_refusals_renew_once() {
    let server = taking("t1").await;
    let (handle, renewals, _) = handle(Some(fresh())).await;
    let api = handle.api(server.audience());
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.get("a").await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let renewed = renewals.0.load(Ordering::Relaxed);
    println!("figure: renewals/100 late refusals of a token, tokio = {renewed} renewals");
    assert_eq!(renewed, 1);
    assert!(server.count() <= 200);
}

#[tokio::test]
async fn l_40_without_a_token_nothing_is_sent_unless_it_is_withheld() {
    let server = resource(|_| ok()).await;
    let key = StoreKey::of("https://issuer.example", "me", "nobody").unwrap();
    let handle = Tokens::new(driver().0, Ok(key), grantflow_core::manager::Source::Delegated).open().unwrap();
    let api = handle.api(server.audience());
    assert!(api.get("a").await.is_err());
    assert_eq!(server.count(), 0);
    api.send(api.request(Method::GET, "a").withholding_token()).await.unwrap();
    api.send(api.request(Method::GET, "a").withholding_token().header("authorization", "Basic eA==")).await.unwrap();
    assert!(server.all()[0].headers("authorization").is_empty());
    assert_eq!(server.all()[1].token(), "Basic eA==");
}

#[tokio::test]
async fn l_41_l_42_bearer_is_known_in_every_spelling_and_goes_into_the_header_only() {
    let server = resource(|_| ok()).await;
    for spelling in ["", r#","token_type":"BEARER""#, r#","token_type":"bearer""#] {
        let (handle, ..) = handle(Some(record("a", spelling))).await;
        handle.api(server.audience()).get("x?q=1").await.unwrap();
        let asked = server.all().pop().unwrap();
        assert_eq!(
            (asked.token().as_str(), asked.line(), asked.body.as_str()),
            ("Bearer a", "GET /v1/x?q=1 HTTP/1.1", "")
        );
    }
}

#[tokio::test]
async fn l_43_a_token_is_renewed_before_the_request_when_it_is_due() {
    let server = resource(|_| ok()).await;
    let (session, renewals, clock) = handle(Some(fresh())).await;
    let api = session.api(server.audience());
    api.get("a").await.unwrap();
    assert_eq!(renewals.0.load(Ordering::Relaxed), 0);
    clock.advance(Duration::from_secs(3600));
    api.get("a").await.unwrap();
    assert_eq!(
        (renewals.0.load(Ordering::Relaxed), server.tokens()),
        (1, vec!["Bearer t0".into(), "Bearer t1".into()])
    );

    let (unknown, renewals, clock) = handle(Some(record("u", ""))).await;
    clock.advance(Duration::from_secs(1_000_000));
    unknown.api(server.audience()).get("a").await.unwrap();
    assert_eq!((renewals.0.load(Ordering::Relaxed), server.tokens().pop().unwrap().as_str()), (0, "Bearer u"));

    let (none, renewals, _) = handle(None).await;
    none.api(server.audience()).get("a").await.unwrap();
    assert_eq!((renewals.0.load(Ordering::Relaxed), server.tokens().pop().unwrap().as_str()), (1, "Bearer t1"));
}

#[tokio::test]
async fn l_52_a_bare_token_is_enough() {
    let server = refusing().await;
    assert_eq!(api(bare("t"), &server).get("a").await.unwrap().status(), 401);
    assert_eq!(server.tokens(), ["Bearer t"], "nobody can renew it, so it is not sent again");
}

/// Answers everything, and keeps how long each sending may take.
#[derive(Clone, Default)]
struct Timed(Arc<Mutex<Vec<Duration>>>);

impl HttpClient for Timed {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<Response<Body>, SendFailure>> {
        self.0.lock().unwrap().push(outgoing.timeout);
        Box::pin(async { Ok(Response::new(Body::empty())) })
    }
}

#[tokio::test]
async fn l_53_a_calls_timeout_wins_over_the_usual_one() {
    let timed = Timed::default();
    let base = "https://api.example";
    let api = Api::new(Driver::with_client(timed.clone()), bare("t"), Audience::only(base).unwrap());
    let seconds = Duration::from_secs;
    api.get("a").await.unwrap();
    let api = api.with_timeout(seconds(7));
    api.get("a").await.unwrap();
    api.send(api.request(Method::GET, "a").timeout(seconds(3))).await.unwrap();
    api.send(Template::new("GET", base).unwrap().with_timeout(seconds(2))).await.unwrap();
    assert_eq!(*timed.0.lock().unwrap(), [seconds(30), seconds(7), seconds(3), seconds(2)]);
}

#[tokio::test]
async fn rs_01_rs_02_rs_10_l_54_a_redirect_is_the_callers_and_the_other_origin_sees_nothing() {
    let other = resource(|_| ok()).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("Location: {}/x\r\n", other.base);
        let server = resource(move |_| (status, to.clone(), "")).await;
        let api = api(with_key("t"), &server);
        let answer = api.send(api.request(Method::POST, "a").body(b"secret".to_vec())).await.unwrap();
        assert_eq!((answer.status().as_u16(), server.count()), (status, 1));
    }
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn rs_05_l_55_unencrypted_requests_are_refused_before_a_token_is_asked_for() {
    let server = resource(|_| ok()).await;
    let (log, authorizer) = counting();
    let closed = Api::new(Driver::new(), authorizer, Audience::only(&server.base).unwrap());
    let refused = closed.get("a").await.unwrap_err();
    assert!(matches!(refused, Error::Config(ConfigError::Url { flaw: UrlFlaw::Insecure, .. })), "{refused:?}");
    assert!(Audience::only("http://api.example/").is_err());
    let secure = Api::new(Driver::new(), bare("t"), Audience::only("https://127.0.0.1").unwrap());
    assert!(secure.get(&server.base).await.is_err());
    assert_eq!((server.count(), log.calls().len()), (0, 0));
}

fn asking(server: &Resource) -> Tester {
    let mut request = Request::new(Body::from(b"q=1".to_vec()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("{}/me", server.base).parse().unwrap();
    request.headers_mut().insert("x-test", "1".parse().unwrap());
    let accepts = |answer: &Response<Body>| {
        answer.status() == 200 && answer.headers().contains_key("x-me") && answer.body().expose() == b"alice"
    };
    Tester::new().live(request, Arc::new(accepts)).unwrap()
}

#[tokio::test]
async fn a_07_a_57_a_58_a_token_is_tested_by_one_request_and_nothing_changes() {
    let server = resource(|_| (200, "X-Me: 1\r\n".into(), "alice")).await;
    let (handle, renewals, _) = handle(Some(fresh())).await;
    let api = handle.api(server.audience());
    assert!(api.is_valid_by(&asking(&server)).await.unwrap());
    let asked = &server.all()[0];
    assert_eq!(
        (asked.line(), asked.token().as_str(), asked.body.as_str()),
        ("POST /v1/me HTTP/1.1", "Bearer t0", "q=1")
    );
    assert_eq!((asked.headers("x-test").len(), server.count()), (1, 1));

    let refusing = refusing().await;
    assert!(!handle.api(refusing.audience()).is_valid_by(&asking(&refusing)).await.unwrap());
    assert_eq!((refusing.count(), renewals.0.load(Ordering::Relaxed)), (1, 0), "it is not renewed, nor sent again");
    let gone = Resource { base: "http://127.0.0.1:9/v1".into(), asked: Arc::default() };
    assert!(matches!(handle.api(gone.audience()).is_valid_by(&asking(&gone)).await, Err(Error::Transport(_))));
    let before = handle.current().unwrap().id();
    assert!(
        handle.api(server.audience()).is_valid_by(&asking(&gone)).await.is_err(),
        "the token stays in its audience"
    );
    assert_eq!(handle.current().unwrap().id(), before);
}

#[tokio::test]
async fn a_54_a_56_what_can_be_told_without_the_server_is() {
    let server = resource(|_| ok()).await;
    let (none, renewals, _) = handle(None).await;
    assert!(!none.api(server.audience()).is_valid_by(&asking(&server)).await.unwrap());
    let (stored, ..) = handle(Some(record("t", r#","error":null,"expires_at":1700003600"#))).await;
    assert!(!stored.api(server.audience()).is_valid_by(&asking(&server)).await.unwrap());
    let (old, .., clock) = handle(Some(fresh())).await;
    clock.advance(Duration::from_secs(3600));
    assert_eq!(clock.now(), Timestamp::from_secs(1_700_003_600));
    assert!(!old.api(server.audience()).is_valid_by(&asking(&server)).await.unwrap());
    assert_eq!((server.count(), renewals.0.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn the_settings_of_an_api_are_its_own() {
    let api = Api::new(Driver::new(), bare("canary"), Audience::only("https://api.example").unwrap());
    let changed = api.clone().with(RequestSettings::withholding_token);
    assert_eq!(changed.audience(), api.audience());
    assert!(!format!("{api:?}").contains("canary"));
}

#[tokio::test]
async fn whoever_waits_for_changes_hears_of_each_and_of_the_end() {
    let (handle, _, clock) = handle(Some(fresh())).await;
    let mut changes = handle.subscribe();
    clock.advance(Duration::from_secs(100));
    handle.renew().await.unwrap();
    drop(handle);
    assert_eq!((changes.next().await, changes.next().await), (Some(Change::Renewed), None));
}
