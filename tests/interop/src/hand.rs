//! The core by hand: its effects performed with nothing but the standard library.
//!
//! This is a driver in sixty lines. It does what it must and no more: a loopback server, no TLS, no pool.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use grantflow_core::callback::CallbackParams;
use grantflow_core::crypto::AwsLc;
use grantflow_core::error::{Delivery, Error, SendFailure, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::machine::{Context, Effect, Event, Machine, Redirect, Step, UserCode};
use grantflow_core::memory::Memory;
use grantflow_core::{Random, RandomUnavailable, Timestamp};
use url::Url;

/// Whoever looks at a screen.
pub trait Screen {
    /// Goes where the redirect says and comes back with the callback.
    fn redirect(&mut self, redirect: Redirect) -> CallbackParams {
        panic!("nobody to send to {}", redirect.url.path())
    }

    /// Sees a code.
    fn code(&mut self, code: UserCode) {
        panic!("nobody to show a code to: {code:?}")
    }
}

/// Nobody.
impl Screen for () {}

/// Drives `machine` to its end.
///
/// # Errors
/// What the machine ends with.
pub fn run<M: Machine>(machine: &mut M, memory: &mut Memory, screen: &mut dyn Screen) -> Result<M::Output, Error> {
    let mut event = Event::Start;
    loop {
        let mut cx = Context { now: now(), random: &mut System, crypto: &AwsLc, memory, observer: None };
        event = match machine.handle(event, &mut cx)? {
            Step::Done(output) => return Ok(output),
            Step::Do(Effect::Send(outgoing)) => match exchange(&outgoing.request, outgoing.timeout) {
                Ok(response) => Event::Response(response),
                Err(_) => Event::SendFailed(SendFailure { delivery: Delivery::Unknown, kind: TransportKind::Reset }),
            },
            Step::Do(Effect::Redirect(redirect)) => Event::Callback(screen.redirect(redirect)),
            Step::Do(Effect::ShowUserCode(code)) => {
                screen.code(code);
                Event::Shown
            }
            Step::Do(Effect::Sleep { until }) => {
                std::thread::sleep(until.since(now()));
                Event::Elapsed
            }
            Step::Do(Effect::Sign(request)) => panic!("no key is called {}", request.key_id),
            Step::Do(other) => other.refused(),
        };
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        aws_lc_rs::rand::fill(out).map_err(|_| RandomUnavailable)
    }
}

/// The body of a GET.
pub(crate) fn get(url: &Url) -> Vec<u8> {
    let request = http::Request::get(url.as_str()).body(Body::empty()).expect("a request");
    let response = exchange(&request, Duration::from_secs(10)).expect("an answer");
    response.body().expose().to_vec()
}

/// One request over one connection. HTTP/1.0, so that the answer ends with the connection and is never chunked.
fn exchange(request: &http::Request<Body>, timeout: Duration) -> std::io::Result<http::Response<Body>> {
    let uri = request.uri();
    let authority = uri.authority().expect("an absolute URL").as_str();
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(timeout))?;

    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = format!("{} {target} HTTP/1.0\r\nHost: {authority}\r\n", request.method()).into_bytes();
    for (name, value) in request.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(format!("Content-Length: {}\r\n\r\n", request.body().len()).bytes());
    stream.write_all(&head)?;
    stream.write_all(request.body().expose())?;

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = parsed.parse(&answer) else {
        return Err(std::io::ErrorKind::InvalidData.into());
    };
    let mut response = http::Response::builder().status(parsed.code.unwrap_or(0));
    for header in parsed.headers.iter() {
        response = response.header(header.name, header.value);
    }
    response.body(Body::new(answer[length..].to_vec())).map_err(std::io::Error::other)
}
