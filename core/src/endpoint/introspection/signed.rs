//! Answers that are signed (RFC 9701): recognized, and held until there is a key to check them with.

use core::time::Duration;

use http::{Response, StatusCode, header};

use super::active::Wanted;
use crate::Secret;
use crate::client::Client;
use crate::error::{Endpoint, Error, Rule, SecurityError};
use crate::http::Body;
use crate::http::json::Object;
use crate::jose::{IdTokenRules, JwkSet, SignatureAlgorithm, VerifyError, verify_introspection};
use crate::machine::{Context, Observer};
use crate::time::Timestamp;
use crate::token::{Leniency, answer, refusal};

/// What a signed answer is asked for as, and comes as (RFC 9701 §4, §5).
pub(super) const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// How old a signed answer may be: it is made for the question.
const LONGEST_AGE: Duration = Duration::from_secs(5 * 60);

/// What was asked, and how the answer has to be signed.
#[derive(Debug)]
pub(super) struct Demands {
    pub(super) client: Client,
    pub(super) wanted: Wanted,
    /// How the answer must be signed; `None` for one that is not signed.
    pub(super) algorithms: Option<Vec<SignatureAlgorithm>>,
}

/// A signed answer of which nothing is believed yet.
#[derive(Debug)]
pub(super) struct Sealed {
    demands: Demands,
    jws: Secret,
}

/// Reads what a server sent although it was to be signed: the text of a JWS, or why there is none.
fn text(response: &Response<Body>, now: Timestamp) -> Result<Secret, Error> {
    const AT: Endpoint = Endpoint::Introspection;
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !response.status().is_success() || !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        // A refusal, a page, a server that cannot serve now; or an answer that says nothing, since nobody has signed it.
        answer::success(response, Leniency::Compat, now, AT)?;
        return Err(SecurityError::Unsigned.into());
    }
    if response.status() != StatusCode::OK {
        return Err(refusal::broken(response, AT, Rule::Status));
    }
    let text = core::str::from_utf8(response.body().expose());
    text.map(Secret::from).map_err(|_| refusal::broken(response, AT, Rule::JwtMalformed))
}

impl Sealed {
    pub(super) fn of(demands: Demands, response: &Response<Body>, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { demands, jws: text(response, now)? })
    }

    pub(super) fn client(&self) -> &Client {
        &self.demands.client
    }

    pub(super) fn issuer(&self) -> &str {
        self.demands.client.server().issuer()
    }

    pub(super) fn into_wanted(self) -> Wanted {
        self.demands.wanted
    }

    /// Checks the answer with the keys at hand. Without any, what no key can make right is found all the same.
    pub(super) fn opened_at_once(&self, cx: &mut Context<'_>) -> Result<Object, VerifyError> {
        match cx.memory.keys(self.issuer(), cx.now) {
            Some(keys) => self.opened(&keys, cx),
            None => match self.checked(&JwkSet::default(), cx.now, None) {
                // That no key was found is no news before any was fetched.
                Err(missing @ VerifyError::KeysMissing(_)) => Err(missing),
                Ok(_) | Err(VerifyError::Failed(_)) => self.opened(&JwkSet::default(), cx),
            },
        }
    }

    /// Checks the answer with these keys.
    pub(super) fn opened(&self, keys: &JwkSet, cx: &mut Context<'_>) -> Result<Object, VerifyError> {
        self.checked(keys, cx.now, cx.watch())
    }

    fn checked(
        &self,
        keys: &JwkSet,
        now: Timestamp,
        observer: Option<&mut dyn Observer>,
    ) -> Result<Object, VerifyError> {
        let client = &self.demands.client;
        let mut rules = IdTokenRules::new(self.issuer(), client.client_id());
        rules.issuer_rule = client.tolerance().issuer_rule;
        rules.algorithms = self.demands.algorithms.as_deref().unwrap_or_default();
        rules.max_issued_age = Some(LONGEST_AGE);
        rules.endpoint = Endpoint::Introspection;
        verify_introspection(&self.jws, keys, &rules, now, observer)
    }
}
