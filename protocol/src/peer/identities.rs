//! Every member whose certificate was accepted, with the certificate to show to others.

use crate::membership;
use crate::types::{MemberId, OrgId};
use crate::wire::CertificateChain;
use ledgercast_crypto::{Digest, Identity};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Known {
    identity: Identity,
    chain: CertificateChain,
}

/// Accepted certificates by member, at most so many.
#[derive(Debug)]
pub(super) struct Identities {
    known: BTreeMap<MemberId, Known>,
    count_max: usize,
}

impl Identities {
    pub(super) fn new(count_max: usize) -> Self {
        Self { known: BTreeMap::new(), count_max }
    }

    /// Keeps a certificate; a later one of the same member replaces the earlier when it is valid for longer.
    /// Returns whether there was room.
    pub(super) fn insert(&mut self, identity: Identity, chain: CertificateChain) -> bool {
        let member = identity.member;
        let known = self.known.get(&member);
        if known.is_none() && self.known.len() >= self.count_max {
            return false;
        }
        let is_newer =
            known.is_none_or(|known| chain.certificate.not_after() >= known.chain.certificate.not_after());
        if is_newer {
            self.known.insert(member, Known { identity, chain });
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn identity(&self, member: MemberId) -> Option<&Identity> {
        self.known.get(&member).map(|known| &known.identity)
    }

    pub(super) fn chain(&self, member: MemberId) -> Option<&CertificateChain> {
        self.known.get(&member).map(|known| &known.chain)
    }

    pub(super) fn is_known(&self, fingerprint: Digest) -> bool {
        self.known.values().any(|known| known.chain.certificate.fingerprint() == fingerprint)
    }
}

impl membership::Identities for Identities {
    fn org(&self, member: MemberId) -> Option<OrgId> {
        self.identity(member).map(|identity| identity.org)
    }
}
