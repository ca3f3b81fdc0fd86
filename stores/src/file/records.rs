//! What is done with the file, whatever form its records have.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, Listed, RECORD_LIMIT, StoreKey, StoreWrite, Stored, Version};

use super::aside;
use super::claims;
use super::document::{self, DOCUMENT_LIMIT, Document};
use super::failed;
use super::folder::{Access, Folder};
use super::lock::{self, Lock, WRITE_WAIT};
use crate::{Claimed, Saved};

/// The form that a record has in the file: one JSON object with a member `version`.
#[derive(Clone, Debug)]
pub(crate) enum Coding {
    /// A person can read it.
    Plain,
    /// Only the owner of the key can.
    #[cfg(feature = "encrypted")]
    Sealed(crate::encrypted::Sealed),
}

#[cfg_attr(not(feature = "encrypted"), expect(unused_variables, reason = "what can be read is not bound to its key"))]
impl Coding {
    fn write(&self, key: &str, stored: &Stored) -> Result<Secret<Vec<u8>>, StoreError> {
        match self {
            Coding::Plain => Ok(document::plain(stored.version, stored.bytes.expose())),
            #[cfg(feature = "encrypted")]
            Coding::Sealed(sealed) => sealed.write(key, stored),
        }
    }

    /// Reads what was written.
    fn read(&self, key: &str, version: Version, text: &str) -> Result<Stored, StoreError> {
        match self {
            Coding::Plain => {
                let bytes = document::read_plain(text);
                let strange = || StoreError::new(StoreFault::Corrupt, "a record that is not written as records are");
                Ok(Stored { version, bytes: bytes.ok_or_else(strange)? })
            }
            #[cfg(feature = "encrypted")]
            Coding::Sealed(sealed) => sealed.read(key, version, text),
        }
    }
}

/// Records in a file.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    path: PathBuf,
    access: Access,
    coding: Coding,
}

/// The file that is there.
struct Kept {
    file: File,
    /// Its bytes, or why they are not worth reading.
    bytes: Result<Secret<Vec<u8>>, StoreError>,
}

impl Kept {
    fn document(&self) -> Result<Document<'_>, StoreError> {
        self.bytes.as_ref().map_err(Clone::clone).and_then(|bytes| Document::parse(bytes.expose()))
    }
}

impl Records {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, access: Access::Owner, coding: Coding::Plain }
    }

    #[cfg(feature = "encrypted")]
    pub(crate) fn coded(self, coding: Coding) -> Self {
        Self { coding, ..self }
    }

    pub(crate) fn shared(self) -> Self {
        Self { access: Access::Shared, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let (folder, name) = claims::place(&self.path)?;
        let Some(folder) = Folder::open(&folder, self.access)? else { return Ok(None) };
        let Some(kept) = self.kept(&folder, &name)? else { return Ok(None) };
        self.record(&kept.document()?, &key.to_text())
    }

    pub(crate) fn save(&self, write: &StoreWrite) -> Result<Saved, StoreError> {
        if write.stored.bytes.expose().len() > RECORD_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "a record of more than 4 MiB"));
        }
        let key = write.key.to_text();
        let text = self.coding.write(&key, &write.stored)?;
        let text = std::str::from_utf8(text.expose())
            .map_err(|_| StoreError::new(StoreFault::Unavailable, "a record that was written as no text"))?;
        let (folder, name) = claims::place(&self.path)?;
        let folder = Folder::make(&folder, self.access)?;
        let _lock = Lock::take(&folder, &lock::name_of(&name), WRITE_WAIT)?;
        let kept = self.kept(&folder, &name)?;
        let mut damaged = false;
        let mut forgive = |error: StoreError| match (error.fault, write.expected) {
            (StoreFault::Corrupt, Expected::Anything) => {
                damaged = true;
                Ok(())
            }
            _ => Err(error),
        };
        let mut document = match kept.as_ref().map(Kept::document) {
            None => Document::empty(),
            Some(Ok(document)) => document,
            Some(Err(error)) => forgive(error).map(|()| Document::empty())?,
        };
        let found = match self.record(&document, &key) {
            Ok(found) => found,
            Err(error) => forgive(error).map(|()| None)?,
        };
        if !write.expected.allows(found.map(|found| found.version)) {
            return Ok(Saved::Conflict);
        }
        aside::clear(&folder, |left| is_leftover(&name, left))?;
        if let (true, Some(kept)) = (damaged, &kept) {
            aside::keep(&folder, &name, &kept.file)?;
        }
        document.put(&key, text);
        self.replace(&folder, &name, kept.as_ref().map(|kept| &kept.file), &document)?;
        Ok(Saved::Done)
    }

    pub(crate) fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let key = key.to_text();
        let (folder, name) = claims::place(&self.path)?;
        let Some(folder) = Folder::open(&folder, self.access)? else { return Ok(()) };
        let lock_name = lock::name_of(&name);
        let held = Lock::take(&folder, &lock_name, WRITE_WAIT)?;
        let kept = self.kept(&folder, &name)?;
        let left = match kept.as_ref().map(Kept::document) {
            None => None,
            Some(Ok(mut document)) => {
                let removed = document.remove(&key);
                if removed && !document.is_empty() {
                    self.replace(&folder, &name, kept.as_ref().map(|kept| &kept.file), &document)?;
                }
                (!document.is_empty()).then_some(())
            }
            // The record may be in it, and cannot be taken out.
            Some(Err(error)) if error.fault == StoreFault::Corrupt => None,
            Some(Err(error)) => return Err(error),
        };
        aside::clear(&folder, |other| is_leftover(&name, other) || aside::is_one(&name, other))?;
        if left.is_none() {
            folder.remove(&name)?;
        }
        Lock::remove(&folder, &claims::name_of(&name, &key))?;
        if left.is_none() {
            folder.remove(&lock_name)?;
        }
        folder.sync().map_err(|error| self.failed("writing", &error))?;
        drop(held);
        Ok(())
    }

    pub(crate) fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        claims::claim(&self.path, self.access, claim)
    }

    pub(crate) fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let (folder, name) = claims::place(&self.path)?;
        let Some(folder) = Folder::open(&folder, self.access)? else { return Ok(Vec::new()) };
        let Some(kept) = self.kept(&folder, &name)? else { return Ok(Vec::new()) };
        let document = kept.document()?;
        let listed = document.keys().filter_map(|text| document.record(text).map(|record| (text, record)));
        let listed = listed.map(|(text, record)| {
            let key = StoreKey::from_text(text);
            let key =
                key.ok_or_else(|| StoreError::new(StoreFault::Corrupt, "a record under a name that is no key"))?;
            Ok(Listed { key, version: record?.0 })
        });
        listed.collect()
    }

    fn record(&self, document: &Document<'_>, key: &str) -> Result<Option<Stored>, StoreError> {
        let Some(record) = document.record(key) else { return Ok(None) };
        let (version, text) = record?;
        self.coding.read(key, version, text).map(Some)
    }

    fn kept(&self, folder: &Folder, name: &OsStr) -> Result<Option<Kept>, StoreError> {
        let Some(mut file) = folder.read(name)? else { return Ok(None) };
        let length = file.metadata().map_err(|error| self.failed("looking at", &error))?.len();
        let Some(room) = usize::try_from(length).ok().filter(|length| *length <= DOCUMENT_LIMIT) else {
            let why = StoreError::new(StoreFault::Corrupt, "the file is larger than 64 MiB");
            return Ok(Some(Kept { file, bytes: Err(why) }));
        };
        let bytes = read_all(&mut file, length, room).map_err(|error| self.failed("reading", &error))?;
        Ok(Some(Kept { file, bytes: Ok(bytes) }))
    }

    /// Puts a new file in the place of the old one.
    fn replace(&self, folder: &Folder, name: &OsStr, old: Option<&File>, new: &Document<'_>) -> Result<(), StoreError> {
        let bytes = new.write();
        if bytes.expose().len() > DOCUMENT_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "all records together have more than 64 MiB"));
        }
        let (temporary, mut file) = make_temporary(folder, name)?;
        let written = old
            .map_or(Ok(()), |old| folder.share_alike(&file, old))
            .and_then(|()| file.write_all(bytes.expose()))
            .and_then(|()| file.sync_all())
            .and_then(|()| folder.rename(&temporary, name));
        if let Err(error) = written {
            // If even this fails, the next one who writes removes it.
            let _ = folder.remove(&temporary);
            return Err(self.failed("writing", &error));
        }
        folder.sync().map_err(|error| self.failed("writing the folder of", &error))
    }

    fn failed(&self, doing: &str, error: &io::Error) -> StoreError {
        failed(doing, &self.path, error)
    }
}

/// Reads a file into room for all of it, so that no half-grown copy is left behind unwiped.
fn read_all(file: &mut File, length: u64, room: usize) -> io::Result<Secret<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(room);
    let read = file.take(length).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map(|_| bytes)
}

/// Makes a new file beside another one.
pub(crate) fn make_temporary(folder: &Folder, name: &OsStr) -> Result<(OsString, File), StoreError> {
    // Each state is seeded anew from the system's random source: nobody has this name, or only who wants to be in the way.
    let temporary = temporary_of(name, RandomState::new().hash_one(std::process::id()));
    match folder.make_new(&temporary) {
        Ok(file) => Ok((temporary, file)),
        Err(error) => Err(failed("making a new file beside", &folder.path_of(name), &error)),
    }
}

fn temporary_of(name: &OsStr, number: u64) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{number:016x}.tmp"));
    temporary
}

/// Whether a file is one that a save has left behind when it was killed.
pub(crate) fn is_leftover(name: &OsStr, other: &OsStr) -> bool {
    let middle =
        other.as_encoded_bytes().strip_prefix(b".").and_then(|rest| rest.strip_prefix(name.as_encoded_bytes()));
    let number = middle.and_then(|rest| rest.strip_prefix(b".")).and_then(|rest| rest.strip_suffix(b".tmp"));
    number.is_some_and(|number| number.len() == 16 && number.iter().all(|byte| b"0123456789abcdef".contains(byte)))
}
