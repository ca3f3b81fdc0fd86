//! Records in Postgres, for programs on many machines that share a database. Feature `postgres`.
//!
//! One row a record, in the table `grantflow_tokens (key, version, record, updated_at)`, which the first save makes if it
//! may. Values travel as bound parameters only; the table's name is checked, nothing else is put into a statement. A save
//! is one statement that names the version it replaces. A claim is an advisory lock of a session: it ends with the
//! connection, so at once if its process dies, and from version 14 on also when the lease is over without a word.
//!
//! If a connection is lost while a save is on its way, nobody knows whether it was carried out. The save is then
//! repeated on a new connection, where it is done only if the version is still the expected one, and a refusal is looked
//! at again: if what stands there is this very record, it was carried out the first time. At most three attempts.
//!
//! What scales: each call is one round trip by primary key. At most [`CONNECTIONS`] connections are open for calls, and
//! [`CLAIMS`] for claims, held or waited for; more callers wait. A pooler between must keep sessions (`session` mode).
//! A program with a thread more: the client library is asynchronous, so it runs on a thread of the store's own. Calls
//! therefore block wherever they are made, in asynchronous code too, and never panic there.
//!
//! What is lost when the server is away: time. A call takes 2 s to connect and 5 s for an answer at most, 14 s with all
//! attempts, and ends with [`StoreFault::Unavailable`]; tokens in memory work on, and the next call after the server's
//! return finds it. With `synchronous_commit = off`, or a failover to a replica that was behind, the server itself may
//! lose what it promised; the version tells, as [`Saved::Conflict`]. After a failover the URL should find the new primary:
//! `host=a,b` with `target_session_attrs=read-write`.
//!
//! TLS needs the feature `postgres-tls` and `sslmode=require`, which checks certificates by the system's roots. Copies in
//! the buffers of the client library are not wiped.

mod sessions;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::error::{ConfigError, Error, StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, Listed, RECORD_LIMIT, StoreKey, StoreWrite, Stored, Version};
use tokio_postgres::types::Type;
use tokio_postgres::{Config, Row};

use crate::{Claimed, Saved, Store};
use sessions::{Failure, Parameter, Session, Sessions};

pub use sessions::{CLAIMS, CONNECTIONS};

/// How often a statement is tried.
const ATTEMPTS: u32 = 3;

/// Keeps records in a Postgres database. Clones share the connections.
///
/// ```no_run
/// use grantflow_stores::PostgresStore;
/// let store = PostgresStore::connect("postgres://user:password@127.0.0.1/app")?.with_table("auth.tokens")?;
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    thread: Arc<Thread>,
    sessions: Arc<Sessions>,
    table: Arc<Table>,
}

/// The thread that talks to the server. It ends with the last store and the last claim.
struct Thread {
    runtime: tokio::runtime::Handle,
    _ends_when_dropped: tokio::sync::oneshot::Sender<()>,
}

/// A checked name, and the statements with it.
struct Table {
    name: String,
    load: String,
    is_there: String,
    insert: String,
    replace: String,
    put: String,
    put_again: String,
    delete: String,
    list: String,
    create: String,
}

impl PostgresStore {
    /// Remembers the server's URL, and starts the thread that will talk to it; the first call connects.
    ///
    /// `postgres://user:password@host:5432/database?sslmode=require`, or `host=… user=…`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], without the URL; [`StoreFault::Unavailable`] when no thread can be started.
    pub fn connect(url: &str) -> Result<Self, Error> {
        let why = "is not the URL of a Postgres database, or needs the feature postgres-tls";
        let invalid = ConfigError::Invalid { setting: "Postgres URL", why };
        let config: Config = url.parse().map_err(|_| invalid.clone())?;
        let sessions = Sessions::new(config, Duration::from_secs(2), Duration::from_secs(5)).ok_or(invalid)?;
        let thread = Thread::start().ok_or_else(|| unavailable("no thread can be started"))?;
        let table = Table::new("grantflow_tokens").ok_or(Error::Bug("a table's name"))?;
        Ok(Self { thread: Arc::new(thread), sessions: Arc::new(sessions), table: Arc::new(table) })
    }

    /// Keeps records in another table, `name` or `schema.name`, of lower-case letters, digits and `_`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn with_table(self, name: &str) -> Result<Self, Error> {
        let why = "must be one or two names of lower-case letters, digits and _, of at most 63 bytes";
        let table = Table::new(name).ok_or(ConfigError::Invalid { setting: "table", why })?;
        Ok(Self { table: Arc::new(table), ..self })
    }

    /// Waits so long for a connection and for an answer, instead of 2 s and 5 s; at least a millisecond.
    #[must_use]
    pub fn with_timeouts(self, connecting: Duration, answering: Duration) -> Self {
        Self { sessions: Arc::new(self.sessions.with_timeouts(connecting, answering)), ..self }
    }

    /// All attempts of a call together.
    fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let limit = self.sessions.limit();
        let late = || Err(unavailable("no answer in time"));
        self.thread.run(async move { tokio::time::timeout(limit, work).await.unwrap_or_else(|_| late()) })
    }

    /// The number of the key's lock. Other tables, and other programs' locks, have other numbers but for chance, which
    /// costs a wait and no more.
    fn lock(&self, key: &str) -> i64 {
        let bytes = b"grantflow\0".iter().chain(self.table.name.as_bytes()).chain(b"\0").chain(key.as_bytes());
        // FNV-1a: the same in every version of every program.
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        i64::from_le_bytes(hash.to_le_bytes())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl Thread {
    fn start() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        let (sender, ends) = tokio::sync::oneshot::channel::<()>();
        let run = move || drop(runtime.block_on(ends));
        thread::Builder::new().name("grantflow-postgres".to_owned()).spawn(run).ok()?;
        Some(Self { runtime: handle, _ends_when_dropped: sender })
    }

    /// Has the thread do it, and blocks until it is done. All that is done there has its own bounds.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.spawn(async move { tell.send(work.await) });
        told.recv().unwrap_or_else(|_| Err(unavailable("the store's thread has ended")))
    }
}

impl Table {
    fn new(name: &str) -> Option<Self> {
        let is_good = |part: &str| {
            let first = part.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let rest = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            first && rest && part.len() <= 63
        };
        let parts: Vec<_> = name.split('.').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_good(part)) {
            return None;
        }
        let quoted: Vec<_> = parts.iter().map(|part| format!("\"{part}\"")).collect();
        let table = quoted.join(".");
        let put = format!(
            "insert into {table} as kept (key, version, record, updated_at) values ($1, $2, $3, now()) \
             on conflict (key) do update set version = excluded.version, record = excluded.record, updated_at = now()"
        );
        Some(Self {
            load: format!(
                "select version, case when octet_length(record) <= {RECORD_LIMIT} then record end from {table} where key = $1"
            ),
            is_there: format!("select 1 from {table} where key = $1 and version = $2 and record = $3"),
            insert: format!(
                "insert into {table} (key, version, record, updated_at) values ($1, $2, $3, now()) \
                 on conflict (key) do nothing returning 1"
            ),
            replace: format!(
                "update {table} set version = $2, record = $3, updated_at = now() where key = $1 and version = $4 returning 1"
            ),
            // The second attempt must not undo what somebody has built on the first.
            put_again: format!("{put} where kept.version <= excluded.version returning 1"),
            put: format!("{put} returning 1"),
            delete: format!("delete from {table} where key = $1"),
            list: format!("select key, version from {table} order by key"),
            create: format!(
                "create table if not exists {table} (key text primary key, version bigint not null, \
                 record bytea not null, updated_at timestamptz not null)"
            ),
            name: name.to_owned(),
        })
    }
}

impl Store for PostgresStore {
    fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        let (sessions, table, key) = (Arc::clone(&self.sessions), Arc::clone(&self.table), key.to_text());
        let work = async move {
            let rows = sessions.repeat(&table.load, &[(&key, Type::TEXT)]).await?;
            rows.first().map(stored).transpose()
        };
        self.call(work)
    }

    fn save(&self, write: StoreWrite) -> Result<Saved, StoreError> {
        if write.stored.bytes.expose().len() > RECORD_LIMIT {
            return Err(StoreError::new(StoreFault::TooLarge, "a record of more than 4 MiB"));
        }
        let work = save(Arc::clone(&self.sessions), Arc::clone(&self.table), write);
        self.call(work)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let (sessions, table, key) = (Arc::clone(&self.sessions), Arc::clone(&self.table), key.to_text());
        let work = async move { sessions.repeat(&table.delete, &[(&key, Type::TEXT)]).await.map(drop) };
        self.call(work)
    }

    fn claim(&self, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
        let lock = self.lock(&claim.key.to_text());
        let session = self.thread.run(Sessions::claim(Arc::clone(&self.sessions), lock, claim.wait, claim.lease))?;
        Ok(Some(Box::new(InPostgres { thread: Arc::clone(&self.thread), session: Some(session), lock })))
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let (sessions, table) = (Arc::clone(&self.sessions), Arc::clone(&self.table));
        let work = async move {
            let rows = sessions.repeat(&table.list, &[]).await?;
            let listed = |row: &Row| {
                let key = StoreKey::from_text(row.try_get(0).ok()?)?;
                Some(Listed { key, version: version(row, 1)? })
            };
            Ok(rows.iter().filter_map(listed).collect())
        };
        self.call(work)
    }
}

async fn save(sessions: Arc<Sessions>, table: Arc<Table>, write: StoreWrite) -> Result<Saved, StoreError> {
    let StoreWrite { key, expected, stored } = write;
    let key = key.to_text();
    let (Some(new), Some(old)) = (number(stored.version), expected_number(expected)) else {
        return Err(StoreError::new(StoreFault::TooLarge, "a version of more than 63 bits"));
    };
    let bytes = stored.bytes.expose();
    let record: [Parameter<'_>; 3] = [(&key, Type::TEXT), (&new, Type::INT8), (bytes, Type::BYTEA)];
    let mut replaced = record.to_vec();
    replaced.push((&old, Type::INT8));
    // Whether an earlier attempt may have been carried out.
    let mut unsure = false;
    let mut failed = unavailable("no attempt");
    for attempt in 0..ATTEMPTS {
        sessions.pause(attempt).await;
        let tried = match expected {
            Expected::Absent => sessions.attempt(&table.insert, &record).await,
            Expected::Version(_) => sessions.attempt(&table.replace, &replaced).await,
            Expected::Anything if unsure => sessions.attempt(&table.put_again, &record).await,
            Expected::Anything => sessions.attempt(&table.put, &record).await,
        };
        let failure = match tried {
            Ok(rows) if !rows.is_empty() => return Ok(Saved::Done),
            Ok(_) if !unsure => return Ok(Saved::Conflict),
            // It may be in conflict with itself.
            Ok(_) => match sessions.attempt(&table.is_there, &record).await {
                Ok(rows) if !rows.is_empty() => return Ok(Saved::Done),
                Ok(_) => return Ok(Saved::Conflict),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        unsure |= failure.leaves_unsure();
        match failure {
            Failure::NoTable => match sessions.attempt(&table.create, &[]).await {
                Err(failure) if !failure.is_worth_repeating() => return Err(failure.into_error()),
                Ok(_) | Err(_) => failed = Failure::NoTable.into_error(),
            },
            failure if failure.is_worth_repeating() => failed = failure.into_error(),
            failure => return Err(failure.into_error()),
        }
    }
    Err(failed)
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    let corrupt = |why| StoreError::new(StoreFault::Corrupt, why);
    let bytes: Option<Vec<u8>> = row.try_get(1).map_err(|_| corrupt("the table has other columns"))?;
    let bytes = Secret::new(bytes.ok_or_else(|| corrupt("larger than 4 MiB"))?);
    Ok(Stored { version: version(row, 0).ok_or_else(|| corrupt("a version that is none"))?, bytes })
}

fn version(row: &Row, column: usize) -> Option<Version> {
    row.try_get::<_, i64>(column).ok().and_then(|number| u64::try_from(number).ok()).map(Version::from_u64)
}

fn number(version: Version) -> Option<i64> {
    i64::try_from(version.as_u64()).ok()
}

fn expected_number(expected: Expected) -> Option<i64> {
    match expected {
        Expected::Version(version) => number(version),
        Expected::Absent | Expected::Anything => Some(0),
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::new(StoreFault::Unavailable, why)
}

struct InPostgres {
    thread: Arc<Thread>,
    session: Option<Session>,
    lock: i64,
}

impl Claimed for InPostgres {}

impl fmt::Debug for InPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPostgres").field("lock", &self.lock).finish_non_exhaustive()
    }
}

impl Drop for InPostgres {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // If this fails, the connection is closed, and the claim ends with it.
            let _ = self.thread.run(session.release(self.lock));
        }
    }
}
