//! A client as registered with one authorization server: who it is, how it authenticates, how tolerant it is.
//!
//! One concrete type, cheap to clone, checked when it is built. Nothing here sends anything.

mod assertion;
mod authentication;
mod proof;

pub use authentication::{Authentication, AuthenticationMethod, Credentials};
pub use proof::ProofKey;

pub(crate) use assertion::ClientAssertion;
pub(crate) use authentication::Method;
pub(crate) use proof::Proof;

use std::sync::Arc;

use crate::error::{ConfigError, Endpoint, Error};
use crate::jose::{IssuerRule, SignatureAlgorithm};
use crate::server::{EndpointUrl, ServerMetadata};
use crate::token::Leniency;
use crate::token::answer::{self, Separator, WiderScope};

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
}

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
            },
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
    /// ways to authenticate, no algorithm is allowed.
    pub fn build(self) -> Result<Client, Error> {
        let visible = |text: &str| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if self.client_id.is_empty() || !visible(&self.client_id) {
            let why = "must be visible ASCII (RFC 6749 A.1)";
            return Err(ConfigError::Invalid { setting: "client_id", why }.into());
        }
        if self.tolerance.algorithms.is_empty() {
            return Err(ConfigError::Missing("id_token_algorithms").into());
        }
        let method = self.authentication.resolve(&self.client_id, &self.server)?;
        Ok(Client(Arc::new(Settings {
            server: self.server,
            client_id: self.client_id,
            method,
            proof_key: self.proof_key,
            tolerance: self.tolerance,
        })))
    }
}
