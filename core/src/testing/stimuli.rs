//! What can happen to a machine: a list of concrete events, right and wrong, for every kind there is.
//!
//! A [`Stimulus`] is made from the [`Situation`], because a good callback must carry the `state` that was sent and a
//! good id_token the nonce. Walks over this list reach every arrow of every table.

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::MarkerCrypto;
use crate::Secret;
use crate::callback::CallbackParams;
use crate::error::{Delivery, ProviderError, SendFailure, TransportKind};
use crate::http::Body;
use crate::machine::{Effect, Event, EventKind};
use crate::time::Timestamp;

/// The issuer of all stimuli.
pub const ISSUER: &str = "https://as.example";
/// The client of all stimuli.
pub const CLIENT_ID: &str = "client";
/// The redirect URI of all stimuli.
pub const REDIRECT_URI: &str = "https://app.example/callback";

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
}

impl Situation {
    /// Nothing has happened.
    pub fn new(now: Timestamp) -> Self {
        Self { now, sleeping_until: None, state: String::new(), nonce: String::new() }
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
            Effect::Send(_)
            | Effect::ShowUserCode(_)
            | Effect::Sign(_)
            | Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
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
    "inactive" Response => |_| json(200, r#"{"active":false}"#);
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
