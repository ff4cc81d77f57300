//! A running peer: identity, store, transport, core and feeds put together, and taken apart in order.
//!
//! ```text
//! start: MSP ► store ► restored state ► core ► network ► (APIs, by the caller)
//! stop:  APIs ► core says good-bye ► verifiers ► committer ► feeds ► network ► store
//! ```

use crate::clock::Clock;
use crate::committer::{Committer, WriteLimits};
use crate::config::PeerFile;
use crate::core::{Core, CoreHandle, CoreLimits, Stopped, Surroundings};
use crate::feed::{FeedConfig, Feeds};
use crate::metrics::Metrics;
use crate::msp_watch::{MspWatch, MspWatchSettings};
use crate::network::{Limits, Network, NetworkConfig, NetworkError, NetworkHandle};
use crate::saver::Saver;
use crate::verify_pool::VerifyPool;
use ledgercast_crypto::msp::{Msp, MspError};
use ledgercast_crypto::{CertificateError, Role, RosterError};
use ledgercast_protocol::channel::{ChannelConfig, ConfigHistory, Genesis};
use ledgercast_protocol::input::Command;
use ledgercast_protocol::ledger::{BlockError, VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::peer::channel::EPOCH_BLOCKS;
use ledgercast_protocol::peer::{OwnIdentity, Peer, PeerConfig, RestoredChannel, RestoredState};
use ledgercast_protocol::store::{BlockStore, MetaKey, StoreError, StoredChannel, config_history};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName, Incarnation};
use ledgercast_protocol::wire::CertificateChain;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The configs of all joined channels.
pub type Configs = Arc<Mutex<BTreeMap<ChannelId, ConfigHistory>>>;

/// What a peer is started with.
pub struct PeerSettings {
    /// The protocol's configuration.
    pub protocol: PeerConfig,
    /// Identity, key and TLS pair.
    pub msp: Msp,
    /// Where to accept other peers.
    pub listen: Vec<SocketAddr>,
    /// Bounds of the transport.
    pub limits: Limits,
    /// Times of orderer feeds.
    pub feed: FeedConfig,
    /// Threads that verify.
    pub verify_threads: usize,
    /// Verifications that may wait.
    pub verify_queue_max: usize,
    /// What may wait for the core, and for its listeners.
    pub core: CoreLimits,
    /// Bounds of one durable write.
    pub writes: WriteLimits,
    /// Where blocks are kept.
    pub store: Arc<dyn BlockStore>,
    /// The identity's folder, to be looked at while the peer runs; `None`: it is read at the start only.
    pub msp_watch: Option<MspWatchSettings>,
}

impl PeerSettings {
    /// What a configuration file says; `protocol` is its own, checked.
    pub fn new(config: &PeerFile, protocol: PeerConfig, msp: Msp, store: Arc<dyn BlockStore>) -> Self {
        Self {
            protocol,
            msp,
            listen: config.peer.listen.clone(),
            limits: config.network.to_config(),
            feed: config.feed.to_config(),
            verify_threads: config.verification.thread_count(),
            verify_queue_max: config.verification.queue_max,
            core: config.core_limits(),
            writes: config.store.limits(),
            store,
            msp_watch: None,
        }
    }
}

/// Why a peer does not start; nothing is left running.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The identity is not acceptable.
    #[error(transparent)]
    Msp(#[from] MspError),
    /// The org's roots do not fit together.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The certificate is not a peer's.
    #[error("{0}; a peer needs a certificate with the organisational unit `peer`")]
    Role(CertificateError),
    /// There is no TLS pair.
    #[error("no TLS pair: put ca.crt, server.crt and server.key into the folder tls/ beside msp/")]
    NoTls,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored chain is damaged.
    #[error("channel {name}: {cause}")]
    Chain {
        /// The channel's alias.
        name: ChannelName,
        /// What is wrong.
        cause: String,
    },
    /// The transport does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(String),
    /// The operating system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a channel cannot be joined or left; nothing has changed.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The genesis block does not name my org as a reader.
    #[error(
        "channel {name} does not admit org {org}: its genesis block names no such org as reader; \
         if a later config does, join as newcomer"
    )]
    NotEntitled {
        /// The channel's alias.
        name: ChannelName,
        /// My org.
        org: String,
    },
    /// The channel's genesis block admits some of my org's peers, and not this one.
    #[error(
        "channel {name} admits peers of org {org} with one of the units {readers:?}; this peer's certificate \
         names {units:?}: give it a certificate with such a unit, and start it again"
    )]
    NoReaderUnit {
        /// The channel's alias.
        name: ChannelName,
        /// My org.
        org: String,
        /// The units that may read.
        readers: Vec<String>,
        /// The units of my certificate.
        units: Vec<String>,
    },
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The channel is not joined.
    #[error("channel {0} is not joined")]
    NotJoined(ChannelId),
    /// The peer stops.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A running peer.
pub struct PeerNode {
    clock: Clock,
    core: CoreHandle,
    store: Arc<dyn BlockStore>,
    network: NetworkHandle,
    metrics: Arc<Metrics>,
    configs: Configs,
    /// As it was at the start.
    identity: ledgercast_crypto::Identity,
    /// Held while a channel is joined or left: one after the other.
    changing: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl PeerNode {
    /// Starts everything but the APIs; needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`PeerError`] names the cause; nothing is left running.
    pub async fn start(settings: PeerSettings) -> Result<Arc<Self>, PeerError> {
        let clock = Clock::start();
        let now = clock.now();
        let identity = settings.msp.identity(now.wall.as_seconds())?;
        identity.require_role(Role::Peer).map_err(PeerError::Role)?;
        let tls = Arc::new(settings.msp.tls.clone().ok_or(PeerError::NoTls)?);
        let at_start = identity.clone();
        let own = OwnIdentity {
            chain: CertificateChain {
                certificate: settings.msp.certificate.clone(),
                intermediates: settings.msp.chain.clone(),
            },
            key: settings.msp.key.clone(),
            roster: Arc::new(settings.msp.roster()?),
            identity,
        };
        let store = settings.store;
        let restored = restore(store.as_ref())?;
        let configs: Configs = Arc::new(Mutex::new(
            restored
                .channels
                .iter()
                .map(|channel| (channel.configs.current().channel(), channel.configs.clone()))
                .collect::<BTreeMap<_, _>>(),
        ));
        let (network, events) = Network::start(NetworkConfig {
            listen: settings.listen,
            key: settings.msp.key.clone(),
            network_id: settings.protocol.network.to_vec(),
            limits: settings.limits,
        })?;
        let (inputs, input_receiver) = mpsc::unbounded_channel();
        let tasks = TaskTracker::new();
        let metrics = Arc::new(Metrics::default());
        let (committer, written) = Committer::start(Arc::clone(&store), settings.writes)?;
        let around = Surroundings {
            clock,
            network: network.clone(),
            store: Arc::clone(&store),
            pool: VerifyPool::start(settings.verify_threads, settings.verify_queue_max)?,
            committer,
            saver: Saver::start(Arc::clone(&store))?,
            configs: Arc::clone(&configs),
            feeds: Feeds::new(settings.feed, tls, inputs.clone(), tasks.clone()),
            inputs,
            metrics: Arc::clone(&metrics),
        };
        let peer = Peer::new(settings.protocol, own, restored, now, random_seed()?);
        let watch = settings.msp_watch.map(|watch| MspWatch::new(watch, clock, &settings.msp));
        let (core, sources, handle) =
            Core::new(peer, around, (events, input_receiver, written), settings.core);
        let stop = CancellationToken::new();
        let (core_stop, guard) = (stop.clone(), stop.clone().drop_guard());
        tasks.spawn(async move {
            // However the core ends, everything else is to end as well.
            let _guard = guard;
            core.run(sources, core_stop).await;
        });
        if let Some(watch) = watch {
            let (watched, stop) = (handle.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = watch.run(watched) => {}
                }
            });
        }
        let changing = tokio::sync::Mutex::default();
        Ok(Arc::new(Self {
            clock,
            core: handle,
            store,
            network,
            metrics,
            configs,
            identity: at_start,
            changing,
            stop,
            tasks,
        }))
    }

    /// The clock that the times of its events are on.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The core, for questions and events.
    pub fn core(&self) -> &CoreHandle {
        &self.core
    }

    /// The store, for reading.
    pub fn store(&self) -> &Arc<dyn BlockStore> {
        &self.store
    }

    /// The transport, for its counters.
    pub fn network(&self) -> &NetworkHandle {
        &self.network
    }

    /// What has been counted since the start.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The configs of joined channels.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// Joins a channel; joining it again changes nothing. Goes on to its end when the caller gives up
    /// waiting.
    ///
    /// # Errors
    /// [`JoinError`] names the cause; nothing has changed.
    pub async fn join(
        self: &Arc<Self>,
        name: ChannelName,
        genesis: Genesis,
        is_newcomer: bool,
    ) -> Result<(), JoinError> {
        if !is_newcomer {
            self.require_admission(&name, genesis.config())?;
        }
        let node = Arc::clone(self);
        completed(tokio::spawn(async move { node.join_entitled(name, genesis, is_newcomer).await })).await
    }

    fn require_admission(&self, name: &ChannelName, config: &ChannelConfig) -> Result<(), JoinError> {
        let (name, org) = (name.clone(), self.identity.org_name.clone());
        let Some(readers) = config.org(self.identity.org).filter(|org| org.is_reader) else {
            return Err(JoinError::NotEntitled { name, org });
        };
        if config.may_gossip(&self.identity) {
            return Ok(());
        }
        let units = self.identity.certificate.ous().to_vec();
        Err(JoinError::NoReaderUnit { name, org, readers: readers.reader_ous.clone(), units })
    }

    async fn join_entitled(
        &self,
        name: ChannelName,
        genesis: Genesis,
        is_newcomer: bool,
    ) -> Result<(), JoinError> {
        let _changing = self.changing.lock().await;
        let (store, held_name, held) = (Arc::clone(&self.store), name.clone(), genesis.clone());
        off_the_workers(move || create_unless_held(store.as_ref(), &held_name, &held)).await?;
        if let Ok(mut configs) = self.configs.lock() {
            // Joining again changes nothing: then later configs may be in force.
            configs.entry(genesis.channel()).or_insert_with(|| ConfigHistory::new(&genesis));
        }
        // Nothing happens in the core if it has joined already.
        Ok(self.core.command(Command::Join { name, genesis, is_newcomer }).await?)
    }

    /// Leaves a channel, announced to its members, and deletes its blocks. May be asked again after a
    /// failure; goes on to its end when the caller gives up waiting.
    ///
    /// # Errors
    /// [`JoinError`] names the cause.
    pub async fn leave(self: &Arc<Self>, channel: ChannelId) -> Result<(), JoinError> {
        let node = Arc::clone(self);
        completed(tokio::spawn(async move { node.leave_joined(channel).await })).await
    }

    async fn leave_joined(&self, channel: ChannelId) -> Result<(), JoinError> {
        let _changing = self.changing.lock().await;
        if !self.configs.lock().is_ok_and(|configs| configs.contains_key(&channel)) {
            return Err(JoinError::NotJoined(channel));
        }
        // What is on its way to the disk arrives there before the blocks are removed.
        self.core.leave(channel).await?;
        let store = Arc::clone(&self.store);
        off_the_workers(move || store.remove_channel(channel)).await?;
        if let Ok(mut configs) = self.configs.lock() {
            configs.remove(&channel);
        }
        Ok(())
    }

    /// Resolves when the core has ended, whether it was told to or not.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Says good-bye, ends all sessions and finishes commits under way.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        // The core drops its verifiers and its committer, which finish what they have begun.
        self.tasks.wait().await;
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.network.shutdown()).await;
    }
}

/// How long the transport may take to close its connections.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Waits for a change that runs to its end by itself.
async fn completed(change: JoinHandle<Result<(), JoinError>>) -> Result<(), JoinError> {
    // It is never aborted: it ends without an answer only when the runtime does.
    change.await.unwrap_or(Err(JoinError::Stopped(Stopped)))
}

/// Runs disk work where it holds up nobody.
async fn off_the_workers(
    work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> Result<(), JoinError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(JoinError::Stopped(Stopped)),
    }
}

fn create_unless_held(
    store: &dyn BlockStore,
    name: &ChannelName,
    genesis: &Genesis,
) -> Result<(), StoreError> {
    let channels = store.channels()?;
    let is_held = channels.iter().any(|held| held.genesis.hash() == genesis.hash() && held.name == *name);
    if is_held { Ok(()) } else { store.create_channel(name, genesis) }
}

fn random_seed() -> Result<[u8; 32], PeerError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| PeerError::Randomness(error.to_string()))?;
    Ok(seed)
}

fn restore(store: &dyn BlockStore) -> Result<RestoredState, PeerError> {
    let incarnation = store.meta(MetaKey::Incarnation)?.and_then(|bytes| {
        let millis = <[u8; 8]>::try_from(&bytes[..]).ok()?;
        Some(Incarnation::from_millis(u64::from_be_bytes(millis)))
    });
    let channels = store.channels()?.into_iter().map(|channel| restore_channel(store, channel));
    Ok(RestoredState {
        incarnation,
        marks: store.meta(MetaKey::Marks)?,
        revocations: store.meta(MetaKey::Revocations)?,
        evidence: store.meta(MetaKey::Evidence)?,
        channels: channels.collect::<Result<_, _>>()?,
    })
}

/// What a stored channel goes on with.
///
/// # Errors
/// [`PeerError::Chain`] or [`PeerError::Store`].
pub(crate) fn restore_channel(
    store: &dyn BlockStore,
    channel: StoredChannel,
) -> Result<RestoredChannel, PeerError> {
    let StoredChannel { name, genesis, height } = channel;
    let broken = |cause: String| PeerError::Chain { name: name.clone(), cause };
    let tip = height.tip().ok_or_else(|| broken("it holds no block".to_owned()))?;
    let header_of = |number: BlockNumber| -> Result<VerifiedHeader, PeerError> {
        let block = store.read(genesis.channel(), number)?;
        let block =
            block.ok_or_else(|| broken(format!("block {number} is missing below height {height}")))?;
        let verified =
            VerifiedBlock::from_store(block).map_err(|error: BlockError| broken(error.to_string()))?;
        Ok(verified.header().clone())
    };
    let epoch_start = BlockNumber::new(tip.as_u64() / EPOCH_BLOCKS * EPOCH_BLOCKS);
    let (tip, epoch_start) = (header_of(tip)?, header_of(epoch_start)?);
    let configs = config_history(store, &genesis)?;
    Ok(RestoredChannel { name, configs, tip, epoch_start })
}
