//! Where secrets come from: an environment variable, a file, standard input. Never an argument.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use grantflow_core::Secret;

use crate::args::{ClientSecretArgs, RefreshTokenArgs};
use crate::exit::Failure;

/// No secret is longer.
const LIMIT: u64 = 64 * 1024;

/// The whereabouts of one secret. Messages name the option and never what was given for it: somebody may have put the
/// secret itself there.
struct Source<'a> {
    what: &'static str,
    env: Option<&'a str>,
    file: Option<&'a Path>,
    stdin: bool,
}

/// Reads the client secret, if there is to be one.
pub(crate) fn client_secret(args: &ClientSecretArgs) -> Result<Option<Secret>, Failure> {
    let source = Source {
        what: "client secret",
        env: args.client_secret_env.as_deref(),
        file: args.client_secret_file.as_deref(),
        stdin: args.client_secret_stdin,
    };
    source.read()
}

/// Reads the refresh token.
pub(crate) fn refresh_token(args: &RefreshTokenArgs) -> Result<Secret, Failure> {
    let source = Source {
        what: "refresh token",
        env: args.refresh_token_env.as_deref(),
        file: args.refresh_token_file.as_deref(),
        stdin: args.refresh_token_stdin,
    };
    source.read()?.ok_or_else(|| Failure::Usage("there is no refresh token".to_owned()))
}

/// Reads a secret parameter of a grant from an environment variable.
pub(crate) fn parameter_from_env(name: &str) -> Result<Secret, Failure> {
    parameter(&Source { what: PARAMETER, env: Some(name), file: None, stdin: false })
}

/// Reads a secret parameter of a grant from a file.
pub(crate) fn parameter_from_file(path: &Path) -> Result<Secret, Failure> {
    parameter(&Source { what: PARAMETER, env: None, file: Some(path), stdin: false })
}

const PARAMETER: &str = "secret parameter";

fn parameter(source: &Source<'_>) -> Result<Secret, Failure> {
    source.read()?.ok_or_else(|| Failure::Usage("there is no secret parameter".to_owned()))
}

impl Source<'_> {
    fn read(&self) -> Result<Option<Secret>, Failure> {
        let what = self.what;
        let secret = if let Some(name) = self.env {
            let missing =
                |_| Failure::Settings(format!("the environment variable for the {what} is not set, or not text"));
            Secret::new(std::env::var(name).map_err(missing)?)
        } else if let Some(path) = self.file {
            self.read_file(path)?
        } else if self.stdin {
            self.read_all(io::stdin().lock())?
        } else {
            return Ok(None);
        };
        if secret.expose().is_empty() {
            return Err(Failure::Settings(format!("the {what} is empty")));
        }
        Ok(Some(secret))
    }

    fn read_file(&self, path: &Path) -> Result<Secret, Failure> {
        let what = self.what;
        let file = File::open(path).map_err(|error| Failure::Local(format!("the file with the {what}: {error}")))?;
        if is_open_to_others(&file).map_err(|error| Failure::Local(format!("the file with the {what}: {error}")))? {
            let text = format!("everybody on this machine may read or change the file with the {what}; try chmod 600");
            return Err(Failure::Settings(text));
        }
        self.read_all(file)
    }

    /// Reads to the end; one line break at the end is not part of the secret.
    fn read_all(&self, reader: impl Read) -> Result<Secret, Failure> {
        let what = self.what;
        let mut bytes = Vec::with_capacity(4096);
        let read = reader.take(LIMIT.saturating_add(1)).read_to_end(&mut bytes);
        let bytes = Secret::new(bytes);
        let length = read.map_err(|error| Failure::Local(format!("the {what} cannot be read: {error}")))?;
        if u64::try_from(length).unwrap_or(u64::MAX) > LIMIT {
            return Err(Failure::Settings(format!("the {what} is longer than {LIMIT} bytes")));
        }
        let text = std::str::from_utf8(bytes.expose());
        let text = text.map_err(|_| Failure::Settings(format!("the {what} is not text")))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Ok(Secret::from(text.strip_suffix('\r').unwrap_or(text)))
    }
}

/// Whether people beyond the owner and the group may read or write a file. Pipes belong to whoever has them open.
#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o006 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
