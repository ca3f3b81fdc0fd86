use super::client::*;
use crate::redirect::matches;
use crate::{Config, Consent};

#[test]
fn callback_has_code_state_and_iss() {
    let (server, _) = allowing();
    let answer = get(&server, &authorization(&[]));
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with(&format!("{CALLBACK}?code=")));
    let names: Vec<_> = answer.callback().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert_eq!(answer.callback_value("state"), "some-state");
    assert_eq!(answer.callback_value("iss"), server.issuer());
}

#[test]
fn callback_joins_a_redirect_uri_that_has_a_query() {
    let mut config = Config::default().allowing("alice");
    config.clients[0].redirect_uris.push("http://127.0.0.1/callback?tenant=a".to_owned());
    let (server, _) = started(config);
    let uri = "http://127.0.0.1:8080/callback?tenant=a";
    let answer = get(&server, &authorization(&[("redirect_uri", uri)]));
    assert!(answer.header("location").starts_with(&format!("{uri}&code=")));
}

#[test]
fn form_post_sends_a_page_that_posts_to_the_client() {
    let (server, _) = allowing();
    let answer = get(&server, &authorization(&[("response_mode", "form_post"), ("state", "a\"><b>")]));
    assert_eq!(answer.status, 200);
    let page = answer.text();
    assert!(page.contains(&format!("<form method=post action=\"{CALLBACK}\">")), "{page}");
    assert!(page.contains("name=\"code\""));
    assert!(page.contains("value=\"a&quot;&gt;&lt;b&gt;\""));
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("form-action 'self' http://127.0.0.1:54321;"), "{policy}");
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
}

#[test]
fn requests_with_untrusted_clients_or_redirect_uris_stay_on_a_page() {
    let (server, _) = allowing();
    let rows: [&[(&str, &str)]; 8] = [
        &[("client_id", "")],
        &[("client_id", "nobody")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://attacker.example/callback")],
        &[("redirect_uri", "http://127.0.0.1:1/other")],
        &[("redirect_uri", "http://localhost/callback")],
        &[("client_id", "demo-app"), ("client_id", "demo-app")],
        &[("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)],
    ];
    for row in rows {
        let answer = get(&server, &authorization(row));
        assert_eq!(answer.status, 400, "{row:?}");
        assert_eq!(answer.header("location"), "", "{row:?}");
        assert!(answer.header("content-type").starts_with("text/html"), "{row:?}");
    }
    assert_eq!(get(&server, &format!("{}&x=%zz", authorization(&[]))).status, 400);
}

#[test]
fn other_faults_of_the_request_go_back_to_the_client() {
    let (server, _) = allowing();
    let rows: [(&[(&str, &str)], &str); 16] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("scope", "openid admin")], "invalid_scope"),
        (&[("resource", "not-a-uri")], "invalid_target"),
        (&[("resource", "https://a.example/#f")], "invalid_target"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("prompt", "dance")], "invalid_request"),
        (&[("max_age", "soon")], "invalid_request"),
        (&[("request", "a.b.c")], "request_not_supported"),
        (&[("request_uri", "urn:x")], "request_uri_not_supported"),
        (&[("nonce", "a"), ("nonce", "b")], "invalid_request"),
    ];
    for (row, error) in rows {
        let answer = get(&server, &authorization(row));
        assert_eq!(answer.status, 303, "{row:?}: {}", answer.text());
        assert_eq!(answer.callback_value("error"), error, "{row:?}");
        assert_eq!(answer.callback_value("state"), "some-state", "{row:?}");
        assert_eq!(answer.callback_value("iss"), server.issuer(), "{row:?}");
        assert_eq!(answer.callback_value("code"), "", "{row:?}");
    }
}

#[test]
fn grant_that_the_client_lacks_is_refused() {
    let mut config = Config::default().allowing("alice");
    config.clients[0].grants = vec![crate::GrantType::DeviceCode];
    let (server, _) = started(config);
    assert_eq!(get(&server, &authorization(&[])).callback_value("error"), "unauthorized_client");
}

#[test]
fn redirect_uris_match_by_text_with_any_port_for_loopback_literals() {
    let rows = [
        ("https://app.example/cb", "https://app.example/cb", true),
        ("https://app.example/cb", "https://app.example:443/cb", false),
        ("https://app.example/cb", "https://app.example/cb/", false),
        ("https://app.example/cb", "https://app.example/cb?x=1", false),
        ("https://app.example/cb", "https://APP.example/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", true),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", true),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1:9090/cb", true),
        ("http://[::1]/cb", "http://[::1]:4000/cb", true),
        ("http://127.0.0.1/cb", "http://[::1]:4000/cb", false),
        ("http://127.0.0.1", "http://127.0.0.1:4000", true),
        ("http://127.0.0.1", "http://127.0.0.1:4000/", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:4000/cb/../cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:4000/cb?x=1", false),
        ("http://127.0.0.1/cb?x=1", "http://127.0.0.1:4000/cb?x=1", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80x/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1.attacker.example/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@attacker.example/cb", false),
        ("http://127.0.0.1/cb", "https://127.0.0.1:4000/cb", false),
        ("http://127.0.0.1/cb", "http://127.1:4000/cb", false),
        ("http://localhost/cb", "http://localhost:4000/cb", false),
        ("http://127.0.0.1.example/cb", "http://127.0.0.1.example:1/cb", false),
    ];
    for (registered, asked, fits) in rows {
        assert_eq!(matches(registered, asked), fits, "{registered} and {asked}");
    }
}

#[test]
fn consent_can_be_denied_without_a_page() {
    let (server, _) = allowing();
    server.set_consent(Consent::Deny);
    let answer = get(&server, &authorization(&[]));
    assert_eq!(answer.callback_value("error"), "access_denied");
}

#[test]
fn login_hint_chooses_the_user_without_a_page() {
    let mut config = Config::default().allowing("alice");
    config.users.push(crate::UserEntry {
        name: "bob".to_owned(),
        password: "builder".into(),
        subject: "b-7".to_owned(),
        claims: serde_json::Map::default(),
    });
    let (server, _) = started(config);
    let token = redeem(&server, &code_for(&server, &[("login_hint", "bob")])).member("id_token");
    assert_eq!(claims_of(&token)["sub"], "b-7");
}

#[test]
fn authorization_request_may_be_posted() {
    let (server, _) = allowing();
    let path = authorization(&[]);
    let (path, query) = path.split_once('?').unwrap();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_ne!(send(&server, "POST", path, &form, query).callback_value("code"), "");
}
