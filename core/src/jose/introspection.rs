//! Verifying a signed introspection answer (RFC 9701 §5; RFC 8725 §3).

use super::claims::{self, Checks};
use super::jws::{Compact, VerifyError};
use super::keys::JwkSet;
use super::rules::IdTokenRules;
use super::signed;
use crate::error::{SecurityError, safe_text};
use crate::http::json::Object;
use crate::machine::Observer;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The one `typ` that such an answer may have. It must have it: any other JWT of the same issuer would do otherwise.
const TYPE: [&str; 2] = ["token-introspection+jwt", "application/token-introspection+jwt"];

/// Checks everything about a signed answer that is not about the token, and gives what is: the member `token_introspection`.
///
/// Of the rules those about form, issuer, audience and time count.
pub(crate) fn verify_introspection(
    token: &Secret,
    keys: &JwkSet,
    rules: &IdTokenRules<'_>,
    now: Timestamp,
    observer: Option<&mut dyn Observer>,
) -> Result<Object, VerifyError> {
    let mut checks = Checks { observer };
    let jws = Compact::cut(token.expose(), rules.endpoint)?;
    signed::check(&jws, keys, rules, &mut checks, (TYPE[0], kind))?;
    let answer = claims::introspection(&jws.payload()?, rules, now, &mut checks)?;
    Ok(answer.ok_or_else(|| jws.malformed())?)
}

/// Refuses every other kind of JWT, and one that does not say its kind.
fn kind(typ: Option<&str>, _: Option<&str>) -> Result<(), SecurityError> {
    if typ.is_some_and(|typ| TYPE.iter().any(|kind| kind.eq_ignore_ascii_case(typ))) {
        return Ok(());
    }
    Err(SecurityError::JwtType(typ.map_or("(absent)".to_owned(), safe_text)))
}
