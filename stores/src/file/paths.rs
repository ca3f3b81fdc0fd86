//! Where a user's programs keep their state.

use std::env;
use std::path::PathBuf;

use grantflow_core::error::{StoreError, StoreFault};

/// The folder of this software. XDG Base Directory Specification: a path that is not absolute does not count.
pub(crate) fn user_state() -> Result<PathBuf, StoreError> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let named = env::var_os(if cfg!(windows) { "LOCALAPPDATA" } else { "XDG_STATE_HOME" });
    named
        .and_then(|path| absolute(path.into()))
        .or_else(|| env::home_dir().and_then(absolute).map(|home| home.join(".local").join("state")))
        .map(|state| state.join("grantflow"))
        .ok_or_else(|| StoreError::new(StoreFault::Denied, "there is no home directory to keep tokens in"))
}
