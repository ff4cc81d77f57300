//! `host:port` and socket addresses against libp2p's multiaddresses. Resolves names with the
//! operating system's resolver, nothing else.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Addresses of one name that a dial tries, in the resolver's order.
const ADDRESSES_MAX: usize = 4;

/// The multiaddress of a TCP socket address.
pub(super) fn to_multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::empty().with(Protocol::from(address.ip())).with(Protocol::Tcp(address.port()))
}

/// The socket address that an IP and TCP multiaddress begins with, if it does.
pub(super) fn to_socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Resolves `host:port`; a literal address needs no resolver.
///
/// # Errors
/// The text is malformed, the name is unknown, or the resolver took longer than `timeout`.
pub(super) async fn resolve(endpoint: &str, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = endpoint.parse() {
        return Ok(vec![address]);
    }
    let found = tokio::time::timeout(timeout, tokio::net::lookup_host(endpoint))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{endpoint} has no address")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_addresses_survive_the_round_trip() {
        for text in ["127.0.0.1:7051", "[::1]:1", "10.20.30.40:65535"] {
            let address: SocketAddr = text.parse().expect("valid");

            assert_eq!(to_socket_address(&to_multiaddr(address)), Some(address));
        }
    }

    #[test]
    fn other_multiaddresses_have_no_socket_address() {
        for text in ["/memory/5", "/dns4/example/tcp/1", "/ip4/127.0.0.1/udp/3", ""] {
            let address: Multiaddr = text.parse().expect("valid");

            assert_eq!(to_socket_address(&address), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_text_without_port_is_refused() {
        assert!(resolve("localhost", Duration::from_secs(5)).await.is_err());
    }
}
