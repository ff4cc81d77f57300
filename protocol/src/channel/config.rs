//! A channel's config: organisations with their CA roots, orderer keys and quorum, limits.

use super::{ChannelLimits, LimitsError};
use crate::ledger::{EnvelopeError, ORDERERS_MAX, VerifiedBlock};
use crate::types::{ChannelId, ChannelName, ChannelNameError, Endpoint, EndpointError, OrgId};
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use ledgercast_crypto::certificate::Certificate;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_crypto::{OrgRoots, RevocationList, Roster, RosterError};
use prost::Message as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;

/// The most organisations that a config may name.
pub(crate) const ORGS_MAX: usize = 256;

/// The most followers that a config may name.
pub(crate) const FOLLOWERS_MAX: usize = 64;

/// The most roots, intermediates or TLS roots of an organisation, and TLS roots of an orderer.
pub(crate) const CERTIFICATES_PER_ORG_MAX: usize = 16;
pub(crate) const ANCHORS_PER_ORG_MAX: usize = 16;
pub(crate) const UNITS_PER_ORG_MAX: usize = 16;

/// A checked channel config.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    channel: ChannelId,
    number: u64,
    previous_hash: Digest,
    bytes: Bytes,
    hash: Digest,
    name: ChannelName,
    orgs: Vec<Org>,
    roster: Arc<Roster>,
    orderers: Vec<Orderer>,
    followers: Vec<OrdererEndpoint>,
    quorum: usize,
    limits: ChannelLimits,
}

/// An organisation of a channel.
#[derive(Clone, Debug)]
pub struct Org {
    /// Its id, from its roots.
    pub id: OrgId,
    /// Its name; two orgs of one name in different channels may be different orgs.
    pub name: String,
    /// Where other orgs find a peer of it first.
    pub anchors: Vec<Endpoint>,
    /// DER roots of its TLS CAs.
    pub tls_roots: Vec<Bytes>,
    /// Whether its peers and clients may read blocks.
    pub is_reader: bool,
    /// Whether its clients may submit envelopes.
    pub is_writer: bool,
    /// Units of which a reader's certificate must name one; empty: any will do.
    pub reader_ous: Vec<String>,
    /// The same for writers.
    pub writer_ous: Vec<String>,
}

/// An orderer of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orderer {
    /// The key that signs headers.
    pub key: PublicKey,
    /// The name of its org.
    pub org: String,
    /// Its gRPC endpoint.
    pub endpoint: Endpoint,
    /// DER roots of its TLS CAs.
    pub tls_roots: Vec<Bytes>,
}

/// An endpoint from which blocks of a channel may be streamed: of an orderer that signs, or of a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdererEndpoint {
    /// The name of its org.
    pub org: String,
    /// Its gRPC endpoint.
    pub endpoint: Endpoint,
    /// DER roots of its TLS CAs.
    pub tls_roots: Vec<Bytes>,
}

/// Why a config is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The bytes are not a protobuf `ChannelConfig`.
    #[error("channel config does not decode: {0}")]
    Malformed(String),
    /// The block is no config block.
    #[error("channel config: {0}")]
    Envelope(String),
    /// The name is not allowed.
    #[error("channel config: {0}")]
    Name(#[from] ChannelNameError),
    /// An endpoint is none.
    #[error("channel config: {0}")]
    Endpoint(#[from] EndpointError),
    /// Limits make no sense.
    #[error("channel config: {0}")]
    Limits(#[from] LimitsError),
    /// An org's roots are refused.
    #[error("channel config: {0}")]
    Roster(#[from] RosterError),
    /// A certificate of an org does not decode.
    #[error("channel config: certificate of org {org:?}: {error}")]
    Certificate {
        /// The org.
        org: String,
        /// What is wrong.
        error: String,
    },
    /// A count is outside its bounds.
    #[error("channel config has {found} {what}, allowed are {min} to {max}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// The hash of the config before is not 32 bytes.
    #[error("channel config: hash of the config before has {0} bytes, expected 32")]
    PreviousHash(usize),
    /// The config of block 0 names a number or a config before it.
    #[error("channel config of block 0 must have number 0 and no config before it, it has number {0}")]
    NotFirst(u64),
    /// A key is not 32 bytes.
    #[error("channel config: key of orderer {index} has {bytes} bytes, expected 32")]
    Key {
        /// Index of the orderer.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// Two orgs or two orderers that must differ are the same.
    #[error("channel config names {what} {value:?} twice")]
    Twice {
        /// What is named.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

impl From<EnvelopeError> for ConfigError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error.to_string())
    }
}

impl ChannelConfig {
    /// Reads the config out of a genesis block.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong.
    pub fn from_genesis(genesis: &VerifiedBlock) -> Result<Self, ConfigError> {
        let envelope =
            genesis.genesis_envelope().map_err(|error| ConfigError::Envelope(error.to_string()))?;
        let config = Self::decode(genesis.header().channel(), envelope.content().payload.clone())?;
        match (config.number, config.previous_hash) {
            (0, Digest::ZERO) => Ok(config),
            (number, _) => Err(ConfigError::NotFirst(number)),
        }
    }

    /// Decodes and checks a config.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong.
    pub fn decode(channel: ChannelId, bytes: Bytes) -> Result<Self, ConfigError> {
        let hash = Digest::of(&bytes);
        let malformed = |error: &dyn std::fmt::Display| ConfigError::Malformed(error.to_string());
        shape::check(tables::CHANNEL_CONFIG, &bytes).map_err(|error| malformed(&error))?;
        let wire = proto::ChannelConfig::decode(bytes.clone()).map_err(|error| malformed(&error))?;
        let previous_hash = Digest::try_from(&wire.previous_hash[..])
            .map_err(|_| ConfigError::PreviousHash(wire.previous_hash.len()))?;
        count("orgs", wire.orgs.len(), 1, ORGS_MAX)?;
        count("orderers", wire.orderers.len(), 1, ORDERERS_MAX)?;
        let quorum = wire.quorum as usize;
        count("orderers in its quorum", quorum, 1, wire.orderers.len())?;

        let roots = wire.orgs.iter().map(org_roots).collect::<Result<Vec<_>, _>>()?;
        let orgs = wire.orgs.iter().zip(&roots).map(|(org, roots)| Org::try_new(org, roots));
        let orgs = orgs.collect::<Result<Vec<_>, _>>()?;
        refuse_twice("org", orgs.iter().map(|org| org.name.clone()))?;
        refuse_twice("org id", orgs.iter().map(|org| org.id.to_string()))?;
        let orderers =
            wire.orderers.iter().enumerate().map(|(index, orderer)| Orderer::try_new(index, orderer));
        let orderers = orderers.collect::<Result<Vec<_>, _>>()?;
        refuse_twice("orderer key", orderers.iter().map(|orderer| format!("{:?}", orderer.key)))?;

        count("followers", wire.followers.len(), 0, FOLLOWERS_MAX)?;
        let followers = wire.followers.iter().map(OrdererEndpoint::try_new).collect::<Result<Vec<_>, _>>()?;
        let signing: BTreeSet<String> = orderers.iter().map(|orderer| orderer.endpoint.to_string()).collect();
        let endpoints = followers.iter().map(|follower| follower.endpoint.to_string());
        refuse_twice("orderer endpoint", signing.into_iter().chain(endpoints))?;

        let limits = ChannelLimits::from(&wire.limits.unwrap_or_else(|| (&ChannelLimits::default()).into()));
        limits.check()?;
        Ok(Self {
            channel,
            number: wire.number,
            previous_hash,
            bytes,
            hash,
            name: wire.name.parse()?,
            orgs,
            roster: Arc::new(Roster::try_new(roots)?),
            orderers,
            followers,
            quorum,
            limits,
        })
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// The config's number; 0 in block 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Hash of the config that this one replaces; zero in block 0.
    pub fn previous_hash(&self) -> Digest {
        self.previous_hash
    }

    /// The exact bytes: a protobuf `ChannelConfig`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The fields as they travel, to make the next config of.
    pub fn to_wire(&self) -> proto::ChannelConfig {
        proto::ChannelConfig::decode(self.bytes.clone()).expect("they were decoded when it was made")
    }

    /// SHA-256 of the config's bytes.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The name that members use unless they choose another.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The organisations.
    pub fn orgs(&self) -> &[Org] {
        &self.orgs
    }

    /// The organisation with this id.
    pub fn org(&self, id: OrgId) -> Option<&Org> {
        self.orgs.iter().find(|org| org.id == id)
    }

    /// The same config, by whose roster what these lists name is refused as well. Lists that no CA of it has
    /// signed do nothing; of several of one CA the highest number counts.
    pub fn revoking(&self, lists: &[RevocationList]) -> Self {
        let mut roster = (*self.roster).clone();
        for list in lists {
            let _ = roster.revoke(list);
        }
        Self { roster: Arc::new(roster), ..self.clone() }
    }

    /// The organisations' CA roots, for judging their members' certificates.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The orderers, in the order that certificates refer to.
    pub fn orderers(&self) -> &[Orderer] {
        &self.orderers
    }

    /// Orderers that sign nothing: they pull, check, store and serve what the others certify.
    pub fn followers(&self) -> &[OrdererEndpoint] {
        &self.followers
    }

    /// From where blocks may be streamed: the signing orderers, then the followers.
    pub fn sources(&self) -> Vec<OrdererEndpoint> {
        self.signing_sources().chain(self.followers.iter().cloned()).collect()
    }

    /// Those of them that sign.
    pub fn signing_sources(&self) -> impl Iterator<Item = OrdererEndpoint> {
        self.orderers.iter().map(Orderer::to_endpoint)
    }

    /// How many orderers must sign a header.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// Sizes and times of blocks.
    pub fn limits(&self) -> &ChannelLimits {
        &self.limits
    }
}

impl Org {
    fn try_new(wire: &proto::OrgConfig, roots: &OrgRoots) -> Result<Self, ConfigError> {
        count("anchors of one org", wire.anchors.len(), 0, ANCHORS_PER_ORG_MAX)?;
        count("reader units of one org", wire.reader_ous.len(), 0, UNITS_PER_ORG_MAX)?;
        count("writer units of one org", wire.writer_ous.len(), 0, UNITS_PER_ORG_MAX)?;
        let anchors = wire.anchors.iter().map(|anchor| anchor.parse()).collect::<Result<_, _>>()?;
        Ok(Self {
            id: roots.id(),
            name: wire.name.clone(),
            anchors,
            tls_roots: wire.tls_roots.clone(),
            is_reader: wire.reader,
            is_writer: wire.writer,
            reader_ous: wire.reader_ous.clone(),
            writer_ous: wire.writer_ous.clone(),
        })
    }
}

impl Orderer {
    fn try_new(index: usize, wire: &proto::OrdererConfig) -> Result<Self, ConfigError> {
        let key = PublicKey::try_from(&wire.key[..])
            .map_err(|_| ConfigError::Key { index, bytes: wire.key.len() })?;
        Ok(Self {
            key,
            org: wire.org.clone(),
            endpoint: wire.endpoint.parse()?,
            tls_roots: wire.tls_roots.clone(),
        })
    }
}

impl Orderer {
    /// Where it is reached.
    pub fn to_endpoint(&self) -> OrdererEndpoint {
        let (org, endpoint) = (self.org.clone(), self.endpoint.clone());
        OrdererEndpoint { org, endpoint, tls_roots: self.tls_roots.clone() }
    }
}

impl OrdererEndpoint {
    fn try_new(wire: &proto::FollowerConfig) -> Result<Self, ConfigError> {
        let (org, endpoint) = (wire.org.clone(), wire.endpoint.parse()?);
        Ok(Self { org, endpoint, tls_roots: wire.tls_roots.clone() })
    }
}

fn org_roots(wire: &proto::OrgConfig) -> Result<OrgRoots, ConfigError> {
    count("roots of one org", wire.roots.len(), 1, CERTIFICATES_PER_ORG_MAX)?;
    count("intermediates of one org", wire.intermediates.len(), 0, CERTIFICATES_PER_ORG_MAX)?;
    count("TLS roots of one org", wire.tls_roots.len(), 0, CERTIFICATES_PER_ORG_MAX)?;
    let certificates = |list: &[Bytes]| {
        list.iter()
            .map(|der| Certificate::from_der(der.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ConfigError::Certificate { org: wire.name.clone(), error: error.to_string() })
    };
    Ok(OrgRoots {
        name: wire.name.clone(),
        roots: certificates(&wire.roots)?,
        intermediates: certificates(&wire.intermediates)?,
        tls_roots: wire.tls_roots.clone(),
        crls: Vec::new(),
    })
}

fn count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    match (min..=max).contains(&found) {
        true => Ok(()),
        false => Err(ConfigError::Count { what, found, min, max }),
    }
}

fn refuse_twice(what: &'static str, values: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value.clone()) {
            return Err(ConfigError::Twice { what, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::Chain;

    fn refused(change: impl FnOnce(&mut proto::ChannelConfig)) -> ConfigError {
        let chain = Chain::new(1);
        let mut wire = chain.config().to_wire();
        change(&mut wire);
        let refused = ChannelConfig::decode(chain.channel(), wire.encode_to_vec().into());
        refused.expect_err("it is refused")
    }

    /// An org of nothing has two bytes on the wire and 176 in memory: none is made before they are counted.
    #[test]
    fn lists_are_counted_before_they_are_decoded() {
        let nothing = Bytes::from([4 << 3 | 2, 0].repeat(ORGS_MAX + 1));
        let orgs = ChannelConfig::decode(ChannelId::from_bytes([7; 32]), nothing).unwrap_err();
        let roots = refused(|wire| wire.orderers[0].tls_roots = vec![Bytes::new(); 17]);
        let units = refused(|wire| wire.orgs[0].reader_ous = vec![String::new(); 17]);

        let told = [orgs, roots, units].map(|error| error.to_string());
        assert!(told[0].ends_with("orgs stands 257 times, the limit is 256"), "{told:?}");
        assert!(told[1].ends_with("TLS roots of one orderer stands 17 times, the limit is 16"), "{told:?}");
        assert!(told[2].ends_with("reader units of one org stands 17 times, the limit is 16"), "{told:?}");
    }
}
