//! A grant of one's own (RFC 6749 §4.5): whatever a server takes under a `grant_type` that has no flow here.
//!
#![doc = include_str!("../../../docs/diagrams/extension-grant.md")]
//!
//! The parameters go out as they are, in the order given. What is secret among them is said so
//! ([`ExtensionRequest::secret_parameter`]), and is then shown by nothing and struck out of what a server repeats. The client
//! authenticates as ever, an id_token that comes along is verified, and nothing is sent a second time unless it cannot have
//! been delivered: nobody knows here whether a parameter works twice.
//!
//! Left out on purpose: the grants that have flows of their own, and `password` (RFC 9700 §2.4). A grant that needs more than
//! one request is a machine of its own: implement [`Transitions`].

use super::asked::IdTokenDemand;
use super::redeem::{self, EXCHANGING, FETCHING_KEYS, Redeeming};
use super::{Asked, Extras, GrantKind};
use crate::Secret;
use crate::client::Client;
use crate::endpoint::exchange::{self, Plan, Retries};
use crate::endpoint::{jwks, nested, single};
use crate::error::{ConfigError, Endpoint, Error};
use crate::http::form::Form;
use crate::machine::{
    Arrow, COMPLETE, Context, Event, EventKind, FAILED, READY, StateId, StateRow, Step, Table, Transitions, Turn,
};
use crate::token::{Scopes, TokenSet};

/// The states and arrows of a grant of one's own.
pub const TABLE: Table = Table {
    machine: "extension-grant",
    states: &[
        StateRow::initial(),
        StateRow::nested(EXCHANGING, &exchange::TABLE),
        StateRow::nested(FETCHING_KEYS, &jwks::TABLE),
        StateRow::complete(),
        StateRow::failed(),
    ],
    rows: &[
        Arrow::new(READY, EventKind::Start, single::BEGUN, EXCHANGING),
        Arrow::new(READY, EventKind::Start, single::UNREADY, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::ISSUED_VERIFIED, COMPLETE),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::KEYS_MISSING, FETCHING_KEYS),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::GRANT_REFUSED, FAILED),
        Arrow::new(EXCHANGING, EventKind::Response, redeem::UNTRUSTED, FAILED),
        Arrow::any(EXCHANGING, nested::BROKEN, FAILED),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_FIT, COMPLETE),
        Arrow::new(FETCHING_KEYS, EventKind::Response, redeem::KEYS_DO_NOT_FIT, FAILED),
        Arrow::any(FETCHING_KEYS, redeem::OLD_KEYS_FIT, COMPLETE),
        Arrow::any(FETCHING_KEYS, nested::BROKEN, FAILED),
    ],
};

/// What is sent to a server under a `grant_type` of its own.
///
/// ```
/// use grantflow_core::Secret;
/// use grantflow_core::grant::{ExtensionRequest, Extras};
/// let request = ExtensionRequest::new("urn:ietf:params:oauth:grant-type:token-exchange")
///     .extras(Extras::new([("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")])?)
///     .secret_parameter("subject_token", Secret::from("the token to exchange"))?
///     .scope("read")?;
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ExtensionRequest {
    grant_type: String,
    scopes: Scopes,
    extras: Extras,
    secrets: Vec<(String, Secret)>,
}

impl ExtensionRequest {
    /// Asks by this `grant_type`, which is an absolute URI by the RFC and a word with some servers.
    pub fn new(grant_type: &str) -> Self {
        Self {
            grant_type: grant_type.to_owned(),
            scopes: Scopes::default(),
            extras: Extras::default(),
            secrets: Vec::new(),
        }
    }

    /// Asks for these scopes, separated by spaces.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when a scope is malformed.
    pub fn scope(mut self, scope: &str) -> Result<Self, Error> {
        self.scopes = Scopes::parse(scope)?;
        Ok(self)
    }

    /// Sets the parameters that are no secrets.
    pub fn extras(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }

    /// Adds a parameter that is a secret: a token, an assertion, a password. They stand behind the others.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a name that is the engine's own.
    pub fn secret_parameter(mut self, name: &str, value: Secret) -> Result<Self, Error> {
        Extras::permits(name)?;
        self.secrets.push((name.to_owned(), value));
        Ok(self)
    }
}

/// A grant of one's own.
#[derive(Debug)]
pub struct ExtensionGrant {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<(Plan, Asked)>),
    Redeeming(Redeeming),
    Complete,
    Failed,
}

type Turned = Turn<TokenSet>;

impl ExtensionGrant {
    /// Prepares the request.
    ///
    /// # Errors
    /// [`ConfigError`]: the `grant_type` is empty, not visible ASCII, or one that has a flow of its own; the token endpoint is
    /// not known.
    pub fn new(client: &Client, request: ExtensionRequest) -> Result<Self, Error> {
        check(&request.grant_type)?;
        let mut form = Form::new();
        form.push("grant_type", request.grant_type);
        if !request.scopes.is_empty() {
            form.push("scope", client.written(&request.scopes).as_ref());
        }
        request.extras.write_to(&mut form);
        let mut names = Vec::with_capacity(request.secrets.len());
        for (name, value) in request.secrets {
            names.push(name.clone());
            form.push(name, value);
        }
        let plan = Plan::post(client, Endpoint::Token, form)?.with_retries(Retries::UntilDelivered);
        let mut asked = Asked::new(client, request.scopes);
        // Only the server knows whether this grant has a person to tell of.
        asked.id_token = IdTokenDemand::Welcome;
        Ok(Self { state: State::Ready(Box::new((plan.with_secrets(names), asked))) })
    }

    fn begin(&mut self, (plan, asked): (Plan, Asked), cx: &mut Context<'_>) -> Turned {
        match Redeeming::begin(plan, asked, cx) {
            Ok((redeeming, effect)) => {
                self.state = State::Redeeming(redeeming);
                Turn::Moved(single::BEGUN, Step::Do(effect))
            }
            Err(error) => Turn::Ended(single::UNREADY, error),
        }
    }
}

/// Whether a `grant_type` may be sent by this flow.
fn check(grant_type: &str) -> Result<(), Error> {
    let invalid = |why| Err(ConfigError::Invalid { setting: "grant_type", why }.into());
    if grant_type.is_empty() || !grant_type.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid("must be visible ASCII");
    }
    if GrantKind::ALL.iter().any(|kind| kind.grant_type() == grant_type) {
        return invalid("has a flow of its own");
    }
    if grant_type == "password" {
        return invalid("would show a person's password to this client (RFC 9700 §2.4)");
    }
    Ok(())
}

impl Transitions for ExtensionGrant {
    type Output = TokenSet;

    fn state(&self) -> StateId {
        match &self.state {
            State::Ready(_) => READY,
            State::Redeeming(redeeming) => redeeming.state(),
            State::Complete => COMPLETE,
            State::Failed => FAILED,
        }
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn leaf(&self) -> Option<(&'static Table, StateId)> {
        match &self.state {
            State::Redeeming(redeeming) => Some(redeeming.leaf()),
            State::Ready(_) | State::Complete | State::Failed => None,
        }
    }

    fn apply(&mut self, event: Event, cx: &mut Context<'_>) -> Turned {
        match (core::mem::replace(&mut self.state, State::Failed), event) {
            (State::Ready(ready), Event::Start) => self.begin(*ready, cx),
            (State::Redeeming(redeeming), event) => {
                let (turn, next) = redeeming.apply(event, cx);
                self.state = next.map_or(State::Complete, State::Redeeming);
                turn
            }
            (_, _) => nested::refused_by_table(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}
