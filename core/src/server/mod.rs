//! What is known of an authorization server: its metadata, fetched or given by hand (RFC 8414, OpenID Connect Discovery).
//!
//! Every URL in here has passed the URL policy, so nothing that holds a [`ServerMetadata`] needs to judge one again.

mod environments;
#[cfg(test)]
mod tests;

use url::Url;

pub use environments::Environments;

use crate::error::{ConfigError, Endpoint, Error, ProtocolError, Rule, SecurityError, UrlFlaw, safe_text};
use crate::http::json::{Object, Value};
use crate::http::{Reach, UrlPolicy};

/// The metadata of one authorization server.
///
/// Unknown members are kept and read with [`ServerMetadata::extra`]. An endpoint is required only when it is used.
#[derive(Debug)]
pub struct ServerMetadata {
    issuer: String,
    issuer_url: Url,
    policy: UrlPolicy,
    endpoints: Vec<(Endpoint, EndpointUrl)>,
    promises_iss: bool,
    lists: Vec<(&'static str, Vec<String>)>,
    document: Option<Object>,
}

/// A URL that may be called, with the addresses it may lead to.
#[derive(Clone, Debug)]
pub struct EndpointUrl {
    /// The URL.
    pub url: Url,
    /// Which addresses its host may resolve to.
    pub reach: Reach,
    pub(crate) uri: http::Uri,
}

impl EndpointUrl {
    pub(crate) fn new(url: Url, reach: Reach) -> Result<Self, UrlFlaw> {
        let uri = url.as_str().parse().map_err(|_| UrlFlaw::Unparsable)?;
        Ok(Self { url, reach, uri })
    }
}

/// Where each endpoint stands in a metadata document.
const ENDPOINTS: [(Endpoint, &str); 7] = [
    (Endpoint::Authorization, "authorization_endpoint"),
    (Endpoint::Token, "token_endpoint"),
    (Endpoint::DeviceAuthorization, "device_authorization_endpoint"),
    (Endpoint::UserInfo, "userinfo_endpoint"),
    (Endpoint::Introspection, "introspection_endpoint"),
    (Endpoint::Revocation, "revocation_endpoint"),
    (Endpoint::Keys, "jwks_uri"),
];

/// How many names of one list are kept. No server has so many; a document of nothing else would take ten times its size.
const MAX_NAMES: usize = 1_000;

/// The lists of names that the flows look at.
const LISTS: [&str; 8] = [
    "scopes_supported",
    "grant_types_supported",
    "response_modes_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "id_token_signing_alg_values_supported",
];

impl ServerMetadata {
    /// Begins metadata by hand, for a server that publishes none.
    ///
    /// # Errors
    /// [`ConfigError::Issuer`] unless `issuer` is an `https` URL (or `http` to a loopback literal) without query and fragment.
    pub fn by_hand(issuer: &str, policy: UrlPolicy) -> Result<Self, Error> {
        let issuer_url = policy.issuer(issuer).map_err(ConfigError::Issuer)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            issuer_url,
            policy,
            endpoints: Vec::new(),
            promises_iss: false,
            lists: Vec::new(),
            document: None,
        })
    }

    /// Names an endpoint that you know, so its host may have any address.
    ///
    /// # Errors
    /// [`ConfigError::Url`] when the URL policy refuses `url`.
    pub fn with_endpoint(mut self, endpoint: Endpoint, url: &str) -> Result<Self, Error> {
        let flawed = |flaw| ConfigError::Url { endpoint, flaw };
        let url = self.policy.parse(url).map_err(flawed)?;
        let url = EndpointUrl::new(url, Reach::Any).map_err(flawed)?;
        self.endpoints.retain(|(known, _)| *known != endpoint);
        self.endpoints.push((endpoint, url));
        Ok(self)
    }

    /// Says that the server sends `iss` with every callback, so that one without is refused (RFC 9207 §3).
    #[must_use]
    pub fn with_issuer_in_callback(mut self) -> Self {
        self.promises_iss = true;
        self
    }

    /// Says what the server supports, by a list that its metadata would have: `token_endpoint_auth_methods_supported`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when no flow looks at a list of this name.
    pub fn with_list(mut self, member: &str, names: &[&str]) -> Result<Self, Error> {
        let invalid = ConfigError::Invalid { setting: "metadata", why: "no flow looks at a list of this name" };
        let member = *LISTS.iter().find(|known| **known == member).ok_or(invalid)?;
        self.lists.retain(|(known, _)| *known != member);
        self.lists.push((member, names.iter().map(|name| (*name).to_owned()).collect()));
        Ok(self)
    }

    /// Names the issuer as a template for those of its tenants, with `{tenantid}` in it, as Microsoft Entra does. Goes
    /// with [`IssuerRule::TenantTemplate`](crate::jose::IssuerRule::TenantTemplate) of the client.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] unless the issuer so far is what the template makes of one tenant, or group of them.
    pub fn with_tenant_template(mut self, template: &str) -> Result<Self, Error> {
        if !IssuerMatch::TenantTemplate.accepts(&self.issuer, template) {
            let why = "the template is not one of this issuer";
            return Err(ConfigError::Invalid { setting: "issuer template", why }.into());
        }
        template.clone_into(&mut self.issuer);
        Ok(self)
    }

    /// Reads a metadata document that was fetched for `issuer`.
    ///
    /// # Errors
    /// [`SecurityError::IssuerMismatch`] unless the document names exactly this issuer, [`SecurityError::Url`] when a
    /// URL in it is not allowed, and [`ProtocolError`] when it is no metadata.
    pub(crate) fn from_document(
        document: Object,
        issuer: &str,
        chosen: ChosenBy,
        rule: IssuerMatch,
        policy: UrlPolicy,
    ) -> Result<Self, Error> {
        let mut metadata = Self::by_hand(issuer, policy)?;
        match document.get("issuer") {
            Some(Value::String(found)) if rule.accepts(issuer, &found) => metadata.issuer = found.into_owned(),
            Some(Value::String(found)) => {
                let (expected, found) = (issuer.to_owned(), safe_text(&found));
                return Err(SecurityError::IssuerMismatch { expected, found }.into());
            }
            Some(_) => return Err(broken(Rule::MemberInvalid("issuer"))),
            None => return Err(broken(Rule::MemberMissing("issuer"))),
        }
        for (endpoint, member) in ENDPOINTS {
            let text = match document.get(member) {
                Some(Value::String(text)) => text,
                Some(Value::Null) | None => continue,
                Some(_) => return Err(broken(Rule::MemberInvalid(member))),
            };
            let flawed = |flaw| SecurityError::Url { endpoint, flaw };
            let url = policy.parse(&text).map_err(flawed)?;
            let reach = policy.reach(&url, chosen.trusted(&metadata.issuer_url)).map_err(flawed)?;
            metadata.endpoints.push((endpoint, EndpointUrl::new(url, reach).map_err(flawed)?));
        }
        for member in LISTS {
            if let Some(Value::Array(items)) = document.get(member) {
                let names = items.iter().filter_map(|item| match item {
                    Value::String(name) => Some(name.into_owned()),
                    _ => None,
                });
                metadata.lists.push((member, names.take(MAX_NAMES).collect()));
            }
        }
        let promise = document.get("authorization_response_iss_parameter_supported");
        metadata.promises_iss = matches!(promise, Some(Value::Bool(true)));
        metadata.document = Some(document);
        Ok(metadata)
    }

    /// The issuer, exactly as the server writes it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The rules by which the URLs in here were judged.
    pub fn policy(&self) -> UrlPolicy {
        self.policy
    }

    /// The URL of an endpoint.
    ///
    /// # Errors
    /// [`ConfigError::EndpointMissing`] when the metadata names none.
    pub fn endpoint(&self, endpoint: Endpoint) -> Result<&EndpointUrl, ConfigError> {
        let found = self.endpoints.iter().find(|(known, _)| *known == endpoint);
        found.map(|(_, url)| url).ok_or(ConfigError::EndpointMissing(endpoint))
    }

    /// Whether the server promises `iss` in every callback (RFC 9207 §3).
    pub fn promises_issuer_in_callback(&self) -> bool {
        self.promises_iss
    }

    /// A list of the document, such as `scopes_supported`, its first 1,000 names; `None` if the server does not say.
    pub fn list(&self, member: &str) -> Option<&[String]> {
        self.lists.iter().find(|(name, _)| *name == member).map(|(_, names)| names.as_slice())
    }

    /// Reads any member of the document into your own type; `None` for metadata that was made by hand.
    ///
    /// # Errors
    /// [`Rule::MemberInvalid`] when the document does not fit `T`.
    pub fn extra<T: serde::de::DeserializeOwned>(&self) -> Option<Result<T, Error>> {
        self.document.as_ref().map(|document| document.extra().map_err(|_| broken(Rule::MemberInvalid("extra"))))
    }
}

/// Who has named an issuer: it decides which addresses its hosts may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChosenBy {
    /// The user of this client, in the settings: the issuer's host may be anywhere.
    #[default]
    User,
    /// A remote party, such as a resource server: it could name an address inside the user's network, so all hosts
    /// must have public addresses.
    RemoteParty,
}

impl ChosenBy {
    pub(crate) fn trusted(self, issuer: &Url) -> Option<&Url> {
        match self {
            ChosenBy::User => Some(issuer),
            ChosenBy::RemoteParty => None,
        }
    }
}

/// How the issuer of a metadata document is compared with the one asked for (RFC 8414 §3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerMatch {
    /// As exact text.
    #[default]
    Exact,
    /// As exact text, save that one of the two may end in `/`.
    TrailingSlash,
    /// The document may have `{tenantid}` where the issuer asked for names a tenant or a group of them, as Microsoft
    /// Entra's do. Goes with [`IssuerRule::TenantTemplate`](crate::jose::IssuerRule::TenantTemplate) of the client.
    TenantTemplate,
}

impl IssuerMatch {
    fn accepts(self, expected: &str, found: &str) -> bool {
        match self {
            IssuerMatch::Exact => expected == found,
            IssuerMatch::TrailingSlash => {
                let stripped = |text| str::strip_suffix(text, "/").map_or(text, |stripped| stripped);
                stripped(expected) == stripped(found)
            }
            IssuerMatch::TenantTemplate => {
                found.split_once("{tenantid}").map_or(expected == found, |(before, after)| {
                    let tenant = expected.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                    tenant.is_some_and(|tenant| {
                        !tenant.is_empty() && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    })
                })
            }
        }
    }
}

fn broken(rule: Rule) -> Error {
    Error::Protocol(Box::new(ProtocolError { endpoint: Endpoint::Metadata, rule, answer: None }))
}
