//! A folder and the files in it, as far as the standard library goes: no owners, no modes, no descriptors of folders.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use grantflow_core::error::{StoreError, StoreFault};

use super::failed;

/// Who may have access to the file besides its owner. Left to the folder's own rules here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Owner,
    Shared,
}

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder, if there is one.
    pub(crate) fn open(path: &Path, _access: Access) -> Result<Option<Self>, StoreError> {
        match fs::metadata(path) {
            Ok(_) => Ok(Some(Self { path: path.to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("opening", path, &error)),
        }
    }

    /// The folder, which is made if there is none.
    pub(crate) fn make(path: &Path, _access: Access) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|error| failed("making", path, &error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The path of a file in here, for messages.
    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file for reading, if there is one.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<File>, StoreError> {
        let path = self.path_of(name);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Err(StoreError::new(StoreFault::Denied, format!("{}: not a file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("looking at", &path, &error)),
        }
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("opening", &path, &error)),
        }
    }

    /// Opens an empty file to lock, and makes it if there is none.
    pub(crate) fn open_or_make(&self, name: &OsStr) -> Result<File, StoreError> {
        let path = self.path_of(name);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        opened.map_err(|error| failed("opening", &path, &error))
    }

    /// Makes a file that is not there yet.
    pub(crate) fn make_new(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path_of(name))
    }

    /// Leaves the new file's rights to the folder.
    #[expect(clippy::unused_self, reason = "the other systems' folder needs it")]
    pub(crate) fn share_alike(&self, _new: &File, _old: &File) -> io::Result<()> {
        Ok(())
    }

    /// Puts a file in the place of another.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path_of(from), self.path_of(to))
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        let path = self.path_of(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", &path, &error)),
            _ => Ok(()),
        }
    }

    /// Nothing to do: a rename is written through by the system's journal.
    #[expect(clippy::unused_self, reason = "the other systems' folder needs it")]
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// The names of all files in here.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Whether a file is the one that has this name now: an open file cannot be renamed or removed here.
    pub(crate) fn is_named(&self, _file: &File, name: &OsStr) -> io::Result<bool> {
        self.path_of(name).try_exists()
    }
}

/// The folder in which a program is has an empty path when it is the parent of a relative one.
pub(crate) fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
