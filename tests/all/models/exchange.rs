//! Which requests are repeated, how often and when, beside a reference that says it in one screen.
//!
//! Every kind of request that the core makes goes through the same machine. A script makes one after the other, for clients
//! that sign and clients that do not, with one memory of nonces. Times are milliseconds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantflow_core::callback::CallbackParams;
use grantflow_core::client::{Authentication, Client, ProofKey};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Jwks, Revocation, UserInfo};
use grantflow_core::error::{Delivery, Error, Expired, Misuse, ProviderError, SendFailure, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras, Refresh};
use grantflow_core::http::Body;
use grantflow_core::http::form::Form;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{Context, Effect, Event, Machine, Outgoing, SignRequest, Step};
use grantflow_core::memory::Memory;
use grantflow_core::testing::MarkerCrypto;
use grantflow_core::testing::specimens::server;
use grantflow_core::{Secret, Timestamp};

use super::{Steady, explore};

mod reference;
mod scripts;

use reference::{Does, End, Reference, Verdict};
use scripts::{Flow, Happens, Says, Script, Stray, Who};

/// An answer that is right for every request of the model.
const GOOD: &str = r#"{"access_token":"new","expires_in":600,"active":true,"sub":"alice","device_code":"device-code",
    "user_code":"WDJB","verification_uri":"https://as.example/device","keys":[{"kty":"EC","crv":"P-256","kid":"1",
    "x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}],"#;

/// A flow whatever it gives in the end.
trait Flowing {
    fn give(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Option<Effect>, Error>;
}

impl<M: Machine> Flowing for M {
    fn give(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Option<Effect>, Error> {
        match self.handle(event, cx)? {
            Step::Do(effect) => Ok(Some(effect)),
            Step::Done(_) => Ok(None),
        }
    }
}

fn client(who: Who) -> Client {
    let builder = Client::builder(server(), "client");
    let proof_key =
        || ProofKey::new("proof", SignatureAlgorithm::Es256, r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#);
    let builder = match who {
        Who::Public => builder,
        Who::Knows | Who::Proves => builder.secret(Secret::from("client-secret")),
        Who::Signs | Who::SignsAndProves => builder.authentication(Authentication::SignedAssertion {
            key_id: "key".to_owned(),
            algorithm: SignatureAlgorithm::Es256,
        }),
    };
    match who {
        Who::Proves | Who::SignsAndProves => builder.proof_key(proof_key().unwrap()).build().unwrap(),
        Who::Public | Who::Knows | Who::Signs => builder.build().unwrap(),
    }
}

fn flow(flow: Flow, client: &Client) -> Box<dyn Flowing> {
    let token = Secret::from("spent-token");
    match flow {
        Flow::Code => {
            let request = AuthorizationRequest::new("https://app.example/callback").scope("read");
            Box::new(AuthorizationCode::new(client, request).unwrap())
        }
        Flow::Refresh => Box::new(Refresh::new(client, RefreshRequest::new(token)).unwrap()),
        Flow::ClientCredentials => Box::new(ClientCredentials::new(client, "read", &Extras::default()).unwrap()),
        Flow::Device | Flow::Poll => Box::new(Device::new(client, "read", Extras::default()).unwrap()),
        Flow::Introspection => Box::new(Introspection::new(client, &token, TokenKind::Access).unwrap()),
        Flow::Revocation => Box::new(Revocation::new(client, &token, TokenKind::Refresh).unwrap()),
        Flow::UserInfo => Box::new(UserInfo::new(client, &token, "alice").unwrap()),
        Flow::Keys => Box::new(Jwks::new(client).unwrap()),
    }
}

/// The client, its clock and its server.
struct World {
    kind: Flow,
    flow: Box<dyn Flowing>,
    reference: Reference,
    now: u64,
    random: Steady,
    memory: Memory,
    transitions: u32,
    /// The first request of the flow, without what is made anew for each.
    first: Option<String>,
    sent: u32,
    /// What was signed and not sent yet: the assertion and the proof.
    signed: [Option<String>; 2],
    /// Everything that was ever signed.
    all_signed: Vec<String>,
    /// The server may have acted on what it was sent.
    acted: bool,
}

impl World {
    fn new(jitter: u8) -> Self {
        Self {
            kind: Flow::Keys,
            flow: flow(Flow::Keys, &client(Who::Public)),
            reference: Reference::new(jitter),
            now: 1_800_000_000_000,
            random: Steady::new(jitter),
            memory: Memory::new(),
            transitions: 0,
            first: None,
            sent: 0,
            signed: [None, None],
            all_signed: Vec::new(),
            acted: false,
        }
    }

    fn begin(&mut self, kind: Flow, who: Who) {
        self.kind = kind;
        self.flow = flow(kind, &client(who));
        (self.first, self.sent, self.acted) = (None, 0, false);
        self.signed = [None, None];
        let event = match kind {
            Flow::Code => {
                let Ok(Some(Effect::Redirect(redirect))) = self.handle(Event::Start) else { panic!("no redirect") };
                let state = redirect.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
                let query = format!("code=the-code&state={state}&iss=https%3A%2F%2Fas.example");
                Event::Callback(CallbackParams::from_query(&query).unwrap())
            }
            Flow::Poll => {
                self.until_the_first_poll();
                self.now += 5_000;
                Event::Elapsed
            }
            _ => Event::Start,
        };
        let expected = self.reference.starts(kind, who, self.now);
        assert_eq!(self.give(event), expected, "{kind:?} of {who:?} begins");
    }

    fn until_the_first_poll(&mut self) {
        let mut effect = self.handle(Event::Start).unwrap();
        while let Some(Effect::Sign(_)) = effect {
            effect = self.handle(signed()).unwrap();
        }
        assert!(matches!(effect, Some(Effect::Send(_))));
        assert!(matches!(self.handle(self.answer(Says::Good, None)), Ok(Some(Effect::ShowUserCode(_)))));
        assert!(matches!(self.handle(Event::Shown), Ok(Some(Effect::Sleep { .. }))));
    }

    fn handle(&mut self, event: Event) -> Result<Option<Effect>, Error> {
        self.transitions += 1;
        let mut cx = Context {
            now: Timestamp::from_millis(self.now),
            random: &mut self.random,
            crypto: &MarkerCrypto,
            memory: &mut self.memory,
            observer: None,
        };
        self.flow.give(event, &mut cx)
    }

    fn give(&mut self, event: Event) -> Does {
        match self.handle(event) {
            Ok(Some(Effect::Sign(request))) => self.signs(&request),
            Ok(Some(Effect::Send(outgoing))) => self.sends(&outgoing),
            // Between two polls: what came of the last one is the device model's business.
            Ok(Some(Effect::Sleep { .. })) if self.kind == Flow::Poll => Does::Ends(End::Answered(Verdict::Later)),
            Ok(Some(Effect::Sleep { until })) => {
                assert!(until.as_millis() > self.now, "a sleep that is over before it begins");
                Does::Sleeps(until.as_millis())
            }
            Ok(Some(Effect::ShowUserCode(_)) | None) => Does::Ends(End::Answered(Verdict::Good)),
            Ok(Some(effect)) => panic!("{effect:?}"),
            Err(Error::Refused(refusal)) => Does::Ends(End::Answered(Verdict::No(refusal.code))),
            Err(Error::Transport(failure)) if failure.answer.is_some() => {
                Does::Ends(End::Answered(Verdict::Ill(failure.not_before.map(Timestamp::as_millis))))
            }
            Err(Error::Transport(failure)) => Does::Ends(End::Lost(failure.delivery, failure.kind)),
            Err(Error::Expired(Expired::Retries)) => Does::Ends(End::OutOfTime),
            Err(Error::Provider(ProviderError::KeyUnavailable)) => Does::Ends(End::NoKey),
            Err(Error::Cancelled) => Does::Ends(End::Cancelled),
            Err(Error::Misuse(Misuse::IllegalEvent { .. })) => Does::Objects,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn signs(&mut self, request: &SignRequest) -> Does {
        let message = String::from_utf8(request.message.expose().clone()).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(message.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert!(!self.all_signed.contains(&message), "every attempt is signed anew");
        self.all_signed.push(message.clone());
        match request.key_id.as_str() {
            "key" => {
                self.signed[0] = Some(message);
                Does::SignsAssertion
            }
            "proof" => {
                self.signed[1] = Some(message);
                Does::SignsProof(claims.get("nonce").map(|nonce| nonce.as_str().unwrap().to_owned()))
            }
            key => panic!("{key} signs nothing"),
        }
    }

    fn sends(&mut self, outgoing: &Outgoing) -> Does {
        let request = &outgoing.request;
        assert_eq!(request.uri().host(), Some("as.example"));
        let form = Form::parse(request.body().expose(), usize::MAX).unwrap();
        let assertion = form.get("client_assertion").map(|jwt| jwt.expose().clone());
        let proof = request.headers().get("dpop").map(|jwt| jwt.to_str().unwrap().to_owned());
        for (made, signed) in [assertion, proof].into_iter().zip(&mut self.signed) {
            let unsigned = made.map(|jwt| jwt.rsplit_once('.').unwrap().0.to_owned());
            assert_eq!(unsigned, signed.take(), "what is sent was signed for this attempt");
        }
        let kept = form.iter().filter(|(name, _)| *name != "client_assertion");
        let kept: Vec<_> = kept.map(|(name, value)| format!("{name}={}", value.expose())).collect();
        let bare = format!("{} {} {kept:?}", request.method(), request.uri());
        assert_eq!(self.first.get_or_insert_with(|| bare.clone()), &bare, "the same request again");
        self.sent += 1;
        assert!(self.sent <= 5, "three repetitions and one nonce are all there is");
        assert!(!self.acted, "sent again although the server may have acted on it");
        Does::Sends
    }

    fn happens(&mut self, happens: Happens) {
        match happens {
            Happens::Answered(says, nonce, after) => {
                if self.reach_the_server() {
                    self.now += after;
                    let (demanded, delivered) = (matches!(says, Says::NonceDemanded(_)), self.kind == Flow::Code);
                    self.acted = delivered && !demanded;
                    let expected = self.reference.told(says, nonce, self.now);
                    assert_eq!(self.give(self.answer(says, nonce)), expected, "{:?} told {says:?}", self.kind);
                }
            }
            Happens::Lost(delivery, kind, after) => {
                if self.reach_the_server() {
                    self.now += after;
                    let changes_something = !matches!(self.kind, Flow::UserInfo | Flow::Keys);
                    self.acted = delivery == Delivery::Unknown && changes_something;
                    let expected = self.reference.lost(delivery, kind, self.now);
                    let failure = SendFailure { delivery, kind };
                    assert_eq!(self.give(Event::SendFailed(failure)), expected, "{:?}: {failure:?}", self.kind);
                }
            }
            Happens::WokenLate(late) => self.wake(|until| until + late),
            Happens::WokenEarly(early) => self.wake(|until| until - early),
            Happens::KeyAway if self.reference.is_signing() => {
                let expected = self.reference.ends(End::NoKey);
                assert_eq!(self.give(Event::SignFailed(ProviderError::KeyUnavailable)), expected);
            }
            Happens::KeyAway => {}
            Happens::ClockSetForward(by) => self.now += by,
            Happens::ClockSetBack(by) => self.now -= by,
            Happens::Cancelled => {
                let expected = self.reference.ends(End::Cancelled);
                assert_eq!(self.give(Event::Cancel), expected);
            }
            Happens::Strays(stray) => {
                let event = match stray {
                    Stray::Response if !self.reference.is_sending() => self.answer(Says::Good, None),
                    Stray::Signed if !self.reference.is_signing() => signed(),
                    Stray::Elapsed if self.reference.pauses_until().is_none() => Event::Elapsed,
                    Stray::Response | Stray::Signed | Stray::Elapsed => return,
                };
                assert_eq!(self.give(event), Does::Objects, "{stray:?}");
            }
        }
    }

    /// Signs and waits as long as that is what is to be done.
    fn reach_the_server(&mut self) -> bool {
        while !self.reference.is_sending() {
            if self.reference.has_ended() {
                return false;
            }
            if self.reference.is_signing() {
                let expected = self.reference.signed();
                assert_eq!(self.give(signed()), expected);
            } else {
                self.wake(|until| until);
            }
        }
        true
    }

    fn wake(&mut self, when: impl FnOnce(u64) -> u64) {
        let Some(until) = self.reference.pauses_until() else { return };
        self.now = self.now.max(when(until));
        let expected = self.reference.woken(self.now);
        assert_eq!(self.give(Event::Elapsed), expected, "woken at {}", self.now);
    }

    fn answer(&self, says: Says, nonce: Option<u8>) -> Event {
        let token_type = if self.reference.proves() { "DPoP" } else { "Bearer" };
        let good = || format!(r#"{GOOD}"token_type":"{token_type}"}}"#);
        let refusal = |code: &str| format!(r#"{{"error":"{code}"}}"#);
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(nonce.map(|nonce| ("dpop-nonce", format!("nonce-{nonce}"))));
        let (status, body) = match says {
            Says::Good => (200, good()),
            Says::No => (400, refusal("invalid_request")),
            Says::NonceDemanded(401) => {
                headers.push(("www-authenticate", r#"DPoP error="use_dpop_nonce""#.to_owned()));
                (401, refusal("use_dpop_nonce"))
            }
            Says::NonceDemanded(status) => (status, refusal("use_dpop_nonce")),
            Says::Ill(status, asked) => {
                headers.extend(asked.map(|seconds| ("retry-after", seconds.to_string())));
                (status, String::new())
            }
        };
        let mut builder = http::Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        Event::Response(builder.body(Body::new(body.into_bytes())).unwrap())
    }
}

fn signed() -> Event {
    Event::Signed(Secret::new(b"a signature".to_vec()))
}

fn run((jitter, flows, happens): &Script) -> u32 {
    let mut world = World::new(*jitter);
    let mut flows = flows.iter().cycle();
    for happens in happens {
        if world.reference.has_ended() {
            let (flow, who) = *flows.next().unwrap();
            world.begin(flow, who);
        }
        world.happens(*happens);
    }
    // Whatever else happens, a request comes to an end by itself.
    while !world.reference.has_ended() {
        world.happens(Happens::Lost(Delivery::NotSent, TransportKind::Connect, 0));
    }
    world.transitions
}

#[test]
fn ds_08_fl_01_fl_02_fl_03_fl_14_requests_are_repeated_as_the_reference_says() {
    explore("exchange retries", file!(), &scripts::regressions(), scripts::scripts(), run);
}
