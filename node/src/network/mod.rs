//! The transport: opaque frames between authenticated keys over libp2p (TCP, Noise, Yamux). The only
//! place with libp2p's types; makes no protocol decision.
//!
//! ```text
//!  NetworkHandle::send ──► Session: 3 bounded queues ──► Handler ──► lanes ──► Yamux, Noise, TCP
//!  NetworkEvents::recv ◄── one queue, budget by lane ◄── Handler ◄── lanes ◄──
//!  NetworkHandle::dial ──► SwarmTask ──► Behaviour (limits, numbers, reasons)
//! ```
//!
//! Rules: a connection has three streams for as long as it lives, opened by the dialer: control, data,
//! pull. It is a session once both sides have all three. Control is written before every piece of the
//! others; they take turns. Reading never waits for writing. Frames of one lane stay in order.
//! Two connections between the same keys are two sessions; the owner keeps which it likes.
//!
//! Limits: [`Limits`] bounds sessions, handshakes, queues, frames and times, and says what happens at
//! each bound. A full lane refuses the frame; an owner that takes no events stops only reading.
//!
//! Resists: half-open connections and slow handshakes (deadline, count), streams beyond the three and
//! oversize or broken frames (the session ends), readers that stop (watchdog), windows grown by a peer
//! that delays its pongs (fixed bound), peers of another network (Noise prologue).

mod address;
mod behaviour;
mod command;
mod counted;
mod event;
mod frame;
mod handler;
mod identity;
mod lane;
mod limits;
mod multiplexer;
mod refused;
mod session;
mod swarm;
#[cfg(test)]
mod tests;
mod transport;
mod upgrade;
mod watchdog;

pub use command::{CommandError, NetworkHandle, SessionCounters, WireCounters};
pub use counted::{Counted, WireBytes};
pub use event::{CloseReason, DialFailure, FRAME_COST_BYTES, NetworkEvent, NetworkEvents};
pub use identity::IdentityError;
pub use ledgercast_protocol::types::{Lane, SessionId};
pub use limits::{Limits, LimitsError};
pub use refused::RefusedCounters;
pub use session::{LaneCounters, SendError};

use behaviour::Behaviour;
use ledgercast_crypto::keys::SecretKey;
use libp2p::Swarm;
use libp2p::core::upgrade::Version;
use libp2p::swarm::Config as SwarmConfig;
use refused::Refused;
use session::Registry;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use swarm::SwarmTask;
use thiserror::Error;
use tokio::sync::mpsc;

/// What a node's transport is started with.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Where to accept connections; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The member key, which is also the host key.
    pub key: SecretKey,
    /// What peers must agree on to finish a handshake.
    pub network_id: Vec<u8>,
    /// The bounds.
    pub limits: Limits,
}

/// Why a transport did not start; nothing is left running.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The limits cannot work.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The key cannot be a host key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Noise refused the key.
    #[error("noise refuses the host key: {0}")]
    Noise(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another [peer] listen address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

/// The transport of one node.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Binds the addresses and starts the transport's task; needs a tokio runtime around it.
    ///
    /// # Errors
    /// The configuration cannot work or an address is taken.
    pub fn start(config: NetworkConfig) -> Result<(NetworkHandle, NetworkEvents), NetworkError> {
        config.limits.check()?;
        let limits = Arc::new(config.limits);
        let bytes = Arc::new(WireBytes::default());
        let registry = Arc::new(Registry::default());
        let keypair = identity::keypair(&config.key)?;
        let transport = transport::build(&keypair, &config.network_id, &limits, Arc::clone(&bytes))
            .map_err(|error| NetworkError::Noise(error.to_string()))?;
        let (sender, events) = event::channel();
        let refused = Arc::new(Refused::default());
        let behaviour =
            Behaviour::new(Arc::clone(&limits), sender, Arc::clone(&registry), Arc::clone(&refused));
        // Lazy negotiation saves a round trip for each lane.
        let swarm_config =
            SwarmConfig::with_tokio_executor().with_substream_upgrade_protocol_override(Version::V1Lazy);
        let peer = keypair.public().to_peer_id();
        let mut swarm = Swarm::new(transport, behaviour, peer, swarm_config);
        for address in config.listen {
            listen(&mut swarm, address).map_err(|source| NetworkError::Listen { address, source })?;
        }
        let (commands, receiver) = mpsc::channel(limits.dials_waiting_max);
        tokio::spawn(SwarmTask::new(swarm, receiver, limits).run());
        Ok((NetworkHandle { commands, registry, bytes, refused }, events))
    }
}

/// libp2p lets two processes share a port (`SO_REUSEPORT`): a plain bind before it finds out.
fn listen(swarm: &mut Swarm<Behaviour>, address: SocketAddr) -> io::Result<()> {
    if address.port() != 0 {
        drop(TcpListener::bind(address)?);
    }
    swarm.listen_on(address::to_multiaddr(address)).map(|_| ()).map_err(io::Error::other)
}
