//! What operators and CAs do to certificates of running nodes: renewals and revocations.

use crate::checks::Failure;
use crate::node::NodeId;
use crate::world::World;
use ledgercast_crypto::RevocationList;
use ledgercast_protocol::Input;
use ledgercast_protocol::input::Command;
use std::time::Duration;

impl World {
    /// Certifies a node's key anew, valid until a time of the world's, and puts the certificate into its
    /// folder; a running process takes it up at once.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    ///
    /// # Panics
    /// When the time is before the world's start: a mistake of the scenario.
    pub fn renew(&mut self, node: NodeId, until: Duration) -> Result<(), Failure> {
        let owner = &mut self.nodes[node.0];
        let units = owner.credentials.chain.certificate.ous();
        let unit = units.iter().map(String::as_str).find(|unit| *unit != "peer");
        let renewed = self.orgs[owner.org].certify_peer(
            owner.credentials.key.clone(),
            &owner.name,
            (Some(until), unit),
        );
        owner.credentials = renewed.expect("the scenario names a time after the world's start");
        let (identity, chain) = (owner.credentials.identity.clone(), owner.credentials.chain.clone());
        let input = Input::Command(Command::Renew { identity, chain });
        let life = owner.life;
        self.deliver(node, life, input).map_err(|violation| self.failure(violation))
    }

    /// A revocation list of an org's CA that names these of its nodes.
    ///
    /// # Panics
    /// When a node's certificate cannot be named: a mistake of the scenario.
    pub fn revocation_list(&mut self, org: usize, revoked: &[NodeId], number: u64) -> RevocationList {
        let certificates = revoked.iter().map(|node| &self.nodes[node.0].credentials.chain.certificate);
        let list = self.orgs[org].revoke(&certificates.collect::<Vec<_>>(), number);
        revoked.iter().for_each(|node| self.checks.evictions.set_outcast(*node));
        list.expect("a CA can list what it has issued")
    }

    /// Puts a revocation list into the folder of a running node.
    ///
    /// # Errors
    /// [`Failure`] when an invariant breaks.
    pub fn put_list(&mut self, node: NodeId, list: RevocationList) -> Result<(), Failure> {
        let life = self.nodes[node.0].life;
        let input = Input::Command(Command::Revoke(list));
        self.deliver(node, life, input).map_err(|violation| self.failure(violation))
    }
}
