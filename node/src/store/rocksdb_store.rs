//! The block store over RocksDB: what is checked before a write, and how a read is told from damage.

use super::error::{failed, read_failed};
use super::{OpenError, format, keys, options};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::{Block, CertifiedHeader, EnvelopeId, VerifiedBlock};
use ledgercast_protocol::store::{
    BlockStore, EnvelopePosition, META_VALUE_BYTES_MAX, MetaKey, StoreError, StoredChannel,
};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName, Height};
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, ReadOptions, WriteBatch};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Chains on disk; shared between threads by reference. Calls block: an async caller runs them where that is
/// allowed.
pub struct RocksDbStore {
    folder: PathBuf,
    pub(super) database: DB,
    /// Changed only after the database was.
    channels: RwLock<BTreeMap<ChannelId, Arc<Channel>>>,
}

struct Channel {
    name: ChannelName,
    /// How many blocks readers may see; raised after the commit.
    height: AtomicU64,
    /// Whoever appends holds it until the disk has answered; empty once the channel is removed.
    tip: Mutex<Option<Tip>>,
}

#[derive(Clone, Copy)]
struct Tip {
    number: BlockNumber,
    hash: Digest,
}

impl RocksDbStore {
    /// Whether there is a store in this folder; changes nothing.
    pub fn is_at(folder: &Path) -> bool {
        format::is_stamped(folder)
    }

    /// Opens the store in a folder, or makes a new one there.
    ///
    /// # Errors
    /// [`OpenError`] when the folder is in use, of a newer format, no store or damaged, or the disk fails.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("db");
        format::check_or_stamp(folder, &path)?;
        let database = DB::open_cf_descriptors(&options::database(), path, options::families())
            .map_err(|error| OpenError::from_database(folder, &error))?;
        let store = Self { folder: folder.to_owned(), database, channels: RwLock::default() };
        let channels =
            store.load_channels().map_err(|cause| OpenError::Content { folder: folder.to_owned(), cause })?;
        *store.channels_mut() = channels;
        Ok(store)
    }

    /// The folder that it was opened with.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn load_channels(&self) -> Result<BTreeMap<ChannelId, Arc<Channel>>, StoreError> {
        let from = IteratorMode::From(&[keys::CHANNEL_TAG], Direction::Forward);
        let mut channels = BTreeMap::new();
        for entry in self.database.iterator_cf(self.family(options::META), from) {
            let (key, name) = entry.map_err(|error| failed(&self.folder, &error))?;
            let Some(id) = keys::channel_id(&key) else { break };
            let name = std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok());
            let name =
                name.ok_or_else(|| damaged(id, BlockNumber::GENESIS, "its channel's name is unreadable"))?;
            channels.insert(id, Arc::new(Channel::new(name, self.load_tip(id)?)));
        }
        Ok(channels)
    }

    fn load_tip(&self, channel: ChannelId) -> Result<Tip, StoreError> {
        let last_key = keys::block(channel, BlockNumber::new(u64::MAX));
        let backwards = IteratorMode::From(&last_key, Direction::Reverse);
        let last = self.database.iterator_cf(self.family(options::HEADERS), backwards).next();
        let last = last.transpose().map_err(|error| {
            // The iterator does not say how far it came; block 0 stands for "the chain".
            read_failed(&self.folder, channel, BlockNumber::GENESIS, &error)
        })?;
        let (number, bytes) = last
            .and_then(|(key, bytes)| Some((keys::block_number(channel, &key)?, bytes)))
            .ok_or_else(|| damaged(channel, BlockNumber::GENESIS, "its header is missing"))?;
        let header = decode_header(channel, number, Bytes::from(bytes))?;
        Ok(Tip { number, hash: header.hash() })
    }

    pub(super) fn family(&self, name: &str) -> &ColumnFamily {
        self.database.cf_handle(name).expect("all column families were opened")
    }

    fn channel(&self, id: ChannelId) -> Result<Arc<Channel>, StoreError> {
        self.channels().get(&id).cloned().ok_or(StoreError::UnknownChannel(id))
    }

    /// A panic of another thread leaves the map whole: each change is one call after all checks.
    fn channels(&self) -> RwLockReadGuard<'_, BTreeMap<ChannelId, Arc<Channel>>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<ChannelId, Arc<Channel>>> {
        self.channels.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_block(&self, batch: &mut WriteBatch, block: &VerifiedBlock) {
        let channel = block.header().channel();
        let key = keys::block(channel, block.number());
        batch.put_cf(self.family(options::HEADERS), key, block.header().certified().encode());
        batch.put_cf(self.family(options::BODIES), key, block.body().bytes());
        if block.config_update().is_some() {
            let key = keys::config_block(channel, block.number());
            batch.put_cf(self.family(options::META), key, b"");
        }
        for (envelope, position) in EnvelopePosition::all_of(block) {
            let key = keys::envelope(channel, envelope);
            batch.put_cf(self.family(options::ENVELOPES), key, keys::position(position));
        }
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.database.write_opt(batch, &options::durable()).map_err(|error| failed(&self.folder, &error))
    }

    /// Reads one part of a block below the height; `None` when the channel was removed meanwhile.
    fn read_part(
        &self,
        family: &str,
        channel: ChannelId,
        number: BlockNumber,
        read: &ReadOptions,
    ) -> Result<Option<Bytes>, StoreError> {
        let found = self
            .database
            .get_cf_opt(self.family(family), keys::block(channel, number), read)
            .map_err(|error| read_failed(&self.folder, channel, number, &error))?;
        match found {
            Some(bytes) => Ok(Some(bytes.into())),
            None if self.channel(channel).is_err() => Ok(None),
            None => Err(damaged(channel, number, format!("it is missing from {family}"))),
        }
    }

    /// Writes buffers out and rewrites the files of a deleted range, so that its bytes leave the disk.
    fn reclaim(&self, channel: ChannelId) -> Result<(), StoreError> {
        let (start, end) = keys::range(channel);
        let families = options::BLOCK_FAMILIES.map(|name| self.family(name));
        for family in families.into_iter().chain([self.family(options::META)]) {
            self.database.flush_cf(family).map_err(|error| failed(&self.folder, &error))?;
        }
        for family in families {
            self.database.compact_range_cf(family, Some(&start), Some(&end));
        }
        Ok(())
    }
}

impl Channel {
    fn new(name: ChannelName, tip: Tip) -> Self {
        Self { name, height: AtomicU64::new(tip.number.height().as_u64()), tip: Mutex::new(Some(tip)) }
    }

    fn height(&self) -> Height {
        Height::new(self.height.load(Ordering::Acquire))
    }

    /// A panic of another thread leaves the tip whole: it is replaced by one assignment.
    fn tip(&self) -> MutexGuard<'_, Option<Tip>> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tip {
    fn of(block: &VerifiedBlock) -> Self {
        Self { number: block.number(), hash: block.header().hash() }
    }

    /// The tip that these blocks would make.
    fn followed_by(self, channel: ChannelId, blocks: &[VerifiedBlock]) -> Result<Self, StoreError> {
        let mut tip = self;
        for block in blocks {
            let fields = block.header().header().fields();
            let expected = tip.number.next();
            let follows = fields.number == expected && fields.previous_hash == tip.hash;
            if fields.channel != channel || !follows {
                return Err(StoreError::NotNext { channel, found: fields.number, expected });
            }
            tip = Self::of(block);
        }
        Ok(tip)
    }
}

impl BlockStore for RocksDbStore {
    fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError> {
        let channel = genesis.channel();
        let mut channels = self.channels_mut();
        let is_name_taken = channels.values().any(|held| held.name == *name);
        if is_name_taken || channels.contains_key(&channel) {
            return Err(StoreError::ChannelExists { channel, name: name.clone() });
        }
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(options::META), keys::channel(channel), name.as_str());
        self.put_block(&mut batch, genesis.block());
        self.commit(batch)?;
        channels.insert(channel, Arc::new(Channel::new(name.clone(), Tip::of(genesis.block()))));
        Ok(())
    }

    fn remove_channel(&self, channel: ChannelId) -> Result<(), StoreError> {
        let held = self.channel(channel)?;
        let mut tip = held.tip();
        if tip.is_none() {
            return Err(StoreError::UnknownChannel(channel));
        }
        let mut batch = WriteBatch::default();
        batch.delete_cf(self.family(options::META), keys::channel(channel));
        let (start, end) = keys::config_range(channel);
        batch.delete_range_cf(self.family(options::META), &start, &end);
        let (start, end) = keys::range(channel);
        for family in options::BLOCK_FAMILIES {
            batch.delete_range_cf(self.family(family), &start, &end);
        }
        self.commit(batch)?;
        *tip = None;
        self.channels_mut().remove(&channel);
        drop(tip);
        self.reclaim(channel).map_err(|error| {
            StoreError::Io(format!("channel {channel} is removed, its bytes may still be on disk: {error}"))
        })
    }

    fn channels(&self) -> Result<Vec<StoredChannel>, StoreError> {
        let held: Vec<_> = self.channels().iter().map(|(id, held)| (*id, Arc::clone(held))).collect();
        let mut channels = Vec::with_capacity(held.len());
        for (id, held) in held {
            let Some(block) = self.read(id, BlockNumber::GENESIS)? else { continue };
            let genesis = Genesis::try_new(block)
                .map_err(|error| damaged(id, BlockNumber::GENESIS, error.to_string()))?;
            channels.push(StoredChannel { name: held.name.clone(), genesis, height: held.height() });
        }
        Ok(channels)
    }

    fn height(&self, channel: ChannelId) -> Result<Height, StoreError> {
        Ok(self.channel(channel)?.height())
    }

    fn append(&self, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
        let Some(first) = blocks.first() else { return Ok(()) };
        let id = first.header().channel();
        let channel = self.channel(id)?;
        let mut tip = channel.tip();
        let next = tip.ok_or(StoreError::UnknownChannel(id))?.followed_by(id, blocks)?;
        let mut batch = WriteBatch::default();
        for block in blocks {
            self.put_block(&mut batch, block);
        }
        self.commit(batch)?;
        *tip = Some(next);
        channel.height.store(next.number.height().as_u64(), Ordering::Release);
        Ok(())
    }

    fn read(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Block>, StoreError> {
        let Some(header) = self.read_header(channel, number)? else { return Ok(None) };
        let header = decode_header(channel, number, header)?;
        let read = options::uncached();
        let Some(body) = self.read_part(options::BODIES, channel, number, &read)? else { return Ok(None) };
        let expected = header.header.fields().body_bytes;
        if body.len() as u64 != expected {
            let cause = format!("its body has {} bytes, its header says {expected}", body.len());
            return Err(damaged(channel, number, cause));
        }
        Ok(Some(Block { header, body }))
    }

    fn read_header(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Bytes>, StoreError> {
        if number >= self.height(channel)?.next_block() {
            return Ok(None);
        }
        self.read_part(options::HEADERS, channel, number, &ReadOptions::default())
    }

    fn find_envelope(
        &self,
        channel: ChannelId,
        envelope: EnvelopeId,
    ) -> Result<Option<EnvelopePosition>, StoreError> {
        let held = self.channel(channel)?;
        let found = self
            .database
            .get_pinned_cf(self.family(options::ENVELOPES), keys::envelope(channel, envelope))
            .map_err(|error| failed(&self.folder, &error))?;
        let Some(value) = found else { return Ok(None) };
        let position = keys::parse_position(&value).ok_or_else(|| {
            let folder = self.folder.display();
            StoreError::Io(format!(
                "store folder {folder}: channel {channel}: position of envelope {envelope} is damaged"
            ))
        })?;
        // A commit may just have been written that readers do not see yet.
        Ok(Some(position).filter(|position| position.block < held.height().next_block()))
    }

    fn config_blocks(&self, channel: ChannelId) -> Result<Vec<BlockNumber>, StoreError> {
        let held = self.channel(channel)?;
        let (start, _) = keys::config_range(channel);
        let from = IteratorMode::From(&start, Direction::Forward);
        let mut numbers = Vec::new();
        for entry in self.database.iterator_cf(self.family(options::META), from) {
            let (key, _) = entry.map_err(|error| failed(&self.folder, &error))?;
            let Some(number) = keys::config_block_number(channel, &key) else { break };
            numbers.push(number);
        }
        // A commit may just have been written that readers do not see yet.
        numbers.retain(|number| *number < held.height().next_block());
        Ok(numbers)
    }

    fn put_meta(&self, key: MetaKey, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > META_VALUE_BYTES_MAX {
            return Err(StoreError::MetaTooLong { key, bytes: value.len() });
        }
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(options::META), keys::meta(key), value);
        self.commit(batch)
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Bytes>, StoreError> {
        let found = self.database.get_cf(self.family(options::META), keys::meta(key));
        Ok(found.map_err(|error| failed(&self.folder, &error))?.map(Bytes::from))
    }
}

impl fmt::Debug for RocksDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksDbStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn decode_header(
    channel: ChannelId,
    number: BlockNumber,
    bytes: Bytes,
) -> Result<CertifiedHeader, StoreError> {
    let certified =
        CertifiedHeader::decode(bytes).map_err(|error| damaged(channel, number, error.to_string()))?;
    let fields = certified.header.fields();
    if fields.channel != channel || fields.number != number {
        let cause =
            format!("in its place lies the header of block {} of channel {}", fields.number, fields.channel);
        return Err(damaged(channel, number, cause));
    }
    Ok(certified)
}

fn damaged(channel: ChannelId, number: BlockNumber, cause: impl Into<String>) -> StoreError {
    StoreError::Damaged { channel, number, cause: cause.into() }
}
