//! Seeds that stand where a store keeps its records.

use std::collections::BTreeMap;

use super::Seeds;

pub fn seeds() -> BTreeMap<&'static str, Seeds> {
    BTreeMap::from([("store_file", store_file())])
}

/// Files of several logins, and what can be wrong with them.
fn store_file() -> Seeds {
    let record = r#"{
      "schema": 1,
      "issuer": "https://as.example",
      "version": "1886000000000000000",
      "ended": false,
      "tokens": {
        "refresh_token": "canary-refresh"
      }
    }"#;
    let file = |records: &str| format!("{{\n  \"schema\": 1,\n  \"records\": {{{records}\n  }}\n}}\n");
    let under = |key: &str, record: &str| format!("\n    \"{key}\": {record}");
    let own = "https%3A%2F%2Fas.example my-client default";
    let mut rows = vec![
        file(""),
        file(&under(own, record)),
        file(&format!("{},{}", under(own, record), under("a b c", record))),
        file(&under("a b c", record)),
        file(&format!("{},{}", under("a b c", record), under("a\\u0020b c", record))),
        record.to_owned(),
    ];
    for schema in ["0", "-1", "2", "1.0", "1e0", "\"1\"", "null", "18446744073709551616", "[1]"] {
        rows.push(format!("{{\"schema\":{schema},\"records\":{{}}}}"));
    }
    for members in [
        "",
        r#""schema":1"#,
        r#""records":{}"#,
        r#""schema":1,"schema":1,"records":{}"#,
        r#""schema":1,"records":{},"records":{}"#,
        r#""schema":1,"records":[]"#,
        r#""schema":1,"records":null"#,
        r#""schema":1,"records":{},"more":[]"#,
        r#""records":{"x":{"version":"1"}},"schema":1"#,
        r#""sch\u0065ma":1,"records":{}"#,
    ] {
        rows.push(format!("{{{members}}}"));
    }
    for record in [
        "{}",
        "[]",
        "null",
        "7",
        r#""text""#,
        r#"{"version":7}"#,
        r#"{"version":"07"}"#,
        r#"{"version":"+7"}"#,
        r#"{"version":" 7"}"#,
        r#"{"version":"\u0037"}"#,
        r#"{"version":"18446744073709551615"}"#,
        r#"{"version":"18446744073709551616"}"#,
        r#"{"version":"7","version":"7"}"#,
        r#"{"version":"7","base64":""}"#,
        r#"{"version":"7","base64":"AAAA"}"#,
        r#"{"version":"7","base64":"AAA"}"#,
        r#"{"version":"7","base64":7}"#,
        r#"{"version":"7","sealed":"AAAA"}"#,
        r#"{"version":"7","a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
        r#"{"version":"7","a":"\"{[,:]}\\"}"#,
        r#"{"version":"7","a":"\ud800"}"#,
        r#"{"version":"7","a":1e999}"#,
        "{ \"version\"\t:\r\n\"7\" , \"a\" : [ ] , \"b\" : { } }",
        // The version that the target saves under.
        r#"{"version":"1152921504606846976"}"#,
        r#"{"version":"1152921504606846976","a":[{},[],""]}"#,
        r#"{"version":"1152921504606846976","base64":"AAAA"}"#,
        r#"{ "version":"1152921504606846976"}"#,
    ] {
        rows.push(file(&under(own, record)));
        rows.push(record.to_owned());
    }
    let whole = rows[2].clone();
    Seeds::of(rows).cut(11, &[whole.as_bytes(), b"\xef\xbb\xbf{\"schema\":1,\"records\":{}}", b"\0\xff\xfe{}"])
}
