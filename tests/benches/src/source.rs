//! Where leaders get blocks: the real `Deliver` service over mutual TLS, in front of ready-made blocks in
//! memory. It orders nothing; its threads have their own name, so that its CPU time can be told apart.

use crate::setup::Setup;
use anyhow::Context as _;
use ledgercast_crypto::msp::Msp;
use ledgercast_node::api::grpc::{
    AdminError, Administration, Audience, ChannelDirectory, ChannelTable, GrpcLimits, GrpcServer, Node,
};
use ledgercast_protocol::channel::{ConfigHistory, Genesis};
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::store::{BlockStore, MemoryStore};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::async_trait;

/// The name of its threads.
pub(crate) const THREADS: &str = "source";

/// How long its calls may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

fn limits() -> GrpcLimits {
    GrpcLimits {
        connections_max: 256,
        streams_max: 256,
        submissions_in_flight_max: 1,
        ..GrpcLimits::default()
    }
}

/// A served chain; dropped, it ends.
pub(crate) struct Source {
    blocks: Arc<Blocks>,
    stop: CancellationToken,
    runtime: Option<Runtime>,
}

struct Blocks {
    channel: ChannelId,
    table: Arc<ChannelTable>,
    store: Arc<dyn BlockStore>,
    heights: watch::Sender<BTreeMap<ChannelId, u64>>,
}

impl Source {
    /// Serves block 0 at the place that block 0 itself names.
    ///
    /// # Errors
    /// The identity or the place cannot be used.
    pub(crate) fn start(setup: &Setup) -> anyhow::Result<Self> {
        let orderer = setup.summary.orderers.first().context("the network has an orderer")?;
        let msp = Msp::load(&orderer.home.join("msp"))?;
        let pair = msp.tls.as_ref().context("the orderer has a TLS pair")?;
        let blocks = Arc::new(Blocks::new(&setup.channel, &setup.genesis)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREADS)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let node = Node {
            directory: Arc::clone(&blocks) as Arc<dyn ChannelDirectory>,
            administration: Arc::clone(&blocks) as Arc<dyn Administration>,
            submitter: None,
            audience: Audience::ReaderOrgs,
        };
        let server = GrpcServer::bind(orderer.api.parse()?, limits(), pair, &msp.org, node);
        let server = runtime.block_on(server)?;
        let stop = CancellationToken::new();
        runtime.spawn(server.serve(stop.clone()));
        Ok(Self { blocks, stop, runtime: Some(runtime) })
    }

    /// Makes the next block available.
    ///
    /// # Panics
    /// When it does not follow the one before: the caller's mistake.
    pub(crate) fn release(&self, block: &VerifiedBlock) {
        let blocks = &self.blocks;
        blocks.store.append(std::slice::from_ref(block)).expect("blocks are released in order");
        let height = block.number().height().as_u64();
        blocks.heights.send_modify(|heights| {
            heights.insert(blocks.channel, height);
        });
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOP_TIMEOUT);
        }
    }
}

impl Blocks {
    fn new(name: &ChannelName, genesis: &Genesis) -> anyhow::Result<Self> {
        let store = MemoryStore::new();
        store.create_channel(name, genesis)?;
        let channel = genesis.channel();
        Ok(Self {
            channel,
            table: Arc::new(ChannelTable::new([(name.clone(), ConfigHistory::new(genesis))])),
            store: Arc::new(store),
            heights: watch::Sender::new(BTreeMap::from([(channel, 1)])),
        })
    }
}

impl ChannelDirectory for Blocks {
    fn channels(&self) -> Arc<ChannelTable> {
        Arc::clone(&self.table)
    }

    fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.heights.subscribe()
    }

    fn store(&self) -> &Arc<dyn BlockStore> {
        &self.store
    }
}

/// It has no admins.
#[async_trait]
impl Administration for Blocks {
    async fn join(&self, _: ChannelName, _: Genesis, _: bool) -> Result<(), AdminError> {
        Err(AdminError::Stopping)
    }

    async fn leave(&self, _: ChannelId) -> Result<(), AdminError> {
        Err(AdminError::Stopping)
    }

    async fn channel_statuses(&self) -> Result<Vec<proto::ChannelStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn members(&self, _: Option<ChannelId>) -> Result<Vec<proto::MemberStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn sessions(&self) -> Result<Vec<proto::PeerStatus>, AdminError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> proto::HealthReply {
        proto::HealthReply::default()
    }
}
