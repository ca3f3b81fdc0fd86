//! Which key of a set is used.

use super::*;

fn good() -> String {
    token(HEADER, &claims(&[]))
}

/// A good token that names no key.
fn unnamed() -> String {
    token(r#"{"alg":"RS256"}"#, &claims(&[]))
}

fn with_keys(token: &str, keys: &[String]) -> Result<VerifiedIdToken, VerifyError> {
    verify_with(token, &set(keys), &rules())
}

/// What is said of a set with every provider.
fn parsed(document: &str) -> Result<(usize, Vec<SkipReason>), Rule> {
    let mut outcomes = providers().into_iter().map(|(_, crypto)| {
        let set = JwkSet::parse(document.as_bytes(), crypto)?;
        let usable = set.keys().iter().filter(|key| key.flaw().is_none()).count();
        assert_eq!(set.is_empty(), usable == 0);
        Ok((usable, set.skipped().iter().map(|skipped| skipped.reason).collect()))
    });
    let outcome = outcomes.next().unwrap();
    assert!(outcomes.all(|other| other == outcome));
    outcome
}

const OTHER_CURVE: &str = r#"{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}"#;

#[test]
fn jw_08_answers_59_without_a_kid_the_only_key_is_used() {
    with_keys(&unnamed(), &[RSA.jwk("")]).unwrap();
    with_keys(&unnamed(), &[RSA.jwk(r#""kid":"k1""#), P256.jwk(""), ED.jwk("")]).unwrap();
}

#[test]
fn jw_09_answers_59_without_a_kid_up_to_four_fitting_keys_are_tried() {
    let (own, other) = (RSA.jwk(""), OTHER_RSA.jwk(""));
    let others = |count: usize| vec![other.clone(); count];
    for at in 0..4 {
        let mut keys = others(3);
        keys.insert(at, own.clone());
        with_keys(&unnamed(), &keys).unwrap();
    }
    let mut five = others(4);
    five.push(own);
    assert_eq!(security(with_keys(&unnamed(), &five)), SecurityError::Key(KeyFlaw::Ambiguous));
}

#[test]
fn jw_09_three_keys_of_each_family_without_kids_are_accepted() {
    let okp = ED.jwk("");
    let mut keys = vec![OTHER_RSA.jwk(""), RSA.jwk(""), OTHER_RSA.jwk("")];
    keys.extend([P256.jwk(""), P256.jwk(""), P256.jwk("")]);
    keys.extend([OTHER_CURVE.to_owned(), OTHER_CURVE.to_owned(), OTHER_CURVE.to_owned()]);
    keys.extend([okp.clone(), okp.clone(), okp]);
    with_keys(&unnamed(), &keys).unwrap();
}

#[test]
fn without_a_kid_a_signature_of_none_of_the_keys_may_need_newer_ones() {
    let forged = with_keys(&unnamed(), &[OTHER_RSA.jwk(""), P256.jwk("")]);
    assert_eq!(keys_missing(forged), SecurityError::Signature);
    // With a name, the key is there and the signature is not its.
    assert_eq!(security(with_keys(&good(), &[OTHER_RSA.jwk(r#""kid":"k1""#)])), SecurityError::Signature);
}

#[test]
fn a_kid_that_no_key_has_may_need_newer_keys() {
    for keys in [vec![], vec![RSA.jwk("")], vec![RSA.jwk(r#""kid":"k2""#)], vec![P256.jwk(r#""kid":"k1""#)]] {
        assert_eq!(keys_missing(with_keys(&good(), &keys)), SecurityError::Key(KeyFlaw::NotFound), "{keys:?}");
    }
}

#[test]
fn jw_11_answers_59_keys_of_one_kid_are_told_apart_by_type_and_algorithm() {
    let keys = [
        P256.jwk(r#""kid":"k1""#),
        OTHER_RSA.jwk(r#""kid":"k1","alg":"RS512""#),
        OTHER_RSA.jwk(r#""kid":"k1","use":"enc""#),
        ED.jwk(r#""kid":"k1""#),
        RSA.jwk(r#""kid":"k1","alg":"RS256""#),
    ];
    with_keys(&good(), &keys).unwrap();
    let mut rules = rules();
    rules.algorithms = &[SignatureAlgorithm::Es256];
    let other = signed(&P256, SignatureAlgorithm::Es256, r#"{"alg":"ES256","kid":"k1"}"#, &claims(&[]));
    verify_with(&other, &set(&keys), &rules).unwrap();
}

#[test]
fn jw_11_of_two_fitting_keys_of_one_kid_either_may_have_signed() {
    with_keys(&good(), &[OTHER_RSA.jwk(r#""kid":"k1""#), RSA.jwk(r#""kid":"k1""#)]).unwrap();
}

#[test]
fn jw_12_keys_for_other_uses_are_not_eligible() {
    for members in [
        r#""use":"enc""#,
        r#""use":"""#,
        r#""key_ops":["sign"]"#,
        r#""key_ops":[]"#,
        r#""key_ops":["encrypt"]"#,
        r#""alg":"RS512""#,
        r#""alg":"PS256""#,
        r#""alg":"RSA-OAEP""#,
        r#""alg":"none""#,
        r#""alg":"ES256""#,
        r#""use":"sig","key_ops":["wrapKey"]"#,
    ] {
        let outcome = with_keys(&good(), &[RSA.jwk(&format!(r#""kid":"k1",{members}"#))]);
        assert_eq!(keys_missing(outcome), SecurityError::Key(KeyFlaw::NotFound), "{members}");
    }
    for members in [r#""use":"sig""#, r#""key_ops":["verify"]"#, r#""key_ops":["sign","verify"]"#, r#""alg":"RS256""#] {
        with_keys(&good(), &[RSA.jwk(&format!(r#""kid":"k1",{members}"#))]).unwrap();
    }
}

#[test]
fn jw_13_keys_with_private_members_and_shared_secrets_are_never_used() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let key = RSA.jwk(&format!(r#""kid":"k1","{member}":"AQAB""#));
        assert_eq!(parsed(&set(std::slice::from_ref(&key))).unwrap(), (0, vec![SkipReason::Private]), "{member}");
        assert_eq!(keys_missing(with_keys(&good(), &[key])), SecurityError::Key(KeyFlaw::NotFound));
    }
    let oct = r#"{"kty":"oct","kid":"k1","k":"c2VjcmV0"}"#.to_owned();
    assert_eq!(parsed(&set(&[oct])).unwrap(), (0, vec![SkipReason::Symmetric]));
}

#[test]
fn jw_14_weak_rsa_keys_are_refused_by_name() {
    let rsa = |bytes: usize, e: &[u8]| {
        format!(r#"{{"kty":"RSA","kid":"k1","n":"{}","e":"{}"}}"#, encode(vec![0xff; bytes]), encode(e))
    };
    for key in [rsa(128, &[1, 0, 1]), rsa(2048, &[1, 0, 1]), rsa(256, &[1]), rsa(256, &[2]), rsa(256, &[1; 256])] {
        assert_eq!(security(with_keys(&good(), &[key])), SecurityError::Key(KeyFlaw::Weak));
    }
}

#[test]
fn jw_14_a_weak_key_does_not_stand_in_the_way_of_a_good_one() {
    let weak = format!(r#"{{"kty":"RSA","kid":"k1","n":"{}","e":"AQAB"}}"#, encode([0xff; 128]));
    with_keys(&good(), &[weak, RSA.jwk(r#""kid":"k1""#)]).unwrap();
}

#[test]
fn jw_15_points_that_do_not_fit_are_refused() {
    let mut rules = rules();
    rules.algorithms = &[SignatureAlgorithm::Es256];
    let token = signed(&P256, SignatureAlgorithm::Es256, r#"{"alg":"ES256","kid":"k1"}"#, &claims(&[]));
    let ec = |crv: &str, x: &[u8], y: &[u8]| {
        set(&[format!(r#"{{"kty":"EC","kid":"k1","crv":"{crv}","x":"{}","y":"{}"}}"#, encode(x), encode(y))])
    };
    for (x, y) in [(vec![1; 32], vec![1; 32]), (vec![0; 32], vec![0; 32]), (vec![1; 31], vec![1; 32]), (vec![], vec![])]
    {
        let outcome = verify_with(&token, &ec("P-256", &x, &y), &rules);
        assert_eq!(security(outcome), SecurityError::Key(KeyFlaw::Malformed));
    }
    for wrong_curve in [ec("P-384", &[1; 48], &[1; 48]), ec("secp256k1", &[1; 32], &[1; 32]), ec("P-999", &[1], &[1])] {
        let outcome = verify_with(&token, &wrong_curve, &rules);
        assert_eq!(keys_missing(outcome), SecurityError::Key(KeyFlaw::NotFound));
    }
}

#[test]
fn jw_39_answers_59_one_bad_key_spoils_no_other() {
    let good_key = RSA.jwk(r#""kid":"k1""#);
    let bad: [(&str, Option<SkipReason>); 17] = [
        ("null", Some(SkipReason::Malformed)),
        ("1", Some(SkipReason::Malformed)),
        ("[]", Some(SkipReason::Malformed)),
        ("{}", Some(SkipReason::Malformed)),
        (r#"{"kty":7}"#, Some(SkipReason::Malformed)),
        (r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#, Some(SkipReason::UnknownType)),
        (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#, Some(SkipReason::UnknownType)),
        (r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#, Some(SkipReason::UnknownType)),
        (r#"{"kty":"EC","x":"AA","y":"AA"}"#, Some(SkipReason::UnknownType)),
        (OTHER_CURVE, Some(SkipReason::UnknownType)),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","alg":"RS1"}"#, Some(SkipReason::UnknownAlgorithm)),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","kid":1}"#, Some(SkipReason::Malformed)),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","use":1}"#, Some(SkipReason::Malformed)),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB","key_ops":"verify"}"#, Some(SkipReason::Malformed)),
        // These are meant for signatures, so that a token which names one hears what is wrong with it.
        (r#"{"kty":"RSA"}"#, None),
        (r#"{"kty":"RSA","n":"A A=","e":"AQAB"}"#, None),
        (r#"{"kty":"RSA","n":1,"e":"AQAB"}"#, None),
    ];
    for (bad, reason) in bad {
        for keys in [[bad.to_owned(), good_key.clone()], [good_key.clone(), bad.to_owned()]] {
            with_keys(&good(), &keys).unwrap();
            assert_eq!(parsed(&set(&keys)).unwrap(), (1, Vec::from_iter(reason)), "{bad}");
        }
    }
}

#[test]
fn a_document_that_is_no_key_set_is_refused() {
    for document in ["", "[]", "<html>", r#"{"keys":[}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"a":1,"a":2}]}"#] {
        assert!(matches!(parsed(document), Err(Rule::Json { .. })), "{document}");
    }
    assert_eq!(parsed("{}"), Err(Rule::MemberMissing("keys")));
    for keys in ["null", "{}", r#""""#] {
        assert_eq!(parsed(&format!(r#"{{"keys":{keys}}}"#)), Err(Rule::MemberInvalid("keys")));
    }
    assert_eq!(parsed(r#"{"keys":[]}"#), Ok((0, vec![])));
    assert_eq!(parsed(&format!("\u{feff}{}", keys())), Ok((1, vec![])));
}

#[test]
fn key_set_documents_are_bounded() {
    let padded = |len: usize| {
        let keys = keys();
        format!("{}{}", keys, " ".repeat(len - keys.len()))
    };
    assert_eq!(parsed(&padded(JwkSet::MAX_BYTES)), Ok((1, vec![])));
    assert_eq!(parsed(&padded(JwkSet::MAX_BYTES + 1)), Err(Rule::MemberInvalid("keys")));
    assert_eq!(parsed(&padded(JwkSet::MAX_BYTES * 100)), Err(Rule::MemberInvalid("keys")));
}

#[test]
fn keys_behind_the_hundredth_are_left_out() {
    let set_of = |others: usize| {
        let mut keys = vec![ED.jwk(""); others];
        keys.push(RSA.jwk(r#""kid":"k1""#));
        set(&keys)
    };
    verify_with(&good(), &set_of(99), &rules()).unwrap();
    assert_eq!(parsed(&set_of(99)), Ok((100, vec![])));
    for others in [100, 1000] {
        assert_eq!(parsed(&set_of(others)), Ok((100, vec![SkipReason::TooMany])));
        keys_missing(verify_with(&good(), &set_of(others), &rules()));
    }
}

#[test]
fn a_key_says_what_its_document_says_of_it() {
    let (_, crypto) = providers().into_iter().next().unwrap();
    let document = set(&[RSA.jwk(r#""kid":"k1","alg":"PS384""#), P256.jwk("")]);
    let set = JwkSet::parse(document.as_bytes(), crypto).unwrap();
    let said: Vec<_> = set.keys().iter().map(|key| (key.kid(), key.algorithm(), key.key_type())).collect();
    let expected = [
        (Some("k1"), Some(SignatureAlgorithm::Ps384), KeyType::Rsa),
        (None, None, KeyType::Ec(crate::crypto::Curve::P256)),
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_is_skipped_keeps_its_name_safe_to_print() {
    let (_, crypto) = providers().into_iter().next().unwrap();
    let document = set(&[r#"{"kty":"oct","kid":"a\u001b[31m","k":"AA"}"#.to_owned()]);
    let set = JwkSet::parse(document.as_bytes(), crypto).unwrap();
    let kid = Some("a\\u{1b}[31m".to_owned());
    assert_eq!(set.skipped(), [SkippedKey { kid, reason: SkipReason::Symmetric }]);
}
