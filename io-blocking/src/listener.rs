//! The loopback redirect listener for threads (RFC 8252 §7.3).
//!
//! It has no thread of its own: whoever waits for the callback turns it, and no turn blocks, so that a connection on
//! which nothing comes delays nobody. What the bytes mean is the core's business ([`grantflow_core::loopback`]).

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::Timestamp;
use grantflow_core::callback::CallbackParams;
use grantflow_core::error::{BadCallback, ConfigError, Error, Expired};
use grantflow_core::loopback::{
    Connection, HEADER_DEADLINE, Heard, LINGER, MAX_CONNECTIONS, Pages, Place, Reception, Reply, ResponseMode,
};
use zeroize::Zeroizing;

use crate::{Cancel, Clock, SystemClock};

/// How long to rest after a turn in which nothing happened: at first, and at most.
const SHORT_REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(10);
/// How long not to accept after the operating system could not (no file descriptor left, for example).
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Bytes read at a time from one connection.
const READ_AT_ONCE: usize = 4 * 1024;

/// Waits for the call of a loopback redirect URI. Closed when dropped.
///
/// It can be used alone:
///
/// ```no_run
/// use grantflow_blocking::RedirectListener;
/// use grantflow_blocking::core::loopback::{Pages, Place, ResponseMode, STANDALONE_WAIT};
///
/// let mut listener = RedirectListener::bind(&Place::standalone(), ResponseMode::Query, Pages::default())?;
/// println!("redirect URI: {}", listener.redirect_uri());
/// let (callback, browser) = listener.wait_for(STANDALONE_WAIT)?;
/// // Compare `state`, redeem the code, and only then:
/// browser.success();
/// # drop(callback);
/// # Ok::<(), grantflow_blocking::core::Error>(())
/// ```
pub struct RedirectListener {
    sockets: Vec<TcpListener>,
    address: SocketAddr,
    redirect_uri: String,
    mode: ResponseMode,
    reception: Reception,
    /// The oldest first.
    visitors: Vec<Visitor>,
    accept_after: Option<Instant>,
}

/// One connection.
struct Visitor {
    stream: TcpStream,
    since: Timestamp,
    stage: Stage,
}

enum Stage {
    /// The request is not whole.
    Reading(Connection),
    /// The answer is not out.
    Writing { reply: Reply, sent: usize, until: Instant },
    /// The answer is out, and what the browser still sends is dropped.
    Draining { until: Instant },
}

/// What a turn has brought.
#[derive(Default)]
struct Turn {
    progress: bool,
    callback: Option<(CallbackParams, Responder)>,
}

impl RedirectListener {
    /// Listens at `place`. From then on a browser may come; nobody is answered before [`wait`](Self::wait).
    ///
    /// # Errors
    /// [`ConfigError::PortInUse`] with the first port if none of the place's ports is free, [`ConfigError::Listen`] if
    /// the system refuses for another reason.
    pub fn bind(place: &Place, mode: ResponseMode, pages: Pages) -> Result<Self, Error> {
        let mut failure = None;
        for port in place.ports() {
            match crate::bind::sockets(place, *port) {
                Ok((sockets, address)) => {
                    let redirect_uri = place.redirect_uri(address);
                    let reception = Reception::new(&redirect_uri, mode)?.with_pages(pages);
                    let (visitors, accept_after) = (Vec::new(), None);
                    return Ok(Self { sockets, address, redirect_uri, mode, reception, visitors, accept_after });
                }
                Err(error) => {
                    failure.get_or_insert(match error.kind() {
                        ErrorKind::AddrInUse => ConfigError::PortInUse(*port),
                        kind => ConfigError::Listen(kind.to_string()),
                    });
                }
            }
        }
        Err(failure.unwrap_or(ConfigError::Missing("a port to listen on")).into())
    }

    /// Expects callbacks for another redirect URI than the one it listens at, as behind a proxy that passes them on.
    ///
    /// # Errors
    /// [`ConfigError::Url`] if it is not one.
    pub fn with_public_uri(mut self, redirect_uri: &str) -> Result<Self, Error> {
        self.reception = Reception::new(redirect_uri, self.mode)?.with_pages(self.reception.pages().clone());
        self.redirect_uri = redirect_uri.to_owned();
        Ok(self)
    }

    /// The redirect URI to give to the server.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a callback must look like.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Waits for a callback, for at most `wait` on the system's clock.
    ///
    /// # Errors
    /// [`Expired::Callback`] if none came.
    pub fn wait_for(&mut self, wait: Duration) -> Result<(CallbackParams, Responder), Error> {
        self.wait(SystemClock.now().plus(wait), &SystemClock, &Cancel::new())
    }

    /// Waits for a callback until the moment named.
    ///
    /// It may be anybody's: compare its `state`, answer the [`Responder`], and call this again if it was a stranger's.
    /// Whatever is no callback is answered here and does not end the wait.
    ///
    /// # Errors
    /// [`Expired::Callback`] if none came, [`Error::Cancelled`] when `cancel` was used.
    pub fn wait(
        &mut self,
        until: Timestamp,
        clock: &dyn Clock,
        cancel: &Cancel,
    ) -> Result<(CallbackParams, Responder), Error> {
        self.wait_while(until, clock, cancel, &mut || {})
    }

    /// The same; `meanwhile` is called every few milliseconds.
    pub(crate) fn wait_while(
        &mut self,
        until: Timestamp,
        clock: &dyn Clock,
        cancel: &Cancel,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<(CallbackParams, Responder), Error> {
        let mut rest = SHORT_REST;
        loop {
            let now = clock.now();
            if now >= until {
                return Err(Error::Expired(Expired::Callback));
            }
            let turn = self.turn(now);
            if let Some(callback) = turn.callback {
                return Ok(callback);
            }
            meanwhile();
            rest = if turn.progress { SHORT_REST } else { rest.saturating_mul(2).min(LONG_REST) };
            if cancel.wait(rest) {
                return Err(Error::Cancelled);
            }
        }
    }

    /// Answers while waiting for others.
    pub(crate) fn answer_meanwhile(&mut self, responder: Responder, reply: Reply) {
        let (stream, stage) = (responder.stream, Stage::writing(reply));
        self.visitors.push(Visitor { stream, since: Timestamp::from_millis(0), stage });
    }

    /// Sees every answer out, tells whoever still comes that this login is over, and closes everything. Takes
    /// [`LINGER`] at most.
    pub(crate) fn close(&mut self) {
        let until = later(LINGER);
        loop {
            // Deadlines of requests do not matter any more, so neither does the clock.
            let turn = self.turn(Timestamp::from_millis(0));
            if let Some((_, responder)) = turn.callback {
                let late = self.reception.pages().late();
                self.answer_meanwhile(responder, late);
                continue;
            }
            if Instant::now() >= until || !self.visitors.iter().any(|visitor| visitor.stage.is_answering()) {
                break;
            }
            if !turn.progress {
                thread::sleep(SHORT_REST);
            }
        }
        self.visitors.clear();
        self.sockets.clear();
    }

    /// Does what can be done at once. Ends early with the first callback.
    fn turn(&mut self, now: Timestamp) -> Turn {
        let mut turn = Turn::default();
        let mut staying = Vec::with_capacity(self.visitors.len());
        for visitor in mem::take(&mut self.visitors) {
            if turn.callback.is_some() {
                staying.push(visitor);
            } else {
                staying.extend(visitor.step(&self.reception, now, &mut turn));
            }
        }
        self.visitors = staying;
        for _ in 0..MAX_CONNECTIONS {
            if turn.callback.is_some() {
                break;
            }
            let Some(stream) = self.accept() else { break };
            turn.progress = true;
            let visitor = Visitor { stream, since: now, stage: Stage::Reading(Connection::new(&self.reception)) };
            // What a browser asks has mostly come already; read now, it cannot be crowded out.
            self.visitors.extend(visitor.step(&self.reception, now, &mut turn));
        }
        turn
    }

    /// The next connection, if there is one and room for it.
    fn accept(&mut self) -> Option<TcpStream> {
        if self.accept_after.is_some_and(|after| Instant::now() < after) {
            return None;
        }
        self.accept_after = None;
        if self.visitors.len() >= MAX_CONNECTIONS && !self.crowd_out() {
            return None;
        }
        let mut failed = false;
        for socket in &self.sockets {
            match socket.accept().and_then(|(stream, _)| stream.set_nonblocking(true).map(|()| stream)) {
                Ok(stream) => return Some(stream),
                Err(error) if is_no_failure(&error) => {}
                Err(_) => failed = true,
            }
        }
        if failed {
            self.accept_after = Some(later(ACCEPT_REST));
            self.crowd_out();
        }
        None
    }

    /// Drops the connection that has been saying nothing useful for longest, if there is one.
    fn crowd_out(&mut self) -> bool {
        let oldest = self.visitors.iter().position(|visitor| matches!(visitor.stage, Stage::Reading(_)));
        oldest.map(|oldest| self.visitors.remove(oldest)).is_some()
    }
}

impl Visitor {
    /// Does what can be done at once, and gives the connection back if it is to be kept.
    fn step(mut self, reception: &Reception, now: Timestamp, turn: &mut Turn) -> Option<Self> {
        match &mut self.stage {
            Stage::Reading(connection) => {
                if now.since(self.since) >= HEADER_DEADLINE {
                    return Some(self.answering(reception.pages().slow()));
                }
                let mut piece = Zeroizing::new([0_u8; READ_AT_ONCE]);
                let read = match self.stream.read(piece.as_mut_slice()) {
                    Ok(0) => return None,
                    Ok(read) => read,
                    Err(error) => return is_no_failure(&error).then_some(self),
                };
                turn.progress = true;
                match connection.receive(piece.get(..read).unwrap_or_default()) {
                    Heard::More => Some(self),
                    Heard::Answer(reply) => Some(self.answering(reply)),
                    Heard::Callback(callback) => {
                        turn.callback = Some((callback, Responder::new(self.stream, reception.pages())));
                        None
                    }
                }
            }
            Stage::Writing { reply, sent, until } => {
                let left = reply.as_bytes().get(*sent..).unwrap_or_default();
                match self.stream.write(left) {
                    Ok(written) => {
                        turn.progress = true;
                        *sent = sent.saturating_add(written);
                        // Nothing is written when nothing is left.
                        if written >= left.len() {
                            self.stream.shutdown(Shutdown::Write).ok()?;
                            self.stage = Stage::Draining { until: *until };
                        }
                        Some(self)
                    }
                    Err(error) => (is_no_failure(&error) && Instant::now() < *until).then_some(self),
                }
            }
            Stage::Draining { until } => {
                let mut dropped = Zeroizing::new([0_u8; READ_AT_ONCE]);
                let goes_on = match self.stream.read(dropped.as_mut_slice()) {
                    Ok(read) => read > 0,
                    Err(error) => is_no_failure(&error),
                };
                (goes_on && Instant::now() < *until).then_some(self)
            }
        }
    }

    fn answering(self, reply: Reply) -> Self {
        Self { stage: Stage::writing(reply), ..self }
    }
}

impl Stage {
    fn writing(reply: Reply) -> Self {
        Self::Writing { reply, sent: 0, until: later(LINGER) }
    }

    fn is_answering(&self) -> bool {
        match self {
            Stage::Reading(_) => false,
            Stage::Writing { .. } | Stage::Draining { .. } => true,
        }
    }
}

/// The connection of whoever sent a callback. Dropped without an answer, it is closed.
pub struct Responder {
    stream: TcpStream,
    pages: Pages,
}

impl Responder {
    fn new(stream: TcpStream, pages: &Pages) -> Self {
        Self { stream, pages: pages.clone() }
    }

    /// Says that the login has succeeded. Only when the tokens are in hand.
    pub fn success(self) {
        let reply = self.pages.success();
        self.answer(&reply);
    }

    /// Says that the login has failed, and why. The text is escaped and cut.
    pub fn failure(self, reason: &str) {
        let reply = self.pages.failure(reason);
        self.answer(&reply);
    }

    /// Says that this is not the login that is waited for.
    pub fn refused(self, why: BadCallback) {
        let reply = self.pages.refused(why);
        self.answer(&reply);
    }

    /// Sends an answer and waits until the browser has it, at most [`LINGER`].
    pub fn answer(mut self, reply: &Reply) {
        let until = later(LINGER);
        // From here on, one system call waits no longer than that; all of them together are watched below.
        let blocking = self.stream.set_nonblocking(false);
        let timed = blocking
            .and_then(|()| self.stream.set_write_timeout(Some(LINGER)))
            .and_then(|()| self.stream.set_read_timeout(Some(LINGER)));
        let sent = timed.and_then(|()| self.stream.write_all(reply.as_bytes()));
        // Closing a socket with unread bytes in it would reset the connection and overtake the reply.
        if sent.and_then(|()| self.stream.shutdown(Shutdown::Write)).is_ok() {
            let mut dropped = Zeroizing::new([0_u8; READ_AT_ONCE]);
            while self.stream.read(dropped.as_mut_slice()).is_ok_and(|read| read > 0) && Instant::now() < until {}
        }
    }

    /// The pages to answer with.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

/// Whether nothing is wrong, there is only nothing to do now.
fn is_no_failure(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

fn later(by: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(by).unwrap_or(now)
}

impl fmt::Debug for RedirectListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectListener").field("address", &self.address).finish_non_exhaustive()
    }
}
