//! Headers and blocks that passed every check: the only ones that state machines and stores accept.
//!
//! Proving a header takes the config alone (quorum); linking it to the chain takes its neighbour; proving a
//! body takes its header. Each check has its own error, in the order in which it is made, cheap ones first.

use super::{
    Block, Body, BodyError, CertifiedHeader, Envelope, EnvelopeError, EnvelopeKind, Header,
    QuorumCertificateError,
};
use crate::channel::ChannelConfig;
use crate::types::{BlockNumber, ChannelId};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use std::sync::Arc;
use thiserror::Error;

/// A header that a quorum of its config's orderers signed, or a genesis header that was taken as trust
/// anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHeader(Arc<CertifiedHeader>);

/// A block whose body is the one that its verified header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBlock {
    header: VerifiedHeader,
    body: Body,
}

/// Why a header or block is refused; our state is unchanged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BlockError {
    /// The header is of another channel.
    #[error("header is of {found:?}, expected {expected:?}")]
    WrongChannel {
        /// The channel in the header.
        found: ChannelId,
        /// The channel that was asked for.
        expected: ChannelId,
    },
    /// The header names a config that is not in force here.
    #[error("block {number} is certified under config {found}, in force is {in_force}")]
    WrongConfig {
        /// The block.
        number: BlockNumber,
        /// The config named in the header.
        found: u64,
        /// The config in force.
        in_force: u64,
    },
    /// Block 0 where a certified block was expected, or the other way round.
    #[error("block {0} may not come without certificate, nor block 0 with one")]
    Genesis(BlockNumber),
    /// The header carries no certificate.
    #[error("header of block {0} carries no certificate")]
    NoCertificate(BlockNumber),
    /// The certificate does not certify the header.
    #[error("header of block {number}: {error}")]
    Certificate {
        /// The block.
        number: BlockNumber,
        /// What is wrong.
        error: QuorumCertificateError,
    },
    /// A block without envelopes.
    #[error("block {0} has no envelopes")]
    Empty(BlockNumber),
    /// The body is longer than the config allows.
    #[error("body of block {number} has {found} bytes, the channel's limit is {limit}")]
    BodyTooLong {
        /// The block.
        number: BlockNumber,
        /// The length in the header.
        found: u64,
        /// The config's limit.
        limit: u64,
    },
    /// The header does not follow the one before it.
    #[error("header of block {0} does not name the hash of the header before it")]
    BrokenChain(BlockNumber),
    /// The body's length is not the header's.
    #[error("body of block {number} has {found} bytes, its header says {expected}")]
    BodyLength {
        /// The block.
        number: BlockNumber,
        /// What came.
        found: u64,
        /// What the header says.
        expected: u64,
    },
    /// The body does not cut into parts.
    #[error("block {number}: {error}")]
    Body {
        /// The block.
        number: BlockNumber,
        /// What is wrong.
        error: BodyError,
    },
    /// The number of parts is not the header's.
    #[error("body of block {number} has {found} parts, its header says {expected}")]
    PartCount {
        /// The block.
        number: BlockNumber,
        /// What came.
        found: usize,
        /// What the header says.
        expected: u32,
    },
    /// The parts' Merkle root is not the header's.
    #[error("parts of block {0} do not have the root that its header names")]
    BodyRoot(BlockNumber),
    /// A genesis block whose envelope is no config.
    #[error("genesis block: {0}")]
    GenesisEnvelope(String),
}

impl VerifiedHeader {
    /// Checks that the config's quorum certified this header.
    ///
    /// # Errors
    /// [`BlockError`] names the first check that fails.
    pub fn try_new(certified: CertifiedHeader, config: &ChannelConfig) -> Result<Self, BlockError> {
        let fields = certified.header.fields();
        let number = fields.number;
        if fields.channel != config.channel() {
            return Err(BlockError::WrongChannel { found: fields.channel, expected: config.channel() });
        }
        if number == BlockNumber::GENESIS {
            return Err(BlockError::Genesis(number));
        }
        if fields.config_number != config.number() {
            return Err(BlockError::WrongConfig {
                number,
                found: fields.config_number,
                in_force: config.number(),
            });
        }
        if fields.envelope_count == 0 {
            return Err(BlockError::Empty(number));
        }
        let limit = config.limits().body_bytes_max();
        if fields.body_bytes > limit {
            return Err(BlockError::BodyTooLong { number, found: fields.body_bytes, limit });
        }
        let certificate = certified.certificate.as_ref().ok_or(BlockError::NoCertificate(number))?;
        certificate
            .verify(config, certified.hash())
            .map_err(|error| BlockError::Certificate { number, error })?;
        Ok(Self(Arc::new(certified)))
    }

    /// Whether this header names `previous` as the one before it.
    pub fn follows(&self, previous: &VerifiedHeader) -> bool {
        let fields = self.header().fields();
        previous.number().next() == fields.number && fields.previous_hash == previous.hash()
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// Header and certificate, to be sent on.
    pub fn certified(&self) -> &CertifiedHeader {
        &self.0
    }

    /// The block's number.
    pub fn number(&self) -> BlockNumber {
        self.0.header.number()
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.0.header.fields().channel
    }

    /// The header's hash.
    pub fn hash(&self) -> Digest {
        self.0.hash()
    }
}

impl VerifiedBlock {
    /// Checks that these bytes are the body that the header names.
    ///
    /// # Errors
    /// [`BlockError`] names the first check that fails.
    pub fn try_new(header: VerifiedHeader, body: Bytes) -> Result<Self, BlockError> {
        let fields = header.header().fields();
        let number = fields.number;
        if body.len() as u64 != fields.body_bytes {
            return Err(BlockError::BodyLength {
                number,
                found: body.len() as u64,
                expected: fields.body_bytes,
            });
        }
        let body = Body::cut(body, fields.part_count as usize)
            .map_err(|error| BlockError::Body { number, error })?;
        if body.part_count() != fields.part_count as usize {
            return Err(BlockError::PartCount {
                number,
                found: body.part_count(),
                expected: fields.part_count,
            });
        }
        if body.root() != fields.body_root {
            return Err(BlockError::BodyRoot(number));
        }
        Ok(Self { header, body })
    }

    /// Takes block 0 as trust anchor: its shape and body are checked, its hash is what the operator trusts.
    ///
    /// # Errors
    /// [`BlockError`] when it is no genesis block.
    pub fn genesis(block: Block) -> Result<Self, BlockError> {
        let number = block.number();
        if number != BlockNumber::GENESIS || block.header.certificate.is_some() {
            return Err(BlockError::Genesis(number));
        }
        if block.header.header.fields().previous_hash != Digest::ZERO {
            return Err(BlockError::BrokenChain(number));
        }
        let verified = Self::try_new(VerifiedHeader(Arc::new(block.header)), block.body)?;
        let envelope = verified.genesis_envelope()?;
        if envelope.content().channel != verified.header.channel() {
            return Err(BlockError::WrongChannel {
                found: envelope.content().channel,
                expected: verified.header.channel(),
            });
        }
        Ok(verified)
    }

    /// Takes a block back from our own store, where only verified blocks are written; its body is checked
    /// again, so that a flipped bit is found.
    ///
    /// # Errors
    /// [`BlockError`] when header and body no longer fit.
    pub fn from_store(block: Block) -> Result<Self, BlockError> {
        Self::try_new(VerifiedHeader(Arc::new(block.header)), block.body)
    }

    /// The config envelope of a genesis block.
    ///
    /// # Errors
    /// [`BlockError::GenesisEnvelope`] when its only part is no config envelope.
    pub fn genesis_envelope(&self) -> Result<Envelope, BlockError> {
        let fields = self.header.header().fields();
        if fields.part_count != 1 || fields.envelope_count != 1 || fields.config_number != 0 {
            return Err(BlockError::GenesisEnvelope(
                "it must hold one config envelope and nothing else".to_owned(),
            ));
        }
        let part = self.body.part(0).expect("part count was checked");
        let envelope = Envelope::decode(part)
            .map_err(|error: EnvelopeError| BlockError::GenesisEnvelope(error.to_string()))?;
        match envelope.content().kind {
            EnvelopeKind::Config => Ok(envelope),
            EnvelopeKind::Transaction => {
                Err(BlockError::GenesisEnvelope("its envelope is a transaction, not a config".to_owned()))
            }
        }
    }

    /// The payload of the config envelope that this block consists of, not judged; `None` for block 0 and for
    /// blocks of transactions. Among others a config envelope counts for nothing.
    pub fn config_update(&self) -> Option<Bytes> {
        let fields = self.header.header().fields();
        if fields.number == BlockNumber::GENESIS || fields.envelope_count != 1 {
            return None;
        }
        let envelope = Envelope::decode(self.envelopes().next()?).ok()?;
        (envelope.content().kind == EnvelopeKind::Config).then(|| envelope.content().payload.clone())
    }

    /// The verified header.
    pub fn header(&self) -> &VerifiedHeader {
        &self.header
    }

    /// The block's number.
    pub fn number(&self) -> BlockNumber {
        self.header.number()
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The certificates of the envelopes' creators (DER).
    pub fn creator_certificates(&self) -> impl Iterator<Item = Bytes> + '_ {
        let count = self.body.part_count() - self.header.header().fields().envelope_count as usize;
        self.body.parts().take(count)
    }

    /// The envelopes' bytes, in order.
    pub fn envelopes(&self) -> impl Iterator<Item = Bytes> + '_ {
        let count = self.body.part_count() - self.header.header().fields().envelope_count as usize;
        self.body.parts().skip(count)
    }

    /// The block as it travels.
    pub fn to_block(&self) -> Block {
        Block { header: self.header.certified().clone(), body: self.body.bytes().clone() }
    }
}
