//! What a faulty server does, by name: each fault changes one thing at one place.
//!
//! The names are stable. Some are the negative modules of the OpenID conformance suite, some are oddities seen in real
//! servers that a client should live with, and the rest is what an attacker or a broken proxy would try. A fault that
//! stands in for an answer leaves the server's state alone, so that the same request succeeds once the fault is off;
//! a fault that changes an answer does so after the request was honoured.

mod effects;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::error::Unspecified;
use hyper::StatusCode;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::id_token::Draft;
use crate::site::Site;
use crate::wire::Reply;

/// What a fault does, and where.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// Answers in place of an endpoint, which learns nothing of the request.
    Answer(Place, fn(&Site) -> Reply),
    /// Changes the members of an endpoint's success.
    Members(Place, fn(&mut Map<String, Value>)),
    /// Changes how an endpoint's success is sent.
    Sent(Place, fn(Reply) -> Reply),
    /// Changes the parameters that go back to the client.
    Callback(fn(&mut Vec<(String, String)>)),
    /// Changes each id_token.
    IdToken(fn(&mut Draft)),
    /// Changes the id_tokens of refreshes.
    RefreshedIdToken(fn(&mut Draft)),
    /// Changes each signed introspection answer.
    Introspection(fn(&mut Draft)),
    /// Leaves introspection answers unsigned that were to be signed.
    IntrospectionUnsigned,
    /// Changes the published keys.
    Keys(fn(Vec<Value>) -> Result<Vec<Value>, Unspecified>),
    /// Makes new keys just before an id_token is signed.
    Rotation,
    /// Publishes many keys without `kid`, and names none in the id_token.
    NoKids,
}

/// The endpoints that faults know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Metadata,
    Jwks,
    Token,
    /// The token endpoint, when a device polls.
    Poll,
    DeviceAuthorization,
    Userinfo,
    Revocation,
}

/// Builds the enum and its table from one row per fault: variant, name, effect, description and, where there is one,
/// the conformance suite's module that does the same.
macro_rules! faults {
    ($($variant:ident $name:literal $effect:expr, $about:literal $(, $module:literal)?;)*) => {
        /// Something that the server does wrong on request. Names on the outside are in kebab case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = concat!("`", $name, "`: ", $about)] $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in one sentence.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }

            /// The OpenID conformance suite's client module that does the same, if there is one.
            pub const fn conformance_module(self) -> Option<&'static str> {
                match self { $(Self::$variant => first(&[$($module)?]),)* }
            }

            pub(crate) fn effect(self) -> Effect {
                match self { $(Self::$variant => $effect,)* }
            }
        }
    };
}

const fn first(modules: &[&'static str]) -> Option<&'static str> {
    match modules {
        [module, ..] => Some(module),
        [] => None,
    }
}

use Effect::{Answer, Callback, IdToken, Introspection, Keys, Members, NoKids, RefreshedIdToken, Rotation, Sent};
use effects as e;

faults! {
    IssuerMismatch "issuer-mismatch" Members(Place::Metadata, e::issuer_mismatch),
        "The metadata's issuer is another one.", "oidcc-client-test-discovery-issuer-mismatch";
    Metadata5xx "metadata-5xx" Answer(Place::Metadata, e::unavailable),
        "The metadata answer is a 503.";
    MetadataHtml "metadata-html" Answer(Place::Metadata, e::portal),
        "The metadata answer is a captive portal's page with status 200.";
    MetadataHuge "metadata-huge" Sent(Place::Metadata, e::huge),
        "The metadata is valid JSON of more than 10 MiB.";
    MetadataRedirect "metadata-redirect" Answer(Place::Metadata, e::metadata_redirect),
        "The metadata answer is a 302 to a correct document.";

    JwksHtml "jwks-html" Answer(Place::Jwks, e::portal),
        "The key set is an HTML page with status 200.";
    Jwks500 "jwks-500" Answer(Place::Jwks, e::broken),
        "The key set's answer is a 500.";
    JwksNoKidMany "jwks-no-kid-many" NoKids,
        "The key set holds twelve and more keys of four kinds without kid, and the id_token names none.",
        "oidcc-client-test-kid-absent-multiple-jwks";
    JwksEmpty "jwks-empty" Keys(e::no_keys),
        "The key set is empty.";
    JwksDuplicateKids "jwks-duplicate-kids" Keys(e::duplicate_kids),
        "Each key stands behind a useless RSA key with the same kid.";
    JwksUseEnc "jwks-use-enc" Keys(e::encryption_keys),
        "All keys are marked for encryption.";
    JwksRsa1024 "jwks-rsa-1024" Keys(e::short_keys),
        "The RSA keys have 1024 bits.";
    JwksSymmetric "jwks-symmetric" Keys(e::symmetric_keys),
        "All keys are symmetric ones with the kids of the real ones.";
    KeysRotateBeforeSigning "keys-rotate-before-signing" Rotation,
        "New keys are made just before each id_token is signed.",
        "oidcc-client-test-signing-key-rotation-just-before-signing";
    KeysFlap "keys-flap" Keys(e::new_kids),
        "Each key set has new kids, which no id_token names.";

    CallbackIssWrong "callback-iss-wrong" Callback(e::iss_wrong),
        "The callback's iss is another one.",
        "fapi2-security-profile-final-client-test-invalid-authorization-response-iss";
    CallbackIssMissing "callback-iss-missing" Callback(e::iss_missing),
        "The callback has no iss although the metadata promises it.",
        "fapi2-security-profile-final-client-test-remove-authorization-response-iss";
    CallbackStateWrong "callback-state-wrong" Callback(e::state_wrong),
        "The callback's state is another one.",
        "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-state-fails";
    CallbackStateMissing "callback-state-missing" Callback(e::state_missing),
        "The callback has no state.",
        "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-missing-state-fails";
    CallbackDuplicateCode "callback-duplicate-code" Callback(e::duplicate_code),
        "The callback has two codes.";
    CallbackDuplicateState "callback-duplicate-state" Callback(e::duplicate_state),
        "The callback has its state twice.";
    CallbackCodeAndError "callback-code-and-error" Callback(e::code_and_error),
        "The callback has a code and an error.";
    CallbackCodeMissing "callback-code-missing" Callback(e::code_missing),
        "The callback has neither code nor error.";
    CallbackAccessToken "callback-access-token" Callback(e::front_token),
        "The callback carries an access token beside the code.";
    CallbackErrorWrongState "callback-error-wrong-state" Callback(e::error_wrong_state),
        "The callback is an error under another state.";

    IdTokenBadSignature "id-token-bad-signature" IdToken(e::bad_signature),
        "The id_token's signature bytes are changed.", "oidcc-client-test-invalid-sig-rs256";
    IdTokenAlgNone "id-token-alg-none" IdToken(e::alg_none),
        "The id_token has alg none and no signature.", "oidcc-client-test-idtoken-sig-none";
    IdTokenHs256PublicKey "id-token-hs256-public-key" IdToken(e::hs256),
        "The id_token has alg HS256, with the RSA public key for the secret.";
    IdTokenExpired "id-token-expired" IdToken(e::expired),
        "The id_token expired six minutes ago.", "fapi2-security-profile-final-client-test-invalid-expired-exp";
    IdTokenMissingExp "id-token-missing-exp" IdToken(e::missing_exp),
        "The id_token has no exp.", "fapi2-security-profile-final-client-test-invalid-missing-exp";
    IdTokenWrongAud "id-token-wrong-aud" IdToken(e::wrong_aud),
        "The id_token is for another client.", "oidcc-client-test-invalid-aud";
    IdTokenMissingAud "id-token-missing-aud" IdToken(e::missing_aud),
        "The id_token has no aud.", "oidcc-client-test-missing-aud";
    IdTokenAudArray "id-token-aud-array" IdToken(e::aud_array),
        "The id_token's aud is an array of one, which is right.",
        "fapi2-security-profile-final-client-test-valid-aud-as-array";
    IdTokenSecondaryAud "id-token-secondary-aud" IdToken(e::secondary_aud),
        "The id_token is for this client and another, without azp.",
        "fapi2-security-profile-final-client-test-invalid-secondary-aud";
    IdTokenForeignAzp "id-token-foreign-azp" IdToken(e::foreign_azp),
        "The id_token's azp is another client.";
    IdTokenWrongIss "id-token-wrong-iss" IdToken(e::wrong_iss),
        "The id_token's iss is another one.", "oidcc-client-test-invalid-iss";
    IdTokenMissingIss "id-token-missing-iss" IdToken(e::missing_iss),
        "The id_token has no iss.", "fapi2-security-profile-final-client-test-invalid-missing-iss";
    IdTokenWrongNonce "id-token-wrong-nonce" IdToken(e::wrong_nonce),
        "The id_token's nonce is another one.", "oidcc-client-test-nonce-invalid";
    IdTokenMissingNonce "id-token-missing-nonce" IdToken(e::missing_nonce),
        "The id_token has no nonce although one was sent.",
        "fapi2-security-profile-final-client-test-invalid-missing-nonce";
    IdTokenMissingSub "id-token-missing-sub" IdToken(e::missing_sub),
        "The id_token has no sub.", "oidcc-client-test-missing-sub";
    IdTokenEmptySub "id-token-empty-sub" IdToken(e::empty_sub),
        "The id_token's sub is empty.";
    IdTokenNumericSub "id-token-numeric-sub" IdToken(e::numeric_sub),
        "The id_token's sub is a number.";
    IdTokenMissingIat "id-token-missing-iat" IdToken(e::missing_iat),
        "The id_token has no iat.", "oidcc-client-test-missing-iat";
    IdTokenFutureIat "id-token-future-iat" IdToken(e::future_iat),
        "The id_token was issued an hour from now.";
    IdTokenStringExp "id-token-string-exp" IdToken(e::string_exp),
        "The id_token's exp is a string.";
    IdTokenBadAtHash "id-token-bad-at-hash" IdToken(e::bad_at_hash),
        "The id_token's at_hash belongs to another token.", "oidcc-client-test-invalid-athash";
    IdTokenMissingAtHash "id-token-missing-at-hash" IdToken(e::missing_at_hash),
        "The id_token has no at_hash, which is right in the code flow.";
    IdTokenOldAuthTime "id-token-old-auth-time" IdToken(e::old_auth_time),
        "The id_token says that the sign-in was a day ago.";
    IdTokenMissingAuthTime "id-token-missing-auth-time" IdToken(e::missing_auth_time),
        "The id_token has no auth_time.";
    IdTokenWrongAcr "id-token-wrong-acr" IdToken(e::wrong_acr),
        "The id_token's acr is one that nobody asked for.";
    IdTokenCrit "id-token-crit" IdToken(e::crit),
        "The id_token's header has a critical member that nobody knows.";
    IdTokenUnencodedPayload "id-token-b64-false" IdToken(e::b64_false),
        "The id_token's header says that the payload is not encoded.";
    IdTokenTypAtJwt "id-token-typ-at-jwt" IdToken(e::typ_at_jwt),
        "The id_token's typ is at+jwt.";
    IdTokenEmbeddedKey "id-token-embedded-key" IdToken(e::embedded_key),
        "The id_token's header carries jwk and jku, and the kid of no published key.";
    IdTokenUnknownKid "id-token-unknown-kid" IdToken(e::unknown_kid),
        "The id_token's kid is that of no published key.";
    IdTokenMissing "id-token-missing" Members(Place::Token, e::id_token_missing),
        "The token answer has no id_token although scope openid was granted.";
    IdTokenGarbled "id-token-garbled" Members(Place::Token, e::id_token_garbled),
        "The token answer's id_token is no JWT.";
    RefreshIdTokenWrongSub "refresh-id-token-wrong-sub" RefreshedIdToken(e::wrong_sub),
        "A refreshed id_token is about another user.", "oidcc-client-test-refresh-token-invalid-sub";
    RefreshIdTokenWrongIss "refresh-id-token-wrong-iss" RefreshedIdToken(e::wrong_iss),
        "A refreshed id_token's iss is another one.", "oidcc-client-test-refresh-token-invalid-issuer";

    Token500 "token-500" Answer(Place::Token, e::broken),
        "The token answer is a 500 whose body claims invalid_grant.";
    Token503RetryAfter "token-503-retry-after" Answer(Place::Token, e::busy),
        "The token answer is a 503 with Retry-After: 1.";
    Token429RetryAfter "token-429-retry-after" Answer(Place::Token, e::throttled),
        "The token answer is a 429 with Retry-After: 1.";
    Token302 "token-302" Answer(Place::Token, e::token_redirect),
        "The token answer is a 302.";
    TokenHtml "token-html" Answer(Place::Token, e::portal),
        "The token answer is a captive portal's page with status 200.";
    Token200Error "token-200-error" Answer(Place::Token, e::ok_error),
        "The token answer is invalid_grant with status 200.";
    TokenSilence "token-silence" Answer(Place::Token, e::silence),
        "The connection is closed without an answer to the token request.";
    TokenLost "token-lost" Sent(Place::Token, e::lost),
        "The token request is honoured, but the connection is closed without an answer.";
    TokenTruncated "token-truncated" Sent(Place::Token, e::truncated),
        "The token answer ends in the middle of the body.";
    TokenEndlessBody "token-endless-body" Sent(Place::Token, e::endless),
        "The token answer does not end (for 1 GiB).";
    TokenSlowDrip "token-slow-drip" Sent(Place::Token, e::slow_drip),
        "The token answer comes byte by byte.";
    TokenFormBody "token-form-body" Sent(Place::Token, e::form_body),
        "The token answer is a form, as of old.";
    TokenDuplicateMember "token-duplicate-member" Sent(Place::Token, e::duplicate_member),
        "The token answer has access_token twice.";
    TokenTrailingBytes "token-trailing-bytes" Sent(Place::Token, e::trailing_bytes),
        "The token answer has more after the JSON object.";
    TokenByteOrderMark "token-byte-order-mark" Sent(Place::Token, e::byte_order_mark),
        "The token answer begins with a byte-order mark.";
    TokenAndError "token-and-error" Members(Place::Token, e::token_and_error),
        "The token answer has both tokens and an error.";
    TokenMissing "token-missing" Members(Place::Token, e::token_missing),
        "The token answer has no access_token.";
    TokenControlCharacter "token-control-character" Members(Place::Token, e::token_control_character),
        "The access token holds a line break and what looks like a header.";
    TokenTypeMissing "token-type-missing" Members(Place::Token, e::type_missing),
        "The token answer has no token_type.";
    TokenTypeMac "token-type-mac" Members(Place::Token, e::type_mac),
        "The token answer's token_type is mac.";
    TokenTypeInvertedCase "token-type-inverted-case" Members(Place::Token, e::type_inverted),
        "The token answer's token_type is bEARER, which is right.",
        "fapi2-security-profile-final-client-test-token-type-case-insensitivity";
    ExpiresInString "expires-in-string" Members(Place::Token, e::expires_string),
        "expires_in is a string of digits.";
    ExpiresInFloat "expires-in-float" Members(Place::Token, e::expires_float),
        "expires_in has a fraction.";
    ExpiresInNull "expires-in-null" Members(Place::Token, e::expires_null),
        "expires_in is null.";
    ExpiresInNegative "expires-in-negative" Members(Place::Token, e::expires_negative),
        "expires_in is -1.";
    ExpiresInHuge "expires-in-huge" Members(Place::Token, e::expires_huge),
        "expires_in is the greatest 64-bit number.";
    ExpiresInMissing "expires-in-missing" Members(Place::Token, e::expires_missing),
        "There is no expires_in, which is right.",
        "fapi2-security-profile-final-client-test-token-endpoint-response-without-expires_in";
    RefreshTokenEmpty "refresh-token-empty" Members(Place::Token, e::refresh_empty),
        "The refresh token is empty.";
    ScopeWider "scope-wider" Members(Place::Token, e::scope_wider),
        "The token answer's scope is wider than asked.";

    UserinfoWrongSub "userinfo-wrong-sub" Members(Place::Userinfo, e::userinfo_wrong_sub),
        "Userinfo is about another user.", "oidcc-client-test-userinfo-invalid-sub";

    DeviceIntervalZero "device-interval-zero" Members(Place::DeviceAuthorization, e::interval_zero),
        "The device answer's interval is 0.";
    DeviceIntervalString "device-interval-string" Members(Place::DeviceAuthorization, e::interval_string),
        "The device answer's interval is a string of digits.";
    DeviceIntervalMissing "device-interval-missing" Members(Place::DeviceAuthorization, e::interval_missing),
        "The device answer has no interval, which means 5 seconds.";
    DeviceVerificationUrl "device-verification-url" Members(Place::DeviceAuthorization, e::verification_url),
        "The device answer says verification_url, as of old.";
    DeviceJavascriptUri "device-javascript-uri" Members(Place::DeviceAuthorization, e::javascript_uri),
        "The device answer's verification URIs are scripts.";
    Device503RetryAfter "device-503-retry-after" Answer(Place::Poll, e::busy),
        "Polls get a 503 with Retry-After: 1.";
    DeviceSlowDownForever "device-slow-down-forever" Answer(Place::Poll, e::slow_down),
        "Polls get slow_down, always.";

    IntrospectionWrongAud "introspection-wrong-aud" Introspection(e::wrong_aud),
        "A signed introspection answer is for another client.";
    IntrospectionWrongIss "introspection-wrong-iss" Introspection(e::wrong_iss),
        "A signed introspection answer is another issuer's.";
    IntrospectionTypJwt "introspection-typ-jwt" Introspection(e::typ_jwt),
        "A signed introspection answer's typ is JWT.";
    IntrospectionAlgNone "introspection-alg-none" Introspection(e::alg_none),
        "A signed introspection answer has alg none and no signature.";
    IntrospectionBadSignature "introspection-bad-signature" Introspection(e::bad_signature),
        "A signed introspection answer's signature bytes are changed.";
    IntrospectionTopLevel "introspection-top-level" Introspection(e::top_level),
        "A signed introspection answer says what it has to say beside token_introspection, and not in it.";
    IntrospectionText "introspection-text" Introspection(e::introspection_text),
        "A signed introspection answer's token_introspection is a text.";
    IntrospectionUnsigned "introspection-unsigned" Effect::IntrospectionUnsigned,
        "The introspection answer is not signed although a signed one was asked for.";

    Revocation503 "revocation-503" Answer(Place::Revocation, e::busy),
        "The revocation answer is a 503 with Retry-After: 1.";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No fault has that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no fault is called {:?}", self.0)
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name).ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The faults that are on, and how often each still applies.
#[derive(Default)]
pub(crate) struct Switches(Vec<Switch>);

struct Switch {
    fault: Fault,
    left: Option<u32>,
}

impl Switches {
    /// Switches all faults off and these on.
    pub(crate) fn set(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.0 = faults.into_iter().map(|fault| Switch { fault, left: None }).collect();
    }

    /// Switches one more on, for its first `count` applications.
    pub(crate) fn add(&mut self, fault: Fault, count: u32) {
        self.0.retain(|switch| switch.fault != fault);
        if count > 0 {
            self.0.push(Switch { fault, left: Some(count) });
        }
    }

    pub(crate) fn on(&self) -> Vec<Fault> {
        self.0.iter().map(|switch| switch.fault).collect()
    }

    /// What the faults do that `pick` picks. Each counts as applied once.
    pub(crate) fn take<T>(&mut self, pick: impl Fn(Effect) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        for switch in &mut self.0 {
            if let Some(effect) = pick(switch.fault.effect()) {
                taken.push(effect);
                switch.count_down();
            }
        }
        self.drop_spent();
        taken
    }

    /// The answer that a fault gives in an endpoint's place, from the first such fault.
    pub(crate) fn answer(&mut self, place: Place, site: &Site) -> Option<Reply> {
        let reply = self.0.iter_mut().find_map(|switch| {
            let Answer(at, answer) = switch.fault.effect() else {
                return None;
            };
            (at == place).then(|| {
                switch.count_down();
                answer(site).with_note(format!("fault {}", switch.fault))
            })
        });
        self.drop_spent();
        reply
    }

    /// Lets the faults change a success: first what it says, then how it is sent.
    pub(crate) fn spoil(&mut self, place: Place, mut members: Map<String, Value>) -> Reply {
        for change in self.take(|effect| members_at(effect, place)) {
            change(&mut members);
        }
        let reply = Reply::json(StatusCode::OK, &Value::Object(members));
        self.take(|effect| sent_at(effect, place)).into_iter().fold(reply, |reply, change| change(reply))
    }

    fn drop_spent(&mut self) {
        self.0.retain(|switch| switch.left != Some(0));
    }
}

impl Switch {
    fn count_down(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

fn members_at(effect: Effect, place: Place) -> Option<fn(&mut Map<String, Value>)> {
    if let Members(at, change) = effect { (at == place).then_some(change) } else { None }
}

fn sent_at(effect: Effect, place: Place) -> Option<fn(Reply) -> Reply> {
    if let Sent(at, change) = effect { (at == place).then_some(change) } else { None }
}
