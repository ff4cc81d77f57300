//! What a scenario asks a world: views of peers, heights, events, figures.

use crate::chain::SourceChain;
use crate::node::NodeId;
use crate::traffic::Traffic;
use crate::world::World;
use ledgercast_crypto::Digest;
use ledgercast_protocol::event::Route;
use ledgercast_protocol::membership::MemberStatus;
use ledgercast_protocol::peer::{ChannelSnapshot, Snapshot};
use ledgercast_protocol::store::BlockStore as _;
use ledgercast_protocol::types::{ChannelId, MemberId};
use ledgercast_protocol::{Event, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl World {
    /// Virtual time since the world's start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// All nodes.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// A peer of an org, both counted from zero.
    ///
    /// # Panics
    /// When there is none: a mistake of the scenario.
    pub fn peer(&self, org: usize, index: usize) -> NodeId {
        let mut of_org = self.node_ids().filter(|id| self.nodes[id.0].org == org);
        of_org.nth(index).expect("the scenario names a peer that it has built")
    }

    /// A node's name.
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.0].name
    }

    /// All peers of an org.
    pub fn peers_of(&self, org: usize) -> Vec<NodeId> {
        self.node_ids().filter(|id| self.nodes[id.0].org == org).collect()
    }

    /// A channel's id by its name.
    ///
    /// # Panics
    /// When there is none: a mistake of the scenario.
    pub fn channel(&self, name: &str) -> ChannelId {
        self.source(name).id()
    }

    /// A channel as its orderer knows it.
    ///
    /// # Panics
    /// As [`World::channel`].
    pub fn source(&self, name: &str) -> &SourceChain {
        let chain = self.channels.iter().find(|chain| chain.name().as_str() == name);
        chain.expect("the scenario names a channel that it has built")
    }

    /// A node's member id.
    pub fn member(&self, node: NodeId) -> MemberId {
        self.nodes[node.0].member()
    }

    /// The node of a member.
    pub fn node_of(&self, member: MemberId) -> Option<NodeId> {
        self.node_of_member.get(&member).copied()
    }

    /// A peer's view, while its process runs.
    pub fn snapshot(&self, node: NodeId) -> Option<Snapshot> {
        let node = &self.nodes[node.0];
        node.process.as_ref().map(|process| process.peer.snapshot(node.now(self.now)))
    }

    /// The other nodes that a peer takes for alive.
    pub fn seen_by(&self, node: NodeId) -> BTreeSet<NodeId> {
        let members = self.snapshot(node).map(|snapshot| snapshot.members).unwrap_or_default();
        let alive = members.into_iter().filter(|member| matches!(member.status, MemberStatus::Alive));
        alive.filter_map(|member| self.node_of(member.member)).collect()
    }

    /// Whether every node of a set sees exactly the others of the set.
    pub fn see_each_other(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().all(|node| {
            let others: BTreeSet<NodeId> = nodes.iter().copied().filter(|other| other != node).collect();
            self.seen_by(*node) == others
        })
    }

    /// A peer's view of a channel.
    pub fn channel_view(&self, node: NodeId, channel: ChannelId) -> Option<ChannelSnapshot> {
        self.snapshot(node)?.channels.into_iter().find(|view| view.channel == channel)
    }

    /// The nodes with which a peer can talk about a channel.
    pub fn neighbours(&self, node: NodeId, channel: ChannelId) -> BTreeSet<NodeId> {
        let neighbours = self.channel_view(node, channel).map(|view| view.neighbours).unwrap_or_default();
        neighbours.iter().filter_map(|neighbour| self.node_of(neighbour.member)).collect()
    }

    /// The nodes of an org that lead on a channel.
    pub fn leaders(&self, org: usize, channel: ChannelId) -> Vec<NodeId> {
        let leads = |node: &NodeId| self.channel_view(*node, channel).is_some_and(|view| view.is_leader);
        self.peers_of(org).into_iter().filter(leads).collect()
    }

    /// Blocks that a node's disk holds durably; 0 for a channel that it has not.
    pub fn height(&self, node: NodeId, channel: ChannelId) -> u64 {
        self.nodes[node.0].disk.height(channel)
    }

    /// Whether all these nodes hold every block that was submitted, also those that are not released yet.
    pub fn are_at_tip(&self, nodes: &[NodeId], channel: ChannelId) -> bool {
        let submitted = self.channels.iter().find(|chain| chain.id() == channel).map_or(0, |it| it.height());
        nodes.iter().all(|node| self.height(*node, channel) == submitted)
    }

    /// The nodes that are entitled to a channel.
    pub fn members_of(&self, channel: ChannelId) -> Vec<NodeId> {
        self.checks.isolation.members(channel).into_iter().flatten().copied().collect()
    }

    /// Whether a node's disk has this channel at all.
    pub fn holds(&self, node: NodeId, channel: ChannelId) -> bool {
        self.nodes[node.0].disk.store().height(channel).is_ok()
    }

    /// Whether a node's process runs, paused or not.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node.0].is_up()
    }

    /// What a node told its operator, with the time; blocks and refusals are counted apart.
    pub fn events(&self, node: NodeId) -> &[(Duration, Event)] {
        &self.nodes[node.0].events
    }

    /// Who was accused of offences, of which, by whom that is no liar.
    pub fn accusations(&self) -> BTreeMap<NodeId, BTreeMap<&'static str, BTreeSet<NodeId>>> {
        let mut accusations: BTreeMap<NodeId, BTreeMap<&'static str, BTreeSet<NodeId>>> = BTreeMap::new();
        for accuser in self.node_ids().filter(|node| !self.liars.contains(node)) {
            for (_, event) in self.events(accuser) {
                if let Event::Offence { member, offence } = event
                    && let Some(accused) = self.node_of(*member)
                {
                    let offences = accusations.entry(accused).or_default();
                    offences.entry(offence.reason()).or_default().insert(accuser);
                }
            }
        }
        accusations
    }

    /// The network that all signatures are made for.
    pub fn network(&self) -> [u8; 32] {
        self.nodes.first().map_or([0; 32], |node| node.config.network)
    }

    /// What a node's wall clock shows.
    pub fn wall_time(&self, node: NodeId) -> WallTime {
        self.nodes[node.0].clock.now(self.now, self.now).wall
    }

    /// How often a node has refused a kind of message for a reason.
    pub fn refusals(&self, node: NodeId, kind: &str, reason: &str) -> u64 {
        let refusals = self.nodes[node.0].refusals.iter();
        refusals.filter(|((found, why), _)| *found == kind && *why == reason).map(|(_, count)| count).sum()
    }

    /// All refusals of a node, by kind and reason.
    pub fn all_refusals(
        &self,
        node: NodeId,
    ) -> impl Iterator<Item = ((&'static str, &'static str), u64)> + '_ {
        self.nodes[node.0].refusals.iter().map(|(what, count)| (*what, *count))
    }

    /// Verifications of a kind of statement, or of `certificate`, `headers`, `body`, that a node has asked
    /// for.
    pub fn verifications(&self, node: NodeId, kind: &str) -> u64 {
        self.nodes[node.0].verifications.get(kind).copied().unwrap_or_default()
    }

    /// Frames and bytes sent so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Blocks that peers have delivered so far.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Blocks that a node delivered and whose last piece came to it this way.
    pub fn delivered_by(&self, node: NodeId, route: Route) -> u64 {
        self.routes.get(&(node, route)).copied().unwrap_or_default()
    }

    /// Bytes of bodies that the orderers have sent.
    pub fn orderer_bytes(&self) -> u64 {
        self.orderers.sent_bytes
    }

    /// The most bytes of bodies of one channel that any peer has held on their way.
    pub fn payload_bytes_seen(&self) -> u64 {
        self.checks.bounds.payload_bytes_seen
    }

    /// Signatures and bodies that were really checked; every other verdict was remembered.
    pub fn checked_signatures(&self) -> u64 {
        self.verifier.checked()
    }

    /// Inputs delivered so far.
    pub fn event_count(&self) -> u64 {
        self.trace.events()
    }

    /// A hash over every input that was delivered to any node, with its time.
    pub fn trace_hash(&self) -> Digest {
        self.trace.hash()
    }
}
