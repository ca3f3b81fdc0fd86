//! What a server answers: tokens, device codes, metadata, keys, id_tokens.

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde_json::Value as Reference;

use super::{Answer, NOW, is_safe, is_within, judge_error, with_hidden_changed};
use crate::crypto::Crypto;
use crate::endpoint::Discovery;
use crate::error::{Endpoint, Error};
use crate::http::{Body, Reach, UrlPolicy, is_public};
use crate::jose::{
    Binding, IdTokenRules, IssuerRule, JwkSet, NonceRule, Requirement, SignatureAlgorithm, VerifiedIdToken,
    VerifyError, verify,
};
use crate::machine::{Check, Context, Effect, Event, Machine, Observer, Step};
use crate::memory::Memory;
use crate::secret::Secret;
use crate::server::{IssuerMatch, ServerMetadata};
use crate::testing::stimuli::{CLIENT_ID, ISSUER, KEYS};
use crate::testing::{CountingRandom, MarkerCrypto};
use crate::token::answer::{self, Expectation, IdToken, LONGEST_LIFETIME, MAX_TOKEN, Proof, Separator, WiderScope};
use crate::token::{Leniency, Scopes, TokenSet, TokenType, device};

/// The members whose strings decide something, or are shown to engineers. All others are hidden.
const SHOWN: &[&str] = &[
    "code",
    "correlation_id",
    "detail",
    "error",
    "error_code",
    "error_codes",
    "error_description",
    "error_uri",
    "expires_in",
    "interval",
    "message",
    "msg",
    "reason",
    "scope",
    "status",
    "suberror",
    "timestamp",
    "title",
    "token_type",
    "trace_id",
    "type",
    "verification_uri",
    "verification_uri_complete",
    "verification_url",
];

/// The claims that are compared with something, and so are shown or decide.
const SHOWN_CLAIMS: &[&str] = &["acr", "at_hash", "aud", "auth_time", "azp", "exp", "iat", "iss", "nbf", "tid"];

/// An accepted access token has 1 byte to 64 KiB of visible ASCII and spaces, and is the one in the answer; lifetimes are
/// bounded; what was asked for is enforced; what is accepted can be stored; what is accepted strictly is accepted in the same sense otherwise; no text
/// depends on a hidden value.
pub fn token_reply(input: &[u8]) {
    let answer = Answer::read(input);
    let requested = Scopes::parse("read write").unwrap_or_default();
    let named = ["mac".to_owned()];
    let expectations = [
        Expectation::default(),
        Expectation { leniency: Leniency::Strict, ..Expectation::default() },
        Expectation {
            proof: Proof::Sent,
            id_token: IdToken::Required,
            wider_scope: WiderScope::Refused,
            requested: &requested,
            ..Expectation::default()
        },
        Expectation {
            proof: Proof::SentBearerAllowed,
            token_types: &named,
            separator: Separator::SpaceOrComma,
            requested: &requested,
            ..Expectation::default()
        },
    ];
    let response = answer.response();
    let changed = answer.with_hidden_changed(SHOWN);
    let results = expectations.map(|expect| {
        let read = |response: &Response<Body>| answer::parse(response, &expect, NOW, Endpoint::Token);
        let result = read(&response);
        if let Ok(tokens) = &result {
            judge_tokens(tokens, &expect, &answer);
        }
        let said = said_of(&result);
        if let Some(changed) = &changed {
            assert_eq!(said, said_of(&read(changed)), "a hidden value is seen");
        }
        result
    });
    let [Ok(compat), Ok(strict), ..] = results else {
        assert!(!matches!(results, [Err(_), Ok(_), ..]), "only strictly accepted");
        return;
    };
    assert_eq!(compat.access_token().expose(), strict.access_token().expose());
    assert_eq!(compat.expires_at(), strict.expires_at());
    assert_eq!(compat.scope(), strict.scope());
}

fn said_of(result: &Result<TokenSet, Error>) -> String {
    match result {
        Ok(tokens) => format!("{tokens:?}"),
        Err(error) => judge_error(error),
    }
}

fn judge_tokens(tokens: &TokenSet, expect: &Expectation<'_>, answer: &Answer) {
    assert!(answer.status.is_success());
    let access_token = tokens.access_token().expose();
    assert!(!access_token.is_empty() && is_token(access_token));
    for optional in [tokens.refresh_token(), tokens.id_token()].into_iter().flatten() {
        assert!(!optional.expose().is_empty() && is_token(optional.expose()));
    }
    assert!(tokens.expires_at().is_none_or(|end| is_within(end, LONGEST_LIFETIME)));
    let _ = (tokens.is_fresh(NOW), tokens.is_expired(NOW));
    super::record::judge_stored(tokens);
    match expect.proof {
        Proof::NotSent => assert_ne!(*tokens.token_type(), TokenType::Dpop),
        Proof::Sent => assert_eq!(*tokens.token_type(), TokenType::Dpop),
        Proof::SentBearerAllowed => {}
    }
    if let TokenType::Other(name) = tokens.token_type() {
        assert!(expect.token_types.contains(name));
    }
    assert!(expect.id_token == IdToken::Optional || tokens.id_token().is_some());
    assert!(expect.wider_scope == WiderScope::Surfaced || !tokens.is_exceeded());
    if let Some(reference) = reference(answer) {
        assert_eq!(reference["access_token"].as_str(), Some(access_token.as_str()));
        assert!(reference["error"].as_str().is_none_or(str::is_empty), "a refusal is taken for tokens");
        let refresh_token = reference["refresh_token"].as_str().filter(|token| !token.is_empty());
        assert_eq!(tokens.refresh_token().map(|token| token.expose().as_str()), refresh_token);
        if let Some(seconds) = reference["expires_in"].as_u64() {
            let end = NOW.plus(Duration::from_secs(seconds).min(LONGEST_LIFETIME));
            assert_eq!(tokens.expires_at(), Some(end));
        }
    }
}

/// The body as another library reads it.
fn reference(answer: &Answer) -> Option<Reference> {
    let body = answer.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&answer.body);
    serde_json::from_slice(body).ok()
}

fn is_token(text: &str) -> bool {
    text.len() <= MAX_TOKEN && text.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

/// The interval is 1 to 300 s, the codes live at most a day, pages to open are `https` or loopback and of one origin,
/// texts for people are bounded and without control characters; no text depends on a hidden value.
pub fn device_reply(input: &[u8]) {
    let answer = Answer::read(input);
    let response = answer.response();
    let changed = answer.with_hidden_changed(SHOWN);
    let [compat, strict] = [Leniency::Compat, Leniency::Strict].map(|leniency| {
        let result = device::parse(&response, leniency, NOW);
        let said = match &result {
            Ok(authorization) => judge_device(authorization),
            Err(error) => judge_error(error),
        };
        if let Some(changed) = &changed {
            let other = match device::parse(changed, leniency, NOW) {
                Ok(authorization) => judge_device(&authorization),
                Err(error) => judge_error(&error),
            };
            assert_eq!(said, other, "a hidden value is seen");
        }
        result
    });
    if let Ok(strict) = strict {
        let Ok(compat) = compat else { panic!("only strictly accepted") };
        assert_eq!(compat.device_code.expose(), strict.device_code.expose());
        assert_eq!((compat.interval, compat.expires_at), (strict.interval, strict.expires_at));
    }
}

fn judge_device(authorization: &device::DeviceAuthorization) -> String {
    let device::DeviceAuthorization { device_code, user_code, verification_uri, openable, complete, .. } =
        authorization;
    assert!(!device_code.expose().is_empty() && is_token(device_code.expose()));
    assert!(!user_code.expose().is_empty() && is_safe(user_code.expose()) && is_safe(verification_uri));
    assert!((Duration::from_secs(1)..=Duration::from_secs(300)).contains(&authorization.interval));
    assert!(authorization.expires_at > NOW && is_within(authorization.expires_at, Duration::from_secs(86_400)));
    for url in openable.iter().chain(complete) {
        let mut page = url.clone();
        page.set_fragment(None);
        assert_eq!(UrlPolicy::default().check(&page), Ok(()), "{url}");
    }
    if let Some(complete) = complete {
        assert_eq!(openable.as_ref().map(url::Url::origin), Some(complete.origin()));
    }
    format!("{authorization:?}")
}

/// Discovery ends, asks nobody but the issuer's own origin, accepts exactly this issuer, and every endpoint is at the
/// issuer's host or public, in the eyes of both URL parsers.
pub fn metadata(input: &[u8]) {
    let answer = Answer::read(input);
    let tenant = format!("{ISSUER}/tenant");
    for issuer in [ISSUER, &tenant] {
        let strict = Discovery::new(issuer);
        let lax = Discovery::new(issuer);
        let lax = lax.map(|machine| machine.follow_same_origin().issuer_match(IssuerMatch::TrailingSlash));
        for (machine, is_strict) in [(strict, true), (lax, false)] {
            match discover(machine.expect("the issuer is a good one"), &answer) {
                Ok(metadata) => {
                    let found = metadata.issuer();
                    assert!(if is_strict { found == issuer } else { found.trim_end_matches('/') == issuer }, "{found}");
                    judge_endpoints(&metadata);
                }
                Err(error) => drop(judge_error(&error)),
            }
        }
    }
}

fn discover(mut machine: Discovery, answer: &Answer) -> Result<ServerMetadata, Error> {
    let (mut now, mut random, mut memory) = (NOW, CountingRandom::default(), Memory::new());
    let mut event = Event::Start;
    // Up to three places, three redirects and three retries each.
    for _ in 0..32 {
        let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
        match machine.handle(event, &mut cx)? {
            Step::Done(metadata) => return Ok(metadata),
            Step::Do(Effect::Send(outgoing)) => {
                let uri = outgoing.request.uri();
                assert_eq!((uri.scheme_str(), uri.host(), uri.port()), (Some("https"), Some("as.example"), None));
                assert!(outgoing.request.headers().get("authorization").is_none());
                event = Event::Response(answer.response());
            }
            Step::Do(Effect::Sleep { until }) => {
                assert!(until > now);
                now = until;
                event = Event::Elapsed;
            }
            Step::Do(effect) => panic!("{effect:?} in discovery"),
        }
    }
    panic!("discovery does not end")
}

fn judge_endpoints(metadata: &ServerMetadata) {
    let endpoints = [
        Endpoint::Authorization,
        Endpoint::Token,
        Endpoint::DeviceAuthorization,
        Endpoint::UserInfo,
        Endpoint::Introspection,
        Endpoint::Revocation,
        Endpoint::Keys,
    ];
    for endpoint in endpoints {
        let Ok(found) = metadata.endpoint(endpoint) else { continue };
        assert_eq!(metadata.policy().check(&found.url), Ok(()));
        let host = found.url.host_str().unwrap_or_default();
        assert_eq!(found.uri.host(), Some(host), "two parsers see two hosts");
        match found.reach {
            Reach::Any => assert_eq!(host.trim_end_matches('.'), "as.example"),
            Reach::Public => match found.url.host() {
                Some(url::Host::Ipv4(address)) => assert!(is_public(address.into())),
                Some(url::Host::Ipv6(address)) => assert!(is_public(address.into())),
                Some(url::Host::Domain(_)) => {}
                None => panic!("no host"),
            },
        }
    }
}

/// At most 100 keys are used; every key of the document is used or skipped for a reason; no private and no symmetric key
/// is used; all providers see the same keys.
pub fn jwks(input: &[u8]) {
    let mut counts = Vec::new();
    for crypto in providers() {
        let Ok(set) = JwkSet::parse(input, crypto) else { continue };
        let (used, skipped) = (set.keys(), set.skipped());
        assert!(input.len() <= JwkSet::MAX_BYTES && used.len() <= JwkSet::MAX_KEYS);
        assert!(used.len().saturating_add(skipped.len()) <= JwkSet::MAX_KEYS.saturating_add(1));
        assert_eq!(set.is_empty(), used.iter().all(|key| key.flaw().is_some()));
        assert!(skipped.iter().all(|key| key.kid.as_deref().is_none_or(is_safe)));
        for key in used {
            assert!(key.algorithm().is_none_or(|algorithm| algorithm.key_type() == key.key_type()));
        }
        if let Ok(reference) = serde_json::from_slice::<Reference>(input) {
            let document = reference["keys"].as_array().map_or(&[][..], Vec::as_slice);
            let all = document.len().min(JwkSet::MAX_KEYS.saturating_add(1));
            assert_eq!(used.len().saturating_add(skipped.len()), all);
            let usable = document.iter().filter(|key| is_public_key(key)).count();
            assert!(used.len() <= usable, "a key is used that must not be");
        }
        let names: Vec<_> = used.iter().map(|key| (key.kid().map(str::to_owned), key.key_type())).collect();
        counts.push((names, skipped.to_vec()));
    }
    assert!(counts.windows(2).all(|pair| pair[0] == pair[1]));
}

fn is_public_key(key: &Reference) -> bool {
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP")) && private.iter().all(|member| key.get(member).is_none())
}

/// Those that are compiled in, which do real work with the keys, and the one for testing.
fn providers() -> Vec<&'static dyn Crypto> {
    vec![
        &MarkerCrypto,
        #[cfg(feature = "aws-lc-rs")]
        &crate::crypto::AwsLc,
        #[cfg(feature = "rust-crypto")]
        &crate::crypto::RustCrypto,
    ]
}

/// An accepted token has the marker for a signature, this issuer, this client in `aud` and as `azp`, a `sub` of 1 to 255
/// bytes, is in its time and has the nonce; no text and no check depends on a hidden claim.
///
/// An input with a line break is a header and claims, to be signed with the marker; any other is a token.
pub fn id_token(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parts = text.split_once('\n');
    let token = Secret::new(parts.map_or_else(|| text.clone().into_owned(), |(header, claims)| signed(header, claims)));
    let keys = JwkSet::parse(every_type_of_key().as_bytes(), &MarkerCrypto).expect("the keys can be read");
    let [nonce, access_token] = ["n-0S6_WzA2Mj", "an-access-token"].map(Secret::from);
    let trusted = ["another".to_owned()];
    let acr = ["urn:example:silver".to_owned()];
    let template = format!("{ISSUER}/{{tenantid}}/v2.0");
    let mut strict = IdTokenRules::new(ISSUER, CLIENT_ID);
    let mut demanding = strict;
    demanding.algorithms = &SignatureAlgorithm::ALL;
    demanding.nonce = NonceRule::Equal(&nonce);
    demanding.max_age = Some(Duration::from_secs(3600));
    demanding.acr_values = &acr;
    demanding.access_token = Some(Binding { secret: &access_token, requirement: Requirement::Required });
    let mut lax = IdTokenRules::new(&template, CLIENT_ID);
    lax.issuer_rule = IssuerRule::TenantTemplate;
    lax.algorithms = &SignatureAlgorithm::ALL;
    lax.trusted_audiences = &trusted;
    lax.nonce = NonceRule::Unchecked;
    lax.skew = Duration::from_secs(300);
    strict.max_issued_age = Some(Duration::from_secs(86_400));
    strict.access_token = Some(Binding { secret: &access_token, requirement: Requirement::Optional });
    for rules in [strict, demanding, lax] {
        let (result, said) = verified(&token, &keys, &rules);
        if let Ok(verified) = &result {
            judge_identity(verified, &rules, &token);
        }
        // The right nonce is one that must not be changed.
        let demands = matches!(rules.nonce, NonceRule::Equal(_));
        let changed = parts.filter(|_| !demands).and_then(|(header, claims)| {
            let changed = with_hidden_changed(claims.as_bytes(), SHOWN_CLAIMS)?;
            Some(signed(header, &String::from_utf8(changed).ok()?))
        });
        if let Some(changed) = changed {
            let (_, other) = verified(&Secret::new(changed), &keys, &rules);
            assert_eq!(said, other, "a hidden claim is seen");
        }
    }
}

fn signed(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(MarkerCrypto::SIGNATURE))
}

fn every_type_of_key() -> String {
    let number = "A".repeat(43);
    let rsa = KEYS.strip_suffix("]}").unwrap_or_default();
    format!(
        r#"{rsa},{{"kty":"EC","crv":"P-256","kid":"2","x":"{number}","y":"{number}"}},{{"kty":"OKP","crv":"Ed25519","kid":"3","x":"{number}"}}]}}"#
    )
}

/// Verifies a token, and gives all that is said about it.
fn verified(token: &Secret, keys: &JwkSet, rules: &IdTokenRules<'_>) -> (Result<VerifiedIdToken, VerifyError>, String) {
    let mut watching = Watching::default();
    let result = verify(token, keys, rules, NOW, &MarkerCrypto, Some(&mut watching));
    assert_eq!(watching.failed, u32::from(watching.failed > 0), "nothing is checked after a check has failed");
    assert!(result.is_err() || watching.failed == 0, "accepted although a check has failed");
    let said = match &result {
        Ok(verified) => format!("{verified:?}"),
        Err(error) => judge_error(&error.clone().into_error()),
    };
    (result, format!("{}{said}", watching.said))
}

#[derive(Default)]
struct Watching {
    said: String,
    failed: u32,
}

impl Observer for Watching {
    fn check(&mut self, check: &Check<'_>) {
        let Check { name, expected, found, passed } = check;
        assert!(is_safe(found), "{found:?}");
        self.failed = self.failed.saturating_add(u32::from(!passed));
        self.said.push_str(&format!("{name}: {expected} {found} {passed}\n"));
    }
}

fn judge_identity(verified: &VerifiedIdToken, rules: &IdTokenRules<'_>, token: &Secret) {
    let skew = rules.skew;
    assert!((1..=255).contains(&verified.subject().len()));
    assert!(verified.expires_at().plus(skew) > NOW && verified.issued_at() <= NOW.plus(skew));
    assert!(verified.audience().any(|audience| audience == CLIENT_ID));
    assert!(rules.algorithms.contains(&verified.algorithm()));
    let _ = (verified.email(), verified.email_verified(), verified.auth_time(), verified.amr().count());
    let parts: Vec<_> = token.expose().split('.').collect();
    let [_, claims, signature] = parts[..] else { panic!("a token of other than three parts") };
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).as_deref(), Ok(MarkerCrypto::SIGNATURE));
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let Ok(claims) = serde_json::from_slice::<Reference>(&claims) else { return };
    assert_eq!(claims["iss"].as_str(), Some(verified.issuer()));
    assert_eq!(claims["sub"].as_str(), Some(verified.subject()));
    assert!(claims.get("azp").is_none_or(|azp| azp == CLIENT_ID));
    match rules.issuer_rule {
        IssuerRule::Exact => assert_eq!(verified.issuer(), rules.issuer),
        IssuerRule::TrailingSlash => {}
        IssuerRule::TenantTemplate => {
            let tenant = claims["tid"].as_str().unwrap_or_default();
            assert_eq!(verified.issuer(), rules.issuer.replace("{tenantid}", tenant));
        }
    }
    match rules.nonce {
        NonceRule::Absent => assert!(claims.get("nonce").is_none()),
        NonceRule::Equal(nonce) => assert_eq!(claims["nonce"].as_str(), Some(nonce.expose().as_str())),
        NonceRule::Unchecked => {}
    }
    if let Some(age) = rules.max_age {
        let auth_time = claims["auth_time"].as_f64().expect("a login whose time is not known");
        let earliest = NOW.minus(age).minus(skew).as_secs();
        assert!(verified.auth_time().is_some_and(|time| time.as_secs() >= earliest), "{auth_time}");
    }
}
