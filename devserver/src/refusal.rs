//! The server's refusals: RFC 6749 §5.2 bodies, RFC 6750 §3 challenges.

use hyper::StatusCode;
use serde_json::json;

use crate::wire::Reply;

/// A request that was turned down, with the OAuth error code.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) description: String,
    /// The value of `WWW-Authenticate`.
    pub(crate) challenge: Option<String>,
    /// Whether the body is JSON or empty.
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Json,
    Empty,
}

impl Refusal {
    /// 400 with `code`.
    pub(crate) fn new(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            description: description.into(),
            challenge: None,
            shape: Shape::Json,
        }
    }

    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(crate) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new("invalid_grant", description)
    }

    /// 401 with a Basic challenge (RFC 6749 §5.2).
    pub(crate) fn invalid_client(description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some("Basic realm=\"grantflow-devserver\", charset=\"UTF-8\"".to_owned()),
            ..Self::new("invalid_client", description)
        }
    }

    /// 500: the server's own trouble, such as a random source that gave nothing.
    pub(crate) fn server_error(description: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::new("server_error", description) }
    }

    /// 404 or 405.
    pub(crate) fn not_served(status: StatusCode, description: impl Into<String>) -> Self {
        Self { status, ..Self::new("not_found", description) }
    }

    /// What a protected resource says (RFC 6750 §3.1): the code stands in the challenge, the body is empty.
    /// Without a token there is no code either.
    pub(crate) fn bearer(fault: BearerFault) -> Self {
        let (status, code, description) = match fault {
            BearerFault::Missing => (StatusCode::UNAUTHORIZED, "", "there is no access token"),
            BearerFault::Malformed => {
                (StatusCode::BAD_REQUEST, "invalid_request", "send one token, in the Authorization header")
            }
            BearerFault::Invalid => {
                (StatusCode::UNAUTHORIZED, "invalid_token", "the access token is unknown, expired or revoked")
            }
            BearerFault::OpenidMissing => {
                (StatusCode::FORBIDDEN, "insufficient_scope", "the access token lacks scope openid")
            }
        };
        let mut challenge = "Bearer realm=\"grantflow-devserver\"".to_owned();
        if !code.is_empty() {
            challenge.push_str(&format!(", error=\"{code}\", error_description=\"{description}\""));
        }
        if matches!(fault, BearerFault::OpenidMissing) {
            challenge.push_str(", scope=\"openid\"");
        }
        Self { status, code, description: description.to_owned(), challenge: Some(challenge), shape: Shape::Empty }
    }

    pub(crate) fn into_reply(self) -> Reply {
        let note = format!("refused: {} ({})", self.code, self.description);
        let reply = match self.shape {
            Shape::Json => {
                Reply::json(self.status, &json!({ "error": self.code, "error_description": self.description }))
            }
            Shape::Empty => Reply::empty(self.status),
        };
        let reply = reply.no_store().with_note(note);
        match self.challenge {
            Some(challenge) => reply.with_header("www-authenticate", &challenge),
            None => reply,
        }
    }
}

/// Why a protected resource turned a request down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BearerFault {
    Missing,
    Malformed,
    Invalid,
    OpenidMissing,
}
