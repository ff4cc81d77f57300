//! Ports on the loopback: a run from a base, or free ones that the system names.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Ports to give out, each once.
#[derive(Clone, Debug)]
pub struct Ports(VecDeque<u16>);

impl Ports {
    /// Chooses `count` ports. Free ones are bound together and let go again, so they differ; whoever is
    /// quicker may still take one before its process starts.
    ///
    /// # Errors
    /// The system's error when there are no free ports.
    pub fn choose(base: Option<u16>, count: usize) -> io::Result<Self> {
        let Some(base) = base else {
            let listeners: Vec<TcpListener> =
                (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
            let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
            return Ok(Self(ports.collect::<io::Result<_>>()?));
        };
        Ok(Self((base..=u16::MAX).take(count).collect()))
    }

    /// Takes the next one, as `127.0.0.1:port`.
    ///
    /// # Panics
    /// When more are taken than were chosen: the caller counts them.
    pub fn take(&mut self) -> String {
        let port = self.0.pop_front().expect("the plan counts the ports that are given out");
        format!("127.0.0.1:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let Ports(ports) = Ports::choose(None, 20).unwrap();
        let mut ports = Vec::from(ports);

        ports.sort_unstable();
        ports.dedup();

        assert_eq!(ports.len(), 20);
    }

    #[test]
    fn a_base_port_starts_a_run() {
        let mut ports = Ports::choose(Some(7050), 2).unwrap();

        assert_eq!([ports.take(), ports.take()], ["127.0.0.1:7050", "127.0.0.1:7051"]);
    }
}
