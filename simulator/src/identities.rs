//! Organisations with CAs, and certificates of their peers and clients; all of it follows from the seed.

use crate::clock::WORLD_START_MILLIS;
use crate::random::Random;
use ledgercast_crypto::issue::{Authority, Enrolment, IssueError, Validity};
use ledgercast_crypto::{Certificate, Identity, OrgRoots, RevocationList, Role, Roster, SecretKey};
use ledgercast_protocol::peer::OwnIdentity;
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::sync::Arc;
use std::time::Duration;

/// Certificates are valid from a year before the world's start for twenty years.
const VALIDITY: Validity = Validity {
    not_before: WORLD_START_MILLIS / 1000 - 365 * 24 * 3600,
    not_after: WORLD_START_MILLIS / 1000 + 19 * 365 * 24 * 3600,
};

#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) name: String,
    pub(crate) roots: OrgRoots,
    pub(crate) roster: Arc<Roster>,
    authority: Authority,
}

/// What a node keeps of itself across restarts.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) identity: Identity,
    pub(crate) chain: CertificateChain,
    pub(crate) key: SecretKey,
    pub(crate) roster: Arc<Roster>,
}

impl Org {
    pub(crate) fn create(index: usize, random: &mut Random) -> Result<Self, IssueError> {
        let name = format!("org{}", index + 1);
        let authority = Authority::reproducible(SecretKey::from_seed(random.seed()), &name, VALIDITY)?;
        let roots = OrgRoots::new(name.clone(), vec![authority.certificate().clone()]);
        let roster = Roster::try_new([roots.clone()]).expect("a fresh root makes a roster");
        Ok(Self { name, roots, roster: Arc::new(roster), authority })
    }

    /// As a channel's config names it, reader and writer.
    pub(crate) fn config(&self, anchors: &[String]) -> proto::OrgConfig {
        proto::OrgConfig {
            name: self.name.clone(),
            roots: self.roots.roots.iter().map(|root| root.der().clone()).collect(),
            anchors: anchors.to_vec(),
            reader: true,
            writer: true,
            ..proto::OrgConfig::default()
        }
    }

    /// Certifies a new key of a peer, until a time of the world's, with a unit beside its role's.
    pub(crate) fn enrol_peer(
        &self,
        common_name: &str,
        (until, unit): (Option<Duration>, Option<&str>),
        random: &mut Random,
    ) -> Result<Credentials, IssueError> {
        self.certify_peer(SecretKey::from_seed(random.seed()), common_name, (until, unit))
    }

    /// Certifies a peer's key, a new one or one that has a certificate.
    pub(crate) fn certify_peer(
        &self,
        key: SecretKey,
        common_name: &str,
        (until, unit): (Option<Duration>, Option<&str>),
    ) -> Result<Credentials, IssueError> {
        let not_after = until.map_or(VALIDITY.not_after, |until| WORLD_START_MILLIS / 1000 + until.as_secs());
        let validity = Validity { not_after, ..VALIDITY };
        let enrolment = Enrolment { common_name, role: Role::Peer, validity, unit };
        let certificate = self.authority.enrol(&key.public(), &enrolment)?;
        let at = WORLD_START_MILLIS / 1000;
        let identity = self.roster.verify(&certificate, &[], at).expect("our own CA has just signed it");
        let chain = CertificateChain { certificate, intermediates: Vec::new() };
        Ok(Credentials { identity, chain, key, roster: self.roster.clone() })
    }

    /// A list of revoked certificates.
    pub(crate) fn revoke(
        &self,
        certificates: &[&Certificate],
        number: u64,
    ) -> Result<RevocationList, IssueError> {
        self.authority.revoke(certificates, number, VALIDITY)
    }

    /// Certifies a key for a role.
    pub(crate) fn certify(
        &self,
        key: &SecretKey,
        common_name: &str,
        role: Role,
    ) -> Result<Certificate, IssueError> {
        self.authority.enrol(&key.public(), &Enrolment { common_name, role, validity: VALIDITY, unit: None })
    }
}

impl Credentials {
    pub(crate) fn own(&self) -> OwnIdentity {
        OwnIdentity {
            identity: self.identity.clone(),
            chain: self.chain.clone(),
            key: self.key.clone(),
            roster: self.roster.clone(),
        }
    }
}
