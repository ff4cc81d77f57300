//! The orderer's side of a channel: a scripted chain of certified blocks, the truth that every node is
//! compared with.

use crate::clock::WORLD_START_MILLIS;
use crate::identities::Org;
use crate::random::Random;
use bytes::Bytes;
use ledgercast_crypto::{Digest, Role, SecretKey};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::channel::{ChannelLimits, Genesis};
use ledgercast_protocol::ledger::{
    BodyBuilder, CertifiedHeader, Envelope, EnvelopeContent, EnvelopeKind, Header, HeaderFields,
    QuorumCertificate, VerifiedBlock, VerifiedHeader,
};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;

/// A channel as its orderer knows it.
#[derive(Debug)]
pub struct SourceChain {
    name: ChannelName,
    genesis: Genesis,
    orderer: SecretKey,
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
        let config = config(founding, &orderer);
        let genesis = Genesis::create(channel, &config, WallTime::from_millis(WORLD_START_MILLIS))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            name: founding.name.parse().map_err(|error| format!("{error}"))?,
            blocks: vec![genesis.block().clone()],
            creator_certificate: certificate.der().clone(),
            genesis,
            orderer,
            creator,
            random,
        })
    }

    /// Appends a block of one envelope whose payload has `payload_bytes` random bytes.
    pub fn extend(&mut self, payload_bytes: usize) -> &VerifiedBlock {
        let block = self.certify(payload_bytes);
        self.blocks.push(block);
        self.tip()
    }

    fn certify(&mut self, payload_bytes: usize) -> VerifiedBlock {
        let mut builder = BodyBuilder::default();
        builder.push(&self.creator_certificate);
        builder.push(&self.envelope(payload_bytes).encode());
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
            config_number: 0,
            timestamp: WallTime::from_millis(WORLD_START_MILLIS + previous.number().as_u64()),
        });
        let header =
            VerifiedHeader::try_new(header, self.genesis.config()).expect("our own orderer signed it");
        VerifiedBlock::try_new(header, body.bytes().clone()).expect("the header was made for this body")
    }

    fn envelope(&mut self, payload_bytes: usize) -> Envelope {
        let mut payload = Vec::with_capacity(payload_bytes + 32);
        while payload.len() < payload_bytes {
            payload.extend_from_slice(&self.random.seed());
        }
        payload.truncate(payload_bytes);
        let content = EnvelopeContent {
            channel: self.id(),
            creator: Digest::of(&self.creator_certificate),
            nonce: Bytes::copy_from_slice(&self.random.seed()[..24]),
            payload: payload.into(),
            kind: EnvelopeKind::Transaction,
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

    /// One block.
    pub fn block(&self, number: BlockNumber) -> Option<&VerifiedBlock> {
        self.blocks.get(usize::try_from(number.as_u64()).ok()?)
    }
}

fn config(founding: &Founding<'_>, orderer: &SecretKey) -> proto::ChannelConfig {
    let orgs = founding.orgs.iter().zip(&founding.anchors).map(|(org, anchors)| proto::OrgConfig {
        name: org.name.clone(),
        roots: org.roots.roots.iter().map(|root| root.der().clone()).collect(),
        intermediates: Vec::new(),
        tls_roots: Vec::new(),
        anchors: anchors.clone(),
        reader: true,
        writer: true,
    });
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
