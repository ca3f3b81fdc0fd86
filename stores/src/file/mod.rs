//! Records in one readable file of the user's, for programs that run one after the other or side by side.
//!
//! ```
//! use grantflow_core::Secret;
//! use grantflow_core::store::{Expected, StoreKey, StoreWrite, Stored, Version};
//! use grantflow_stores::{FileStore, Saved, Store};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("state/tokens.json");
//! let store = FileStore::at(&path);
//! let key = StoreKey::of("https://as.example", "my-client", "default")?;
//! let stored = Stored { version: Version::from_u64(7), bytes: Secret::new(b"{}".to_vec()) };
//! let saved = store.save(StoreWrite { key: key.clone(), expected: Expected::Absent, stored })?;
//! assert_eq!(saved, Saved::Done);
//! assert_eq!(store.load(&key)?.unwrap().version, Version::from_u64(7));
//! store.delete(&key)?;
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A save writes a new file beside the old one, brings it to the disk, renames it over the old one and brings the folder to
//! the disk. Whoever reads, or comes after a crash, finds the old file or the new one, whole. A lock of the kernel on a
//! file beside it lets one program at a time read, merge and write, so that two logins under different names both survive.
//!
//! On Unix the file is for its owner alone from the moment it exists. One that is not, or that is a link, is refused before a
//! byte is read: it may have been read, or put there, by somebody else. Folders further up than the file's own are not
//! judged. On other systems the file is as private as its folder.
//!
//! Not here: file systems on which programs of several machines meet. Where locks work within one machine only, that cannot
//! be seen; where they do not work at all, it is.

pub(crate) mod aside;
pub(crate) mod claims;
pub(crate) mod document;
#[cfg_attr(unix, path = "folder_unix.rs")]
#[cfg_attr(not(unix), path = "folder_other.rs")]
pub(crate) mod folder;
pub(crate) mod lock;
pub(crate) mod paths;
pub(crate) mod records;

use std::io;
use std::path::{Path, PathBuf};

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Listed, StoreKey, StoreWrite, Stored};

use crate::{Claimed, Saved, Store};
use records::Records;

/// Keeps records in a JSON file.
///
/// The file is read anew by every call, so what other programs have written, replaced or deleted is noticed. A damaged
/// file is an error and stays as it is; a write that expects [`Anything`](grantflow_core::store::Expected::Anything), which
/// is a login, puts it aside as `NAME.corrupt-1` first. [`delete`](Store::delete) removes what was put aside too, and the file
/// itself when nothing is left in it.
///
/// When only the folder could not be brought to the disk at the end of a save, an error is returned although the new record
/// is in place: whoever loads it finds it, and only a power failure could bring the old one back.
///
/// A claim needs no lease: the kernel frees it when its holder dies.
///
/// With the feature `encrypted`, `encrypted` seals the records.
#[derive(Clone, Debug)]
pub struct FileStore(pub(crate) Records);

impl FileStore {
    /// Keeps records in the file at `path`. The file and the folders above it are made when something is saved.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(Records::at(path.into()))
    }

    /// Keeps records where programs of this user keep their state: `$XDG_STATE_HOME/grantflow/tokens.json`, or
    /// `~/.local/state/grantflow/tokens.json`.
    ///
    /// # Errors
    /// [`StoreFault::Denied`] when there is no home directory.
    pub fn in_user_state() -> Result<Self, StoreError> {
        paths::user_state().map(|folder| Self::at(folder.join("tokens.json")))
    }

    /// Keeps records where programs expect them that replace whatever suffix a path has by `.json`: `token.txt` becomes
    /// `token.json`, `a.b.c` becomes `a.b.json`. `None` for an empty path, which for them means no file at all.
    pub fn with_json_suffix(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        (!path.as_os_str().is_empty()).then(|| Self::at(path.with_extension("json")))
    }

    /// Takes a file, and a folder, that others may read or write or that belong to somebody else. Whoever may write there
    /// may exchange the tokens. Links are refused all the same.
    #[must_use]
    pub fn dangerous_allow_shared_file(self) -> Self {
        Self(self.0.shared())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Store for FileStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.0.load(key)
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        self.0.save(&write)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.0.delete(key)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        self.0.claim(claim)
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.0.list()
    }
}

/// What an error of the operating system means to whoever keeps tokens.
pub(crate) fn failed(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    let fault = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreFault::Full,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory => StoreFault::Denied,
        _ => StoreFault::Unavailable,
    };
    StoreError::new(fault, format!("{doing} {}: {error}", path.display()))
}
