//! The other members: what is held of each, and what others may see of it.

use super::Own;
use crate::event::EvictionReason;
use crate::refusal::Refusal;
use crate::time::{Monotonic, WallTime};
use crate::types::{Endpoint, Incarnation, Mark, MemberId, OrgId, Sequence, Tick};
use crate::wire::{Alive, InternalEndpoint, Verified};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is thought of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStatus {
    /// Heard of within the expiry.
    Alive,
    /// Silent for too long; a newer alive brings it back.
    Evicted {
        /// Why.
        reason: EvictionReason,
        /// Since when.
        at: Monotonic,
    },
    /// It said good-bye.
    Left,
}

/// Another member, as seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Who.
    pub member: MemberId,
    /// Of which org.
    pub org: OrgId,
    /// In which life.
    pub incarnation: Incarnation,
    /// The newest statement.
    pub sequence: Sequence,
    /// The endpoint to dial from here.
    pub endpoint: Option<Endpoint>,
    /// Alive, evicted or left.
    pub status: MemberStatus,
    /// My awake time since its last news.
    pub silent_for: Duration,
    /// When its newest alive arrived here.
    pub last_news: Monotonic,
}

/// A question that is open about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) awake: Duration,
    pub(super) reason: EvictionReason,
}

/// What is held of a member.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) org: OrgId,
    pub(super) alive: Verified<Alive>,
    /// The newest tick after it, or its chain's end, and which one that is.
    pub(super) tick: Option<Tick>,
    pub(super) link: u32,
    pub(super) internal: Option<InternalEndpoint>,
    pub(super) status: MemberStatus,
    /// When the newest alive or tick arrived, and how old it was then.
    pub(super) last_news: Monotonic,
    pub(super) age_then: Duration,
    /// My awake time when its newest sign of life was made.
    pub(super) heard: Duration,
    pub(super) asked: Option<Asked>,
    /// My awake time when it was last asked because its endpoints refuse.
    pub(super) refused_at: Option<Duration>,
    /// When it was last checked by dialing, on somebody's question, and how often in vain.
    pub(super) checked: Option<Checked>,
    /// My awake time when it was evicted or left.
    pub(super) gone: Duration,
}

/// What a newer alive or tick changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    pub(super) age: Duration,
    pub(super) heard: Duration,
    pub(super) asked: Option<Asked>,
}

/// Checks of a member that others ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// My awake time at the last one.
    pub(super) awake: Duration,
    /// How many there were.
    pub(super) count: u32,
}

impl Entry {
    pub(super) fn is_alive(&self) -> bool {
        self.status == MemberStatus::Alive
    }

    pub(super) fn is_external(&self) -> bool {
        self.alive.statement().external_endpoint.is_some()
    }

    /// The internal endpoint where it is known, which is inside the org only.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        let internal = self.internal.as_ref().map(|internal| &internal.endpoint);
        internal.or(self.alive.statement().external_endpoint.as_ref())
    }

    /// The order of the newest thing that it said.
    pub(super) fn mark(&self) -> Mark {
        self.alive.statement().mark_of(self.link)
    }

    /// It was heard of.
    pub(super) fn hear(&mut self, now: Monotonic, hearing: Hearing) {
        self.status = MemberStatus::Alive;
        (self.last_news, self.age_then) = (now, hearing.age);
        (self.heard, self.asked) = (hearing.heard, hearing.asked);
    }

    /// How old a newer alive or tick is on arrival, as far as can be told without comparing two clocks: the
    /// time that passed here since the held one, less the time that passed for its owner between the two.
    /// Never too much while the owner's clock goes forward; zero for the first of an incarnation.
    pub(super) fn age_of(&self, (incarnation, time): (Incarnation, WallTime), now: Monotonic) -> Duration {
        let held = self.alive.statement();
        if held.incarnation != incarnation {
            return Duration::ZERO;
        }
        let passed_here = now.saturating_since(self.last_news).saturating_add(self.age_then);
        let passed_there = time.as_millis().saturating_sub(held.time_of(self.link).as_millis());
        passed_here.saturating_sub(Duration::from_millis(passed_there))
    }

    pub(super) fn silent_for(&self, awake: Duration) -> Duration {
        awake.saturating_sub(self.heard)
    }

    pub(super) fn view(&self, member: MemberId, awake: Duration) -> MemberView {
        let alive = self.alive.statement();
        MemberView {
            member,
            org: self.org,
            incarnation: alive.incarnation,
            sequence: self.mark().sequence,
            endpoint: self.endpoint().cloned(),
            status: self.status,
            silent_for: self.silent_for(awake),
            last_news: self.last_news,
        }
    }
}

/// All other members, at most so many.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: BTreeMap<MemberId, Entry>,
    count_max: usize,
    per_org_max: usize,
}

impl Table {
    pub(super) fn new(count_max: usize, per_org_max: usize) -> Self {
        Self { entries: BTreeMap::new(), count_max, per_org_max }
    }

    pub(super) fn get(&self, member: MemberId) -> Option<&Entry> {
        self.entries.get(&member)
    }

    pub(super) fn get_mut(&mut self, member: MemberId) -> Option<&mut Entry> {
        self.entries.get_mut(&member)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, &Entry)> {
        self.entries.iter().map(|(member, entry)| (*member, entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = (MemberId, &Entry)> {
        self.iter().filter(|(_, entry)| entry.is_alive())
    }

    /// Whether a new member of an org finds room, if need be that of one that is gone.
    pub(super) fn require_room(&self, org: OrgId) -> Result<(), Refusal> {
        if self.count_of(org) >= self.per_org_max && self.longest_gone(Some(org)).is_none() {
            Err(Refusal("org_members_full"))
        } else if self.entries.len() >= self.count_max && self.longest_gone(None).is_none() {
            Err(Refusal("members_full"))
        } else {
            Ok(())
        }
    }

    fn count_of(&self, org: OrgId) -> usize {
        self.entries.values().filter(|entry| entry.org == org).count()
    }

    /// Of all orgs, or of one.
    fn longest_gone(&self, org: Option<OrgId>) -> Option<MemberId> {
        let gone = self.entries.iter().filter(|(_, entry)| !entry.is_alive());
        let gone = gone.filter(|(_, entry)| org.is_none_or(|org| entry.org == org));
        gone.min_by_key(|(_, entry)| entry.gone).map(|(member, _)| *member)
    }

    pub(super) fn insert(&mut self, member: MemberId, entry: Entry) {
        if !self.entries.contains_key(&member) {
            if self.count_of(entry.org) >= self.per_org_max {
                self.longest_gone(Some(entry.org)).map(|gone| self.entries.remove(&gone));
            }
            if self.entries.len() >= self.count_max {
                self.longest_gone(None).map(|gone| self.entries.remove(&gone));
            }
        }
        self.entries.insert(member, entry);
    }

    pub(super) fn remove(&mut self, member: MemberId) {
        self.entries.remove(&member);
    }

    /// Drops who is gone for longer than this.
    pub(super) fn forget(&mut self, awake: Duration, forget_after: Duration) {
        self.entries.retain(|_, entry| entry.is_alive() || awake.saturating_sub(entry.gone) < forget_after);
    }
}

/// Whether an alive says where to find its member from my org.
pub(super) fn internal_for(
    own: &Own,
    org: OrgId,
    internal: Option<InternalEndpoint>,
) -> Option<InternalEndpoint> {
    internal.filter(|_| org == own.org)
}
