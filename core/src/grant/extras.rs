//! Parameters of the caller's own, on any request.

use crate::error::{ConfigError, Error, safe_text};
use crate::http::form::Form;

/// The parameters that the engine writes itself, at any endpoint. No extra parameter may replace or double one.
const RESERVED: [&str; 25] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "grant_type",
    "response_type",
    "response_mode",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "refresh_token",
    "device_code",
    "max_age",
    "acr_values",
    "request",
    "request_uri",
    "token",
    "token_type_hint",
    "username",
    "password",
];

/// Extra parameters for a request, in order, names repeated at will: `audience`, `access_type`, `resource`.
///
/// ```
/// use grantflow_core::grant::Extras;
/// let extras = Extras::new([("audience", "https://api.example"), ("resource", "urn:a"), ("resource", "urn:b")])?;
/// assert!(Extras::new([("state", "mine")]).is_err());
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras(Vec<(String, String)>);

impl Extras {
    /// Takes names and values in.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a name that is the engine's own.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, Error> {
        let mut extras = Self::default();
        for (name, value) in pairs {
            extras.push(name, value)?;
        }
        Ok(extras)
    }

    /// Adds one more.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a name that is the engine's own.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<(), Error> {
        let name = name.into();
        Self::permits(&name)?;
        self.0.push((name, value.into()));
        Ok(())
    }

    /// Refuses a name that is the engine's own.
    pub(crate) fn permits(name: &str) -> Result<(), Error> {
        if RESERVED.contains(&name) {
            return Err(ConfigError::ReservedParameter(safe_text(name)).into());
        }
        Ok(())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn write_to(&self, form: &mut Form) {
        for (name, value) in &self.0 {
            form.push(name.clone(), value.as_str());
        }
    }
}
