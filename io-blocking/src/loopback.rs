//! A person with a browser on this machine.

use std::fmt;
use std::mem;
use std::time::Duration;

use grantflow_core::error::{ConfigError, Error, Expired};
use grantflow_core::loopback::{Notice, Pages, Place, ResponseMode};
use grantflow_core::machine::Redirect;
use url::Url;

use crate::browser::{Browser, Opening, SystemBrowser};
use crate::listener::Responder;
use crate::person::{Came, Notifier, Person};
use crate::{Cancel, Clock, RedirectListener};

/// How long a launcher may take to say that it has opened a browser before the address is shown as well. It may hang,
/// or be the browser itself.
const GRACE: Duration = Duration::from_secs(3);

/// Sends the person to a browser and waits at a loopback redirect URI.
///
/// The listener is there before anything else, so that the redirect URI is known; the browser's connection is kept open
/// until the flow's outcome is known, and the page says what it is.
pub struct LoopbackPerson {
    listener: RedirectListener,
    browser: Option<Box<dyn Browser>>,
    notifier: Notifier,
    stage: Stage,
}

enum Stage {
    /// The browser has not been sent anywhere.
    Before,
    /// The browser has been sent to the server.
    Sent,
    /// A callback is being judged by the flow.
    Judged(Responder),
    /// A callback was taken; the flow goes on.
    Taken(Responder),
}

impl LoopbackPerson {
    /// Listens at `place` and uses the system's browser.
    ///
    /// # Errors
    /// As [`RedirectListener::bind`].
    pub fn bind(place: &Place, mode: ResponseMode, pages: Pages) -> Result<Self, Error> {
        Ok(Self::new(RedirectListener::bind(place, mode, pages)?))
    }

    /// Waits at `listener` and uses the system's browser.
    pub fn new(listener: RedirectListener) -> Self {
        let browser: Box<dyn Browser> = Box::new(SystemBrowser::new());
        Self { listener, browser: Some(browser), notifier: Notifier::default(), stage: Stage::Before }
    }

    /// Opens with another browser.
    #[must_use]
    pub fn with_browser(mut self, browser: impl Browser + 'static) -> Self {
        self.browser = Some(Box::new(browser));
        self
    }

    /// Opens no browser: the person is told the address.
    #[must_use]
    pub fn without_browser(mut self) -> Self {
        self.browser = None;
        self
    }

    /// Tells the person what happens.
    #[must_use]
    pub fn with_notifier(mut self, notifier: Notifier) -> Self {
        self.notifier = notifier;
        self
    }

    /// The redirect URI for the flow, exactly so.
    pub fn redirect_uri(&self) -> &str {
        self.listener.redirect_uri()
    }

    fn open(&mut self, url: &Url) -> Opening {
        let Some(browser) = &mut self.browser else {
            return Opening::Failed;
        };
        let service = self.listener.reception().pages().service().unwrap_or("the server").to_owned();
        self.notifier.tell(&Notice::Opening { service });
        browser.open(url)
    }
}

impl Person for LoopbackPerson {
    fn redirect(&mut self, redirect: Redirect, clock: &dyn Clock, cancel: &Cancel) -> Came {
        if redirect.redirect_uri != self.listener.redirect_uri() {
            let why = "it is not the one that is listened on";
            return Came::Gone(ConfigError::Invalid { setting: "redirect URI", why }.into());
        }
        let mut opening = match mem::replace(&mut self.stage, Stage::Sent) {
            Stage::Before => {
                let opening = self.open(&redirect.url);
                if opening == Opening::Failed {
                    self.notifier.tell(&by_hand(&redirect.url));
                }
                let seconds = redirect.expires_at.since(clock.now()).as_secs();
                self.notifier.tell(&Notice::Waiting { seconds });
                opening
            }
            Stage::Sent => Opening::Opened,
            Stage::Judged(responder) | Stage::Taken(responder) => {
                let pages = self.listener.reception().pages();
                let reply = redirect.refused.map_or_else(|| pages.late(), |why| pages.refused(why));
                self.listener.answer_meanwhile(responder, reply);
                Opening::Opened
            }
        };
        let (browser, notifier) = (&mut self.browser, &self.notifier);
        let until = clock.now().plus(GRACE);
        let mut watch = || {
            let (Opening::Trying, Some(browser)) = (opening, browser.as_mut()) else {
                return;
            };
            opening = browser.opening();
            if opening == Opening::Failed || (opening == Opening::Trying && clock.now() >= until) {
                opening = Opening::Failed;
                notifier.tell(&by_hand(&redirect.url));
            }
        };
        match self.listener.wait_while(redirect.expires_at, clock, cancel, &mut watch) {
            Ok((parameters, responder)) => {
                self.stage = Stage::Judged(responder);
                Came::Back(parameters)
            }
            Err(Error::Expired(Expired::Callback)) => Came::TooLate,
            Err(error) => Came::Gone(error),
        }
    }

    fn attend(&mut self) {
        self.stage = match mem::replace(&mut self.stage, Stage::Sent) {
            Stage::Judged(responder) => {
                self.notifier.tell(&Notice::Received);
                Stage::Taken(responder)
            }
            stage @ (Stage::Before | Stage::Sent | Stage::Taken(_)) => stage,
        };
    }

    fn finish(&mut self, outcome: Result<(), &Error>) {
        if outcome.is_ok() {
            self.attend();
        }
        let pages = self.listener.reception().pages();
        let reply = match outcome {
            Ok(()) => pages.success(),
            Err(error) => pages.failure(&error.to_string()),
        };
        if let Stage::Judged(responder) | Stage::Taken(responder) = mem::replace(&mut self.stage, Stage::Before) {
            self.listener.answer_meanwhile(responder, reply);
        }
        self.listener.close();
    }
}

fn by_hand(url: &Url) -> Notice {
    Notice::OpenByHand { url: url.as_str().to_owned() }
}

impl fmt::Debug for LoopbackPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackPerson").field("listener", &self.listener).finish_non_exhaustive()
    }
}
