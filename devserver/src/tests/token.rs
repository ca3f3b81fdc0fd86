use std::time::Duration;

use super::client::*;
use crate::{AccessTokenFormat, Algorithm, Config, RefreshRotation};

#[test]
fn authorization_code_gives_tokens_that_work() {
    let (server, _) = allowing();
    let answer = redeem(&server, &code(&server));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.member("token_type"), "Bearer");
    assert_eq!(answer.json()["expires_in"], 3_600);
    assert_eq!(answer.member("scope"), "openid profile");
    assert!(!answer.member("refresh_token").is_empty());
    let me = bearer(&server, "GET", "/api/me", &answer.member("access_token"));
    assert_eq!(me.json()["sub"], "alice");
}

#[test]
fn id_token_says_what_was_asked_and_verifies() {
    let (server, time) = allowing();
    time.advance(Duration::from_secs(7));
    let answer = redeem(&server, &code_for(&server, &[("acr_values", "gold mfa pwd"), ("max_age", "60")]));
    let token = answer.member("id_token");
    assert!(verifies(&server, &token));
    assert_eq!(header_of(&token)["alg"], "RS256");
    let claims = claims_of(&token);
    let now = START.as_secs() + 7;
    assert_eq!(claims["iss"], server.issuer());
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["aud"], "demo-app");
    assert_eq!(claims["nonce"], "some-nonce");
    assert_eq!(claims["acr"], "mfa", "the first known value in the client's order");
    assert_eq!(claims["auth_time"], now);
    assert_eq!(claims["iat"], now);
    assert_eq!(claims["exp"], now + 3_600);
    assert_eq!(claims["at_hash"], Algorithm::RS256.half_hash(&answer.member("access_token")));
}

#[test]
fn id_token_is_signed_with_the_clients_algorithm() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let mut config = Config::default().allowing("alice");
        config.clients[0].id_token_signed_response_alg = algorithm;
        let (server, _) = started(config);
        let token = redeem(&server, &code(&server)).member("id_token");
        assert_eq!(header_of(&token)["alg"], algorithm.as_str());
        assert!(verifies(&server, &token), "{algorithm:?}");
    }
}

#[test]
fn no_openid_scope_means_no_id_token() {
    let (server, _) = allowing();
    let answer = redeem(&server, &code_for(&server, &[("scope", "read")]));
    assert_eq!(answer.status, 200);
    assert!(answer.json().get("id_token").is_none());
}

#[test]
fn wrong_verifier_is_refused_and_burns_the_code() {
    let (server, _) = allowing();
    let code = code(&server);
    let wrong = redeem_with(&server, &code, &"a".repeat(43), CALLBACK);
    assert_eq!((wrong.status, wrong.member("error").as_str()), (400, "invalid_grant"));
    assert_eq!(redeem(&server, &code).member("error"), "invalid_grant");
}

#[test]
fn missing_verifier_is_refused() {
    let (server, _) = allowing();
    assert_eq!(redeem_with(&server, &code(&server), "", CALLBACK).member("error"), "invalid_request");
}

#[test]
fn verifier_outside_43_to_128_characters_is_refused() {
    // Each challenge is the honest hash of its verifier, so that only the length is wrong.
    let (server, _) = allowing();
    for length in [42, 129] {
        let verifier = "a".repeat(length);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let challenge = crate::keys::base64url(hash.as_ref());
        let code = code_for(&server, &[("code_challenge", &challenge)]);
        assert_eq!(redeem_with(&server, &code, &verifier, CALLBACK).member("error"), "invalid_grant", "{length}");
    }
}

#[test]
fn other_redirect_uri_at_the_token_endpoint_is_refused() {
    let (server, _) = allowing();
    let other = "http://127.0.0.1:54321/cb";
    assert_eq!(redeem_with(&server, &code(&server), VERIFIER, other).member("error"), "invalid_grant");
}

#[test]
fn second_use_of_a_code_revokes_what_came_of_the_first() {
    let (server, _) = allowing();
    let code = code(&server);
    let first = redeem(&server, &code);
    let access = first.member("access_token");
    assert_eq!(bearer(&server, "GET", "/api/me", &access).status, 200);
    assert_eq!(redeem(&server, &code).member("error"), "invalid_grant");
    assert_eq!(bearer(&server, "GET", "/api/me", &access).status, 401);
    assert_eq!(refresh(&server, &first.member("refresh_token")).member("error"), "invalid_grant");
}

#[test]
fn second_use_of_a_code_after_its_life_still_revokes() {
    let (server, time) = allowing();
    let code = code(&server);
    let access = redeem(&server, &code).member("access_token");
    time.advance(Duration::from_secs(61));
    assert_eq!(redeem(&server, &code).member("error"), "invalid_grant");
    assert_eq!(bearer(&server, "GET", "/api/me", &access).status, 401);
}

#[test]
fn code_expires_after_its_life() {
    let (server, time) = allowing();
    let (early, late) = (code(&server), code(&server));
    time.advance(Duration::from_millis(59_999));
    assert_eq!(redeem(&server, &early).status, 200);
    time.advance(Duration::from_millis(1));
    assert_eq!(redeem(&server, &late).member("error"), "invalid_grant");
}

#[test]
fn code_of_another_client_is_refused_and_not_burnt() {
    let (server, _) = allowing();
    let code = code(&server);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(post_as_service(&server, "/token", &form).member("error"), "invalid_grant");
    assert_eq!(redeem(&server, &code).status, 200);
}

#[test]
fn client_credentials_give_a_token_and_nothing_else() {
    let (server, _) = allowing();
    let answer = credentials(&server);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.member("scope"), "read");
    assert!(answer.json().get("refresh_token").is_none());
    assert!(answer.json().get("id_token").is_none());
    let me = bearer(&server, "GET", "/api/me", &answer.member("access_token"));
    assert_eq!(me.json()["sub"], "demo-service");
}

#[test]
fn refresh_rotates_and_keeps_the_sign_in_time_without_nonce() {
    let (server, time) = allowing();
    let first = redeem(&server, &code(&server));
    time.advance(Duration::from_secs(100));
    let second = refresh(&server, &first.member("refresh_token"));
    assert_eq!(second.status, 200, "{}", second.text());
    assert_ne!(second.member("refresh_token"), first.member("refresh_token"));
    assert_ne!(second.member("access_token"), first.member("access_token"));
    let claims = claims_of(&second.member("id_token"));
    assert_eq!(claims["auth_time"], START.as_secs());
    assert_eq!(claims["iat"], START.as_secs() + 100);
    assert!(claims.get("nonce").is_none());
}

#[test]
fn reuse_of_a_refresh_token_kills_the_family() {
    let (server, _) = allowing();
    let first = redeem(&server, &code(&server));
    let bystander = redeem(&server, &code(&server));
    let second = refresh(&server, &first.member("refresh_token"));
    assert_eq!(refresh(&server, &first.member("refresh_token")).member("error"), "invalid_grant");
    assert_eq!(refresh(&server, &second.member("refresh_token")).member("error"), "invalid_grant");
    assert_eq!(bearer(&server, "GET", "/api/me", &second.member("access_token")).status, 401);
    assert_eq!(refresh(&server, &bystander.member("refresh_token")).status, 200, "another login's family lives on");
}

#[test]
fn kept_refresh_token_works_again_and_is_not_repeated() {
    let config = Config { refresh_rotation: RefreshRotation::Keep, ..Config::default() };
    let (server, _) = started(config.allowing("alice"));
    let token = redeem(&server, &code(&server)).member("refresh_token");
    for _ in 0..2 {
        let answer = refresh(&server, &token);
        assert_eq!(answer.status, 200);
        assert!(answer.json().get("refresh_token").is_none());
    }
}

#[test]
fn refresh_may_narrow_the_scope_but_not_widen_it() {
    let (server, _) = allowing();
    let token = redeem(&server, &code(&server)).member("refresh_token");
    let ask = |token: &str, scope: &str| {
        let form =
            [("grant_type", "refresh_token"), ("client_id", "demo-app"), ("refresh_token", token), ("scope", scope)];
        post(&server, "/token", &form)
    };
    assert_eq!(ask(&token, "openid profile write").member("error"), "invalid_scope");
    let narrow = ask(&token, "profile");
    assert_eq!(narrow.member("scope"), "profile");
    assert!(narrow.json().get("id_token").is_none());
    let wide = ask(&narrow.member("refresh_token"), "");
    assert_eq!(wide.member("scope"), "openid profile", "the grant itself was not narrowed");
}

#[test]
fn access_and_refresh_tokens_expire() {
    let (server, time) = allowing();
    let answer = redeem(&server, &code(&server));
    time.advance(Duration::from_secs(3_600));
    assert_eq!(bearer(&server, "GET", "/api/me", &answer.member("access_token")).status, 401);
    time.advance(Duration::from_secs(14 * 24 * 3_600));
    assert_eq!(refresh(&server, &answer.member("refresh_token")).member("error"), "invalid_grant");
}

#[test]
fn client_authentication_takes_basic_form_encoded_or_post_but_one_of_them() {
    let mut config = Config::default().allowing("alice");
    config.clients[1].secret = Some("s p/c:+&%é".into());
    let (server, _) = started(config);
    let grant = ("grant_type", "client_credentials");
    let encoded = basic("demo-service", "s+p%2Fc%3A%2B%26%25%C3%A9");
    let with = |header: &str, form: &[(&str, &str)]| post_with(&server, "/token", &[("Authorization", header)], form);
    assert_eq!(with(&encoded, &[grant]).status, 200);
    assert_eq!(with(&encoded, &[grant, ("client_id", "demo-service")]).status, 200);
    let id = ("client_id", "demo-service");
    let secret = ("client_secret", "s p/c:+&%é");
    assert_eq!(post(&server, "/token", &[grant, id, secret]).status, 200);

    let refused = |answer: Answered, status: u16, error: &str| {
        assert_eq!((answer.status, answer.member("error").as_str()), (status, error), "{}", answer.text());
        assert_eq!(answer.header("www-authenticate").starts_with("Basic "), status == 401);
        assert_eq!(answer.header("cache-control"), "no-store");
    };
    refused(with(&encoded, &[grant, id, secret]), 400, "invalid_request");
    refused(with(&encoded, &[grant, ("client_id", "demo-app")]), 400, "invalid_request");
    refused(with(&basic("demo-service", "s p/c:+&%é"), &[grant]), 401, "invalid_client");
    refused(with(&basic("demo-service", ""), &[grant]), 401, "invalid_client");
    refused(with("Bearer abc", &[grant]), 401, "invalid_client");
    refused(post(&server, "/token", &[grant, id, ("client_secret", "wrong")]), 401, "invalid_client");
    refused(post(&server, "/token", &[grant, id]), 401, "invalid_client");
    refused(post(&server, "/token", &[grant]), 401, "invalid_client");
    refused(post(&server, "/token", &[grant, ("client_id", "nobody")]), 401, "invalid_client");
    refused(post(&server, "/token", &[grant, ("client_id", "demo-app"), secret]), 401, "invalid_client");
}

#[test]
fn registered_authentication_method_is_the_only_one() {
    let mut config = Config::default();
    config.clients[1].authentication = crate::ClientAuthentication::ClientSecretPost;
    let (server, _) = started(config);
    assert_eq!(credentials(&server).member("error"), "invalid_client");
}

#[test]
fn malformed_token_requests_are_named() {
    let (server, _) = allowing();
    let error = |form: &[(&str, &str)]| post_as_service(&server, "/token", form).member("error");
    assert_eq!(error(&[]), "invalid_request");
    assert_eq!(error(&[("grant_type", "password")]), "unsupported_grant_type");
    assert_eq!(error(&[("grant_type", "client_credentials"), ("scope", "a\"b")]), "invalid_scope");
    assert_eq!(error(&[("grant_type", "client_credentials"), ("scope", "unknown")]), "invalid_scope");
    assert_eq!(error(&[("grant_type", "client_credentials"), ("resource", "relative")]), "invalid_target");
    assert_eq!(error(&[("grant_type", "client_credentials"), ("grant_type", "client_credentials")]), "invalid_request");
    let public = [("grant_type", "client_credentials"), ("client_id", "demo-app")];
    assert_eq!(post(&server, "/token", &public).member("error"), "unauthorized_client");
    assert_eq!(get(&server, "/token").status, 405);
    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(error(&many), "invalid_request");
    for broken in ["grant_type=%zz", "grant_type=%", "grant_type=%ff"] {
        let headers = [
            ("Authorization", &*basic("demo-service", "demo-secret")),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = send(&server, "POST", "/token", &headers, broken);
        assert_eq!(answer.member("error"), "invalid_request", "{broken}");
    }
    let header = ("Authorization", &*basic("demo-service", "demo-secret"));
    let json = send(&server, "POST", "/token", &[header, ("Content-Type", "application/json")], "{}");
    assert_eq!(json.member("error"), "invalid_request");
    let query = post_with(&server, "/token?grant_type=client_credentials", &[header], &[]);
    assert_eq!(query.member("error"), "invalid_request");
}

#[test]
fn resources_and_audience_reach_introspection_and_jwt_access_tokens() {
    let config = Config { access_token_format: AccessTokenFormat::Jwt, ..Config::default() };
    let (server, _) = started(config.allowing("alice"));
    let asked = authorization(&[("resource", "https://a.example/"), ("audience", "b")]);
    let asked = format!("{asked}&resource=https%3A%2F%2Fc.example%2F");
    let code = get(&server, &asked).callback_value("code");
    let token = redeem(&server, &code).member("access_token");
    let all = serde_json::json!(["https://a.example/", "https://c.example/", "b"]);
    assert_eq!(header_of(&token)["typ"], "at+jwt");
    assert!(verifies(&server, &token));
    assert_eq!(claims_of(&token)["aud"], all);
    let told = post_as_service(&server, "/introspect", &[("token", &token)]).json();
    assert_eq!(told["aud"], all);
    assert_eq!(told["jti"], claims_of(&token)["jti"]);
}

#[test]
fn token_request_may_ask_for_some_of_the_resources_only() {
    let (server, _) = allowing();
    let ask = |resource: &str| {
        let code = code_for(&server, &[("resource", "https://a.example/"), ("audience", "b")]);
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "demo-app"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", resource),
        ];
        post(&server, "/token", &form)
    };
    assert_eq!(ask("https://other.example/").member("error"), "invalid_target");
    let token = ask("https://a.example/").member("access_token");
    let told = post_as_service(&server, "/introspect", &[("token", &token)]).json();
    assert_eq!(told["aud"], "https://a.example/");
}

#[test]
fn an_access_token_is_exchanged_for_one_with_less_scope() {
    let (server, _) = allowing();
    let subject = redeem(&server, &code(&server)).member("access_token");
    let exchange = |more: &[(&str, &str)]| {
        let base = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        post_as_service(&server, "/token", &[&base, more].concat())
    };
    let answer = exchange(&[("subject_token", &subject), ("scope", "profile"), ("audience", "urn:api")]).json();
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!((&answer["scope"], &answer["refresh_token"]), (&"profile".into(), &serde_json::Value::Null));
    let token = answer["access_token"].as_str().unwrap();
    let told = post_as_service(&server, "/introspect", &[("token", token)]).json();
    assert_eq!((&told["sub"], &told["client_id"]), (&"alice".into(), &"demo-service".into()));
    assert_eq!(told["aud"], "urn:api");
    let wider = exchange(&[("subject_token", &subject), ("scope", "admin")]);
    assert_eq!(wider.member("error"), "invalid_scope");
    assert_eq!(exchange(&[("subject_token", "unknown")]).member("error"), "invalid_request");
    let public = [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("client_id", "demo-app")];
    assert_eq!(post(&server, "/token", &public).member("error"), "unauthorized_client");
}
