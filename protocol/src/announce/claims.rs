//! Headers that others say exist and that I have not proven: who says so, and whom I have asked.

use super::Config;
use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use crate::wire::Tip;
use std::collections::BTreeMap;

/// Who announced a header, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcer {
    /// Who.
    pub member: MemberId,
    /// Whether it says that it has committed the block.
    pub is_complete: bool,
    /// When it said so first.
    pub at: Monotonic,
}

#[derive(Debug, Default)]
struct Claim {
    announcers: Vec<Announcer>,
    /// How many of the announcers were asked.
    asked: usize,
    /// Until when the last one asked, or the verification under way, has time.
    due: Option<Monotonic>,
}

#[derive(Debug, Default)]
pub(super) struct Claims {
    by_tip: BTreeMap<Tip, Claim>,
}

impl Claims {
    /// Remembers an announcer; `false` when a limit forbids it.
    pub(super) fn add(&mut self, tip: Tip, announcer: Announcer, config: &Config) -> bool {
        if let Some(claim) = self.by_tip.get_mut(&tip) {
            return claim.add(announcer, config.announcers_max);
        }
        let started =
            |claim: &&Claim| claim.announcers.first().is_some_and(|it| it.member == announcer.member);
        let hashes = self.by_tip.range(number_range(tip.number)).count();
        if hashes >= config.hashes_per_number_max
            || self.by_tip.values().filter(started).count() >= config.claims_per_member_max
        {
            return false;
        }
        self.by_tip.insert(tip, Claim { announcers: vec![announcer], ..Claim::default() });
        true
    }

    pub(super) fn is_waiting(&self, tip: Tip) -> bool {
        self.by_tip.get(&tip).is_some_and(|claim| claim.due.is_some())
    }

    pub(super) fn wait(&mut self, tip: Tip, due: Monotonic) {
        if let Some(claim) = self.by_tip.get_mut(&tip) {
            claim.due = Some(due);
        }
    }

    /// The next announcer to ask; a claim without one is forgotten: a new announcement opens it again.
    pub(super) fn next_announcer(&mut self, tip: Tip, due: Monotonic) -> Option<MemberId> {
        let claim = self.by_tip.get_mut(&tip)?;
        match claim.announcers.get(claim.asked) {
            Some(announcer) => {
                claim.asked += 1;
                claim.due = Some(due);
                Some(announcer.member)
            }
            None => {
                self.by_tip.remove(&tip);
                None
            }
        }
    }

    pub(super) fn due(&self, now: Monotonic) -> Vec<Tip> {
        let is_due = |claim: &Claim| claim.due.is_some_and(|due| due <= now);
        self.by_tip.iter().filter(|(_, claim)| is_due(claim)).map(|(tip, _)| *tip).collect()
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.by_tip.values().filter_map(|claim| claim.due).min()
    }

    pub(super) fn asked_of(&self, member: MemberId, number: BlockNumber) -> Vec<Tip> {
        let claims = self.by_tip.range(number_range(number));
        claims.filter(|(_, claim)| claim.last_asked() == Some(member)).map(|(tip, _)| *tip).collect()
    }

    /// Takes a member off all claims; returns those whose open question it leaves unanswered.
    pub(super) fn forget_member(&mut self, member: MemberId) -> Vec<Tip> {
        let mut unanswered = Vec::new();
        for (tip, claim) in &mut self.by_tip {
            if claim.last_asked() == Some(member) {
                unanswered.push(*tip);
            }
            if let Some(index) = claim.announcers.iter().position(|it| it.member == member) {
                claim.announcers.remove(index);
                claim.asked -= usize::from(index < claim.asked);
            }
        }
        self.by_tip.retain(|tip, claim| !claim.announcers.is_empty() || unanswered.contains(tip));
        unanswered
    }

    pub(super) fn take(&mut self, tip: Tip) -> Vec<Announcer> {
        self.by_tip.remove(&tip).map(|claim| claim.announcers).unwrap_or_default()
    }

    pub(super) fn forget_number(&mut self, number: BlockNumber) {
        self.by_tip.retain(|tip, _| tip.number != number);
    }

    pub(super) fn forget_through(&mut self, number: BlockNumber) {
        self.by_tip.retain(|tip, _| tip.number > number);
    }
}

impl Claim {
    fn add(&mut self, announcer: Announcer, announcers_max: usize) -> bool {
        if let Some(known) = self.announcers.iter_mut().find(|it| it.member == announcer.member) {
            known.is_complete |= announcer.is_complete;
            return true;
        }
        let has_room = self.announcers.len() < announcers_max;
        if has_room {
            self.announcers.push(announcer);
        }
        has_room
    }

    fn last_asked(&self) -> Option<MemberId> {
        let last = self.asked.checked_sub(1)?;
        self.announcers.get(last).map(|announcer| announcer.member)
    }
}

fn number_range(number: BlockNumber) -> std::ops::RangeInclusive<Tip> {
    use ledgercast_crypto::digest::Digest;
    let tip = |byte| Tip { number, header_hash: Digest::from_bytes([byte; 32]) };
    tip(0x00)..=tip(0xff)
}
