//! How a server's metadata is found and what in it is believed (catalogue DI, answers 53 to 56 and 61).

use grantflow_core::Secret;
use grantflow_core::client::Client;
use grantflow_core::crypto::AwsLc;
use grantflow_core::endpoint::{Discovery, Jwks};
use grantflow_core::error::{
    Advice, ConfigError, Delivery, Endpoint, Error, Rule, SecurityError, TransportKind, UrlFlaw,
};
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, ClientCredentials, Device, Extras};
use grantflow_core::http::{Reach, UrlPolicy};
use grantflow_core::machine::{Context, Effect, EffectKind, Event, Machine, Step};
use grantflow_core::memory::Memory;
use grantflow_core::server::{ChosenBy, IssuerMatch, ServerMetadata};
use grantflow_core::testing::CountingRandom;
use serde_json::{Value, json};

use crate::authorization_response::waiting;
use crate::scripted::*;
use crate::token_response::result;

const OIDC: &str = "GET https://as.example/.well-known/openid-configuration";
const OAUTH: &str = "GET https://as.example/.well-known/oauth-authorization-server";

fn found(issuer: &str, answers: impl IntoIterator<Item = Answer>) -> (Run<Discovery>, Result<ServerMetadata, Error>) {
    let mut run = Run::new(Discovery::new(issuer).unwrap()).answering(answers);
    let stop = result(run.start());
    (run, stop)
}

#[test]
fn di_01_answers_54_the_issuer_is_compared_as_text() {
    for other in [
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "http://as.example",
        "https://as.example/tenant",
        "https://evil.example",
        "",
    ] {
        let (mut run, error) = found(ISSUER, [json(200, &merged(metadata(), json!({ "issuer": other })))]);
        let Err(Error::Security(SecurityError::IssuerMismatch { expected, .. })) = error else {
            panic!("{other}: {error:?}")
        };
        assert_eq!(expected, ISSUER);
        run.sent(&[OIDC]);
    }
    let mut run = Run::new(Discovery::new(ISSUER).unwrap().issuer_match(IssuerMatch::TrailingSlash))
        .answering([json(200, &merged(metadata(), json!({ "issuer": "https://as.example/" })))]);
    assert_eq!(run.start().done().issuer(), "https://as.example/", "the server's own spelling counts from here on");
    run.sent(&[OIDC]);
}

#[test]
fn di_02_a_document_without_an_issuer_is_no_metadata() {
    for members in [json!({ "issuer": null }), json!({ "issuer": 5 }), json!({ "issuer": ["https://as.example"] })] {
        let document = merged(metadata(), members);
        let (mut run, error) = found(ISSUER, [json(200, &document), json(200, &document)]);
        let Err(Error::Protocol(error)) = error else { panic!() };
        assert!(matches!(error.rule, Rule::MemberMissing("issuer") | Rule::MemberInvalid("issuer")));
        run.sent(&[OIDC, OAUTH]);
    }
}

#[test]
fn di_04_answers_53_both_places_are_built_for_every_form_of_issuer() {
    let places = |issuer: &str| {
        let (mut run, _) = found(issuer, [answer(404, &[], ""), answer(404, &[], ""), answer(404, &[], "")]);
        let urls: Vec<_> = run.requests.iter().map(|view| view.url.clone()).collect();
        let sent: Vec<_> = urls.iter().map(|url| format!("GET {url}")).collect();
        run.sent(&sent.iter().map(String::as_str).collect::<Vec<_>>());
        urls
    };
    let plain =
        ["https://e.com/.well-known/openid-configuration", "https://e.com/.well-known/oauth-authorization-server"];
    assert_eq!(places("https://e.com"), plain);
    assert_eq!(places("https://e.com/"), plain);
    let tenant = [
        "https://e.com/x/.well-known/openid-configuration",
        "https://e.com/.well-known/oauth-authorization-server/x",
        "https://e.com/.well-known/openid-configuration/x",
    ];
    assert_eq!(places("https://e.com/x"), tenant);
    assert_eq!(places("https://e.com/x/"), tenant);
}

#[test]
fn di_05_answers_55_redirects_are_not_followed_and_never_to_another_origin() {
    for target in
        ["https://evil.example/m", "//evil.example/m", "http://as.example/m", "https://as.example:8443/m", "/elsewhere"]
    {
        let (mut run, error) = found(ISSUER, [redirect_to(302, target)]);
        assert!(matches!(error, Err(Error::Transport(error)) if error.kind == TransportKind::Redirected), "{target}");
        run.sent(&[OIDC]);
    }
    for target in [
        "https://evil.example/m",
        "//evil.example/m",
        "http://as.example/m",
        "https://as.example:8443/m",
        "https://u:p@as.example/m",
    ] {
        let mut run =
            Run::new(Discovery::new(ISSUER).unwrap().follow_same_origin()).answering([redirect_to(302, target)]);
        assert!(
            matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::Redirected),
            "{target}"
        );
        run.sent(&[OIDC]);
    }
}

#[test]
fn ds_07_answers_55_three_redirects_within_the_origin_are_followed_if_asked() {
    let to = |path: &str| redirect_to(301, path);
    let mut run = Run::new(Discovery::new(ISSUER).unwrap().follow_same_origin()).answering([
        to("/1"),
        to("/2"),
        to("https://as.example/3"),
        json(200, &metadata()),
    ]);
    run.start().done();
    run.sent(&[OIDC, "GET https://as.example/1", "GET https://as.example/2", "GET https://as.example/3"]);
    let mut run = Run::new(Discovery::new(ISSUER).unwrap().follow_same_origin()).answering([
        to("/1"),
        to("/2"),
        to("/3"),
        to("/4"),
    ]);
    assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::Redirected));
    run.sent(&[OIDC, "GET https://as.example/1", "GET https://as.example/2", "GET https://as.example/3"]);
}

/// Metadata in which one endpoint is this.
fn with_endpoint(member: &str, url: &str) -> Result<ServerMetadata, Error> {
    discovered(&merged(metadata(), json!({ member: url })))
}

#[test]
fn di_06_an_endpoint_of_another_scheme_spoils_the_document() {
    for url in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://as.example/token",
        "ftp://as.example/",
        "as.example/token",
        "",
    ] {
        for member in ["token_endpoint", "authorization_endpoint", "jwks_uri", "userinfo_endpoint"] {
            let error = with_endpoint(member, url).unwrap_err();
            assert!(matches!(error, Error::Security(SecurityError::Url { .. })), "{member} = {url}: {error:?}");
        }
    }
}

#[test]
fn di_07_an_authorization_endpoint_is_a_parsed_url_or_nothing() {
    for url in [
        "https://as.example/a b",
        "https://as.example/\n",
        "-https://as.example/",
        " https://as.example/",
        "https://as.example/\t",
        "https:\\\\as.example\\",
    ] {
        let error = with_endpoint("authorization_endpoint", url).unwrap_err();
        assert!(
            matches!(error, Error::Security(SecurityError::Url { endpoint: Endpoint::Authorization, .. })),
            "{url:?}"
        );
    }
    for url in ["https://as.example/$(touch x)", "https://as.example/`id`;rm -rf", "https://as.example/a?b=$(id)&c=|d"]
    {
        if let Ok(server) = with_endpoint("authorization_endpoint", url) {
            let shown = server.endpoint(Endpoint::Authorization).unwrap().url.to_string();
            assert!(shown.starts_with("https://as.example/") && !shown.contains(' '), "{shown}");
        }
    }
}

#[test]
fn di_08_answers_56_remote_metadata_names_no_private_address() {
    for host in [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:169.254.169.254]",
        "0x7f.1",
        "localhost",
        "localhost.",
    ] {
        let error = with_endpoint("token_endpoint", &format!("https://{host}/token")).unwrap_err();
        assert!(
            matches!(error, Error::Security(SecurityError::Url { endpoint: Endpoint::Token, .. })),
            "{host}: {error:?}"
        );
    }
    // A name can lead anywhere, so the driver is told to look at the address it connects to.
    let server = with_endpoint("token_endpoint", "https://tokens.example/token").unwrap();
    assert_eq!(server.endpoint(Endpoint::Token).unwrap().reach, Reach::Public);
    let policy = UrlPolicy::default().dangerous_allow_private_addresses();
    let mut run = Run::new(Discovery::with_policy(ISSUER, policy).unwrap())
        .answering([json(200, &merged(metadata(), json!({ "token_endpoint": "https://10.0.0.1/token" })))]);
    run.start().done();
    run.sent(&[OIDC]);
}

#[test]
fn di_09_a_document_that_is_none_is_refused() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let doubled = r#"{"issuer":"https://as.example","issuer":"https://as.example"}"#;
    let json_type = [("content-type", "application/json")];
    for body in [
        format!(r#"{{"issuer":"https://as.example","a":{deep}}}"#),
        doubled.to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
    ] {
        let (mut run, error) = found(ISSUER, [answer(200, &json_type, &body), answer(200, &json_type, &body)]);
        assert!(matches!(error, Err(Error::Protocol(error)) if matches!(error.rule, Rule::Json { .. })), "{body:.40}");
        run.sent(&[OIDC, OAUTH]);
    }
    let (mut run, error) = found(
        ISSUER,
        [
            answer(200, &[("content-type", "text/html")], "<html>"),
            answer(200, &[("content-type", "text/html")], "<html>"),
        ],
    );
    assert!(matches!(error, Err(Error::Transport(error)) if error.kind == TransportKind::MediaType));
    run.sent(&[OIDC, OAUTH]);
}

#[test]
fn ds_01_di_09_metadata_and_key_sets_end_at_512_kib() {
    let padded = |document: Value, len: usize| {
        let text = document.to_string();
        format!("{text}{}", " ".repeat(len - text.len()))
    };
    let json_type = [("content-type", "application/json")];
    let (mut run, good) = found(ISSUER, [answer(200, &json_type, padded(metadata(), 512 * 1024))]);
    good.unwrap();
    run.sent(&[OIDC]);
    let (mut run, error) = found(ISSUER, [answer(200, &json_type, padded(metadata(), 512 * 1024 + 1))]);
    assert!(matches!(error, Err(Error::Transport(error)) if error.kind == TransportKind::TooLarge));
    run.sent(&[OIDC]);
    let mut run = Run::new(Jwks::new(&public()).unwrap()).answering([answer(
        200,
        &json_type,
        padded(Signer::shared().jwks(), 512 * 1024 + 1),
    )]);
    assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::TooLarge));
    run.sent(&["GET https://as.example/jwks"]);
}

#[test]
fn ds_11_a_list_of_metadata_keeps_its_first_thousand_names() {
    let names = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>();
    for count in [0, 1, 1_000, 1_001, 30_000] {
        let server = discovered(&merged(metadata(), json!({ "scopes_supported": names(count) }))).unwrap();
        assert_eq!(server.list("scopes_supported").unwrap(), names(count.min(1_000)), "{count}");
    }
}

#[test]
fn di_10_the_query_of_an_endpoint_is_kept_and_a_fragment_is_refused() {
    let server = with_endpoint("authorization_endpoint", "https://as.example/authorize?tenant=a%26b&x").unwrap();
    let client = Client::builder(server, CLIENT_ID).build().unwrap();
    let mut run = waiting(&client, "");
    let url = run.redirect.as_ref().unwrap().url.to_string();
    assert!(
        url.starts_with("https://as.example/authorize?tenant=a%26b&x&response_type=code&client_id=client&"),
        "{url}"
    );
    run.sent(&[]);
    for member in ["authorization_endpoint", "token_endpoint"] {
        let error = with_endpoint(member, "https://as.example/x#fragment").unwrap_err();
        assert!(matches!(error, Error::Security(SecurityError::Url { flaw: UrlFlaw::Fragment, .. })), "{error:?}");
    }
}

#[test]
fn di_11_what_metadata_advertises_enables_nothing() {
    let client = builder(json!({
        "id_token_signing_alg_values_supported": ["none", "HS256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
    }))
    .build()
    .unwrap();
    for (alg, signature) in [("none", ""), ("HS256", "c2ln")] {
        let mut run = waiting(&client, "openid");
        let good = Signer::shared().jwt(&json!({ "alg": alg, "kid": "ec" }), &run.id_claims());
        let id_token = format!("{}.{signature}", good.rsplit_once('.').unwrap().0);
        run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
        let error = run.come_back().failed();
        assert!(matches!(error, Error::Security(SecurityError::Algorithm(_))), "{alg}: {error:?}");
        let sent: Vec<_> = run.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
        run.sent(&sent.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn di_12_a_login_that_waits_goes_where_its_own_client_sends_it() {
    // The document changes while somebody logs in: the running flow keeps to the endpoint that its client was made with,
    // and a client made from the new document is still a client of the same issuer, or none.
    let before = public();
    let mut run = waiting(&before, "");
    let moved = discovered(&merged(metadata(), json!({ "token_endpoint": "https://evil.example/token" }))).unwrap();
    assert_eq!(moved.issuer(), before.server().issuer());
    run.come_back().waits_for(EffectKind::Send);
    run.sent(&["POST https://as.example/token"]);
    let other = discovered(&merged(metadata(), json!({ "issuer": "https://evil.example" }))).unwrap();
    let other = Client::builder(other, CLIENT_ID).build().unwrap();
    let stored = waiting(&before, "").machine.snapshot().unwrap();
    assert_eq!(AuthorizationCode::restore(&other, stored).unwrap_err(), Error::Config(ConfigError::SnapshotForeign));
}

#[test]
fn di_16_answers_55_the_next_place_is_tried_only_where_there_is_nothing() {
    let good = || json(200, &metadata());
    for nothing in [
        answer(404, &[], ""),
        answer(403, &[("content-type", "text/html")], "<html>"),
        json(200, &json!({ "name": "not metadata" })),
        answer(200, &[("content-type", "application/json")], "{"),
        refusal("not_found"),
    ] {
        let (mut run, metadata) = found(ISSUER, [nothing, good()]);
        metadata.unwrap();
        run.sent(&[OIDC, OAUTH]);
    }
    for status in [500, 502, 504, 408, 425] {
        let (mut run, error) = found(ISSUER, [answer(status, &[], ""), good()]);
        let error = error.unwrap_err();
        assert!(matches!(error.advice(), Advice::Retry { .. }), "{status}: {error:?}");
        run.sent(&[OIDC]);
    }
    for kind in [TransportKind::Tls, TransportKind::TooLarge, TransportKind::ForbiddenAddress] {
        let (mut run, error) = found(ISSUER, [lost(Delivery::NotSent, kind)]);
        assert!(matches!(error, Err(Error::Transport(error)) if error.kind == kind));
        run.sent(&[OIDC]);
    }
    let (mut run, error) = found(ISSUER, (0..4).map(|_| lost(Delivery::Unknown, TransportKind::Timeout)));
    assert!(matches!(error, Err(Error::Transport(error)) if error.kind == TransportKind::Timeout));
    run.sent(&[OIDC; 4]);
}

#[test]
fn answers_61_unknown_values_are_kept_and_endpoints_missed_only_when_used() {
    let bare = json!({ "issuer": ISSUER, "response_types_supported": ["martian"], "subject_types_supported": 5, "x_unknown": { "a": [1] } });
    let server = discovered(&bare).unwrap();
    assert_eq!(server.extra::<Value>().unwrap().unwrap()["x_unknown"], json!({ "a": [1] }));
    let client = Client::builder(server, CLIENT_ID).build().unwrap();
    let secret = Client::builder(discovered(&bare).unwrap(), CLIENT_ID)
        .secret(Secret::from("canary-client-secret"))
        .build()
        .unwrap();
    let missing = |endpoint| Error::Config(ConfigError::EndpointMissing(endpoint));
    assert_eq!(
        AuthorizationCode::new(&client, AuthorizationRequest::new(REDIRECT_URI)).unwrap_err(),
        missing(Endpoint::Authorization)
    );
    assert_eq!(ClientCredentials::new(&secret, "", &Extras::default()).unwrap_err(), missing(Endpoint::Token));
    assert_eq!(Device::new(&client, "", Extras::default()).map(drop).unwrap_err(), missing(Endpoint::Token));
    assert_eq!(Jwks::new(&client).unwrap_err(), missing(Endpoint::Keys));
}

/// What a remote party names is reached at public addresses only, and is not asked for at all at another one.
#[test]
fn di_08_tt_15_an_issuer_that_a_remote_party_has_named_is_looked_for_at_public_addresses_only() {
    let begun = |issuer: &str| {
        let mut machine = Discovery::new(issuer).unwrap().chosen_by(ChosenBy::RemoteParty);
        let (random, memory) = (&mut CountingRandom::default(), &mut Memory::default());
        machine.handle(Event::Start, &mut Context { now: BEGIN, random, crypto: &AwsLc, memory, observer: None })
    };
    match begun(ISSUER).unwrap() {
        Step::Do(Effect::Send(outgoing)) => assert_eq!(outgoing.reach, Reach::Public),
        other => panic!("{other:?}"),
    }
    for issuer in ["https://10.0.0.7", "https://[fd00::1]", "http://127.0.0.1:8080"] {
        let refused = begun(issuer).unwrap_err();
        let flaw = UrlFlaw::PrivateAddress;
        assert_eq!(refused, Error::Config(ConfigError::Url { endpoint: Endpoint::Metadata, flaw }), "{issuer}");
    }
}
