//! Block 0: the channel's first config, and the trust anchor that peers join with.

use super::{ChannelConfig, ConfigError};
use crate::ledger::{
    Block, BlockError, BodyBuilder, CertifiedHeader, Envelope, Header, HeaderError, HeaderFields,
    VerifiedBlock,
};
use crate::time::WallTime;
use crate::types::{BlockNumber, ChannelId};
use crate::wire::proto;
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use prost::Message as _;
use std::sync::Arc;
use thiserror::Error;

/// A genesis block with its config, both checked.
#[derive(Clone, Debug)]
pub struct Genesis {
    block: VerifiedBlock,
    config: Arc<ChannelConfig>,
}

/// Why a genesis file or block is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GenesisError {
    /// The bytes are no block.
    #[error("not a genesis block: {0}")]
    Header(#[from] HeaderError),
    /// The block is no genesis block.
    #[error("not a genesis block: {0}")]
    Block(#[from] BlockError),
    /// Its config is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Genesis {
    /// Makes block 0 of a new channel. The id must be 32 random bytes.
    ///
    /// # Errors
    /// [`GenesisError::Config`] when the config would be refused by others.
    pub fn create(
        channel: ChannelId,
        config: &proto::ChannelConfig,
        timestamp: WallTime,
    ) -> Result<Self, GenesisError> {
        let envelope = Envelope::genesis(channel, config.encode_to_vec().into());
        let mut builder = BodyBuilder::default();
        builder.push(&envelope.encode());
        let body = builder.finish();
        let header = Header::new(HeaderFields {
            channel,
            number: BlockNumber::GENESIS,
            previous_hash: Digest::ZERO,
            body_root: body.root(),
            body_bytes: body.bytes().len() as u64,
            part_count: 1,
            envelope_count: 1,
            config_number: 0,
            timestamp,
        });
        let header = CertifiedHeader { header, certificate: None };
        Self::try_new(Block { header, body: body.bytes().clone() })
    }

    /// Checks a block 0 and its config.
    ///
    /// # Errors
    /// [`GenesisError`] names what is wrong.
    pub fn try_new(block: Block) -> Result<Self, GenesisError> {
        let block = VerifiedBlock::genesis(block)?;
        let config = Arc::new(ChannelConfig::from_genesis(&block)?);
        Ok(Self { block, config })
    }

    /// Reads a genesis file: the bytes of a protobuf `Block`.
    ///
    /// # Errors
    /// [`GenesisError`] names what is wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, GenesisError> {
        Self::try_new(Block::decode(bytes)?)
    }

    /// Block 0.
    pub fn block(&self) -> &VerifiedBlock {
        &self.block
    }

    /// The channel's first config.
    pub fn config(&self) -> &Arc<ChannelConfig> {
        &self.config
    }

    /// The channel's id.
    pub fn channel(&self) -> ChannelId {
        self.config.channel()
    }

    /// Block 0's header hash: what two members compare to know that they joined the same channel.
    pub fn hash(&self) -> Digest {
        self.block.header().hash()
    }
}
