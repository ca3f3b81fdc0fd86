//! What is checked of every signed JWT before its claims are read (RFC 7515 §4.1; RFC 8725 §3).

use super::SignatureAlgorithm;
use super::claims::Checks;
use super::jws::{Compact, Header, VerifyError};
use super::keys::JwkSet;
use super::rules::IdTokenRules;
use crate::error::{SecurityError, safe_text};

/// Checks algorithm, critical headers, kind and signature, in this order. What `typ` and `cty` are accepted is the caller's
/// to say, and what is expected in words.
///
/// The algorithm is compared with the client's list before any key is looked for.
pub(super) fn check(
    jws: &Compact<'_>,
    keys: &JwkSet,
    rules: &IdTokenRules<'_>,
    checks: &mut Checks<'_>,
    (expected, kind): (&'static str, impl FnOnce(Option<&str>, Option<&str>) -> Result<(), SecurityError>),
) -> Result<SignatureAlgorithm, VerifyError> {
    let header = jws.header()?;
    let algorithm = header.algorithm(jws, rules.algorithms);
    let algorithm = checks.require("alg", algorithm, || algorithms(&header, rules))?;
    let crit = if header.has_critical() { Err(SecurityError::CriticalHeader) } else { Ok(()) };
    checks.require("crit", crit, || {
        let found = if header.has_critical() { "(present)" } else { "(absent)" };
        ("(absent)".to_owned(), found.to_owned())
    })?;
    let (typ, cty) = (header.kind("typ", jws)?, header.kind("cty", jws)?);
    checks.require("typ", kind(typ.as_deref(), cty.as_deref()), || {
        (expected.to_owned(), typ.as_deref().map_or("(absent)".to_owned(), safe_text))
    })?;
    let signature = jws.check(&header, algorithm, keys);
    checks.require("signature", signature, || {
        let kid = header.kid(jws).ok().flatten();
        ("a key of the issuer".to_owned(), kid.map_or("no kid".to_owned(), |kid| safe_text(&format!("kid {kid}"))))
    })?;
    Ok(algorithm)
}

/// The algorithms that are allowed, and the one that is used, in words.
fn algorithms(header: &Header, rules: &IdTokenRules<'_>) -> (String, String) {
    let allowed: Vec<_> = rules.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    (allowed.join(" "), header.algorithm_name().map_or("(absent)".to_owned(), |name| safe_text(&name)))
}
