//! The orderer's side of a channel: a scripted chain of certified blocks, the truth that every node is
//! compared with.

use crate::clock::WORLD_START_MILLIS;
use crate::identities::Org;
use crate::random::Random;
use bytes::Bytes;
use ledgercast_crypto::{Digest, Role, SecretKey};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::channel::{ChannelConfig, ChannelLimits, ConfigUpdate, Genesis, OrdererEndpoint};
use ledgercast_protocol::ledger::{
    BodyBuilder, CertifiedHeader, Envelope, EnvelopeContent, EnvelopeKind, Header, HeaderFields,
    QuorumCertificate, VerifiedBlock, VerifiedHeader,
};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName};
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::sync::Arc;

/// A channel as its orderer knows it.
#[derive(Debug)]
pub struct SourceChain {
    name: ChannelName,
    genesis: Genesis,
    /// Each config with the block that brought it.
    changes: Vec<(BlockNumber, Arc<ChannelConfig>)>,
    orderer: SecretKey,
    /// By org's name: every update is signed by those that the config in force names.
    admins: Vec<(String, CertificateChain, SecretKey)>,
    creator: SecretKey,
    creator_certificate: Bytes,
    blocks: Vec<VerifiedBlock>,
    random: Random,
}

/// What a new channel consists of.
pub(crate) struct Founding<'a> {
    pub(crate) name: &'a str,
    pub(crate) orgs: Vec<&'a Org>,
    /// Anchor endpoints of each org, in the same order.
    pub(crate) anchors: Vec<Vec<String>>,
    pub(crate) followers: usize,
}

impl SourceChain {
    pub(crate) fn found(founding: &Founding<'_>, mut random: Random) -> Result<Self, String> {
        let orderer = SecretKey::from_seed(random.seed());
        let creator = SecretKey::from_seed(random.seed());
        let channel = ChannelId::from_bytes(random.seed());
        let org = founding.orgs.first().ok_or("a channel needs an org")?;
        let certificate = org.certify(&creator, "client", Role::Client).map_err(|error| error.to_string())?;
        let config = first_config(founding, &orderer);
        let genesis = Genesis::create(channel, &config, WallTime::from_millis(WORLD_START_MILLIS))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            name: founding.name.parse().map_err(|error| format!("{error}"))?,
            blocks: vec![genesis.block().clone()],
            creator_certificate: certificate.der().clone(),
            changes: vec![(BlockNumber::GENESIS, Arc::clone(genesis.config()))],
            admins: Vec::new(),
            genesis,
            orderer,
            creator,
            random,
        })
    }

    /// Appends a block of one envelope whose payload has `payload_bytes` random bytes.
    pub fn extend(&mut self, payload_bytes: usize) -> &VerifiedBlock {
        let mut payload = Vec::with_capacity(payload_bytes + 32);
        while payload.len() < payload_bytes {
            payload.extend_from_slice(&self.random.seed());
        }
        payload.truncate(payload_bytes);
        let block = self.certify(payload.into(), EnvelopeKind::Transaction);
        self.blocks.push(block);
        self.tip()
    }

    /// An admin of an org signs updates from now on.
    pub(crate) fn add_admin(&mut self, org: &Org) -> Result<(), String> {
        let key = SecretKey::from_seed(self.random.seed());
        let certificate = org.certify(&key, "admin", Role::Admin).map_err(|error| error.to_string())?;
        let chain = CertificateChain { certificate, intermediates: Vec::new() };
        self.admins.push((org.name.clone(), chain, key));
        Ok(())
    }

    /// The config in force with a change, signed by the admins of at most so many of its orgs.
    pub fn changed(
        &self,
        change: impl FnOnce(&mut proto::ChannelConfig),
        signatures_max: usize,
    ) -> ConfigUpdate {
        let in_force = self.config();
        let mut config = in_force.to_wire();
        config.number += 1;
        config.previous_hash = Bytes::copy_from_slice(in_force.hash().as_bytes());
        change(&mut config);
        let mut update = ConfigUpdate::propose(&config);
        let is_named = |name: &String| in_force.orgs().iter().any(|org| org.name == *name);
        for (_, chain, key) in self.admins.iter().filter(|(org, ..)| is_named(org)).take(signatures_max) {
            update.sign(self.id(), chain.clone(), key);
        }
        update
    }

    /// Appends a config block, right or wrong; only a right update comes into force.
    pub fn extend_config(&mut self, update: &ConfigUpdate) -> &VerifiedBlock {
        let block = self.certify(update.encode(), EnvelopeKind::Config);
        if let Ok(next) = update.judge(self.config()) {
            self.changes.push((block.number(), Arc::new(next)));
        }
        self.blocks.push(block);
        self.tip()
    }

    /// Appends a config block that gives the orderer a new key and an endpoint of this name.
    pub fn replace_orderer(&mut self, endpoint: &str) -> &VerifiedBlock {
        let next = SecretKey::from_seed(self.random.seed());
        let update = self.changed(
            |config| {
                config.orderers[0].key = Bytes::copy_from_slice(next.public().as_bytes());
                config.orderers[0].endpoint = endpoint.to_owned();
            },
            usize::MAX,
        );
        self.extend_config(&update);
        self.orderer = next;
        self.tip()
    }

    /// Every endpoint that a config has named so far, in the order of appearance.
    pub(crate) fn sources(&self) -> Vec<OrdererEndpoint> {
        let mut sources = Vec::new();
        for (_, config) in &self.changes {
            for source in config.sources() {
                if !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
        sources
    }

    /// Whether an endpoint serves this block: one that a config has replaced serves up to the block that did.
    pub(crate) fn serves(&self, source: usize, number: BlockNumber) -> bool {
        let Some(source) = self.sources().into_iter().nth(source) else {
            return false;
        };
        let rules = |number: BlockNumber| self.changes.iter().rev().find(|(changed, _)| *changed < number);
        let of_block = rules(number).or(self.changes.first());
        let names = |config: &Arc<ChannelConfig>| config.sources().contains(&source);
        names(self.config()) || of_block.is_some_and(|(_, config)| names(config))
    }

    /// The config that the next block is certified under.
    pub fn config(&self) -> &Arc<ChannelConfig> {
        &self.changes.last().expect("block 0 has a config").1
    }

    fn certify(&mut self, payload: Bytes, kind: EnvelopeKind) -> VerifiedBlock {
        let mut builder = BodyBuilder::default();
        builder.push(&self.creator_certificate);
        builder.push(&self.envelope(payload, kind).encode());
        let part_count = builder.part_count();
        let body = builder.finish();
        let previous = self.tip().header();
        let header = self.certify_header(HeaderFields {
            channel: self.id(),
            number: previous.number().next(),
            previous_hash: previous.hash(),
            body_root: body.root(),
            body_bytes: body.bytes().len() as u64,
            part_count,
            envelope_count: 1,
            config_number: self.config().number(),
            timestamp: WallTime::from_millis(WORLD_START_MILLIS + previous.number().as_u64()),
        });
        let header = VerifiedHeader::try_new(header, self.config()).expect("our own orderer signed it");
        VerifiedBlock::try_new(header, body.bytes().clone()).expect("the header was made for this body")
    }

    fn envelope(&mut self, payload: Bytes, kind: EnvelopeKind) -> Envelope {
        let content = EnvelopeContent {
            channel: self.id(),
            creator: Digest::of(&self.creator_certificate),
            nonce: Bytes::copy_from_slice(&self.random.seed()[..24]),
            payload,
            kind,
        };
        Envelope::sign(content, &self.creator)
    }

    /// A header of any content with this chain's orderer's signature, for what even a certificate must not
    /// let pass.
    pub fn certify_header(&self, fields: HeaderFields) -> CertifiedHeader {
        let header = Header::new(fields);
        let certificate = QuorumCertificate::sign(self.id(), header.hash(), 0, &self.orderer);
        CertifiedHeader { header, certificate: Some(certificate) }
    }

    /// Another header of a block, with other content and the orderer's signature as well.
    pub(crate) fn rival_of(&self, number: BlockNumber) -> Option<CertifiedHeader> {
        let fields = self.block(number)?.header().header().fields().clone();
        let body_root = Digest::of(b"another body");
        Some(self.certify_header(HeaderFields { body_root, ..fields }))
    }

    /// The channel's id.
    pub fn id(&self) -> ChannelId {
        self.genesis.channel()
    }

    /// Its name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Block 0 and config.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// How many blocks were certified, block 0 included.
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The newest block.
    pub fn tip(&self) -> &VerifiedBlock {
        self.blocks.last().expect("block 0 is always there")
    }

    pub(crate) fn number_of(&self, header_hash: Digest) -> Option<BlockNumber> {
        let block = self.blocks.iter().rev().find(|block| block.header().hash() == header_hash);
        block.map(|block| block.number())
    }

    /// One block.
    pub fn block(&self, number: BlockNumber) -> Option<&VerifiedBlock> {
        self.blocks.get(usize::try_from(number.as_u64()).ok()?)
    }
}

fn first_config(founding: &Founding<'_>, orderer: &SecretKey) -> proto::ChannelConfig {
    let orgs = founding.orgs.iter().zip(&founding.anchors).map(|(org, anchors)| org.config(anchors));
    let followers = (0..founding.followers).map(|index| proto::FollowerConfig {
        org: founding.orgs.first().map(|org| org.name.clone()).unwrap_or_default(),
        endpoint: format!("follower{index}:7050"),
        tls_roots: Vec::new(),
    });
    proto::ChannelConfig {
        number: 0,
        previous_hash: Bytes::from_static(&[0; 32]),
        name: founding.name.to_owned(),
        orgs: orgs.collect(),
        orderers: vec![proto::OrdererConfig {
            key: Bytes::copy_from_slice(orderer.public().as_bytes()),
            org: founding.orgs.first().map(|org| org.name.clone()).unwrap_or_default(),
            endpoint: "orderer:7050".to_owned(),
            tls_roots: Vec::new(),
        }],
        quorum: 1,
        limits: Some((&ChannelLimits::default()).into()),
        followers: followers.collect(),
    }
}
