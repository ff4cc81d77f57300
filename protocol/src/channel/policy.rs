//! Who may do what on a channel, by organisation and role.

use super::ChannelConfig;
use crate::types::OrgId;
use ledgercast_crypto::Identity;
use ledgercast_crypto::Role;

impl ChannelConfig {
    /// Whether peers of this org take part in the channel's gossip and may hold its blocks.
    pub fn is_member_org(&self, org: OrgId) -> bool {
        self.org(org).is_some_and(|org| org.is_reader)
    }

    /// Whether this peer may take part in the channel's gossip.
    pub fn may_gossip(&self, identity: &Identity) -> bool {
        let org = self.org(identity.org).filter(|org| org.is_reader && identity.role == Role::Peer);
        org.is_some_and(|org| is_in_one_of(&org.reader_ous, identity))
    }

    /// Whether this identity may submit envelopes: clients and admins of writer orgs.
    pub fn may_write(&self, identity: &Identity) -> bool {
        let is_role_right = matches!(identity.role, Role::Client | Role::Admin);
        let org = self.org(identity.org).filter(|org| org.is_writer && is_role_right);
        org.is_some_and(|org| is_in_one_of(&org.writer_ous, identity))
    }
}

fn is_in_one_of(units: &[String], identity: &Identity) -> bool {
    units.is_empty() || identity.certificate.ous().iter().any(|unit| units.contains(unit))
}
