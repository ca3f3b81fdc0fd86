//! Seeds that come by way of the browser, in header fields, and in the small grammars.

use std::collections::BTreeMap;

use grantflow_core::testing::stimuli::{CLIENT_ID, ISSUER};

use super::Seeds;

pub fn seeds() -> BTreeMap<&'static str, Seeds> {
    BTreeMap::from([
        ("audience", audience()),
        ("callback", callback()),
        ("loopback_request", loopback_request()),
        ("challenge", challenge()),
        ("form", form()),
        ("json", json()),
        ("retry_after", retry_after()),
        ("url_policy", url_policy()),
        ("id_token", id_token()),
        ("record", record()),
    ])
}

/// What can stand in a callback, right and wrong.
fn queries() -> Vec<String> {
    let usual = "code=ab/c%2Fd&state=xyzABC_-123&iss=https%3A%2F%2Fas.example";
    let mut rows: Vec<String> = [
        usual,
        "code=canary-code&state=xyz",
        "error=access_denied&error_description=The+person+said+no&error_uri=https://as.example/e&state=xyz",
        "error=access_denied&code=canary-code&state=xyz",
        "error=&state=xyz",
        "code=a&code=b&state=xyz",
        "code=a&state=xyz&state=xyz",
        "code=a&iss=https://as.example&iss=https://evil.example",
        "code=a&%63ode=b",
        "code=&state=xyz",
        "CODE=a&STATE=b",
        "state=xyz",
        "",
        "?code=a&state=b",
        "#code=a&state=b",
        "code=a#state=b",
        "&&code=a&&state=b&&",
        "code",
        "code=a=b&state==",
        "=a&code=b",
        "code=%",
        "code=%4",
        "code=%zz",
        "code=%00",
        "code=%0d%0aX-Evil:%201",
        "code=a b",
        "code=a+b",
        "code=%c3%a9",
        "code=%c3",
        "code=%ff%fe",
        "code=\u{e9}",
        "error=%e2%80%ae%1b%5b2J&state=xyz",
        "access_token=canary-access&token_type=bearer&state=xyz",
        "id_token=a.b.c&state=xyz&code=a",
        "token=a&state=xyz",
        "response=a.b.c",
        "code=a&session_state=abc.def&scope=read+write&state=xyz",
        "code=a&foo=1&foo=2&state=xyz",
        "code=a;state=b",
        "code=a&amp;state=b",
        "https://app.example/callback?code=a&state=b",
        "https://app.example/callback?code=a#code=b",
        "https://app.example/callback#code=a&state=b",
        "https://app.example/callback?state=b#access_token=canary-access",
        "https://app.example/callback?state=b#code=a",
        "/callback?code=a&state=b",
    ]
    .map(str::to_owned)
    .to_vec();
    rows.push((0..100).map(|number| format!("p{number}=x&")).collect());
    rows.push((0..101).map(|number| format!("p{number}=x&")).collect());
    rows.push(format!("code={}&state=x", "a".repeat(2000)));
    rows
}

fn callback() -> Seeds {
    let rows = queries();
    let cut: Vec<Vec<u8>> = [0, 2, 41, 43].map(|row: usize| rows[row].clone().into_bytes()).to_vec();
    let cut: Vec<&[u8]> = cut.iter().map(Vec::as_slice).collect();
    Seeds::of(&rows).cut(7, &cut).cut(5, &cut[..2]).cut(3, &cut[..1])
}

fn loopback_request() -> Seeds {
    const HOST: &str = "Host: 127.0.0.1:8400";
    let get = |query: &str| format!("GET /callback?{query} HTTP/1.1\r\n{HOST}\r\n\r\n");
    let with = |line: &str, fields: &[&str], body: &str| format!("{line}\r\n{}\r\n\r\n{body}", fields.join("\r\n"));
    let form = "content-type: application/x-www-form-urlencoded";
    let post = |length: &str, body: &str| {
        with("POST /callback HTTP/1.1", &[HOST, form, &format!("Content-Length: {length}")], body)
    };
    let mut rows: Vec<String> = queries().iter().filter(|query| !query.contains(' ')).map(|query| get(query)).collect();
    for line in [
        "GET / HTTP/1.1",
        "GET /callback HTTP/1.1",
        "GET /callback/ HTTP/1.1",
        "GET /favicon.ico HTTP/1.1",
        "HEAD /callback?code=a HTTP/1.1",
        "POST /callback?code=a HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "OPTIONS /callback HTTP/1.1",
        "GET http://127.0.0.1:8400/callback?code=a HTTP/1.1",
        "CONNECT as.example:443 HTTP/1.1",
        "GET /callback?code=a HTTP/1.0",
        "GET /callback?code=a HTTP/2.0",
        "GET /callback?code=a",
        "PRI * HTTP/2.0",
        "GET  /callback?code=a HTTP/1.1",
        "get /callback?code=a HTTP/1.1",
        "GET /../callback?code=a HTTP/1.1",
        "GET /%63allback?code=a HTTP/1.1",
        "X",
        "",
        "GET /callback?code=canary-code HTTP/1.1",
    ] {
        rows.push(with(line, &[HOST], ""));
    }
    for fields in [
        &[][..],
        &["Host: localhost:8400"],
        &["Host: evil.example"],
        &["Host: 127.0.0.1:8400", "Host: 127.0.0.1:8400"],
        &["host:127.0.0.1:8400"],
        &["Host: 127.0.0.1"],
        &["Host: [::1]:8400"],
        &["Host: 127.0.0.1:8400."],
        &[HOST, "Sec-Fetch-Mode: navigate"],
        &[HOST, "Sec-Fetch-Mode: no-cors"],
        &[HOST, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: cors"],
        &[HOST, "Content-Length: 0"],
        &[HOST, "Content-Length: 5"],
        &[HOST, "Transfer-Encoding: chunked"],
        &[HOST, "Content-Length: 5", "Content-Length: 6"],
        &[HOST, "Content-Length: -1"],
        &[HOST, "Content-Length: 99999999999999999999"],
        &[HOST, " folded: x"],
        &[HOST, "no colon"],
        &[HOST, ": no name"],
        &[HOST, "X: \u{7f}"],
        &[HOST, "X: \u{e9}"],
        &[HOST, "X:\ty"],
    ] {
        rows.push(with("GET /callback?code=a&state=b HTTP/1.1", fields, "hello"));
    }
    let body = "code=a&state=b";
    rows.extend([
        post("14", body),
        post("13", body),
        post("15", body),
        post("0", ""),
        post("014", body),
        post("16384", body),
        post("16385", body),
        post("+14", body),
        post(" 14", body),
        post("", body),
        post("14, 14", body),
        with("POST /callback HTTP/1.1", &[HOST, "Content-Length: 14"], body),
        with("POST /callback HTTP/1.1", &[HOST, "Content-Length: 14", "content-type: text/plain"], body),
        with(
            "POST /callback HTTP/1.1",
            &[HOST, form, "Transfer-Encoding: chunked"],
            "e\r\ncode=a&state=b\r\n0\r\n\r\n",
        ),
        with("POST /callback HTTP/1.1", &[HOST, form], body),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
        "\r\n\r\nGET /callback?code=a HTTP/1.1\r\nHost: 127.0.0.1:8400\r\n\r\n".to_owned(),
        "GET /callback?code=a HTTP/1.1\nHost: 127.0.0.1:8400\n\n".to_owned(),
        format!("GET /callback?code=a HTTP/1.1\r\n{HOST}\r\n{}\r\n", "X: y\r\n".repeat(101)),
        format!("GET /callback?code=a HTTP/1.1\r\n{HOST}\r\nX: {}\r\n\r\n", "y".repeat(4000)),
        "http://127.0.0.1:8400/callback?code=a&state=b".to_owned(),
        "  http://127.0.0.1:8400/callback?code=a&state=b \n".to_owned(),
        "http://127.0.0.1:8400/callback#code=a&state=b".to_owned(),
        "http://user@127.0.0.1:8400/callback?code=a".to_owned(),
        "http://127.1:8400/callback?code=a".to_owned(),
    ]);
    let usual = [get("code=a&state=b").into_bytes(), post("14", body).into_bytes()];
    Seeds::of(&rows).cut(7, &[&usual[0], &usual[1]])
}

fn challenge() -> Seeds {
    let rows = [
        r#"Bearer realm="as", error="invalid_token", error_description="The access token expired""#,
        r#"Basic realm="WallyWorld""#,
        r#"Basic"#,
        r#"Basic, Bearer"#,
        r#"Negotiate YII=="#,
        r#"Negotiate YII==, Basic realm="x""#,
        r#"Negotiate abc="#,
        r#"Negotiate a-._~+/b"#,
        r#"Negotiate a b"#,
        r#"DPoP error="use_dpop_nonce", algs="ES256 PS256""#,
        r#"Bearer error="invalid_token", DPoP error="use_dpop_nonce""#,
        r#"dPoP ERROR="use_dpop_nonce""#,
        r#"Bearer scope = "a b""#,
        r#"Bearer scope ="a", realm= "b""#,
        r#"Bearer realm="a\"b\\c""#,
        r#"Bearer realm="a\\c\d""#,
        r#"Bearer realm="a"#,
        r#"Bearer realm="a\"#,
        r#"Bearer realm="a"x"#,
        r#"Bearer realm=a"b""#,
        r#"Bearer realm=a realm=b"#,
        r#"Bearer realm=a, realm=b"#,
        r#"Bearer realm=a, REALM=b"#,
        r#"Bearer x-error="no", error="yes""#,
        r#"Bearer error="a, error=b""#,
        r#", , Bearer realm=a,, ,Basic realm=b ,"#,
        r#"Bearer realm="""#,
        r#"Bearer realm="#,
        r#"Bearer ="#,
        r#"Bearer =x"#,
        r#"realm=x"#,
        r#"Bear(er realm=x"#,
        r#"Bearer realm="é""#,
        r#"Bearer	realm="tab	inside""#,
        "Bearer realm=\"\u{1}\"",
        "Bearer realm=\"\u{7f}\"",
        "Bearer realm=\"\u{85}\"",
        "é",
        "\"",
        "=",
        "",
        " ",
        ",",
        r#"Bearer resource_metadata="https://rs.example/.well-known/oauth-protected-resource", scope="read""#,
        r#"Digest realm="a", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", stale=FALSE"#,
        r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
        r#"a b c"#,
        r#"a=b=c"#,
        r#"a b=c=d"#,
        r#"a b==c"#,
        r#"a ==="#,
    ];
    let mut inputs: Vec<Vec<u8>> = rows.map(|row| row.as_bytes().to_vec()).to_vec();
    inputs.push("Basic,".repeat(100).into_bytes());
    inputs.push("Basic,".repeat(101).into_bytes());
    inputs.push(format!("Basic {}", (0..101).map(|at| format!("p{at}=x,")).collect::<String>()).into_bytes());
    inputs.push(b"Bearer realm=\"\xE9\xFF\"".to_vec());
    inputs.push(b"Bearer realm=\"\xC3".to_vec());
    let cut: Vec<&[u8]> = [0, 14, 44, 45].map(|row: usize| rows[row].as_bytes()).to_vec();
    Seeds::of(&inputs).cut(7, &cut).cut(5, &cut[..1])
}

fn form() -> Seeds {
    let mut rows = queries();
    rows.extend(
        [
            "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
            "scope=openid+email+profile&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb",
            "a=1&a=2&a=3",
            "a=%C3%A4&%C3%B6=b",
            "a=%e2%82%ac",
            "a=%E2%82",
            "a=%C0%80",
            "a=%ED%A0%80",
            "a=%F4%90%80%80",
            "a=*-._",
            "a=~!'()",
            "a=%2B+%20",
            "a=\t",
            "a=\n",
            "a=%0A",
            "a=%7F",
            "=",
            "==",
            "&",
            "a&b&c",
            "a=&b=",
        ]
        .map(str::to_owned),
    );
    let cut: Vec<&[u8]> = [0, 2].map(|row: usize| rows[row].as_bytes()).to_vec();
    Seeds::of(&rows).cut(7, &cut).filled()
}

fn json() -> Seeds {
    let mut rows: Vec<String> = [
        r#"{}"#, " {\t\n\r} ", r#"{"a":1}"#, r#"{"a":1,}"#, r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[{"b":1,"b":2}]}"#, r#"{"a":[1,2,3],"b":{"c":null},"d":true,"e":false,"f":"g"}"#, r#"{"a":[1,]}"#, r#"{"a":[,1]}"#,
        r#"{"a":01}"#, r#"{"a":-0}"#, r#"{"a":-}"#, r#"{"a":1.}"#, r#"{"a":.5}"#, r#"{"a":1e5}"#, r#"{"a":1E+5}"#, r#"{"a":1e}"#,
        r#"{"a":1e999}"#, r#"{"a":-1e-999}"#, r#"{"a":18446744073709551615}"#, r#"{"a":18446744073709551616}"#,
        r#"{"a":-9223372036854775808}"#, r#"{"a":-9223372036854775809}"#, r#"{"a":3599.999999999999999999}"#, r#"{"a":0.1e1}"#,
        r#"{"a":1e-1}"#, r#"{"a":123e-2}"#, r#"{"a":+1}"#, r#"{"a":0x1}"#, r#"{"a":NaN}"#, r#"{"a":Infinity}"#, r#"{"a":tru}"#,
        r#"{"a":true1}"#, r#"{"a":nul"#, r#"{"a":"\n\t\r\b\f\/\\\""}"#, r#"{"a":"\x"}"#, r#"{"a":"\u12"}"#, r#"{"a":"\u00e9"}"#,
        r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d"}"#, r#"{"a":"\ude00"}"#, r#"{"a":"\ud83d\u0041"}"#, r#"{"a":"\ud83dx"}"#,
        r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"{"":""}"#, r#"{a:1}"#, r#"{'a':1}"#, r#"{"a" 1}"#, r#"{"a"::1}"#, r#"{"a":1 "b":2}"#,
        r#"{"a":1}x"#, r#"{"a":1}{"#, r#"[]"#, r#"[1]"#, r#""a""#, r#"1"#, r#"null"#, r#""#, r#"{"#, r#"}"#, r#"{"a":}"#, r#"{"a":/**/1}"#,
        "{\"a\":\"\t\"}", "{\"a\":\"\u{7f}\"}", "{\"a\":\"é€😀\"}", "\u{feff}{\"a\":1}", "\u{feff}\u{feff}{}", "{\"a\":\u{a0}1}",
        r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"b"}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    for depth in [30, 31, 32, 33, 140] {
        rows.push(format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        rows.push(format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)));
    }
    for members in [15, 16, 17, 18, 200] {
        let list: Vec<String> = (0..members).map(|at| format!(r#""m{at}":{at}"#)).collect();
        rows.push(format!("{{{}}}", list.join(",")));
        rows.push(format!("{{{},\"m0\":0}}", list.join(",")));
    }
    let mut inputs: Vec<Vec<u8>> = rows.into_iter().map(String::into_bytes).collect();
    inputs.extend([b"{\"a\":\"\xFF\"}".to_vec(), b"{\"a\":\"\xC3".to_vec(), b"{\"a\":\"\xED\xA0\x80\"}".to_vec()]);
    let usual = br#"{"access_token":"canary\u002daccess","expires_in":3600.5e0,"nested":{"a":[true,null,{"b":"c"}]}}"#;
    Seeds::of(inputs).cut(7, &[usual])
}

fn retry_after() -> Seeds {
    let mut rows: Vec<String> = [
        "0",
        "1",
        "120",
        "86400",
        "86401",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
        "-1",
        "+1",
        "1.5",
        "1e3",
        " 5 ",
        "\t7",
        "5;",
        "5,6",
        "0x10",
        "\u{661}",
        "",
        " ",
        "soon",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "Friday, 31-Dec-99 23:59:59 GMT",
        "Fri Dec 31 23:59:59 1999",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 23:60:00 GMT",
        "Sat, 31 Dec 2016 23:59:60 GMT",
        "Sat, 31 Dec 2016 23:59:61 GMT",
        "Tue, 29 Feb 2000 00:00:00 GMT",
        "Wed, 29 Feb 1900 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",
        "Thu, 29 Feb 2024 12:00:00 GMT",
        "Wed, 29 Feb 2023 12:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "Sat, 01 Jan 10000 00:00:00 GMT",
        "Sunday, 06-Nov-69 08:49:37 GMT",
        "Sunday, 06-Nov-70 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 16 08:49:37 1994",
        "Sun Nov  16 08:49:37 1994",
        "Fri, 15 Jan 2027 08:01:00 GMT",
        "Fri, 15 Jan 2027 07:59:00 GMT",
        "Sun, 16 Jan 2028 00:00:00 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        ", ",
        "Sun,",
        "Sun, - GMT",
    ]
    .map(str::to_owned)
    .to_vec();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for (number, month) in months.into_iter().enumerate() {
        rows.push(format!("Thu, 28 {month} 20{number:02} 00:00:00 GMT"));
        rows.push(format!("Thursday, 31-{month}-{number:02} 23:59:59 GMT"));
        rows.push(format!("Thu {month}  1 12:34:56 {}", 1970 + number * 13));
        rows.push(format!("Thu, 30 {month} {}00 00:00:00 GMT", 16 + number));
    }
    Seeds::of(rows)
}

fn url_policy() -> Seeds {
    let rows = [
        "https://as.example",
        "https://as.example/",
        "https://as.example:443/",
        "https://as.example:8443/token?x=y",
        "HTTPS://AS.EXAMPLE/",
        "http://as.example/",
        "http://127.0.0.1/",
        "http://127.0.0.1:8400/callback",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.nip.io/",
        "http://[::1]/",
        "http://[::1]:8400/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "http://localhost/",
        "http://localhost:8400/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://x.localhost/",
        "https://xlocalhost/",
        "http://127.255.255.254/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://172.16.0.1/",
        "https://172.32.0.1/",
        "https://192.168.0.1/",
        "https://192.0.0.1/",
        "https://192.88.99.1/",
        "https://198.18.0.1/",
        "https://203.0.113.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://8.8.8.8/",
        "https://1.1/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[fd00::1]/",
        "https://[ff02::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b::808:808]/",
        "https://[2002:a00:1::]/",
        "https://[2001:db8::1]/",
        "https://[2001::1]/",
        "https://[2606:4700::1111]/",
        "https://[::a00:1]/",
        "https://[3fff::1]/",
        "https://[fe80::1%25eth0]/",
        "https://user@as.example/",
        "https://user:pass@as.example/",
        "https://@as.example/",
        "https://:@as.example/",
        "https://as.example@evil.example/",
        "https://as.example\\@evil.example/",
        "https://as.example/#f",
        "https://as.example/#",
        "https://as.example/?q",
        "https://as.example?",
        "https:as.example",
        "https:/as.example",
        "https:///as.example",
        "https:\\\\as.example",
        "https://",
        "https://:443/",
        "https://?",
        "https://#",
        "//as.example/",
        "/path",
        "as.example",
        "",
        " https://as.example/",
        "https://as.example/ ",
        "https://as .example/",
        "https://as\t.example/",
        "https://as.example/\n",
        "ht\ntps://as.example/",
        "https://as.example/a b",
        "https://as.example/a%20b",
        "https://as.example/%zz",
        "https://as.example/../x",
        "https://as.example/%2e%2e/x",
        "https://as%2eexample/",
        "https://as.example%00.evil.example/",
        "https://as.example:99999/",
        "https://as.example:/",
        "https://as.example:0/",
        "https://as.example:0443/",
        "https://as.example./",
        "https://as..example/",
        "https://xn--80ak6aa92e.com/",
        "https://xn--a/",
        "https://аpple.example/",
        "https://ａs.example/",
        "https://as。example/",
        "https://①②⑦.0.0.1/",
        "ftp://as.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/callback",
        "com.example.app://callback",
        "com.example.app:/cb#f",
        "com.example.app://u@h/",
        "myapp:/callback",
        "https://*.as.example/cb",
        "https://as.example/*",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://as.example/\u{202e}",
        "https://as.example/|",
        "https://as.example/'",
        "https://as.example/?a='b'",
        "https://as.example/<x>",
        "https://as_b.example/",
        "https://-as.example/",
        "https://as.example/{tenantid}/v2.0",
        "wss://as.example/",
        "http://[::1",
        "https://[v1.x]/",
        "https://1.2.3/",
        "https://1.2.3.256/",
    ];
    let mut inputs: Vec<String> = rows.map(str::to_owned).to_vec();
    inputs.push(format!("https://{}.example/", "a".repeat(300)));
    inputs.push(format!("https://as.example/{}", "a".repeat(2000)));
    Seeds::of(inputs)
}

/// A header and claims, which the target signs, or a whole token.
fn id_token() -> Seeds {
    const RS256: &str = r#"{"alg":"RS256","kid":"1"}"#;
    let now = 1_800_000_000_u64;
    let claims = |change: &str| {
        let (without, members) = change.split_once('|').unwrap_or(("", change));
        let all = [
            ("iss", format!("\"{ISSUER}\"")),
            ("sub", "\"alice\"".to_owned()),
            ("aud", format!("\"{CLIENT_ID}\"")),
            ("exp", (now + 600).to_string()),
            ("iat", now.to_string()),
        ];
        let mut list: Vec<String> = all
            .iter()
            .filter(|(name, _)| !without.split(',').any(|out| out == *name))
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        list.extend(Some(members.to_owned()).filter(|members| !members.is_empty()));
        format!("{{{}}}", list.join(","))
    };
    let mut rows: Vec<String> = [
        "",
        r#""nonce":"n-0S6_WzA2Mj""#,
        r#""nonce":"other""#,
        r#""nonce":5"#,
        "iss|",
        "sub|",
        "aud|",
        "exp|",
        "iat|",
        r#"sub|"sub":"""#,
        r#"sub|"sub":5"#,
        r#"iss|"iss":"https://as.example/""#,
        r#"iss|"iss":"https://evil.example""#,
        r#"iss|"iss":5"#,
        r#"iss|"iss":"https://as.example/t-1/v2.0","tid":"t-1""#,
        r#"iss|"iss":"https://as.example/../v2.0","tid":"..""#,
        r#"iss|"iss":"https://as.example/a/b/v2.0","tid":"a/b""#,
        r#"aud|"aud":["client"]"#,
        r#"aud|"aud":["client","another"]"#,
        r#"aud|"aud":["client","another"],"azp":"client""#,
        r#"aud|"aud":["client","stranger"],"azp":"client""#,
        r#"aud|"aud":[]"#,
        r#"aud|"aud":["client",5]"#,
        r#"aud|"aud":"other""#,
        r#"aud|"aud":{"client":1}"#,
        r#""azp":"client""#,
        r#""azp":"other""#,
        r#""azp":5"#,
        r#"exp|"exp":"1800000600""#,
        r#"exp|"exp":1800000600.5"#,
        r#"exp|"exp":1799999940"#,
        r#"exp|"exp":1799999941"#,
        r#"exp|"exp":1e30"#,
        r#"exp|"exp":-1"#,
        r#"exp|"exp":null"#,
        r#"exp|"exp":253402300800"#,
        r#"exp|"exp":18e8"#,
        r#"iat|"iat":1800000060"#,
        r#"iat|"iat":1800000061"#,
        r#"iat|"iat":1799900000"#,
        r#"iat|"iat":"x""#,
        r#""nbf":1800000060"#,
        r#""nbf":1800000061"#,
        r#""nbf":"x""#,
        r#""auth_time":1799999000,"acr":"urn:example:silver","nonce":"n-0S6_WzA2Mj""#,
        r#""auth_time":1799990000,"nonce":"n-0S6_WzA2Mj""#,
        r#""auth_time":"x""#,
        r#""acr":"0""#,
        r#""acr":5"#,
        r#""at_hash":"AAAA""#,
        r#""at_hash":5"#,
        r#""c_hash":"x""#,
        r#""email":"canary@example.com","email_verified":"true","updated_at":"2026-01-01T00:00:00Z""#,
        r#""email":"a@b@c","email_verified":true,"amr":["pwd",5],"sid":"s""#,
        r#""sub":"mallory""#,
        r#""x":{"y":[1,2]}"#,
    ]
    .iter()
    .map(|change| format!("{RS256}\n{}", claims(change)))
    .collect();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None","kid":"1"}"#,
        r#"{"alg":"HS256","kid":"1"}"#,
        r#"{"alg":"PS256","kid":"1"}"#,
        r#"{"alg":"ES256","kid":"2"}"#,
        r#"{"alg":"EdDSA","kid":"3"}"#,
        r#"{"alg":"ES256","kid":"1"}"#,
        r#"{"alg":"ES384","kid":"2"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"unknown"}"#,
        r#"{"alg":"RS256","kid":5}"#,
        r#"{"alg":5}"#,
        r#"{}"#,
        "[]",
        "",
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"RS256","kid":"1","crit":["exp"]}"#,
        r#"{"alg":"RS256","kid":"1","crit":[]}"#,
        r#"{"alg":"RS256","kid":"1","b64":false}"#,
        r#"{"alg":"RS256","kid":"1","b64":true}"#,
        r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"RS256","kid":"1","typ":"application/JWT"}"#,
        r#"{"alg":"RS256","kid":"1","typ":"at+jwt"}"#,
        r#"{"alg":"RS256","kid":"1","typ":"logout+jwt"}"#,
        r#"{"alg":"RS256","kid":"1","typ":5}"#,
        r#"{"alg":"RS256","kid":"1","cty":"JWT"}"#,
        r#"{"alg":"RS256","jwk":{"kty":"RSA"},"jku":"https://evil.example/","x5u":"https://evil.example/"}"#,
        r#"{"alg":"RS256","kid":"\u202e"}"#,
    ] {
        rows.push(format!("{header}\n{}", claims("")));
    }
    for body in ["", "{", "[]", "null", r#"{"iss":1,"iss":2}"#] {
        rows.push(format!("{RS256}\n{body}"));
    }
    rows.extend(
        [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "e30.e30.",
            "e30.e30.e30",
            "eyJhbGciOiJub25lIn0.e30.",
            "eyJhbGciOiJub25lIn0.e30",
            "e30=.e30.e30",
            "e31.e30.e30",
            " e30.e30.e30",
            "e30.e30.e30.e30.e30",
        ]
        .map(str::to_owned),
    );
    let usual = format!("{RS256}\n{}", claims(r#""nonce":"n-0S6_WzA2Mj""#));
    Seeds::of(rows).cut(7, &[usual.as_bytes()])
}

/// Stored tokens: records of ours, files of other programs, and what can be wrong with them.
fn record() -> Seeds {
    let ours: &[u8] = include_bytes!("../../fixtures/record-1.json");
    let files: [&[u8]; 5] = [
        ours,
        include_bytes!("../../fixtures/token-aiorequestful.json"),
        include_bytes!("../../fixtures/token-authlib.json"),
        include_bytes!("../../fixtures/token-home-assistant.json"),
        include_bytes!("../../fixtures/token-pycognito.json"),
    ];
    let mut rows: Vec<Vec<u8>> = files.map(<[u8]>::to_vec).to_vec();
    let numbers = ["null", "-1", "0", "1e300", "1800000000", "1800000000.123457", r#""1800000000""#, r#""soon""#, "[]"];
    for name in ["granted_at", "expires_at", "expires_in"] {
        rows.extend(numbers.map(|value| format!(r#"{{"access_token":"t","{name}":{value}}}"#).into_bytes()));
        rows.extend(numbers.map(|value| {
            format!(r#"{{"access_token":"t","granted_at":1,"{name}2":1,"expires_in":{value}}}"#).into_bytes()
        }));
    }
    for members in [
        "",
        r#""access_token":"""#,
        r#""access_token":17"#,
        r#""id_token":"a.b.c","exp":1800000000,"iat":1,"life":2"#,
        r#""access_token":"t","token_type":null,"refresh_token":"","id_token":null,"scope":null"#,
        r#""access_token":"t","token_type":"mac","scope":["a","b"],"resources":[]"#,
        r#""access_token":"a\\\"b","x\u0061":"\u00e9\/","n":12345678901234567890.50"#,
        r#""data":{"token":{"access_token":"t"},"auth_implementation":"x"}"#,
        r#""token":{"access_token":"t","auth_implementation":"y"},"auth_implementation":"x""#,
        r#""token":[]"#,
        r#""access_token":"e30.eyJleHAiOjE4MDAwMDAwMDAsImlhdCI6MX0.c2ln""#,
        r#""grantflow":{"version":2}"#,
        r#""access_token":"t","grantflow":null"#,
    ] {
        rows.push(format!("{{{members}}}").into_bytes());
    }
    let ours = String::from_utf8(ours.to_vec()).unwrap();
    for (from, to) in [
        (r#""version":1"#, r#""version":0"#),
        ("1800003600250", "18446744073709551615"),
        ("1800003600,", "1800009999,"),
        (r#""granted":true"#, r#""granted":false"#),
        (r#""openid email""#, r#""openid email profile""#),
        (r#","subject":"alice""#, ""),
        ("expires_in_text", "a_note_of_a_later_version"),
    ] {
        rows.push(ours.replace(from, to).into_bytes());
    }
    Seeds::of(rows).filled()
}

/// Bases, with what can be joined to them or admitted by them, right and wrong.
fn audience() -> Seeds {
    const BASES: [&str; 8] = [
        "https://good.com",
        "https://good.com/api",
        "https://Good.com.:443/api/v1/",
        "https://b\u{fc}cher.example",
        "https://[2001:db8::1]:8443/api",
        "http://127.0.0.1:8080/api",
        "https://good.com/?x",
        "http://good.com",
    ];
    const RESTS: [&str; 24] = [
        "lights",
        "/lights?on=true",
        "",
        "a/../b",
        "../other",
        "%2e%2e/other",
        "..%2fother",
        "..;x/other",
        "//evil.com/x",
        "///evil.com",
        "\\\\evil.com",
        "@evil.com",
        "https://evil.com/x",
        "https:evil.com",
        "https://good.com/api/x",
        "https://good.com./api/../x",
        "https://GOOD.com:443/api/v1/x",
        "https://good.com.evil.com/api",
        "https://good.com@evil.com/api",
        "https://[2001:0db8:0::1]:8443/api/x",
        "http://127.0.0.1:8080/api/x",
        "a\r\nHost: evil.com",
        "x#y",
        ".evil.com",
    ];
    Seeds::of(BASES.iter().flat_map(|base| RESTS.iter().map(move |rest| format!("{base}\n{rest}"))))
}
