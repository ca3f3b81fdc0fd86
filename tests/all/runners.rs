//! Three ways to run a machine against a development server: by hand, with the tokio driver, with the blocking driver.
//!
//! All of them share one [`World`]: the server, a clock that jumps to whatever a flow waits for, and ears that hear
//! everything that anybody prints. The [`Traveller`] is the person: goes where redirects lead and comes back.

mod by_hand;
mod drivers;
mod traveller;
mod wire;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::error::Error;
use grantflow_core::machine::{Check, Event, Machine, Observer, Transition};
use grantflow_core::{Random, RandomUnavailable, Timestamp};
use grantflow_devserver::{Config, DevServer, LogEntry, ManualClock};

use crate::secrecy;

pub use by_hand::ByHand;
pub use drivers::{Blocking, Tokio};
pub use traveller::{Back, Traveller, posted, unescaped};
pub use wire::{Visit, visit};

/// When every scenario begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Runs machines in one of three ways.
pub trait Runner {
    /// Which way that is.
    const NAME: &'static str;

    fn new(world: &World) -> Self;

    /// Runs a machine to its end.
    fn run<M>(&mut self, machine: &mut M, first: Event, person: &mut Traveller) -> Result<M::Output, Error>
    where
        M: Machine + Debug + Send,
        M::Output: Debug + Send;
}

/// What a person decides about a device, just before the device's wait of that number ends.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    ApprovedAtWait(usize),
    DeniedAtWait(usize),
}

/// A server and everything around it. Clones are one.
#[derive(Clone)]
pub struct World {
    pub server: Arc<DevServer>,
    pub clock: Clock,
    pub ears: Ears,
    /// Requests may take no longer than this, if it is shorter than what the machine allows.
    pub patience: Option<Duration>,
}

impl World {
    pub fn new(config: Config, decision: Option<Decision>, patience: Option<Duration>) -> Self {
        secrecy::begins("scenario");
        let time = ManualClock::at(BEGIN);
        let ears = Ears::default();
        let hearing = ears.clone();
        let config = config.with_clock(time.clock()).on_request(Arc::new(move |entry: &LogEntry| hearing.hear(entry)));
        let config = config.on_secret(Arc::new(secrecy::keep));
        let server = Arc::new(DevServer::start(config).unwrap());
        let clock = Clock { time, server: server.clone(), waits: Arc::default(), decision };
        Self { server, clock, ears, patience }
    }

    /// Takes out of a text what differs from one run to the next: the server's port, and the date that HTTP demands.
    pub fn masked(&self, text: &str) -> String {
        let text = text.replace(&self.server.address().to_string(), "SERVER");
        match text.split_once(" date: ") {
            Some((before, after)) => format!("{before} date: {}", after.split_once("GMT").unwrap().1),
            None => text,
        }
    }
}

/// Shows the server's time and jumps to the end of every wait. Deadlines do not make it jump.
#[derive(Clone, Debug)]
pub struct Clock {
    time: ManualClock,
    server: Arc<DevServer>,
    waits: Arc<AtomicUsize>,
    decision: Option<Decision>,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    pub fn jump(&self, until: Timestamp) {
        self.time.set(until.max(self.time.now()));
    }

    /// A flow waits. Meanwhile a person may decide about its device.
    fn wait(&self, until: Timestamp) {
        self.jump(until);
        let wait = self.waits.fetch_add(1, Ordering::SeqCst) + 1;
        for code in self.server.waiting_devices() {
            match self.decision {
                Some(Decision::ApprovedAtWait(at)) if at == wait => assert!(self.server.approve_device(&code, "alice")),
                Some(Decision::DeniedAtWait(at)) if at == wait => assert!(self.server.deny_device(&code)),
                Some(_) | None => {}
            }
        }
    }
}

/// Hears what is printed, and knows what must not be: every secret that went over the wire.
#[derive(Clone, Default)]
pub struct Ears(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    said: Vec<String>,
    secrets: BTreeSet<(&'static str, String)>,
}

impl Ears {
    /// Hears a line: text for people, or the `Debug` text of something.
    pub fn hear(&self, said: &impl ToString) {
        let said = said.to_string();
        secrecy::hear(&said);
        self.0.lock().unwrap().said.push(said);
    }

    pub fn hear_debug(&self, said: &impl Debug) {
        self.hear(&format!("{said:?} {said:#?}"));
    }

    /// Learns a secret of this kind.
    pub fn keep(&self, kind: &'static str, secret: &str) {
        secrecy::keep(kind, secret);
        assert!(secret.len() >= 8, "{kind} is too short to be told from other text: {secret}");
        self.0.lock().unwrap().secrets.insert((kind, secret.to_owned()));
    }

    /// The kinds of secrets that went over the wire.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.0.lock().unwrap().secrets.iter().map(|(kind, _)| *kind).collect()
    }

    /// What was said, and the lines of it that give a secret away.
    pub fn given_away(&self) -> (usize, Vec<String>) {
        let heard = self.0.lock().unwrap();
        let mut given_away = Vec::new();
        for said in &heard.said {
            for (kind, secret) in &heard.secrets {
                if said.contains(secret.as_str()) {
                    given_away.push(format!("{kind} in {said}"));
                }
            }
        }
        (heard.said.len(), given_away)
    }
}

/// Observers print everything that they are told.
impl Observer for Ears {
    fn transition(&mut self, transition: &Transition) {
        self.hear_debug(transition);
    }

    fn check(&mut self, check: &Check<'_>) {
        self.hear_debug(check);
    }
}

/// Randomness of the operating system.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        aws_lc_rs::rand::fill(out).map_err(|_| RandomUnavailable)
    }
}
