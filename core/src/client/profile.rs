//! What is known of some providers: where their endpoints are and how they bend the rules. Data, and readable as such.
//!
//! A profile does nothing that a caller could not do with [`ClientBuilder`] and hooks of its own; it only knows what
//! to do. Each is built from what the provider documents, or from what others report of its answers; `list.rs` says from
//! where. Nothing in a profile loosens a check of a token, an issuer or a URL, but for Microsoft's issuers, which are
//! many.
//!
//! Left out on purpose: providers that follow the standards, for which discovery is enough, and endpoints that are not
//! OAuth's, such as a provider's own way of revocation.

mod fix;
mod list;

use fix::Fix;

use http::HeaderValue;
use http::header::HeaderName;

use super::{ClientBuilder, Hook};
use crate::error::{ConfigError, Endpoint, Error, safe_text};
use crate::grant::Extras;
use crate::http::UrlPolicy;
use crate::jose::IssuerRule;
use crate::server::ServerMetadata;
use crate::token::answer::Separator;

/// How one provider differs from the standards.
///
/// ```
/// use grantflow_core::Secret;
/// use grantflow_core::client::{Client, Profile};
///
/// let profile = Profile::named("github")?;
/// let client = Client::builder(profile.server()?, "my-client")
///     .profile(profile)
///     .secret(Secret::from("s3cr3t"))
///     .build()?;
/// assert_eq!(client.authentication_method(), "client_secret_post");
/// assert!(profile.describe().iter().any(|line| line.contains("https://github.com/login/oauth/access_token")));
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Profile {
    name: &'static str,
    title: &'static str,
    /// Where what is said here comes from.
    sources: &'static [&'static str],
    issuer: &'static str,
    /// What stands for the issuers of all tenants.
    tenants: Option<&'static str>,
    endpoints: &'static [(Endpoint, &'static str)],
    /// The ways in which the provider takes a client secret.
    authentication: &'static [&'static str],
    id_parameter: &'static str,
    /// What stands between scopes: in requests, and in answers.
    scopes: (Separator, Separator),
    /// What is made right in answers to token requests.
    answers: &'static [Fix],
    /// What requests to its resource servers need besides the token.
    protected: &'static [Need],
    /// What authorization requests usually have besides.
    extras: &'static [(&'static str, &'static str)],
}

/// What a request to a resource server needs besides its token.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// A query parameter, unless the request has it already.
    Query(&'static str, &'static str),
    /// The client's identifier in a header.
    ClientId(&'static str),
}

/// What the standards call the parameter that names the client.
const PLAIN_ID: &str = "client_id";

impl Profile {
    /// Finds a profile by its name: `github`.
    ///
    /// # Errors
    /// [`ConfigError::ProviderUnknown`] when there is none.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let unknown = || ConfigError::ProviderUnknown(safe_text(name)).into();
        Self::ALL.iter().copied().find(|profile| profile.name == name).ok_or_else(unknown)
    }

    /// Its name in settings.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The provider's name as people write it.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The provider's metadata. One that has a discovery document too may rather be discovered.
    ///
    /// # Errors
    /// None for the profiles there are.
    pub fn server(&self) -> Result<ServerMetadata, Error> {
        let mut server = ServerMetadata::by_hand(self.issuer, UrlPolicy::default())?;
        if let Some(template) = self.tenants {
            server = server.with_tenant_template(template)?;
        }
        if !self.authentication.is_empty() {
            server = server.with_list("token_endpoint_auth_methods_supported", self.authentication)?;
        }
        self.endpoints.iter().try_fold(server, |server, (endpoint, url)| server.with_endpoint(*endpoint, url))
    }

    /// What authorization requests of this provider usually have besides, for
    /// [`AuthorizationRequest::extras`](crate::grant::AuthorizationRequest::extras).
    ///
    /// # Errors
    /// None for the profiles there are.
    pub fn extras(&self) -> Result<Extras, Error> {
        Extras::new(self.extras.iter().copied())
    }

    /// All that the profile sets, one thing a line, for people.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![format!("{} (`{}`)", self.title, self.name), format!("issuer: {}", self.issuer)];
        lines.extend(self.tenants.map(|template| format!("issuers of id_tokens: {template}")));
        lines.extend(self.endpoints.iter().map(|(endpoint, url)| format!("{endpoint}: {url}")));
        if !self.authentication.is_empty() {
            lines.push(format!("client secret: {}", self.authentication.join(", ")));
        }
        if self.id_parameter != PLAIN_ID {
            lines.push(format!("client_id is called {}", self.id_parameter));
        }
        if self.scopes.0 == Separator::SpaceOrComma {
            lines.push("scopes of requests: separated by commas".to_owned());
        }
        if self.scopes.1 == Separator::SpaceOrComma {
            lines.push("scopes of answers: separated by commas or spaces".to_owned());
        }
        lines.extend(self.answers.iter().map(|fix| format!("answers: {fix}")));
        lines.extend(self.protected.iter().map(|need| match need {
            Need::Query(name, value) => {
                format!("protected requests: the query has {name}={value}, unless it has another")
            }
            Need::ClientId(name) => format!("protected requests: the client's identifier in the header {name}"),
        }));
        lines
            .extend(self.extras.iter().map(|(name, value)| format!("authorization requests: {name}={value} (extras)")));
        lines.extend(self.sources.iter().map(|source| format!("source: {source}")));
        lines
    }

    /// The hooks that the profile is made of.
    fn hooks(&self, client_id: &str) -> Vec<Hook> {
        let mut hooks = Vec::new();
        if !self.answers.is_empty() {
            let fixes = self.answers;
            hooks.push(Hook::access_token_response(|answer| Ok(fix::apply(fixes, answer))));
            hooks.push(Hook::refresh_token_response(|answer| Ok(fix::apply(fixes, answer))));
        }
        for need in self.protected {
            hooks.push(match *need {
                Need::Query(name, value) => Hook::protected_request(move |url, _| {
                    if !url.query_pairs().any(|(found, _)| found == name) {
                        url.query_pairs_mut().append_pair(name, value);
                    }
                    Ok(())
                }),
                Need::ClientId(name) => {
                    let client_id = client_id.to_owned();
                    Hook::protected_request(move |_, headers| {
                        let invalid = ConfigError::Invalid { setting: "client_id", why: "cannot be put into a header" };
                        let value = HeaderValue::from_str(&client_id).map_err(|_| invalid)?;
                        headers.insert(HeaderName::from_static(name), value);
                        Ok(())
                    })
                }
            });
        }
        hooks
    }
}

impl ClientBuilder {
    /// Applies what is known of a provider. Its hooks run where they stand among those of the caller's own.
    pub fn profile(mut self, profile: &Profile) -> Self {
        if profile.tenants.is_some() {
            self = self.issuer_rule(IssuerRule::TenantTemplate);
        }
        if profile.scopes.1 == Separator::SpaceOrComma {
            self = self.comma_separated_scopes();
        }
        if profile.scopes.0 == Separator::SpaceOrComma {
            self = self.join_scopes_with_comma();
        }
        if profile.id_parameter != PLAIN_ID {
            self = self.client_id_parameter(profile.id_parameter);
        }
        let hooks = profile.hooks(&self.client_id);
        hooks.into_iter().fold(self, ClientBuilder::hook)
    }
}
