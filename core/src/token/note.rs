//! The two modes of reading, and the names of all tolerances.

use core::fmt;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as Unknown;

/// How strictly answers are read. Chosen per client; security checks are the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leniency {
    /// Accepts what real servers are known to send, and notes it.
    #[default]
    Compat,
    /// Accepts what the RFCs say.
    Strict,
}

/// One tolerance that was used in reading an answer, or a stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// The status is a 2xx other than 200.
    Status,
    /// The media type is another than `application/json`, or there is none.
    MediaType,
    /// The answer is a form.
    FormEncoded,
    /// A byte-order mark stands before the JSON.
    ByteOrderMark,
    /// There is no `token_type`: it is taken for `Bearer`.
    TokenTypeAssumed,
    /// A DPoP proof was sent and the token is a bearer token all the same, which the client allows.
    BearerDespiteProof,
    /// `expires_in` is a string of digits.
    ExpiresInText,
    /// `expires_in` has a fraction, which was dropped.
    ExpiresInFraction,
    /// `expires_in` is absurdly large and was cut.
    ExpiresInClamped,
    /// `expires_in` is `null`, negative or no number: the lifetime is unknown.
    ExpiresInUnreadable,
    /// There is no `expires_in` where there must be one: a default was taken.
    ExpiresInAssumed,
    /// `expires_at` of a stored record is `null`, negative, no number or beyond the year 9999, and was ignored.
    ExpiresAtUnreadable,
    /// `granted_at` of a stored record is `null`, negative, no number or beyond the year 9999, and was ignored.
    GrantedAtUnreadable,
    /// A stored record has an `expires_in` and no time that it counts from: the lifetime is unknown.
    GrantTimeMissing,
    /// `scope` is an array of strings.
    ScopeArray,
    /// `scope` is `null`, which was taken for absent.
    ScopeNull,
    /// `refresh_token` is empty or `null`, which was taken for absent.
    RefreshTokenEmpty,
    /// `id_token` is empty or `null`, which was taken for absent.
    IdTokenEmpty,
    /// The id_token of a refresh could not be verified, since no key for it could be had, and was set aside.
    IdTokenSetAside,
    /// A refresh token came with a grant that has none, and was dropped.
    RefreshTokenDropped,
    /// `interval` is `null`, which was taken for absent.
    IntervalNull,
    /// `interval` is a string of digits.
    IntervalText,
    /// `interval` has a fraction, which was rounded up.
    IntervalFraction,
    /// `interval` is zero and was taken for one second.
    IntervalZero,
    /// `interval` is longer than 300 seconds and was cut.
    IntervalClamped,
    /// The verification URI is named `verification_url`.
    VerificationUrl,
    /// The verification URI is none that may be opened; it is shown as text.
    VerificationUriNotOpenable,
    /// `verification_uri_complete` may not be opened or is of another host; it was dropped.
    VerificationUriCompleteDropped,
    /// A hook of the client has changed the answer before it was read.
    Hooked,
    /// The client has asked by GET, with the parameters in the URL, as it was told to.
    AskedByGet,
}

impl Note {
    /// The name of this tolerance in logs and settings.
    pub fn name(self) -> &'static str {
        match self {
            Note::Status => "status",
            Note::MediaType => "media_type",
            Note::FormEncoded => "form_encoded",
            Note::ByteOrderMark => "byte_order_mark",
            Note::TokenTypeAssumed => "token_type_assumed",
            Note::BearerDespiteProof => "bearer_despite_proof",
            Note::ExpiresInText => "expires_in_text",
            Note::ExpiresInFraction => "expires_in_fraction",
            Note::ExpiresInClamped => "expires_in_clamped",
            Note::ExpiresInUnreadable => "expires_in_unreadable",
            Note::ExpiresInAssumed => "expires_in_assumed",
            Note::ExpiresAtUnreadable => "expires_at_unreadable",
            Note::GrantedAtUnreadable => "granted_at_unreadable",
            Note::GrantTimeMissing => "grant_time_missing",
            Note::ScopeArray => "scope_array",
            Note::ScopeNull => "scope_null",
            Note::RefreshTokenEmpty => "refresh_token_empty",
            Note::IdTokenEmpty => "id_token_empty",
            Note::IdTokenSetAside => "id_token_set_aside",
            Note::RefreshTokenDropped => "refresh_token_dropped",
            Note::IntervalNull => "interval_null",
            Note::IntervalText => "interval_text",
            Note::IntervalFraction => "interval_fraction",
            Note::IntervalZero => "interval_zero",
            Note::IntervalClamped => "interval_clamped",
            Note::VerificationUrl => "verification_url",
            Note::VerificationUriNotOpenable => "verification_uri_not_openable",
            Note::VerificationUriCompleteDropped => "verification_uri_complete_dropped",
            Note::Hooked => "hooked",
            Note::AskedByGet => "asked_by_get",
        }
    }
}

impl Note {
    /// The tolerance of this [`name`](Self::name), if there is one.
    pub fn named(name: &str) -> Option<Self> {
        let name: serde::de::value::StrDeserializer<'_, Unknown> = name.into_deserializer();
        Self::deserialize(name).ok()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_is_found_by_its_name() {
        // serde names all that there are when it is asked for one that is not there.
        let asked: serde::de::value::StrDeserializer<'_, Unknown> = "nonsense".into_deserializer();
        let answer = Note::deserialize(asked).unwrap_err().to_string();
        let names: Vec<&str> = answer.split('`').skip(3).step_by(2).collect();
        assert!(names.len() >= 27, "{answer}");
        for name in names {
            assert_eq!(Note::named(name).map(Note::name), Some(name));
        }
        assert_eq!(Note::named("nonsense"), None);
    }
}
