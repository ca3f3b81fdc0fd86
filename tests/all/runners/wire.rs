//! HTTP/1.1 in a few lines on a bare socket: enough for the run by hand, and for the person's browser.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use grantflow_core::error::{Delivery, SendFailure, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::machine::Outgoing;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{Ears, World};

/// Sends one request, reads the answer to its end or to its limit, and closes.
pub fn send(outgoing: &Outgoing) -> Result<http::Response<Body>, SendFailure> {
    let unknown = |kind| SendFailure { delivery: Delivery::Unknown, kind };
    let request = &outgoing.request;
    let address: SocketAddr = request.uri().authority().unwrap().as_str().parse().unwrap();
    let mut stream = TcpStream::connect(address)
        .map_err(|_| SendFailure { delivery: Delivery::NotSent, kind: TransportKind::Connect })?;
    let target = request.uri().path_and_query().unwrap();
    let mut bytes = format!("{} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", request.method());
    for (name, value) in request.headers() {
        bytes += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    bytes += &format!("Content-Length: {}\r\n\r\n", request.body().len());
    stream.write_all(bytes.as_bytes()).map_err(|_| unknown(TransportKind::Reset))?;
    stream.write_all(request.body().expose()).map_err(|_| unknown(TransportKind::Reset))?;
    let read = read(&mut stream, outgoing.max_body, outgoing.timeout).map_err(unknown)?;
    let (head, body) = split(&read).ok_or(unknown(TransportKind::Reset))?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut response = http::Response::builder().status(status);
    let mut length = None;
    let mut chunked = false;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>().unwrap()),
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
        response = response.header(name, value);
    }
    let body = if chunked { dechunked(body) } else { Some(body.to_vec()) };
    let whole = body.filter(|body| length.is_none_or(|length| body.len() >= length));
    let body = whole.ok_or(unknown(TransportKind::Reset))?;
    if body.len() > outgoing.max_body {
        return Err(unknown(TransportKind::TooLarge));
    }
    Ok(response.body(Body::new(body)).unwrap())
}

fn read(stream: &mut TcpStream, limit: usize, timeout: Duration) -> Result<Vec<u8>, TransportKind> {
    // Room for the head and for what chunks cost.
    let limit = limit + limit / 8 + 64 * 1024;
    let begun = std::time::Instant::now();
    let mut read = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(TransportKind::Timeout);
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut piece) {
            Ok(0) => return Ok(read),
            Ok(length) => read.extend_from_slice(&piece[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(TransportKind::Timeout);
            }
            Err(_) => return Err(TransportKind::Reset),
        }
        if read.len() > limit {
            return Err(TransportKind::TooLarge);
        }
    }
}

fn split(read: &[u8]) -> Option<(&str, &[u8])> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&read[..end]).unwrap(), &read[end + 4..]))
}

/// The bytes in the chunks; `None` if the last one is missing.
fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// A page that a browser got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub status: u16,
    pub location: Option<String>,
    pub text: String,
}

/// Visits a page as a browser does; with a form it is posted. Redirects are not followed.
pub fn visit(method: &str, url: &Url, form: Option<&str>) -> Visit {
    let address = url.socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).unwrap();
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\
         Connection: close\r\n"
    );
    if let Some(form) = form {
        let fields = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length";
        request += &format!("{fields}: {}\r\n\r\n{form}", form.len());
    } else {
        request += "\r\n";
    }
    stream.write_all(request.as_bytes()).unwrap();
    let read = read(&mut stream, 1 << 20, Duration::from_secs(60)).unwrap();
    let (head, body) = split(&read).unwrap_or_else(|| panic!("{method} {url} got {} bytes", read.len()));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    Visit { status, location, text: String::from_utf8(body.to_vec()).unwrap() }
}

/// Hurries a request if the world is impatient, and keeps its secrets in mind.
pub fn departing(world: &World, outgoing: &mut Outgoing) {
    if let Some(patience) = world.patience {
        outgoing.timeout = outgoing.timeout.min(patience);
    }
    let ears = &world.ears;
    for (name, value) in form_urlencoded::parse(outgoing.request.body().expose()) {
        match name.as_ref() {
            "code" => ears.keep("code", &value),
            "code_verifier" => ears.keep("verifier", &value),
            "refresh_token" => ears.keep("refresh token", &value),
            "device_code" => ears.keep("device code", &value),
            "client_secret" => ears.keep("client secret", &value),
            "token" => ears.keep("token", &value),
            _ => {}
        }
    }
    if let Some(value) = outgoing.request.headers().get("authorization") {
        let (_, credentials) = value.to_str().unwrap().split_once(' ').unwrap();
        ears.keep("credentials", credentials);
    }
}

/// Keeps an answer's secrets in mind.
pub fn arrived(ears: &Ears, answer: &Result<http::Response<Body>, SendFailure>) {
    let Ok(answer) = answer else { return };
    let body = answer.body().expose();
    let Ok(Value::Object(members)) = serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)) else {
        return;
    };
    let kinds = [("access_token", "access token"), ("refresh_token", "refresh token"), ("id_token", "id_token")];
    for (member, kind) in kinds.into_iter().chain([("device_code", "device code"), ("user_code", "user code")]) {
        if let Some(secret) = members.get(member).and_then(Value::as_str).filter(|secret| !secret.is_empty()) {
            ears.keep(kind, secret);
        }
    }
}
