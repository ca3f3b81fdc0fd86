use std::collections::BTreeSet;

use super::*;
use crate::client::{HookFlaw, HookPoint};
use crate::machine::EventKind;
use crate::token::RecordFlaw;

const ENDPOINTS: [Endpoint; 11] = [
    Endpoint::Authorization,
    Endpoint::Token,
    Endpoint::DeviceAuthorization,
    Endpoint::UserInfo,
    Endpoint::Introspection,
    Endpoint::Revocation,
    Endpoint::Metadata,
    Endpoint::Keys,
    Endpoint::Redirect,
    Endpoint::Resource,
    Endpoint::Extension,
];

fn settings() -> Vec<Error> {
    let text = || "given".to_owned();
    let urls = [
        UrlFlaw::Unparsable,
        UrlFlaw::Insecure,
        UrlFlaw::Scheme,
        UrlFlaw::UserInfo,
        UrlFlaw::Fragment,
        UrlFlaw::Query,
        UrlFlaw::Host,
        UrlFlaw::PrivateAddress,
        UrlFlaw::TooLong,
    ];
    let hooks =
        [HookFlaw::Origin, HookFlaw::Url(UrlFlaw::Host), HookFlaw::Header("host"), HookFlaw::Parameter("client_id")];
    let records = [
        RecordError::Empty,
        RecordError::TokenMissing,
        RecordError::Newer { version: 9 },
        RecordError::Unreadable(RecordFlaw::TooLarge),
        RecordError::Unreadable(RecordFlaw::Json { at: 3, flaw: JsonFlaw::Syntax }),
        RecordError::Unreadable(RecordFlaw::Member("scope")),
    ];
    let mut found = vec![
        ConfigError::Missing("secret"),
        ConfigError::Invalid { setting: "scope", why: "empty" },
        ConfigError::EmptySecret,
        ConfigError::AuthenticationUnsupported,
        ConfigError::AuthenticationUnknown(text()),
        ConfigError::PkceUnsupported,
        ConfigError::Audience(text()),
        ConfigError::AuthorizationConflict(text()),
        ConfigError::ReservedParameter(text()),
        ConfigError::SecretInQuery(text()),
        ConfigError::ProviderUnknown(text()),
        ConfigError::ProviderAmbiguous,
        ConfigError::SnapshotForeign,
        ConfigError::SnapshotUnreadable,
        ConfigError::TokenTypeUnknown(text()),
        ConfigError::PortInUse(80),
        ConfigError::Listen(text()),
    ];
    found.extend(ENDPOINTS.map(ConfigError::EndpointMissing));
    found.extend(urls.map(ConfigError::Issuer));
    found.extend(urls.map(|flaw| ConfigError::Url { endpoint: Endpoint::Token, flaw }));
    found.extend(hooks.map(|flaw| ConfigError::HookOverstepped { point: HookPoint::ProtectedRequest, flaw }));
    found.extend(records.map(ConfigError::Record));
    found.into_iter().map(Error::Config).collect()
}

fn answers() -> Vec<Error> {
    let facts = AnswerFacts {
        status: 502,
        media_type: Some("text/html".to_owned()),
        headers: vec![("server".to_owned(), "proxy".to_owned())],
        excerpt: Some("<html>".to_owned()),
    };
    let kinds = [
        TransportKind::Dns,
        TransportKind::Connect,
        TransportKind::Tls,
        TransportKind::Timeout,
        TransportKind::Reset,
        TransportKind::Protocol,
        TransportKind::TooLarge,
        TransportKind::ForbiddenAddress,
        TransportKind::Redirected,
        TransportKind::Unavailable,
        TransportKind::MediaType,
    ];
    let flaws = [
        JsonFlaw::Syntax,
        JsonFlaw::Truncated,
        JsonFlaw::Trailing,
        JsonFlaw::NotObject,
        JsonFlaw::DuplicateMember,
        JsonFlaw::TooDeep,
        JsonFlaw::TooManyMembers,
        JsonFlaw::Encoding,
    ];
    let mut rules = vec![
        Rule::Status,
        Rule::MediaType,
        Rule::Form,
        Rule::MemberMissing("scope"),
        Rule::MemberInvalid("scope"),
        Rule::TokenType,
        Rule::KeyBound,
        Rule::Downgrade,
        Rule::IdTokenMissing,
        Rule::ScopeExceeded,
        Rule::JwtMalformed,
        Rule::JwtTooLarge,
        Rule::NoKeys,
        Rule::NoMetadata,
    ];
    rules.extend(flaws.map(|flaw| Rule::Json { at: 7, flaw }));
    let refused = |code: &str, hint| Refusal {
        endpoint: Endpoint::Token,
        code: code.to_owned(),
        description: Some("because".to_owned()),
        uri: Some("https://as.example/why".to_owned()),
        answer: Some(facts.clone()),
        hint,
    };
    let transport = |kind, answer| {
        let endpoint = Endpoint::Token;
        Error::Transport(TransportError { endpoint, kind, delivery: Delivery::Unknown, answer, not_before: None })
    };
    let mut found: Vec<_> = kinds.map(|kind| transport(kind, None)).into();
    found.push(transport(TransportKind::Unavailable, Some(Box::new(facts.clone()))));
    found.extend(
        rules
            .into_iter()
            .map(|rule| Error::Protocol(Box::new(ProtocolError { endpoint: Endpoint::Token, rule, answer: None }))),
    );
    let rule = Rule::Status;
    found.push(Error::Protocol(Box::new(ProtocolError {
        endpoint: Endpoint::Token,
        rule,
        answer: Some(facts.clone()),
    })));
    found.push(Error::Refused(Box::new(refused("invalid_client", None))));
    found.push(Error::Refused(Box::new(refused("invalid_client", Some("look there")))));
    let ended = [None, Some(Box::new(refused("invalid_grant", None)))].map(LoginNeeded::Ended);
    let needed = [LoginNeeded::NoSession, LoginNeeded::NotRenewable, LoginNeeded::Rejected].into_iter().chain(ended);
    found.extend(needed.map(Error::LoginNeeded));
    found
}

fn checks() -> Vec<Error> {
    let text = || "found".to_owned();
    let mismatch = |found: &str| {
        let (expected, found) = ("https://as.example".to_owned(), found.to_owned());
        SecurityError::IssuerMismatch { expected, found }
    };
    let claim =
        |expected: Option<String>, found: Option<String>| SecurityError::Claim { claim: "aud", expected, found };
    let mut found: Vec<_> = [
        mismatch("https://evil.example"),
        mismatch("https://as.example/"),
        SecurityError::IssuerMissing,
        SecurityError::Url { endpoint: Endpoint::Token, flaw: UrlFlaw::Insecure },
        SecurityError::Unsigned,
        SecurityError::Algorithm(text()),
        SecurityError::CriticalHeader,
        SecurityError::JwtType(text()),
        SecurityError::Key(KeyFlaw::NotFound),
        SecurityError::Key(KeyFlaw::Ambiguous),
        SecurityError::Key(KeyFlaw::Weak),
        SecurityError::Key(KeyFlaw::Malformed),
        SecurityError::Signature,
        SecurityError::ClaimMissing("sub"),
        claim(None, None),
        claim(Some(text()), None),
        claim(None, Some(text())),
        claim(Some("client".to_owned()), Some(text())),
        SecurityError::Time { claim: "exp", value: -1, now: 5 },
        SecurityError::SubjectMismatch,
    ]
    .into_iter()
    .map(Error::Security)
    .collect();
    let callbacks = [
        BadCallback::StateMissing,
        BadCallback::StateMismatch,
        BadCallback::DuplicateParameter,
        BadCallback::CodeMissing,
        BadCallback::CodeAndError,
        BadCallback::CodeMalformed,
        BadCallback::UnexpectedToken,
        BadCallback::UnexpectedResponse,
        BadCallback::Malformed,
        BadCallback::TooLarge,
        BadCallback::TooManyParameters,
        BadCallback::ResponseMode,
        BadCallback::NotRedirectUri,
    ];
    found.extend(callbacks.map(Error::Callback));
    let faults = [
        StoreFault::Unavailable,
        StoreFault::Busy,
        StoreFault::Full,
        StoreFault::Denied,
        StoreFault::Corrupt,
        StoreFault::Newer,
        StoreFault::Foreign,
        StoreFault::TooLarge,
    ];
    found.extend(faults.map(|fault| Error::Store(StoreError::new(fault, ""))));
    found.push(Error::Store(StoreError::new(StoreFault::Full, "no space\nleft")));
    found.extend(
        [ProviderError::Random, ProviderError::KeyUnavailable, ProviderError::Interrupted].map(Error::Provider),
    );
    found.extend([Expired::Callback, Expired::DeviceCode, Expired::Retries].map(Error::Expired));
    let illegal = Misuse::IllegalEvent { machine: "toy", state: "Ready", event: EventKind::Elapsed };
    found.extend([Error::Misuse(illegal), Error::Misuse(Misuse::NotResting), Error::Cancelled, Error::Bug("it")]);
    found
}

#[test]
fn every_error_is_one_line_that_no_other_error_has() {
    let all = [settings(), answers(), checks()].concat();
    let mut seen = BTreeSet::new();
    for error in &all {
        let said = error.to_string();
        assert!(said.len() > 5 && !said.ends_with('.') && said == said.trim(), "{said:?}");
        assert!(!said.contains(char::is_control), "{said:?}");
        assert!(seen.insert(said.clone()), "{said:?} is said of two errors");
    }
    let said: BTreeSet<_> = ENDPOINTS.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), ENDPOINTS.len());
}

#[test]
fn what_is_wrong_with_a_text_is_said_in_words() {
    use crate::http::challenge::ChallengeFlaw;
    use crate::http::form::FormFlaw;
    use crate::http::json::JsonError;
    let said = [
        FormFlaw::TooLarge.to_string(),
        FormFlaw::TooManyParameters.to_string(),
        FormFlaw::Malformed.to_string(),
        ChallengeFlaw::Malformed.to_string(),
        ChallengeFlaw::DuplicateParameter.to_string(),
        ChallengeFlaw::TooMany.to_string(),
        JsonError { at: 7, flaw: JsonFlaw::Truncated }.to_string(),
    ];
    assert!(said.iter().all(|words| words.contains(' ')), "{said:?}");
    assert_eq!(said.iter().collect::<BTreeSet<_>>().len(), said.len(), "{said:?}");
    assert_eq!(said.last().unwrap(), "the JSON ends too early at byte 7");
}

#[test]
fn an_issuer_that_lacks_nothing_but_a_slash_is_said_to() {
    for (found, slash) in
        [("https://as.example/", true), ("https://as.example//", true), ("https://as.example/x", false), ("", false)]
    {
        let (expected, found) = ("https://as.example".to_owned(), found.to_owned());
        let said = SecurityError::IssuerMismatch { expected, found }.to_string();
        assert_eq!(said.contains("trailing slash"), slash, "{said}");
    }
}

#[test]
fn a_refusal_is_its_code_and_no_other() {
    let refusal = |code: &str| Refusal {
        endpoint: Endpoint::Token,
        code: code.to_owned(),
        description: None,
        uri: None,
        answer: None,
        hint: None,
    };
    assert!(refusal("invalid_grant").is("invalid_grant"));
    assert!(!refusal("invalid_grant").is("invalid_client"));
}

#[test]
fn a_moment_is_printed_with_its_milliseconds() {
    assert_eq!(Timestamp::from_millis(1_800_000_000_007).to_string(), "1800000000.007");
}
