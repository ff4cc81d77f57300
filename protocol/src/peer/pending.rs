//! What waits: statements and certificates under verification, and statements whose certificate is still to
//! come.
//!
//! Before a verdict only these tables change. Later copies of pending bytes wait for the first one's verdict.

use crate::job::SignedStatement;
use crate::types::MemberId;
use ledgercast_crypto::Digest;
use std::collections::{BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Pending {
    statements: BTreeSet<Digest>,
    certificates: BTreeSet<Digest>,
    under_way_max: usize,
    waiting: VecDeque<(MemberId, SignedStatement)>,
    waiting_max: usize,
}

/// What became of a request to start a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Start it.
    Admitted,
    /// The same bytes are under verification already.
    Pending,
    /// The table is full.
    Full,
}

impl Pending {
    pub(super) fn new(under_way_max: usize, waiting_max: usize) -> Self {
        Self {
            statements: BTreeSet::new(),
            certificates: BTreeSet::new(),
            under_way_max,
            waiting: VecDeque::new(),
            waiting_max,
        }
    }

    pub(super) fn admit_statement(&mut self, digest: Digest) -> Admission {
        admit(&mut self.statements, self.under_way_max, digest)
    }

    pub(super) fn statement_done(&mut self, digest: Digest) {
        self.statements.remove(&digest);
    }

    pub(super) fn admit_certificate(&mut self, fingerprint: Digest) -> Admission {
        admit(&mut self.certificates, self.under_way_max, fingerprint)
    }

    pub(super) fn certificate_done(&mut self, fingerprint: Digest) {
        self.certificates.remove(&fingerprint);
    }

    pub(super) fn has_certificates_under_way(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Keeps a statement until its member's certificate comes; the oldest one makes room.
    pub(super) fn wait_for_certificate(&mut self, from: MemberId, statement: SignedStatement) {
        if self.waiting.len() >= self.waiting_max {
            self.waiting.pop_front();
        }
        self.waiting.push_back((from, statement));
    }

    /// Statements and certificates under verification, and statements that wait for a certificate.
    pub(super) fn lengths(&self) -> (usize, usize, usize) {
        (self.statements.len(), self.certificates.len(), self.waiting.len())
    }

    /// Takes out the statements that waited for this member's certificate.
    pub(super) fn take_waiting(&mut self, member: MemberId) -> Vec<(MemberId, SignedStatement)> {
        let all = std::mem::take(&mut self.waiting);
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(_, waiting)| waiting.member() == member);
        self.waiting = left;
        taken.into()
    }
}

fn admit(table: &mut BTreeSet<Digest>, count_max: usize, digest: Digest) -> Admission {
    if table.contains(&digest) {
        return Admission::Pending;
    }
    if table.len() >= count_max {
        return Admission::Full;
    }
    table.insert(digest);
    Admission::Admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_bytes_once_and_up_to_the_bound() {
        let mut pending = Pending::new(2, 1);
        let digest = |byte| Digest::from_bytes([byte; 32]);

        assert_eq!(pending.admit_statement(digest(1)), Admission::Admitted);
        assert_eq!(pending.admit_statement(digest(1)), Admission::Pending);
        assert_eq!(pending.admit_statement(digest(2)), Admission::Admitted);
        assert_eq!(pending.admit_statement(digest(3)), Admission::Full);
        pending.statement_done(digest(1));
        assert_eq!(pending.admit_statement(digest(3)), Admission::Admitted);
    }
}
