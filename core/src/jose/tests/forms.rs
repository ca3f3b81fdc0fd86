//! Form, header and signature of a token.
#![expect(
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "tokens are ASCII and short; a test may panic"
)]

use super::*;

const ALL: &[SignatureAlgorithm] = &SignatureAlgorithm::ALL;

fn all_algorithms() -> IdTokenRules<'static> {
    let mut rules = rules();
    rules.algorithms = ALL;
    rules
}

/// A good token with another header.
fn with_header(header: &str) -> Result<VerifiedIdToken, VerifyError> {
    plain(&token(header, &claims(&[])))
}

#[test]
fn jw_01_alg_none_is_refused_in_every_spelling() {
    for alg in ["none", "None", "nOnE", "NONE", ""] {
        for signature in ["", "AAAA", "!"] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            let token = format!("{}.{}.{signature}", encode(header), encode(claims(&[])));
            let error = security(verify_with(&token, &keys(), &all_algorithms()));
            assert_eq!(error, SecurityError::Algorithm(alg.to_owned()));
        }
    }
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["none"]}"#, r#"{"alg":0}"#] {
        let token = format!("{}.{}.", encode(header), encode(claims(&[])));
        assert_eq!(rule(verify_with(&token, &keys(), &all_algorithms())), Rule::JwtMalformed);
    }
}

#[test]
fn jw_02_hmac_keyed_by_the_public_key_is_refused() {
    let jwk = RSA.jwk(r#""kid":"k1""#);
    let modulus = jwk.split('"').nth(7).unwrap().to_owned();
    for secret in [jwk.clone(), modulus, format!("-----BEGIN PUBLIC KEY-----\n{jwk}")] {
        for (alg, how) in [("HS256", aws_lc_rs::hmac::HMAC_SHA256), ("HS512", aws_lc_rs::hmac::HMAC_SHA512)] {
            let message = format!("{}.{}", encode(format!(r#"{{"alg":"{alg}","kid":"k1"}}"#)), encode(claims(&[])));
            let key = aws_lc_rs::hmac::Key::new(how, secret.as_bytes());
            let tag = encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
            let error = security(verify_with(&format!("{message}.{tag}"), &keys(), &all_algorithms()));
            assert_eq!(error, SecurityError::Algorithm(alg.to_owned()));
        }
    }
}

#[test]
fn jw_03_an_algorithm_that_is_not_registered_is_refused() {
    let token = signed(&RSA, SignatureAlgorithm::Rs384, r#"{"alg":"RS384","kid":"k1"}"#, &claims(&[]));
    let mut rules = rules();
    rules.algorithms = &[SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256];
    let error = security(verify_with(&token, &keys(), &rules));
    assert_eq!(error, SecurityError::Algorithm("RS384".to_owned()));
    rules.algorithms = &[SignatureAlgorithm::Rs384];
    verify_with(&token, &keys(), &rules).unwrap();
}

#[test]
fn jw_03_the_algorithm_is_refused_before_any_key_is_looked_for() {
    let token = signed(&P256, SignatureAlgorithm::Es256, r#"{"alg":"ES256","kid":"unknown"}"#, &claims(&[]));
    assert_eq!(security(plain(&token)), SecurityError::Algorithm("ES256".to_owned()));
}

#[test]
fn jw_04_only_rs256_is_allowed_unless_another_is_registered() {
    for algorithm in SignatureAlgorithm::ALL {
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let token = signed(signer(algorithm), algorithm, &header, &claims(&[]));
        let outcome = verify_with(&token, &set(&[signer(algorithm).jwk("")]), &rules());
        assert_eq!(outcome.is_ok(), algorithm == SignatureAlgorithm::Rs256, "{algorithm}");
    }
}

#[test]
fn jw_05_a_key_in_the_header_is_ignored() {
    let jwk = OTHER_RSA.jwk("");
    for header in
        [format!(r#"{{"alg":"RS256","kid":"k1","jwk":{jwk}}}"#), format!(r#"{{"alg":"RS256","jwk":{jwk},"kid":"k1"}}"#)]
    {
        let forged = signed(&OTHER_RSA, SignatureAlgorithm::Rs256, &header, &claims(&[]));
        assert_eq!(security(plain(&forged)), SecurityError::Signature);
        with_header(&header).unwrap();
    }
    let header = format!(r#"{{"alg":"RS256","kid":"own","jwk":{jwk}}}"#);
    let forged = signed(&OTHER_RSA, SignatureAlgorithm::Rs256, &header, &claims(&[]));
    assert_eq!(keys_missing(plain(&forged)), SecurityError::Key(KeyFlaw::NotFound));
}

#[test]
fn jw_06_key_urls_and_certificates_in_the_header_are_ignored() {
    let header = r#"{"alg":"RS256","kid":"k1","jku":"https://evil.example/keys","x5u":"https://evil.example/x","x5c":["AA=="],"x5t":1}"#;
    with_header(header).unwrap();
    let forged = signed(&OTHER_RSA, SignatureAlgorithm::Rs256, header, &claims(&[]));
    assert_eq!(security(plain(&forged)), SecurityError::Signature);
}

#[test]
fn jw_07_critical_headers_are_refused_in_every_form() {
    for crit in [r#"["exp"]"#, r#"["b64"]"#, r#"["x"]"#, "[]", r#""exp""#, "null", "true", "{}", r#"["x","x"]"#] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","exp":1,"crit":{crit}}}"#);
        assert_eq!(security(with_header(&header)), SecurityError::CriticalHeader, "{crit}");
    }
    for b64 in ["false", "null", "0", r#""true""#] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","b64":{b64}}}"#);
        assert_eq!(security(with_header(&header)), SecurityError::CriticalHeader, "{b64}");
    }
    with_header(r#"{"alg":"RS256","kid":"k1","b64":true}"#).unwrap();
    let twice = r#"{"alg":"RS256","kid":"k1","crit":[],"crit":[]}"#;
    assert_eq!(rule(with_header(twice)), Rule::JwtMalformed);
}

#[test]
fn jw_10_strange_key_ids_are_just_names() {
    for kid in
        [r#""../../dev/null""#, r#""' OR 1=1 --""#, r#""https://evil.example""#, r#""""#, r#""K1""#, r#""k1\u0000""#]
    {
        let header = format!(r#"{{"alg":"RS256","kid":{kid}}}"#);
        assert_eq!(keys_missing(with_header(&header)), SecurityError::Key(KeyFlaw::NotFound), "{kid}");
    }
    for kid in ["null", "1", "[]", r#"["k1"]"#, "{}", "true"] {
        let header = format!(r#"{{"alg":"RS256","kid":{kid}}}"#);
        assert_eq!(rule(with_header(&header)), Rule::JwtMalformed, "{kid}");
    }
    let header = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(1 << 20));
    assert_eq!(rule(with_header(&header)), Rule::JwtTooLarge);
}

#[test]
fn jw_18_every_single_bit_flip_is_refused() {
    let rows = [SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa];
    let (_, crypto) = providers().into_iter().next().unwrap();
    for algorithm in rows {
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let good = signed(signer(algorithm), algorithm, &header, &claims(&[]));
        let keys = JwkSet::parse(set(&[signer(algorithm).jwk("")]).as_bytes(), crypto).unwrap();
        let mut rules = rules();
        rules.algorithms = ALL;
        let accepts =
            |token: &str| verify(&Secret::from(token), &keys, &rules, Timestamp::from_secs(NOW), crypto, None).is_ok();
        assert!(accepts(&good));
        let mut flips = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                // What is no UTF-8 cannot even be asked about.
                let Ok(flipped) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(!accepts(&flipped), "{algorithm}: byte {at}, bit {bit}");
                flips += 1;
            }
        }
        assert!(flips >= good.len() * 7);
    }
}

#[test]
fn jw_19_only_the_one_right_base64url_is_accepted() {
    let claims = claims(&[]);
    // Whatever the signature is over, the text itself must be right.
    let resigned = |header: &str, payload: &str| {
        let message = format!("{header}.{payload}");
        format!("{message}.{}", encode(RSA.sign(SignatureAlgorithm::Rs256, message.as_bytes())))
    };
    let (header, payload) = (encode(HEADER), encode(&claims));
    plain(&resigned(&header, &payload)).unwrap();
    // As another base64 would write it, with as many spaces at the end as it takes to need padding.
    let padded = |json: &str| {
        let json = if json.len().is_multiple_of(3) { format!("{json} ") } else { json.to_owned() };
        base64::engine::general_purpose::URL_SAFE.encode(json)
    };
    assert!(padded(HEADER).ends_with('=') && padded(&claims).ends_with('='));
    let spoiled: Vec<(String, String)> = vec![
        (format!("{header}="), payload.clone()),
        (header.clone(), format!("{payload}=")),
        (header.clone(), format!("{payload}==")),
        (padded(HEADER), payload.clone()),
        (header.clone(), padded(&claims)),
        (header.clone(), format!("{payload} ")),
        (format!(" {header}"), payload.clone()),
        (format!("{}\n{}", &header[..4], &header[4..]), payload.clone()),
        (header.clone(), format!("{}\t{}", &payload[..8], &payload[8..])),
        (header.clone(), format!("{}+{}", &payload[..8], &payload[9..])),
        (header.clone(), format!("{}/{}", &payload[..8], &payload[9..])),
        (header.clone(), format!("{payload}A")),
        (format!("{header}\u{e9}"), payload.clone()),
    ];
    for (header, payload) in spoiled {
        assert_eq!(rule(plain(&resigned(&header, &payload))), Rule::JwtMalformed, "{header}.{payload}");
    }
    // The 256 bytes of the signature leave four bits of its last character unused.
    let good = token(HEADER, &claims);
    let (rest, last) = good.split_at(good.len() - 1);
    for other in ["A", "Q", "g", "w"].into_iter().filter(|other| *other != last) {
        assert_eq!(security(plain(&format!("{rest}{other}"))), SecurityError::Signature);
    }
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| !"AQgw".contains(*other)) {
        assert_eq!(rule(plain(&format!("{rest}{other}"))), Rule::JwtMalformed, "{other}");
    }
    for junk in ["=", "==", " ", "\n", "\r\n", "%3D"] {
        assert_eq!(rule(plain(&format!("{good}{junk}"))), Rule::JwtMalformed, "{junk:?}");
    }
}

#[test]
fn jw_20_a_token_has_exactly_two_dots() {
    let good = token(HEADER, &claims(&[]));
    let signature = good.rsplit('.').next().unwrap();
    for spoiled in [
        String::new(),
        "x".into(),
        ".".into(),
        "..".into(),
        "...".into(),
        good.replace('.', ""),
        good.replacen('.', "", 1),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}.a.b.c"),
        ".".repeat(64 * 1024),
    ] {
        assert_eq!(rule(plain(&spoiled)), Rule::JwtMalformed, "{spoiled:.40}");
    }
    assert_eq!(rule(plain(&".".repeat(1 << 20))), Rule::JwtTooLarge);
}

/// A properly signed token of exactly `len` characters, or of one or two more where base64 cannot help it.
fn token_of(len: usize) -> String {
    let extra = len.saturating_sub(token(HEADER, &claims(&[("pad", Some(r#""""#))])).len()) * 3 / 4;
    (extra.saturating_sub(4)..=extra + 4)
        .map(|pad| token(HEADER, &claims(&[("pad", Some(&format!(r#""{}""#, "x".repeat(pad))))])))
        .find(|token| token.len() >= len)
        .unwrap()
}

#[test]
fn jw_21_ds_03_tokens_beyond_64_kib_are_refused_before_decoding() {
    const LIMIT: usize = 64 * 1024;
    let fits = token_of(LIMIT - 2);
    assert!((LIMIT - 2..=LIMIT).contains(&fits.len()), "{}", fits.len());
    plain(&fits).unwrap();
    for len in [LIMIT + 1, LIMIT * 100] {
        assert_eq!(rule(plain(&token_of(len))), Rule::JwtTooLarge);
        // No character of this could be decoded.
        assert_eq!(rule(plain(&"!".repeat(len))), Rule::JwtTooLarge);
    }
    assert_eq!(rule(plain(&"!".repeat(LIMIT))), Rule::JwtMalformed);
}

#[test]
fn jw_21_ds_03_headers_beyond_8_kib_are_refused_before_decoding() {
    // 6144 bytes are 8192 characters.
    let header = |len: usize| format!(r#"{{"alg":"RS256","kid":"k1","x":"{}"}}"#, "x".repeat(len - 33));
    assert_eq!(encode(header(6144)).len(), 8192);
    with_header(&header(6144)).unwrap();
    assert_eq!(rule(with_header(&header(6145))), Rule::JwtTooLarge);
    assert_eq!(rule(plain(&format!("{}.e30.AA", "!".repeat(8193)))), Rule::JwtTooLarge);
}

#[test]
fn jw_21_ds_03_signatures_beyond_2_kib_are_refused_before_decoding() {
    let message = format!("{}.{}", encode(HEADER), encode(claims(&[])));
    let at_limit = format!("{message}.{}", encode([0; 1536]));
    assert_eq!(security(plain(&at_limit)), SecurityError::Signature);
    assert_eq!(rule(plain(&format!("{message}.{}", encode([0; 1537])))), Rule::JwtTooLarge);
    assert_eq!(rule(plain(&format!("{message}.{}", "!".repeat(2049)))), Rule::JwtTooLarge);
}

#[test]
fn jw_22_names_that_stand_twice_are_refused() {
    let header = r#"{"alg":"none","alg":"RS256","kid":"k1"}"#;
    assert_eq!(rule(with_header(header)), Rule::JwtMalformed);
    let good = claims(&[]);
    for member in [r#""iss":"https://op.example""#, r#""\u0069ss":"https://op.example""#, r#""aud":"other""#] {
        let twice = good.replacen('{', &format!("{{{member},"), 1);
        assert_eq!(rule(plain(&token(HEADER, &twice))), Rule::JwtMalformed, "{member}");
    }
    let nested = claims(&[("address", Some(r#"{"country":"a","country":"b"}"#))]);
    assert_eq!(rule(plain(&token(HEADER, &nested))), Rule::JwtMalformed);
}

#[test]
fn jw_23_encrypted_tokens_and_json_serialisations_are_refused() {
    let jwe = encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k1"}"#);
    assert_eq!(rule(plain(&format!("{jwe}.AAAA.AAAA.AAAA.AAAA"))), Rule::JwtMalformed);
    assert_eq!(security(plain(&format!("{jwe}.AAAA.AAAA"))), SecurityError::Algorithm("RSA-OAEP".to_owned()));
    let good = token(HEADER, &claims(&[]));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for json in [
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#),
    ] {
        assert_eq!(rule(plain(&json)), Rule::JwtMalformed);
    }
}

#[test]
fn jw_24_answers_58_only_the_types_of_an_id_token_are_accepted() {
    for typ in ["JWT", "jwt", "Jwt", "application/jwt", "application/JWT", "JOSE", "jose"] {
        with_header(&format!(r#"{{"alg":"RS256","kid":"k1","typ":"{typ}"}}"#)).unwrap();
    }
    with_header(HEADER).unwrap();
    for typ in [
        "at+jwt",
        "application/at+jwt",
        "AT+JWT",
        "logout+jwt",
        "dpop+jwt",
        "oauth-authz-req+jwt",
        "NOT_A_JWT",
        "",
        "token-introspection+jwt",
        "secevent+jwt",
        "JOSE+JSON",
        "JWT ",
        "JWT; a=b",
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","typ":"{typ}"}}"#);
        assert_eq!(security(with_header(&header)), SecurityError::JwtType(typ.to_owned()));
    }
    for typ in ["null", "1", r#"["JWT"]"#] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","typ":{typ}}}"#);
        assert_eq!(rule(with_header(&header)), Rule::JwtMalformed);
    }
}

#[test]
fn answers_58_a_nested_jwt_is_refused() {
    for cty in ["JWT", "jwt", "application/jwt"] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","cty":"{cty}"}}"#);
        assert_eq!(security(with_header(&header)), SecurityError::JwtType(format!("nested {cty}")));
    }
    with_header(r#"{"alg":"RS256","kid":"k1","cty":"application/json"}"#).unwrap();
}

#[test]
fn jw_42_a_jwt_access_token_is_no_id_token() {
    let access_claims = claims(&[("client_id", Some(r#""client-1""#)), ("aud", Some(r#""https://api.example""#))]);
    let typed = token(r#"{"alg":"RS256","kid":"k1","typ":"at+jwt"}"#, &claims(&[]));
    assert_eq!(security(plain(&typed)), SecurityError::JwtType("at+jwt".to_owned()));
    assert_eq!(refused_claim(plain(&token(HEADER, &access_claims))), "aud");
}

#[test]
fn jw_45_a_token_that_is_refused_gives_none_of_its_claims_away() {
    let claims = claims(&[("email", Some(r#""jane@example.com""#)), ("nonce", Some(r#""s3cr3t-nonce""#))]);
    let good = token(HEADER, &claims);
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    for error in [plain(&forged).unwrap_err(), plain(&good).unwrap_err()] {
        let shown = format!("{error:?} {}", error.clone().into_error());
        for secret in ["jane", "248289761001", "s3cr3t", &good[..20]] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn debug_of_a_verified_token_shows_the_issuer_alone() {
    let claims = claims(&[("email", Some(r#""jane@example.com""#))]);
    let shown = format!("{:?}", check(&claims, &rules()).unwrap());
    assert_eq!(shown, r#"VerifiedIdToken { issuer: "https://op.example", .. }"#);
}

#[test]
fn what_is_no_object_is_malformed() {
    for part in ["", "[]", "null", "1", "{", "{}}", r#"{"a":1"#, "\u{feff}", "{} {}"] {
        assert_eq!(rule(with_header(part)), Rule::JwtMalformed, "header {part}");
        assert_eq!(rule(plain(&token(HEADER, part))), Rule::JwtMalformed, "claims {part}");
    }
    let not_utf8 = encode(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}");
    assert_eq!(rule(plain(&format!("{not_utf8}.e30.AA"))), Rule::JwtMalformed);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(rule(with_header(&deep)), Rule::JwtMalformed);
}
