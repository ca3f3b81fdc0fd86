//! What must happen, in plain numbers: from RFC 6749, RFC 9449 §8 and what the documentation promises of repetitions.

use grantflow_core::error::{Delivery, TransportKind};

use super::scripts::{Flow, Says, Who};

/// What the machine does, as the reference and the world both say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    SignsAssertion,
    /// With this nonce.
    SignsProof(Option<String>),
    Sends,
    Sleeps(u64),
    Ends(End),
    /// Nothing: the event was out of place.
    Objects,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Answered(Verdict),
    Lost(Delivery, TransportKind),
    OutOfTime,
    NoKey,
    Cancelled,
}

/// What the flow makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    No(String),
    /// No verdict, and before when not to come back.
    Ill(Option<u64>),
    /// The device asks again after its interval.
    Later,
}

/// Which requests are repeated at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// What changes nothing: whatever became of it.
    Always,
    /// What may be done twice: if it was not done, or the server says so.
    UntilDone,
    /// What may be sent once: if it was not sent.
    UntilSent,
    /// What somebody else repeats.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SigningAssertion,
    SigningProof,
    Sending,
    Pausing(u64),
    Ended,
}

pub struct Reference {
    jitter: u8,
    flow: Flow,
    repeats: Repeats,
    asserts: bool,
    proves: bool,
    phase: Phase,
    begun: u64,
    repeated: u32,
    nonce_used: bool,
    /// The last nonce that the server gave, to whichever flow.
    nonce: Option<String>,
}

/// Three repetitions, within a minute.
const REPETITIONS: u32 = 3;
const MINUTE: u64 = 60_000;

impl Reference {
    pub fn new(jitter: u8) -> Self {
        Self {
            jitter,
            flow: Flow::Keys,
            repeats: Repeats::Never,
            asserts: false,
            proves: false,
            phase: Phase::Ended,
            begun: 0,
            repeated: 0,
            nonce_used: false,
            nonce: None,
        }
    }

    pub fn starts(&mut self, flow: Flow, who: Who, now: u64) -> Does {
        self.repeats = match flow {
            Flow::UserInfo | Flow::Keys => Repeats::Always,
            Flow::Refresh | Flow::ClientCredentials | Flow::Device | Flow::Introspection | Flow::Revocation => {
                Repeats::UntilDone
            }
            Flow::Code => Repeats::UntilSent,
            Flow::Poll => Repeats::Never,
        };
        let at_token_endpoint = matches!(flow, Flow::Code | Flow::Refresh | Flow::ClientCredentials | Flow::Poll);
        self.asserts = matches!(who, Who::Signs | Who::SignsAndProves) && self.repeats != Repeats::Always;
        self.proves = matches!(who, Who::Proves | Who::SignsAndProves) && at_token_endpoint;
        (self.flow, self.begun, self.repeated, self.nonce_used) = (flow, now, 0, false);
        self.attempts()
    }

    /// Each attempt is signed by itself: the assertion first, then the proof.
    fn attempts(&mut self) -> Does {
        if self.asserts {
            self.phase = Phase::SigningAssertion;
            return Does::SignsAssertion;
        }
        self.proves_or_sends()
    }

    fn proves_or_sends(&mut self) -> Does {
        if self.proves {
            self.phase = Phase::SigningProof;
            return Does::SignsProof(self.nonce.clone());
        }
        self.phase = Phase::Sending;
        Does::Sends
    }

    pub fn signed(&mut self) -> Does {
        if self.phase == Phase::SigningAssertion {
            return self.proves_or_sends();
        }
        self.phase = Phase::Sending;
        Does::Sends
    }

    pub fn ends(&mut self, end: End) -> Does {
        self.phase = Phase::Ended;
        Does::Ends(match end {
            End::Answered(Verdict::Ill(_)) | End::Lost(..) if self.flow == Flow::Poll => End::Answered(Verdict::Later),
            end => end,
        })
    }

    /// Half a second, one, two, or what the server asks for, and up to as much again by chance. `None` when there is no
    /// repetition left, or no time for it.
    fn pauses(&mut self, asked: Option<u64>, now: u64) -> Option<Does> {
        if self.repeated == REPETITIONS {
            return None;
        }
        let usual = [500, 1_000, 2_000][self.repeated as usize];
        let until = now + asked.map_or(usual, |asked| asked.max(1)) + usual * u64::from(self.jitter) / 256;
        self.repeated += 1;
        (until.saturating_sub(self.begun) <= MINUTE).then(|| {
            self.phase = Phase::Pausing(until);
            Does::Sleeps(until)
        })
    }

    pub fn told(&mut self, says: Says, nonce: Option<u8>, now: u64) -> Does {
        if let Some(nonce) = nonce {
            self.nonce = Some(format!("nonce-{nonce}"));
        }
        match says {
            Says::Good => self.ends(End::Answered(Verdict::Good)),
            Says::No => self.ends(End::Answered(Verdict::No("invalid_request".to_owned()))),
            Says::NonceDemanded(_) if self.proves && nonce.is_some() && !self.nonce_used => {
                self.nonce_used = true;
                self.attempts()
            }
            Says::NonceDemanded(_) => self.ends(End::Answered(Verdict::No("use_dpop_nonce".to_owned()))),
            Says::Ill(status, asked) => {
                let asked = asked.map(|seconds| seconds * 1_000);
                let throttled = status == 429 || status == 503;
                let repeated = match self.repeats {
                    Repeats::Always | Repeats::UntilDone if throttled => self.pauses(asked, now),
                    _ => None,
                };
                repeated.unwrap_or_else(|| self.ends(End::Answered(Verdict::Ill(asked.map(|asked| now + asked)))))
            }
        }
    }

    pub fn lost(&mut self, delivery: Delivery, kind: TransportKind, now: u64) -> Does {
        let may = match (self.repeats, delivery) {
            (Repeats::Always, _) | (Repeats::UntilDone | Repeats::UntilSent, Delivery::NotSent) => true,
            (Repeats::UntilDone | Repeats::UntilSent, Delivery::Unknown) | (Repeats::Never, _) => false,
        };
        // What fails the same way each time.
        let lasts = [TransportKind::Tls, TransportKind::TooLarge, TransportKind::ForbiddenAddress].contains(&kind);
        let repeated = if may && !lasts { self.pauses(None, now) } else { None };
        repeated.unwrap_or_else(|| self.ends(End::Lost(delivery, kind)))
    }

    pub fn woken(&mut self, now: u64) -> Does {
        match self.phase {
            Phase::Pausing(until) if now < until => Does::Sleeps(until),
            _ if now.saturating_sub(self.begun) > MINUTE => self.ends(End::OutOfTime),
            _ => self.attempts(),
        }
    }

    pub fn proves(&self) -> bool {
        self.proves
    }

    pub fn is_signing(&self) -> bool {
        matches!(self.phase, Phase::SigningAssertion | Phase::SigningProof)
    }

    pub fn is_sending(&self) -> bool {
        self.phase == Phase::Sending
    }

    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    pub fn pauses_until(&self) -> Option<u64> {
        match self.phase {
            Phase::Pausing(until) => Some(until),
            _ => None,
        }
    }
}
