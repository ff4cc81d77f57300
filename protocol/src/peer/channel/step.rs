//! What every part of one step needs: the time, the neighbours, and where wishes go.

use crate::event::Event;
use crate::output::Outbox;
use crate::time::Now;
use crate::types::{ChannelId, MemberId, Neighbour};
use crate::wire::ChannelMessage;

pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) channel: ChannelId,
    pub(super) neighbours: &'a [Neighbour],
    pub(super) out: &'a mut Outbox,
}

impl Step<'_> {
    pub(super) fn is_neighbour(&self, member: MemberId) -> bool {
        self.neighbours.iter().any(|neighbour| neighbour.member == member)
    }

    pub(super) fn send(&mut self, to: MemberId, message: ChannelMessage) {
        self.out.send_channel(to, self.channel, message);
    }

    pub(super) fn refuse(&mut self, kind: &'static str, reason: &'static str, member: Option<MemberId>) {
        self.out.event(Event::Refused { kind, reason, member });
    }
}
