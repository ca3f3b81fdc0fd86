//! Locks of the kernel, on empty files. They end with their holder, however it ends.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::error::{StoreError, StoreFault};

use super::failed;
use super::folder::Folder;

/// How long after a lock is let go somebody who waits for it notices, at most.
const POLL: Duration = Duration::from_millis(10);

/// How long somebody who writes waits for another one who writes. A write takes milliseconds.
pub(crate) const WRITE_WAIT: Duration = Duration::from_secs(10);

/// The name of the file that is locked by whoever writes to another one.
pub(crate) fn name_of(file: &OsStr) -> OsString {
    let mut name = file.to_owned();
    name.push(".lock");
    name
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the file of this name, which is made if there is none. Waits for others so long.
    pub(crate) fn take(folder: &Folder, name: &OsStr, wait: Duration) -> Result<Self, StoreError> {
        let began = Instant::now();
        loop {
            if let Some(lock) = Self::attempt(folder, name)? {
                return Ok(lock);
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(StoreError::new(StoreFault::Busy, format!("{} is locked", folder.path_of(name).display())));
            }
            thread::sleep(POLL.min(left));
        }
    }

    /// Removes the file of this name with the lock held. `false`, and nothing is done, if somebody else holds it.
    pub(crate) fn remove(folder: &Folder, name: &OsStr) -> Result<bool, StoreError> {
        if folder.read(name)?.is_none() {
            return Ok(true);
        }
        match Self::attempt(folder, name)? {
            // It is let go only after the name is gone, so whoever gets it then sees that it is no longer the one.
            Some(_held) => folder.remove(name).map(|()| true),
            None => Ok(false),
        }
    }

    fn attempt(folder: &Folder, name: &OsStr) -> Result<Option<Self>, StoreError> {
        let broken = |error: &io::Error| failed("locking", &folder.path_of(name), error);
        loop {
            let file = folder.open_or_make(name)?;
            if !try_lock(&file).map_err(|error| broken(&error))? {
                return Ok(None);
            }
            // Its last holder may have removed it just before.
            if !folder.is_named(&file, name).map_err(|error| broken(&error))? {
                continue;
            }
            // On a file system that only pretends to lock, everybody gets every lock.
            let second = folder.open_or_make(name)?;
            if try_lock(&second).map_err(|error| broken(&error))? {
                if !folder.is_named(&file, name).map_err(|error| broken(&error))? {
                    continue;
                }
                let what = format!("locks do not work where {} is", folder.path_of(name).display());
                return Err(StoreError::new(StoreFault::Unavailable, what));
            }
            return Ok(Some(Self { _file: file }));
        }
    }
}

/// Whether the lock was free.
fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
