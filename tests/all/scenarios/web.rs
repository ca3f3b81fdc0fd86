//! Logins that are begun in one process and finished in another, as behind a load balancer.

use grantflow_core::callback::{CallbackParams, ResponseMode};
use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::{BadCallback, ConfigError, Error};
use grantflow_core::grant::{AuthorizationCode, PendingFlows};
use grantflow_core::machine::{Effect, Event, Step as Turn};
use grantflow_core::{Secret, Snapshot};

use super::Step::*;
use super::play::{REDIRECT_URI, finding, request, short, world};
use super::{Ask, HONEST, OPENID, Scenario, Step, same_in_all};
use crate::runners::{Blocking, ByHand, Runner, Tokio, Traveller};

const FOUND: (Step, &str) = (Discover, "found http://SERVER");
const TOKENS: &str = "Bearer [openid profile] 3600 s, refresh token, alice";
const DEMANDING: Ask = Ask {
    mode: ResponseMode::FormPost,
    max_age: Some(3600),
    acr: &["mfa"],
    resources: &["https://api.example/"],
    ..OPENID
};

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "another process sends the person away again",
        setup: HONEST,
        steps: &[FOUND, (Begin(OPENID), "stored"), (AnotherProcess, ""), FOUND, (FinishResumed, TOKENS)],
        requests: "openid-configuration openid-configuration authorize token jwks",
    },
    Scenario {
        name: "another process gets the callback, and a careless one gets it again",
        setup: HONEST,
        steps: &[
            FOUND,
            (Begin(OPENID), "stored"),
            (AnotherProcess, ""),
            FOUND,
            (FinishCalledBack, TOKENS),
            (AnotherProcess, ""),
            (FinishCalledBack, "Refused Token invalid_grant; LogInAgain"),
            // The server has taken the second use for a theft.
            (Refresh, "Refused Token invalid_grant; LogInAgain"),
        ],
        requests: "openid-configuration openid-configuration authorize token jwks token:400 token:400",
    },
    Scenario {
        name: "what was asked is enforced elsewhere too",
        setup: HONEST,
        steps: &[
            FOUND,
            (Begin(DEMANDING), "stored"),
            (AnotherProcess, ""),
            (FinishCalledBack, "Bearer [openid profile] 3600 s, refresh token, alice by mfa, for https://api.example/"),
            (Faults(&[grantflow_devserver::Fault::IdTokenWrongAcr]), ""),
            (Begin(DEMANDING), "stored"),
            (AnotherProcess, ""),
            (FinishCalledBack, "Security Claim acr; Report"),
            (Faults(&[grantflow_devserver::Fault::IdTokenWrongNonce]), ""),
            (Begin(OPENID), "stored"),
            (AnotherProcess, ""),
            (FinishResumed, "Security Claim nonce; Report"),
        ],
        requests: "authorize token jwks",
    },
    Scenario {
        name: "a callback that comes too late",
        setup: HONEST,
        steps: &[
            FOUND,
            (Begin(OPENID), "stored"),
            (Pass(600), ""),
            (FinishCalledBack, "Expired Callback; LogInAgain"),
            (FinishResumed, "Expired Callback; LogInAgain"),
        ],
        requests: "openid-configuration authorize",
    },
];

#[test]
fn a_login_begun_in_one_process_is_finished_in_another_and_never_twice() {
    for scenario in SCENARIOS {
        same_in_all(scenario);
    }
}

/// A web server with two people, whose logins wait in memory. Each callback is taken once, by its own session.
fn two_people<R: Runner>() {
    let world = world(&HONEST);
    let mut runner = R::new(&world);
    let mut person = Traveller::new(&world);
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = runner.run(&mut discovery, Event::Start, &mut person).unwrap();
    let client = Client::builder(metadata, "demo-app").build().unwrap();
    let mut pending = PendingFlows::default();
    let mut begin = |session: &str| {
        let mut flow = AuthorizationCode::new(&client, request(OPENID)).unwrap();
        let step = ByHand::new(&world).handle(&mut flow, Event::Start).unwrap();
        let Turn::Do(Effect::Redirect(redirect)) = step else { panic!("{step:?}") };
        pending.insert(session, &flow, world.clock.now()).unwrap();
        person.authorize(&redirect.url, REDIRECT_URI).unwrap().params()
    };
    let (first, second) = (begin("first"), begin("second"));
    let state = |callback: &CallbackParams| callback.state().map(Secret::duplicate);
    assert!(!state(&first).unwrap().matches(state(&second).unwrap().expose()));
    let now = world.clock.now();
    let stolen = pending.take("second", &first, now).unwrap_err();
    assert_eq!(stolen, Error::Callback(BadCallback::StateMismatch));
    for (session, callback) in [("second", second), ("first", first)] {
        let snapshot = pending.take(session, &callback, now).unwrap();
        assert_eq!(pending.take(session, &callback, now).unwrap_err(), Error::Callback(BadCallback::StateMismatch));
        let mut flow = AuthorizationCode::restore(&client, snapshot).unwrap();
        let tokens = runner.run(&mut flow, Event::Callback(callback), &mut person).unwrap();
        assert_eq!(tokens.identity().unwrap().subject(), "alice");
    }
    assert!(pending.is_empty());
    let requests = world.server.log().iter().map(short).collect::<Vec<_>>().join(" ");
    assert_eq!(requests, "openid-configuration authorize authorize token jwks token");
}

#[test]
fn a_web_server_gives_each_callback_to_its_own_session_once() {
    two_people::<ByHand>();
    two_people::<Tokio>();
    two_people::<Blocking>();
}

/// A login that was begun at one server, and what another server, or another client, can do with it.
fn elsewhere<R: Runner>() {
    let (world, other) = (world(&HONEST), world(&HONEST));
    let client_of = |world: &crate::runners::World, id: &str| {
        let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
        let metadata = R::new(world).run(&mut discovery, Event::Start, &mut Traveller::new(world)).unwrap();
        Client::builder(metadata, id).build().unwrap()
    };
    let client = client_of(&world, "demo-app");
    let mut flow = AuthorizationCode::new(&client, request(OPENID)).unwrap();
    let step = ByHand::new(&world).handle(&mut flow, Event::Start).unwrap();
    assert!(matches!(step, Turn::Do(Effect::Redirect(_))));
    let bytes = flow.snapshot().unwrap().as_bytes().to_vec();
    for foreign in [client_of(&other, "demo-app"), client_of(&world, "demo-service")] {
        let error = AuthorizationCode::restore(&foreign, Snapshot::from_bytes(bytes.clone())).unwrap_err();
        assert_eq!(error, Error::Config(ConfigError::SnapshotForeign), "{}", finding(&error));
    }
    AuthorizationCode::restore(&client, Snapshot::from_bytes(bytes)).unwrap();
}

#[test]
fn a_login_cannot_be_finished_at_another_server_or_by_another_client() {
    elsewhere::<ByHand>();
    elsewhere::<Tokio>();
    elsewhere::<Blocking>();
}
