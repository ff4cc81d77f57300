//! A node without protocol: chains in memory that the test joins and extends, and a disk that it can damage.

use super::world::{DEADLINE, World};
use crate::api::grpc::{AdminError, Administration, ChannelDirectory, ChannelTable, Submitted, Submitter};
use bytes::Bytes;
use ledgercast_crypto::OrgId;
use ledgercast_protocol::channel::{ConfigHistory, Genesis};
use ledgercast_protocol::ledger::{Block, Envelope, EnvelopeId, VerifiedBlock};
use ledgercast_protocol::ordering::SubmitAnswer;
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::store::{
    BlockStore, EnvelopePosition, MemoryStore, MetaKey, StoreError, StoredChannel,
};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName, Height};
use ledgercast_protocol::wire::{CertificateChain, proto};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, watch};
use tonic::async_trait;

/// No block is damaged.
const NONE: u64 = u64::MAX;

pub(super) struct FakeNode {
    own: OrgId,
    store: Arc<dyn BlockStore>,
    disk: Arc<Disk>,
    table: Mutex<Arc<ChannelTable>>,
    heights: watch::Sender<BTreeMap<ChannelId, u64>>,
    /// Submissions are answered while this has permits.
    pub(super) answers: Semaphore,
    pub(super) submitting: AtomicUsize,
    pub(super) submitting_most: AtomicUsize,
}

/// A store one block of which can be damaged.
struct Disk {
    store: MemoryStore,
    damaged: AtomicU64,
}

impl FakeNode {
    pub(super) fn new(world: &World) -> Arc<Self> {
        let disk = Arc::new(Disk { store: MemoryStore::new(), damaged: AtomicU64::new(NONE) });
        Arc::new(Self {
            own: world.orgs[0].roots().id(),
            store: Arc::clone(&disk) as _,
            disk,
            table: Mutex::default(),
            heights: watch::channel(BTreeMap::new()).0,
            answers: Semaphore::new(0),
            submitting: AtomicUsize::new(0),
            submitting_most: AtomicUsize::new(0),
        })
    }

    pub(super) fn holding(world: &World, chains: &[&Chain]) -> Arc<Self> {
        let node = Self::new(world);
        chains.iter().for_each(|chain| node.hold(chain.name(), chain.genesis()));
        node
    }

    pub(super) fn hold(&self, name: &ChannelName, genesis: &Genesis) {
        self.store.create_channel(name, genesis).unwrap();
        self.changed(genesis.channel());
    }

    pub(super) fn append(&self, blocks: &[VerifiedBlock]) {
        self.store.append(blocks).unwrap();
        self.changed(blocks[0].header().channel());
    }

    pub(super) fn forget(&self, channel: ChannelId) {
        self.store.remove_channel(channel).unwrap();
        self.changed(channel);
    }

    pub(super) fn damage(&self, number: u64) {
        self.disk.damaged.store(number, Ordering::SeqCst);
    }

    fn changed(&self, channel: ChannelId) {
        let held = self.store.channels().unwrap();
        let height =
            held.iter().find(|held| held.genesis.channel() == channel).map(|held| held.height.as_u64());
        let mut table = self.table.lock().unwrap();
        if table.config(channel).is_some() != height.is_some() {
            let channels = held.into_iter().map(|held| (held.name, ConfigHistory::new(&held.genesis)));
            *table = Arc::new(ChannelTable::new(channels));
        }
        drop(table);
        self.heights.send_modify(|heights| {
            match height {
                Some(height) => heights.insert(channel, height),
                None => heights.remove(&channel),
            };
        });
    }

    /// Waits until so many submissions have come in and none is answered.
    pub(super) async fn until_submitting(&self, count: usize) {
        let waiting = async {
            while self.submitting.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(DEADLINE, waiting).await;
        reached
            .unwrap_or_else(|_| panic!("{} of {count} submissions", self.submitting.load(Ordering::SeqCst)));
    }
}

impl ChannelDirectory for FakeNode {
    fn channels(&self) -> Arc<ChannelTable> {
        Arc::clone(&self.table.lock().unwrap())
    }

    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.heights.subscribe()
    }

    fn store(&self) -> &Arc<dyn BlockStore> {
        &self.store
    }
}

#[async_trait]
impl Administration for FakeNode {
    async fn join(&self, name: ChannelName, genesis: Genesis, _: bool) -> Result<(), AdminError> {
        if !genesis.config().is_member_org(self.own) {
            return Err(AdminError::NotEntitled("my org is no reader".to_owned()));
        }
        self.store.create_channel(&name, &genesis)?;
        self.changed(genesis.channel());
        Ok(())
    }

    async fn leave(&self, channel: ChannelId) -> Result<(), AdminError> {
        self.forget(channel);
        Ok(())
    }

    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError> {
        let held = self.store.channels()?;
        let statuses = held.into_iter().map(|held| proto::ChannelStatus {
            id: Bytes::copy_from_slice(held.genesis.channel().as_bytes()),
            name: held.name.to_string(),
            height: held.height.as_u64(),
            ..proto::ChannelStatus::default()
        });
        Ok(statuses.collect())
    }

    async fn members(&self, _: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> proto::HealthReply {
        proto::HealthReply { is_ready: true, kind: "fake".to_owned(), ..proto::HealthReply::default() }
    }
}

#[async_trait]
impl Submitter for FakeNode {
    async fn submit(&self, envelope: Bytes, _: CertificateChain) -> Submitted {
        let submitting = self.submitting.fetch_add(1, Ordering::SeqCst) + 1;
        self.submitting_most.fetch_max(submitting, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        self.submitting.fetch_sub(1, Ordering::SeqCst);
        let envelope = Envelope::decode(envelope).unwrap().id();
        let position = EnvelopePosition { block: BlockNumber::new(7), index: 3 };
        SubmitAnswer::Accepted { envelope, position }.into()
    }
}

impl BlockStore for Disk {
    fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError> {
        self.store.create_channel(name, genesis)
    }

    fn remove_channel(&self, channel: ChannelId) -> Result<(), StoreError> {
        self.store.remove_channel(channel)
    }

    fn channels(&self) -> Result<Vec<StoredChannel>, StoreError> {
        self.store.channels()
    }

    fn height(&self, channel: ChannelId) -> Result<Height, StoreError> {
        self.store.height(channel)
    }

    fn append(&self, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
        self.store.append(blocks)
    }

    fn read(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Block>, StoreError> {
        match self.damaged.load(Ordering::SeqCst) == number.as_u64() {
            true => Err(StoreError::Damaged { channel, number, cause: "a flipped bit".to_owned() }),
            false => self.store.read(channel, number),
        }
    }

    fn read_header(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Bytes>, StoreError> {
        self.store.read_header(channel, number)
    }

    fn find_envelope(
        &self,
        channel: ChannelId,
        envelope: EnvelopeId,
    ) -> Result<Option<EnvelopePosition>, StoreError> {
        self.store.find_envelope(channel, envelope)
    }

    fn config_blocks(&self, channel: ChannelId) -> Result<Vec<BlockNumber>, StoreError> {
        self.store.config_blocks(channel)
    }

    fn put_meta(&self, key: MetaKey, value: &[u8]) -> Result<(), StoreError> {
        self.store.put_meta(key, value)
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Bytes>, StoreError> {
        self.store.meta(key)
    }
}
