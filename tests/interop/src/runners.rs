//! Three ways to run the same machines: the core by hand, the tokio driver, the blocking driver.

use std::path::Path;
use std::sync::{Mutex, mpsc};

use grantflow_blocking as blocking;
use grantflow_core::callback::CallbackParams;
use grantflow_core::error::Error;
use grantflow_core::loopback::{Pages, Place, ResponseMode};
use grantflow_core::machine::{Event, Machine, Redirect, UserCode};
use grantflow_core::memory::Memory;
use grantflow_tokio as io_tokio;
use url::Url;

use crate::hand::{self, Screen};
use crate::{Arrived, Person, Shown, browse};

/// Runs machines against the server.
pub trait Runner {
    /// Runs a machine that needs nobody.
    ///
    /// # Errors
    /// What the machine ends with.
    fn alone<M>(&self, machine: &mut M) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send;

    /// Runs a machine that shows a code, which `person` enters at the server's page.
    ///
    /// # Errors
    /// What the machine ends with.
    fn with_code<M>(&self, machine: &mut M, person: Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send;

    /// Runs the machine that `begin` makes for a redirect URI; `person` walks through the server's pages. Also says where
    /// that way ended.
    fn with_redirect<M>(&self, begin: impl FnOnce(&str) -> M, person: Person) -> (Result<M::Output, Error>, Arrived)
    where
        M: Machine + Send,
        M::Output: Send;
}

/// A driver that waits at a loopback redirect URI.
pub trait Loopback {
    /// Runs the machine that `begin` makes for a redirect URI; `open` is the browser. Its result comes too.
    fn login<M, T>(
        &self,
        begin: impl FnOnce(&str) -> M,
        open: impl Fn(&Url) -> T + Clone + Send + Sync + 'static,
    ) -> (Result<M::Output, Error>, T)
    where
        M: Machine + Send,
        M::Output: Send,
        T: Send + 'static;

    /// The same in headless Chromium, with a picture of the last page.
    fn login_in_chromium<M>(&self, begin: impl FnOnce(&str) -> M, picture: &Path) -> (Result<M::Output, Error>, Shown)
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let picture = picture.to_owned();
        self.login(begin, move |url| browse(url, &picture))
    }
}

fn confirm(code: &UserCode, person: Person) {
    person.confirms(code.complete.as_ref().expect("the server puts the code into a URL"));
}

/// The core by hand.
#[derive(Debug, Default)]
pub struct ByHand {
    memory: Mutex<Memory>,
}

struct HandScreen {
    person: Person,
    arrived: Option<Arrived>,
}

impl Screen for HandScreen {
    fn redirect(&mut self, redirect: Redirect) -> CallbackParams {
        let arrived = self.person.authorizes(&redirect.url);
        let params = CallbackParams::from_query(arrived.location.query().unwrap_or_default());
        self.arrived = Some(arrived);
        params.expect("a callback")
    }

    fn code(&mut self, code: UserCode) {
        confirm(&code, self.person);
    }
}

impl ByHand {
    fn run<M: Machine>(&self, machine: &mut M, screen: &mut dyn Screen) -> Result<M::Output, Error> {
        hand::run(machine, &mut self.memory.lock().expect("nobody panicked"), screen)
    }
}

impl Runner for ByHand {
    fn alone<M>(&self, machine: &mut M) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.run(machine, &mut ())
    }

    fn with_code<M>(&self, machine: &mut M, person: Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.run(machine, &mut HandScreen { person, arrived: None })
    }

    fn with_redirect<M>(&self, begin: impl FnOnce(&str) -> M, person: Person) -> (Result<M::Output, Error>, Arrived)
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let mut screen = HandScreen { person, arrived: None };
        // Nobody listens there: the callback is taken from the redirect that would lead to it.
        let outcome = self.run(&mut begin("http://127.0.0.1:9/callback"), &mut screen);
        (outcome, screen.arrived.expect("the person came back"))
    }
}

/// The tokio driver on a runtime of its own.
#[derive(Debug)]
pub struct Tokio {
    runtime: tokio::runtime::Runtime,
    driver: io_tokio::Driver,
}

impl Default for Tokio {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, driver: io_tokio::Driver::new() }
    }
}

struct TokioBrowser<F>(F);

impl<F: Fn(&Url) + Clone + Send + Sync + 'static> io_tokio::Browser for TokioBrowser<F> {
    fn open(&self, url: &Url) -> io_tokio::Pending<'static, bool> {
        let (open, url) = (self.0.clone(), url.clone());
        std::thread::spawn(move || open(&url));
        Box::pin(std::future::ready(true))
    }
}

impl Runner for Tokio {
    fn alone<M>(&self, machine: &mut M) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.runtime.block_on(self.driver.run(machine, Event::Start, &mut io_tokio::Nobody))
    }

    fn with_code<M>(&self, machine: &mut M, person: Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let mut person = io_tokio::DevicePerson::new(|code: &UserCode| confirm(code, person));
        self.runtime.block_on(self.driver.run(machine, Event::Start, &mut person))
    }

    fn with_redirect<M>(&self, begin: impl FnOnce(&str) -> M, person: Person) -> (Result<M::Output, Error>, Arrived)
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.login(begin, move |url| person.comes_back(url))
    }
}

impl Loopback for Tokio {
    fn login<M, T>(
        &self,
        begin: impl FnOnce(&str) -> M,
        open: impl Fn(&Url) -> T + Clone + Send + Sync + 'static,
    ) -> (Result<M::Output, Error>, T)
    where
        M: Machine + Send,
        M::Output: Send,
        T: Send + 'static,
    {
        let (tell, told) = mpsc::sync_channel(1);
        let browser = TokioBrowser(move |url: &Url| {
            let _ = tell.send(open(url));
        });
        let outcome = self.runtime.block_on(async {
            let person = io_tokio::LoopbackPerson::bind(&Place::default(), ResponseMode::Query, Pages::default()).await;
            let mut person = person.expect("a loopback port").with_browser(browser);
            let mut machine = begin(person.redirect_uri());
            self.driver.run(&mut machine, Event::Start, &mut person).await
        });
        (outcome, told.recv().expect("the browser came to an end"))
    }
}

/// The blocking driver.
#[derive(Debug, Default)]
pub struct Blocking {
    driver: blocking::Driver,
}

impl Runner for Blocking {
    fn alone<M>(&self, machine: &mut M) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.driver.run(machine, Event::Start, &mut blocking::Nobody)
    }

    fn with_code<M>(&self, machine: &mut M, person: Person) -> Result<M::Output, Error>
    where
        M: Machine + Send,
        M::Output: Send,
    {
        let mut person = blocking::DevicePerson::new(|code: &UserCode| confirm(code, person));
        self.driver.run(machine, Event::Start, &mut person)
    }

    fn with_redirect<M>(&self, begin: impl FnOnce(&str) -> M, person: Person) -> (Result<M::Output, Error>, Arrived)
    where
        M: Machine + Send,
        M::Output: Send,
    {
        self.login(begin, move |url| person.comes_back(url))
    }
}

impl Loopback for Blocking {
    fn login<M, T>(
        &self,
        begin: impl FnOnce(&str) -> M,
        open: impl Fn(&Url) -> T + Clone + Send + Sync + 'static,
    ) -> (Result<M::Output, Error>, T)
    where
        M: Machine + Send,
        M::Output: Send,
        T: Send + 'static,
    {
        let (tell, told) = mpsc::sync_channel(1);
        let browser = move |url: &Url| {
            let (open, tell, url) = (open.clone(), tell.clone(), url.clone());
            std::thread::spawn(move || {
                let _ = tell.send(open(&url));
            });
            blocking::Opening::Opened
        };
        let person = blocking::LoopbackPerson::bind(&Place::default(), ResponseMode::Query, Pages::default());
        let mut person = person.expect("a loopback port").with_browser(browser);
        let mut machine = begin(person.redirect_uri());
        let outcome = self.driver.run(&mut machine, Event::Start, &mut person);
        (outcome, told.recv().expect("the browser came to an end"))
    }
}
