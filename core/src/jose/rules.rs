//! What an id_token must say to be accepted (OpenID Connect Core §2, §3.1.3.7, §3.2.2.11, §3.3.2.11).

use core::time::Duration;
use std::borrow::Cow;

use super::SignatureAlgorithm;
use crate::error::Endpoint;
use crate::secret::Secret;

/// What the client knows and an id_token must agree with.
///
/// [`IdTokenRules::new`] sets the strictest rules; every field that is changed loosens one or adds one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IdTokenRules<'a> {
    /// The issuer from the metadata or the settings.
    pub issuer: &'a str,
    /// How `iss` is compared with it.
    pub issuer_rule: IssuerRule,
    /// The client, which must be in `aud` and must be `azp` where there is one.
    pub client_id: &'a str,
    /// Who else may be in `aud`, provided that `azp` is the client. Others are refused.
    pub trusted_audiences: &'a [String],
    /// The algorithms registered for this client. RS256 alone unless set (OpenID Connect Core §3.1.3.7 point 7).
    pub algorithms: &'a [SignatureAlgorithm],
    /// What `nonce` must be.
    pub nonce: NonceRule<'a>,
    /// The `sub` that the token must be about, when that is known: on refresh, and after the front channel.
    pub subject: Option<&'a str>,
    /// How long ago the person may have logged in: the `max_age` of the request. Makes `auth_time` required.
    pub max_age: Option<Duration>,
    /// Whether `auth_time` must be there without a `max_age` too.
    pub auth_time: Requirement,
    /// The `acr` values of which one is essential; empty for any.
    pub acr_values: &'a [String],
    /// The access token that came with the token, to be compared with `at_hash`.
    pub access_token: Option<Binding<'a>>,
    /// The code that came with the token, to be compared with `c_hash`.
    pub code: Option<Binding<'a>>,
    /// How long ago the token may have been issued; any time unless set.
    pub max_issued_age: Option<Duration>,
    /// How far the server's clock may be off, in both directions. 60 seconds unless set.
    pub skew: Duration,
    /// Where the token came from, for error messages. The token endpoint unless set.
    pub endpoint: Endpoint,
}

/// How `iss` is compared. Everything but [`IssuerRule::Exact`] is a concession to one kind of server, made by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerRule {
    /// The same text, byte for byte.
    #[default]
    Exact,
    /// The same text but for one slash at the end.
    TrailingSlash,
    /// The expected issuer has `{tenantid}` in it, which stands for the token's `tid`.
    TenantTemplate,
}

/// What `nonce` must be.
#[derive(Clone, Copy, Debug)]
pub enum NonceRule<'a> {
    /// There was none in the request, so there must be none in the token.
    Absent,
    /// This one.
    Equal(&'a Secret),
    /// Anything or nothing: only for a refreshed token whose login is long past (OpenID Connect Core §12.2).
    Unchecked,
}

/// Whether a claim may be absent. Present, it is always checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// It may be absent: from the token endpoint.
    #[default]
    Optional,
    /// It must be there: from the front channel.
    Required,
}

/// A secret that a claim of the token carries a hash of.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The access token or the code.
    pub secret: &'a Secret,
    /// Whether the hash may be absent.
    pub requirement: Requirement,
}

impl<'a> IdTokenRules<'a> {
    /// The strictest rules for tokens of this issuer to this client.
    pub fn new(issuer: &'a str, client_id: &'a str) -> Self {
        Self {
            issuer,
            issuer_rule: IssuerRule::Exact,
            client_id,
            trusted_audiences: &[],
            algorithms: &[SignatureAlgorithm::Rs256],
            nonce: NonceRule::Absent,
            subject: None,
            max_age: None,
            auth_time: Requirement::Optional,
            acr_values: &[],
            access_token: None,
            code: None,
            max_issued_age: None,
            skew: Duration::from_secs(60),
            endpoint: Endpoint::Token,
        }
    }
}

impl IssuerRule {
    /// The issuer that a token with this `tid` must have; `None` if the rule needs a `tid` and this is none.
    pub(super) fn expected<'a>(
        self,
        issuer: &'a str,
        tid: impl FnOnce() -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        match self {
            IssuerRule::TenantTemplate if issuer.contains(TENANT) => {
                let tid = tid().filter(|tid| is_tenant(tid))?;
                Some(Cow::Owned(issuer.replace(TENANT, &tid)))
            }
            IssuerRule::Exact | IssuerRule::TrailingSlash | IssuerRule::TenantTemplate => Some(Cow::Borrowed(issuer)),
        }
    }

    /// Whether `found` is the issuer `expected`.
    pub(super) fn accepts(self, expected: &str, found: &str) -> bool {
        match self {
            IssuerRule::Exact | IssuerRule::TenantTemplate => expected == found,
            IssuerRule::TrailingSlash => {
                expected.strip_suffix('/').unwrap_or(expected) == found.strip_suffix('/').unwrap_or(found)
            }
        }
    }
}

const TENANT: &str = "{tenantid}";

/// A tenant's id becomes part of a URL, so it must not bring a slash or anything else that means something there.
fn is_tenant(tid: &str) -> bool {
    !tid.is_empty() && tid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
