//! A few connections, and what their errors mean.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grantflow_core::error::{StoreError, StoreFault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use super::ATTEMPTS;
use crate::waiting::{Backoff, jittered};

/// The most connections that a store opens for loading, saving and deleting.
pub const CONNECTIONS: usize = 8;

/// The most connections that a store opens for claims, held or waited for.
pub const CLAIMS: usize = 16;

/// After so long without use a connection is closed here, before a server or a firewall forgets it in silence.
const IDLE: Duration = Duration::from_secs(60);

/// The setting that ends a session of which nothing is heard; absent before version 14.
const TRY_LOCK: &str = "select case when pg_try_advisory_lock($1) then coalesce( \
     (select set_config(name, $2, false) from pg_settings where name = 'idle_session_timeout'), '') end";
const UNLOCK: &str = "select pg_advisory_unlock($1), \
     (select set_config(name, reset_val, false) from pg_settings where name = 'idle_session_timeout')";

pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Neither the URL nor the password can be printed.
pub(super) struct Sessions {
    config: Config,
    connecting: Duration,
    answering: Duration,
    idle: Mutex<Vec<(Client, Instant)>>,
    calls: Semaphore,
    claims: Arc<Semaphore>,
}

/// A connection that holds a lock.
pub(super) struct Session {
    sessions: Arc<Sessions>,
    client: Client,
    _place: OwnedSemaphorePermit,
}

impl Sessions {
    /// Nothing if the settings need TLS and there is none.
    pub(super) fn new(config: Config, connecting: Duration, answering: Duration) -> Option<Self> {
        #[cfg(not(feature = "postgres-tls"))]
        if wants_tls(&config) {
            return None;
        }
        #[cfg(feature = "postgres-tls")]
        // Fails if the program has chosen one already, which is as well.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let least = Duration::from_millis(1);
        let (connecting, answering) = (connecting.max(least), answering.max(least));
        Some(Self {
            config,
            connecting,
            answering,
            idle: Mutex::default(),
            calls: Semaphore::new(CONNECTIONS),
            claims: Arc::new(Semaphore::new(CLAIMS)),
        })
    }

    pub(super) fn with_timeouts(&self, connecting: Duration, answering: Duration) -> Self {
        let least = Duration::from_millis(1);
        Self {
            config: self.config.clone(),
            connecting: connecting.max(least),
            answering: answering.max(least),
            idle: Mutex::default(),
            calls: Semaphore::new(CONNECTIONS),
            claims: Arc::new(Semaphore::new(CLAIMS)),
        }
    }

    /// How long a call may take with all its attempts.
    pub(super) fn limit(&self) -> Duration {
        self.connecting.saturating_add(self.answering).saturating_mul(2)
    }

    /// Before the first attempt nothing, before the others longer and longer.
    pub(super) async fn pause(&self, attempt: u32) {
        if attempt > 0 {
            sleep(jittered(Duration::from_millis(100).saturating_mul(attempt))).await;
        }
    }

    /// A statement that may be carried out twice without harm. Without the table, nothing is found.
    pub(super) async fn repeat(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut failed = Failure::NoTable;
        for attempt in 0..ATTEMPTS {
            self.pause(attempt).await;
            match self.attempt(sql, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(Failure::NoTable) => return Ok(Vec::new()),
                Err(failure) if failure.is_worth_repeating() => failed = failure,
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(failed.into_error())
    }

    /// One statement, once.
    pub(super) async fn attempt(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        let Ok(Ok(_place)) = timeout(self.answering, self.calls.acquire()).await else {
            return Err(Failure::Refused(StoreFault::Unavailable, "all connections are in use"));
        };
        let client = self.take().await?;
        let answer = self.ask(&client, sql, parameters).await;
        self.give_back(client, answer.as_ref().err());
        answer
    }

    async fn ask(&self, client: &Client, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        // The server has the same limit, and says so on a connection that works on; this is for one that is silent.
        let limit = self.answering.saturating_add(jittered(Duration::from_secs(1)));
        match timeout(limit, client.query_typed(sql, parameters)).await {
            Ok(answer) => answer.map_err(|error| failure(&error)),
            Err(_) => Err(Failure::Silent),
        }
    }

    /// Becomes the holder of a lock.
    pub(super) async fn claim(
        sessions: Arc<Self>,
        lock: i64,
        wait: Duration,
        lease: Duration,
    ) -> Result<Session, StoreError> {
        let busy = || StoreError::new(StoreFault::Busy, "another program renews");
        let began = Instant::now();
        // Even who does not wait may need a moment to be served.
        let first = timeout(wait.max(Duration::from_millis(1)), Arc::clone(&sessions.claims).acquire_owned());
        let Ok(Ok(place)) = first.await else { return Err(busy()) };
        let lease = i32::try_from(lease.as_millis()).unwrap_or(i32::MAX).max(1).to_string();
        let parameters: [Parameter<'_>; 2] = [(&lock, Type::INT8), (&lease, Type::TEXT)];
        let mut backoff = Backoff::of(wait.saturating_sub(began.elapsed()));
        let mut failures = 0_u32;
        let mut kept = None;
        loop {
            let taken = match kept.take() {
                Some(client) => Ok(client),
                None => sessions.take().await,
            };
            let answer = match taken {
                Ok(client) => sessions.ask(&client, TRY_LOCK, &parameters).await.map(|rows| (client, rows)),
                Err(failure) => Err(failure),
            };
            match answer {
                Ok((client, rows)) => {
                    let locked = rows.first().and_then(|row| row.try_get::<_, Option<&str>>(0).ok()).flatten();
                    if locked.is_some() {
                        return Ok(Session { sessions, client, _place: place });
                    }
                    let Some(pause) = backoff.next_pause() else {
                        sessions.give_back(client, None);
                        return Err(busy());
                    };
                    kept = Some(client);
                    sleep(pause).await;
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    if failures >= ATTEMPTS || !failure.is_worth_repeating() {
                        return Err(failure.into_error());
                    }
                    sessions.pause(failures).await;
                }
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Client, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> Result<Client, Failure> {
        loop {
            let Some((client, since)) = self.idle().pop() else { break };
            if since.elapsed() < IDLE && !client.is_closed() {
                return Ok(client);
            }
        }
        // Whoever is refused at the door may be let in later, whoever hears nothing waits no longer.
        timeout(self.connecting, self.connect()).await.unwrap_or(Err(Failure::Silent))
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let unreachable = |error: &tokio_postgres::Error| match failure(error) {
            Failure::Lost => Failure::Refused(StoreFault::Unavailable, "it cannot be reached"),
            other => other,
        };
        #[cfg(feature = "postgres-tls")]
        let client = if wants_tls(&self.config) {
            let no_roots = Failure::Refused(StoreFault::Unavailable, "the system has no root certificates");
            let (tls, _) = tokio_postgres_rustls::MakeRustlsConnect::with_native_certs().map_err(|_| no_roots)?;
            let (client, connection) = self.config.connect(tls).await.map_err(|error| unreachable(&error))?;
            tokio::spawn(connection);
            client
        } else {
            self.connect_plainly().await.map_err(|error| unreachable(&error))?
        };
        #[cfg(not(feature = "postgres-tls"))]
        let client = self.connect_plainly().await.map_err(|error| unreachable(&error))?;
        let limits = format!("set statement_timeout = {}", self.answering.as_millis().clamp(1, 2_000_000_000));
        client.batch_execute(&limits).await.map_err(|error| failure(&error))?;
        Ok(client)
    }

    async fn connect_plainly(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        // It ends when the client is dropped or the server goes.
        tokio::spawn(connection);
        Ok(client)
    }

    fn give_back(&self, client: Client, failure: Option<&Failure>) {
        let mut idle = self.idle();
        match failure {
            None | Some(Failure::NoTable | Failure::Refused(..) | Failure::Rolled(..)) => {
                if idle.len() < CONNECTIONS && !client.is_closed() {
                    idle.push((client, Instant::now()));
                }
            }
            // The server has gone, or is another now: the other ones lead nowhere either.
            Some(Failure::Lost | Failure::Silent | Failure::Turned(..)) => idle.clear(),
        }
    }
}

impl Session {
    pub(super) async fn release(self, lock: i64) -> Result<(), StoreError> {
        let answer = self.sessions.ask(&self.client, UNLOCK, &[(&lock, Type::INT8)]).await;
        let unlocked = answer.as_ref().ok().and_then(|rows| rows.first()).and_then(|row| row.try_get(0).ok());
        if unlocked == Some(true) {
            self.sessions.give_back(self.client, None);
        }
        Ok(())
    }
}

fn wants_tls(config: &Config) -> bool {
    config.get_ssl_mode() == SslMode::Require
}

/// How a statement failed, in words that are known to hold no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection ended. What was sent may have been carried out or not.
    Lost,
    /// No answer came in time. What was sent may have been carried out or not.
    Silent,
    /// The server has undone the statement, in favour of another one.
    Rolled(StoreFault, &'static str),
    /// The server does not carry out anything now, or not here; another connection may.
    Turned(StoreFault, &'static str),
    /// The server refuses.
    Refused(StoreFault, &'static str),
    /// There is no table yet.
    NoTable,
}

impl Failure {
    pub(super) fn leaves_unsure(self) -> bool {
        match self {
            Failure::Lost | Failure::Silent => true,
            Failure::Rolled(..) | Failure::Turned(..) | Failure::Refused(..) | Failure::NoTable => false,
        }
    }

    pub(super) fn is_worth_repeating(self) -> bool {
        match self {
            Failure::Lost | Failure::Rolled(..) | Failure::Turned(..) | Failure::NoTable => true,
            // It had its time.
            Failure::Silent | Failure::Refused(..) => false,
        }
    }

    pub(super) fn into_error(self) -> StoreError {
        match self {
            Failure::Lost => StoreError::new(StoreFault::Unavailable, "it ends the connection"),
            Failure::Silent => StoreError::new(StoreFault::Unavailable, "no answer in time"),
            Failure::NoTable => StoreError::new(StoreFault::Unavailable, "there is no table"),
            Failure::Rolled(fault, why) | Failure::Turned(fault, why) | Failure::Refused(fault, why) => {
                StoreError::new(fault, why)
            }
        }
    }
}

/// By the code alone: texts may repeat what was sent.
fn failure(error: &tokio_postgres::Error) -> Failure {
    let Some(code) = error.code() else { return Failure::Lost };
    let class = code.code().get(..2).unwrap_or_default();
    match (class, code.code()) {
        (_, "40001" | "40P01" | "55P03" | "23505" | "42P07") => {
            Failure::Rolled(StoreFault::Unavailable, "others write at the same time")
        }
        // Said as the session ends, which may be after the statement.
        (_, "57P01" | "57P02" | "57P04" | "57P05") | ("08", _) => Failure::Lost,
        (_, "57P03") => Failure::Turned(StoreFault::Unavailable, "it is starting or stopping"),
        (_, "57014") => Failure::Refused(StoreFault::Unavailable, "no answer in time"),
        (_, "25006") => Failure::Turned(StoreFault::Unavailable, "it is a replica, which only reads"),
        (_, "53300") => Failure::Turned(StoreFault::Unavailable, "it has too many connections"),
        ("53", _) => Failure::Refused(StoreFault::Full, "it has no room left"),
        ("28", _) => Failure::Refused(StoreFault::Denied, "user or password are wrong"),
        (_, "42501") => Failure::Refused(StoreFault::Denied, "this user lacks a permission"),
        (_, "3D000") => Failure::Refused(StoreFault::Denied, "there is no such database"),
        (_, "3F000") => Failure::Refused(StoreFault::Denied, "there is no such schema"),
        ("54", _) => Failure::Refused(StoreFault::TooLarge, "the key is longer than an index takes"),
        (_, "42P01") => Failure::NoTable,
        ("42", _) => Failure::Refused(StoreFault::Corrupt, "the table is not one of this store"),
        _ => Failure::Refused(StoreFault::Unavailable, "it refuses the statement"),
    }
}
