//! What a scenario makes a node do that no honest process does: alter what it sends, sign what is not true.

use crate::connections::{ConnectionId, Side};
use crate::node::NodeId;
use crate::traffic::SentFrame;
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::types::{Incarnation, Lane, Sequence};
use ledgercast_protocol::wire::{Alive, AliveRecord, Signed};

impl World {
    /// From now on a node's process is a liar: what it wants to send is handed to `liar`, and what that
    /// returns is sent instead.
    pub fn corrupt(&mut self, node: NodeId, liar: impl FnMut(&SentFrame<'_>) -> Vec<Bytes> + 'static) {
        self.liars.insert(node);
        self.corrupted.insert(node, Box::new(liar));
    }

    /// The node's process sends the truth again; it still counts as a liar.
    pub fn make_honest(&mut self, node: NodeId) {
        self.corrupted.remove(&node);
    }

    /// Whether the frame was a liar's and is dealt with.
    pub(crate) fn send_altered(
        &mut self,
        sent: &SentFrame<'_>,
        (connection, side): (ConnectionId, Side),
    ) -> bool {
        let Some(liar) = self.corrupted.get_mut(&sent.from) else {
            return false;
        };
        let lane: Lane = sent.lane;
        for frame in liar(sent) {
            self.traffic.count_sent(sent.peek.kind, frame.len());
            self.put_on_wire(connection, side, lane, frame);
        }
        true
    }

    /// An alive with a node's genuine signature and any order and time; its internal endpoint is nobody's.
    pub fn forge_alive(
        &self,
        node: NodeId,
        (incarnation, sequence): (u64, u64),
        wall_time: WallTime,
    ) -> AliveRecord {
        let owner = &self.nodes[node.0];
        let alive = Alive {
            member: owner.member(),
            incarnation: Incarnation::from_millis(incarnation),
            sequence: Sequence::new(sequence),
            wall_time,
            external_endpoint: owner.config.external_endpoint.clone(),
            internal_hash: ledgercast_crypto::Digest::ZERO,
        };
        let alive = Signed::sign(alive, &owner.config.network, &owner.credentials.key);
        AliveRecord { alive, internal: None }
    }

    /// Gives a node the key and certificate of another one of its org, as a copied disk does.
    ///
    /// # Panics
    /// When their orgs differ: a mistake of the scenario.
    pub fn copy_identity(&mut self, from: NodeId, to: NodeId) {
        assert_eq!(self.nodes[from.0].org, self.nodes[to.0].org, "a copy is of the same org");
        self.nodes[to.0].credentials = self.nodes[from.0].credentials.clone();
    }

    /// True wall-clock time.
    pub fn wall(&self) -> WallTime {
        crate::clock::Clock::default().now(self.now, self.now).wall
    }

    /// From now on a node's store refuses every block of a channel.
    pub fn refuse_commits(&mut self, node: NodeId, channel: ledgercast_protocol::types::ChannelId) {
        self.nodes[node.0].disk.refuse_commits(channel);
    }
}
