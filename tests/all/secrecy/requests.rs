//! What the other stories do not have: keys, passwords, tokens without a life, proofs, assertions, and a store on disk. Both
//! drivers send them over sockets.

use std::sync::Arc;

use grantflow_core::Secret;
use grantflow_core::client::{Authentication, Client};
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::ProviderError;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::{Event, SignRequest};
use grantflow_core::manager::{Charset, Placement};
use grantflow_core::resource::Audience;
use grantflow_core::store::{Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_devserver::Config;
use grantflow_stores::{FileStore, Store};
use grantflow_tokio::Pending;
use http::HeaderName;

use super::{hear_debug, hear_failure, keep, outcome};
use crate::runners::{ByHand, Runner, Traveller, World};
use crate::scripted::Signer;
use crate::token_response::proof_key;

const KEY: &str = "canary/api-key+4711";
const PASSWORD: &str = "canary/password+4711";
const BARE: &str = "canary-bare-token-4711";

/// The key of assertions and proofs.
struct Signing;

impl grantflow_blocking::Signer for Signing {
    fn sign(&self, request: SignRequest) -> Result<Secret<Vec<u8>>, ProviderError> {
        hear_debug(&request);
        Ok(Secret::new(Signer::shared().sign(SignatureAlgorithm::Es256, request.message.expose())))
    }
}

impl grantflow_tokio::Signer for Signing {
    fn sign(&self, request: SignRequest) -> Pending<'_, Result<Secret<Vec<u8>>, ProviderError>> {
        Box::pin(std::future::ready(grantflow_blocking::Signer::sign(self, request)))
    }
}

/// The same calls for both drivers; `$run` waits for what they give.
macro_rules! with_driver {
    ($driver:ident, $run:expr, $world:expr, $clients:expr) => {{
        let driver = $driver::Driver::new()
            .with_clock($world.clock.clone())
            .with_signer(Signing)
            .with_observer(Arc::new(std::sync::Mutex::new($world.ears.clone())));
        let base = $world.server.url("/api/");
        let audience = Audience::only(&base).unwrap().dangerous_allow_loopback_http();
        let header = HeaderName::from_static("x-api-key");
        let fixed = [
            $driver::Fixed::api_key(header, &Secret::from(KEY)).unwrap(),
            $driver::Fixed::basic("alice", &Secret::from(PASSWORD), Charset::Utf8).unwrap(),
            $driver::Fixed::bare(&Secret::from(BARE), &Placement::default()).unwrap(),
        ];
        for fixed in fixed {
            hear_debug(&fixed);
            let api = $driver::Api::new(driver.clone(), Arc::new(fixed), audience.clone());
            let _ = outcome($run(api.get("me")));
            hear_debug(&api);
        }
        for client in $clients {
            let client = $driver::Client::new(driver.clone(), client.clone());
            let _ = outcome($run(client.client_credentials("read")));
            hear_debug(&client);
        }
        hear_debug(&driver);
    }};
}

#[test]
fn what_is_sent_as_key_password_token_proof_and_assertion() {
    let world = World::new(Config::default(), None, None);
    for (kind, secret) in [("api_key", KEY), ("password", PASSWORD), ("access_token", BARE)] {
        keep(kind, secret);
    }
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let found = ByHand::new(&world).run(&mut discovery, Event::Start, &mut Traveller::new(&world));
    let metadata = Arc::new(found.unwrap());
    let client = |authentication| Client::builder(metadata.clone(), "demo-service").authentication(authentication);
    let secret = || Authentication::SecretBasic(Secret::from("demo-secret"));
    let assertion =
        || Authentication::SignedAssertion { key_id: "key".to_owned(), algorithm: SignatureAlgorithm::Es256 };
    let clients = [
        client(assertion()).proof_key(proof_key()).build().unwrap(),
        client(secret()).proof_key(proof_key()).build().unwrap(),
        client(secret()).proof_key(proof_key()).dangerous_accept_bearer_for_proof().build().unwrap(),
    ];
    clients.iter().for_each(hear_debug);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    with_driver!(grantflow_tokio, |work| runtime.block_on(work), world, &clients);
    with_driver!(grantflow_blocking, |done| done, world, &clients);
    // All of it has been sent: three requests and three for tokens, with each driver.
    let log = world.server.log();
    assert_eq!(log.iter().filter(|entry| entry.path == "/api/me").count(), 6, "{log:#?}");
    assert_eq!(log.iter().filter(|entry| entry.path == "/token").count(), 6, "{log:#?}");
}

#[test]
fn what_is_kept_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let store = FileStore::at(&path);
    let key = StoreKey::new(&crate::token_response::proving(), "me").unwrap();
    keep("refresh_token", "canary-r-kept-in-a-file");
    let record = br#"{"access_token":"canary-a-kept-in-a-file","token_type":"Bearer","refresh_token":"canary-r-kept-in-a-file"}"#;
    let stored = || Stored { version: Version::from_u64(1), bytes: Secret::new(record.to_vec()) };
    let write = StoreWrite { key: key.clone(), expected: Expected::Anything, stored: stored() };
    hear_debug(&write);
    hear_debug(&store.save(write).unwrap());
    hear_debug(&store.load(&key).unwrap());
    let conflict = StoreWrite { key: key.clone(), expected: Expected::Version(Version::from_u64(7)), stored: stored() };
    hear_debug(&store.save(conflict));
    hear_debug(&(&store, &key));
    let whole = std::fs::read_to_string(&path).unwrap();
    let mut refused = 0;
    for damaged in [whole.replace("\"canary", "canary"), whole[..whole.len() / 2].to_owned(), whole.replace(':', "")] {
        std::fs::write(&path, damaged).unwrap();
        let loaded = store.load(&key);
        hear_debug(&loaded);
        if let Err(error) = loaded {
            hear_failure(&error);
            refused += 1;
        }
    }
    assert!(refused >= 2, "what is damaged is told as an error");
}
