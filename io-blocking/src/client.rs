//! The flows as calls of a few words. Whoever needs more makes the machine and gives it to [`Driver::run`].

use std::sync::Arc;

use grantflow_core::client::{Client as Registered, ClientBuilder};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspected, Introspection, Profile, Revocation, UserInfo};
use grantflow_core::error::ConfigError;
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{
    AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, ExtensionGrant, ExtensionRequest, Extras,
    Refresh,
};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::loopback::{DEFAULT_WAIT, Pages, Place, ResponseMode};
use grantflow_core::machine::{Event, UserCode};
use grantflow_core::manager::Source;
use grantflow_core::server::ServerMetadata;
use grantflow_core::store::StoreKey;
use grantflow_core::token::TokenSet;
use grantflow_core::{Error, Secret};

use crate::{DevicePerson, Driver, LoopbackPerson, Nobody, Notifier, Tokens};

/// A server whose metadata is known, and a driver to reach it with.
///
/// ```no_run
/// let client = grantflow_blocking::Client::discover("https://issuer.example")?.public("my-client-id")?;
/// let tokens = client.login("openid email")?; // browser and loopback; PKCE, state, nonce, iss, id_token: all on
/// if let Some(identity) = tokens.identity() {
///     println!("signed in as {}", identity.subject());
/// }
/// # Ok::<(), grantflow_blocking::core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    driver: Driver,
    metadata: Arc<ServerMetadata>,
}

impl Server {
    /// Looks the metadata of `issuer` up.
    ///
    /// # Errors
    /// As [`Discovery`] gives them.
    pub fn discover(driver: Driver, issuer: &str) -> Result<Self, Error> {
        let metadata = driver.run(&mut Discovery::new(issuer)?, Event::Start, &mut Nobody)?;
        Ok(Self { driver, metadata: Arc::new(metadata) })
    }

    /// What the server says of itself.
    pub fn metadata(&self) -> &Arc<ServerMetadata> {
        &self.metadata
    }

    /// A client without a secret: an application on people's devices.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn public(&self, client_id: &str) -> Result<Client, Error> {
        self.client(client_id, |client| client)
    }

    /// A client with a secret, which goes where the server's metadata says.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn confidential(&self, client_id: &str, secret: Secret) -> Result<Client, Error> {
        self.client(client_id, |client| client.secret(secret))
    }

    /// A client with whatever settings there are.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn client(
        &self,
        client_id: &str,
        settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Error> {
        let client = settings(Registered::builder(self.metadata.clone(), client_id)).build()?;
        Ok(Client::new(self.driver.clone(), client))
    }
}

/// A client with a driver. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    driver: Driver,
    client: Registered,
    place: Place,
    pages: Pages,
    notifier: Notifier,
}

impl Client {
    /// Looks the metadata of `issuer` up with a driver of its own.
    ///
    /// # Errors
    /// As [`Discovery`] gives them.
    pub fn discover(issuer: &str) -> Result<Server, Error> {
        Server::discover(Driver::new(), issuer)
    }

    /// Drives the flows of `client` with `driver`.
    pub fn new(driver: Driver, client: Registered) -> Self {
        let pages = Pages::default().with_service(client.server().issuer());
        Self { driver, client, place: Place::default(), pages, notifier: Notifier::default() }
    }

    /// Where [`login`](Self::login) listens: for servers that know one redirect URI only.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// What the browser shows in the end.
    #[must_use]
    pub fn with_pages(mut self, pages: Pages) -> Self {
        self.pages = pages;
        self
    }

    /// Tells the person what happens: also the address to open where there is no browser.
    #[must_use]
    pub fn with_notifier(mut self, notifier: Notifier) -> Self {
        self.notifier = notifier;
        self
    }

    /// The client as the core knows it, to make other machines with.
    pub fn registered(&self) -> &Registered {
        &self.client
    }

    /// The driver, to run other machines with.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Logs a person in with the system's browser and a loopback redirect URI: the authorization code grant.
    ///
    /// # Errors
    /// As [`AuthorizationCode`] and [`LoopbackPerson::bind`] give them.
    pub fn login(&self, scope: &str) -> Result<TokenSet, Error> {
        let person = self.person(ResponseMode::Query)?;
        self.login_with(person, |request| request.scope(scope).lifetime(DEFAULT_WAIT))
    }

    /// A person with a browser, as [`login`](Self::login) has one.
    ///
    /// # Errors
    /// As [`LoopbackPerson::bind`].
    pub fn person(&self, mode: ResponseMode) -> Result<LoopbackPerson, Error> {
        let person = LoopbackPerson::bind(&self.place, mode, self.pages.clone())?;
        Ok(person.with_notifier(self.notifier.clone()))
    }

    /// Logs this person in, with a request of your own making for their redirect URI.
    ///
    /// # Errors
    /// As [`AuthorizationCode`] gives them.
    pub fn login_with(
        &self,
        mut person: LoopbackPerson,
        request: impl FnOnce(AuthorizationRequest) -> AuthorizationRequest,
    ) -> Result<TokenSet, Error> {
        let request = request(AuthorizationRequest::new(person.redirect_uri()));
        let mut flow = AuthorizationCode::new(&self.client, request)?;
        self.driver.run(&mut flow, Event::Start, &mut person)
    }

    /// Logs a person in who types a code on another device (RFC 8628). `show` is called once.
    ///
    /// # Errors
    /// As [`Device`] gives them.
    pub fn device_login(&self, scope: &str, show: impl FnMut(&UserCode)) -> Result<TokenSet, Error> {
        let mut flow = Device::new(&self.client, scope, Extras::default())?;
        self.driver.run(&mut flow, Event::Start, &mut DevicePerson::new(show))
    }

    /// Gets a token for the client itself (RFC 6749 §4.4).
    ///
    /// # Errors
    /// As [`ClientCredentials`] gives them.
    pub fn client_credentials(&self, scope: &str) -> Result<TokenSet, Error> {
        let mut flow = ClientCredentials::new(&self.client, scope, &Extras::default())?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// Gets tokens by a grant that has no flow of its own (RFC 6749 §4.5).
    ///
    /// # Errors
    /// As [`ExtensionGrant`] gives them.
    pub fn extension_grant(&self, request: ExtensionRequest) -> Result<TokenSet, Error> {
        let mut flow = ExtensionGrant::new(&self.client, request)?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// The tokens of a person's login, which renew themselves. `profile` tells logins of this client apart.
    pub fn tokens(&self, profile: &str) -> Tokens {
        let source = Source::Session(self.client.clone());
        Tokens::new(self.driver.clone(), StoreKey::new(&self.client, profile), source)
    }

    /// Tokens for the client itself, which it gets as often as it needs (RFC 6749 §4.4).
    pub fn own_tokens(&self, profile: &str, scope: &str) -> Tokens {
        let client = self.client.clone();
        let source = Source::ClientCredentials { client, scope: scope.to_owned(), extras: Extras::default() };
        Tokens::new(self.driver.clone(), StoreKey::new(&self.client, profile), source)
    }

    /// Gets the successor of `tokens`. Store it before anybody uses it: the old refresh token may be worth nothing now.
    ///
    /// # Errors
    /// As [`Refresh`] gives them.
    pub fn refresh(&self, tokens: &TokenSet) -> Result<TokenSet, Error> {
        let mut flow = Refresh::new(&self.client, RefreshRequest::of(tokens)?)?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// Asks who the person is whom `tokens` speak for. They must have logged in with `openid`.
    ///
    /// # Errors
    /// As [`UserInfo`] gives them.
    pub fn userinfo(&self, tokens: &TokenSet) -> Result<Profile, Error> {
        let identity = tokens.identity().ok_or(ConfigError::Missing("a verified id_token (scope `openid`)"))?;
        let mut flow = UserInfo::of(&self.client, tokens, identity.subject())?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// Asks the server about a token (RFC 7662).
    ///
    /// # Errors
    /// As [`Introspection`] gives them.
    pub fn introspect(&self, token: &Secret, kind: TokenKind) -> Result<Introspected, Error> {
        let mut flow = Introspection::new(&self.client, token, kind)?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// Asks the server about a token, and refuses an answer that it has not signed in one of these ways (RFC 9701).
    ///
    /// # Errors
    /// As [`Introspection`] gives them.
    pub fn introspect_signed(
        &self,
        token: &Secret,
        kind: TokenKind,
        algorithms: &[SignatureAlgorithm],
    ) -> Result<Introspected, Error> {
        let mut flow = Introspection::new(&self.client, token, kind)?.demand_signature(algorithms);
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }

    /// Asks the server to forget a token (RFC 7009).
    ///
    /// # Errors
    /// As [`Revocation`] gives them.
    pub fn revoke(&self, token: &Secret, kind: TokenKind) -> Result<(), Error> {
        let mut flow = Revocation::new(&self.client, token, kind)?;
        self.driver.run(&mut flow, Event::Start, &mut Nobody)
    }
}
