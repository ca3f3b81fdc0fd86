//! Grants of one's own (L-22).

use std::sync::Arc;

use grantflow_core::Secret;
use grantflow_core::client::{Authentication, Client, ClientBuilder};
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::{ConfigError, Delivery, Error, TransportKind};
use grantflow_core::grant::{ClientCredentials, ExtensionGrant, ExtensionRequest, Extras, GrantKind};
use grantflow_core::machine::Event;
use grantflow_devserver::Config;
use serde_json::json;

use crate::runners::{Blocking, ByHand, Runner, Tokio, Traveller, World};
use crate::scripted::*;
use crate::token_response::result;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TOKEN: &str = "POST https://as.example/token";

/// A token answer without a refresh token.
pub fn tokens_of_a_client() -> serde_json::Value {
    json!({ "access_token": "canary-access", "token_type": "Bearer" })
}

/// A client with a secret of the development server, with whatever settings there are.
pub fn client_of<R: Runner>(
    world: &World,
    runner: &mut R,
    settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Client {
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = runner.run(&mut discovery, Event::Start, &mut Traveller::new(world)).unwrap();
    let secret = Authentication::SecretBasic(Secret::from("demo-secret"));
    settings(Client::builder(Arc::new(metadata), "demo-service").authentication(secret)).build().unwrap()
}

/// Exchanges one token for another, once well and once not; what came of it, and the forms that the server was sent.
fn exchanged<R: Runner>() -> (Vec<String>, Vec<String>) {
    let world = World::new(Config::default(), None, None);
    let mut runner = R::new(&world);
    let client = client_of(&world, &mut runner, |client| client);
    let mut person = Traveller::new(&world);
    let mut own = ClientCredentials::new(&client, "read write", &Extras::default()).unwrap();
    let subject = runner.run(&mut own, Event::Start, &mut person).unwrap();
    world.server.clear_log();
    let mut exchange = |token: &Secret, scope: &str| {
        let extras = Extras::new([("subject_token_type", ACCESS_TOKEN), ("audience", "urn:api")]).unwrap();
        let request = ExtensionRequest::new(EXCHANGE).extras(extras).scope(scope).unwrap();
        let request = request.secret_parameter("subject_token", token.duplicate()).unwrap();
        let mut flow = ExtensionGrant::new(&client, request).unwrap();
        match runner.run(&mut flow, Event::Start, &mut person) {
            Ok(tokens) => {
                let issued: serde_json::Value = tokens.extra().unwrap();
                let kind = issued["issued_token_type"].as_str().unwrap_or_default().to_owned();
                assert!(!tokens.access_token().matches(token.expose()));
                format!("{} [{}] {kind}", tokens.token_type(), tokens.scope())
            }
            Err(error) => format!("{error}; {:?}", error.advice()),
        }
    };
    let outcomes = [
        exchange(subject.access_token(), "read"),
        exchange(subject.access_token(), "admin"),
        exchange(&Secret::from("a token that nobody has issued"), "read"),
    ];
    let outcomes = outcomes.map(|outcome| world.masked(&outcome));
    (outcomes.to_vec(), world.server.log().iter().map(|entry| world.masked(&entry.to_string())).collect())
}

#[test]
fn l_22_a_grant_of_ones_own_is_sent_with_its_parameters_with_every_driver() {
    let (outcomes, log) = exchanged::<ByHand>();
    assert_eq!(outcomes[0], format!("Bearer [read] {ACCESS_TOKEN}"));
    assert!(outcomes[1].contains("invalid_scope") && outcomes[2].contains("invalid_request"), "{outcomes:#?}");
    assert_eq!(log.len(), 3, "{log:#?}");
    assert_eq!(exchanged::<Tokio>(), (outcomes.clone(), log.clone()));
    assert_eq!(exchanged::<Blocking>(), (outcomes, log));
}

#[test]
fn l_22_the_parameters_of_a_grant_stand_in_their_order_and_secret_ones_are_shown_nowhere() {
    let extras = Extras::new([("b", "2"), ("a", "1"), ("b", "3")]).unwrap();
    let request = ExtensionRequest::new("urn:example:ticket").scope("read").unwrap().extras(extras);
    let request = request.secret_parameter("ticket", Secret::from("canary-access-ticket")).unwrap();
    assert!(!format!("{request:?}").contains("canary"));
    let flow = ExtensionGrant::new(&confidential(), request).unwrap();
    let hostile = json!({ "error": "invalid_request", "error_description": "not canary-access-ticket" });
    let mut run = Run::new(flow).answering([json(400, &hostile)]);
    let error = result(run.start()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("ticket"), "{error:?}");
    let form: Vec<_> = run.last().form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        form,
        ["grant_type=urn:example:ticket", "scope=read", "b=2", "a=1", "b=3", "ticket=canary-access-ticket"]
    );
    assert!(run.last().header("authorization").is_some());
    run.sent(&[TOKEN]);
}

#[test]
fn l_22_a_grant_with_a_flow_of_its_own_and_reserved_names_are_refused() {
    let own: Vec<_> = GrantKind::ALL.iter().map(|kind| kind.grant_type()).collect();
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(own, ["authorization_code", "client_credentials", device, "refresh_token"]);
    for grant_type in own.into_iter().chain(["password", "", "urn:a b", "urn:ä", "urn:\n"]) {
        let made = ExtensionGrant::new(&confidential(), ExtensionRequest::new(grant_type));
        let invalid = matches!(made, Err(Error::Config(ConfigError::Invalid { setting: "grant_type", .. })));
        assert!(invalid, "{grant_type}");
    }
    for name in ["grant_type", "client_id", "client_secret", "client_assertion", "scope", "code", "refresh_token"] {
        let made = ExtensionRequest::new(EXCHANGE).secret_parameter(name, Secret::from("x"));
        assert_eq!(made.unwrap_err(), Error::Config(ConfigError::ReservedParameter(name.to_owned())));
    }
}

#[test]
fn l_22_an_id_token_of_a_grant_is_verified_and_what_may_have_arrived_is_not_sent_again() {
    let ask = |answers: Vec<Answer>| {
        let request = ExtensionRequest::new(EXCHANGE).scope("openid").unwrap();
        let mut run = Run::new(ExtensionGrant::new(&confidential(), request).unwrap()).answering(answers);
        let outcome = result(run.start());
        (outcome, run.all_sent().len())
    };
    let keys = || json(200, &Signer::shared().jwks());
    let with = |claims: serde_json::Value| {
        json(200, &tokens_with(json!({ "id_token": Signer::shared().id_token(&merged(id_claims(None), claims)) })))
    };
    let (tokens, _) = ask(vec![with(json!({})), keys()]);
    assert_eq!(tokens.unwrap().identity().unwrap().subject(), "alice");
    let (error, _) = ask(vec![with(json!({ "aud": "another" })), keys()]);
    assert!(matches!(error, Err(Error::Security(_))), "{error:?}");
    // A server that knows no person sends none.
    assert!(ask(vec![json(200, &tokens_of_a_client())]).0.is_ok());
    let (error, sent) = ask(vec![lost(Delivery::Unknown, TransportKind::Timeout)]);
    assert!(matches!(error, Err(Error::Transport(_))) && sent == 1);
    let (tokens, sent) = ask(vec![lost(Delivery::NotSent, TransportKind::Connect), json(200, &tokens_of_a_client())]);
    assert!(tokens.is_ok() && sent == 2);
}
