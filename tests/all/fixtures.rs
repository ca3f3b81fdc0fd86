//! Snapshots that were written by earlier versions load for ever. Add a file for each new form; never change one.

use grantflow_core::error::{ConfigError, Error};
use grantflow_core::grant::{AuthorizationCode, Device};
use grantflow_core::machine::{Context, Effect, Event, Machine, Step};
use grantflow_core::memory::Memory;
use grantflow_core::testing::specimens::public;
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::{Snapshot, Timestamp};

fn stored(bytes: &[u8]) -> Snapshot {
    Snapshot::from_bytes(bytes.to_vec())
}

fn resumed<M: Machine>(mut machine: M) -> Effect {
    let (mut random, mut memory) = (CountingRandom::default(), Memory::new());
    let now = Timestamp::from_secs(1_800_000_001);
    let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
    match machine.handle(Event::Resume, &mut cx) {
        Ok(Step::Do(effect)) => effect,
        Ok(Step::Done(_)) => panic!("a resting flow that is complete"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_first_form_of_a_stored_authorization_code_flow_loads() {
    let bytes = include_bytes!("../fixtures/authorization-code-1.json");
    let Effect::Redirect(redirect) = resumed(AuthorizationCode::restore(&public(), stored(bytes)).unwrap()) else {
        panic!("a flow that waits for its callback wants nothing else")
    };
    let query: Vec<(String, String)> = redirect.url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("client_id", "client"),
        ("redirect_uri", "https://app.example/callback"),
        ("scope", "openid email"),
        ("state", "c3RhdGVzdGF0ZXN0YXRlc3RhdGVzdGF0ZXN0YXRlc3Q"),
        ("nonce", "bm9uY2Vub25jZW5vbmNlbm9uY2Vub25jZW5vbmNlbm8"),
        ("max_age", "3600"),
        ("acr_values", "urn:loa:2"),
        ("resource", "https://api.example"),
        ("login_hint", "alice"),
    ] {
        assert!(query.contains(&(name.to_owned(), value.to_owned())), "{name} is lost");
    }
    assert_eq!(redirect.expires_at, Timestamp::from_secs(1_800_000_600));
}

#[test]
fn the_first_form_of_a_stored_device_flow_loads() {
    let bytes = include_bytes!("../fixtures/device-1.json");
    let effect = resumed(Device::restore(&public(), stored(bytes)).unwrap());
    assert!(matches!(effect, Effect::Sleep { until } if until == Timestamp::from_secs(1_800_000_005)), "{effect:?}");
}

#[test]
fn a_snapshot_of_another_flow_version_or_client_is_refused() {
    let code: &[u8] = include_bytes!("../fixtures/authorization-code-1.json");
    let unreadable = Error::Config(ConfigError::SnapshotUnreadable);
    assert_eq!(Device::restore(&public(), stored(code)).unwrap_err(), unreadable);
    let text = String::from_utf8(code.to_vec()).unwrap();
    let newer = text.replace(r#""version":1"#, r#""version":2"#);
    assert_eq!(AuthorizationCode::restore(&public(), stored(newer.as_bytes())).unwrap_err(), unreadable);
    for (from, to) in [("https://as.example", "https://evil.example"), (r#""client""#, r#""other""#)] {
        let foreign = text.replace(from, to);
        let refused = AuthorizationCode::restore(&public(), stored(foreign.as_bytes())).unwrap_err();
        assert_eq!(refused, Error::Config(ConfigError::SnapshotForeign));
    }
}
