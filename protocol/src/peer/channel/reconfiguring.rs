//! Config blocks meet the window: a block with an update is judged with its body; once it is durable its
//! config is in force, and what waited for that goes on.

use super::Channel;
use super::deferred::{Ahead, is_possible};
use super::step::Step;
use super::window::SlotBody;
use crate::channel::{ChannelConfig, UpdateError};
use crate::event::{Event, Source};
use crate::feed;
use crate::job::Job;
use crate::ledger::{CertifiedHeader, VerifiedBlock, VerifiedHeader};
use crate::repair;
use crate::types::{BlockNumber, MemberId};
use crate::wire::ChannelMessage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Members that may have older blocks only and whose questions wait for the store; above it who has not asked
/// for longest is forgotten, and asks again.
const FORMER_ASKERS_MAX: usize = 256;

impl Channel {
    /// The config in force.
    pub fn config(&self) -> &Arc<ChannelConfig> {
        self.configs.current()
    }

    /// Keeps a header that names a later config; says whether this is one. Also what is refused counts.
    pub(super) fn defer(
        &mut self,
        step: &mut Step<'_>,
        header: &CertifiedHeader,
        source: Source,
        is_answer: bool,
    ) -> bool {
        let fields = header.header.fields();
        let in_force = self.config().number();
        if fields.config_number <= in_force {
            return false;
        }
        let next = self.window.tip().number().next();
        if !is_possible(fields.number, fields.config_number, next, in_force) {
            step.refuse("header", "config_impossible", source.member());
            return true;
        }
        if self.proving.admit(header.hash(), source, false) {
            self.proving.set_deferred(header.hash(), true);
            let org = step.neighbours.iter().find(|it| Some(it.member) == source.member()).map(|it| it.org);
            let ahead = Ahead { source, org, header: header.clone() };
            if let Some(no_room) = self.deferred.keep(ahead) {
                self.proving.withdraw(no_room.header.hash(), no_room.source);
                if let Source::Orderer(source) = no_room.source {
                    self.window.drop_fed(no_room.header.header.number(), source);
                }
                step.refuse("header", "deferred_full", no_room.source.member());
            }
        }
        if is_answer {
            self.proving.set_asked(header.hash());
        }
        true
    }

    /// A member is gone: its copies would wait for a config that may never come.
    pub(super) fn forget_deferred_of(&mut self, source: Source) {
        self.proving.forget_deferred(source);
        self.deferred.forget(source);
    }

    /// Something of a source was false, or of a config that was replaced: all its copies go, and can come again.
    pub(super) fn forget_copies_of(&mut self, source: Source) {
        self.proving.forget_source(source);
        self.deferred.forget(source);
    }

    /// The chain has grown or its config has changed: what can be judged now is, what never can is dropped.
    pub(super) fn resume_deferred(&mut self, step: &mut Step<'_>) {
        let (in_force, next) = (self.config().number(), self.window.tip().number().next());
        let mut ready: BTreeMap<Source, Vec<CertifiedHeader>> = BTreeMap::new();
        for ahead in self.deferred.take() {
            let (number, hash) = (ahead.header.header.number(), ahead.header.hash());
            let config_number = ahead.header.header.fields().config_number;
            let is_inside = self.window.is_inside(number);
            if !is_inside || !is_possible(number, config_number, next, in_force) {
                self.proving.take(hash);
                if is_inside {
                    step.refuse("header", "config_impossible", ahead.source.member());
                }
            } else if config_number > in_force {
                self.deferred.keep(ahead);
            } else {
                self.proving.set_deferred(hash, false);
                ready.entry(ahead.source).or_default().push(ahead.header);
            }
        }
        for (from, headers) in ready {
            step.out.verify(Job::Headers { from, config: self.config().clone(), headers });
        }
    }

    /// Headers were proven under a config that was replaced meanwhile: above the tip they prove nothing.
    pub(super) fn drop_superseded(&mut self, step: &mut Step<'_>, headers: &[VerifiedHeader]) {
        for header in headers {
            self.proving.take(header.hash());
            if header.number() > self.window.tip().number() {
                step.refuse("header", "config_superseded", None);
            }
        }
    }

    /// A whole config block whose update is right: it comes into force when the block is durable.
    pub(super) fn keep_update(&mut self, number: BlockNumber, next: Arc<ChannelConfig>) {
        self.updates.insert(number, next);
    }

    /// A certified block with an update that is not right: the channel ends before it. The sender is not to
    /// blame.
    pub(super) fn handle_refused_update(&mut self, block: VerifiedBlock, error: UpdateError) {
        let number = block.number();
        self.window.set_body(number, SlotBody::Verified(block));
        if self.refused_update.as_ref().is_none_or(|(earlier, _)| number < *earlier) {
            self.refused_update = Some((number, error));
        }
    }

    /// Whether this block must wait: an earlier one changes the config, or it must never be stored.
    pub(super) fn is_held_back(&self, number: BlockNumber) -> bool {
        let is_refused = self.refused_update.as_ref().is_some_and(|(refused, _)| number >= *refused);
        is_refused || self.updates.range(..number).next().is_some()
    }

    /// All blocks before a refused update are durable: here the channel ends.
    pub(super) fn stop_before_refused_update(&mut self, step: &mut Step<'_>) {
        let next = self.window.tip().number().next();
        let Some((number, error)) = self.refused_update.take_if(|(number, _)| *number == next) else {
            return;
        };
        let error = error.to_string();
        self.failure = Some(format!("block {number} is certified, but its config is refused: {error}"));
        self.with_feed(step, feed::Input::Stop);
        step.out.event(Event::ConfigRefused { channel: step.channel, number, error });
    }

    /// A config block is durable: its config is in force from the next block on.
    pub(super) fn put_in_force(&mut self, step: &mut Step<'_>, number: BlockNumber) {
        let Some(next) = self.updates.remove(&number) else {
            return;
        };
        self.configs.apply(number, Arc::clone(&next));
        self.updates.clear();
        self.refused_update = None;
        let event = Event::ConfigChanged { channel: step.channel, number, config: Arc::clone(&next) };
        step.out.event(event);
        for dropped in self.window.drop_above_tip(next.limits().body_bytes_max()) {
            step.refuse("header", "config_superseded", None);
            self.with_repair(step, repair::Input::Complete(dropped));
        }
        self.follow_sources(step);
    }

    pub(super) fn handle_removed(&mut self, step: &mut Step<'_>, is_removed: bool) {
        self.is_removed = is_removed;
        self.follow_sources(step);
    }

    /// A member that may only have blocks up to one that is durable here asks for some of them.
    pub(super) fn on_former(&mut self, step: &mut Step<'_>, from: MemberId, message: ChannelMessage) {
        self.former_askers.retain(|it| *it != from);
        if self.former_askers.len() >= FORMER_ASKERS_MAX {
            self.former_askers.pop_front();
        }
        self.former_askers.push_back(from);
        match message {
            ChannelMessage::WantHeaders(want) => self.on_want_headers(step, from, want),
            ChannelMessage::WantBody(want) => self.on_want_body(step, from, want),
            message => step.refuse(message.kind(), "former_reader", Some(from)),
        }
    }

    /// Whether an answer may still go to who has asked.
    pub(super) fn may_answer(&self, step: &Step<'_>, asker: MemberId) -> bool {
        step.is_neighbour(asker) || self.former_askers.contains(&asker)
    }
}
