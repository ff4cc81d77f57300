//! Commits: whole blocks in order to the store, and what follows when they are durable.

use super::Channel;
use super::step::Step;
use super::window::{Slot, SlotBody, tip_of};
use crate::announce;
use crate::dissemination;
use crate::event::Event;
use crate::feed;
use crate::ledger::VerifiedBlock;
use crate::output::Output;
use crate::repair;
use crate::store::StoreError;
use crate::types::BlockNumber;

impl Channel {
    /// Hands contiguous whole blocks to the store, as many as may be under way.
    pub(super) fn commit_whole(&mut self, step: &mut Step<'_>) {
        while !self.is_stopped() && self.commits_in_flight < self.settings.commits_in_flight_max as u64 {
            let number = self.window.tip().number().saturating_add(self.commits_in_flight + 1);
            if self.is_held_back(number) {
                return;
            }
            // Headers are linked to their neighbours when they get their slots; here the chain has no gap.
            let whole = match self.window.slot(number).map(Slot::body) {
                Some(SlotBody::Verified(block)) => block.clone(),
                _ => return,
            };
            self.window.set_body(number, SlotBody::Committing(whole.clone()));
            self.commits_in_flight += 1;
            step.out.push(Output::Commit(whole));
        }
    }

    pub(super) fn handle_committed(&mut self, step: &mut Step<'_>, through: BlockNumber) {
        while self.window.tip().number() < through
            && let Some((slot, block)) = self.window.advance()
        {
            self.commits_in_flight = self.commits_in_flight.saturating_sub(1);
            self.handle_durable(step, slot, &block);
            self.put_in_force(step, block.number());
        }
        self.resume_deferred(step);
        let tip = self.window.tip().number();
        self.push_watch.on_committed(tip);
        self.with_dissemination(step, dissemination::Input::Committed(tip));
        self.with_repair(step, repair::Input::Committed(tip));
        self.go_on_when_lifted(step);
    }

    fn handle_durable(&mut self, step: &mut Step<'_>, slot: Slot, block: &VerifiedBlock) {
        let mut trace = slot.trace;
        trace.committed = Some(step.now.monotonic);
        self.counters.blocks_committed += 1;
        self.serving.keep(block);
        if self.traces.len() >= self.settings.traces_max {
            self.traces.pop_front();
        }
        self.traces.push_back((block.number(), trace.clone()));
        step.out.event(Event::BlockCommitted { header: slot.header.clone(), trace });
        self.with_announce(step, announce::Input::Committed(tip_of(&slot.header)));
    }

    /// The channel stands still, but for answers from what is durable.
    pub(super) fn handle_commit_failed(
        &mut self,
        step: &mut Step<'_>,
        number: BlockNumber,
        error: &StoreError,
    ) {
        // Later commits fail because the first one did; one that nobody waits for is of an earlier life of
        // the channel. Who stands still for a fork may wait for some.
        if self.is_stopped() && !self.forks.is_halted || self.commits_in_flight == 0 {
            return;
        }
        self.forks.is_halted = false;
        self.forks.is_lifting = false;
        self.failure = Some(format!("block {number} could not be stored: {error}"));
        self.with_feed(step, feed::Input::Stop);
        step.out.event(Event::CommitFailed { channel: step.channel, number, error: error.to_string() });
    }
}
