//! The other libraries, used as their documentation says, their clients and keys made beforehand.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::str::FromStr;

use io_http::rfc9110::request::HttpRequest;
use io_oauth::rfc6749::auth_request::Oauth20AuthRequestParams;
use io_oauth::rfc6749::issue_access_token::Oauth20AccessTokenSuccessParams;
use io_oauth::rfc6749::refresh_access_token::{
    Oauth20AccessTokenRefresh, Oauth20AccessTokenRefreshParams, Oauth20AccessTokenRefreshResult,
};
use io_oauth::rfc6749::state::Oauth20State;
use io_oauth::rfc7636::pkce::{Oauth20PkceCodeChallenge, Oauth20PkceCodeVerifier};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth2::basic::{BasicClient, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AuthUrl, ClientId, ClientSecret, CsrfToken, ExtraTokenFields, HttpRequest as OauthRequest, HttpResponse,
    PkceCodeChallenge, RedirectUrl, RefreshToken, Scope, StandardTokenResponse, TokenUrl,
};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm,
    CoreTokenResponse,
};
use openidconnect::{IssuerUrl, Nonce};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::inputs::{
    AUTHORIZATION_ENDPOINT, CLIENT_ID, CLIENT_SECRET, ISSUER, Inputs, NONCE, REDIRECT_URI, REFRESH_TOKEN, SCOPES,
    Signed, TOKEN_ENDPOINT,
};
use crate::{Case, Pending};

/// `oauth2` drops members it does not know unless it is told to keep them.
#[derive(Debug, Serialize, Deserialize)]
struct Rest {
    #[serde(flatten)]
    members: HashMap<String, serde_json::Value>,
}
impl ExtraTokenFields for Rest {}

pub(crate) fn cases(inputs: &Inputs) -> Vec<Case> {
    let mut cases = urls();
    cases.extend(answers("answer", &inputs.answer));
    cases.extend(answers("unknown", &inputs.unknown));
    cases.extend(exchanges(&inputs.plain));
    for signed in &inputs.signed {
        cases.extend(verifications(signed));
    }
    cases
}

fn client_id() -> ClientId {
    ClientId::new(CLIENT_ID.to_owned())
}

fn redirect_url() -> RedirectUrl {
    RedirectUrl::new(REDIRECT_URI.to_owned()).expect("a URL")
}

fn urls() -> Vec<Case> {
    let auth_url = || AuthUrl::new(AUTHORIZATION_ENDPOINT.to_owned()).expect("a URL");
    let scopes = || SCOPES.map(|scope| Scope::new(scope.to_owned()));

    let oauth2 = BasicClient::new(client_id()).set_auth_uri(auth_url()).set_redirect_uri(redirect_url());
    let issuer = IssuerUrl::new(ISSUER.to_owned()).expect("a URL");
    let openidconnect = CoreClient::new(client_id(), issuer, CoreJsonWebKeySet::new(Vec::new()))
        .set_auth_uri(auth_url())
        .set_redirect_uri(redirect_url());
    let endpoint = Url::parse(AUTHORIZATION_ENDPOINT).expect("a URL");

    vec![
        Case::new("url", "oauth2", move || {
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let request =
                oauth2.authorize_url(CsrfToken::new_random).add_scopes(scopes()).set_pkce_challenge(challenge);
            (request.url(), verifier)
        }),
        Case::new("url", "openidconnect (and a nonce)", move || {
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let flow = CoreAuthenticationFlow::AuthorizationCode;
            let request = openidconnect
                .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
                .add_scopes(scopes())
                .set_pkce_challenge(challenge);
            (request.url(), verifier)
        }),
        Case::new("url", "io-oauth", move || {
            let (state, challenge) = (Oauth20State::default(), Oauth20PkceCodeChallenge::default());
            let params = Oauth20AuthRequestParams {
                client_id: Cow::Borrowed(CLIENT_ID),
                redirect_uri: Some(Cow::Borrowed(REDIRECT_URI)),
                scope: SCOPES.map(Cow::Borrowed).into_iter().collect::<BTreeSet<_>>(),
                state: Some(Cow::Borrowed(&state)),
                pkce_code_challenge: Some(Cow::Borrowed(&challenge)),
                extras: Default::default(),
            };
            let url = params.build_url(&endpoint);
            (url, state, challenge)
        }),
    ]
}

fn answers(row: &'static str, answer: &str) -> Vec<Case> {
    let [for_oauth2, for_oauth2_kept, for_io_oauth, for_openidconnect] = [(); 4].map(|()| answer.to_owned());
    let mut cases = vec![
        Case::new(row, "oauth2 (drops them)", move || {
            serde_json::from_str::<BasicTokenResponse>(&for_oauth2).expect("an answer")
        }),
        Case::new(row, "oauth2 (keeps them)", move || {
            serde_json::from_str::<StandardTokenResponse<Rest, BasicTokenType>>(&for_oauth2_kept).expect("an answer")
        }),
        Case::new(row, "io-oauth (drops them)", move || {
            Oauth20AccessTokenSuccessParams::try_from(for_io_oauth.as_bytes()).expect("an answer")
        }),
    ];
    // Its parser looks into an id_token, and that of these answers is filler.
    if !answer.contains("id_token") {
        cases.push(Case::new(row, "openidconnect (drops them)", move || {
            serde_json::from_str::<CoreTokenResponse>(&for_openidconnect).expect("an answer")
        }));
    }
    cases
}

fn exchanges(answer: &str) -> Vec<Case> {
    let client = BasicClient::new(client_id())
        .set_client_secret(ClientSecret::new(CLIENT_SECRET.to_owned()))
        .set_token_uri(TokenUrl::new(TOKEN_ENDPOINT.to_owned()).expect("a URL"))
        .set_redirect_uri(redirect_url());
    let body = answer.as_bytes().to_vec();
    let http = move |_request: OauthRequest| -> Result<HttpResponse, Infallible> {
        let response =
            http::Response::builder().header(http::header::CONTENT_TYPE, "application/json").body(body.clone());
        Ok(response.expect("a response"))
    };

    let endpoint = Url::parse(TOKEN_ENDPOINT).expect("a URL");
    let wire = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len(),
    );

    vec![
        Case::new("exchange", "oauth2", move || {
            client.exchange_refresh_token(&RefreshToken::new(REFRESH_TOKEN.to_owned())).request(&http).expect("tokens")
        }),
        Case::new("exchange", "io-oauth (and HTTP/1.1)", move || {
            let mut request = HttpRequest::get(endpoint.clone())
                .header("Host", "issuer.example")
                .header("Accept", "application/json");
            request.method = "POST".to_owned();
            let params = Oauth20AccessTokenRefreshParams {
                client_id: CLIENT_ID.into(),
                client_secret: Some(SecretString::from(CLIENT_SECRET)),
                refresh_token: SecretString::from(REFRESH_TOKEN),
                scopes: BTreeSet::new(),
            };
            let mut exchange = Oauth20AccessTokenRefresh::new(request, params);
            let mut read = None;
            loop {
                match exchange.resume(read.take()) {
                    Oauth20AccessTokenRefreshResult::WantsWrite(bytes) => {
                        std::hint::black_box(bytes);
                    }
                    Oauth20AccessTokenRefreshResult::WantsRead => read = Some(wire.as_bytes()),
                    Oauth20AccessTokenRefreshResult::Ok(answer) => return answer.expect("tokens"),
                    Oauth20AccessTokenRefreshResult::Err(error) => panic!("{error}"),
                }
            }
        }),
    ]
}

/// The claims a caller of `jsonwebtoken` would ask for; the nonce is compared by hand.
#[derive(Deserialize)]
#[expect(dead_code, reason = "parsing them is the work")]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    nonce: String,
    email: Option<String>,
    email_verified: Option<bool>,
    name: Option<String>,
}

fn verifications(signed: &Signed) -> Vec<Case> {
    let jwk: Jwk = serde_json::from_str(&signed.jwk).expect("a key");
    let key = DecodingKey::from_jwk(&jwk).expect("a key");
    let mut validation = Validation::new(Algorithm::from_str(&signed.alg).expect("an algorithm"));
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[CLIENT_ID]);
    let token = signed.token.clone();
    let jsonwebtoken = Case::new(signed.row, "jsonwebtoken on aws-lc-rs", move || {
        let data = jsonwebtoken::decode::<Claims>(&token, &key, &validation).expect("a good token");
        assert_eq!(data.claims.nonce, NONCE);
        data.claims
    });

    let keys: CoreJsonWebKeySet = serde_json::from_str(&format!(r#"{{"keys":[{}]}}"#, signed.jwk)).expect("keys");
    let issuer = IssuerUrl::new(ISSUER.to_owned()).expect("a URL");
    let verifier = CoreIdTokenVerifier::new_public_client(client_id(), issuer, keys).set_allowed_algs([
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        CoreJwsSigningAlgorithm::EdDsa,
    ]);
    let nonce = Nonce::new(NONCE.to_owned());
    let token = signed.token.clone();
    let openidconnect = Case::new(signed.row, "openidconnect", move || {
        CoreIdToken::from_str(&token).expect("a token").into_claims(&verifier, &nonce).expect("a good token")
    });
    vec![jsonwebtoken, openidconnect]
}

pub(crate) fn pending() -> Vec<Pending> {
    vec![
        Pending::new("oauth2", || (CsrfToken::new_random(), PkceCodeChallenge::new_random_sha256().1), |_| None),
        Pending::new(
            "openidconnect",
            || (CsrfToken::new_random(), Nonce::new_random(), PkceCodeChallenge::new_random_sha256().1),
            |_| None,
        ),
        Pending::new("io-oauth", || (Oauth20State::default(), Oauth20PkceCodeVerifier::default()), |_| None),
    ]
}
