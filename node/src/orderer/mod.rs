//! A running orderer: identity, store, sequencer, verifiers and the committing thread put together.
//!
//! ```text
//! submissions ─► task that owns the Sequencer ─► verify pool ─┐
//!                 ▲           │                ─► look-ups ───┤─► reports, back to the task
//!                 │           └────────────────► commits ─────┘
//!                 └─ join, leave, snapshot (admins, metrics)
//! ```
//!
//! It agrees with no other orderer. What it has acknowledged is in its store, synced; a crash loses nothing
//! of it.

mod core;
mod lookup;
mod recovery;
mod revocations;
mod service;
#[cfg(test)]
mod tests;

pub use self::core::{CoreLimits, Counters, Snapshot, Stopped};
pub use self::revocations::RevocationFolders;

use self::core::{Core, CoreHandle, Threads};
use crate::api::grpc::{ChannelTable, SharedTable};
use crate::clock::Clock;
use crate::committer::{Committer, WriteLimits};
use crate::verify_pool::VerifyPool;
use bytes::Bytes;
use ledgercast_crypto::msp::{Msp, MspError};
use ledgercast_crypto::{CertificateError, Role};
use ledgercast_protocol::channel::{ConfigHistory, Genesis};
use ledgercast_protocol::ordering::{self, OpenChannel, OpenError, SubmitAnswer};
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::CertificateChain;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What an orderer is started with.
pub struct OrdererSettings {
    /// Identity and key; the key signs headers.
    pub msp: Msp,
    /// The sequencer's bounds.
    pub ordering: ordering::Config,
    /// Threads that check envelopes.
    pub verify_threads: usize,
    /// Checks that may wait; above, submissions are answered as overload.
    pub verify_queue_max: usize,
    /// What may wait for the sequencer.
    pub core: CoreLimits,
    /// Bounds of one durable write.
    pub writes: WriteLimits,
    /// Where blocks are kept.
    pub store: Arc<dyn BlockStore>,
    /// Where revocation lists come from.
    pub revocations: RevocationFolders,
}

/// Why an orderer does not start; nothing is left running.
#[derive(Debug, Error)]
pub enum OrdererError {
    /// The identity is not acceptable.
    #[error(transparent)]
    Msp(#[from] MspError),
    /// The certificate is not an orderer's.
    #[error("{0}; an orderer needs a certificate with the organisational unit `orderer`")]
    Role(CertificateError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored channel cannot be ordered for.
    #[error(
        "stored channel {name}: {cause}; start with the key that its config names, or with another store"
    )]
    Channel {
        /// The channel's alias.
        name: ChannelName,
        /// Why not.
        cause: OpenError,
    },
    /// The operating system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a channel is not joined or left; nothing has changed.
#[derive(Debug, Error)]
pub enum JoinError {
    /// This orderer cannot order for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The channel is not joined.
    #[error("channel {0} is not joined")]
    NotJoined(ChannelId),
    /// The orderer stops.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A running orderer.
pub struct OrdererNode {
    core: CoreHandle,
    store: Arc<dyn BlockStore>,
    nonces_max: usize,
    /// Replaced as a whole when a channel is joined or left, or gets a new config.
    table: SharedTable,
    /// Held while a channel is joined or left: one after the other.
    changing: tokio::sync::Mutex<()>,
    started: Instant,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl OrdererNode {
    /// Starts everything but the APIs, and reads back what the stored chains say; needs a tokio runtime
    /// around it.
    ///
    /// # Errors
    /// [`OrdererError`] names the cause; nothing is left running.
    pub async fn start(settings: OrdererSettings) -> Result<Arc<Self>, OrdererError> {
        let OrdererSettings {
            msp,
            ordering,
            verify_threads,
            verify_queue_max,
            core,
            writes,
            store,
            revocations,
        } = settings;
        let clock = Clock::start();
        let identity = msp.identity(clock.now().wall.as_seconds())?;
        identity.require_role(Role::Orderer).map_err(OrdererError::Role)?;
        let nonces_max = ordering.nonces_max;
        let (mut sequencer, channels) = {
            let store = Arc::clone(&store);
            blocking(move || recovery::recover(ordering, msp.all_keys(), store.as_ref())).await?
        };
        let folders = revocations.clone();
        for list in blocking(move || folders.load()).await? {
            revocations::put_in_force(&mut sequencer, list);
        }
        let heights =
            channels.iter().map(|(held, _)| (held.genesis.channel(), held.height.as_u64())).collect();
        let table = ChannelTable::new(channels.into_iter().map(|(held, configs)| (held.name, configs)));
        let table = SharedTable::new(table);
        let configs = table.clone();
        let threads = Threads {
            pool: VerifyPool::start(verify_threads, verify_queue_max)?,
            committer: Committer::start(Arc::clone(&store), writes)?,
        };
        let (mut core, handle) = Core::start(sequencer, clock, &store, heights, threads, core)?;
        core.on_config(move |number, config| configs.put_in_force(number, config));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (core_stop, guard) = (stop.clone(), stop.clone().drop_guard());
        tasks.spawn(async move {
            // However the core ends, everything else is to end as well.
            let _guard = guard;
            core.run(core_stop).await;
        });
        let (watcher, watch_stop) = (handle.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = watch_stop.cancelled() => {}
                () = revocations.watch(watcher) => {}
            }
        });
        Ok(Arc::new(Self {
            core: handle,
            store,
            nonces_max,
            table,
            changing: tokio::sync::Mutex::new(()),
            started: Instant::now(),
            stop,
            tasks,
        }))
    }

    /// Has an envelope ordered; returns once its block is durable, or once it is refused.
    ///
    /// # Errors
    /// [`Stopped`]: the orderer stops, and whether the envelope was ordered is not known. Submitting it again
    /// tells.
    pub async fn submit(&self, envelope: Bytes, creator: CertificateChain) -> Result<SubmitAnswer, Stopped> {
        self.core.submit(envelope, creator).await
    }

    /// The store, for reading.
    pub fn store(&self) -> &Arc<dyn BlockStore> {
        &self.store
    }

    /// Heights of durable blocks by channel, as they grow; joining and leaving is a change as well.
    pub fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.core.heights()
    }

    /// The channels held now.
    pub fn channels(&self) -> Arc<ChannelTable> {
        self.table.current()
    }

    /// How the channels stand, and what was answered so far.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        self.core.snapshot().await
    }

    /// Joins a channel; joining it again under the same name changes nothing.
    ///
    /// # Errors
    /// [`JoinError`] names the cause; nothing has changed.
    pub async fn join(&self, name: ChannelName, genesis: Genesis) -> Result<(), JoinError> {
        let _changing = self.changing.lock().await;
        if self.holds(&name, &genesis).await? {
            return Ok(());
        }
        let config = Arc::clone(genesis.config());
        match self.core.check(Arc::clone(&config)).await? {
            // Held under another name, or with another block 0: the store says so.
            Ok(()) | Err(OpenError::AlreadyOpen(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let (store, alias, block) = (Arc::clone(&self.store), name.clone(), genesis.clone());
        blocking(move || store.create_channel(&alias, &block)).await?;
        let tip = genesis.block().header().clone();
        let nonces = ordering::Nonces::new(self.nonces_max);
        // Before the line opens: an update may be ordered on it at once. The core takes it, as just checked.
        self.table.change(|channels| channels.push((name.clone(), ConfigHistory::new(&genesis))));
        self.core.open(OpenChannel { config, tip, nonces }).await??;
        tracing::info!(%name, channel = %genesis.channel(), "joined a channel");
        Ok(())
    }

    /// Leaves a channel and deletes its blocks; what waits on it is answered as unavailable.
    ///
    /// # Errors
    /// [`JoinError`] names the cause.
    pub async fn leave(&self, channel: ChannelId) -> Result<(), JoinError> {
        let _changing = self.changing.lock().await;
        if !self.core.close(channel).await? {
            return Err(JoinError::NotJoined(channel));
        }
        self.table.change(|channels| channels.retain(|(_, configs)| configs.current().channel() != channel));
        let store = Arc::clone(&self.store);
        blocking(move || store.remove_channel(channel)).await?;
        tracing::info!(%channel, "left a channel");
        Ok(())
    }

    /// Resolves when the task that orders has ended, whether it was told to or not.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Takes no more submissions, lets blocks that are on their way to the disk arrive there, and ends.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn holds(&self, name: &ChannelName, genesis: &Genesis) -> Result<bool, JoinError> {
        let table = self.channels();
        let is_named = table.iter().any(|(id, alias, _)| id == genesis.channel() && alias == name);
        if !is_named {
            return Ok(false);
        }
        let (store, genesis) = (Arc::clone(&self.store), genesis.clone());
        let held = blocking(move || store.channels()).await?;
        Ok(held.iter().any(|held| held.genesis.hash() == genesis.hash()))
    }
}

/// Runs what waits for the disk beside the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It was not cancelled: blocking work never is once it runs, and the runtime outlives us.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
