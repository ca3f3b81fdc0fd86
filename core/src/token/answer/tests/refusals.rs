//! Answers that are no success, and what may be seen of them.

use super::*;

#[test]
fn answers_21_tr_11_a_refusal_with_status_200_is_a_refusal() {
    for code in ["bad_verification_code", "invalid_grant"] {
        for expect in [Expectation::default(), strict()] {
            let refusal = refused(read_as(&expect, 200, JSON, format!(r#"{{"error":"{code}"}}"#)));
            assert_eq!(refusal.code, code);
            assert_eq!(refusal.answer.as_ref().unwrap().status, 200);
            assert_eq!(Error::Refused(Box::new(refusal)).advice(), Advice::LogInAgain);
        }
    }
}

#[test]
fn answers_22_a_token_and_a_refusal_at_once_are_refused() {
    let refusal = refused(with(r#","error":"invalid_request""#));
    assert_eq!(refusal.code, "invalid_request");
    assert_eq!(refused(with(r#","error":{"message":"m"}"#)).code, "error");
    assert!(with(r#","error":null"#).is_ok());
    assert!(with(r#","error":"""#).is_ok());
}

#[test]
fn answers_24_a_code_nobody_knows_is_kept_word_for_word() {
    let refusal = refused(read(
        400,
        JSON,
        r#"{"error":"too_light","error_description":"Stand closer","error_uri":"https://as.example/e"}"#,
    ));
    assert_eq!(refusal.code, "too_light");
    assert_eq!(refusal.description.as_deref(), Some("Stand closer"));
    assert_eq!(refusal.uri.as_deref(), Some("https://as.example/e"));
    assert_eq!(refusal.endpoint, Endpoint::Token);
    assert_eq!(refusal.answer.unwrap().status, 400);
}

#[test]
fn answers_25_a_nested_error_is_a_refusal() {
    let refusal = refused(read(400, JSON, r#"{"error":{"message":"bad","code":100}}"#));
    assert_eq!((refusal.code.as_str(), refusal.description.as_deref()), ("100", Some("bad")));
    let refusal = refused(read(
        400,
        "text/javascript",
        r#"{"error":{"message":"bad","type":"OAuthException","code":100,"fbtrace_id":"s3cr3t"}}"#,
    ));
    assert_eq!(refusal.code, "OAuthException");
    let refusal = refused(read(401, JSON, r#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#));
    assert_eq!(refusal.code, "UNAUTHENTICATED");
}

#[test]
fn answers_26_an_error_of_no_known_shape_is_an_error_all_the_same() {
    for body in [
        r#"{"custom_error":"s3cr3t"}"#,
        r#"{"error":7}"#,
        r#"{"error":["a"]}"#,
        r#"{"error":""}"#,
        "[]",
        "null",
        &body_with(""),
    ] {
        assert_eq!(rule(read(400, JSON, body)), Rule::Status, "{body}");
    }
    let Error::Protocol(error) = read(400, JSON, r#"{"custom_error":"s3cr3t"}"#).unwrap_err() else { panic!() };
    assert_eq!(error.answer.unwrap().excerpt.as_deref(), Some("{custom_error: (string)}"));
}

#[test]
fn answers_27_tr_12_an_answer_without_a_message_is_an_error_with_its_status() {
    for status in [400, 401, 404, 418] {
        for (media_type, body) in
            [("", ""), ("text/html", "<h1>Not found</h1>"), ("application/octet-stream", "\u{1}\u{2}")]
        {
            let Error::Protocol(error) = read(status, media_type, body).unwrap_err() else { panic!() };
            assert_eq!((error.rule, error.answer.unwrap().status), (Rule::Status, status));
        }
    }
    let (kind, not_before, facts) =
        unavailable(read(503, "text/html", "<html><body><h1>503</h1>\n<p>try later</p></body></html>"));
    assert_eq!((kind, not_before), (TransportKind::Unavailable, None));
    assert_eq!((facts.status, facts.excerpt.as_deref()), (503, Some("503 try later")));
}

#[test]
fn answers_28_a_refusal_counts_whatever_the_status() {
    for status in [400, 401, 403, 404, 422, 428] {
        assert_eq!(refused(read(status, JSON, r#"{"error":"invalid_code"}"#)).code, "invalid_code", "{status}");
        assert_eq!(refused(read(status, "text/plain", r#"{"error":"invalid_code"}"#)).code, "invalid_code", "{status}");
        assert_eq!(refused(read(status, "", r#"{"error":"invalid_code"}"#)).code, "invalid_code", "{status}");
    }
}

#[test]
fn answers_29_tt_01_tt_02_a_redirect_is_reported_with_its_target_and_not_followed() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let mut response = response(status, "", "");
        response.headers_mut().insert(header::LOCATION, "//evil.example/x?code=s3cr3t".parse().unwrap());
        let error = parse(&response, &Expectation::default(), NOW, Endpoint::Token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        let (kind, _, facts) = unavailable(Err(error));
        assert_eq!(kind, TransportKind::Redirected);
        assert_eq!(facts.headers, [("location".to_owned(), "//evil.example/x?..".to_owned())]);
    }
    assert_eq!(unavailable(read(302, JSON, body_with(""))).0, TransportKind::Redirected);
}

#[test]
fn answers_35_answers_in_wrappings_are_no_token_answers() {
    assert_eq!(refused(read(200, JSON, r#"{"ok":false,"error":"invalid_code"}"#)).code, "invalid_code");
    assert_eq!(rule(read(200, JSON, r#"{"data":{"access_token":"s3cr3t"}}"#)), Rule::MemberMissing("access_token"));
    assert_eq!(
        rule(read(200, JSON, r#"{"ok":true,"authed_user":{"access_token":"s3cr3t"}}"#)),
        Rule::MemberMissing("access_token")
    );
}

#[test]
fn answers_38_a_final_no_is_told_from_a_later() {
    let gone = refused(read(400, JSON, r#"{"error":"invalid_grant"}"#));
    assert_eq!(Error::Refused(Box::new(gone)).advice(), Advice::LogInAgain);
    let later = refused(read(400, JSON, r#"{"error":"temporarily_unavailable"}"#));
    assert_eq!(Error::Refused(Box::new(later)).advice(), Advice::Retry { not_before: None });
}

#[test]
fn answers_38_a_code_in_an_answer_that_is_no_verdict_is_shown_and_not_believed() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let (kind, _, facts) =
            unavailable(read(status, JSON, r#"{"error":"invalid_grant","error_description":"not now","x":"s3cr3t"}"#));
        assert_eq!(kind, TransportKind::Unavailable, "{status}");
        assert_eq!(facts.excerpt.as_deref(), Some("{error: invalid_grant, error_description: not now, x: (string)}"));
    }
}

#[test]
fn fl_02_the_servers_wait_is_kept() {
    for (value, wait) in
        [("120", Some(120)), ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)), ("99999999", Some(86_400)), ("soon", None)]
    {
        let mut response = response(429, "", "");
        response.headers_mut().insert(header::RETRY_AFTER, value.parse().unwrap());
        let (_, not_before, facts) = unavailable(parse(&response, &Expectation::default(), NOW, Endpoint::Token));
        assert_eq!(not_before, wait.map(|wait| NOW.plus(Duration::from_secs(wait))), "{value}");
        assert_eq!(facts.headers, [("retry-after".to_owned(), value.to_owned())]);
    }
}

#[test]
fn answers_39_another_name_of_the_code_is_known() {
    let refusal = refused(read(
        400,
        JSON,
        r#"{"code":400,"error_code":"refresh_token_not_found","msg":"Invalid Refresh Token"}"#,
    ));
    assert_eq!(
        (refusal.code.as_str(), refusal.description.as_deref()),
        ("refresh_token_not_found", Some("Invalid Refresh Token"))
    );
    assert_eq!(Error::Refused(Box::new(refusal)).advice(), Advice::LogInAgain);
    assert_eq!(refused(read(400, JSON, r#"{"error":"a","error_code":"b"}"#)).code, "a");
}

#[test]
fn answers_40_the_numbers_of_entra_become_hints() {
    let body = |number: &str| {
        format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS{number}: Client assertion failed.","error_codes":[700027],"trace_id":"0f8fad5b-d9cb-469f-a165-70867728950e"}}"#
        )
    };
    let refusal = refused(read(401, JSON, body("700027")));
    assert_eq!(refusal.code, "invalid_client");
    assert!(refusal.hint.unwrap().contains("key or certificate"));
    assert!(refusal.answer.unwrap().excerpt.unwrap().contains("trace_id: 0f8fad5b-d9cb-469f-a165-70867728950e"));
    assert!(refused(read(401, JSON, body("7000215"))).hint.unwrap().contains("secret's value"));
    assert_eq!(refused(read(401, JSON, body("1"))).hint, None);
    assert_eq!(refused(read(401, JSON, body(""))).hint, None);
}

#[test]
fn tt_14_a_challenge_without_a_message_is_the_clients_refusal() {
    let answer = |status: u16, endpoint: Endpoint, challenge: &str, body: &str| {
        let mut response = response(status, JSON, body);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        classify(&response, endpoint, NOW)
    };
    let code = |error: Error| match error {
        Error::Refused(refusal) => Some(refusal.code),
        _ => None,
    };
    assert_eq!(code(answer(401, Endpoint::Token, "Basic realm=x", "")).as_deref(), Some("invalid_client"));
    assert_eq!(
        code(answer(401, Endpoint::Token, "Basic realm=x", r#"{"error":"invalid_grant"}"#)).as_deref(),
        Some("invalid_grant")
    );
    assert_eq!(
        code(answer(401, Endpoint::UserInfo, "Bearer error=invalid_token", "")).as_deref(),
        Some("invalid_token")
    );
    assert_eq!(
        code(answer(403, Endpoint::UserInfo, "Basic, Bearer error=insufficient_scope", "")).as_deref(),
        Some("insufficient_scope")
    );
    assert_eq!(code(answer(401, Endpoint::UserInfo, "Bearer", "")), None);
    assert_eq!(code(answer(403, Endpoint::Token, "Basic", "")), None);
    assert_eq!(code(answer(401, Endpoint::Token, "\"", "")), None);
}

#[test]
fn tr_22_ar_11_the_servers_words_are_kept_as_text_escaped_and_cut() {
    let refusal = refused(read(
        400,
        JSON,
        r#"{"error":"x\u001b[31m","error_uri":"javascript:alert(1)","error_description":"a\r\nb\u202ec"}"#,
    ));
    assert_eq!(refusal.code, "x\\u{1b}[31m");
    assert_eq!(refusal.uri.as_deref(), Some("javascript:alert(1)"));
    assert_eq!(refusal.description.as_deref(), Some("a\\u{d}\\u{a}b\\u{202e}c"));
    let long =
        refused(read(400, JSON, format!(r#"{{"error":"x","error_description":"{}"}}"#, "word ".repeat(200_000))));
    assert!(long.description.unwrap().len() < 1_100 && long.answer.unwrap().excerpt.unwrap().len() < 1_100);
}

#[test]
fn a_token_that_the_server_repeats_is_struck_out() {
    let refusal = refused(read(
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Token s3cr3tABCDEFGHIJ is unknown","refresh_token":"s3cr3t"}"#,
    ));
    assert_eq!(refusal.description.as_deref(), Some("Token [..] is unknown"));
    assert_eq!(
        refusal.answer.unwrap().excerpt.as_deref(),
        Some("{error: invalid_grant, error_description: Token [..] is unknown, refresh_token: (string)}")
    );
}

#[test]
fn of_a_message_its_names_are_shown_and_what_servers_write_for_engineers() {
    let long = ["n".repeat(40), "n".repeat(41)];
    let members = [
        ("tok3n", "1", "(name): (number)"),
        ("a_b-c.d:e", "1", "a_b-c.d:e: (number)"),
        (&long[0], "null", &format!("{}: null", long[0])),
        (&long[1], "true", "(name): true"),
        ("code", "12345678901234567890", "code: 12345678901234567890"),
        ("type", "123456789012345678901", "type: (number)"),
        ("error_codes", r#"[700027,"s3cr3t",[1]]"#, "error_codes: 700027 .. .. "),
        ("codes", "[700027]", "codes: (array)"),
        ("error", r#"{"code":7,"x":"s3cr3t","error":{"code":8}}"#, "error: {code: 7, x: (string)}"),
        ("errors", r#"{"code":7}"#, "errors: (object)"),
    ];
    for (name, value, shown) in members {
        assert_eq!(excerpt(&format!(r#"{{"{name}":{value}}}"#)), format!("{{{shown}}}"));
    }
    // A member is begun while there are no more than 512 bytes.
    for (last, end) in [(23, ", x: null}"), (24, ", ..}")] {
        let names = ('a'..='j').map(|name| name.to_string().repeat(40)).chain(["k".repeat(last), "x".to_owned()]);
        let members: Vec<_> = names.map(|name| format!(r#""{name}":null"#)).collect();
        assert!(excerpt(&format!("{{{}}}", members.join(","))).ends_with(end), "{last}");
    }
}

fn excerpt(body: &str) -> String {
    match read(400, JSON, body).unwrap_err() {
        Error::Protocol(error) => error.answer.unwrap().excerpt.unwrap(),
        Error::Refused(refusal) => refusal.answer.unwrap().excerpt.unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn facts_name_what_helps_and_nothing_else() {
    let mut response = response(400, "text/plain; charset=utf-8", "no healthy upstream s3cr3tABCDEFGHIJ");
    for (name, value) in [
        ("x-request-id", "r-1"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("set-cookie", "s3cr3t"),
        ("dpop-nonce", "s3cr3t"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    let error = classify(&response, Endpoint::Revocation, NOW);
    assert_eq!(
        error.to_string(),
        "revocation endpoint: unexpected status (status 400, text/plain; charset=utf-8, date: Sun, 06 Nov 1994 08:49:37 GMT, \
         x-request-id: r-1, body: no healthy upstream [..])"
    );
}
