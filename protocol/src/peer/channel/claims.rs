//! Announcements meet the window: what neighbours say exists, and what they turn out to lack.

use super::Channel;
use super::step::Step;
use crate::announce;
use crate::range_sync;
use crate::repair;
use crate::types::MemberId;
use crate::wire::Tip;

impl Channel {
    /// A neighbour says that a block exists, or that it has committed it.
    pub(super) fn on_announced(&mut self, step: &mut Step<'_>, from: MemberId, tip: Tip, is_complete: bool) {
        if self.held_header(tip.number).is_some_and(|held| held.hash() != tip.header_hash) {
            self.ask_rival(step, from, tip.number);
            return step.refuse("announce", "conflicting_announcement", Some(from));
        }
        if tip.number <= self.window.tip().number() {
            return;
        }
        if let Some(slot) = self.window.slot_mut(tip.number) {
            slot.announced_by.insert(from);
            slot.trace.announced.get_or_insert((from, step.now.monotonic));
            if is_complete {
                slot.committed_by.insert(from);
                self.with_repair(step, repair::Input::Held { number: tip.number, by: from });
            }
            return;
        }
        self.with_range_sync(step, range_sync::Input::Claimed { by: from, number: tip.number });
        let ahead = tip.number.saturating_since(self.window.linked().number());
        if !self.window.is_inside(tip.number) || ahead > self.settings.range_sync.live_blocks {
            return;
        }
        let is_being_proven = self.proving.contains(tip.header_hash);
        self.with_announce(step, announce::Input::Announced { from, tip, is_complete, is_being_proven });
    }

    /// A neighbour lacks a body that I asked for, or (with a zero hash) headers.
    pub(super) fn on_lacking(&mut self, step: &mut Step<'_>, from: MemberId, tip: Tip) {
        if let Some(slot) = self.window.slot_mut(tip.number)
            && slot.header.hash() == tip.header_hash
        {
            // It may have said otherwise; what it says now counts.
            slot.committed_by.remove(&from);
            self.with_repair(step, repair::Input::Lacking { from, number: tip.number });
        } else if tip.header_hash == ledgercast_crypto::Digest::ZERO {
            self.questions.close(step.now.monotonic, from, tip.number, 0);
            self.with_announce(step, announce::Input::Lacking { from, number: tip.number });
            if self.range_sync.is_asked(from, tip.number) {
                self.with_range_sync(step, range_sync::Input::Failed(from));
            }
        }
    }
}
