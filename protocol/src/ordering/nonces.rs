//! Which nonces a channel's creators have used, as far as memory allows.
//!
//! A nonce is remembered as 16 bytes of SHA-256(creator fingerprint ‖ nonce), twice (by value and by age):
//! about 60 bytes each, 60 MB for a million. Above its capacity the oldest are forgotten; from then on the
//! store is asked about every new envelope, so that none is ever ordered twice, but another envelope may use
//! a forgotten nonce. One that is given back leaves an empty place, which counts for the capacity while older
//! and newer ones are held: every step is logarithmic.

use crate::ledger::{Envelope, EnvelopeContent, VerifiedBlock};
use crate::store::{BlockStore, StoreError};
use crate::types::{BlockNumber, ChannelId};
use ledgercast_crypto::digest::Digest;
use std::collections::{BTreeMap, VecDeque};

type Key = [u8; 16];

/// The newest nonces of one channel.
#[derive(Clone, Debug)]
pub struct Nonces {
    /// With the age that each has in `by_age`.
    seen: BTreeMap<Key, u64>,
    /// Oldest first; empty where one was given back.
    by_age: VecDeque<Option<Key>>,
    /// The age of the first of these; each further one's is the next.
    oldest: u64,
    capacity: usize,
    is_complete: bool,
}

impl Nonces {
    /// Those of a channel without transactions.
    pub fn new(capacity: usize) -> Self {
        let (seen, by_age) = (BTreeMap::new(), VecDeque::new());
        // In the middle: older ones are read back, newer ones come, fewer than that of either.
        Self { seen, by_age, oldest: u64::MAX / 2, capacity: capacity.max(1), is_complete: true }
    }

    /// Reads the newest ones back from a chain, tip first. Reads the whole chain if it has fewer than
    /// `capacity`.
    ///
    /// # Errors
    /// [`StoreError`] when the channel is not held or a block cannot be read.
    pub fn recover(store: &dyn BlockStore, channel: ChannelId, capacity: usize) -> Result<Self, StoreError> {
        let mut nonces = Self::new(capacity);
        let mut next = store.height(channel)?.tip();
        while let Some(number) = next.filter(|number| *number != BlockNumber::GENESIS) {
            let envelopes: Vec<_> = read(store, channel, number)?.envelopes().collect();
            for bytes in envelopes.into_iter().rev() {
                if let Ok(envelope) = Envelope::decode(bytes) {
                    nonces.recover_older(key(envelope.content()));
                }
            }
            if !nonces.is_complete {
                break;
            }
            next = number.previous();
        }
        Ok(nonces)
    }

    /// Whether this creator is known to have used this nonce.
    pub(super) fn contains(&self, content: &EnvelopeContent) -> bool {
        self.seen.contains_key(&key(content))
    }

    /// Whether no nonce was forgotten: then what is not contained was never used.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Remembers a nonce, for the oldest one if there is no room.
    pub(super) fn insert(&mut self, content: &EnvelopeContent) {
        let key = key(content);
        if self.seen.contains_key(&key) {
            return;
        }
        self.seen.insert(key, self.oldest + self.by_age.len() as u64);
        self.by_age.push_back(Some(key));
        if self.by_age.len() > self.capacity {
            let forgotten = self.pop_oldest().and_then(|oldest| self.seen.remove(&oldest));
            self.is_complete &= forgotten.is_none();
        }
    }

    /// Forgets a nonce whose envelope was not ordered after all.
    pub(super) fn remove(&mut self, content: &EnvelopeContent) {
        let Some(age) = self.seen.remove(&key(content)) else { return };
        if let Some(place) = usize::try_from(age - self.oldest).ok().and_then(|at| self.by_age.get_mut(at)) {
            *place = None;
        }
        while self.by_age.back().is_some_and(Option::is_none) {
            self.by_age.pop_back();
        }
        while self.by_age.front().is_some_and(Option::is_none) {
            self.pop_oldest();
        }
    }

    fn pop_oldest(&mut self) -> Option<Key> {
        let oldest = self.by_age.pop_front()?;
        self.oldest += 1;
        oldest
    }

    fn recover_older(&mut self, key: Key) {
        if self.by_age.len() == self.capacity {
            self.is_complete = false;
        } else if !self.seen.contains_key(&key) {
            self.oldest -= 1;
            self.seen.insert(key, self.oldest);
            self.by_age.push_front(Some(key));
        }
    }
}

fn key(content: &EnvelopeContent) -> Key {
    let digest = Digest::of_parts(&[content.creator.as_bytes(), &content.nonce]);
    *digest.as_bytes().first_chunk().expect("a digest is longer than a key")
}

fn read(
    store: &dyn BlockStore,
    channel: ChannelId,
    number: BlockNumber,
) -> Result<VerifiedBlock, StoreError> {
    let damaged = |cause: String| StoreError::Damaged { channel, number, cause };
    let block = store.read(channel, number)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    VerifiedBlock::from_store(block).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::suite::Chain;

    fn content(chain: &Chain, nonce: u128) -> EnvelopeContent {
        chain.client().envelope(chain.channel(), nonce, b"").content().clone()
    }

    /// Blocks 1 to 3 with two envelopes each; the fixture's nonces count from 1.
    fn stored() -> (Chain, MemoryStore) {
        let (mut chain, store) = (Chain::new(1), MemoryStore::new());
        store.create_channel(chain.name(), chain.genesis()).unwrap();
        let blocks: Vec<_> = (0..3).map(|_| chain.next(&[b"a", b"b"])).collect();
        store.append(&blocks).unwrap();
        (chain, store)
    }

    #[test]
    fn forgets_the_oldest_above_capacity_and_says_so() {
        let chain = Chain::new(1);
        let mut nonces = Nonces::new(2);

        nonces.insert(&content(&chain, 1));
        nonces.insert(&content(&chain, 2));
        nonces.insert(&content(&chain, 2));
        let was_complete = nonces.is_complete();
        nonces.insert(&content(&chain, 3));

        assert!(was_complete);
        assert!(!nonces.is_complete());
        let held = [1, 2, 3].map(|nonce| nonces.contains(&content(&chain, nonce)));
        assert_eq!(held, [false, true, true]);
    }

    #[test]
    fn a_nonce_given_back_is_free_and_the_others_stay() {
        let chain = Chain::new(1);
        let mut nonces = Nonces::new(4);
        (1..=4).for_each(|nonce| nonces.insert(&content(&chain, nonce)));

        [2, 1, 4].iter().for_each(|nonce| nonces.remove(&content(&chain, *nonce)));
        let held = [1, 2, 3, 4].map(|nonce| nonces.contains(&content(&chain, nonce)));
        (5..=7).for_each(|nonce| nonces.insert(&content(&chain, nonce)));

        assert_eq!(held, [false, false, true, false]);
        assert!(nonces.is_complete());
        nonces.insert(&content(&chain, 2));
        assert!(!nonces.is_complete());
        let held = [2, 3, 5, 6, 7].map(|nonce| nonces.contains(&content(&chain, nonce)));
        assert_eq!(held, [true, false, true, true, true]);
    }

    /// Closing the gap would move all newer ones, up to a million for each envelope that is refused.
    #[test]
    fn a_nonce_given_back_leaves_its_place_empty_and_moves_no_other() {
        let chain = Chain::new(1);
        let mut nonces = Nonces::new(10);
        (1..=4).for_each(|nonce| nonces.insert(&content(&chain, nonce)));
        let before = nonces.by_age.clone();

        nonces.remove(&content(&chain, 2));

        assert_eq!(nonces.by_age, [before[0], None, before[2], before[3]]);
        nonces.remove(&content(&chain, 1));
        assert_eq!(nonces.by_age, [before[2], before[3]], "no place is left before the oldest");
        nonces.remove(&content(&chain, 4));
        assert_eq!(nonces.by_age, [before[2]], "nor behind the newest");
    }

    #[test]
    fn recovers_all_nonces_of_a_short_chain() {
        let (chain, store) = stored();

        let nonces = Nonces::recover(&store, chain.channel(), 6).unwrap();

        assert!(nonces.is_complete());
        assert!((1..=6).all(|nonce| nonces.contains(&content(&chain, nonce))));
        assert!(!nonces.contains(&content(&chain, 7)));
    }

    #[test]
    fn recovers_the_newest_nonces_of_a_long_chain() {
        let (chain, store) = stored();

        let nonces = Nonces::recover(&store, chain.channel(), 3).unwrap();

        assert!(!nonces.is_complete());
        let held = [3, 4, 5, 6].map(|nonce| nonces.contains(&content(&chain, nonce)));
        assert_eq!(held, [false, true, true, true]);
    }

    #[test]
    fn recovered_nonces_are_forgotten_oldest_first() {
        let (chain, store) = stored();
        let mut nonces = Nonces::recover(&store, chain.channel(), 6).unwrap();

        nonces.insert(&content(&chain, 7));

        assert!(!nonces.contains(&content(&chain, 1)));
        assert!((2..=7).all(|nonce| nonces.contains(&content(&chain, nonce))));
    }

    #[test]
    fn an_unknown_channel_has_no_nonces_to_recover() {
        let chain = Chain::new(1);

        let recovered = Nonces::recover(&MemoryStore::new(), chain.channel(), 6);

        assert_eq!(recovered.unwrap_err(), StoreError::UnknownChannel(chain.channel()));
    }
}
