//! The world's state. What it does is spread over the sibling files: `step`, `outputs`, `connections`,
//! `dials`, `feeds`, `faults`, `updates`, `view`.

use crate::builder::WorldBuilder;
use crate::chain::SourceChain;
use crate::checks::Checks;
use crate::connections::{Connection, ConnectionId};
use crate::feeds::Orderers;
use crate::identities::Org;
use crate::liars::{Crime, Flood};
use crate::links::LinkSettings;
use crate::node::{Node, NodeId};
use crate::queue::{Queue, Scheduled};
use crate::random::Random;
use crate::trace::Trace;
use crate::traffic::{Inspector, Traffic};
use crate::verifier::Verifier;
use ledgercast_crypto::SecretKey;
use ledgercast_protocol::Output;
use ledgercast_protocol::event::Route;
use ledgercast_protocol::peer::PeerConfig;
use ledgercast_protocol::types::{ChannelId, MemberId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Peers, their network, their orderers, and the time.
pub struct World {
    pub(crate) seed: u64,
    pub(crate) now: Duration,
    pub(crate) queue: Queue,
    pub(crate) random: Random,
    pub(crate) orgs: Vec<Org>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) node_of_member: BTreeMap<MemberId, NodeId>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) last_connection: u64,
    pub(crate) links: LinkSettings,
    /// The group of each node, during a partition.
    pub(crate) groups: Option<Vec<usize>>,
    /// Whether the partition also parts the orderer from all groups but the first.
    pub(crate) is_orderer_split: bool,
    pub(crate) orderer_cut_from: BTreeSet<NodeId>,
    pub(crate) channels: Vec<SourceChain>,
    pub(crate) orderers: Orderers,
    pub(crate) verifier: Verifier,
    pub(crate) checks: Checks,
    pub(crate) liars: BTreeSet<NodeId>,
    pub(crate) crimes: BTreeMap<NodeId, Vec<Box<dyn Crime>>>,
    pub(crate) floods: Vec<Flood>,
    pub(crate) deaf: BTreeSet<NodeId>,
    pub(crate) trace: Trace,
    pub(crate) traffic: Traffic,
    pub(crate) inspector: Option<Inspector>,
    pub(crate) deliveries: u64,
    pub(crate) routes: BTreeMap<(NodeId, Route), u64>,
    pub(crate) events_at_instant: u64,
    /// Reused by every step.
    pub(crate) outputs: Vec<Output>,
}

impl World {
    /// A world to be described; everything random in it follows from the seed.
    pub fn builder(seed: u64) -> WorldBuilder {
        WorldBuilder::new(seed)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Certifies blocks with payloads of this many bytes and releases them now.
    ///
    /// # Panics
    /// When there is no such channel: a mistake of the scenario.
    pub fn submit(&mut self, channel: ChannelId, blocks: u64, payload_bytes: usize) {
        self.submit_every(channel, blocks, payload_bytes, Duration::ZERO);
    }

    /// The same with a pause before each block.
    ///
    /// # Panics
    /// As [`World::submit`].
    pub fn submit_every(&mut self, channel: ChannelId, blocks: u64, payload_bytes: usize, pause: Duration) {
        let chain = self.channels.iter_mut().find(|chain| chain.id() == channel);
        let chain = chain.expect("the scenario names a channel that it has built");
        let mut at = self.now;
        for _ in 0..blocks {
            chain.extend(payload_bytes);
            at += pause;
            self.queue.push(at, Scheduled::Release(channel));
        }
    }

    /// Certifies blocks that the orderers do not release: other nodes may be made to bring them.
    ///
    /// # Panics
    /// As [`World::submit`].
    pub fn certify(&mut self, channel: ChannelId, blocks: u64, payload_bytes: usize) {
        let chain = self.channels.iter_mut().find(|chain| chain.id() == channel);
        let chain = chain.expect("the scenario names a channel that it has built");
        for _ in 0..blocks {
            chain.extend(payload_bytes);
        }
    }

    /// Releases now every block that was certified.
    ///
    /// # Panics
    /// As [`World::submit`].
    pub fn release_certified(&mut self, channel: ChannelId) {
        let chain = self.channels.iter().find(|chain| chain.id() == channel);
        let certified = chain.expect("the scenario names a channel that it has built").height();
        let released = self.orderers.released.get(&channel).copied().unwrap_or(1);
        for _ in released..certified {
            self.queue.push(self.now, Scheduled::Release(channel));
        }
    }

    /// A node's key, for what its owner should not sign.
    pub fn key(&self, node: NodeId) -> &SecretKey {
        &self.nodes[node.0].credentials.key
    }

    /// Shows every frame that an honest process sends to `inspector`; an error of it is a failure of the run.
    pub fn inspect(
        &mut self,
        inspector: impl FnMut(&crate::traffic::SentFrame<'_>) -> Result<(), String> + 'static,
    ) {
        self.inspector = Some(Box::new(inspector));
    }

    /// Changes a node's configuration from its next process on.
    pub fn reconfigure(&mut self, node: NodeId, change: impl FnOnce(&mut PeerConfig)) {
        change(&mut self.nodes[node.0].config);
    }

    /// Changes the wires from now on.
    pub fn set_links(&mut self, links: LinkSettings) {
        self.links = links;
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}
