//! A channel's config has changed: entitlements, neighbours, orgs, anchors and leadership follow from it.
//!
//! A reader that a config removes may still have blocks up to the one that removed it, on request; nothing is
//! offered to it, and what it says is not taken in. Who is removed itself only listens, asks and answers its
//! like, until a later config names it again.

use super::Peer;
use crate::channel::Access;
use crate::event::Event;
use crate::leadership;
use crate::refusal::Refusal;
use crate::state_info;
use crate::time::Now;
use crate::types::{BlockNumber, ChannelId, MemberId};
use crate::wire::ChannelMessage;

impl Peer {
    /// The one look-up that isolates channels: which blocks may be discussed with a member.
    pub(super) fn access(&self, member: MemberId, channel: ChannelId) -> Access {
        let identity = self.identities.identity(member);
        let joined = self.channels.get(&channel);
        joined
            .zip(identity)
            .map_or(Access::Nothing, |(joined, identity)| joined.flow.configs().peer_access(identity))
    }

    /// Which blocks of a joined channel I may have. A newcomer has not read yet that it may have any.
    pub(super) fn own_access(&self, channel: ChannelId) -> Access {
        self.access(self.member(), channel)
    }

    /// The last block that I may have, if a config has removed me.
    pub(super) fn removed_at(&self, channel: ChannelId) -> Option<BlockNumber> {
        match self.own_access(channel) {
            Access::Through(last) => Some(last),
            Access::Nothing | Access::Everything => None,
        }
    }

    /// Whether a message of a channel may go to a member.
    ///
    /// # Errors
    /// [`Refusal`] names the reason, `None` one that is nobody's news.
    pub(super) fn may_send(
        &self,
        to: MemberId,
        channel: ChannelId,
        message: &ChannelMessage,
    ) -> Result<(), Option<Refusal>> {
        if matches!(message, ChannelMessage::Unknown) {
            return Ok(());
        }
        let is_receiver_right = match self.access(to, channel) {
            Access::Everything => true,
            Access::Through(last) => is_within(message, last),
            Access::Nothing => false,
        };
        if !is_receiver_right {
            return Err(Some(Refusal("receiver_not_entitled")));
        }
        let is_allowed_when_removed = |last| {
            let is_question = matches!(message, ChannelMessage::WantHeaders(_) | ChannelMessage::WantBody(_));
            is_question || matches!(message, ChannelMessage::Leave(_)) || is_within(message, last)
        };
        match self.removed_at(channel) {
            Some(last) if !is_allowed_when_removed(last) => Err(None),
            _ => Ok(()),
        }
    }

    /// Draws the conclusions of a new config.
    pub(super) fn handle_config_changed(&mut self, now: Now, channel: ChannelId) {
        self.follow_orgs(now);
        self.forget_removed(now, channel);
        self.tell_channels_to_all();
        self.refresh_neighbours(now);
        let was_removed = self.channels.get(&channel).is_some_and(|joined| joined.is_removed);
        let removed_at = self.removed_at(channel);
        match removed_at {
            Some(number) if !was_removed => {
                self.outbox.event(Event::ReaderRemoved { channel, number });
                self.with_leadership(now, channel, leadership::Input::Stop);
            }
            None if was_removed => self.start_leadership(now, channel),
            _ => self.with_leadership(now, channel, leadership::Input::ContextChanged),
        }
        self.set_removed(now, channel, removed_at.is_some());
        self.handle_dial(now);
    }

    /// Notes whether a config has removed me; the orderers are asked no more then.
    pub(super) fn set_removed(&mut self, now: Now, channel: ChannelId, is_removed: bool) {
        if let Some(joined) = self.channels.get_mut(&channel) {
            joined.is_removed = is_removed;
        }
        self.pass_to_channel(now, channel, super::channel::Input::SetRemoved(is_removed));
    }

    /// State infos of who is no reader any more die with its right.
    fn forget_removed(&mut self, now: Now, channel: ChannelId) {
        let Some(joined) = self.channels.get(&channel) else {
            return;
        };
        let config = joined.config();
        let is_reader =
            |member: &MemberId| self.identities.identity(*member).is_some_and(|it| config.may_gossip(it));
        let removed: Vec<MemberId> = joined.state_info.members().filter(|it| !is_reader(it)).collect();
        for member in removed {
            self.with_state_info(now, channel, state_info::Input::MemberGone(member));
        }
    }

    /// A member whose org was removed says something: it is answered up to the block that removed it.
    pub(super) fn on_former_message(
        &mut self,
        now: Now,
        from: MemberId,
        channel: ChannelId,
        message: ChannelMessage,
        last: BlockNumber,
    ) {
        let message = match message {
            ChannelMessage::WantHeaders(mut want) if want.first <= last => {
                let count = last.saturating_since(want.first).saturating_add(1);
                want.count = want.count.min(u32::try_from(count).unwrap_or(u32::MAX));
                ChannelMessage::WantHeaders(want)
            }
            ChannelMessage::WantBody(want) if want.tip.number <= last => ChannelMessage::WantBody(want),
            message => {
                self.refuse(message.kind(), "former_reader", Some(from));
                if message.is_question() {
                    self.outbox.send_channel(from, channel, ChannelMessage::Unknown);
                }
                return;
            }
        };
        self.pass_to_channel(now, channel, super::channel::Input::FormerAsks { from, message });
    }
}

/// Whether a message is about blocks up to this one only. Frames of bodies follow what was checked.
fn is_within(message: &ChannelMessage, last: BlockNumber) -> bool {
    match message {
        ChannelMessage::Announce(tip) | ChannelMessage::Complete(tip) | ChannelMessage::Lacking(tip) => {
            tip.number <= last
        }
        ChannelMessage::Headers { headers, .. } => headers.iter().all(|it| it.header.number() <= last),
        ChannelMessage::Push(push) => push.header.header.number() <= last,
        ChannelMessage::BodyFrame { .. } => true,
        _ => false,
    }
}
