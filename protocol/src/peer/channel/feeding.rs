//! The orderer's feed meets the window: what it brings is judged like anybody's.

use super::Channel;
use super::feed::FeedRequest;
use super::step::Step;
use super::window::SlotBody;
use crate::event::{Route, Source};
use crate::ledger::{Block, VerifiedHeader};
use crate::output::Output;
use crate::repair;
use std::collections::BTreeSet;

impl Channel {
    pub(super) fn handle_leading(&mut self, step: &mut Step<'_>, is_leading: bool) {
        if self.feed.set_leading(is_leading && !self.is_stopped()) {
            step.out.push(Output::StopFeed { channel: step.channel });
        }
    }

    pub(super) fn handle_fed(&mut self, step: &mut Step<'_>, block: Block) {
        let number = block.number();
        let hash = block.header.hash();
        if self.is_stopped() {
            return;
        }
        self.feed.on_received(number);
        if !self.window.is_inside(number) {
            return step.refuse("fed", "outside_window", None);
        }
        if block.header.header.fields().channel != step.channel
            || block.body.len() as u64 > self.config.limits().body_bytes_max()
        {
            return self.handle_false_feed(step, "wrong_channel_or_length");
        }
        let slot = self.window.slot(number);
        let is_here =
            slot.is_some_and(|it| !matches!(it.body(), SlotBody::Missing | SlotBody::Assembling(_)));
        if is_here {
            return self.count_duplicate(Some(number), block.body.len());
        }
        let proven = slot.map(|slot| slot.header.clone()).filter(|header| header.hash() == hash);
        if !self.window.hold_fed(number, hash, block.body) {
            return step.refuse("fed", "arena_full", None);
        }
        match proven {
            Some(header) => {
                self.verify_fed(step, &header);
            }
            None => {
                self.prove(step, vec![block.header], Source::Orderer, false);
            }
        }
    }

    /// The body that the feed brought for this header goes to its judgement, in place of any frames.
    pub(super) fn verify_fed(&mut self, step: &mut Step<'_>, header: &VerifiedHeader) -> bool {
        let number = header.number();
        let Some((hash, body)) = self.window.take_fed(number) else {
            return false;
        };
        if hash != header.hash() {
            self.handle_false_feed(step, "conflicting_header");
            return false;
        }
        if body.len() as u64 != header.header().fields().body_bytes {
            self.handle_false_feed(step, "false_body");
            return false;
        }
        let bytes = body.len() as u64;
        let verifying = SlotBody::Verifying { bytes, suppliers: BTreeSet::new() };
        self.window.set_body(number, verifying);
        self.verify_body(step, header.clone(), Source::Orderer, body, Route::Feed);
        true
    }

    /// The feed brought something false: it rests, and what else it brought is judged by others' copies.
    pub(super) fn handle_false_feed(&mut self, step: &mut Step<'_>, reason: &'static str) {
        step.refuse("fed", reason, None);
        self.proving.forget_source(Source::Orderer);
        self.window.drop_all_fed();
        if self.feed.rest(step.now.monotonic) {
            step.out.push(Output::StopFeed { channel: step.channel });
        }
    }

    pub(super) fn ask_feed(&mut self, step: &mut Step<'_>) {
        let request = self.feed.request(step.now.monotonic, &self.window, self.settings.feed_blocks_max);
        let channel = step.channel;
        match request {
            Some(FeedRequest::Feed(next, through)) => step.out.push(Output::Feed { channel, next, through }),
            Some(FeedRequest::Restart(next, through)) => {
                step.out.push(Output::StopFeed { channel });
                step.out.push(Output::Feed { channel, next, through });
            }
            None => {}
        }
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
