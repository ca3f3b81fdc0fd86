//! id_tokens and key sets as the flows use them: when keys are fetched, and what a login holds a token to (catalogue JW).
//!
//! The checks themselves are tested beside the verifier.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::client::Client;
use grantflow_core::endpoint::{Discovery, Jwks};
use grantflow_core::error::{ConfigError, Delivery, Error, KeyFlaw, Rule, SecurityError, TransportKind};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Refresh};
use grantflow_core::jose::{EmailVerification, IssuerRule, SignatureAlgorithm};
use grantflow_core::machine::EffectKind;
use grantflow_core::memory::Memory;
use grantflow_core::server::IssuerMatch;
use grantflow_core::token::TokenSet;
use serde_json::{Value, json};

use crate::authorization_response::waiting;
use crate::scripted::*;
use crate::token_response::result;

const TOKEN: &str = "POST https://as.example/token";
const JWKS: &str = "GET https://as.example/jwks";

/// The world between two logins: its memory and its time.
struct World {
    memory: Memory,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self { memory: Memory::default(), now: BEGIN }
    }

    /// A login at this time with this id_token; `keys` answers if the key set is asked for.
    fn login(
        &mut self,
        id_token: impl FnOnce(&Run<AuthorizationCode>) -> String,
        keys: Vec<Answer>,
    ) -> (Result<TokenSet, Error>, usize) {
        self.login_of(&public(), id_token, keys)
    }

    fn login_of(
        &mut self,
        client: &Client,
        id_token: impl FnOnce(&Run<AuthorizationCode>) -> String,
        keys: Vec<Answer>,
    ) -> (Result<TokenSet, Error>, usize) {
        let flow = AuthorizationCode::new(client, AuthorizationRequest::new(REDIRECT_URI).scope("openid")).unwrap();
        let mut run = Run::new(flow);
        run.now = self.now;
        run.memory = std::mem::take(&mut self.memory);
        run.start().waits_for(EffectKind::Redirect);
        let id_token = id_token(&run);
        run.answer([json(200, &tokens_with(json!({ "id_token": id_token })))]).answer(keys);
        let issuer = client.server().issuer().to_owned();
        let end = result(run.call_back(&format!("code=canary-code&state={{state}}&iss={issuer}")));
        let fetches = run.requests.len() - 1;
        assert!(run.requests[1..].iter().all(|view| view.url.ends_with("/jwks")), "{:?}", run.requests);
        let sent: Vec<_> = run.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
        run.sent(&sent.iter().map(String::as_str).collect::<Vec<_>>());
        self.memory = std::mem::take(&mut run.memory);
        self.now = run.now;
        (end, fetches)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }
}

/// A good id_token at the time of the run, signed by this signer under this name.
fn signed<'a>(signer: &'a Signer, kid: &'a str) -> impl FnOnce(&Run<AuthorizationCode>) -> String + 'a {
    move |run| {
        let now = run.now.as_secs();
        let claims = merged(run.id_claims(), json!({ "iat": now, "exp": now + 600 }));
        signer.jwt(&json!({ "alg": "ES256", "kid": kid }), &claims)
    }
}

fn key_set(keys: impl IntoIterator<Item = Value>) -> Answer {
    json(200, &json!({ "keys": keys.into_iter().collect::<Vec<_>>() }))
}

#[test]
fn jw_36_a_rotated_key_is_fetched_once_and_a_withdrawn_one_dies() {
    let (old, new) = (Signer::shared(), Signer::generate());
    let mut world = World::new();
    let (login, fetches) = world.login(signed(old, "1"), vec![key_set([old.ec_jwk("1")])]);
    assert!(login.is_ok() && fetches == 1);
    let (login, fetches) = world.login(signed(old, "1"), vec![]);
    assert!(login.is_ok() && fetches == 0, "the set is remembered");
    world.pass(10);
    let (login, fetches) = world.login(signed(&new, "2"), vec![key_set([new.ec_jwk("2")])]);
    assert!(login.is_ok() && fetches == 1, "an unknown key is worth one fetch");
    let (login, _) = world.login(signed(old, "1"), vec![]);
    assert_eq!(login.unwrap_err(), Error::Security(SecurityError::Key(KeyFlaw::NotFound)), "the old key is withdrawn");
}

#[test]
fn jw_36_the_keys_in_memory_are_asked_for_again_after_five_minutes() {
    let mut world = World::new();
    let signer = Signer::shared();
    world.login(signed(signer, "1"), vec![key_set([signer.ec_jwk("1")])]).0.unwrap();
    world.pass(299);
    assert_eq!(world.login(signed(signer, "1"), vec![]).1, 0);
    world.pass(1);
    let (login, fetches) = world.login(signed(signer, "1"), vec![key_set([signer.ec_jwk("2")])]);
    assert!(login.is_err() && fetches == 1, "the withdrawn key's token is refused");
}

#[test]
fn an_observer_is_told_of_each_check_once_and_of_none_that_new_keys_overturn() {
    let login = |alg: &str| {
        let mut run = waiting(&public(), "openid");
        let id_token = Signer::shared().jwt(&json!({ "alg": alg, "kid": "ec" }), &run.id_claims());
        run.secrets.push(id_token.clone());
        run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
        let end = result(run.come_back());
        (end.is_ok(), run.seen.checks.clone(), run.all_sent().len())
    };
    // No key is at hand, so the token is looked at twice.
    let (good, checks, sent) = login("ES256");
    assert!(good && sent == 2);
    let names: BTreeSet<_> = checks.iter().map(|(name, _)| name).collect();
    assert!(names.len() == checks.len() && names.contains(&"signature"), "{checks:?}");
    assert!(checks.iter().all(|(_, passed)| *passed), "{checks:?}");
    // What no key can make right is told of, and no key is asked for.
    let (good, checks, sent) = login("HS256");
    assert!(!good && sent == 1);
    assert_eq!(checks, [("alg", false)]);
}

#[test]
fn jw_37_invented_key_names_cause_one_fetch_a_minute() {
    let signer = Signer::shared();
    let mut world = World::new();
    world.login(signed(signer, "1"), vec![key_set([signer.ec_jwk("1")])]).0.unwrap();
    let mut fetches = 0;
    for attempt in 0..1_000 {
        let kid = format!("invented-{attempt}");
        let (login, fetched) = world.login(signed(signer, &kid), vec![key_set([signer.ec_jwk("1")])]);
        assert_eq!(login.unwrap_err(), Error::Security(SecurityError::Key(KeyFlaw::NotFound)));
        fetches += fetched;
        if attempt % 10 == 9 {
            world.pass(1);
        }
    }
    assert!(fetches <= 2, "{fetches} fetches in 100 seconds");
}

#[test]
fn jw_38_old_keys_bridge_an_hour_without_the_key_set() {
    let signer = Signer::shared();
    let down = || (0..4).map(|_| answer(500, &[], "")).collect::<Vec<_>>();
    let mut world = World::new();
    world.login(signed(signer, "1"), vec![key_set([signer.ec_jwk("1")])]).0.unwrap();
    world.pass(3_000);
    let (login, fetches) = world.login(signed(signer, "1"), down());
    assert!(login.is_ok() && fetches >= 1, "an hour is not over");
    world.pass(700);
    let (login, _) = world.login(signed(signer, "1"), down());
    assert!(matches!(login, Err(Error::Transport(_))), "it is now: {login:?}");
}

#[test]
fn jw_39_a_key_that_cannot_be_read_spoils_no_other() {
    let signer = Signer::shared();
    let odd = [
        json!({ "kty": "martian" }),
        json!("no object"),
        json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": "AA", "y": "AA" }),
        json!({ "kty": "RSA", "n": 5 }),
    ];
    let keys = key_set(odd.into_iter().chain([signer.ec_jwk("1")]));
    let (login, fetches) = World::new().login(signed(signer, "1"), vec![keys]);
    assert!(login.is_ok() && fetches == 1, "{login:?}");
    let mut run = Run::new(Jwks::new(&public()).unwrap()).answering([key_set([json!({ "kty": "martian" })])]);
    assert!(matches!(run.start().failed(), Error::Protocol(error) if error.rule == Rule::NoKeys));
    run.sent(&[JWKS]);
}

#[test]
fn jw_40_a_key_set_that_redirects_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let mut run =
            Run::new(Jwks::new(&public()).unwrap()).answering([redirect_to(status, "https://evil.example/jwks")]);
        assert!(matches!(run.start().failed(), Error::Transport(error) if error.kind == TransportKind::Redirected));
        run.sent(&[JWKS]);
    }
    for uri in ["http://as.example/jwks", "https://169.254.169.254/jwks", "https://[::1]/jwks", "file:///jwks"] {
        let error = discovered(&merged(metadata(), json!({ "jwks_uri": uri }))).unwrap_err();
        assert!(matches!(error, Error::Security(SecurityError::Url { .. })), "{uri}: {error:?}");
    }
}

#[test]
fn jw_41_the_keys_of_one_issuer_verify_no_token_of_another() {
    let signer = Signer::shared();
    let mut world = World::new();
    world.login(signed(signer, "1"), vec![key_set([signer.ec_jwk("1")])]).0.unwrap();
    let other = "https://other.example";
    let document = merged(metadata(), json!({ "issuer": other, "jwks_uri": "https://other.example/jwks" }));
    let client = Client::builder(discovered(&document).unwrap(), CLIENT_ID)
        .id_token_algorithms(&[SignatureAlgorithm::Es256])
        .build()
        .unwrap();
    let forged = |run: &Run<AuthorizationCode>| {
        signer.jwt(&json!({ "alg": "ES256", "kid": "1" }), &merged(run.id_claims(), json!({ "iss": other })))
    };
    let empty = Signer::generate();
    let (login, fetches) = world.login_of(&client, forged, vec![key_set([empty.ec_jwk("9")])]);
    assert_eq!(login.unwrap_err(), Error::Security(SecurityError::Key(KeyFlaw::NotFound)));
    assert_eq!(fetches, 1, "the other issuer's own keys are asked for");
}

#[test]
fn fl_11_two_key_sets_behind_one_address_work_within_the_rules() {
    let (a, b) = (Signer::shared(), Signer::generate());
    let mut world = World::new();
    world.login(signed(a, "a"), vec![key_set([a.ec_jwk("a")])]).0.unwrap();
    world.login(signed(&b, "b"), vec![key_set([b.ec_jwk("b")])]).0.unwrap();
    // The balancer flips back at once: within a minute there is no second fetch, then there is.
    let (login, fetches) = world.login(signed(a, "a"), vec![key_set([a.ec_jwk("a")])]);
    assert!(login.is_err() && fetches == 0);
    world.pass(61);
    let (login, fetches) = world.login(signed(a, "a"), vec![key_set([a.ec_jwk("a")])]);
    assert!(login.is_ok() && fetches == 1);
}

/// A login with these claims changed.
fn login(request: AuthorizationRequest, members: Value) -> Result<TokenSet, Error> {
    let mut run = Run::new(AuthorizationCode::new(&public(), request.scope("openid")).unwrap());
    run.start().waits_for(EffectKind::Redirect);
    let id_token = Signer::shared().id_token(&merged(run.id_claims(), members));
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
    let end = result(run.come_back());
    run.sent(&[TOKEN, JWKS]);
    end
}

fn request() -> AuthorizationRequest {
    AuthorizationRequest::new(REDIRECT_URI)
}

#[test]
fn jw_32_jw_33_what_was_asked_of_the_login_is_enforced() {
    let now = BEGIN.as_secs();
    login(request().max_age(60), json!({ "auth_time": now - 100 })).unwrap();
    assert_eq!(
        login(request().max_age(60), json!({})).unwrap_err(),
        Error::Security(SecurityError::ClaimMissing("auth_time"))
    );
    let old = login(request().max_age(60), json!({ "auth_time": now - 121 })).unwrap_err();
    assert!(matches!(old, Error::Security(SecurityError::Time { claim: "auth_time", .. })), "{old:?}");
    let text = login(request().max_age(60), json!({ "auth_time": "now" })).unwrap_err();
    assert!(matches!(text, Error::Security(SecurityError::Claim { claim: "auth_time", .. })), "{text:?}");
    login(request().acr_values(["gold", "silver"]), json!({ "acr": "silver" })).unwrap();
    assert_eq!(
        login(request().acr_values(["gold"]), json!({})).unwrap_err(),
        Error::Security(SecurityError::ClaimMissing("acr"))
    );
    let other = login(request().acr_values(["gold"]), json!({ "acr": "bronze" })).unwrap_err();
    assert!(matches!(other, Error::Security(SecurityError::Claim { claim: "acr", .. })), "{other:?}");
}

#[test]
fn jw_34_jw_35_an_access_token_hash_is_compared_when_it_is_there() {
    use base64::Engine;
    use grantflow_core::crypto::{AwsLc, Crypto, HashAlgorithm};
    let digest = AwsLc.hash(HashAlgorithm::Sha256, b"canary-access");
    let right = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..16]);
    login(request(), json!({ "at_hash": right })).unwrap();
    login(request(), json!({})).unwrap();
    for wrong in [json!("AAAAAAAAAAAAAAAAAAAAAA"), json!(""), json!(5)] {
        let error = login(request(), json!({ "at_hash": wrong })).unwrap_err();
        assert!(matches!(error, Error::Security(SecurityError::Claim { claim: "at_hash", .. })), "{error:?}");
    }
}

#[test]
fn jw_04_without_a_word_about_algorithms_only_rs256_is_taken() {
    let client = Client::builder(discovered(&metadata()).unwrap(), CLIENT_ID).build().unwrap();
    let mut run = waiting(&client, "openid");
    let id_token = Signer::shared().id_token(&run.id_claims());
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
    assert!(matches!(run.come_back().failed(), Error::Security(SecurityError::Algorithm(name)) if name == "ES256"));
    let sent: Vec<_> = run.requests.iter().map(|view| format!("{} {}", view.method, view.url)).collect();
    run.sent(&sent.iter().map(String::as_str).collect::<Vec<_>>());
    let mut run = waiting(&client, "openid");
    let id_token = Signer::shared().jwt(&json!({ "alg": "RS256", "kid": "rsa" }), &run.id_claims());
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
    run.come_back().done();
    run.sent(&[TOKEN, JWKS]);
    let none = builder(json!({})).id_token_algorithms(&[]).build();
    assert_eq!(none.unwrap_err(), Error::Config(ConfigError::Missing("id_token_algorithms")));
}

#[test]
fn jw_06_a_token_that_names_places_of_keys_makes_no_request_there() {
    let stranger = Signer::generate();
    let mut run = waiting(&public(), "openid");
    let header = json!({ "alg": "ES256", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u", "jwk": stranger.ec_jwk("evil") });
    let id_token = stranger.jwt(&header, &run.id_claims());
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), key_set([Signer::shared().ec_jwk("ec")])]);
    let error = run.come_back().failed();
    assert!(matches!(error, Error::Security(SecurityError::Signature | SecurityError::Key(_))), "{error:?}");
    run.sent(&[TOKEN, JWKS]);
}

#[test]
fn jw_43_a_person_is_issuer_and_subject_and_an_address_only_if_verified() {
    let identity = |members: Value| login(request(), members).unwrap();
    let tokens = identity(json!({ "email": "a@as.example", "email_verified": true, "preferred_username": "admin" }));
    let person = tokens.identity().unwrap();
    assert_eq!((person.issuer(), person.subject()), (ISSUER, "alice"));
    assert_eq!(person.email_verified(), EmailVerification::Verified);
    for verified in [json!("true"), json!(1), json!(false), json!(null)] {
        let tokens = identity(json!({ "email": "a@as.example", "email_verified": verified }));
        assert_ne!(tokens.identity().unwrap().email_verified(), EmailVerification::Verified, "{verified}");
    }
}

#[test]
fn jw_45_without_verification_there_is_no_identity() {
    // No openid was asked for, but a token came: it is verified all the same, or the login ends.
    let mut run = waiting(&public(), "read");
    let stranger = Signer::generate().jwt(&json!({ "alg": "ES256", "kid": "ec" }), &id_claims(None));
    run.answer([json(200, &tokens_with(json!({ "id_token": stranger }))), json(200, &Signer::shared().jwks())]);
    assert_eq!(run.come_back().failed(), Error::Security(SecurityError::Signature));
    run.sent(&[TOKEN, JWKS]);
    let mut run = waiting(&public(), "read").answering([json(200, &tokens())]);
    assert!(run.come_back().done().identity().is_none());
    run.sent(&[TOKEN]);
}

/// Refreshes these tokens; the answer has an id_token with these claims, or none.
fn refreshed(client: &Client, tokens: &TokenSet, claims: Option<Value>) -> Result<TokenSet, Error> {
    let mut run = Run::new(Refresh::new(client, RefreshRequest::of(tokens).unwrap()).unwrap());
    let fetches = claims.is_some();
    run.answer(match claims {
        Some(claims) => {
            let id_token = Signer::shared().id_token(&claims);
            vec![json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]
        }
        None => vec![json(200, &tokens_with(json!({})))],
    });
    let end = result(run.start());
    run.sent(if fetches { &[TOKEN, JWKS] } else { &[TOKEN] });
    end
}

#[test]
fn rf_07_a_refreshed_id_token_is_about_the_same_person() {
    let first = login(request(), json!({})).unwrap();
    // A refresh that brings no id_token does not make the person be forgotten.
    let second = refreshed(&public(), &first, None).unwrap();
    assert!(second.identity().is_none());
    for tokens in [&first, &second] {
        let again = refreshed(&public(), tokens, Some(id_claims(None))).unwrap();
        assert_eq!(again.identity().unwrap().subject(), "alice");
        for members in
            [json!({ "sub": "mallory" }), json!({ "iss": "https://evil.example" }), json!({ "aud": "another" })]
        {
            let error = refreshed(&public(), tokens, Some(merged(id_claims(None), members.clone()))).unwrap_err();
            assert!(matches!(error, Error::Security(_)), "{members}: {error:?}");
        }
    }
}

#[test]
fn rf_07_a_refreshed_id_token_about_another_is_refused_while_no_new_keys_can_be_had() {
    let signer = Signer::shared();
    let mut world = World::new();
    let tokens = world.login(signed(signer, "ec"), vec![key_set([signer.ec_jwk("ec")])]).0.unwrap();
    world.pass(400);
    let mut run = Run::new(Refresh::new(&public(), RefreshRequest::of(&tokens).unwrap()).unwrap());
    (run.memory, run.now) = (world.memory, world.now);
    let id_token = signer.id_token(&merged(id_claims(None), json!({ "sub": "mallory" })));
    run.answer([json(200, &tokens_with(json!({ "id_token": id_token })))])
        .answer((0..4).map(|_| lost(Delivery::Unknown, TransportKind::Reset)));
    let error = run.start().failed();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    run.sent(&[TOKEN, JWKS, JWKS, JWKS, JWKS]);
}

#[test]
fn di_18_rf_07_a_tenant_template_needs_a_rule_by_name_and_a_refresh_stays_in_its_tenant() {
    const COMMON: &str = "https://login.example/common/v2.0";
    const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
    const FOUND: &str = "GET https://login.example/common/v2.0/.well-known/openid-configuration";
    let document = |issuer: &str| json(200, &merged(metadata(), json!({ "issuer": issuer })));
    let mut exact = Run::new(Discovery::new(COMMON).unwrap()).answering([document(TEMPLATE)]);
    assert!(matches!(exact.start().failed(), Error::Security(SecurityError::IssuerMismatch { .. })));
    exact.sent(&[FOUND]);
    let elsewhere = [
        "https://evil.example/{tenantid}/v2.0",
        "https://login.example/{tenantid}",
        "https://login.example{tenantid}",
        "{tenantid}",
    ];
    for other in elsewhere {
        let discovery = Discovery::new(COMMON).unwrap().issuer_match(IssuerMatch::TenantTemplate);
        let mut run = Run::new(discovery).answering([document(other)]);
        assert!(matches!(run.start().failed(), Error::Security(SecurityError::IssuerMismatch { .. })), "{other}");
        run.sent(&[FOUND]);
    }
    let discovery = Discovery::new(COMMON).unwrap().issuer_match(IssuerMatch::TenantTemplate);
    let mut run = Run::new(discovery).answering([document(TEMPLATE)]);
    let server = Arc::new(run.start().done());
    run.sent(&[FOUND]);
    let client = |rule| {
        let builder = Client::builder(Arc::clone(&server), CLIENT_ID).issuer_rule(rule);
        builder.id_token_algorithms(&[SignatureAlgorithm::Es256]).build().unwrap()
    };
    let of = |tenant: &str| {
        merged(id_claims(None), json!({ "iss": format!("https://login.example/{tenant}/v2.0"), "tid": tenant }))
    };
    let login = |client: &Client, claims: Value| {
        let mut run = Run::new(AuthorizationCode::new(client, request().scope("openid")).unwrap());
        run.start().waits_for(EffectKind::Redirect);
        let id_token = Signer::shared().id_token(&merged(claims, json!({ "nonce": run.parameter("nonce") })));
        run.answer([json(200, &tokens_with(json!({ "id_token": id_token }))), json(200, &Signer::shared().jwks())]);
        let end = result(run.call_back("code=canary-code&state={state}&iss=https://login.example/{tenantid}/v2.0"));
        run.sent(&[TOKEN, JWKS]);
        end
    };
    assert!(login(&client(IssuerRule::Exact), of("red-1")).is_err());
    let tenants = client(IssuerRule::TenantTemplate);
    assert!(login(&tenants, merged(of("red-1"), json!({ "tid": "blue-2" }))).is_err());
    assert!(login(&tenants, of("red/1")).is_err());
    let tokens = login(&tenants, of("red-1")).unwrap();
    assert_eq!(tokens.identity().unwrap().issuer(), "https://login.example/red-1/v2.0");
    refreshed(&tenants, &tokens, Some(of("red-1"))).unwrap();
    let moved = refreshed(&tenants, &tokens, Some(of("blue-2"))).unwrap_err();
    assert!(matches!(moved, Error::Security(SecurityError::Claim { claim: "iss", .. })), "{moved:?}");
}

#[test]
fn rf_12_rf_17_a_refresh_asks_for_what_was_granted_and_no_more() {
    let mut run = Run::new(
        AuthorizationCode::new(&public(), request().scope("read write").resource("https://api.example")).unwrap(),
    );
    run.start().waits_for(EffectKind::Redirect);
    run.answer([json(200, &tokens_with(json!({ "scope": "read" })))]);
    let granted = run.come_back().done();
    assert_eq!(run.last().field("resource"), Some("https://api.example"));
    run.sent(&[TOKEN]);
    let mut run = Run::new(Refresh::new(&public(), RefreshRequest::of(&granted).unwrap()).unwrap())
        .answering([json(200, &tokens())]);
    let again = run.start().done();
    let asked = run.last().field("scope").map(str::to_owned);
    assert!(asked.is_none() || asked.as_deref() == Some("read"), "{asked:?}");
    assert_eq!(run.last().field("resource"), Some("https://api.example"));
    assert_eq!(again.scope().as_str(), "read", "what was granted is what is in force");
    run.sent(&[TOKEN]);
}

#[test]
fn jw_38_a_key_set_that_is_lost_is_asked_for_again_within_bounds() {
    let mut run = Run::new(Jwks::new(&public()).unwrap())
        .answering((0..4).map(|_| lost(Delivery::Unknown, TransportKind::Reset)));
    assert!(matches!(run.start().failed(), Error::Transport(_)));
    run.sent(&[JWKS; 4]);
}
