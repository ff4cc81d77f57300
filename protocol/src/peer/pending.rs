//! What waits: statements and certificates under verification, and statements whose certificate is still to
//! come.
//!
//! Before a verdict only these tables change. Later copies of pending bytes wait for the first one's verdict.
//! Each table is bounded as a whole, and for each sender: who floods fills its own part.

use crate::asked::Asked;
use crate::job::SignedStatement;
use crate::session::Config;
use crate::time::Monotonic;
use crate::types::MemberId;
use ledgercast_crypto::Digest;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Who was asked for a certificate has so long to answer. Guess: several slow round trips.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pending {
    statements: UnderWay,
    certificates: UnderWay,
    waiting: VecDeque<(MemberId, SignedStatement)>,
    waiting_by_sender: BTreeMap<MemberId, usize>,
    waiting_max: usize,
    waiting_per_sender_max: usize,
    /// Certificates that were asked for lately, and those to be asked for now.
    asked: Asked<MemberId>,
    wanted: BTreeSet<MemberId>,
}

/// What became of a request to start a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Start it.
    Admitted,
    /// The same bytes are under verification already.
    Pending,
    /// The table, or its sender's part of it, is full: the reason, in snake case.
    Full(&'static str),
}

/// What became of a statement that must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It waits.
    Kept,
    /// It waits in the place of an older one: the reason, in snake case.
    InPlaceOf(&'static str),
}

/// Verifications of one kind, with who caused each.
#[derive(Debug)]
struct UnderWay {
    senders: BTreeMap<Digest, MemberId>,
    by_sender: BTreeMap<MemberId, usize>,
    count_max: usize,
    per_sender_max: usize,
}

impl UnderWay {
    fn new(config: &Config) -> Self {
        Self {
            senders: BTreeMap::new(),
            by_sender: BTreeMap::new(),
            count_max: config.pending_verifications_max,
            per_sender_max: config.pending_verifications_per_session,
        }
    }

    fn admit(&mut self, from: MemberId, digest: Digest) -> Admission {
        if self.senders.contains_key(&digest) {
            return Admission::Pending;
        }
        if self.senders.len() >= self.count_max {
            return Admission::Full("verifications_full");
        }
        if self.by_sender.get(&from).is_some_and(|count| *count >= self.per_sender_max) {
            return Admission::Full("verifications_of_session_full");
        }
        self.senders.insert(digest, from);
        *self.by_sender.entry(from).or_default() += 1;
        Admission::Admitted
    }

    fn done(&mut self, digest: Digest) {
        if let Some(from) = self.senders.remove(&digest) {
            release(&mut self.by_sender, from);
        }
    }
}

/// One fewer of this sender's; senders without any are forgotten.
fn release(by_sender: &mut BTreeMap<MemberId, usize>, from: MemberId) {
    if let Some(count) = by_sender.get_mut(&from) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            by_sender.remove(&from);
        }
    }
}

impl Pending {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            statements: UnderWay::new(config),
            certificates: UnderWay::new(config),
            waiting: VecDeque::new(),
            waiting_by_sender: BTreeMap::new(),
            waiting_max: config.waiting_statements_max,
            waiting_per_sender_max: config.waiting_statements_per_session,
            asked: Asked::new(config.waiting_statements_per_session, ASK_AGAIN),
            wanted: BTreeSet::new(),
        }
    }

    pub(super) fn admit_statement(&mut self, from: MemberId, digest: Digest) -> Admission {
        self.statements.admit(from, digest)
    }

    pub(super) fn statement_done(&mut self, digest: Digest) {
        self.statements.done(digest);
    }

    pub(super) fn admit_certificate(&mut self, from: MemberId, fingerprint: Digest) -> Admission {
        self.certificates.admit(from, fingerprint)
    }

    pub(super) fn certificate_done(&mut self, fingerprint: Digest) {
        self.certificates.done(fingerprint);
    }

    /// Notes that a member's certificate is lacking. Who mentions that member is asked for it once in
    /// [`ASK_AGAIN`], and a few at once.
    pub(super) fn want_certificate(&mut self, now: Monotonic, member: MemberId, from: MemberId) {
        if self.asked.may_ask(now, member, from) {
            self.wanted.insert(member);
        }
    }

    pub(super) fn take_wanted(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.wanted).into_iter().collect()
    }

    /// Keeps a statement until its member's certificate comes. The oldest one of its sender makes room when
    /// that sender has its full part, the oldest of all when the table is full.
    pub(super) fn wait_for_certificate(&mut self, from: MemberId, statement: SignedStatement) -> Waiting {
        let of_sender = self.waiting_by_sender.get(&from).copied().unwrap_or_default();
        let outcome = if of_sender >= self.waiting_per_sender_max {
            let oldest = self.waiting.iter().position(|(sender, _)| *sender == from);
            self.drop_waiting(oldest);
            Waiting::InPlaceOf("waiting_of_session_full")
        } else if self.waiting.len() >= self.waiting_max {
            self.drop_waiting(Some(0));
            Waiting::InPlaceOf("waiting_full")
        } else {
            Waiting::Kept
        };
        self.waiting.push_back((from, statement));
        *self.waiting_by_sender.entry(from).or_default() += 1;
        outcome
    }

    fn drop_waiting(&mut self, index: Option<usize>) {
        if let Some((from, _)) = index.and_then(|index| self.waiting.remove(index)) {
            release(&mut self.waiting_by_sender, from);
        }
    }

    /// Statements and certificates under verification, and statements that wait for a certificate.
    pub(super) fn lengths(&self) -> (usize, usize, usize) {
        (self.statements.senders.len(), self.certificates.senders.len(), self.waiting.len())
    }

    /// Takes out the statements that waited for this member's certificate.
    pub(super) fn take_waiting(&mut self, member: MemberId) -> Vec<(MemberId, SignedStatement)> {
        let all = std::mem::take(&mut self.waiting);
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(_, waiting)| waiting.member() == member);
        self.waiting = left;
        taken.iter().for_each(|(from, _)| release(&mut self.waiting_by_sender, *from));
        taken.into()
    }

    /// Forgets what a sender whose session ended has waiting.
    pub(super) fn forget(&mut self, from: MemberId) {
        if self.waiting_by_sender.remove(&from).is_some() {
            self.waiting.retain(|(sender, _)| *sender != from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Sequence};
    use crate::wire::{Leave, Signed};
    use ledgercast_crypto::SecretKey;

    fn digest(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    fn member(byte: u8) -> MemberId {
        MemberId::from_digest(digest(byte))
    }

    fn leave_of(byte: u8) -> SignedStatement {
        let (incarnation, sequence) = (Incarnation::from_millis(1), Sequence::new(1));
        let leave = Leave { member: member(byte), incarnation, sequence };
        SignedStatement::Leave(Signed::sign(leave, &[0; 32], &SecretKey::from_seed([1; 32])))
    }

    fn pending(all: usize, per_sender: usize) -> Pending {
        Pending::new(&Config {
            pending_verifications_max: all,
            pending_verifications_per_session: per_sender,
            waiting_statements_max: all,
            waiting_statements_per_session: per_sender,
            ..Config::default()
        })
    }

    #[test]
    fn admits_bytes_once_and_up_to_the_bound() {
        let mut pending = pending(2, 2);
        let from = member(9);

        assert_eq!(pending.admit_statement(from, digest(1)), Admission::Admitted);
        assert_eq!(pending.admit_statement(from, digest(1)), Admission::Pending);
        assert_eq!(pending.admit_statement(from, digest(2)), Admission::Admitted);
        assert_eq!(pending.admit_statement(from, digest(3)), Admission::Full("verifications_full"));
        pending.statement_done(digest(1));
        assert_eq!(pending.admit_statement(from, digest(3)), Admission::Admitted);
    }

    #[test]
    fn a_sender_fills_its_own_part_only() {
        let mut pending = pending(10, 2);
        let full = Admission::Full("verifications_of_session_full");

        let of_flooder: Vec<Admission> =
            (0..4).map(|byte| pending.admit_certificate(member(1), digest(byte))).collect();

        assert_eq!(of_flooder, [Admission::Admitted, Admission::Admitted, full, full]);
        assert_eq!(pending.admit_certificate(member(2), digest(9)), Admission::Admitted);
        pending.certificate_done(digest(0));
        assert_eq!(pending.admit_certificate(member(1), digest(5)), Admission::Admitted);
    }

    #[test]
    fn waiting_statements_of_one_sender_displace_its_own() {
        let mut pending = pending(10, 2);
        pending.wait_for_certificate(member(2), leave_of(50));

        for byte in 1..=3 {
            pending.wait_for_certificate(member(1), leave_of(byte));
        }
        let outcome = pending.wait_for_certificate(member(1), leave_of(4));

        assert_eq!(outcome, Waiting::InPlaceOf("waiting_of_session_full"));
        assert_eq!(pending.lengths(), (0, 0, 3));
        assert_eq!(pending.take_waiting(member(50)).len(), 1, "another sender's stays");
        assert_eq!(pending.take_waiting(member(1)).len(), 0);
        assert_eq!(pending.take_waiting(member(4)).len(), 1);
    }

    #[test]
    fn a_lacking_certificate_is_asked_for_of_each_that_mentions_its_member() {
        let mut pending = pending(10, 2);
        let at = |millis| Monotonic::new(Duration::from_millis(millis));

        for millis in [0, 999] {
            pending.want_certificate(at(millis), member(1), member(8));
        }
        assert_eq!(pending.take_wanted(), [member(1)]);
        pending.want_certificate(at(999), member(1), member(9));
        assert_eq!(pending.take_wanted(), [member(1)], "who does not answer keeps no other's answer away");
        for wanted in 1..=4 {
            pending.want_certificate(at(1_000), member(wanted), member(8));
        }

        assert_eq!(pending.take_wanted(), [member(1), member(2)], "no more than may wait of one sender");
    }

    #[test]
    fn what_waits_for_a_sender_that_is_gone_is_forgotten() {
        let mut pending = pending(10, 2);
        pending.wait_for_certificate(member(1), leave_of(3));

        pending.forget(member(1));

        assert_eq!(pending.lengths(), (0, 0, 0));
        assert_eq!(pending.wait_for_certificate(member(1), leave_of(3)), Waiting::Kept);
    }
}
