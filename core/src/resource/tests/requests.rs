use std::collections::VecDeque;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use super::super::{Audience, AuthorizedRequest, Replay, RequestSettings, StepUp, challenge_of};
use crate::client::ProofKey;
use crate::error::{
    ConfigError, Delivery, Endpoint, Error, LoginNeeded, ProviderError, SendFailure, TransportError, TransportKind,
};
use crate::http::Body;
use crate::http::json::{Object, Value};
use crate::jose::SignatureAlgorithm;
use crate::machine::{Context, Effect, Event, Machine, Outgoing, Step};
use crate::manager::{API_KEY_HEADER, Credential, Placement};
use crate::memory::Memory;
use crate::secret::Secret;
use crate::testing::{CountingRandom, MarkerCrypto};
use crate::time::Timestamp;
use crate::token::TokenSet;

const URL: &str = "https://api.example/v1/lights?on=true";

/// One request, the authorizer and the server that it meets.
#[derive(Default)]
pub(super) struct Play {
    leases: VecDeque<Result<Credential, Error>>,
    answers: VecDeque<Event>,
    memory: Memory,
    pub(super) log: Vec<&'static str>,
    pub(super) sent: Vec<Outgoing>,
}

impl Play {
    pub(super) fn new(
        leases: impl IntoIterator<Item = Result<Credential, Error>>,
        answers: impl IntoIterator<Item = Event>,
    ) -> Self {
        Self { leases: leases.into_iter().collect(), answers: answers.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn run(&mut self, mut machine: AuthorizedRequest) -> Result<Response<Body>, Error> {
        let mut random = CountingRandom::default();
        let mut event = Event::Start;
        loop {
            let mut cx = Context {
                now: Timestamp::from_secs(1_800_000_000),
                random: &mut random,
                crypto: &MarkerCrypto,
                memory: &mut self.memory,
                observer: None,
            };
            let step = machine.handle(event, &mut cx);
            let shown = format!("{machine:?} {step:?}");
            assert!(!shown.contains("canary"), "{shown}");
            event = match step? {
                Step::Done(response) => return Ok(response),
                Step::Do(Effect::Lease(request)) => {
                    self.log.push(if request.refused.is_some() { "lease another" } else { "lease" });
                    match self.leases.pop_front().unwrap() {
                        Ok(credential) => Event::Leased(credential),
                        Err(error) => Event::LeaseFailed(error),
                    }
                }
                Step::Do(Effect::Sign(_)) => {
                    self.log.push("sign");
                    Event::Signed(Secret::new(vec![1]))
                }
                Step::Do(Effect::Send(outgoing)) => {
                    self.log.push("send");
                    self.sent.push(outgoing);
                    self.answers.pop_front().unwrap()
                }
                Step::Do(other) => panic!("{other:?}"),
            };
        }
    }

    /// The value of a header in each request that was sent.
    fn header(&self, name: &str) -> Vec<Option<&str>> {
        let value = |outgoing: &Outgoing| {
            let values: Vec<_> = outgoing.request.headers().get_all(name).iter().collect();
            assert!(values.len() <= 1, "{name} stands there twice");
            values.first().copied().cloned()
        };
        self.sent
            .iter()
            .map(|outgoing| value(outgoing).map(|value| value.to_str().unwrap().to_owned()))
            .map(leak)
            .collect()
    }

    /// The claims of the proof in each request that was sent.
    fn proofs(&self) -> Vec<Object> {
        use base64::Engine;
        let claims = |jwt: &str| {
            let part = jwt.split('.').nth(1).unwrap();
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
            Object::parse_owned(bytes).unwrap()
        };
        self.header("dpop").into_iter().flatten().map(claims).collect()
    }
}

fn leak(text: Option<String>) -> Option<&'static str> {
    text.map(|text| &*text.leak())
}

fn audience() -> Audience {
    Audience::only("https://api.example/v1").unwrap()
}

fn post() -> Request<Body> {
    Request::post(URL).body(Body::new(b"canary-body".to_vec())).unwrap()
}

fn request(settings: RequestSettings) -> AuthorizedRequest {
    AuthorizedRequest::new(post(), &audience(), settings).unwrap()
}

fn token(token: &str, kind: &str) -> Result<Credential, Error> {
    placed(token, kind, &Placement::default())
}

#[cfg(feature = "legacy-grants")]
pub(super) fn bound_as(placement: &Placement) -> Result<Credential, Error> {
    placed("1", "DPoP", placement)
}

fn placed(token: &str, kind: &str, placement: &Placement) -> Result<Credential, Error> {
    let record = format!(r#"{{"access_token":"canary-{token}","token_type":"{kind}"}}"#);
    let tokens = Arc::new(TokenSet::from_record(record.as_bytes(), Timestamp::from_secs(0)).unwrap());
    Credential::new(tokens, placement, None, None, &MarkerCrypto)
}

fn bearer(name: &str) -> Result<Credential, Error> {
    token(name, "Bearer")
}

fn bound(name: &str) -> Result<Credential, Error> {
    token(name, "DPoP")
}

fn bare(name: &str) -> Result<Credential, Error> {
    Credential::bare(&Secret::from(name), &Placement::default(), &MarkerCrypto)
}

pub(super) fn answer(status: u16, headers: &[(&'static str, &str)]) -> Event {
    let mut response = Response::new(Body::new(b"answer".to_vec()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    Event::Response(response)
}

fn challenged(status: u16, challenge: &str) -> Event {
    answer(status, &[("www-authenticate", challenge)])
}

fn refused() -> Event {
    challenged(401, r#"Bearer error="invalid_token""#)
}

fn demand(nonce: &str) -> Event {
    answer(401, &[("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", nonce)])
}

fn proving() -> RequestSettings {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    RequestSettings::new().proof_key(ProofKey::new("proof", SignatureAlgorithm::Es256, jwk).unwrap())
}

fn string(object: &Object, name: &str) -> Option<String> {
    object.get(name).and_then(Value::into_string).map(std::borrow::Cow::into_owned)
}

#[test]
fn h_01_h_08_a_request_passes_unchanged_but_for_its_credential() {
    let mut own = post();
    *own.method_mut() = Method::PATCH;
    own.headers_mut().append(COOKIE, HeaderValue::from_static("a"));
    own.headers_mut().append(COOKIE, HeaderValue::from_static("b"));
    own.extensions_mut().insert("the caller's");
    let mut play = Play::new([bearer("1")], [answer(200, &[])]);
    let machine = AuthorizedRequest::new(own, &audience(), RequestSettings::new()).unwrap();
    let response = play.run(machine).unwrap();
    assert_eq!((response.status(), response.body().expose()), (StatusCode::OK, &b"answer"[..]));
    assert_eq!(play.log, ["lease", "send"], "the authorizer is asked once for every request");
    let sent = &play.sent[0].request;
    assert_eq!((sent.method(), sent.uri().to_string().as_str()), (&Method::PATCH, URL));
    assert_eq!(sent.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(sent.extensions().get(), Some(&"the caller's"));
    assert_eq!(sent.body().expose(), b"canary-body");
    assert_eq!(sent.headers().len(), 3);
    let authorization = sent.headers().get(AUTHORIZATION).unwrap();
    assert_eq!(authorization, "Bearer canary-1");
    assert!(authorization.is_sensitive());
}

#[test]
fn h_08_an_error_of_the_authorizer_ends_the_request() {
    let trouble = Error::Provider(ProviderError::KeyUnavailable);
    for error in [LoginNeeded::NoSession.into(), trouble] {
        let mut play = Play::new([Err(error.clone())], []);
        assert_eq!(play.run(request(RequestSettings::new())).unwrap_err(), error);
        assert_eq!(play.log, ["lease"], "nothing is sent");
        let mut play = Play::new([bearer("1"), Err(error.clone())], [refused()]);
        assert_eq!(play.run(request(RequestSettings::new())).unwrap_err(), error);
        assert_eq!(play.log, ["lease", "send", "lease another"]);
    }
}

#[test]
fn h_09_every_status_is_an_answer() {
    for status in [200, 204, 304, 400, 402, 403, 404, 409, 418, 429, 500, 503] {
        let mut play = Play::new([bearer("1")], [answer(status, &[("retry-after", "1")])]);
        assert_eq!(play.run(request(RequestSettings::new())).unwrap().status(), status);
        assert_eq!(play.log, ["lease", "send"], "{status}");
    }
}

#[test]
fn rs_01_rs_02_rs_10_dp_10_a_redirect_is_an_answer_and_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        for location in ["https://evil.example/", "http://api.example/v1/", "https://api.example:8443/", "/v1/x"] {
            let mut play = Play::new([bound("1")], [answer(status, &[("location", location)])]);
            let response = play.run(request(proving())).unwrap();
            assert_eq!(response.headers()["location"], location);
            assert_eq!(play.log, ["lease", "sign", "send"], "{status} {location}");
        }
    }
}

#[test]
fn rs_04_rs_05_a_request_elsewhere_is_not_even_made() {
    for url in ["https://evil.example/v1/", "http://api.example/v1/", "https://api.example/v2/", "/v1/lights", "*"] {
        let own = Request::get(url).body(Body::empty()).unwrap();
        let error = AuthorizedRequest::new(own, &audience(), RequestSettings::new()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Audience(_) | ConfigError::Url { .. })), "{url}: {error}");
    }
}

#[test]
fn rs_06_what_was_judged_is_what_is_sent() {
    let own = Request::get("https://API.example:443/v1/a/../b").body(Body::empty()).unwrap();
    let mut play = Play::new([bearer("1")], [answer(200, &[])]);
    play.run(AuthorizedRequest::new(own, &audience(), RequestSettings::new()).unwrap()).unwrap();
    assert_eq!(play.sent[0].request.uri(), "https://api.example/v1/b");
}

#[test]
fn rs_07_rf_11_a_59_x_09_a_refused_token_is_renewed_once_and_the_request_sent_once_more() {
    for challenge in [
        r#"Bearer error="invalid_token""#,
        r#"bearer realm="x", error="invalid_token", error_description="expired""#,
        r#"DPoP error="invalid_token", algs="ES256""#,
        "Bearer",
        r#"Bearer realm="x", DPoP algs="ES256""#,
        r#"Basic realm="x", Bearer"#,
        "this is no challenge \"",
    ] {
        let mut play = Play::new([bearer("1"), bearer("2")], [challenged(401, challenge), answer(200, &[])]);
        assert_eq!(play.run(request(RequestSettings::new())).unwrap().status(), 200, "{challenge}");
        assert_eq!(play.log, ["lease", "send", "lease another", "send"], "{challenge}");
        assert_eq!(play.header("authorization"), [Some("Bearer canary-1"), Some("Bearer canary-2")]);
        assert_eq!(play.sent[1].request.body().expose(), b"canary-body");
    }
    let mut play = Play::new([bearer("1"), bearer("2")], [answer(401, &[]), refused()]);
    assert_eq!(play.run(request(RequestSettings::new())).unwrap().status(), 401);
    assert_eq!(
        play.log,
        ["lease", "send", "lease another", "send"],
        "a server that says 401 for ever sees two requests"
    );
}

#[test]
fn rs_07_h_12_a_body_that_is_gone_is_not_sent_again() {
    let mut play = Play::new([bearer("1")], [refused()]);
    let settings = RequestSettings::new().replay(Replay::Impossible);
    assert_eq!(play.run(request(settings)).unwrap().status(), 401);
    assert_eq!(play.log, ["lease", "send"]);
    assert_eq!(play.sent[0].request.body().expose(), b"canary-body");
    let mut play = Play::new([bound("1")], [demand("a-nonce")]);
    assert_eq!(play.run(request(proving().replay(Replay::Impossible))).unwrap().status(), 401);
    assert_eq!(play.log, ["lease", "sign", "send"]);
    assert_eq!(play.memory.nonce("https://api.example"), Some("a-nonce"), "the next request has it");
}

#[test]
fn rf_11_the_same_token_again_is_not_sent_again() {
    let body = |n: u8| Response::builder().status(401).body(Body::new(vec![n])).unwrap();
    for renewed in [bearer("1"), bare("canary-1")] {
        let mut play = Play::new([bearer("1"), renewed], [Event::Response(body(7))]);
        let response = play.run(request(RequestSettings::new())).unwrap();
        assert_eq!((response.status(), response.body().expose()), (StatusCode::UNAUTHORIZED, &[7][..]));
        assert_eq!(play.log, ["lease", "send", "lease another"]);
    }
}

#[test]
fn e_14_rs_08_what_another_token_would_not_change_renews_nothing() {
    for (status, challenge) in [
        (403, r#"Bearer error="invalid_token""#),
        (403, "Bearer"),
        (403, r#"Bearer error="insufficient_scope", scope="admin""#),
        (401, r#"Bearer error="insufficient_scope", scope="admin""#),
        (401, r#"Bearer error="insufficient_user_authentication", acr_values="gold""#),
        (401, r#"Bearer error="invalid_request""#),
        (401, r#"DPoP error="invalid_dpop_proof""#),
        (401, r#"DPoP error="use_dpop_nonce""#),
        (401, "Basic realm=\"x\""),
        (400, r#"Bearer error="invalid_token""#),
        (407, r#"Bearer error="invalid_token""#),
    ] {
        let mut play = Play::new([bearer("1")], [challenged(status, challenge)]);
        assert_eq!(play.run(request(RequestSettings::new())).unwrap().status(), status);
        assert_eq!(play.log, ["lease", "send"], "{status} {challenge}");
    }
}

#[test]
fn rs_08_what_a_server_asks_for_is_shown() {
    let asked = |status, challenge: &str| match challenged(status, challenge) {
        Event::Response(response) => challenge_of(&response),
        other => panic!("{other:?}"),
    };
    let Some(StepUp::Scope { scope }) = asked(403, r#"Bearer error="insufficient_scope", scope="admin mail""#) else {
        panic!("not understood")
    };
    assert!(scope.contains("admin") && scope.contains("mail"));
    for hostile in ["a\\\"b", "ä", ""] {
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{hostile}""#);
        let Some(StepUp::Scope { scope }) = asked(403, &challenge) else { panic!("{challenge}") };
        assert!(scope.is_empty(), "{challenge}");
    }
    let challenge = r#"DPoP error="insufficient_user_authentication", acr_values="gold  silver é", max_age="60""#;
    let Some(StepUp::Authentication { acr_values, max_age, .. }) = asked(401, challenge) else {
        panic!("not understood")
    };
    assert_eq!(acr_values, ["gold", "silver"]);
    assert_eq!(max_age, Some(core::time::Duration::from_secs(60)));
    for age in ["-1", "1.5", "soon", "99999999999999999999999"] {
        let challenge = format!(r#"Bearer error="insufficient_user_authentication", max_age="{age}""#);
        assert!(matches!(asked(401, &challenge), Some(StepUp::Authentication { max_age: None, .. })), "{age}");
    }
    assert_eq!(asked(401, r#"Bearer error="insufficient_scope""#), None);
    assert_eq!(asked(403, r#"Basic error="insufficient_scope""#), None);
    assert_eq!(asked(200, r#"Bearer error="insufficient_scope""#), None);
}

#[test]
fn rs_09_e_13_h_06_a_credential_of_the_callers_own_is_a_conflict_unless_it_may_be_replaced() {
    let own = |name: HeaderName| {
        let mut own = post();
        own.headers_mut().append(&name, HeaderValue::from_static("canary-own"));
        own.headers_mut().append(&name, HeaderValue::from_static("canary-own-2"));
        own
    };
    let keyed = || Placement::default().with_api_key(API_KEY_HEADER, &Secret::from("canary-key")).unwrap();
    let lease = |kind: &str| match kind {
        "key" => Credential::bare(&Secret::from("canary-1"), &keyed(), &MarkerCrypto),
        kind => token("1", kind),
    };
    let conflicts = [
        (AUTHORIZATION, "Bearer"),
        (API_KEY_HEADER, "key"),
        (AUTHORIZATION, "key"),
        (HeaderName::from_static("dpop"), "DPoP"),
    ];
    for (name, kind) in conflicts {
        let mut play = Play::new([lease(kind)], []);
        let error = play.run(AuthorizedRequest::new(own(name.clone()), &audience(), proving()).unwrap()).unwrap_err();
        assert_eq!(error, ConfigError::AuthorizationConflict(name.to_string()).into());
        assert_eq!(play.log, ["lease"], "nothing is sent");

        let mut play = Play::new([lease(kind)], [answer(200, &[])]);
        let settings = proving().replacing_authorization();
        play.run(AuthorizedRequest::new(own(name.clone()), &audience(), settings).unwrap()).unwrap();
        let sent = play.header(name.as_str());
        assert!(sent[0].is_some_and(|value| !value.contains("own")), "{sent:?}");
    }
    let mut play = Play::new([lease("Bearer")], [answer(200, &[])]);
    play.run(AuthorizedRequest::new(own(API_KEY_HEADER), &audience(), proving()).unwrap()).unwrap();
    assert_eq!(play.sent[0].request.headers().get_all(API_KEY_HEADER).iter().count(), 2, "not where a credential goes");
}

#[test]
fn l_36_l_40_a_request_can_go_without_a_token_or_with_its_own() {
    let mut play = Play::new([], [refused()]);
    assert_eq!(play.run(request(RequestSettings::new().withholding_token())).unwrap().status(), 401);
    assert_eq!((play.log.as_slice(), play.header("authorization")), (&["send"][..], vec![None]));

    let mut own = post();
    own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic canary-own"));
    let mut play = Play::new([], [answer(200, &[])]);
    let settings = RequestSettings::new().withholding_token();
    play.run(AuthorizedRequest::new(own, &audience(), settings).unwrap()).unwrap();
    assert_eq!(play.header("authorization"), [Some("Basic canary-own")]);
    assert!(play.sent[0].request.headers()[AUTHORIZATION].is_sensitive());

    let elsewhere = Request::get("https://evil.example/").body(Body::empty()).unwrap();
    assert!(AuthorizedRequest::new(elsewhere, &audience(), RequestSettings::new().withholding_token()).is_err());
}

#[test]
fn e_06_h_05_l_52_the_headers_are_those_of_the_credential() {
    let key = Secret::from("canary-key");
    let placements = [
        (Placement::default(), "Bearer canary-1", None),
        (Placement::default().bare(), "canary-1", None),
        (Placement::default().with_prefix("Token").unwrap(), "Token canary-1", None),
        (Placement::default().with_api_key(API_KEY_HEADER, &key).unwrap(), "Bearer canary-1", Some("canary-key")),
        (Placement::default().with_api_key(API_KEY_HEADER, &Secret::from("")).unwrap(), "Bearer canary-1", None),
    ];
    for (placement, authorization, key) in placements {
        let credential = Credential::bare(&Secret::from("canary-1"), &placement, &MarkerCrypto);
        let mut play = Play::new([credential], [answer(200, &[])]);
        play.run(request(RequestSettings::new())).unwrap();
        assert_eq!(play.header("authorization"), [Some(authorization)]);
        assert_eq!(play.header("x-api-key"), [key]);
    }
}

#[test]
fn dp_07_a_bound_token_goes_with_a_proof_that_names_it() {
    let mut play = Play::new([bound("1"), bound("2")], [refused(), answer(200, &[])]);
    play.run(request(proving())).unwrap();
    assert_eq!(play.log, ["lease", "sign", "send", "lease another", "sign", "send"]);
    assert_eq!(play.header("authorization"), [Some("DPoP canary-1"), Some("DPoP canary-2")]);
    let proofs = play.proofs();
    assert_eq!(string(&proofs[0], "htm").as_deref(), Some("POST"));
    assert_eq!(string(&proofs[0], "htu").as_deref(), Some("https://api.example/v1/lights"), "without the query");
    assert_ne!(string(&proofs[0], "ath"), string(&proofs[1], "ath"));
    assert_ne!(string(&proofs[0], "jti"), string(&proofs[1], "jti"));
    assert!(play.sent[0].request.headers()["dpop"].is_sensitive());

    let mut play = Play::new([bearer("1")], [answer(200, &[])]);
    play.run(request(proving())).unwrap();
    assert_eq!((play.log.as_slice(), play.header("dpop")), (&["lease", "send"][..], vec![None]));

    let mut play = Play::new([bound("1")], []);
    let error = play.run(request(RequestSettings::new())).unwrap_err();
    assert_eq!(error, ConfigError::Missing("proof key").into());
    assert_eq!(play.log, ["lease"], "a bound token is never sent as a bearer token");
}

/// The example of RFC 9449 §7.1.
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
#[test]
fn dp_07_the_hash_of_a_token_is_as_in_the_rfc() {
    #[cfg(feature = "aws-lc-rs")]
    use crate::crypto::AwsLc as Provider;
    #[cfg(not(feature = "aws-lc-rs"))]
    use crate::crypto::RustCrypto as Provider;
    let record = br#"{"access_token":"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU","token_type":"DPoP"}"#;
    let tokens = Arc::new(TokenSet::from_record(record, Timestamp::from_secs(0)).unwrap());
    let credential = Credential::new(tokens, &Placement::default(), None, None, &Provider).unwrap();
    let mut machine = request(proving());
    let (mut random, mut memory) = (CountingRandom::default(), Memory::default());
    let mut cx = Context {
        now: Timestamp::from_secs(0),
        random: &mut random,
        crypto: &Provider,
        memory: &mut memory,
        observer: None,
    };
    let _ = machine.handle(Event::Start, &mut cx).unwrap();
    let Step::Do(Effect::Sign(unsigned)) = machine.handle(Event::Leased(credential), &mut cx).unwrap() else {
        panic!("nothing to sign")
    };
    use base64::Engine;
    let claims = unsigned.message.expose().split(|byte| *byte == b'.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims = Object::parse(&claims).unwrap();
    assert_eq!(string(&claims, "ath").as_deref(), Some("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"));
}

#[test]
fn a_nonce_is_answered_once_and_kept_for_its_origin() {
    let mut play = Play::new([bound("1")], [demand("first"), answer(200, &[("dpop-nonce", "second")])]);
    assert_eq!(play.run(request(proving())).unwrap().status(), 200);
    assert_eq!(play.log, ["lease", "sign", "send", "sign", "send"]);
    let nonces: Vec<_> = play.proofs().iter().map(|claims| string(claims, "nonce")).collect();
    assert_eq!(nonces, [None, Some("first".to_owned())]);
    assert_eq!(play.memory.nonce("https://api.example"), Some("second"));

    let mut play = Play::new([bound("1")], [demand("first"), demand("second")]);
    assert_eq!(play.run(request(proving())).unwrap().status(), 401);
    assert_eq!(play.log, ["lease", "sign", "send", "sign", "send"]);

    let mut play = Play::new([bound("1"), bound("2")], [demand("first"), refused(), answer(200, &[])]);
    assert_eq!(play.run(request(proving())).unwrap().status(), 200);
    assert_eq!(play.log, ["lease", "sign", "send", "sign", "send", "lease another", "sign", "send"]);
    assert_eq!(string(play.proofs().last().unwrap(), "nonce").as_deref(), Some("first"));
}

#[test]
fn what_is_lost_is_not_sent_again() {
    for delivery in [Delivery::NotSent, Delivery::Unknown] {
        let lost = SendFailure { delivery, kind: TransportKind::Reset };
        let mut play = Play::new([bearer("1")], [Event::SendFailed(lost)]);
        let expected = TransportError {
            endpoint: Endpoint::Resource,
            kind: TransportKind::Reset,
            delivery,
            answer: None,
            not_before: None,
        };
        assert_eq!(play.run(request(RequestSettings::new())).unwrap_err(), Error::Transport(expected));
        assert_eq!(play.log, ["lease", "send"]);
    }
}

#[test]
fn l_48_a_body_that_streams_stays_with_its_caller() {
    let (head, _) = post().into_parts();
    let mut play = Play::new([bearer("1"), bearer("2")], [refused(), answer(200, &[])]);
    let made = AuthorizedRequest::head_only(head.clone(), Replay::Possible, &audience(), RequestSettings::new());
    assert_eq!(play.run(made.unwrap()).unwrap().status(), 200);
    assert_eq!(play.header("authorization"), [Some("Bearer canary-1"), Some("Bearer canary-2")]);
    assert!(play.sent.iter().all(|outgoing| outgoing.request.body().is_empty()));

    let mut play = Play::new([bearer("1")], [refused()]);
    let made = AuthorizedRequest::head_only(head, Replay::Impossible, &audience(), RequestSettings::new());
    assert_eq!(play.run(made.unwrap()).unwrap().status(), 401);
    assert_eq!(play.log, ["lease", "send"]);
}

#[test]
fn l_53_a_timeout_is_half_a_minute_or_the_calls_own() {
    let seconds = core::time::Duration::from_secs;
    for (settings, timeout, max_body) in [
        (RequestSettings::new(), seconds(30), 16 * 1024 * 1024),
        (RequestSettings::new().timeout(seconds(5)).max_body(10), seconds(5), 10),
    ] {
        let mut play = Play::new([bearer("1")], [answer(200, &[])]);
        play.run(request(settings)).unwrap();
        assert_eq!((play.sent[0].timeout, play.sent[0].max_body), (timeout, max_body));
    }
}

/// The only way from a token set to a request is by way of a credential, which has no place for a refresh token.
#[test]
fn rf_14_a_refresh_token_is_never_sent_to_a_resource() {
    let record = br#"{"access_token":"canary-1","token_type":"Bearer","refresh_token":"canary-refresh"}"#;
    let tokens = Arc::new(TokenSet::from_record(record, Timestamp::from_secs(0)).unwrap());
    let credential = Credential::new(tokens, &Placement::default(), None, None, &MarkerCrypto);
    let mut play = Play::new([credential], [answer(200, &[])]);
    play.run(request(RequestSettings::new())).unwrap();
    let sent = &play.sent[0].request;
    assert!(sent.headers().values().all(|value| !value.to_str().unwrap().contains("refresh")));
    assert!(!sent.uri().to_string().contains("refresh"));
}

#[test]
fn hooks_of_the_client_see_the_token_and_cannot_leave_the_audience() {
    use crate::client::{Client, Hook};
    let builder = || Client::builder(crate::testing::specimens::server(), "client");
    let client = builder().hook(Hook::protected_request(|url, headers| {
        assert!(headers.contains_key(AUTHORIZATION));
        url.query_pairs_mut().append_pair("site", "x");
        headers.insert("x-own", HeaderValue::from_static("y"));
        Ok(())
    }));
    let client = client.build().unwrap();
    let mut play = Play::new([bound("1"), bound("2")], [refused(), answer(200, &[])]);
    play.run(request(proving().client(&client))).unwrap();
    for outgoing in &play.sent {
        assert_eq!(outgoing.request.uri(), "https://api.example/v1/lights?on=true&site=x", "once for each sending");
        assert_eq!(outgoing.request.headers()["x-own"], "y");
    }
    type Change = fn(&mut url::Url, &mut http::HeaderMap);
    let changes: [Change; 4] = [
        |url, _| url.set_path("/v2/"),
        |url, _| url.set_host(Some("evil.example")).unwrap(),
        |_, headers| drop(headers.remove(AUTHORIZATION)),
        |_, headers| drop(headers.insert("dpop", HeaderValue::from_static("x"))),
    ];
    for change in changes {
        let hook = Hook::protected_request(move |url, headers| {
            change(url, headers);
            Ok(())
        });
        let client = builder().hook(hook).build().unwrap();
        let mut play = Play::new([bearer("1")], []);
        assert!(matches!(play.run(request(proving().client(&client))), Err(Error::Config(_))));
        assert_eq!(play.log, ["lease"], "nothing is sent");
    }
}

#[test]
fn a_request_that_was_cancelled_takes_nothing_more() {
    let mut machine = request(RequestSettings::new());
    let (mut random, mut memory) = (CountingRandom::default(), Memory::new());
    let mut give = |event| {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
        machine.handle(event, &mut cx)
    };
    assert!(matches!(give(Event::Start), Ok(Step::Do(Effect::Lease(_)))));
    assert_eq!(give(Event::Cancel).unwrap_err(), Error::Cancelled);
    assert!(matches!(give(Event::Leased(token("1", "Bearer").unwrap())), Err(Error::Misuse(_))));
}
