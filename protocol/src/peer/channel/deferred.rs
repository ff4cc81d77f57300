//! Headers that name a config which is not in force here yet: kept, bounded, until the blocks below them are
//! durable and the config block among them has brought it. Nobody is to blame for being ahead.

use crate::event::Source;
use crate::ledger::CertifiedHeader;
use crate::types::{BlockNumber, OrgId};
use ledgercast_crypto::Digest;
use std::collections::BTreeMap;

/// A header that waits for its config.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub(super) source: Source,
    /// Of the member that is its source.
    pub(super) org: Option<OrgId>,
    pub(super) header: CertifiedHeader,
    /// Whether it is the answer to a question of range sync; anybody can push one.
    pub(super) is_answer: bool,
}

/// At the bound the source that has most here, of the org that has most, gives up its highest: lower ones are
/// the first that can be judged, the others are asked again, and nobody displaces who has less than it.
///
/// Copies of one header from several sources are kept side by side, as many as are verified side by side: one
/// with a false certificate must not keep the true one out.
#[derive(Debug)]
pub(super) struct Deferred {
    /// By number and hash; no list is empty.
    entries: BTreeMap<(BlockNumber, Digest), Vec<Ahead>>,
    count: usize,
    count_max: usize,
}

impl Deferred {
    pub(super) fn new(count_max: usize) -> Self {
        Self { entries: BTreeMap::new(), count: 0, count_max }
    }

    /// Keeps a source's copy of a header; gives back one for which there is no room, perhaps this one.
    pub(super) fn keep(&mut self, ahead: Ahead) -> Option<Ahead> {
        let (org, source) = (ahead.org, ahead.source);
        self.entries.entry(key(&ahead.header)).or_default().push(ahead);
        self.count += 1;
        if self.count <= self.count_max {
            return None;
        }
        let all = || self.entries.values().flatten();
        let org = most(all().map(|it| it.org), org)?;
        let source = most(all().filter(|it| it.org == org).map(|it| it.source), source)?;
        self.remove_highest_of(source)
    }

    fn remove_highest_of(&mut self, source: Source) -> Option<Ahead> {
        let place = |copies: &Vec<Ahead>| copies.iter().position(|it| it.source == source);
        let (key, place) = self.entries.iter().rev().find_map(|(key, held)| Some((*key, place(held)?)))?;
        let copies = self.entries.get_mut(&key)?;
        let removed = copies.remove(place);
        if copies.is_empty() {
            self.entries.remove(&key);
        }
        self.count -= 1;
        Some(removed)
    }

    /// Forgets all copies of a source.
    pub(super) fn forget(&mut self, source: Source) {
        self.entries.retain(|_, copies| {
            copies.retain(|it| it.source != source);
            !copies.is_empty()
        });
        self.count = self.entries.values().map(Vec::len).sum();
    }

    /// This header has come as an answer, perhaps not for the first time.
    pub(super) fn set_answer(&mut self, header: &CertifiedHeader) {
        for held in self.entries.get_mut(&key(header)).into_iter().flatten() {
            held.is_answer = true;
        }
    }

    /// Whether a header of this number waits that was asked for.
    pub(super) fn has_answer(&self, number: BlockNumber) -> bool {
        let (first, last) = ((number, Digest::ZERO), (number.next(), Digest::ZERO));
        self.entries.range(first..last).flat_map(|(_, copies)| copies).any(|held| held.is_answer)
    }

    /// Takes out everything, lowest first.
    pub(super) fn take(&mut self) -> Vec<Ahead> {
        self.count = 0;
        std::mem::take(&mut self.entries).into_values().flatten().collect()
    }
}

fn key(header: &CertifiedHeader) -> (BlockNumber, Digest) {
    (header.header.number(), header.hash())
}

/// Which key comes most often; this one, if none comes oftener.
fn most<K: Ord + Copy>(keys: impl Iterator<Item = K>, newcomer: K) -> Option<K> {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts.into_iter().max_by_key(|(key, count)| (*count, *key == newcomer)).map(|(key, _)| key)
}

/// Whether a header may name this config on a chain whose blocks below `next` are under the one in force:
/// each change takes a block of its own.
pub(super) fn is_possible(number: BlockNumber, config_number: u64, next: BlockNumber, in_force: u64) -> bool {
    number.saturating_since(next) >= config_number.saturating_sub(in_force)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::VerifiedBlock;
    use crate::store::suite::Chain;
    use crate::types::MemberId;

    fn org(byte: u8) -> OrgId {
        OrgId::from_digest(Digest::from_bytes([byte; 32]))
    }

    /// As a member of an org pushes it.
    fn pushed(of_org: u8, member: u8, block: &VerifiedBlock) -> Ahead {
        Ahead {
            source: Source::Peer(MemberId::from_digest(Digest::from_bytes([member; 32]))),
            org: Some(org(of_org)),
            header: block.header().certified().clone(),
            is_answer: false,
        }
    }

    fn numbers(deferred: &mut Deferred) -> Vec<u64> {
        deferred.take().iter().map(|it| it.header.header.number().as_u64()).collect()
    }

    #[test]
    fn the_highest_of_a_source_makes_room_for_its_lower_ones() {
        let blocks = Chain::new(1).extend(3);
        let mut deferred = Deferred::new(2);

        assert!(deferred.keep(pushed(1, 1, &blocks[2])).is_none());
        assert!(deferred.keep(pushed(1, 1, &blocks[0])).is_none());
        let no_room = deferred.keep(pushed(1, 1, &blocks[1])).expect("one is too many");

        assert_eq!(no_room.header, *blocks[2].header().certified());
        assert_eq!(numbers(&mut deferred), [1, 2]);
    }

    #[test]
    fn who_has_more_displaces_nobody_who_has_less() {
        let blocks = Chain::new(1).extend(8);
        let mut deferred = Deferred::new(4);
        // An honest member of org 1 has two, higher than all that two members of org 2 push.
        for block in &blocks[6..] {
            deferred.keep(pushed(1, 1, block));
        }

        let no_room =
            (0..6).filter_map(|index| deferred.keep(pushed(2, 2 + index % 2, &blocks[index as usize])));

        assert!(no_room.map(|it| it.org).all(|it| it == Some(org(2))));
        assert_eq!(numbers(&mut deferred), [1, 2, 7, 8]);
    }

    #[test]
    fn only_what_was_asked_for_is_an_answer() {
        let blocks = Chain::new(1).extend(2);
        let mut deferred = Deferred::new(4);
        deferred.keep(pushed(1, 1, &blocks[0]));
        assert!(!deferred.has_answer(BlockNumber::new(1)));

        deferred.set_answer(blocks[0].header().certified());

        assert!(deferred.has_answer(BlockNumber::new(1)) && !deferred.has_answer(BlockNumber::new(2)));
    }

    #[test]
    fn a_config_ahead_needs_a_block_for_each_change_below_the_header() {
        let possible = |number, config| is_possible(BlockNumber::new(number), config, BlockNumber::new(5), 3);

        assert!(possible(5, 3) && !possible(5, 4));
        assert!(possible(6, 4) && !possible(6, 5));
    }
}
