//! What a server says of a token, and whether that is enough.

use crate::error::{Error, Rule};
use crate::http::json::{Object, Value};
use crate::time::Timestamp;

/// What a server says of a token.
#[derive(Debug)]
pub enum Introspected {
    /// The token may be used.
    Active(Active),
    /// It may not: expired, revoked, unknown. Servers do not say which.
    Inactive,
}

/// The facts of an active token (RFC 7662 §2.2).
#[derive(Debug)]
pub struct Active {
    document: Object,
}

impl Active {
    /// The person the token speaks for.
    pub fn subject(&self) -> Option<String> {
        self.text("sub")
    }

    /// The client it was issued to.
    pub fn client_id(&self) -> Option<String> {
        self.text("client_id")
    }

    /// Its scope, as the server writes it.
    pub fn scope(&self) -> Option<String> {
        self.text("scope")
    }

    /// The server that issued it.
    pub fn issuer(&self) -> Option<String> {
        self.text("iss")
    }

    /// Whom it is meant for: one or several.
    pub fn audience(&self) -> Vec<String> {
        match self.document.get("aud") {
            Some(Value::String(one)) => vec![one.into_owned()],
            Some(Value::Array(many)) => many
                .iter()
                .filter_map(|value| match value {
                    Value::String(one) => Some(one.into_owned()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The key it is bound to (RFC 9449 §6.2).
    pub fn key_thumbprint(&self) -> Option<String> {
        match self.document.get("cnf") {
            Some(Value::Object(confirmation)) => {
                confirmation.get("jkt")?.into_string().map(std::borrow::Cow::into_owned)
            }
            _ => None,
        }
    }

    /// When it expires, in seconds since the epoch.
    pub fn expires_at(&self) -> Option<i64> {
        self.seconds("exp")
    }

    /// Reads any member into your own type.
    ///
    /// # Errors
    /// [`Rule::MemberInvalid`] when the answer does not fit `T`.
    pub fn extra<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        self.document.extra()
    }

    fn text(&self, member: &str) -> Option<String> {
        match self.document.get(member) {
            Some(Value::String(text)) => Some(text.into_owned()),
            _ => None,
        }
    }

    fn seconds(&self, member: &str) -> Option<i64> {
        match self.document.get(member) {
            Some(Value::Number(number)) => Some(number.floor_i64()),
            _ => None,
        }
    }
}

/// Reads an answer, whoever vouches for it, and holds it against what the token has to be.
pub(super) fn judge(wanted: &Wanted, document: Object, now: Timestamp) -> Result<Introspected, Rule> {
    match document.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Introspected::Inactive),
        Some(_) => return Err(Rule::MemberInvalid("active")),
        None => return Err(Rule::MemberMissing("active")),
    }
    let active = Active { document };
    // A time that cannot be read is not the absence of one: the token might have expired long ago.
    for time in ["exp", "nbf"] {
        if !matches!(active.document.get(time), None | Some(Value::Null | Value::Number(_))) {
            return Err(Rule::MemberInvalid(time));
        }
    }
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let expired = active.expires_at().is_some_and(|expiry| expiry <= now);
    let early = active.seconds("nbf").is_some_and(|begin| begin > now.saturating_add(60));
    let usable = !expired && !early && wanted.is_met_by(&active);
    Ok(if usable { Introspected::Active(active) } else { Introspected::Inactive })
}

/// What a token has to be, beside active.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) issuer: String,
    pub(super) audience: Option<String>,
    pub(super) thumbprint: Option<String>,
}

impl Wanted {
    fn is_met_by(&self, active: &Active) -> bool {
        let issuer = active.issuer().is_none_or(|issuer| issuer == self.issuer);
        let audience = self.audience.as_ref().is_none_or(|audience| active.audience().contains(audience));
        let bound = active.key_thumbprint();
        let key = self.thumbprint.as_ref().is_none_or(|thumbprint| bound.as_ref() == Some(thumbprint));
        issuer && audience && key
    }
}
