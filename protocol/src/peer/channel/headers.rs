//! Headers: asked for, judged, linked, and told to others.

use super::Channel;
use super::proving::Entry;
use super::questions::Answer;
use super::step::Step;
use super::window::tip_of;
use crate::announce;
use crate::channel::ChannelConfig;
use crate::event::Source;
use crate::job::Job;
use crate::ledger::{BlockError, CertifiedHeader, VerifiedHeader};
use crate::offence::Offence;
use crate::range_sync;
use crate::repair;
use crate::types::{BlockNumber, MemberId};

impl Channel {
    /// An answer to a question for headers: it must be one, contiguous and chained.
    pub(super) fn on_headers(
        &mut self,
        step: &mut Step<'_>,
        from: MemberId,
        first: BlockNumber,
        headers: Vec<CertifiedHeader>,
    ) {
        let answer = self.questions.close(step.now.monotonic, from, first, headers.len());
        let numbers = (0..).map(|offset| first.saturating_add(offset));
        let is_contiguous = headers.iter().zip(numbers).all(|(it, number)| it.header.number() == number);
        if answer == Answer::Unasked || !is_contiguous {
            return step.out.offence(from, Offence::UnaskedHeaders { channel: step.channel, first });
        }
        if let Some(number) = broken_link(&headers) {
            return step.out.offence(from, Offence::FalseHeader(BlockError::BrokenChain(number)));
        }
        if answer == Answer::Forgotten {
            return step.refuse("headers", "answer_too_late", Some(from));
        }
        let is_history = self.range_sync.is_asked(from, first);
        if is_history {
            let through = headers.last().map_or(first, |it| it.header.number());
            self.with_range_sync(step, range_sync::Input::Answered { by: from, through });
        }
        let is_any_new = self.prove(step, headers, Source::Peer(from), is_history);
        if is_history && !is_any_new {
            self.with_range_sync(step, range_sync::Input::Proven(from));
        }
    }

    /// Has those headers verified that are inside the window and not proven yet; whether there are any.
    pub(super) fn prove(
        &mut self,
        step: &mut Step<'_>,
        headers: Vec<CertifiedHeader>,
        source: Source,
        is_history: bool,
    ) -> bool {
        let mut admitted = Vec::with_capacity(headers.len());
        for header in headers {
            let (hash, number) = (header.hash(), header.header.number());
            let is_known = self.window.number_of(hash).is_some() || !self.window.is_inside(number);
            if is_known || self.defer(step, &header, source, is_history) {
                continue;
            }
            if self.proving.admit(hash, source, is_history) {
                admitted.push(header);
            }
        }
        let is_any_new = !admitted.is_empty();
        if is_any_new {
            step.out.verify(Job::Headers { from: source, config: self.config().clone(), headers: admitted });
        }
        is_any_new
    }

    pub(super) fn handle_judged_headers(
        &mut self,
        step: &mut Step<'_>,
        source: Source,
        config: &ChannelConfig,
        headers: Result<Vec<VerifiedHeader>, BlockError>,
    ) {
        match headers {
            Ok(headers) => {
                let headers = match config.number() == self.config().number() {
                    true => headers,
                    false => {
                        self.drop_superseded(step, &headers);
                        Vec::new()
                    }
                };
                for header in headers {
                    self.handle_proven(step, header, source);
                }
                if let Source::Peer(member) = source {
                    self.with_range_sync(step, range_sync::Input::Proven(member));
                }
            }
            Err(error) => self.handle_false_headers(step, source, error),
        }
    }

    fn handle_false_headers(&mut self, step: &mut Step<'_>, source: Source, error: BlockError) {
        self.forget_copies_of(source);
        match (source, error) {
            (Source::Orderer(source), _) => self.handle_false_feed(step, source, "false_header"),
            // Of a config that was replaced: wrong by my chain, which may be longer than the sender's.
            (Source::Peer(member), BlockError::WrongConfig { .. }) => {
                step.refuse("headers", "config_superseded", Some(member));
                self.with_range_sync(step, range_sync::Input::Failed(member));
            }
            (Source::Peer(member), error) => {
                step.out.offence(member, Offence::FalseHeader(error));
                self.with_range_sync(step, range_sync::Input::Failed(member));
            }
        }
    }

    fn handle_proven(&mut self, step: &mut Step<'_>, header: VerifiedHeader, source: Source) {
        let (number, hash) = (header.number(), header.hash());
        let entry = self.proving.take(hash);
        if !self.window.is_inside(number) {
            return;
        }
        if self.window.number_of(hash).is_none() {
            let is_asked = entry.as_ref().is_some_and(|entry| entry.is_asked);
            let is_history = is_asked && self.is_history(step, number, source);
            let is_conflicting =
                self.window.slot(number).is_some() || self.window.insert(header.clone(), is_history).is_err();
            if is_conflicting {
                return step.refuse("header", "conflicting_header", source.member());
            }
            self.handle_new_slot(step, &header, source, is_asked);
        }
        self.release_waiting(step, &header, entry);
    }

    /// A header is proven for the first time: others are told, its body is wanted.
    fn handle_new_slot(
        &mut self,
        step: &mut Step<'_>,
        header: &VerifiedHeader,
        source: Source,
        is_asked: bool,
    ) {
        let tip = tip_of(header);
        let at = step.now.monotonic;
        let announcers = self.announce.take_announcers(tip);
        let Some(slot) = self.window.slot_mut(tip.number) else {
            return;
        };
        slot.trace.header = Some((source, at));
        slot.trace.announced = announcers.first().map(|it| (it.member, it.at));
        for announcer in &announcers {
            slot.announced_by.insert(announcer.member);
            if announcer.is_complete {
                slot.committed_by.insert(announcer.member);
            }
        }
        let member = source.member();
        slot.announced_by.extend(member);
        let (body_bytes, is_history) = (slot.body_bytes(), slot.is_history);
        self.with_announce(step, announce::Input::Proven { tip, source: member });
        if !self.verify_fed(step, header) {
            // A header that I had to ask for is no sign that its push should have begun by now.
            let is_pushed = !is_asked && self.settings.dissemination.is_enabled && !self.feed.is_leading();
            if is_pushed {
                self.push_watch.expect(tip.number, at);
            }
            // Without pushes nothing is worth waiting for.
            let is_history = is_history || !self.settings.dissemination.is_enabled;
            self.with_repair(step, repair::Input::Wanted { tip, body_bytes, is_history });
        }
    }

    /// Whether no push is to be expected for a header that I had to ask for: somebody states to hold its
    /// block. Without that it may be of a burst whose pushes are under way, and the newest one of an orderer
    /// may be so new that nobody can have stated it yet.
    fn is_history(&self, step: &Step<'_>, number: BlockNumber, source: Source) -> bool {
        let is_held = step.neighbours.iter().any(|it| it.claimed_height.next_block() > number);
        let is_orderers = matches!(source, Source::Orderer(_));
        is_held || !is_orderers && !self.repair.are_pushes_flowing(step.now.monotonic)
    }

    /// What waited for the proof: pushes towards me and their frames.
    fn release_waiting(&mut self, step: &mut Step<'_>, header: &VerifiedHeader, entry: Option<Entry>) {
        let Some(entry) = entry else {
            return;
        };
        for push in entry.pushes {
            self.open_push(step, header, &push);
            // There may have been no room for any frame of it: that is not its sender's fault.
            if push.has_begun {
                self.push_watch.on_pushed(header.number());
            }
        }
        for ((from, index), payload) in entry.frames {
            self.add_frame(step, header.number(), from, index, &payload);
        }
    }
}

/// The first header that does not name the one before it.
fn broken_link(headers: &[CertifiedHeader]) -> Option<BlockNumber> {
    let mut pairs = headers.iter().zip(headers.iter().skip(1));
    let broken = pairs.find(|(before, after)| after.header.fields().previous_hash != before.hash());
    broken.map(|(_, after)| after.header.number())
}
