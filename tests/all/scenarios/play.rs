//! Runs the steps of a scenario with one runner and writes down what came of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::callback::CallbackParams;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::endpoint::introspection::Introspected;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspection, Revocation, UserInfo};
use grantflow_core::error::{Advice, Error, Rule, SecurityError};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras, Refresh};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{Effect, Event, Machine, Step as Turn};
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Snapshot};
use grantflow_devserver::{Config, LogEntry, RefreshRotation};
use url::Url;

use super::{Ask, Scenario, Setup, Step, Which, Who};
use crate::runners::{BEGIN, Back, ByHand, Runner, Traveller, World, visit};

/// Where the browser is sent back to. Nobody listens there: the traveller brings what it was sent back with.
pub const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";

/// Stands for whatever comes of a step that the scenario is not about.
pub const ANY: &str = "*";

/// What came of a scenario.
pub struct Record {
    pub runner: &'static str,
    /// For each step that has one, in short.
    pub outcomes: Vec<String>,
    /// The same at length, and what the person saw.
    pub details: Vec<String>,
    /// The requests, all that the log shows of them.
    pub log: Vec<String>,
    /// The requests in short.
    pub requests: String,
    pub world: World,
}

impl Record {
    /// Compares with what the scenario says.
    pub fn is_expected(&self, scenario: &Scenario) {
        let expected = scenario.steps.iter().zip(&self.outcomes).map(|((_, expected), found)| match *expected {
            ANY => found,
            expected => expected,
        });
        assert_eq!(
            self.outcomes,
            expected.collect::<Vec<_>>(),
            "{}, {}: {:#?}",
            scenario.name,
            self.runner,
            self.details
        );
        assert_eq!(self.requests, scenario.requests, "{}, {}: {:#?}", scenario.name, self.runner, self.log);
    }
}

/// Runs a scenario.
pub fn play<R: Runner>(scenario: &Scenario) -> Record {
    let world = world(&scenario.setup);
    let mut play = Play::<R>::new(&world);
    let outcomes = scenario.steps.iter().map(|(step, _)| play.step(*step)).collect();
    let details = std::mem::take(&mut play.details);
    drop(play);
    // Whoever was refused stays silent: nothing was asked after the last answer, in the background either.
    let log = world.server.log();
    let url = Url::parse(&world.server.url("/")).unwrap();
    assert_eq!(visit("GET", &url, None).status, 200);
    assert_eq!(world.server.log().len(), log.len() + 1, "{}: a request after the end", scenario.name);
    let (said, given_away) = world.ears.given_away();
    assert!(said > 0 && given_away.is_empty(), "{}, {}: {given_away:#?}", scenario.name, R::NAME);
    Record {
        runner: R::NAME,
        outcomes,
        details,
        log: log.iter().map(|entry| line(&world, entry)).collect(),
        requests: log.iter().map(short).collect::<Vec<_>>().join(" "),
        world,
    }
}

pub fn world(setup: &Setup) -> World {
    let config = Config {
        issuer_path: setup.issuer_path.to_owned(),
        refresh_rotation: match setup.keeping_refresh_tokens {
            true => RefreshRotation::Keep,
            false => RefreshRotation::Rotate,
        },
        device_interval: setup.device_interval,
        device_code_lifetime: setup.device_code_lifetime,
        ..Config::default().allowing("alice")
    };
    let patience = setup.impatient.then_some(Duration::from_millis(200));
    let world = World::new(config, setup.decision, patience);
    if setup.denying {
        world.server.set_consent(grantflow_devserver::Consent::Deny);
    }
    world
}

pub fn line(world: &World, entry: &LogEntry) -> String {
    // Pauses before a request is tried again are random; a device's are not.
    let polls = entry.form_value("grant_type").is_some_and(|name| name.ends_with("device_code"));
    let at = if polls { format!("{} s ", entry.at.since(BEGIN).as_secs()) } else { String::new() };
    world.masked(&format!("{at}{entry} accept={:?} content-type={:?}", entry.accept, entry.content_type))
}

pub fn short(entry: &LogEntry) -> String {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    match entry.status {
        200..=399 => name.to_owned(),
        status => format!("{name}:{status}"),
    }
}

/// A scenario in progress.
struct Play<R> {
    world: World,
    runner: R,
    metadata: Option<Arc<ServerMetadata>>,
    who: Who,
    tokens: Option<TokenSet>,
    spent: Option<Secret>,
    stored: Option<Stored>,
    details: Vec<String>,
}

/// A login that waits somewhere.
struct Stored {
    bytes: Vec<u8>,
    url: Url,
    back: Option<Back>,
}

impl<R: Runner> Play<R> {
    fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            runner: R::new(world),
            metadata: None,
            who: Who::Public,
            tokens: None,
            spent: None,
            stored: None,
            details: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) -> String {
        let done = match step {
            Step::Faults(faults) => {
                self.world.server.set_faults(faults.iter().copied());
                self.world.server.clear_log();
                return String::new();
            }
            Step::FaultFor(fault, count) => {
                self.world.server.set_fault_for(fault, count);
                return String::new();
            }
            Step::RotateKeys => {
                self.world.server.rotate_keys().unwrap();
                return String::new();
            }
            Step::Pass(seconds) => {
                self.world.clock.jump(self.world.clock.now().plus(Duration::from_secs(seconds)));
                return String::new();
            }
            Step::AnotherProcess => {
                self.runner = R::new(&self.world);
                return String::new();
            }
            Step::Discover => self.discover(),
            Step::Login(ask) => self.login(ask),
            Step::Refresh => self.refresh(None),
            Step::RefreshSpent => self.refresh_spent(),
            Step::RefreshNarrowed(scope) => self.refresh(Some(scope)),
            Step::ClientCredentials(who, scope) => self.client_credentials(who, scope),
            Step::Device(who, scope) => self.device(who, scope),
            Step::UserInfo => self.userinfo(),
            Step::Introspect(which) => self.introspect(which, None),
            Step::IntrospectSigned(which) => self.introspect(which, Some(&[SignatureAlgorithm::Rs256])),
            Step::Revoke(which) => self.revoke(which),
            Step::Begin(ask) => self.begin(ask),
            Step::FinishResumed => self.resume(),
            Step::FinishCalledBack => self.call_back(),
        };
        match done {
            Ok(outcome) => outcome,
            Err(error) => {
                self.details.push(self.world.masked(&error.to_string()));
                format!("{}; {}", finding(&error), advice(&error))
            }
        }
    }

    /// Runs a machine, and sees that it takes nothing more when it has ended.
    fn run<M>(&mut self, machine: &mut M, first: Event) -> Result<M::Output, Error>
    where
        M: Machine + Debug + Send,
        M::Output: Debug + Send,
    {
        let mut person = Traveller::new(&self.world);
        let outcome = self.runner.run(machine, first, &mut person);
        let Traveller { refused, shown, .. } = person;
        self.details.extend(refused.iter().map(|why| format!("{why:?}")));
        self.details.extend(shown);
        let again = CallbackParams::from_query("code=stolen&state=guessed").unwrap();
        for event in [Event::Start, Event::Resume, Event::Elapsed, Event::Shown, Event::Callback(again)] {
            let (state, after) = (machine.state(), ByHand::new(&self.world).handle(machine, event));
            assert!(matches!(after, Err(Error::Misuse(_))) && machine.state() == state, "{state:?}: {after:?}");
        }
        outcome
    }

    fn client(&mut self, who: Who) -> Client {
        self.who = who;
        let server = self.metadata.clone().expect("discovery comes first");
        let (id, authentication) = match who {
            Who::Public => ("demo-app", Authentication::None),
            Who::Basic => ("demo-service", Authentication::SecretBasic(Secret::from("demo-secret"))),
            Who::Post => ("demo-service", Authentication::SecretPost(Secret::from("demo-secret"))),
            Who::WrongSecret => ("demo-service", Authentication::SecretBasic(Secret::from("wrong-secret"))),
        };
        let client = Client::builder(server, id).authentication(authentication).build().unwrap();
        self.world.ears.hear_debug(&client);
        client
    }

    fn discover(&mut self) -> Result<String, Error> {
        let mut machine = Discovery::new(&self.world.server.issuer())?;
        let metadata = self.run(&mut machine, Event::Start)?;
        let outcome = self.world.masked(&format!("found {}", metadata.issuer()));
        self.metadata = Some(Arc::new(metadata));
        Ok(outcome)
    }

    fn login(&mut self, ask: Ask) -> Result<String, Error> {
        let client = self.client(ask.who);
        let mut machine = AuthorizationCode::new(&client, request(ask))?;
        let tokens = self.run(&mut machine, Event::Start)?;
        Ok(self.issued(tokens))
    }

    fn refresh(&mut self, narrowed: Option<&str>) -> Result<String, Error> {
        let client = self.client(self.who);
        let tokens = self.tokens.as_ref().expect("tokens to refresh");
        let mut request = RefreshRequest::of(tokens)?;
        if let Some(scope) = narrowed {
            request = request.narrow_scope(scope)?;
        }
        self.spent = tokens.refresh_token().map(Secret::duplicate);
        let mut machine = Refresh::new(&client, request)?;
        let tokens = self.run(&mut machine, Event::Start)?;
        Ok(self.issued(tokens))
    }

    fn refresh_spent(&mut self) -> Result<String, Error> {
        let client = self.client(self.who);
        let spent = self.spent.as_ref().expect("a refresh before this one").duplicate();
        let mut machine = Refresh::new(&client, RefreshRequest::new(spent))?;
        let tokens = self.run(&mut machine, Event::Start)?;
        Ok(self.issued(tokens))
    }

    fn client_credentials(&mut self, who: Who, scope: &str) -> Result<String, Error> {
        let client = self.client(who);
        let mut machine = ClientCredentials::new(&client, scope, &Extras::default())?;
        let tokens = self.run(&mut machine, Event::Start)?;
        Ok(self.issued(tokens))
    }

    fn device(&mut self, who: Who, scope: &str) -> Result<String, Error> {
        let client = self.client(who);
        let mut machine = Device::new(&client, scope, Extras::default())?;
        let tokens = self.run(&mut machine, Event::Start)?;
        Ok(self.issued(tokens))
    }

    fn userinfo(&mut self) -> Result<String, Error> {
        let client = self.client(self.who);
        let tokens = self.tokens.as_ref().expect("an access token");
        let subject = tokens.identity().expect("a person").subject();
        let mut machine = UserInfo::new(&client, tokens.access_token(), subject)?;
        let profile = self.run(&mut machine, Event::Start)?;
        Ok(format!("{} {}", profile.subject(), profile.verified_email().unwrap_or_default()))
    }

    /// The token meant, and its kind.
    fn token(&self, which: Which) -> (Secret, TokenKind) {
        let tokens = self.tokens.as_ref().expect("tokens");
        match which {
            Which::Access => (tokens.access_token().duplicate(), TokenKind::Access),
            Which::Refresh => (tokens.refresh_token().expect("a refresh token").duplicate(), TokenKind::Refresh),
            Which::Unknown => (Secret::from("a token that nobody has issued"), TokenKind::Access),
        }
    }

    fn introspect(&mut self, which: Which, signed: Option<&[SignatureAlgorithm]>) -> Result<String, Error> {
        let client = self.client(Who::Basic);
        let (token, kind) = self.token(which);
        let mut machine = Introspection::new(&client, &token, kind)?;
        if let Some(algorithms) = signed {
            machine = machine.demand_signature(algorithms);
        }
        Ok(match self.run(&mut machine, Event::Start)? {
            Introspected::Active(active) => format!(
                "active: {} for {} with {}",
                active.subject().unwrap_or_default(),
                active.client_id().unwrap_or_default(),
                active.scope().unwrap_or_default()
            ),
            Introspected::Inactive => "inactive".to_owned(),
        })
    }

    fn revoke(&mut self, which: Which) -> Result<String, Error> {
        let client = self.client(self.who);
        let (token, kind) = self.token(which);
        let mut machine = Revocation::new(&client, &token, kind)?;
        self.run(&mut machine, Event::Start)?;
        Ok("revoked".to_owned())
    }

    /// What a web server does when somebody wants to log in.
    fn begin(&mut self, ask: Ask) -> Result<String, Error> {
        let client = self.client(ask.who);
        let mut flow = AuthorizationCode::new(&client, request(ask))?;
        let step = ByHand::new(&self.world).handle(&mut flow, Event::Start)?;
        let Turn::Do(Effect::Redirect(redirect)) = step else { panic!("{step:?}") };
        let snapshot = flow.snapshot()?;
        self.world.ears.hear_debug(&snapshot);
        self.stored = Some(Stored { bytes: snapshot.as_bytes().to_vec(), url: redirect.url, back: None });
        Ok("stored".to_owned())
    }

    fn restored(&mut self) -> Result<AuthorizationCode, Error> {
        let client = self.client(self.who);
        let stored = self.stored.as_ref().expect("a stored login");
        AuthorizationCode::restore(&client, Snapshot::from_bytes(stored.bytes.clone()))
    }

    fn resume(&mut self) -> Result<String, Error> {
        let mut flow = self.restored()?;
        let tokens = self.run(&mut flow, Event::Resume)?;
        Ok(self.issued(tokens))
    }

    fn call_back(&mut self) -> Result<String, Error> {
        let mut flow = self.restored()?;
        let person = Traveller::new(&self.world);
        let stored = self.stored.as_mut().expect("a stored login");
        if stored.back.is_none() {
            stored.back = person.authorize(&stored.url, REDIRECT_URI);
        }
        let callback = stored.back.as_ref().expect("somebody comes back").params();
        let tokens = self.run(&mut flow, Event::Callback(callback))?;
        Ok(self.issued(tokens))
    }

    /// Tokens in short.
    fn issued(&mut self, tokens: TokenSet) -> String {
        self.world.ears.hear_debug(&tokens);
        let lifetime = tokens.expires_at().map(|end| end.since(tokens.received_at()).as_secs());
        let mut text = format!("{} [{}]", tokens.token_type(), tokens.scope().as_str());
        text += &lifetime.map_or_else(|| " for ever?".to_owned(), |seconds| format!(" {seconds} s"));
        if tokens.is_exceeded() {
            text += " exceeded";
        }
        if tokens.is_narrowed() {
            text += " narrowed";
        }
        if let Some(refresh_token) = tokens.refresh_token() {
            let is_old = self.spent.as_ref().is_some_and(|spent| spent.matches(refresh_token.expose()));
            text += if is_old { ", same refresh token" } else { ", refresh token" };
        }
        if let Some(identity) = tokens.identity() {
            text += &format!(", {}", identity.subject());
            if let Some(acr) = identity.acr() {
                text += &format!(" by {acr}");
            }
        }
        for resource in tokens.resources() {
            text += &format!(", for {resource}");
        }
        for note in tokens.notes() {
            text += &format!(", {note}");
        }
        self.tokens = Some(tokens);
        text
    }
}

pub fn request(ask: Ask) -> AuthorizationRequest {
    let mut request = AuthorizationRequest::new(REDIRECT_URI)
        .scope(ask.scope)
        .response_mode(ask.mode)
        .acr_values(ask.acr.iter().copied())
        .extras(Extras::new(ask.extras.iter().copied()).unwrap());
    if let Some(seconds) = ask.max_age {
        request = request.max_age(seconds);
    }
    ask.resources.iter().fold(request, |request, resource| request.resource(*resource))
}

/// An error's name: its class, where it was, and what was found. Not its values.
pub fn finding(error: &Error) -> String {
    match error {
        Error::Transport(error) => {
            let status = error.answer.as_ref().map(|answer| format!(" {}", answer.status)).unwrap_or_default();
            format!("Transport {:?} {:?} {:?}{status}", error.endpoint, error.kind, error.delivery)
        }
        Error::Protocol(error) => match error.rule {
            Rule::Json { flaw, .. } => format!("Protocol {:?} {flaw:?}", error.endpoint),
            rule => format!("Protocol {:?} {rule:?}", error.endpoint),
        },
        Error::Refused(refusal) => format!("Refused {:?} {}", refusal.endpoint, refusal.code),
        Error::Security(SecurityError::IssuerMismatch { .. }) => "Security IssuerMismatch".to_owned(),
        Error::Security(SecurityError::Claim { claim, .. }) => format!("Security Claim {claim}"),
        Error::Security(SecurityError::Time { claim, .. }) => format!("Security Time {claim}"),
        Error::Security(error) => format!("Security {error:?}"),
        Error::Callback(why) => format!("Callback {why:?}"),
        Error::Expired(what) => format!("Expired {what:?}"),
        other => format!("{other:?}"),
    }
}

fn advice(error: &Error) -> String {
    match error.advice() {
        Advice::Retry { not_before: Some(_) } => "Retry later".to_owned(),
        Advice::Retry { not_before: None } => "Retry".to_owned(),
        other => format!("{other:?}"),
    }
}
