//! What can go wrong between the client and the server.

use super::{AnswerFacts, Endpoint};
use crate::time::Timestamp;

/// What is known of a request that got no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The server cannot have seen it.
    NotSent,
    /// The server may have acted on it.
    Unknown,
}

/// How a transport failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// The host name does not resolve.
    Dns,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// A deadline passed.
    Timeout,
    /// The connection broke.
    Reset,
    /// What came was not HTTP.
    Protocol,
    /// The body, or the head, is larger than the limit.
    TooLarge,
    /// The host resolves to an address that the request must not reach.
    ForbiddenAddress,
    /// The answer is a redirect, which no protocol endpoint may give.
    Redirected,
    /// The answer is a 408, 425, 429 or 5xx: no verdict.
    Unavailable,
    /// The answer is of a media type that cannot be what was asked for.
    MediaType,
}

/// What a driver reports when there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// What is known of the delivery.
    pub delivery: Delivery,
    /// How it failed.
    pub kind: TransportKind,
}

/// The network, or something on the way, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// Which endpoint was called.
    pub endpoint: Endpoint,
    /// How it failed.
    pub kind: TransportKind,
    /// What is known of the delivery of the request.
    pub delivery: Delivery,
    /// What came back, if anything did.
    pub answer: Option<Box<AnswerFacts>>,
    /// When the server asked to be called again (`Retry-After`).
    pub not_before: Option<Timestamp>,
}
