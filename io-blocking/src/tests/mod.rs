//! Whole runs of the driver and the listener over real sockets, with machines that follow a script.

mod api;
mod client;
mod console;
mod driver;
mod listener;
mod login;
#[cfg(feature = "middleware")]
mod middleware;
mod resources;
mod store;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::callback::AuthorizationResponse;
use grantflow_core::error::{BadCallback, Endpoint, Error, Expired, TransportError, TransportKind};
use grantflow_core::http::{Body, Reach};
use grantflow_core::loopback::{Notice, Place};
use grantflow_core::machine::{
    Context, Effect, Event, FAILED, Machine, Outgoing, READY, Redirect, StateId, Step, Table,
};
use http::Request;
use url::Url;

use crate::{Cancel, ManualClock, Notifier};

/// The moment at which every test begins.
fn start() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

fn clock() -> ManualClock {
    ManualClock::new(start())
}

static EMPTY: Table = Table { machine: "scripted", states: &[], rows: &[] };

/// A login with state `good`: sends a person away, takes the callback, and redeems the code if there is somewhere to.
struct Login {
    redirect_uri: String,
    token_url: Option<String>,
    code: Option<String>,
}

impl Login {
    fn new(redirect_uri: &str) -> Self {
        Self { redirect_uri: redirect_uri.to_owned(), token_url: None, code: None }
    }

    fn redirect(&self, refused: Option<BadCallback>) -> Step<String> {
        Step::Do(Effect::Redirect(Redirect {
            url: Url::parse("https://server.example/authorize?client_id=me&state=good").unwrap(),
            redirect_uri: self.redirect_uri.clone(),
            expires_at: start().plus(Duration::from_secs(300)),
            refused,
        }))
    }
}

impl Machine for Login {
    type Output = String;

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &EMPTY
    }

    fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Result<Step<String>, Error> {
        match event {
            Event::Start => Ok(self.redirect(None)),
            Event::Callback(callback) if callback.state().is_some_and(|state| state.matches("good")) => {
                match callback.response()? {
                    AuthorizationResponse::Denied(refusal) => Err(Error::Refused(refusal)),
                    AuthorizationResponse::Code(code) => match &self.token_url {
                        None => Ok(Step::Done(code.expose().clone())),
                        Some(url) => {
                            self.code = Some(code.expose().clone());
                            Ok(Step::Do(Effect::Send(post(url))))
                        }
                    },
                }
            }
            Event::Callback(_) => Ok(self.redirect(Some(BadCallback::StateMismatch))),
            Event::Response(response) if response.status() == 200 => Ok(Step::Done(self.code.take().unwrap())),
            Event::Response(_) => Err(unavailable(TransportKind::Unavailable)),
            Event::SendFailed(failure) => Err(unavailable(failure.kind)),
            Event::Elapsed if cx.now >= start().plus(Duration::from_secs(300)) => {
                Err(Error::Expired(Expired::Callback))
            }
            Event::Cancel => Err(Error::Cancelled),
            event => panic!("{event:?} in {FAILED}"),
        }
    }
}

fn unavailable(kind: TransportKind) -> Error {
    let delivery = grantflow_core::error::Delivery::Unknown;
    Error::Transport(TransportError { endpoint: Endpoint::Token, kind, delivery, answer: None, not_before: None })
}

fn post(url: &str) -> Outgoing {
    Outgoing {
        request: Request::post(url).body(Body::from(b"code=c".to_vec())).unwrap(),
        max_body: 1024,
        timeout: Duration::from_secs(10),
        reach: Reach::Any,
    }
}

/// Sends `request` and reads the whole answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    read_all(&mut stream)
}

fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What a browser sends that follows a redirect to `target`.
fn get(address: SocketAddr, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive\r\nSec-Fetch-Mode: navigate\r\n\r\n")
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

/// Whether nobody listens there any more.
fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

/// A server that answers every request with `answer`.
fn server(answer: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let read = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..read]);
            }
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
    address
}

/// Keeps what the person is told.
fn recorder() -> (Notifier, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = told.clone();
    (Notifier::new(move |notice: &Notice| keep.lock().unwrap().push(notice.to_string())), told)
}

/// Gives up long after every test should be done, so that one that waits for nothing fails instead of hanging.
fn patience() -> Cancel {
    static PATIENCE: OnceLock<Cancel> = OnceLock::new();
    let cancel = PATIENCE.get_or_init(|| {
        let cancel = Cancel::new();
        let end = cancel.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(60));
            end.cancel();
        });
        cancel
    });
    cancel.clone()
}

fn anywhere() -> Place {
    Place::default()
}
