//! Where to listen, and what to tell the person meanwhile.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::STANDALONE_PORT;
use crate::error::{BadCallback, ConfigError, safe_text};

/// Which loopback host a redirect URI names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// `127.0.0.1`, or `[::1]` where there is no IPv4.
    #[default]
    Either,
    /// `127.0.0.1`
    Ipv4,
    /// `[::1]`
    Ipv6,
    /// `localhost`, for servers that demand it. RFC 8252 §8.3 advises against it: both families must be listened on,
    /// or else another process may sit on the one that the browser tries first.
    Localhost,
}

/// Where to listen: host, ports, path.
///
/// ```
/// use grantflow_core::loopback::Place;
/// let place = Place::default().with_ports([8400, 8401]).with_path("/signed-in")?;
/// assert_eq!(place.redirect_uri("127.0.0.1:8401".parse().unwrap()), "http://127.0.0.1:8401/signed-in");
/// # Ok::<(), grantflow_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    host: Host,
    ports: Vec<u16>,
    path: String,
}

impl Default for Place {
    /// A loopback literal, a port that is free, the path `/callback`.
    fn default() -> Self {
        Self { host: Host::default(), ports: Vec::new(), path: String::from("/callback") }
    }
}

impl Place {
    /// The place of a listener that is used alone: port 8080, path `/`.
    pub fn standalone() -> Self {
        Self { host: Host::default(), ports: vec![STANDALONE_PORT], path: String::from("/") }
    }

    /// Names the host.
    #[must_use]
    pub fn with_host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Names the ports to try, in this order. Port 0, and no port at all, mean one that is free.
    #[must_use]
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = ports.into_iter().collect();
        self
    }

    /// Names the path of the redirect URI.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if it does not begin with `/` or has characters that a path cannot have as they are.
    pub fn with_path(mut self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let path = path.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        if !path.starts_with('/') || path.starts_with("//") || !path.bytes().all(plain) {
            return Err(ConfigError::Invalid {
                setting: "redirect path",
                why: "it is no plain path that begins with `/`",
            });
        }
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err(ConfigError::Invalid { setting: "redirect path", why: "it has a `.` or `..` in it" });
        }
        self.path = path;
        Ok(self)
    }

    /// Which host is named.
    pub fn host(&self) -> Host {
        self.host
    }

    /// The ports to try, in this order; 0 means one that is free.
    pub fn ports(&self) -> &[u16] {
        if self.ports.is_empty() { &[0] } else { &self.ports }
    }

    /// The addresses to try. With [`Host::Localhost`] all of them are needed, otherwise the first that works is enough.
    pub fn addresses(&self) -> &'static [IpAddr] {
        const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
        match self.host {
            Host::Either | Host::Localhost => &[V4, V6],
            Host::Ipv4 => &[V4],
            Host::Ipv6 => &[V6],
        }
    }

    /// The redirect URI for a listener that listens on `address`.
    pub fn redirect_uri(&self, address: SocketAddr) -> String {
        match self.host {
            Host::Localhost => format!("http://localhost:{}{}", address.port(), self.path),
            Host::Either | Host::Ipv4 | Host::Ipv6 => format!("http://{address}{}", self.path),
        }
    }
}

/// What to tell the person. The core prints nothing; drivers pass this to a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The browser is about to be opened.
    Opening {
        /// The name of what the person logs in to.
        service: String,
    },
    /// No browser could be opened, or none was wanted: the person must visit this address.
    OpenByHand {
        /// The address, alone on a line of its own when displayed.
        url: String,
    },
    /// The listener waits.
    Waiting {
        /// For how long, in seconds.
        seconds: u64,
    },
    /// What the person has pasted was not used.
    Refused {
        /// Why.
        why: BadCallback,
    },
    /// A callback came that belongs to this login.
    Received,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Opening { service } => {
                let service = safe_text(service);
                write!(f, "Opening {service} in your browser. Log in to {service}, authorise, and return here after")
            }
            Notice::OpenByHand { url } => write!(f, "Open this address in a browser:\n{url}"),
            Notice::Waiting { seconds } => write!(f, "Waiting for code, timeout in {seconds} seconds..."),
            Notice::Refused { why } => write!(f, "This cannot be used: {why}"),
            Notice::Received => f.write_str("Code received!"),
        }
    }
}
