use proptest::prelude::*;

use super::*;
use crate::callback::CallbackParams;
use crate::error::BadCallback;

const URI: &str = "http://127.0.0.1:4711/callback";

fn query() -> Reception {
    Reception::new(URI, ResponseMode::Query).unwrap()
}

fn form() -> Reception {
    Reception::new(URI, ResponseMode::FormPost).unwrap()
}

/// What the bytes come to: `None` for more, 0 for a callback, otherwise the status of the answer.
fn heard(reception: &Reception, bytes: &[u8]) -> Option<u16> {
    summary(Connection::new(reception).receive(bytes))
}

fn summary(heard: Heard) -> Option<u16> {
    match heard {
        Heard::More => None,
        Heard::Callback(_) => Some(0),
        Heard::Answer(reply) => {
            well_formed(&reply);
            Some(reply.status())
        }
    }
}

fn well_formed(reply: &Reply) -> String {
    let text = String::from_utf8(reply.as_bytes().to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let reason = match reply.status() {
        // Newer than the name that the http crate knows (RFC 9110 §15.5.14).
        413 => "Content Too Large",
        status => http::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap(),
    };
    assert!(head.starts_with(&format!("HTTP/1.1 {} {reason}\r\n", reply.status())), "{head}");
    for line in [
        &format!("Content-Length: {}", body.len()),
        "Connection: close",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
    ] {
        assert_eq!(head.lines().filter(|found| found == &line).count(), 1, "{line} in {head}");
    }
    assert!(head.contains("Content-Security-Policy: default-src 'none'; "), "{head}");
    assert!(!head.to_lowercase().contains("access-control"), "{head}");
    text
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n")
}

fn with(method: &str, fields: &str, body: &str) -> String {
    format!("{method} /callback?code=c&state=s HTTP/1.1\r\n{fields}\r\n{body}")
}

const HOST: &str = "Host: 127.0.0.1:4711\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn a_browser_that_follows_the_redirect_is_heard() {
    let chrome = "GET /callback?state=s&code=c%2B HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nConnection: keep-alive\r\n\
                  sec-ch-ua: \"x\"\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Site: cross-site\r\n\
                  Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: other=1\r\n\r\n";
    assert_eq!(heard(&query(), chrome.as_bytes()), Some(0));
    assert_eq!(heard(&query(), get("/callback?error=access_denied&state=s").as_bytes()), Some(0));
    assert_eq!(heard(&query(), get("/callback?code=c").replace("HTTP/1.1", "HTTP/1.0").as_bytes()), Some(0));
}

fn parameters(reception: &Reception, request: &str) -> CallbackParams {
    match Connection::new(reception).receive(request.as_bytes()) {
        Heard::Callback(parameters) => parameters,
        other => panic!("{request}: {other:?}"),
    }
}

#[test]
fn a_23_parameters_are_read_in_any_order_and_decoded_once() {
    for target in [
        "/callback?code=a%2Bb%252Bc&state=s",
        "/callback?state=s&code=a%2Bb%252Bc",
        "/callback?state=s&x&code=a%2Bb%252Bc&",
    ] {
        let found = parameters(&query(), &get(target));
        assert!(found.code().unwrap().matches("a+b%2Bc") && found.state().unwrap().matches("s"), "{target}");
    }
    let body = "code=a%2Bb%252Bc&state=s";
    let post = format!("{HOST}{FORM}Content-Length: {}\r\n", body.len());
    let found = parameters(&form(), &with("POST", &post, body));
    assert!(found.code().unwrap().matches("a+b%2Bc"), "and nothing of the query is read");
    let pasted = query().pasted("http://127.0.0.1:4711/callback?code=a%2Bb%252Bc&state=s").unwrap();
    assert!(pasted.code().unwrap().matches("a+b%2Bc"));
    let fragment = Reception::new(URI, ResponseMode::Fragment).unwrap();
    let pasted = fragment.pasted("http://127.0.0.1:4711/callback#state=s").unwrap();
    assert!(pasted.state().unwrap().matches("s"));
}

#[test]
fn a_callback_that_cannot_be_read_is_answered_and_reaches_no_flow() {
    for bad in ["code=%c0%80&state=s", "code=%ff&state=s", "code=%zz", "error=%"] {
        assert_eq!(heard(&query(), get(&format!("/callback?{bad}")).as_bytes()), Some(400), "{bad}");
        let length = format!("{HOST}{FORM}Content-Length: {}\r\n", bad.len());
        assert_eq!(heard(&form(), with("POST", &length, bad).as_bytes()), Some(400), "{bad}");
        assert!(query().pasted(&format!("{URI}?{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn lb_04_a_foreign_host_or_a_script_is_refused_without_cors() {
    let rows: &[(&str, u16)] = &[
        ("", 400),
        ("Host: 127.0.0.1:4711\r\nHost: 127.0.0.1:4711\r\n", 400),
        ("Host: \r\n", 421),
        ("Host: evil.test:4711\r\n", 421),
        ("Host: localhost:4711\r\n", 421),
        ("Host: 127.0.0.1\r\n", 421),
        ("Host: 127.0.0.1:4712\r\n", 421),
        ("Host: [::1]:4711\r\n", 421),
        ("Host: 127.0.0.1:4711@evil.test\r\n", 421),
        ("Host: 127.0.0.1:4711\r\nSec-Fetch-Mode: cors\r\nOrigin: https://evil.test\r\n", 403),
        ("Host: 127.0.0.1:4711\r\nSec-Fetch-Mode: no-cors\r\n", 403),
        ("Host: 127.0.0.1:4711\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Mode: cors\r\n", 403),
        ("hOST:127.0.0.1:4711\r\n", 0),
    ];
    for (fields, expected) in rows {
        assert_eq!(heard(&query(), with("GET", fields, "").as_bytes()), Some(*expected), "{fields}");
    }
    let preflight = "Host: 127.0.0.1:4711\r\nOrigin: https://evil.test\r\nAccess-Control-Request-Method: GET\r\n\
                     Access-Control-Request-Private-Network: true\r\n";
    assert_eq!(heard(&query(), with("OPTIONS", preflight, "").as_bytes()), Some(405));
}

#[test]
fn lb_05_another_path_or_method_is_refused() {
    let rows: &[(&str, u16)] = &[
        ("/", 404),
        ("/favicon.ico", 404),
        ("/callback/", 404),
        ("/callback/?code=c", 404),
        ("/Callback?code=c", 404),
        ("//callback?code=c", 404),
        ("/x/../callback?code=c", 404),
        ("/%63allback?code=c", 404),
        ("/robots.txt?/callback", 404),
        ("*", 400),
        ("http://127.0.0.1:4711/callback?code=c", 400),
    ];
    for (target, expected) in rows {
        assert_eq!(heard(&query(), get(target).as_bytes()), Some(*expected), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "G"] {
        assert_eq!(heard(&query(), with(method, HOST, "").as_bytes()), Some(405), "{method}");
    }
    assert_eq!(heard(&query(), get("/").replacen("GET", "POST", 1).as_bytes()), Some(404));
}

#[test]
fn ar_28_head_and_options_are_not_allowed_and_are_told_what_is() {
    for (reception, allow) in [(query(), "Allow: GET"), (form(), "Allow: POST")] {
        for method in ["HEAD", "OPTIONS"] {
            let Heard::Answer(reply) = Connection::new(&reception).receive(with(method, HOST, "").as_bytes()) else {
                panic!("{method} is no callback");
            };
            assert_eq!(reply.status(), 405);
            let text = String::from_utf8(reply.as_bytes().to_vec()).unwrap();
            assert!(text.contains(&format!("\r\n{allow}\r\n")), "{text}");
            assert_eq!(method == "HEAD", text.ends_with("\r\n\r\n"), "the answer to HEAD has no body: {text}");
        }
    }
}

#[test]
fn ar_20_a_form_post_is_read_and_everything_else_in_its_place_is_refused() {
    let post = |fields: &str, body: &str| heard(&form(), with("POST", &format!("{HOST}{fields}"), body).as_bytes());
    let body = "error=access_denied&state=s";
    let length = format!("Content-Length: {}\r\n", body.len());
    assert_eq!(post(&format!("{FORM}{length}"), body), Some(0));
    assert_eq!(
        post(&format!("content-type: Application/X-WWW-Form-Urlencoded ; charset=UTF-8\r\n{length}"), body),
        Some(0)
    );
    assert_eq!(post(&format!("{FORM}{length}Expect: 100-continue\r\n"), body), Some(0));
    assert_eq!(post(&format!("{FORM}{length}"), body.trim_start_matches('e')), None, "a body that has not come whole");
    assert_eq!(post(&format!("{FORM}Content-Length: 0\r\n"), ""), Some(0), "judged by the flow: no state");
    assert_eq!(heard(&form(), with("GET", HOST, "").as_bytes()), Some(405));
    let rows: &[(&str, u16)] = &[
        ("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n", 415),
        ("Content-Type: application/json\r\nContent-Length: 3\r\n", 415),
        ("Content-Type: text/plain\r\nContent-Length: 3\r\n", 415),
        ("Content-Length: 3\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000000\r\n", 413),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 16385\r\n", 413),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99999999999999999999999\r\n", 413),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 411),
        ("Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n", 411),
        ("Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", 411),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: +3\r\n", 400),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: -3\r\n", 400),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3, 3\r\n", 400),
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length:\r\n", 400),
    ];
    for (fields, expected) in rows {
        assert_eq!(post(fields, "a=b"), Some(*expected), "{fields}");
    }
}

#[test]
fn a_get_with_a_body_is_refused() {
    for fields in ["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"] {
        assert_eq!(heard(&query(), with("GET", &format!("{HOST}{fields}"), "a=b").as_bytes()), Some(400));
    }
    assert_eq!(heard(&query(), with("GET", &format!("{HOST}Content-Length: 0\r\n"), "").as_bytes()), Some(0));
}

#[test]
fn lb_09_what_is_no_request_of_a_browser_is_answered_and_closed() {
    let long_line = format!("GET /callback?{}", "x".repeat(64 * 1024));
    let long_field = format!("GET /callback HTTP/1.1\r\n{HOST}X: {}", "x".repeat(1024 * 1024));
    let many_fields = format!("GET /callback HTTP/1.1\r\n{HOST}{}", "X: y\r\n".repeat(10_000));
    let long_head = format!("GET /callback HTTP/1.1\r\n{HOST}{}", format!("X: {}\r\n", "y".repeat(1000)).repeat(65));
    let rows: &[(&str, &[u8], u16)] = &[
        ("64 KiB request line", long_line.as_bytes(), 414),
        ("1 MiB field", long_field.as_bytes(), 431),
        ("10,000 fields", many_fields.as_bytes(), 431),
        ("64 KiB head", long_head.as_bytes(), 431),
        ("NUL first", b"\0", 400),
        ("NUL in the target", b"GET /callback?code=\0c HTTP/1.1\r\n", 400),
        ("NUL in a field", b"GET /callback HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nX: a\0b\r\n\r\n", 400),
        ("HTTP/0.9", b"GET /callback?code=c\r\n", 400),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("HTTP/1.2", b"GET /callback HTTP/1.2\r\n", 400),
        ("empty line first", b"\r\n", 400),
        ("two blanks", b"GET  /callback HTTP/1.1\r\n", 400),
        ("blank in the target", b"GET /callback?code=a b HTTP/1.1\r\n", 400),
        ("blank before the colon", b"GET /callback HTTP/1.1\r\nHost : 127.0.0.1:4711\r\n\r\n", 400),
        ("folded field", b"GET /callback HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nX: a\r\n b\r\n\r\n", 400),
        ("text outside ASCII", "GET /callback?code=\u{e9} HTTP/1.1\r\n".as_bytes(), 400),
    ];
    for (what, bytes, expected) in rows {
        assert_eq!(heard(&query(), bytes), Some(*expected), "{what}");
    }
}

#[test]
fn lb_09_what_is_as_long_as_it_may_be_is_heard_and_one_byte_more_is_not() {
    const KIB_16: usize = 16 * 1024;
    let (line, blank) = ("GET /callback?code= HTTP/1.1\r\n", "\r\n");
    let long_line = |len: usize| {
        let code = "x".repeat(len - line.len());
        format!("{}{HOST}\r\n", line.replace("code=", &format!("code={code}")))
    };
    let long_fields = |len: usize| {
        let value = "y".repeat(len - HOST.len() - "X: ".len() - 2 * blank.len());
        format!("{line}{HOST}X: {value}\r\n\r\n")
    };
    let many_fields = |count: usize| format!("{line}{HOST}{}\r\n", "X: y\r\n".repeat(count - 1));
    for (what, most, more, refused) in [
        ("line", long_line(KIB_16), long_line(KIB_16 + 1), 414),
        ("fields", long_fields(KIB_16), long_fields(KIB_16 + 1), 431),
        ("count of fields", many_fields(100), many_fields(101), 431),
    ] {
        assert_eq!(heard(&query(), most.as_bytes()), Some(0), "{what}");
        assert_eq!(heard(&query(), more.as_bytes()), Some(refused), "{what}");
    }
    let post = |length: usize| {
        let body = format!("code={}", "z".repeat(length - 5));
        heard(&form(), with("POST", &format!("{HOST}{FORM}Content-Length: {length}\r\n"), &body).as_bytes())
    };
    assert_eq!((post(KIB_16), post(KIB_16 + 1)), (Some(0), Some(413)));
}

#[test]
fn nothing_is_heard_after_the_answer() {
    let mut connection = Connection::new(&query());
    assert_eq!(summary(connection.receive(get("/callback?code=c").as_bytes())), Some(0));
    assert_eq!(summary(connection.receive(get("/callback?code=c").as_bytes())), None);
    assert!(connection.receive(b"\0").is_more());
}

impl Heard {
    fn is_more(&self) -> bool {
        matches!(self, Heard::More)
    }
}

#[test]
fn lb_10_pages_are_static_and_escape_what_is_not() {
    let evil = "<script>alert('1')</script>&\"\u{202E}";
    let pages = Pages::default().with_app(evil).with_service(evil).with_success_text(evil);
    for reply in [pages.success(), pages.failure(evil)] {
        let text = well_formed(&reply);
        assert!(!text.contains(evil) && !text.contains("<script>alert") && !text.contains('\u{202E}'), "{text}");
        assert!(text.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"), "{text}");
    }
    let failure = well_formed(&Pages::default().failure(&"<".repeat(100_000)));
    assert!(failure.len() < 8 * 1024, "the reason is cut");
    // What comes in a request comes back in no page.
    for request in [get("/callbackMARK?MARK=MARK"), with("MARK", "Host: MARK\r\n", ""), with("MARK", HOST, "MARK")] {
        let Heard::Answer(reply) = Connection::new(&query()).receive(request.as_bytes()) else { panic!("{request}") };
        assert!(!String::from_utf8_lossy(reply.as_bytes()).contains("MARK"), "{request}");
    }
}

#[test]
fn pages_say_what_they_are_for() {
    let pages = Pages::default().with_app("Tool").with_service("Example");
    let rows = [
        (Pages::default().success(), 200, "<p>Code received! You may now close this window</p>"),
        (Pages::default().success(), 200, "<h1>You are logged in</h1>"),
        (pages.success(), 200, "<h1>Tool is logged in to Example</h1>"),
        (pages.clone().with_success_text("Done.").success(), 200, "<p>Done.</p>"),
        (pages.failure("access_denied: no"), 400, "<p>access_denied: no</p>"),
        (pages.refused(BadCallback::StateMismatch), 400, "belongs to another login"),
        (pages.late(), 410, "This login is over"),
        (pages.slow(), 408, "Request Timeout"),
    ];
    for (reply, status, text) in rows {
        assert_eq!(reply.status(), status);
        let found = well_formed(&reply);
        assert!(found.contains(text), "{text} in {found}");
        assert_eq!(found.contains("Code received!"), status == 200 && !found.contains("Done."), "{found}");
    }
}

#[test]
fn lb_15_a_pasted_url_is_held_to_the_same_rules() {
    let good = [
        "http://127.0.0.1:4711/callback?code=c&state=s",
        "  http://127.0.0.1:4711/callback?error=access_denied&state=s\r\n",
        "HTTP://127.0.0.1:4711/callback?code=c&state=s#_=_",
        "http://127.0.0.1:4711/callback",
    ];
    for text in good {
        assert!(query().pasted(text).is_ok(), "{text}");
    }
    let bad = [
        "",
        "SplxlOBeZQQYbYS6WxSbIA",
        "code#state",
        "code=c&state=s",
        "?code=c&state=s",
        "/callback?code=c&state=s",
        "127.0.0.1:4711/callback?code=c&state=s",
        "https://127.0.0.1:4711/callback?code=c&state=s",
        "http://localhost:4711/callback?code=c&state=s",
        "http://127.0.0.1:4712/callback?code=c&state=s",
        "http://127.0.0.1/callback?code=c&state=s",
        "http://127.0.0.1:4711/?code=c&state=s",
        "http://127.0.0.1:4711/callback/?code=c&state=s",
        "http://u:p@127.0.0.1:4711/callback?code=c&state=s",
        "http://u@127.0.0.1:4711/callback?code=c&state=s",
        "http://:p@127.0.0.1:4711/callback?code=c&state=s",
        "http://127.0.0.1:4711@evil.test/callback?code=c&state=s",
        "http://evil.test/callback?code=c&state=s",
        "javascript:alert(1)",
        "http://127.0.0.1:4711/callback\u{0}x",
        "\u{1}http://127.0.0.1:4711/callback?code=c&state=s",
        "ht\ntp://127.0.0.1:4711/callback?code=c&state=s",
        "http://127.0.0.1:4711/callback?code=c\t&state=s",
    ];
    for text in bad {
        assert_eq!(query().pasted(text).unwrap_err(), BadCallback::NotRedirectUri, "{text}");
    }
    let longest = format!("{URI}?code={}", "x".repeat(16 * 1024 - URI.len() - 6));
    assert!(query().pasted(&longest).is_ok());
    assert_eq!(query().pasted(&format!("{longest}x")).unwrap_err(), BadCallback::TooLarge);
    let url = "http://127.0.0.1:4711/callback?code=c&state=s";
    assert_eq!(form().pasted(url).unwrap_err(), BadCallback::ResponseMode);
    let https = Reception::new("https://app.example/cb", ResponseMode::Query).unwrap();
    assert!(https.pasted("https://app.example:443/cb?code=c").is_ok());
    assert!(https.pasted("http://app.example/cb?code=c").is_err());
}

#[test]
fn a_reception_needs_a_redirect_uri_that_can_be_one() {
    for uri in ["callback", "app.example:/cb", "http://u@127.0.0.1/cb", "http://127.0.0.1/cb#f", "http://"] {
        assert!(Reception::new(uri, ResponseMode::Query).is_err(), "{uri}");
    }
    let plain = Reception::new("http://127.0.0.1/", ResponseMode::Query).unwrap();
    for host in ["127.0.0.1", "127.0.0.1:80"] {
        assert_eq!(heard(&plain, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()), Some(0), "{host}");
    }
    let v6 = Reception::new("http://[::1]:9/cb", ResponseMode::Query).unwrap();
    assert_eq!(heard(&v6, b"GET /cb HTTP/1.1\r\nHost: [::1]:9\r\n\r\n"), Some(0));
}

#[test]
fn lb_02_the_default_place_is_a_literal_with_a_free_port() {
    let place = Place::default();
    assert_eq!(place.ports(), [0]);
    assert!(place.addresses().iter().all(core::net::IpAddr::is_loopback));
    assert_eq!(place.redirect_uri("127.0.0.1:5".parse().unwrap()), "http://127.0.0.1:5/callback");
    assert_eq!(place.redirect_uri("[::1]:5".parse().unwrap()), "http://[::1]:5/callback");
    let named = Place::default().with_host(Host::Localhost).with_ports([7, 8]);
    assert_eq!(named.redirect_uri("[::1]:8".parse().unwrap()), "http://localhost:8/callback");
    assert_eq!((place.host(), named.host()), (Host::default(), Host::Localhost));
    assert_eq!(Place::standalone().ports(), [8080]);
    for path in ["callback", "", "//evil.test", "/a b", "/a?b", "/a#b", "/a/../b", "/%41", "/\u{e9}", "/a\r\n"] {
        assert!(Place::default().with_path(path).is_err(), "{path}");
    }
    assert!(Place::default().with_path("/signed-in/x.y").is_ok());
}

#[test]
fn a_28_notices_use_the_known_words() {
    let service = String::from("Example");
    assert_eq!(
        Notice::Opening { service }.to_string(),
        "Opening Example in your browser. Log in to Example, authorise, and return here after"
    );
    assert_eq!(Notice::Waiting { seconds: 120 }.to_string(), "Waiting for code, timeout in 120 seconds...");
    assert_eq!(Notice::Received.to_string(), "Code received!");
    let url = String::from("https://as.example/authorize?x=y");
    assert_eq!(Notice::OpenByHand { url }.to_string().lines().nth(1), Some("https://as.example/authorize?x=y"));
}

#[test]
fn a_browser_is_sent_only_where_no_other_program_listens() {
    for url in ["https://as.example/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/"] {
        let url = url::Url::parse(url).unwrap();
        let launchers = launchers(&url);
        assert!(!launchers.is_empty(), "{url}");
        assert!(launchers.iter().all(|launcher| launcher.arguments.last().map(String::as_str) == Some(url.as_str())));
    }
    for url in [
        "http://as.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ms-msdt:/id",
        "http://127.0.0.1.evil.test/",
    ] {
        assert!(launchers(&url::Url::parse(url).unwrap()).is_empty(), "{url}");
    }
}

/// Requests that end in every way there is.
fn requests() -> Vec<(Reception, Vec<u8>)> {
    let form_body = with("POST", &format!("{HOST}{FORM}Content-Length: 16\r\n"), "code=c&state=abcMORE");
    let long_line = format!("GET /callback?{}", "x".repeat(17 * 1024));
    let long_head = format!("GET /callback HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("GET /callback HTTP/1.1\r\n{HOST}{}\r\n", "X: y\r\n".repeat(101));
    let get_requests = [get("/callback?code=c"), get("/"), long_line, long_head, many, with("PUT", HOST, "")];
    let mut all: Vec<_> = get_requests.iter().map(|request| (query(), request.clone().into_bytes())).collect();
    all.push((query(), b"\x16\x03\x01\x02".to_vec()));
    all.push((query(), b"GET /callback\r\nHost: 127.0.0.1:4711\r\n\r\n".to_vec()));
    all.push((query(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()));
    all.push((form(), form_body.into_bytes()));
    all
}

fn heard_in_pieces<'a>(reception: &Reception, pieces: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let mut connection = Connection::new(reception);
    pieces.map(|piece| summary(connection.receive(piece))).find(Option::is_some).flatten()
}

#[test]
fn lb_09_byte_by_byte_is_heard_as_the_whole_is() {
    for (reception, bytes) in requests() {
        let whole = heard(&reception, &bytes);
        assert!(whole.is_some());
        assert_eq!(heard_in_pieces(&reception, bytes.chunks(1)), whole, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #[test]
    fn lb_09_the_pieces_in_which_bytes_come_make_no_difference(
        which in 0_usize..10,
        sizes in proptest::collection::vec(1_usize..700, 1..40),
        flips in proptest::collection::vec((0_usize..400, any::<u8>()), 0..3),
    ) {
        let (reception, mut bytes) = requests().swap_remove(which);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let whole = heard(&reception, &bytes);
        let mut rest = bytes.as_slice();
        let mut sizes = sizes.into_iter().cycle();
        let pieces = core::iter::from_fn(|| {
            let (piece, after) = rest.split_at(sizes.next()?.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(heard_in_pieces(&reception, pieces), whole);
    }

    #[test]
    fn lb_09_no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), text in ".{0,200}") {
        for reception in [query(), form()] {
            let _ = heard(&reception, &bytes);
            let mut request = format!("POST /callback HTTP/1.1\r\n{HOST}{FORM}Content-Length: {}\r\n\r\n", bytes.len()).into_bytes();
            request.extend_from_slice(&bytes);
            let _ = heard(&reception, &request);
            let _ = reception.pasted(&text);
        }
    }
}
