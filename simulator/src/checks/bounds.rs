//! What a peer holds in memory stays within what its configuration allows.

use super::Violation;
use crate::node::NodeId;
use ledgercast_protocol::peer::{Load, PeerConfig};

#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// The most bytes of bodies that any peer held on their way, of one channel.
    pub(crate) payload_bytes_seen: u64,
}

impl Bounds {
    pub(crate) fn on_load(
        &mut self,
        node: NodeId,
        config: &PeerConfig,
        load: &Load,
    ) -> Result<(), Violation> {
        self.payload_bytes_seen = self.payload_bytes_seen.max(load.payload_buffer_bytes_max);
        let verifications_max = config.session.pending_verifications_max as u64;
        let bounds = [
            ("payload bytes of a channel", load.payload_buffer_bytes_max, config.channel.arena_bytes_max),
            ("standings", load.standings as u64, config.standing.members_max as u64),
            ("certificates", load.certificates as u64, config.session.certificates_max as u64),
            ("statements under verification", load.pending_statements as u64, verifications_max),
            ("certificates under verification", load.pending_certificates as u64, verifications_max),
            (
                "waiting statements",
                load.waiting_statements as u64,
                config.session.waiting_statements_max as u64,
            ),
        ];
        match bounds.into_iter().find(|(_, found, bound)| found > bound) {
            Some((what, found, bound)) => Err(Violation::AboveBound { node, what, found, bound }),
            None => Ok(()),
        }
    }
}
