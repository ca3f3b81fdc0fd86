//! The core by hand: the loop that every driver has, written out.

use std::fmt::Debug;

use grantflow_core::crypto::AwsLc;
use grantflow_core::error::Error;
use grantflow_core::machine::{Context, Effect, Event, Machine, Step};
use grantflow_core::memory::Memory;

use super::{Runner, SystemRandom, Traveller, World, wire};

/// Performs every effect itself, and prints all that it sees.
pub struct ByHand {
    world: World,
    memory: Memory,
}

impl ByHand {
    /// One event for a machine.
    pub fn handle<M>(&mut self, machine: &mut M, event: Event) -> Result<Step<M::Output>, Error>
    where
        M: Machine + Debug,
        M::Output: Debug,
    {
        let ears = self.world.ears.clone();
        ears.hear_debug(&event);
        let step = machine.handle(
            event,
            &mut Context {
                now: self.world.clock.now(),
                random: &mut SystemRandom,
                crypto: &AwsLc,
                memory: &mut self.memory,
                observer: Some(&mut ears.clone()),
            },
        );
        ears.hear_debug(&step);
        ears.hear_debug(machine);
        if let Err(error) = &step {
            ears.hear(error);
        }
        step
    }
}

impl Runner for ByHand {
    const NAME: &'static str = "by hand";

    fn new(world: &World) -> Self {
        Self { world: world.clone(), memory: Memory::new() }
    }

    fn run<M>(&mut self, machine: &mut M, first: Event, person: &mut Traveller) -> Result<M::Output, Error>
    where
        M: Machine + Debug + Send,
        M::Output: Debug + Send,
    {
        let mut event = first;
        loop {
            let effect = match self.handle(machine, event)? {
                Step::Done(output) => return Ok(output),
                Step::Do(effect) => effect,
            };
            event = match effect {
                Effect::Send(mut outgoing) => {
                    wire::departing(&self.world, &mut outgoing);
                    let answer = wire::send(&outgoing);
                    wire::arrived(&self.world.ears, &answer);
                    answer.map_or_else(Event::SendFailed, Event::Response)
                }
                Effect::Redirect(redirect) => person.away(&redirect).map_or(Event::Elapsed, Event::Callback),
                Effect::ShowUserCode(code) => {
                    person.show(&code);
                    Event::Shown
                }
                Effect::Sleep { until } => {
                    assert!(until > self.world.clock.now(), "a wait that is no wait");
                    self.world.clock.wait(until);
                    Event::Elapsed
                }
                other => other.refused(),
            };
        }
    }
}
