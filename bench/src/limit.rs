//! The limit: the job's own parts, put together by hand for one case only.

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rand::RngCore;
use serde::Deserialize;

use crate::inputs::{
    AUTHORIZATION_ENDPOINT, CLIENT_ID, CLIENT_SECRET, Inputs, REDIRECT_URI, REFRESH_TOKEN, SCOPES, TOKEN_ENDPOINT,
};
use crate::{Case, Pending};

/// The registered members of a token answer; the rest is read over.
#[derive(Deserialize)]
#[expect(dead_code, reason = "parsing them is the work")]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    scope: Option<String>,
    id_token: Option<String>,
}

/// What a callback must be checked against, and nothing else.
#[derive(Default)]
#[expect(dead_code, reason = "only its size matters")]
struct Kept {
    state: [u8; 16],
    nonce: [u8; 16],
    verifier: [u8; 32],
    created: u64,
}

/// One string of the right size; every fixed part is already encoded.
fn authorization_url(fixed: &str) -> (String, Kept) {
    let mut kept = Kept::default();
    let mut random = rand::thread_rng();
    random.fill_bytes(&mut kept.state);
    random.fill_bytes(&mut kept.verifier);
    let mut verifier = [0_u8; 43];
    let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(kept.verifier, &mut verifier);
    let challenge = digest(&SHA256, &verifier);

    let mut url = String::with_capacity(512);
    url.push_str(fixed);
    url.push_str("&state=");
    BASE64_URL_SAFE_NO_PAD.encode_string(kept.state, &mut url);
    url.push_str("&code_challenge_method=S256&code_challenge=");
    BASE64_URL_SAFE_NO_PAD.encode_string(challenge, &mut url);
    (url, kept)
}

/// The form by hand, the request by `http`, the answer by `serde_json`.
fn exchange(answer: &str) -> TokenAnswer {
    let form = form_urlencoded::Serializer::new(String::with_capacity(256))
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", REFRESH_TOKEN)
        .finish();
    let mut credentials = String::with_capacity(96);
    credentials.push_str("Basic ");
    BASE64_STANDARD.encode_string(format!("{CLIENT_ID}:{CLIENT_SECRET}"), &mut credentials);
    let request = http::Request::post(TOKEN_ENDPOINT)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(http::header::AUTHORIZATION, credentials)
        .body(form.into_bytes());
    std::hint::black_box(request.is_ok());
    let body = answer.as_bytes().to_vec();
    serde_json::from_slice(&body).expect("a token answer")
}

pub(crate) fn cases(inputs: &Inputs) -> Vec<Case> {
    let fixed = form_urlencoded::Serializer::new(format!("{AUTHORIZATION_ENDPOINT}?"))
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("scope", &SCOPES.join(" "))
        .finish();
    let (answer, unknown, plain) = (inputs.answer.clone(), inputs.unknown.clone(), inputs.plain.clone());

    let mut cases = vec![
        Case::new("url", "limit", move || authorization_url(&fixed)),
        Case::new("answer", "limit", move || serde_json::from_str::<TokenAnswer>(&answer).expect("an answer")),
        Case::new("unknown", "limit", move || serde_json::from_str::<TokenAnswer>(&unknown).expect("an answer")),
        Case::new("exchange", "limit", move || exchange(&plain)),
    ];
    for signed in &inputs.signed {
        let (token, key) = (signed.token.clone(), signed.key.clone());
        cases.push(Case::new(signed.row, "limit", move || {
            let (text, signature) = token.rsplit_once('.').expect("three parts");
            let mut bytes = [0_u8; 512];
            let length = BASE64_URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes).expect("base64url");
            key.verify_sig(text.as_bytes(), &bytes[..length]).expect("a good signature");
        }));
    }
    cases
}

pub(crate) fn pending() -> Vec<Pending> {
    vec![Pending::new("limit", Kept::default, |_| Some(size_of::<Kept>()))]
}
