//! A request that has been read, an answer that is to be sent, and how it is sent: whole, cut off, drop by drop,
//! without end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PRAGMA};
use hyper::{Method, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::params::Params;

/// Between the last byte and the end of a cut connection, so that the bytes leave first.
const BEFORE_THE_CUT: Duration = Duration::from_millis(5);

/// Filler goes out in pieces of this size.
static FILLER: [u8; 16 * 1024] = [b'a'; 16 * 1024];

/// A request with its body read.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Params,
    pub(crate) headers: HeaderMap,
    /// The body's parameters if its media type says form.
    pub(crate) form: Option<Params>,
}

impl Request {
    /// The header's value if it is there once and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// The scheme of the `Authorization` header, without the credentials.
    pub(crate) fn scheme(&self) -> Option<&str> {
        self.header("authorization").and_then(|value| value.split(' ').next())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// What was done, for the log. Never a secret.
    pub(crate) note: String,
}

/// A body and how it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// All of it.
    Whole(Bytes),
    /// The first `at` bytes, under a `Content-Length` that promises all; then the connection ends.
    Cut { bytes: Bytes, at: usize, ending: Ending },
    /// One byte at a time.
    Drip { bytes: Bytes, every: Duration },
    /// `head`, then `filler` times the letter a, then `tail`.
    Long { head: Bytes, filler: usize, tail: Bytes },
    /// Not even a status line: the connection is closed.
    Silence,
}

/// How a connection ends that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With FIN: the client reads an early end.
    Close,
    /// With RST: the client reads "connection reset".
    Reset,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::bytes(status, Bytes::new())
    }

    pub(crate) fn bytes(status: StatusCode, bytes: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), payload: Payload::Whole(bytes.into()), note: String::new() }
    }

    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::bytes(status, value.to_string()).with_type("application/json")
    }

    pub(crate) fn html(status: StatusCode, page: String) -> Self {
        Self::bytes(status, page).with_type("text/html; charset=utf-8")
    }

    pub(crate) fn redirect(status: StatusCode, location: &str) -> Self {
        Self::empty(status).with_header("location", location).no_store()
    }

    /// Sets a header; a value that no header can carry is left out.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub(crate) fn with_type(mut self, media_type: &'static str) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self
    }

    pub(crate) fn no_store(mut self) -> Self {
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        self
    }

    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The body, if it is to be sent whole.
    pub(crate) fn whole(&self) -> Bytes {
        match &self.payload {
            Payload::Whole(bytes) => bytes.clone(),
            Payload::Cut { .. } | Payload::Drip { .. } | Payload::Long { .. } | Payload::Silence => Bytes::new(),
        }
    }

    /// The status as the log shows it: 0 if none is sent.
    pub(crate) fn logged_status(&self) -> u16 {
        if matches!(self.payload, Payload::Silence) { 0 } else { self.status.as_u16() }
    }

    /// The answer for hyper; `None` if the connection is to be closed instead. `reset` is raised if it is to
    /// end with RST.
    pub(crate) fn into_response(self, reset: &Arc<AtomicBool>) -> Option<hyper::Response<ReplyBody>> {
        let (body, promised) = match self.payload {
            Payload::Whole(bytes) => (ReplyBody::new(vec![Piece::Bytes(bytes)]), None),
            Payload::Cut { bytes, at, ending } => {
                reset.store(ending == Ending::Reset, Ordering::SeqCst);
                let sent = bytes.slice(..at.min(bytes.len()));
                let promised = bytes.len().max(at.saturating_add(1));
                let pieces = vec![Piece::Bytes(sent), Piece::Pause(BEFORE_THE_CUT), Piece::Cut];
                (ReplyBody::new(pieces), Some(promised))
            }
            Payload::Drip { bytes, every } => {
                let drops =
                    (0..bytes.len()).flat_map(|at| [Piece::Bytes(bytes.slice(at..=at)), Piece::Pause(every)]).collect();
                (ReplyBody::new(drops), None)
            }
            Payload::Long { head, filler, tail } => {
                (ReplyBody::new(vec![Piece::Bytes(head), Piece::Filler(filler), Piece::Bytes(tail)]), None)
            }
            Payload::Silence => return None,
        };
        let mut response = hyper::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(promised) = promised {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(promised));
        }
        Some(response)
    }
}

/// A body in pieces.
pub(crate) struct ReplyBody {
    pieces: std::collections::VecDeque<Piece>,
    pause: Option<Pin<Box<Sleep>>>,
}

enum Piece {
    Bytes(Bytes),
    Filler(usize),
    Pause(Duration),
    Cut,
}

impl ReplyBody {
    fn new(pieces: Vec<Piece>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !matches!(piece, Piece::Bytes(bytes) if bytes.is_empty()));
        Self { pieces: pieces.collect(), pause: None }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                match pause.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => this.pause = None,
                }
            }
            match this.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::Filler(left)) => {
                    let now = left.min(FILLER.len());
                    if left > now {
                        this.pieces.push_front(Piece::Filler(left.saturating_sub(now)));
                    }
                    let piece = Bytes::from_static(&FILLER).slice(..now);
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Some(Piece::Pause(length)) => {
                    let now = Instant::now();
                    this.pause = Some(Box::pin(sleep_until(now.checked_add(length).unwrap_or(now))));
                }
                Some(Piece::Cut) => return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut pieces = self.pieces.iter();
        match (pieces.next(), pieces.next()) {
            (None, _) => SizeHint::with_exact(0),
            (Some(Piece::Bytes(bytes)), None) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            _ => SizeHint::default(),
        }
    }
}
