use super::client::*;

#[test]
fn introspection_tells_a_confidential_client_about_tokens() {
    let (server, _) = allowing();
    let tokens = redeem(&server, &code(&server));
    let ask = |token: &str| post_as_service(&server, "/introspect", &[("token", token)]).json();
    let access = ask(&tokens.member("access_token"));
    assert_eq!(access["active"], true);
    assert_eq!(access["client_id"], "demo-app");
    assert_eq!(access["username"], "alice");
    assert_eq!(access["sub"], "alice");
    assert_eq!(access["scope"], "openid profile");
    assert_eq!(access["token_type"], "Bearer");
    assert_eq!(access["iss"], server.issuer());
    assert_eq!(access["aud"], server.issuer());
    assert_eq!(access["exp"], START.as_secs() + 3_600);
    let renewable = tokens.member("refresh_token");
    assert_eq!(ask(&renewable)["active"], true);
    refresh(&server, &renewable);
    assert_eq!(ask(&renewable), serde_json::json!({ "active": false }), "a used refresh token is dead");
    assert_eq!(ask("unknown"), serde_json::json!({ "active": false }));
}

#[test]
fn introspection_is_signed_for_who_asks_for_that() {
    let (server, _) = allowing();
    let token = credentials(&server).member("access_token");
    let answer = ask_signed(&server, &token);
    assert_eq!(answer.header("content-type"), "application/token-introspection+jwt");
    let jwt = answer.text();
    assert!(verifies(&server, &jwt));
    assert_eq!(header_of(&jwt)["typ"], "token-introspection+jwt");
    let claims = claims_of(&jwt);
    assert_eq!((&claims["iss"], &claims["aud"]), (&server.issuer().into(), &"demo-service".into()));
    assert_eq!(claims["iat"], START.as_secs());
    assert_eq!(claims["token_introspection"], post_as_service(&server, "/introspect", &[("token", &token)]).json());
    let unknown = claims_of(&ask_signed(&server, "unknown").text());
    assert_eq!(unknown["token_introspection"], serde_json::json!({ "active": false }));
}

#[test]
fn introspection_needs_a_client_with_a_secret() {
    let (server, _) = allowing();
    let answer = post(&server, "/introspect", &[("client_id", "demo-app"), ("token", "t")]);
    assert_eq!((answer.status, answer.member("error").as_str()), (401, "invalid_client"));
}

#[test]
fn revoked_refresh_token_takes_its_family_along() {
    let (server, _) = allowing();
    let tokens = redeem(&server, &code(&server));
    let token = tokens.member("refresh_token");
    let answer = post(&server, "/revoke", &[("client_id", "demo-app"), ("token", &token)]);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(refresh(&server, &token).member("error"), "invalid_grant");
    assert_eq!(bearer(&server, "GET", "/api/me", &tokens.member("access_token")).status, 401);
}

#[test]
fn revoked_access_token_leaves_the_refresh_token() {
    let (server, _) = allowing();
    let tokens = redeem(&server, &code(&server));
    let access = tokens.member("access_token");
    let form = [("client_id", "demo-app"), ("token", &*access), ("token_type_hint", "nonsense")];
    assert_eq!(post(&server, "/revoke", &form).status, 200);
    assert_eq!(bearer(&server, "GET", "/api/me", &access).status, 401);
    assert_eq!(refresh(&server, &tokens.member("refresh_token")).status, 200);
}

#[test]
fn unknown_token_is_revoked_already_and_a_foreign_one_stays() {
    let (server, _) = allowing();
    assert_eq!(post(&server, "/revoke", &[("client_id", "demo-app"), ("token", "unknown")]).status, 200);
    let foreign = credentials(&server).member("access_token");
    let answer = post(&server, "/revoke", &[("client_id", "demo-app"), ("token", &foreign)]);
    assert_eq!(answer.member("error"), "unauthorized_client");
    assert_eq!(bearer(&server, "GET", "/api/me", &foreign).status, 200);
    assert_eq!(post(&server, "/revoke", &[("client_id", "nobody"), ("token", "t")]).status, 401);
}

#[test]
fn userinfo_tells_what_the_scopes_open() {
    let (server, _) = allowing();
    let ask = |scope: &str, method: &str| {
        let token = redeem(&server, &code_for(&server, &[("scope", scope)])).member("access_token");
        bearer(&server, method, "/userinfo", &token)
    };
    assert_eq!(ask("openid", "GET").json(), serde_json::json!({ "sub": "alice" }));
    let profile = serde_json::json!({ "sub": "alice", "preferred_username": "alice", "name": "Alice Liddell" });
    assert_eq!(ask("openid profile", "POST").json(), profile);
    let email = ask("openid email phone", "GET").json();
    assert_eq!(email["email"], "alice@example.com");
    assert_eq!(email["email_verified"], true);
    assert_eq!(email["phone_number"], "+44 20 7946 0000");
    let without = ask("profile", "GET");
    assert_eq!(without.status, 403);
    assert!(without.header("www-authenticate").contains("error=\"insufficient_scope\""));
}

#[test]
fn protected_resource_challenges_as_rfc_6750_says() {
    let (server, _) = allowing();
    let none = get(&server, "/api/me");
    assert_eq!(none.status, 401);
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"grantflow-devserver\"");
    let bad = bearer(&server, "GET", "/api/me", "bad");
    assert_eq!(bad.status, 401);
    assert!(bad.header("www-authenticate").contains("error=\"invalid_token\""));
    let token = credentials(&server).member("access_token");
    let elsewhere = get(&server, &format!("/api/me?access_token={token}"));
    assert_eq!(elsewhere.status, 400, "never in the URL");
    let case = send(&server, "GET", "/api/me", &[("Authorization", &format!("bEARER {token}"))], "");
    assert_eq!(case.status, 200);
}
