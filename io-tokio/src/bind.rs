//! Which loopback sockets a listener gets.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use grantflow_core::error::{ConfigError, Error};
use grantflow_core::loopback::{Host, Place};
use tokio::net::TcpListener;

/// How many free ports to try for one that both address families have free.
const ATTEMPTS: usize = 16;

/// Sockets at a free port of `place`, and the address to name.
pub(crate) async fn free(place: &Place) -> Result<(Vec<TcpListener>, SocketAddr), Error> {
    let mut failure = None;
    for port in place.ports() {
        match sockets(place, *port).await {
            Ok(bound) => return Ok(bound),
            Err(error) => {
                failure.get_or_insert(match error.kind() {
                    ErrorKind::AddrInUse => ConfigError::PortInUse(*port),
                    kind => ConfigError::Listen(kind.to_string()),
                });
            }
        }
    }
    Err(failure.unwrap_or(ConfigError::Missing("a port to listen on")).into())
}

async fn sockets(place: &Place, port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    match place.host() {
        Host::Either | Host::Ipv4 | Host::Ipv6 => {
            let socket = first(place.addresses(), port).await?;
            let address = socket.local_addr()?;
            Ok((vec![socket], address))
        }
        Host::Localhost => {
            let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
            // A port that was free on one family may be taken on the other; another one may be free on both.
            for _ in 0..ATTEMPTS {
                match all(place.addresses(), port).await {
                    Err(error) => failure = error,
                    bound => return bound,
                }
            }
            Err(failure)
        }
    }
}

/// A socket at the first address that this machine has.
async fn first(addresses: &[IpAddr], port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpListener::bind((*address, port)).await {
            Err(error) if is_family_missing(&error) => failure = error,
            result => return result,
        }
    }
    Err(failure)
}

/// Sockets at the same port of every address that this machine has.
///
/// On the one left out another process could sit, and the browser would try it first (RFC 8252 §8.3).
async fn all(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let mut sockets = Vec::new();
    let mut named = None;
    for address in addresses {
        match TcpListener::bind((*address, port)).await {
            Ok(socket) => {
                let address = socket.local_addr()?;
                port = address.port();
                named = named.or(Some(address));
                sockets.push(socket);
            }
            Err(error) if is_family_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    named.map(|address| (sockets, address)).ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

/// Whether this machine has no such address. Operating systems say so in several ways.
fn is_family_missing(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fl_42_an_address_that_this_machine_does_not_have_is_left_out() {
        // Kept for documentation (RFC 5737): nobody's.
        let addresses = ["192.0.2.1", "127.0.0.1"].map(|address| address.parse().unwrap());
        let one = first(&addresses, 0).await.unwrap();
        assert_eq!(one.local_addr().unwrap().ip(), addresses[1]);
        let (sockets, named) = all(&addresses, 0).await.unwrap();
        assert_eq!((sockets.len(), named.ip()), (1, addresses[1]));
        assert_eq!(first(&addresses[..1], 0).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(all(&addresses[..1], 0).await.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }
}
