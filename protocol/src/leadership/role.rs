//! My own part: claiming, renewing, yielding.

use super::{Config, Context, State};
use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{MemberId, Sequence};
use crate::wire::{ChannelMessage, Leadership, Verified};
use std::collections::BTreeSet;

/// My claim while I lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnClaim {
    pub(super) member: MemberId,
    pub(super) epoch: u64,
    pub(super) until: Monotonic,
    /// Since when no orderer can be reached, or since I lead.
    unreachable_since: Option<Monotonic>,
}

impl OwnClaim {
    /// When I give up reaching an orderer; in the past if I reach one.
    pub(super) fn cut_off_at(&self, config: &Config) -> Monotonic {
        let since = self.unreachable_since;
        since.map_or(Monotonic::ZERO, |since| since.saturating_add(config.orderer_patience))
    }
}

/// What I last said, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    claim: Verified<Leadership>,
    pub(super) at: Monotonic,
    heard_by: BTreeSet<MemberId>,
}

impl State {
    pub(super) fn step_down(&mut self) {
        self.own = None;
        self.statement = None;
    }

    /// A leader without orderer yields, if there is somebody to yield to.
    pub(super) fn consider_yielding(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let Some(own) = self.own.as_mut() else {
            return;
        };
        own.unreachable_since = match context.can_reach_orderer {
            true => None,
            false => Some(own.unreachable_since.unwrap_or(now.monotonic)),
        };
        let is_cut_off = own.unreachable_since.is_some() && own.cut_off_at(&self.config) <= now.monotonic;
        if !is_cut_off {
            return;
        }
        if !self.has_heir(context) {
            // Whom I have passed over may reach what I cannot.
            self.withholding.clear();
        }
        if self.has_heir(context) {
            self.step_down();
            self.yielding_until = Some(now.monotonic.saturating_add(self.config.yield_for));
            self.speak(now, false, context, out);
        }
    }

    /// Whether somebody else could lead.
    pub(super) fn has_heir(&self, context: &Context<'_>) -> bool {
        context.eligible.iter().any(|it| *it != context.me && self.is_available(*it, context.me))
    }

    /// Claims, if there is a vacancy and my turn has come.
    pub(super) fn consider_claiming(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let incumbents = self.incumbents(context.me);
        let is_incumbent = incumbents.contains(&context.me);
        if incumbents.len() >= self.config.leaders_per_org || is_incumbent {
            return;
        }
        if now.monotonic < self.listening_until || !self.ranking.contains(context.me) {
            return;
        }
        let since = *self.vacant_since.get_or_insert(now.monotonic);
        if self.yielding_until.is_some() {
            return;
        }
        let vacancies = self.config.leaders_per_org - incumbents.len();
        let waiting = self.ranking.before(context.me);
        let waiting =
            waiting.filter(|it| self.is_available(*it, context.me) && !incumbents.contains(it)).count();
        if waiting < vacancies.saturating_add(self.passed_over(now)) {
            let unreachable_since = (!context.can_reach_orderer).then_some(now.monotonic);
            let until = now.monotonic.saturating_add(self.config.claim_for);
            let (member, epoch) = (context.me, self.epoch);
            self.own = Some(OwnClaim { member, epoch, until, unreachable_since });
            self.silenced.remove(&context.me);
            self.vacant_since = Some(since).filter(|_| vacancies > 1);
            self.speak(now, true, context, out);
        }
    }

    /// Renews what I say when it is time, and says it to who has not heard it.
    pub(super) fn keep_up(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let is_leading = self.own.as_ref().is_some_and(|own| own.epoch == self.epoch);
        if !is_leading && self.yielding_until.is_none() {
            return;
        }
        let is_due = self
            .statement
            .as_ref()
            .is_none_or(|spoken| now.monotonic.saturating_since(spoken.at) >= self.config.renew_every);
        if is_due {
            return self.speak(now, is_leading, context, out);
        }
        let Some(spoken) = self.statement.as_mut() else {
            return;
        };
        spoken.heard_by.retain(|member| context.eligible.contains(member));
        for member in context.eligible.iter().filter(|member| **member != context.me) {
            if spoken.heard_by.insert(*member) {
                let message = ChannelMessage::Leadership(spoken.claim.signed().clone());
                out.send_channel(*member, context.channel, message);
            }
        }
    }

    /// Signs a statement and sends it to everybody eligible; alone I sign nothing.
    pub(super) fn speak(&mut self, now: Now, leading: bool, context: &Context<'_>, out: &mut Outbox) {
        let until = now.monotonic.saturating_add(self.config.claim_for);
        if let Some(own) = self.own.as_mut().filter(|_| leading) {
            own.until = until;
        }
        let others: BTreeSet<MemberId> =
            context.eligible.iter().copied().filter(|member| *member != context.me).collect();
        let millis = u64::try_from(now.monotonic.since_start().as_millis()).unwrap_or(u64::MAX);
        self.sequence = self.sequence.next().max(Sequence::new(millis));
        let claim = Leadership {
            member: context.me,
            epoch: self.epoch,
            incarnation: context.incarnation,
            sequence: self.sequence,
            leading,
            until: now.wall.saturating_add(self.config.claim_for),
        };
        if others.is_empty() {
            self.statement = None;
            return;
        }
        let claim = Verified::sign(claim, context.channel.as_bytes(), context.key);
        for member in &others {
            let message = ChannelMessage::Leadership(claim.signed().clone());
            out.send_channel(*member, context.channel, message);
        }
        self.statement = Some(Spoken { claim, at: now.monotonic, heard_by: others });
    }
}
