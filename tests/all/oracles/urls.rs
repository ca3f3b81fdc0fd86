//! The URL policy beside the URL Standard, as `url` implements it. What we accept is read by the same crate, so what is
//! compared is whether what is read is what was written.

use grantflow_core::error::UrlFlaw;
use grantflow_core::http::UrlPolicy;
use url::{Host, Url};

use super::{Comparison, Judgement};

const SCHEMES: [&str; 12] = [
    "https://",
    "http://",
    "HTTPS://",
    "https:/",
    "https:",
    "https:///",
    "https:\\\\",
    "//",
    "",
    "ftp://",
    "ht\ntps://",
    " https://",
];

const AUTHORITIES: [&str; 44] = [
    "as.example",
    "AS.example",
    "as.example.",
    "as.example:443",
    "as.example:8443",
    "as.example:0",
    "as.example:",
    "as.example:65536",
    "as.example:+1",
    "as.example:00443",
    "user@as.example",
    "user:word@as.example",
    "@as.example",
    ":@as.example",
    "good.example@evil.example",
    "good.example%2F@evil.example",
    "good.example\\@evil.example",
    "good.example\\.evil.example",
    "good.example%2eevil.example",
    "a b.example",
    "as\t.example",
    "\u{ff21}s.example",
    "b\u{fc}cher.example",
    "xn--bcher-kva.example",
    "xn--",
    "a_b.example",
    "-a.example",
    "a..example",
    ".example",
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "256.0.0.1",
    "1.2.3.4.5",
    "10.0.0.1",
    "[::1]",
    "[0:0::1]",
    "[::ffff:127.0.0.1]",
    "[::1",
    "[fe80::1%25eth0]",
    "localhost",
    "*.example",
];

const TAILS: [&str; 20] = [
    "",
    "/",
    "/token",
    "/a/../b",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a\\b",
    "/a b",
    "/a\tb",
    "/%zz",
    "/\u{e9}",
    "?",
    "?a=b",
    "?a=b c",
    "#",
    "#a",
    "/|",
    "/\"<>",
    "/{a}",
    "/^`",
];

/// What is accepted: the host as it is reached, the port, and everything after it.
type Read = (String, Option<u16>, String);

fn read(url: &Url) -> Read {
    (url.host_str().unwrap_or_default().to_owned(), url.port(), url[url::Position::BeforePath..].to_owned())
}

/// The text cut apart with nothing repaired.
fn written(text: &str) -> Read {
    let (scheme, rest) = text.split_once("://").unwrap();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().unwrap())),
        Some(_) | None => (authority, None),
    };
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let tail = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
    (host.to_ascii_lowercase(), port.filter(|port| *port != usual), tail)
}

/// Why we refuse what the URL Standard reads.
fn our_reason(text: &str, flaw: UrlFlaw) -> String {
    let authority = text.split_once("//").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let illegal = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
    match flaw {
        UrlFlaw::Unparsable if text.contains('\\') => "Unparsable: a backslash".to_owned(),
        UrlFlaw::Unparsable if text.contains(['\t', '\n', '\r']) => "Unparsable: a tab or line end".to_owned(),
        UrlFlaw::Unparsable if text.trim() != text => "Unparsable: space around".to_owned(),
        UrlFlaw::Unparsable if !text.is_ascii() => "Unparsable: not ASCII".to_owned(),
        UrlFlaw::Unparsable if text.bytes().any(illegal) => "Unparsable: no character of a URI".to_owned(),
        UrlFlaw::Unparsable if !text.contains("//") => "Unparsable: slashes missing".to_owned(),
        UrlFlaw::Unparsable if text.starts_with("https:/") && !text.starts_with("https://") => {
            "Unparsable: slashes missing".to_owned()
        }
        UrlFlaw::Unparsable if authority.contains('%') => "Unparsable: an escape in the host".to_owned(),
        UrlFlaw::Unparsable if authority.ends_with(':') => "Unparsable: an empty port".to_owned(),
        UrlFlaw::Unparsable => "Unparsable: ?".to_owned(),
        other => format!("{other:?}"),
    }
}

/// How what was read differs from what was written.
fn rewriting(text: &str, url: &Url, ours: &Read) -> String {
    let found = read(url);
    let class = if ours.0 != found.0 {
        match url.host() {
            Some(Host::Ipv4(_)) => "another notation of an IPv4 address",
            Some(Host::Ipv6(_)) => "another notation of an IPv6 address",
            Some(Host::Domain(_)) | None => "another host",
        }
    } else if ours.1 != found.1 {
        "another port"
    } else if text.contains("/.") || text.to_ascii_lowercase().contains("%2e") {
        "dot segments are resolved"
    } else if text.contains('\'') {
        "an apostrophe is escaped"
    } else {
        "another path"
    };
    class.to_owned()
}

fn inputs() -> Vec<String> {
    let mut inputs: Vec<String> = Vec::new();
    for scheme in SCHEMES {
        for authority in AUTHORITIES {
            inputs.extend(TAILS.iter().map(|tail| format!("{scheme}{authority}{tail}")));
        }
    }
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/url_policy");
    let mut paths: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    inputs.extend(paths.into_iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()));
    inputs
}

#[test]
fn urls_are_read_as_the_url_standard_reads_them_but_for_explained_differences() {
    let policy = UrlPolicy::default();
    let mut comparison = Comparison::with("url");
    for text in inputs() {
        let standard = Url::parse(&text);
        let ours: Judgement<Read> = match policy.parse(&text) {
            Ok(_) => Ok(written(&text)),
            Err(flaw) => Err(our_reason(&text, flaw)),
        };
        let theirs = standard.as_ref().map(read).map_err(|error| format!("{error:?}"));
        comparison.compare(&text, ours, theirs, |ours, _| rewriting(&text, standard.as_ref().unwrap(), ours));
    }
    comparison.judge();
}
