//! The same service in several places.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ServerMetadata;
use crate::error::{ConfigError, Error};

/// Servers by the names that a program's settings use for them: `production`, `staging`.
///
/// ```
/// use grantflow_core::http::UrlPolicy;
/// use grantflow_core::server::{Environments, ServerMetadata};
/// let production = ServerMetadata::by_hand("https://as.example", UrlPolicy::default())?;
/// let environments = Environments::default().with("production", production);
/// assert_eq!(environments.server("production")?.issuer(), "https://as.example");
/// assert!(environments.server("prodcution").is_err());
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Environments(BTreeMap<String, Arc<ServerMetadata>>);

impl Environments {
    /// Adds one, in place of one of the same name.
    pub fn with(mut self, name: impl Into<String>, server: impl Into<Arc<ServerMetadata>>) -> Self {
        self.0.insert(name.into(), server.into());
        self
    }

    /// The server of this environment.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when there is none of this name.
    pub fn server(&self, name: &str) -> Result<&Arc<ServerMetadata>, Error> {
        let unknown = ConfigError::Invalid { setting: "environment", why: "is not one of those that are known" };
        self.0.get(name).ok_or_else(|| unknown.into())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
