use std::time::Duration;

use super::client::*;

#[test]
fn device_answer_is_complete() {
    let (server, _) = allowing();
    let answer = start_device(&server);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["interval"], 5);
    assert_eq!(answer.json()["expires_in"], 600);
    assert_eq!(answer.member("verification_uri"), server.url("/device"));
    let code = answer.member("user_code");
    assert_eq!(answer.member("verification_uri_complete"), format!("{}?user_code={code}", server.url("/device")));
    assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
    assert!(code.chars().all(|c| c == '-' || "BCDFGHJKLMNPQRSTVWXZ".contains(c)), "{code}");
}

#[test]
fn approved_device_gets_tokens_once() {
    let (server, time) = allowing();
    let answer = start_device(&server);
    let device = answer.member("device_code");
    assert_eq!(poll(&server, &device).member("error"), "authorization_pending");
    assert_eq!(server.waiting_devices(), [answer.member("user_code")]);
    assert!(server.approve_device(&answer.member("user_code"), "alice"));
    assert!(server.waiting_devices().is_empty());
    time.advance(Duration::from_secs(5));
    let tokens = poll(&server, &device);
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert!(verifies(&server, &tokens.member("id_token")));
    assert_eq!(claims_of(&tokens.member("id_token"))["auth_time"], START.as_secs());
    time.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &device).member("error"), "invalid_grant");
    let access = tokens.member("access_token");
    assert_eq!(bearer(&server, "GET", "/api/me", &access).status, 401, "a second use revokes");
}

#[test]
fn poll_before_the_interval_is_slowed_down_for_good() {
    let (server, time) = allowing();
    let device = start_device(&server).member("device_code");
    let after = |millis: u64| {
        time.advance(Duration::from_millis(millis));
        poll(&server, &device).member("error")
    };
    assert_eq!(after(0), "authorization_pending");
    assert_eq!(after(4_999), "slow_down");
    assert_eq!(after(5_000), "slow_down", "the interval is 10 seconds now");
    assert_eq!(after(15_000), "authorization_pending", "and 15 after the second time");
    assert_eq!(after(14_999), "slow_down");
}

#[test]
fn denied_and_expired_devices_are_told() {
    let (server, time) = allowing();
    let answer = start_device(&server);
    assert!(server.deny_device(&answer.member("user_code")));
    assert_eq!(poll(&server, &answer.member("device_code")).member("error"), "access_denied");
    let answer = start_device(&server);
    time.advance(Duration::from_secs(600));
    assert_eq!(poll(&server, &answer.member("device_code")).member("error"), "expired_token");
    assert!(!server.approve_device(&answer.member("user_code"), "alice"));
}

#[test]
fn only_waiting_devices_and_known_users_are_approved() {
    let (server, _) = allowing();
    let code = start_device(&server).member("user_code");
    assert!(!server.approve_device("XXXX-XXXX", "alice"));
    assert!(!server.approve_device(&code, "nobody"));
    assert!(server.deny_device(&code));
    assert!(!server.approve_device(&code, "alice"));
}

#[test]
fn device_code_belongs_to_its_client() {
    let (server, _) = allowing();
    let device = start_device(&server).member("device_code");
    let form = [("grant_type", DEVICE_GRANT), ("device_code", &device)];
    assert_eq!(post_as_service(&server, "/token", &form).member("error"), "invalid_grant");
    assert_eq!(poll(&server, "unknown").member("error"), "invalid_grant");
}

#[test]
fn device_request_is_checked() {
    let (server, _) = allowing();
    let error = |form: &[(&str, &str)]| post(&server, "/device_authorization", form).member("error");
    assert_eq!(error(&[("client_id", "nobody")]), "invalid_client");
    assert_eq!(error(&[("client_id", "demo-service")]), "invalid_client");
    assert_eq!(error(&[("client_id", "demo-app"), ("scope", "admin")]), "invalid_scope");
}
