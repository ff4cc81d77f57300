//! Where a process listens: `host:port`, not resolved here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// The longest endpoint that is accepted, in bytes (a DNS name of 253 and a port).
pub const ENDPOINT_BYTES_MAX: usize = 260;

/// A `host:port` pair; an IPv6 host stands in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(Arc<str>);

/// Why a text is not an endpoint.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The text is longer than [`ENDPOINT_BYTES_MAX`].
    #[error("endpoint of {0} bytes is longer than {ENDPOINT_BYTES_MAX}")]
    TooLong(usize),
    /// The host is empty or has a character that no host has.
    #[error("endpoint {0:?} has no valid host; expected host:port")]
    Host(String),
    /// The port is missing or not in 1..=65535.
    #[error("endpoint {0:?} has no port from 1 to 65535; expected host:port")]
    Port(String),
}

impl Endpoint {
    /// The text `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ENDPOINT_BYTES_MAX {
            return Err(EndpointError::TooLong(text.len()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| EndpointError::Port(text.to_owned()))?;
        if !is_host(host) {
            return Err(EndpointError::Host(text.to_owned()));
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self(text.into())),
            _ => Err(EndpointError::Port(text.to_owned())),
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses() {
        for text in ["peer0.org1.example:7051", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<Endpoint>().expect("valid").as_str(), text);
        }
    }

    #[test]
    fn refuses_what_names_no_host_or_port() {
        assert!(matches!("peer0".parse::<Endpoint>(), Err(EndpointError::Port(_))));
        assert!(matches!("peer0:0".parse::<Endpoint>(), Err(EndpointError::Port(_))));
        assert!(matches!("peer0:70000".parse::<Endpoint>(), Err(EndpointError::Port(_))));
        assert!(matches!(":7051".parse::<Endpoint>(), Err(EndpointError::Host(_))));
        assert!(matches!("::1:7051".parse::<Endpoint>(), Err(EndpointError::Host(_))));
        assert_eq!("a".repeat(300).parse::<Endpoint>(), Err(EndpointError::TooLong(300)));
    }
}
