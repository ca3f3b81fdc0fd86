//! Provider profiles: answers as the providers give them, and what a client makes of them (rows L-51, H-26, answers 35).

use grantflow_core::Secret;
use grantflow_core::client::{Client, Hook, Profile, Registry};
use grantflow_core::error::{ConfigError, Error, SecurityError};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Device, Extras, Refresh};
use grantflow_core::http::Body;
use grantflow_core::http::form::Form;
use grantflow_core::jose::IssuerRule;
use grantflow_core::machine::EffectKind;
use grantflow_core::server::ServerMetadata;
use grantflow_core::token::{Note, TokenSet, TokenType};
use serde_json::json;

use crate::hooks::with_member;
use crate::scripted::*;
use crate::token_response::result;

/// A client of a provider, with a secret.
fn client_of(profile: &Profile) -> Client {
    Client::builder(profile.server().unwrap(), CLIENT_ID)
        .profile(profile)
        .secret(Secret::from("canary-client-secret"))
        .build()
        .unwrap()
}

fn waiting(client: &Client, scope: &str) -> Run<AuthorizationCode> {
    let flow = AuthorizationCode::new(client, AuthorizationRequest::new(REDIRECT_URI).scope(scope)).unwrap();
    let mut run = Run::new(flow);
    run.start().waits_for(EffectKind::Redirect);
    run
}

/// What came of it, in short.
fn outcome(result: Result<TokenSet, Error>) -> String {
    match result {
        Ok(tokens) => {
            assert_eq!(tokens.access_token().expose(), "canary-access");
            let lifetime = tokens.expires_at().map(|end| end.since(tokens.received_at()).as_secs());
            let lifetime = lifetime.map_or(String::new(), |seconds| format!(" {seconds} s"));
            let refresh = tokens.refresh_token().filter(|token| token.expose() == "canary-refresh");
            let refresh = refresh.map_or("", |_| ", refresh token");
            let notes: Vec<_> = tokens.notes().iter().map(ToString::to_string).collect();
            format!("{} [{}]{lifetime}{refresh}; {}", tokens.token_type(), tokens.scope(), notes.join(" "))
        }
        Err(Error::Refused(refusal)) => {
            let said = refusal.description.as_deref().unwrap_or_default();
            format!("{}, {:?}: {said}", refusal.code, Error::Refused(refusal.clone()).advice())
        }
        Err(error) => format!("{error}"),
    }
}

/// A refresh at a provider, or a login.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Login,
    Refresh,
}

/// Gives an answer to a request of this kind, as the provider's client and as a plain one would read it.
fn read(profile: &Profile, kind: Kind, status: u16, media_type: &str, body: &str) -> String {
    let client = client_of(profile);
    let answer = answer(status, &[("content-type", media_type)], body);
    match kind {
        Kind::Login => {
            let mut run = waiting(&client, "a b").answering([answer]);
            let outcome = outcome(result(run.call_back("code=canary-code&state={state}")));
            assert_eq!(run.all_sent().len(), 1);
            outcome
        }
        Kind::Refresh => {
            let request = RefreshRequest::new(Secret::from("canary-spent-refresh"));
            let mut run = Run::new(Refresh::new(&client, request).unwrap()).answering([answer]);
            let outcome = outcome(result(run.start()));
            assert_eq!(run.all_sent().len(), 1);
            outcome
        }
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
use Kind::{Login, Refresh as Renewal};

/// The kind, the status, the media type and the body of an answer, and what comes of it.
type Row = (Kind, u16, &'static str, &'static str, &'static str);

fn each(profile: &Profile, rows: &[Row]) {
    for (kind, status, media_type, body, expected) in rows {
        assert_eq!(read(profile, *kind, *status, media_type, body), *expected, "{}: {status} {body}", profile.name());
    }
}

#[test]
fn answers_35_facebook_errors_are_told_by_their_number() {
    each(
        &Profile::FACEBOOK,
        &[
            (
                Login,
                200,
                JSON,
                r#"{"access_token":"canary-access","token_type":"bearer","expires_in":5183944}"#,
                "Bearer [a b] 5183944 s; ",
            ),
            (
                Login,
                400,
                JSON,
                r#"{"error":{"message":"Error validating access token: Session has expired","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"EJplcsCHuLu"}}"#,
                "invalid_token, LogInAgain: Error validating access token: Session has expired",
            ),
            (
                Login,
                400,
                JSON,
                r#"{"error":{"message":"An unexpected error has occurred. Please retry your request later.","type":"OAuthException","is_transient":true,"code":2}}"#,
                "temporarily_unavailable, Retry { not_before: None }: An unexpected error has occurred. Please retry your request later.",
            ),
            // A number that says no more than its type.
            (
                Login,
                400,
                JSON,
                r#"{"error":{"message":"This authorization code has been used.","type":"OAuthException","code":100}}"#,
                "OAuthException, Report: This authorization code has been used.",
            ),
        ],
    );
}

#[test]
fn answers_35_github_scopes_have_commas_and_refusals_come_with_200() {
    each(
        &Profile::GITHUB,
        &[
            (
                Login,
                200,
                JSON,
                r#"{"access_token":"canary-access","token_type":"bearer","scope":"repo,gist"}"#,
                "Bearer [repo gist]; ",
            ),
            (Login, 200, JSON, r#"{"access_token":"canary-access","token_type":"bearer","scope":""}"#, "Bearer []; "),
            (
                Login,
                200,
                FORM,
                "access_token=canary-access&scope=repo%2Cgist&token_type=bearer",
                "Bearer [repo gist]; form_encoded",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"access_token":"canary-access","expires_in":28800,"refresh_token":"canary-refresh","refresh_token_expires_in":15897600,"scope":"","token_type":"bearer"}"#,
                "Bearer [] 28800 s, refresh token; ",
            ),
            (
                Renewal,
                200,
                JSON,
                r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.github.com/x"}"#,
                "invalid_grant, LogInAgain: bad_refresh_token: The refresh token passed is incorrect or expired.",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"error":"bad_verification_code","error_description":"The code passed is incorrect or expired."}"#,
                "invalid_grant, LogInAgain: bad_verification_code: The code passed is incorrect or expired.",
            ),
            (
                Login,
                200,
                FORM,
                "error=incorrect_client_credentials&error_description=The+client_id+is+incorrect.",
                "invalid_client, FixConfig: incorrect_client_credentials: The client_id is incorrect.",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"error":"redirect_uri_mismatch"}"#,
                "invalid_redirect_uri, FixConfig: redirect_uri_mismatch",
            ),
        ],
    );
    // The issuer that GitHub names in its callbacks is known, and no other.
    let mut run = waiting(&client_of(&Profile::GITHUB), "").answering([json(200, &tokens())]);
    run.call_back("code=canary-code&state={state}&iss=https%3A%2F%2Fgithub.com%2Flogin%2Foauth").done();
    let accept = run.last().header("accept").map(str::to_owned);
    assert_eq!(accept.as_deref(), Some("application/json"));
    assert_eq!(run.last().field("client_secret"), Some("canary-client-secret"));
    run.sent(&["POST https://github.com/login/oauth/access_token"]);
    let mut run = waiting(&client_of(&Profile::GITHUB), "");
    let error = run.call_back("code=canary-code&state={state}&iss=https%3A%2F%2Fevil.example").failed();
    assert!(matches!(error, Error::Security(SecurityError::IssuerMismatch { .. })), "{error}");
}

#[test]
fn google_asks_for_a_refresh_token_and_a_device_is_sent_to_the_url_by_its_old_name() {
    let profile = &Profile::GOOGLE;
    let client = client_of(profile);
    let request = AuthorizationRequest::new(REDIRECT_URI).scope("a").extras(profile.extras().unwrap());
    let mut run = Run::new(AuthorizationCode::new(&client, request).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    assert_eq!(run.parameter("access_type").as_deref(), Some("offline"));
    let device = json!({
        "device_code": "canary-device-code", "user_code": "canary-user-code", "expires_in": 1800, "interval": 5,
        "verification_url": "https://www.google.com/device",
    });
    let mut run = Run::new(Device::new(&client, "a", Extras::default()).unwrap()).answering([
        json(200, &device),
        json(428, &json!({ "error": "authorization_pending", "error_description": "Precondition Required" })),
        json(403, &json!({ "error": "slow_down", "error_description": "Forbidden" })),
        json(200, &tokens_with(json!({ "scope": "a" }))),
    ]);
    assert_eq!(outcome(Ok(run.start().done())), "Bearer [a] 3600 s, refresh token; ");
    assert_eq!(run.user_codes[0].verification_uri, "https://www.google.com/device");
    assert_eq!(run.user_codes[0].openable.as_ref().unwrap().as_str(), "https://www.google.com/device");
    let token = "POST https://oauth2.googleapis.com/token";
    run.sent(&["POST https://oauth2.googleapis.com/device/code", token, token, token]);
}

#[test]
fn microsoft_issuers_are_those_of_the_tenant_that_the_token_names() {
    let client =
        Client::builder(Profile::MICROSOFT.server().unwrap(), CLIENT_ID).profile(&Profile::MICROSOFT).build().unwrap();
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let login = |claims: serde_json::Value| {
        let mut run = waiting(&client, "openid");
        let claims = merged(run.id_claims(), claims);
        let id_token = Signer::shared().jwt(&json!({ "alg": "RS256", "kid": "rsa" }), &claims);
        run.secrets.push(id_token.clone());
        run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
        let end = result(run.call_back("code=canary-code&state={state}"));
        (end, run.all_sent())
    };
    let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let (tokens, sent) = login(json!({ "iss": issuer(tenant), "tid": tenant }));
    assert_eq!(tokens.unwrap().identity().unwrap().issuer(), issuer(tenant));
    let keys = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    assert_eq!(sent, ["https://login.microsoftonline.com/common/oauth2/v2.0/token", keys]);
    for claims in [
        json!({ "iss": issuer(tenant), "tid": "another-tenant" }),
        json!({ "iss": issuer(tenant) }),
        json!({ "iss": issuer("common"), "tid": tenant }),
        json!({ "iss": issuer("{tenantid}"), "tid": "{tenantid}" }),
        json!({ "iss": "https://evil.example/v2.0", "tid": tenant }),
    ] {
        let (end, _) = login(claims.clone());
        assert!(matches!(end, Err(Error::Security(_))), "{claims}: {end:?}");
    }
}

#[test]
fn a_template_is_taken_for_an_issuer_that_it_makes_only() {
    let server = || ServerMetadata::by_hand("https://as.example/common/v2", Default::default()).unwrap();
    let template = "https://as.example/{tenantid}/v2";
    assert_eq!(server().with_tenant_template(template).unwrap().issuer(), template);
    for template in
        ["https://evil.example/{tenantid}/v2", "{tenantid}", "https://as.example/{tenantid}", "https://as.ex/"]
    {
        assert!(server().with_tenant_template(template).is_err(), "{template}");
    }
    assert!(server().with_list("token_endpoint_auth_methods_supported", &["none"]).is_ok());
    assert!(server().with_list("my_own_list", &[]).is_err());
}

#[test]
fn answers_35_slack_tokens_are_bearer_tokens_and_ok_false_is_a_refusal() {
    each(
        &Profile::SLACK,
        &[
            (
                Login,
                200,
                JSON,
                r#"{"ok":true,"access_token":"canary-access","token_type":"bot","scope":"commands,incoming-webhook","bot_user_id":"U0KRQLJ9H","team":{"name":"Slack Softball Team","id":"T9TK3CUKW"},"authed_user":{"id":"U1234","scope":"chat:write","access_token":"canary-extra","token_type":"user"}}"#,
                "Bearer [commands incoming-webhook]; hooked",
            ),
            // A person who installs no bot.
            (
                Login,
                200,
                JSON,
                r#"{"ok":true,"app_id":"A0","authed_user":{"id":"U1234","scope":"chat:write,im:read","access_token":"canary-access","token_type":"user","refresh_token":"canary-refresh","expires_in":43200}}"#,
                "Bearer [chat:write im:read] 43200 s, refresh token; hooked",
            ),
            (
                Renewal,
                200,
                JSON,
                r#"{"ok":true,"access_token":"canary-access","refresh_token":"canary-refresh","expires_in":43200,"scope":"chat:write"}"#,
                "Bearer [chat:write] 43200 s, refresh token; hooked",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"ok":true,"access_token":"canary-access","token_type":null,"scope":"commands"}"#,
                "Bearer [commands]; hooked",
            ),
            // Only these two names of Slack's mean a bearer token.
            (
                Login,
                200,
                JSON,
                r#"{"ok":true,"access_token":"canary-access","token_type":"app","scope":"commands"}"#,
                "token endpoint: `token_type` is not one that this client can use (status 200, application/json, \
                 body: {ok: true, access_token: (string), token_type: (string), scope: (string)})",
            ),
            (Login, 200, JSON, r#"{"ok":false,"error":"invalid_code"}"#, "invalid_grant, LogInAgain: invalid_code"),
            (
                Renewal,
                200,
                JSON,
                r#"{"ok":false,"error":"invalid_refresh_token"}"#,
                "invalid_grant, LogInAgain: invalid_refresh_token",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"ok":false,"error":"bad_client_secret"}"#,
                "invalid_client, FixConfig: bad_client_secret",
            ),
            // Words that nobody knows stay as they are.
            (Login, 200, JSON, r#"{"ok":false,"error":"ratelimited"}"#, "ratelimited, Report: "),
        ],
    );
    let mut run = waiting(&client_of(&Profile::SLACK), "commands chat:write").answering([json(200, &tokens())]);
    assert_eq!(run.parameter("scope").as_deref(), Some("commands,chat:write"));
    run.call_back("code=canary-code&state={state}").done();
    assert!(run.last().header("authorization").unwrap().starts_with("Basic "), "as Slack recommends");
    run.sent(&["POST https://slack.com/api/oauth.v2.access"]);
}

#[test]
fn answers_35_stack_exchange_answers_are_forms_whatever_they_are_called() {
    let tokens = "Bearer [a b] 86399 s; expires_in_text hooked";
    let body = "access_token=canary-access&expires=86399";
    each(
        &Profile::STACK_EXCHANGE,
        &[
            (Login, 200, FORM, body, tokens),
            (Login, 200, "text/html", body, tokens),
            (Login, 200, "text/plain", body, tokens),
            (Login, 200, JSON, r#"{"access_token":"canary-access","expires":86399}"#, "Bearer [a b] 86399 s; hooked"),
            (Login, 200, FORM, "access_token=canary-access", "Bearer [a b]; hooked"),
            (
                Login,
                400,
                JSON,
                r#"{"error":{"type":"invalid_request","message":"client_id not provided"}}"#,
                "invalid_request, FixConfig: client_id not provided",
            ),
        ],
    );
    // A page is no form, and a form without a token is none that is wanted.
    for page in ["<html><body>log in</body></html>", "<html>", "a=b"] {
        let outcome = read(&Profile::STACK_EXCHANGE, Login, 200, "text/html", page);
        assert!(outcome.contains("the answer has the wrong media type"), "{page}: {outcome}");
    }
}

#[test]
fn answers_35_tiktok_calls_the_client_its_key() {
    each(
        &Profile::TIKTOK,
        &[
            (
                Login,
                200,
                JSON,
                r#"{"access_token":"canary-access","expires_in":86400,"open_id":"afd97af1","refresh_expires_in":31536000,"refresh_token":"canary-refresh","scope":"user.info.basic,video.list","token_type":"Bearer"}"#,
                "Bearer [user.info.basic video.list] 86400 s, refresh token; ",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"error":"invalid_request","error_description":"The request parameters are malformed.","log_id":"202206221854370101130062072500FFA2"}"#,
                "invalid_request, FixConfig: The request parameters are malformed.",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"data":{"open_id":"afd97af1","scope":"user.info.basic,video.list","access_token":"canary-access","expires_in":86400,"refresh_token":"canary-refresh","error_code":0},"message":"success"}"#,
                "Bearer [user.info.basic video.list] 86400 s, refresh token; token_type_assumed hooked",
            ),
            (
                Login,
                200,
                JSON,
                r#"{"data":{"captcha":"","desc_url":"","description":"Authorization code is expired","error_code":10007},"message":"error"}"#,
                "10007, Report: Authorization code is expired",
            ),
        ],
    );
    let client = client_of(&Profile::TIKTOK);
    let open_id = json(200, &tokens_with(json!({ "open_id": "afd97af1" })));
    let mut run = waiting(&client, "user.info.basic video.list").answering([open_id]);
    assert_eq!(run.parameter("client_key").as_deref(), Some(CLIENT_ID));
    assert_eq!(run.parameter("client_id"), None);
    assert_eq!(run.parameter("scope").as_deref(), Some("user.info.basic,video.list"));
    #[derive(serde::Deserialize)]
    struct Person {
        open_id: String,
    }
    let tokens = run.call_back("code=canary-code&state={state}").done();
    assert_eq!(tokens.extra::<Person>().unwrap().open_id, "afd97af1");
    assert_eq!(run.last().field("client_key"), Some(CLIENT_ID));
    assert_eq!(run.last().field("client_secret"), Some("canary-client-secret"));
    assert_eq!(run.last().field("client_id"), None);
    run.sent(&["POST https://open.tiktokapis.com/v2/oauth/token/"]);
    // Hooks may touch neither name.
    for (name, flawed) in [("client_key", "client_key"), ("client_id", "client_id")] {
        let hook = Hook::refresh_token_request(move |request| {
            request.form.push(name, "other");
            Ok(())
        });
        let client = Client::builder(Profile::TIKTOK.server().unwrap(), CLIENT_ID)
            .profile(&Profile::TIKTOK)
            .hook(hook)
            .build()
            .unwrap();
        let request = RefreshRequest::new(Secret::from("canary-refresh"));
        let error = Run::new(Refresh::new(&client, request).unwrap()).start().failed();
        assert_eq!(
            error.to_string(),
            format!("configuration: a hook at refresh_token_request touched the parameter `{flawed}`")
        );
    }
}

#[test]
fn answers_35_twitch_messages_are_refusals_and_its_api_is_told_the_client() {
    each(
        &Profile::TWITCH,
        &[
            (
                Login,
                200,
                JSON,
                r#"{"access_token":"canary-access","expires_in":14124,"refresh_token":"canary-refresh","scope":["channel:moderate","chat:edit"],"token_type":"bearer"}"#,
                "Bearer [channel:moderate chat:edit] 14124 s, refresh token; scope_array",
            ),
            (
                Renewal,
                400,
                JSON,
                r#"{"status":400,"message":"Invalid refresh token"}"#,
                "invalid_grant, LogInAgain: Invalid refresh token",
            ),
            (
                Renewal,
                400,
                JSON,
                r#"{"error":"Bad Request","status":400,"message":"Invalid refresh token"}"#,
                "invalid_grant, LogInAgain: Invalid refresh token",
            ),
            (
                Login,
                403,
                JSON,
                r#"{"status":403,"message":"invalid client secret"}"#,
                "invalid_client, FixConfig: invalid client secret",
            ),
            (Login, 400, JSON, r#"{"status":400,"message":"missing client id"}"#, "missing client id, Report: "),
        ],
    );
    let client = client_of(&Profile::TWITCH);
    let mut parts = http::Request::get("https://api.twitch.tv/helix/users?login=x")
        .header("authorization", "Bearer canary-access")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    client.apply_protected_request(&mut parts).unwrap();
    assert_eq!(parts.headers["client-id"], CLIENT_ID);
    assert_eq!(parts.uri, "https://api.twitch.tv/helix/users?login=x");

    let device = json!({ "device_code": "canary-device-code", "user_code": "canary-user-code", "verification_uri": "https://www.twitch.tv/activate", "expires_in": 1800, "interval": 5 });
    let mut run = Run::new(Device::new(&client, "a", Extras::default()).unwrap()).answering([
        json(200, &device),
        json(400, &json!({ "status": 400, "message": "authorization_pending" })),
        json(200, &tokens()),
    ]);
    run.start().done();
    let token = "POST https://id.twitch.tv/oauth2/token";
    run.sent(&["POST https://id.twitch.tv/oauth2/device", token, token]);
}

/// What a caller would write for Stack Overflow, without the profile.
#[test]
fn l_51_the_stack_overflow_sample_becomes_a_bearer_token_and_its_requests_name_the_site() {
    let server = ServerMetadata::by_hand("https://stackoverflow.com", Default::default())
        .and_then(|server| {
            server.with_endpoint(grantflow_core::error::Endpoint::Token, "https://stackoverflow.com/oauth/access_token")
        })
        .and_then(|server| {
            server.with_endpoint(grantflow_core::error::Endpoint::Authorization, "https://stackoverflow.com/oauth")
        })
        .unwrap();
    let by_hand = Client::builder(server, CLIENT_ID)
        .hook(Hook::protected_request(|url, _| {
            url.query_pairs_mut().append_pair("site", "stackoverflow");
            Ok(())
        }))
        .hook(Hook::access_token_response(|answer| {
            let Ok(form) = Form::parse(answer.body().expose(), 1 << 16) else { return Ok(answer) };
            let value = |name: &str| form.get(name).map(|value| value.expose().clone()).unwrap_or_default();
            let members = json!({
                "access_token": value("access_token"),
                "expires_in": value("expires").parse::<u64>().ok(),
                "token_type": "Bearer",
            });
            let mut answer = answer;
            *answer.body_mut() = Body::new(members.to_string().into_bytes());
            answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            Ok(answer)
        }))
        .build()
        .unwrap();
    for (client, notes) in
        [(by_hand, vec![Note::Hooked]), (client_of(&Profile::STACK_EXCHANGE), vec![Note::ExpiresInText, Note::Hooked])]
    {
        let body = "access_token=canary-access&expires=1234";
        let mut run = waiting(&client, "").answering([answer(200, &[("content-type", FORM)], body)]);
        let tokens = run.call_back("code=canary-code&state={state}").done();
        assert_eq!(tokens.access_token().expose(), "canary-access");
        assert_eq!(*tokens.token_type(), TokenType::Bearer);
        assert_eq!(tokens.expires_at().unwrap().since(BEGIN).as_secs(), 1234);
        assert_eq!(tokens.notes(), notes);
        run.sent(&["POST https://stackoverflow.com/oauth/access_token"]);
        let mut parts = http::Request::get("https://api.stackexchange.com/2.3/me").body(()).unwrap().into_parts().0;
        client.apply_protected_request(&mut parts).unwrap();
        assert_eq!(parts.uri, "https://api.stackexchange.com/2.3/me?site=stackoverflow");
    }
    // Who asks for another site gets it.
    let mut parts =
        http::Request::get("https://api.stackexchange.com/2.3/me?site=superuser").body(()).unwrap().into_parts().0;
    client_of(&Profile::STACK_EXCHANGE).apply_protected_request(&mut parts).unwrap();
    assert_eq!(parts.uri, "https://api.stackexchange.com/2.3/me?site=superuser");
}

/// What a caller would write for Slack, without the profile. Strictly, a missing token type is refused.
#[test]
fn l_51_the_slack_sample_gets_the_token_type_that_it_lacks() {
    let fixed = |answer| Ok(with_member(answer, |members| members["token_type"] = json!("Bearer")));
    let by_hand = || {
        builder(json!({}))
            .leniency(grantflow_core::token::Leniency::Strict)
            .hook(Hook::access_token_response(fixed))
            .hook(Hook::refresh_token_response(fixed))
    };
    let profile = || builder(json!({})).leniency(grantflow_core::token::Leniency::Strict).profile(&Profile::SLACK);
    let body = json!({ "ok": true, "access_token": "canary-access", "scope": "" });
    for client in [by_hand().build().unwrap(), profile().build().unwrap()] {
        let mut run = waiting(&client, "").answering([json(200, &body)]);
        let tokens = run.come_back().done();
        assert_eq!((tokens.token_type(), tokens.notes()), (&TokenType::Bearer, &[Note::Hooked][..]));
        run.sent(&["POST https://as.example/token"]);
        let request = RefreshRequest::new(Secret::from("canary-refresh"));
        let mut run = Run::new(Refresh::new(&client, request).unwrap()).answering([json(200, &body)]);
        assert_eq!(*run.start().done().token_type(), TokenType::Bearer);
        run.sent(&["POST https://as.example/token"]);
    }
    let strict = builder(json!({})).leniency(grantflow_core::token::Leniency::Strict).build().unwrap();
    let mut run = waiting(&strict, "").answering([json(200, &body)]);
    assert!(matches!(run.come_back().failed(), Error::Protocol(_)));
    run.sent(&["POST https://as.example/token"]);
}

#[test]
fn a_profile_can_be_found_read_and_built() {
    let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted, "in order, and each once");
    for profile in Profile::ALL {
        assert_eq!(Profile::named(profile.name()).unwrap().title(), profile.title());
        let client = client_of(profile);
        let lines = profile.describe().join("\n");
        let issuer = client.server().issuer();
        for said in [profile.title(), profile.name(), issuer, "token endpoint: https://", "source: "] {
            assert!(lines.contains(said), "{} does not say {said}:\n{lines}", profile.name());
        }
        profile.extras().unwrap();
    }
    assert!(Profile::TIKTOK.describe().contains(&"client_id is called client_key".to_owned()));
    let twitch = Profile::TWITCH.describe().join("\n");
    assert!(!twitch.contains("is called") && !twitch.contains("separated"), "{twitch}");
    let github = Profile::GITHUB.describe().join("\n");
    assert!(
        github.starts_with("GitHub (`github`)") && github.contains("client secret: client_secret_post"),
        "{github}"
    );
    assert!(github.contains("scopes of answers: separated by commas or spaces"), "{github}");
    assert!(!github.contains("scopes of requests: separated"), "{github}");
    for said in [
        "answers: where the status is no success, `message` is the error",
        "answers: the error `Invalid refresh token` is read as `invalid_grant`",
        "protected requests: the client's identifier in the header client-id",
    ] {
        assert!(twitch.contains(said), "{twitch}");
    }
    let unknown = Profile::named("git\u{202e}hub").unwrap_err();
    assert_eq!(unknown, Error::Config(ConfigError::ProviderUnknown("git\\u{202e}hub".to_owned())));
    // What the caller has set stays, where a profile has nothing to say.
    let client =
        builder(json!({})).client_id_parameter("app").issuer_rule(IssuerRule::TrailingSlash).profile(&Profile::GITHUB);
    let run = waiting(&client.build().unwrap(), "");
    assert_eq!(run.parameter("app").as_deref(), Some(CLIENT_ID));
}

#[test]
fn h_26_clients_are_found_by_name_and_the_only_one_without() {
    let mut registry = Registry::new();
    assert_eq!(registry.only().unwrap_err(), Error::Config(ConfigError::Missing("provider")));
    registry.insert("github", client_of(&Profile::GITHUB)).unwrap();
    assert_eq!(registry.only().unwrap().0, "github");
    assert_eq!(registry.choose(None).unwrap().1.server().issuer(), "https://github.com/login/oauth");
    let taken = registry.insert("github", client_of(&Profile::SLACK)).unwrap_err();
    assert!(matches!(taken, Error::Config(ConfigError::Invalid { setting: "provider name", .. })), "{taken}");
    assert!(registry.insert("", client_of(&Profile::SLACK)).is_err());
    assert_eq!(registry.get("github").unwrap().server().issuer(), "https://github.com/login/oauth", "not overwritten");
    registry.insert("slack", client_of(&Profile::SLACK)).unwrap();
    assert_eq!(registry.only().unwrap_err(), Error::Config(ConfigError::ProviderAmbiguous));
    assert_eq!(registry.choose(None).unwrap_err(), Error::Config(ConfigError::ProviderAmbiguous));
    assert_eq!(registry.choose(Some("slack")).unwrap().0, "slack");
    for unknown in [registry.get("gitlab").unwrap_err(), registry.choose(Some("gitlab")).unwrap_err()] {
        assert_eq!(unknown, Error::Config(ConfigError::ProviderUnknown("gitlab".to_owned())));
    }
    let replaced = registry.replace("github", client_of(&Profile::TWITCH)).unwrap();
    assert_eq!(replaced.server().issuer(), "https://github.com/login/oauth");
    assert_eq!(registry.get("github").unwrap().server().issuer(), "https://id.twitch.tv/oauth2");
    assert!(registry.replace("gitlab", client_of(&Profile::TWITCH)).is_err());
    assert_eq!(registry.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["github", "slack"]);
}
