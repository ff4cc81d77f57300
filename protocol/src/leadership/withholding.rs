//! Leaders that have the blocks and do not push them: passed over by what I receive, never by what I am told.

use super::{Context, State, Withheld};
use crate::event::Event;
use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, MemberId};

impl State {
    /// Passes over who led when the header was proven, and long enough before to have pushed to me. Others
    /// that saw the same do so too; the best-ranked of the rest claims at once.
    pub(super) fn handle_withheld(
        &mut self,
        now: Now,
        withheld: &Withheld,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        self.follow_context(now, context);
        if !self.is_running || self.own.is_some() {
            return;
        }
        let leaders = self.leaders_since(withheld.since);
        let has_reached_others = withheld.holders.iter().any(|holder| !leaders.contains(holder));
        if has_reached_others && withheld.in_a_row < self.config.withheld_in_a_row {
            return;
        }
        for leader in leaders {
            self.pass_over(now, leader, withheld.number, context, out);
        }
    }

    fn pass_over(
        &mut self,
        now: Now,
        leader: MemberId,
        number: BlockNumber,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        if self.withholding.len() >= self.config.passed_over_max {
            return;
        }
        if let Some(claim) = self.claims.get_mut(&leader) {
            claim.counts = false;
        }
        if !self.has_other_than(leader, context) {
            self.withholding.clear();
        }
        let until = now.monotonic.saturating_add(self.config.pass_over_for);
        self.withholding.insert(leader, until);
        out.event(Event::LeaderPassedOver { channel: context.channel, leader, number });
    }

    /// Whose claim counted at this time; not who had come into my sight only just before it.
    fn leaders_since(&self, since: Monotonic) -> Vec<MemberId> {
        let counting = self.claims.iter().filter(|(_, claim)| claim.counts && claim.led_since <= since);
        let in_sight = counting.filter(|(member, _)| {
            let seen = self.eligible_since.get(member);
            seen.is_some_and(|seen| seen.saturating_add(self.config.grace) <= since)
        });
        in_sight.map(|(member, _)| *member).collect()
    }

    /// Whether anybody, me included, is left that has not been passed over for withholding.
    fn has_other_than(&self, leader: MemberId, context: &Context<'_>) -> bool {
        context.eligible.iter().any(|it| {
            let is_other = *it != leader && *it != context.me;
            is_other && !self.withholding.contains_key(it)
        })
    }
}
