//! The configs of a channel up to the one in force: who may have which blocks.

use super::{ChannelConfig, Genesis};
use crate::types::BlockNumber;
use ledgercast_crypto::Identity;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many replaced configs are remembered: a reader that an older one named, and none since, gets nothing.
const PAST_MAX: usize = 16;

/// The config in force and those before it.
#[derive(Clone, Debug)]
pub struct ConfigHistory {
    current: Arc<ChannelConfig>,
    changed_at: BlockNumber,
    /// Newest first, each with the block that replaced it, the last one that its readers may have.
    past: VecDeque<(BlockNumber, Arc<ChannelConfig>)>,
}

/// Which blocks of a channel somebody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// None at all.
    Nothing,
    /// Those up to this one, whose config removed it.
    Through(BlockNumber),
    /// All.
    Everything,
}

impl Access {
    /// Whether a block is within it.
    pub fn includes(self, number: BlockNumber) -> bool {
        match self {
            Self::Nothing => false,
            Self::Through(last) => number <= last,
            Self::Everything => true,
        }
    }
}

impl ConfigHistory {
    /// The config of block 0 is in force.
    pub fn new(genesis: &Genesis) -> Self {
        let current = Arc::clone(genesis.config());
        Self { current, changed_at: BlockNumber::GENESIS, past: VecDeque::new() }
    }

    /// The config in force.
    pub fn current(&self) -> &Arc<ChannelConfig> {
        &self.current
    }

    /// The block that brought it; 0 for the first one.
    pub fn changed_at(&self) -> BlockNumber {
        self.changed_at
    }

    /// Puts the config in force that a block has brought, from the next block on.
    pub fn apply(&mut self, number: BlockNumber, next: Arc<ChannelConfig>) {
        let replaced = std::mem::replace(&mut self.current, next);
        self.changed_at = number;
        self.past.push_front((number, replaced));
        self.past.truncate(PAST_MAX);
    }

    /// The configs that were replaced, newest first.
    pub fn past(&self) -> impl Iterator<Item = &Arc<ChannelConfig>> {
        self.past.iter().map(|(_, config)| config)
    }

    /// Which blocks a member may have, as far as `may_read` of the configs says so.
    pub fn access(&self, may_read: impl Fn(&ChannelConfig) -> bool) -> Access {
        if may_read(&self.current) {
            return Access::Everything;
        }
        let last = self.past.iter().find(|(_, config)| may_read(config));
        last.map_or(Access::Nothing, |(through, _)| Access::Through(*through))
    }

    /// Which blocks a peer may have.
    pub fn peer_access(&self, identity: &Identity) -> Access {
        self.access(|config| config.may_gossip(identity))
    }
}
