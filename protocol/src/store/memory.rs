//! The store's memory twin: the same answers as a store on disk, kept by nobody once the process ends.

use super::{BlockStore, EnvelopePosition, META_VALUE_BYTES_MAX, MetaKey, StoreError, StoredChannel};
use crate::channel::Genesis;
use crate::ledger::{Block, EnvelopeId, VerifiedBlock};
use crate::types::{BlockNumber, ChannelId, ChannelName, Height};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chains in memory; grows with what is appended, without a bound of its own.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    channels: BTreeMap<ChannelId, Chain>,
    meta: BTreeMap<MetaKey, Bytes>,
}

#[derive(Debug)]
struct Chain {
    name: ChannelName,
    genesis: Genesis,
    /// Never empty: block 0 comes with the channel.
    blocks: Vec<VerifiedBlock>,
    envelopes: BTreeMap<EnvelopeId, EnvelopePosition>,
    config_blocks: Vec<BlockNumber>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic of another thread leaves the maps whole: each change is one insertion after all checks.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn chain(&self, channel: ChannelId) -> Result<&Chain, StoreError> {
        self.channels.get(&channel).ok_or(StoreError::UnknownChannel(channel))
    }
}

impl Chain {
    fn new(name: &ChannelName, genesis: &Genesis) -> Self {
        let mut chain = Self {
            name: name.clone(),
            genesis: genesis.clone(),
            blocks: Vec::new(),
            envelopes: BTreeMap::new(),
            config_blocks: Vec::new(),
        };
        chain.push(genesis.block().clone());
        chain
    }

    fn height(&self) -> Height {
        Height::new(self.blocks.len() as u64)
    }

    fn block(&self, number: BlockNumber) -> Option<&VerifiedBlock> {
        usize::try_from(number.as_u64()).ok().and_then(|index| self.blocks.get(index))
    }

    fn check(&self, channel: ChannelId, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
        let mut tip = self.blocks.last().expect("a chain has its block 0");
        for block in blocks {
            if block.header().channel() != channel || !block.header().follows(tip.header()) {
                let (found, expected) = (block.number(), tip.number().next());
                return Err(StoreError::NotNext { channel, found, expected });
            }
            tip = block;
        }
        Ok(())
    }

    fn push(&mut self, block: VerifiedBlock) {
        self.envelopes.extend(EnvelopePosition::all_of(&block));
        self.config_blocks.extend(block.config_update().map(|_| block.number()));
        self.blocks.push(block);
    }
}

impl BlockStore for MemoryStore {
    fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError> {
        let mut content = self.content();
        let channel = genesis.channel();
        let is_name_taken = content.channels.values().any(|chain| chain.name == *name);
        if is_name_taken || content.channels.contains_key(&channel) {
            return Err(StoreError::ChannelExists { channel, name: name.clone() });
        }
        content.channels.insert(channel, Chain::new(name, genesis));
        Ok(())
    }

    fn remove_channel(&self, channel: ChannelId) -> Result<(), StoreError> {
        let removed = self.content().channels.remove(&channel);
        removed.map(|_| ()).ok_or(StoreError::UnknownChannel(channel))
    }

    fn channels(&self) -> Result<Vec<StoredChannel>, StoreError> {
        let content = self.content();
        let stored = content.channels.values().map(|chain| StoredChannel {
            name: chain.name.clone(),
            genesis: chain.genesis.clone(),
            height: chain.height(),
        });
        Ok(stored.collect())
    }

    fn height(&self, channel: ChannelId) -> Result<Height, StoreError> {
        Ok(self.content().chain(channel)?.height())
    }

    fn append(&self, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
        let Some(first) = blocks.first() else { return Ok(()) };
        let channel = first.header().channel();
        let mut content = self.content();
        let chain = content.channels.get_mut(&channel).ok_or(StoreError::UnknownChannel(channel))?;
        chain.check(channel, blocks)?;
        blocks.iter().for_each(|block| chain.push(block.clone()));
        Ok(())
    }

    fn read(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Block>, StoreError> {
        Ok(self.content().chain(channel)?.block(number).map(VerifiedBlock::to_block))
    }

    fn read_header(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Bytes>, StoreError> {
        let content = self.content();
        Ok(content.chain(channel)?.block(number).map(|block| block.header().certified().encode()))
    }

    fn find_envelope(
        &self,
        channel: ChannelId,
        envelope: EnvelopeId,
    ) -> Result<Option<EnvelopePosition>, StoreError> {
        Ok(self.content().chain(channel)?.envelopes.get(&envelope).copied())
    }

    fn config_blocks(&self, channel: ChannelId) -> Result<Vec<BlockNumber>, StoreError> {
        Ok(self.content().chain(channel)?.config_blocks.clone())
    }

    fn put_meta(&self, key: MetaKey, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > META_VALUE_BYTES_MAX {
            return Err(StoreError::MetaTooLong { key, bytes: value.len() });
        }
        self.content().meta.insert(key, Bytes::copy_from_slice(value));
        Ok(())
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.content().meta.get(&key).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_store(test: fn(&dyn BlockStore)) {
        test(&MemoryStore::new());
    }

    crate::block_store_suite!(with_store);
}
