//! What must happen, in plain numbers: from RFC 8628 and what the documentation promises.

use super::scripts::{Says, Stray};

/// What the flow does, as the reference and the world both say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    Asks,
    Shows,
    Sleeps(u64),
    Polls,
    Ended(End),
    /// Nothing: the event was out of place.
    Objects,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Granted,
    Refused(String),
    Expired,
    Cancelled,
}

pub const SECOND: u64 = 1000;
/// The longest interval that the documentation allows.
pub const LONGEST: u64 = 300 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Ready,
    Asking,
    Showing,
    Waiting,
    Polling,
    Ended,
}

/// What must happen, from RFC 8628 and the documentation alone.
pub struct Reference {
    pub phase: Phase,
    pub interval: u64,
    pub expires_at: u64,
    pub next_poll: u64,
}

impl Reference {
    pub fn issued(&mut self, interval: Option<u64>, expires_in: Option<u64>, now: u64) -> Does {
        self.interval = interval.unwrap_or(5).clamp(1, 300) * SECOND;
        self.expires_at = now + expires_in.unwrap_or(900).min(86_400) * SECOND;
        self.phase = Phase::Showing;
        Does::Shows
    }

    pub fn waits(&mut self, now: u64) -> Does {
        self.next_poll = now + self.interval;
        self.sleeps(now)
    }

    /// Until the next poll or the end, whichever is first, and never no time at all.
    fn sleeps(&mut self, now: u64) -> Does {
        self.phase = Phase::Waiting;
        Does::Sleeps(self.next_poll.min(self.expires_at.max(now + 1)))
    }

    pub fn ends(&mut self, end: End) -> Does {
        self.phase = Phase::Ended;
        Does::Ended(end)
    }

    pub fn woken(&mut self, now: u64) -> Does {
        if now >= self.expires_at {
            return self.ends(End::Expired);
        }
        if now < self.next_poll {
            return self.sleeps(now);
        }
        self.phase = Phase::Polling;
        Does::Polls
    }

    /// Whoever comes back too late waits for a whole interval more.
    pub fn taken_up(&mut self, now: u64) -> Does {
        if now >= self.expires_at {
            return self.ends(End::Expired);
        }
        if now < self.next_poll { self.sleeps(now) } else { self.waits(now) }
    }

    pub fn told(&mut self, says: Says, now: u64) -> Does {
        match says {
            Says::Pending(_) => self.waits(now),
            Says::SlowDown(named) => {
                let named = named.map_or(0, |seconds| seconds.clamp(1, 300) * SECOND);
                self.interval = (self.interval + 5 * SECOND).max(named).min(LONGEST);
                self.waits(now)
            }
            Says::Unavailable(_, asked) => self.lost(asked.unwrap_or(0) * SECOND, now),
            Says::Lost(..) => self.lost(0, now),
            Says::Granted => self.ends(End::Granted),
            Says::Refused("expired_token") => self.ends(End::Expired),
            Says::Refused(code) => self.ends(End::Refused(code.to_owned())),
        }
    }

    fn lost(&mut self, asked: u64, now: u64) -> Does {
        self.interval = (self.interval * 2).max(asked).min(LONGEST);
        self.waits(now)
    }

    pub fn takes(&self, stray: Stray) -> bool {
        matches!(
            (self.phase, stray),
            (Phase::Ready, Stray::Start)
                | (Phase::Asking | Phase::Polling, Stray::Response | Stray::Lost)
                | (Phase::Showing, Stray::Shown)
                | (Phase::Waiting, Stray::Elapsed | Stray::Resume)
        )
    }
}
