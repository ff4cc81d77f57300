//! Nothing of a channel, not even its id, leaves a node for one that is no member of the channel. The one
//! exception is the refusal, which names back the channel that was asked for.

use super::Violation;
use crate::node::NodeId;
use crate::traffic::SentFrame;
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::Message;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Isolation {
    pub(crate) members: BTreeMap<ChannelId, BTreeSet<NodeId>>,
}

impl Isolation {
    pub(crate) fn on_sent(&self, sent: &SentFrame<'_>) -> Result<(), Violation> {
        if let Some(channel) = sent.peek.channel.filter(|_| sent.peek.kind != "unknown") {
            self.check(sent, channel)?;
        }
        if sent.peek.kind == "channels"
            && let Ok(Message::Channels(named)) = Message::decode(sent.frame.clone())
        {
            named.into_iter().try_for_each(|channel| self.check(sent, channel))?;
        }
        Ok(())
    }

    fn check(&self, sent: &SentFrame<'_>, channel: ChannelId) -> Result<(), Violation> {
        let is_member = self.members.get(&channel).is_some_and(|members| members.contains(&sent.to));
        match is_member {
            true => Ok(()),
            false => Err(Violation::Leak { from: sent.from, to: sent.to, kind: sent.peek.kind, channel }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peek::Peek;
    use ledgercast_protocol::wire::ChannelMessage;
    use std::time::Duration;

    fn verdict(message: &Message) -> Result<(), Violation> {
        let members =
            BTreeMap::from([(ChannelId::from_bytes([1; 32]), BTreeSet::from([NodeId(0), NodeId(1)]))]);
        let frame = message.encode();
        let sent = SentFrame {
            at: Duration::ZERO,
            from: NodeId(0),
            to: NodeId(2),
            lane: message.lane(),
            peek: Peek::at(&frame),
            frame: &frame,
        };
        Isolation { members }.on_sent(&sent)
    }

    #[test]
    fn finds_a_channels_message_and_its_name_on_the_way_to_a_stranger() {
        let channel = ChannelId::from_bytes([1; 32]);

        let message = verdict(&Message::Channel(channel, ChannelMessage::WantStates(Vec::new())));
        let name = verdict(&Message::Channels(vec![channel]));
        let refusal = verdict(&Message::Channel(channel, ChannelMessage::Unknown));

        assert!(matches!(message, Err(Violation::Leak { .. })));
        assert!(matches!(name, Err(Violation::Leak { .. })));
        assert!(refusal.is_ok());
    }
}
