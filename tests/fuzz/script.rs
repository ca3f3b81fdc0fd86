//! What the world of a run is like, and how its answers are read from the script.

use std::fmt::Write;
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::callback::CallbackParams;
use grantflow_core::http::Body;
use grantflow_core::machine::{Effect, Event, Outgoing, Table};
use grantflow_core::testing::stimuli::{ISSUER, Situation, Stimulus};

use super::world::Account;
use super::{at, operation};

/// How many answers a script gives at most. Then the network is down, nobody comes back, and sleeps end when they should.
const SURPRISES: usize = 48;

/// How many effects a machine may have in all, those after the last surprise included: a device code that lives for long is
/// asked about every five minutes.
const MOST_EFFECTS: usize = 600;

/// How long an answer can take.
const DELAYS: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(900),
    Duration::from_millis(4_700),
    Duration::from_millis(14_800),
    Duration::from_millis(59_900),
    Duration::MAX,
];

/// What a script's response can have for a status.
const STATUSES: [u16; 16] = [200, 201, 204, 302, 400, 401, 403, 404, 408, 425, 428, 429, 500, 502, 503, 100];

/// What a script's response can have for header fields.
const FIELDS: [(&str, &str); 8] = [
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "text/html"),
    ("dpop-nonce", "a-nonce"),
    ("retry-after", "1"),
    ("retry-after", "99999"),
    ("location", "https://as.example/moved"),
    ("www-authenticate", "DPoP error=\"use_dpop_nonce\""),
];

/// What is in one of these is a secret.
pub(super) const CANARIES: [&str; 7] = [
    "canary-code",
    "canary-access",
    "canary-refresh",
    "canary-client-secret",
    "canary-device-code",
    "canary-body",
    "canary-query",
];

/// The stimulus that is there for its size: [`operation::OVERFLOW`] is dearer to less.
const LARGE: &str = "too much";

/// The world of one run.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) table: &'static Table,
    pub(super) equipped: bool,
    pub(super) script: Vec<u8>,
    pub(super) situation: Situation,
    pub(super) answer: Option<Answer>,
    pub(super) surprises: usize,
    pub(super) effects: usize,
    pub(super) overflows: usize,
    /// Until when somebody waits who has nothing else to do.
    pub(super) timers: Vec<Timestamp>,
    pub(super) held: usize,
    /// Whether the last effect was to let one go.
    pub(super) letting_go: bool,
    pub(super) gone: bool,
    /// Everything that could be read by somebody.
    pub(super) said: String,
    /// What must not be in it.
    pub(super) secrets: Vec<String>,
    /// Whether the script writes what it likes, so that a secret may be anything.
    pub(super) own_words: bool,
    pub(super) account: Account,
}

/// The answer to the effect at hand.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) event: Event,
    pub(super) delay: Duration,
    pub(super) unclaimed: bool,
    pub(super) nothing_held: bool,
}

impl Inner {
    /// Judges an effect and reads from the script how it is answered.
    pub(super) fn decide(&mut self, effect: &Effect) -> Option<Answer> {
        self.effects += 1;
        assert!(self.effects <= MOST_EFFECTS, "it does not end");
        self.situation.note(effect);
        self.judge(effect);
        let mut answer = Answer { event: Event::Cancel, delay: Duration::ZERO, unclaimed: false, nothing_held: false };
        if self.surprises >= SURPRISES {
            self.script.clear();
        }
        self.surprises += 1;
        let limit = if let Effect::Send(outgoing) = effect { outgoing.max_body } else { 0 };
        let (mut cut, mut overflows) = (None, false);
        answer.event = loop {
            match self.script.pop() {
                None => break self.usual(effect),
                Some(operation::DELAY) => answer.delay = DELAYS[usize::from(self.byte()) % DELAYS.len()],
                Some(operation::CUT) => cut = Some(usize::from(self.byte())),
                Some(operation::OVERFLOW) => overflows = true,
                Some(operation::GIVE_UP) if self.takes_time(effect) => return None,
                Some(operation::WALK_AWAY) if matches!(effect, Effect::Redirect(_) | Effect::ShowUserCode(_)) => {
                    return Some(answer);
                }
                Some(operation::UNCLAIMED) => answer.unclaimed = true,
                Some(operation::NOTHING_HELD) => answer.nothing_held = true,
                Some(operation::RESPONSE) => {
                    let response = self.response();
                    if limit > 0 {
                        break response;
                    }
                }
                Some(operation::CALLBACK) => {
                    let query = self.text();
                    if let (Effect::Redirect(_), Ok(params)) = (effect, CallbackParams::from_query(&query)) {
                        break Event::Callback(params);
                    }
                }
                Some(operation::GIVE_UP | operation::WALK_AWAY) => {}
                Some(place) => break self.stimulus(effect, usize::from(place)),
            }
        };
        if let Event::Response(response) = &mut answer.event {
            if let Some(cut) = cut {
                let body = response.body().expose();
                *response.body_mut() = Body::new(body.get(..cut).unwrap_or(body).to_vec());
            }
            if overflows && self.overflows < 2 {
                self.overflows += 1;
                *response.body_mut() = Body::new(vec![b' '; limit + 1]);
            }
        }
        Some(answer)
    }

    /// Whether a driver waits for the effect to be done. Where it does not, nobody can give the flow up.
    fn takes_time(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Send(_) | Effect::Redirect(_) | Effect::ShowUserCode(_) | Effect::Sleep { .. } => true,
            Effect::Release(_) => false,
            Effect::Sign(_)
            | Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
            | Effect::Delete(_)
            | Effect::Delegate(_)
            | Effect::Lease(_) => self.equipped,
        }
    }

    /// Holds an effect to what all effects must be.
    fn judge(&mut self, effect: &Effect) {
        let _ = write!(self.said, "{effect:?} {effect:#?}");
        match effect {
            Effect::Sleep { until } => assert!(*until > self.situation.now, "a sleep that is over"),
            Effect::Send(outgoing) => {
                let uri = outgoing.request.uri();
                let at_resource = self.table.machine == "authorized-request";
                let host = if at_resource { "api.example" } else { "as.example" };
                let found = (uri.scheme_str(), uri.host(), uri.port_u16());
                assert_eq!(found, (Some("https"), Some(host), None), "{uri}");
                assert!(outgoing.max_body > 0 && !outgoing.timeout.is_zero());
                self.keep_secrets(outgoing);
            }
            Effect::Redirect(redirect) => {
                assert_eq!(redirect.url.origin().ascii_serialization(), ISSUER);
                for secret in [self.situation.state.clone(), self.situation.nonce.clone()] {
                    self.keep(secret);
                }
            }
            Effect::ShowUserCode(_)
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

    /// Learns the secrets in a request.
    fn keep_secrets(&mut self, outgoing: &Outgoing) {
        const SECRET: [&str; 5] = ["code", "code_verifier", "client_assertion", "refresh_token", "device_code"];
        let form: Vec<_> = url::form_urlencoded::parse(outgoing.request.body().expose()).into_owned().collect();
        for (name, value) in form {
            if SECRET.contains(&name.as_str()) {
                self.keep(value);
            }
        }
        for name in ["authorization", "dpop"] {
            let value = outgoing.request.headers().get(name).and_then(|value| value.to_str().ok());
            self.keep(value.unwrap_or_default().to_owned());
        }
    }

    fn keep(&mut self, secret: String) {
        // What the script has made up may be a word that stands in every text.
        if secret.len() >= 8 && !self.own_words && !self.secrets.contains(&secret) {
            self.secrets.push(secret);
        }
    }

    /// What happens when nothing is said about it.
    fn usual(&mut self, effect: &Effect) -> Event {
        match effect {
            Effect::Sleep { until } => {
                self.situation.now = *until;
                Event::Elapsed
            }
            Effect::Redirect(redirect) => {
                self.situation.now = redirect.expires_at.max(self.situation.now);
                Event::Elapsed
            }
            Effect::ShowUserCode(_) => Event::Shown,
            Effect::Send(_)
            | Effect::Sign(_)
            | Effect::Load(_)
            | Effect::Claim(_)
            | Effect::Save(_)
            | Effect::Delete(_)
            | Effect::Release(_)
            | Effect::Delegate(_)
            | Effect::Lease(_) => effect.refused(),
        }
    }

    /// The stimulus at this place, or another that answers the effect.
    fn stimulus(&mut self, effect: &Effect, place: usize) -> Event {
        let answers = |stimulus: &Stimulus| effect.answers().contains(&stimulus.kind) && stimulus.name != LARGE;
        (at(place, answers).expect("a stimulus for every effect").event)(&mut self.situation)
    }

    fn byte(&mut self) -> u8 {
        self.script.pop().unwrap_or_default()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.byte();
        let bytes: Vec<u8> = (0..length).map_while(|_| self.script.pop()).collect();
        // The script's own words: whether they are a secret cannot be told any more.
        self.own_words = true;
        let text = String::from_utf8_lossy(&bytes);
        self.secrets.retain(|secret| CANARIES.contains(&secret.as_str()) && !text.contains(secret.as_str()));
        bytes
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn response(&mut self) -> Event {
        let status = STATUSES[usize::from(self.byte()) % STATUSES.len()];
        let fields = self.byte();
        let mut response = http::Response::new(Body::new(self.bytes()));
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        for (place, (name, value)) in FIELDS.into_iter().enumerate() {
            if fields >> place & 1 == 1 {
                response.headers_mut().append(name, http::HeaderValue::from_static(value));
            }
        }
        Event::Response(response)
    }
}
