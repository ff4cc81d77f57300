//! Headers that name a config which is not in force here yet: kept, bounded, until the blocks below them are
//! durable and the config block among them has brought it. Nobody is to blame for being ahead.

use crate::event::Source;
use crate::ledger::CertifiedHeader;
use crate::types::{BlockNumber, OrgId};
use ledgercast_crypto::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// A header that waits for its config.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub(super) source: Source,
    /// Of the member that is its source.
    pub(super) org: Option<OrgId>,
    pub(super) header: CertifiedHeader,
}

/// A header by number and hash.
type Key = (BlockNumber, Digest);

/// At the bound the source that has most here, of the org that has most, gives up its highest: lower ones are
/// the first that can be judged, the others are asked again, and nobody displaces who has less than it.
///
/// Copies of one header from several sources are kept side by side, as many as are verified side by side: one
/// with a false certificate must not keep the true one out. Of one source there is one copy.
#[derive(Debug)]
pub(super) struct Deferred {
    /// No list is empty.
    entries: BTreeMap<Key, Vec<Ahead>>,
    /// What each source has, so that a newcomer at the bound costs no look at everything; no set is empty.
    by_source: BTreeMap<(Option<OrgId>, Source), BTreeSet<Key>>,
    count: usize,
    count_max: usize,
}

impl Deferred {
    pub(super) fn new(count_max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_source: BTreeMap::new(), count: 0, count_max }
    }

    /// Keeps a source's copy of a header; gives back one for which there is no room, perhaps this one.
    pub(super) fn keep(&mut self, ahead: Ahead) -> Option<Ahead> {
        let (org, source, key) = (ahead.org, ahead.source, key(&ahead.header));
        if !self.by_source.entry((org, source)).or_default().insert(key) {
            return None;
        }
        self.entries.entry(key).or_default().push(ahead);
        self.count += 1;
        if self.count <= self.count_max {
            return None;
        }
        let (highest, source) = self.highest_of_who_has_most((org, source))?;
        self.remove(highest, source)
    }

    /// Of several that have as many, the newcomer gives way.
    fn highest_of_who_has_most(&self, newcomer: (Option<OrgId>, Source)) -> Option<(Key, Source)> {
        let mut by_org: BTreeMap<Option<OrgId>, usize> = BTreeMap::new();
        for ((org, _), held) in &self.by_source {
            *by_org.entry(*org).or_default() += held.len();
        }
        let (org, _) = by_org.into_iter().max_by_key(|(org, count)| (*count, *org == newcomer.0))?;
        let of_org = self.by_source.iter().filter(|((of, _), _)| *of == org);
        let (who, held) = of_org.max_by_key(|(who, held)| (held.len(), **who == newcomer))?;
        Some((*held.last()?, who.1))
    }

    fn remove(&mut self, key: Key, source: Source) -> Option<Ahead> {
        let copies = self.entries.get_mut(&key)?;
        let removed = copies.remove(copies.iter().position(|it| it.source == source)?);
        if copies.is_empty() {
            self.entries.remove(&key);
        }
        self.count -= 1;
        let who = (removed.org, source);
        if let Some(held) = self.by_source.get_mut(&who) {
            held.remove(&key);
            if held.is_empty() {
                self.by_source.remove(&who);
            }
        }
        Some(removed)
    }

    /// Forgets all copies of a source.
    pub(super) fn forget(&mut self, source: Source) {
        let its = self.by_source.iter().filter(|((_, it), _)| *it == source);
        let keys: Vec<Key> = its.flat_map(|(_, held)| held).copied().collect();
        for key in keys {
            self.remove(key, source);
        }
    }

    /// Takes out everything, lowest first.
    pub(super) fn take(&mut self) -> Vec<Ahead> {
        self.count = 0;
        self.by_source.clear();
        std::mem::take(&mut self.entries).into_values().flatten().collect()
    }
}

fn key(header: &CertifiedHeader) -> Key {
    (header.header.number(), header.hash())
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
    fn of_one_source_there_is_one_copy_and_it_can_be_forgotten() {
        let blocks = Chain::new(1).extend(3);
        let mut deferred = Deferred::new(3);
        for block in [&blocks[0], &blocks[0], &blocks[1]] {
            deferred.keep(pushed(1, 1, block));
        }
        deferred.keep(pushed(2, 2, &blocks[0]));
        assert_eq!(deferred.count, 3);

        deferred.forget(pushed(1, 1, &blocks[0]).source);

        assert_eq!((deferred.count, deferred.by_source.len()), (1, 1));
        assert!(deferred.keep(pushed(1, 1, &blocks[2])).is_none());
        assert_eq!(numbers(&mut deferred), [1, 3]);
        assert!(deferred.by_source.is_empty());
    }

    #[test]
    fn a_config_ahead_needs_a_block_for_each_change_below_the_header() {
        let possible = |number, config| is_possible(BlockNumber::new(number), config, BlockNumber::new(5), 3);

        assert!(possible(5, 3) && !possible(5, 4));
        assert!(possible(6, 4) && !possible(6, 5));
    }
}
