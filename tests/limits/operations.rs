//! Everything that reads input from outside, with the largest input that it accepts, in the shape that costs most.

use grantflow_core::callback::CallbackParams;
use grantflow_core::crypto::AwsLc;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Discovery, Introspection, Jwks, UserInfo};
use grantflow_core::error::{BadCallback, Error, Rule, TransportKind};
use grantflow_core::grant::{AuthorizationCode, ClientCredentials, Device, Extras};
use grantflow_core::http::challenge::{self, ChallengeFlaw};
use grantflow_core::http::form::{Form, FormFlaw};
use grantflow_core::http::json::Object;
use grantflow_core::http::{Body, UrlPolicy, http_date};
use grantflow_core::jose::{IdTokenRules, JwkSet, SignatureAlgorithm, verify};
use grantflow_core::loopback::{Connection, Heard, Reception, ResponseMode};
use grantflow_core::machine::{Context, Event, Machine, Step};
use grantflow_core::memory::Memory;
use grantflow_core::testing::specimens::{confidential, public};
use grantflow_core::testing::stimuli::{CLIENT_ID, ISSUER, KEYS};
use grantflow_core::testing::{CountingRandom, MarkerCrypto};
use grantflow_core::token::Scopes;
use grantflow_core::{Secret, Snapshot, Timestamp};

/// How an operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The input was read.
    Read,
    /// It was refused because there is too much of it.
    TooMuch,
}

/// Something that reads input.
pub struct Operation {
    pub name: &'static str,
    /// The most that it accepts, in the unit.
    pub limit: usize,
    pub unit: &'static str,
    /// The most bytes that its input can have.
    pub bytes: usize,
    /// Makes an input of so many units.
    pub input: fn(usize) -> Vec<u8>,
    pub run: fn(Vec<u8>) -> End,
}

const KIB: usize = 1024;
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

macro_rules! operation {
    ($name:literal, $limit:expr, $input:expr, $run:expr) => {
        Operation { name: $name, limit: $limit, unit: "bytes", bytes: $limit, input: $input, run: $run }
    };
    ($name:literal, $limit:expr, $unit:literal within $bytes:expr, $input:expr, $run:expr) => {
        Operation { name: $name, limit: $limit, unit: $unit, bytes: $bytes, input: $input, run: $run }
    };
}

const TOKENS: &str = r#"{"access_token":"t","token_type":"Bearer","expires_in":60,"x":"#;
const DEVICE: &str =
    r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://as.example/d","expires_in":60,"x":"#;
const METADATA: &str = r#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token","x":"#;

pub const OPERATIONS: &[Operation] = &[
    operation!("token answer, one string", 1024 * KIB, |n| string(TOKENS, "a", n), tokens),
    operation!("token answer, escapes", 1024 * KIB, |n| string(TOKENS, "\\u0041", n), tokens),
    operation!("token answer, numbers", 1024 * KIB, |n| array(TOKENS, "0,", n), tokens),
    operation!("token answer, nesting", 1024 * KIB, |n| array(TOKENS, &nest(), n), tokens),
    operation!("token answer, members", 1024 * KIB, |n| members(TOKENS, n), tokens),
    operation!("token answer, a form", 1024 * KIB, form_of_tokens, |body| {
        answered(client_credentials(), "application/x-www-form-urlencoded", 200, body)
    }),
    operation!(
        "refusal, a description",
        1024 * KIB,
        |n| string(r#"{"error":"invalid_scope","error_description":"#, "\\n", n),
        |body| { answered(client_credentials(), "application/json", 400, body) }
    ),
    operation!("refusal, a page", 1024 * KIB, |n| vec![b'<'; n], |body| {
        answered(client_credentials(), "text/html", 400, body)
    }),
    operation!("device answer", 1024 * KIB, |n| members(DEVICE, n), |body| {
        answered(Device::new(&public(), "read", Extras::default()).unwrap(), "application/json", 200, body)
    }),
    operation!("introspection", 1024 * KIB, |n| members(r#"{"active":true,"x":"#, n), |body| {
        let flow = Introspection::new(&confidential(), &Secret::from("t"), TokenKind::Access).unwrap();
        answered(flow, "application/json", 200, body)
    }),
    operation!("UserInfo", 1024 * KIB, |n| members(r#"{"sub":"alice","x":"#, n), |body| {
        let flow = UserInfo::new(&public(), &Secret::from("t"), "alice").unwrap();
        answered(flow, "application/json", 200, body)
    }),
    operation!("metadata, members", 512 * KIB, |n| members(METADATA, n), metadata),
    operation!(
        "metadata, scopes",
        512 * KIB,
        |n| { array(&METADATA.replace("\"x\"", "\"scopes_supported\""), "\"s\",", n) },
        metadata
    ),
    operation!(
        "key set, members",
        512 * KIB,
        |n| members(&format!("{},\"x\":", KEYS.strip_suffix('}').unwrap()), n),
        keys
    ),
    operation!("key set, keys", 512 * KIB, key_set, keys),
    operation!("id_token", 64 * KIB, id_token, |token| {
        let token = Secret::from(text(token));
        let keys = JwkSet::parse(KEYS.as_bytes(), &MarkerCrypto).unwrap();
        let mut rules = IdTokenRules::new(ISSUER, CLIENT_ID);
        rules.algorithms = &[SignatureAlgorithm::Rs256];
        match verify(&token, &keys, &rules, NOW, &MarkerCrypto, None).map_err(|error| error.into_error()) {
            Ok(_) => End::Read,
            Err(Error::Protocol(error)) if error.rule == Rule::JwtTooLarge => End::TooMuch,
            Err(error) => panic!("{error:?}"),
        }
    }),
    operation!("callback", 16 * KIB, |n| form("code=c&state=s", "&x=", "%41", n), |query| {
        callback(CallbackParams::from_query(&text(query)))
    }),
    operation!("callback, parameters", 100, "parameters" within 16 * KIB, |n| parameters("code=c", n), |query| {
        callback(CallbackParams::from_query(&text(query)))
    }),
    operation!("form", 16 * KIB, |n| form("a=b", "&x=", "%41", n), |form| read_form(&form)),
    operation!("form, parameters", 100, "parameters" within 16 * KIB, |n| parameters("a=b", n), |form| read_form(&form)),
    operation!("URL", 16 * KIB, |n| padded("https://as.example/", n), |url| {
        match UrlPolicy::default().parse(&text(url)) {
            Ok(_) => End::Read,
            Err(flaw) => too_much(&flaw, "TooLong"),
        }
    }),
    operation!("challenges", 100, "challenges" within 64 * KIB, |n| vec!["Bearer a=b"; n].join(", ").into_bytes(), challenges),
    operation!("parameters of a challenge", 100, "parameters" within 64 * KIB, |n| {
        let parameters: Vec<_> = (0..n).map(|n| format!("p{n}=\"{}\"", "\\a".repeat(64))).collect();
        format!("Bearer {}", parameters.join(", ")).into_bytes()
    }, challenges),
    operation!("JSON members", 10_000, "members" within 1024 * KIB, |n| {
        let members: Vec<_> = (0..n).map(|n| format!("\"\\u006d{n}\":0")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    }, json),
    operation!("JSON nesting", 32, "levels" within KIB, |n| {
        format!("{}0{}", "{\"a\":".repeat(n), "}".repeat(n)).into_bytes()
    }, json),
    operation!("scope", 1_000, "tokens" within 64 * KIB, |n| {
        let tokens: Vec<_> = (0..n).map(|n| format!("https://api.example/a/long/scope/number/{n:06}")).collect();
        tokens.join(" ").into_bytes()
    }, |list| match Scopes::parse(&text(list)) {
        Ok(_) => End::Read,
        Err(error) => too_much(&error, "more than"),
    }),
    operation!(
        "snapshot",
        64 * KIB,
        |n| {
            let stored = include_str!("../fixtures/authorization-code-1.json");
            let (begin, end) = stored.split_once("alice").unwrap();
            let mut bytes = padded(begin, n - end.len());
            bytes.extend_from_slice(end.as_bytes());
            bytes
        },
        |stored| match AuthorizationCode::restore(&public(), Snapshot::from_bytes(stored)) {
            Ok(_) => End::Read,
            Err(error) => too_much(&error, "SnapshotUnreadable"),
        }
    ),
    operation!(
        "redirect listener, request line",
        16 * KIB,
        |n| {
            let (begin, end) = ("GET /callback?code=", " HTTP/1.1\r\n");
            let mut bytes = padded(begin, n - end.len());
            bytes.extend_from_slice(end.as_bytes());
            bytes.extend_from_slice(b"Host: 127.0.0.1:8400\r\n\r\n");
            bytes
        },
        |bytes| listened(ResponseMode::Query, &bytes)
    ),
    operation!(
        "redirect listener, fields",
        16 * KIB,
        |n| {
            let fields = padded("Host: 127.0.0.1:8400\r\nX: ", n - 4);
            [b"GET /callback?code=a HTTP/1.1\r\n", fields.as_slice(), b"\r\n\r\n"].concat()
        },
        |bytes| listened(ResponseMode::Query, &bytes)
    ),
    operation!(
        "redirect listener, form",
        16 * KIB,
        |n| {
            let head = format!(
                "POST /callback HTTP/1.1\r\nHost: 127.0.0.1:8400\r\nContent-Length: {n}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
            );
            [head.into_bytes(), form("code=c&state=s", "&x=", "%41", n)].concat()
        },
        |bytes| listened(ResponseMode::FormPost, &bytes)
    ),
];

/// Dates have no limit of their own: whatever is longer than one is none.
pub fn date(text: &str) -> bool {
    http_date(text).is_some()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// That a refusal is one for size.
fn too_much(error: &impl std::fmt::Debug, word: &str) -> End {
    let said = format!("{error:?}");
    assert!(said.contains(word), "{said}");
    End::TooMuch
}

/// Gives a machine its first answer.
fn answered<M: Machine>(mut machine: M, kind: &'static str, status: u16, body: Vec<u8>) -> End {
    let (mut random, mut memory) = (CountingRandom::default(), Memory::default());
    let mut cx = Context { now: NOW, random: &mut random, crypto: &AwsLc, memory: &mut memory, observer: None };
    assert!(matches!(machine.handle(Event::Start, &mut cx), Ok(Step::Do(_))));
    let mut response = http::Response::new(Body::new(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    match machine.handle(Event::Response(response), &mut cx) {
        Ok(_) => End::Read,
        Err(Error::Transport(error)) if error.kind == TransportKind::TooLarge => End::TooMuch,
        Err(Error::Refused(_)) if status == 400 => End::Read,
        Err(Error::Protocol(error)) if error.rule == Rule::Status && kind == "text/html" => End::Read,
        Err(error) => panic!("{error:?}"),
    }
}

fn client_credentials() -> ClientCredentials {
    ClientCredentials::new(&confidential(), "", &Extras::default()).unwrap()
}

fn tokens(body: Vec<u8>) -> End {
    answered(client_credentials(), "application/json", 200, body)
}

fn metadata(body: Vec<u8>) -> End {
    answered(Discovery::new(ISSUER).unwrap(), "application/json", 200, body)
}

fn keys(body: Vec<u8>) -> End {
    answered(Jwks::new(&public()).unwrap(), "application/json", 200, body)
}

fn callback(read: Result<CallbackParams, BadCallback>) -> End {
    match read {
        Ok(_) => End::Read,
        Err(error) => too_much(&error, "Too"),
    }
}

fn read_form(bytes: &[u8]) -> End {
    match Form::parse(bytes, 16 * KIB) {
        Ok(_) => End::Read,
        Err(FormFlaw::TooLarge | FormFlaw::TooManyParameters) => End::TooMuch,
        Err(FormFlaw::Malformed) => panic!("{}", String::from_utf8_lossy(bytes)),
    }
}

fn challenges(value: Vec<u8>) -> End {
    match challenge::parse(&value) {
        Ok(_) => End::Read,
        Err(ChallengeFlaw::TooMany) => End::TooMuch,
        Err(flaw) => panic!("{flaw}"),
    }
}

fn json(bytes: Vec<u8>) -> End {
    match Object::parse_owned(bytes) {
        Ok(_) => End::Read,
        Err(error) => too_much(&error.flaw, "Too"),
    }
}

fn listened(mode: ResponseMode, bytes: &[u8]) -> End {
    let reception = Reception::new("http://127.0.0.1:8400/callback", mode).unwrap();
    match Connection::new(&reception).receive(bytes) {
        Heard::Callback(_) => End::Read,
        Heard::Answer(reply) if matches!(reply.status(), 413 | 414 | 431) => End::TooMuch,
        heard => panic!("{heard:?}"),
    }
}

/// A text, and then one letter over and over, exactly so long in all.
fn padded(begin: &str, length: usize) -> Vec<u8> {
    format!("{begin}{}", "a".repeat(length - begin.len())).into_bytes()
}

/// An object whose last member is a string of these pieces.
fn string(begin: &str, piece: &str, length: usize) -> Vec<u8> {
    let room = length - begin.len() - 3;
    let filled = piece.repeat(room / piece.len());
    format!("{begin}\"{filled}{}\"}}", "a".repeat(room % piece.len())).into_bytes()
}

/// An object whose last member is an array of these pieces.
fn array(begin: &str, piece: &str, length: usize) -> Vec<u8> {
    let room = length - begin.len() - 4;
    let filled = piece.repeat(room / piece.len());
    format!("{begin}[{filled}0]}}{}", " ".repeat(room % piece.len())).into_bytes()
}

/// As deep as it may be beside a member of an object.
fn nest() -> String {
    format!("{}{},", "[".repeat(30), "]".repeat(30))
}

/// An object with many members, each of about a hundred bytes.
fn members(begin: &str, length: usize) -> Vec<u8> {
    let mut out = format!("{begin}0");
    let mut number = 0;
    // Beyond ten thousand it is refused for their number.
    while out.len() + 120 < length && number < 9_990 {
        number += 1;
        out.push_str(&format!(",\"member-{number}\":\"{}\"", "\\n".repeat(47)));
    }
    let room = length - out.len() - 1;
    format!("{out}{}}}", " ".repeat(room)).into_bytes()
}

fn form(begin: &str, name: &str, piece: &str, length: usize) -> Vec<u8> {
    let room = length - begin.len() - name.len();
    let filled = piece.repeat(room / piece.len());
    format!("{begin}{name}{filled}{}", "a".repeat(room % piece.len())).into_bytes()
}

fn form_of_tokens(length: usize) -> Vec<u8> {
    form("access_token=t&token_type=Bearer&expires_in=60", "&x=", "%22", length)
}

fn parameters(begin: &str, count: usize) -> Vec<u8> {
    let others: String = (1..count).map(|n| format!("&p{n}={}", "%41".repeat(40))).collect();
    format!("{begin}{others}").into_bytes()
}

/// As many keys as there is room for. Only the first hundred are read.
fn key_set(length: usize) -> Vec<u8> {
    let (_, key) = KEYS.split_once('[').unwrap();
    let key = key.strip_suffix("]}").unwrap().replace("\"kid\":\"1\",", "");
    let room = length - r#"{"keys":[]}"#.len();
    let keys = vec![key.as_str(); (room + 1) / (key.len() + 1)].join(",");
    format!("{{\"keys\":[{keys}]}}{}", " ".repeat(room - keys.len())).into_bytes()
}

/// A token with the signature that the marker provider accepts. Base64 knows no length of one more than a multiple of
/// four: there it is one character less.
fn id_token(length: usize) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let now = NOW.as_secs();
    let begin = format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"{CLIENT_ID}","iat":{now},"exp":{},"x":"#, now + 600);
    let (header, signature) = (part(br#"{"alg":"RS256","kid":"1"}"#), part(MarkerCrypto::SIGNATURE));
    let room = length - header.len() - signature.len() - 2;
    format!("{header}.{}.{signature}", part(&string(&begin, "\\u0041", room * 3 / 4))).into_bytes()
}
