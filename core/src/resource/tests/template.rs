use core::time::Duration;

use http::Request;

use super::super::template::{Payload, Template, Value};
use crate::error::{ConfigError, Endpoint, Error, UrlFlaw};
use crate::http::Body;
use crate::secret::Secret;

const URL: &str = "https://api.example/v1";

fn template() -> Template {
    Template::new("POST", URL).unwrap()
}

/// All that is sent, as text.
fn sent(template: &Template) -> String {
    let request = template.to_request().unwrap();
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .filter(|header| !header.starts_with("content-type: "))
        .collect();
    headers.insert(0, format!("{} {}", request.method(), request.uri()));
    format!("{}\n{}", headers.join("\n"), String::from_utf8_lossy(request.body().expose()))
}

fn media_type(request: &Request<Body>) -> Option<&str> {
    request.headers().get("content-type").map(|value| value.to_str().unwrap())
}

#[test]
fn a_35_a_template_has_a_known_method_and_a_url() {
    for (method, expected) in [("get", "GET"), ("Post", "POST"), ("DELETE", "DELETE"), ("patch", "PATCH")] {
        assert_eq!(Template::new(method, URL).unwrap().to_request().unwrap().method(), expected);
    }
    for method in ["", "FETCH", "GET ", "GET\r\n"] {
        let error = Template::new(method, URL).unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Invalid { setting: "method", .. })), "{method:?}");
    }
    for (url, flaw) in [
        ("", UrlFlaw::Unparsable),
        ("api.example", UrlFlaw::Unparsable),
        ("http://api.example", UrlFlaw::Insecure),
        ("https://me@api.example", UrlFlaw::UserInfo),
    ] {
        let error = Template::new("GET", url).unwrap_err();
        assert_eq!(error, ConfigError::Url { endpoint: Endpoint::Resource, flaw }.into(), "{url}");
    }
    let full = template().with_header("Accept", "text/plain").unwrap().with_query("q", 1).with_form("f", 2);
    let full = full.with_timeout(Duration::from_secs(5));
    assert_eq!(sent(&full), "POST https://api.example/v1?q=1\naccept: text/plain\nf=2");
    assert_eq!(full.timeout(), Some(Duration::from_secs(5)));
    assert_eq!(template().timeout(), None);
}

#[test]
fn a_35_what_cannot_be_sent_is_refused() {
    assert!(template().with_header("no header", "x").is_err());
    assert!(template().with_header("", "x").is_err());
    for value in ["a\r\nx-evil: b", "a\0b"] {
        let template = template().with_header("x-own", value).unwrap();
        assert!(matches!(template.to_request(), Err(Error::Config(ConfigError::Invalid { setting: "header", .. }))));
    }
    let both = template().with_form("a", 1).with_json("a", 1);
    assert!(matches!(both.to_request(), Err(Error::Config(ConfigError::Invalid { setting: "payload", .. }))));
    let long = template().with_query("a", "x".repeat(16 * 1024));
    assert!(matches!(long.to_request(), Err(Error::Config(ConfigError::Url { flaw: UrlFlaw::TooLong, .. }))));
}

#[test]
fn a_36_the_payload_is_the_form_then_json_then_the_query() {
    let names = |template: &Template| -> Vec<String> {
        template.payload().unwrap_or_default().iter().map(|(name, _)| name.clone()).collect()
    };
    assert!(template().payload().is_none() && template().payload_type().is_none());
    let query = template().with_query("q", 1);
    assert_eq!((query.payload_type(), names(&query)), (Some(Payload::Query), vec!["q".to_owned()]));
    let json = query.duplicate().with_json("j", 1);
    assert_eq!((json.payload_type(), names(&json)), (Some(Payload::Json), vec!["j".to_owned()]));
    let form = query.with_form("f", 1);
    assert_eq!((form.payload_type(), names(&form)), (Some(Payload::Form), vec!["f".to_owned()]));
    assert_eq!(sent(&form), "POST https://api.example/v1?q=1\nf=1", "the query is sent all the same");
}

#[test]
fn a_37_a_payload_can_be_sent_in_three_ways() {
    let mut template = template().with_form("a", true).with_form("b", "c d");
    assert_eq!(media_type(&template.to_request().unwrap()), Some("application/x-www-form-urlencoded"));
    assert_eq!(sent(&template), "POST https://api.example/v1\na=true&b=c+d");
    template.set_payload_type(Payload::Json);
    assert_eq!(media_type(&template.to_request().unwrap()), Some("application/json"));
    assert_eq!(sent(&template), "POST https://api.example/v1\n{\"a\":true,\"b\":\"c d\"}");
    template.set_payload_type(Payload::Query);
    assert_eq!(media_type(&template.to_request().unwrap()), None);
    assert_eq!(sent(&template), "POST https://api.example/v1?a=true&b=c+d\n");
    template.set_payload_type(Payload::Query);
    assert_eq!(sent(&template), "POST https://api.example/v1?a=true&b=c+d\n");
    let mut merged = template.with_form("a", false);
    merged.set_payload_type(Payload::Query);
    assert_eq!(sent(&merged), "POST https://api.example/v1?a=false&b=c+d\n");
    let mut none = Template::new("GET", URL).unwrap();
    none.set_payload_type(Payload::Json);
    assert_eq!(sent(&none), "GET https://api.example/v1\n");
    let own = Template::new("POST", "https://api.example/v1?x=1&").unwrap().with_query("y", "ä");
    assert_eq!(sent(&own).lines().next(), Some("POST https://api.example/v1?x=1&y=%C3%A4"));
    let own = Template::new("POST", URL).unwrap().with_json("a", 1).with_header("Content-Type", "text/x").unwrap();
    assert_eq!(media_type(&own.to_request().unwrap()), Some("text/x"));
}

#[test]
fn a_38_values_become_text_and_json_keeps_their_types() {
    let map = |members: Vec<(&str, Value)>| {
        Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let rows: [(Value, &str, &str); 12] = [
        ("text".into(), "text", r#""text""#),
        ("".into(), "", r#""""#),
        (Value::from(1), "1", "1"),
        (Value::from(-9_007_199_254_740_993_i64), "-9007199254740993", "-9007199254740993"),
        (Value::from(1.5), "1.5", "1.5"),
        (Value::from(1.0), "1.0", "1.0"),
        (f64::NAN.into(), "null", "null"),
        (true.into(), "true", "true"),
        (None::<bool>.into(), "null", "null"),
        (vec!["a", "b\"c"].into(), r#"["a","b\"c"]"#, r#"["a","b\"c"]"#),
        (map(vec![]), "{}", "{}"),
        (
            map(vec![("a", true.into()), ("b", map(vec![("c", Value::List(vec![Value::Null, 1.into()]))]))]),
            r#"{"a":true,"b":{"c":[null,1]}}"#,
            r#"{"a":true,"b":{"c":[null,1]}}"#,
        ),
    ];
    for (value, text, json) in rows {
        let form = template().with_form("v", value.duplicate());
        let written = form.to_request().unwrap();
        let read = crate::http::form::Form::parse(written.body().expose(), 1024).unwrap();
        assert_eq!(read.get("v").unwrap().expose(), text);
        let header = template().with_header("v", value.duplicate()).unwrap().to_request().unwrap();
        assert_eq!(header.headers()["v"], text);
        let query = template().with_query("v", value.duplicate()).to_request().unwrap();
        let query: Vec<_> = url::form_urlencoded::parse(query.uri().query().unwrap().as_bytes()).collect();
        assert_eq!(query[0].1, text);
        let body = template().with_json("v", value.duplicate());
        let before = sent(&body);
        assert_eq!(body.to_request().unwrap().body().expose(), format!("{{\"v\":{json}}}").as_bytes());
        assert_eq!(sent(&body), before, "sending changes nothing");
    }
}

#[test]
fn a_39_additions_are_made_to_a_copy() {
    let template = template().with_form("a", 1).with_header("x", "1").unwrap();
    let before = sent(&template);
    let outer = template.enriched([("b", "2"), ("a", "3")]);
    assert_eq!(sent(&outer), "POST https://api.example/v1\nx: 1\na=3&b=2");
    let inner = outer.enriched_headers([("X", "4"), ("y", "5")]).unwrap();
    assert_eq!(sent(&inner), "POST https://api.example/v1\nx: 4\ny: 5\na=3&b=2");
    assert_eq!(sent(&outer), "POST https://api.example/v1\nx: 1\na=3&b=2");
    assert_eq!(sent(&template), before);

    let bare = Template::new("GET", URL).unwrap();
    assert_eq!(sent(&bare.enriched([("a", 1)])), "GET https://api.example/v1?a=1\n");
    let nothing = bare.enriched(Vec::<(&str, Value)>::new());
    assert!(nothing.payload_type().is_none() && bare.payload_type().is_none(), "no place is left behind");
}

#[test]
fn a_40_nothing_stays_behind_whatever_goes_wrong() {
    let template = template().with_form("a", 1);
    let before = sent(&template);
    let failed: Result<(), Error> = template.with(|copy| {
        *copy = copy.enriched([("state", "canary")]);
        copy.set_payload_type(Payload::Query);
        Err(Error::Cancelled)
    });
    assert_eq!(failed, Err(Error::Cancelled));
    assert_eq!(sent(&template), before);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        template.with(|copy| {
            copy.set_payload_type(Payload::Json);
            panic!("in the middle of it");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(sent(&template), before);
}

#[test]
fn no_value_of_a_template_is_shown() {
    let template = Template::new("POST", "https://api.example/v1?key=canary-query").unwrap();
    let template = template
        .with_form("a", Secret::from("canary-form"))
        .with_query("b", "canary-query")
        .with_header("x", "canary-header")
        .unwrap();
    let shown = format!("{template:?} {:?} {:?}", template.payload(), template.to_request().unwrap().headers());
    assert!(!shown.contains("canary"), "{shown}");
}
