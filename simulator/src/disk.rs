//! A node's disk: what is synced survives a crash, what is not may or may not; writes take their time, one
//! after the other. It never reorders and never corrupts.

use crate::random::Random;
use bytes::Bytes;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::peer::channel::EPOCH_BLOCKS;
use ledgercast_protocol::peer::{RestoredChannel, RestoredState};
use ledgercast_protocol::store::{BlockStore, MemoryStore, MetaKey, StoreError, config_history};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName, Incarnation};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// How fast a disk is.
#[derive(Clone, Copy, Debug)]
pub struct DiskSettings {
    /// Until a write is durable.
    pub sync: Duration,
    /// Until a read is answered.
    pub read: Duration,
    /// Bytes that are written in a second.
    pub bytes_per_second: u64,
}

impl Default for DiskSettings {
    /// About a solid-state disk of a server: guesses.
    fn default() -> Self {
        Self {
            sync: Duration::from_micros(500),
            read: Duration::from_micros(100),
            bytes_per_second: 500_000_000,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Write {
    Block(VerifiedBlock),
    Meta(MetaKey, Bytes),
}

#[derive(Debug)]
pub(crate) struct Disk {
    settings: DiskSettings,
    durable: MemoryStore,
    unsynced: VecDeque<Write>,
    refused: BTreeSet<ChannelId>,
    free_at: Duration,
}

impl Disk {
    pub(crate) fn new(settings: DiskSettings) -> Self {
        Self {
            settings,
            durable: MemoryStore::default(),
            unsynced: VecDeque::new(),
            refused: BTreeSet::new(),
            free_at: Duration::ZERO,
        }
    }

    pub(crate) fn store(&self) -> &MemoryStore {
        &self.durable
    }

    pub(crate) fn settings_mut(&mut self) -> &mut DiskSettings {
        &mut self.settings
    }

    pub(crate) fn read_delay(&self) -> Duration {
        self.settings.read
    }

    /// Every later block of this channel fails.
    pub(crate) fn refuse_commits(&mut self, channel: ChannelId) {
        self.refused.insert(channel);
    }

    /// Queues a write; says when it will be durable.
    pub(crate) fn write(&mut self, now: Duration, write: Write) -> Duration {
        let bytes = match &write {
            Write::Block(block) => block.body().bytes().len(),
            Write::Meta(_, value) => value.len(),
        };
        let transfer = bytes as u64 * 1_000_000_000 / self.settings.bytes_per_second.max(1);
        self.unsynced.push_back(write);
        self.free_at = self.free_at.max(now) + self.settings.sync + Duration::from_nanos(transfer);
        self.free_at
    }

    /// The oldest write is durable now. Returns the block, if it was one, or why the store refused it.
    pub(crate) fn sync_next(&mut self) -> Option<(ChannelId, BlockNumber, Result<(), StoreError>)> {
        match self.unsynced.pop_front()? {
            Write::Block(block) => {
                let (channel, number) = (block.header().channel(), block.number());
                let result = match self.refused.contains(&channel) {
                    true => Err(StoreError::Io("the disk refuses this channel".to_owned())),
                    false => self.durable.append(&[block]),
                };
                Some((channel, number, result))
            }
            Write::Meta(key, value) => {
                // Values are bounded by their writers; a refused one is simply not kept.
                let _ = self.durable.put_meta(key, &value);
                None
            }
        }
    }

    /// The power fails: of the writes under way, some prefix reached the disk although nobody was told.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        let survivors = random.index(self.unsynced.len() + 1);
        for _ in 0..survivors {
            self.sync_next();
        }
        self.unsynced.clear();
        self.free_at = Duration::ZERO;
    }

    /// A clean stop waits for every write.
    pub(crate) fn flush(&mut self) {
        while !self.unsynced.is_empty() {
            self.sync_next();
        }
    }

    /// Everything is gone.
    pub(crate) fn wipe(&mut self) {
        *self = Self::new(self.settings);
    }

    pub(crate) fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError> {
        self.durable.create_channel(name, genesis)
    }

    pub(crate) fn height(&self, channel: ChannelId) -> u64 {
        self.durable.height(channel).map_or(0, |height| height.as_u64())
    }

    /// What a starting process finds.
    pub(crate) fn restore(&self) -> Result<RestoredState, StoreError> {
        let channels = self.durable.channels()?;
        let channels = channels.into_iter().map(|stored| {
            let channel = stored.genesis.channel();
            let tip = stored.height.tip().unwrap_or(BlockNumber::GENESIS);
            let epoch_start = BlockNumber::new(tip.as_u64() / EPOCH_BLOCKS * EPOCH_BLOCKS);
            Ok(RestoredChannel {
                name: stored.name,
                tip: self.read_verified(channel, tip)?.header().clone(),
                epoch_start: self.read_verified(channel, epoch_start)?.header().clone(),
                configs: config_history(&self.durable, &stored.genesis)?,
            })
        });
        Ok(RestoredState {
            incarnation: self.durable.meta(MetaKey::Incarnation)?.and_then(|bytes| {
                Some(Incarnation::from_millis(u64::from_be_bytes(bytes[..].try_into().ok()?)))
            }),
            marks: self.durable.meta(MetaKey::Marks)?,
            revocations: self.durable.meta(MetaKey::Revocations)?,
            evidence: self.durable.meta(MetaKey::Evidence)?,
            channels: channels.collect::<Result<_, StoreError>>()?,
        })
    }

    fn read_verified(&self, channel: ChannelId, number: BlockNumber) -> Result<VerifiedBlock, StoreError> {
        let damaged = |cause: String| StoreError::Damaged { channel, number, cause };
        let block = self.durable.read(channel, number)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
        VerifiedBlock::from_store(block).map_err(|error| damaged(error.to_string()))
    }
}
