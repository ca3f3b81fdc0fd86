//! Runs one machine by hand against a scripted server: no driver, no network, time that only tests move.
//!
//! A [`Run`] answers what can be answered without a person: it sends to the script, sleeps by moving the clock, signs
//! with the key of [`Signer`], shows codes to nobody. Redirects stop it, and so does a script that has run out.
//! Whatever happens in it, a run checks on its own that nothing the machine shows has a secret in it, that a machine
//! that has ended takes no further event, and that the test has looked at the requests that were made.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantflow_core::callback::CallbackParams;
use grantflow_core::client::{Client, ClientBuilder};
use grantflow_core::crypto::AwsLc;
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::{BadCallback, Delivery, Error, Misuse, SendFailure, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{
    Check, Context, Effect, EffectKind, Event, EventKind, Machine, Observer, Outgoing, Redirect, SignRequest, Step,
    Transition, UserCode,
};
use grantflow_core::memory::Memory;
use grantflow_core::server::ServerMetadata;
use grantflow_core::testing::CountingRandom;
use grantflow_core::testing::stimuli::{STIMULI, Situation};
use grantflow_core::{Random, Secret, Timestamp};
use serde_json::{Value, json};

/// When every script begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const ISSUER: &str = "https://as.example";
pub const CLIENT_ID: &str = "client";
pub const REDIRECT_URI: &str = "https://app.example/callback";

/// What no text may ever contain. Scripts and clients put these where secrets go; a [`Run`] looks for them everywhere.
pub const CANARIES: [&str; 7] = [
    "canary-code",
    "canary-access",
    "canary-refresh",
    "canary-client-secret",
    "canary-device-code",
    "canary-user-code",
    "canary-extra",
];

/// A request as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
}

impl View {
    fn of(outgoing: &Outgoing) -> Self {
        let request = &outgoing.request;
        let headers =
            request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Self {
            method: request.method().to_string(),
            url: request.uri().to_string(),
            headers: headers.collect(),
            form: url::form_urlencoded::parse(request.body().expose()).into_owned().collect(),
        }
    }

    /// The one value of a form field; `None` if it is not there. Two are a fault.
    pub fn field(&self, name: &str) -> Option<&str> {
        let values: Vec<_> =
            self.form.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        assert!(values.len() <= 1, "{name} stands in the form twice");
        values.first().copied()
    }

    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> =
            self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        assert!(values.len() <= 1, "{name} stands in the headers twice");
        values.first().copied()
    }

    /// The claims of a JWT in a form field or a header.
    pub fn claims(&self, name: &str) -> Value {
        claims(self.field(name).or(self.header(name)).unwrap())
    }
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// What the scripted server does with a request.
pub type Answer = Box<dyn FnOnce(&View) -> Event>;

/// Answers with this status, these headers and this body.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    let mut response = http::Response::new(Body::new(body.as_ref().to_vec()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Box::new(|_| Event::Response(response))
}

/// Answers with JSON.
pub fn json(status: u16, body: &Value) -> Answer {
    answer(status, &[("content-type", "application/json")], body.to_string())
}

/// Answers with an OAuth error.
pub fn refusal(code: &str) -> Answer {
    json(400, &json!({ "error": code }))
}

/// Answers with a redirect.
pub fn redirect_to(status: u16, location: &str) -> Answer {
    answer(status, &[("location", location)], "")
}

/// There is no answer.
pub fn lost(delivery: Delivery, kind: TransportKind) -> Answer {
    Box::new(move |_| Event::SendFailed(SendFailure { delivery, kind }))
}

/// Tokens as every test uses them.
pub fn tokens() -> Value {
    json!({
        "access_token": "canary-access",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "canary-refresh",
    })
}

/// Tokens with these members besides, or instead.
pub fn tokens_with(members: Value) -> Value {
    merged(tokens(), members)
}

/// An object with the members of another laid over; `null` takes a member away.
pub fn merged(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("not an object: {members}") };
    for (name, value) in members {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(&name);
        } else {
            object[name] = value;
        }
    }
    object
}

/// The keys of the scripted server, and the client's.
pub struct Signer {
    ec: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

impl Signer {
    /// The same for all tests: making RSA keys takes a while.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Signer> = OnceLock::new();
        SHARED.get_or_init(Self::generate)
    }

    pub fn generate() -> Self {
        Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap(),
        }
    }

    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match algorithm {
            SignatureAlgorithm::Es256 => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            SignatureAlgorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            other => panic!("no key for {other}"),
        }
    }

    /// The public EC key as a JWK.
    pub fn ec_jwk(&self, kid: &str) -> Value {
        let point = self.ec.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": x, "y": y })
    }

    /// The public RSA key as a JWK.
    pub fn rsa_jwk(&self, kid: &str) -> Value {
        let public = self.rsa.public_key();
        let (n, e) =
            (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": e })
    }

    /// The key set: `ec` and `rsa`.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.ec_jwk("ec"), self.rsa_jwk("rsa")] })
    }

    /// A signed JWT.
    pub fn jwt(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let algorithm = SignatureAlgorithm::parse(header["alg"].as_str().unwrap()).unwrap_or(SignatureAlgorithm::Es256);
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.sign(algorithm, input.as_bytes())))
    }

    /// An id_token, signed with ES256 by the key `ec`.
    pub fn id_token(&self, claims: &Value) -> String {
        self.jwt(&json!({ "alg": "ES256", "kid": "ec" }), claims)
    }
}

/// The claims of a good id_token at [`BEGIN`].
pub fn id_claims(nonce: Option<&str>) -> Value {
    let now = BEGIN.as_secs();
    let mut claims = json!({ "iss": ISSUER, "sub": "alice", "aud": CLIENT_ID, "iat": now, "exp": now + 600 });
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    claims
}

/// The metadata of the scripted server.
pub fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "device_authorization_endpoint": "https://as.example/device",
        "userinfo_endpoint": "https://as.example/userinfo",
        "introspection_endpoint": "https://as.example/introspect",
        "revocation_endpoint": "https://as.example/revoke",
        "jwks_uri": "https://as.example/jwks",
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Reads metadata as a client does: by discovery.
pub fn discovered(document: &Value) -> Result<ServerMetadata, Error> {
    let issuer = document["issuer"].as_str().unwrap_or(ISSUER);
    let mut run = Run::new(Discovery::new(issuer).unwrap()).answering([
        json(200, document),
        json(200, document),
        json(200, document),
    ]);
    let stop = run.start();
    run.requests.clear();
    run.looked_at = true;
    match stop {
        Stop::Done(metadata) => Ok(metadata),
        Stop::Failed(error) => Err(error),
        Stop::Waiting(kind) => panic!("discovery waits for {kind}"),
    }
}

/// Begins a client of the scripted server, whose metadata has these members besides. It takes ES256.
pub fn builder(members: Value) -> ClientBuilder {
    let server = discovered(&merged(metadata(), members)).unwrap();
    Client::builder(server, CLIENT_ID).id_token_algorithms(&[SignatureAlgorithm::Es256])
}

/// A public client of the scripted server.
pub fn public() -> Client {
    builder(json!({})).build().unwrap()
}

/// A client with a secret.
pub fn confidential() -> Client {
    builder(json!({})).secret(Secret::from("canary-client-secret")).build().unwrap()
}

/// Where a run has stopped.
#[derive(Debug)]
pub enum Stop<O> {
    Done(O),
    Failed(Error),
    /// A redirect, or a request for which the script has no answer.
    Waiting(EffectKind),
}

impl<O: Debug> Stop<O> {
    #[track_caller]
    pub fn done(self) -> O {
        match self {
            Stop::Done(output) => output,
            other => panic!("not done: {other:?}"),
        }
    }

    #[track_caller]
    pub fn failed(self) -> Error {
        match self {
            Stop::Failed(error) => error,
            other => panic!("not failed: {other:?}"),
        }
    }

    #[track_caller]
    pub fn waits_for(self, expected: EffectKind) {
        match self {
            Stop::Waiting(kind) if kind == expected => {}
            other => panic!("does not wait for {expected}: {other:?}"),
        }
    }
}

/// One machine and the world around it.
pub struct Run<M: Machine + Debug> {
    pub machine: M,
    pub now: Timestamp,
    pub random: Box<dyn Random>,
    pub memory: Memory,
    /// Every request so far.
    pub requests: Vec<View>,
    /// Until when each sleep lasted.
    pub sleeps: Vec<Timestamp>,
    /// The redirect that is waited for.
    pub redirect: Option<Redirect>,
    /// Every user code that was shown.
    pub user_codes: Vec<UserCode>,
    /// What the machine did, and what was checked of id_tokens.
    pub seen: Watcher,
    /// What must not be shown, besides [`CANARIES`].
    pub secrets: Vec<String>,
    script: VecDeque<Answer>,
    looked_at: bool,
}

/// Keeps what an observer is told.
#[derive(Default)]
pub struct Watcher {
    pub transitions: Vec<Transition>,
    pub checks: Vec<(&'static str, bool)>,
    shown: String,
}

impl Observer for Watcher {
    fn transition(&mut self, transition: &Transition) {
        self.transitions.push(*transition);
    }

    fn check(&mut self, check: &Check<'_>) {
        self.checks.push((check.name, check.passed));
        self.shown.push_str(&format!("{check:?}\n"));
    }
}

impl<M: Machine + Debug> Run<M> {
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            now: BEGIN,
            random: Box::new(CountingRandom::default()),
            memory: Memory::default(),
            requests: Vec::new(),
            sleeps: Vec::new(),
            redirect: None,
            user_codes: Vec::new(),
            seen: Watcher::default(),
            secrets: Vec::new(),
            script: VecDeque::new(),
            looked_at: false,
        }
    }

    /// Adds answers to the script.
    pub fn answering(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.script.extend(answers);
        self
    }

    /// Adds answers to the script of a run that is on its way.
    pub fn answer(&mut self, answers: impl IntoIterator<Item = Answer>) -> &mut Self {
        self.script.extend(answers);
        self
    }

    /// Starts the machine and goes on as far as the script reaches.
    pub fn start(&mut self) -> Stop<M::Output> {
        self.give(Event::Start)
    }

    /// Gives a callback with this query, in which `{state}` stands for the right state and `{iss}` for the issuer.
    pub fn call_back(&mut self, query: &str) -> Stop<M::Output> {
        let query = query.replace("{state}", &self.parameter("state").unwrap_or_default()).replace("{iss}", ISSUER);
        self.give(Event::Callback(CallbackParams::from_query(&query).unwrap()))
    }

    /// A good callback.
    pub fn come_back(&mut self) -> Stop<M::Output> {
        self.call_back("code=canary-code&state={state}&iss={iss}")
    }

    /// A parameter of the authorization URL.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let url = &self.redirect.as_ref()?.url;
        url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// Why the last callback was taken for somebody else's.
    pub fn refused(&self) -> Option<BadCallback> {
        self.redirect.as_ref().and_then(|redirect| redirect.refused)
    }

    /// Claims for an id_token that fits this flow.
    pub fn id_claims(&self) -> Value {
        id_claims(self.parameter("nonce").as_deref())
    }

    /// Gives one event and goes on as far as the script reaches.
    pub fn give(&mut self, event: Event) -> Stop<M::Output> {
        let mut event = event;
        loop {
            let effect = match self.handle(event) {
                Ok(Step::Done(output)) => {
                    self.has_ended();
                    return Stop::Done(output);
                }
                Err(error @ Error::Misuse(_)) => return Stop::Failed(error),
                Err(error) => {
                    self.has_ended();
                    return Stop::Failed(error);
                }
                Ok(Step::Do(effect)) => effect,
            };
            match self.perform(effect) {
                Ok(answer) => event = answer,
                Err(kind) => return Stop::Waiting(kind),
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Result<Event, EffectKind> {
        self.is_free_of_secrets(&format!("{effect:?} {effect:#?}"));
        match effect {
            Effect::Send(outgoing) => {
                let view = View::of(&outgoing);
                self.note_secrets(&view);
                self.requests.push(view.clone());
                self.looked_at = false;
                self.script.pop_front().map(|answer| answer(&view)).ok_or(EffectKind::Send)
            }
            Effect::Sleep { until } => {
                assert!(until > self.now, "a sleep that is over before it begins");
                self.sleeps.push(until);
                self.now = until;
                Ok(Event::Elapsed)
            }
            Effect::Sign(request) => Ok(Event::Signed(Secret::new(sign(&request)))),
            other @ (Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
            | Effect::Delete(_)
            | Effect::Release(_)
            | Effect::Delegate(_)
            | Effect::Lease(_)) => Ok(other.refused()),
            Effect::ShowUserCode(code) => {
                self.user_codes.push(code);
                Ok(Event::Shown)
            }
            Effect::Redirect(redirect) => {
                let own = |name: &str| name == "state" || name == "nonce";
                let found: Vec<_> = redirect
                    .url
                    .query_pairs()
                    .filter(|(name, _)| own(name))
                    .map(|(_, value)| value.into_owned())
                    .collect();
                self.secrets.extend(found);
                self.redirect = Some(redirect);
                Err(EffectKind::Redirect)
            }
        }
    }

    /// What is in a request and must not be in any text.
    fn note_secrets(&mut self, view: &View) {
        const SECRET: [&str; 4] = ["code_verifier", "client_assertion", "refresh_token", "device_code"];
        let fields = view.form.iter().filter(|(name, _)| SECRET.contains(&name.as_str()));
        let headers = view.headers.iter().filter(|(name, _)| name == "authorization" || name == "dpop");
        let found: Vec<_> =
            fields.chain(headers).map(|(_, value)| value.clone()).filter(|value| value.len() >= 8).collect();
        self.secrets.extend(found);
    }

    /// Gives one event, and no more.
    pub fn handle(&mut self, event: Event) -> Result<Step<M::Output>, Error> {
        let mut cx = Context {
            now: self.now,
            random: self.random.as_mut(),
            crypto: &AwsLc,
            memory: &mut self.memory,
            observer: Some(&mut self.seen),
        };
        let result = self.machine.handle(event, &mut cx);
        let mut shown = format!("{:?} {:#?} {}", self.machine, self.machine, self.seen.shown);
        if let Err(error) = &result {
            shown.push_str(&format!("{error} {error:?} {error:#?}"));
            let mut source = std::error::Error::source(error);
            while let Some(error) = source {
                shown.push_str(&format!("{error} {error:?}"));
                source = error.source();
            }
        }
        self.is_free_of_secrets(&shown);
        result
    }

    #[track_caller]
    fn is_free_of_secrets(&self, shown: &str) {
        for secret in self.secrets.iter().map(String::as_str).chain(CANARIES) {
            assert!(!shown.contains(secret), "`{secret}` is shown: {shown}");
        }
    }

    /// A machine that has ended takes nothing more.
    fn has_ended(&mut self) {
        let state = Machine::state(&self.machine);
        for kind in EventKind::ALL {
            let error = self.handle(some(kind)).map(|_| ()).unwrap_err();
            assert!(matches!(error, Error::Misuse(Misuse::IllegalEvent { .. })), "{kind} after the end: {error:?}");
            assert_eq!(Machine::state(&self.machine), state);
        }
    }

    /// Says which requests were made, all of them: `POST https://as.example/token`.
    #[track_caller]
    pub fn sent(&mut self, expected: &[&str]) {
        let found: Vec<_> = self.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
        assert_eq!(found, expected, "the requests that were made");
        self.looked_at = true;
    }

    /// The URLs of all requests that were made, for a test that says elsewhere what they are.
    pub fn all_sent(&mut self) -> Vec<String> {
        self.looked_at = true;
        self.requests.iter().map(|view| view.url.clone()).collect()
    }

    /// The last request.
    #[track_caller]
    pub fn last(&self) -> &View {
        self.requests.last().unwrap()
    }
}

impl<M: Machine + Debug> Drop for Run<M> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.looked_at || self.requests.is_empty(),
                "the test has not looked at the requests: {:?}",
                self.requests
            );
        }
    }
}

fn sign(request: &SignRequest) -> Vec<u8> {
    Signer::shared().sign(request.algorithm, request.message.expose())
}

/// Any event of a kind.
fn some(kind: EventKind) -> Event {
    let stimulus = STIMULI.iter().find(|stimulus| stimulus.kind == kind).expect("a stimulus of every kind");
    (stimulus.event)(&mut Situation::new(Timestamp::from_secs(1_800_000_000)))
}
