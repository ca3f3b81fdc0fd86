//! The server's thread, its connections, and the handle that tests hold.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use crate::answer::Answer;
use crate::config::{Config, Consent};
use crate::context::Context;
use crate::device;
use crate::faults::Fault;
use crate::log::{self, LogEntry};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::router;
use crate::site::Site;
use crate::state::{DeviceAnswer, State};
use crate::wire::{Reply, ReplyBody, Request};

/// No honest request has a larger body.
const LARGEST_BODY: usize = 64 * 1024;
/// As many connections are served at once; more wait.
const CONNECTIONS: usize = 256;
/// A connection may take this long to send a request's head, or its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. It stops when it is dropped.
///
/// Its thread has a runtime of its own, so blocking and asynchronous tests can both hold it.
pub struct DevServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    config: Config,
    site: Site,
    state: Mutex<State>,
}

impl DevServer {
    /// Starts a server on 127.0.0.1. It accepts connections once this returns.
    ///
    /// # Errors
    /// The port is taken, there is no thread to be had, or (`InvalidInput`) the configuration is wrong.
    pub fn start(config: Config) -> io::Result<Self> {
        config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let site = Site { origin: format!("http://{address}"), path: config.issuer_path.clone(), port: address.port() };
        let mut state = State::new(config.consent.clone()).map_err(|_| io::Error::other("no keys"))?;
        state.switches.set(config.faults.iter().copied());
        let shared = Arc::new(Shared { config, site, state: Mutex::new(state) });
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("grantflow-devserver".to_owned())
            .spawn(move || run(&runtime, own, listener, stopped))?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// The issuer: `http://127.0.0.1:PORT` and the configured path.
    pub fn issuer(&self) -> String {
        self.shared.site.issuer()
    }

    /// The URL of a path below the issuer, such as `/token`.
    pub fn url(&self, path: &str) -> String {
        self.shared.site.url(path)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits until it has: the port is free, all connections are closed. The log stays readable.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Makes new signing keys. Those before stay published until the next rotation; those before them vanish.
    ///
    /// # Errors
    /// The random source gave nothing.
    pub fn rotate_keys(&self) -> io::Result<()> {
        self.shared.state().keys.rotate().map_err(|_| io::Error::other("no keys"))
    }

    /// Changes what happens at the authorization endpoint from now on.
    pub fn set_consent(&self, consent: Consent) {
        self.shared.state().consent = consent;
    }

    /// Switches all faults off and, maybe, one on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.state().switches.set(fault);
    }

    /// Switches all faults off and these on.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.state().switches.set(faults);
    }

    /// Switches one more fault on, for the first `count` times that it applies.
    pub fn set_fault_for(&self, fault: Fault, count: u32) {
        self.shared.state().switches.add(fault, count);
    }

    /// The faults that are on.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.state().switches.on()
    }

    /// Gives this answer to the next request for `path`, whatever it asks; answers for one path queue up.
    /// The path is the whole one of the URL, such as `/token`.
    pub fn answer_next(&self, path: &str, answer: Answer) {
        self.shared.state().scripts.push(path, answer);
    }

    /// Says yes for the user to the device with this user code. `false` if none waits under it, or there is no such
    /// user.
    pub fn approve_device(&self, user_code: &str, user: &str) -> bool {
        let at = (self.shared.config.clock)();
        let answer = DeviceAnswer::Approved { user: user.to_owned(), at };
        self.shared.config.user(user).is_some()
            && device::settle_by_code(&mut self.shared.state(), at, user_code, answer)
    }

    /// Says no to the device with this user code. `false` if none waits under it.
    pub fn deny_device(&self, user_code: &str) -> bool {
        let now = (self.shared.config.clock)();
        device::settle_by_code(&mut self.shared.state(), now, user_code, DeviceAnswer::Denied)
    }

    /// The user codes that wait for somebody's decision.
    pub fn waiting_devices(&self) -> Vec<String> {
        let now = (self.shared.config.clock)();
        device::waiting(&self.shared.state(), now)
    }

    /// The requests so far, oldest first; at most [`LOG_CAPACITY`](crate::LOG_CAPACITY).
    pub fn log(&self) -> Vec<LogEntry> {
        self.shared.state().log.entries()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.shared.state().log.clear();
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for DevServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevServer").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a request that has been read, and logs it before the answer leaves.
    fn serve(&self, request: &Request) -> Reply {
        let now = (self.config.clock)();
        self.tell_secrets(request);
        let mut state = self.state();
        let reply = match state.scripts.take(&request.path) {
            Some(reply) => reply,
            None if !self.knows_host(request) => {
                Refusal::not_served(StatusCode::MISDIRECTED_REQUEST, "the Host is not this server").into_reply()
            }
            None => {
                let mut cx = Context { config: &self.config, site: &self.site, now, state: &mut state };
                router::serve(&mut cx, request)
            }
        };
        let header = |name| request.header(name).map(log::printable);
        let entry = LogEntry {
            at: now,
            method: request.method.to_string(),
            path: log::printable(&request.path),
            query: log::shown(&request.query),
            form: request.form.as_ref().map(log::shown).unwrap_or_default(),
            scheme: request.scheme().map(log::printable),
            accept: header("accept"),
            content_type: header("content-type"),
            status: reply.logged_status(),
            note: log::printable(&reply.note),
        };
        state.log.push(entry.clone());
        drop(state);
        if let Some(hear) = &self.config.on_request {
            hear(&entry);
        }
        reply
    }

    /// Tells of what a request shows that is secret.
    fn tell_secrets(&self, request: &Request) {
        for (name, value) in log::secrets(&request.query).chain(request.form.iter().flat_map(log::secrets)) {
            self.config.tell_secret(name, value);
        }
        if let Some((_, credentials)) = request.header("authorization").and_then(|value| value.split_once(' ')) {
            self.config.tell_secret("credentials", credentials);
        }
        if let Some(proof) = request.header("dpop") {
            self.config.tell_secret("dpop", proof);
        }
    }

    /// Whether the request means this server: a page of a name that was rebound to loopback does not.
    fn knows_host(&self, request: &Request) -> bool {
        let port = self.site.port;
        let known = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        request.header("host").is_some_and(|host| known.iter().any(|known| known == host))
    }
}

fn run(runtime: &Runtime, shared: Arc<Shared>, listener: std::net::TcpListener, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async move {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        tokio::spawn(accept(shared, listener));
        let _ = stopped.await;
    });
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    converse(shared, stream).await;
                    drop(place);
                });
            }
            // Out of descriptors, say: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

type Answered = Result<Response<ReplyBody>, Closed>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn converse(shared: Arc<Shared>, stream: TcpStream) {
    // Small answers must not wait for the next packet; a socket that cannot be told so still works.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&reset);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let reset = Arc::clone(&raised);
        let answered: Pin<Box<dyn Future<Output = Answered> + Send>> =
            Box::pin(async move { respond(&shared, request, &reset).await });
        answered
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err() && reset.load(Ordering::SeqCst) {
        // Without the option the connection ends with FIN, which is no worse for anybody but the test.
        let _ = stream.set_zero_linger();
    }
}

async fn respond(
    shared: &Shared,
    request: hyper::Request<Incoming>,
    reset: &Arc<AtomicBool>,
) -> Result<Response<ReplyBody>, Closed> {
    let reply = match tokio::time::timeout(PATIENCE, read(request)).await {
        Ok(Ok(request)) => shared.serve(&request),
        Ok(Err(refusal)) => refusal.into_reply(),
        Err(_) => return Err(Closed),
    };
    reply.into_response(reset).ok_or(Closed)
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body = body.map_err(|_| Refusal::not_served(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))?;
    let mut request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: Params::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: parts.headers,
        form: None,
    };
    let media_type = request.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        request.form = Some(Params::parse(&body.to_bytes()));
    }
    Ok(request)
}
