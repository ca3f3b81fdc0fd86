//! Seeds that are answers of servers: the odd ones that are seen in the wild, and those of the stimuli.

use std::collections::BTreeMap;

use grantflow_core::Timestamp;
use grantflow_core::machine::{Event, EventKind};
use grantflow_core::testing::stimuli::{KEYS, STIMULI, Situation};

use super::Seeds;

const JSON: &str = "content-type: application/json";
const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// Head and body as the targets read them.
fn answer(status: u16, fields: &[&str], body: &str) -> Vec<u8> {
    let mut head = status.to_string();
    for field in fields {
        head.push('\n');
        head.push_str(field);
    }
    format!("{head}\n\n{body}").into_bytes()
}

/// The answers among the stimuli, but for the one that is there for its size.
fn stimulated() -> Vec<Vec<u8>> {
    let mut situation = Situation::new(Timestamp::from_secs(1_800_000_000));
    let mut found = Vec::new();
    for stimulus in STIMULI.iter().filter(|stimulus| stimulus.kind == EventKind::Response) {
        let Event::Response(response) = (stimulus.event)(&mut situation) else { panic!("{}", stimulus.name) };
        let fields: Vec<String> =
            response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let body = String::from_utf8(response.body().expose().to_vec()).unwrap();
        if body.len() < 4096 {
            found.push(answer(response.status().as_u16(), &fields, &body));
        }
    }
    found
}

pub fn seeds() -> BTreeMap<&'static str, Seeds> {
    BTreeMap::from([
        ("token_reply", token_reply()),
        ("device_reply", device_reply()),
        ("metadata", metadata()),
        ("jwks", Seeds::of(key_sets()).filled()),
    ])
}

/// A token answer with these members besides the token.
fn with(members: &str) -> Vec<u8> {
    answer(200, &[JSON], &format!(r#"{{"access_token":"canary-access"{members}}}"#))
}

fn token_reply() -> Seeds {
    let usual = r#"{"access_token":"canary-access","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh","scope":"read write","id_token":"a.b.c"}"#;
    let mut rows = vec![
        answer(200, &[JSON], usual),
        answer(200, &["x: y"], r#"{"access_token":"12/34","token_type":"BEARER"}"#),
        answer(200, &["content-type: APPLICATION/jSoN"], usual),
        answer(200, &["content-type: application/json; charset=utf-8"], usual),
        answer(200, &["content-type: application/json; charset=utf-16"], usual),
        answer(200, &["content-type: text/plain"], usual),
        answer(200, &["content-type: text/html"], usual),
        answer(200, &["content-type: application/jsonp"], usual),
        answer(200, &["content-type: application/vnd.api+json"], usual),
        answer(200, &[FORM], "access_token=a&token_type=bearer&scope=read%2Cwrite"),
        answer(200, &[FORM], "access_token=a&access_token=b&token_type=bearer"),
        answer(200, &[FORM], "error=bad_verification_code&error_description=The+code+is+wrong"),
        with(""),
        with(r#","token_type":null"#),
        with(r#","token_type":123"#),
        with(r#","token_type":"green""#),
        with(r#","token_type":"DPoP""#),
        with(r#","token_type":"mac""#),
    ];
    let lifetimes = [
        "3600",
        "\"3600\"",
        "3600.0",
        "3599.5",
        "null",
        "-1",
        "-0",
        "0",
        "9223372036854775807",
        "18446744073709551615",
        "1e20",
        "1e999",
        "1E-5",
        "\"3600abc\"",
        "\"\"",
        "true",
        "[]",
        "{}",
        "\"-5\"",
        "\"99999999999999999999\"",
    ];
    rows.extend(lifetimes.map(|lifetime| with(&format!(r#","token_type":"Bearer","expires_in":{lifetime}"#))));
    let scopes = [
        r#"["read","write"]"#,
        r#""read,write""#,
        r#""""#,
        r#""read  write ""#,
        "null",
        "5",
        r#"["read",5]"#,
        r#""a\"b""#,
    ];
    rows.extend(scopes.map(|scope| with(&format!(r#","token_type":"Bearer","scope":{scope}"#))));
    for token in [r#""""#, "null", "7", r#""a\nb""#, r#""a b""#, r#""\u00e9""#, r#""\ud83d\ude00""#, r#""\u0000""#] {
        rows.push(answer(200, &[JSON], &format!(r#"{{"access_token":{token},"token_type":"Bearer"}}"#)));
        rows.push(with(&format!(r#","token_type":"Bearer","refresh_token":{token},"id_token":{token}"#)));
    }
    let refused = |status, body| answer(status, &[JSON], body);
    rows.extend([
        refused(200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#),
        refused(200, r#"{"error":"bad_verification_code"}"#),
        refused(200, r#"{"error":"invalid_grant","access_token":"canary-access"}"#),
        refused(200, r#"{"error":"","access_token":"canary-access"}"#),
        refused(201, usual),
        refused(204, ""),
        refused(400, r#"{"error":"too_light","error_uri":"https://as.example/e"}"#),
        refused(400, r#"{"error":{"message":"bad","code":100,"type":"OAuthException"}}"#),
        refused(400, r#"{"custom_error":"something"}"#),
        refused(400, ""),
        refused(401, ""),
        answer(503, &["content-type: text/html", "retry-after: 120"], "<html><h1>Sorry</h1></html>"),
        refused(404, r#"{"error":"invalid_code"}"#),
        answer(302, &["location: https://evil.example/?code=canary-code"], ""),
        refused(200, "broken json"),
        refused(200, ""),
        refused(200, r#"{"access_token":"a","token_type":"Bearer"}xx"#),
        refused(200, "\u{feff}{\"access_token\":\"a\",\"token_type\":\"Bearer\"}"),
        refused(200, r#"["a","bearer",1,null,null,null]"#),
        refused(200, r#"["a",null,"bearer",3600,null]"#),
        refused(200, r#"{"id_token":"id"}"#),
        refused(200, r#"{"ok":false,"error":"invalid_code"}"#),
        refused(200, r#"{"ok":true,"authed_user":{"access_token":"a"}}"#),
        refused(200, r#"{"data":{"access_token":"a"}}"#),
        refused(400, r#"{"error":"invalid_grant","error_description":"the token canary-refresh-0123456789 is old"}"#),
        refused(400, r#"{"error":"temporarily_unavailable"}"#),
        refused(400, r#"{"code":400,"error_code":"refresh_token_not_found","msg":"Invalid Refresh Token"}"#),
        refused(400, r#"{"error":"invalid_client","error_description":"AADSTS700027: no such key","error_codes":[700027],"timestamp":"2026-01-01 00:00:00Z","trace_id":"00000000-0000-0000-0000-000000000000"}"#),
        answer(401, &[JSON, "www-authenticate: Basic realm=\"as\""], r#"{"error":"invalid_client"}"#),
        answer(401, &["www-authenticate: Bearer error=\"invalid_token\", error_description=\"old\""], ""),
        answer(500, &["content-type: text/plain"], "token=abcdefghijklmnop0123456789 <script>canary</script> failed"),
        refused(502, r#"{"error":"invalid_grant"}"#),
        answer(429, &["retry-after: Wed, 21 Oct 2037 07:28:00 GMT"], ""),
    ]);
    rows.extend(stimulated());
    let longest = answer(200, &[JSON], usual);
    Seeds::of(rows).cut(7, &[&longest])
}

fn device_reply() -> Seeds {
    let with = |members: &str| {
        let body = format!(r#"{{"device_code":"canary-device-code","user_code":"WDJB-MJHT"{members}}}"#);
        answer(200, &[JSON], &body)
    };
    let uri = r#","verification_uri":"https://as.example/device""#;
    let mut rows = vec![
        with(&format!(r#"{uri},"expires_in":1800,"interval":5"#)),
        with(r#","verification_url":"https://as.example/device","expires_in":1800"#),
        with(
            r#","verification_uri":"https://as.example/d","verification_url":"https://evil.example/","expires_in":1800"#,
        ),
        with(r#","expires_in":1800"#),
    ];
    for interval in ["null", "\"5\"", "5.0", "5.5", "0", "-1", "18446744073709551615", "301", "\"x\"", "1e3", "[]"] {
        rows.push(with(&format!(r#"{uri},"expires_in":1800,"interval":{interval}"#)));
    }
    for lifetime in ["null", "\"1800\"", "0", "-1", "1e30", "86401", "0.5", "\"x\""] {
        rows.push(with(&format!(r#"{uri},"expires_in":{lifetime}"#)));
    }
    for page in [
        "javascript:alert(1)",
        "not a URL",
        "http://as.example/",
        "http://127.0.0.1:3000/d",
        "http://localhost/d",
        "",
        "https://as.example/d#there",
        "https://user@as.example/",
        "file:///etc/passwd",
        "https://as.example/\\u001b[2J",
        "https://as.example/\\u202e",
        "as.example/device",
    ] {
        rows.push(with(&format!(r#","verification_uri":"{page}","expires_in":1800"#)));
        rows.push(with(&format!(r#"{uri},"verification_uri_complete":"{page}","expires_in":1800"#)));
    }
    for complete in
        ["https://as.example/device?user_code=WDJB-MJHT", "https://evil.example/device", "https://as.example:8443/"]
    {
        rows.push(with(&format!(r#"{uri},"verification_uri_complete":"{complete}","expires_in":1800"#)));
    }
    for code in [r#""""#, "5", "null", r#""\u0007bell""#, r#""ÄÖÜ""#, &format!("\"{}\"", "W".repeat(129))] {
        let body = format!(r#"{{"device_code":{code},"user_code":{code}{uri},"expires_in":60}}"#);
        rows.push(answer(200, &[JSON], &body));
    }
    rows.push(answer(
        200,
        &[FORM],
        "device_code=a&user_code=b&verification_uri=https%3A%2F%2Fas.example%2Fd&expires_in=900",
    ));
    rows.push(answer(404, &["content-type: text/html"], "<h1>Not here</h1>"));
    rows.extend(stimulated());
    let usual = rows[0].clone();
    Seeds::of(rows).cut(7, &[&usual])
}

fn metadata() -> Seeds {
    let with = |members: &str| answer(200, &[JSON], &format!(r#"{{"issuer":"https://as.example"{members}}}"#));
    let full = concat!(
        r#","authorization_endpoint":"https://as.example/authorize","token_endpoint":"https://as.example/token","#,
        r#""jwks_uri":"https://as.example/jwks","userinfo_endpoint":"https://cdn.example/userinfo","#,
        r#""scopes_supported":["openid","email"],"code_challenge_methods_supported":["S256","plain"],"#,
        r#""token_endpoint_auth_methods_supported":["client_secret_basic","tls_client_auth","x"],"#,
        r#""authorization_response_iss_parameter_supported":true,"grant_types_supported":null"#,
    );
    let mut rows = vec![with(full), with("")];
    for issuer in [
        "https://as.example/",
        "https://as.example/tenant",
        "https://as.example/tenant/",
        "https://AS.example",
        "https://as.example:443",
        "https://evil.example",
        "http://as.example",
        "",
        "https://as.example\\u0000",
        "https://as.ex\\u0061mple",
        "https://as.example?x",
        "https://as.example/.well-known/openid-configuration",
    ] {
        rows.push(answer(200, &[JSON], &format!(r#"{{"issuer":"{issuer}"}}"#)));
    }
    rows.extend(
        ["null", "5", "[\"https://as.example\"]"]
            .map(|issuer| answer(200, &[JSON], &format!(r#"{{"issuer":{issuer}}}"#))),
    );
    for url in [
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
        "https://x.localhost./",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user:pass@as.example/",
        "https://as.example/#f",
        "ftp://as.example/",
        "//as.example/",
        "https://as.example./token",
        "https://8.8.8.8/token",
        "https://[2001:4860:4860::8888]/t",
        "https://ａs.example/",
        "https://as.example\\\\@evil.example/",
        "https:/as.example/",
        "https://as.example:99999/",
        "https://as.example/a b",
    ] {
        rows.push(with(&format!(r#","token_endpoint":"{url}""#)));
        rows.push(with(&format!(r#","jwks_uri":"{url}""#)));
    }
    rows.extend([
        with(r#","token_endpoint":null"#),
        with(r#","token_endpoint":5"#),
        with(r#","response_modes_supported":["query",5,null,"new"]"#),
        with(r#","issuer":"https://as.example""#),
        answer(200, &["content-type: text/html"], r#"{"issuer":"https://as.example"}"#),
        answer(200, &[JSON], "[]"),
        answer(301, &["location: https://as.example/elsewhere"], ""),
        answer(307, &["location: /elsewhere"], ""),
        answer(302, &["location: https://evil.example/"], ""),
        answer(302, &["location: //evil.example/"], ""),
        answer(302, &["location: https://as.example@evil.example/"], ""),
        answer(302, &["location: http://as.example/"], ""),
        answer(302, &[], ""),
        answer(408, &[], ""),
        answer(425, &[], ""),
        answer(429, &["retry-after: 1"], ""),
        answer(503, &["retry-after: 86400"], ""),
    ]);
    rows.extend(stimulated());
    let usual = rows[0].clone();
    Seeds::of(rows).cut(7, &[&usual])
}

/// Key sets with one key, or several, of which some cannot be used.
pub fn key_sets() -> Vec<String> {
    let rsa = KEYS.strip_prefix(r#"{"keys":["#).and_then(|keys| keys.strip_suffix("]}")).unwrap();
    let p256 = r#"{"kty":"EC","crv":"P-256","kid":"2","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","kid":"3","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let mut sets: Vec<String> = [rsa, p256, ed25519].iter().map(|key| format!(r#"{{"keys":[{key}]}}"#)).collect();
    sets.push(format!(r#"{{"keys":[{rsa},{p256},{ed25519}],"more":1}}"#));
    sets.push(format!(r#"{{"keys":[{}]}}"#, vec![ed25519; 101].join(",")));
    sets.push(format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 110].join(",")));
    for keys in
        ["null", "{}", "5", "[]", "[null]", "[[]]", "[5,\"x\"]", "[{\"kty\":5}]", "[{\"kty\":\"oct\",\"k\":\"AA\"}]"]
    {
        sets.push(format!(r#"{{"keys":{keys}}}"#));
    }
    sets.extend(["{}", "[]", "", r#"{"keys":[],"keys":[]}"#].map(str::to_owned));
    for (from, to) in [
        ("EC", "ec"),
        ("P-256", "P-384"),
        ("P-256", "P-521"),
        ("P-256", "secp256k1"),
        ("MKBC", "MKB="),
        ("MKBC", "MKB"),
        ("MKBC", "AAAAMKBC"),
        ("4Etl", "AAAA"),
        (r#""kid":"2""#, r#""kid":2"#),
        (r#""kid":"2""#, r#""d":"AA""#),
        (r#""kid":"2""#, r#""use":"enc""#),
        (r#""kid":"2""#, r#""use":5"#),
        (r#""kid":"2""#, r#""key_ops":["sign"]"#),
        (r#""kid":"2""#, r#""key_ops":["verify"],"alg":"ES256""#),
        (r#""kid":"2""#, r#""alg":"ES384""#),
        (r#""kid":"2""#, r#""alg":"none""#),
        (r#""kid":"2""#, r#""alg":"HS256""#),
        (r#""kid":"2""#, r#""key_ops":"verify""#),
        (r#""kid":"2""#, r#""kid":"\u202e\u0000""#),
        (r#""kid":"2""#, r#""kid":"""#),
        (r#""kid":"2","#, ""),
        (r#","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#, ""),
    ] {
        assert!(p256.contains(from), "{from}");
        sets.push(format!(r#"{{"keys":[{}]}}"#, p256.replace(from, to)));
    }
    for (from, to) in [
        ("AQAB", "AQ"),
        ("AQAB", "AA"),
        ("AQAB", ""),
        ("AQAB", "AAEAAQ"),
        ("AQAB", "_____________"),
        ("\"n\":\"", "\"n\":\"AAAA"),
        ("____", ""),
    ] {
        assert!(rsa.contains(from), "{from}");
        sets.push(format!(r#"{{"keys":[{}]}}"#, rsa.replace(from, to)));
    }
    for (from, to) in [("Ed25519", "X25519"), ("Ed25519", "Ed448"), ("11qY", "11q"), ("11qY", "____"), ("OKP", "EC")] {
        sets.push(format!(r#"{{"keys":[{}]}}"#, ed25519.replace(from, to)));
    }
    sets
}
