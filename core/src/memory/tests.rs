use core::time::Duration;
use std::sync::Arc;

use super::*;
use crate::error::{Error, KeyFlaw, SecurityError};
use crate::jose::{IdTokenRules, SignatureAlgorithm, VerifyError, verify};
use crate::secret::Secret;
use crate::testing::MarkerCrypto;

const A: &str = "https://a.example";
const B: &str = "https://b.example";

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_750_000_000).plus(Duration::from_secs(secs))
}

/// A set with one key of this name.
fn set(kid: &str) -> JwkSet {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let document = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}]}}"#);
    JwkSet::parse(document.as_bytes(), &MarkerCrypto).unwrap()
}

fn name(keys: Option<Arc<JwkSet>>) -> Option<String> {
    keys?.keys().first()?.kid().map(str::to_owned)
}

/// A token signed, as far as these tests go, by the key of this name.
fn token(issuer: &str, kid: &str) -> Secret {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#).as_bytes());
    let claims = format!(r#"{{"iss":"{issuer}","sub":"s","aud":"c","iat":1750000000,"exp":1759999999}}"#);
    Secret::new(format!("{header}.{}.{}", encode(claims.as_bytes()), encode(MarkerCrypto::SIGNATURE)))
}

/// A server whose keys change, and how often they were fetched.
struct Server {
    kid: Option<&'static str>,
    fetches: usize,
}

impl Server {
    fn fetch(&mut self, memory: &mut Memory, now: Timestamp) {
        self.fetches = self.fetches.saturating_add(1);
        match self.kid {
            Some(kid) => drop(memory.keys_fetched(A, set(kid), now)),
            None => memory.keys_fetch_failed(A, now),
        }
    }

    /// Verifies a token of issuer A as flows do it.
    fn log_in(&mut self, memory: &mut Memory, kid: &str, now: Timestamp) -> Result<(), Error> {
        let mut rules = IdTokenRules::new(A, "c");
        rules.algorithms = &[SignatureAlgorithm::EdDsa];
        let missing = Error::Security(SecurityError::Key(KeyFlaw::NotFound));
        let mut fetched = false;
        if memory.keys(A, now).is_none() && memory.may_fetch_keys(A, now) {
            self.fetch(memory, now);
            fetched = true;
        }
        loop {
            let keys = memory.keys(A, now).ok_or(missing.clone())?;
            match verify(&token(A, kid), &keys, &rules, now, &MarkerCrypto, None) {
                Ok(_) => return Ok(()),
                Err(VerifyError::KeysMissing(_)) if !fetched && memory.may_fetch_keys(A, now) => {
                    self.fetch(memory, now);
                    fetched = true;
                }
                Err(error) => {
                    if fetched {
                        memory.keys_did_not_fit(A, now);
                    }
                    return Err(error.into_error());
                }
            }
        }
    }
}

#[test]
fn jw_36_a_rotated_key_costs_one_refetch() {
    let (mut memory, mut server) = (Memory::new(), Server { kid: Some("old"), fetches: 0 });
    server.log_in(&mut memory, "old", at(0)).unwrap();
    server.kid = Some("new");
    server.log_in(&mut memory, "old", at(4)).unwrap();
    assert_eq!(server.fetches, 1);
    server.log_in(&mut memory, "new", at(5)).unwrap();
    assert_eq!(server.fetches, 2);
    server.log_in(&mut memory, "new", at(6)).unwrap();
    assert_eq!(server.fetches, 2);
}

#[test]
fn jw_36_a_key_that_was_removed_is_refused_once_the_set_is_no_longer_fresh() {
    let (mut memory, mut server) = (Memory::new(), Server { kid: Some("old"), fetches: 0 });
    server.log_in(&mut memory, "old", at(0)).unwrap();
    server.kid = Some("new");
    server.log_in(&mut memory, "old", at(299)).unwrap();
    server.log_in(&mut memory, "old", at(300)).unwrap_err();
    assert_eq!(server.fetches, 2);
}

#[test]
fn jw_37_a_thousand_random_kids_cost_one_fetch_a_minute() {
    let (mut memory, mut server) = (Memory::new(), Server { kid: Some("k"), fetches: 0 });
    server.log_in(&mut memory, "k", at(0)).unwrap();
    for forged in 0..1000 {
        let error = server.log_in(&mut memory, &format!("forged-{forged}"), at(1)).unwrap_err();
        assert_eq!(error, Error::Security(SecurityError::Key(KeyFlaw::NotFound)));
    }
    assert_eq!(server.fetches, 2);
    server.log_in(&mut memory, "forged", at(60)).unwrap_err();
    assert_eq!(server.fetches, 2);
    server.log_in(&mut memory, "forged", at(61)).unwrap_err();
    assert_eq!(server.fetches, 3);
    server.log_in(&mut memory, "k", at(61)).unwrap();
}

#[test]
fn jw_37_random_kids_cost_one_fetch_even_if_nothing_was_known() {
    let (mut memory, mut server) = (Memory::new(), Server { kid: Some("k"), fetches: 0 });
    for forged in 0..1000 {
        server.log_in(&mut memory, &format!("forged-{forged}"), at(1)).unwrap_err();
    }
    assert_eq!(server.fetches, 1);
}

#[test]
fn jw_38_cached_keys_bridge_an_outage_for_an_hour_at_most() {
    let (mut memory, mut server) = (Memory::new(), Server { kid: Some("k"), fetches: 0 });
    server.log_in(&mut memory, "k", at(0)).unwrap();
    server.kid = None;
    server.log_in(&mut memory, "k", at(299)).unwrap();
    assert_eq!(server.fetches, 1);
    server.log_in(&mut memory, "k", at(300)).unwrap();
    server.log_in(&mut memory, "k", at(301)).unwrap();
    assert_eq!(server.fetches, 2);
    server.log_in(&mut memory, "k", at(3599)).unwrap();
    assert_eq!(server.fetches, 3);
    server.log_in(&mut memory, "k", at(3600)).unwrap_err();
    server.kid = Some("k");
    server.log_in(&mut memory, "k", at(3601)).unwrap();
}

#[test]
fn jw_38_the_server_is_asked_again_a_minute_after_a_failure() {
    let mut memory = Memory::new();
    let _ = memory.keys_fetched(A, set("old"), at(0));
    assert!(memory.keys(A, at(300)).is_none() && memory.may_fetch_keys(A, at(300)));
    memory.keys_fetch_failed(A, at(300));
    assert_eq!(name(memory.keys(A, at(359))).as_deref(), Some("old"));
    assert!(!memory.may_fetch_keys(A, at(359)));
    assert!(memory.keys(A, at(360)).is_none() && memory.may_fetch_keys(A, at(360)));
    let _ = memory.keys_fetched(A, set("new"), at(360));
    assert_eq!(name(memory.keys(A, at(361))).as_deref(), Some("new"));
}

#[test]
fn without_any_keys_a_fetch_is_always_allowed() {
    let mut memory = Memory::new();
    assert!(memory.may_fetch_keys(A, at(0)));
    memory.keys_fetch_failed(A, at(0));
    assert!(memory.keys(A, at(1)).is_none() && memory.may_fetch_keys(A, at(1)));
}

#[test]
fn a_failed_refetch_keeps_the_fresh_keys_and_counts() {
    let mut memory = Memory::new();
    let _ = memory.keys_fetched(A, set("k"), at(0));
    memory.keys_fetch_failed(A, at(10));
    assert_eq!(name(memory.keys(A, at(11))).as_deref(), Some("k"));
    assert!(!memory.may_fetch_keys(A, at(69)));
    assert!(memory.may_fetch_keys(A, at(70)));
}

#[test]
fn jw_41_keys_of_one_issuer_never_answer_for_another() {
    let mut memory = Memory::new();
    let _ = memory.keys_fetched(A, set("a"), at(0));
    for other in [B, "https://a.example/", "https://A.example", "https://a.exampl", ""] {
        assert!(memory.keys(other, at(1)).is_none(), "{other}");
        assert!(memory.may_fetch_keys(other, at(1)));
    }
    let _ = memory.keys_fetched(B, set("b"), at(0));
    assert_eq!(name(memory.keys(A, at(1))).as_deref(), Some("a"));
    assert_eq!(name(memory.keys(B, at(1))).as_deref(), Some("b"));
    // One issuer's cooldown is not the other's.
    memory.keys_did_not_fit(A, at(1));
    assert!(!memory.may_fetch_keys(A, at(2)) && memory.may_fetch_keys(B, at(2)));
}

#[test]
fn the_number_of_issuers_is_bounded_and_the_oldest_goes() {
    let mut memory = Memory::new();
    let issuer = |n: usize| format!("https://{n}.example");
    for n in 0..keys::ISSUERS {
        let _ = memory.keys_fetched(&issuer(n), set("k"), at(0));
    }
    let _ = memory.keys_fetched(&issuer(0), set("again"), at(1));
    let _ = memory.keys_fetched(&issuer(1000), set("k"), at(1));
    assert!(memory.keys(&issuer(1), at(2)).is_none());
    for n in (2..keys::ISSUERS).chain([0, 1000]) {
        assert!(memory.keys(&issuer(n), at(2)).is_some(), "{n}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_key_fresh_for_ever() {
    let mut memory = Memory::new();
    let _ = memory.keys_fetched(A, set("k"), at(100_000));
    memory.keys_did_not_fit(A, at(100_000));
    assert!(memory.keys(A, at(0)).is_none());
    assert!(memory.may_fetch_keys(A, at(0)));
    memory.keys_fetch_failed(A, at(100_000));
    assert!(memory.keys(A, at(0)).is_none() && memory.may_fetch_keys(A, at(0)));
    assert!(memory.keys(A, at(0).plus(Duration::MAX)).is_none());
}

#[test]
fn only_what_may_be_a_nonce_is_kept() {
    let longest = "n".repeat(1024);
    for (nonce, kept) in [
        ("!#[]~", true),
        (longest.as_str(), true),
        (&format!("{longest}n"), false),
        ("", false),
        ("a b", false),
        ("a\"b", false),
        ("a\\b", false),
        ("a\u{7f}", false),
        ("\u{e9}", false),
    ] {
        let mut memory = Memory::new();
        memory.keep_nonce("https://as.example", "before");
        memory.keep_nonce("https://as.example", nonce);
        assert_eq!(memory.nonce("https://as.example"), Some(if kept { nonce } else { "before" }), "{nonce}");
    }
}
