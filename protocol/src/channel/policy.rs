//! Who may do what on a channel, by organisation and role.

use super::ChannelConfig;
use crate::types::OrgId;
use ledgercast_crypto::Identity;
use ledgercast_crypto::Role;

impl ChannelConfig {
    /// Whether this org's peers take part in the channel: all, or those with one of its reader units.
    pub fn is_member_org(&self, org: OrgId) -> bool {
        self.org(org).is_some_and(|org| org.is_reader)
    }

    /// Whether this peer may take part in the channel's gossip.
    pub fn may_gossip(&self, identity: &Identity) -> bool {
        identity.role == Role::Peer && self.may_read(identity.org, identity.role, identity.certificate.ous())
    }

    /// Whether a member of this org with this role and these units may read the channel's blocks. Units bind
    /// no admin: who signs configs must be able to read them.
    pub fn may_read(&self, org: OrgId, role: Role, units: &[String]) -> bool {
        let org = self.org(org).filter(|org| org.is_reader);
        org.is_some_and(|org| role == Role::Admin || is_in_one_of(&org.reader_ous, units))
    }

    /// Whether this identity may submit envelopes: clients and admins of writer orgs.
    pub fn may_write(&self, identity: &Identity) -> bool {
        matches!(identity.role, Role::Client | Role::Admin)
            && self.may_submit(identity.org, identity.certificate.ous())
    }

    /// Whether clients and admins of this org with these units may submit envelopes.
    pub fn may_submit(&self, org: OrgId, units: &[String]) -> bool {
        let org = self.org(org).filter(|org| org.is_writer);
        org.is_some_and(|org| is_in_one_of(&org.writer_ous, units))
    }
}

/// Whether somebody with these units is among those named; when none are named, everybody is.
fn is_in_one_of(named: &[String], units: &[String]) -> bool {
    named.is_empty() || units.iter().any(|unit| named.contains(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{Chain, VALIDITY};
    use ledgercast_crypto::SecretKey;
    use ledgercast_crypto::issue::Enrolment;

    /// Whether a member with this role and unit may gossip, and may write, where the org's readers and
    /// writers are those of these units.
    fn rights(readers: &[&str], writers: &[&str], role: Role, unit: Option<&str>) -> (bool, bool) {
        let owned = |units: &[&str]| units.iter().map(ToString::to_string).collect();
        let chain = Chain::with(1, |config| {
            config.orgs[0].reader_ous = owned(readers);
            config.orgs[0].writer_ous = owned(writers);
        });
        let config = chain.genesis().config();
        let enrolment = Enrolment { common_name: "any", role, unit, validity: VALIDITY };
        let key = SecretKey::from_seed([9; 32]).public();
        let certificate = chain.authority().enrol(&key, &enrolment).expect("it is issued");
        let at = VALIDITY.not_before + 1;
        let identity = config.roster().verify(&certificate, &[], at).expect("a member");
        (config.may_gossip(&identity), config.may_write(&identity))
    }

    #[test]
    fn without_units_peers_gossip_and_clients_and_admins_write() {
        assert_eq!(rights(&[], &[], Role::Peer, None), (true, false));
        assert_eq!(rights(&[], &[], Role::Client, None), (false, true));
        assert_eq!(rights(&[], &[], Role::Admin, None), (false, true));
        assert_eq!(rights(&[], &[], Role::Orderer, None), (false, false));
    }

    #[test]
    fn reader_units_admit_peers_that_have_one_of_them() {
        let readers = ["audit", "risk"];

        assert!(rights(&readers, &[], Role::Peer, Some("risk")).0);
        assert!(!rights(&readers, &[], Role::Peer, Some("sales")).0);
        assert!(!rights(&readers, &[], Role::Peer, None).0);
        assert!(!rights(&readers, &[], Role::Client, Some("risk")).0, "clients do not gossip");
        assert!(rights(&readers, &[], Role::Client, Some("sales")).1, "units of readers bind no writer");
    }

    #[test]
    fn writer_units_admit_clients_that_have_one_of_them_and_the_units_of_roles_count() {
        assert!(rights(&[], &["trading"], Role::Client, Some("trading")).1);
        assert!(!rights(&[], &["trading"], Role::Client, Some("sales")).1);
        assert!(!rights(&[], &["trading"], Role::Admin, None).1);
        assert!(!rights(&[], &["trading"], Role::Peer, Some("trading")).1, "peers do not write");
        assert!(rights(&[], &["client"], Role::Client, None).1);
        assert!(!rights(&[], &["client"], Role::Admin, None).1);
    }
}
