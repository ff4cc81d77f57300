//! Headers that others say exist and that I have not proven: who says so, and whom I have asked.

use super::Config;
use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use crate::wire::Tip;
use std::collections::{BTreeMap, BTreeSet};

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

/// How often the number of announcers that are asked at once doubles. Four with eight kept: the third round
/// reaches the last of them.
const ROUND_DOUBLINGS_MAX: u32 = 2;

#[derive(Debug, Default)]
struct Claim {
    announcers: Vec<Announcer>,
    /// How many of the announcers were asked.
    asked: usize,
    /// Those of them that still owe an answer.
    open: BTreeSet<MemberId>,
    /// Rounds of questions to which nobody answered.
    rounds: u32,
    /// Until when those asked last, or the verification under way, have time.
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

    /// Whom to ask next, now that nobody has answered in time: one, then two, then four, because most may be
    /// silent. A claim without one is forgotten: a new announcement opens it again.
    pub(super) fn next_round(&mut self, tip: Tip, due: Monotonic) -> Vec<MemberId> {
        let Some(claim) = self.by_tip.get_mut(&tip) else {
            return Vec::new();
        };
        let count = 1 << claim.rounds.min(ROUND_DOUBLINGS_MAX);
        claim.rounds = claim.rounds.saturating_add(1);
        claim.open.clear();
        let next = claim.ask_next(count, due);
        if next.is_empty() {
            self.by_tip.remove(&tip);
        }
        next
    }

    /// Whom to ask in place of one that will not answer; the claim ends with the last question.
    pub(super) fn replacement(&mut self, tip: Tip, of: MemberId, due: Monotonic) -> Vec<MemberId> {
        let Some(claim) = self.by_tip.get_mut(&tip) else {
            return Vec::new();
        };
        claim.open.remove(&of);
        let next = claim.ask_next(1, due);
        if next.is_empty() && claim.open.is_empty() {
            self.by_tip.remove(&tip);
        }
        next
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
        claims.filter(|(_, claim)| claim.open.contains(&member)).map(|(tip, _)| *tip).collect()
    }

    /// Takes a member off all claims; returns those whose open question it leaves unanswered.
    pub(super) fn forget_member(&mut self, member: MemberId) -> Vec<Tip> {
        let mut unanswered = Vec::new();
        for (tip, claim) in &mut self.by_tip {
            if claim.open.contains(&member) {
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

    fn ask_next(&mut self, count: usize, due: Monotonic) -> Vec<MemberId> {
        let next: Vec<MemberId> =
            self.announcers.iter().skip(self.asked).take(count).map(|announcer| announcer.member).collect();
        if !next.is_empty() {
            self.asked += next.len();
            self.open.extend(&next);
            self.due = Some(due);
        }
        next
    }
}

fn number_range(number: BlockNumber) -> std::ops::RangeInclusive<Tip> {
    use ledgercast_crypto::digest::Digest;
    let tip = |byte| Tip { number, header_hash: Digest::from_bytes([byte; 32]) };
    tip(0x00)..=tip(0xff)
}
