//! Where a peer keeps its chains: the trait, its memory twin, and (feature `suite`) the tests that both must
//! pass.
//!
//! A store accepts only [`VerifiedBlock`]s, only in order; what it acknowledged is durable. It may be shared
//! between threads: the core's commits come from one, readers from many.

mod memory;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use memory::MemoryStore;

use crate::channel::{ConfigHistory, ConfigUpdate, Genesis};
use crate::ledger::{Block, Envelope, EnvelopeId, VerifiedBlock};
use crate::types::{BlockNumber, ChannelId, ChannelName, Height};
use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;

/// The longest value of [`BlockStore::put_meta`], in bytes.
pub const META_VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A channel that this store holds.
#[derive(Clone, Debug)]
pub struct StoredChannel {
    /// The alias under which it was joined.
    pub name: ChannelName,
    /// Its genesis block and first config.
    pub genesis: Genesis,
    /// How many blocks are held.
    pub height: Height,
}

/// What a process keeps besides blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetaKey {
    /// The last incarnation of this process.
    Incarnation,
    /// High-water marks of other members' statements.
    Marks,
    /// Revocation lists that were learned.
    Revocations,
    /// Evidence of all channels, and which stand still for it.
    Evidence,
}

/// Where an envelope stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopePosition {
    /// The block.
    pub block: BlockNumber,
    /// Index among the block's envelopes.
    pub index: u32,
}

impl EnvelopePosition {
    /// The ids and places of a block's envelopes, in order: what a store indexes. Bytes that are no envelope,
    /// which a quorum of lying orderers could certify, have no id and are left out.
    pub fn all_of(block: &VerifiedBlock) -> impl Iterator<Item = (EnvelopeId, Self)> + '_ {
        let number = block.number();
        block.envelopes().zip(0..).filter_map(move |(bytes, index)| {
            let envelope = Envelope::decode(bytes).ok()?;
            Some((envelope.id(), Self { block: number, index }))
        })
    }
}

/// Why a store did not do what was asked; unless said otherwise its content is unchanged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The channel is not held.
    #[error("channel {0} is not in this store")]
    UnknownChannel(ChannelId),
    /// The channel, or another one of this name, is held already.
    #[error("channel {channel} or the name {name} is in this store already")]
    ChannelExists {
        /// The channel.
        channel: ChannelId,
        /// The name.
        name: ChannelName,
    },
    /// A block does not follow the newest one.
    #[error(
        "channel {channel}: block {found} does not follow, expected block {expected} on top of the held tip"
    )]
    NotNext {
        /// The channel.
        channel: ChannelId,
        /// The block's number.
        found: BlockNumber,
        /// The number of the block that would follow.
        expected: BlockNumber,
    },
    /// What lies on disk is not what was written.
    #[error("channel {channel}: block {number} is damaged on disk: {cause}")]
    Damaged {
        /// The channel.
        channel: ChannelId,
        /// The block.
        number: BlockNumber,
        /// What was found.
        cause: String,
    },
    /// A meta value is too long.
    #[error("meta value {key:?} has {bytes} bytes, the limit is {META_VALUE_BYTES_MAX}")]
    MetaTooLong {
        /// Its key.
        key: MetaKey,
        /// Its length.
        bytes: usize,
    },
    /// The disk or the database failed; the cause is the system's.
    #[error("{0}")]
    Io(String),
}

/// Reads the configs of a held channel back, up to the one in force. Each is judged again: whatever is wrong
/// on the disk, no config rules here that the one before it does not vouch for.
///
/// # Errors
/// [`StoreError::Damaged`] names the config block that is not what it was.
pub fn config_history(store: &dyn BlockStore, genesis: &Genesis) -> Result<ConfigHistory, StoreError> {
    let channel = genesis.channel();
    let mut history = ConfigHistory::new(genesis);
    for number in store.config_blocks(channel)? {
        let damaged = |cause: String| StoreError::Damaged { channel, number, cause };
        let block = store.read(channel, number)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let block = VerifiedBlock::from_store(block).map_err(|error| damaged(error.to_string()))?;
        let update = block.config_update().ok_or_else(|| damaged("it is no config block".to_owned()))?;
        let next = ConfigUpdate::decode(update).and_then(|update| update.judge(history.current()));
        let config = next.map_err(|error| damaged(error.to_string()))?;
        history.apply(number, Arc::new(config));
    }
    Ok(history)
}

/// A durable store of chains.
pub trait BlockStore: Send + Sync {
    /// Adds a channel with its block 0.
    ///
    /// # Errors
    /// [`StoreError::ChannelExists`] when the channel or the name is held already.
    fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError>;

    /// Removes a channel and all its blocks.
    ///
    /// # Errors
    /// [`StoreError::UnknownChannel`] when it is not held.
    fn remove_channel(&self, channel: ChannelId) -> Result<(), StoreError>;

    /// All channels, by id.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or a genesis block is damaged.
    fn channels(&self) -> Result<Vec<StoredChannel>, StoreError>;

    /// How many blocks of a channel are held.
    ///
    /// # Errors
    /// [`StoreError::UnknownChannel`] when it is not held.
    fn height(&self, channel: ChannelId) -> Result<Height, StoreError>;

    /// Appends contiguous blocks of one channel in one durable write: all or none.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] when the first does not follow the tip by number and hash, or a later one its
    /// neighbour, or is of another channel.
    fn append(&self, blocks: &[VerifiedBlock]) -> Result<(), StoreError>;

    /// Reads a block; `None` above the tip.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what lies there is not what was written.
    fn read(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Block>, StoreError>;

    /// Reads a certified header's bytes (protobuf `CertifiedHeader`); `None` above the tip.
    ///
    /// # Errors
    /// [`StoreError`] when the channel is not held or the disk fails.
    fn read_header(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Bytes>, StoreError>;

    /// Where an envelope stands; `None` when no held block has it.
    ///
    /// # Errors
    /// [`StoreError`] when the channel is not held or the disk fails.
    fn find_envelope(
        &self,
        channel: ChannelId,
        envelope: EnvelopeId,
    ) -> Result<Option<EnvelopePosition>, StoreError>;

    /// The numbers of a channel's config blocks, ascending, block 0 left out: the first one brought config 1.
    ///
    /// # Errors
    /// [`StoreError`] when the channel is not held or the disk fails.
    fn config_blocks(&self, channel: ChannelId) -> Result<Vec<BlockNumber>, StoreError>;

    /// Keeps a small value, durably.
    ///
    /// # Errors
    /// [`StoreError::MetaTooLong`] when it is not small.
    fn put_meta(&self, key: MetaKey, value: &[u8]) -> Result<(), StoreError>;

    /// Reads a small value.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    fn meta(&self, key: MetaKey) -> Result<Option<Bytes>, StoreError>;
}
