//! Certified blocks made before anything is measured, by the test network's own orderer and client keys.

use anyhow::Context as _;
use bytes::Bytes;
use ledgercast_client::testnet::Summary;
use ledgercast_crypto::Digest;
use ledgercast_crypto::msp::Msp;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::{
    BodyBuilder, CertifiedHeader, Envelope, EnvelopeContent, EnvelopeKind, Header, HeaderFields,
    QuorumCertificate, VerifiedBlock, VerifiedHeader,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Envelopes of a block: enough that a body has parts, few enough that checking them is no load.
const ENVELOPES_A_BLOCK: usize = 10;

/// A chain that grows.
pub(crate) struct Chain {
    genesis: Genesis,
    orderer: Msp,
    creator: Msp,
    tip: VerifiedHeader,
    random: ChaCha8Rng,
}

impl Chain {
    /// Only block 0 so far.
    ///
    /// # Errors
    /// The network's files cannot be read.
    pub(crate) fn open(summary: &Summary, genesis: Genesis, seed: u64) -> anyhow::Result<Self> {
        let orderer = summary.orderers.first().context("the network has an orderer")?;
        let creator = summary.users.iter().find(|user| user.role == "client" && user.org == "org1");
        let creator = creator.context("the network has a client of org1")?;
        Ok(Self {
            tip: genesis.block().header().clone(),
            genesis,
            orderer: Msp::load(&orderer.home.join("msp"))?,
            creator: Msp::load(&creator.home.join("msp"))?,
            random: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// Appends so many blocks, each with a payload of `bytes` random bytes.
    ///
    /// # Errors
    /// The channel's config does not allow such a block.
    pub(crate) fn extend(&mut self, count: usize, bytes: usize) -> anyhow::Result<Vec<VerifiedBlock>> {
        (0..count).map(|_| self.append(bytes)).collect()
    }

    fn append(&mut self, bytes: usize) -> anyhow::Result<VerifiedBlock> {
        let mut builder = BodyBuilder::default();
        builder.push(self.creator.certificate.der());
        for index in 0..ENVELOPES_A_BLOCK {
            let share = |index: usize| index * bytes / ENVELOPES_A_BLOCK;
            let envelope = self.envelope(share(index + 1) - share(index));
            builder.push(&envelope.encode());
        }
        let part_count = builder.part_count();
        let body = builder.finish();
        let previous = self.tip.header();
        let header = Header::new(HeaderFields {
            channel: self.genesis.channel(),
            number: previous.number().next(),
            previous_hash: self.tip.hash(),
            body_root: body.root(),
            body_bytes: body.bytes().len() as u64,
            part_count,
            envelope_count: ENVELOPES_A_BLOCK as u32,
            config_number: self.genesis.config().number(),
            timestamp: WallTime::from_millis(previous.fields().timestamp.as_millis() + 1),
        });
        let certificate =
            QuorumCertificate::sign(self.genesis.channel(), header.hash(), 0, &self.orderer.key);
        let certified = CertifiedHeader { header, certificate: Some(certificate) };
        let header = VerifiedHeader::try_new(certified, self.genesis.config())?;
        let block = VerifiedBlock::try_new(header, body.bytes().clone())?;
        self.tip = block.header().clone();
        Ok(block)
    }

    fn envelope(&mut self, bytes: usize) -> Envelope {
        let mut payload = vec![0; bytes];
        let mut nonce = [0; 24];
        self.random.fill_bytes(&mut payload);
        self.random.fill_bytes(&mut nonce);
        let content = EnvelopeContent {
            channel: self.genesis.channel(),
            creator: Digest::of(self.creator.certificate.der()),
            nonce: Bytes::copy_from_slice(&nonce),
            payload: payload.into(),
            kind: EnvelopeKind::Transaction,
        };
        Envelope::sign(content, &self.creator.key)
    }
}
