//! How a browser is started and what its page shows (catalogue CL-05, DI-07, AR-29), and what the sources do not have.

use std::collections::BTreeSet;

use grantflow_core::loopback::{Pages, launchers, may_open};
use url::Url;

use crate::catalogue::sources;

#[test]
fn cl_05_di_07_a_browser_is_started_without_a_shell_and_with_one_argument() {
    let url = Url::parse("https://as.example/authorize?a=$(id)&b=`id`;c|d&e=\"f\" -g").unwrap();
    let launchers = launchers(&url);
    assert!(!launchers.is_empty());
    for launcher in launchers {
        assert!(!["sh", "bash", "cmd", "powershell", "env"].contains(&launcher.program));
        let carrying: Vec<_> = launcher.arguments.iter().filter(|argument| argument.contains("as.example")).collect();
        assert_eq!(carrying, [url.as_str()], "the URL is one argument, unchanged");
        assert_eq!(launcher.arguments.last().map(String::as_str), Some(url.as_str()));
        assert!(!url.as_str().starts_with('-') && !url.as_str().contains(char::is_whitespace));
    }
}

#[test]
fn cl_05_only_https_and_loopback_are_opened() {
    for url in ["https://as.example/", "http://127.0.0.1:9/x", "http://[::1]/"] {
        assert!(may_open(&Url::parse(url).unwrap()), "{url}");
    }
    for url in [
        "http://as.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "ms-msdt:/id",
        "ftp://as.example/",
        "mailto:a@b",
        "http://127.0.0.1.evil.example/",
    ] {
        let url = Url::parse(url).unwrap();
        assert!(!may_open(&url) && launchers(&url).is_empty(), "{url}");
    }
}

#[test]
fn ar_29_the_page_loads_nothing_and_leaves_no_code_in_view() {
    let pages = Pages::default();
    for reply in [pages.success(), pages.failure("access_denied"), pages.late()] {
        let text = String::from_utf8(reply.as_bytes().to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in ["default-src 'none'", "Referrer-Policy: no-referrer", "Cache-Control: no-store"] {
            assert!(head.contains(line), "{line}: {head}");
        }
        for foreign in ["http://", "https://", "src=", "href=", "@import", "url("] {
            assert!(!body.contains(foreign), "{foreign}: {body}");
        }
        assert!(body.contains("history.replaceState"), "the code is taken out of the address");
    }
}

#[test]
fn rf_19_the_grants_are_these_and_no_password_or_implicit_one() {
    let mut grants = BTreeSet::new();
    let mut response_types = BTreeSet::new();
    for (path, source) in sources() {
        let path = path.to_string_lossy().into_owned();
        if !path.starts_with("core/src") || path.contains("tests") || path.contains("testing") {
            continue;
        }
        let value = |line: &str| line.split('"').nth(3).unwrap_or_default().to_owned();
        for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
            // Who writes a grant of their own names its type; `l_22_…` shows which ones are refused.
            if line.contains("push(\"grant_type\"") && !value(line).is_empty() {
                grants.insert(value(line));
            }
            if line.contains("append_pair(\"response_type\"") {
                response_types.insert(value(line));
            }
        }
    }
    let known =
        ["authorization_code", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
    assert_eq!(grants.iter().map(String::as_str).collect::<Vec<_>>(), known);
    assert_eq!(response_types.iter().map(String::as_str).collect::<Vec<_>>(), ["code"]);
}
