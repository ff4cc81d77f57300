//! Others' claims: which of them count.

use super::{Context, State};
use crate::event::Event;
use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{Incarnation, MemberId, Sequence};
use crate::wire::{Leadership, Verified};

/// The newest claim of a member.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) order: (Incarnation, Sequence),
    pub(super) epoch: u64,
    pub(super) is_leading: bool,
    /// It ends here, on my clock.
    pub(super) until: Monotonic,
    pub(super) counts: bool,
    /// Since when it counts without a break, over all renewals.
    pub(super) led_since: Monotonic,
}

impl Claim {
    fn set_counts(&mut self, now: Now, counts: bool) {
        if counts && !self.counts {
            self.led_since = now.monotonic;
        }
        self.counts = counts;
    }
}

impl State {
    pub(super) fn on_claim(
        &mut self,
        now: Now,
        claim: &Verified<Leadership>,
        from: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let member = claim.member();
        self.follow_context(now, context);
        let reason = if from != member {
            Some("claim_of_another")
        } else if !self.is_running || member == context.me || !self.ranking.contains(member) {
            Some("not_eligible")
        } else {
            None
        };
        if let Some(reason) = reason {
            return out.event(Event::Refused { kind: "leadership", reason, member: Some(from) });
        }
        let (statement, order) = (claim.statement(), claim.mark().order());
        let held = self.claims.get(&member);
        let is_renewal = statement.epoch <= self.epoch
            && held.is_some_and(|held| held.counts && held.epoch == statement.epoch);
        let until = now.monotonic.saturating_add(self.config.claim_for);
        let (epoch, is_leading) = (statement.epoch, statement.leading);
        let withholds = self.withholding.contains_key(&member);
        let is_believed = is_renewal || self.is_believed(now, member, epoch, context.me);
        let counts = is_leading && is_believed && !withholds;
        let led_since = held.filter(|held| held.counts).map_or(now.monotonic, |held| held.led_since);
        self.claims.insert(member, Claim { order, epoch, is_leading, until, counts, led_since });
        if counts {
            self.silenced.remove(&member);
        } else if is_leading {
            let reason = if withholds { "leader_withholds" } else { "past_better_rank" };
            out.event(Event::Refused { kind: "leadership", reason, member: Some(from) });
        }
    }

    /// Whether a first claim for an epoch counts in my view.
    fn is_believed(&self, now: Now, member: MemberId, epoch: u64, me: MemberId) -> bool {
        if epoch < self.epoch {
            return false;
        }
        if epoch > self.epoch {
            // Its maker is ahead of me; believed for a moment, judged once I am there.
            return now.monotonic.saturating_since(self.epoch_since) < self.config.claim_for;
        }
        self.was_unseen(now, member) || self.is_best(now, member, me)
    }

    /// Whether a member may have claimed before I could see it, or before I could judge.
    fn was_unseen(&self, now: Now, member: MemberId) -> bool {
        let since = self.eligible_since.get(&member).copied().unwrap_or(now.monotonic);
        let is_new = now.monotonic.saturating_since(since) < self.config.grace;
        is_new || now.monotonic < self.listening_until
    }

    fn is_best(&self, now: Now, member: MemberId, me: MemberId) -> bool {
        let ahead = self.ranking.before(member).filter(|other| self.is_available(*other, me)).count();
        ahead < self.config.leaders_per_org.saturating_add(self.passed_over(now))
    }

    /// Whether a member could lead: it has not yielded, its last claim did not run out, and it has not
    /// withheld anything.
    pub(super) fn is_available(&self, member: MemberId, me: MemberId) -> bool {
        let is_yielding = match member == me {
            true => self.yielding_until.is_some(),
            false => self.claims.get(&member).is_some_and(|claim| !claim.is_leading),
        };
        !is_yielding && !self.silenced.contains(&member) && !self.withholding.contains_key(&member)
    }

    /// How many of the best ranks have let their time pass since nobody leads.
    pub(super) fn passed_over(&self, now: Now) -> usize {
        let vacant_for = self.vacant_since.map(|since| now.monotonic.saturating_since(since));
        let passed = vacant_for.unwrap_or_default().as_millis() / self.config.patience.as_millis().max(1);
        usize::try_from(passed).unwrap_or(usize::MAX)
    }

    /// The epoch changed: what was claimed for it before is judged now.
    pub(super) fn judge_held(&mut self, now: Now, me: MemberId) {
        let of_epoch = self.claims.iter().filter(|(_, claim)| claim.epoch == self.epoch && claim.is_leading);
        let of_epoch: Vec<MemberId> = of_epoch.map(|(member, _)| *member).collect();
        for member in of_epoch {
            let counts = self.is_catching_up || self.was_unseen(now, member) || self.is_best(now, member, me);
            if let Some(claim) = self.claims.get_mut(&member) {
                claim.set_counts(now, counts);
            }
        }
    }

    /// Drops claims that ended; who led and fell silent is passed over.
    pub(super) fn expire(&mut self, now: Now) {
        let epoch = self.epoch;
        let ended = self.claims.iter().filter(|(_, claim)| claim.until <= now.monotonic);
        let ended: Vec<MemberId> = ended.map(|(member, _)| *member).collect();
        for member in ended {
            if let Some(claim) = self.claims.remove(&member)
                && claim.counts
                && claim.epoch >= epoch
            {
                self.silenced.insert(member);
            }
        }
        if let Some(own) = self.own.as_ref().filter(|own| own.until <= now.monotonic) {
            // Within its epoch a claim is renewed in time, unless I was paused: others may lead by now.
            if own.epoch == self.epoch {
                self.listening_until = now.monotonic.saturating_add(self.config.grace);
            }
            self.step_down();
        }
        self.withholding.retain(|_, until| *until > now.monotonic);
        if self.yielding_until.is_some_and(|until| until <= now.monotonic) {
            self.yielding_until = None;
        }
    }

    /// Who leads in this epoch, me included, the best first.
    pub(super) fn incumbents(&self, me: MemberId) -> Vec<MemberId> {
        let others = self.claims.iter().filter(|(_, claim)| claim.counts && claim.epoch >= self.epoch);
        let own = self.own.as_ref().filter(|own| own.epoch >= self.epoch).map(|_| me);
        let mut incumbents: Vec<MemberId> = others.map(|(member, _)| *member).chain(own).collect();
        self.ranking.sort(&mut incumbents);
        incumbents
    }

    /// A claim that did not count may do so now that a better rank is gone.
    pub(super) fn reconsider(&mut self, now: Now, me: MemberId) {
        let epoch = self.epoch;
        let held = self.claims.iter().filter(|(_, it)| it.is_leading && !it.counts && it.epoch == epoch);
        let held: Vec<MemberId> = held.map(|(member, _)| *member).collect();
        for member in held {
            if !self.withholding.contains_key(&member)
                && self.is_best(now, member, me)
                && let Some(claim) = self.claims.get_mut(&member)
            {
                claim.set_counts(now, true);
                self.silenced.remove(&member);
            }
        }
    }

    /// Of several incumbents the best ranks stay.
    pub(super) fn keep_best(&mut self, me: MemberId) {
        let incumbents = self.incumbents(me);
        let count = self.config.leaders_per_org;
        for member in incumbents.iter().skip(count) {
            match self.claims.get_mut(member) {
                Some(claim) if *member != me => claim.counts = false,
                _ => self.step_down(),
            }
        }
        if incumbents.len() >= count {
            self.vacant_since = None;
            self.drop_earlier_epochs();
        }
    }

    /// The epoch has its leaders: those of the one before have done their part.
    fn drop_earlier_epochs(&mut self) {
        let epoch = self.epoch;
        for claim in self.claims.values_mut().filter(|claim| claim.epoch < epoch) {
            claim.counts = false;
        }
        if self.own.as_ref().is_some_and(|own| own.epoch < epoch) {
            self.step_down();
        }
    }

    /// Who leads my org in my view: the best-ranked incumbent; until the epoch has one, that of the epoch
    /// before.
    pub fn leader(&self, now: Now) -> Option<MemberId> {
        let counting = self.claims.iter().filter(|(_, claim)| claim.counts && claim.until > now.monotonic);
        let own = self.own.as_ref().map(|own| (own.member, own.epoch));
        let all = counting.map(|(member, claim)| (*member, claim.epoch)).chain(own);
        let mut all: Vec<(MemberId, u64)> = all.collect();
        if all.iter().any(|(_, epoch)| *epoch >= self.epoch) {
            all.retain(|(_, epoch)| *epoch >= self.epoch);
        }
        let mut members: Vec<MemberId> = all.into_iter().map(|(member, _)| member).collect();
        self.ranking.sort(&mut members);
        members.first().copied()
    }
}
