//! One connection to the listener: bytes in, a callback or an answer out.

use core::fmt;

use httparse::{EMPTY_HEADER, Header, Request, Status};
use zeroize::Zeroizing;

use super::{BODY_LIMIT, FIELDS_COUNT, FIELDS_LIMIT, LINE_LIMIT, Reception, Reply, ResponseMode};
use crate::callback::CallbackParams;
use crate::error::BadCallback;

/// What a connection has said so far.
#[derive(Debug)]
pub enum Heard {
    /// Not yet a whole request: read on, until [`HEADER_DEADLINE`](super::HEADER_DEADLINE).
    More,
    /// Send this and close. The login goes on.
    Answer(Reply),
    /// A callback, of whoever sent it. Keep the connection, ask the flow, and answer with one of the
    /// [`pages`](Reception::pages).
    Callback(CallbackParams),
}

/// Reads one connection. How its bytes are cut into pieces makes no difference.
pub struct Connection {
    reception: Reception,
    bytes: Zeroizing<Vec<u8>>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The request line is not complete.
    Line,
    /// The header fields are not complete.
    Fields {
        /// Where they begin.
        start: usize,
        /// Where the line begins that is being read.
        line: usize,
        /// How many lines are complete.
        count: usize,
    },
    /// The form is not complete.
    Form {
        /// How long it will be.
        length: usize,
    },
    /// Answered; nothing more is read.
    Over,
}

/// What a complete head asks for.
enum Asked {
    Query(String),
    Form { length: usize },
}

impl Connection {
    /// A connection on which nothing has come yet.
    pub fn new(reception: &Reception) -> Self {
        Self { reception: reception.clone(), bytes: Zeroizing::new(Vec::new()), stage: Stage::Line }
    }

    /// Takes the next bytes in. After anything but [`Heard::More`] the rest of what comes is to be dropped.
    pub fn receive(&mut self, bytes: &[u8]) -> Heard {
        for byte in bytes {
            // Every decision is made at one certain byte, so that the pieces in which bytes come cannot matter.
            match self.step(*byte) {
                Heard::More => {}
                heard @ (Heard::Answer(_) | Heard::Callback(_)) => {
                    self.stage = Stage::Over;
                    self.bytes = Zeroizing::new(Vec::new());
                    return heard;
                }
            }
        }
        Heard::More
    }

    fn step(&mut self, byte: u8) -> Heard {
        self.bytes.push(byte);
        let length = self.bytes.len();
        match self.stage {
            Stage::Line => self.line(byte, length),
            Stage::Fields { start, line, count } => self.fields(byte, length, start, line, count),
            Stage::Form { length: expected } if length < expected => Heard::More,
            Stage::Form { .. } => self.called(CallbackParams::from_form(&self.bytes)),
            Stage::Over => Heard::More,
        }
    }

    fn line(&mut self, byte: u8, length: usize) -> Heard {
        // A TLS client waits for an answer to its hello, which has no line in it.
        if !(byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n')) {
            return Heard::Answer(Reply::text(400));
        }
        if length > LINE_LIMIT {
            return Heard::Answer(Reply::text(414));
        }
        if byte != b'\n' {
            return Heard::More;
        }
        // HTTP/0.9 and HTTP/2 send no more than this line; waiting for header fields would leave them hanging.
        let mut fields = [EMPTY_HEADER; 1];
        match Request::new(&mut fields).parse(&self.bytes) {
            Ok(Status::Partial) if length > 2 => {
                self.stage = Stage::Fields { start: length, line: length, count: 0 };
                Heard::More
            }
            Ok(Status::Partial | Status::Complete(_)) | Err(_) => Heard::Answer(Reply::text(400)),
        }
    }

    fn fields(&mut self, byte: u8, length: usize, start: usize, line: usize, count: usize) -> Heard {
        if length.saturating_sub(start) > FIELDS_LIMIT {
            return Heard::Answer(Reply::text(431));
        }
        if byte != b'\n' {
            return Heard::More;
        }
        if !matches!(self.bytes.get(line..), Some(b"\n" | b"\r\n")) {
            let count = count.saturating_add(1);
            self.stage = Stage::Fields { start, line: length, count };
            return if count > FIELDS_COUNT { Heard::Answer(Reply::text(431)) } else { Heard::More };
        }
        match asked(&self.bytes, &self.reception) {
            Err(reply) => Heard::Answer(reply),
            Ok(Asked::Query(query)) => self.called(CallbackParams::from_query(&Zeroizing::new(query))),
            Ok(Asked::Form { length: 0 }) => self.called(CallbackParams::from_form(&[])),
            Ok(Asked::Form { length }) => {
                self.bytes = Zeroizing::new(Vec::with_capacity(length));
                self.stage = Stage::Form { length };
                Heard::More
            }
        }
    }

    fn called(&self, parameters: Result<CallbackParams, BadCallback>) -> Heard {
        match parameters {
            Ok(parameters) => Heard::Callback(parameters),
            Err(why) => Heard::Answer(self.reception.pages().refused(why)),
        }
    }
}

/// Judges a complete head.
fn asked(bytes: &[u8], reception: &Reception) -> Result<Asked, Reply> {
    let mut fields = [EMPTY_HEADER; FIELDS_COUNT];
    let mut head = Request::new(&mut fields);
    let Ok(Status::Complete(_)) = head.parse(bytes) else {
        return Err(Reply::text(400));
    };
    let (Some(method), Some(target)) = (head.method, head.path) else {
        return Err(Reply::text(400));
    };
    let host = only(head.headers, "host").ok_or_else(|| Reply::text(400))?;
    if !reception.is_host(host) {
        // Another name for this address is DNS rebinding, or a request that has gone astray.
        return Err(Reply::text(421));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !reception.is_path(path) {
        return Err(Reply::text(if path.starts_with('/') { 404 } else { 400 }));
    }
    let allowed = match reception.mode() {
        // A browser keeps the fragment to itself: what comes then is a call without parameters, which the flow refuses.
        ResponseMode::Query | ResponseMode::Fragment => "GET",
        ResponseMode::FormPost => "POST",
    };
    if method != allowed {
        return Err(Reply::not_allowed(allowed, method));
    }
    if count(head.headers, "sec-fetch-mode") > 0 && only(head.headers, "sec-fetch-mode") != Some("navigate") {
        // A script or an embedded picture, not a browser that follows a redirect.
        return Err(Reply::text(403));
    }
    let chunked = count(head.headers, "transfer-encoding") > 0;
    let length = length(head.headers)?;
    match reception.mode() {
        ResponseMode::Query | ResponseMode::Fragment if chunked || length.unwrap_or(0) > 0 => Err(Reply::text(400)),
        ResponseMode::Query | ResponseMode::Fragment => Ok(Asked::Query(query.to_owned())),
        ResponseMode::FormPost if chunked => Err(Reply::text(411)),
        ResponseMode::FormPost if !is_form(head.headers) => Err(Reply::text(415)),
        ResponseMode::FormPost => match length {
            None => Err(Reply::text(411)),
            Some(length) if length > BODY_LIMIT => Err(Reply::text(413)),
            Some(length) => Ok(Asked::Form { length }),
        },
    }
}

fn count(fields: &[Header<'_>], name: &str) -> usize {
    fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count()
}

/// The value of a field that stands there once.
fn only<'a>(fields: &[Header<'a>], name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    core::str::from_utf8(value).ok().map(str::trim)
}

/// The declared length of the body, if one is declared.
fn length(fields: &[Header<'_>]) -> Result<Option<usize>, Reply> {
    if count(fields, "content-length") == 0 {
        return Ok(None);
    }
    let Some(value) = only(fields, "content-length") else {
        return Err(Reply::text(400));
    };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reply::text(400));
    }
    // More digits than a number holds are a length that is too large anyway.
    Ok(Some(value.parse().unwrap_or(usize::MAX)))
}

fn is_form(fields: &[Header<'_>]) -> bool {
    let media_type = only(fields, "content-type").unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} bytes)", self.bytes.len())
    }
}
