//! What was asked for lately, and of whom: one thing is asked of a few at once, so that who mentions it first
//! and does not answer keeps nobody else's answer away; and one sender's mentions fill its own part only.

use crate::time::Monotonic;
use crate::types::MemberId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many are asked for one thing at once. Guess: two of them may be liars.
const SENDERS_MAX: usize = 3;

/// Questions under way, by what is asked for.
#[derive(Debug)]
pub(crate) struct Asked<K> {
    at: BTreeMap<K, BTreeMap<MemberId, Monotonic>>,
    by_sender: BTreeMap<MemberId, usize>,
    per_sender_max: usize,
    /// Who was asked has so long to answer.
    patience: Duration,
}

impl<K: Ord + Copy> Asked<K> {
    /// Nothing asked. As many entries as there are sessions, times `per_sender_max`.
    pub(crate) fn new(per_sender_max: usize, patience: Duration) -> Self {
        Self { at: BTreeMap::new(), by_sender: BTreeMap::new(), per_sender_max, patience }
    }

    /// Whether to ask a sender for this now; notes that it is.
    pub(crate) fn may_ask(&mut self, now: Monotonic, key: K, from: MemberId) -> bool {
        if self.by_sender.get(&from).is_some_and(|count| *count >= self.per_sender_max) {
            self.expire(now);
        }
        if self.by_sender.get(&from).is_some_and(|count| *count >= self.per_sender_max) {
            return false;
        }
        let askees = self.at.entry(key).or_default();
        let before = askees.len();
        askees.retain(|_, at| now.saturating_since(*at) < self.patience);
        let is_stale = askees.len() < before;
        let may_ask = askees.len() < SENDERS_MAX && !askees.contains_key(&from);
        if may_ask {
            askees.insert(from, now);
            *self.by_sender.entry(from).or_default() += 1;
        }
        if is_stale {
            self.count_anew();
        }
        may_ask
    }

    /// Forgets what has had its time.
    pub(crate) fn expire(&mut self, now: Monotonic) {
        for askees in self.at.values_mut() {
            askees.retain(|_, at| now.saturating_since(*at) < self.patience);
        }
        self.at.retain(|_, askees| !askees.is_empty());
        self.count_anew();
    }

    fn count_anew(&mut self) {
        self.by_sender.clear();
        for from in self.at.values().flat_map(BTreeMap::keys) {
            *self.by_sender.entry(*from).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;

    fn member(byte: u8) -> MemberId {
        MemberId::from_digest(Digest::from_bytes([byte; 32]))
    }

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    fn asked() -> Asked<u8> {
        Asked::new(2, Duration::from_secs(1))
    }

    #[test]
    fn each_sender_is_asked_once_in_a_while_and_three_at_once() {
        let mut asked = asked();

        assert!(asked.may_ask(at(0), 7, member(1)));
        assert!(!asked.may_ask(at(999), 7, member(1)), "it has time to answer");
        assert!(asked.may_ask(at(999), 7, member(2)), "a silent one keeps nobody away");
        assert!(asked.may_ask(at(999), 7, member(3)));
        assert!(!asked.may_ask(at(999), 7, member(4)));
        assert!(asked.may_ask(at(1_000), 7, member(1)));
    }

    #[test]
    fn a_sender_fills_its_own_part_only() {
        let mut asked = asked();

        let of_flooder: Vec<bool> = (0..4).map(|thing| asked.may_ask(at(0), thing, member(1))).collect();

        assert_eq!(of_flooder, [true, true, false, false]);
        assert!(asked.may_ask(at(0), 3, member(2)));
        assert!(asked.may_ask(at(1_000), 3, member(1)), "its part is free again");
    }

    #[test]
    fn what_has_had_its_time_is_forgotten() {
        let mut asked = asked();
        asked.may_ask(at(0), 1, member(1));

        asked.expire(at(1_000));

        assert!(asked.at.is_empty() && asked.by_sender.is_empty());
    }
}
