//! Every member whose certificate was accepted, with the certificate to show to others.
//!
//! The table is bounded, and so is each org's part of it: an org that mints certificates displaces its own
//! members, not those of others. Only what nobody needs (no session, not alive) gives way, the oldest first.

use crate::membership;
use crate::types::{MemberId, OrgId};
use crate::wire::CertificateChain;
use ledgercast_crypto::{Digest, Identity};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Known {
    identity: Identity,
    chain: CertificateChain,
    /// Grows with each member that comes.
    arrival: u64,
}

/// What became of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its member was not known.
    New,
    /// It replaces an earlier one of its member.
    Renewed,
    /// What is known of its member already is valid for at least as long.
    Known,
    /// There is no room: the reason, in snake case.
    Full(&'static str),
}

/// Accepted certificates by member, at most so many, and of each org at most so many.
#[derive(Debug)]
pub(super) struct Identities {
    known: BTreeMap<MemberId, Known>,
    by_fingerprint: BTreeMap<Digest, MemberId>,
    by_arrival: BTreeMap<OrgId, BTreeSet<(u64, MemberId)>>,
    by_expiry: BTreeSet<(u64, MemberId)>,
    arrivals: u64,
    count_max: usize,
    count_per_org_max: usize,
}

impl Identities {
    pub(super) fn new(count_max: usize, count_per_org_max: usize) -> Self {
        Self {
            known: BTreeMap::new(),
            by_fingerprint: BTreeMap::new(),
            by_arrival: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            arrivals: 0,
            count_max,
            count_per_org_max,
        }
    }

    /// Keeps a certificate; a later one of the same member replaces the earlier when it is valid for longer.
    /// A new member takes the place of one that nobody needs: of its own org when that has its full share, of
    /// the org that has most when the table is full.
    pub(super) fn insert(
        &mut self,
        identity: Identity,
        chain: CertificateChain,
        is_needed: impl Fn(MemberId) -> bool,
    ) -> Kept {
        if let Some(known) = self.known.get(&identity.member) {
            let held = &known.chain.certificate;
            let is_same = held.fingerprint() == chain.certificate.fingerprint();
            if is_same || chain.certificate.not_after() < held.not_after() {
                return Kept::Known;
            }
            let arrival = known.arrival;
            self.put(identity, chain, arrival);
            return Kept::Renewed;
        }
        let org = identity.org;
        if self.count_of(org) >= self.count_per_org_max && !self.displace(org, &is_needed) {
            return Kept::Full("certificates_of_org_full");
        }
        if self.known.len() >= self.count_max && !self.displace_of_largest(org, &is_needed) {
            return Kept::Full("certificates_full");
        }
        self.arrivals = self.arrivals.saturating_add(1);
        self.put(identity, chain, self.arrivals);
        Kept::New
    }

    fn put(&mut self, identity: Identity, chain: CertificateChain, arrival: u64) {
        let member = identity.member;
        self.remove(member);
        self.by_fingerprint.insert(chain.certificate.fingerprint(), member);
        self.by_arrival.entry(identity.org).or_default().insert((arrival, member));
        self.by_expiry.insert((identity.valid_until, member));
        self.known.insert(member, Known { identity, chain, arrival });
    }

    /// Forgets a member's certificate; says whether there was one.
    pub(super) fn remove(&mut self, member: MemberId) -> bool {
        let Some(known) = self.known.remove(&member) else {
            return false;
        };
        self.by_fingerprint.remove(&known.chain.certificate.fingerprint());
        self.by_expiry.remove(&(known.identity.valid_until, member));
        if let Some(arrivals) = self.by_arrival.get_mut(&known.identity.org) {
            arrivals.remove(&(known.arrival, member));
            if arrivals.is_empty() {
                self.by_arrival.remove(&known.identity.org);
            }
        }
        true
    }

    fn count_of(&self, org: OrgId) -> usize {
        self.by_arrival.get(&org).map_or(0, BTreeSet::len)
    }

    /// Makes room in an org's part; says whether that was possible.
    fn displace(&mut self, org: OrgId, is_needed: &impl Fn(MemberId) -> bool) -> bool {
        let arrivals = self.by_arrival.get(&org).into_iter().flatten();
        let oldest = arrivals.map(|(_, member)| *member).find(|member| !is_needed(*member));
        oldest.is_some_and(|member| self.remove(member))
    }

    /// Makes room for a member of an org; orgs that have less than it has give nothing.
    fn displace_of_largest(&mut self, newcomer: OrgId, is_needed: &impl Fn(MemberId) -> bool) -> bool {
        let least = self.count_of(newcomer);
        let mut orgs: Vec<(usize, OrgId)> =
            self.by_arrival.iter().map(|(org, arrivals)| (arrivals.len(), *org)).collect();
        orgs.sort_unstable_by(|one, other| other.cmp(one));
        orgs.into_iter().filter(|(count, _)| *count >= least).any(|(_, org)| self.displace(org, is_needed))
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
        self.by_fingerprint.contains_key(&fingerprint)
    }

    /// Whose certificate this is, if it is the one that is held.
    pub(super) fn member_of(&self, fingerprint: Digest) -> Option<MemberId> {
        self.by_fingerprint.get(&fingerprint).copied()
    }

    /// All certificates held.
    pub(super) fn chains(&self) -> impl Iterator<Item = &CertificateChain> {
        self.known.values().map(|known| &known.chain)
    }

    /// Whose chain is no longer valid in this second; `except` is not asked.
    pub(super) fn expired(&self, at: u64, except: MemberId) -> Vec<MemberId> {
        let members = self.by_expiry.iter().take_while(|(last, _)| *last < at).map(|(_, member)| *member);
        members.filter(|member| *member != except).collect()
    }

    /// The last valid second of the chain that expires first; `except` is not asked.
    pub(super) fn next_expiry(&self, except: MemberId) -> Option<u64> {
        let others = self.by_expiry.iter().filter(|(_, member)| *member != except);
        others.map(|(last, _)| *last).next()
    }
}

impl membership::Identities for Identities {
    fn org(&self, member: MemberId) -> Option<OrgId> {
        self.identity(member).map(|identity| identity.org)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
    use ledgercast_crypto::{OrgRoots, Role, Roster, SecretKey};

    const NOW: u64 = 1_750_000_000;

    fn certified(org: u8, key: u8, days: u64) -> (Identity, CertificateChain) {
        let validity = Validity::days_from(NOW, days);
        let name = format!("org{org}");
        let ca =
            Authority::reproducible(SecretKey::from_seed([org; 32]), &name, Validity::days_from(NOW, 900));
        let ca = ca.expect("a CA");
        let enrolment = Enrolment { common_name: "peer", role: Role::Peer, validity, unit: None };
        let certificate = ca.enrol(&SecretKey::from_seed([key; 32]).public(), &enrolment).expect("a member");
        let roster =
            Roster::try_new([OrgRoots::new(name, vec![ca.certificate().clone()])]).expect("a roster");
        let identity = roster.verify(&certificate, &[], NOW).expect("its own CA signed it");
        (identity, CertificateChain { certificate, intermediates: Vec::new() })
    }

    fn insert(table: &mut Identities, (identity, chain): (Identity, CertificateChain)) -> Kept {
        table.insert(identity, chain, |_| false)
    }

    #[test]
    fn an_org_that_mints_certificates_displaces_its_own_members_only() {
        let mut table = Identities::new(8, 3);
        let honest = certified(1, 100, 10);
        insert(&mut table, honest.clone());

        for key in 0..20 {
            assert_eq!(insert(&mut table, certified(2, key, 10)), Kept::New);
        }

        assert_eq!(table.len(), 4);
        assert!(table.identity(honest.0.member).is_some());
        assert!(table.identity(certified(2, 19, 10).0.member).is_some(), "the newest ones stay");
        assert!(table.identity(certified(2, 16, 10).0.member).is_none());
    }

    #[test]
    fn who_is_needed_gives_way_to_nobody() {
        let mut table = Identities::new(8, 2);
        let needed = [certified(1, 1, 10), certified(1, 2, 10)];
        for member in &needed {
            insert(&mut table, member.clone());
        }
        let (identity, chain) = certified(1, 3, 10);

        let kept = table.insert(identity, chain, |_| true);

        assert_eq!(kept, Kept::Full("certificates_of_org_full"));
        assert!(needed.iter().all(|(identity, _)| table.identity(identity.member).is_some()));
    }

    #[test]
    fn a_full_table_takes_from_the_org_that_has_most() {
        let mut table = Identities::new(4, 3);
        let small = certified(1, 1, 10);
        insert(&mut table, small.clone());
        for key in 10..13 {
            insert(&mut table, certified(2, key, 10));
        }

        assert_eq!(insert(&mut table, certified(3, 30, 10)), Kept::New);

        assert!(table.identity(small.0.member).is_some());
        assert!(table.identity(certified(2, 10, 10).0.member).is_none(), "the oldest of the largest org");
    }

    #[test]
    fn the_certificate_that_is_valid_for_longer_stays() {
        let mut table = Identities::new(4, 4);
        let (early, late) = (certified(1, 1, 10), certified(1, 1, 20));
        insert(&mut table, early.clone());

        assert_eq!(insert(&mut table, late.clone()), Kept::Renewed);
        assert_eq!(insert(&mut table, early.clone()), Kept::Known);

        assert_eq!(table.len(), 1);
        assert_eq!(table.chain(late.0.member), Some(&late.1));
        assert!(table.is_known(late.1.certificate.fingerprint()));
        assert!(!table.is_known(early.1.certificate.fingerprint()));
    }
}
