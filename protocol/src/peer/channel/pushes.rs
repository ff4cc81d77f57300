//! Pushes meet the window: a push opens a transfer towards me and names whom I serve in turn.

use super::Channel;
use super::proving::OpenedPush;
use super::step::Step;
use super::window::Window;
use crate::dissemination;
use crate::event::Source;
use crate::ledger::{VerifiedBlock, VerifiedHeader};
use crate::range_sync;
use crate::types::{BlockNumber, MemberId, Neighbour};
use crate::wire::Push;

impl Channel {
    pub(super) fn on_push(&mut self, step: &mut Step<'_>, from: MemberId, push: Push) {
        let number = push.header.header.number();
        let hash = push.header.hash();
        if number <= self.window.tip().number() {
            return;
        }
        if !self.window.is_inside(number) {
            self.with_range_sync(step, range_sync::Input::Claimed { by: from, number });
            return step.refuse("push", "beyond_window", Some(from));
        }
        let Push { header, relay_set, children } = push;
        let opened = OpenedPush { from, relay_set, children, has_begun: false };
        if self.window.number_of(hash).is_some() {
            let header = self.window.slot(number).map(|slot| slot.header.clone());
            if let Some(header) = header {
                self.open_push(step, &header, &opened);
            }
            return;
        }
        self.prove(step, vec![header], Source::Peer(from), false);
        self.proving.keep_push(hash, opened);
    }

    /// The push's header is proven: its frames are taken, its children served once the body is whole.
    pub(super) fn open_push(&mut self, step: &mut Step<'_>, header: &VerifiedHeader, push: &OpenedPush) {
        let Some(slot) = self.window.slot_mut(header.number()) else {
            return;
        };
        // Nobody honest passes on what it has not verified.
        slot.committed_by.insert(push.from);
        slot.announced_by.insert(push.from);
        slot.pushers.insert(push.from);
        let block = slot.block().cloned();
        let input = dissemination::Input::Opened {
            from: push.from,
            header,
            relay_set: push.relay_set,
            children: &push.children,
            block: block.as_ref(),
        };
        self.with_dissemination(step, input);
    }

    /// A block is whole: those are served that wait for it.
    pub(super) fn pass_on(&mut self, step: &mut Step<'_>, block: &VerifiedBlock, is_root: bool) {
        self.with_dissemination(step, dissemination::Input::Verified { block, is_root });
    }

    pub(super) fn with_dissemination(&mut self, step: &mut Step<'_>, input: dissemination::Input<'_>) {
        let window = &self.window;
        let neighbours = step.neighbours;
        let holds = |member: MemberId, number: BlockNumber| has_block(window, neighbours, member, number);
        let context = dissemination::Context {
            channel: step.channel,
            me: self.me,
            org: self.org,
            neighbours,
            holds: &holds,
        };
        self.dissemination.handle(input, &context, step.out);
    }
}

fn has_block(window: &Window, neighbours: &[Neighbour], member: MemberId, number: BlockNumber) -> bool {
    let has_said = window.slot(number).is_some_and(|slot| slot.committed_by.contains(&member));
    let claims = |it: &Neighbour| it.member == member && it.claimed_height.next_block() > number;
    has_said || neighbours.iter().any(claims)
}
