//! id_tokens, JWT access tokens and signed introspection answers: claims, header, signature (OpenID Connect Core §2, RFC 9068,
//! RFC 9701).

use aws_lc_rs::error::Unspecified;
use serde_json::{Map, Value, json};

use crate::config::{ClientEntry, seconds};
use crate::context::Context;
use crate::faults::{Effect, Fault};
use crate::keys::{Algorithm, base64url};
use crate::state::Grant;

/// An id_token, or another JWT, before it is signed.
pub(crate) struct Draft {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) algorithm: Algorithm,
    pub(crate) signing: Signing,
    /// The key that verifies it.
    pub(crate) public_key: Value,
}

/// How it is signed.
pub(crate) enum Signing {
    /// Rightly.
    Genuine,
    /// Rightly, then each byte of the signature is changed.
    Spoiled,
    /// With HMAC, the public key for the secret.
    PublicKeyAsSecret,
    /// Not at all.
    None,
}

/// Which answer the id_token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The first one.
    Login,
    /// A later one, which carries no nonce.
    Refresh,
    /// One token for another: there is no id_token.
    Exchange,
}

/// The id_token for a grant.
pub(crate) fn id_token(
    cx: &mut Context<'_>,
    client: &ClientEntry,
    grant: &Grant,
    access_token: &str,
    occasion: Occasion,
) -> Result<String, Unspecified> {
    for () in cx.state.switches.take(|effect| matches!(effect, Effect::Rotation).then_some(())) {
        cx.state.keys.rotate()?;
    }
    let mut draft = draft(cx, client, grant, access_token, occasion);
    if cx.state.switches.on().contains(&Fault::JwksNoKidMany) {
        draft.header.remove("kid");
    }
    let changes = cx.state.switches.take(|effect| match (effect, occasion) {
        (Effect::IdToken(change), _) | (Effect::RefreshedIdToken(change), Occasion::Refresh) => Some(change),
        _ => None,
    });
    for change in changes {
        change(&mut draft);
    }
    signed(cx, &draft)
}

/// Signs a draft, as well as it is to be signed.
fn signed(cx: &Context<'_>, draft: &Draft) -> Result<String, Unspecified> {
    let input = signing_input(&draft.header, &draft.claims);
    let sign = || cx.state.keys.sign(draft.algorithm, input.as_bytes());
    let signature = match draft.signing {
        Signing::Genuine => sign()?,
        Signing::Spoiled => sign()?.into_iter().map(|byte| byte ^ 0x5a).collect(),
        Signing::PublicKeyAsSecret => cx.state.keys.confused_mac(input.as_bytes())?,
        Signing::None => Vec::new(),
    };
    Ok(format!("{input}.{}", base64url(&signature)))
}

/// A signed answer to an introspection (RFC 9701 §5), which only the client that asked may believe.
pub(crate) fn introspection(cx: &mut Context<'_>, client: &ClientEntry, answer: &Value) -> Result<String, Unspecified> {
    let algorithm = client.id_token_signed_response_alg;
    let kid = cx.state.keys.kid(algorithm);
    let claims = json!({
        "iss": cx.site.issuer(),
        "aud": client.id,
        "iat": cx.now.as_secs(),
        "token_introspection": answer,
    });
    let mut draft = Draft {
        header: object(json!({ "alg": algorithm.as_str(), "typ": "token-introspection+jwt", "kid": kid })),
        claims: object(claims),
        algorithm,
        signing: Signing::Genuine,
        public_key: Value::Null,
    };
    let changes =
        cx.state.switches.take(|effect| if let Effect::Introspection(change) = effect { Some(change) } else { None });
    for change in changes {
        change(&mut draft);
    }
    signed(cx, &draft)
}

fn draft(cx: &Context<'_>, client: &ClientEntry, grant: &Grant, access_token: &str, occasion: Occasion) -> Draft {
    let algorithm = client.id_token_signed_response_alg;
    let kid = cx.state.keys.kid(algorithm);
    let subject = grant.user.as_deref().and_then(|name| cx.config.user(name)).map(|user| user.subject());
    let mut claims = object(json!({
        "iss": cx.site.issuer(),
        "sub": subject,
        "aud": grant.client,
        "iat": cx.now.as_secs(),
        "exp": cx.now.plus(seconds(cx.config.id_token_lifetime)).as_secs(),
        "at_hash": algorithm.half_hash(access_token),
    }));
    if let Some(at) = grant.auth_time {
        claims.insert("auth_time".to_owned(), at.as_secs().into());
    }
    if let Some(acr) = &grant.acr {
        claims.insert("acr".to_owned(), acr.as_str().into());
    }
    if let (Some(nonce), Occasion::Login) = (&grant.nonce, occasion) {
        claims.insert("nonce".to_owned(), nonce.as_str().into());
    }
    let keys = cx.state.keys.public();
    let public_key = keys.into_iter().find(|key| key.get("kid").and_then(Value::as_str) == Some(&kid));
    Draft {
        header: object(json!({ "alg": algorithm.as_str(), "typ": "JWT", "kid": kid })),
        claims,
        algorithm,
        signing: Signing::Genuine,
        public_key: public_key.unwrap_or_default(),
    }
}

/// A signed JWT access token.
pub(crate) fn access_token(cx: &Context<'_>, grant: &Grant, subject: &str, jti: &str) -> Result<String, Unspecified> {
    let header = json!({
        "alg": Algorithm::RS256.as_str(), "typ": "at+jwt", "kid": cx.state.keys.kid(Algorithm::RS256)
    });
    let claims = json!({
        "iss": cx.site.issuer(),
        "sub": subject,
        "aud": audience(cx, grant),
        "client_id": grant.client,
        "scope": grant.scopes.join(" "),
        "jti": jti,
        "iat": cx.now.as_secs(),
        "exp": cx.now.plus(seconds(cx.config.access_token_lifetime)).as_secs(),
    });
    let input = signing_input(&object(header), &object(claims));
    let signature = cx.state.keys.sign(Algorithm::RS256, input.as_bytes())?;
    Ok(format!("{input}.{}", base64url(&signature)))
}

/// What an access token is for: the resources and audiences asked for, or the issuer itself.
pub(crate) fn audience(cx: &Context<'_>, grant: &Grant) -> Value {
    match grant.audience.as_slice() {
        [] => cx.site.issuer().into(),
        [one] => one.as_str().into(),
        many => many.to_vec().into(),
    }
}

fn signing_input(header: &Map<String, Value>, claims: &Map<String, Value>) -> String {
    let encode = |members: &Map<String, Value>| base64url(json!(members).to_string().as_bytes());
    format!("{}.{}", encode(header), encode(claims))
}

/// The members of a value that is an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}
