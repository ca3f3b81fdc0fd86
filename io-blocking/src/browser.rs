//! Opening a browser without waiting for it.

use std::ffi::OsString;
use std::fmt;
use std::process::{Child, Command, Stdio};

use grantflow_core::loopback::{Launcher, launchers};
use url::Url;

/// Opens a URL for the person to see.
pub trait Browser {
    /// Begins to open `url`. Must not block.
    fn open(&mut self, url: &Url) -> Opening;

    /// What has become of it. Asked every few milliseconds; must not block.
    fn opening(&mut self) -> Opening {
        Opening::Opened
    }
}

/// How far opening a browser has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is on its way.
    Trying,
    /// It is open, as far as anybody can tell.
    Opened,
    /// There is no browser.
    Failed,
}

/// A function is a browser: a web view, or a test.
impl<F: FnMut(&Url) -> Opening> Browser for F {
    fn open(&mut self, url: &Url) -> Opening {
        self(url)
    }
}

/// The browser that the operating system opens: `xdg-open` and its like, started without a shell.
///
/// A launcher that fails gives way to the next one. What is started is never waited for and never killed: it may be the
/// browser itself.
pub struct SystemBrowser {
    launchers: fn(&Url) -> Vec<Launcher>,
    left: Vec<Launcher>,
    running: Option<Child>,
    withheld: Vec<OsString>,
}

impl SystemBrowser {
    /// The launchers of this operating system.
    pub fn new() -> Self {
        Self::with_launchers(launchers)
    }

    pub(crate) fn with_launchers(launchers: fn(&Url) -> Vec<Launcher>) -> Self {
        Self { launchers, left: Vec::new(), running: None, withheld: Vec::new() }
    }

    /// Withholds a variable of the environment from the browser: one that holds a secret.
    #[must_use]
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.withheld.push(name.into());
        self
    }

    /// Starts the next launcher that can be started.
    fn start(&mut self) -> Opening {
        while let Some(launcher) = self.left.pop() {
            let mut command = Command::new(launcher.program);
            for name in &self.withheld {
                command.env_remove(name);
            }
            command.args(launcher.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // An interrupt at the terminal is meant for the login, not for the browser.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            if let Ok(child) = command.spawn() {
                self.running = Some(child);
                return Opening::Trying;
            }
        }
        Opening::Failed
    }
}

impl Default for SystemBrowser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser for SystemBrowser {
    fn open(&mut self, url: &Url) -> Opening {
        self.left = (self.launchers)(url);
        self.left.reverse();
        self.start()
    }

    fn opening(&mut self) -> Opening {
        let Some(child) = &mut self.running else {
            return Opening::Failed;
        };
        match child.try_wait() {
            Ok(None) => Opening::Trying,
            Ok(Some(status)) if status.success() => Opening::Opened,
            Ok(Some(_)) | Err(_) => {
                self.running = None;
                self.start()
            }
        }
    }
}

impl fmt::Debug for SystemBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemBrowser")
    }
}
