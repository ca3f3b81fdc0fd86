use proptest::prelude::*;

use super::*;

fn query(text: &str) -> Result<CallbackParams, BadCallback> {
    CallbackParams::from_query(text)
}

fn code(callback: CallbackParams) -> String {
    match callback.response().unwrap() {
        AuthorizationResponse::Code(code) => code.expose().clone(),
        AuthorizationResponse::Denied(refusal) => panic!("{refusal}"),
    }
}

fn denied(text: &str) -> Refusal {
    match query(text).unwrap().response().unwrap() {
        AuthorizationResponse::Denied(refusal) => *refusal,
        AuthorizationResponse::Code(_) => panic!("a code"),
    }
}

fn verdict(text: &str) -> BadCallback {
    query(text).and_then(CallbackParams::response).unwrap_err()
}

#[test]
fn state_and_issuer_are_readable_before_the_response() {
    let callback = query("?code=c&state=s%3D&iss=https%3A%2F%2Fissuer.example&session_state=x.y").unwrap();
    assert!(callback.state().unwrap().matches("s="));
    assert_eq!(callback.iss(), Some("https://issuer.example"));
    assert_eq!(callback.error(), None);
    assert!(callback.session_state().unwrap().matches("x.y"));
    assert!(callback.code().unwrap().matches("c"));
    assert_eq!(callback.mode(), ResponseMode::Query);
    assert_eq!(code(callback), "c");
}

#[test]
fn answers_51_ar_22_escapes_are_resolved_exactly_once() {
    assert_eq!(code(CallbackParams::from_url("http://127.0.0.1:8400/?code=ab/c%2Fd#").unwrap()), "ab/c/d");
    assert_eq!(code(CallbackParams::from_url("/?code=%2B%2F%3D%25&state=a").unwrap()), "+/=%");
    assert_eq!(code(query("code=a+b%20c%252B").unwrap()), "a b c%2B");
    assert_eq!(code(query("code=a=b=").unwrap()), "a=b=");
}

#[test]
fn every_way_of_coming_is_known() {
    let form = CallbackParams::from_form(b"code=c&state=s").unwrap();
    assert_eq!(form.mode(), ResponseMode::FormPost);
    assert_eq!(code(form), "c");
    let fragment = CallbackParams::from_fragment("#code=c&state=s").unwrap();
    assert_eq!(fragment.mode(), ResponseMode::Fragment);
    assert_eq!(CallbackParams::from_url("https://a.example/cb?x=y#code=c").unwrap().mode(), ResponseMode::Fragment);
    assert_eq!(CallbackParams::from_url("https://a.example/cb?code=c#_=_").unwrap().mode(), ResponseMode::Query);
    assert_eq!(
        CallbackParams::from_url("https://a.example/cb").unwrap().response().unwrap_err(),
        BadCallback::CodeMissing
    );
}

#[test]
fn ar_07_a_known_parameter_twice_is_refused() {
    for name in KNOWN {
        for text in [format!("{name}=a&{name}=b"), format!("{name}=a&x=y&{name}=a"), format!("{name}&{name}")] {
            assert_eq!(query(&text).unwrap().response().unwrap_err(), BadCallback::DuplicateParameter, "{text}");
            assert_eq!(
                CallbackParams::from_form(text.as_bytes()).unwrap().response().unwrap_err(),
                BadCallback::DuplicateParameter,
                "{text}"
            );
        }
    }
    assert_eq!(query("code=a&%63ode=b").unwrap().response().unwrap_err(), BadCallback::DuplicateParameter);
    assert_eq!(CallbackParams::from_url("/?code=a#code=b").unwrap_err(), BadCallback::DuplicateParameter);
    assert_eq!(code(query("code=a&x=1&x=2").unwrap()), "a");
}

#[test]
fn answers_52_ar_08_code_and_error_together_are_refused() {
    assert_eq!(verdict("code=a&error=access_denied&state=s"), BadCallback::CodeAndError);
    assert_eq!(verdict("code=&error="), BadCallback::CodeAndError);
}

#[test]
fn answers_52_ar_09_an_error_is_the_servers_refusal() {
    let refusal =
        denied("error=access_denied&error_description=The+user+said+no&error_uri=https%3A%2F%2Fa.example%2Fe&state=s");
    assert_eq!(refusal.endpoint, Endpoint::Authorization);
    assert_eq!(refusal.code, "access_denied");
    assert_eq!(refusal.description.as_deref(), Some("The user said no"));
    assert_eq!(refusal.uri.as_deref(), Some("https://a.example/e"));
}

#[test]
fn ar_11_server_text_is_escaped_and_cut() {
    let refusal = denied("error=%1b%5b31m&error_description=a%0d%0ab%E2%80%AEc&error_uri=javascript:alert(1)");
    assert_eq!(refusal.code, "\\u{1b}[31m");
    assert_eq!(refusal.description.as_deref(), Some("a\\u{d}\\u{a}b\\u{202e}c"));
    assert_eq!(refusal.uri.as_deref(), Some("javascript:alert(1)"));
    let long = denied(&format!("error=x&error_description={}", "d".repeat(16_000)));
    assert!(long.description.unwrap().len() < 1_100);
}

#[test]
fn ar_16_tokens_are_refused_where_a_code_was_asked_for() {
    for name in ["access_token", "id_token", "token"] {
        let callback = query(&format!("code=c&{name}=s3cr3t")).unwrap();
        assert!(!format!("{callback:?}").contains("s3cr3t"));
        assert_eq!(callback.response().unwrap_err(), BadCallback::UnexpectedToken, "{name}");
        assert_eq!(verdict(&format!("{name}=")), BadCallback::UnexpectedToken, "{name}");
        assert_eq!(
            CallbackParams::from_url(&format!("/cb?code=c&state=s#{name}=t")).unwrap_err(),
            BadCallback::UnexpectedToken,
            "{name}"
        );
        let fragment = CallbackParams::from_url(&format!("/cb#{name}=t&state=s")).unwrap();
        assert_eq!(fragment.response().unwrap_err(), BadCallback::UnexpectedToken, "{name}");
    }
    assert_eq!(CallbackParams::from_url("/cb?code=c#state=s").unwrap_err(), BadCallback::ResponseMode);
}

#[test]
fn ar_17_a_jarm_response_is_refused_where_none_was_asked_for() {
    assert_eq!(verdict("response=ey.J.x"), BadCallback::UnexpectedResponse);
    assert_eq!(verdict("response=&code=c"), BadCallback::UnexpectedResponse);
}

#[test]
fn answers_52_ar_21_a_code_that_cannot_be_one_is_refused() {
    for text in ["code=", "code", "code=%0a", "code=a%7F", "code=%C3%A9", "code=a%09"] {
        assert_eq!(verdict(text), BadCallback::CodeMalformed, "{text}");
    }
    for text in ["", "state=s", "CODE=a", "Code=a", "error=", "x=y"] {
        assert_eq!(verdict(text), BadCallback::CodeMissing, "{text}");
    }
    assert_eq!(verdict(&format!("code={}", "a".repeat(64 * 1024))), BadCallback::TooLarge);
    assert_eq!(code(query("code=%20%7E%21").unwrap()), " ~!");
}

#[test]
fn ar_22_what_is_not_properly_encoded_is_refused() {
    for text in ["code=%00", "code=%FF", "code=%", "code=%g0", "state=%C3%28&code=a", "x=%&code=a", "code=a b"] {
        assert_eq!(verdict(text), BadCallback::Malformed, "{text}");
    }
    assert_eq!(CallbackParams::from_form(b"state=\xFF").unwrap_err(), BadCallback::Malformed);
}

#[test]
fn ar_23_ds_04_unknown_parameters_are_ignored_within_bounds() {
    let unknown = |count: usize| (0..count).map(|n| format!("&p{n}=s3cr3t")).collect::<String>();
    let callback = query(&format!("code=c{}", unknown(99))).unwrap();
    assert_eq!(format!("{callback:?}"), r#"CallbackParams { mode: Query, names: ["code"] }"#);
    assert_eq!(code(callback), "c");
    assert_eq!(query(&format!("code=c{}", unknown(100))).unwrap_err(), BadCallback::TooManyParameters);
    assert_eq!(query(&format!("code=c{}", unknown(1_000))).unwrap_err(), BadCallback::TooManyParameters);
    let long = |len: usize| format!("/cb?code=c&x={}", "x".repeat(len - 13));
    assert!(CallbackParams::from_url(&long(MAX_CALLBACK)).is_ok());
    assert_eq!(CallbackParams::from_url(&long(MAX_CALLBACK + 1)).unwrap_err(), BadCallback::TooLarge);
    assert_eq!(CallbackParams::from_url(&long(MAX_CALLBACK * 100)).unwrap_err(), BadCallback::TooLarge);
}

#[test]
fn debug_shows_names_only() {
    let callback = query("code=s3cr3t&state=s3cr3t&iss=s3cr3t&error_description=s3cr3t").unwrap();
    assert!(!format!("{callback:?}").contains("s3cr3t"));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>()) {
        let _ = CallbackParams::from_url(&text).map(CallbackParams::response);
        let _ = CallbackParams::from_form(text.as_bytes()).map(CallbackParams::response);
    }

    #[test]
    fn a_legal_code_and_state_come_through_unchanged(wanted in "[ -~]{1,64}", state in "[^\0]{0,32}") {
        let mut form = Form::new();
        form.push("state", state.as_str());
        form.push("code", wanted.as_str());
        let callback = CallbackParams::from_form(form.encode().expose()).unwrap();
        prop_assert!(callback.state().unwrap().matches(&state));
        prop_assert_eq!(code(callback), wanted);
    }
}
