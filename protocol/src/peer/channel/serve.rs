//! Questions of neighbours, answered from slots, recent bodies or the store, within their budgets.

use super::Channel;
use super::assembly::frame;
use super::serving::BodyAnswer;
use super::step::Step;
use crate::ledger::{Block, CertifiedHeader};
use crate::output::Output;
use crate::types::{BlockNumber, Lane, MemberId};
use crate::wire::{ChannelMessage, Message, Tip, WantBody, WantHeaders};
use bytes::Bytes;
use ledgercast_crypto::Digest;

impl Channel {
    pub(super) fn on_want_headers(&mut self, step: &mut Step<'_>, from: MemberId, want: WantHeaders) {
        let count = want.count.min(self.settings.answer_headers_max);
        let headers = self.headers_at_hand(want.first, count);
        if !headers.is_empty() || want.first > self.window.tip().number() {
            return self.answer_headers(step, from, want.first, headers);
        }
        if !self.serving.begin_header_read(from, want.first) {
            step.refuse("want_headers", "reads_pending", Some(from));
            return self.answer_headers(step, from, want.first, Vec::new());
        }
        step.out.push(Output::ReadHeaders { channel: step.channel, asker: from, first: want.first, count });
    }

    /// Headers that need no read: recently durable ones, and proven ones above them.
    fn headers_at_hand(&self, first: BlockNumber, count: u32) -> Vec<CertifiedHeader> {
        let recent = self.serving.recent_headers(first);
        let above = first.max(self.window.tip().number().next());
        let numbers = (0..u64::from(count)).map(|offset| above.saturating_add(offset));
        let proven = numbers.map_while(|number| self.window.slot(number));
        let recent: Vec<_> = recent.take(count as usize).map(|header| header.certified().clone()).collect();
        if recent.is_empty() && first <= self.window.tip().number() {
            return recent;
        }
        let proven = proven.map(|slot| slot.header.certified().clone());
        recent.into_iter().chain(proven).take(count as usize).collect()
    }

    pub(super) fn handle_headers_read(
        &mut self,
        step: &mut Step<'_>,
        asker: MemberId,
        first: BlockNumber,
        headers: Vec<CertifiedHeader>,
    ) {
        let is_asked = self.serving.end_header_read(asker, first);
        if is_asked && self.may_answer(step, asker) {
            self.answer_headers(step, asker, first, headers);
        }
    }

    fn answer_headers(
        &mut self,
        step: &mut Step<'_>,
        to: MemberId,
        first: BlockNumber,
        mut headers: Vec<CertifiedHeader>,
    ) {
        let mut bytes = 0;
        let fits = |header: &CertifiedHeader| {
            bytes += header.encode().len();
            bytes <= self.settings.answer_headers_bytes_max
        };
        let fitting = headers.iter().map(fits).take_while(|fits| *fits).count();
        headers.truncate(fitting.max(1));
        let lacking = Tip { number: first, header_hash: Digest::ZERO };
        if headers.is_empty() || !self.serving.spend(step.now.monotonic, to, bytes as u64) {
            return step.send(to, ChannelMessage::Lacking(lacking));
        }
        step.send(to, ChannelMessage::Headers { first, headers });
    }

    pub(super) fn on_want_body(&mut self, step: &mut Step<'_>, from: MemberId, want: WantBody) {
        if want.tip.number > self.window.tip().number() {
            let slot = self.window.slot(want.tip.number);
            let same = slot.filter(|slot| slot.header.hash() == want.tip.header_hash);
            let body = same.and_then(|slot| slot.block()).map(|block| block.body().bytes().clone());
            return self.answer_body(step, from, want, body);
        }
        match self.serving.find_body(from, want) {
            BodyAnswer::Here(body) => self.answer_body(step, from, want, Some(body)),
            BodyAnswer::Read => {
                step.out.push(Output::ReadBlock { channel: step.channel, number: want.tip.number });
            }
            BodyAnswer::Waiting => {}
            BodyAnswer::Full | BodyAnswer::Other => self.answer_body(step, from, want, None),
        }
    }

    pub(super) fn handle_block_read(
        &mut self,
        step: &mut Step<'_>,
        number: BlockNumber,
        block: Option<Block>,
    ) {
        for (asker, want) in self.serving.take_waiters(number) {
            if self.may_answer(step, asker) {
                let same = block.as_ref().filter(|block| block.header.hash() == want.tip.header_hash);
                self.answer_body(step, asker, want, same.map(|block| block.body.clone()));
            }
        }
    }

    fn answer_body(&mut self, step: &mut Step<'_>, to: MemberId, want: WantBody, body: Option<Bytes>) {
        let end = want.first_frame.saturating_add(want.frame_count);
        let frames: Vec<(u32, Bytes)> = match &body {
            Some(body) => {
                (want.first_frame..end).map_while(|index| Some((index, frame(body, index)?))).collect()
            }
            None => Vec::new(),
        };
        let bytes: usize = frames.iter().map(|(_, payload)| payload.len()).sum();
        if frames.is_empty() || !self.serving.spend(step.now.monotonic, to, bytes as u64) {
            return step.send(to, ChannelMessage::Lacking(want.tip));
        }
        for (index, payload) in frames {
            let frame = ChannelMessage::BodyFrame { header_hash: want.tip.header_hash, index, payload };
            step.out.send_on(to, Lane::Pull, Message::Channel(step.channel, frame));
        }
    }
}
