//! The choice of whom to tell: random, but spread over the organisations.

use crate::types::{MemberId, Neighbour, OrgId};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;
use std::collections::BTreeMap;

/// Chooses up to `count` members: one of each org in random order, then a second of each, and so on.
pub(super) fn choose(candidates: &[&Neighbour], count: usize, random: &mut ChaCha8Rng) -> Vec<MemberId> {
    let mut shuffled: Vec<&Neighbour> = candidates.to_vec();
    shuffled.sort_by_cached_key(|_| random.next_u64());
    let mut taken_per_org: BTreeMap<OrgId, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, MemberId)> = Vec::with_capacity(shuffled.len());
    for neighbour in shuffled {
        let taken = taken_per_org.entry(neighbour.org).or_default();
        ranked.push((*taken, neighbour.member));
        *taken += 1;
    }
    // The sort is stable: within a round the orgs keep their random order.
    ranked.sort_by_key(|(round, _)| *round);
    ranked.into_iter().take(count).map(|(_, member)| member).collect()
}
