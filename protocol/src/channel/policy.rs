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
        identity.role == Role::Peer && self.is_member_org(identity.org)
    }

    /// Whether this identity may submit envelopes: clients and admins of writer orgs.
    pub fn may_write(&self, identity: &Identity) -> bool {
        let is_role_right = matches!(identity.role, Role::Client | Role::Admin);
        is_role_right && self.org(identity.org).is_some_and(|org| org.is_writer)
    }
}
