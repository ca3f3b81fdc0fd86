//! A person with a browser on another machine, who pastes the address that the browser was sent back to.

use std::fmt;
use std::sync::Arc;

use grantflow_core::Error;
use grantflow_core::error::BadCallback;
use grantflow_core::loopback::{Notice, Reception, ResponseMode};
use grantflow_core::machine::Redirect;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

use crate::person::{Came, Notifier, Person};
use crate::race::within;
use crate::{Clock, Pending};

/// The longest line that is read.
const LINE_LIMIT: usize = 16 * 1024;

/// Shows the address to open, and reads pasted redirect URLs, one on a line.
///
/// What is pasted is held to the same checks as what comes through a listener. Lines that are no such URL are refused
/// with a notice, and the next one is read.
pub struct ConsolePerson {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    notifier: Notifier,
    /// What was read beyond the last line.
    read: Zeroizing<Vec<u8>>,
    shown: bool,
}

impl ConsolePerson {
    /// Reads from `reader`: standard input, most often.
    pub fn new(reader: impl AsyncRead + Send + Unpin + 'static, notifier: Notifier) -> Self {
        Self { reader: Box::new(reader), notifier, read: Zeroizing::default(), shown: false }
    }

    async fn ask(&mut self, redirect: Redirect, clock: &Arc<dyn Clock>) -> Came {
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
        let left = redirect.expires_at.since(clock.now());
        within(&**clock, left, self.pasted(&reception)).await.unwrap_or(Came::TooLate)
    }

    async fn pasted(&mut self, reception: &Reception) -> Came {
        while let Some(line) = self.line().await {
            let text = match std::str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => continue,
                text => text.map_err(|_| BadCallback::Malformed),
            };
            match text.and_then(|text| reception.pasted(text)) {
                Ok(parameters) => return Came::Back(parameters),
                Err(why) => self.notifier.tell(&Notice::Refused { why }),
            }
        }
        Came::Gone(Error::Cancelled)
    }

    /// The next line; `None` at the end of the input. A line that is too long comes cut, and is refused for its length.
    async fn line(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(vec![0_u8; 4096]);
        let mut skipping = false;
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = Zeroizing::new(self.read.split_off(end.saturating_add(1)));
                let line = std::mem::replace(&mut self.read, rest);
                return Some(line);
            }
            if self.read.len() > LINE_LIMIT {
                skipping = true;
                self.read.truncate(LINE_LIMIT.saturating_add(1));
            }
            let length = self.reader.read(&mut buffer).await.ok().filter(|length| *length > 0);
            let piece = length.and_then(|length| buffer.get(..length));
            match piece {
                None if self.read.is_empty() => return None,
                None => return Some(std::mem::take(&mut self.read)),
                Some(piece) if skipping => {
                    let end = piece.iter().position(|byte| *byte == b'\n');
                    self.read.extend_from_slice(end.and_then(|end| piece.get(end..)).unwrap_or_default());
                }
                Some(piece) => self.read.extend_from_slice(piece),
            }
        }
    }
}

impl Person for ConsolePerson {
    fn redirect<'a>(&'a mut self, redirect: Redirect, clock: &'a Arc<dyn Clock>) -> Pending<'a, Came> {
        Box::pin(self.ask(redirect, clock))
    }

    fn finish<'a>(&'a mut self, outcome: Result<(), &'a Error>, _: &'a Arc<dyn Clock>) -> Pending<'a, ()> {
        if outcome.is_ok() && self.shown {
            self.notifier.tell(&Notice::Received);
        }
        Box::pin(async {})
    }
}

impl fmt::Debug for ConsolePerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsolePerson")
    }
}
