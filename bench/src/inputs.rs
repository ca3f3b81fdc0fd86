//! What all contenders are given: one server, one client, one set of answers and id_tokens.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUTHORIZATION_ENDPOINT: &str = "https://issuer.example/oauth2/authorize";
pub(crate) const TOKEN_ENDPOINT: &str = "https://issuer.example/oauth2/token";
pub(crate) const CLIENT_ID: &str = "0oa2hl2inow5Uqc6c357";
pub(crate) const CLIENT_SECRET: &str = "zWcL3nTq7yKx0B5rVd9uJm1PfHs8Ea2G";
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:41753/callback";
/// No `openid`: a flow that asks for it draws a nonce as well.
pub(crate) const SCOPES: [&str; 3] = ["email", "profile", "offline_access"];
pub(crate) const REFRESH_TOKEN: &str =
    "P5I7mdxxdwvR3K8v0qYVh6tWbsz7vJ6XQfHAm0g2L1wdBjftJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjXk";
pub(crate) const NONCE: &str = "n-0S6_WzA2MjJ9Yq1pTdZQ";

/// An id_token, and the key that verifies it in the two forms contenders take.
pub(crate) struct Signed {
    pub(crate) row: &'static str,
    pub(crate) alg: String,
    pub(crate) token: String,
    pub(crate) key: ParsedPublicKey,
    pub(crate) jwk: String,
}

pub(crate) struct Inputs {
    /// 1.2 KB, with an id_token and a few members nobody knows.
    pub(crate) answer: String,
    /// 64 KiB, nearly all of it members nobody knows.
    pub(crate) unknown: String,
    /// 1.2 KB, no id_token: an exchange that ends without a signature check.
    pub(crate) plain: String,
    pub(crate) signed: Vec<Signed>,
}

/// Text that looks random and is the same in every run.
fn filler(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut x = 0x2545_F491_4F6C_DD1D_u64;
    (0..length)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            char::from(ALPHABET[usize::try_from(x % 64).unwrap_or(0)])
        })
        .collect()
}

fn answer(size: usize, id_token: Option<usize>) -> String {
    let id_token = id_token.map(|length| format!(r#","id_token":"{}""#, filler(length))).unwrap_or_default();
    let rest = format!(
        r#"","token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"refresh_token":"{}","scope":"openid email profile"{id_token},"session_state":"9c6ae6f1-0b05-4c0e-8d0d-6f2a5d3b7c11","not-before-policy":0,"tenant":{{"id":"acme","region":"eu-west-1"}}}}"#,
        filler(86),
    );
    let head = r#"{"access_token":""#;
    let access_token = filler(size - head.len() - rest.len());
    format!("{head}{access_token}{rest}")
}

fn unknown() -> String {
    let mut text = format!(r#"{{"access_token":"{}","token_type":"Bearer","expires_in":3599"#, filler(43));
    let word = filler(72);
    for i in 0.. {
        let member = match i % 4 {
            0 => format!(r#","member_{i}":"{word}""#),
            1 => format!(r#","member_{i}":{}"#, 1_700_000_000 + i),
            2 => format!(r#","member_{i}":["read:{i}","write:{i}",true,null]"#),
            _ => format!(r#","member_{i}":{{"id":"{i}","name":"{}","level":{i}}}"#, &word[..24]),
        };
        if text.len() + member.len() + 1 > 64 * 1024 {
            break;
        }
        text.push_str(&member);
    }
    text.push('}');
    text
}

/// One id_token of each algorithm with its public key, signed once for good: the same bytes in every run. They are good
/// until the year 2100; the private keys are gone.
const ID_TOKENS: &str = include_str!("id_tokens.json");

#[derive(Deserialize)]
struct IdToken {
    row: String,
    alg: String,
    jwk: BTreeMap<String, String>,
    token: String,
}

fn signed(IdToken { row, alg, jwk, token }: IdToken) -> Signed {
    let member = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(&jwk[name]).expect("base64url");
    let (row, key) = match row.as_str() {
        "rs256" => {
            let rsa = RsaPublicKeyComponents { n: member("n"), e: member("e") };
            ("rs256", rsa.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok())
        }
        "es256" => {
            let point = [vec![4], member("x"), member("y")].concat();
            ("es256", ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok())
        }
        "eddsa" => ("eddsa", ParsedPublicKey::new(&ED25519, member("x")).ok()),
        other => panic!("{other} is no row"),
    };
    let jwk = serde_json::to_string(&jwk).expect("a key");
    Signed { row, alg, token, key: key.expect("a public key"), jwk }
}

impl Inputs {
    pub(crate) fn new() -> Self {
        let id_tokens: Vec<IdToken> = serde_json::from_str(ID_TOKENS).expect("id_tokens");
        Self {
            answer: answer(1200, Some(420)),
            unknown: unknown(),
            plain: answer(1200, None),
            signed: id_tokens.into_iter().map(signed).collect(),
        }
    }
}
