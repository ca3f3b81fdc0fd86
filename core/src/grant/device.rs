//! The device authorization grant (RFC 8628): log in on another screen.
//!
#![doc = include_str!("../../../docs/diagrams/device.md")]
//!
//! The whole polling loop is in the machine: the first poll comes one interval after the code was shown, `slow_down` adds
//! five seconds for good, a lost connection or a server that is ill doubles the interval, and nothing is asked after the
//! code's end, at which the flow ends. A wait that was slept through (a laptop's lid) causes one poll, not a burst.
//!
//! While it waits the flow may be stored and resumed elsewhere ([`Device::snapshot`], [`Device::restore`]).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::redeem::{self, FETCHING_KEYS, Redeeming};
use super::{Asked, Extras};
use crate::Secret;
use crate::client::Client;
use crate::endpoint::exchange::{self, Exchange, Plan, Retries};
use crate::endpoint::nested::{self, Forwarded};
use crate::endpoint::{jwks, single};
use crate::error::{ConfigError, Endpoint, Error, Expired, Misuse};
use crate::http::Body;
use crate::http::form::Form;
use crate::machine::{
    Arrow, COMPLETE, Context, Effect, EffectKind, Event, EventKind, FAILED, Finding, READY, StateId, StateRow, Step,
    Table, Transitions, Turn, UserCode,
};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::token::device::{self, DeviceAuthorization};
use crate::token::{Scopes, TokenSet};

const REQUESTING: StateId = StateId("Requesting");
const SHOWING: StateId = StateId("Showing");
const WAITING: StateId = StateId("Waiting");
const POLLING: StateId = StateId("Polling");

const CODE_ISSUED: Finding = Finding("CodeIssued");
const ISSUE_REFUSED: Finding = Finding("IssueRefused");
const DISPLAYED: Finding = Finding("Displayed");
const DUE: Finding = Finding("Due");
const EARLY: Finding = Finding("Early");
const OVERDUE: Finding = Finding("Overdue");
const RESCHEDULED: Finding = Finding("Rescheduled");
const PENDING: Finding = Finding("Pending");
const SLOWED_DOWN: Finding = Finding("SlowedDown");
const LOST: Finding = Finding("Lost");
const DENIED: Finding = Finding("Denied");
const CODE_EXPIRED: Finding = Finding("CodeExpired");

/// The states and arrows of the device authorization grant.
pub const TABLE: Table = Table {
    machine: "device",
    states: &[
        StateRow::initial(),
        StateRow::nested(REQUESTING, &exchange::TABLE),
        StateRow::live(SHOWING, EffectKind::ShowUserCode),
        StateRow::resting(WAITING, EffectKind::Sleep),
        StateRow::nested(POLLING, &exchange::TABLE),
        StateRow::nested(FETCHING_KEYS, &jwks::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, REQUESTING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(REQUESTING, EventKind::Response, CODE_ISSUED, SHOWING),
        Arrow::new(REQUESTING, EventKind::Response, ISSUE_REFUSED, FAILED),
        Arrow::any(REQUESTING, nested::BROKEN, FAILED),
        Arrow::new(SHOWING, EventKind::Shown, DISPLAYED, WAITING),
        Arrow::new(WAITING, EventKind::Elapsed, DUE, POLLING),
        Arrow::new(WAITING, EventKind::Elapsed, EARLY, WAITING),
        Arrow::new(WAITING, EventKind::Elapsed, OVERDUE, FAILED),
        Arrow::new(WAITING, EventKind::Elapsed, single::UNREADY, FAILED),
        Arrow::new(WAITING, EventKind::Resume, RESCHEDULED, WAITING),
        Arrow::new(WAITING, EventKind::Resume, OVERDUE, FAILED),
        Arrow::new(POLLING, EventKind::Response, PENDING, WAITING),
        Arrow::new(POLLING, EventKind::Response, SLOWED_DOWN, WAITING),
        Arrow::any(POLLING, LOST, WAITING),
        Arrow::new(POLLING, EventKind::Response, redeem::ISSUED, COMPLETE),
        Arrow::new(POLLING, EventKind::Response, redeem::ISSUED_VERIFIED, COMPLETE),
        Arrow::new(POLLING, EventKind::Response, redeem::KEYS_MISSING, FETCHING_KEYS),
        Arrow::new(POLLING, EventKind::Response, DENIED, FAILED),
        Arrow::new(POLLING, EventKind::Response, CODE_EXPIRED, FAILED),
        Arrow::new(POLLING, EventKind::Response, redeem::GRANT_REFUSED, FAILED),
        Arrow::new(POLLING, EventKind::Response, redeem::UNTRUSTED, FAILED),
        Arrow::any(POLLING, nested::BROKEN, FAILED),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_FIT, COMPLETE),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_DO_NOT_FIT, FAILED),
        Arrow::any(FETCHING_KEYS, redeem::OLD_KEYS_FIT, COMPLETE),
        Arrow::any(FETCHING_KEYS, nested::BROKEN, FAILED),
    ],
};

/// What `slow_down` adds to the interval (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest interval: what a server asks beyond it is cut, what back-off makes of it too.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);

/// The device authorization grant.
#[derive(Debug)]
pub struct Device {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<(Plan, Asking)>),
    Requesting(Box<(Exchange, Asking)>),
    Showing(Box<Pending>),
    Waiting(Box<Pending>),
    Polling(Box<(Exchange, Pending)>),
    FetchingKeys(Redeeming),
    Complete,
    Failed,
}

/// What was asked for.
#[derive(Debug)]
struct Asking {
    client: Client,
    scopes: Scopes,
    extras: Extras,
}

/// A code that waits to be confirmed.
#[derive(Debug)]
struct Pending {
    asking: Asking,
    device_code: Secret,
    expires_at: Timestamp,
    interval: Duration,
    next_poll: Timestamp,
}

type Turned = Turn<TokenSet>;

impl Device {
    /// Asks for a code with these scopes (separated by spaces). The extra parameters go with every request.
    ///
    /// # Errors
    /// [`ConfigError`]: an endpoint is not known, a scope is malformed.
    pub fn new(client: &Client, scope: &str, extras: Extras) -> Result<Self, Error> {
        let scopes = Scopes::parse(scope)?;
        client.endpoint(Endpoint::Token)?;
        let mut form = Form::new();
        // RFC 8628 §3.1 wants client_id here even beside client authentication by header.
        if client.authentication_method() == "client_secret_basic" {
            form.push(client.id_parameter(), client.client_id());
        }
        if !scopes.is_empty() {
            form.push("scope", client.written(&scopes).as_ref());
        }
        extras.write_to(&mut form);
        let plan = Plan::post(client, Endpoint::DeviceAuthorization, form)?;
        let asking = Asking { client: client.clone(), scopes, extras };
        Ok(Self { state: State::Ready(Box::new((plan, asking))) })
    }

    /// Stores the flow while it waits between two polls. The bytes hold the device code: keep them as a secret.
    ///
    /// # Errors
    /// [`Misuse::NotResting`] in every other state.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        match &self.state {
            State::Waiting(pending) => Ok(Snapshot::write(TABLE.machine, &pending.stored())),
            State::Ready(_)
            | State::Requesting(_)
            | State::Showing(_)
            | State::Polling(_)
            | State::FetchingKeys(_)
            | State::Complete
            | State::Failed => Err(Error::Misuse(Misuse::NotResting)),
        }
    }

    /// Takes a stored flow up again. Give it [`Event::Resume`].
    ///
    /// # Errors
    /// [`ConfigError::SnapshotForeign`] when the flow was begun by another client or at another server,
    /// [`ConfigError::SnapshotUnreadable`] when the snapshot is damaged or of another kind.
    pub fn restore(client: &Client, snapshot: Snapshot) -> Result<Self, Error> {
        let stored: Stored = snapshot.read(TABLE.machine)?;
        if stored.issuer != client.server().issuer() || stored.client_id != client.client_id() {
            return Err(ConfigError::SnapshotForeign.into());
        }
        Ok(Self { state: State::Waiting(Box::new(Pending::from_stored(stored, client)?)) })
    }

    fn begin(&mut self, (plan, asking): (Plan, Asking), cx: &mut Context<'_>) -> Turned {
        match Exchange::started(plan, cx) {
            Ok((exchange, effect)) => {
                self.state = State::Requesting(Box::new((exchange, asking)));
                Turn::Moved(single::BEGUN, Step::Do(effect))
            }
            Err(error) => Turn::Ended(single::UNREADY, error),
        }
    }

    fn request(&mut self, mut running: Box<(Exchange, Asking)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Requesting(running);
                Turn::Inner(effect)
            }
            Forwarded::Broken(error) => Turn::Ended(nested::BROKEN, error),
            Forwarded::Done(response) => {
                let leniency = running.1.client.tolerance().leniency;
                match device::parse(&response, leniency, cx.now) {
                    Ok(issued) => {
                        let (pending, code) = Pending::new(running.1, issued, cx.now);
                        self.state = State::Showing(Box::new(pending));
                        Turn::Moved(CODE_ISSUED, Step::Do(Effect::ShowUserCode(code)))
                    }
                    Err(error) => Turn::Ended(ISSUE_REFUSED, error),
                }
            }
        }
    }

    /// Waits one interval from now, but not beyond the code's end.
    fn wait(&mut self, mut pending: Box<Pending>, finding: Finding, cx: &Context<'_>) -> Turned {
        pending.next_poll = cx.now.plus(pending.interval.max(Duration::from_secs(1)));
        self.rest(pending, finding, cx)
    }

    /// Sleeps until the next poll or the code's end, whichever is first. Where the end is behind already, the sleep is as
    /// short as a sleep can be.
    fn rest(&mut self, pending: Box<Pending>, finding: Finding, cx: &Context<'_>) -> Turned {
        let end = pending.expires_at.max(cx.now.plus(Duration::from_millis(1)));
        let until = pending.next_poll.min(end);
        self.state = State::Waiting(pending);
        Turn::Moved(finding, Step::Do(Effect::Sleep { until }))
    }

    fn resume(&mut self, pending: Box<Pending>, cx: &Context<'_>) -> Turned {
        if cx.now >= pending.expires_at {
            return Turn::Ended(OVERDUE, Error::Expired(Expired::DeviceCode));
        }
        if cx.now < pending.next_poll {
            return self.rest(pending, RESCHEDULED, cx);
        }
        self.wait(pending, RESCHEDULED, cx)
    }

    fn waited(&mut self, pending: Box<Pending>, cx: &mut Context<'_>) -> Turned {
        if cx.now >= pending.expires_at {
            return Turn::Ended(OVERDUE, Error::Expired(Expired::DeviceCode));
        }
        if cx.now < pending.next_poll {
            return self.rest(pending, EARLY, cx);
        }
        match pending.poll().and_then(|plan| Exchange::started(plan, cx)) {
            Ok((exchange, effect)) => {
                self.state = State::Polling(Box::new((exchange, *pending)));
                Turn::Moved(DUE, Step::Do(effect))
            }
            Err(error) => Turn::Ended(single::UNREADY, error),
        }
    }

    fn poll(&mut self, mut running: Box<(Exchange, Pending)>, event: Event, cx: &mut Context<'_>) -> Turned {
        match nested::forward(&mut running.0, event, cx) {
            Forwarded::More(effect) => {
                self.state = State::Polling(running);
                Turn::Inner(effect)
            }
            Forwarded::Broken(Error::Transport(_)) => self.lost(Box::new(running.1), None, cx),
            Forwarded::Broken(error) => Turn::Ended(nested::BROKEN, error),
            Forwarded::Done(response) => {
                let asked = running.1.asked();
                match redeem::parsed(&asked, &response, cx) {
                    Ok(tokens) => {
                        let (turn, next) = redeem::verified(asked, tokens, cx);
                        self.state = next.map_or(State::Complete, State::FetchingKeys);
                        turn
                    }
                    Err(error) => self.refused(running.1, &response, error, cx),
                }
            }
        }
    }

    fn refused(
        &mut self,
        mut pending: Pending,
        response: &http::Response<Body>,
        error: Error,
        cx: &Context<'_>,
    ) -> Turned {
        let refusal = match &error {
            Error::Transport(failure) => {
                let asked = failure.not_before.map(|moment| moment.since(cx.now));
                return self.lost(Box::new(pending), asked, cx);
            }
            Error::Refused(refusal) => refusal,
            _ => return Turn::Ended(redeem::GRANT_REFUSED, error),
        };
        match refusal.code.as_str() {
            "authorization_pending" => self.wait(Box::new(pending), PENDING, cx),
            "slow_down" => {
                let slower = pending.interval.saturating_add(SLOW_DOWN);
                // Some servers name the new interval in the refusal.
                let named = device::named_interval(response).unwrap_or_default();
                pending.interval = slower.max(named).min(LONGEST_INTERVAL);
                self.wait(Box::new(pending), SLOWED_DOWN, cx)
            }
            "access_denied" | "authorization_declined" => Turn::Ended(DENIED, error),
            "expired_token" => Turn::Ended(CODE_EXPIRED, Error::Expired(Expired::DeviceCode)),
            _ => Turn::Ended(redeem::GRANT_REFUSED, error),
        }
    }

    /// A poll got no verdict: wait twice as long, or as long as the server asks if that is longer.
    fn lost(&mut self, mut pending: Box<Pending>, asked: Option<Duration>, cx: &Context<'_>) -> Turned {
        let doubled = pending.interval.saturating_mul(2);
        pending.interval = doubled.max(asked.unwrap_or_default()).min(LONGEST_INTERVAL);
        self.wait(pending, LOST, cx)
    }
}

impl Transitions for Device {
    type Output = TokenSet;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::Requesting(_) => REQUESTING,
            State::Showing(_) => SHOWING,
            State::Waiting(_) => WAITING,
            State::Polling(_) => POLLING,
            State::FetchingKeys(redeeming) => redeeming.state(),
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Requesting(running) => Some(nested::leaf(&running.0)),
            State::Polling(running) => Some(nested::leaf(&running.0)),
            State::FetchingKeys(redeeming) => Some(redeeming.leaf()),
            State::Ready(_) | State::Showing(_) | State::Waiting(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (State::Requesting(running), event) => self.request(running, event, cx),
            (State::Showing(pending), Event::Shown) => self.wait(pending, DISPLAYED, cx),
            (State::Waiting(pending), Event::Elapsed) => self.waited(pending, cx),
            (State::Waiting(pending), Event::Resume) => self.resume(pending, cx),
            (State::Polling(running), event) => self.poll(running, event, cx),
            (State::FetchingKeys(redeeming), event) => {
                let (turn, next) = redeeming.apply(event, cx);
                self.state = next.map_or(State::Complete, State::FetchingKeys);
                turn
            }
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}

impl Pending {
    fn new(asking: Asking, issued: DeviceAuthorization, now: Timestamp) -> (Self, UserCode) {
        let expires_at = issued.expires_at;
        let code = UserCode {
            user_code: issued.user_code,
            verification_uri: issued.verification_uri,
            openable: issued.openable,
            complete: issued.complete,
            expires_at,
        };
        let interval = issued.interval;
        (Self { asking, device_code: issued.device_code, expires_at, interval, next_poll: now.plus(interval) }, code)
    }

    /// The token request (RFC 8628 §3.4). The flow owns its pace, so the exchange does not retry.
    fn poll(&self) -> Result<Plan, Error> {
        let mut form = Form::new();
        form.push("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        form.push("device_code", self.device_code.expose().as_str());
        self.asking.extras.write_to(&mut form);
        Ok(Plan::post(&self.asking.client, Endpoint::Token, form)?.with_retries(Retries::Never))
    }

    fn asked(&self) -> Asked {
        Asked::new(&self.asking.client, self.asking.scopes.clone())
    }

    fn stored(&self) -> Stored {
        Stored {
            issuer: self.asking.client.server().issuer().to_owned(),
            client_id: self.asking.client.client_id().to_owned(),
            scope: self.asking.scopes.as_str().to_owned(),
            extras: self.asking.extras.pairs().to_vec(),
            device_code: self.device_code.expose().clone(),
            expires_at: self.expires_at,
            interval_ms: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
            next_poll: self.next_poll,
        }
    }

    fn from_stored(mut stored: Stored, client: &Client) -> Result<Self, Error> {
        let asking = Asking {
            client: client.clone(),
            scopes: Scopes::parse(&stored.scope)?,
            extras: Extras::new(core::mem::take(&mut stored.extras))?,
        };
        Ok(Self {
            asking,
            device_code: Secret::new(core::mem::take(&mut stored.device_code)),
            expires_at: stored.expires_at,
            interval: Duration::from_millis(stored.interval_ms).min(LONGEST_INTERVAL),
            next_poll: stored.next_poll,
        })
    }
}

/// The stored form of a waiting flow. Its fields are the format: add, never change.
#[derive(Serialize, Deserialize)]
struct Stored {
    issuer: String,
    client_id: String,
    scope: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extras: Vec<(String, String)>,
    device_code: String,
    expires_at: Timestamp,
    interval_ms: u64,
    next_poll: Timestamp,
}

impl Drop for Stored {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.device_code.zeroize();
    }
}
