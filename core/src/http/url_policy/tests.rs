use proptest::prelude::*;

use super::*;

fn judge(text: &str) -> Result<(), UrlFlaw> {
    UrlPolicy::default().parse(text).map(drop)
}

/// How far a URL in the metadata of `https://issuer.example/tenant` may reach.
fn reach(text: &str) -> Result<Reach, UrlFlaw> {
    let trusted = Url::parse("https://issuer.example/tenant").unwrap();
    let policy = UrlPolicy::default();
    policy.reach(&policy.parse(text)?, Some(&trusted))
}

#[test]
fn https_and_http_to_a_loopback_literal_are_allowed() {
    for url in [
        "https://as.example",
        "https://as.example/",
        "HTTPS://as.example:8443/token?tenant=x",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://xn--bcher-kva.example/",
        "http://127.0.0.1:8080/cb",
        "http://127.1.2.3/",
        "http://[::1]:1/",
        "https://as.example/a%2Fb",
    ] {
        assert_eq!(judge(url), Ok(()), "{url}");
    }
}

#[test]
fn tt_03_di_06_http_elsewhere_and_other_schemes_are_refused() {
    for url in [
        "http://as.example/",
        "http://localhost/",
        "http://localhost:80/",
        "http://128.0.0.1/",
        "http://[::2]/",
        "http://0.0.0.0/",
    ] {
        assert_eq!(judge(url), Err(UrlFlaw::Insecure), "{url}");
    }
    for url in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://as.example/",
        "ws://as.example/",
        "as.example:443",
    ] {
        assert_eq!(judge(url), Err(UrlFlaw::Scheme), "{url}");
    }
    for url in ["file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "ftp://as.example/"] {
        assert_eq!(UrlPolicy::default().check(&Url::parse(url).unwrap()), Err(UrlFlaw::Scheme), "{url}");
    }
}

#[test]
fn tt_04_tricks_that_parsers_repair_are_refused() {
    for (url, flaw) in [
        ("http://localhost:80@evil.example/", UrlFlaw::UserInfo),
        ("https://good.example@evil.example/", UrlFlaw::UserInfo),
        ("https://good.example%2F@evil.example/", UrlFlaw::UserInfo),
        ("https://:@evil.example/", UrlFlaw::UserInfo),
        ("https://@evil.example/", UrlFlaw::UserInfo),
        ("https://good.example\\@evil.example/", UrlFlaw::Unparsable),
        ("https:\\\\evil.example/", UrlFlaw::Unparsable),
        ("https://good.example\\.evil.example/", UrlFlaw::Unparsable),
        ("https://good.example\t.evil.example/", UrlFlaw::Unparsable),
        ("https://evil.example/\npath", UrlFlaw::Unparsable),
        ("ht\ntps://evil.example/", UrlFlaw::Unparsable),
        (" https://evil.example/", UrlFlaw::Unparsable),
        ("https://evil.example/ ", UrlFlaw::Unparsable),
        ("https:///evil.example/", UrlFlaw::Host),
        ("https:////evil.example/", UrlFlaw::Host),
        ("https://", UrlFlaw::Host),
        ("https://?x", UrlFlaw::Host),
        ("https://:443/", UrlFlaw::Host),
        ("https:evil.example", UrlFlaw::Unparsable),
        ("https:/evil.example", UrlFlaw::Unparsable),
        ("//evil.example/", UrlFlaw::Unparsable),
        ("https://evil.example:/", UrlFlaw::Unparsable),
        ("https://evil.example:65536/", UrlFlaw::Unparsable),
        ("https://ev%69l.example/", UrlFlaw::Unparsable),
        ("https://xn--/", UrlFlaw::Unparsable),
        ("https://ｅvil.example/", UrlFlaw::Unparsable),
        ("https://[::1/", UrlFlaw::Unparsable),
        ("https://evil.example/|x", UrlFlaw::Unparsable),
        ("https://as.example/#", UrlFlaw::Fragment),
        ("https://as.example/#x", UrlFlaw::Fragment),
        ("", UrlFlaw::Unparsable),
    ] {
        assert_eq!(judge(url), Err(flaw), "{url:?}");
    }
}

#[test]
fn parsed_urls_are_judged_without_their_text() {
    let check = |url: &str| UrlPolicy::default().check(&Url::parse(url).unwrap());
    assert_eq!(check("https://a:b@as.example/"), Err(UrlFlaw::UserInfo));
    assert_eq!(check("https://:b@as.example/"), Err(UrlFlaw::UserInfo));
    assert_eq!(check("https://as.example/#"), Err(UrlFlaw::Fragment));
    assert_eq!(check("http://as.example/"), Err(UrlFlaw::Insecure));
}

#[test]
fn urls_are_bounded() {
    let url = |len: usize| format!("https://as.example/{}", "a".repeat(len - 19));
    assert_eq!(judge(&url(MAX_URL)), Ok(()));
    assert_eq!(judge(&url(MAX_URL + 1)), Err(UrlFlaw::TooLong));
    assert_eq!(UrlPolicy::default().check(&Url::parse(&url(MAX_URL * 100)).unwrap()), Err(UrlFlaw::TooLong));
}

#[test]
fn di_03_an_issuer_has_no_query_no_fragment_no_user_info_and_is_secure() {
    let issuer = |text: &str| UrlPolicy::default().issuer(text).map(drop);
    assert_eq!(issuer("https://issuer.example/tenant/"), Ok(()));
    assert_eq!(issuer("http://127.0.0.1:9000"), Ok(()));
    assert_eq!(issuer("https://issuer.example?x=1"), Err(UrlFlaw::Query));
    assert_eq!(issuer("https://issuer.example/?"), Err(UrlFlaw::Query));
    assert_eq!(issuer("https://issuer.example/#x"), Err(UrlFlaw::Fragment));
    assert_eq!(issuer("https://me@issuer.example/"), Err(UrlFlaw::UserInfo));
    assert_eq!(issuer("http://issuer.example/"), Err(UrlFlaw::Insecure));
}

#[test]
fn ar_26_redirect_uris_are_judged_when_configured() {
    let redirect = |text: &str| UrlPolicy::default().redirect_uri(text).map(drop);
    for text in [
        "https://app.example/cb?x=1",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:8400/cb",
        "http://[::1]/cb",
        "com.example.app:/oauth2redirect",
        "com.example.app://cb",
    ] {
        assert_eq!(redirect(text), Ok(()), "{text}");
    }
    for (text, flaw) in [
        ("http://app.example/cb", UrlFlaw::Insecure),
        ("http://localhost:8400/cb", UrlFlaw::Insecure),
        ("http://192.168.0.1/cb", UrlFlaw::Insecure),
        ("https://app.example/cb#x", UrlFlaw::Fragment),
        ("com.example.app:/cb#x", UrlFlaw::Fragment),
        ("https://*.app.example/cb", UrlFlaw::Unparsable),
        ("https://app.example/*", UrlFlaw::Unparsable),
        ("com.example.*:/cb", UrlFlaw::Unparsable),
        ("https://me@app.example/cb", UrlFlaw::UserInfo),
        ("com.example.app://me@x/cb", UrlFlaw::UserInfo),
        ("myapp://cb", UrlFlaw::Scheme),
        ("javascript:alert(1)", UrlFlaw::Scheme),
        ("com.example.app:/cb\r\nX: y", UrlFlaw::Unparsable),
        ("/cb", UrlFlaw::Unparsable),
        ("1.2:/cb", UrlFlaw::Unparsable),
    ] {
        assert_eq!(redirect(text), Err(flaw), "{text}");
    }
    let with_name = UrlPolicy::default().with_localhost_redirects();
    assert!(with_name.redirect_uri("http://localhost:8400/cb").is_ok());
    for text in ["http://localhost.evil.example/cb", "http://app.example/cb", "http://localhost#x"] {
        assert!(with_name.redirect_uri(text).is_err(), "{text}");
    }
    assert_eq!(with_name.parse("http://localhost/token"), Err(UrlFlaw::Insecure));
}

#[test]
fn the_issuers_own_host_may_be_anywhere() {
    for (trusted, url) in [
        ("https://issuer.example/a", "https://issuer.example:8443/b"),
        ("https://issuer.example.", "https://ISSUER.example/b"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001/token"),
        ("https://10.0.0.1", "https://10.0.0.1/token"),
        ("https://[fd00::1]", "https://[fd00:0::1]/token"),
        ("https://localhost", "https://localhost/token"),
    ] {
        let policy = UrlPolicy::default();
        assert_eq!(
            policy.reach(&policy.parse(url).unwrap(), Some(&Url::parse(trusted).unwrap())),
            Ok(Reach::Any),
            "{url}"
        );
    }
}

#[test]
fn di_08_other_hosts_must_be_public() {
    for url in [
        "https://keys.example/jwks",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://localhost.example/",
        "https://issuer.example.evil.example/",
    ] {
        assert_eq!(reach(url), Ok(Reach::Public), "{url}");
    }
    for url in [
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "https://127.8.8.8/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "http://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://a.localhost/",
        "https://a.localhost./",
        "https://0/",
    ] {
        assert_eq!(reach(url), Err(UrlFlaw::PrivateAddress), "{url}");
    }
    assert_eq!(reach("http://keys.example/"), Err(UrlFlaw::Insecure));
    let open = UrlPolicy::default().dangerous_allow_private_addresses();
    let trusted = Url::parse("https://issuer.example").unwrap();
    assert_eq!(open.reach(&Url::parse("https://10.0.0.1/").unwrap(), Some(&trusted)), Ok(Reach::Any));
    assert_eq!(open.reach(&Url::parse("http://keys.example/").unwrap(), Some(&trusted)), Err(UrlFlaw::Insecure));
}

#[test]
fn di_08_special_addresses_are_not_public() {
    for address in [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::c0a8:1",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff::",
        "2001:db8::1",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff::",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2000::1",
        "2001:200::1",
        "2001:4860::8888",
        "2003::1",
        "2620:4f:8000::1",
        "3ffe::1",
        "3fff:1000::1",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_is_what_url_reads_with_the_same_host(text in "https?:/{0,3}[a-c.@:%0-9\\[\\]\\\\\t ]{0,12}[/?#]?[a-z.%]{0,4}") {
        if let Ok(url) = UrlPolicy::default().parse(&text) {
            let host = url.host_str().unwrap();
            prop_assert!(text.to_ascii_lowercase().contains(host) || matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))));
            prop_assert_eq!(Url::parse(&text).unwrap(), url);
        }
    }

    #[test]
    fn private_and_local_addresses_of_the_standard_library_are_never_public(bits in any::<u32>()) {
        let address = Ipv4Addr::from(bits);
        let special = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
            || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
        prop_assert!(!(special && is_public(address.into())));
        prop_assert_eq!(is_public(address.to_ipv6_mapped().into()), is_public(address.into()));
    }

    #[test]
    fn local_addresses_of_version_6_are_never_public(bits in any::<u128>()) {
        let address = Ipv6Addr::from(bits);
        let special = address.is_unique_local() || address.is_unicast_link_local() || address.is_multicast() || address.is_loopback();
        prop_assert!(!(special && is_public(address.into())));
    }
}
