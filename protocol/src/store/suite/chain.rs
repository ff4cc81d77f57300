//! A chain made in a test: one organisation with its CA, one Ed25519 orderer, blocks with the payloads asked
//! for.

use crate::channel::{ChannelConfig, ConfigUpdate, Genesis};
use crate::ledger::{
    BodyBuilder, CertifiedHeader, Envelope, EnvelopeContent, EnvelopeKind, Header, HeaderFields,
    QuorumCertificate, VerifiedBlock, VerifiedHeader,
};
use crate::time::WallTime;
use crate::types::{BlockNumber, ChannelId, ChannelName};
use crate::wire::{CertificateChain, proto};
use bytes::Bytes;
use ledgercast_crypto::certificate::Certificate;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
use ledgercast_crypto::keys::SecretKey;
use ledgercast_crypto::subject::Role;
use std::sync::Arc;

/// When the fixtures' certificates are valid: from September 2020 to October 2096.
pub const VALIDITY: Validity = Validity { not_before: 1_600_000_000, not_after: 4_000_000_000 };

/// The clock of block 0; each further block is one second later.
const GENESIS_TIME_MS: u64 = 1_700_000_000_000;

/// A member with its key: creates envelopes.
#[derive(Clone, Debug)]
pub struct Creator {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: SecretKey,
}

/// A channel of the org `org1` and the certified blocks of its only orderer.
#[derive(Clone, Debug)]
pub struct Chain {
    genesis: Genesis,
    config: Arc<ChannelConfig>,
    orderer: SecretKey,
    authority: Authority,
    client: Creator,
    admin: Creator,
    tip: VerifiedHeader,
    envelopes: u64,
}

impl Creator {
    /// Enrols a member of the CA's org; equal seeds give equal keys.
    pub fn enrol(authority: &Authority, common_name: &str, role: Role, seed: [u8; 32]) -> Self {
        let key = SecretKey::from_seed(seed);
        let enrolment = Enrolment { common_name, role, validity: VALIDITY, unit: None };
        let certificate = authority.enrol(&key.public(), &enrolment).expect("the fixture's CA issues");
        Self { certificate, key }
    }

    /// Signs a transaction. The nonce is the number in 16 bytes, so equal numbers give equal nonces.
    pub fn envelope(&self, channel: ChannelId, nonce: u128, payload: &[u8]) -> Envelope {
        let content = EnvelopeContent {
            channel,
            creator: self.certificate.fingerprint(),
            nonce: Bytes::copy_from_slice(&nonce.to_be_bytes()),
            payload: Bytes::copy_from_slice(payload),
            kind: EnvelopeKind::Transaction,
        };
        Envelope::sign(content, &self.key)
    }

    /// The certificate as it is shown.
    pub fn chain(&self) -> CertificateChain {
        CertificateChain { certificate: self.certificate.clone(), intermediates: Vec::new() }
    }

    /// Signs a config update.
    pub fn approve(&self, channel: ChannelId, update: &mut ConfigUpdate) {
        update.sign(channel, self.chain(), &self.key);
    }
}

/// The org of a CA as configs name it, reader and writer.
pub fn org_config(authority: &Authority) -> proto::OrgConfig {
    proto::OrgConfig {
        name: authority.certificate().org().to_owned(),
        roots: vec![authority.certificate().der().clone()],
        reader: true,
        writer: true,
        ..proto::OrgConfig::default()
    }
}

impl Chain {
    /// A channel whose id is 32 times `seed`, with default limits, named `channel-<seed>`.
    pub fn new(seed: u8) -> Self {
        Self::with(seed, |_| {})
    }

    /// The same, with a config changed before block 0 is made.
    pub fn with(seed: u8, change: impl FnOnce(&mut proto::ChannelConfig)) -> Self {
        let key = |role| SecretKey::from_seed([seed ^ role; 32]);
        let authority =
            Authority::reproducible(key(0x10), "org1", VALIDITY).expect("the fixture's CA is made");
        let orderer = key(0x20);
        let mut config = config(seed, &authority, &orderer);
        change(&mut config);
        let channel = ChannelId::from_bytes([seed; 32]);
        let genesis = Genesis::create(channel, &config, WallTime::from_millis(GENESIS_TIME_MS))
            .expect("the fixture's config is right");
        let client = Creator::enrol(&authority, "client1", Role::Client, [seed ^ 0x30; 32]);
        let admin = Creator::enrol(&authority, "admin1", Role::Admin, [seed ^ 0x40; 32]);
        let (tip, config) = (genesis.block().header().clone(), genesis.config().clone());
        Self { genesis, config, orderer, authority, client, admin, tip, envelopes: 0 }
    }

    /// Block 0.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.genesis.channel()
    }

    /// The name in the config.
    pub fn name(&self) -> &ChannelName {
        self.genesis.config().name()
    }

    /// The key of orderer 0.
    pub fn orderer(&self) -> &SecretKey {
        &self.orderer
    }

    /// The CA of `org1`.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A client of `org1`, which creates the blocks' envelopes.
    pub fn client(&self) -> &Creator {
        &self.client
    }

    /// The admin of `org1`.
    pub fn admin(&self) -> &Creator {
        &self.admin
    }

    /// The config that the next block is certified under.
    pub fn config(&self) -> &Arc<ChannelConfig> {
        &self.config
    }

    /// The header of the newest block made.
    pub fn tip(&self) -> &VerifiedHeader {
        &self.tip
    }

    /// A certified block on top of the newest one, with one envelope per payload. The payloads must not be
    /// none.
    pub fn next(&mut self, payloads: &[&[u8]]) -> VerifiedBlock {
        let envelopes = payloads.iter().map(|payload| {
            self.envelopes += 1;
            self.client.envelope(self.genesis.channel(), self.envelopes.into(), payload).encode()
        });
        let envelopes: Vec<Bytes> = envelopes.collect();
        let creator = self.client.certificate.clone();
        self.certify(&creator, &envelopes)
    }

    /// The config in force with a change and the next number, as an update that nobody has signed.
    pub fn changed(&self, change: impl FnOnce(&mut proto::ChannelConfig)) -> ConfigUpdate {
        let mut config = self.config.to_wire();
        config.number += 1;
        config.previous_hash = Bytes::copy_from_slice(self.config.hash().as_bytes());
        change(&mut config);
        ConfigUpdate::propose(&config)
    }

    /// An envelope of `org1`'s admin with this update, whoever has signed it.
    pub fn config_envelope(&mut self, update: &ConfigUpdate) -> Envelope {
        self.envelopes += 1;
        let content = EnvelopeContent {
            channel: self.channel(),
            creator: self.admin.certificate.fingerprint(),
            nonce: Bytes::copy_from_slice(&u128::from(self.envelopes).to_be_bytes()),
            payload: update.encode(),
            kind: EnvelopeKind::Config,
        };
        Envelope::sign(content, &self.admin.key)
    }

    /// A certified config block with this update, right or wrong; only a right one comes into force.
    pub fn config_block(&mut self, update: &ConfigUpdate) -> VerifiedBlock {
        let envelope = self.config_envelope(update).encode();
        let creator = self.admin.certificate.clone();
        let block = self.certify(&creator, &[envelope]);
        if let Ok(next) = update.judge(&self.config) {
            self.config = Arc::new(next);
        }
        block
    }

    /// A config block with a change, signed by `org1`'s admin and these others.
    pub fn update(
        &mut self,
        change: impl FnOnce(&mut proto::ChannelConfig),
        others: &[&Creator],
    ) -> VerifiedBlock {
        let mut update = self.changed(change);
        for admin in others.iter().copied().chain([&self.admin]) {
            admin.approve(self.channel(), &mut update);
        }
        self.config_block(&update)
    }

    /// Blocks are certified with this key from now on: a config names it.
    pub fn set_orderer(&mut self, orderer: SecretKey) {
        self.orderer = orderer;
    }

    fn certify(&mut self, creator: &Certificate, envelopes: &[Bytes]) -> VerifiedBlock {
        let mut body = BodyBuilder::default();
        body.push(creator.der());
        envelopes.iter().for_each(|envelope| body.push(envelope));
        let body = body.finish();
        let number = self.tip.number().next();
        let header = Header::new(HeaderFields {
            channel: self.channel(),
            number,
            previous_hash: self.tip.hash(),
            body_root: body.root(),
            body_bytes: body.bytes().len() as u64,
            part_count: body.part_count() as u32,
            envelope_count: envelopes.len() as u32,
            config_number: self.config.number(),
            timestamp: WallTime::from_millis(GENESIS_TIME_MS + 1000 * number.as_u64()),
        });
        let certificate = Some(QuorumCertificate::sign(self.channel(), header.hash(), 0, &self.orderer));
        let certified = CertifiedHeader { header, certificate };
        let header = VerifiedHeader::try_new(certified, &self.config).expect("the header is certified");
        let block = VerifiedBlock::try_new(header, body.bytes().clone()).expect("the body is the header's");
        self.tip = block.header().clone();
        block
    }

    /// The next `count` blocks, each with one short envelope that names its block.
    pub fn extend(&mut self, count: usize) -> Vec<VerifiedBlock> {
        let number = |chain: &Self| chain.tip.number().next();
        (0..count).map(|_| self.next(&[payload(number(self)).as_bytes()])).collect()
    }
}

fn payload(number: BlockNumber) -> String {
    format!("payload of block {number}")
}

fn config(seed: u8, authority: &Authority, orderer: &SecretKey) -> proto::ChannelConfig {
    let org = org_config(authority);
    let orderer = proto::OrdererConfig {
        key: Bytes::copy_from_slice(orderer.public().as_bytes()),
        org: org.name.clone(),
        endpoint: "127.0.0.1:7050".to_owned(),
        tls_roots: Vec::new(),
    };
    proto::ChannelConfig {
        number: 0,
        previous_hash: Bytes::copy_from_slice(Digest::ZERO.as_bytes()),
        name: format!("channel-{seed}"),
        orgs: vec![org],
        orderers: vec![orderer],
        quorum: 1,
        limits: None,
        ..proto::ChannelConfig::default()
    }
}
