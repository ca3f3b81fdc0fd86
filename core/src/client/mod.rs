//! A client as registered with one authorization server: who it is, how it authenticates, how tolerant it is.
//!
//! One concrete type, cheap to clone, checked when it is built. Nothing here sends anything.

mod assertion;
mod authentication;
mod hook;
mod profile;
mod proof;
mod registry;

pub use authentication::{Authentication, AuthenticationMethod, Credentials};
pub use hook::{Hook, HookFlaw, HookPoint, HookedRequest};
pub use profile::Profile;
pub use proof::ProofKey;
pub use registry::Registry;

pub(crate) use assertion::ClientAssertion;
pub(crate) use authentication::Method;
pub(crate) use hook::{Hooked, Hooks, has_changed};
pub(crate) use proof::{NONCE, Proof, challenges_nonce, keep_nonce};

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;

use crate::error::{ConfigError, Endpoint, Error};
use crate::jose::{IssuerRule, SignatureAlgorithm};
use crate::server::{EndpointUrl, ServerMetadata};
use crate::token::answer::{self, Separator, WiderScope};
use crate::token::{Leniency, Scopes};

/// A client of one authorization server. Cloning is cheap.
///
/// ```
/// use grantflow_core::client::Client;
/// use grantflow_core::error::Endpoint;
/// use grantflow_core::http::UrlPolicy;
/// use grantflow_core::server::ServerMetadata;
///
/// let server = ServerMetadata::by_hand("https://as.example", UrlPolicy::default())?
///     .with_endpoint(Endpoint::Token, "https://as.example/token")?;
/// let client = Client::builder(server, "my-client").build()?;
/// assert_eq!(client.client_id(), "my-client");
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    server: Arc<ServerMetadata>,
    client_id: String,
    method: Method,
    proof_key: Option<ProofKey>,
    tolerance: Tolerance,
    hooks: Hooks,
    dialect: Dialect,
}

/// How a client speaks, where servers differ from the standards.
#[derive(Clone, Debug)]
struct Dialect {
    /// What the server calls `client_id`.
    id_parameter: &'static str,
    /// What stands between two scopes of a request.
    separator: Separator,
    /// What every request says of the program that sends it.
    user_agent: Option<HeaderValue>,
    /// How tokens are asked for.
    token_requests: TokenRequests,
}

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenRequests {
    /// RFC 6749 §3.2.
    Post,
    /// Against it.
    Get,
}

/// What is said of the program unless it says otherwise. A static value: copying it costs nothing.
static USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("grantflow/", env!("CARGO_PKG_VERSION")));

/// What a client accepts beyond the plain rules.
#[derive(Clone, Debug)]
pub(crate) struct Tolerance {
    pub(crate) leniency: Leniency,
    pub(crate) token_types: Vec<String>,
    pub(crate) wider_scope: WiderScope,
    pub(crate) separator: Separator,
    /// What to expect where a proof is sent.
    pub(crate) proof: answer::Proof,
    pub(crate) algorithms: Vec<SignatureAlgorithm>,
    pub(crate) trusted_audiences: Vec<String>,
    pub(crate) issuer_rule: IssuerRule,
    pub(crate) lifetime: Lifetime,
}

/// Whether a token answer has to say how long its token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Optional,
    Required,
}

/// Collects a client's settings; [`ClientBuilder::build`] checks them.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    server: Arc<ServerMetadata>,
    client_id: String,
    authentication: Authentication,
    proof_key: Option<ProofKey>,
    tolerance: Tolerance,
    hooks: Hooks,
    dialect: Dialect,
    user_agent: Option<String>,
}

impl Client {
    /// Begins a client of `server`. Without further settings it is a public one.
    pub fn builder(server: impl Into<Arc<ServerMetadata>>, client_id: &str) -> ClientBuilder {
        ClientBuilder {
            server: server.into(),
            client_id: client_id.to_owned(),
            authentication: Authentication::None,
            proof_key: None,
            tolerance: Tolerance {
                leniency: Leniency::Compat,
                token_types: Vec::new(),
                wider_scope: WiderScope::Surfaced,
                separator: Separator::Space,
                proof: answer::Proof::Sent,
                algorithms: vec![SignatureAlgorithm::Rs256],
                trusted_audiences: Vec::new(),
                issuer_rule: IssuerRule::Exact,
                lifetime: Lifetime::Optional,
            },
            hooks: Hooks::default(),
            dialect: Dialect {
                id_parameter: "client_id",
                separator: Separator::Space,
                user_agent: Some(default_user_agent()),
                token_requests: TokenRequests::Post,
            },
            user_agent: None,
        }
    }

    /// The client's identifier.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// The server it is registered with.
    pub fn server(&self) -> &ServerMetadata {
        &self.0.server
    }

    /// Whether the client cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        matches!(self.0.method, Method::None)
    }

    /// How the client authenticates, in the words of its registration: `client_secret_basic`.
    pub fn authentication_method(&self) -> &str {
        self.0.method.name()
    }

    pub(crate) fn method(&self) -> &Method {
        &self.0.method
    }

    pub(crate) fn proof_key(&self) -> Option<&ProofKey> {
        self.0.proof_key.as_ref()
    }

    pub(crate) fn tolerance(&self) -> &Tolerance {
        &self.0.tolerance
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    /// What the server calls `client_id`.
    pub(crate) fn id_parameter(&self) -> &'static str {
        self.0.dialect.id_parameter
    }

    /// Whether the parameters of token requests stand in the URL.
    pub(crate) fn asks_by_get(&self) -> bool {
        self.0.dialect.token_requests == TokenRequests::Get
    }

    /// What requests say of the program, if anything.
    pub(crate) fn user_agent(&self) -> Option<HeaderValue> {
        self.0.dialect.user_agent.clone()
    }

    /// Scopes as this server wants them written in a request.
    pub(crate) fn written<'a>(&self, scopes: &'a Scopes) -> Cow<'a, str> {
        match self.0.dialect.separator {
            Separator::Space => Cow::Borrowed(scopes.as_str()),
            Separator::SpaceOrComma => Cow::Owned(scopes.as_str().replace(' ', ",")),
        }
    }

    pub(crate) fn endpoint(&self, endpoint: Endpoint) -> Result<&EndpointUrl, Error> {
        Ok(self.0.server.endpoint(endpoint)?)
    }
}

impl ClientBuilder {
    /// Sets the client secret. Where it goes the server's metadata decides: `client_secret_basic` if it is offered or
    /// nothing is said, else `client_secret_post` (RFC 8414 §2).
    pub fn secret(self, secret: crate::Secret) -> Self {
        self.authentication(Authentication::Secret(secret))
    }

    /// Sets how the client authenticates.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Binds all tokens to a key (RFC 9449). Token requests then carry a proof, signed by the driver.
    pub fn proof_key(mut self, key: ProofKey) -> Self {
        self.proof_key = Some(key);
        self
    }

    /// Sets how tolerant the client is of a server's slips. The default is [`Leniency::Compat`].
    pub fn leniency(mut self, leniency: Leniency) -> Self {
        self.tolerance.leniency = leniency;
        self
    }

    /// Accepts a token type beyond `Bearer` (and `DPoP` where a proof is sent). The caller knows how to use it.
    pub fn accept_token_type(mut self, name: &str) -> Self {
        self.tolerance.token_types.push(name.to_owned());
        self
    }

    /// Refuses an answer that grants more scope than was asked for.
    pub fn require_exact_scope(mut self) -> Self {
        self.tolerance.wider_scope = WiderScope::Refused;
        self
    }

    /// Reads a comma in `scope` as a separator. For servers that are known to write it so.
    pub fn comma_separated_scopes(mut self) -> Self {
        self.tolerance.separator = Separator::SpaceOrComma;
        self
    }

    /// Writes a comma between the scopes of a request, and reads one in answers. For servers that are known to want it.
    pub fn join_scopes_with_comma(mut self) -> Self {
        self.dialect.separator = Separator::SpaceOrComma;
        self.comma_separated_scopes()
    }

    /// Names the parameter that carries the client's identifier, for a server that calls it otherwise than `client_id`.
    pub fn client_id_parameter(mut self, name: &'static str) -> Self {
        self.dialect.id_parameter = name;
        self
    }

    /// Adds a hook. At each point, hooks run in the order in which they were added.
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hooks.add(hook);
        self
    }

    /// Sets what every request says of the program that sends it. The default is `grantflow/` and the version.
    ///
    /// Requests that are made without a client, such as discovery's, have the default.
    pub fn user_agent(mut self, product: &str) -> Self {
        self.user_agent = Some(product.to_owned());
        self
    }

    /// Sends no `User-Agent`.
    pub fn no_user_agent(mut self) -> Self {
        self.user_agent = None;
        self.dialect.user_agent = None;
        self
    }

    /// Asks for tokens by GET, with the parameters in the URL: for a server that takes no POST, against RFC 6749 §3.2.
    ///
    /// Dangerous: URLs stand in the logs of every server and proxy on the way, and an answer to GET may stay in a cache. So no
    /// secret goes that way: a client secret has to go into a header ([`Authentication::SecretBasic`]), and a request that
    /// carries one otherwise, a code, a refresh token, an assertion, fails with
    /// [`ConfigError::SecretInQuery`] before anything is sent. What came so has [`Note::AskedByGet`](crate::token::Note::AskedByGet).
    pub fn dangerous_get_token_requests(mut self) -> Self {
        self.dialect.token_requests = TokenRequests::Get;
        self
    }

    /// Refuses a token answer that does not say how long the token lives, or not so that it can be read. Without this the
    /// lifetime is unknown then, and the token is used until it is refused.
    pub fn require_lifetime(mut self) -> Self {
        self.tolerance.lifetime = Lifetime::Required;
        self
    }

    /// Accepts a bearer token although a proof was sent: the token is then not bound to the key.
    pub fn dangerous_accept_bearer_for_proof(mut self) -> Self {
        self.tolerance.proof = answer::Proof::SentBearerAllowed;
        self
    }

    /// Sets the algorithms an id_token may be signed with, as registered. The default is RS256 alone
    /// (OpenID Connect Core §3.1.3.7).
    pub fn id_token_algorithms(mut self, algorithms: &[SignatureAlgorithm]) -> Self {
        self.tolerance.algorithms = algorithms.to_vec();
        self
    }

    /// Accepts id_tokens that name this audience beside the client's own; `azp` must then be the client.
    pub fn trust_audience(mut self, audience: &str) -> Self {
        self.tolerance.trusted_audiences.push(audience.to_owned());
        self
    }

    /// Sets how an id_token's issuer is compared. The default is as exact text.
    pub fn issuer_rule(mut self, rule: IssuerRule) -> Self {
        self.tolerance.issuer_rule = rule;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`]: the client id is empty or unprintable, a secret is empty, the server supports none of the
    /// ways to authenticate, no algorithm is allowed, the user agent cannot be put into a header.
    pub fn build(self) -> Result<Client, Error> {
        let visible = |text: &str| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if self.client_id.is_empty() || !visible(&self.client_id) {
            let why = "must be visible ASCII (RFC 6749 A.1)";
            return Err(ConfigError::Invalid { setting: "client_id", why }.into());
        }
        if self.tolerance.algorithms.is_empty() {
            return Err(ConfigError::Missing("id_token_algorithms").into());
        }
        let mut dialect = self.dialect;
        if let Some(product) = &self.user_agent {
            let invalid = |_| ConfigError::Invalid { setting: "user_agent", why: "cannot be put into a header" };
            dialect.user_agent = Some(HeaderValue::from_str(product).map_err(invalid)?);
        }
        let method = self.authentication.resolve(&self.client_id, &self.server)?;
        Ok(Client(Arc::new(Settings {
            server: self.server,
            client_id: self.client_id,
            method,
            proof_key: self.proof_key,
            tolerance: self.tolerance,
            hooks: self.hooks,
            dialect,
        })))
    }
}

/// What requests say of the program that sends them, unless it says otherwise.
pub(crate) fn default_user_agent() -> HeaderValue {
    USER_AGENT.clone()
}
