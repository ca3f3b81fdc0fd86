//! The rules for claims, and reading them.

use core::time::Duration;

use serde::Deserialize;

use super::*;
use crate::machine::{Check, Observer};

/// The outcome with one claim changed, or taken away.
fn with(claim: &str, value: Option<&str>) -> Result<VerifiedIdToken, VerifyError> {
    check(&claims(&[(claim, value)]), &rules())
}

#[test]
fn jw_25_the_issuer_is_compared_as_exact_text() {
    assert_eq!(security(with("iss", None)), SecurityError::ClaimMissing("iss"));
    for found in [
        "https://evil.example",
        "https://op.exampl",
        "https://op.example.evil.example",
        "https://op.example/",
        "HTTPS://op.example",
        "https://op.example:443",
        "https://op.example ",
        "https://op.example1",
        "",
    ] {
        let error = security(with("iss", Some(&format!(r#""{found}""#))));
        let (expected, found) = (Some(ISSUER.to_owned()), Some(found.to_owned()));
        assert_eq!(error, SecurityError::Claim { claim: "iss", expected, found });
    }
    for value in ["null", "1", r#"["https://op.example"]"#, "{}"] {
        assert_eq!(refused_claim(with("iss", Some(value))), "iss", "{value}");
    }
    with("iss", Some(r#""https:\/\/op.example""#)).unwrap();
}

#[test]
fn a_trailing_slash_of_the_issuer_is_tolerated_only_by_name() {
    for (expected, found, accepted) in [
        ("https://op.example", "https://op.example/", true),
        ("https://op.example/", "https://op.example", true),
        ("https://op.example/", "https://op.example/", true),
        ("https://op.example", "https://op.example//", false),
        ("https://op.example", "https://op.example/a", false),
    ] {
        let mut rules = IdTokenRules::new(expected, CLIENT);
        let claims = claims(&[("iss", Some(&format!(r#""{found}""#)))]);
        assert_eq!(check(&claims, &rules).is_ok(), expected == found);
        rules.issuer_rule = IssuerRule::TrailingSlash;
        assert_eq!(check(&claims, &rules).is_ok(), accepted, "{expected} {found}");
    }
}

#[test]
fn a_tenant_of_the_issuer_is_the_one_that_the_token_names() {
    let mut rules = IdTokenRules::new("https://login.example/{tenantid}/v2.0", CLIENT);
    let found = |iss: &str, tid: Option<&str>| claims(&[("iss", Some(&format!(r#""{iss}""#))), ("tid", tid)]);
    let good = found("https://login.example/72f9-a/v2.0", Some(r#""72f9-a""#));
    assert_eq!(refused_claim(check(&good, &rules)), "iss");
    rules.issuer_rule = IssuerRule::TenantTemplate;
    assert_eq!(check(&good, &rules).unwrap().issuer(), "https://login.example/72f9-a/v2.0");
    for (iss, tid, claim) in [
        ("https://login.example/72f9-a/v2.0", Some(r#""other""#), "iss"),
        ("https://login.example/{tenantid}/v2.0", Some(r#""72f9-a""#), "iss"),
        ("https://login.example/72f9-a/v2.0", None, "tid"),
        ("https://login.example//v2.0", Some(r#""""#), "tid"),
        ("https://login.example/a/b/v2.0", Some(r#""a/b""#), "tid"),
        ("https://login.example/../v2.0", Some(r#""..""#), "tid"),
        ("https://login.example/{tenantid}/v2.0", Some(r#""{tenantid}""#), "tid"),
    ] {
        assert_eq!(refused_claim(check(&found(iss, tid), &rules)), claim, "{iss} {tid:?}");
    }
    // An issuer without a place for a tenant is compared as it is.
    rules.issuer = ISSUER;
    check(&claims(&[]), &rules).unwrap();
}

#[test]
fn jw_26_the_client_must_be_in_the_audience() {
    assert_eq!(security(with("aud", None)), SecurityError::ClaimMissing("aud"));
    for value in [
        r#""other""#,
        r#""client-1 ""#,
        r#""client-11""#,
        r#""client""#,
        r#""CLIENT-1""#,
        r#""""#,
        "[]",
        r#"["other"]"#,
        "1",
        "null",
        r#"[["client-1"]]"#,
        r#"{"client-1":true}"#,
        r#"[1,"client-1"]"#,
        r#"["client-1",null]"#,
        "true",
    ] {
        assert_eq!(refused_claim(with("aud", Some(value))), "aud", "{value}");
    }
}

#[test]
fn jw_27_answers_60_an_array_of_one_audience_is_accepted() {
    let verified = with("aud", Some(r#"["client-1"]"#)).unwrap();
    assert_eq!(verified.audience().collect::<Vec<_>>(), [CLIENT]);
}

#[test]
fn jw_28_another_audience_must_be_trusted_and_the_client_the_authorized_party() {
    let trusted = ["api".to_owned()];
    let mut trusting = rules();
    trusting.trusted_audiences = &trusted;
    let several = |aud: &str, azp: Option<&str>| claims(&[("aud", Some(aud)), ("azp", azp)]);
    let own = Some(r#""client-1""#);
    for (aud, azp, plain, trusted) in [
        (r#"["client-1","api"]"#, None, Some("aud"), Some("aud")),
        (r#"["client-1","api"]"#, own, Some("aud"), None),
        (r#"["api","client-1"]"#, own, Some("aud"), None),
        (r#"["client-1","evil"]"#, own, Some("aud"), Some("aud")),
        (r#"["client-1","api","evil"]"#, own, Some("aud"), Some("aud")),
        (r#"["client-1","api"]"#, Some(r#""api""#), Some("aud"), Some("azp")),
        (r#"["client-1","client-1"]"#, own, None, None),
        (r#""client-1""#, own, None, None),
        (r#"["api"]"#, own, Some("aud"), Some("aud")),
    ] {
        for (rules, expected) in [(&rules(), plain), (&trusting, trusted)] {
            let outcome = check(&several(aud, azp), rules);
            assert_eq!(outcome.is_ok(), expected.is_none(), "{aud} {azp:?}");
            if let Some(claim) = expected {
                assert_eq!(refused_claim(outcome), claim, "{aud} {azp:?}");
            }
        }
    }
}

#[test]
fn jw_28_a_foreign_authorized_party_is_refused_for_a_single_audience_too() {
    for azp in [r#""other""#, r#""""#, "null", "1", r#"["client-1"]"#] {
        assert_eq!(refused_claim(with("azp", Some(azp))), "azp", "{azp}");
    }
}

#[test]
fn jw_29_the_expiry_is_a_number_of_seconds_that_has_not_come() {
    assert_eq!(security(with("exp", None)), SecurityError::ClaimMissing("exp"));
    for value in [
        r#""never""#,
        r#""1750000300""#,
        "null",
        "true",
        "[1750000300]",
        "-1",
        "-1e308",
        "1e308",
        "1e999999",
        "253402300800",
        "1750000300000",
    ] {
        let error = security(with("exp", Some(value)));
        assert!(matches!(error, SecurityError::Claim { claim: "exp", .. }), "{value}: {error:?}");
    }
    for value in [NOW - 60, NOW - 61, 0, 1] {
        let error = security(with("exp", Some(&value.to_string())));
        let value = i64::try_from(value).unwrap();
        assert_eq!(error, SecurityError::Time { claim: "exp", value, now: NOW });
    }
    for value in [NOW - 59, NOW, NOW + 1, 253_402_300_799] {
        assert_eq!(with("exp", Some(&value.to_string())).unwrap().expires_at(), Timestamp::from_secs(value));
    }
}

#[test]
fn jw_29_answers_60_a_fractional_expiry_is_rounded_down() {
    for (value, seconds) in
        [("1750000300.9", 1_750_000_300), ("1.7500003E9", 1_750_000_300), ("1750000300.0", 1_750_000_300)]
    {
        assert_eq!(with("exp", Some(value)).unwrap().expires_at(), Timestamp::from_secs(seconds));
    }
    // One minute ago, and the fraction does not save it.
    assert!(matches!(security(with("exp", Some("1749999940.9"))), SecurityError::Time { claim: "exp", .. }));
}

#[test]
fn jw_30_answers_60_issue_time_must_be_there_and_not_ahead() {
    assert_eq!(security(with("iat", None)), SecurityError::ClaimMissing("iat"));
    for value in [r#""1750000000""#, "null", "[]", "-5", "1e308"] {
        assert!(matches!(security(with("iat", Some(value))), SecurityError::Claim { claim: "iat", .. }), "{value}");
    }
    for (ahead, accepted) in [(0, true), (60, true), (61, false), (86_400, false)] {
        let outcome = with("iat", Some(&(NOW + ahead).to_string()));
        assert_eq!(outcome.is_ok(), accepted, "{ahead}");
    }
    with("iat", Some("0")).unwrap();
    with("iat", Some("1749999999.5")).unwrap();
}

#[test]
fn jw_30_a_token_is_not_used_before_its_time() {
    for value in [r#""1750000000""#, "null", "{}", "-1", "1e308"] {
        assert!(matches!(security(with("nbf", Some(value))), SecurityError::Claim { claim: "nbf", .. }), "{value}");
    }
    for (ahead, accepted) in [(0, true), (60, true), (61, false)] {
        assert_eq!(with("nbf", Some(&(NOW + ahead).to_string())).is_ok(), accepted, "{ahead}");
    }
}

#[test]
fn an_old_token_is_refused_only_if_its_age_is_limited() {
    let week_old = claims(&[("iat", Some("1749395200"))]);
    check(&week_old, &rules()).unwrap();
    let mut rules = rules();
    rules.max_issued_age = Some(Duration::from_secs(3600));
    assert!(matches!(security(check(&week_old, &rules)), SecurityError::Time { claim: "iat", .. }));
    check(&claims(&[]), &rules).unwrap();
}

#[test]
fn jw_31_answers_60_the_subject_is_a_string_of_1_to_255_bytes() {
    assert_eq!(security(with("sub", None)), SecurityError::ClaimMissing("sub"));
    let text = |len: usize| format!(r#""{}""#, "s".repeat(len));
    for value in ["1", "null", "[]", "{}", "true", &text(0), &text(256), &text(25_500)] {
        let error = security(with("sub", Some(value)));
        // It may be a person's name: never in an error.
        assert_eq!(error, SecurityError::Claim { claim: "sub", expected: None, found: None });
    }
    assert_eq!(with("sub", Some(&text(255))).unwrap().subject().len(), 255);
    with("sub", Some(&text(1))).unwrap();
}

#[test]
fn a_refreshed_token_must_be_about_the_same_person() {
    let mut rules = rules();
    rules.subject = Some("248289761001");
    check(&claims(&[]), &rules).unwrap();
    rules.subject = Some("248289761002");
    assert_eq!(refused_claim(check(&claims(&[]), &rules)), "sub");
}

#[test]
fn jw_32_with_a_max_age_the_login_must_be_recent() {
    let mut rules = rules();
    rules.max_age = Some(Duration::from_secs(600));
    let with = |value: Option<&str>| check(&claims(&[("auth_time", value)]), &rules);
    assert_eq!(security(with(None)), SecurityError::ClaimMissing("auth_time"));
    for value in [r#""1750000000""#, "null", "-1", "1e308", "[]"] {
        assert!(matches!(security(with(Some(value))), SecurityError::Claim { claim: "auth_time", .. }), "{value}");
    }
    for (value, accepted) in
        [(NOW - 660, true), (NOW - 661, false), (NOW, true), (NOW + 60, true), (NOW + 61, false), (0, false)]
    {
        let outcome = with(Some(&value.to_string()));
        assert_eq!(outcome.is_ok(), accepted, "{value}");
        if !accepted {
            assert!(matches!(security(outcome), SecurityError::Time { claim: "auth_time", .. }));
        }
    }
}

#[test]
fn login_time_can_be_required_without_a_max_age() {
    let mut rules = rules();
    check(&claims(&[]), &rules).unwrap();
    rules.auth_time = Requirement::Required;
    assert_eq!(security(check(&claims(&[]), &rules)), SecurityError::ClaimMissing("auth_time"));
    let verified = check(&claims(&[("auth_time", Some("1"))]), &rules).unwrap();
    assert_eq!(verified.auth_time(), Some(Timestamp::from_secs(1)));
}

#[test]
fn jw_33_an_essential_context_class_must_be_one_of_those_asked_for() {
    let wanted = ["urn:mfa".to_owned(), "gold".to_owned()];
    let mut rules = rules();
    rules.acr_values = &wanted;
    let with = |value: Option<&str>| check(&claims(&[("acr", value)]), &rules);
    assert_eq!(security(with(None)), SecurityError::ClaimMissing("acr"));
    for value in [r#""silver""#, r#""urn:mfa gold""#, r#""""#, "1", r#"["gold"]"#, "null"] {
        assert_eq!(refused_claim(with(Some(value))), "acr", "{value}");
    }
    assert_eq!(with(Some(r#""gold""#)).unwrap().acr().unwrap(), "gold");
    check(&claims(&[]), &super::rules()).unwrap();
}

/// `at_hash` of this token: half of SHA-256, from OpenID Connect Core, and computed for the longer hashes.
const ACCESS_TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
const AT_HASH: &str = r#""77QmUPtjPfzWtF2AnpK9RQ""#;

#[test]
fn jw_34_an_at_hash_that_is_there_must_be_right() {
    let secret = Secret::from(ACCESS_TOKEN);
    let mut rules = rules();
    rules.access_token = Some(Binding { secret: &secret, requirement: Requirement::Optional });
    check(&claims(&[("at_hash", Some(AT_HASH))]), &rules).unwrap();
    for wrong in [
        r#""77QmUPtjPfzWtF2AnpK9RA""#,
        r#""77QmUPtjPfzWtF2AnpK9RQ==""#,
        r#""77QmUPtjPfzWtF2AnpK9RR""#,
        r#""""#,
        "null",
        "1",
        r#""77QmUPtjPfzWtF2AnpK9RQ1""#,
        r#"["77QmUPtjPfzWtF2AnpK9RQ"]"#,
        r#""77QmUPtjPfzWtF2AnpK9""#,
    ] {
        let error = security(check(&claims(&[("at_hash", Some(wrong))]), &rules));
        assert_eq!(error, SecurityError::Claim { claim: "at_hash", expected: None, found: None }, "{wrong}");
    }
    let other = Secret::from("another access token");
    rules.access_token = Some(Binding { secret: &other, requirement: Requirement::Optional });
    assert_eq!(refused_claim(check(&claims(&[("at_hash", Some(AT_HASH))]), &rules)), "at_hash");
}

#[test]
fn jw_34_the_hash_is_that_of_the_signature() {
    let secret = Secret::from(ACCESS_TOKEN);
    for (_, crypto) in providers() {
        for algorithm in SignatureAlgorithm::ALL {
            let digest = crypto.hash(algorithm.hash(), ACCESS_TOKEN.as_bytes());
            let half = encode(&digest.as_bytes()[..digest.as_bytes().len() / 2]);
            let claims = claims(&[("at_hash", Some(&format!(r#""{half}""#)))]);
            let token = signed(signer(algorithm), algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), &claims);
            let mut rules = rules();
            let allowed = [algorithm];
            rules.algorithms = &allowed;
            rules.access_token = Some(Binding { secret: &secret, requirement: Requirement::Required });
            verify_with(&token, &set(&[signer(algorithm).jwk("")]), &rules).unwrap();
        }
    }
}

#[test]
fn jw_35_an_absent_at_hash_is_accepted_from_the_token_endpoint_only() {
    let secret = Secret::from(ACCESS_TOKEN);
    let mut rules = rules();
    rules.access_token = Some(Binding { secret: &secret, requirement: Requirement::Optional });
    check(&claims(&[]), &rules).unwrap();
    rules.access_token = Some(Binding { secret: &secret, requirement: Requirement::Required });
    assert_eq!(security(check(&claims(&[]), &rules)), SecurityError::ClaimMissing("at_hash"));
}

#[test]
fn the_code_is_bound_by_c_hash() {
    let secret = Secret::from("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
    let mut rules = rules();
    rules.code = Some(Binding { secret: &secret, requirement: Requirement::Required });
    check(&claims(&[("c_hash", Some(r#""LDktKdoQak3Pk0cnXxCltA""#))]), &rules).unwrap();
    assert_eq!(refused_claim(check(&claims(&[("c_hash", Some(r#""LDktKdoQak3Pk0cnXxCltA1""#))]), &rules)), "c_hash");
    assert_eq!(security(check(&claims(&[]), &rules)), SecurityError::ClaimMissing("c_hash"));
}

#[test]
fn pk_09_an_expected_nonce_that_is_absent_is_refused() {
    let nonce = Secret::from("n-0S6_WzA2Mj");
    let mut rules = rules();
    rules.nonce = NonceRule::Equal(&nonce);
    assert_eq!(security(check(&claims(&[]), &rules)), SecurityError::ClaimMissing("nonce"));
}

#[test]
fn pk_09_a_wrong_nonce_is_refused_and_not_shown() {
    let nonce = Secret::from("n-0S6_WzA2Mj");
    let mut rules = rules();
    rules.nonce = NonceRule::Equal(&nonce);
    check(&claims(&[("nonce", Some(r#""n-0S6_WzA2Mj""#))]), &rules).unwrap();
    for wrong in [r#""n-0S6_WzA2Mj1""#, r#""n-0S6_WzA2M""#, r#""""#, "null", "1", r#"["n-0S6_WzA2Mj"]"#] {
        let error = security(check(&claims(&[("nonce", Some(wrong))]), &rules));
        assert_eq!(error, SecurityError::Claim { claim: "nonce", expected: None, found: None }, "{wrong}");
    }
}

#[test]
fn pk_09_a_nonce_that_nobody_sent_is_refused() {
    for value in [r#""n-0S6_WzA2Mj""#, r#""""#, "null"] {
        assert_eq!(refused_claim(with("nonce", Some(value))), "nonce", "{value}");
    }
    let mut rules = rules();
    rules.nonce = NonceRule::Unchecked;
    check(&claims(&[("nonce", Some(r#""anything""#))]), &rules).unwrap();
    check(&claims(&[]), &rules).unwrap();
}

#[test]
fn jw_43_an_address_is_verified_only_by_the_boolean_true() {
    for (value, expected) in [
        (Some("true"), EmailVerification::Verified),
        (Some(r#""true""#), EmailVerification::ClaimedInText),
        (Some("false"), EmailVerification::Unverified),
        (Some(r#""false""#), EmailVerification::Unverified),
        (Some(r#""TRUE""#), EmailVerification::Unverified),
        (Some("1"), EmailVerification::Unverified),
        (Some("null"), EmailVerification::Unverified),
        (None, EmailVerification::Unverified),
    ] {
        let claims = claims(&[("email", Some(r#""jane@example.com""#)), ("email_verified", value)]);
        let verified = check(&claims, &rules()).unwrap();
        assert_eq!(verified.email_verified(), expected, "{value:?}");
        assert_eq!(verified.email().unwrap(), "jane@example.com");
    }
}

#[test]
fn jw_44_what_is_no_plain_address_is_not_given_as_one() {
    for value in [
        "a@evil.com@good.com",
        "\\\"a@evil.com\\\"@good.com",
        "no-at",
        "@good.com",
        "a@",
        "",
        "a @good.com",
        "a@good.com\\n",
        "a@good\\u0000.com",
    ] {
        let verified = with("email", Some(&format!(r#""{value}""#))).unwrap();
        assert_eq!(verified.email(), None, "{value}");
    }
    for value in ["1", "null", r#"["a@good.com"]"#] {
        assert_eq!(with("email", Some(value)).unwrap().email(), None, "{value}");
    }
}

#[test]
fn answers_60_unknown_and_odd_claims_do_no_harm() {
    #[derive(Deserialize)]
    struct Extra {
        groups: Vec<String>,
        updated_at: String,
    }
    let claims = claims(&[
        ("groups", Some(r#"["a","b"]"#)),
        ("updated_at", Some(r#""2024-05-01T12:00:00Z""#)),
        ("email_verified", Some(r#""true""#)),
        ("phone_number_verified", Some(r#""yes""#)),
        ("auth_time", Some(r#""soon""#)),
        ("amr", Some(r#"["pwd",1,"otp"]"#)),
        ("sid", Some(r#""08a5019c""#)),
    ]);
    let verified = check(&claims, &rules()).unwrap();
    let extra: Extra = verified.extra().unwrap();
    assert_eq!((extra.groups.len(), &*extra.updated_at), (2, "2024-05-01T12:00:00Z"));
    assert_eq!(verified.auth_time(), None);
    assert_eq!(verified.amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(verified.session_id().unwrap(), "08a5019c");
    assert!(verified.extra::<Vec<String>>().is_err());
}

#[derive(Default)]
struct Watcher(Vec<(&'static str, String, String, bool)>);

impl Observer for Watcher {
    fn check(&mut self, check: &Check<'_>) {
        self.0.push((check.name, check.expected.to_owned(), check.found.to_owned(), check.passed));
    }
}

fn watched(token: &str, rules: &IdTokenRules<'_>) -> Watcher {
    let mut watcher = Watcher::default();
    let (_, crypto) = providers().into_iter().next().unwrap();
    let keys = JwkSet::parse(keys().as_bytes(), crypto).unwrap();
    let _ = verify(&Secret::from(token), &keys, rules, Timestamp::from_secs(NOW), crypto, Some(&mut watcher));
    watcher
}

#[test]
fn every_check_is_told_and_no_secret_is_shown() {
    let (nonce, access, code) = (Secret::from("s3cr3t-n"), Secret::from("s3cr3t-a"), Secret::from("s3cr3t-c"));
    let acr = ["gold".to_owned()];
    let mut rules = rules();
    rules.nonce = NonceRule::Equal(&nonce);
    rules.access_token = Some(Binding { secret: &access, requirement: Requirement::Optional });
    rules.code = Some(Binding { secret: &code, requirement: Requirement::Optional });
    rules.max_age = Some(Duration::from_secs(600));
    rules.acr_values = &acr;
    let (_, crypto) = providers().into_iter().next().unwrap();
    let half = |secret: &Secret| {
        let digest = crypto.hash(SignatureAlgorithm::Rs256.hash(), secret.expose().as_bytes());
        format!(r#""{}""#, encode(&digest.as_bytes()[..16]))
    };
    let claims = claims(&[
        ("nonce", Some(r#""s3cr3t-n""#)),
        ("azp", Some(r#""client-1""#)),
        ("nbf", Some("1750000000")),
        ("auth_time", Some("1750000000")),
        ("acr", Some(r#""gold""#)),
        ("at_hash", Some(&half(&access))),
        ("c_hash", Some(&half(&code))),
    ]);
    let Watcher(told) = watched(&token(HEADER, &claims), &rules);
    let names: Vec<_> = told.iter().map(|(name, ..)| *name).collect();
    let all = [
        "alg",
        "crit",
        "typ",
        "signature",
        "iss",
        "sub",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "auth_time",
        "acr",
        "nonce",
        "at_hash",
        "c_hash",
    ];
    assert_eq!(names, all);
    assert!(told.iter().all(|(.., passed)| *passed));
    for (name, expected, found, _) in &told {
        for secret in ["s3cr3t", "248289761001", half(&access).trim_matches('"'), half(&code).trim_matches('"')] {
            assert!(!expected.contains(secret) && !found.contains(secret), "{name}: {expected}, {found}");
        }
    }
    let facts = |wanted: &str| told.iter().find(|(name, ..)| *name == wanted).map(|(_, e, f, _)| (&**e, &**f)).unwrap();
    assert_eq!(facts("alg"), ("RS256", "RS256"));
    assert_eq!(facts("crit"), ("(absent)", "(absent)"));
    assert_eq!(facts("signature"), ("a key of the issuer", "kid k1"));
    assert_eq!(facts("iss"), (ISSUER, ISSUER));
    assert_eq!(facts("nonce"), ("(hidden)", "(hidden)"));
    assert_eq!(facts("exp"), ("after 1750000000", "1750000300"));
}

#[test]
fn a_failed_check_is_the_last_one_told() {
    let rows = [("iss", r#""https://evil.example""#), ("exp", "1"), ("aud", r#""other""#), ("nonce", r#""x""#)];
    for (claim, value) in rows {
        let Watcher(told) = watched(&token(HEADER, &claims(&[(claim, Some(value))])), &rules());
        let (last, earlier) = told.split_last().unwrap();
        assert_eq!((last.0, last.3), (claim, false));
        assert!(earlier.iter().all(|(.., passed)| *passed));
    }
    let Watcher(told) = watched(&token(r#"{"alg":"RS256","kid":"k1","crit":[]}"#, &claims(&[])), &rules());
    let (name, expected, found, passed) = told.last().unwrap();
    assert_eq!((*name, &**expected, &**found, *passed), ("crit", "(absent)", "(present)", false));
}
