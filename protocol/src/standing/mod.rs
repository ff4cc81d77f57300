//! Standing: what a member has done that is wrong to every observer, and what follows here (design §10).
//!
//! ```text
//!  offence ─► standing − 1 ── below zero ─► quarantine: no session, either way
//!                ▲                               │ its time is over: standing 0
//!                └── + 1 for each `forgive_after` ◄┘
//! ```
//!
//! - Only an [`Offence`](crate::offence::Offence) counts. What is wrong in my view alone, and what goes
//!   beyond my limits, is refused and never comes here.
//! - It is my own judgement of a [`MemberId`], whatever its session or process; nobody is told of it.
//! - Quarantines of one member double, up to a cap, until it has had none for `forget_after`. Those of an org
//!   beyond the first take an eighth each of the org's inbound sessions, down to `org_sessions_min`.
//! - Time is my awake time: my own pause forgives nobody.
//! - Offences during a quarantine add nothing: they were under way when it began.
//!
//! Limits: members in all and of one org; at the bound the least blamed gives way, the oldest first.
//! Resists: liars that come back on a new session (A17, A18), and orgs that mint them (A7).

mod config;
mod record;

pub use config::Config;

use crate::types::{MemberId, OrgId};
use record::Record;
use std::collections::BTreeMap;
use std::time::Duration;

/// Beyond the first quarantine of an org's members each takes this part of its sessions.
const ORG_QUOTA_STEPS: usize = 8;

/// What follows from one offence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The quarantine that begins, if one does.
    pub quarantine: Option<Quarantine>,
    /// Who is forgotten, because the table is full.
    pub displaced: Option<MemberId>,
}

/// A time in which nothing is exchanged with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// How long it lasts, in awake time.
    pub lasts: Duration,
    /// The how manyth it is.
    pub count: u32,
}

/// What is held against a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingView {
    /// Who.
    pub member: MemberId,
    /// Of which org.
    pub org: OrgId,
    /// Its offences that are not forgiven.
    pub offences: u32,
    /// What is left of its quarantine, if it is in one.
    pub quarantined_for: Option<Duration>,
    /// Quarantines that are remembered.
    pub quarantines: u32,
}

/// The standings of all members that have committed an offence which is not forgiven; everybody else's is
/// full.
#[derive(Clone, Debug)]
pub struct Standings {
    config: Config,
    records: BTreeMap<MemberId, Record>,
}

impl Standings {
    /// Nobody has done anything yet.
    pub fn new(config: Config) -> Self {
        Self { config, records: BTreeMap::new() }
    }

    /// Judges one offence: the only way in which a standing falls.
    pub fn judge(&mut self, awake: Duration, member: MemberId, org: OrgId) -> Judgement {
        let displaced = if self.records.contains_key(&member) { None } else { self.make_room(org) };
        let record = self.records.entry(member).or_insert_with(|| Record::new(org));
        Judgement { quarantine: record.judge(awake, &self.config), displaced }
    }

    /// Ends quarantines whose time is over, and forgets whom nothing is held against any more; returns whose
    /// quarantine ended.
    pub fn settle(&mut self, awake: Duration) -> Vec<MemberId> {
        let mut ended = Vec::new();
        for (member, record) in &mut self.records {
            if record.end_quarantine(awake) {
                ended.push(*member);
            }
        }
        let config = &self.config;
        self.records.retain(|_, record| !record.is_forgotten(awake, config));
        ended
    }

    /// In how much awake time [`Standings::settle`] has something to do.
    pub fn next_due(&self, awake: Duration) -> Option<Duration> {
        let due = self.records.values().map(|record| record.next_change(awake, &self.config));
        due.min().map(|at| at.saturating_sub(awake))
    }

    /// Whether nothing is exchanged with a member now.
    pub fn is_quarantined(&self, member: MemberId) -> bool {
        self.records.get(&member).is_some_and(Record::is_quarantined)
    }

    /// Offences of a member that are not forgiven: who has fewer is asked first.
    pub fn offences(&self, awake: Duration, member: MemberId) -> u32 {
        self.records.get(&member).map_or(0, |record| record.offences(awake, &self.config))
    }

    /// How many of its inbound sessions an org may have.
    pub fn org_quota(&self, org: OrgId, sessions_max: usize) -> usize {
        let of_org = self.records.values().filter(|record| record.org == org);
        let quarantines = of_org.fold(0_usize, |sum, it| sum.saturating_add(it.quarantines as usize));
        let repeated = quarantines.saturating_sub(1).min(ORG_QUOTA_STEPS);
        let taken = sessions_max.saturating_mul(repeated) / ORG_QUOTA_STEPS;
        sessions_max.saturating_sub(taken).max(self.config.org_sessions_min.min(sessions_max))
    }

    /// Everybody whom something is held against.
    pub fn views(&self, awake: Duration) -> impl Iterator<Item = StandingView> {
        self.records.iter().map(move |(member, record)| StandingView {
            member: *member,
            org: record.org,
            offences: record.offences(awake, &self.config),
            quarantined_for: record.quarantined_for(awake),
            quarantines: record.quarantines,
        })
    }

    /// How many members something is held against.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing is held against anybody.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets one member of an org that has its full share, or, with a full table, of the org that has most.
    fn make_room(&mut self, org: OrgId) -> Option<MemberId> {
        let mut of_org: BTreeMap<OrgId, usize> = BTreeMap::new();
        for record in self.records.values() {
            *of_org.entry(record.org).or_default() += 1;
        }
        let of = if of_org.get(&org).is_some_and(|count| *count >= self.config.members_per_org_max) {
            org
        } else if self.records.len() >= self.config.members_max {
            of_org.into_iter().max_by_key(|(_, count)| *count).map(|(largest, _)| largest)?
        } else {
            return None;
        };
        let candidates = self.records.iter().filter(|(_, record)| record.org == of);
        let least = candidates.min_by_key(|(_, record)| record.blame()).map(|(member, _)| *member)?;
        self.records.remove(&least);
        Some(least)
    }
}

#[cfg(test)]
mod tests;
