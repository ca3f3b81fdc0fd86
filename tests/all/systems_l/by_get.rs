//! Token requests by GET, for who asks for them by name (L-16).

use grantflow_core::Secret;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::error::{Advice, ConfigError, Delivery, Error, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{ClientCredentials, ExtensionGrant, ExtensionRequest, Extras, Refresh};
use grantflow_core::machine::{Event, Machine};
use grantflow_core::token::{Note, TokenSet};
use grantflow_devserver::{Answer as Scripted, Config};
use serde_json::json;

use super::granting::{client_of, tokens_of_a_client};
use crate::runners::{Blocking, ByHand, Runner, Tokio, Traveller, World};
use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";

/// A client of a server that has a query of its own in the URL of its token endpoint.
fn asking_by_get(authentication: Authentication) -> Client {
    let metadata = json!({ "token_endpoint": "https://as.example/token?tenant=a%26b" });
    builder(metadata).authentication(authentication).dangerous_get_token_requests().build().unwrap()
}

fn basic() -> Authentication {
    Authentication::SecretBasic(Secret::from("canary-client-secret"))
}

#[test]
fn l_16_a_token_request_by_get_has_its_parameters_in_the_url_and_is_noted() {
    let extras = Extras::new([("resource", "urn:a"), ("resource", "urn b&c")]).unwrap();
    let flow = ClientCredentials::new(&asking_by_get(basic()), "read write", &extras).unwrap();
    let mut run = Run::new(flow).answering([json(200, &tokens())]);
    let tokens = result(run.start()).unwrap();
    assert!(tokens.notes().contains(&Note::AskedByGet));
    assert!(run.last().header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(run.last().form.is_empty() && run.last().header("content-type").is_none());
    let query = "grant_type=client_credentials&scope=read+write&resource=urn%3Aa&resource=urn+b%26c";
    run.sent(&[&format!("GET https://as.example/token?tenant=a%26b&{query}")]);
    // Nobody who has not been asked to does it.
    let flow = ClientCredentials::new(&confidential(), "read", &extras).unwrap();
    let mut run = Run::new(flow).answering([json(200, &tokens_of_a_client())]);
    assert!(!result(run.start()).unwrap().notes().contains(&Note::AskedByGet));
    run.sent(&[TOKEN]);
}

#[test]
fn l_16_a_secret_is_never_in_the_query() {
    let refused = |outcome: Result<TokenSet, Error>, name: &str| {
        assert_eq!(outcome.unwrap_err(), Error::Config(ConfigError::SecretInQuery(name.to_owned())));
    };
    fn begun<M: Machine<Output = TokenSet> + std::fmt::Debug>(flow: M) -> Result<TokenSet, Error> {
        let mut run = Run::new(flow);
        let outcome = result(run.start());
        run.sent(&[]);
        outcome
    }
    let post = asking_by_get(Authentication::SecretPost(Secret::from("canary-client-secret")));
    refused(begun(ClientCredentials::new(&post, "read", &Extras::default()).unwrap()), "client_secret");
    let client = asking_by_get(basic());
    let spent = RefreshRequest::new(Secret::from("canary-refresh"));
    refused(begun(Refresh::new(&client, spent).unwrap()), "refresh_token");
    let request =
        ExtensionRequest::new("urn:example:ticket").secret_parameter("ticket", Secret::from("canary-access")).unwrap();
    refused(begun(ExtensionGrant::new(&client, request).unwrap()), "ticket");
    assert_eq!(Error::from(ConfigError::SecretInQuery("code".to_owned())).advice(), Advice::FixConfig);
}

#[test]
fn l_16_a_lost_request_by_get_is_not_repeated() {
    // It makes a token: it is not what GET is for.
    let flow = ClientCredentials::new(&asking_by_get(basic()), "", &Extras::default()).unwrap();
    let mut run = Run::new(flow).answering([lost(Delivery::Unknown, TransportKind::Reset)]);
    assert!(matches!(result(run.start()), Err(Error::Transport(_))));
    run.sent(&["GET https://as.example/token?tenant=a%26b&grant_type=client_credentials"]);
}

fn got_by_get<R: Runner>() -> (String, Vec<String>) {
    let world = World::new(Config::default(), None, None);
    let mut runner = R::new(&world);
    let client = client_of(&world, &mut runner, |client| client.dangerous_get_token_requests());
    let body = r#"{"access_token":"got-by-get","token_type":"Bearer","expires_in":60}"#;
    world.server.answer_next("/token", Scripted::new(200, &[("content-type", "application/json")], body));
    world.server.clear_log();
    let mut flow = ClientCredentials::new(&client, "read", &Extras::default()).unwrap();
    let tokens = runner.run(&mut flow, Event::Start, &mut Traveller::new(&world)).unwrap();
    let log = world.server.log();
    let log = log.iter().map(|entry| format!("{} {:?} {:?}", entry.method, entry.query, entry.form));
    (format!("{} {:?}", tokens.scope(), tokens.notes()), log.collect())
}

#[test]
fn l_16_a_request_by_get_is_the_same_with_every_driver() {
    let (outcome, log) = got_by_get::<ByHand>();
    assert_eq!(outcome, "read [AskedByGet]");
    assert_eq!(log, [r#"GET [("grant_type", "client_credentials"), ("scope", "read")] []"#]);
    assert_eq!(got_by_get::<Tokio>(), (outcome.clone(), log.clone()));
    assert_eq!(got_by_get::<Blocking>(), (outcome, log));
}
