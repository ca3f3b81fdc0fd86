//! Which loopback sockets a listener gets.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

use grantflow_core::loopback::{Host, Place};

/// How many free ports to try for one that both address families have free.
const ATTEMPTS: usize = 16;

/// Sockets at one port of `place`, and the address to name.
pub(crate) fn sockets(place: &Place, port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    match place.host() {
        Host::Either | Host::Ipv4 | Host::Ipv6 => {
            let socket = first(place.addresses(), port)?;
            let address = socket.local_addr()?;
            Ok((vec![socket], address))
        }
        Host::Localhost => {
            let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
            // A port that was free on one family may be taken on the other; another one may be free on both.
            for _ in 0..ATTEMPTS {
                match all(place.addresses(), port) {
                    Err(error) => failure = error,
                    bound => return bound,
                }
            }
            Err(failure)
        }
    }
}

/// A socket at the first address that this machine has.
fn first(addresses: &[IpAddr], port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match listen(SocketAddr::new(*address, port)) {
            Err(error) if is_family_missing(&error) => failure = error,
            result => return result,
        }
    }
    Err(failure)
}

/// Sockets at the same port of every address that this machine has.
///
/// On the one left out another process could sit, and the browser would try it first (RFC 8252 §8.3).
fn all(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let mut sockets = Vec::new();
    let mut named = None;
    for address in addresses {
        match listen(SocketAddr::new(*address, port)) {
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

/// Nobody else can listen at the same address and port: the standard library asks for that on no system.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether this machine has no such address. Operating systems say so in several ways.
fn is_family_missing(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fl_42_an_address_that_this_machine_does_not_have_is_left_out() {
        // Kept for documentation (RFC 5737): nobody's.
        let addresses = ["192.0.2.1", "127.0.0.1"].map(|address| address.parse().unwrap());
        let one = first(&addresses, 0).unwrap();
        assert_eq!(one.local_addr().unwrap().ip(), addresses[1]);
        let (sockets, named) = all(&addresses, 0).unwrap();
        assert_eq!((sockets.len(), named.ip()), (1, addresses[1]));
        assert_eq!(first(&addresses[..1], 0).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(all(&addresses[..1], 0).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }
}
