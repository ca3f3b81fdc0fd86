//! Snapshots and token records that were written by earlier versions load for ever, and so do the token files of other
//! programs. Add a file for each new form; never change one.

use grantflow_core::error::{ConfigError, Error};
use grantflow_core::grant::{AuthorizationCode, Device};
use grantflow_core::machine::{Context, Effect, Event, Machine, Step};
use grantflow_core::memory::Memory;
use grantflow_core::testing::specimens::public;
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::token::{Note, RecordError, Shape, TokenSet, TokenType};
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

const NOW: Timestamp = Timestamp::from_secs(1_800_000_900);

fn text<'a>(tokens: &'a TokenSet, name: &str) -> Option<&'a str> {
    let text = tokens.answer().expose();
    let (_, value) = text.split_once(&format!("\"{name}\":"))?;
    value.trim_start().split([',', '}']).next()
}

#[test]
fn the_first_form_of_a_token_record_loads_and_a_newer_one_is_refused() {
    let bytes = include_bytes!("../fixtures/record-1.json");
    let tokens = TokenSet::from_record(bytes, NOW).unwrap();
    assert_eq!(tokens.access_token().expose(), "at-1");
    assert_eq!(tokens.token_type(), &TokenType::Dpop);
    assert_eq!(tokens.refresh_token().unwrap().expose(), "rt-1");
    assert_eq!(tokens.id_token().unwrap().expose(), "a.b.c");
    assert_eq!(tokens.received_at(), Timestamp::from_millis(1_800_000_000_250));
    assert_eq!(tokens.expires_at(), Some(Timestamp::from_millis(1_800_003_600_250)));
    assert_eq!(tokens.granted_scope().unwrap().as_str(), "openid email");
    assert_eq!(tokens.requested_scope().as_str(), "openid email profile");
    assert_eq!(tokens.resources(), ["https://api.example"]);
    assert_eq!((tokens.issuer(), tokens.subject()), (Some("https://as.example"), Some("alice")));
    assert_eq!(tokens.notes(), [Note::MediaType, Note::ExpiresInText]);
    assert!(tokens.identity().is_none());
    assert_eq!(tokens.to_record().expose(), bytes, "the form that is written has changed");
    let newer = String::from_utf8(bytes.to_vec()).unwrap().replace(r#""version":1"#, r#""version":2"#);
    assert_eq!(TokenSet::from_record(newer.as_bytes(), NOW).unwrap_err(), RecordError::Newer { version: 2 });
}

#[test]
fn x_11_a_53_h_03_the_token_files_of_other_programs_load() {
    for (shape, file) in [
        (Shape::Aiorequestful, &include_bytes!("../fixtures/token-aiorequestful.json")[..]),
        (Shape::Authlib, include_bytes!("../fixtures/token-authlib.json")),
        (Shape::HomeAssistant, include_bytes!("../fixtures/token-home-assistant.json")),
        (Shape::Pycognito, include_bytes!("../fixtures/token-pycognito.json")),
    ] {
        let tokens = TokenSet::import(shape, file, NOW).unwrap();
        assert_eq!(tokens.refresh_token().unwrap().expose(), "rt-written-elsewhere", "{shape:?}");
        assert_eq!(tokens.token_type(), &TokenType::Bearer);
        assert!(tokens.notes().is_empty());
        assert_eq!(tokens.received_at().as_secs(), 1_799_999_000);
        assert_eq!(tokens.expires_at().unwrap().as_secs(), 1_800_002_600);
        let (scope, kept) = match shape {
            Shape::Aiorequestful => ("read write", ("name", r#""Zo\u00eb""#)),
            Shape::Authlib => ("read write", ("sub", r#""alice""#)),
            Shape::HomeAssistant => ("read write", ("auth_implementation", r#""cloud""#)),
            _ => ("", ("token_type", r#""Bearer""#)),
        };
        assert_eq!(tokens.scope().as_str(), scope);
        assert_eq!(text(&tokens, kept.0), Some(kept.1));
        // From here on it is a record like any other.
        let again = TokenSet::from_record(tokens.to_record().expose(), NOW).unwrap();
        assert_eq!((again.received_at(), again.expires_at()), (tokens.received_at(), tokens.expires_at()));
        assert_eq!(text(&again, kept.0), Some(kept.1));
    }
}

/// The file was loaded once with `aiorequestful` 1.0.20, which presented the token and took it for valid.
#[test]
fn a_49_a_53_the_file_for_the_reference_library_is_the_one_that_it_has_read() {
    let record = include_bytes!("../fixtures/record-1.json");
    let exported = TokenSet::from_record(record, NOW).unwrap().to_reference_file();
    let file = include_bytes!("../fixtures/exported-aiorequestful.json");
    assert_eq!(String::from_utf8_lossy(exported.expose()), String::from_utf8_lossy(file).trim_end());
    let again = TokenSet::import(Shape::Aiorequestful, file, NOW).unwrap();
    assert_eq!(again.expires_at(), Some(Timestamp::from_secs(1_800_003_600)));
}
