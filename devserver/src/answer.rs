//! Raw answers that a test puts in the server's mouth.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};

use crate::wire::{Ending, Payload, Reply};

/// This many answers wait for one path; more are dropped.
const LONGEST_QUEUE: usize = 1_000;

/// An answer, byte by byte, for [`DevServer::answer_next`](crate::DevServer::answer_next).
///
/// ```
/// use grantflow_devserver::Answer;
/// let answer = Answer::new(200, &[("content-type", "application/json")], r#"{"access_token":"a"}"#);
/// let torn = answer.clone().close_after(5);
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// The whole body, and the connection lives on.
    Whole,
    /// After so many bytes of the body.
    After(usize, Ending),
    /// Before the status line.
    Silence,
}

impl Answer {
    /// An answer with this status, these headers and this body. A status that HTTP does not know becomes 500; a header
    /// that no message can carry is left out, and so are those that frame the body, which follow from it.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: Bytes::from(body.into()), end: End::Whole }
    }

    /// No answer: the connection is closed once the request has been read.
    pub fn silence() -> Self {
        Self { end: End::Silence, ..Self::new(200, &[], Vec::new()) }
    }

    /// Promises the whole body but closes the connection after `bytes` of it.
    #[must_use]
    pub fn close_after(self, bytes: usize) -> Self {
        Self { end: End::After(bytes, Ending::Close), ..self }
    }

    /// Promises the whole body but resets the connection after `bytes` of it.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        Self { end: End::After(bytes, Ending::Reset), ..self }
    }

    fn into_reply(self) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
                && name != CONTENT_LENGTH
                && name != TRANSFER_ENCODING
            {
                headers.append(name, value);
            }
        }
        let payload = match self.end {
            End::Whole => Payload::Whole(self.body),
            End::After(at, ending) => Payload::Cut { bytes: self.body, at, ending },
            End::Silence => Payload::Silence,
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply { status, headers, payload, note: "scripted answer".to_owned() }
    }
}

/// The answers that wait, by path.
#[derive(Default)]
pub(crate) struct Scripts(BTreeMap<String, VecDeque<Answer>>);

impl Scripts {
    pub(crate) fn push(&mut self, path: &str, answer: Answer) {
        let queue = self.0.entry(path.to_owned()).or_default();
        if queue.len() < LONGEST_QUEUE {
            queue.push_back(answer);
        }
    }

    pub(crate) fn take(&mut self, path: &str) -> Option<Reply> {
        self.0.get_mut(path)?.pop_front().map(Answer::into_reply)
    }
}
