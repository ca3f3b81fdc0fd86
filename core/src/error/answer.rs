//! What can be wrong with a server's answer, and the answer that says no by the rules.

use super::{Advice, Endpoint};

/// The facts of an answer that an engineer needs to see. Text is escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The status.
    pub status: u16,
    /// The media type, as sent.
    pub media_type: Option<String>,
    /// Selected headers: `Location`, `Retry-After`, `WWW-Authenticate`, `Date`, request ids. Names in lower case.
    pub headers: Vec<(String, String)>,
    /// A piece of the body, with all that may be secret struck out.
    pub excerpt: Option<String>,
}

/// The server answered, but not by the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// Which endpoint answered.
    pub endpoint: Endpoint,
    /// The rule that was broken.
    pub rule: Rule,
    /// What came back.
    pub answer: Option<AnswerFacts>,
}

/// A rule that a server can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The status is not one that this endpoint may answer with.
    Status,
    /// The media type is not allowed here.
    MediaType,
    /// The body is not JSON; the position is a byte offset.
    Json {
        /// Where it went wrong.
        at: usize,
        /// What went wrong.
        flaw: JsonFlaw,
    },
    /// The body is not `application/x-www-form-urlencoded`.
    Form,
    /// A member is absent.
    MemberMissing(&'static str),
    /// A member has the wrong type or an impossible value.
    MemberInvalid(&'static str),
    /// The token type is not one that this client can use.
    TokenType,
    /// A DPoP proof was sent and the answer is a bearer token.
    Downgrade,
    /// The token is bound to a key (DPoP), and the client has none.
    KeyBound,
    /// `openid` was asked for and no id_token came.
    IdTokenMissing,
    /// The granted scope is wider than the one asked for, and the client demands the exact one.
    ScopeExceeded,
    /// An id_token cannot be read.
    JwtMalformed,
    /// A JWT is larger than its limit.
    JwtTooLarge,
    /// The key set holds no usable key.
    NoKeys,
    /// There is no metadata at any of the places where it may be.
    NoMetadata,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonFlaw {
    /// Not JSON.
    Syntax,
    /// It ends too early.
    Truncated,
    /// Bytes follow it.
    Trailing,
    /// It is not an object.
    NotObject,
    /// A member stands in it twice.
    DuplicateMember,
    /// It is nested deeper than 32.
    TooDeep,
    /// It has more than 10,000 members.
    TooManyMembers,
    /// It is not UTF-8.
    Encoding,
}

/// The server said no, by the rules (RFC 6749 §5.2 and its like).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which endpoint said so.
    pub endpoint: Endpoint,
    /// The code, word for word but escaped: `invalid_grant`.
    pub code: String,
    /// The server's explanation, escaped and cut to 1 KiB.
    pub description: Option<String>,
    /// Where the server explains more. Text: never opened or fetched.
    pub uri: Option<String>,
    /// The status and the rest; `None` for a refusal that came by way of the browser.
    pub answer: Option<AnswerFacts>,
    /// What this library knows about the cause.
    pub hint: Option<&'static str>,
}

impl Refusal {
    /// Whether the code is one that says the same as `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    pub(super) fn advice(&self) -> Advice {
        match self.code.as_str() {
            "invalid_grant"
            | "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
            | "bad_refresh_token"
            | "refresh_token_not_found"
            | "expired_token"
            | "bad_verification_code"
            | "invalid_token" => Advice::LogInAgain,
            "access_denied" | "authorization_declined" => Advice::GiveUp,
            "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" => {
                Advice::Retry { not_before: None }
            }
            "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "unsupported_response_type"
            | "invalid_request"
            | "invalid_scope"
            | "invalid_target"
            | "invalid_redirect_uri"
            | "unsupported_token_type"
            | "insufficient_scope" => Advice::FixConfig,
            _ => Advice::Report,
        }
    }
}
