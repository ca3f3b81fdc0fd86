//! Tokens that are bound to a key (RFC 9449): keys that are lost, and nonces that many callers share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use grantflow_core::Secret;
use grantflow_core::error::{Advice, Error, LoginNeeded, ProviderError, SendFailure};
use grantflow_core::http::Body;
use grantflow_core::machine::{Outgoing, SignRequest};
use grantflow_core::token::TokenSet;
use grantflow_tokio::Pending;
use serde_json::Value;

use super::rig::{BEGIN, Kept, Rig, Turn, Which, both, settings};
use crate::dpop::bound_client;
use crate::token_response::proving;

/// What holds the keys: it has one, or has lost it.
#[derive(Clone, Copy)]
struct Vault(Result<(), ProviderError>);

impl grantflow_tokio::Signer for Vault {
    fn sign(&self, request: SignRequest) -> Pending<'_, Result<Secret<Vec<u8>>, ProviderError>> {
        let signed = grantflow_blocking::Signer::sign(self, request);
        Box::pin(std::future::ready(signed))
    }
}

impl grantflow_blocking::Signer for Vault {
    fn sign(&self, _: SignRequest) -> Result<Secret<Vec<u8>>, ProviderError> {
        self.0.map(|()| Secret::new(vec![1; 64]))
    }
}

/// A login whose tokens are bound, by a program that has this vault.
fn bound(rig: &Rig, vault: Vault) -> Kept {
    let settings = settings(&proving(), "me");
    let kept = match rig.which {
        Which::Tokio => rig.tokio(grantflow_tokio::TokenHandle::new(rig.tokio_driver().with_signer(vault), settings)),
        Which::Blocking => {
            Kept::Blocking(grantflow_blocking::TokenHandle::new(rig.blocking_driver().with_signer(vault), settings))
        }
    };
    let record = format!(
        r#"{{"access_token":"canary-a0","token_type":"DPoP","refresh_token":"canary-r0","granted_at":{},"expires_at":{}}}"#,
        BEGIN.as_secs(),
        BEGIN.as_secs() + 3600
    );
    kept.adopt(TokenSet::from_record(record.as_bytes(), BEGIN).unwrap()).unwrap();
    kept
}

#[test]
fn dp_11_a_refresh_token_whose_key_is_lost_needs_a_login_and_is_sent_once() {
    both(|rig| {
        // There is a new key, and the refresh token is bound to the old one.
        let kept = bound(rig, Vault(Ok(())));
        rig.time.pass(3600);
        rig.authority.next([Turn::refused("invalid_grant")]);
        for _ in 0..10 {
            assert!(matches!(kept.credential(), Err(Error::LoginNeeded(LoginNeeded::Ended(_)))));
            rig.time.pass(3600);
        }
        assert_eq!(rig.authority.asked(), 1);
    });
    both(|rig| {
        // There is no key: nothing is sent, and nothing is lost, should it come back.
        let kept = bound(rig, Vault(Err(ProviderError::KeyUnavailable)));
        rig.time.pass(3600);
        for _ in 0..10 {
            let error = kept.credential().unwrap_err();
            assert!(matches!(error, Error::Provider(ProviderError::KeyUnavailable)), "{error}");
            assert!(!matches!(error.advice(), Advice::LogInAgain));
        }
        assert_eq!(rig.authority.asked(), 0);
        assert!(rig.shelf.kept("me").unwrap().contains("canary-r0"));
    });
}

/// A server that names a new nonce with every answer, and takes every nonce of its own.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    nonces: u32,
    demands: usize,
    proofs: BTreeSet<String>,
}

impl Counter {
    fn answer(&self, outgoing: &Outgoing) -> http::Response<Body> {
        let proof = outgoing.request.headers()["dpop"].to_str().unwrap();
        let claims: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap()).unwrap();
        let mut seen = self.0.lock().unwrap();
        assert!(seen.proofs.insert(claims["jti"].as_str().unwrap().to_owned()), "a proof is used twice");
        let known = claims["nonce"].as_str().map(|nonce| {
            let number: u32 = nonce.strip_prefix("nonce-").expect("whole, and ours").parse().unwrap();
            assert!((1..=seen.nonces).contains(&number), "a nonce that nobody gave");
        });
        seen.nonces += 1;
        let (status, body) = match known {
            Some(()) => (200, r#"{"access_token":"a","token_type":"DPoP"}"#),
            None => {
                seen.demands += 1;
                (400, r#"{"error":"use_dpop_nonce"}"#)
            }
        };
        let response = http::Response::builder().status(status).header("content-type", "application/json");
        response
            .header("dpop-nonce", format!("nonce-{}", seen.nonces))
            .body(Body::new(body.as_bytes().to_vec()))
            .unwrap()
    }
}

impl grantflow_tokio::HttpClient for Counter {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        let counter = self.clone();
        Box::pin(async move {
            // Others come in between.
            tokio::task::yield_now().await;
            let answer = counter.answer(&outgoing);
            tokio::task::yield_now().await;
            Ok(answer)
        })
    }
}

impl grantflow_blocking::HttpClient for Counter {
    fn send(&self, outgoing: Outgoing) -> Result<http::Response<Body>, SendFailure> {
        Ok(self.answer(&outgoing))
    }
}

#[test]
fn dp_15_callers_who_share_a_memory_of_nonces_are_asked_for_one_at_most_once_each() {
    const CALLERS: usize = 8;
    const ROUNDS: usize = 50;
    let vault = Vault(Ok(()));
    let judge = |counter: &Counter| {
        let seen = counter.0.lock().unwrap();
        assert!((1..=CALLERS).contains(&seen.demands), "{} demands", seen.demands);
        assert_eq!(seen.proofs.len(), CALLERS * ROUNDS + seen.demands);
    };

    let counter = Counter::default();
    let driver = grantflow_tokio::Driver::with_client(counter.clone()).with_signer(vault);
    let client = grantflow_tokio::Client::new(driver, bound_client());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let caller = || {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    client.client_credentials("").await.unwrap();
                }
            })
        };
        for caller in (0..CALLERS).map(|_| caller()).collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    });
    judge(&counter);

    let counter = Counter::default();
    let driver = grantflow_blocking::Driver::with_client(counter.clone()).with_signer(vault);
    let client = grantflow_blocking::Client::new(driver, bound_client());
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    client.client_credentials("").unwrap();
                }
            });
        }
    });
    judge(&counter);
}
