//! Dialing: who answers at an endpoint, and how it fails when nobody does.

use crate::checks::Violation;
use crate::connections::{Connection, ConnectionId, Side};
use crate::node::NodeId;
use crate::queue::{Life, Scheduled};
use crate::world::World;
use ledgercast_crypto::PublicKey;
use ledgercast_protocol::Input;
use ledgercast_protocol::types::Endpoint;

/// One dial of one process.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) dialer: NodeId,
    pub(crate) life: Life,
    pub(crate) endpoint: Endpoint,
    pub(crate) expect: Option<PublicKey>,
}

impl World {
    pub(crate) fn dial(&mut self, attempt: Attempt) {
        // Three one-way delays until the listener has authenticated the dialer: TCP, then Noise.
        let at = self.now + self.links.latency * 3 + self.random.up_to(self.links.jitter);
        self.queue.push(at, Scheduled::DialArrives(attempt));
    }

    /// The handshake is through, or it is clear how it fails.
    pub(crate) fn dial_arrives(&mut self, attempt: Attempt) -> Result<(), Violation> {
        let listening = self.nodes.iter().position(|node| node.listens_on(&attempt.endpoint)).map(NodeId);
        let Some(listener) = listening else {
            return self.dial_fails(attempt, true);
        };
        let node = &self.nodes[listener.0];
        if self.is_cut(attempt.dialer, listener) {
            return self.fail_late(attempt);
        }
        let Some(process) = node.process.as_ref().filter(|process| !process.is_stopping) else {
            return self.dial_fails(attempt, true);
        };
        if process.paused.is_some() {
            // The system accepts the connection, but nobody shakes hands.
            return self.fail_late(attempt);
        }
        let key = node.credentials.key.public();
        if attempt.expect.is_some_and(|expected| expected != key) {
            return self.dial_fails(attempt, false);
        }
        self.open(attempt, listener, key)
    }

    fn fail_late(&mut self, attempt: Attempt) -> Result<(), Violation> {
        let at = self.now + self.links.dial_timeout;
        self.queue.push(at, Scheduled::DialFails(attempt, false));
        Ok(())
    }

    pub(crate) fn dial_fails(&mut self, attempt: Attempt, is_refused: bool) -> Result<(), Violation> {
        let Attempt { dialer, life, endpoint, .. } = attempt;
        self.deliver(dialer, life, Input::DialFailed { endpoint, is_refused })
    }

    fn open(&mut self, attempt: Attempt, listener: NodeId, key: PublicKey) -> Result<(), Violation> {
        let Attempt { dialer, life, endpoint, .. } = attempt;
        let is_dialer_alive = self.nodes[dialer.0].life == life && self.nodes[dialer.0].is_up();
        if !is_dialer_alive {
            return Ok(());
        }
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        let dialer_key = self.nodes[dialer.0].credentials.key.public();
        let mut open_session = |node: NodeId, side| {
            let process = self.nodes[node.0].process.as_mut().expect("both processes were found running");
            process.open_session(connection, side)
        };
        let dialed = open_session(dialer, Side::Dialer);
        let accepted = open_session(listener, Side::Listener);
        let listener_life = self.nodes[listener.0].life;
        self.connections.insert(
            connection,
            Connection::new(self.now, (dialer, life, dialed), (listener, listener_life, accepted)),
        );
        let opened = Input::Opened { session: accepted, key: dialer_key, dialed: None };
        self.deliver(listener, listener_life, opened)?;
        self.deliver(dialer, life, Input::Opened { session: dialed, key, dialed: Some(endpoint) })
    }
}
