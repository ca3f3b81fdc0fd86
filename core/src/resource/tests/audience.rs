use super::super::Audience;
use crate::error::{ConfigError, Endpoint, Error, UrlFlaw};

fn admits(base: &str, url: &str) -> Result<(), Error> {
    Audience::only(base).unwrap().admit(&url.parse().unwrap())
}

fn is_elsewhere(result: Result<impl core::fmt::Debug, Error>) -> bool {
    matches!(result, Err(Error::Config(ConfigError::Audience(_))))
}

fn has_flaw(result: Result<impl core::fmt::Debug, Error>, expected: UrlFlaw) -> bool {
    matches!(result, Err(Error::Config(ConfigError::Url { endpoint: Endpoint::Resource, flaw })) if flaw == expected)
}

#[test]
fn rs_04_a_token_goes_to_no_host_outside_its_audience() {
    for url in [
        "https://evil-good.com/v1/x",
        "https://good.com.evil/v1/x",
        "https://good.com.evil.com/v1/x",
        "https://evil.com/good.com/v1",
        "https://evil.com/?https://good.com/v1",
        "https://sub.good.com/v1/x",
        "https://good.co/v1/x",
        "https://good.com:8443/v1/x",
        "https://xn--god-1na.com/v1/x",
        "https://gооd.com/v1/x",
        "https://good.com../v1/x",
        "https://127.0.0.1/v1/x",
    ] {
        assert!(is_elsewhere(admits("https://good.com/v1", url)), "{url}");
    }
    assert!(has_flaw(admits("https://good.com", "https://good.com@evil.com/"), UrlFlaw::UserInfo));
    assert!(has_flaw(admits("https://good.com", "https://good.com#@evil.com/"), UrlFlaw::Fragment));
    assert!(has_flaw(admits("https://good.com", "ftp://good.com/"), UrlFlaw::Scheme));
    assert!(has_flaw(admits("https://good.com", "wss://good.com/"), UrlFlaw::Scheme));
    let error = admits("https://good.com", "https://evil.com/secret?token=x").unwrap_err();
    assert_eq!(error, ConfigError::Audience("https://evil.com".to_owned()).into(), "neither path nor query");
}

#[test]
fn rs_04_every_base_admits_and_nothing_else_does() {
    let audience = Audience::only("https://one.example").unwrap().and("https://two.example:8443/api/").unwrap();
    for url in ["https://one.example/x", "https://two.example:8443/api", "https://two.example:8443/api/x?y"] {
        assert_eq!(audience.admit(&url.parse().unwrap()), Ok(()), "{url}");
    }
    for url in ["https://two.example/api/x", "https://two.example:8443/", "https://two.example:8443/apix"] {
        assert!(is_elsewhere(audience.admit(&url.parse().unwrap())), "{url}");
    }
}

#[test]
fn rs_05_l_55_a_resource_without_encryption_gets_no_token() {
    for base in ["http://good.com", "http://10.0.0.1", "http://localhost", "http://127.0.0.1.evil.com"] {
        assert!(has_flaw(Audience::only(base), UrlFlaw::Insecure), "{base}");
        assert!(has_flaw(admits("https://good.com", base), UrlFlaw::Insecure), "{base}");
    }
    for base in ["http://127.0.0.1:8080/api", "http://[::1]:8080/api"] {
        let audience = Audience::only(base).unwrap();
        let url = format!("{base}/x").parse().unwrap();
        assert!(has_flaw(audience.admit(&url), UrlFlaw::Insecure), "{base}");
        assert!(has_flaw(audience.join("x"), UrlFlaw::Insecure), "{base}");
        let audience = audience.dangerous_allow_loopback_http();
        assert_eq!(audience.admit(&url), Ok(()));
        assert_eq!(audience.join("x"), Ok(url));
        assert!(has_flaw(audience.admit(&"http://good.com/api/x".parse().unwrap()), UrlFlaw::Insecure));
    }
    let mixed = Audience::only("https://127.0.0.1").unwrap().dangerous_allow_loopback_http();
    assert!(is_elsewhere(mixed.admit(&"http://127.0.0.1/".parse().unwrap())), "not the origin that was named");
}

#[test]
fn rs_06_every_spelling_of_an_origin_is_one_origin() {
    let spellings = [
        ("https://good.com", "https://GOOD.com/"),
        ("https://good.com", "HTTPS://good.com"),
        ("https://good.com", "https://good.com./"),
        ("https://good.com.", "https://good.com/"),
        ("https://good.com", "https://good.com:443/"),
        ("https://good.com:443", "https://good.com/"),
        ("https://xn--bcher-kva.example", "https://bücher.example/"),
        ("https://[2001:db8::1]", "https://[2001:0db8:0:0:0:0:0:1]/"),
        ("https://192.0.2.1", "https://192.0.2.1:443/"),
    ];
    for (base, url) in spellings {
        assert_eq!(admits(base, url), Ok(()), "{base} {url}");
    }
    assert!(is_elsewhere(admits("https://[2001:db8::1]", "https://[2001:db8::2]/")));
    assert!(is_elsewhere(admits("https://[2001:db8::1]", "https://[2001:db8::1]:8443/")));
}

#[test]
fn a_base_with_a_path_admits_what_lies_below_it() {
    let base = "https://good.com/tenant/a/";
    for path in ["tenant/a", "tenant/a/", "tenant/a/x/../y", "tenant/a/x%2Fy", "tenant/a/..x", "tenant/b/../a/x"] {
        assert_eq!(admits(base, &format!("https://good.com/{path}")), Ok(()), "{path}");
    }
    for path in [
        "",
        "tenant/b",
        "tenant/ab",
        "tenant/a/../b",
        "tenant/a/%2e%2E/b",
        "tenant/a/..%2fb",
        "tenant/a/x%2F..%2F..%2Fb",
        "tenant/a/%2e%2e%5Cb",
        "tenant/a/..;x=y/b",
        "tenant/a/..%3bx/b",
        "Tenant/A",
    ] {
        assert!(is_elsewhere(admits(base, &format!("https://good.com/{path}"))), "{path}");
    }
}

#[test]
fn a_base_is_a_url_without_query_fragment_and_user_info() {
    for (base, flaw) in [
        ("https://good.com/?x", UrlFlaw::Query),
        ("https://good.com/#x", UrlFlaw::Fragment),
        ("https://me@good.com/", UrlFlaw::UserInfo),
        ("good.com", UrlFlaw::Unparsable),
        ("", UrlFlaw::Unparsable),
        ("https:///x", UrlFlaw::Host),
        ("file:///x", UrlFlaw::Scheme),
    ] {
        assert!(has_flaw(Audience::only(base), flaw), "{base}: {:?}", Audience::only(base));
        assert!(has_flaw(Audience::only("https://good.com").unwrap().and(base), flaw), "{base}");
    }
}

#[test]
fn h_04_a_path_is_joined_with_one_slash_and_keeps_the_base() {
    for (base, path, expected) in [
        ("https://example.com/api", "lights", "https://example.com/api/lights"),
        ("https://example.com/api/", "lights", "https://example.com/api/lights"),
        ("https://example.com/api", "/lights", "https://example.com/api/lights"),
        ("https://example.com/api/", "/lights", "https://example.com/api/lights"),
        ("https://example.com", "lights", "https://example.com/lights"),
        ("https://example.com", "", "https://example.com/"),
        ("https://example.com/api", "", "https://example.com/api/"),
        ("https://example.com/api", "?a=b:c/d", "https://example.com/api/?a=b:c/d"),
        ("https://example.com/api", "lights/1?on=%20x", "https://example.com/api/lights/1?on=%20x"),
        ("https://example.com/api", "a/../b", "https://example.com/api/b"),
        ("https://example.com/api", "/projects:search", "https://example.com/api/projects:search"),
        ("https://example.com/api", "/@somebody", "https://example.com/api/@somebody"),
        ("https://example.com/api", "a//b", "https://example.com/api/a//b"),
    ] {
        assert_eq!(Audience::only(base).unwrap().join(path).unwrap().as_str(), expected, "{base} {path}");
    }
}

#[test]
fn rs_03_h_04_no_path_leads_elsewhere() {
    for base in ["https://good.com/api", "https://good.com/api/"] {
        let audience = Audience::only(base).unwrap();
        for path in [
            "https://evil.com/x",
            "HTTPS:evil.com",
            "https:evil.com/x",
            "javascript:alert(1)",
            "//evil.com/x",
            "//good.com/api/x",
            "../other",
            "../../evil.com",
            "a/../../other",
            "%2e%2e/other",
            "..%2fother",
            "/..",
        ] {
            assert!(is_elsewhere(audience.join(path)), "{path}: {:?}", audience.join(path));
        }
        for (path, flaw) in [
            ("///evil.com/x", UrlFlaw::Unparsable),
            ("\\\\evil.com", UrlFlaw::Unparsable),
            ("/\\evil.com", UrlFlaw::Unparsable),
            ("a\\..\\..\\b", UrlFlaw::Unparsable),
            ("@evil.com", UrlFlaw::UserInfo),
            ("a\r\nHost: evil.com", UrlFlaw::Unparsable),
            ("a\tb", UrlFlaw::Unparsable),
            ("\0", UrlFlaw::Unparsable),
            ("a b", UrlFlaw::Unparsable),
            ("ä", UrlFlaw::Unparsable),
            ("x#y", UrlFlaw::Fragment),
        ] {
            assert!(has_flaw(audience.join(path), flaw), "{path:?}: {:?}", audience.join(path));
        }
    }
    // Joined to a bare host, a name could be made longer, or a port be added.
    for path in [".evil.com/x", "-evil.com", "8080/x"] {
        let url = Audience::only("https://good.com").unwrap().join(path).unwrap();
        assert_eq!((url.host_str(), url.port()), (Some("good.com"), None), "{path}");
    }
    assert!(is_elsewhere(Audience::only("https://good.com").unwrap().join(":8080/x")));
}
