//! A person with a browser on this machine.

use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::Error;
use grantflow_core::error::ConfigError;
use grantflow_core::loopback::{Launcher, Notice, Pages, Place, ResponseMode, launchers};
use grantflow_core::machine::Redirect;
use tokio::sync::oneshot;
use url::Url;

use crate::listener::forever;
use crate::person::{Came, Notifier, Person};
use crate::race::{Either, race, within};
use crate::{Clock, Pending, RedirectListener, Responder};

/// How long a launcher may take to say that it has opened a browser before the address is shown as well.
const GRACE: Duration = Duration::from_secs(3);

/// Opens URLs.
pub trait Browser: Send + Sync {
    /// Opens `url` and says whether that worked. Must not block; may be ready late or never.
    fn open(&self, url: &Url) -> Pending<'static, bool>;
}

/// The desktop's browser: `xdg-open`, `open` or `rundll32`, started without a shell.
#[derive(Clone, Debug, Default)]
pub struct SystemBrowser {
    withheld: Vec<OsString>,
}

impl SystemBrowser {
    /// Withholds a variable of the environment from the browser: one that holds a secret.
    #[must_use]
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.withheld.push(name.into());
        self
    }
}

impl Browser for SystemBrowser {
    fn open(&self, url: &Url) -> Pending<'static, bool> {
        let (launchers, withheld) = (launchers(url), self.withheld.clone());
        let (tell, told) = oneshot::channel();
        // A thread of its own: a launcher may last as long as the browser, and a runtime that ends waits for its
        // blocking tasks.
        let started = std::thread::Builder::new().name("browser".into()).spawn(move || {
            let _ = tell.send(launchers.iter().any(|launcher| launch(launcher, &withheld)));
        });
        Box::pin(async move { started.is_ok() && told.await.unwrap_or(false) })
    }
}

pub(crate) fn launch(launcher: &Launcher, withheld: &[OsString]) -> bool {
    let mut command = Command::new(launcher.program);
    for name in withheld {
        command.env_remove(name);
    }
    command.args(&launcher.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // An interrupt at the terminal is meant for the login, not for the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.status().is_ok_and(|status| status.success())
}

/// Sends the person to a browser and waits at a loopback redirect URI.
///
/// The listener is there before anything else, so that the redirect URI is known; the browser's connection is kept open
/// until the flow's outcome is known, and the page says what it is.
pub struct LoopbackPerson {
    listener: RedirectListener,
    browser: Option<Arc<dyn Browser>>,
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
    pub async fn bind(place: &Place, mode: ResponseMode, pages: Pages) -> Result<Self, Error> {
        Ok(Self::new(RedirectListener::bind(place, mode, pages).await?))
    }

    /// Waits at `listener` and uses the system's browser.
    pub fn new(listener: RedirectListener) -> Self {
        let browser: Arc<dyn Browser> = Arc::new(SystemBrowser::default());
        Self { listener, browser: Some(browser), notifier: Notifier::default(), stage: Stage::Before }
    }

    /// Opens with another browser.
    #[must_use]
    pub fn with_browser(mut self, browser: impl Browser + 'static) -> Self {
        self.browser = Some(Arc::new(browser));
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

    async fn send_away(&mut self, redirect: Redirect, clock: &Arc<dyn Clock>) -> Came {
        if redirect.redirect_uri != self.listener.redirect_uri() {
            let why = "it is not the one that is listened on";
            return Came::Gone(ConfigError::Invalid { setting: "redirect URI", why }.into());
        }
        let notifier = self.notifier.clone();
        let opening = match std::mem::replace(&mut self.stage, Stage::Sent) {
            Stage::Before => Some(self.open(&redirect.url)),
            Stage::Sent => None,
            Stage::Judged(responder) | Stage::Taken(responder) => {
                let pages = self.listener.reception().pages();
                let reply = redirect.refused.map_or_else(|| pages.late(), |why| pages.refused(why));
                self.listener.answer_meanwhile(responder, reply);
                None
            }
        };
        if opening.is_some() {
            let left = redirect.expires_at.since(clock.now());
            notifier.tell(&Notice::Waiting { seconds: left.as_secs() });
        }
        let showing = show_if_not_opened(opening, redirect.url, &notifier, clock);
        match race(self.listener.wait(redirect.expires_at, clock), showing).await {
            Either::Left(Ok((parameters, responder))) => {
                self.stage = Stage::Judged(responder);
                Came::Back(parameters)
            }
            Either::Left(Err(_)) | Either::Right(()) => Came::TooLate,
        }
    }

    fn open(&self, url: &Url) -> Pending<'static, bool> {
        let Some(browser) = &self.browser else {
            return Box::pin(async { false });
        };
        let service = self.listener.reception().pages().service().unwrap_or("the server").to_owned();
        self.notifier.tell(&Notice::Opening { service });
        browser.open(url)
    }

    /// The flow has gone on after a callback: it was the right one.
    fn take(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Sent) {
            Stage::Judged(responder) => {
                self.notifier.tell(&Notice::Received);
                Stage::Taken(responder)
            }
            stage @ (Stage::Before | Stage::Sent | Stage::Taken(_)) => stage,
        };
    }
}

/// Shows the address if the browser was not opened, or nobody knows. Never ends.
async fn show_if_not_opened(
    opening: Option<Pending<'static, bool>>,
    url: Url,
    notifier: &Notifier,
    clock: &Arc<dyn Clock>,
) {
    if let Some(opening) = opening {
        match within(&**clock, GRACE, opening).await {
            Some(true) => {}
            Some(false) | None => notifier.tell(&Notice::OpenByHand { url: url.into() }),
        }
    }
    forever().await;
}

impl Person for LoopbackPerson {
    fn redirect<'a>(&'a mut self, redirect: Redirect, clock: &'a Arc<dyn Clock>) -> Pending<'a, Came> {
        Box::pin(self.send_away(redirect, clock))
    }

    fn attend<'a>(&'a mut self, clock: &'a Arc<dyn Clock>) -> Pending<'a, ()> {
        self.take();
        match self.stage {
            Stage::Taken(_) => Box::pin(self.listener.turn_away(clock)),
            Stage::Before | Stage::Sent | Stage::Judged(_) => Box::pin(forever()),
        }
    }

    fn finish<'a>(&'a mut self, outcome: Result<(), &'a Error>, clock: &'a Arc<dyn Clock>) -> Pending<'a, ()> {
        if outcome.is_ok() {
            self.take();
        }
        Box::pin(async move {
            let (Stage::Judged(responder) | Stage::Taken(responder)) =
                std::mem::replace(&mut self.stage, Stage::Before)
            else {
                return;
            };
            let answering = async {
                match outcome {
                    Ok(()) => responder.success().await,
                    Err(error) => responder.failure(&error.to_string()).await,
                }
            };
            race(answering, self.listener.turn_away(clock)).await;
        })
    }
}

impl fmt::Debug for LoopbackPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackPerson").field("listener", &self.listener).finish_non_exhaustive()
    }
}
