//! Evidence of all channels meets the disk: saved when it changes, taken back at the start.

use super::Peer;
use crate::event::Event;
use crate::evidence::{Kept, from_saved, to_saved};
use crate::output::Output;
use crate::store::MetaKey;
use crate::types::ChannelId;
use bytes::Bytes;

impl Peer {
    /// Gives each channel what an earlier life kept of it.
    pub(super) fn restore_evidence(&mut self, saved: Option<Bytes>) {
        let Some(saved) = saved else {
            return;
        };
        let Some(kept) = from_saved(saved) else {
            let refused = Event::Refused { kind: "evidence", reason: "malformed", member: None };
            return self.outbox.event(refused);
        };
        for (channel, kept) in kept {
            if let Some(joined) = self.channels.get_mut(&channel) {
                joined.flow.restore_evidence(kept);
            }
        }
    }

    /// Saves all evidence if any channel's has changed.
    pub(super) fn save_evidence(&mut self) {
        let mut is_changed = false;
        for joined in self.channels.values_mut() {
            is_changed |= joined.flow.take_evidence_changed();
        }
        if is_changed {
            let kept = self.channels.iter().map(|(channel, joined)| (*channel, joined.flow.evidence()));
            self.outbox.push(Output::Save { key: MetaKey::Evidence, value: to_saved(kept) });
        }
    }

    /// The evidence of a joined channel.
    pub fn evidence(&self, channel: ChannelId) -> Option<&Kept> {
        self.channels.get(&channel).map(|joined| joined.flow.evidence())
    }
}
