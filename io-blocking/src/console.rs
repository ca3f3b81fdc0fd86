//! A person without a browser on this machine: the URL is shown, and what the browser came back with is pasted.

use std::fmt;
use std::io::{self, BufRead, Read};

use grantflow_core::Error;
use grantflow_core::loopback::{Notice, Reception, ResponseMode};
use grantflow_core::machine::Redirect;
use zeroize::Zeroizing;

use crate::person::{Came, Notifier, Person};
use crate::{Cancel, Clock};

/// The most bytes of a line; more than a redirect URL may have.
const LINE_LIMIT: u64 = 20 * 1024;
/// Shows the address to open, and reads pasted redirect URLs, one on a line.
///
/// What is pasted is held to the same checks as what comes through a listener. Lines that are no such URL are refused
/// with a notice, and the next one is read. Reading blocks: the time and [`Cancel`] are looked at when a line has come.
pub struct ConsolePerson<R> {
    input: R,
    notifier: Notifier,
    shown: bool,
}

impl<R: BufRead> ConsolePerson<R> {
    /// Reads from `input`: standard input, most often.
    pub fn new(input: R, notifier: Notifier) -> Self {
        Self { input, notifier, shown: false }
    }
}

impl<R: BufRead> Person for ConsolePerson<R> {
    fn redirect(&mut self, redirect: Redirect, clock: &dyn Clock, cancel: &Cancel) -> Came {
        let reception = match Reception::new(&redirect.redirect_uri, ResponseMode::Query) {
            Ok(reception) => reception,
            Err(error) => return Came::Gone(error.into()),
        };
        if !std::mem::replace(&mut self.shown, true) {
            self.notifier.tell(&Notice::OpenByHand { url: redirect.url.into() });
            self.notifier.tell(&Notice::Waiting { seconds: redirect.expires_at.since(clock.now()).as_secs() });
        }
        if let Some(why) = redirect.refused {
            self.notifier.tell(&Notice::Refused { why });
        }
        loop {
            let line = read_line(&mut self.input);
            if cancel.is_cancelled() {
                return Came::Gone(Error::Cancelled);
            }
            if clock.now() >= redirect.expires_at {
                return Came::TooLate;
            }
            // Whoever closes the input has given up.
            let Ok(Some(line)) = line else { return Came::Gone(Error::Cancelled) };
            match reception.pasted(&line) {
                Ok(parameters) => return Came::Back(parameters),
                Err(why) => self.notifier.tell(&Notice::Refused { why }),
            }
        }
    }

    fn finish(&mut self, outcome: Result<(), &Error>) {
        if outcome.is_ok() && self.shown {
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
