//! Tokens that are bound to a key (RFC 9449), and keys that are lost.

use grantflow_core::client::{Client, ProofKey};
use grantflow_core::error::{Error, LoginNeeded, ProviderError};
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::testing::specimens::{public, server};
use grantflow_core::token::TokenSet;

use super::rig::{BEGIN, Turn, both, settings};

fn proving() -> Client {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    let key = ProofKey::new("key", SignatureAlgorithm::Es256, jwk).unwrap();
    Client::builder(server(), public().client_id()).proof_key(key).build().unwrap()
}

fn bound() -> TokenSet {
    let end = BEGIN.as_secs() + 3600;
    let record = format!(
        r#"{{"access_token":"canary-a0","token_type":"DPoP","refresh_token":"canary-r0","granted_at":{},"expires_at":{end}}}"#,
        BEGIN.as_secs()
    );
    TokenSet::from_record(record.as_bytes(), BEGIN).unwrap()
}

/// Whoever has another key now has to log in; whoever cannot sign just now has lost nothing.
#[test]
fn dp_11_a_bound_refresh_token_without_its_key_is_a_login_and_no_loop() {
    both(|rig| {
        let kept = rig.handle(settings(&proving(), "me"));
        kept.adopt(bound()).unwrap();
        let before = rig.shelf.kept("me");
        rig.time.pass(3600);
        for _ in 0..3 {
            // The key is out of reach: nothing is sent, and nothing is over.
            assert_eq!(kept.credential().unwrap_err(), Error::Provider(ProviderError::KeyUnavailable));
        }
        assert_eq!((rig.authority.asked(), rig.shelf.kept("me")), (0, before));
        // It is lost, and there is another one: the server refuses, once, and then nobody asks any more.
        let kept = rig.signing(settings(&proving(), "me"));
        rig.authority.next([Turn::refused("invalid_grant")]);
        for _ in 0..5 {
            let error = kept.credential().unwrap_err();
            assert!(matches!(error, Error::LoginNeeded(LoginNeeded::Ended(_))), "{error:?}");
            rig.time.pass(600);
        }
        assert_eq!(rig.authority.asked(), 1);
    });
}
