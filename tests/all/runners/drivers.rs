//! The two drivers, with the world's clock, and with clients that remember which secrets passed.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::error::{Error, SendFailure};
use grantflow_core::http::Body;
use grantflow_core::machine::{Event, Machine, Outgoing};
use grantflow_tokio::Pending;

use super::{Clock, Runner, Traveller, World, wire};

/// The client of a driver, overheard.
struct Overheard<C> {
    inner: C,
    world: World,
}

impl<C: grantflow_tokio::HttpClient> grantflow_tokio::HttpClient for Overheard<C> {
    fn send(&self, mut outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        Box::pin(async move {
            wire::departing(&self.world, &mut outgoing);
            let answer = self.inner.send(outgoing).await;
            wire::arrived(&self.world.ears, &answer);
            answer
        })
    }
}

impl<C: grantflow_blocking::HttpClient> grantflow_blocking::HttpClient for Overheard<C> {
    fn send(&self, mut outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        wire::departing(&self.world, &mut outgoing);
        let answer = self.inner.send(outgoing);
        wire::arrived(&self.world.ears, &answer);
        answer
    }
}

impl grantflow_tokio::Clock for Clock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()> {
        Box::pin(async move { self.wait(until) })
    }

    /// Deadlines of the driver; the client's own run on the system's clock.
    fn sleep(&self, _: Duration) -> Pending<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl grantflow_blocking::Clock for Clock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn sleep_until(&self, until: Timestamp, _: &grantflow_blocking::Cancel) {
        self.wait(until);
    }
}

/// The tokio driver on a runtime of one thread.
pub struct Tokio {
    pub driver: grantflow_tokio::Driver,
    pub runtime: tokio::runtime::Runtime,
    world: World,
}

impl Runner for Tokio {
    const NAME: &'static str = "tokio";

    fn new(world: &World) -> Self {
        let client = Overheard { inner: grantflow_tokio::HyperClient::default(), world: world.clone() };
        let driver = grantflow_tokio::Driver::with_client(client)
            .with_clock(world.clock.clone())
            .with_observer(Arc::new(Mutex::new(world.ears.clone())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { driver, runtime, world: world.clone() }
    }

    fn run<M>(&mut self, machine: &mut M, first: Event, person: &mut Traveller) -> Result<M::Output, Error>
    where
        M: Machine + Debug + Send,
        M::Output: Debug + Send,
    {
        let outcome = self.runtime.block_on(self.driver.run(machine, first, person));
        hear(&self.world, machine, &outcome);
        outcome
    }
}

/// The blocking driver.
pub struct Blocking {
    pub driver: grantflow_blocking::Driver,
    world: World,
}

impl Runner for Blocking {
    const NAME: &'static str = "blocking";

    fn new(world: &World) -> Self {
        let client = Overheard { inner: grantflow_blocking::UreqClient::default(), world: world.clone() };
        let driver = grantflow_blocking::Driver::with_client(client)
            .with_clock(world.clock.clone())
            .with_observer(Arc::new(Mutex::new(world.ears.clone())));
        Self { driver, world: world.clone() }
    }

    fn run<M>(&mut self, machine: &mut M, first: Event, person: &mut Traveller) -> Result<M::Output, Error>
    where
        M: Machine + Debug + Send,
        M::Output: Debug + Send,
    {
        let outcome = self.driver.run(machine, first, person);
        hear(&self.world, machine, &outcome);
        outcome
    }
}

fn hear<O: Debug>(world: &World, machine: &impl Debug, outcome: &Result<O, Error>) {
    world.ears.hear_debug(machine);
    world.ears.hear_debug(outcome);
    if let Err(error) = outcome {
        world.ears.hear(error);
    }
}
