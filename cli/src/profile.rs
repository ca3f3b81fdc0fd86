//! What is remembered of a login beside its tokens: enough to renew them without asking anybody.

use std::path::{Path, PathBuf};

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::store::{StoreKey, Version};
use grantflow_core::{Error, Secret};
use serde::{Deserialize, Serialize};

use crate::args::{ClientSecretArgs, ServerArgs};
use crate::exit::Failure;

/// The schema that is written. A newer one is refused.
const SCHEMA: u64 = 1;

/// A login's settings. No secret is among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<SecretPlace>,
    /// How the client has proved itself, for people to read: it is chosen anew by what the server says then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authentication_method: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    id_token_alg: Vec<String>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) scope: String,
    /// Where the token may be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) audience: Vec<String>,
}

/// Where the client secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretPlace {
    Env(String),
    File(PathBuf),
}

#[derive(Serialize)]
struct Written<'a> {
    version: String,
    schema: u64,
    profile: &'a Profile,
}

#[derive(Deserialize)]
struct Head {
    schema: u64,
}

#[derive(Deserialize)]
struct Read {
    profile: Profile,
}

impl Profile {
    /// The profile of a client that was given by arguments.
    ///
    /// A secret from standard input cannot be found again, so it is refused: the store holds no secret of a client.
    pub(crate) fn of(server: &ServerArgs, scope: &str, audience: &[String]) -> Result<Self, Failure> {
        let audience = audience.to_vec();
        Ok(Self {
            issuer: server.issuer.clone(),
            client_id: server.client_id.clone(),
            secret: place(&server.secret)?,
            authentication_method: None,
            id_token_alg: server.id_token_alg.iter().map(|algorithm| algorithm.name().to_owned()).collect(),
            scope: scope.to_owned(),
            audience,
        })
    }

    /// Under which key the tokens are.
    pub(crate) fn key(&self, name: &str) -> Result<StoreKey, Error> {
        StoreKey::of(&self.issuer, &self.client_id, name)
    }

    pub(crate) fn is_of_the_same_client(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.client_id == other.client_id
    }

    /// Which signatures of id_tokens count.
    pub(crate) fn id_token_algorithms(&self) -> Result<Vec<SignatureAlgorithm>, Failure> {
        let known = self.id_token_alg.iter().map(|name| SignatureAlgorithm::parse(name)).collect::<Option<_>>();
        known.ok_or_else(|| Failure::Settings("the profile names a signature algorithm that there is not".to_owned()))
    }

    /// Where the client secret is, as arguments say it.
    pub(crate) fn secret_args(&self) -> ClientSecretArgs {
        let (env, file) = match &self.secret {
            Some(SecretPlace::Env(name)) => (Some(name.clone()), None),
            Some(SecretPlace::File(path)) => (None, Some(path.clone())),
            None => (None, None),
        };
        ClientSecretArgs { client_secret_env: env, client_secret_file: file, client_secret_stdin: false }
    }

    pub(crate) fn to_record(&self, version: Version) -> Secret<Vec<u8>> {
        let written = Written { version: version.to_string(), schema: SCHEMA, profile: self };
        // Strings, and paths that were strings when they were taken.
        Secret::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    pub(crate) fn from_record(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::new(StoreFault::Corrupt, "a profile that is not written as profiles are");
        let Head { schema } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if schema > SCHEMA {
            return Err(StoreError::new(StoreFault::Newer, "written by a newer version of this software"));
        }
        Ok(serde_json::from_slice::<Read>(bytes).map_err(corrupt)?.profile)
    }
}

fn place(args: &ClientSecretArgs) -> Result<Option<SecretPlace>, Failure> {
    if args.client_secret_stdin {
        let text = "a client secret from standard input cannot be found again to renew the token: \
                    with --save, use --client-secret-file or --client-secret-env";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Some(name) = &args.client_secret_env {
        return Ok(Some(SecretPlace::Env(name.clone())));
    }
    let Some(path) = &args.client_secret_file else { return Ok(None) };
    Ok(Some(SecretPlace::File(absolute(path)?)))
}

/// The place of a file whatever folder the next command runs in.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path).map_err(|_| Failure::Local("the folder is not known".to_owned()))?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err(Failure::Settings("the path of the client secret is not text".to_owned())),
    }
}

/// Refuses names that cannot be typed, or that mean something else there.
pub(crate) fn check_name(name: &str, taken: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let is_typable = name.bytes().all(|byte| byte.is_ascii_graphic()) && !name.starts_with('-') && !name.is_empty();
    if !is_typable || name.len() > grantflow_core::store::PROFILE_LIMIT {
        let text = "a name has 1 to 255 visible ASCII characters, no blank, and does not begin with a dash";
        return Err(Failure::Usage(text.to_owned()));
    }
    if taken.into_iter().any(|other| other == name) {
        return Err(Failure::Usage(format!("{name} is a subcommand of `grantflow token`, and no name")));
    }
    Ok(())
}
