//! Who is asked first.

use super::Bodies;
use crate::types::{BlockNumber, MemberId, Neighbour, OrgId};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;
use std::collections::BTreeMap;

/// What a neighbour has said about a block, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holding {
    /// It has committed this block.
    Committed,
    /// It claims a height above the block.
    Claimed,
    /// It has proven the header, its body may be on the way.
    Announced,
    /// Nothing.
    Unknown,
}

/// What decides the order of holders.
pub(super) struct Ranking<'a> {
    pub(super) number: BlockNumber,
    pub(super) org: OrgId,
    pub(super) load: &'a BTreeMap<MemberId, usize>,
    pub(super) load_preferred: usize,
    pub(super) lapses: &'a BTreeMap<MemberId, u32>,
    /// Whether members may be asked that have said nothing about the block.
    pub(super) is_anybody: bool,
}

impl Ranking<'_> {
    /// Chooses up to `count` holders; the second one of another org than the first where there is one as
    /// good.
    pub(super) fn choose<'n>(
        &self,
        candidates: impl Iterator<Item = &'n Neighbour>,
        count: usize,
        bodies: &dyn Bodies,
        random: &mut ChaCha8Rng,
    ) -> Vec<MemberId> {
        let mut ranked: Vec<_> = candidates
            .filter(|it| it.first_block <= self.number)
            .map(|it| (self.rank(it, bodies.holding(it, self.number)), random.next_u64(), it))
            .filter(|((_, _, _, holding, ..), ..)| self.is_anybody || *holding != Holding::Unknown)
            .collect();
        ranked.sort_by_key(|(rank, tie, _)| (*rank, *tie));
        if let Some((best, _, first)) = ranked.first() {
            let surety = |rank: &Rank| (rank.0, rank.1, rank.2, rank.3);
            let (best, org) = (surety(best), first.org);
            let other = ranked.iter().skip(1).position(|(rank, _, it)| surety(rank) == best && it.org != org);
            if let Some(index) = other {
                ranked[1..=index + 1].rotate_right(1);
            }
        }
        ranked.into_iter().take(count).map(|(.., it)| it.member).collect()
    }

    fn rank(&self, neighbour: &Neighbour, holding: Holding) -> Rank {
        let lapses = self.lapses.get(&neighbour.member).copied().unwrap_or_default();
        let load = self.load.get(&neighbour.member).copied().unwrap_or_default();
        (
            neighbour.offences,
            lapses / 2,
            load >= self.load_preferred,
            holding,
            load,
            neighbour.org != self.org,
        )
    }
}

/// Offences, lapses in pairs (one may be chance), busy, surety, load, foreign.
type Rank = (u32, u32, bool, Holding, usize, bool);
