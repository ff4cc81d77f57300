//! Bodies: frames taken in, put together, judged; and who is to blame for a false one.

use super::Channel;
use super::assembly::frame_bytes;
use super::step::Step;
use super::window::{Slot, SlotBody};
use crate::channel::{ChannelConfig, UpdateError};
use crate::event::{Route, Source};
use crate::job::Job;
use crate::ledger::{BlockError, VerifiedBlock, VerifiedHeader};
use crate::offence::Offence;
use crate::repair;
use crate::types::{BlockNumber, MemberId};
use bytes::Bytes;
use ledgercast_crypto::Digest;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Channel {
    pub(super) fn on_frame(
        &mut self,
        step: &mut Step<'_>,
        from: MemberId,
        header_hash: Digest,
        index: u32,
        payload: &[u8],
    ) {
        if let Some(number) = self.window.number_of(header_hash) {
            self.add_frame(step, number, from, index, payload);
        } else if self.serving.is_recent(header_hash) {
            self.count_duplicate(None, payload.len());
        } else if !self.proving.keep_frame(header_hash, from, index, payload) {
            step.refuse("body_frame", "frame_unasked", Some(from));
        }
    }

    /// Takes a frame of a proven header, if its sender pushes this body or was asked for it.
    pub(super) fn add_frame(
        &mut self,
        step: &mut Step<'_>,
        number: BlockNumber,
        from: MemberId,
        index: u32,
        payload: &[u8],
    ) {
        let Some(slot) = self.window.slot(number) else {
            return;
        };
        let body_bytes = slot.body_bytes();
        if slot.pushers.contains(&from) {
            self.push_watch.on_pushed(number);
        }
        if frame_bytes(body_bytes, index) != Some(payload.len() as u64) {
            let found = u64::from(index) * crate::wire::BODY_FRAME_BYTES as u64 + payload.len() as u64;
            let error = BlockError::BodyLength { number, found, expected: body_bytes };
            return step.out.offence(from, Offence::FalseBody(error));
        }
        if !matches!(slot.body(), SlotBody::Missing | SlotBody::Assembling(_)) {
            return self.count_duplicate(Some(number), payload.len());
        }
        let is_exclusive = self.repair.is_exclusive(number);
        let is_pushed = slot.pushers.contains(&from) && !is_exclusive;
        if !is_pushed && !self.repair.expects(number, from) {
            return step.refuse("body_frame", "frame_unasked", Some(from));
        }
        if is_exclusive && has_other_supplier(slot, from) {
            self.window.set_body(number, SlotBody::Missing);
        }
        let Some(assembly) = self.window.assembly(number) else {
            return step.refuse("body_frame", "arena_full", Some(from));
        };
        if !assembly.add(from, index, payload) {
            return self.count_duplicate(Some(number), payload.len());
        }
        let is_complete = assembly.is_complete();
        self.with_repair(step, repair::Input::Progress { number, from });
        if is_complete {
            self.verify_assembled(step, number, from, is_pushed);
        }
    }

    fn verify_assembled(
        &mut self,
        step: &mut Step<'_>,
        number: BlockNumber,
        last: MemberId,
        is_pushed: bool,
    ) {
        let questions = self.repair.questions(number);
        let Some(slot) = self.window.slot_mut(number) else {
            return;
        };
        slot.trace.questions = slot.trace.questions.saturating_add(questions);
        let header = slot.header.clone();
        let bytes = slot.body_bytes();
        let route = match (is_pushed, slot.is_history) {
            (true, _) => Route::Push,
            (false, true) => Route::RangeSync,
            (false, false) => Route::Repair,
        };
        let verifying = SlotBody::Verifying { bytes, suppliers: BTreeSet::new() };
        let Some(SlotBody::Assembling(assembly)) = self.window.set_body(number, verifying) else {
            return;
        };
        let (body, suppliers) = assembly.finish();
        self.window.set_body(number, SlotBody::Verifying { bytes, suppliers });
        self.verify_body(step, header, Source::Peer(last), body, route);
    }

    /// Has a whole body judged; its slot is verifying already.
    pub(super) fn verify_body(
        &mut self,
        step: &mut Step<'_>,
        header: VerifiedHeader,
        from: Source,
        body: Bytes,
        route: Route,
    ) {
        let number = header.number();
        if let Some(slot) = self.window.slot_mut(number) {
            slot.trace.body = Some((from, route, step.now.monotonic));
        }
        self.with_repair(step, repair::Input::Complete(number));
        let config = self.config().clone();
        step.out.verify(Job::Body { from, header, body, config });
    }

    pub(super) fn handle_judged_body(
        &mut self,
        step: &mut Step<'_>,
        from: Source,
        header: &VerifiedHeader,
        block: Result<VerifiedBlock, BlockError>,
        update: Option<Result<Arc<ChannelConfig>, UpdateError>>,
    ) {
        let is_verifying = self.window.number_of(header.hash()).is_some_and(|number| {
            let slot = self.window.slot(number);
            slot.is_some_and(|slot| matches!(slot.body(), SlotBody::Verifying { .. }))
        });
        if !is_verifying {
            return;
        }
        match (block, update) {
            (Err(error), _) => self.handle_false_body(step, from, header, error),
            (Ok(block), Some(Err(error))) => self.handle_refused_update(block, error),
            (Ok(block), update) => {
                if let Some(Ok(next)) = update {
                    self.keep_update(block.number(), next);
                }
                self.handle_whole(step, from, block);
            }
        }
    }

    fn handle_whole(&mut self, step: &mut Step<'_>, from: Source, block: VerifiedBlock) {
        let number = block.number();
        self.window.set_body(number, SlotBody::Verified(block.clone()));
        if let Some(slot) = self.window.slot_mut(number) {
            slot.trace.verified = Some(step.now.monotonic);
        }
        let is_root = matches!(from, Source::Orderer(_)) && self.feed.is_leading();
        self.pass_on(step, &block, is_root);
    }

    /// A single supplier is guilty; of several nobody can be blamed, and the body is fetched again from one
    /// at a time.
    fn handle_false_body(
        &mut self,
        step: &mut Step<'_>,
        from: Source,
        header: &VerifiedHeader,
        error: BlockError,
    ) {
        let number = header.number();
        let old = self.window.set_body(number, SlotBody::Missing);
        let Some(slot) = self.window.slot_mut(number) else {
            return;
        };
        let (tip, body_bytes) = (slot.tip(), slot.body_bytes());
        let suppliers = match old {
            Some(SlotBody::Verifying { suppliers, .. }) => suppliers,
            _ => BTreeSet::new(),
        };
        let guilty: Vec<MemberId> = suppliers.into_iter().collect();
        if let [guilty] = guilty[..] {
            slot.committed_by.remove(&guilty);
            slot.announced_by.remove(&guilty);
            step.out.offence(guilty, Offence::FalseBody(error));
        }
        self.with_repair(step, repair::Input::Mixed { tip, body_bytes });
        if let Source::Orderer(source) = from {
            self.handle_false_feed(step, source, "false_body");
        }
    }

    /// A body was not judged and will not be: it is fetched again.
    pub(super) fn give_up_body(&mut self, step: &mut Step<'_>, header: &VerifiedHeader) {
        if let Some(slot) = self.window.slot(header.number())
            && matches!(slot.body(), SlotBody::Verifying { .. })
        {
            let (tip, body_bytes) = (slot.tip(), slot.body_bytes());
            self.window.set_body(tip.number, SlotBody::Missing);
            self.with_repair(step, repair::Input::Wanted { tip, body_bytes, is_history: false });
        }
    }

    pub(super) fn count_duplicate(&mut self, number: Option<BlockNumber>, bytes: usize) {
        self.counters.frames_duplicate += 1;
        self.counters.duplicate_bytes += bytes as u64;
        if let Some(slot) = number.and_then(|number| self.window.slot_mut(number)) {
            slot.trace.duplicate_bytes += bytes as u64;
        }
    }
}

fn has_other_supplier(slot: &Slot, member: MemberId) -> bool {
    match slot.body() {
        SlotBody::Assembling(assembly) => assembly.has_other_supplier(member),
        _ => false,
    }
}
