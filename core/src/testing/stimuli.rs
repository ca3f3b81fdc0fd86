//! What can happen to a machine: a list of concrete events, right and wrong, for every kind there is.
//!
//! A [`Stimulus`] is made from the [`Situation`], because a good callback must carry the `state` that was sent and a
//! good id_token the nonce. Walks over this list reach every arrow of every table.

use core::time::Duration;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::MarkerCrypto;
use super::specimens::or_broken;
use crate::Secret;
use crate::callback::CallbackParams;
use crate::error::{Delivery, LoginNeeded, ProviderError, SendFailure, StoreError, StoreFault, TransportKind};
use crate::http::Body;
use crate::machine::{Effect, Event, EventKind};
use crate::manager::{Credential, Placement, TokenId};
use crate::store::{Life, Record, StoreKey, Stored, Version};
use crate::time::Timestamp;
use crate::token::TokenSet;

/// The issuer of all stimuli.
pub const ISSUER: &str = "https://as.example";
/// The client of all stimuli.
pub const CLIENT_ID: &str = "client";
/// The redirect URI of all stimuli.
pub const REDIRECT_URI: &str = "https://app.example/callback";
/// The profile under which all stimuli keep their tokens.
pub const PROFILE: &str = "default";

/// What a walk knows: the time, and what the machine said last.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The time.
    pub now: Timestamp,
    /// Until when the last `Sleep` sleeps.
    pub sleeping_until: Option<Timestamp>,
    /// The `state` of the last `Redirect`.
    pub state: String,
    /// The nonce of the last `Redirect`.
    pub nonce: String,
    /// What the last `Save` wanted to write.
    pub saved: Option<(Version, Vec<u8>)>,
}

impl Situation {
    /// Nothing has happened.
    pub fn new(now: Timestamp) -> Self {
        Self { now, sleeping_until: None, state: String::new(), nonce: String::new(), saved: None }
    }

    /// Takes note of an effect.
    pub fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::Sleep { until } => self.sleeping_until = Some(*until),
            Effect::Redirect(redirect) => {
                for (name, value) in redirect.url.query_pairs() {
                    match name.as_ref() {
                        "state" => self.state = value.into_owned(),
                        "nonce" => self.nonce = value.into_owned(),
                        _ => {}
                    }
                }
            }
            Effect::Save(write) => {
                self.saved = Some((write.stored.version, write.stored.bytes.expose().clone()));
            }
            Effect::Send(_)
            | Effect::ShowUserCode(_)
            | Effect::Sign(_)
            | Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Delete(_)
            | Effect::Release(_)
            | Effect::Delegate(_)
            | Effect::Lease(_) => {}
        }
    }
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug)]
pub struct Stimulus {
    /// What it is, in words.
    pub name: &'static str,
    /// The kind of the event.
    pub kind: EventKind,
    /// Makes the event, and moves the time if the event takes some.
    pub event: fn(&mut Situation) -> Event,
}

macro_rules! stimuli {
    ($($name:literal $kind:ident => $event:expr;)*) => {
        /// Every stimulus there is.
        pub const STIMULI: &[Stimulus] = &[$(Stimulus { name: $name, kind: EventKind::$kind, event: $event }),*];
    };
}

stimuli! {
    "start" Start => |_| Event::Start;
    "resume" Resume => |_| Event::Resume;
    "cancel" Cancel => |_| Event::Cancel;
    "shown" Shown => |_| Event::Shown;
    "elapsed when due" Elapsed => |s| { s.now = s.sleeping_until.unwrap_or(s.now); Event::Elapsed };
    "elapsed too early" Elapsed => |_| Event::Elapsed;
    "elapsed a day late" Elapsed => |s| { s.now = s.now.plus(Duration::from_secs(86_400)); Event::Elapsed };
    "resume a day late" Resume => |s| { s.now = s.now.plus(Duration::from_secs(86_400)); Event::Resume };
    "signed" Signed => |_| Event::Signed(Secret::new(vec![1, 2, 3]));
    "sign failed" SignFailed => |_| Event::SignFailed(ProviderError::KeyUnavailable);
    "not sent" SendFailed => |_| failed(Delivery::NotSent, TransportKind::Connect);
    "delivery unknown" SendFailed => |_| failed(Delivery::Unknown, TransportKind::Reset);
    "no TLS" SendFailed => |_| failed(Delivery::NotSent, TransportKind::Tls);
    "callback with code" Callback => |s| callback(&format!("code=canary-code&state={}&iss={ISSUER}", s.state));
    "callback a day late" Callback => |s| {
        s.now = s.now.plus(Duration::from_secs(86_400));
        callback(&format!("code=canary-code&state={}&iss={ISSUER}", s.state))
    };
    "callback of another login" Callback => |_| callback("code=canary-code&state=other&iss=https://as.example");
    "callback without state" Callback => |_| callback("code=canary-code");
    "callback with nothing" Callback => |s| callback(&format!("state={}&iss={ISSUER}", s.state));
    "callback denied" Callback => |s| callback(&format!("error=access_denied&state={}&iss={ISSUER}", s.state));
    "callback from another issuer" Callback => |s| callback(&format!("code=canary-code&state={}&iss=https://evil.example", s.state));
    "callback without issuer" Callback => |s| callback(&format!("code=canary-code&state={}", s.state));
    "callback with code and error" Callback => |s| callback(&format!("code=canary-code&error=x&state={}&iss={ISSUER}", s.state));
    "token" Response => |_| json(200, r#"{"access_token":"canary-access","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh"}"#);
    "token with id_token" Response => |s| with_id_token(s, "1", MarkerCrypto::SIGNATURE, "");
    "token with id_token of an unknown key" Response => |s| with_id_token(s, "unknown", MarkerCrypto::SIGNATURE, "");
    "token with forged id_token" Response => |s| with_id_token(s, "1", b"forged", "");
    "token with expired id_token" Response => |s| with_id_token(s, "1", MarkerCrypto::SIGNATURE, r#""exp":1,"#);
    "refused: invalid_grant" Response => |_| refusal("invalid_grant");
    "refused: invalid_client" Response => |_| refusal("invalid_client");
    "refused: authorization_pending" Response => |_| refusal("authorization_pending");
    "refused: slow_down" Response => |_| refusal("slow_down");
    "refused: access_denied" Response => |_| refusal("access_denied");
    "refused: expired_token" Response => |_| refusal("expired_token");
    "nonce demanded" Response => |_| nonce_demanded();
    "throttled" Response => |_| status(429, "");
    "throttled for a day" Response => |_| retry_after("86400");
    "unavailable for a second" Response => |_| retry_after("1");
    "server error" Response => |_| status(500, "<html>oops</html>");
    "redirected within the origin" Response => |_| redirected("/elsewhere");
    "redirected elsewhere" Response => |_| redirected("https://evil.example/");
    "not found" Response => |_| status(404, "");
    "nothing" Response => |_| status(200, "");
    "no content" Response => |_| status(204, "");
    "an empty object" Response => |_| json(200, "{}");
    "half an object" Response => |_| json(200, r#"{"access_token":"#);
    "too much" Response => |_| too_much();
    "metadata" Response => |_| json(200, &format!(r#"{{"issuer":"{ISSUER}"}}"#));
    "metadata of another issuer" Response => |_| json(200, r#"{"issuer":"https://evil.example"}"#);
    "metadata with a private address" Response => |_| json(200, &format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"https://10.0.0.1/"}}"#));
    "keys" Response => |_| json(200, KEYS);
    "no keys" Response => |_| json(200, r#"{"keys":[]}"#);
    "device code" Response => |_| json(200, r#"{"device_code":"canary-device-code","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800}"#);
    "profile" Response => |_| json(200, r#"{"sub":"alice","email":"alice@example.com"}"#);
    "profile of somebody else" Response => |_| json(200, r#"{"sub":"mallory"}"#);
    "active" Response => |_| json(200, r#"{"active":true,"sub":"alice"}"#);
    "acquire" Acquire => |_| Event::Acquire;
    "acquire a few seconds later" Acquire => |s| { s.now = s.now.plus(Duration::from_secs(5)); Event::Acquire };
    "acquire when it is due" Acquire => |s| { s.now = s.now.plus(Duration::from_secs(3550)); Event::Acquire };
    "acquire a day later" Acquire => |s| { s.now = s.now.plus(Duration::from_secs(86_400)); Event::Acquire };
    "acquire a day earlier" Acquire => |s| { s.now = s.now.minus(Duration::from_secs(86_400)); Event::Acquire };
    "renew" Renew => |_| Event::Renew;
    "renew a little later" Renew => |s| { s.now = s.now.plus(Duration::from_secs(2)); Event::Renew };
    "renew a day later" Renew => |s| { s.now = s.now.plus(Duration::from_secs(86_400)); Event::Renew };
    "reject the token in use" Reject => |_| Event::Reject(token_id("canary-access"));
    "reject it a day later" Reject => |s| {
        s.now = s.now.plus(Duration::from_secs(86_400));
        Event::Reject(token_id("canary-access"))
    };
    "reject another token" Reject => |_| Event::Reject(token_id("canary-other"));
    "adopt" Adopt => |s| Event::Adopt(Box::new(tokens(s.now, "canary-access", REFRESHABLE)));
    "adopt what cannot be renewed" Adopt => |s| Event::Adopt(Box::new(tokens(s.now, "canary-access", "")));
    "adopt what nobody can present" Adopt => |s| Event::Adopt(Box::new(unpresentable(s.now)));
    "reload" Reload => |_| Event::Reload;
    "sign out" SignOut => |_| Event::SignOut;
    "loaded nothing" Loaded => |_| Event::Loaded(None);
    "loaded what was saved" Loaded => |s| Event::Loaded(s.saved.clone().map(stored));
    "loaded a record" Loaded => |s| loaded(s, 0, Life::Live, 3600, REFRESHABLE);
    "loaded a record that is due" Loaded => |s| loaded(s, 0, Life::Live, 10, REFRESHABLE);
    "loaded a record that cannot be renewed" Loaded => |s| loaded(s, 0, Life::Live, 0, "");
    "loaded a sibling's record" Loaded => |s| loaded(s, 1_000_000, Life::Live, 3600, REFRESHABLE);
    "loaded a sibling's record that is due" Loaded => |s| loaded(s, 1_000_000, Life::Live, 10, REFRESHABLE);
    "loaded an older record" Loaded => |s| loaded(s, -1, Life::Live, 3600, REFRESHABLE);
    "loaded a record that has ended" Loaded => |s| loaded(s, 1_000_000, Life::Ended, 3600, REFRESHABLE);
    "loaded an older record that has ended" Loaded => |s| loaded(s, -1, Life::Ended, 3600, REFRESHABLE);
    "loaded a damaged record" Loaded => |_| Event::Loaded(Some(stored((Version::from_u64(u64::MAX >> 2), b"{".to_vec()))));
    "stored" Stored => |_| Event::Stored;
    "conflict" Conflict => |_| Event::Conflict;
    "store failed" StoreFailed => |_| Event::StoreFailed(StoreError::new(StoreFault::Unavailable, "away"));
    "released" Released => |_| Event::Released;
    "delegated" Delegated => |s| Event::Delegated(Box::new(tokens(s.now, "canary-access", "")));
    "delegated what nobody can present" Delegated => |s| Event::Delegated(Box::new(unpresentable(s.now)));
    "delegate failed" DelegateFailed => |_| Event::DelegateFailed(ProviderError::KeyUnavailable.into());
    "delegate was refused" DelegateFailed => |_| Event::DelegateFailed(LoginNeeded::Rejected.into());
    "leased" Leased => |_| leased("canary-access");
    "leased another" Leased => |_| leased("canary-other");
    "lease failed" LeaseFailed => |_| Event::LeaseFailed(LoginNeeded::NoSession.into());
    "inactive" Response => |_| json(200, r#"{"active":false}"#);
    "signed: active" Response => |s| signed(s, "1", MarkerCrypto::SIGNATURE, r#"{"active":true,"sub":"canary-subject"}"#);
    "signed: inactive" Response => |s| signed(s, "1", MarkerCrypto::SIGNATURE, r#"{"active":false}"#);
    "signed: no answer" Response => |s| signed(s, "1", MarkerCrypto::SIGNATURE, r#"{"active":"yes"}"#);
    "signed by an unknown key" Response => |s| signed(s, "unknown", MarkerCrypto::SIGNATURE, r#"{"active":true}"#);
    "signed by nobody" Response => |s| signed(s, "1", b"forged", r#"{"active":true}"#);
    "leased a bound token" Leased => |_| leased_bound();
    "lease failed for now" LeaseFailed => |_| Event::LeaseFailed(ProviderError::KeyUnavailable.into());
    "token refused" Response => |_| response(401, &[("www-authenticate", r#"Bearer error="invalid_token""#)], "");
    "nonce demanded by a resource" Response => |_| response(401, &[("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "a-nonce")], "");
    "more scope asked for" Response => |_| response(403, &[("www-authenticate", r#"Bearer error="insufficient_scope", scope="admin""#)], "");
    "reject another token a few seconds later" Reject => |s| {
        s.now = s.now.plus(Duration::from_secs(5));
        Event::Reject(token_id("canary-other"))
    };
    "reject another token a day later" Reject => |s| {
        s.now = s.now.plus(Duration::from_secs(86_400));
        Event::Reject(token_id("canary-other"))
    };
}

/// A key set with the one key that signs the good id_tokens.
pub const KEYS: &str = concat!(
    r#"{"keys":[{"kty":"RSA","kid":"1","alg":"RS256","use":"sig","e":"AQAB","n":""#,
    "____________________________________________________________________________________________________",
    "____________________________________________________________________________________________________",
    "____________________________________________________________________________________________________",
    "_________________________________________w",
    r#""}]}"#,
);

const REFRESHABLE: &str = r#""refresh_token":"canary-refresh","#;

/// The fingerprint of a token of these stimuli.
pub fn token_id(token: &str) -> TokenId {
    TokenId::of(&Secret::from(token), &MarkerCrypto)
}

/// The record of a token that came at `now` and lives for an hour, as text.
fn record_text(now: Timestamp, token: &str, lifetime: u64, more: &str) -> String {
    let (granted, expires) = (now.as_secs(), now.as_secs().saturating_add(lifetime));
    format!(
        r#"{{{more}"access_token":"{token}","token_type":"Bearer","expires_in":{lifetime},"granted_at":{granted},"expires_at":{expires}}}"#
    )
}

fn tokens(now: Timestamp, token: &str, more: &str) -> TokenSet {
    or_broken(TokenSet::from_record(record_text(now, token, 3600, more).as_bytes(), now))
}

/// Tokens of a type that no client of the register knows.
fn unpresentable(now: Timestamp) -> TokenSet {
    or_broken(TokenSet::from_record(br#"{"access_token":"canary-access","token_type":"mac"}"#, now))
}

fn stored((version, bytes): (Version, Vec<u8>)) -> Stored {
    Stored { version, bytes: Secret::new(bytes) }
}

/// A record whose version lies this far from the one that was saved last.
fn loaded(s: &Situation, distance: i64, life: Life, lifetime: u64, more: &str) -> Event {
    const FIRST: u64 = 1 << 60;
    let last = s.saved.as_ref().map_or(FIRST, |(version, _)| version.as_u64());
    let version = Version::from_u64(last.saturating_add_signed(distance));
    let token = if distance > 0 { "canary-sibling" } else { "canary-access" };
    let tokens = Secret::new(record_text(s.now, token, lifetime, more).into_bytes());
    let key = or_broken(StoreKey::of(ISSUER, CLIENT_ID, PROFILE));
    Event::Loaded(Some(or_broken(Record { version, life, tokens }.write(&key))))
}

fn leased(token: &str) -> Event {
    Event::Leased(or_broken(Credential::bare(&Secret::from(token), &Placement::default(), &MarkerCrypto)))
}

fn leased_bound() -> Event {
    let record = br#"{"access_token":"canary-access","token_type":"DPoP"}"#;
    let tokens = or_broken(TokenSet::from_record(record, Timestamp::from_secs(0)).map_err(crate::Error::from));
    Event::Leased(or_broken(Credential::new(Arc::new(tokens), &Placement::default(), None, None, &MarkerCrypto)))
}

fn failed(delivery: Delivery, kind: TransportKind) -> Event {
    Event::SendFailed(SendFailure { delivery, kind })
}

fn callback(query: &str) -> Event {
    CallbackParams::from_query(query).map_or(Event::Elapsed, Event::Callback)
}

fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Event {
    let mut response = http::Response::new(Body::new(body.as_bytes().to_vec()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(*name, value);
        }
    }
    Event::Response(response)
}

fn json(code: u16, body: &str) -> Event {
    response(code, &[("content-type", "application/json")], body)
}

fn status(code: u16, body: &str) -> Event {
    response(code, &[("content-type", "text/html")], body)
}

fn refusal(code: &str) -> Event {
    json(400, &format!(r#"{{"error":"{code}","error_description":"canary-described"}}"#))
}

fn nonce_demanded() -> Event {
    let headers = [("content-type", "application/json"), ("dpop-nonce", "a-nonce")];
    response(400, &headers, r#"{"error":"use_dpop_nonce"}"#)
}

fn retry_after(seconds: &str) -> Event {
    response(503, &[("retry-after", seconds)], "")
}

fn redirected(location: &str) -> Event {
    response(302, &[("location", location)], "")
}

fn too_much() -> Event {
    json(200, &"x".repeat(1024 * 1024 + 1))
}

/// A signed answer to an introspection.
fn signed(situation: &Situation, kid: &str, signature: &[u8], answer: &str) -> Event {
    let now = situation.now.as_secs();
    let header = format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"token-introspection+jwt"}}"#);
    let claims = format!(r#"{{"iss":"{ISSUER}","aud":"{CLIENT_ID}","iat":{now},"token_introspection":{answer}}}"#);
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let headers = [("content-type", "application/token-introspection+jwt")];
    response(200, &headers, &format!("{header}.{claims}.{signature}"))
}

fn with_id_token(situation: &Situation, kid: &str, signature: &[u8], first_claims: &str) -> Event {
    let now = situation.now.as_secs();
    let expiry = if first_claims.is_empty() {
        format!(r#""exp":{},"#, now.saturating_add(600))
    } else {
        first_claims.to_owned()
    };
    let nonce = if situation.nonce.is_empty() { String::new() } else { format!(r#","nonce":"{}""#, situation.nonce) };
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
    let claims = format!(r#"{{{expiry}"iss":"{ISSUER}","sub":"alice","aud":"{CLIENT_ID}","iat":{now}{nonce}}}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims);
    let signature = URL_SAFE_NO_PAD.encode(signature);
    json(
        200,
        &format!(
            r#"{{"access_token":"canary-access","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh","id_token":"{header}.{claims}.{signature}"}}"#
        ),
    )
}
