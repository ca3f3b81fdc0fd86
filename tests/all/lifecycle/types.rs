//! Tokens of a type that the client does not know, by whatever way they come.

use grantflow_core::client::Client;
use grantflow_core::error::{Advice, ConfigError, Error};
use grantflow_core::manager::{Placement, Settings, Source};
use grantflow_core::testing::specimens::{public, server};
use grantflow_core::token::{Shape, TokenSet};

use super::rig::{BEGIN, Rig, both, key, settings, text, tokens};

/// What another program has stored of a server that speaks of `mac`.
const FILE: &[u8] =
    br#"{"access_token":"canary-a0","token_type":"mac","refresh_token":"canary-r0","expires_at":1800003600}"#;

fn imported() -> TokenSet {
    TokenSet::import(Shape::Authlib, FILE, BEGIN).unwrap()
}

fn unknown() -> Error {
    Error::Config(ConfigError::TokenTypeUnknown("mac".to_owned()))
}

/// The `Authorization` header of what a handle gives.
fn header(rig: &Rig, settings: Settings) -> Result<String, Error> {
    let credential = rig.handle(settings).credential()?;
    let (_, value) = credential.headers().next().unwrap();
    Ok(value.to_str().unwrap().to_owned())
}

#[test]
fn imported_tokens_of_an_unknown_type_are_refused_and_change_nothing() {
    both(|rig| {
        let kept = rig.session("me");
        assert_eq!(kept.adopt(imported()).unwrap_err(), unknown());
        assert_eq!((rig.happened().as_str(), rig.shelf.kept("me")), ("", None), "nothing is saved");
        assert!(kept.current().is_none());
        // Whoever is logged in stays so, and is served without a pause.
        kept.adopt(tokens()).unwrap();
        let before = rig.shelf.kept("me");
        let mut changes = kept.changes();
        rig.events.lock().unwrap().clear();
        assert_eq!(kept.adopt(imported()).unwrap_err(), unknown());
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        assert!(kept.is_valid() && changes().is_empty());
        assert_eq!((rig.happened().as_str(), rig.shelf.kept("me")), ("", before));
        drop(changes);
        // While a renewal rests after a failure, too.
        rig.time.pass(3590);
        rig.authority.next([super::rig::Turn::Answer(503, String::new())]);
        let _ = kept.renew();
        assert_eq!(kept.adopt(imported()).unwrap_err(), unknown());
        rig.time.pass(600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
    });
    assert_eq!(unknown().advice(), Advice::FixConfig);
}

#[test]
fn stored_tokens_of_an_unknown_type_are_refused_and_stay_where_they_are() {
    both(|rig| {
        let client = Client::builder(server(), public().client_id()).accept_token_type("MAC").build().unwrap();
        rig.handle(settings(&client, "me")).adopt(imported()).unwrap();
        let before = rig.shelf.kept("me").unwrap();
        rig.events.lock().unwrap().clear();
        // A program that does not know the type: neither presented nor renewed nor lost.
        let kept = rig.session("me");
        for _ in 0..3 {
            assert_eq!(kept.credential().unwrap_err(), unknown());
            assert_eq!(kept.renew().unwrap_err(), unknown());
            rig.time.pass(600);
        }
        assert_eq!(rig.shelf.kept("me"), Some(before));
        assert_eq!(rig.authority.asked(), 0);
        // Those who know it, and those who say themselves what stands before the token.
        assert_eq!(header(rig, settings(&client, "me")).unwrap(), "mac canary-a0");
        let own = Placement::default().with_prefix("Token").unwrap();
        assert_eq!(header(rig, settings(&public(), "me").with_placement(own)).unwrap(), "Token canary-a0");
        assert_eq!(header(rig, settings(&public(), "me")).unwrap_err(), unknown());
    });
}

#[test]
fn tokens_of_an_unknown_type_from_a_refresher_are_refused() {
    both(|rig| {
        let source = || Settings::new(key("elsewhere"), Source::Delegated).unwrap();
        let kept = rig.delegated(source(), || Ok(imported()));
        assert_eq!(kept.credential().unwrap_err(), unknown());
        assert_eq!(rig.shelf.kept("elsewhere"), None);
        rig.time.pass(600);
        let kept = rig.delegated(source().with_placement(Placement::default().bare()), || Ok(imported()));
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
    });
}
