//! Verifying a signed introspection answer (RFC 9701 §5; RFC 8725 §3).

use super::claims::{self, Checks};
use super::id_token::{alg_facts, present};
use super::jws::{Compact, VerifyError};
use super::keys::JwkSet;
use super::rules::IdTokenRules;
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
    let header = jws.header()?;
    let algorithm = header.algorithm(&jws, rules.algorithms);
    let algorithm = checks.require("alg", algorithm, || alg_facts(&header, rules))?;
    let crit = if header.has_critical() { Err(SecurityError::CriticalHeader) } else { Ok(()) };
    checks.require("crit", crit, || ("(absent)".to_owned(), present(header.has_critical())))?;
    let found = header.kind("typ", &jws)?;
    let shown = found.as_deref().map_or("(absent)".to_owned(), safe_text);
    let is_it = found.is_some_and(|found| TYPE.iter().any(|kind| kind.eq_ignore_ascii_case(&found)));
    let typ = if is_it { Ok(()) } else { Err(SecurityError::JwtType(shown.clone())) };
    checks.require("typ", typ, || (TYPE[0].to_owned(), shown))?;
    let signature = jws.check(&header, algorithm, keys);
    checks.require("signature", signature, || {
        let kid = header.kid(&jws).ok().flatten();
        ("a key of the issuer".to_owned(), kid.map_or("no kid".to_owned(), |kid| safe_text(&format!("kid {kid}"))))
    })?;
    let answer = claims::introspection(&jws.payload()?, rules, now, &mut checks)?;
    Ok(answer.ok_or_else(|| jws.malformed())?)
}
