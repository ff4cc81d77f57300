//! Digests of state infos: what each side has is compared, the differences are sent.

use super::{Context, State};
use crate::budget::COST_LIST;
use crate::event::Event;
use crate::output::Outbox;
use crate::sampling;
use crate::time::Now;
use crate::types::{Mark, MemberId, OrgId};
use crate::wire::{ChannelMessage, Signed, StateInfo, Summary, Verified};
use std::collections::{BTreeMap, BTreeSet};

/// The most marks in one digest: 58 bytes each stay within a control frame. A digest that is full may be a
/// part of the view, so it is answered for the members in it only.
pub(super) const DIGEST_MARKS_MAX: usize = 1024;

/// The most state infos in one frame: 200 bytes each stay within a control frame.
const FRAME_STATES_MAX: usize = 256;

impl State {
    pub(super) fn send_digest(&mut self, to: MemberId, org: OrgId, context: &Context<'_>, out: &mut Outbox) {
        let marks = self.marks_for(org, context);
        let marks = match marks.len() > DIGEST_MARKS_MAX {
            true => sampling::sample(&mut self.random, marks, DIGEST_MARKS_MAX),
            false => marks,
        };
        out.send_channel(to, context.channel, ChannelMessage::StateDigest(marks));
    }

    fn marks_for(&self, org: OrgId, context: &Context<'_>) -> Vec<Mark> {
        let own = self.own.as_ref().filter(|_| (context.may_mention)(context.me, org));
        let others = self.states().filter(|state| (context.may_mention)(state.member(), org));
        own.into_iter().chain(others).map(Verified::mark).collect()
    }

    /// What both sides have alike while nobody's state changes.
    pub(super) fn summary(&self, org: OrgId, context: &Context<'_>) -> Summary {
        let mut marks = self.marks_for(org, context);
        marks.sort_unstable();
        Summary::of(marks)
    }

    pub(super) fn on_summary(
        &mut self,
        now: Now,
        from: MemberId,
        summary: Summary,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "state_summary", from, context, out) else {
            return;
        };
        self.refresh_own(now, context);
        if self.summary(org, context) != summary {
            self.send_digest(from, org, context, out);
        }
    }

    pub(super) fn on_digest(
        &mut self,
        now: Now,
        from: MemberId,
        marks: &[Mark],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "state_digest", from, context, out) else {
            return;
        };
        self.refresh_own(now, context);
        let theirs: BTreeMap<MemberId, Mark> = marks.iter().map(|mark| (mark.member, *mark)).collect();
        let is_part = marks.len() >= DIGEST_MARKS_MAX;
        let is_lacking = |mark: Mark| match theirs.get(&mark.member) {
            Some(held) => held.order() < mark.order(),
            None => !is_part && mark.member != from,
        };
        self.send_states(from, org, is_lacking, context, out);
        let is_wanted = |mark: &Mark| mark.member != context.me && self.require_newer(*mark).is_ok();
        let mut wanted: Vec<MemberId> =
            theirs.values().filter(|mark| is_wanted(mark)).map(|mark| mark.member).collect();
        wanted.truncate(DIGEST_MARKS_MAX);
        if !wanted.is_empty() {
            out.send_channel(from, context.channel, ChannelMessage::WantStates(wanted));
        }
    }

    pub(super) fn on_want(
        &mut self,
        now: Now,
        from: MemberId,
        members: &[MemberId],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        if let Some(org) = self.admit(now, "want_states", from, context, out) {
            let wanted: BTreeSet<MemberId> = members.iter().copied().collect();
            self.send_states(from, org, |mark| wanted.contains(&mark.member), context, out);
        }
    }

    /// The org of a neighbour that may ask, if its session has budget left.
    fn admit(
        &mut self,
        now: Now,
        kind: &'static str,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) -> Option<OrgId> {
        let neighbour = context.neighbours.iter().find(|neighbour| neighbour.member == from);
        let reason = match neighbour.filter(|_| !self.is_stopped) {
            None => "no_neighbour",
            Some(_) if !self.budget.spend(now.monotonic, from, COST_LIST) => "over_budget",
            Some(neighbour) => return Some(neighbour.org),
        };
        out.event(Event::Refused { kind, reason, member: Some(from) });
        None
    }

    fn send_states(
        &self,
        to: MemberId,
        org: OrgId,
        is_chosen: impl Fn(Mark) -> bool,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let all = self.own.iter().chain(self.states());
        let chosen =
            all.filter(|state| is_chosen(state.mark()) && (context.may_mention)(state.member(), org));
        let states: Vec<Signed<StateInfo>> = chosen.map(|state| state.signed().clone()).collect();
        for chunk in states.chunks(FRAME_STATES_MAX) {
            out.send_channel(to, context.channel, ChannelMessage::States(chunk.to_vec()));
        }
    }
}
