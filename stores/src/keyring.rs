//! Records in the system's keyring: Secret Service, Windows Credential Manager, macOS Keychain. Feature `keyring`; `keyring-core`
//! is enough for a keyring that the program has opened itself.
//!
//! ```no_run
//! # #[cfg(feature = "keyring")] {
//! use grantflow_stores::KeyringStore;
//! let store = KeyringStore::of_the_system("my-program")?;
//! # }
//! # Ok::<(), grantflow_core::error::StoreError>(())
//! ```
//!
//! Keyrings take short items and know no versions. So a record is cut into pieces, and one more item, the head, says which
//! pieces belong together. Pieces are written beside those in use, every item is read back, and then the head is replaced:
//! whoever is killed on the way leaves the old record in force. Length and checksum in the head tell pieces that do not
//! belong together. Versions are compared under a lock of the kernel, on an empty file where the user's programs keep their
//! state, and claims are such locks too; the runtime folder would not do, since not every session has one.
//!
//! Not here: a way out to plain files. Without a keyring everything fails with
//! [`StoreFault::Unavailable`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, StoreKey, StoreWrite, Stored, Version};
use keyring_core::{CredentialStore, Entry, Error};

use crate::file::claims;
use crate::file::folder::{Access, Folder};
use crate::file::lock::{self, Lock, WRITE_WAIT};
use crate::file::paths;
use crate::{Claimed, Saved, Store};

/// How long a piece is at most. The Windows Credential Manager takes 2560 bytes.
const PIECE: usize = if cfg!(windows) { 2048 } else { 32 * 1024 };

/// How many pieces a record has at most.
const PIECES: usize = 128;

/// How often somebody who reads begins again because somebody else writes.
const ATTEMPTS: usize = 10;

/// Keeps records in a keyring.
///
/// Records of more than 4 MiB are [`StoreFault::TooLarge`] (256 KiB on Windows). It cannot list what it keeps. A call may
/// wait for a person who is asked to unlock the keyring.
#[derive(Clone)]
pub struct KeyringStore {
    keyring: Arc<CredentialStore>,
    service: String,
    lock: Option<PathBuf>,
}

impl KeyringStore {
    /// Keeps records in the keyring of the system, under the name of a program, which people see. Feature `keyring`.
    ///
    /// # Errors
    /// [`StoreFault::Unavailable`] where there is none, for example without a session bus.
    #[cfg(feature = "keyring")]
    pub fn of_the_system(service: &str) -> Result<Self, StoreError> {
        #[cfg(target_os = "macos")]
        let keyring = apple_native_keyring_store::keychain::Store::new();
        #[cfg(windows)]
        let keyring = windows_native_keyring_store::Store::new();
        #[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
        let keyring = zbus_secret_service_keyring_store::Store::new();
        #[cfg(any(target_os = "ios", target_os = "android"))]
        let keyring: Result<Arc<CredentialStore>, Error> = Err(Error::NoDefaultStore);
        Ok(Self::in_keyring(keyring.map_err(|error| failed(&error))?, service))
    }

    /// Keeps records in a keyring that the caller has opened with the crate `keyring-core`.
    pub fn in_keyring(keyring: Arc<CredentialStore>, service: &str) -> Self {
        Self { keyring, service: service.to_owned(), lock: None }
    }

    /// Locks files in this folder instead of the one where the user's programs keep their state. All programs that share the
    /// keyring must lock the same.
    #[must_use]
    pub fn with_lock_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { lock: Some(folder.into()), ..self }
    }

    /// The key of an encrypted file, which is made when there is none under this name.
    #[cfg(feature = "encrypted")]
    pub(crate) fn encryption_key(&self, name: &str) -> Result<Secret<Vec<u8>>, StoreError> {
        let item = self.item(&format!("encryption key {name}"))?;
        let _lock = self.lock()?;
        if let Some(key) = read(&item)? {
            return Ok(key);
        }
        let mut key = vec![0; crate::ENCRYPTION_KEY_LENGTH];
        aws_lc_rs::rand::fill(&mut key)
            .map_err(|_| StoreError::new(StoreFault::Unavailable, "no random bytes for a key"))?;
        let key = Secret::new(key);
        write(&item, key.expose())?;
        Ok(key)
    }

    fn item(&self, user: &str) -> Result<Entry, StoreError> {
        self.keyring.build(&self.service, user, None).map_err(|error| failed(&error))
    }

    fn piece(&self, key: &str, slot: Slot, number: usize) -> Result<Entry, StoreError> {
        // A key's text has two spaces, so none is taken for a piece.
        self.item(&format!("{key} {} {number}", slot.name()))
    }

    fn lock_path(&self) -> Result<PathBuf, StoreError> {
        let folder = match &self.lock {
            Some(folder) => folder.clone(),
            None => paths::user_state()?,
        };
        // Other programs' records have nothing to do with ours.
        let service: String = url_safe(&self.service);
        Ok(folder.join(format!("keyring-{service}")))
    }

    fn lock(&self) -> Result<Lock, StoreError> {
        let (folder, name) = claims::place(&self.lock_path()?)?;
        Lock::take(&Folder::make(&folder, Access::Owner)?, &lock::name_of(&name), WRITE_WAIT)
    }

    fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        let Some(text) = read(&self.item(key)?)? else { return Ok(None) };
        match Head::read(text.expose()) {
            Some(head) => Ok(Some(head)),
            None => Err(corrupt("an item that is not ours under the name of a login")),
        }
    }

    fn stored(&self, key: &str, head: &Head) -> Result<Stored, StoreError> {
        let pieces = (1..=head.pieces).map(|number| {
            read(&self.piece(key, head.slot, number)?)?.ok_or_else(|| corrupt("a piece of a record is gone"))
        });
        let pieces: Vec<Secret<Vec<u8>>> = pieces.collect::<Result<_, _>>()?;
        // Room for all of it at once, so that no half-grown copy is left behind unwiped.
        let mut bytes =
            Vec::with_capacity(pieces.iter().fold(0, |room: usize, piece| room.saturating_add(piece.expose().len())));
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece.expose()));
        let bytes = Secret::new(bytes);
        if (bytes.expose().len(), claims::checksum(bytes.expose())) != (head.length, head.checksum) {
            return Err(corrupt("pieces of different records"));
        }
        Ok(Stored { version: head.version, bytes })
    }

    /// Removes the pieces of a slot, the last one first: they are written the first one first, so there are never gaps, and
    /// none is missed whenever somebody was killed.
    fn clear(&self, key: &str, slot: Slot, from: usize) -> Result<(), StoreError> {
        let mut items = Vec::new();
        for number in from..=PIECES {
            let item = self.piece(key, slot, number)?;
            if read(&item)?.is_none() {
                break;
            }
            items.push(item);
        }
        items.iter().rev().try_for_each(|item| remove(item).map(drop))
    }
}

impl Store for KeyringStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let key = key.to_text();
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let Some(head) = self.head(&key)? else { return Ok(None) };
            match self.stored(&key, &head) {
                Ok(stored) => return Ok(Some(stored)),
                // Somebody may have written meanwhile; then the head is another one now.
                Err(error) if error.fault == StoreFault::Corrupt && before.as_ref() != Some(&head) => {
                    before = Some(head)
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::new(StoreFault::Busy, "the record is written all the time"))
    }

    fn save(&self, write_to: StoreWrite) -> Result<Saved, StoreError> {
        let StoreWrite { key, expected, stored } = write_to;
        let key = key.to_text();
        let pieces: Vec<&[u8]> = stored.bytes.expose().chunks(PIECE).collect();
        if pieces.len() > PIECES {
            return Err(StoreError::new(StoreFault::TooLarge, "more than a keyring is asked to take"));
        }
        let _lock = self.lock()?;
        let there = match self.head(&key).and_then(|head| match head {
            None => Ok(None),
            Some(head) => self.stored(&key, &head).map(|_| Some(head)),
        }) {
            Ok(there) => there,
            Err(error)
                if error.fault == StoreFault::Corrupt && expected == grantflow_core::store::Expected::Anything =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        if !expected.allows(there.as_ref().map(|head| head.version)) {
            return Ok(Saved::Conflict);
        }
        let slot = there.as_ref().map_or(Slot::A, |head| head.slot.other());
        for (number, piece) in (1..).zip(&pieces) {
            write(&self.piece(&key, slot, number)?, piece)?;
        }
        let head = Head {
            version: stored.version,
            slot,
            pieces: pieces.len(),
            length: stored.bytes.expose().len(),
            checksum: claims::checksum(stored.bytes.expose()),
        };
        write(&self.item(&key)?, head.write().as_bytes())?;
        // From here on the record is saved. What is left of the old one is removed by the next save if not now.
        let _ = self.clear(&key, slot, pieces.len().saturating_add(1));
        let _ = self.clear(&key, slot.other(), 1);
        Ok(Saved::Done)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let text = key.to_text();
        let _lock = self.lock()?;
        // What cannot be told to be ours is removed as well: it stands where the login stood.
        remove(&self.item(&text)?)?;
        self.clear(&text, Slot::A, 1)?;
        self.clear(&text, Slot::B, 1)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        claims::claim(&self.lock_path()?, Access::Owner, claim)
    }
}

impl fmt::Debug for KeyringStore {
    /// Keyrings may print what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringStore").field("service", &self.service).finish_non_exhaustive()
    }
}

/// One of two places for the pieces of a record, of which one is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    A,
    B,
}

impl Slot {
    fn name(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }

    fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// What the item under a login's own name says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    version: Version,
    slot: Slot,
    pieces: usize,
    length: usize,
    checksum: u128,
}

impl Head {
    fn write(&self) -> String {
        let Self { version, slot, pieces, length, checksum } = self;
        format!("grantflow 1 {version} {} {pieces} {length} {checksum:032x}", slot.name())
    }

    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.strip_prefix("grantflow 1 ")?.split(' ');
        let version = Version::from_u64(words.next()?.parse().ok()?);
        let slot = match words.next()? {
            "a" => Slot::A,
            "b" => Slot::B,
            _ => return None,
        };
        let pieces = words.next()?.parse().ok().filter(|pieces| *pieces <= PIECES)?;
        let length = words.next()?.parse().ok()?;
        let checksum = u128::from_str_radix(words.next()?, 16).ok()?;
        let head = Self { version, slot, pieces, length, checksum };
        (head.write() == text).then_some(head)
    }
}

fn read(item: &Entry) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
    match item.get_secret() {
        Ok(bytes) => Ok(Some(Secret::new(bytes))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Writes an item and reads it back: some keyrings cut what is too long for them.
fn write(item: &Entry, bytes: &[u8]) -> Result<(), StoreError> {
    item.set_secret(bytes).map_err(|error| failed(&error))?;
    match read(item)? {
        Some(back) if back.matches(bytes) => Ok(()),
        _ => Err(StoreError::new(StoreFault::Unavailable, "the keyring does not give back what was put into it")),
    }
}

/// Removes an item, and says whether there was one.
fn remove(item: &Entry) -> Result<bool, StoreError> {
    match item.delete_credential() {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

fn corrupt(why: &str) -> StoreError {
    StoreError::new(StoreFault::Corrupt, why)
}

/// Some errors carry what was read, so most are told in our own words.
fn failed(error: &Error) -> StoreError {
    let unavailable = |why: &str| StoreError::new(StoreFault::Unavailable, why);
    match error {
        Error::NoStorageAccess(why) => unavailable(&format!("no access to the keyring: {why}")),
        Error::PlatformFailure(why) => unavailable(&format!("the keyring does not work: {why}")),
        Error::TooLong(what, most) => {
            StoreError::new(StoreFault::TooLarge, format!("the keyring takes {most} bytes of {what} at most"))
        }
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => {
            corrupt("the keyring holds something else")
        }
        Error::Ambiguous(_) => corrupt("the keyring holds several items of this name"),
        Error::Invalid(..) | Error::NotSupportedByStore(_) => unavailable("the keyring does not take such items"),
        _ => unavailable("the keyring does not work"),
    }
}

/// A name as part of the name of a file.
fn url_safe(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => char::from(byte).to_string(),
            byte => format!("_{byte:02x}"),
        })
        .collect()
}
