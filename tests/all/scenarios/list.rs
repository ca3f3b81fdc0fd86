//! Servers that are honest, or slow, or say no by the rules.

use grantflow_core::callback::ResponseMode;
use grantflow_devserver::Fault;

use super::Step::*;
use super::{Ask, HONEST, OPENID, Scenario, Setup, Which, Who, same_in_all};
use crate::runners::Decision;

const FOUND: (super::Step, &str) = (Discover, "found http://SERVER");
const TOKENS: &str = "Bearer [openid profile] 3600 s, refresh token, alice";

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "discovery", setup: HONEST, steps: &[FOUND], requests: "openid-configuration" },
    Scenario {
        name: "discovery of an issuer with a path",
        setup: Setup { issuer_path: "/tenant", ..HONEST },
        steps: &[(Discover, "found http://SERVER/tenant"), (Login(OPENID), TOKENS)],
        requests: "openid-configuration authorize token jwks",
    },
    Scenario {
        name: "a login with openid, and what the server says of the person",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(Ask { scope: "openid email", ..OPENID }), "Bearer [openid email] 3600 s, refresh token, alice"),
            (UserInfo, "alice alice@example.com"),
        ],
        requests: "openid-configuration authorize token jwks userinfo",
    },
    Scenario {
        name: "a login without openid",
        setup: HONEST,
        steps: &[FOUND, (Login(Ask { scope: "read write", ..OPENID }), "Bearer [read write] 3600 s, refresh token")],
        requests: "openid-configuration authorize token",
    },
    Scenario {
        name: "a login without any scope",
        setup: HONEST,
        steps: &[FOUND, (Login(Ask { scope: "", ..OPENID }), "Bearer [] 3600 s, refresh token")],
        requests: "openid-configuration authorize token",
    },
    Scenario {
        name: "a login by form_post",
        setup: HONEST,
        steps: &[FOUND, (Login(Ask { mode: ResponseMode::FormPost, ..OPENID }), TOKENS)],
        requests: "openid-configuration authorize token jwks",
    },
    Scenario {
        name: "a login that asks for much",
        setup: HONEST,
        steps: &[
            FOUND,
            (
                Login(Ask {
                    max_age: Some(3600),
                    acr: &["phr", "mfa"],
                    resources: &["https://api.example/one", "https://api.example/two"],
                    extras: &[("login_hint", "alice"), ("access_type", "offline"), ("prompt", "consent")],
                    ..OPENID
                }),
                "Bearer [openid profile] 3600 s, refresh token, alice by phr, for https://api.example/one, \
                 for https://api.example/two",
            ),
        ],
        requests: "openid-configuration authorize token jwks",
    },
    Scenario {
        name: "confidential clients log in with either kind of secret",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(Ask { who: Who::Basic, ..OPENID }), TOKENS),
            (Login(Ask { who: Who::Post, ..OPENID }), TOKENS),
            (Login(Ask { who: Who::WrongSecret, ..OPENID }), "Refused Token invalid_client; FixConfig"),
        ],
        requests: "openid-configuration authorize token jwks authorize token authorize token:401",
    },
    Scenario {
        name: "a login that the person denies",
        setup: Setup { denying: true, ..HONEST },
        steps: &[FOUND, (Login(OPENID), "Refused Authorization access_denied; GiveUp")],
        requests: "openid-configuration authorize",
    },
    Scenario {
        name: "a login by form_post that the person denies",
        setup: Setup { denying: true, ..HONEST },
        steps: &[
            FOUND,
            (Login(Ask { mode: ResponseMode::FormPost, ..OPENID }), "Refused Authorization access_denied; GiveUp"),
        ],
        requests: "openid-configuration authorize",
    },
    Scenario {
        name: "a login with a scope that is not for this client",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(Ask { scope: "openid admin", ..OPENID }), "Refused Authorization invalid_scope; FixConfig"),
        ],
        requests: "openid-configuration authorize",
    },
    Scenario {
        name: "a refresh rotates, and the spent token kills the family",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Refresh, TOKENS),
            (Refresh, TOKENS),
            (RefreshSpent, "Refused Token invalid_grant; LogInAgain"),
            (Refresh, "Refused Token invalid_grant; LogInAgain"),
        ],
        requests: "openid-configuration authorize token jwks token token token:400 token:400",
    },
    Scenario {
        name: "a server that does not rotate: the refresh token lives on",
        setup: Setup { keeping_refresh_tokens: true, ..HONEST },
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Refresh, "Bearer [openid profile] 3600 s, same refresh token, alice"),
            (RefreshSpent, "Bearer [openid profile] 3600 s, same refresh token, alice"),
        ],
        requests: "openid-configuration authorize token jwks token token",
    },
    Scenario {
        name: "a refresh keeps the resource, and may ask for less",
        setup: HONEST,
        steps: &[
            FOUND,
            (
                Login(Ask { scope: "read write", resources: &["https://api.example/"], ..OPENID }),
                "Bearer [read write] 3600 s, refresh token, for https://api.example/",
            ),
            (Refresh, "Bearer [read write] 3600 s, refresh token, for https://api.example/"),
            (RefreshNarrowed("read"), "Bearer [read] 3600 s, refresh token, for https://api.example/"),
            (RefreshNarrowed("admin"), "Refused Token invalid_scope; FixConfig"),
        ],
        requests: "openid-configuration authorize token token token token:400",
    },
    Scenario {
        name: "a refresh two weeks later",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Pass(14 * 86_400), ""),
            (Refresh, "Refused Token invalid_grant; LogInAgain"),
        ],
        requests: "openid-configuration authorize token jwks token:400",
    },
    Scenario {
        name: "client credentials",
        setup: HONEST,
        steps: &[
            FOUND,
            (ClientCredentials(Who::Basic, "read"), "Bearer [read] 3600 s"),
            (ClientCredentials(Who::Post, "read write"), "Bearer [read write] 3600 s"),
            (ClientCredentials(Who::Basic, ""), "Bearer [] 3600 s"),
            (ClientCredentials(Who::WrongSecret, "read"), "Refused Token invalid_client; FixConfig"),
            (ClientCredentials(Who::Basic, "admin"), "Refused Token invalid_scope; FixConfig"),
            (
                ClientCredentials(Who::Public, "read"),
                "Config(Missing(\"client authentication (client credentials need it)\")); FixConfig",
            ),
        ],
        requests: "openid-configuration token token token token:401 token:400",
    },
    Scenario {
        name: "a server that is busy for a moment",
        setup: HONEST,
        steps: &[
            FOUND,
            (FaultFor(Fault::Token503RetryAfter, 2), ""),
            (ClientCredentials(Who::Basic, "read"), "Bearer [read] 3600 s"),
            (FaultFor(Fault::Token429RetryAfter, 3), ""),
            (ClientCredentials(Who::Basic, "read"), "Bearer [read] 3600 s"),
        ],
        requests: "openid-configuration token:503 token:503 token token:429 token:429 token:429 token",
    },
    Scenario {
        name: "a device that is approved during the second poll",
        setup: Setup { decision: Some(Decision::ApprovedAtWait(3)), ..HONEST },
        steps: &[FOUND, (Device(Who::Public, "openid profile"), TOKENS), (UserInfo, "alice ")],
        requests: "openid-configuration device_authorization token:400 token:400 token jwks userinfo",
    },
    Scenario {
        name: "a confidential client on a device, without openid",
        setup: Setup { decision: Some(Decision::ApprovedAtWait(1)), ..HONEST },
        steps: &[FOUND, (Device(Who::Basic, "read"), "Bearer [read] 3600 s, refresh token")],
        requests: "openid-configuration device_authorization token",
    },
    Scenario {
        name: "a device that is turned away",
        setup: Setup { decision: Some(Decision::DeniedAtWait(2)), ..HONEST },
        steps: &[FOUND, (Device(Who::Public, "read"), "Refused Token access_denied; GiveUp")],
        requests: "openid-configuration device_authorization token:400 token:400",
    },
    Scenario {
        name: "a device that nobody looks at",
        setup: Setup { device_interval: 60, device_code_lifetime: 200, ..HONEST },
        steps: &[FOUND, (Device(Who::Public, "read"), "Expired DeviceCode; LogInAgain")],
        requests: "openid-configuration device_authorization token:400 token:400 token:400",
    },
    Scenario {
        name: "a device that waits for six hours",
        setup: Setup {
            device_interval: 300,
            device_code_lifetime: 86_400,
            decision: Some(Decision::ApprovedAtWait(72)),
            ..HONEST
        },
        steps: &[FOUND, (Device(Who::Public, "read"), "Bearer [read] 3600 s, refresh token")],
        requests: "openid-configuration device_authorization \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 token:400 \
                   token:400 token",
    },
    Scenario {
        name: "a device that is told to slow down, twice",
        setup: Setup { decision: Some(Decision::ApprovedAtWait(3)), ..HONEST },
        steps: &[
            FOUND,
            (FaultFor(Fault::DeviceSlowDownForever, 2), ""),
            (Device(Who::Public, "read"), "Bearer [read] 3600 s, refresh token"),
        ],
        requests: "openid-configuration device_authorization token:400 token:400 token",
    },
    Scenario {
        name: "a device that loses its connection",
        setup: Setup { decision: Some(Decision::ApprovedAtWait(3)), ..HONEST },
        steps: &[
            FOUND,
            (FaultFor(Fault::TokenSilence, 2), ""),
            (Device(Who::Public, "read"), "Bearer [read] 3600 s, refresh token"),
        ],
        requests: "openid-configuration device_authorization token:0 token:0 token",
    },
    Scenario {
        name: "what the server says of tokens, and revocation",
        setup: HONEST,
        steps: &[
            FOUND,
            (
                Login(Ask { who: Who::Basic, scope: "openid read", ..OPENID }),
                "Bearer [openid read] 3600 s, refresh token, alice",
            ),
            (Introspect(Which::Access), "active: alice for demo-service with openid read"),
            (Introspect(Which::Refresh), "active: alice for demo-service with openid read"),
            (Introspect(Which::Unknown), "inactive"),
            (Revoke(Which::Access), "revoked"),
            (Introspect(Which::Access), "inactive"),
            (UserInfo, "Refused UserInfo invalid_token; LogInAgain"),
            (Revoke(Which::Unknown), "revoked"),
            (Revoke(Which::Refresh), "revoked"),
            (Introspect(Which::Refresh), "inactive"),
            (Refresh, "Refused Token invalid_grant; LogInAgain"),
            (Revoke(Which::Refresh), "revoked"),
        ],
        requests: "openid-configuration authorize token jwks introspect introspect introspect revoke introspect \
                   userinfo:401 revoke revoke introspect token:400 revoke",
    },
    Scenario {
        name: "what the server says of tokens under its signature",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(Ask { who: Who::Basic, scope: "read", ..OPENID }), "Bearer [read] 3600 s, refresh token"),
            (IntrospectSigned(Which::Access), "active: alice for demo-service with read"),
            (IntrospectSigned(Which::Unknown), "inactive"),
            (RotateKeys, ""),
            (IntrospectSigned(Which::Refresh), "active: alice for demo-service with read"),
            (Introspect(Which::Access), "active: alice for demo-service with read"),
        ],
        requests: "openid-configuration authorize token introspect jwks introspect introspect jwks introspect",
    },
    Scenario {
        name: "an access token that has expired",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Pass(3_600), ""),
            (UserInfo, "Refused UserInfo invalid_token; LogInAgain"),
            (Introspect(Which::Access), "inactive"),
        ],
        requests: "openid-configuration authorize token jwks userinfo:401 introspect",
    },
    Scenario {
        name: "keys that rotate between two logins",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Login(OPENID), TOKENS),
            (RotateKeys, ""),
            (Login(OPENID), TOKENS),
            (Login(OPENID), TOKENS),
        ],
        requests: "openid-configuration authorize token jwks authorize token authorize token jwks authorize token",
    },
    Scenario {
        name: "keys that rotate faster than anybody asks for them",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (RotateKeys, ""),
            (Login(OPENID), TOKENS),
            (RotateKeys, ""),
            (Login(OPENID), "Security Key(NotFound); Report"),
            (Pass(60), ""),
            (Login(OPENID), TOKENS),
        ],
        requests: "openid-configuration authorize token jwks authorize token jwks authorize token \
                   authorize token jwks",
    },
    Scenario {
        name: "keys that cannot be had for a while: the old ones do",
        setup: HONEST,
        steps: &[
            FOUND,
            (Login(OPENID), TOKENS),
            (Pass(301), ""),
            (Faults(&[Fault::Jwks500]), ""),
            (Login(OPENID), TOKENS),
            (Login(OPENID), TOKENS),
        ],
        requests: "authorize token jwks:500 authorize token",
    },
];

#[test]
fn every_scenario_comes_out_the_same_by_hand_with_tokio_and_with_threads() {
    for scenario in SCENARIOS {
        same_in_all(scenario);
    }
}

#[test]
fn polls_of_a_device_keep_their_pace() {
    let at = |name: &str| -> Vec<String> {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let polls = same_in_all(scenario).log.into_iter();
        polls.filter_map(|line| line.split_once(" s POST").map(|(at, _)| at.to_owned())).collect()
    };
    assert_eq!(at("a device that is approved during the second poll"), ["5", "10", "15"]);
    assert_eq!(at("a device that is told to slow down, twice"), ["5", "15", "30"]);
    assert_eq!(at("a device that loses its connection"), ["5", "15", "35"]);
    assert_eq!(at("a device that nobody looks at"), ["60", "120", "180"]);
    assert_eq!(at("a device that waits for six hours").last().unwrap(), "21600");
}

/// All of them, for others to run.
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}
