//! Discovery of a server's metadata (RFC 8414 §3, OpenID Connect Discovery §4).
//!
#![doc = include_str!("../../../docs/diagrams/discovery.md")]
//!
//! The places where a document may be are data: a list of candidates. The next one is tried when there is nothing at a
//! place (4xx) or something that is no metadata; a server that is ill, or unreachable, is reported as such, because
//! another document would only hide it. The issuer in the document must be the one asked for.
//!
//! Redirects are not followed, unless asked for with [`Discovery::follow_same_origin`]: three at most, and never to
//! another origin.

use url::Url;

use super::exchange::{self, Exchange, Plan};
use super::nested::{self, Forwarded};
use super::single;
use crate::error::{ConfigError, Endpoint, Error, Rule, SecurityError, TransportKind, UrlFlaw};
use crate::http::{Body, UrlPolicy};
use crate::machine::{
    Arrow, COMPLETE, Context, Event, EventKind, FAILED, Finding, READY, StateId, StateRow, Step, Table, Transitions,
    Turn,
};
use crate::server::{ChosenBy, EndpointUrl, IssuerMatch, ServerMetadata};
use crate::token::{Leniency, answer, refusal};

const FETCHING: StateId = StateId("Fetching");

const FOUND: Finding = Finding("Found");
const NOT_HERE: Finding = Finding("NotHere");
const MOVED: Finding = Finding("MovedWithinOrigin");
const NOWHERE: Finding = Finding("Nowhere");
const ISSUER_MISMATCHED: Finding = Finding("IssuerMismatched");
const REFUSED: Finding = Finding("Refused");

/// The states and arrows of discovery.
pub const TABLE: Table = Table {
    machine: "discovery",
    states: &[
        StateRow::initial(),
        StateRow::nested(FETCHING, &exchange::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, FETCHING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(FETCHING, EventKind::Response, FOUND, COMPLETE),
        Arrow::new(FETCHING, EventKind::Response, NOT_HERE, FETCHING),
        Arrow::new(FETCHING, EventKind::Response, MOVED, FETCHING),
        Arrow::new(FETCHING, EventKind::Response, NOWHERE, FAILED),
        Arrow::new(FETCHING, EventKind::Response, ISSUER_MISMATCHED, FAILED),
        Arrow::new(FETCHING, EventKind::Response, REFUSED, FAILED),
        Arrow::any(FETCHING, nested::BROKEN, FAILED),
    ],
};

const MAX_REDIRECTS: u8 = 3;

/// The search for a server's metadata.
#[derive(Debug)]
pub struct Discovery {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<Search>),
    Fetching(Box<(Exchange, Search)>),
    Complete,
    Failed,
}

#[derive(Debug)]
struct Search {
    issuer: String,
    policy: UrlPolicy,
    rule: IssuerMatch,
    chosen: ChosenBy,
    /// The candidates that are still to be tried, the next one last.
    candidates: Vec<Url>,
    current: Url,
    redirects_left: u8,
}

type Turned = Turn<ServerMetadata>;

impl Discovery {
    /// Prepares the search for the metadata of `issuer`: first where OpenID Connect puts it, then where RFC 8414 does.
    ///
    /// # Errors
    /// [`ConfigError::Issuer`] unless `issuer` is an `https` URL (or `http` to a loopback literal) without query and fragment.
    pub fn new(issuer: &str) -> Result<Self, Error> {
        Self::with_policy(issuer, UrlPolicy::default())
    }

    /// The same under a URL policy of your own.
    ///
    /// # Errors
    /// As [`Discovery::new`].
    pub fn with_policy(issuer: &str, policy: UrlPolicy) -> Result<Self, Error> {
        let url = policy.issuer(issuer).map_err(ConfigError::Issuer)?;
        let mut candidates = candidates(&url);
        candidates.reverse();
        let current = url;
        let issuer = issuer.to_owned();
        let (rule, chosen) = (IssuerMatch::Exact, ChosenBy::User);
        Ok(Self {
            state: State::Ready(Box::new(Search {
                issuer,
                policy,
                rule,
                chosen,
                candidates,
                current,
                redirects_left: 0,
            })),
        })
    }

    /// Sets how the issuer is compared. The default is as exact text.
    #[must_use]
    pub fn issuer_match(mut self, rule: IssuerMatch) -> Self {
        if let State::Ready(search) = &mut self.state {
            search.rule = rule;
        }
        self
    }

    /// Says who has named the issuer. The default is the user.
    #[must_use]
    pub fn chosen_by(mut self, chosen: ChosenBy) -> Self {
        if let State::Ready(search) = &mut self.state {
            search.chosen = chosen;
        }
        self
    }

    /// Follows up to three redirects to the same origin.
    #[must_use]
    pub fn follow_same_origin(mut self) -> Self {
        if let State::Ready(search) = &mut self.state {
            search.redirects_left = MAX_REDIRECTS;
        }
        self
    }

    fn fetch(&mut self, search: Search, cx: &mut Context<'_>, finding: Finding) -> Turned {
        let reach = search.policy.reach(&search.current, search.chosen.trusted(&search.current));
        let target = reach.and_then(|reach| EndpointUrl::new(search.current.clone(), reach));
        let target = target.map_err(|flaw| Error::from(ConfigError::Url { endpoint: Endpoint::Metadata, flaw }));
        let started = target.and_then(|target| Exchange::started(Plan::get(Endpoint::Metadata, target), cx));
        match started {
            Ok((exchange, effect)) => {
                self.state = State::Fetching(Box::new((exchange, search)));
                Turn::Moved(finding, Step::Do(effect))
            }
            Err(error) if finding == single::BEGUN => Turn::Ended(single::UNREADY, error),
            Err(error) => Turn::Ended(REFUSED, error),
        }
    }

    fn next(&mut self, mut search: Search, cx: &mut Context<'_>, finding: Finding, last: Error) -> Turned {
        match search.candidates.pop() {
            Some(url) => {
                search.current = url;
                self.fetch(search, cx, finding)
            }
            None => Turn::Ended(NOWHERE, last),
        }
    }

    fn answered(&mut self, mut search: Search, response: &http::Response<Body>, cx: &mut Context<'_>) -> Turned {
        if response.status().is_redirection() && search.redirects_left > 0 {
            match search.moved(response) {
                Some(url) => {
                    search.current = url;
                    search.redirects_left = search.redirects_left.saturating_sub(1);
                    return self.fetch(search, cx, MOVED);
                }
                None => return Turn::Ended(REFUSED, refusal::classify(response, Endpoint::Metadata, cx.now)),
            }
        }
        match search.read(response, cx) {
            Ok(metadata) => {
                self.state = State::Complete;
                Turn::Moved(FOUND, Step::Done(metadata))
            }
            Err(error @ Error::Security(SecurityError::IssuerMismatch { .. })) => Turn::Ended(ISSUER_MISMATCHED, error),
            Err(error) if is_absent(&error) => self.next(search, cx, NOT_HERE, error),
            Err(error) => Turn::Ended(REFUSED, error),
        }
    }
}

impl Search {
    fn read(&self, response: &http::Response<Body>, cx: &Context<'_>) -> Result<ServerMetadata, Error> {
        let document = answer::success(response, Leniency::Compat, cx.now, Endpoint::Metadata)?.object;
        ServerMetadata::from_document(document, &self.issuer, self.chosen, self.rule, self.policy)
    }

    fn moved(&self, response: &http::Response<Body>) -> Option<Url> {
        let location = response.headers().get(http::header::LOCATION)?.to_str().ok()?;
        let url = self.current.join(location).ok()?;
        (url.origin() == self.current.origin() && self.policy.check(&url).is_ok()).then_some(url)
    }
}

impl Transitions for Discovery {
    type Output = ServerMetadata;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::Fetching(_) => FETCHING,
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Fetching(running) => Some(nested::leaf(&running.0)),
            State::Ready(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(search), Event::Start) => {
                let none = ConfigError::Issuer(UrlFlaw::Host).into();
                self.next(*search, cx, single::BEGUN, none)
            }
            (State::Fetching(mut running), event) => match nested::forward(&mut running.0, event, cx) {
                Forwarded::More(effect) => {
                    self.state = State::Fetching(running);
                    Turn::Inner(effect)
                }
                Forwarded::Done(response) => self.answered(running.1, &response, cx),
                Forwarded::Broken(error) => Turn::Ended(nested::BROKEN, error),
            },
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}

/// Where the metadata of an issuer may be. Without a path the two standards agree but for the name.
fn candidates(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![at(format!("{path}/.well-known/openid-configuration"))];
    places.push(at(format!("/.well-known/oauth-authorization-server{path}")));
    if !path.is_empty() {
        // RFC 8414 §5 lets OpenID providers use the inserted form as well.
        places.push(at(format!("/.well-known/openid-configuration{path}")));
    }
    places
}

/// Whether an answer only says that the metadata is not at this place.
fn is_absent(error: &Error) -> bool {
    match error {
        Error::Refused(_) => true,
        Error::Protocol(error) => match error.rule {
            Rule::Status => error.answer.as_ref().is_some_and(|answer| (400..500).contains(&answer.status)),
            Rule::Json { .. } | Rule::MediaType | Rule::MemberMissing(_) | Rule::MemberInvalid(_) => true,
            Rule::Form
            | Rule::TokenType
            | Rule::Downgrade
            | Rule::KeyBound
            | Rule::IdTokenMissing
            | Rule::ScopeExceeded
            | Rule::JwtMalformed
            | Rule::JwtTooLarge
            | Rule::NoKeys
            | Rule::NoMetadata => false,
        },
        Error::Transport(error) => error.kind == TransportKind::MediaType,
        Error::Config(_)
        | Error::Misuse(_)
        | Error::Security(_)
        | Error::Callback(_)
        | Error::Expired(_)
        | Error::Cancelled
        | Error::Provider(_)
        | Error::Store(_)
        | Error::LoginNeeded(_)
        | Error::Bug(_) => false,
    }
}
