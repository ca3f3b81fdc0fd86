//! A person without a browser on this machine: the URL is shown, and what the browser came back with is pasted.

use std::fmt;
use std::io::{self, BufRead, Read};

use grantflow_core::Error;
use grantflow_core::error::BadCallback;
use grantflow_core::loopback::{Notice, Reception, ResponseMode};
use grantflow_core::machine::Redirect;
use zeroize::Zeroizing;

use crate::person::{Came, Notifier, Person};
use crate::{Cancel, Clock};

/// The most bytes of a line; more than a redirect URL may have.
const LINE_LIMIT: u64 = 20 * 1024;
/// How often something that is no redirect URL may be pasted.
const ATTEMPTS: usize = 5;

/// Shows the URL by way of a [`Notifier`] and reads the pasted redirect URL from `input`, a line of it.
///
/// What is pasted is held to the same rules as what comes through a listener. Reading blocks: time and
/// [`Cancel`] are looked at when a line has come.
pub struct ConsolePerson<R> {
    input: R,
    notifier: Notifier,
    /// What to do with what is no redirect URL.
    refuse: Box<dyn FnMut(BadCallback) + Send>,
}

impl<R: BufRead> ConsolePerson<R> {
    /// Reads from `input`, and tells `notifier` which address to open.
    pub fn new(input: R, notifier: Notifier) -> Self {
        Self { input, notifier, refuse: Box::new(|_| {}) }
    }

    /// Calls `refuse` when a line was pasted that is not this login's redirect URL, so that the person can be told.
    #[must_use]
    pub fn with_refusal(mut self, refuse: impl FnMut(BadCallback) + Send + 'static) -> Self {
        self.refuse = Box::new(refuse);
        self
    }
}

impl<R: BufRead> Person for ConsolePerson<R> {
    fn redirect(&mut self, redirect: Redirect, clock: &dyn Clock, cancel: &Cancel) -> Came {
        let reception = match Reception::new(&redirect.redirect_uri, ResponseMode::Query) {
            Ok(reception) => reception,
            Err(error) => return Came::Gone(error.into()),
        };
        match redirect.refused {
            Some(why) => (self.refuse)(why),
            None => self.notifier.tell(&Notice::OpenByHand { url: redirect.url.into() }),
        }
        let mut last = BadCallback::NotRedirectUri;
        for _ in 0..ATTEMPTS {
            let line = read_line(&mut self.input);
            if cancel.is_cancelled() {
                return Came::Gone(Error::Cancelled);
            }
            if clock.now() >= redirect.expires_at {
                return Came::TooLate;
            }
            // Whoever closes the input has given up.
            let Ok(Some(line)) = line else {
                return Came::Gone(Error::Cancelled);
            };
            match reception.pasted(&line) {
                Ok(parameters) => return Came::Back(parameters),
                Err(why) => {
                    last = why;
                    (self.refuse)(why);
                }
            }
        }
        Came::Gone(last.into())
    }

    fn finish(&mut self, outcome: Result<(), &Error>) {
        if outcome.is_ok() {
            self.notifier.tell(&Notice::Received);
        }
    }
}

/// The next line that is not blank; `None` at the end. What is beyond [`LINE_LIMIT`] is dropped, and the core refuses
/// what is left for its length.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Zeroizing<String>>> {
    loop {
        let mut line = Zeroizing::new(Vec::new());
        let read = input.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            input.skip_until(b'\n')?;
        }
        let line = Zeroizing::new(String::from_utf8_lossy(&line).into_owned());
        if !line.trim().is_empty() {
            return Ok(Some(line));
        }
    }
}

impl<R> fmt::Debug for ConsolePerson<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsolePerson")
    }
}
