//! A small HTTP client for the tests. It speaks HTTP/1.0, so that a body ends with its connection.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantflow_core::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use crate::{Config, DevServer, ManualClock};

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:54321/callback";
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    /// 0 if nothing came.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How the connection ended, if not in order.
    pub(crate) error: Option<ErrorKind>,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A string member of the JSON body.
    pub(crate) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.text())).to_owned()
    }

    /// Whether the body is as long as promised.
    pub(crate) fn is_whole(&self) -> bool {
        let promised = self.header("content-length");
        self.error.is_none() && (promised.is_empty() || promised == self.body.len().to_string())
    }

    /// The parameters of the `Location`.
    pub(crate) fn callback(&self) -> Vec<(String, String)> {
        let location = self.header("location");
        let (_, query) = location.split_once('?').unwrap_or_else(|| panic!("no callback: {self:?}"));
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    pub(crate) fn callback_value(&self, name: &str) -> String {
        self.callback().into_iter().find(|(n, _)| n == name).map(|(_, value)| value).unwrap_or_default()
    }
}

/// Sends one request and reads for as long as the server sends, but no more than `most` bytes.
pub(crate) fn exchange(server: &DevServer, request: &str, most: usize) -> Answered {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut raw = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut error = None;
    while raw.len() < most {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => raw.extend_from_slice(&buffer[..count]),
            Err(failure) => {
                error = Some(failure.kind());
                break;
            }
        }
    }
    let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answered { status: 0, headers: Vec::new(), body: raw, error };
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answered { status, headers, body: raw.split_off(end)[4..].to_vec(), error }
}

pub(crate) fn send(server: &DevServer, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", server.address());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    exchange(server, &request, usize::MAX)
}

pub(crate) fn get(server: &DevServer, path: &str) -> Answered {
    send(server, "GET", path, &[], "")
}

pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn post_with(server: &DevServer, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answered {
    let mut headers = headers.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    send(server, "POST", path, &headers, &encode(form))
}

/// A form from a client that is named in it.
pub(crate) fn post(server: &DevServer, path: &str, form: &[(&str, &str)]) -> Answered {
    post_with(server, path, &[], form)
}

/// A form from `demo-service`.
pub(crate) fn post_as_service(server: &DevServer, path: &str, form: &[(&str, &str)]) -> Answered {
    post_with(server, path, &[("Authorization", &basic("demo-service", "demo-secret"))], form)
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(crate) fn bearer(server: &DevServer, method: &str, path: &str, token: &str) -> Answered {
    send(server, method, path, &[("Authorization", &format!("Bearer {token}"))], "")
}

pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A server that allows everything for alice, and its clock.
pub(crate) fn allowing() -> (DevServer, ManualClock) {
    started(Config::default().allowing("alice"))
}

/// A server with the page, and its clock.
pub(crate) fn asking() -> (DevServer, ManualClock) {
    started(Config::default())
}

pub(crate) fn started(config: Config) -> (DevServer, ManualClock) {
    let time = ManualClock::at(START);
    let server = DevServer::start(config.with_clock(time.clock())).unwrap();
    (server, time)
}

/// The path and query of an honest authorization request by `demo-app`, with parameters replaced or added.
pub(crate) fn authorization(changes: &[(&str, &str)]) -> String {
    let honest = [
        ("response_type", "code"),
        ("client_id", "demo-app"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile"),
        ("state", "some-state"),
        ("nonce", "some-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = honest.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let pairs: Vec<_> = kept.chain(changes).copied().filter(|(_, value)| !value.is_empty()).collect();
    format!("/authorize?{}", encode(&pairs))
}

/// The code of an honest login.
pub(crate) fn code(server: &DevServer) -> String {
    code_for(server, &[])
}

pub(crate) fn code_for(server: &DevServer, changes: &[(&str, &str)]) -> String {
    let answer = get(server, &authorization(changes));
    let code = answer.callback_value("code");
    assert!(!code.is_empty(), "{answer:?}");
    code
}

/// Redeems a code as `demo-app`.
pub(crate) fn redeem(server: &DevServer, code: &str) -> Answered {
    redeem_with(server, code, VERIFIER, CALLBACK)
}

pub(crate) fn redeem_with(server: &DevServer, code: &str, verifier: &str, redirect_uri: &str) -> Answered {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "demo-app"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    post(server, "/token", &form)
}

pub(crate) fn refresh(server: &DevServer, token: &str) -> Answered {
    let form = [("grant_type", "refresh_token"), ("client_id", "demo-app"), ("refresh_token", token)];
    post(server, "/token", &form)
}

pub(crate) fn credentials(server: &DevServer) -> Answered {
    post_as_service(server, "/token", &[("grant_type", "client_credentials"), ("scope", "read")])
}

/// An introspection by `demo-service` that demands a signed answer.
pub(crate) fn ask_signed(server: &DevServer, token: &str) -> Answered {
    let basic = basic("demo-service", "demo-secret");
    let headers = [("Authorization", &*basic), ("Accept", "application/token-introspection+jwt")];
    post_with(server, "/introspect", &headers, &[("token", token)])
}

pub(crate) fn poll(server: &DevServer, device_code: &str) -> Answered {
    let form = [("grant_type", DEVICE_GRANT), ("client_id", "demo-app"), ("device_code", device_code)];
    post(server, "/token", &form)
}

pub(crate) fn start_device(server: &DevServer) -> Answered {
    post(server, "/device_authorization", &[("client_id", "demo-app"), ("scope", "openid")])
}

/// A part of a JWT.
pub(crate) fn part(jwt: &str, index: usize) -> Value {
    let text = jwt.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

pub(crate) fn header_of(jwt: &str) -> Value {
    part(jwt, 0)
}

pub(crate) fn claims_of(jwt: &str) -> Value {
    part(jwt, 1)
}

/// Whether a published key with the header's `kid` verifies the RS256, ES256 or EdDSA signature.
pub(crate) fn verifies(server: &DevServer, jwt: &str) -> bool {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    };
    let header = header_of(jwt);
    let keys = get(server, "/jwks").json();
    let Some(key) = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (input, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (input, signature) = (input.as_bytes(), signature.as_slice());
    match header["alg"].as_str().unwrap() {
        "RS256" => {
            let key = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature).is_ok()
        }
        "ES256" => {
            let point = [vec![4], bytes("x"), bytes("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input, signature).is_ok()
        }
        "EdDSA" => UnparsedPublicKey::new(&ED25519, bytes("x")).verify(input, signature).is_ok(),
        other => panic!("{other}"),
    }
}
