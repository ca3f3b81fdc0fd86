//! A folder held open, and the files in it. Everything is judged on open descriptors and done relative to them, so that
//! nobody can exchange a path between the look and the deed (CVE-2025-46327).

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use grantflow_core::error::{StoreError, StoreFault};
use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::failed;

/// Who may have access to the file besides its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Owner,
    Shared,
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    file: File,
    path: PathBuf,
    access: Access,
}

/// For its owner alone.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

impl Folder {
    /// Opens a folder, if there is one.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Option<Self>, StoreError> {
        match open_folder(path) {
            Ok(file) => Self::judged(file, path, access).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("opening", path, &error.into())),
        }
    }

    /// Opens a folder, and makes it and those above it if there are none.
    pub(crate) fn make(path: &Path, access: Access) -> Result<Self, StoreError> {
        let mut missing = Vec::new();
        for path in path.ancestors().map(here) {
            match open_folder(path) {
                Ok(_) => break,
                Err(Errno::NOENT) => missing.push(path),
                Err(error) => return Err(failed("opening", path, &error.into())),
            }
        }
        for path in missing.into_iter().rev() {
            make_folder(path).map_err(|error| failed("making", path, &error))?;
        }
        let file = open_folder(path).map_err(|error| failed("opening", path, &error.into()))?;
        Self::judged(file, path, access)
    }

    fn judged(file: File, path: &Path, access: Access) -> Result<Self, StoreError> {
        let about = file.metadata().map_err(|error| failed("looking at", path, &error))?;
        let denied = |why| Err(StoreError::new(StoreFault::Denied, format!("{}: {why}", path.display())));
        match access {
            Access::Shared => {}
            Access::Owner if ![own(), 0].contains(&about.uid()) => {
                return denied("the folder belongs to somebody else");
            }
            Access::Owner if about.mode() & 0o022 != 0 => return denied("others may write to the folder"),
            Access::Owner => {}
        }
        Ok(Self { file, path: path.to_owned(), access })
    }

    /// The path of a file in here, for messages.
    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file for reading, if there is one.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<File>, StoreError> {
        // A pipe in its place must not make anybody wait.
        match self.open_file(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => self.judge(&file, name, self.access).map(|()| Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.not_opened(name, error)),
        }
    }

    /// Opens an empty file to lock, and makes it if there is none.
    pub(crate) fn open_or_make(&self, name: &OsStr) -> Result<File, StoreError> {
        loop {
            match self.open_file(name, OFlags::RDWR | OFlags::NONBLOCK) {
                Ok(file) => return self.judge(&file, name, self.access).map(|()| file),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.not_opened(name, error)),
            }
            match self.make_new(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map_err(|error| failed("making", &self.path_of(name), &error)),
            }
        }
    }

    /// Makes a file that is not there yet, for its owner alone.
    pub(crate) fn make_new(&self, name: &OsStr) -> io::Result<File> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        // The process may have masked even the owner's rights.
        if file.metadata()?.mode() & 0o777 != PRIVATE_FILE {
            file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
        }
        Ok(file)
    }

    /// Gives a new file to those whom the old one was shared with, where that is allowed.
    pub(crate) fn share_alike(&self, new: &File, old: &File) -> io::Result<()> {
        let (new_is, old_is) = (new.metadata()?, old.metadata()?);
        if self.access == Access::Owner {
            return Ok(());
        }
        // The same rights for another group would be other people's.
        let same = new_is.gid() == old_is.gid()
            || retry_on_intr(|| rustix::fs::fchown(new, None, Some(Gid::from_raw(old_is.gid())))).is_ok();
        let mask = if same { 0o666 } else { 0o606 };
        new.set_permissions(Permissions::from_mode(old_is.mode() & mask | PRIVATE_FILE))
    }

    /// Puts a file in the place of another, at once.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::renameat(&self.file, from, &self.file, to))?)
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        match retry_on_intr(|| rustix::fs::unlinkat(&self.file, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("removing", &self.path_of(name), &error.into())),
        }
    }

    /// Brings the names in here to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        sync_folder(&self.file)
    }

    /// The names of all files in here.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = retry_on_intr(|| Dir::read_from(&self.file))?;
        let names = entries.map(|entry| Ok(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned()));
        names.collect()
    }

    /// Whether a file is the one that has this name now.
    pub(crate) fn is_named(&self, file: &File, name: &OsStr) -> io::Result<bool> {
        let about = file.metadata()?;
        match self.open_file(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(named) => {
                let named = named.metadata()?;
                Ok((named.dev(), named.ino()) == (about.dev(), about.ino()))
            }
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn open_file(&self, name: &OsStr, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(&self.file, name, flags, Mode::from_raw_mode(PRIVATE_FILE))).map(File::from)
    }

    fn judge(&self, file: &File, name: &OsStr, access: Access) -> Result<(), StoreError> {
        let path = self.path_of(name);
        let about = file.metadata().map_err(|error| failed("looking at", &path, &error))?;
        match flaw(&about, access) {
            None => Ok(()),
            Some(why) => Err(StoreError::new(StoreFault::Denied, format!("{}: {why}", path.display()))),
        }
    }

    fn not_opened(&self, name: &OsStr, error: Errno) -> StoreError {
        let path = self.path_of(name);
        match error {
            // What a link that is not followed gives: on most systems, on FreeBSD.
            Errno::LOOP | Errno::MLINK => {
                StoreError::new(StoreFault::Denied, format!("{}: a symbolic link", path.display()))
            }
            error => failed("opening", &path, &error.into()),
        }
    }
}

/// Why a file is none to keep tokens in.
fn flaw(about: &Metadata, access: Access) -> Option<&'static str> {
    if !about.is_file() {
        return Some("not a file");
    }
    if about.nlink() > 1 {
        return Some("the file has a second name (a hard link)");
    }
    match access {
        Access::Shared => None,
        Access::Owner if about.uid() != own() => Some("the file belongs to somebody else"),
        Access::Owner if about.mode() & 0o077 != 0 => Some("others have rights to the file; it must have the mode 600"),
        Access::Owner => None,
    }
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folder in which a program is has an empty path when it is the parent of a relative one.
pub(crate) fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn open_folder(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty())).map(File::from)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::mkdir(path, Mode::from_raw_mode(PRIVATE_FOLDER))) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let made = open_folder(path);
    // The process may have masked even the owner's rights.
    match made {
        Ok(made) if made.metadata()?.mode() & 0o777 == PRIVATE_FOLDER => {}
        _ => std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))?,
    }
    match path.parent() {
        Some(above) => sync_folder(&open_folder(here(above))?),
        None => Ok(()),
    }
}

fn sync_folder(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        // Some file systems have nothing to bring to the disk there.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}
