//! How a client proves who it is, and to whom (catalogue CA, answers 50).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grantflow_core::Secret;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Revocation};
use grantflow_core::error::{Advice, ConfigError, Delivery, Error, Rule, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{ClientCredentials, Device, Extras, Refresh};
use grantflow_core::http::UrlPolicy;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::EffectKind;
use grantflow_core::server::ServerMetadata;
use serde_json::json;

use crate::authorization_response::waiting;
use crate::catalogue::sources;
use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";

fn asking(client: &Client) -> Run<ClientCredentials> {
    Run::new(ClientCredentials::new(client, "", &Extras::default()).unwrap())
}

fn with(authentication: Authentication) -> Client {
    builder(json!({})).authentication(authentication).build().unwrap()
}

/// A client that signs assertions.
pub fn asserting() -> Client {
    with(Authentication::SignedAssertion { key_id: "key".to_owned(), algorithm: SignatureAlgorithm::Es256 })
}

#[test]
fn ca_01_answers_50_id_and_secret_are_form_encoded_before_base64() {
    let sent = |id: &str, secret: &str, raw: bool| {
        let secret = Secret::from(secret);
        let authentication =
            if raw { Authentication::SecretBasicRaw(secret) } else { Authentication::SecretBasic(secret) };
        let client =
            Client::builder(discovered(&metadata()).unwrap(), id).authentication(authentication).build().unwrap();
        let mut run = asking(&client);
        run.start().waits_for(EffectKind::Send);
        let header = run.last().header("authorization").unwrap().to_owned();
        run.sent(&[TOKEN]);
        header
    };
    assert_eq!(sent("aaa/;&", "bbb/;&", false), "Basic YWFhJTJGJTNCJTI2OmJiYiUyRiUzQiUyNg==");
    let all = sent("a:b%c+d/e f", "\u{e9}: %+/", false);
    let decoded = STANDARD.decode(all.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(decoded, b"a%3Ab%25c%2Bd%2Fe+f:%C3%A9%3A+%25%2B%2F");
    assert_eq!(sent("aaa/;&", "bbb/;&", true), format!("Basic {}", STANDARD.encode("aaa/;&:bbb/;&")));
}

#[test]
fn ca_02_a_secret_goes_to_one_place() {
    for (authentication, header, field) in [
        (Authentication::SecretBasic(Secret::from("canary-client-secret")), true, false),
        (Authentication::SecretPost(Secret::from("canary-client-secret")), false, true),
        (Authentication::Secret(Secret::from("canary-client-secret")), true, false),
    ] {
        let mut run = asking(&with(authentication));
        run.start().waits_for(EffectKind::Send);
        assert_eq!(run.last().header("authorization").is_some(), header);
        assert_eq!(run.last().field("client_secret").is_some(), field);
        assert!(!run.last().url.contains("canary"));
        run.sent(&[TOKEN]);
    }
    assert!(Extras::new([("client_secret", "canary-client-secret")]).is_err());
    assert!(Extras::new([("client_assertion", "x")]).is_err());
}

#[test]
fn ca_03_an_empty_secret_is_refused() {
    let ways: [fn(Secret) -> Authentication; 4] = [
        Authentication::Secret,
        Authentication::SecretBasic,
        Authentication::SecretPost,
        Authentication::SecretBasicRaw,
    ];
    for way in ways {
        let built = builder(json!({})).authentication(way(Secret::from(""))).build();
        assert_eq!(built.unwrap_err(), Error::Config(ConfigError::EmptySecret));
    }
}

#[test]
fn ca_04_a_server_that_knows_none_of_our_ways_gets_no_secret() {
    let built = builder(json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"] }))
        .secret(Secret::from("canary-client-secret"))
        .build();
    assert_eq!(built.unwrap_err(), Error::Config(ConfigError::AuthenticationUnsupported));
    let only_post = builder(json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] }));
    let client = only_post.secret(Secret::from("canary-client-secret")).build().unwrap();
    assert_eq!(client.authentication_method(), "client_secret_post");
}

#[test]
fn ca_05_an_assertion_is_for_the_issuer_alone_at_every_endpoint() {
    let client = asserting();
    let token = Secret::from("canary-access");
    let mut assertions = Vec::new();
    let mut run = asking(&client);
    run.start().waits_for(EffectKind::Send);
    let named = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(run.last().field("client_assertion_type"), Some(named));
    assertions.push(run.last().claims("client_assertion"));
    run.sent(&[TOKEN]);
    let mut run = Run::new(Introspection::new(&client, &token, TokenKind::Access).unwrap());
    run.start().waits_for(EffectKind::Send);
    assertions.push(run.last().claims("client_assertion"));
    run.sent(&["POST https://as.example/introspect"]);
    let mut run = Run::new(Revocation::new(&client, &token, TokenKind::Access).unwrap());
    run.start().waits_for(EffectKind::Send);
    assertions.push(run.last().claims("client_assertion"));
    run.sent(&["POST https://as.example/revoke"]);
    let mut run = Run::new(Device::new(&client, "", Extras::default()).unwrap());
    run.start().waits_for(EffectKind::Send);
    assertions.push(run.last().claims("client_assertion"));
    run.sent(&["POST https://as.example/device"]);
    for claims in assertions {
        assert_eq!(claims["aud"], json!(ISSUER), "a string, and not the endpoint");
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
    }
}

#[test]
fn ca_06_an_assertion_for_a_hostile_server_is_of_no_use_at_an_honest_one() {
    let hostile = merged(
        metadata(),
        json!({
            "issuer": "https://evil.example",
            "introspection_endpoint": "https://evil.example/introspect",
        }),
    );
    // The hostile metadata names the honest token endpoint; the assertion still names the hostile issuer.
    let client = Client::builder(discovered(&hostile).unwrap(), CLIENT_ID)
        .authentication(Authentication::SignedAssertion {
            key_id: "key".to_owned(),
            algorithm: SignatureAlgorithm::Es256,
        })
        .build()
        .unwrap();
    let mut run = Run::new(Introspection::new(&client, &Secret::from("canary-access"), TokenKind::Access).unwrap());
    run.start().waits_for(EffectKind::Send);
    assert_eq!(run.last().claims("client_assertion")["aud"], json!("https://evil.example"));
    run.sent(&["POST https://evil.example/introspect"]);
    let mut run = asking(&client);
    run.start().waits_for(EffectKind::Send);
    assert_eq!(run.last().claims("client_assertion")["aud"], json!("https://evil.example"));
    run.sent(&[TOKEN]);
}

#[test]
fn ca_07_without_an_issuer_there_is_no_client_and_so_no_assertion() {
    for members in [json!({ "issuer": null }), json!({ "issuer": 5 })] {
        let error = discovered(&merged(metadata(), members)).unwrap_err();
        assert!(
            matches!(error, Error::Protocol(error) if matches!(error.rule, Rule::MemberMissing("issuer") | Rule::MemberInvalid("issuer")))
        );
    }
    for issuer in ["", "as.example", "http://as.example"] {
        assert!(matches!(
            ServerMetadata::by_hand(issuer, UrlPolicy::default()),
            Err(Error::Config(ConfigError::Issuer(_)))
        ));
    }
}

#[test]
fn ca_08_every_attempt_has_an_assertion_of_its_own() {
    let throttled = || answer(503, &[("retry-after", "2")], "");
    let mut run = asking(&asserting()).answering([throttled(), throttled(), json(200, &tokens())]);
    run.start().done();
    let mut seen = BTreeSet::new();
    for view in &run.requests {
        let claims = view.claims("client_assertion");
        assert!(seen.insert(claims["jti"].as_str().unwrap().to_owned()), "a jti was used again");
        let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert_eq!(exp - iat, 60);
    }
    let issued: Vec<_> =
        run.requests.iter().map(|view| view.claims("client_assertion")["iat"].as_u64().unwrap()).collect();
    assert!(issued.is_sorted() && issued[0] < issued[2], "{issued:?}");
    run.sent(&[TOKEN, TOKEN, TOKEN]);
}

#[test]
fn ca_09_a_server_with_another_clock_is_asked_once_and_its_date_is_kept() {
    let headers = [("content-type", "application/json"), ("date", "Fri, 15 Jan 2027 08:05:00 GMT")];
    let body = r#"{"error":"invalid_client","error_description":"assertion issued in the future"}"#;
    let mut run = asking(&asserting()).answering([answer(401, &headers, body)]);
    let error = run.start().failed();
    assert_eq!(error.advice(), Advice::FixConfig);
    let Error::Refused(refusal) = error else { panic!() };
    let headers = &refusal.answer.as_ref().unwrap().headers;
    assert!(headers.contains(&("date".to_owned(), "Fri, 15 Jan 2027 08:05:00 GMT".to_owned())), "{headers:?}");
    run.sent(&[TOKEN]);
}

#[test]
fn ca_11_a_server_that_repeats_our_secrets_puts_them_into_no_error() {
    for (media_type, body) in [
        ("application/json", r#"{"error":"invalid_client","error_description":"wrong secret canary-client-secret"}"#),
        ("application/json", r#"{"error":"invalid_client","client_secret":"canary-client-secret"}"#),
        ("text/plain", "the secret canary-client-secret is wrong"),
        ("text/html", "<p>client_secret=canary-client-secret</p>"),
    ] {
        let mut run = asking(&confidential()).answering([answer(401, &[("content-type", media_type)], body)]);
        let error = run.start().failed();
        assert!(!error.to_string().contains("canary"), "{error}");
        run.sent(&[TOKEN]);
    }
    let echo: Answer = Box::new(|view: &View| {
        let assertion = view.field("client_assertion").unwrap().to_owned();
        json(400, &json!({ "error": "invalid_client", "error_description": format!("bad assertion {assertion}") }))(
            view,
        )
    });
    let mut run = asking(&asserting()).answering([echo]);
    run.start().failed();
    run.sent(&[TOKEN]);
}

/// Short secrets, and such as look like words, are known because they were sent.
#[test]
fn ca_11_a_server_that_repeats_short_secrets_puts_them_into_no_error() {
    let ways: [fn(Secret) -> Authentication; 3] =
        [Authentication::SecretBasic, Authentication::SecretPost, Authentication::SecretBasicRaw];
    let json_type = ("content-type", "application/json");
    for secret in ["hunter2", "correct_horse_battery_staple", "tr0ub4dor&3"] {
        for way in ways {
            let said = format!("the secret {secret} is wrong");
            let answers = [
                json(
                    400,
                    &json!({ "error": "invalid_client", "error_description": said, "error_uri": format!("https://as.example/{secret}") }),
                ),
                json(400, &json!({ "error": format!("Bad {secret}") })),
                json(200, &json!({ "error": "invalid_client", "error_description": said })),
                json(400, &json!({ "error": { "message": said } })),
                json(400, &json!({ "message": said, "detail": secret })),
                answer(401, &[("content-type", "text/plain")], &said),
                answer(502, &[("content-type", "text/html")], format!("<p>{said}</p>")),
                answer(401, &[json_type, ("www-authenticate", &format!("Basic realm=\"{said}\""))], ""),
                answer(302, &[("location", &format!("https://as.example/{secret}"))], ""),
            ];
            for answer in answers {
                let mut run = asking(&with(way(Secret::from(secret)))).answering([answer]);
                run.secrets.push(secret.to_owned());
                run.start().failed();
                run.sent(&[TOKEN]);
            }
        }
    }
    // The code, the verifier and the refresh token are as secret as what the client is known by.
    let echo = |name: &'static str| -> Answer {
        Box::new(move |view: &View| {
            json(
                400,
                &json!({ "error": "invalid_grant", "error_description": format!("no: {}", view.field(name).unwrap()) }),
            )(view)
        })
    };
    for name in ["code", "code_verifier"] {
        let mut run = waiting(&public(), "").answering([echo(name)]);
        run.secrets.push("abc-7".to_owned());
        run.call_back("code=abc-7&state={state}&iss={iss}").failed();
        run.sent(&[TOKEN]);
    }
    let mut run = Run::new(Refresh::new(&public(), RefreshRequest::new(Secret::from("r-7/x"))).unwrap())
        .answering([echo("refresh_token")]);
    run.secrets.push("r-7/x".to_owned());
    run.start().failed();
    run.sent(&[TOKEN]);
}

/// The only RSA code that works with private keys in the tree of dependencies is aws-lc's; the `rsa` crate, which a
/// provider may use, is asked to verify and for nothing else.
#[test]
fn ca_13_no_code_can_sign_with_the_rsa_crate() {
    let sources = sources();
    assert!(sources.iter().any(|(path, _)| path.starts_with("core/src")));
    for (path, source) in sources {
        let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        if !is_test {
            for private in ["RsaPrivateKey", "rsa::pkcs1v15::SigningKey", "rsa::pss::SigningKey", "BlindedSigningKey"] {
                let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
                assert!(code.into_iter().all(|line| !line.contains(private)), "{}: {private}", path.display());
            }
        }
    }
}

#[test]
fn tt_08_line_breaks_never_reach_a_header_or_another_parameter() {
    for id in ["a\r\nX: 1", "a\0b", "a\nb", ""] {
        let built = Client::builder(discovered(&metadata()).unwrap(), id).build();
        assert!(matches!(built, Err(Error::Config(ConfigError::Invalid { setting: "client_id", .. }))), "{id:?}");
    }
    assert!(ClientCredentials::new(&confidential(), "read\r\nwrite", &Extras::default()).is_err());
    let raw = builder(json!({}))
        .authentication(Authentication::SecretBasicRaw(Secret::from("a\r\nX-Evil: 1")))
        .build()
        .unwrap();
    let mut run = asking(&raw);
    run.start().waits_for(EffectKind::Send);
    assert!(run.last().header("x-evil").is_none());
    run.sent(&[TOKEN]);
    let mut run = Run::new(
        ClientCredentials::new(&confidential(), "", &Extras::new([("audience", "a&scope=all\r\nb")]).unwrap()).unwrap(),
    );
    run.start().waits_for(EffectKind::Send);
    assert_eq!(run.last().field("audience"), Some("a&scope=all\r\nb"));
    assert_eq!(run.last().field("scope"), None);
    run.sent(&[TOKEN]);
}

#[test]
fn ca_08_a_lost_request_is_sent_again_only_if_it_was_never_sent() {
    let mut run =
        asking(&asserting()).answering([lost(Delivery::NotSent, TransportKind::Connect), json(200, &tokens())]);
    run.start().done();
    assert_ne!(run.requests[0].claims("client_assertion")["jti"], run.requests[1].claims("client_assertion")["jti"]);
    run.sent(&[TOKEN, TOKEN]);
    let mut run = asking(&asserting()).answering([lost(Delivery::Unknown, TransportKind::Reset)]);
    assert!(matches!(result(run.start()), Err(Error::Transport(_))));
    run.sent(&[TOKEN]);
}
