//! Damaged files, which are kept until somebody logs out.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek};

use grantflow_core::error::{StoreError, StoreFault};

use super::failed;
use super::folder::Folder;

/// How many are kept at most.
const MOST: u32 = 100;

/// Copies a damaged file. The original stays until it is replaced, so that there is always one.
pub(crate) fn keep(folder: &Folder, name: &OsStr, mut damaged: &File) -> Result<(), StoreError> {
    let broken = |error: &io::Error| failed("putting aside", &folder.path_of(name), error);
    for number in 1..=MOST {
        let aside = name_of(name, number);
        let mut copy = match folder.make_new(&aside) {
            Ok(copy) => copy,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(broken(&error)),
        };
        let copied = damaged
            .rewind()
            .and_then(|()| io::copy(&mut damaged, &mut copy))
            .and_then(|_| copy.sync_all())
            .and_then(|()| folder.sync());
        if let Err(error) = copied {
            // If even this fails, a logout removes it.
            let _ = folder.remove(&aside);
            return Err(broken(&error));
        }
        return Ok(());
    }
    Err(StoreError::new(StoreFault::Full, format!("{MOST} damaged files are kept already")))
}

/// Whether a file is one of those.
pub(crate) fn is_one(name: &OsStr, other: &OsStr) -> bool {
    (1..=MOST).any(|number| other == name_of(name, number))
}

/// Removes all files of a folder that are such.
pub(crate) fn clear(folder: &Folder, such: impl Fn(&OsStr) -> bool) -> Result<(), StoreError> {
    let names = folder.names().map_err(|error| failed("looking at", &folder.path_of(OsStr::new("")), &error))?;
    names.iter().filter(|name| such(name)).try_for_each(|name| folder.remove(name))
}

fn name_of(name: &OsStr, number: u32) -> OsString {
    let mut aside = name.to_owned();
    aside.push(format!(".corrupt-{number}"));
    aside
}
