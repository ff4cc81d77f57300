//! Headers that name a config which is not in force here yet: kept, bounded, until the blocks below them are
//! durable and the config block among them has brought it. Nobody is to blame for being ahead.

use crate::event::Source;
use crate::ledger::CertifiedHeader;
use crate::types::BlockNumber;
use ledgercast_crypto::Digest;
use std::collections::BTreeMap;

/// A header that waits for its config.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub(super) source: Source,
    pub(super) header: CertifiedHeader,
}

/// At the bound the lowest numbers stay: they are the first that can be judged, the others are asked again.
#[derive(Debug)]
pub(super) struct Deferred {
    entries: BTreeMap<(BlockNumber, Digest), Ahead>,
    count_max: usize,
}

impl Deferred {
    pub(super) fn new(count_max: usize) -> Self {
        Self { entries: BTreeMap::new(), count_max }
    }

    /// Keeps a header; gives back one for which there is no room, perhaps this one.
    pub(super) fn keep(&mut self, ahead: Ahead) -> Option<Ahead> {
        self.entries.entry((ahead.header.header.number(), ahead.header.hash())).or_insert(ahead);
        match self.entries.len() > self.count_max {
            true => self.entries.pop_last().map(|(_, highest)| highest),
            false => None,
        }
    }

    /// Whether a header of this number waits.
    pub(super) fn contains(&self, number: BlockNumber) -> bool {
        let first = (number, Digest::ZERO);
        self.entries.range(first..).next().is_some_and(|((found, _), _)| *found == number)
    }

    /// Takes out everything, lowest first.
    pub(super) fn take(&mut self) -> Vec<Ahead> {
        std::mem::take(&mut self.entries).into_values().collect()
    }
}

/// Whether a header may name this config on a chain whose blocks below `next` are under the one in force:
/// each change takes a block of its own.
pub(super) fn is_possible(number: BlockNumber, config_number: u64, next: BlockNumber, in_force: u64) -> bool {
    number.saturating_since(next) >= config_number.saturating_sub(in_force)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::Chain;

    fn ahead(chain: &mut Chain) -> Ahead {
        Ahead {
            source: Source::Orderer(crate::types::SourceId(0)),
            header: chain.next(&[b"x"]).header().certified().clone(),
        }
    }

    #[test]
    fn the_highest_makes_room_for_lower_ones() {
        let mut chain = Chain::new(1);
        let [one, two, three] = std::array::from_fn(|_| ahead(&mut chain));
        let mut deferred = Deferred::new(2);

        assert!(deferred.keep(three.clone()).is_none());
        assert!(deferred.keep(one.clone()).is_none());
        let no_room = deferred.keep(two).expect("one is too many");

        assert_eq!(no_room.header, three.header);
        assert!(deferred.contains(BlockNumber::new(1)) && !deferred.contains(BlockNumber::new(3)));
        assert_eq!(deferred.take().len(), 2);
    }

    #[test]
    fn a_config_ahead_needs_a_block_for_each_change_below_the_header() {
        let possible = |number, config| is_possible(BlockNumber::new(number), config, BlockNumber::new(5), 3);

        assert!(possible(5, 3) && !possible(5, 4));
        assert!(possible(6, 4) && !possible(6, 5));
    }
}
