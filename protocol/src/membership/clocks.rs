//! Whose wall clock is wrong: a member's or mine. When most members of most orgs look wrong, it is mine.
//!
//! Only what a member says of its own time on its own session counts, so a liar can make itself look wrong
//! and nobody else. While my clock is suspect I evict nobody.
//!
//! Bounds: one entry a session.

use super::ticks::newest_of;
use super::{Context, State};
use crate::event::Event;
use crate::output::Outbox;
use crate::time::Now;
use crate::types::{MemberId, OrgId};
use crate::wire::AliveRecord;
use std::collections::BTreeMap;

/// Of fewer members that look wrong, each may be wrong itself.
const WRONG_MIN: usize = 3;

/// What members' clocks look like from here.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    looks_wrong: BTreeMap<MemberId, (OrgId, bool)>,
    is_suspect: bool,
}

impl Clocks {
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    pub(super) fn forget(&mut self, member: MemberId) {
        self.looks_wrong.remove(&member);
    }

    pub(super) fn note(&mut self, member: MemberId, org: OrgId, is_wrong: bool) {
        self.looks_wrong.insert(member, (org, is_wrong));
    }

    fn count_wrong(&self) -> usize {
        self.looks_wrong.values().filter(|(_, is_wrong)| *is_wrong).count()
    }

    /// Whether most members of most orgs look wrong.
    fn is_majority_wrong(&self) -> bool {
        let mut orgs: BTreeMap<OrgId, (usize, usize)> = BTreeMap::new();
        for (org, is_wrong) in self.looks_wrong.values() {
            let (wrong, all) = orgs.entry(*org).or_default();
            *wrong += usize::from(*is_wrong);
            *all += 1;
        }
        let wrong_orgs = orgs.values().filter(|(wrong, all)| wrong * 2 > *all).count();
        wrong_orgs * 2 > orgs.len() && self.count_wrong() >= WRONG_MIN
    }
}

impl State {
    /// Notes what time a member has, from an alive on its own session; whether the alive counts is judged
    /// elsewhere.
    pub fn note_time(&mut self, now: Now, record: &AliveRecord, from: MemberId, context: &Context<'_>) {
        let alive = &record.alive;
        let Some(org) = context.sessions.get(&from).copied().filter(|_| from == alive.member()) else {
            return;
        };
        let statement = alive.statement();
        let skew = self.config.clock_skew_max;
        let (link, _) = newest_of(statement, record.tick);
        let is_wrong = statement.time_of(link).distance(now.wall) > skew
            || statement.incarnation.started_at() > now.wall.saturating_add(skew);
        self.clocks.note(from, org, is_wrong);
    }

    /// Raises or clears the alarm.
    pub(super) fn judge_clock(&mut self, out: &mut Outbox) {
        let is_suspect = self.clocks.is_majority_wrong();
        if std::mem::replace(&mut self.clocks.is_suspect, is_suspect) == is_suspect {
            return;
        }
        let (wrong, members) = (self.clocks.count_wrong(), self.clocks.looks_wrong.len());
        out.event(Event::ClockSuspect { is_suspect, wrong, members });
    }

    /// Whether my own wall clock is the likely cause of what looks wrong.
    pub fn is_clock_suspect(&self) -> bool {
        self.clocks.is_suspect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;

    fn clocks(orgs: &[(u8, usize, usize)]) -> Clocks {
        let mut clocks = Clocks::default();
        for (org, wrong, all) in orgs {
            for index in 0..*all {
                let member = MemberId::from_digest(Digest::of(&[*org, u8::try_from(index).expect("few")]));
                let org = OrgId::from_digest(Digest::of(&[*org]));
                clocks.looks_wrong.insert(member, (org, index < *wrong));
            }
        }
        clocks
    }

    #[test]
    fn my_clock_is_suspect_when_most_members_of_most_orgs_look_wrong() {
        assert!(clocks(&[(1, 3, 4)]).is_majority_wrong());
        assert!(clocks(&[(1, 3, 4), (2, 3, 3), (3, 0, 4)]).is_majority_wrong());
    }

    #[test]
    fn one_org_however_large_does_not_make_my_clock_suspect() {
        assert!(!clocks(&[(1, 100, 100), (2, 0, 2), (3, 0, 2)]).is_majority_wrong());
        assert!(!clocks(&[(1, 100, 100), (2, 1, 3)]).is_majority_wrong());
    }

    #[test]
    fn few_members_say_nothing() {
        assert!(!clocks(&[]).is_majority_wrong());
        assert!(!clocks(&[(1, 2, 2)]).is_majority_wrong());
    }
}
