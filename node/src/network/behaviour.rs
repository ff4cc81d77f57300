//! The behaviour of the swarm: admits connections within the limits, numbers them, and turns their
//! ends and failed dials into events. Runs on the swarm's task and touches no frame.

use super::address::{to_multiaddr, to_socket_address};
use super::event::{CloseReason, DialFailure, EventSender, NetworkEvent, Receipt, Slot};
use super::handler::{Finished, Handler};
use super::identity::public_key;
use super::limits::Limits;
use super::refused::Refused;
use super::session::{Registry, Session};
use super::transport;
use ledgercast_protocol::types::SessionId;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenError,
    NetworkBehaviour, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use thiserror::Error;

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
enum Denied {
    #[error("limit of {0} sessions is reached")]
    Sessions(usize),
    #[error("limit of {0} pending handshakes is reached")]
    Pending(usize),
    #[error("peer has no ed25519 key or no ip address")]
    Identity,
}

/// A dial under way: the addresses of its name are tried one after the other.
#[derive(Debug)]
pub(super) struct DialAttempt {
    pub(super) dial: u64,
    pub(super) expect: Option<PeerId>,
    pub(super) addresses: VecDeque<SocketAddr>,
}

#[derive(Debug)]
struct Connection {
    session: Arc<Session>,
    slots: Vec<Slot>,
}

/// The behaviour of one node's swarm.
#[derive(Debug)]
pub(super) struct Behaviour {
    limits: Arc<Limits>,
    events: EventSender,
    registry: Arc<Registry>,
    refused: Arc<Refused>,
    sessions_taken: Arc<AtomicUsize>,
    inbound_taken: Arc<AtomicUsize>,
    next_session: u64,
    pending_inbound: BTreeSet<ConnectionId>,
    dials: BTreeMap<ConnectionId, DialAttempt>,
    connections: BTreeMap<ConnectionId, Connection>,
    actions: VecDeque<ToSwarm<Infallible, Infallible>>,
}

impl Behaviour {
    pub(super) fn new(
        limits: Arc<Limits>,
        events: EventSender,
        registry: Arc<Registry>,
        refused: Arc<Refused>,
    ) -> Self {
        Self {
            limits,
            events,
            registry,
            refused,
            sessions_taken: Arc::default(),
            inbound_taken: Arc::default(),
            next_session: 1,
            pending_inbound: BTreeSet::new(),
            dials: BTreeMap::new(),
            connections: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Dials under way.
    pub(super) fn dials_count(&self) -> usize {
        self.dials.len()
    }

    /// Connections that are not gone yet.
    pub(super) fn connections_count(&self) -> usize {
        self.connections.len()
    }

    /// Tries the first address of an attempt; the others follow if it fails.
    pub(super) fn dial(&mut self, mut attempt: DialAttempt) {
        let Some(address) = attempt.addresses.pop_front() else {
            return self.fail_dial(attempt.dial, DialFailure::Other("name has no address".to_owned()));
        };
        let address = to_multiaddr(address);
        let options = match attempt.expect {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Always)
                .addresses(vec![address])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
        };
        self.dials.insert(options.connection_id(), attempt);
        self.actions.push_back(ToSwarm::Dial { opts: options });
    }

    pub(super) fn fail_dial(&self, dial: u64, cause: DialFailure) {
        self.events.send(NetworkEvent::DialFailed { dial, cause }, Receipt::Nothing);
    }

    /// Asks every session to end.
    pub(super) fn close_all(&self, reason: &CloseReason) {
        for connection in self.connections.values() {
            connection.session.close(reason.clone());
        }
    }

    fn on_dial_failure(&mut self, connection: ConnectionId, cause: DialFailure) {
        let Some(attempt) = self.dials.remove(&connection) else { return };
        let is_final = matches!(cause, DialFailure::OwnLimit) || attempt.addresses.is_empty();
        if is_final { self.fail_dial(attempt.dial, cause) } else { self.dial(attempt) }
    }

    /// Gives an authenticated connection its number and handler, if there is a place for it.
    fn admit(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        dialed: bool,
    ) -> Result<Handler, ConnectionDenied> {
        let key = public_key(&peer).ok_or(Denied::Identity).map_err(ConnectionDenied::new)?;
        let remote = to_socket_address(remote).ok_or(Denied::Identity).map_err(ConnectionDenied::new)?;
        let slots = self.take_slots(dialed).map_err(|denied| {
            if !dialed {
                self.refused.on_sessions();
            }
            ConnectionDenied::new(denied)
        })?;
        let dial = self.dials.get(&connection).map(|attempt| attempt.dial);
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let session = Arc::new(Session::new(id, key, dial, dialed, remote, Arc::clone(&self.limits)));
        let handler = Handler::new(Arc::clone(&session), Arc::clone(&self.registry), self.events.clone());
        self.connections.insert(connection, Connection { session, slots });
        Ok(handler)
    }

    fn take_slots(&self, dialed: bool) -> Result<Vec<Slot>, Denied> {
        let sessions_max = self.limits.sessions_max;
        let session = Slot::take(&self.sessions_taken, sessions_max).ok_or(Denied::Sessions(sessions_max))?;
        if dialed {
            return Ok(vec![session]);
        }
        let inbound_max = self.limits.sessions_inbound_max;
        let inbound = Slot::take(&self.inbound_taken, inbound_max).ok_or(Denied::Sessions(inbound_max))?;
        Ok(vec![session, inbound])
    }

    fn on_closed(&mut self, closed: &ConnectionClosed<'_>) {
        let Some(Connection { session, slots }) = self.connections.remove(&closed.connection_id) else {
            return;
        };
        session.close(transport::close_reason(closed.cause));
        let reason = session.closing().unwrap_or(CloseReason::RemoteClosed);
        tracing::debug!(session = session.id.0, remote = %session.remote, %reason, "connection closed");
        if self.registry.remove(session.id) {
            let event = NetworkEvent::Closed { session: session.id, reason };
            self.events.send(event, Receipt::Closed(slots));
        } else if let Some(dial) = session.dial {
            self.fail_dial(dial, not_opened(&reason));
        }
    }
}

/// What a connection that ended before it became a session tells whoever dialed.
fn not_opened(reason: &CloseReason) -> DialFailure {
    match reason {
        CloseReason::LanesNotOpened => DialFailure::Timeout,
        other => DialFailure::Other(format!("session did not open: {other}")),
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let pending_max = self.limits.sessions_pending_max;
        if self.pending_inbound.len() >= pending_max {
            self.refused.on_pending();
            return Err(ConnectionDenied::new(Denied::Pending(pending_max)));
        }
        self.pending_inbound.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.pending_inbound.remove(&connection);
        self.admit(connection, peer, remote, false)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.admit(connection, peer, remote, true)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                self.dials.remove(&established.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => self.on_closed(&closed),
            FromSwarm::DialFailure(failed) => {
                self.on_dial_failure(failed.connection_id, transport::dial_failure(failed.error));
            }
            FromSwarm::ListenFailure(failed) => {
                tracing::debug!(remote = %failed.send_back_addr, error = %failed.error, "inbound refused");
                self.pending_inbound.remove(&failed.connection_id);
                if !matches!(failed.error, ListenError::Denied { .. }) {
                    self.refused.on_handshake();
                }
            }
            FromSwarm::NewListenAddr(listening) => {
                if let Some(address) = to_socket_address(listening.addr) {
                    self.events.send(NetworkEvent::Listening { address }, Receipt::Nothing);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer_id: PeerId, connection: ConnectionId, _: Finished) {
        let connection = CloseConnection::One(connection);
        self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Infallible>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
