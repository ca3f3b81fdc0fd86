//! What callers must be told and when a token may be asked for, in plain numbers.
//!
//! Times are milliseconds. Tokens are numbers, in the order in which the server made them.

use super::scripts::{Command, Fate};

/// A token and its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub number: u32,
    received: u64,
    due: u64,
    end: u64,
}

impl Token {
    /// A minute before its end, or a tenth of its life, and up to as much earlier by chance.
    pub fn new(number: u32, seconds: u64, now: u64, jitter: u8) -> Self {
        let margin = (seconds * 100).min(60_000);
        let end = now + seconds * 1_000;
        let due = (end - margin) * 256 - margin * u64::from(jitter);
        Self { number, received: now, due: due.div_ceil(256), end }
    }

    pub fn is_due(&self, now: u64) -> bool {
        now >= self.due || now + 60_000 < self.received
    }

    pub fn is_usable(&self, now: u64) -> bool {
        now < self.end
    }

    fn was_within(&self, pause: u64, since: u64, now: u64) -> bool {
        let pause = pause.max(1_000);
        since <= now && now < since + pause
    }

    fn margin(&self) -> u64 {
        ((self.end - self.received) / 10).min(60_000)
    }
}

/// Why somebody gets nothing, or nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Transport,
    Garbled,
    Refused,
    Ended,
    NoSession,
    Interrupted,
}

/// A time in which nobody tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    pub why: Why,
    since: u64,
    until: u64,
}

impl Rest {
    fn lasts(&self, now: u64) -> bool {
        self.since <= now && now < self.until
    }
}

/// What comes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Token(Token, Option<Rest>),
    LoginNeeded(Why),
    Unavailable(Rest),
    SignedOut,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Any,
    Other(u32),
    /// A renewal and nothing less.
    New,
    Leave,
}

impl Answer {
    /// What a caller gets: a token's number, nothing because everybody has signed out, or the reason.
    pub fn to(self, wish: Wish) -> Result<u32, Why> {
        match self {
            Answer::Token(token, Some(rest)) if wish == Wish::Other(token.number) || wish == Wish::New => Err(rest.why),
            Answer::Token(token, _) => Ok(token.number),
            Answer::LoginNeeded(why) => Err(why),
            Answer::Unavailable(rest) => Err(rest.why),
            Answer::SignedOut => Err(Why::NoSession),
        }
    }
}

/// What a caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Uses(u32),
    Rests(Why),
    Follows,
    /// And uses this meanwhile.
    Leads(Option<u32>),
}

/// Who leads and who follows.
#[derive(Default)]
pub struct Crowd {
    pub held: Option<Token>,
    rest: Option<Rest>,
    pub led: bool,
}

impl Crowd {
    pub fn asked(&mut self, wish: Wish, now: u64) -> Verdict {
        let usable = self.held.filter(|held| held.is_usable(now) && wish != Wish::Other(held.number));
        let number = usable.map(|held| held.number);
        match (usable, self.rest.filter(|rest| rest.lasts(now))) {
            (Some(held), _) if !held.is_due(now) => Verdict::Uses(held.number),
            (Some(held), resting) if self.led || resting.is_some() => Verdict::Uses(held.number),
            (None, _) if self.led => Verdict::Follows,
            (None, Some(rest)) => Verdict::Rests(rest.why),
            (Some(_), _) | (None, None) => {
                self.led = true;
                Verdict::Leads(number)
            }
        }
    }

    pub fn told(&mut self, answer: Answer, now: u64) {
        let logged_out = |why| Some(Rest { why, since: now, until: now + 5_000 });
        (self.held, self.rest) = match answer {
            Answer::Token(token, rest) => (Some(token), rest),
            Answer::Unavailable(rest) => (None, Some(rest)),
            Answer::LoginNeeded(why) => (None, logged_out(why)),
            Answer::SignedOut => (None, logged_out(Why::NoSession)),
        };
    }
}

/// What whoever works does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Claims,
    /// A token request goes to the server.
    Sends,
    Saves,
    Answers(Answer),
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Acquire,
    Reject(u32),
    Given(Command),
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing is known.
    Unknown,
    Holds(Token),
    /// After a failure: with the token that was refused.
    Rests(Option<Token>, Rest, Option<u32>),
    Vacant(Option<Token>, Why),
}

#[derive(Clone, Copy)]
enum Stored {
    Nothing,
    Live(Token),
    Ended,
}

/// What is in hand while somebody works.
#[derive(Clone, Copy)]
struct Work {
    held: Option<Token>,
    refused: Option<u32>,
    leaves: bool,
    repeated: bool,
    /// What is being saved: new tokens, or that there are none any more.
    saving: Option<Option<Token>>,
}

/// The keeper of the tokens: alone with its store.
pub struct Keeper {
    /// Whether the client asks for itself: nothing ends such tokens.
    own: bool,
    jitter: u8,
    state: State,
    stored: Stored,
    work: Option<Work>,
    failures: u32,
    forced_at: Option<u64>,
    pub newest: u32,
}

impl Keeper {
    pub fn new(own: bool, jitter: u8) -> Self {
        let (state, stored) = (State::Unknown, Stored::Nothing);
        Self { own, jitter, state, stored, work: None, failures: 0, forced_at: None, newest: 0 }
    }

    /// The server makes a token.
    pub fn made(&mut self, seconds: u64, now: u64) -> Token {
        self.newest += 1;
        Token::new(self.newest, seconds, now, self.jitter)
    }

    pub fn ordered(&mut self, order: Order, now: u64) -> Next {
        let held = match self.state {
            State::Unknown => None,
            State::Holds(token) => Some(token),
            State::Rests(held, ..) | State::Vacant(held, _) => held,
        };
        // A 401 for a token that is not held any more is news to nobody.
        let refused = match order {
            Order::Reject(number) if held.is_none_or(|held| held.number == number) => Some(number),
            Order::Reject(_) | Order::Acquire | Order::Given(_) => None,
        };
        let newer = order == Order::Given(Command::Renew);
        match (self.state, order) {
            (_, Order::Given(Command::Adopt)) => {
                let token = self.made(600, now);
                self.saves(Work::of(held, None), Some(token))
            }
            (_, Order::Given(Command::SignOut)) => self.claims(Work { leaves: true, ..Work::of(held, None) }),
            (_, Order::Given(Command::Reload)) => self.reads(None, false, now),
            (State::Holds(token), _) => {
                let new = token.was_within(0, token.received, now);
                let forced = self.forced_at.is_some_and(|at| token.was_within(token.margin(), at, now));
                let renews = if refused.is_some() { !forced } else { (newer || token.is_due(now)) && !new };
                if renews { self.claims(Work::of(held, refused)) } else { Next::Answers(Answer::Token(token, None)) }
            }
            (State::Rests(held, rest, before), _) => {
                let refused = refused.or(before);
                self.state = State::Rests(held, rest, refused);
                if rest.lasts(now) {
                    return Next::Answers(resting(held, rest, refused, now));
                }
                self.claims(Work::of(held, refused))
            }
            (State::Vacant(Some(token), why), _) if token.is_usable(now) && !newer && refused.is_none() => {
                Next::Answers(ended_but_usable(token, why, now))
            }
            (State::Vacant(..) | State::Unknown, _) => self.reads(refused, newer, now),
        }
    }

    fn reads(&mut self, refused: Option<u32>, newer: bool, now: u64) -> Next {
        match self.stored {
            Stored::Ended => self.vacates(None, Why::Ended, now),
            Stored::Nothing if self.own => self.claims(Work::of(None, refused)),
            Stored::Nothing => self.vacates(None, Why::NoSession, now),
            Stored::Live(token) if newer || token.is_due(now) || refused == Some(token.number) => {
                self.claims(Work::of(Some(token), refused))
            }
            Stored::Live(token) => self.serves(token),
        }
    }

    fn claims(&mut self, work: Work) -> Next {
        self.work = Some(work);
        Next::Claims
    }

    fn saves(&mut self, work: Work, what: Option<Token>) -> Next {
        self.work = Some(Work { saving: Some(what), ..work });
        Next::Saves
    }

    fn serves(&mut self, token: Token) -> Next {
        (self.state, self.work, self.failures) = (State::Holds(token), None, 0);
        Next::Answers(Answer::Token(token, None))
    }

    /// A token whose session has ended works until its own end.
    fn vacates(&mut self, held: Option<Token>, why: Why, now: u64) -> Next {
        let held = held.filter(|held| held.is_usable(now));
        (self.state, self.work) = (State::Vacant(held, why), None);
        Next::Answers(held.map_or(Answer::LoginNeeded(why), |held| ended_but_usable(held, why, now)))
    }

    /// Twice as long each time, from a second to five minutes, and up to a quarter more by chance; or as long as the server
    /// asks for, within an hour.
    fn rests(&mut self, work: Work, why: Why, asked: u64, now: u64) -> Next {
        let base = (1_000 << self.failures.min(16)).min(300_000);
        let wait = base.max(asked.min(3_600) * 1_000) + base / 4 * u64::from(self.jitter) / 256;
        let rest = Rest { why, since: now, until: now + wait };
        self.failures += 1;
        (self.state, self.work) = (State::Rests(work.held, rest, work.refused), None);
        Next::Answers(resting(work.held, rest, work.refused, now))
    }

    /// The record is claimed.
    pub fn claimed(&mut self, now: u64) -> Next {
        let work = self.work.unwrap();
        if work.leaves {
            (self.state, self.stored, self.work) = (State::Vacant(None, Why::NoSession), Stored::Nothing, None);
            self.failures = 0;
            return Next::Answers(Answer::SignedOut);
        }
        match self.stored {
            Stored::Ended => self.vacates(None, Why::Ended, now),
            Stored::Nothing if !self.own => self.vacates(None, Why::NoSession, now),
            Stored::Nothing | Stored::Live(_) => Next::Sends,
        }
    }

    /// The server has answered, or not.
    pub fn answered(&mut self, fate: Fate, now: u64) -> Next {
        let work = self.work.unwrap();
        match fate {
            Fate::Well(seconds) => {
                if work.refused.is_some() {
                    self.forced_at = Some(now);
                }
                let token = self.made(seconds, now);
                self.saves(work, Some(token))
            }
            // Nobody knows what became of it: once more, and no more often than that.
            Fate::Reset if !self.own && !work.repeated => {
                self.work = Some(Work { repeated: true, ..work });
                Next::Sends
            }
            Fate::Refused("invalid_grant") if !self.own => self.saves(work, None),
            Fate::Ill(asked) => self.rests(work, Why::Transport, asked.unwrap_or(0), now),
            Fate::NotSent | Fate::Reset | Fate::TimedOut => self.rests(work, Why::Transport, 0, now),
            Fate::Garbled => self.rests(work, Why::Garbled, 0, now),
            Fate::Refused(_) => self.rests(work, Why::Refused, 0, now),
        }
    }

    pub fn saved(&mut self, now: u64) -> Next {
        let work = self.work.unwrap();
        match work.saving.unwrap() {
            Some(token) => {
                self.stored = Stored::Live(token);
                self.serves(token)
            }
            None => {
                self.stored = Stored::Ended;
                self.vacates(work.held, Why::Ended, now)
            }
        }
    }

    /// Whoever worked is gone, before anything was saved: what was held is held on.
    pub fn left_alone(&mut self) {
        if let Some(work) = self.work.take() {
            self.state = work.held.map_or(State::Unknown, State::Holds);
        }
    }
}

impl Work {
    fn of(held: Option<Token>, refused: Option<u32>) -> Self {
        Self { held, refused, leaves: false, repeated: false, saving: None }
    }
}

/// While nobody tries again, the old token is served as long as it works and nobody has refused it.
fn resting(held: Option<Token>, rest: Rest, refused: Option<u32>, now: u64) -> Answer {
    match held.filter(|held| held.is_usable(now) && refused != Some(held.number)) {
        Some(held) => Answer::Token(held, Some(rest)),
        None => Answer::Unavailable(rest),
    }
}

fn ended_but_usable(token: Token, why: Why, now: u64) -> Answer {
    Answer::Token(token, Some(Rest { why, since: now, until: token.end }))
}
