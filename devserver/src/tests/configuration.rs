use super::client::*;
use crate::{Config, Consent, Fault, GrantType, RefreshRotation};

const FULL: &str = r#"
port = 0
issuer_path = "/tenant"
consent = { allow = "carol" }
refresh_rotation = "keep"
access_token_format = "opaque"
access_token_lifetime = 300
id_token_lifetime = 60
refresh_token_lifetime = 1000
code_lifetime = 30
device_code_lifetime = 120
device_interval = 1
acr_values = ["gold"]
faults = ["token-429-retry-after"]

[[client]]
id = "app"
redirect_uris = ["https://app.example/cb"]
grants = ["authorization_code", "refresh_token", "device_code"]

[[client]]
id = "service"
secret = "s3cret-s3cret"
authentication = "client_secret_basic"
name = "A service"
grants = ["client_credentials"]
scopes = ["read"]
id_token_signed_response_alg = "ES256"

[[user]]
name = "carol"
password = "pa55-pa55"
subject = "c-1"
claims = { email = "carol@example.com" }
"#;

#[test]
fn every_key_of_a_file_is_read() {
    let config = Config::from_toml(FULL).unwrap();
    assert_eq!(config.consent, Consent::Allow("carol".to_owned()));
    assert_eq!(config.refresh_rotation, RefreshRotation::Keep);
    assert_eq!(config.faults, [Fault::Token429RetryAfter]);
    assert_eq!(config.clients.len(), 2);
    assert_eq!(config.clients[0].grants[2], GrantType::DeviceCode);
    assert_eq!(config.users[0].subject(), "c-1");
    assert_eq!((config.access_token_lifetime, config.device_interval), (300, 1));
    let (server, _) = started(config);
    assert!(server.issuer().ends_with("/tenant"));
    assert_eq!(server.faults(), [Fault::Token429RetryAfter]);
}

#[test]
fn empty_file_is_the_default() {
    let config = Config::from_toml("").unwrap();
    assert_eq!(config.clients[0].id, "demo-app");
    assert_eq!(config.users[0].name, "alice");
}

#[test]
fn wrong_files_are_refused_with_the_line_and_without_their_secrets() {
    let rows = [
        ("\nprot = 1", "line 2: unknown field `prot`"),
        ("[[client]]\nid = \"a\"\ngrants = []\nsecrte = \"hush-hush\"", "line 4: unknown field `secrte`"),
        ("[[user]]\nname = \"a\"", "missing field `password`"),
        ("[[client]]\nid = \"a\"\nsecret = \"hush-hush\"\ngrants = [\"magic\"]", "unknown variant `magic`"),
        ("[[client]]\nid = \"a\"\nsecret = \"hush-hush", "line 3"),
        ("faults = [\"nonsense\"]", "no fault is called \"nonsense\""),
        ("consent = { allow = \"nobody\" }", "nobody"),
        ("issuer_path = \"tenant\"", "issuer_path"),
        ("issuer_path = \"/tenant/\"", "issuer_path"),
        ("device_interval = 0", "device_interval"),
        ("[[client]]\nid = \"a\"\ngrants = []\n[[client]]\nid = \"a\"\ngrants = []", "there twice"),
        ("[[client]]\nid = \"a\"\ngrants = []\nredirect_uris = [\"/cb\"]", "redirect URI"),
        ("[[client]]\nid = \"a\"\ngrants = []\nredirect_uris = [\"https://a.example/#f\"]", "redirect URI"),
    ];
    for (text, reason) in rows {
        let error = Config::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", Config::from_toml(FULL).unwrap());
    assert!(shown.contains("service") && shown.contains("carol"));
    assert!(!shown.contains("s3cret") && !shown.contains("pa55"), "{shown}");
}

#[test]
fn issuer_with_a_path_is_served_under_all_four_well_known_names() {
    let config = Config { issuer_path: "/tenant/a".to_owned(), ..Config::default() };
    let (server, _) = started(config.allowing("alice"));
    let paths = [
        "/tenant/a/.well-known/openid-configuration",
        "/tenant/a/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/tenant/a",
        "/.well-known/oauth-authorization-server/tenant/a",
    ];
    for path in paths {
        let metadata = get(&server, path).json();
        assert_eq!(metadata["issuer"], server.issuer(), "{path}");
        assert_eq!(metadata["token_endpoint"], server.url("/token"));
    }
    for path in ["/.well-known/openid-configuration", "/token", "/tenant/b/jwks", "/tenant/abc"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
    assert_eq!(get(&server, "/tenant/a/jwks").status, 200);
}
