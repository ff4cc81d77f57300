//! Signs what is not true: alives of any order and time, and copies of an identity (A2 to A4).

use crate::node::NodeId;
use crate::world::World;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Incarnation, Sequence};
use ledgercast_protocol::wire::{Alive, AliveRecord, Signed};

impl World {
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
            ticks: None,
        };
        let alive = Signed::sign(alive, &owner.config.network, &owner.credentials.key);
        AliveRecord { alive, internal: None, tick: None }
    }

    /// Gives a node the key and certificate of another one of its org, as a copied disk does.
    ///
    /// # Panics
    /// When their orgs differ: a mistake of the scenario.
    pub fn copy_identity(&mut self, from: NodeId, to: NodeId) {
        assert_eq!(self.nodes[from.0].org, self.nodes[to.0].org, "a copy is of the same org");
        self.nodes[to.0].credentials = self.nodes[from.0].credentials.clone();
    }

    /// Another certified header of a block, from orderers that collude.
    ///
    /// # Panics
    /// When there is no such block: a mistake of the scenario.
    pub fn rival_header(&mut self, channel: ChannelId, number: u64) -> CertifiedHeader {
        let number = BlockNumber::new(number);
        self.orderers.equivocated.insert((channel, number));
        let chain = self.channels.iter().find(|chain| chain.id() == channel);
        chain.and_then(|chain| chain.rival_of(number)).expect("the scenario names a block that was made")
    }

    /// True wall-clock time.
    pub fn wall(&self) -> WallTime {
        crate::clock::Clock::default().now(self.now, self.now).wall
    }

    /// From now on a node's store refuses every block of a channel.
    pub fn refuse_commits(&mut self, node: NodeId, channel: ChannelId) {
        self.nodes[node.0].disk.refuse_commits(channel);
    }
}
