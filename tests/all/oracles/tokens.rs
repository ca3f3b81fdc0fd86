//! id_tokens beside `jsonwebtoken`, used as its documentation says: the key that the header names, the algorithm held to
//! a list, issuer, audience, subject and times demanded.
//!
//! That crate reads the system's clock, so these tokens are made for the time at which the test runs. Nothing waits, and
//! every time is half a minute at least away from the moment at which a verdict changes.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use grantflow_core::crypto::AwsLc;
use grantflow_core::error::{Error, SecurityError};
use grantflow_core::jose::{IdTokenRules, JwkSet, SignatureAlgorithm, verify};
use grantflow_core::{Secret, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk};
use serde_json::{Value, json};

use super::{Comparison, Judgement};
use crate::scripted::{CLIENT_ID, ISSUER, Signer, merged};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What both sides read in a token: issuer, subject, expiry.
type Read = (String, String, u64);

fn ours(token: &str, keys: &JwkSet) -> Judgement<Read> {
    let mut rules = IdTokenRules::new(ISSUER, CLIENT_ID);
    rules.algorithms = &[SignatureAlgorithm::Es256, SignatureAlgorithm::Rs256];
    let verified = verify(&Secret::from(token), keys, &rules, Timestamp::from_secs(now()), &AwsLc, None);
    let verified = verified.map_err(|error| reason(&error.into_error()))?;
    Ok((verified.issuer().to_owned(), verified.subject().to_owned(), verified.expires_at().as_secs()))
}

/// Which rule refuses it, without the values.
fn reason(error: &Error) -> String {
    match error {
        Error::Protocol(error) => format!("{:?}", error.rule),
        Error::Security(SecurityError::Claim { claim, .. }) => format!("Claim {claim}"),
        Error::Security(SecurityError::ClaimMissing(claim)) => format!("ClaimMissing {claim}"),
        Error::Security(SecurityError::Time { claim, .. }) => format!("Time {claim}"),
        Error::Security(SecurityError::Algorithm(_)) => "Algorithm".to_owned(),
        Error::Security(SecurityError::JwtType(_)) => "JwtType".to_owned(),
        other => format!("{other:?}"),
    }
}

fn theirs(token: &str, keys: &jwk::JwkSet) -> Judgement<Read> {
    let marked = token.split('.').any(|part| part.starts_with("77u_"));
    let why = |error: jsonwebtoken::errors::Error| match error.kind() {
        ErrorKind::Json(_) if marked => "a byte-order mark".to_owned(),
        kind => format!("{kind:?}"),
    };
    let header = jsonwebtoken::decode_header(token).map_err(why)?;
    let family = match header.alg {
        Algorithm::ES256 => "EC",
        Algorithm::RS256 => "RSA",
        _ => return Err("an algorithm that is not on the list".to_owned()),
    };
    let key = match &header.kid {
        Some(kid) => keys.find(kid).ok_or("no key of that name")?,
        None => keys.keys.iter().find(|key| serde_json::to_value(key).unwrap()["kty"] == family).unwrap(),
    };
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[CLIENT_ID]);
    validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key).map_err(why)?;
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(why)?.claims;
    let text = |name: &str| claims[name].as_str().unwrap_or("?").to_owned();
    let expiry = claims["exp"].as_u64().or(claims["exp"].as_f64().map(|exp| exp.floor() as u64));
    Ok((text("iss"), text("sub"), expiry.unwrap()))
}

fn good_claims() -> Value {
    let now = now();
    json!({ "iss": ISSUER, "sub": "alice", "aud": CLIENT_ID, "iat": now, "exp": now + 600 })
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "ec" })
}

fn part(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signs whatever the two parts are, with the key of this algorithm.
fn signed(algorithm: SignatureAlgorithm, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", part(header), part(claims));
    format!("{input}.{}", part(Signer::shared().sign(algorithm, input.as_bytes())))
}

fn with_header(members: Value) -> String {
    signed(SignatureAlgorithm::Es256, &merged(header(), members).to_string(), &good_claims().to_string())
}

fn with_claims(members: Value) -> String {
    signed(SignatureAlgorithm::Es256, &header().to_string(), &merged(good_claims(), members).to_string())
}

/// Headers of all kinds over a signature that is right for the key `ec`.
fn headers() -> Vec<String> {
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "", "es256", "ES384", "RS256", "PS256", "HS256", "EdDSA", "ES256K", "A128KW"] {
        tokens.push(with_header(json!({ "alg": alg })));
    }
    for kid in [json!("ec"), json!("rsa"), json!("other"), json!(""), json!("../ec"), json!(1), json!(["ec"])] {
        tokens.push(with_header(json!({ "kid": kid })));
        tokens.push(signed(
            SignatureAlgorithm::Rs256,
            &json!({ "alg": "RS256", "kid": kid }).to_string(),
            &good_claims().to_string(),
        ));
    }
    for members in [
        json!({ "kid": null }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "jwt" }),
        json!({ "typ": "at+jwt" }),
        json!({ "typ": "logout+jwt" }),
        json!({ "typ": 1 }),
        json!({ "cty": "JWT" }),
        json!({ "cty": "text" }),
        json!({ "crit": ["exp"], "exp": 1 }),
        json!({ "crit": [] }),
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "b64": false }),
        json!({ "b64": true }),
        json!({ "jwk": Signer::shared().ec_jwk("ec") }),
        json!({ "jku": "https://evil.example/jwks" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "zip": "DEF" }),
        json!({ "enc": "A128GCM" }),
        json!({ "x": { "y": [1, 2, 3] } }),
    ] {
        tokens.push(with_header(members));
    }
    let claims = good_claims().to_string();
    for header in [
        r#"{"alg":"ES256","kid":"ec","alg":"none"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"ec"}"#,
        r#"{"alg":"ES256","kid":"ec","x":1,"x":2}"#,
        r#"{"alg":"ES256","kid":"ec"} "#,
        r#"{"alg":"ES256","kid":"ec"}x"#,
        r#"{"alg":"ES256","kid":"\u0065c"}"#,
        r#"{"kid":"ec"}"#,
        r#"{"alg":["ES256"],"kid":"ec"}"#,
        r#"{"alg":null,"kid":"ec"}"#,
        "[]",
        "",
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"ec\"}",
    ] {
        tokens.push(signed(SignatureAlgorithm::Es256, header, &claims));
    }
    tokens
}

/// Claims of all kinds, signed properly.
fn claims() -> Vec<String> {
    let now = now();
    let mut tokens = Vec::new();
    let far = json!(u64::MAX);
    for claim in ["exp", "nbf", "iat"] {
        for seconds in [-3_600_i64, -90, -30, 0, 30, 90, 3_600] {
            let at = now.checked_add_signed(seconds).unwrap();
            tokens.push(with_claims(json!({ claim: at })));
            tokens.push(with_claims(json!({ claim: at as f64 + 0.75 })));
        }
        for value in [json!("1800000000"), json!(-1), json!(0), json!(1e20), far.clone(), json!(true), json!([now])] {
            tokens.push(with_claims(json!({ claim: value })));
        }
        tokens.push(with_claims(json!({ claim: null })));
    }
    let slash = format!("{ISSUER}/");
    for iss in [json!(ISSUER), json!(slash), json!("https://evil.example"), json!(""), json!([ISSUER]), json!(1)] {
        tokens.push(with_claims(json!({ "iss": iss })));
    }
    for aud in [
        json!(CLIENT_ID),
        json!([CLIENT_ID]),
        json!([]),
        json!(""),
        json!("other"),
        json!(["other"]),
        json!([CLIENT_ID, "other"]),
        json!([CLIENT_ID, 1]),
        json!([[CLIENT_ID]]),
        json!({ "a": CLIENT_ID }),
        json!(1),
    ] {
        tokens.push(with_claims(json!({ "aud": aud })));
        tokens.push(with_claims(json!({ "aud": aud, "azp": CLIENT_ID })));
        tokens.push(with_claims(json!({ "aud": aud, "azp": "other" })));
    }
    for sub in [json!("a"), json!(""), json!("a".repeat(255)), json!("a".repeat(256)), json!(1), json!(["a"])] {
        tokens.push(with_claims(json!({ "sub": sub })));
    }
    for members in [
        json!({ "iss": null }),
        json!({ "aud": null }),
        json!({ "sub": null }),
        json!({ "nonce": "n" }),
        json!({ "at_hash": "x" }),
        json!({ "x": { "y": [1, 2, 3] } }),
        json!({ "_claim_sources": {} }),
    ] {
        tokens.push(with_claims(members));
    }
    let good = good_claims().to_string();
    let inner = good.strip_suffix('}').unwrap();
    for claims in [
        format!(r#"{inner},"sub":"mallory"}}"#),
        format!(r#"{inner},"x":1,"x":2}}"#),
        format!(r#"{inner},"iss":null}}"#),
        good.replace("alice", "\\u0061lice"),
        good.replace("alice", "\\ud800"),
        format!("{good} "),
        format!("{good}x"),
        format!("\u{feff}{good}"),
        format!("[{good}]"),
        format!(r#"{inner},"deep":{}1{}}}"#, "[".repeat(40), "]".repeat(40)),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        tokens.push(signed(SignatureAlgorithm::Es256, &header().to_string(), &claims));
    }
    tokens
}

/// Signatures that are not what they say, and keys that are used for what they are not for.
fn confusions() -> Vec<String> {
    let signer = Signer::shared();
    let claims = good_claims().to_string();
    let mut tokens = Vec::new();
    for (alg, kid) in [("RS256", "ec"), ("ES256", "rsa"), ("HS256", "ec"), ("HS256", "rsa"), ("none", "ec")] {
        let header = json!({ "alg": alg, "kid": kid }).to_string();
        tokens.push(signed(SignatureAlgorithm::Es256, &header, &claims));
        tokens.push(signed(SignatureAlgorithm::Rs256, &header, &claims));
        let input = format!("{}.{}", part(&header), part(&claims));
        // A public key as the secret of a MAC.
        for key in [signer.ec_jwk("ec").to_string(), signer.rsa_jwk("rsa").to_string()] {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), input.as_bytes());
            tokens.push(format!("{input}.{}", part(mac)));
        }
        for signature in ["", "AA", &part([0; 64]), &part([0xFF; 64]), &part([0; 256])] {
            tokens.push(format!("{input}.{signature}"));
        }
    }
    let other = Signer::generate();
    tokens.push(other.jwt(&header(), &good_claims()));
    tokens.push(other.jwt(&json!({ "alg": "ES256", "kid": "ec", "jwk": other.ec_jwk("ec") }), &good_claims()));
    tokens
}

/// One good token, damaged in every way that its form knows.
fn damages() -> Vec<String> {
    let good = with_claims(json!({}));
    let mut tokens: Vec<String> = (0..good.len()).map(|length| good[..length].to_owned()).collect();
    for place in 0..good.len() {
        let (before, after) = (&good[..place], &good[place + 1..]);
        for with in ["", ".", "=", "+", " ", "\u{e9}"] {
            tokens.push(format!("{before}{with}{after}"));
        }
        for bit in 0..7 {
            let flipped = char::from(good.as_bytes()[place] ^ (1 << bit));
            tokens.push(format!("{before}{flipped}{after}"));
        }
    }
    let parts: Vec<_> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("{good}") };
    let recoded = |part: &str, padded: bool| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        if padded { URL_SAFE.encode(bytes) } else { STANDARD.encode(bytes) }
    };
    for padded in [true, false] {
        tokens.push(format!("{}.{payload}.{signature}", recoded(head, padded)));
        tokens.push(format!("{head}.{}.{signature}", recoded(payload, padded)));
        tokens.push(format!("{head}.{payload}.{}", recoded(signature, padded)));
    }
    for text in [
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{head}.{payload}"),
        format!("{head}..{signature}"),
        format!("{good}{}", "A".repeat(70_000)),
        "..".to_owned(),
    ] {
        tokens.push(text);
    }
    let large = json!({ "x": "a".repeat(50_000) });
    tokens.push(with_claims(large.clone()));
    tokens.push(with_claims(json!({ "x": large["x"], "y": large["x"] })));
    tokens.push(with_header(json!({ "x": "a".repeat(7_000) })));
    tokens
}

#[test]
fn id_tokens_are_judged_as_jsonwebtoken_judges_them_but_for_explained_differences() {
    let set = Signer::shared().jwks();
    let our_keys = JwkSet::parse(set.to_string().as_bytes(), &AwsLc).unwrap();
    let their_keys: jwk::JwkSet = serde_json::from_value(set).unwrap();
    let mut comparison = Comparison::with("jsonwebtoken");
    for token in [headers(), claims(), confusions(), damages()].concat() {
        let said = |_: &Read, _: &Read| "another reading".to_owned();
        comparison.compare(&token, ours(&token, &our_keys), theirs(&token, &their_keys), said);
    }
    comparison.judge();
}
