//! Push–pull: marks are compared, newer alives go one way, wants the other.

use super::{Context, State};
use crate::budget::COST_LIST;
use crate::event::Event;
use crate::output::Outbox;
use crate::sampling;
use crate::time::Now;
use crate::types::{Mark, MemberId, OrgId};
use crate::wire::{AliveRecord, Message};
use std::collections::BTreeMap;

/// The most marks in one digest: 58 bytes each stay within a control frame. A digest that is full may be a
/// part of the view, so it is answered for the members in it only.
pub(super) const DIGEST_MARKS_MAX: usize = 1024;

/// The most alives in one frame: 800 bytes each, the largest, stay within a control frame.
pub(super) const FRAME_ALIVES_MAX: usize = 64;

impl State {
    pub(super) fn send_digests(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let disclosure = self.disclosure(context);
        let ready = context.sessions.iter().map(|(member, org)| (*member, *org));
        let entitled = ready.filter(|(_, org)| disclosure.may_meet(*org)).collect();
        for (to, org) in sampling::sample(&mut self.random, entitled, self.config.digest_partners) {
            self.send_digest(to, org, context, out);
        }
    }

    pub(super) fn send_digest(&mut self, to: MemberId, org: OrgId, context: &Context<'_>, out: &mut Outbox) {
        let disclosure = self.disclosure(context);
        let alive = self.members.alive();
        let told = alive.filter(|(_, entry)| disclosure.may_tell(entry.org, entry.is_external(), org));
        let mine = disclosure.may_tell(self.own.org, self.own.external.is_some(), org);
        let mine = self.own_mark().filter(|_| mine);
        let marks: Vec<Mark> = mine.into_iter().chain(told.map(|(_, entry)| entry.alive.mark())).collect();
        let marks = match marks.len() > DIGEST_MARKS_MAX {
            true => sampling::sample(&mut self.random, marks, DIGEST_MARKS_MAX),
            false => marks,
        };
        out.send(to, Message::AliveDigest(marks));
    }

    pub(super) fn on_digest(
        &mut self,
        now: Now,
        from: MemberId,
        marks: &[Mark],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "alive_digest", from, COST_LIST, context, out) else {
            return;
        };
        let theirs: BTreeMap<MemberId, Mark> = marks.iter().map(|mark| (mark.member, *mark)).collect();
        let is_part = marks.len() >= DIGEST_MARKS_MAX;
        let is_lacking = |mark: Mark| match theirs.get(&mark.member) {
            Some(held) => held.order() < mark.order(),
            None => !is_part && mark.member != from,
        };
        let records = self.records_for(org, context, is_lacking);
        self.send_records(from, records, out);
        let skew = self.config.clock_skew_max;
        let is_wanted = |mark: &Mark| {
            let known = self.marks.order(mark.member);
            let is_plausible = mark.incarnation.started_at() <= now.wall.saturating_add(skew)
                || known.is_some_and(|(incarnation, _)| incarnation >= mark.incarnation);
            let known = if mark.member == self.own.member {
                // Newer than mine, it is of an earlier life or somebody else's.
                Some((self.incarnation, self.sequence)).filter(|_| self.duplicate(mark.member).is_none())
            } else {
                known
            };
            let is_newer = known.is_none_or(|known| known < mark.order());
            is_plausible && is_newer && (mark.member != self.own.member || known.is_some())
        };
        let mut wanted: Vec<MemberId> =
            theirs.values().filter(|mark| is_wanted(mark)).map(|mark| mark.member).collect();
        wanted.truncate(DIGEST_MARKS_MAX);
        if !wanted.is_empty() {
            out.send(from, Message::WantAlives(wanted));
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
        let Some(org) = self.admit(now, "want_alives", from, COST_LIST, context, out) else {
            return;
        };
        let wanted: std::collections::BTreeSet<MemberId> = members.iter().copied().collect();
        let records = self.records_for(org, context, |mark| wanted.contains(&mark.member));
        self.send_records(from, records, out);
    }

    /// The org of a member that may ask, if its session has budget left for this.
    pub(super) fn admit(
        &mut self,
        now: Now,
        kind: &'static str,
        from: MemberId,
        cost: u32,
        context: &Context<'_>,
        out: &mut Outbox,
    ) -> Option<OrgId> {
        let org = context.sessions.get(&from).copied()?;
        let reason = if self.has_left {
            "stopping"
        } else if !self.disclosure(context).may_meet(org) {
            "nothing_shared"
        } else if !self.budget.spend(now.monotonic, from, cost) {
            "over_budget"
        } else {
            return Some(org);
        };
        out.event(Event::Refused { kind, reason, member: Some(from) });
        None
    }

    /// What an org may be told of the living, me included, as far as it is chosen.
    fn records_for(
        &self,
        to: OrgId,
        context: &Context<'_>,
        is_chosen: impl Fn(Mark) -> bool,
    ) -> Vec<AliveRecord> {
        let disclosure = self.disclosure(context);
        let mine = disclosure.may_tell(self.own.org, self.own.external.is_some(), to);
        let mine = self.own_mark().filter(|mark| mine && is_chosen(*mark)).and_then(|_| self.own_record(to));
        let others = self
            .members
            .alive()
            .filter(|(_, entry)| disclosure.may_tell(entry.org, entry.is_external(), to))
            .filter(|(_, entry)| is_chosen(entry.alive.mark()))
            .map(|(_, entry)| self.record(entry, to));
        mine.into_iter().chain(others).collect()
    }

    fn send_records(&self, to: MemberId, records: Vec<AliveRecord>, out: &mut Outbox) {
        for chunk in records.chunks(FRAME_ALIVES_MAX) {
            out.send(to, Message::Alives(chunk.to_vec()));
        }
    }
}
