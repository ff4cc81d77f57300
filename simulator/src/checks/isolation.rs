//! Nothing of a channel, not even its id, leaves a node for one that is no member of the channel by the
//! config that the sender knows. The exceptions are the refusal, which names back the channel that was asked
//! for, and blocks up to the one that removed a member, which it may still have.

use super::Violation;
use crate::node::NodeId;
use crate::traffic::SentFrame;
use ledgercast_crypto::Digest;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::{ChannelMessage, Message};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// By channel: each config's readers, with the block that brought it.
    configs: BTreeMap<ChannelId, Vec<(BlockNumber, BTreeSet<NodeId>)>>,
    /// The place of the config that a node's process has in force.
    in_force: BTreeMap<(NodeId, ChannelId), usize>,
}

impl Isolation {
    /// A channel begins with these readers.
    pub(crate) fn found(&mut self, channel: ChannelId, readers: BTreeSet<NodeId>) {
        self.configs.insert(channel, vec![(BlockNumber::GENESIS, readers)]);
    }

    /// A block of a channel brings a config; one that is not right changes nothing.
    pub(crate) fn updated(&mut self, channel: ChannelId, number: BlockNumber, readers: BTreeSet<NodeId>) {
        self.configs.entry(channel).or_default().push((number, readers));
    }

    /// A process has this many config blocks behind it.
    pub(crate) fn set_in_force(&mut self, node: NodeId, channel: ChannelId, updates: usize) {
        self.in_force.insert((node, channel), updates);
    }

    /// A process has put a config in force.
    pub(crate) fn on_changed(&mut self, node: NodeId, channel: ChannelId) {
        *self.in_force.entry((node, channel)).or_default() += 1;
    }

    /// The readers by the newest config.
    pub(crate) fn members(&self, channel: ChannelId) -> Option<&BTreeSet<NodeId>> {
        self.configs.get(&channel)?.last().map(|(_, readers)| readers)
    }

    /// The last block that a node may have by the newest config below this height; `None`: it may have none.
    pub(crate) fn last_readable(&self, node: NodeId, channel: ChannelId, height: u64) -> Option<BlockNumber> {
        let configs = self.configs.get(&channel)?;
        let known = configs.partition_point(|(number, _)| number.as_u64() < height).max(1);
        self.last_by(node, &configs[..known.min(configs.len())])
    }

    fn last_by(&self, node: NodeId, configs: &[(BlockNumber, BTreeSet<NodeId>)]) -> Option<BlockNumber> {
        let last = configs.iter().rposition(|(_, readers)| readers.contains(&node))?;
        Some(configs.get(last + 1).map_or(BlockNumber::new(u64::MAX), |(number, _)| *number))
    }

    pub(crate) fn on_sent(
        &self,
        sent: &SentFrame<'_>,
        number_of: impl Fn(ChannelId, Digest) -> Option<BlockNumber>,
    ) -> Result<(), Violation> {
        if let Some(channel) = sent.peek.channel.filter(|_| sent.peek.kind != "unknown") {
            match self.last_of(sent, channel) {
                Some(last) if last.as_u64() == u64::MAX => {}
                Some(last) if is_within(sent, last, &number_of) => {}
                _ => return Err(leak(sent, channel)),
            }
        }
        if sent.peek.kind == "channels"
            && let Ok(Message::Channels(named)) = Message::decode(sent.frame.clone())
            && let Some(channel) = named.into_iter().find(|it| self.last_of(sent, *it).is_none())
        {
            return Err(leak(sent, channel));
        }
        Ok(())
    }

    /// The last block that the receiver may have, by the config that the sender has in force.
    fn last_of(&self, sent: &SentFrame<'_>, channel: ChannelId) -> Option<BlockNumber> {
        self.last_by(sent.to, self.known_to(sent.from, channel)?)
    }

    /// The configs up to the one that a node's process has in force.
    pub(crate) fn known_to(
        &self,
        node: NodeId,
        channel: ChannelId,
    ) -> Option<&[(BlockNumber, BTreeSet<NodeId>)]> {
        let configs = self.configs.get(&channel)?;
        let place = self.in_force.get(&(node, channel)).copied().unwrap_or_default();
        Some(&configs[..=place.min(configs.len() - 1)])
    }

    /// Whether two nodes are readers of one channel by its newest config.
    pub(crate) fn share(&self, one: NodeId, other: NodeId) -> bool {
        let newest = self.configs.values().filter_map(|configs| configs.last());
        newest.into_iter().any(|(_, readers)| readers.contains(&one) && readers.contains(&other))
    }
}

fn is_within(
    sent: &SentFrame<'_>,
    last: BlockNumber,
    number_of: &impl Fn(ChannelId, Digest) -> Option<BlockNumber>,
) -> bool {
    let Ok(Message::Channel(channel, message)) = Message::decode(sent.frame.clone()) else {
        return false;
    };
    match message {
        ChannelMessage::Announce(tip) | ChannelMessage::Complete(tip) | ChannelMessage::Lacking(tip) => {
            tip.number <= last
        }
        ChannelMessage::Headers { headers, .. } => headers.iter().all(|it| it.header.number() <= last),
        ChannelMessage::Push(push) => push.header.header.number() <= last,
        ChannelMessage::BodyFrame { header_hash, .. } => {
            number_of(channel, header_hash).is_some_and(|number| number <= last)
        }
        _ => false,
    }
}

fn leak(sent: &SentFrame<'_>, channel: ChannelId) -> Violation {
    Violation::Leak { from: sent.from, to: sent.to, kind: sent.peek.kind, channel }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peek::Peek;
    use ledgercast_protocol::wire::Tip;
    use std::time::Duration;

    const CHANNEL: ChannelId = ChannelId::from_bytes([1; 32]);

    /// Nodes 0 and 1 read from the start; block 5 removes node 3.
    fn isolation() -> Isolation {
        let mut isolation = Isolation::default();
        isolation.found(CHANNEL, BTreeSet::from([NodeId(0), NodeId(1), NodeId(3)]));
        isolation.updated(CHANNEL, BlockNumber::new(5), BTreeSet::from([NodeId(0), NodeId(1)]));
        isolation.set_in_force(NodeId(0), CHANNEL, 1);
        isolation
    }

    fn verdict(to: usize, message: &Message) -> Result<(), Violation> {
        let frame = message.encode();
        let sent = SentFrame {
            at: Duration::ZERO,
            from: NodeId(0),
            to: NodeId(to),
            lane: message.lane(),
            peek: Peek::at(&frame),
            frame: &frame,
        };
        isolation().on_sent(&sent, |_, _| None)
    }

    #[test]
    fn finds_a_channels_message_and_its_name_on_the_way_to_a_stranger() {
        let message = verdict(2, &Message::Channel(CHANNEL, ChannelMessage::WantStates(Vec::new())));
        let name = verdict(2, &Message::Channels(vec![CHANNEL]));
        let refusal = verdict(2, &Message::Channel(CHANNEL, ChannelMessage::Unknown));

        assert!(matches!(message, Err(Violation::Leak { .. })));
        assert!(matches!(name, Err(Violation::Leak { .. })));
        assert!(refusal.is_ok());
    }

    #[test]
    fn finds_what_a_removed_member_may_not_have() {
        let complete = |number| {
            let tip = Tip { number: BlockNumber::new(number), header_hash: Digest::ZERO };
            verdict(3, &Message::Channel(CHANNEL, ChannelMessage::Complete(tip)))
        };

        assert!(complete(5).is_ok());
        assert!(matches!(complete(6), Err(Violation::Leak { .. })));
        let digest = Message::Channel(CHANNEL, ChannelMessage::StateDigest(Vec::new()));
        assert!(matches!(verdict(3, &digest), Err(Violation::Leak { .. })));
        assert!(verdict(1, &digest).is_ok());
    }
}
