//! The register of machines: one entry gives a machine every check there is.
//!
//! Pairs, closure, model, snapshot, secrecy, size, pictures and fuzzing all walk this list. A machine that has a table
//! and is not in here fails a test.

use core::fmt::Debug;
use std::sync::Arc;

use super::stimuli::{CLIENT_ID, ISSUER, PROFILE, REDIRECT_URI};
use crate::Secret;
use crate::client::{Authentication, AuthenticationMethod, Client, Credentials, ProofKey};
use crate::endpoint::exchange::{self, Exchange, Plan, Retries};
use crate::endpoint::revocation::TokenKind;
use crate::endpoint::{
    Discovery, Introspection, Jwks, Revocation, UserInfo, discovery, introspection, jwks, revocation, userinfo,
};
use crate::error::{Endpoint, Error, ProviderError};
use crate::grant::{
    AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, ExtensionGrant, ExtensionRequest, Extras,
    Refresh, authorization_code, client_credentials, device, extension, refresh,
};
use crate::http::form::Form;
use crate::http::{Body, UrlPolicy};
use crate::jose::SignatureAlgorithm;
use crate::machine::{Context, Event, Machine, StateId, Step, Table, Transitions};
use crate::manager::{self, Settings, Source, TokenManager, Unsaved};
use crate::resource::{self, Audience, AuthorizedRequest, Replay, RequestSettings};
use crate::server::ServerMetadata;
use crate::snapshot::Snapshot;
use crate::store::StoreKey;

/// One machine of the register.
#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    /// Its table.
    pub table: &'static Table,
    /// Ways to begin it. Together they reach every arrow of the table.
    pub variants: &'static [(&'static str, Begin)],
}

/// Makes a machine in its first state.
pub type Begin = fn() -> Box<dyn AnyMachine>;

/// What came of storing a machine: the bytes, and the machine restored from them.
pub type Restored<M> = Result<(Vec<u8>, M), Error>;

/// A machine whatever its output.
pub trait AnyMachine: Debug + Send {
    /// The states of the machine and of those inside it, outermost first.
    fn chain(&self) -> Vec<(&'static Table, StateId)>;

    /// Applies one event; the output is told in words.
    ///
    /// # Errors
    /// As [`Machine::handle`].
    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<String>, Error>;

    /// Stores and restores the machine, if it is of a kind that can be stored and in a state that may be.
    fn stored(&self) -> Option<Restored<Box<dyn AnyMachine>>>;

    /// How many bytes the machine itself takes, what it points to left aside.
    fn size(&self) -> usize;
}

/// Every machine there is.
pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        table: &exchange::TABLE,
        variants: &[
            ("form", || boxed(Exchange::new(plan(&public())))),
            ("document", || boxed(Exchange::new(Plan::get(Endpoint::Keys, endpoint(Endpoint::Keys))))),
            ("assertion", || boxed(Exchange::new(plan(&signing(false))))),
            ("proof", || boxed(Exchange::new(plan(&proving())))),
            ("assertion and proof", || boxed(Exchange::new(plan(&signing(true))))),
            ("failing method and proof", || boxed(Exchange::new(plan(&failing())))),
            ("unretried", || boxed(Exchange::new(plan(&public()).with_retries(Retries::Never)))),
        ],
    },
    Specimen {
        table: &authorization_code::TABLE,
        variants: &[
            ("openid", || boxed(authorization_code(&public(), "openid email"))),
            ("plain", || boxed(authorization_code(&public(), "read"))),
            ("failing method", || boxed(authorization_code(&failing(), "read"))),
        ],
    },
    Specimen {
        table: &client_credentials::TABLE,
        variants: &[
            ("secret", || boxed(or_broken(ClientCredentials::new(&confidential(), "read", &Extras::default())))),
            ("failing method", || boxed(or_broken(ClientCredentials::new(&failing(), "read", &Extras::default())))),
        ],
    },
    Specimen {
        table: &device::TABLE,
        variants: &[
            ("openid", || boxed(or_broken(Device::new(&public(), "openid", Extras::default())))),
            ("plain", || boxed(or_broken(Device::new(&public(), "read", Extras::default())))),
            ("assertion", || boxed(or_broken(Device::new(&signing(false), "read", Extras::default())))),
        ],
    },
    Specimen {
        table: &refresh::TABLE,
        variants: &[("public", || boxed(refresh(&public()))), ("failing method", || boxed(refresh(&failing())))],
    },
    Specimen {
        table: &extension::TABLE,
        variants: &[
            ("secret parameter", || boxed(extension_grant(&confidential()))),
            ("failing method", || boxed(extension_grant(&failing()))),
        ],
    },
    Specimen {
        table: &discovery::TABLE,
        variants: &[
            ("strict", || boxed(or_broken(Discovery::new(ISSUER)))),
            ("following", || boxed(or_broken(Discovery::new(ISSUER)).follow_same_origin())),
        ],
    },
    Specimen { table: &jwks::TABLE, variants: &[("document", || boxed(or_broken(Jwks::new(&public()))))] },
    Specimen {
        table: &userinfo::TABLE,
        variants: &[
            ("bearer", || boxed(or_broken(UserInfo::new(&public(), &Secret::from("canary-access"), "alice")))),
            ("no header", || boxed(or_broken(UserInfo::new(&public(), &Secret::from("canary\n"), "alice")))),
        ],
    },
    Specimen {
        table: &introspection::TABLE,
        variants: &[
            ("access token", || boxed(introspection(&confidential()))),
            ("signed answer", || boxed(introspection(&confidential()).demand_signature(&[SignatureAlgorithm::Rs256]))),
            ("failing method", || boxed(introspection(&failing()))),
        ],
    },
    Specimen {
        table: &revocation::TABLE,
        variants: &[
            ("refresh token", || boxed(revocation(&confidential()))),
            ("failing method", || boxed(revocation(&failing()))),
        ],
    },
    Specimen {
        table: &manager::TABLE,
        variants: &[
            ("session", || boxed(manager(Source::Session(confidential())))),
            ("session that cannot revoke", || boxed(manager(Source::Session(without_revocation())))),
            ("session of a failing method", || boxed(manager(Source::Session(failing())))),
            ("session that withholds", || {
                let settings = settings(Source::Session(public())).with_unsaved(Unsaved::Withheld);
                boxed(TokenManager::new(settings))
            }),
            ("session that proves", || boxed(manager(Source::Session(proving())))),
            ("client credentials", || boxed(manager(own(confidential())))),
            ("client credentials that sign", || boxed(manager(own(signing(false))))),
            ("delegated", || boxed(manager(Source::Delegated))),
        ],
    },
    Specimen {
        table: &resource::TABLE,
        variants: &[
            ("replayable", || boxed(protected(RequestSettings::new()))),
            ("proof", || boxed(protected(RequestSettings::new().client(&proving())))),
            ("once", || boxed(protected(RequestSettings::new().client(&proving()).replay(Replay::Impossible)))),
            ("withheld", || boxed(protected(RequestSettings::new().withholding_token()))),
        ],
    },
];

/// What the register needs to know of a machine that can be stored.
trait Storable: Transitions + Sized {
    fn store(&self) -> Option<Restored<Self>> {
        None
    }
}

struct Kept<M>(M);

impl<M> Debug for Kept<M>
where
    M: Debug,
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl<M> AnyMachine for Kept<M>
where
    M: Storable + Debug + Send + 'static,
{
    fn chain(&self) -> Vec<(&'static Table, StateId)> {
        let own = (Transitions::table(&self.0), Transitions::state(&self.0));
        core::iter::once(own).chain(self.0.leaf()).collect()
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<String>, Error> {
        Ok(match Machine::handle(&mut self.0, event, cx)? {
            Step::Do(effect) => Step::Do(effect),
            Step::Done(_) => Step::Done(core::any::type_name::<M::Output>().to_owned()),
        })
    }

    fn stored(&self) -> Option<Restored<Box<dyn AnyMachine>>> {
        self.0.store().map(|stored| stored.map(|(bytes, machine)| (bytes, boxed(machine))))
    }

    fn size(&self) -> usize {
        size_of::<M>()
    }
}

impl Storable for AuthorizationCode {
    fn store(&self) -> Option<Restored<Self>> {
        let snapshot = self.snapshot().ok()?;
        let bytes = snapshot.as_bytes().to_vec();
        Some(Self::restore(&public(), Snapshot::from_bytes(bytes.clone())).map(|machine| (bytes, machine)))
    }
}

impl Storable for Device {
    fn store(&self) -> Option<Restored<Self>> {
        let snapshot = self.snapshot().ok()?;
        let bytes = snapshot.as_bytes().to_vec();
        Some(Self::restore(&public(), Snapshot::from_bytes(bytes.clone())).map(|machine| (bytes, machine)))
    }
}

impl Storable for Exchange {}
impl Storable for ClientCredentials {}
impl Storable for Refresh {}
impl Storable for ExtensionGrant {}
impl Storable for Discovery {}
impl Storable for Jwks {}
impl Storable for UserInfo {}
impl Storable for Introspection {}
impl Storable for Revocation {}
impl Storable for TokenManager {}
impl Storable for AuthorizedRequest {}

fn boxed<M: Storable + Debug + Send + 'static>(machine: M) -> Box<dyn AnyMachine> {
    Box::new(Kept(machine))
}

fn authorization_code(client: &Client, scope: &str) -> AuthorizationCode {
    or_broken(AuthorizationCode::new(client, AuthorizationRequest::new(REDIRECT_URI).scope(scope)))
}

fn refresh(client: &Client) -> Refresh {
    let request = refresh::RefreshRequest::new(Secret::from("canary-refresh-token"));
    or_broken(Refresh::new(client, request))
}

fn extension_grant(client: &Client) -> ExtensionGrant {
    let request = ExtensionRequest::new("urn:example:grant-type:ticket");
    let request = request.secret_parameter("ticket", Secret::from("canary-access-ticket"));
    or_broken(ExtensionGrant::new(client, or_broken(request)))
}

fn settings(source: Source) -> Settings {
    let key = or_broken(StoreKey::of(ISSUER, CLIENT_ID, PROFILE));
    or_broken(Settings::new(key, source))
}

fn manager(source: Source) -> TokenManager {
    TokenManager::new(settings(source))
}

fn own(client: Client) -> Source {
    Source::ClientCredentials { client, scope: "read".to_owned(), extras: Extras::default() }
}

/// A client of a server that has a token endpoint and nothing else.
fn without_revocation() -> Client {
    let server = or_broken(ServerMetadata::by_hand(ISSUER, UrlPolicy::default()));
    let server = or_broken(server.with_endpoint(Endpoint::Token, &format!("{ISSUER}/token")));
    or_broken(Client::builder(server, CLIENT_ID).build())
}

fn introspection(client: &Client) -> Introspection {
    or_broken(Introspection::new(client, &Secret::from("canary-access"), TokenKind::Access))
}

fn revocation(client: &Client) -> Revocation {
    or_broken(Revocation::new(client, &Secret::from("canary-refresh"), TokenKind::Refresh))
}

fn protected(settings: RequestSettings) -> AuthorizedRequest {
    let mut request = http::Request::new(Body::new(b"canary-body".to_vec()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("https://api.example/v1/lights?key=canary-query");
    let audience = or_broken(Audience::only("https://api.example/v1"));
    or_broken(AuthorizedRequest::new(request, &audience, settings))
}

/// The server that all machines of the register talk to.
pub fn server() -> ServerMetadata {
    let endpoints = [
        (Endpoint::Authorization, "authorize"),
        (Endpoint::Token, "token"),
        (Endpoint::DeviceAuthorization, "device"),
        (Endpoint::UserInfo, "userinfo"),
        (Endpoint::Introspection, "introspect"),
        (Endpoint::Revocation, "revoke"),
        (Endpoint::Keys, "jwks"),
    ];
    let server = or_broken(ServerMetadata::by_hand(ISSUER, UrlPolicy::default())).with_issuer_in_callback();
    endpoints
        .into_iter()
        .fold(server, |server, (endpoint, path)| or_broken(server.with_endpoint(endpoint, &format!("{ISSUER}/{path}"))))
}

/// A public client of [`server`].
pub fn public() -> Client {
    or_broken(Client::builder(server(), CLIENT_ID).build())
}

/// A client of [`server`] with a secret.
pub fn confidential() -> Client {
    or_broken(Client::builder(server(), CLIENT_ID).secret(Secret::from("canary-client-secret")).build())
}

fn signing(with_proof: bool) -> Client {
    let authentication =
        Authentication::SignedAssertion { key_id: "key".to_owned(), algorithm: SignatureAlgorithm::Es256 };
    let builder = Client::builder(server(), CLIENT_ID).authentication(authentication);
    or_broken(if with_proof { builder.proof_key(proof_key()).build() } else { builder.build() })
}

fn proving() -> Client {
    or_broken(Client::builder(server(), CLIENT_ID).proof_key(proof_key()).build())
}

/// A client whose authentication always fails.
fn failing() -> Client {
    let method = Authentication::Custom(Arc::new(Failing));
    or_broken(Client::builder(server(), CLIENT_ID).authentication(method).proof_key(proof_key()).build())
}

#[derive(Debug)]
struct Failing;

impl AuthenticationMethod for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn apply(&self, _request: &mut Credentials) -> Result<(), Error> {
        Err(Error::Provider(ProviderError::KeyUnavailable))
    }
}

pub(crate) fn proof_key() -> ProofKey {
    or_broken(ProofKey::new("proof", SignatureAlgorithm::Es256, r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#))
}

fn plan(client: &Client) -> Plan {
    let mut form = Form::new();
    form.push("grant_type", "client_credentials");
    or_broken(Plan::post(client, Endpoint::Token, form))
}

fn endpoint(endpoint: Endpoint) -> crate::server::EndpointUrl {
    or_broken(public().endpoint(endpoint).cloned())
}

#[expect(clippy::panic, reason = "only tests use the register, and a register that cannot be built must stop them")]
pub(super) fn or_broken<T, E: core::fmt::Display>(made: Result<T, E>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("the register cannot make a machine: {error}"),
    }
}
