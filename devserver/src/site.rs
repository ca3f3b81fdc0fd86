//! The server's addresses.

/// Where the server is and what it calls itself.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// `http://127.0.0.1:PORT`.
    pub(crate) origin: String,
    /// The issuer's path, empty or `/…`.
    pub(crate) path: String,
    pub(crate) port: u16,
}

impl Site {
    /// The issuer.
    pub(crate) fn issuer(&self) -> String {
        self.url("")
    }

    /// An endpoint's URL.
    pub(crate) fn url(&self, endpoint: &str) -> String {
        format!("{}{}{endpoint}", self.origin, self.path)
    }

    /// The session cookie's name: cookies know hosts, not ports, so the name holds the port.
    pub(crate) fn cookie(&self) -> String {
        format!("grantflow-devserver-{}", self.port)
    }

    /// Where the session cookie is sent.
    pub(crate) fn cookie_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }
}
