//! Which URLs a request may go to. Applied to every URL before any byte is sent.
//!
//! Text is judged before it is parsed: the URL Standard repairs much (a backslash, a missing slash, a tab in the middle),
//! and what was repaired is not what somebody reviewed. After that only the parsed host counts.
//!
//! Left out on purpose: what a name resolves to. The driver asks [`is_public`] when it connects, of the very address it
//! connects to, whenever a request's [`Reach`] is `Public`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::UrlFlaw;

/// How long a URL may be, in bytes.
pub const MAX_URL: usize = 16 * 1024;

/// Which addresses a host may resolve to, checked by the driver when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any address: the user named this host.
    Any,
    /// Public addresses only: a remote party named this host.
    Public,
}

/// Judges URLs: `https` everywhere, `http` to a loopback literal only, private addresses only where the user named them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    private_addresses: bool,
    localhost_redirects: bool,
}

impl UrlPolicy {
    /// Lets a server's metadata name hosts at private, loopback and link-local addresses.
    ///
    /// Dangerous: whoever controls the metadata then makes this program send requests into its own network.
    #[must_use]
    pub fn dangerous_allow_private_addresses(self) -> Self {
        Self { private_addresses: true, ..self }
    }

    /// Allows redirect URIs at `http://localhost`.
    ///
    /// The name may resolve to something else than this machine, which is why RFC 8252 §8.3 prefers the literal
    /// `127.0.0.1`; some servers register nothing but the name.
    #[must_use]
    pub fn with_localhost_redirects(self) -> Self {
        Self { localhost_redirects: true, ..self }
    }

    /// Reads a URL from text and judges it.
    ///
    /// # Errors
    /// [`UrlFlaw`] says what is wrong; nothing is repaired.
    pub fn parse(&self, text: &str) -> Result<Url, UrlFlaw> {
        let url = parse_web_url(text)?;
        self.check(&url)?;
        Ok(url)
    }

    /// Judges a URL that the user has configured.
    ///
    /// # Errors
    /// [`UrlFlaw`] unless it is `https`, or `http` to an address of `127.0.0.0/8` or to `[::1]`, has a host and neither
    /// user info nor a fragment, and is at most [`MAX_URL`] long. The name `localhost` is not a loopback literal.
    pub fn check(&self, url: &Url) -> Result<(), UrlFlaw> {
        if url.as_str().len() > MAX_URL {
            return Err(UrlFlaw::TooLong);
        }
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlFlaw::Scheme),
        };
        let host = url.host().ok_or(UrlFlaw::Host)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlFlaw::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(UrlFlaw::Fragment);
        }
        if secure || is_loopback(&host) { Ok(()) } else { Err(UrlFlaw::Insecure) }
    }

    /// Reads an issuer: a URL without query (RFC 8414 §2). Issuers are compared as text, so keep the text as well.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and [`UrlFlaw::Query`].
    pub fn issuer(&self, text: &str) -> Result<Url, UrlFlaw> {
        let url = self.parse(text)?;
        if url.query().is_some() { Err(UrlFlaw::Query) } else { Ok(url) }
    }

    /// Reads a redirect URI: `https`, `http` to a loopback literal, or a private-use scheme with a dot in it
    /// (RFC 8252 §7).
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`UrlFlaw::Unparsable`] for a wildcard too, [`UrlFlaw::Scheme`] for a custom scheme
    /// without a dot.
    pub fn redirect_uri(&self, text: &str) -> Result<Url, UrlFlaw> {
        check_text(text)?;
        let scheme = text.split(':').next().unwrap_or_default();
        if text.contains('*') {
            return Err(UrlFlaw::Unparsable);
        }
        if scheme.contains('.') {
            let url = Url::parse(text).map_err(|_| UrlFlaw::Unparsable)?;
            return if url.fragment().is_some() {
                Err(UrlFlaw::Fragment)
            } else if text.contains('@') {
                Err(UrlFlaw::UserInfo)
            } else {
                Ok(url)
            };
        }
        let url = parse_web_url(text)?;
        match self.check(&url) {
            Err(UrlFlaw::Insecure) if self.localhost_redirects && url.host_str() == Some("localhost") => Ok(url),
            verdict => verdict.map(|()| url),
        }
    }

    /// Judges a URL that stands in the metadata of the server at `trusted`, and says how far it may reach.
    ///
    /// At the host that the user named (`trusted`, if the user named any), it is as good as the user's own URL. At any other, it may lead to public
    /// addresses only: a literal is judged here, a name by the driver when it connects.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`UrlFlaw::PrivateAddress`].
    pub fn reach(&self, url: &Url, trusted: Option<&Url>) -> Result<Reach, UrlFlaw> {
        self.check(url)?;
        let host = url.host().ok_or(UrlFlaw::Host)?;
        let named = trusted.and_then(Url::host).is_some_and(|trusted| same_host(&host, &trusted));
        if named || self.private_addresses {
            return Ok(Reach::Any);
        }
        let public = match host {
            Host::Ipv4(address) => is_public(address.into()),
            Host::Ipv6(address) => is_public(address.into()),
            // RFC 6761 §6.3: these names are this machine, whatever a resolver says.
            Host::Domain(name) => {
                let name = undotted(name);
                !name.eq_ignore_ascii_case("localhost") && !name.to_ascii_lowercase().ends_with(".localhost")
            }
        };
        if public { Ok(Reach::Public) } else { Err(UrlFlaw::PrivateAddress) }
    }
}

/// Whether two URLs are of one origin. The URL parser has settled case and international names; a default port is the same
/// as none, and a name with a dot at its end the same as one without.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    let hosts = one.host().zip(other.host());
    one.scheme() == other.scheme()
        && one.port_or_known_default() == other.port_or_known_default()
        && hosts.is_some_and(|(one, other)| same_host(&one, &other))
}

fn same_host(one: &Host<&str>, other: &Host<&str>) -> bool {
    match (one, other) {
        (Host::Domain(one), Host::Domain(other)) => undotted(one) == undotted(other),
        _ => one == other,
    }
}

/// A name without the dot that says that it is complete.
fn undotted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Refuses what cannot stand in a URI (RFC 3986 §2) and what is too long. `url` would repair it or take it as it is.
fn check_text(text: &str) -> Result<(), UrlFlaw> {
    if text.len() > MAX_URL {
        return Err(UrlFlaw::TooLong);
    }
    let illegal = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
    if text.bytes().any(illegal) { Err(UrlFlaw::Unparsable) } else { Ok(()) }
}

/// Reads an `http` or `https` URL that is written out in full.
fn parse_web_url(text: &str) -> Result<Url, UrlFlaw> {
    check_text(text)?;
    let (scheme, rest) = text.split_once(':').ok_or(UrlFlaw::Unparsable)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(UrlFlaw::Scheme);
    }
    let rest = rest.strip_prefix("//").ok_or(UrlFlaw::Unparsable)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(UrlFlaw::UserInfo);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(UrlFlaw::Host);
    }
    if authority.contains('%') || authority.ends_with(':') {
        return Err(UrlFlaw::Unparsable);
    }
    Url::parse(text).map_err(|_| UrlFlaw::Unparsable)
}

/// Whether an address is a public one: globally reachable by the registries of RFC 6890, and no tunnel to one that is not.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..] // "this network", private, loopback
        | [100, 64..=127, ..] // shared by carriers
        | [169, 254, ..] // link-local, cloud metadata
        | [172, 16..=31, ..] // private
        | [192, 0, 0 | 2, _] // protocol assignments, documentation
        | [192, 88, 99, _] // 6to4 relays
        | [192, 168, ..] // private
        | [198, 18 | 19, ..] // benchmarks
        | [198, 51, 100, _] // documentation
        | [203, 0, 113, _] // documentation
        | [224..=255, ..] // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4-mapped, and NAT64: what a network without IPv4 gives for every IPv4 host.
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2001, 0..=0x1FF, ..] // protocol assignments, Teredo, ORCHID
        | [0x2001, 0xDB8, ..] // documentation
        | [0x2002, ..] // 6to4
        | [0x3FFF, 0..=0xFFF, ..] => false, // documentation
        // All global unicast addresses; loopback, unique local, link-local and multicast lie outside.
        [0x2000..=0x3FFF, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
