//! What must hold for stored tokens.

use std::time::Duration;

use super::NOW;
use crate::http::json::Object;
use crate::time::Timestamp;
use crate::token::{Import, RECORD_LIMIT, RecordError, Shape, TokenSet};

/// Records and token files of other programs: never a panic; a refusal quotes nothing; what is read is stored and read
/// again as the same, at whatever time; it is changed and merged without loss.
pub fn record(input: &[u8]) {
    let read = TokenSet::from_record(input, NOW);
    if let Some(tokens) = judge_result(&read) {
        judge_stored(tokens);
        judge_changed(tokens);
    }
    for shape in [Shape::Aiorequestful, Shape::Authlib, Shape::HomeAssistant, Shape::Pycognito] {
        if let Some(tokens) = judge_result(&TokenSet::import(shape, input, NOW)) {
            judge_stored(tokens);
        }
    }
    let renamed =
        Import::of(Shape::Authlib).token_key("id_token").expires_at("exp").granted_at("iat").expires_in("life");
    if let Some(tokens) = judge_result(&renamed.read(input, NOW)) {
        judge_stored(tokens);
    }
}

fn judge_result(result: &Result<TokenSet, RecordError>) -> Option<&TokenSet> {
    match result {
        Ok(tokens) => {
            assert!(!tokens.access_token().expose().is_empty(), "no token");
            assert!(tokens.identity().is_none(), "what was stored is taken for verified");
            let _ = (tokens.is_fresh(NOW), tokens.is_expired(NOW));
            Some(tokens)
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 200 && !said.chars().any(char::is_control), "{said:?}");
            None
        }
    }
}

/// Holds a token set against itself after it was stored.
pub(super) fn judge_stored(tokens: &TokenSet) {
    let stored = tokens.to_record();
    assert!(stored.expose().len() <= RECORD_LIMIT, "a record that is too long to be read");
    let later = NOW.plus(Duration::from_secs(1_000_000));
    let again = TokenSet::from_record(stored.expose(), later).expect("a record of ours is refused");
    assert_eq!(all_of(&again), all_of(tokens));
    assert!(again.to_record().expose() == stored.expose(), "stored again, it is another record");
    for (name, value) in Object::parse(stored.expose()).expect("no JSON").members() {
        let known = again.answer().contains(&name) || name == "grantflow";
        assert!(known, "a member of the record is lost: {value:?}");
    }
    let exported = tokens.to_reference_file();
    if exported.expose().len() <= RECORD_LIMIT && Object::parse(exported.expose()).is_ok() {
        let read = TokenSet::import(Shape::Aiorequestful, exported.expose(), later).expect("a file of ours is refused");
        assert!(read.access_token().matches(tokens.access_token().expose()));
        let latest = Timestamp::from_secs(253_402_300_799);
        let end = tokens.expires_at().filter(|end| *end <= latest);
        assert_eq!(read.expires_at().map(Timestamp::as_secs), end.map(Timestamp::as_secs));
    }
}

/// All that the accessors say, but for the answer.
fn all_of(tokens: &TokenSet) -> String {
    let tokens_as_text = [Some(tokens.access_token()), tokens.refresh_token(), tokens.id_token()]
        .map(|token| token.map(|token| token.expose().clone()));
    let times = (tokens.received_at(), tokens.expires_at());
    let scopes = (tokens.scope(), tokens.granted_scope(), tokens.requested_scope());
    let rest = (tokens.token_type(), tokens.notes(), tokens.resources(), tokens.issuer(), tokens.subject());
    format!("{tokens_as_text:?} {times:?} {scopes:?} {rest:?}")
}

fn judge_changed(tokens: &TokenSet) {
    let fresh = || TokenSet::from_record(br#"{"access_token":"new","mine":[1]}"#, NOW).expect("a good record");
    let merged = fresh().merged_over(tokens);
    assert_eq!(merged.access_token().expose(), "new");
    assert!(merged.expires_at().is_none() && merged.answer().contains("mine"));
    assert!(merged.refresh_token().is_some() == tokens.refresh_token().is_some());
    assert_eq!(merged.scope(), tokens.scope());
    judge_stored(&merged);
    let mut changed = fresh().merged_over(tokens);
    if changed.set_member("mine", &"\"").is_ok() {
        changed.remove_member("mine").expect("a member of the caller's");
        assert!(!changed.answer().contains("mine"));
    }
    changed.clear_members();
    judge_stored(&changed);
}
