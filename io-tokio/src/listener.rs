//! The loopback redirect listener (RFC 8252 §7.3).
//!
//! It starts no task: sockets, connections and answers in progress are owned by the [`RedirectListener`] and the
//! [`Responder`], move only while somebody waits on them, and are closed when they are dropped. What the bytes mean is
//! `grantflow_core::loopback`'s business.

use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::callback::CallbackParams;
use grantflow_core::error::{BadCallback, Error, Expired};
use grantflow_core::loopback::{
    Connection, HEADER_DEADLINE, Heard, LINGER, MAX_CONNECTIONS, Pages, Place, Reception, Reply, ResponseMode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use crate::race::within;
use crate::{Clock, Pending, bind};

/// How long to wait when the system has no file descriptor left for one more connection.
const BREATHER: Duration = Duration::from_millis(100);

type Heeded = Option<(CallbackParams, Responder)>;

/// Waits for the call of a loopback redirect URI. Closed when dropped.
///
/// It can be used alone:
///
/// ```no_run
/// # async fn alone() -> Result<(), grantflow_core::Error> {
/// use grantflow_core::loopback::{Pages, Place, ResponseMode, STANDALONE_WAIT};
/// use grantflow_tokio::RedirectListener;
///
/// let mut listener = RedirectListener::bind(&Place::standalone(), ResponseMode::Query, Pages::default()).await?;
/// println!("redirect URI: {}", listener.redirect_uri());
/// let (callback, browser) = listener.wait_for(STANDALONE_WAIT).await?;
/// // Compare `state`, redeem the code, and only then:
/// browser.success().await;
/// # drop(callback);
/// # Ok(())
/// # }
/// ```
pub struct RedirectListener {
    pub(crate) sockets: Vec<TcpListener>,
    reception: Reception,
    address: SocketAddr,
    redirect_uri: String,
    mode: ResponseMode,
    /// The oldest first.
    pub(crate) connections: VecDeque<Pending<'static, Heeded>>,
    breather: Option<Pending<'static, ()>>,
}

impl RedirectListener {
    /// Listens at `place`. From then on a browser may come; nobody is answered before [`wait`](Self::wait).
    ///
    /// # Errors
    /// [`PortInUse`](grantflow_core::error::ConfigError::PortInUse) with the first port if none of the place's ports is
    /// free, [`Listen`](grantflow_core::error::ConfigError::Listen) if the system refuses for another reason.
    pub async fn bind(place: &Place, mode: ResponseMode, pages: Pages) -> Result<Self, Error> {
        let (sockets, address) = bind::free(place).await?;
        let redirect_uri = place.redirect_uri(address);
        let reception = Reception::new(&redirect_uri, mode)?.with_pages(pages);
        let connections = VecDeque::new();
        Ok(Self { sockets, reception, address, redirect_uri, mode, connections, breather: None })
    }

    /// Expects callbacks for another redirect URI than the one it listens at, as behind a proxy that passes them on.
    ///
    /// # Errors
    /// [`Url`](grantflow_core::error::ConfigError::Url) if it is not one.
    pub fn with_public_uri(mut self, redirect_uri: &str) -> Result<Self, Error> {
        self.reception = Reception::new(redirect_uri, self.mode)?.with_pages(self.reception.pages().clone());
        self.redirect_uri = redirect_uri.to_owned();
        Ok(self)
    }

    /// The redirect URI to give to the server, exactly so.
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
    pub async fn wait_for(&mut self, wait: Duration) -> Result<(CallbackParams, Responder), Error> {
        let clock: Arc<dyn Clock> = Arc::new(crate::SystemClock);
        let until = clock.now().plus(wait);
        self.wait(until, &clock).await
    }

    /// Waits for a callback until the moment named.
    ///
    /// It may be anybody's: compare its `state`, answer the [`Responder`], and call this again if it was a stranger's.
    /// Whatever is no callback is answered here and does not end the wait.
    ///
    /// # Errors
    /// [`Expired::Callback`] if none came.
    pub async fn wait(
        &mut self,
        until: Timestamp,
        clock: &Arc<dyn Clock>,
    ) -> Result<(CallbackParams, Responder), Error> {
        let left = until.since(clock.now());
        let callback = within(&**clock, left, poll_fn(|cx| self.poll(cx, clock))).await;
        callback.ok_or(Error::Expired(Expired::Callback))
    }

    /// Answers whoever still comes that this login is over. Never ends by itself.
    pub async fn turn_away(&mut self, clock: &Arc<dyn Clock>) {
        loop {
            let (_, responder) = poll_fn(|cx| self.poll(cx, clock)).await;
            let late = self.reception.pages().late();
            self.answer_meanwhile(responder, late);
        }
    }

    /// Answers while waiting for others.
    pub(crate) fn answer_meanwhile(&mut self, responder: Responder, reply: Reply) {
        self.connections.push_back(Box::pin(async move {
            responder.answer(&reply).await;
            None
        }));
    }

    fn poll(&mut self, cx: &mut Context<'_>, clock: &Arc<dyn Clock>) -> Poll<(CallbackParams, Responder)> {
        // So many at a time; the rest when everything else has had its turn.
        for _ in 0..MAX_CONNECTIONS {
            if let Some(callback) = self.poll_connections(cx) {
                return Poll::Ready(callback);
            }
            match self.poll_accept(cx, clock) {
                None => return Poll::Pending,
                Some(stream) => {
                    // The oldest has had the most time to make its request; a browser needs a moment only.
                    while self.connections.len() >= MAX_CONNECTIONS {
                        drop(self.connections.pop_front());
                    }
                    let talk = converse(stream, self.reception.clone(), clock.clone());
                    self.connections.push_back(Box::pin(talk));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_connections(&mut self, cx: &mut Context<'_>) -> Option<(CallbackParams, Responder)> {
        let mut found = None;
        let mut open = VecDeque::with_capacity(self.connections.len());
        for mut connection in std::mem::take(&mut self.connections) {
            if found.is_some() {
                open.push_back(connection);
                continue;
            }
            match connection.as_mut().poll(cx) {
                Poll::Pending => open.push_back(connection),
                Poll::Ready(heeded) => found = heeded,
            }
        }
        self.connections = open;
        found
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>, clock: &Arc<dyn Clock>) -> Option<TcpStream> {
        loop {
            if let Some(breather) = &mut self.breather {
                if breather.as_mut().poll(cx).is_pending() {
                    return None;
                }
                self.breather = None;
            }
            let accepted = self.sockets.iter().find_map(|socket| match socket.poll_accept(cx) {
                Poll::Pending => None,
                Poll::Ready(accepted) => Some(accepted),
            });
            match accepted? {
                Ok((stream, _)) => return Some(stream),
                // Out of file descriptors, or the browser is gone already.
                Err(_) => {
                    let clock = clock.clone();
                    self.breather = Some(Box::pin(async move { clock.sleep(BREATHER).await }));
                }
            }
        }
    }
}

impl fmt::Debug for RedirectListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectListener").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// The connection of whoever sent a callback. Dropped without an answer, it is closed.
pub struct Responder {
    stream: TcpStream,
    pages: Pages,
    clock: Arc<dyn Clock>,
}

impl Responder {
    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Says that the login has succeeded. Only when the tokens are in hand.
    pub async fn success(self) {
        let reply = self.pages.success();
        self.answer(&reply).await;
    }

    /// Says that the login has failed, and why. The text is escaped and cut.
    pub async fn failure(self, reason: &str) {
        let reply = self.pages.failure(reason);
        self.answer(&reply).await;
    }

    /// Says that this is not the login that is waited for.
    pub async fn refused(self, why: BadCallback) {
        let reply = self.pages.refused(why);
        self.answer(&reply).await;
    }

    /// Sends an answer and waits until the browser has it, at most [`LINGER`].
    pub async fn answer(self, reply: &Reply) {
        deliver(self.stream, reply, &*self.clock).await;
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

async fn converse(mut stream: TcpStream, reception: Reception, clock: Arc<dyn Clock>) -> Heeded {
    match within(&*clock, HEADER_DEADLINE, listen(&mut stream, &reception)).await {
        Some(Some(Heard::Callback(parameters))) => {
            let pages = reception.pages().clone();
            return Some((parameters, Responder { stream, pages, clock }));
        }
        Some(Some(Heard::Answer(reply))) => deliver(stream, &reply, &*clock).await,
        Some(Some(Heard::More) | None) => {}
        None => deliver(stream, &reception.pages().slow(), &*clock).await,
    }
    None
}

/// Reads a whole request; `None` if the browser goes away before.
async fn listen(stream: &mut TcpStream, reception: &Reception) -> Option<Heard> {
    let mut connection = Connection::new(reception);
    let mut buffer = Zeroizing::new(vec![0_u8; 4096]);
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        match connection.receive(buffer.get(..length)?) {
            Heard::More => {}
            heard @ (Heard::Answer(_) | Heard::Callback(_)) => return Some(heard),
        }
    }
}

/// Sends the reply, says that this was all, and reads until the browser says so too: closing a socket with unread bytes
/// in it would reset the connection and overtake the reply.
async fn deliver(mut stream: TcpStream, reply: &Reply, clock: &dyn Clock) {
    let sending = async {
        if stream.write_all(reply.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = Zeroizing::new(vec![0_u8; 4096]);
        while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    };
    within(clock, LINGER, sending).await;
}

/// Never ready. For those who have nobody to attend to.
pub(crate) async fn forever() {
    pending().await
}
