//! Which grants there are, for commands and settings that choose one by name.

/// A kind of grant that this library can ask for.
///
/// ```
/// use grantflow_core::grant::GrantKind;
/// let names: Vec<_> = GrantKind::ALL.iter().map(|kind| kind.grant_type()).collect();
/// assert!(names.contains(&"client_credentials"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GrantKind {
    /// [`AuthorizationCode`](super::AuthorizationCode), always with PKCE (RFC 6749 §4.1, RFC 7636).
    AuthorizationCode,
    /// [`ClientCredentials`](super::ClientCredentials) (RFC 6749 §4.4).
    ClientCredentials,
    /// [`Device`](super::Device) (RFC 8628).
    Device,
    /// [`Refresh`](super::Refresh) (RFC 6749 §6).
    Refresh,
}

impl GrantKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::AuthorizationCode, Self::ClientCredentials, Self::Device, Self::Refresh];

    /// What stands in the parameter `grant_type`, and in a server's `grant_types_supported`.
    pub fn grant_type(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::Device => "urn:ietf:params:oauth:grant-type:device_code",
            Self::Refresh => "refresh_token",
        }
    }
}
