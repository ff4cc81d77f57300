//! Makes a certified block out of a batch: certificates once and first, then the envelopes; signed by one
//! orderer.

use super::queue::Queued;
use crate::channel::ChannelConfig;
use crate::ledger::{
    BlockError, Body, BodyBuilder, CertifiedHeader, Header, HeaderFields, QuorumCertificate, VerifiedBlock,
    VerifiedHeader,
};
use crate::time::WallTime;
use ledgercast_crypto::keys::SecretKey;
use std::collections::BTreeSet;

/// An orderer's key and its place in a channel's config.
pub(super) struct Signer<'a> {
    pub(super) index: usize,
    pub(super) key: &'a SecretKey,
}

/// Puts `batch` on top of `tip` and checks the result as every peer will.
///
/// # Errors
/// [`BlockError`] when peers would refuse the block.
pub(super) fn assemble(
    batch: &[Queued],
    tip: &VerifiedHeader,
    config: &ChannelConfig,
    signer: &Signer<'_>,
    wall: WallTime,
) -> Result<VerifiedBlock, BlockError> {
    let body = body(batch);
    let envelope_count = u32::try_from(batch.len()).expect("a batch is cut at a 32-bit count");
    let header = Header::new(HeaderFields {
        channel: config.channel(),
        number: tip.number().next(),
        previous_hash: tip.hash(),
        body_root: body.root(),
        body_bytes: body.bytes().len() as u64,
        part_count: u32::try_from(body.part_count()).expect("a builder counts parts in 32 bits"),
        envelope_count,
        config_number: config.number(),
        // A clock that was set back does not set the chain's time back.
        timestamp: wall.max(tip.header().fields().timestamp),
    });
    let certificate = QuorumCertificate::sign(config.channel(), header.hash(), signer.index, signer.key);
    let certified = CertifiedHeader { header, certificate: Some(certificate) };
    VerifiedBlock::try_new(VerifiedHeader::try_new(certified, config)?, body.bytes().clone())
}

fn body(batch: &[Queued]) -> Body {
    let mut builder = BodyBuilder::default();
    let mut written = BTreeSet::new();
    for creator in batch.iter().map(|queued| &queued.creator) {
        if written.insert(creator.certificate.fingerprint()) {
            builder.push(creator.certificate.der());
        }
    }
    batch.iter().for_each(|queued| builder.push(&queued.bytes));
    builder.finish()
}
