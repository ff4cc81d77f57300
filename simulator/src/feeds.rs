//! The orderers: they release scripted blocks and stream them, in order and without loss, to whoever pulls;
//! each may have a fault of its own.

use crate::chain::SourceChain;
use crate::checks::Violation;
use crate::links::Wire;
use crate::node::NodeId;
use crate::queue::{Life, Scheduled};
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::Input;
use ledgercast_protocol::channel::OrdererEndpoint;
use ledgercast_protocol::ledger::Block;
use ledgercast_protocol::types::{BlockNumber, ChannelId, FeedId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A node gives up an attempt to connect after this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What is wrong with one orderer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFault {
    /// Nothing.
    #[default]
    None,
    /// It refuses connections.
    Dead,
    /// It takes connections and never answers.
    Hangs,
    /// Its streams stand and bring nothing.
    Stalls,
    /// It brings headers only.
    HeadersOnly,
    /// It brings everything before this block, and headers.
    Withholds(u64),
    /// It brings each block this long after its header.
    Delays(Duration),
    /// It alters this block.
    Alters(u64),
    /// The orderers collude: beside this block they certify another header, which streams of headers bring.
    Equivocates(u64),
    /// It ends a stream of blocks in place of this block, once for each stream.
    EndsAt(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Orderers {
    pub(crate) is_down: bool,
    /// By their place among a config's sources; those that are not named are honest.
    pub(crate) faults: BTreeMap<usize, SourceFault>,
    uplinks: BTreeMap<usize, Wire>,
    streams: BTreeMap<StreamKey, Stream>,
    /// Bytes of bodies sent to peers.
    pub(crate) sent_bytes: u64,
    /// Blocks of which streams of headers bring another header.
    pub(crate) forks: BTreeSet<(ChannelId, BlockNumber)>,
    /// Numbers of which a second header is certified.
    pub(crate) equivocated: BTreeSet<(ChannelId, BlockNumber)>,
    /// Blocks that were scripted, by channel, and how many of them are released.
    pub(crate) released: BTreeMap<ChannelId, u64>,
}

/// One process's stream of one channel.
pub(crate) type StreamKey = (NodeId, ChannelId, Life, FeedId);

#[derive(Debug)]
struct Stream {
    source: usize,
    is_up: bool,
    /// The next block or header to send.
    next: u64,
    /// The last block that the peer has room for; `None`: headers.
    through: Option<u64>,
    last_arrival: Duration,
}

/// What arrives on a stream.
#[derive(Clone, Debug)]
pub(crate) enum FeedItem {
    Block(Block),
    Header(Block),
    End,
}

impl Orderers {
    /// A process is gone, and its streams with it.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.streams.retain(|(pulling, ..), _| *pulling != node);
    }

    fn fault(&self, source: usize) -> SourceFault {
        self.faults.get(&source).copied().unwrap_or_default()
    }
}

impl World {
    pub(crate) fn open_feed(
        &mut self,
        (node, channel, feed): (NodeId, ChannelId, FeedId),
        target: &OrdererEndpoint,
        blocks: Option<(BlockNumber, BlockNumber)>,
    ) {
        let chain = self.channels.iter().find(|chain| chain.id() == channel);
        let sources = chain.map(SourceChain::sources).unwrap_or_default();
        let Some(source) = sources.iter().position(|source| source == target) else {
            return;
        };
        let stream = Stream {
            source,
            is_up: false,
            next: blocks.map_or(0, |(next, _)| next.as_u64()),
            through: blocks.map(|(_, through)| through.as_u64()),
            last_arrival: Duration::ZERO,
        };
        let key = (node, channel, self.nodes[node.0].life, feed);
        self.orderers.streams.insert(key, stream);
        let takes = match self.orderers.fault(source) {
            SourceFault::Hangs => CONNECT_TIMEOUT,
            _ => self.links.latency * 3,
        };
        self.queue.push(self.now + takes, Scheduled::FeedConnects(key));
    }

    pub(crate) fn extend_feed(
        &mut self,
        node: NodeId,
        channel: ChannelId,
        feed: FeedId,
        through: BlockNumber,
    ) {
        let key = (node, channel, self.nodes[node.0].life, feed);
        if let Some(stream) = self.orderers.streams.get_mut(&key) {
            stream.through = Some(through.as_u64());
        }
        self.pump(key);
    }

    pub(crate) fn close_feed(&mut self, node: NodeId, channel: ChannelId, feed: FeedId) {
        self.orderers.streams.remove(&(node, channel, self.nodes[node.0].life, feed));
    }

    pub(crate) fn feed_connects(&mut self, key: StreamKey) -> Result<(), Violation> {
        let (node, channel, life, feed) = key;
        let may_read = self.last_readable(node, channel).is_some();
        let released = self.orderers.released.get(&channel).copied().unwrap_or(1);
        let Some(source) = self.orderers.streams.get(&key).map(|stream| stream.source) else {
            return Ok(());
        };
        if !may_read {
            return self.end_feed(key, "unknown channel, or not permitted");
        }
        if !self.can_reach_orderer(node, source) || self.orderers.fault(source) == SourceFault::Hangs {
            return self.end_feed(key, "cannot be reached");
        }
        if let Some(stream) = self.orderers.streams.get_mut(&key) {
            stream.is_up = true;
            if stream.through.is_none() {
                stream.next = released.saturating_sub(1);
            }
        }
        self.pump(key);
        self.deliver(node, life, Input::FeedOpened { channel, feed })
    }

    fn end_feed(&mut self, key: StreamKey, cause: &str) -> Result<(), Violation> {
        let (node, channel, life, feed) = key;
        if self.orderers.streams.remove(&key).is_none() {
            return Ok(());
        }
        self.deliver(node, life, Input::FeedEnded { channel, feed, cause: cause.to_owned() })
    }

    fn can_reach_orderer(&self, node: NodeId, source: usize) -> bool {
        let is_dead = self.orderers.fault(source) == SourceFault::Dead;
        !self.orderers.is_down && !is_dead && !self.is_cut_from_orderer(node)
    }

    /// Streams of whoever can no longer reach its orderer are lost.
    pub(crate) fn break_feeds(&mut self) -> Result<(), Violation> {
        let up = self.orderers.streams.iter().filter(|(_, stream)| stream.is_up);
        let broken = up.filter(|((node, ..), stream)| !self.can_reach_orderer(*node, stream.source));
        for key in broken.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.end_feed(key, "lost")?;
        }
        Ok(())
    }

    /// Sends what is released and what the peer has room for.
    fn pump(&mut self, key: StreamKey) {
        while let Some(item) = self.next_item(key) {
            let (bytes, delay) = match &item {
                FeedItem::Block(block) => {
                    self.orderers.sent_bytes += block.body.len() as u64;
                    (block.body.len(), self.delay(key))
                }
                FeedItem::Header(block) => (block.header.header.bytes().len(), Duration::ZERO),
                FeedItem::End => (0, Duration::ZERO),
            };
            let Some(stream) = self.orderers.streams.get_mut(&key) else {
                return;
            };
            let uplink = self.orderers.uplinks.entry(stream.source).or_default();
            let sent = uplink.occupy(self.now, self.links.transmission(bytes));
            let arrival = sent + delay + self.links.latency + self.random.up_to(self.links.jitter);
            stream.last_arrival = stream.last_arrival.max(arrival);
            stream.next += 1;
            self.queue.push(stream.last_arrival, Scheduled::FeedArrives(key, item));
        }
    }

    fn delay(&self, (node, channel, life, feed): StreamKey) -> Duration {
        let stream = self.orderers.streams.get(&(node, channel, life, feed));
        match stream.map(|stream| self.orderers.fault(stream.source)) {
            Some(SourceFault::Delays(delay)) => delay,
            _ => Duration::ZERO,
        }
    }

    fn next_item(&mut self, key: StreamKey) -> Option<FeedItem> {
        let stream = self.orderers.streams.get(&key).filter(|stream| stream.is_up)?;
        let released = self.orderers.released.get(&key.1).copied().unwrap_or(1);
        let (number, fault) = (stream.next, self.orderers.fault(stream.source));
        if number >= released || fault == SourceFault::Stalls {
            return None;
        }
        if number > self.last_readable(key.0, key.1)?.as_u64() {
            return None;
        }
        let chain = self.channels.iter().find(|chain| chain.id() == key.1)?;
        if !chain.serves(stream.source, BlockNumber::new(number)) {
            return None;
        }
        let mut block: Block = chain.block(BlockNumber::new(number))?.to_block();
        let Some(through) = stream.through else {
            let forked = (key.1, BlockNumber::new(number));
            if fault == SourceFault::Equivocates(number) || self.orderers.forks.contains(&forked) {
                block.header = chain.rival_of(forked.1)?;
                self.orderers.equivocated.insert(forked);
            }
            return Some(FeedItem::Header(block));
        };
        if number > through {
            return None;
        }
        match fault {
            SourceFault::HeadersOnly => return None,
            SourceFault::Withholds(withheld) if number >= withheld => return None,
            SourceFault::EndsAt(end) if number == end => return Some(FeedItem::End),
            SourceFault::Alters(altered) if number == altered => {
                let mut body = block.body.to_vec();
                body.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
                block.body = Bytes::from(body);
            }
            _ => {}
        }
        Some(FeedItem::Block(block))
    }

    /// The last block that a node may have by the newest released config.
    fn last_readable(&self, node: NodeId, channel: ChannelId) -> Option<BlockNumber> {
        let released = self.orderers.released.get(&channel).copied().unwrap_or(1);
        self.checks.isolation.last_readable(node, channel, released)
    }

    pub(crate) fn feed_arrives(&mut self, key: StreamKey, item: FeedItem) -> Result<(), Violation> {
        let (node, channel, life, feed) = key;
        if !self.orderers.streams.get(&key).is_some_and(|stream| stream.is_up) {
            return Ok(());
        }
        match item {
            FeedItem::Block(block) => self.deliver(node, life, Input::Fed { channel, feed, block }),
            FeedItem::Header(block) => {
                self.deliver(node, life, Input::FedHeader { channel, feed, header: block.header })
            }
            FeedItem::End => self.end_feed(key, "the orderer ended the stream"),
        }
    }

    /// The orderers release the next scripted block of a channel.
    pub(crate) fn release(&mut self, channel: ChannelId) {
        let certified = self.channels.iter().find(|chain| chain.id() == channel).map_or(0, |it| it.height());
        let released = self.orderers.released.entry(channel).or_insert(1);
        *released = (*released + 1).min(certified);
        let streams = self.orderers.streams.keys().filter(|(_, pulled, ..)| *pulled == channel);
        for key in streams.copied().collect::<Vec<_>>() {
            self.pump(key);
        }
    }
}
