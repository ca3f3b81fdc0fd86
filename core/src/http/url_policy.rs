//! Which URLs a request may go to. Applied to every URL before any byte is sent.

use core::net::IpAddr;

use url::Url;

use crate::error::UrlFlaw;

/// Which addresses a host may resolve to, checked by the driver when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any address: the user named this host.
    Any,
    /// Public addresses only: a remote party named this host.
    Public,
}

/// The rules for URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UrlPolicy {}

impl UrlPolicy {
    /// Judges a URL that the user has configured.
    pub fn check(&self, url: &Url) -> Result<(), UrlFlaw> {
        let _ = url;
        Ok(())
    }
}

/// Whether an address is a public one.
pub fn is_public(address: IpAddr) -> bool {
    !address.is_loopback()
}
