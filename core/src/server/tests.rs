//! Metadata by document and by hand.

use super::*;
use crate::http::UrlPolicy;

fn document(issuer: &str, token_endpoint: &str) -> Object {
    Object::parse(format!(r#"{{"issuer":"{issuer}","token_endpoint":"{token_endpoint}"}}"#).as_bytes()).unwrap()
}

fn read(issuer: &str, token_endpoint: &str, chosen: ChosenBy) -> Result<Reach, Error> {
    let document = document(issuer, token_endpoint);
    let policy = UrlPolicy::default();
    let metadata = ServerMetadata::from_document(document, issuer, chosen, IssuerMatch::Exact, policy)?;
    Ok(metadata.endpoint(Endpoint::Token)?.reach)
}

#[test]
fn a_host_that_the_user_named_may_be_anywhere_and_one_that_a_remote_party_named_must_be_public() {
    let (inside, outside) = ("https://10.0.0.7", "https://as.example");
    assert_eq!(read(inside, "https://10.0.0.7/token", ChosenBy::User).unwrap(), Reach::Any);
    assert_eq!(read(outside, "https://as.example/token", ChosenBy::User).unwrap(), Reach::Any);
    assert_eq!(read(outside, "https://as.example/token", ChosenBy::RemoteParty).unwrap(), Reach::Public);
    let refused = read(inside, "https://10.0.0.7/token", ChosenBy::RemoteParty).unwrap_err();
    let flaw = UrlFlaw::PrivateAddress;
    assert_eq!(refused, SecurityError::Url { endpoint: Endpoint::Token, flaw }.into());
}

#[test]
fn metadata_says_by_which_rules_its_urls_were_judged() {
    let policy = UrlPolicy::default().dangerous_allow_private_addresses();
    assert_eq!(ServerMetadata::by_hand("https://as.example", policy).unwrap().policy(), policy);
}

#[test]
fn an_endpoint_by_hand_replaces_the_one_before() {
    let metadata = ServerMetadata::by_hand("https://as.example", UrlPolicy::default())
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, "https://as.example/old"))
        .and_then(|metadata| metadata.with_endpoint(Endpoint::Token, "https://as.example/new"))
        .unwrap();
    assert_eq!(metadata.endpoint(Endpoint::Token).unwrap().url.path(), "/new");
    assert_eq!(metadata.endpoint(Endpoint::UserInfo).unwrap_err(), ConfigError::EndpointMissing(Endpoint::UserInfo));
}
