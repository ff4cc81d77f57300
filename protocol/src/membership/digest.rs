//! Push–pull: summaries are compared, then marks; what is newer goes one way, wants the other.

use super::table::Entry;
use super::{Context, State};
use crate::budget::COST_LIST;
use crate::event::Event;
use crate::output::Outbox;
use crate::sampling;
use crate::time::Now;
use crate::types::{Incarnation, Mark, MemberId, OrgId, Sequence, Tick};
use crate::wire::{AliveRecord, Message, Summary, TICKS_MAX};
use std::collections::BTreeMap;

/// The most marks in one digest: 58 bytes each stay within a control frame. A digest that is full may be a
/// part of the view, so it is answered for the members in it only.
pub(super) const DIGEST_MARKS_MAX: usize = 1024;

/// The most alives in one frame: 800 bytes each, the largest, stay within a control frame.
pub(super) const FRAME_ALIVES_MAX: usize = 64;

/// Whose ticks did not come for so many intervals is asked about. Derived: two were missed, and there is time
/// to ask three others before the expiry.
const MISSED_INTERVALS: u32 = 2;

fn nothing_of(member: MemberId) -> Mark {
    Mark { member, incarnation: Incarnation::default(), sequence: Sequence::default() }
}

impl State {
    /// Tells a few whom I see, in short.
    pub(super) fn send_view_digests(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let met = self.met(context);
        for (to, org) in sampling::sample(&mut self.random, met, self.config.digest_partners) {
            let summary = self.view_summary(org, context);
            out.send(to, Message::ViewDigest(summary));
        }
    }

    /// Sessions with members of orgs to which anything is said at all.
    pub(super) fn met(&self, context: &Context<'_>) -> Vec<(MemberId, OrgId)> {
        let disclosure = self.disclosure(context);
        let ready = context.sessions.iter().map(|(member, org)| (*member, *org));
        ready.filter(|(_, org)| disclosure.may_meet(*org)).collect()
    }

    /// Of these sessions those whose members were heard of lately, or all if none was: who hangs neither
    /// passes on nor answers.
    pub(super) fn lively(&self, sessions: Vec<(MemberId, OrgId)>) -> Vec<(MemberId, OrgId)> {
        let quiet_after = self.config.alive_interval.saturating_mul(MISSED_INTERVALS);
        let awake = self.awake.last();
        let is_lively = |(member, _): &&(MemberId, OrgId)| {
            self.members.get(*member).is_none_or(|entry| entry.silent_for(awake) < quiet_after)
        };
        let lively: Vec<_> = sessions.iter().filter(is_lively).copied().collect();
        if lively.is_empty() { sessions } else { lively }
    }

    /// The newest mark of each living member of whom an org may know, mine included.
    fn marks_for(&self, org: OrgId, context: &Context<'_>) -> Vec<Mark> {
        let disclosure = self.disclosure(context);
        let told = self.members.alive();
        let told = told.filter(|(_, entry)| disclosure.may_tell(entry.org, entry.is_external(), org));
        let mine = disclosure.may_tell(self.own.org, self.own.external.is_some(), org);
        let mine = self.own_mark().filter(|_| mine);
        mine.into_iter().chain(told.map(|(_, entry)| entry.mark())).collect()
    }

    /// Who lives, and in which life: what both sides see alike while nobody comes or goes.
    fn view_summary(&self, org: OrgId, context: &Context<'_>) -> Summary {
        let mut marks = self.marks_for(org, context);
        marks.iter_mut().for_each(|mark| mark.sequence = Sequence::default());
        marks.sort_unstable();
        Summary::of(marks)
    }

    pub(super) fn on_view_digest(
        &mut self,
        now: Now,
        from: MemberId,
        summary: Summary,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "view_digest", from, COST_LIST, context, out) else {
            return;
        };
        if self.view_summary(org, context) != summary {
            self.send_digest(from, org, context, out);
        }
    }

    /// Asks a member of my org, and one abroad, for what is newer of those of whom ticks were missed.
    pub(super) fn ask_for_missed(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let awake = self.awake.at(now.monotonic);
        let missed_after = self.config.alive_interval.saturating_mul(MISSED_INTERVALS);
        let disclosure = self.disclosure(context);
        let (inside, abroad): (Vec<_>, Vec<_>) =
            self.lively(self.met(context)).into_iter().partition(|(_, org)| *org == self.own.org);
        let inside = sampling::sample(&mut self.random, inside, 1);
        for (to, org) in inside.into_iter().chain(sampling::sample(&mut self.random, abroad, 1)) {
            let missed = self.members.alive().filter(|(_, entry)| {
                entry.silent_for(awake) > missed_after
                    && disclosure.may_tell(entry.org, entry.is_external(), org)
            });
            let marks: Vec<Mark> = missed.map(|(_, entry)| entry.mark()).take(DIGEST_MARKS_MAX).collect();
            if !marks.is_empty() {
                out.send(to, Message::WantAlives(marks));
            }
        }
    }

    pub(super) fn send_digest(&mut self, to: MemberId, org: OrgId, context: &Context<'_>, out: &mut Outbox) {
        let marks = self.marks_for(org, context);
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
        let held = |member| match theirs.get(&member) {
            Some(held) => Some(*held),
            None => (!is_part && member != from).then(|| nothing_of(member)),
        };
        self.send_newer_than(from, org, held, context, out);
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
        let wanted = theirs.values().filter(|mark| is_wanted(mark)).take(DIGEST_MARKS_MAX);
        let wanted: Vec<Mark> = wanted.map(|mark| self.held_mark(mark.member)).collect();
        if !wanted.is_empty() {
            out.send(from, Message::WantAlives(wanted));
        }
    }

    /// What I can follow ticks of already, to be named to who has newer ones.
    fn held_mark(&self, member: MemberId) -> Mark {
        self.members.get(member).map_or(nothing_of(member), Entry::mark)
    }

    pub(super) fn on_want(
        &mut self,
        now: Now,
        from: MemberId,
        marks: &[Mark],
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let Some(org) = self.admit(now, "want_alives", from, COST_LIST, context, out) else {
            return;
        };
        let wanted: BTreeMap<MemberId, Mark> = marks.iter().map(|mark| (mark.member, *mark)).collect();
        self.send_newer_than(from, org, |member| wanted.get(&member).copied(), context, out);
    }

    /// What is newer than what somebody holds: ticks where it holds their alive, else alives. `held` says
    /// what it holds of a member; `None`: nothing is to be sent of that one.
    fn send_newer_than(
        &self,
        to: MemberId,
        org: OrgId,
        held: impl Fn(MemberId) -> Option<Mark>,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let mut ticks = Vec::new();
        let records = self.records_for(org, context, |mark| {
            let Some(theirs) = held(mark.member).filter(|theirs| theirs.order() < mark.order()) else {
                return false;
            };
            let tick = self.tick_after(theirs);
            ticks.extend(tick);
            tick.is_none()
        });
        self.send_records(to, records, out);
        for chunk in ticks.chunks(TICKS_MAX) {
            out.send(to, Message::Ticks(chunk.to_vec()));
        }
    }

    /// The newest tick of a member, if who holds this of it holds the alive before the tick.
    pub(super) fn tick_after(&self, theirs: Mark) -> Option<Tick> {
        let (anchor, tick) = match theirs.member == self.own.member {
            true => (self.own_alive.as_ref()?.mark(), self.own_chain.as_ref()?.newest()),
            false => {
                let entry = self.members.get(theirs.member)?;
                (entry.alive.mark(), entry.tick?)
            }
        };
        let holds_anchor = theirs.incarnation == anchor.incarnation && theirs.sequence >= anchor.sequence;
        holds_anchor.then_some(tick)
    }

    pub(super) fn send_newer(&self, to: MemberId, org: OrgId, entry: &Entry, theirs: Mark, out: &mut Outbox) {
        let message = match self.tick_after(theirs) {
            Some(tick) => Message::Ticks(vec![tick]),
            None => Message::Alives(vec![self.record(entry, org)]),
        };
        out.send(to, message);
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
    pub(super) fn records_for(
        &self,
        to: OrgId,
        context: &Context<'_>,
        mut is_chosen: impl FnMut(Mark) -> bool,
    ) -> Vec<AliveRecord> {
        let disclosure = self.disclosure(context);
        let mine = disclosure.may_tell(self.own.org, self.own.external.is_some(), to);
        let mine = self.own_mark().filter(|mark| mine && is_chosen(*mark)).and_then(|_| self.own_record(to));
        let mut records: Vec<AliveRecord> = mine.into_iter().collect();
        let others = self.members.alive();
        let others = others.filter(|(_, entry)| disclosure.may_tell(entry.org, entry.is_external(), to));
        let others = others.filter(|(_, entry)| is_chosen(entry.mark()));
        records.extend(others.map(|(_, entry)| self.record(entry, to)));
        records
    }

    pub(super) fn send_records(&self, to: MemberId, records: Vec<AliveRecord>, out: &mut Outbox) {
        for chunk in records.chunks(FRAME_ALIVES_MAX) {
            out.send(to, Message::Alives(chunk.to_vec()));
        }
    }
}
