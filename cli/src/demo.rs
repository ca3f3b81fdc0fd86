//! `grantflow demo`: every flow there is, against the development server, in one process.
//!
//! Nobody is asked anything: the server consents by itself, the browser is a few lines in this file that follow
//! redirects, and waiting is done by moving the clock that both sides look at.

mod browser;
mod clock;
mod table;

use std::sync::{Arc, Mutex, PoisonError};

use grantflow_core::client::Client;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspected, Introspection, Jwks, Revocation, UserInfo};
use grantflow_core::error::safe_text;
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{
    AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, ExtensionGrant, ExtensionRequest, Extras,
    Refresh,
};
use grantflow_core::http::Body;
use grantflow_core::loopback::{Pages, Place, ResponseMode};
use grantflow_core::machine::{Event, Machine};
use grantflow_core::manager::Source;
use grantflow_core::resource::{Audience, AuthorizedRequest, RequestSettings};
use grantflow_core::server::ServerMetadata;
use grantflow_core::store::StoreKey;
use grantflow_core::token::TokenSet;
use grantflow_core::{Error, Secret};
use grantflow_devserver::{Config, DevServer};
use grantflow_tokio::{DevicePerson, Driver, LoopbackPerson, Nobody, Notifier, Person, TokenHandle, Tokens};

use self::browser::RedirectFollower;
use self::clock::SkippingClock;
use self::table::{Outcome, Rows};
use crate::args::DemoArgs;
use crate::exit::{Artefact, Failure};
use crate::trace::{Detail, Trace, TracedClient, Watcher, say};

const USER: &str = "alice";
const SCOPE: &str = "openid profile email";

struct Demo {
    trace: Trace,
    server: DevServer,
    driver: Driver,
    watcher: Arc<Mutex<Watcher>>,
}

/// Runs everything and gives the table of outcomes.
pub(crate) async fn run(args: &DemoArgs) -> Result<Artefact, Failure> {
    let demo = Demo::start(args)?;
    let mut rows = Rows::default();
    demo.everything(&mut rows).await;
    let table = rows.drawn();
    match rows.first_failure() {
        None => Ok(Artefact::new(table)),
        Some((code, count)) => {
            say(format_args!("\n{table}"));
            Err(Failure::Several(code, format!("{count} of the flows did not succeed")))
        }
    }
}

impl Demo {
    fn start(args: &DemoArgs) -> Result<Self, Failure> {
        let trace = Trace::new(Detail::Everything);
        let clock = SkippingClock::default();
        let config = Config::default().allowing(USER).with_clock(clock.of_server());
        let config = config.with_faults(args.fault.iter().copied());
        let server = DevServer::start(config).map_err(|error| Failure::Local(format!("the server: {error}")))?;
        let watcher = Arc::new(Mutex::new(Watcher::new(trace)));
        let driver = Driver::with_client(TracedClient::new(trace, "→"));
        let driver = driver.with_clock(clock).with_observer(watcher.clone());
        say(format_args!("A server is running at {}", server.issuer()));
        Ok(Self { trace, server, driver, watcher })
    }

    async fn everything(&self, rows: &mut Rows) {
        let Some(metadata) = rows.keep("discovery", self.discovery().await) else {
            return rows.skip_the_rest();
        };
        let metadata = Arc::new(metadata);
        let app = Client::builder(metadata.clone(), "demo-app").build();
        let service = Client::builder(metadata, "demo-service").secret(Secret::from("demo-secret")).build();
        let (Some(app), Some(service)) = (rows.settled("client", app), rows.settled("client", service)) else {
            return rows.skip_the_rest();
        };
        rows.keep("jwks", self.keys(&app).await);
        if let Some(tokens) = rows.keep("authorization-code", self.login(&app).await) {
            rows.keep("userinfo", self.userinfo(&app, &tokens).await);
            rows.keep("introspection", self.introspection(&service, &tokens).await);
            if let Some(renewed) = rows.keep("refresh", self.refresh(&app, &tokens).await) {
                rows.keep("revocation", self.revocation(&app, &service, &renewed).await);
            }
        }
        rows.keep("client-credentials", self.client_credentials(&service).await);
        rows.keep("extension-grant", self.exchanged(&service).await);
        rows.keep("device", self.device(&app).await);
        if let Some(handle) = rows.keep("token-manager", self.managed(&service).await) {
            rows.keep("authorized-request", self.request(handle).await);
        }
        rows.skip_the_rest();
    }

    async fn drive<M>(&self, machine: &mut M, person: &mut dyn Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.driver.run(machine, Event::Start, person).await
    }

    /// How many checks of an id_token have passed since this was asked last.
    fn checks(&self) -> usize {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take_passed()
    }

    async fn discovery(&self) -> Outcome<ServerMetadata> {
        self.trace.heading("Discovery: where is everything?");
        let metadata = self.drive(&mut Discovery::new(&self.server.issuer())?, &mut Nobody).await?;
        let text = format!("found {}", metadata.issuer());
        Ok((metadata, text))
    }

    async fn keys(&self, client: &Client) -> Outcome<()> {
        self.trace.heading("Keys: what does the server sign with?");
        let keys = self.drive(&mut Jwks::new(client)?, &mut Nobody).await?;
        let usable = keys.keys().iter().filter(|key| key.flaw().is_none()).count();
        Ok(((), format!("{usable} usable keys")))
    }

    async fn login(&self, client: &Client) -> Outcome<TokenSet> {
        self.trace.heading("Authorization code with PKCE: a person logs in with a browser");
        let pages = Pages::default().with_app("The demo").with_service(client.server().issuer());
        let browser = RedirectFollower::new(self.trace);
        let person = LoopbackPerson::bind(&Place::default(), ResponseMode::Query, pages).await?;
        let notifier = Notifier::new(|notice| say(format_args!("  {notice}")));
        let mut person = person.with_notifier(notifier).with_browser(browser.clone());
        let request = AuthorizationRequest::new(person.redirect_uri()).scope(SCOPE);
        let tokens = self.drive(&mut AuthorizationCode::new(client, request)?, &mut person).await;
        let page = browser.last_status().await;
        let (tokens, checks) = (tokens?, self.checks());
        let who = tokens.identity().map_or_else(String::new, |identity| safe_text(identity.subject()));
        let page = page.map_or_else(|| "no page".to_owned(), |status| format!("the browser ended on a {status}"));
        Ok((tokens, format!("signed in as {who}; {checks} checks of the id_token passed; {page}")))
    }

    async fn userinfo(&self, client: &Client, tokens: &TokenSet) -> Outcome<()> {
        self.trace.heading("UserInfo: who is it?");
        let subject = tokens.identity().map(|identity| identity.subject()).unwrap_or_default();
        let profile = self.drive(&mut UserInfo::of(client, tokens, subject)?, &mut Nobody).await?;
        let email = profile.verified_email().map_or_else(|| "no e-mail".to_owned(), |email| safe_text(&email));
        Ok(((), format!("{}, {email}", safe_text(profile.subject()))))
    }

    async fn introspection(&self, service: &Client, tokens: &TokenSet) -> Outcome<()> {
        self.trace.heading("Introspection: is the token good?");
        Ok(((), self.introspected(service, tokens).await?))
    }

    async fn introspected(&self, service: &Client, tokens: &TokenSet) -> Result<String, Error> {
        let mut flow = Introspection::new(service, tokens.access_token(), TokenKind::Access)?;
        Ok(match self.drive(&mut flow, &mut Nobody).await? {
            Introspected::Active(active) => {
                format!("active, scope {}", safe_text(&active.scope().unwrap_or_default()))
            }
            Introspected::Inactive => "inactive".to_owned(),
        })
    }

    async fn refresh(&self, client: &Client, tokens: &TokenSet) -> Outcome<TokenSet> {
        self.trace.heading("Refresh: a new token for the old one");
        let renewed = self.drive(&mut Refresh::new(client, RefreshRequest::of(tokens)?)?, &mut Nobody).await?;
        let rotated = match (tokens.refresh_token(), renewed.refresh_token()) {
            (Some(old), Some(new)) if !old.matches(new.expose()) => "rotated",
            _ => "kept",
        };
        let checks = self.checks();
        Ok((renewed, format!("new access token; refresh token {rotated}; {checks} checks of the id_token passed")))
    }

    async fn revocation(&self, client: &Client, service: &Client, tokens: &TokenSet) -> Outcome<()> {
        self.trace.heading("Revocation: log out, and ask again");
        let none = Secret::from("");
        let refresh_token = tokens.refresh_token().unwrap_or(&none);
        self.drive(&mut Revocation::new(client, refresh_token, TokenKind::Refresh)?, &mut Nobody).await?;
        let now = self.introspected(service, tokens).await?;
        Ok(((), format!("revoked; the access token is {now} now")))
    }

    async fn client_credentials(&self, service: &Client) -> Outcome<()> {
        self.trace.heading("Client credentials: a service acts for itself");
        let mut flow = ClientCredentials::new(service, "read", &Extras::default())?;
        let tokens = self.drive(&mut flow, &mut Nobody).await?;
        Ok(((), format!("{} token, scope {}", tokens.token_type(), tokens.scope())))
    }

    async fn exchanged(&self, service: &Client) -> Outcome<()> {
        self.trace.heading("A grant of one's own: one token for another (RFC 8693)");
        let mut flow = ClientCredentials::new(service, "read write", &Extras::default())?;
        let subject = self.drive(&mut flow, &mut Nobody).await?;
        let extras = Extras::new([("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")])?;
        let request = ExtensionRequest::new("urn:ietf:params:oauth:grant-type:token-exchange").extras(extras);
        let request = request.secret_parameter("subject_token", subject.access_token().duplicate())?.scope("read")?;
        let tokens = self.drive(&mut ExtensionGrant::new(service, request)?, &mut Nobody).await?;
        Ok(((), format!("{} token, scope {}", tokens.token_type(), tokens.scope())))
    }

    async fn managed(&self, service: &Client) -> Outcome<TokenHandle> {
        self.trace.heading("Token manager: a token that is kept and stays fresh");
        let key = StoreKey::new(service, "demo");
        let extras = Extras::default();
        let source = Source::ClientCredentials { client: service.clone(), scope: "read".to_owned(), extras };
        let handle = Tokens::new(self.driver.clone(), key, source).open()?;
        let first = handle.credential().await?;
        let again = handle.credential().await?.id();
        let other = handle.invalidate(first.id()).await?.id();
        if again != first.id() || other == first.id() {
            return Err(Error::Bug("a token manager that gives out the wrong token"));
        }
        Ok((handle, "one token for two who asked, another one when that was refused".to_owned()))
    }

    async fn request(&self, handle: TokenHandle) -> Outcome<()> {
        self.trace.heading("A request with that token");
        let audience = Audience::only(&self.server.issuer())?.dangerous_allow_loopback_http();
        let url = audience.join("api/me")?;
        let request = http::Request::get(url.as_str()).body(Body::empty());
        let request = request.map_err(|_| Error::Bug("a request that cannot be made"))?;
        let mut flow = AuthorizedRequest::new(request, &audience, RequestSettings::new())?;
        let driver = self.driver.clone().with_authorizer(Arc::new(handle));
        let answer = driver.run(&mut flow, Event::Start, &mut Nobody).await?;
        Ok(((), format!("the resource server answered {}", answer.status())))
    }

    async fn device(&self, client: &Client) -> Outcome<()> {
        self.trace.heading("Device: log in on another screen");
        let mut person = DevicePerson::new(|code| {
            say(format_args!("  Visit {} and enter the code {}", code.verification_uri, code.user_code.expose()));
            self.server.approve_device(code.user_code.expose(), USER);
        });
        let tokens = self.drive(&mut Device::new(client, SCOPE, Extras::default())?, &mut person).await?;
        let who = tokens.identity().map_or_else(String::new, |identity| safe_text(identity.subject()));
        Ok(((), format!("signed in as {who}; {} checks of the id_token passed", self.checks())))
    }
}
