//! Clients by name, for programs that know several providers.

use std::collections::BTreeMap;

use super::Client;
use crate::error::{ConfigError, Error, safe_text};

/// Clients of several providers, each under a name of the caller's.
///
/// ```
/// use grantflow_core::client::{Client, Profile, Registry};
///
/// let github = Client::builder(Profile::GITHUB.server()?, "my-client").profile(&Profile::GITHUB).build()?;
/// let mut registry = Registry::new();
/// registry.insert("github", github)?;
/// // There is just one, so nobody need be asked.
/// let (name, client) = registry.only()?;
/// assert_eq!((name, client.client_id()), ("github", "my-client"));
/// assert!(registry.get("gitlab").is_err());
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    clients: BTreeMap<String, Client>,
}

impl Registry {
    /// A registry of nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when the name is empty or taken: [`Registry::replace`] takes it over.
    pub fn insert(&mut self, name: &str, client: Client) -> Result<(), Error> {
        let why = match name {
            "" => "is empty",
            taken if self.clients.contains_key(taken) => "is taken",
            _ => {
                self.clients.insert(name.to_owned(), client);
                return Ok(());
            }
        };
        Err(ConfigError::Invalid { setting: "provider name", why }.into())
    }

    /// Puts a client in the place of the one that has this name, and returns that.
    ///
    /// # Errors
    /// [`ConfigError::ProviderUnknown`] when none has.
    pub fn replace(&mut self, name: &str, client: Client) -> Result<Client, Error> {
        let known = self.clients.get_mut(name).ok_or_else(|| unknown(name))?;
        Ok(core::mem::replace(known, client))
    }

    /// The client of this name.
    ///
    /// # Errors
    /// [`ConfigError::ProviderUnknown`] when there is none: tokens that were stored with it cannot be used.
    pub fn get(&self, name: &str) -> Result<&Client, Error> {
        self.clients.get(name).ok_or_else(|| unknown(name))
    }

    /// The one client there is, and its name. Nobody need be asked which one is meant.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when there is none, [`ConfigError::ProviderAmbiguous`] when there are several.
    pub fn only(&self) -> Result<(&str, &Client), Error> {
        let mut clients = self.iter();
        match (clients.next(), clients.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(ConfigError::Missing("provider").into()),
            (Some(_), Some(_)) => Err(ConfigError::ProviderAmbiguous.into()),
        }
    }

    /// The client of this name, or the only one where none is named.
    ///
    /// # Errors
    /// As [`Registry::get`] and [`Registry::only`].
    pub fn choose(&self, name: Option<&str>) -> Result<(&str, &Client), Error> {
        match name {
            Some(name) => self.clients.get_key_value(name).map(entry).ok_or_else(|| unknown(name)),
            None => self.only(),
        }
    }

    /// All names and clients, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Client)> {
        self.clients.iter().map(entry)
    }
}

fn entry<'a>((name, client): (&'a String, &'a Client)) -> (&'a str, &'a Client) {
    (name.as_str(), client)
}

fn unknown(name: &str) -> Error {
    ConfigError::ProviderUnknown(safe_text(name)).into()
}
