//! Whoever looks at a screen.

use std::fmt;
use std::sync::Arc;

use grantflow_core::Error;
use grantflow_core::callback::CallbackParams;
use grantflow_core::error::ConfigError;
use grantflow_core::loopback::Notice;
use grantflow_core::machine::{Redirect, UserCode};

use crate::{Cancel, Clock};

/// Performs the effects that need a person.
///
/// Each method has a default that refuses, so that an implementation says only what it can do.
pub trait Person {
    /// Sends the person to [`Redirect::url`] and waits for a call of the redirect URI, until
    /// [`Redirect::expires_at`] or until `cancel` is used.
    ///
    /// When the effect comes again with [`Redirect::refused`], the last callback was somebody else's: answer it with an
    /// error, do not open the browser again, and go on waiting.
    fn redirect(&mut self, redirect: Redirect, clock: &dyn Clock, cancel: &Cancel) -> Came {
        let _ = (redirect, clock, cancel);
        Came::Gone(ConfigError::Missing("a person with a browser").into())
    }

    /// Shows the person a code to type elsewhere.
    ///
    /// # Errors
    /// Whatever the flow is to end with, if there is nobody to show it to.
    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        let _ = code;
        Err(ConfigError::Missing("a person to show the code to").into())
    }

    /// The flow does something else now. After a callback this says that the callback was the right one. Must not block.
    fn attend(&mut self) {}

    /// The flow is over: answer what waits for an answer.
    fn finish(&mut self, _outcome: Result<(), &Error>) {}
}

/// What came of sending a person away.
#[derive(Debug)]
pub enum Came {
    /// Somebody called the redirect URI.
    Back(CallbackParams),
    /// Nobody did in time.
    TooLate,
    /// Nobody will: the flow is to be cancelled and to end with this error.
    Gone(Error),
}

/// There is no person. For flows that need none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Person for Nobody {}

/// Shows codes by calling a function. For the device flow.
pub struct DevicePerson<F>(F);

impl<F: FnMut(&UserCode)> DevicePerson<F> {
    /// Shows each code with `show`.
    pub fn new(show: F) -> Self {
        Self(show)
    }
}

impl<F: FnMut(&UserCode)> Person for DevicePerson<F> {
    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        (self.0)(code);
        Ok(())
    }
}

impl<F> fmt::Debug for DevicePerson<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevicePerson")
    }
}

/// A hook that is told what to tell the person. By default nothing is told.
#[derive(Clone)]
pub struct Notifier(Arc<dyn Fn(&Notice) + Send + Sync>);

impl Notifier {
    /// Tells by calling `tell`.
    pub fn new(tell: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, notice: &Notice) {
        (self.0)(notice);
    }
}

impl Default for Notifier {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifier")
    }
}
