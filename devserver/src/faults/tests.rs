//! Each fault is off at first and shows when it is on.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Fault;
use crate::tests::client::*;
use crate::{Config, DevServer};

#[test]
fn every_fault_shows_when_it_is_on_and_only_then() {
    let (server, _) = allowing();
    for &fault in Fault::ALL {
        assert!(!shows(fault, &server), "{fault} shows although it is off");
        server.set_fault(Some(fault));
        assert!(shows(fault, &server), "{fault} does not show");
        server.set_fault(None);
        assert!(!shows(fault, &server), "{fault} lingers");
    }
}

#[test]
fn names_are_stable_kebab_case_unique_and_parse_back() {
    for (at, fault) in Fault::ALL.iter().enumerate() {
        let name = fault.name();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        assert!(Fault::ALL.iter().skip(at).skip(1).all(|other| other.name() != name), "{name}");
        assert_eq!(name.parse(), Ok(*fault));
        assert_eq!(fault.to_string(), name);
        assert!(fault.description().ends_with('.'), "{name}");
    }
    assert!("Issuer-Mismatch".parse::<Fault>().is_err());
    assert_eq!(Fault::IssuerMismatch.conformance_module(), Some("oidcc-client-test-discovery-issuer-mismatch"));
    assert_eq!(Fault::TokenHtml.conformance_module(), None);
}

#[test]
fn several_faults_work_together() {
    let config = Config::default().allowing("alice").with_faults([Fault::IdTokenWrongAud, Fault::IdTokenBadSignature]);
    let (server, _) = started(config);
    let token = id_token(&server);
    assert_eq!(claims_of(&token)["aud"], "demo-app1");
    assert!(!verifies(&server, &token));
}

#[test]
fn spoiled_id_tokens_are_signed_for_all_else() {
    // A fault in the claims must not be caught by the signature.
    let (server, _) = allowing();
    for fault in [Fault::IdTokenWrongNonce, Fault::IdTokenExpired, Fault::IdTokenCrit, Fault::IdTokenSecondaryAud] {
        server.set_fault(Some(fault));
        assert!(verifies(&server, &id_token(&server)), "{fault}");
    }
}

fn login(server: &DevServer) -> Answered {
    redeem(server, &code(server))
}

fn id_token(server: &DevServer) -> String {
    login(server).member("id_token")
}

fn claim(server: &DevServer, name: &str) -> Value {
    let acr = [("acr_values", "mfa")];
    claims_of(&redeem(server, &code_for(server, &acr)).member("id_token"))[name].take()
}

fn header(server: &DevServer, name: &str) -> Value {
    header_of(&id_token(server))[name].take()
}

fn metadata(server: &DevServer) -> Answered {
    get(server, "/.well-known/openid-configuration")
}

fn keys(server: &DevServer) -> Vec<Value> {
    get(server, "/jwks").json()["keys"].as_array().unwrap().clone()
}

fn callback(server: &DevServer, name: &str) -> Vec<String> {
    let parameters = get(server, &authorization(&[])).callback();
    parameters.into_iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect()
}

fn token_member(server: &DevServer, name: &str) -> Value {
    login(server).json()[name].take()
}

fn status_and_wait(answer: &Answered) -> (u16, &str) {
    (answer.status, answer.header("retry-after"))
}

fn refreshed(server: &DevServer, name: &str) -> Value {
    let token = login(server).member("refresh_token");
    claims_of(&refresh(server, &token).member("id_token"))[name].take()
}

fn polled(server: &DevServer) -> Answered {
    poll(server, &start_device(server).member("device_code"))
}

/// A token request over a connection that is read up to `most` bytes.
fn first_bytes(server: &DevServer, most: usize) -> Answered {
    let body = "grant_type=client_credentials&client_id=demo-service&client_secret=demo-secret";
    let request = format!(
        "POST /token HTTP/1.0\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address(),
        body.len()
    );
    exchange(server, &request, most)
}

/// Whether the JWT's signature is a MAC whose secret is the key's PEM text.
fn is_mac_with_public_key(jwt: &str, key: &Value) -> bool {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, crate::keys::pem(der.as_ref()).as_bytes());
    let (input, mac) = jwt.rsplit_once('.').unwrap();
    hmac::verify(&secret, input.as_bytes(), &URL_SAFE_NO_PAD.decode(mac).unwrap()).is_ok()
}

/// The answer to an introspection that demands a signature.
fn introspected(server: &DevServer) -> Answered {
    let token = credentials(server).member("access_token");
    ask_signed(server, &token)
}

/// The header and the claims of that answer; nothing, if it is no JWT.
fn signed(server: &DevServer) -> (Value, Value) {
    let jwt = introspected(server).text();
    if jwt.starts_with('{') { (Value::Null, Value::Null) } else { (header_of(&jwt), claims_of(&jwt)) }
}

/// Whether a client sees the fault.
fn shows(fault: Fault, server: &DevServer) -> bool {
    let past = |seconds: u64| START.as_secs().saturating_sub(seconds);
    let future = |seconds: u64| START.as_secs().saturating_add(seconds);
    let kid_is_published = |jwt: &str| keys(server).iter().any(|key| key["kid"] == header_of(jwt)["kid"]);
    match fault {
        Fault::IssuerMismatch => metadata(server).json()["issuer"] == format!("{}1", server.issuer()),
        Fault::Metadata5xx => metadata(server).status == 503,
        Fault::MetadataHtml => metadata(server).header("content-type").starts_with("text/html"),
        Fault::MetadataHuge => {
            let answer = metadata(server);
            assert_eq!(answer.json()["issuer"], server.issuer(), "it is valid otherwise");
            answer.body.len() > 10 << 20
        }
        Fault::MetadataRedirect => {
            let answer = metadata(server);
            answer.status == 302 && answer.header("location") == server.url("/redirected/metadata")
        }

        Fault::JwksHtml => get(server, "/jwks").header("content-type").starts_with("text/html"),
        Fault::Jwks500 => get(server, "/jwks").status == 500,
        Fault::JwksNoKidMany => {
            let keys = keys(server);
            let of = |kty: &str, crv: &Value| keys.iter().filter(|k| k["kty"] == kty && k["crv"] == *crv).count();
            header(server, "kid").is_null()
                && keys.iter().all(|key| key["kid"].is_null())
                && of("RSA", &Value::Null) == 3
                && of("EC", &json!("P-256")) == 3
                && of("EC", &json!("secp256k1")) == 3
                && of("OKP", &json!("Ed25519")) == 3
        }
        Fault::JwksEmpty => keys(server).is_empty(),
        Fault::JwksDuplicateKids => {
            let keys = keys(server);
            keys.iter().all(|key| keys.iter().filter(|other| other["kid"] == key["kid"]).count() == 2)
        }
        Fault::JwksUseEnc => keys(server).iter().all(|key| key["use"] == "enc"),
        Fault::JwksRsa1024 => keys(server)[0]["n"].as_str().unwrap().len() == 171,
        Fault::JwksSymmetric => keys(server).iter().all(|key| key["kty"] == "oct"),
        Fault::KeysRotateBeforeSigning => {
            let before = keys(server);
            let token = id_token(server);
            assert!(verifies(server, &token));
            before.iter().all(|key| key["kid"] != header_of(&token)["kid"])
        }
        Fault::KeysFlap => {
            let token = id_token(server);
            !kid_is_published(&token) && keys(server)[0]["kid"] != keys(server)[0]["kid"]
        }

        Fault::CallbackIssWrong => callback(server, "iss") == [format!("{}1", server.issuer())],
        Fault::CallbackIssMissing => callback(server, "iss").is_empty(),
        Fault::CallbackStateWrong => {
            callback(server, "state") == ["some-state1"] && callback(server, "code").len() == 1
        }
        Fault::CallbackStateMissing => callback(server, "state").is_empty(),
        Fault::CallbackDuplicateCode => callback(server, "code").len() == 2,
        Fault::CallbackDuplicateState => callback(server, "state") == ["some-state", "some-state"],
        Fault::CallbackCodeAndError => callback(server, "code").len() == 1 && callback(server, "error").len() == 1,
        Fault::CallbackCodeMissing => callback(server, "code").is_empty() && callback(server, "error").is_empty(),
        Fault::CallbackAccessToken => callback(server, "access_token").len() == 1,
        Fault::CallbackErrorWrongState => {
            callback(server, "error") == ["access_denied"]
                && callback(server, "code").is_empty()
                && callback(server, "state") == ["some-state1"]
        }

        Fault::IdTokenBadSignature => {
            let token = id_token(server);
            assert!(kid_is_published(&token));
            !verifies(server, &token)
        }
        Fault::IdTokenAlgNone => header(server, "alg") == "none" && id_token(server).ends_with('.'),
        Fault::IdTokenHs256PublicKey => {
            let token = id_token(server);
            header_of(&token)["alg"] == "HS256" && is_mac_with_public_key(&token, &keys(server)[0])
        }
        Fault::IdTokenExpired => claim(server, "exp") == past(360) && claim(server, "iat") == past(720),
        Fault::IdTokenMissingExp => claim(server, "exp").is_null(),
        Fault::IdTokenStringExp => claim(server, "exp").is_string(),
        Fault::IdTokenWrongAud => claim(server, "aud") == "demo-app1",
        Fault::IdTokenMissingAud => claim(server, "aud").is_null(),
        Fault::IdTokenAudArray => claim(server, "aud") == json!(["demo-app"]),
        Fault::IdTokenSecondaryAud => {
            claim(server, "aud") == json!(["demo-app", "demo-app1"]) && claim(server, "azp").is_null()
        }
        Fault::IdTokenForeignAzp => claim(server, "azp") == "another-client",
        Fault::IdTokenWrongIss => claim(server, "iss") == format!("{}1", server.issuer()),
        Fault::IdTokenMissingIss => claim(server, "iss").is_null(),
        Fault::IdTokenWrongNonce => claim(server, "nonce") == "some-nonce1",
        Fault::IdTokenMissingNonce => claim(server, "nonce").is_null(),
        Fault::IdTokenMissingSub => claim(server, "sub").is_null(),
        Fault::IdTokenEmptySub => claim(server, "sub") == "",
        Fault::IdTokenNumericSub => claim(server, "sub").is_number(),
        Fault::IdTokenMissingIat => claim(server, "iat").is_null(),
        Fault::IdTokenFutureIat => claim(server, "iat") == future(3_600) && claim(server, "exp") == future(7_200),
        Fault::IdTokenBadAtHash => {
            let answer = login(server);
            let right = crate::Algorithm::RS256.half_hash(&answer.member("access_token"));
            let got = claims_of(&answer.member("id_token"))["at_hash"].take();
            got != right && got.as_str().unwrap().len() == right.len()
        }
        Fault::IdTokenMissingAtHash => claim(server, "at_hash").is_null(),
        Fault::IdTokenOldAuthTime => claim(server, "auth_time") == past(86_400),
        Fault::IdTokenMissingAuthTime => claim(server, "auth_time").is_null(),
        Fault::IdTokenWrongAcr => claim(server, "acr") == "urn:example:unasked",
        Fault::IdTokenCrit => header(server, "crit") == json!(["urn:example:critical"]),
        Fault::IdTokenUnencodedPayload => header(server, "b64") == false,
        Fault::IdTokenTypAtJwt => header(server, "typ") == "at+jwt",
        Fault::IdTokenEmbeddedKey => {
            let header = header_of(&id_token(server));
            header["jwk"]["kty"] == "RSA" && header["jku"].is_string() && header["kid"] == "unknown"
        }
        Fault::IdTokenUnknownKid => !kid_is_published(&id_token(server)),
        Fault::IdTokenMissing => token_member(server, "id_token").is_null(),
        Fault::IdTokenGarbled => token_member(server, "id_token") == "not.a-jwt",
        Fault::RefreshIdTokenWrongSub => refreshed(server, "sub") == "alice1" && claim(server, "sub") == "alice",
        Fault::RefreshIdTokenWrongIss => {
            refreshed(server, "iss") == format!("{}1", server.issuer()) && claim(server, "iss") == server.issuer()
        }

        Fault::Token500 => login(server).status == 500,
        Fault::Token503RetryAfter => status_and_wait(&login(server)) == (503, "1"),
        Fault::Token429RetryAfter => status_and_wait(&login(server)) == (429, "1"),
        Fault::Token302 => login(server).header("location") == server.url("/redirected/token"),
        Fault::TokenHtml => login(server).header("content-type").starts_with("text/html"),
        Fault::Token200Error => {
            let answer = login(server);
            answer.status == 200 && answer.json()["error"] == "invalid_grant"
        }
        Fault::TokenSilence => {
            let code = code(server);
            let silent = redeem(server, &code).status == 0;
            server.set_fault(None);
            silent && redeem(server, &code).status == 200
        }
        Fault::TokenLost => {
            let code = code(server);
            let silent = redeem(server, &code).status == 0;
            server.set_fault(None);
            silent && redeem(server, &code).member("error") == "invalid_grant"
        }
        Fault::TokenTruncated => {
            let answer = login(server);
            answer.status == 200 && !answer.is_whole() && !answer.body.is_empty()
        }
        Fault::TokenEndlessBody => {
            let most = 20 << 20;
            first_bytes(server, most).body.len() > most / 2
        }
        Fault::TokenSlowDrip => {
            let answer = first_bytes(server, 1);
            answer.status == 200 && answer.header("content-length").is_empty() && answer.body.len() < 10
        }
        Fault::TokenFormBody => {
            let answer = login(server);
            answer.header("content-type") == "application/x-www-form-urlencoded"
                && answer.text().starts_with("access_token=")
        }
        Fault::TokenDuplicateMember => login(server).text().matches("\"access_token\"").count() == 2,
        Fault::TokenTrailingBytes => login(server).text().ends_with("}{}"),
        Fault::TokenByteOrderMark => login(server).body.starts_with(&[0xef, 0xbb, 0xbf]),
        Fault::TokenAndError => {
            let answer = login(server).json();
            answer["error"].is_string() && answer["access_token"].is_string()
        }
        Fault::TokenMissing => token_member(server, "access_token").is_null(),
        Fault::TokenControlCharacter => login(server).member("access_token").contains("\r\n"),
        Fault::TokenTypeMissing => token_member(server, "token_type").is_null(),
        Fault::TokenTypeMac => token_member(server, "token_type") == "mac",
        Fault::TokenTypeInvertedCase => token_member(server, "token_type") == "bEARER",
        Fault::ExpiresInString => token_member(server, "expires_in") == "3600",
        Fault::ExpiresInFloat => token_member(server, "expires_in") == 3_599.5,
        Fault::ExpiresInNull => login(server).text().contains("\"expires_in\":null"),
        Fault::ExpiresInNegative => token_member(server, "expires_in") == -1,
        Fault::ExpiresInHuge => token_member(server, "expires_in") == u64::MAX,
        Fault::ExpiresInMissing => !login(server).text().contains("expires_in"),
        Fault::RefreshTokenEmpty => token_member(server, "refresh_token") == "",
        Fault::ScopeWider => token_member(server, "scope") == "openid profile admin",

        Fault::UserinfoWrongSub => {
            let token = login(server).member("access_token");
            bearer(server, "GET", "/userinfo", &token).member("sub") == "alice1"
        }

        Fault::DeviceIntervalZero => start_device(server).json()["interval"] == 0,
        Fault::DeviceIntervalString => start_device(server).json()["interval"] == "5",
        Fault::DeviceIntervalMissing => start_device(server).json()["interval"].is_null(),
        Fault::DeviceVerificationUrl => {
            let answer = start_device(server).json();
            answer["verification_uri"].is_null() && answer["verification_url"] == server.url("/device")
        }
        Fault::DeviceJavascriptUri => start_device(server).member("verification_uri").starts_with("javascript:"),
        Fault::Device503RetryAfter => status_and_wait(&polled(server)) == (503, "1"),
        Fault::DeviceSlowDownForever => polled(server).json()["error"] == "slow_down",

        Fault::IntrospectionWrongAud => signed(server).1["aud"] == "demo-service1",
        Fault::IntrospectionWrongIss => signed(server).1["iss"] == format!("{}1", server.issuer()),
        Fault::IntrospectionTypJwt => signed(server).0["typ"] == "JWT",
        Fault::IntrospectionAlgNone => signed(server).0["alg"] == "none",
        Fault::IntrospectionBadSignature => {
            let jwt = introspected(server).text();
            !jwt.starts_with('{') && !verifies(server, &jwt)
        }
        Fault::IntrospectionTopLevel => {
            let claims = signed(server).1;
            claims["active"] == true && claims["token_introspection"].is_null()
        }
        Fault::IntrospectionText => signed(server).1["token_introspection"].is_string(),
        Fault::IntrospectionUnsigned => introspected(server).header("content-type") == "application/json",

        Fault::Revocation503 => {
            let answer = post(server, "/revoke", &[("client_id", "demo-app"), ("token", "t")]);
            status_and_wait(&answer) == (503, "1")
        }
    }
}
