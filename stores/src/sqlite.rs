//! Records in a table of an SQLite database. Feature `sqlite`.
//!
//! The database is a file of its own, judged and locked as that of [`FileStore`](crate::FileStore) is, for its owner alone. SQLite is
//! compiled in. Each call opens the file anew, so what others do to it is noticed, and each write is one transaction that is
//! brought to the disk, its folder included. What is deleted is overwritten; the file itself stays, since somebody may have it
//! open.
//!
//! Not here: a table in a database of your own. Implement [`Store`] for that; it is three statements.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, Listed, RECORD_LIMIT, StoreKey, StoreWrite, Stored, Version};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::file::folder::{Access, Folder};
use crate::file::lock::{self, Lock, WRITE_WAIT};
use crate::file::{aside, claims, failed as file_failed, records};
use crate::{Claimed, Saved, Store};

/// The schema that is written, kept as `user_version`. A newer one is refused.
const SCHEMA: i64 = 1;

/// How long to wait for others who write.
const BUSY: Duration = Duration::from_secs(10);

/// The folder is brought to the disk too; what is deleted is overwritten.
const SETTINGS: &str =
    "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY";
const CREATE: &str = "BEGIN; CREATE TABLE records \
    (key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT; PRAGMA user_version = 1; COMMIT";
const LOAD: &str = "SELECT version, bytes FROM records WHERE key = ?1";
const VERSION: &str = "SELECT version FROM records WHERE key = ?1";
const SAVE: &str = "INSERT INTO records (key, version, bytes) VALUES (?1, ?2, ?3) \
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes";
const DELETE: &str = "DELETE FROM records WHERE key = ?1";
const LIST: &str = "SELECT key, version FROM records ORDER BY key";

/// Keeps records in an SQLite database.
///
/// A damaged database is an error and stays as it is; a login puts it aside as `NAME.corrupt-1` first.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    path: PathBuf,
    access: Access,
}

impl SqliteStore {
    /// Keeps records in the database at `path`. It and the folders above it are made when something is saved.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), access: Access::Owner }
    }

    /// Takes a file, and a folder, that others may read or write or that belong to somebody else. Links are refused all the
    /// same.
    #[must_use]
    pub fn dangerous_allow_shared_file(self) -> Self {
        Self { access: Access::Shared, ..self }
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn folder(&self) -> Result<(Option<Folder>, OsString), StoreError> {
        let (folder, name) = claims::place(&self.path)?;
        Ok((Folder::open(&folder, self.access)?, name))
    }

    /// The database, if there is one.
    fn open(&self) -> Result<Option<Connection>, StoreError> {
        let (folder, name) = self.folder()?;
        let Some(folder) = folder else { return Ok(None) };
        match folder.read(&name)? {
            Some(_) => self.connect().map(Some),
            None => Ok(None),
        }
    }

    /// The database, which is made if there is none: beside its place, so that an empty file there is always a damaged one.
    fn make(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.open()? {
            return Ok(connection);
        }
        let (folder, name) = claims::place(&self.path)?;
        let folder = Folder::make(&folder, self.access)?;
        let _lock = Lock::take(&folder, &lock::name_of(&name), WRITE_WAIT)?;
        self.make_locked(&folder, &name)
    }

    fn make_locked(&self, folder: &Folder, name: &OsStr) -> Result<Connection, StoreError> {
        if folder.read(name)?.is_none() {
            aside::clear(folder, |other| records::is_leftover(name, other))?;
            // For its owner alone from the start; SQLite gives its journal the same rights.
            let (temporary, _) = records::make_temporary(folder, name)?;
            let made = create(&folder.path_of(&temporary)).map_err(|error| failed(&error)).and_then(|()| {
                folder.rename(&temporary, name).map_err(|error| file_failed("making", &self.path, &error))
            });
            if let Err(error) = made {
                let _ = folder.remove(&temporary);
                return Err(error);
            }
            folder.sync().map_err(|error| file_failed("writing the folder of", &self.path, &error))?;
        }
        self.connect()
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = connect(&self.path)?;
            let schema: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
            Ok((connection, schema))
        };
        let (connection, schema) = open().map_err(|error| failed(&error))?;
        match schema {
            ..SCHEMA => Err(StoreError::new(StoreFault::Corrupt, "the database holds something else")),
            SCHEMA => Ok(connection),
            _ => {
                Err(StoreError::new(StoreFault::Newer, "the database was written by a newer version of this software"))
            }
        }
    }

    fn save_in(&self, connection: Result<Connection, StoreError>, write: &StoreWrite) -> Result<Saved, StoreError> {
        let key = write.key.to_text();
        let version = i64::try_from(write.stored.version.as_u64())
            .map_err(|_| StoreError::new(StoreFault::TooLarge, "a version beyond 63 bits"))?;
        let mut connection = connection?;
        let mut save = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let found = transaction.query_row(VERSION, [&key], |row| version_of(row.get(0)?)).optional()?;
            if !write.expected.allows(found) {
                return Ok(Saved::Conflict);
            }
            transaction.execute(SAVE, (&key, version, write.stored.bytes.expose()))?;
            transaction.commit()?;
            Ok(Saved::Done)
        };
        save().map_err(|error| failed(&error))
    }

    /// Puts the damaged database aside, unless somebody else has done so already, and makes a new one.
    fn start_anew(&self, write: &StoreWrite) -> Result<Saved, StoreError> {
        let (Some(folder), name) = self.folder()? else { return self.save_in(self.make(), write) };
        let _lock = Lock::take(&folder, &lock::name_of(&name), WRITE_WAIT)?;
        match self.save_in(self.make_locked(&folder, &name), write) {
            Err(error) if error.fault == StoreFault::Corrupt => {}
            saved => return saved,
        }
        if let Some(damaged) = folder.read(&name)? {
            aside::keep(&folder, &name, &damaged)?;
        }
        self.remove(&folder, &name)?;
        self.save_in(self.make_locked(&folder, &name), write)
    }

    /// Removes the database. Its journal goes first: it must not be played into a new one.
    fn remove(&self, folder: &Folder, name: &OsStr) -> Result<(), StoreError> {
        for end in ["-journal", "-wal", "-shm", ""] {
            let mut name = name.to_owned();
            name.push(end);
            folder.remove(&name)?;
        }
        folder.sync().map_err(|error| file_failed("writing the folder of", &self.path, &error))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(SETTINGS)?;
    Ok(connection)
}

/// Makes the table in an empty file that nobody else knows of.
fn create(path: &Path) -> rusqlite::Result<()> {
    let connection = connect(path)?;
    // A journal in a file of its own would be left behind by a crash.
    connection.execute_batch("PRAGMA journal_mode = MEMORY")?;
    connection.execute_batch(CREATE)?;
    connection.close().map_err(|(_, error)| error)
}

fn version_of(number: i64) -> rusqlite::Result<Version> {
    u64::try_from(number).map(Version::from_u64).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

impl Store for SqliteStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let Some(connection) = self.open()? else { return Ok(None) };
        let found = connection.query_row(LOAD, [key.to_text()], |row| {
            Ok(Stored { version: version_of(row.get(0)?)?, bytes: Secret::new(row.get(1)?) })
        });
        found.optional().map_err(|error| failed(&error))
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        if write.stored.bytes.expose().len() > RECORD_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "a record of more than 4 MiB"));
        }
        match self.save_in(self.make(), &write) {
            Err(error) if error.fault == StoreFault::Corrupt && write.expected == Expected::Anything => {
                self.start_anew(&write)
            }
            saved => saved,
        }
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let (Some(folder), name) = self.folder()? else { return Ok(()) };
        let deleted = self.open().and_then(|connection| match connection {
            None => Ok(()),
            Some(connection) => connection.execute(DELETE, [key.to_text()]).map(drop).map_err(|error| failed(&error)),
        });
        match deleted {
            Ok(()) => {}
            // The record may be in it, and cannot be taken out.
            Err(error) if error.fault == StoreFault::Corrupt => {
                let _lock = Lock::take(&folder, &lock::name_of(&name), WRITE_WAIT)?;
                self.remove(&folder, &name)?;
            }
            Err(error) => return Err(error),
        }
        aside::clear(&folder, |other| aside::is_one(&name, other))?;
        Lock::remove(&folder, &claims::name_of(&name, &key.to_text()))?;
        Lock::remove(&folder, &lock::name_of(&name))?;
        Ok(())
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        claims::claim(&self.path, self.access, claim)
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let Some(connection) = self.open()? else { return Ok(Vec::new()) };
        let read = || {
            let mut statement = connection.prepare(LIST)?;
            let rows = statement.query_map((), |row| Ok((row.get::<_, String>(0)?, version_of(row.get(1)?)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|error| failed(&error))?;
        let listed = rows.into_iter().map(|(text, version)| {
            let key = StoreKey::from_text(&text);
            let key =
                key.ok_or_else(|| StoreError::new(StoreFault::Corrupt, "a record under a name that is no key"))?;
            Ok(Listed { key, version })
        });
        listed.collect()
    }
}

/// What an error of SQLite means to whoever keeps tokens. Only the kind is told: messages may quote.
fn failed(error: &rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return StoreError::new(StoreFault::Corrupt, "the database holds something else");
    };
    let fault = match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreFault::Busy,
        ErrorCode::DiskFull => StoreFault::Full,
        ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen => StoreFault::Denied,
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::TypeMismatch
        | ErrorCode::ConstraintViolation => StoreFault::Corrupt,
        // Statements that do not fit the tables: a database of something else.
        ErrorCode::Unknown if failure.extended_code == 1 => StoreFault::Corrupt,
        ErrorCode::TooBig => StoreFault::TooLarge,
        _ => StoreFault::Unavailable,
    };
    StoreError::new(fault, failure.to_string())
}
