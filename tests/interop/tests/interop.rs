//! Every flow against a real authorization server: the same scenarios with the core by hand, the tokio driver and the
//! blocking driver, to the same outcome and with the same requests in the server's log; and once in a real browser.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::endpoint::introspection::Introspected;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspection, Revocation, UserInfo};
use grantflow_core::error::Error;
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras, Refresh};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::TokenSet;
use grantflow_interop::runners::{Blocking, ByHand, Loopback, Runner, Tokio};
use grantflow_interop::{Person, Server};

/// A person who does not come back must fail the test, not hang it.
const PATIENCE: Duration = Duration::from_secs(60);

const SCOPE: &str = "openid profile email offline_access";

/// What the server must have seen of every runner, a line for each request.
const REQUESTS: &str = include_str!("requests.txt");

#[test]
fn every_flow_succeeds_by_hand() {
    everything(&ByHand::default());
}

#[test]
fn every_flow_succeeds_with_the_tokio_driver() {
    everything(&Tokio::default());
}

#[test]
fn every_flow_succeeds_with_the_blocking_driver() {
    everything(&Blocking::default());
}

#[test]
fn chromium_logs_in_and_ends_on_the_page_of_the_tokio_driver() {
    in_chromium(&Tokio::default(), "tokio");
}

#[test]
fn chromium_logs_in_and_ends_on_the_page_of_the_blocking_driver() {
    in_chromium(&Blocking::default(), "blocking");
}

fn everything(runner: &impl Runner) {
    let server = Server::start();
    let world = World { server: &server, runner, metadata: discovered(&server, runner) };
    world.signs_in_with_every_algorithm();
    let tokens = world.signs_in();
    world.reads_the_profile(&tokens);
    world.refreshes_with_rotation(&tokens);
    world.is_denied();
    world.gets_a_token_for_a_resource();
    world.asks_for_tokens_of_its_own();
    world.introspects_and_revokes();
    world.signs_in_on_another_screen();
    world.is_denied_on_another_screen();
    compare_requests(&server);
}

fn discovered(server: &Server, runner: &impl Runner) -> Arc<ServerMetadata> {
    let metadata = runner.alone(&mut Discovery::new(server.issuer()).unwrap()).unwrap();
    assert_eq!(metadata.issuer(), server.issuer());
    assert!(metadata.promises_issuer_in_callback());
    Arc::new(metadata)
}

fn request(redirect_uri: &str) -> AuthorizationRequest {
    // Without a prompt the server gives no offline access.
    let extras = Extras::new([("prompt", "consent")]).unwrap();
    AuthorizationRequest::new(redirect_uri).scope(SCOPE).extras(extras).lifetime(PATIENCE)
}

fn refusal(outcome: Result<TokenSet, Error>) -> String {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.code.as_str().to_owned(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

struct World<'a, R> {
    server: &'a Server,
    runner: &'a R,
    metadata: Arc<ServerMetadata>,
}

impl<R: Runner> World<'_, R> {
    fn public(&self, name: &str, algorithm: SignatureAlgorithm) -> Client {
        let client = Client::builder(self.metadata.clone(), &self.server.client(name).client_id);
        client.id_token_algorithms(&[algorithm]).build().unwrap()
    }

    fn confidential(&self, name: &str, authentication: fn(Secret) -> Authentication) -> Client {
        let registered = self.server.client(name);
        let secret = Secret::from(registered.client_secret.as_deref().unwrap());
        let client = Client::builder(self.metadata.clone(), &registered.client_id);
        client.authentication(authentication(secret)).build().unwrap()
    }

    fn native(&self) -> Client {
        self.public("native", SignatureAlgorithm::Rs256)
    }

    fn code_flow(&self, client: &Client) -> TokenSet {
        let begin = |redirect_uri: &str| AuthorizationCode::new(client, request(redirect_uri)).unwrap();
        let (outcome, arrived) = self.runner.with_redirect(begin, Person::Willing);
        let tokens = outcome.unwrap();
        assert!(arrived.status.is_none_or(|status| status == 200), "{arrived:?}");
        let identity = tokens.identity().expect("openid was asked for");
        assert_eq!((identity.issuer(), identity.subject()), (self.server.issuer(), "ada"));
        assert_eq!(tokens.notes(), [], "a certified server needs no tolerance");
        tokens
    }

    fn signs_in_with_every_algorithm(&self) {
        for (name, algorithm) in [
            ("native_ps256", SignatureAlgorithm::Ps256),
            ("native_es256", SignatureAlgorithm::Es256),
            ("native_eddsa", SignatureAlgorithm::EdDsa),
        ] {
            let tokens = self.code_flow(&self.public(name, algorithm));
            assert_eq!(tokens.identity().map(|identity| identity.algorithm()), Some(algorithm));
        }
    }

    fn signs_in(&self) -> TokenSet {
        let tokens = self.code_flow(&self.native());
        assert!(tokens.refresh_token().is_some());
        assert!(tokens.expires_at().is_some());
        assert!(!tokens.is_narrowed() && !tokens.is_exceeded());
        tokens
    }

    fn reads_the_profile(&self, tokens: &TokenSet) {
        let profile = UserInfo::new(&self.native(), tokens.access_token(), "ada").unwrap();
        let profile = self.runner.alone(&mut { profile }).unwrap();
        assert_eq!(profile.subject(), "ada");
        assert_eq!(profile.verified_email().as_deref(), Some("ada@interop.test"));

        let stranger = UserInfo::new(&self.native(), tokens.access_token(), "bob").unwrap();
        let outcome = self.runner.alone(&mut { stranger });
        assert!(matches!(outcome, Err(Error::Security(_))), "{outcome:?}");
    }

    fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, Error> {
        self.runner.alone(&mut Refresh::new(&self.native(), request).unwrap())
    }

    fn refreshes_with_rotation(&self, tokens: &TokenSet) {
        let spent = tokens.refresh_token().unwrap();
        let renewed = self.refresh(RefreshRequest::of(tokens).unwrap()).unwrap();
        assert!(!renewed.access_token().matches(tokens.access_token().expose()));
        let successor = renewed.refresh_token().unwrap();
        assert!(!successor.matches(spent.expose()), "it rotates");
        assert_eq!(renewed.identity().map(|identity| identity.subject()), Some("ada"));

        // A token used twice ends its family.
        assert_eq!(refusal(self.refresh(RefreshRequest::new(spent.duplicate()))), "invalid_grant");
        assert_eq!(refusal(self.refresh(RefreshRequest::new(successor.duplicate()))), "invalid_grant");
    }

    fn is_denied(&self) {
        let client = self.native();
        let begin = |redirect_uri: &str| AuthorizationCode::new(&client, request(redirect_uri)).unwrap();
        let (outcome, arrived) = self.runner.with_redirect(begin, Person::Unwilling);
        assert_eq!(refusal(outcome), "access_denied");
        assert!(arrived.status.is_none_or(|status| status != 200), "{arrived:?}");
    }

    fn gets_a_token_for_a_resource(&self) {
        let client = self.native();
        let resource = self.server.resource();
        let begin = |redirect_uri: &str| {
            let request =
                AuthorizationRequest::new(redirect_uri).scope("api:read").resource(resource).lifetime(PATIENCE);
            AuthorizationCode::new(&client, request).unwrap()
        };
        let tokens = self.runner.with_redirect(begin, Person::Willing).0.unwrap();
        assert_eq!(tokens.resources(), [resource]);
        assert!(tokens.identity().is_none());
        assert_eq!(tokens.access_token().expose().split('.').count(), 3, "a JWT for the resource");
    }

    fn asks_for_tokens_of_its_own(&self) {
        let resource = Extras::new([("resource", self.server.resource())]).unwrap();
        for client in [
            self.confidential("basic", Authentication::SecretBasic),
            self.confidential("post", Authentication::SecretPost),
        ] {
            let tokens = self.runner.alone(&mut ClientCredentials::new(&client, "api:read", &resource).unwrap());
            let tokens = tokens.unwrap();
            assert!(tokens.scope().contains("api:read"));
            assert!(tokens.refresh_token().is_none());
        }
        let client = self.confidential("basic", Authentication::SecretBasic);
        let elsewhere = Extras::new([("resource", "https://elsewhere.test/")]).unwrap();
        let refused = self.runner.alone(&mut ClientCredentials::new(&client, "", &elsewhere).unwrap());
        assert_eq!(refusal(refused), "invalid_target");
    }

    fn introspects_and_revokes(&self) {
        let client = self.confidential("basic", Authentication::SecretBasic);
        let tokens = ClientCredentials::new(&client, "", &Extras::default()).unwrap();
        let tokens = self.runner.alone(&mut { tokens }).unwrap();
        let introspect = || {
            let question = Introspection::new(&client, tokens.access_token(), TokenKind::Access).unwrap();
            self.runner.alone(&mut { question }).unwrap()
        };
        match introspect() {
            Introspected::Active(facts) => assert_eq!(facts.client_id().as_deref(), Some(client.client_id())),
            Introspected::Inactive => panic!("the token is new"),
        }
        let revoke = || Revocation::new(&client, tokens.access_token(), TokenKind::Access).unwrap();
        self.runner.alone(&mut revoke()).unwrap();
        assert!(matches!(introspect(), Introspected::Inactive));
        // Unknown by now, which is as good as revoked.
        self.runner.alone(&mut revoke()).unwrap();
    }

    fn device(&self) -> Device {
        let client = self.public("device", SignatureAlgorithm::Rs256);
        Device::new(&client, "openid profile", Extras::default()).unwrap()
    }

    fn signs_in_on_another_screen(&self) {
        let tokens = self.runner.with_code(&mut self.device(), Person::Willing).unwrap();
        assert_eq!(tokens.identity().map(|identity| identity.subject()), Some("ada"));
    }

    fn is_denied_on_another_screen(&self) {
        let outcome = self.runner.with_code(&mut self.device(), Person::Unwilling);
        assert_eq!(refusal(outcome), "access_denied");
    }
}

fn compare_requests(server: &Server) {
    let seen: Vec<String> = server.log().iter().map(ToString::to_string).collect();
    let expected: Vec<&str> = REQUESTS.lines().collect();
    assert_eq!(seen.join("\n"), expected.join("\n"), "the requests differ from tests/requests.txt");
}

fn in_chromium(runner: &(impl Runner + Loopback), name: &str) {
    let server = Server::start();
    let world = World { server: &server, runner, metadata: discovered(&server, runner) };
    let client = world.native();
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("signed-in-{name}.png"));
    let begin = |redirect_uri: &str| AuthorizationCode::new(&client, request(redirect_uri)).unwrap();
    let (outcome, shown) = runner.login_in_chromium(begin, &picture);
    let tokens = outcome.unwrap();
    assert_eq!(tokens.identity().map(|identity| identity.subject()), Some("ada"));
    assert_eq!(shown.pages, ["Sign-in", "Authorize"]);
    assert_eq!((shown.status, shown.title.as_str()), (200, "You are logged in"));
    println!("{}: {:?}: {}", picture.display(), shown.title, shown.text.replace('\n', " "));
}
