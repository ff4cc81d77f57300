//! An equivocation with the config blocks that lead to its config: checked with block 0 alone, offline.

use super::{Equivocation, EquivocationError, Verdict};
use crate::channel::{ChannelConfig, ConfigUpdate, Genesis, UpdateError};
use crate::ledger::{Block, BlockError, HeaderError, VerifiedBlock, VerifiedHeader};
use crate::types::BlockNumber;
use crate::wire::proto;
use crate::wire::shape::{self, tables};
use bytes::Bytes;
use prost::Message as _;
use std::sync::Arc;
use thiserror::Error;

/// The longest evidence that is decoded. Derived: some hundred config blocks of the usual size.
pub const EVIDENCE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most config blocks of one evidence: one is at least as long as its header and a signature.
pub(crate) const CONFIGS_MAX: usize = EVIDENCE_BYTES_MAX / 256;

/// What proves an orderer's guilt to anybody who has block 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The config blocks up to the config that both headers name, ascending, block 0 left out.
    pub configs: Vec<Block>,
    /// The two headers.
    pub equivocation: Equivocation,
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvidenceError {
    /// It is longer than any evidence may be.
    #[error("evidence has {found} bytes, the limit is {EVIDENCE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The bytes are not a protobuf `Evidence`.
    #[error("evidence does not decode: {0}")]
    Malformed(String),
    /// A block in it has no right shape.
    #[error("evidence: {0}")]
    Header(#[from] HeaderError),
    /// There are not as many config blocks as the headers' config has before it.
    #[error("evidence carries {found} config blocks, its headers' config needs {needed}")]
    ConfigCount {
        /// How many there are.
        found: usize,
        /// The config's number.
        needed: u64,
    },
    /// A config block is not above the one before it, or not below the headers.
    #[error("config block {0} of the evidence is out of order")]
    ConfigOrder(BlockNumber),
    /// A config block is not certified, or its body is not its own.
    #[error("evidence: {0}")]
    Block(#[from] BlockError),
    /// A block of the chain of configs brings none.
    #[error("block {0} of the evidence brings no config")]
    NoConfig(BlockNumber),
    /// A config is not right by the one before it.
    #[error("config block {number} of the evidence: {error}")]
    Update {
        /// The block.
        number: BlockNumber,
        /// What is wrong.
        error: UpdateError,
    },
    /// The two headers prove nothing.
    #[error(transparent)]
    Equivocation(#[from] EquivocationError),
}

/// Decides what evidence proves, from block 0 alone: no clock, no store, no network.
///
/// # Errors
/// [`EvidenceError`]: nothing; it names the first check that fails.
pub fn verify(genesis: &Genesis, evidence: &Evidence) -> Result<Verdict, EvidenceError> {
    let equivocation = &evidence.equivocation;
    if equivocation.channel() != genesis.channel() {
        let (first, second) = (equivocation.channel(), genesis.channel());
        return Err(EquivocationError::Channels { first, second }.into());
    }
    let (found, needed) = (evidence.configs.len(), equivocation.config_number());
    if u64::try_from(found) != Ok(needed) {
        return Err(EvidenceError::ConfigCount { found, needed });
    }
    let mut config = Arc::clone(genesis.config());
    let mut last = BlockNumber::GENESIS;
    for block in &evidence.configs {
        let number = block.number();
        if number <= last || number >= equivocation.number() {
            return Err(EvidenceError::ConfigOrder(number));
        }
        config = Arc::new(next_config(&config, block)?);
        last = number;
    }
    Ok(equivocation.judge(&config)?)
}

fn next_config(config: &ChannelConfig, block: &Block) -> Result<ChannelConfig, EvidenceError> {
    let number = block.number();
    let header = VerifiedHeader::try_new(block.header.clone(), config)?;
    let block = VerifiedBlock::try_new(header, block.body.clone())?;
    let payload = block.config_update().ok_or(EvidenceError::NoConfig(number))?;
    let update = ConfigUpdate::decode(payload).and_then(|update| update.judge(config));
    update.map_err(|error| EvidenceError::Update { number, error })
}

impl Evidence {
    /// Decodes a protobuf `Evidence` and checks its shape.
    ///
    /// # Errors
    /// [`EvidenceError`] names what is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, EvidenceError> {
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLong { found: bytes.len() });
        }
        let malformed = |error: String| EvidenceError::Malformed(error);
        shape::check(tables::EVIDENCE, &bytes).map_err(|error| malformed(error.to_string()))?;
        let wire = proto::Evidence::decode(bytes).map_err(|error| malformed(error.to_string()))?;
        let pair = wire.equivocation.ok_or_else(|| malformed("its two headers are missing".to_owned()))?;
        let configs = wire.configs.into_iter().map(Block::try_from).collect::<Result<_, _>>()?;
        Ok(Self { configs, equivocation: Equivocation::try_from(pair)? })
    }

    /// The bytes of a protobuf `Evidence`.
    pub fn encode(&self) -> Bytes {
        let configs = self.configs.iter().map(Into::into).collect();
        let wire = proto::Evidence { configs, equivocation: Some((&self.equivocation).into()) };
        wire.encode_to_vec().into()
    }
}
