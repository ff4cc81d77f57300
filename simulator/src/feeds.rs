//! The orderer: releases scripted blocks and streams them, in order and without loss, to the peers that pull.

use crate::checks::Violation;
use crate::links::Wire;
use crate::node::NodeId;
use crate::queue::{Life, Scheduled};
use crate::world::World;
use ledgercast_protocol::Input;
use ledgercast_protocol::ledger::Block;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two attempts of a peer's feed to reach the orderer.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Orderer {
    pub(crate) is_down: bool,
    pub(crate) feeds: BTreeMap<(NodeId, ChannelId), Feed>,
    pub(crate) uplink: Wire,
    /// Bytes of bodies sent to peers.
    pub(crate) sent_bytes: u64,
    /// Blocks that were scripted, by channel, and how many of them are released.
    pub(crate) released: BTreeMap<ChannelId, u64>,
}

/// A peer's pull from the orderer.
#[derive(Debug)]
pub(crate) struct Feed {
    life: Life,
    is_up: bool,
    /// Sends of an earlier connection of this feed do not count.
    generation: u64,
    /// The next block to send.
    next: u64,
    /// The next one that has not arrived.
    missing: u64,
    /// The last one that the peer has room for.
    through: u64,
    last_arrival: Duration,
}

impl World {
    pub(crate) fn feed(&mut self, node: NodeId, channel: ChannelId, next: BlockNumber, through: BlockNumber) {
        let life = self.nodes[node.0].life;
        let (next, through) = (next.as_u64(), through.as_u64());
        match self.orderer.feeds.get_mut(&(node, channel)) {
            Some(feed) if feed.life == life => {
                feed.through = through;
                feed.next = feed.next.max(next);
                feed.missing = feed.missing.max(next);
                self.pump(node, channel);
            }
            _ => {
                let feed = Feed {
                    life,
                    is_up: false,
                    generation: 0,
                    next,
                    missing: next,
                    through,
                    last_arrival: Duration::ZERO,
                };
                self.orderer.feeds.insert((node, channel), feed);
                let at = self.now + self.links.latency * 3;
                self.queue.push(at, Scheduled::FeedConnects(node, channel, life));
            }
        }
    }

    pub(crate) fn stop_feed(&mut self, node: NodeId, channel: ChannelId) {
        self.orderer.feeds.remove(&(node, channel));
    }

    pub(crate) fn feed_connects(
        &mut self,
        node: NodeId,
        channel: ChannelId,
        life: Life,
    ) -> Result<(), Violation> {
        let can_reach = self.can_reach_orderer(node);
        let Some(feed) = self.orderer.feeds.get_mut(&(node, channel)).filter(|feed| feed.life == life) else {
            return Ok(());
        };
        if feed.is_up {
            return Ok(());
        }
        if can_reach {
            feed.is_up = true;
            feed.next = feed.missing;
            feed.generation += 1;
            self.pump(node, channel);
        } else {
            self.queue.push(self.now + RETRY, Scheduled::FeedConnects(node, channel, life));
        }
        self.deliver(node, life, Input::FeedState { channel, is_up: can_reach })
    }

    pub(crate) fn can_reach_orderer(&self, node: NodeId) -> bool {
        !self.orderer.is_down && !self.is_cut_from_orderer(node)
    }

    /// Feeds of whoever can no longer reach the orderer are lost, and try again.
    pub(crate) fn break_feeds(&mut self) -> Result<(), Violation> {
        let broken: Vec<(NodeId, ChannelId)> = self.orderer.feeds.keys().copied().collect();
        for (node, channel) in broken {
            if self.can_reach_orderer(node) {
                continue;
            }
            let Some(feed) = self.orderer.feeds.get_mut(&(node, channel)).filter(|feed| feed.is_up) else {
                continue;
            };
            feed.is_up = false;
            let life = feed.life;
            self.queue.push(self.now + RETRY, Scheduled::FeedConnects(node, channel, life));
            self.deliver(node, life, Input::FeedState { channel, is_up: false })?;
        }
        Ok(())
    }

    /// Sends what is released and what the peer has room for.
    pub(crate) fn pump(&mut self, node: NodeId, channel: ChannelId) {
        let released = self.orderer.released.get(&channel).copied().unwrap_or(1);
        loop {
            let Some(feed) = self.orderer.feeds.get_mut(&(node, channel)).filter(|feed| feed.is_up) else {
                return;
            };
            if feed.next > feed.through || feed.next >= released {
                return;
            }
            let number = BlockNumber::new(feed.next);
            let chain = self.channels.iter().find(|chain| chain.id() == channel);
            let Some(block) = chain.and_then(|chain| chain.block(number)) else {
                return;
            };
            let block: Block = block.to_block();
            let bytes = block.body.len();
            let sent = self.orderer.uplink.occupy(self.now, self.links.transmission(bytes));
            self.orderer.sent_bytes += bytes as u64;
            let arrival = sent + self.links.latency + self.random.up_to(self.links.jitter);
            feed.last_arrival = feed.last_arrival.max(arrival);
            feed.next += 1;
            let (life, generation, at) = (feed.life, feed.generation, feed.last_arrival);
            self.queue.push(at, Scheduled::FeedArrives { node, channel, life, generation, block });
        }
    }

    pub(crate) fn feed_arrives(
        &mut self,
        (node, channel, life, generation): (NodeId, ChannelId, Life, u64),
        block: Block,
    ) -> Result<(), Violation> {
        let Some(feed) = self.orderer.feeds.get_mut(&(node, channel)) else {
            return Ok(());
        };
        if feed.life != life || feed.generation != generation || !feed.is_up {
            return Ok(());
        }
        feed.missing = feed.missing.max(block.number().as_u64() + 1);
        self.deliver(node, life, Input::Fed { channel, block })
    }

    /// The orderer releases the next scripted block of a channel.
    pub(crate) fn release(&mut self, channel: ChannelId) {
        let certified = self.channels.iter().find(|chain| chain.id() == channel).map_or(0, |it| it.height());
        let released = self.orderer.released.entry(channel).or_insert(1);
        *released = (*released + 1).min(certified);
        let pulling: Vec<NodeId> = self
            .orderer
            .feeds
            .keys()
            .filter(|(_, pulled)| *pulled == channel)
            .map(|(node, _)| *node)
            .collect();
        for node in pulling {
            self.pump(node, channel);
        }
    }
}
