//! Who may be named to whom: one predicate, used for alives, digests, questions and leaves alike.

use crate::types::OrgId;
use std::collections::BTreeSet;

/// The disclosure rule as seen from one org.
#[derive(Clone, Copy, Debug)]
pub struct Disclosure<'a> {
    mine: OrgId,
    shared: &'a BTreeSet<OrgId>,
}

impl<'a> Disclosure<'a> {
    /// The rule of a member of org `mine`, which shares channels with the orgs of `shared`.
    pub fn new(mine: OrgId, shared: &'a BTreeSet<OrgId>) -> Self {
        Self { mine, shared }
    }

    /// Whether anything about members is said to this org, or heard from it.
    pub fn may_meet(&self, org: OrgId) -> bool {
        org == self.mine || self.shared.contains(&org)
    }

    /// Whether a member of org `about` may be named to org `to`: to its own org always; my org's members to
    /// orgs that I share a channel with, and anybody's to my org, if they have an external endpoint.
    pub fn may_tell(&self, about: OrgId, is_external: bool, to: OrgId) -> bool {
        if !self.may_meet(to) {
            return false;
        }
        let is_told_abroad = is_external && (about == self.mine || to == self.mine);
        to == about || is_told_abroad
    }

    /// Whether an honest member of org `teller` would name a member of org `about` to me.
    pub fn may_hear(&self, about: OrgId, is_external: bool, teller: OrgId) -> bool {
        let is_told_abroad = is_external && (teller == self.mine || teller == about);
        self.may_meet(teller)
            && (is_told_abroad || (about == self.mine && (teller == self.mine || is_external)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;

    fn org(number: u8) -> OrgId {
        OrgId::from_digest(Digest::from_bytes([number; 32]))
    }

    /// Mine is 1, 2 shares a channel with me, 3 and 4 do not.
    fn shared() -> BTreeSet<OrgId> {
        [org(1), org(2)].into()
    }

    #[test]
    fn my_org_is_named_to_orgs_that_share_a_channel_and_to_no_other() {
        let shared = shared();
        let rule = Disclosure::new(org(1), &shared);

        assert!(rule.may_tell(org(1), true, org(1)));
        assert!(rule.may_tell(org(1), true, org(2)));
        assert!(!rule.may_tell(org(1), true, org(3)));
    }

    #[test]
    fn a_foreign_member_is_named_to_my_org_and_its_own_only() {
        let shared: BTreeSet<OrgId> = [org(1), org(2), org(3)].into();
        let rule = Disclosure::new(org(1), &shared);

        assert!(rule.may_tell(org(2), true, org(1)));
        assert!(rule.may_tell(org(2), true, org(2)));
        assert!(!rule.may_tell(org(2), true, org(3)));
    }

    #[test]
    fn without_external_endpoint_nobody_is_named_outside_the_org() {
        let shared = shared();
        let rule = Disclosure::new(org(1), &shared);

        assert!(rule.may_tell(org(1), false, org(1)));
        assert!(!rule.may_tell(org(1), false, org(2)));
        assert!(!rule.may_hear(org(2), false, org(2)));
    }

    #[test]
    fn an_org_that_shares_nothing_is_told_nothing_and_believed_nothing() {
        let shared = shared();
        let rule = Disclosure::new(org(1), &shared);

        assert!(!rule.may_tell(org(3), true, org(3)));
        assert!(!rule.may_hear(org(3), true, org(3)));
    }

    #[test]
    fn a_third_orgs_member_is_not_heard_from_a_foreign_org() {
        let shared: BTreeSet<OrgId> = [org(1), org(2), org(3)].into();
        let rule = Disclosure::new(org(1), &shared);

        assert!(!rule.may_hear(org(2), true, org(3)));
        assert!(rule.may_hear(org(2), true, org(2)));
        assert!(rule.may_hear(org(2), true, org(1)));
        assert!(rule.may_hear(org(1), true, org(2)));
        assert!(!rule.may_hear(org(1), false, org(2)));
        assert!(rule.may_hear(org(1), false, org(1)));
    }
}
