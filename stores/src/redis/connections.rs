//! A few connections, and what their errors mean.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{
    Client, Cmd, Connection, ConnectionLike, ErrorKind, IntoConnectionInfo, RedisError, ServerErrorKind, Value,
};
use grantflow_core::error::{StoreError, StoreFault};

/// The most connections that a store opens.
pub const CONNECTIONS: usize = 8;

/// After so long without use a connection is closed here, before a server or a firewall forgets it in silence.
const IDLE: Duration = Duration::from_secs(60);

/// Which attempt of a call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The first one.
    First,
    /// The one after the connection was closed: the server may have done already what it is asked for.
    Second,
}

/// Neither the URL nor the password can be printed.
pub(super) struct Connections {
    client: Client,
    connecting: Duration,
    answering: Duration,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    /// The ones nobody uses, and since when.
    idle: Vec<(Connection, Instant)>,
    /// How many there are, used or not.
    open: usize,
}

/// The right to one connection. It returns when it is dropped.
struct Place<'a> {
    connections: &'a Connections,
    connection: Option<Connection>,
}

impl Connections {
    pub(super) fn new(url: &str) -> Option<Self> {
        let info = url.into_connection_info().ok()?;
        // Fewer commands that a proxy or an access list may refuse.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_redis_settings(settings)).ok()?;
        #[cfg(feature = "redis-tls")]
        // Fails if the program has chosen one already, which is as well.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Some(Self::of(client, Duration::from_secs(2), Duration::from_secs(5)))
    }

    pub(super) fn with_timeouts(&self, connecting: Duration, answering: Duration) -> Self {
        // A timeout of zero means none to the system.
        let least = Duration::from_millis(1);
        Self::of(self.client.clone(), connecting.max(least), answering.max(least))
    }

    fn of(client: Client, connecting: Duration, answering: Duration) -> Self {
        Self { client, connecting, answering, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Sends a command and returns its answer. If the server closed the connection, a new one is tried, once.
    pub(super) fn call(&self, command: impl Fn(Attempt) -> Cmd) -> Result<Value, StoreError> {
        let mut place = self.place()?;
        let first = match self.ask(&mut place, &command(Attempt::First)) {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if first != Failure::Closed {
            return Err(first.into_error());
        }
        // The server has gone, so the other idle ones lead nowhere either.
        self.close_idle();
        self.ask(&mut place, &command(Attempt::Second)).map_err(Failure::into_error)
    }

    fn ask(&self, place: &mut Place<'_>, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = match place.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = connection.req_command(command).and_then(Value::extract_error);
        match answer.map_err(|error| failure(&error)) {
            Ok(value) => {
                place.connection = Some(connection);
                Ok(value)
            }
            // The connection is in order; it is the command that is not wanted.
            Err(Failure::Answered(fault, why)) => {
                place.connection = Some(connection);
                Err(Failure::Answered(fault, why))
            }
            Err(failure) => Err(failure),
        }
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let connected = self.client.get_connection_with_timeout(self.connecting).and_then(|connection| {
            connection.set_read_timeout(Some(self.answering))?;
            connection.set_write_timeout(Some(self.answering))?;
            Ok(connection)
        });
        connected.map_err(|error| match failure(&error) {
            // To try again at once would not help.
            Failure::Closed => Failure::Gone("it cannot be reached"),
            other => other,
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection, or room for a new one. Waits for it as long as for an answer.
    fn place(&self) -> Result<Place<'_>, StoreError> {
        let began = Instant::now();
        let mut pool = self.pool();
        loop {
            while let Some((connection, since)) = pool.idle.pop() {
                if since.elapsed() < IDLE {
                    return Ok(Place { connections: self, connection: Some(connection) });
                }
                pool.open = pool.open.saturating_sub(1);
            }
            if pool.open < CONNECTIONS {
                pool.open = pool.open.saturating_add(1);
                return Ok(Place { connections: self, connection: None });
            }
            let Some(left) = self.answering.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(StoreError::new(StoreFault::Unavailable, "all connections are in use"));
            };
            pool = self.returned.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn close_idle(&self) {
        let mut pool = self.pool();
        pool.open = pool.open.saturating_sub(pool.idle.len());
        let closed = std::mem::take(&mut pool.idle);
        drop(pool);
        drop(closed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.connections.pool();
        match self.connection.take() {
            Some(connection) => pool.idle.push((connection, Instant::now())),
            None => pool.open = pool.open.saturating_sub(1),
        }
        drop(pool);
        self.connections.returned.notify_one();
    }
}

/// How a call failed, in words that are known to hold no secret: what the server says may repeat its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The connection was closed. What was sent may have been carried out or not.
    Closed,
    /// No answer that can be used, and no use in asking again. The connection is given up.
    Gone(&'static str),
    /// The server refuses, on a connection that works on.
    Answered(StoreFault, &'static str),
    /// The server refuses, and another connection may lead to one that does not.
    Turned(StoreFault, &'static str),
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Failure::Closed => StoreError::new(StoreFault::Unavailable, "it closes the connection"),
            Failure::Gone(why) => StoreError::new(StoreFault::Unavailable, why),
            Failure::Answered(fault, why) | Failure::Turned(fault, why) => StoreError::new(fault, why),
        }
    }
}

fn failure(error: &RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Failure::Gone("no answer in time"),
        ErrorKind::Io => Failure::Closed,
        ErrorKind::AuthenticationFailed => refusal(error),
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading => Failure::Answered(StoreFault::Unavailable, "it is loading its data"),
            ServerErrorKind::ReadOnly => READ_ONLY,
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => {
                Failure::Answered(StoreFault::Unavailable, "it is a cluster of shards, which is not supported")
            }
            ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain => {
                Failure::Turned(StoreFault::Unavailable, "its primary is away")
            }
            _ => refusal(error),
        },
        ErrorKind::Extension => refusal(error),
        _ => Failure::Gone("it does not answer as Redis does"),
    }
}

const READ_ONLY: Failure = Failure::Turned(StoreFault::Unavailable, "it is a replica, which only reads");

/// Reads the code of a refusal. Servers before version 7 put the code of a script's command into the text.
fn refusal(error: &RedisError) -> Failure {
    let code = error.code().unwrap_or_default();
    let detail = error.detail().unwrap_or_default();
    let says = |word: &str| code == word || detail.contains(&format!("-{word} "));
    // A user's server, not an attacker's: this text decides about words in an error only.
    let rows = [
        ("NOAUTH", Failure::Turned(StoreFault::Denied, "it wants a password")),
        ("WRONGPASS", Failure::Turned(StoreFault::Denied, "user or password are wrong")),
        ("NOPERM", Failure::Answered(StoreFault::Denied, "this user lacks a permission")),
        ("READONLY", READ_ONLY),
        ("LOADING", Failure::Answered(StoreFault::Unavailable, "it is loading its data")),
        ("OOM", Failure::Answered(StoreFault::Full, "it has no memory left")),
        ("MISCONF", Failure::Answered(StoreFault::Full, "it cannot write to its disk")),
        ("NOREPLICAS", Failure::Answered(StoreFault::Unavailable, "it has too few replicas")),
        ("WRONGTYPE", Failure::Answered(StoreFault::Corrupt, "something else stands where a record should")),
        ("BUSY", Failure::Answered(StoreFault::Unavailable, "it is busy with a script")),
    ];
    let known = rows.into_iter().find(|(word, _)| says(word)).map(|(_, failure)| failure);
    known.unwrap_or(match error.kind() {
        ErrorKind::AuthenticationFailed => Failure::Turned(StoreFault::Denied, "user or password are wrong"),
        _ => Failure::Turned(StoreFault::Unavailable, "it refuses the command"),
    })
}
