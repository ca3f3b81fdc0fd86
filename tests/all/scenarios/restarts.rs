//! An authorization server that goes away in the middle of a login, and one that comes back without its memory.

use std::sync::Arc;

use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::{Advice, Delivery, Error, TransportKind};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest};
use grantflow_core::machine::{Effect, Event, FAILED, Machine, Step};
use grantflow_devserver::Config;

use super::play::REDIRECT_URI;
use crate::runners::{Back, Blocking, ByHand, Runner, Tokio, Traveller, World};

fn world(port: u16) -> World {
    World::new(Config { port, ..Config::default().allowing("alice") }, None, None)
}

fn login(client: &Client) -> AuthorizationCode {
    let request = AuthorizationRequest::new(REDIRECT_URI).scope("openid profile");
    AuthorizationCode::new(client, request).unwrap()
}

/// A login whose person has just come back with a code. The server that gave the code is gone.
fn with_a_code<R: Runner>() -> (u16, Client, AuthorizationCode, Back) {
    let world = world(0);
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = R::new(&world).run(&mut discovery, Event::Start, &mut Traveller::new(&world)).unwrap();
    let client = Client::builder(Arc::new(metadata), "demo-app").build().unwrap();
    let mut flow = login(&client);
    let Step::Do(Effect::Redirect(redirect)) = ByHand::new(&world).handle(&mut flow, Event::Start).unwrap() else {
        panic!("{}: nobody is sent away", R::NAME)
    };
    let back = Traveller::new(&world).authorize(&redirect.url, REDIRECT_URI).unwrap();
    (world.server.address().port(), client, flow, back)
}

fn comes_back_without_memory<R: Runner>() {
    let (port, client, mut flow, back) = with_a_code::<R>();
    let world = world(port);
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let error = runner.run(&mut flow, Event::Callback(back.params()), &mut person).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("invalid_grant")), "{}: {error:?}", R::NAME);
    assert_eq!((error.advice(), Machine::state(&flow)), (Advice::LogInAgain, FAILED));
    assert_eq!(world.server.log().len(), 1, "{}: the code is sent once", R::NAME);
    // The same client, with what it knows of the server, logs in anew.
    let tokens = runner.run(&mut login(&client), Event::Start, &mut person).unwrap();
    assert_eq!(tokens.identity().unwrap().subject(), "alice", "{}", R::NAME);
}

fn stays_away<R: Runner>() {
    // Another server, at another place: nobody listens where the code is to go.
    let world = world(0);
    let (_, _, mut flow, back) = with_a_code::<R>();
    let (mut runner, mut person) = (R::new(&world), Traveller::new(&world));
    let error = runner.run(&mut flow, Event::Callback(back.params()), &mut person).unwrap_err();
    let Error::Transport(failure) = &error else { panic!("{}: {error:?}", R::NAME) };
    assert_eq!((failure.kind, failure.delivery), (TransportKind::Connect, Delivery::NotSent), "{}", R::NAME);
    assert!(matches!(error.advice(), Advice::Retry { .. }));
    assert_eq!(Machine::state(&flow), FAILED);
}

/// The other half of the row, a restart between a pushed request and the browser, comes with pushed requests.
#[test]
fn fl_12_a_server_that_restarts_between_code_and_exchange_is_a_clean_error_and_a_new_login_works() {
    comes_back_without_memory::<ByHand>();
    comes_back_without_memory::<Tokio>();
    comes_back_without_memory::<Blocking>();
    stays_away::<ByHand>();
    stays_away::<Tokio>();
    stays_away::<Blocking>();
}
