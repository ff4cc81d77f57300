//! Config updates, as the admins and orderers of a world make them.

use crate::builder::external_endpoint;
use crate::chain::SourceChain;
use crate::node::NodeId;
use crate::queue::Scheduled;
use crate::world::World;
use ledgercast_protocol::channel::ConfigUpdate;
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::proto;
use std::collections::BTreeSet;

impl World {
    /// Certifies and releases a config block with a change that all orgs' admins have signed.
    ///
    /// # Panics
    /// When there is no such channel: a mistake of the scenario.
    pub fn update_config(&mut self, channel: ChannelId, change: impl FnOnce(&mut proto::ChannelConfig)) {
        let update = self.chain(channel).changed(change, usize::MAX);
        self.submit_update(channel, &update);
    }

    /// Certifies and releases a config block with any update, right or wrong.
    ///
    /// # Panics
    /// As [`World::update_config`].
    pub fn submit_update(&mut self, channel: ChannelId, update: &ConfigUpdate) {
        let chain = self.chain_mut(channel);
        let before = chain.config().number();
        chain.extend_config(update);
        match chain.config().number() == before {
            true => self.queue.push(self.now, Scheduled::Release(channel)),
            false => self.note_update(channel),
        }
    }

    /// Names one more org in a channel's config, reader and writer, with its first peer as anchor.
    ///
    /// # Panics
    /// As [`World::update_config`].
    pub fn add_org(&mut self, channel: ChannelId, org: usize) {
        let config = self.orgs[org].config(&[external_endpoint(org, 0).to_string()]);
        self.update_config(channel, |next| next.orgs.push(config));
    }

    /// Takes an org out of a channel's config.
    ///
    /// # Panics
    /// As [`World::update_config`].
    pub fn remove_org(&mut self, channel: ChannelId, org: usize) {
        let name = self.orgs[org].name.clone();
        self.update_config(channel, |next| next.orgs.retain(|it| it.name != name));
    }

    /// Gives the channel's orderer a new key and endpoint; the old endpoint serves nothing that comes after.
    ///
    /// # Panics
    /// As [`World::update_config`].
    pub fn replace_orderer(&mut self, channel: ChannelId, endpoint: &str) {
        self.chain_mut(channel).replace_orderer(endpoint);
        self.note_update(channel);
    }

    /// Who is entitled from now on follows from the newest config.
    fn note_update(&mut self, channel: ChannelId) {
        let chain = self.chain(channel);
        let (number, config) = (chain.tip().number(), chain.config().clone());
        let is_entitled = |node: &NodeId| {
            let node = &self.nodes[node.0];
            let name = &self.orgs[node.org].name;
            let org = config.orgs().iter().find(|org| org.name == *name && org.is_reader);
            let units = node.credentials.chain.certificate.ous();
            org.is_some_and(|org| {
                org.reader_ous.is_empty() || org.reader_ous.iter().any(|unit| units.contains(unit))
            })
        };
        let entitled: BTreeSet<NodeId> = self.node_ids().filter(is_entitled).collect();
        let pairs: Vec<(NodeId, NodeId)> = self
            .node_ids()
            .flat_map(|one| (0..one.0).map(move |other| (one, NodeId(other))))
            .filter(|(one, other)| !self.share_anything(*one, *other))
            .collect();
        self.checks.isolation.updated(channel, number, entitled);
        for (one, other) in pairs {
            if self.share_anything(one, other) {
                self.checks.evictions.meet(one, other, self.now);
            }
        }
        self.queue.push(self.now, Scheduled::Release(channel));
    }

    fn chain(&self, channel: ChannelId) -> &SourceChain {
        let chain = self.channels.iter().find(|chain| chain.id() == channel);
        chain.expect("the scenario names a channel that it has built")
    }

    fn chain_mut(&mut self, channel: ChannelId) -> &mut SourceChain {
        let chain = self.channels.iter_mut().find(|chain| chain.id() == channel);
        chain.expect("the scenario names a channel that it has built")
    }
}
