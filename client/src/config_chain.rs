//! A channel's configs by the blocks that brought them, each checked under the one before it. A server that
//! keeps the newest back makes the chain shorter, never false.

use crate::verify::VerifyError;
use ledgercast_protocol::channel::{ChannelConfig, Genesis};
use ledgercast_protocol::job::judge_update;
use ledgercast_protocol::ledger::{Block, VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::types::BlockNumber;
use std::sync::Arc;

/// The configs known so far.
#[derive(Clone, Debug)]
pub struct ConfigChain {
    first: Arc<ChannelConfig>,
    /// Ascending.
    changes: Vec<(BlockNumber, Arc<ChannelConfig>)>,
}

impl ConfigChain {
    /// The config of block 0.
    pub fn new(genesis: &Genesis) -> Self {
        Self { first: Arc::clone(genesis.config()), changes: Vec::new() }
    }

    /// The newest config known.
    pub fn newest(&self) -> &Arc<ChannelConfig> {
        self.changes.last().map_or(&self.first, |(_, config)| config)
    }

    /// The block that brought it.
    pub fn changed_at(&self) -> BlockNumber {
        self.changes.last().map_or(BlockNumber::GENESIS, |(number, _)| *number)
    }

    /// The config that a block is certified under, as far as is known.
    pub fn at(&self, number: BlockNumber) -> &Arc<ChannelConfig> {
        let before = self.changes.partition_point(|(changed, _)| *changed < number);
        before.checked_sub(1).map_or(&self.first, |index| &self.changes[index].1)
    }

    /// Takes in a block of a chain of config blocks; one that is known already changes nothing.
    ///
    /// # Errors
    /// [`VerifyError`] names what is wrong; nothing has changed.
    pub fn take(&mut self, block: Block) -> Result<(), VerifyError> {
        let number = block.number();
        if number <= self.changed_at() {
            return Ok(());
        }
        let header = VerifiedHeader::try_new(block.header, self.newest())?;
        self.follow(&VerifiedBlock::try_new(header, block.body)?)
    }

    /// Takes over the config that a verified block brings, if it brings one.
    ///
    /// # Errors
    /// [`VerifyError::Config`] when its config is not right.
    pub fn follow(&mut self, block: &VerifiedBlock) -> Result<(), VerifyError> {
        if block.number() > self.changed_at()
            && let Some(next) = judge_update(block, self.newest())
        {
            self.changes.push((block.number(), next?));
        }
        Ok(())
    }
}
