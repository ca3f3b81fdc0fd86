//! What the token endpoint answers, seen through the grants that ask it (catalogue TR, answers 1 to 40).
//!
//! How each answer is read is the parser's business and tested beside it; here is what the flows make of it.

use grantflow_core::client::{Client, ProofKey};
use grantflow_core::error::{Advice, Delivery, Error, Rule, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, ClientCredentials, Extras, Refresh};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::EffectKind;
use grantflow_core::token::{Leniency, Note, TokenSet};
use grantflow_core::{Secret, Timestamp};
use serde_json::{Value, json};

use crate::authorization_response::waiting;
use crate::scripted::*;

const TOKEN: &str = "POST https://as.example/token";

/// A login for `read` whose code is redeemed with this answer, by a compat and by a strict client.
fn redeemed(answer: impl Fn() -> Answer) -> [Result<TokenSet, Error>; 2] {
    [Leniency::Compat, Leniency::Strict].map(|leniency| {
        let client = builder(json!({})).leniency(leniency).build().unwrap();
        let mut run = waiting(&client, "read").answering([answer()]);
        let stop = run.come_back();
        run.sent(&[TOKEN]);
        result(stop)
    })
}

pub fn result<O>(stop: Stop<O>) -> Result<O, Error> {
    match stop {
        Stop::Done(output) => Ok(output),
        Stop::Failed(error) => Err(error),
        Stop::Waiting(kind) => panic!("waits for {kind}"),
    }
}

fn rule(result: Result<TokenSet, Error>) -> Rule {
    match result.unwrap_err() {
        Error::Protocol(error) => error.rule,
        error => panic!("{error:?}"),
    }
}

fn code(result: Result<TokenSet, Error>) -> String {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal.code,
        error => panic!("{error:?}"),
    }
}

fn transport(result: Result<TokenSet, Error>) -> TransportKind {
    match result.unwrap_err() {
        Error::Transport(error) => error.kind,
        error => panic!("{error:?}"),
    }
}

/// What both modes refuse for the same broken member.
fn refused_member(members: Value, expected: Rule) {
    for result in redeemed(|| json(200, &tokens_with(members.clone()))) {
        assert_eq!(rule(result), expected, "{members}");
    }
}

#[test]
fn tr_01_answers_19_an_access_token_that_is_none_is_refused() {
    refused_member(json!({ "access_token": null }), Rule::MemberMissing("access_token"));
    for wrong in [
        json!(""),
        json!(12),
        json!(["canary-access"]),
        json!({ "a": 1 }),
        json!(true),
        json!("a\r\nb"),
        json!("caf\u{e9}"),
    ] {
        refused_member(json!({ "access_token": wrong }), Rule::MemberInvalid("access_token"));
    }
}

#[test]
fn tr_02_answers_06_a_missing_token_type_is_bearer_in_compat_only() {
    let [compat, strict] = redeemed(|| json(200, &tokens_with(json!({ "token_type": null }))));
    assert!(compat.unwrap().notes().contains(&Note::TokenTypeAssumed));
    assert_eq!(rule(strict), Rule::MemberMissing("token_type"));
    for result in redeemed(|| json(200, &tokens_with(json!({ "token_type": "bEARER" })))) {
        assert_eq!(result.unwrap().token_type().to_string(), "Bearer");
    }
}

#[test]
fn tr_03_answers_07_answers_08_an_unknown_token_type_is_refused_unless_named() {
    for wrong in ["mac", "N_A", "green"] {
        refused_member(json!({ "token_type": wrong }), Rule::TokenType);
    }
    refused_member(json!({ "token_type": "DPoP" }), Rule::KeyBound);
    refused_member(json!({ "token_type": 123 }), Rule::MemberInvalid("token_type"));
    let named = builder(json!({})).accept_token_type("green").build().unwrap();
    let mut run = waiting(&named, "").answering([json(200, &tokens_with(json!({ "token_type": "GREEN" })))]);
    assert_eq!(run.come_back().done().token_type().to_string(), "green");
    run.sent(&[TOKEN]);
}

/// A client whose token requests carry a proof.
pub fn proving() -> Client {
    builder(json!({})).proof_key(proof_key()).build().unwrap()
}

pub fn proof_key() -> ProofKey {
    ProofKey::new("proof", SignatureAlgorithm::Es256, &Signer::shared().ec_jwk("proof").to_string()).unwrap()
}

#[test]
fn tr_04_a_bearer_token_after_a_proof_is_a_downgrade() {
    for token_type in [json!("Bearer"), json!(null)] {
        let mut run = waiting(&proving(), "").answering([json(200, &tokens_with(json!({ "token_type": token_type })))]);
        assert_eq!(rule(result(run.come_back())), Rule::Downgrade);
        run.sent(&[TOKEN]);
    }
    let client = builder(json!({})).proof_key(proof_key()).dangerous_accept_bearer_for_proof().build().unwrap();
    let mut run = waiting(&client, "").answering([json(200, &tokens())]);
    run.come_back().done();
    run.sent(&[TOKEN]);
    let mut run = waiting(&proving(), "").answering([json(200, &tokens_with(json!({ "token_type": "dpop" })))]);
    assert_eq!(run.come_back().done().token_type().to_string(), "DPoP");
    run.sent(&[TOKEN]);
}

fn expiry(members: Value) -> [Option<Option<Timestamp>>; 2] {
    redeemed(|| json(200, &tokens_with(members.clone()))).map(|result| result.ok().map(|tokens| tokens.expires_at()))
}

fn after(seconds: u64) -> Option<Option<Timestamp>> {
    Some(Some(Timestamp::from_secs(BEGIN.as_secs() + seconds)))
}

#[test]
fn tr_05_answers_11_without_a_lifetime_the_expiry_is_unknown() {
    assert_eq!(expiry(json!({ "expires_in": null })), [Some(None), Some(None)]);
    let [compat, _] = redeemed(|| json(200, &tokens_with(json!({ "expires_in": null }))));
    let tokens = compat.unwrap();
    assert!(tokens.is_fresh(Timestamp::from_secs(u64::MAX)), "unknown is not expired: no refresh storm");
    let raw = r#"{"access_token":"canary-access","token_type":"Bearer","expires_in":null}"#;
    let [compat, strict] = redeemed(|| answer(200, &[("content-type", "application/json")], raw));
    assert_eq!(compat.unwrap().expires_at(), None);
    assert!(strict.is_err());
}

#[test]
fn tr_06_answers_09_answers_10_lifetimes_in_digits_and_with_fractions_are_read() {
    assert_eq!(expiry(json!({ "expires_in": "3600" })), [after(3600), None]);
    assert_eq!(expiry(json!({ "expires_in": 3600.0 }))[0], after(3600));
    assert_eq!(expiry(json!({ "expires_in": 3599.5 }))[0], after(3599));
}

#[test]
fn tr_07_answers_12_answers_14_impossible_lifetimes_are_unknown_or_clamped() {
    for unknown in [json!(-1), json!("abc"), json!(true), json!("NaN"), json!([1])] {
        assert_eq!(expiry(json!({ "expires_in": unknown })), [Some(None), None], "{unknown}");
    }
    let ten_years = after(10 * 365 * 24 * 60 * 60);
    for huge in ["9223372036854775808", "18446744073709551617", "1e20", "1.5e400", "9223372036854775807"] {
        let raw = format!(r#"{{"access_token":"canary-access","token_type":"Bearer","expires_in":{huge}}}"#);
        let [compat, _] = redeemed(|| answer(200, &[("content-type", "application/json")], &raw));
        assert_eq!(Some(compat.unwrap().expires_at()), ten_years, "{huge}");
    }
}

#[test]
fn tr_08_answers_13_a_lifetime_of_zero_is_over() {
    let [compat, strict] = redeemed(|| json(200, &tokens_with(json!({ "expires_in": 0 }))));
    for tokens in [compat.unwrap(), strict.unwrap()] {
        assert!(tokens.is_expired(BEGIN) && !tokens.is_fresh(BEGIN));
    }
}

#[test]
fn tr_11_answers_21_answers_22_an_error_under_200_is_a_refusal_and_beside_a_token_it_is_refused() {
    for result in redeemed(|| json(200, &json!({ "error": "bad_verification_code" }))) {
        assert_eq!(code(result), "bad_verification_code");
    }
    for result in redeemed(|| json(200, &tokens_with(json!({ "error": "invalid_grant" })))) {
        assert!(matches!(result, Err(Error::Refused(_) | Error::Protocol(_))), "{result:?}");
    }
}

#[test]
fn tr_12_answers_26_answers_27_what_is_no_oauth_answer_is_an_error_with_its_status() {
    let cases: [(u16, &str, &[u8]); 5] = [
        (400, "text/html", b"<html>no</html>"),
        (400, "application/json", br#"{"custom_error":"canary-extra"}"#),
        (401, "", b""),
        (404, "application/octet-stream", b"\x00\x01\xff\x1b[2J"),
        (403, "text/plain", b"forbidden"),
    ];
    for (status, media_type, body) in cases {
        for result in redeemed(|| answer(status, &[("content-type", media_type)], body)) {
            let Err(Error::Protocol(error)) = result else { panic!("{status}: {result:?}") };
            assert_eq!((error.rule, error.answer.as_ref().unwrap().status), (Rule::Status, status));
            assert!(!error.to_string().contains('\x1b'), "{error}");
        }
    }
    for result in redeemed(|| answer(503, &[("content-type", "text/html")], "<html>")) {
        let error = result.unwrap_err();
        assert!(matches!(error.advice(), Advice::Retry { .. }), "{error:?}");
    }
}

#[test]
fn tr_13_fl_10_answers_03_answers_04_a_page_is_no_token() {
    let body = tokens().to_string();
    for page in ["text/html", "text/html; charset=utf-8", "TEXT/HTML"] {
        for result in redeemed(|| answer(200, &[("content-type", page)], &body)) {
            assert_eq!(transport(result), TransportKind::MediaType, "{page}");
        }
    }
    for other in ["application/json;charset=utf-16", "application/jsonp", "image/png"] {
        for result in redeemed(|| answer(200, &[("content-type", other)], &body)) {
            assert_eq!(rule(result), Rule::MediaType, "{other}");
        }
    }
    for result in redeemed(|| answer(200, &[("content-type", "application/json; charset=UTF-8")], &body)) {
        result.unwrap();
    }
    for lax in ["text/plain", "text/javascript", "application/vnd.api+json"] {
        let [compat, strict] = redeemed(|| answer(200, &[("content-type", lax)], &body));
        assert!(compat.unwrap().notes().contains(&Note::MediaType));
        assert_eq!(rule(strict), Rule::MediaType);
    }
}

#[test]
fn tr_14_ds_01_a_body_over_its_limit_is_refused() {
    let padded = |len: usize| {
        let body = tokens().to_string();
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    let media_type = [("content-type", "application/json")];
    let mut run = waiting(&public(), "").answering([answer(200, &media_type, padded(1024 * 1024))]);
    run.come_back().done();
    run.sent(&[TOKEN]);
    let mut run = waiting(&public(), "").answering([answer(200, &media_type, padded(1024 * 1024 + 1))]);
    assert_eq!(transport(result(run.come_back())), TransportKind::TooLarge);
    run.sent(&[TOKEN]);
}

#[test]
fn tr_15_fl_06_fl_09_an_answer_cut_anywhere_is_refused_and_asked_for_once() {
    let whole = tokens().to_string();
    for cut in 0..whole.len() {
        let mut run =
            waiting(&public(), "").answering([answer(200, &[("content-type", "application/json")], &whole[..cut])]);
        let error = result(run.come_back());
        assert!(matches!(rule(error), Rule::Json { .. }), "cut at {cut}");
        run.sent(&[TOKEN]);
    }
}

#[test]
fn tr_17_tr_18_answers_17_what_was_granted_counts() {
    let scope = |members: Value| {
        let client = public();
        let mut run = waiting(&client, "read write").answering([json(200, &tokens_with(members))]);
        let tokens = run.come_back().done();
        run.sent(&[TOKEN]);
        (tokens.scope().as_str().to_owned(), tokens.is_narrowed())
    };
    assert_eq!(scope(json!({ "scope": "read" })), ("read".to_owned(), true));
    assert_eq!(scope(json!({})), ("read write".to_owned(), false));
    assert_eq!(scope(json!({ "scope": "" })), (String::new(), true));
    assert_eq!(scope(json!({ "scope": "read  write " })), ("read write".to_owned(), false));
}

#[test]
fn tr_19_answers_15_answers_16_scopes_of_other_shapes_and_sizes() {
    let granted = |client: Client, scope: Value| {
        let mut run = waiting(&client, "read").answering([json(200, &tokens_with(json!({ "scope": scope })))]);
        let stop = result(run.come_back());
        run.sent(&[TOKEN]);
        stop
    };
    let wider = granted(public(), json!(["read", "write"])).unwrap();
    assert!(wider.is_exceeded() && wider.notes().contains(&Note::ScopeArray));
    let strict = || builder(json!({})).leniency(Leniency::Strict).build().unwrap();
    assert_eq!(rule(granted(strict(), json!(["read"]))), Rule::MemberInvalid("scope"));
    assert_eq!(rule(granted(public(), json!(5))), Rule::MemberInvalid("scope"));
    let exact = builder(json!({})).require_exact_scope().build().unwrap();
    assert_eq!(rule(granted(exact, json!("read write"))), Rule::ScopeExceeded);
    assert_eq!(granted(public(), json!("read,write")).unwrap().scope().as_str(), "read,write");
    let comma = builder(json!({})).comma_separated_scopes().build().unwrap();
    assert_eq!(granted(comma, json!("read,write")).unwrap().scope().as_str(), "read write");
}

/// Refreshes with this answer.
fn refreshed(answer: Answer) -> Result<TokenSet, Error> {
    let request = RefreshRequest::new(Secret::from("canary-refresh-old"));
    let mut run = Run::new(Refresh::new(&public(), request).unwrap()).answering([answer]);
    let stop = result(run.start());
    run.sent(&[TOKEN]);
    stop
}

#[test]
fn whoever_watches_a_refresh_can_tell_its_endings_apart() {
    for (answer, finding) in [
        (refusal("invalid_grant"), "Revoked"),
        (refusal("invalid_client"), "GrantRefused"),
        (json(200, &json!({})), "GrantRefused"),
        (lost(Delivery::Unknown, TransportKind::Reset), "Uncertain"),
        (lost(Delivery::NotSent, TransportKind::ForbiddenAddress), "Broken"),
    ] {
        let request = RefreshRequest::new(Secret::from("canary-refresh-old"));
        let mut run = Run::new(Refresh::new(&public(), request).unwrap()).answering([answer]);
        let error = run.start().failed();
        let last = run.seen.transitions.last().unwrap();
        assert_eq!((last.machine, last.finding.0), ("refresh", finding), "{error}");
        run.sent(&[TOKEN]);
    }
}

#[test]
fn tr_20_answers_18_answers_36_answers_37_the_old_refresh_token_lives_until_a_new_one_comes() {
    let kept = |members: Value| {
        let tokens = refreshed(json(200, &tokens_with(members))).unwrap();
        tokens.refresh_token().unwrap().expose().clone()
    };
    assert_eq!(kept(json!({ "refresh_token": null })), "canary-refresh-old");
    assert_eq!(kept(json!({ "refresh_token": "" })), "canary-refresh-old");
    assert_eq!(kept(json!({ "refresh_token": "canary-refresh-new" })), "canary-refresh-new");
    let raw = r#"{"access_token":"canary-access","token_type":"Bearer","refresh_token":null}"#;
    let tokens = refreshed(answer(200, &[("content-type", "application/json")], raw)).unwrap();
    assert_eq!(tokens.refresh_token().unwrap().expose(), "canary-refresh-old");
    assert_eq!(tokens.granted_scope(), None, "the scope is as it was");
}

#[test]
fn tr_21_tokens_that_could_become_headers_are_refused() {
    for wrong in ["canary\r\nX-Evil: 1", "canary\0", "canary\u{1f600}", "\u{7f}"] {
        refused_member(json!({ "access_token": wrong }), Rule::MemberInvalid("access_token"));
        refused_member(json!({ "refresh_token": wrong }), Rule::MemberInvalid("refresh_token"));
    }
    refused_member(json!({ "access_token": "a".repeat(64 * 1024 + 1) }), Rule::MemberInvalid("access_token"));
    let [compat, _] = redeemed(|| json(200, &tokens_with(json!({ "access_token": "a".repeat(64 * 1024) }))));
    compat.unwrap();
}

#[test]
fn tr_22_answers_24_answers_28_an_error_uri_is_text_and_the_code_is_kept() {
    for (status, name) in [(400, "too_light"), (404, "invalid_code")] {
        for uri in ["javascript:alert(1)", "http://169.254.169.254/"] {
            for result in redeemed(|| json(status, &json!({ "error": name, "error_uri": uri }))) {
                let Err(Error::Refused(refusal)) = result else { panic!("{result:?}") };
                assert_eq!((refusal.code.as_str(), refusal.uri.as_deref()), (name, Some(uri)));
            }
        }
    }
}

#[test]
fn tr_23_answers_34_openid_without_an_id_token_is_refused() {
    let mut run = waiting(&public(), "openid").answering([json(200, &tokens())]);
    assert_eq!(rule(result(run.come_back())), Rule::IdTokenMissing);
    run.sent(&[TOKEN]);
    for result in redeemed(|| json(200, &json!({ "id_token": "a.b.c" }))) {
        assert!(matches!(rule(result), Rule::MemberMissing("access_token")));
    }
}

#[test]
fn answers_23_a_token_under_201_is_a_token_in_compat() {
    let [compat, strict] = redeemed(|| json(201, &tokens()));
    assert!(compat.unwrap().notes().contains(&Note::Status));
    assert_eq!(rule(strict), Rule::Status);
}

#[test]
fn answers_25_answers_35_refusals_in_shapes_of_their_own_are_never_tokens() {
    let nested = json!({ "error": { "message": "bad thing", "code": 100 } });
    for result in redeemed(|| json(400, &nested)) {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("bad thing"), "{error}");
    }
    for body in [
        json!({ "ok": false, "error": "invalid_code" }),
        json!({ "ok": true, "authed_user": { "access_token": "canary-access" } }),
        json!({ "data": { "access_token": "canary-access" } }),
    ] {
        for result in redeemed(|| json(200, &body)) {
            assert!(matches!(result, Err(Error::Refused(_) | Error::Protocol(_))), "{body}: {result:?}");
        }
    }
}

#[test]
fn answers_29_tt_01_tt_02_a_redirect_is_refused_and_its_target_shown() {
    for status in [301, 302, 303, 307, 308] {
        for target in ["https://evil.example/token", "//evil.example/x", "/elsewhere"] {
            let mut run = waiting(&confidential(), "").answering([redirect_to(status, target)]);
            let Err(Error::Transport(error)) = result(run.come_back()) else { panic!("{status}") };
            assert_eq!(error.kind, TransportKind::Redirected);
            assert!(error.to_string().contains(target), "{error}");
            run.sent(&[TOKEN]);
        }
    }
}

#[test]
fn answers_30_broken_json_is_told_by_its_place_and_not_quoted() {
    for (body, at) in [("canary-extra broken json", 0), ("", 0), (r#"{"access_token": canary-extra}"#, 17)] {
        for result in redeemed(|| answer(200, &[("content-type", "application/json")], body)) {
            let Rule::Json { at: found, .. } = rule(result) else { panic!("{body}") };
            assert_eq!(found, at, "{body}");
        }
    }
}

#[test]
fn rf_04_rf_05_answers_38_answers_39_a_dead_refresh_token_is_told_from_a_passing_failure() {
    let refused = [
        json!({ "error": "invalid_grant" }),
        json!({ "error": "refresh_token_not_found" }),
        json!({ "code": 400, "error_code": "refresh_token_not_found", "msg": "Invalid Refresh Token" }),
    ];
    for body in refused {
        let error = refreshed(json(400, &body)).unwrap_err();
        assert_eq!(error.advice(), Advice::LogInAgain, "{body}: {error:?}");
    }
    let passing: [fn() -> Answer; 4] = [
        || refusal("temporarily_unavailable"),
        || answer(500, &[], "oops"),
        || json(502, &json!({ "error": "invalid_grant" })),
        || lost(Delivery::Unknown, TransportKind::Timeout),
    ];
    for answer in passing {
        let error = refreshed(answer()).unwrap_err();
        assert!(matches!(error.advice(), Advice::Retry { .. }), "{error:?}");
    }
}

#[test]
fn answers_40_a_certificate_problem_is_hinted_at() {
    let body = json!({ "error": "invalid_client", "error_description": "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered" });
    let run = ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap();
    let mut run = Run::new(run).answering([json(401, &body)]);
    let Err(Error::Refused(refusal)) = result(run.start()) else { panic!() };
    assert!(refusal.hint.is_some_and(|hint| hint.contains("key") || hint.contains("certificate")), "{refusal:?}");
    run.sent(&[TOKEN]);
}

#[test]
fn tt_14_a_client_that_is_refused_tries_no_other_way() {
    let challenge = [("content-type", "application/json"), ("www-authenticate", "Basic realm=\"as\"")];
    let mut run = waiting(&confidential(), "").answering([answer(401, &challenge, r#"{"error":"invalid_client"}"#)]);
    assert_eq!(code(result(run.come_back())), "invalid_client");
    run.sent(&[TOKEN]);
    let mut run: Run<AuthorizationCode> = waiting(&confidential(), "");
    run.come_back().waits_for(EffectKind::Send);
    run.sent(&[TOKEN]);
}

#[test]
fn fl_05_a_code_whose_delivery_is_unknown_is_not_sent_again() {
    for kind in [TransportKind::Reset, TransportKind::Timeout, TransportKind::Protocol] {
        let mut run = waiting(&public(), "").answering([lost(Delivery::Unknown, kind)]);
        let Err(Error::Transport(error)) = result(run.come_back()) else { panic!() };
        assert_eq!((error.kind, error.delivery), (kind, Delivery::Unknown));
        assert!(run.sleeps.is_empty());
        run.sent(&[TOKEN]);
        let Err(Error::Transport(error)) = refreshed(lost(Delivery::Unknown, kind)) else { panic!() };
        assert_eq!(error.delivery, Delivery::Unknown);
    }
}
