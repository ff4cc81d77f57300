//! Streams from orderers meet the window: what they bring is judged like anybody's.

use super::deferred::is_possible;
use super::step::Step;
use super::window::{Slot, SlotBody, Window};
use super::{Channel, Settings};
use crate::channel::{Orderer, OrdererEndpoint};
use crate::event::{Route, Source};
use crate::feed::{self, ProvenHeader, Room, Turn};
use crate::ledger::{Block, CertifiedHeader, VerifiedHeader};
use crate::repair;
use crate::types::{BlockNumber, FeedId, SourceId};
use std::collections::BTreeSet;

/// The window as the feed sees it.
pub(super) struct Ahead<'a> {
    window: &'a Window,
    blocks_max: u64,
}

impl<'a> Ahead<'a> {
    pub(super) fn of(window: &'a Window, settings: &Settings) -> Self {
        Self { window, blocks_max: settings.feed_blocks_max }
    }
}

impl Room for Ahead<'_> {
    fn first_missing(&self) -> BlockNumber {
        self.window.lowest_missing()
    }

    fn last_wanted(&self, first: BlockNumber) -> Option<BlockNumber> {
        let credit = match self.window.room_for_largest() {
            0 => u64::from(self.window.has_room_for_largest(first)),
            blocks => blocks.min(self.blocks_max),
        };
        let last = first.saturating_add(credit.saturating_sub(1)).min(self.window.end());
        (credit > 0 && first <= last).then_some(last)
    }

    fn proven(&self, number: BlockNumber) -> Option<ProvenHeader> {
        let slot = self.window.slot(number)?;
        let (_, at) = slot.trace.header?;
        Some(ProvenHeader { at, body_bytes: slot.body_bytes() })
    }

    fn proven_tip(&self) -> BlockNumber {
        self.window.linked().number()
    }
}

impl Channel {
    /// The orderers of the config in force are streamed from, from now on.
    pub(super) fn follow_sources(&mut self, step: &mut Step<'_>) {
        let sources = match self.is_removed {
            true => Vec::new(),
            false => self.innocent_sources(),
        };
        self.with_feed(step, feed::Input::Sources(sources));
    }

    /// Without those that signed two headers of one number, as long as others are left.
    fn innocent_sources(&self) -> Vec<OrdererEndpoint> {
        let all = self.settings.feed.sources(self.config());
        let orderers = self.config().orderers().iter();
        let guilty: Vec<OrdererEndpoint> =
            orderers.filter(|it| self.forks.kept.is_guilty(&it.key)).map(Orderer::to_endpoint).collect();
        let innocent: Vec<_> = all.iter().filter(|source| !guilty.contains(source)).cloned().collect();
        if innocent.is_empty() { all } else { innocent }
    }

    pub(super) fn handle_leading(&mut self, step: &mut Step<'_>, is_leading: bool) {
        if is_leading {
            self.push_watch.clear();
        }
        self.with_feed(step, feed::Input::SetLeading(is_leading));
    }

    pub(super) fn handle_fed(&mut self, step: &mut Step<'_>, feed: FeedId, block: Block) {
        let number = block.number();
        let hash = block.header.hash();
        if self.is_stopped() {
            return;
        }
        let room = Ahead::of(&self.window, &self.settings);
        let turn = self.feed.on_block(step.now.monotonic, feed, number, &room, step.out);
        let Some(source) = in_turn(step, turn) else {
            return;
        };
        if !self.window.is_inside(number) {
            return step.refuse("fed", "outside_window", None);
        }
        // Under a later config other limits may hold; the arena's room bounds such a body.
        let is_ahead = block.header.header.fields().config_number > self.config().number();
        let bytes_max = if is_ahead { u64::MAX } else { self.config().limits().body_bytes_max() };
        if block.header.header.fields().channel != step.channel || block.body.len() as u64 > bytes_max {
            return self.handle_false_feed(step, source, "wrong_channel_or_length");
        }
        let slot = self.window.slot(number);
        if slot.is_some_and(Slot::is_whole) {
            return self.count_duplicate(Some(number), block.body.len());
        }
        let proven = slot.map(|slot| slot.header.clone()).filter(|header| header.hash() == hash);
        if !self.window.hold_fed(number, source, hash, block.body) {
            return step.refuse("fed", "arena_full", None);
        }
        match proven {
            Some(header) => {
                self.verify_fed(step, &header);
            }
            None => {
                let config_number = block.header.header.fields().config_number;
                self.prove(step, vec![block.header], Source::Orderer(source), false);
                // Without a proof of this very copy under way its body might wait for ever.
                if !self.proving.holds(hash, Source::Orderer(source)) {
                    self.handle_unprovable_fed(step, feed, (number, source), config_number);
                }
            }
        }
    }

    /// A fed block's header cannot be judged: no honest orderer serves it, or I have no room for it.
    fn handle_unprovable_fed(
        &mut self,
        step: &mut Step<'_>,
        feed: FeedId,
        (number, source): (BlockNumber, SourceId),
        config_number: u64,
    ) {
        let next = self.window.tip().number().next();
        if !is_possible(number, config_number, next, self.config().number()) {
            return self.handle_false_feed(step, source, "not_to_be_proven");
        }
        self.window.drop_fed(number, source);
        self.with_feed(step, feed::Input::TooFar(feed));
    }

    /// Headers of orderers tell what exists, whatever peers say; the first of a stream may be an old one.
    pub(super) fn handle_fed_header(&mut self, step: &mut Step<'_>, feed: FeedId, header: CertifiedHeader) {
        let number = header.header.number();
        if self.is_stopped() {
            return;
        }
        let turn = self.feed.on_header(step.now.monotonic, feed, number, step.out);
        let Some(source) = in_turn(step, turn) else {
            return;
        };
        if header.header.fields().channel != step.channel {
            return self.handle_false_feed(step, source, "wrong_channel_or_length");
        }
        if number > self.window.end() {
            step.refuse("fed_header", "outside_window", None);
            return self.with_feed(step, feed::Input::TooFar(feed));
        }
        let is_history = turn == Turn::First(source) && !self.feed.is_leading();
        self.prove(step, vec![header], Source::Orderer(source), is_history);
    }

    /// The body that a feed brought for this header goes to its judgement, in place of any frames.
    pub(super) fn verify_fed(&mut self, step: &mut Step<'_>, header: &VerifiedHeader) -> bool {
        let number = header.number();
        let Some(fed) = self.window.take_fed(number) else {
            return false;
        };
        let bytes = fed.body.len() as u64;
        let false_reason = match () {
            () if fed.header_hash != header.hash() => Some("conflicting_header"),
            () if bytes != header.header().fields().body_bytes => Some("false_body"),
            () => None,
        };
        if let Some(reason) = false_reason {
            self.handle_false_feed(step, fed.source, reason);
            return false;
        }
        let verifying = SlotBody::Verifying { bytes, suppliers: BTreeSet::new() };
        self.window.set_body(number, verifying);
        self.verify_body(step, header.clone(), Source::Orderer(fed.source), fed.body, Route::Feed);
        true
    }

    /// A source brought something false: it is tried last, and what else it brought is judged by others'
    /// copies.
    pub(super) fn handle_false_feed(&mut self, step: &mut Step<'_>, source: SourceId, reason: &'static str) {
        step.refuse("fed", reason, None);
        self.forget_copies_of(Source::Orderer(source));
        self.window.drop_fed_by(source);
        self.with_feed(step, feed::Input::False { source, reason });
    }

    /// Headers that were not judged and will not be: they come again from others, or from a new stream.
    pub(super) fn give_up_headers(&mut self, step: &mut Step<'_>, from: Source, headers: &[CertifiedHeader]) {
        match from {
            Source::Orderer(source) => self.handle_false_feed(step, source, "verifier_overloaded"),
            Source::Peer(_) => headers.iter().for_each(|it| self.proving.withdraw(it.hash(), from)),
        }
    }

    pub(super) fn with_feed(&mut self, step: &mut Step<'_>, input: feed::Input) {
        let room = Ahead::of(&self.window, &self.settings);
        self.feed.handle(step.now.monotonic, input, &room, step.out);
    }

    pub(super) fn with_repair(&mut self, step: &mut Step<'_>, input: repair::Input) {
        let context = repair::Context {
            channel: step.channel,
            org: self.org,
            neighbours: step.neighbours,
            bodies: &self.window,
        };
        self.repair.handle(step.now, input, &context, step.out);
    }
}

fn in_turn(step: &mut Step<'_>, turn: Turn) -> Option<SourceId> {
    match turn {
        Turn::First(source) | Turn::Next(source) => Some(source),
        Turn::Stale => None,
        Turn::OutOfTurn => {
            step.refuse("fed", "out_of_turn", None);
            None
        }
    }
}
