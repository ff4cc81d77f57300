//! A running follower: an orderer that signs nothing.
//!
//! ```text
//! orderers that sign ─► feeds ─► flows (checked, in order) ─► store ─► Deliver to peers and clients
//!                 ▲
//!                 └── relay ◄── Broadcast
//! ```
//!
//! It serves only what a quorum has certified, so nobody has to trust it. It follows orderers that sign,
//! never other followers: nobody can follow itself in a ring.

mod core;
mod relay;
mod service;

pub use self::core::{Standing, Standings, Stopped};

use self::core::{Core, CoreHandle, Request, Surroundings};
use crate::api::grpc::{ChannelTable, SharedTable};
use crate::clock::Clock;
use crate::committer::{Committer, WriteLimits};
use crate::feed::{FeedConfig, Feeds};
use crate::peer::{PeerError, restore_channel};
use crate::verify_pool::VerifyPool;
use ledgercast_crypto::msp::{Msp, MspError};
use ledgercast_crypto::{CertificateError, MemberId, OrgId, Role};
use ledgercast_protocol::channel::{ChannelConfig, ConfigHistory, Genesis};
use ledgercast_protocol::peer::RestoredChannel;
use ledgercast_protocol::peer::channel::{Channel, Settings};
use ledgercast_protocol::store::{BlockStore, StoreError};
use ledgercast_protocol::types::{ChannelId, ChannelName};
use relay::Relay;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a follower is started with.
pub struct FollowerSettings {
    /// Identity and TLS pair.
    pub msp: Msp,
    /// Streams from the orderers that sign.
    pub feed: FeedConfig,
    /// Channels held at once; joining a further one is refused.
    pub channels_max: usize,
    /// Threads that check headers and blocks.
    pub verify_threads: usize,
    /// Checks that may wait.
    pub verify_queue_max: usize,
    /// Requests of admins and metrics that may wait; further ones wait to be taken.
    pub requests_waiting_max: usize,
    /// Bounds of one durable write.
    pub writes: WriteLimits,
    /// Where blocks are kept.
    pub store: Arc<dyn BlockStore>,
}

/// Why a follower does not start; nothing is left running.
#[derive(Debug, Error)]
pub enum FollowerError {
    /// The identity is not acceptable.
    #[error(transparent)]
    Msp(#[from] MspError),
    /// The certificate is not an orderer's.
    #[error("{0}; a follower needs a certificate with the organisational unit `orderer`")]
    Role(CertificateError),
    /// There is no TLS pair.
    #[error("no TLS pair: put ca.crt, server.crt and server.key into the folder tls/ beside msp/")]
    NoTls,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored chain is damaged.
    #[error(transparent)]
    Chain(#[from] PeerError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(String),
    /// The operating system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a channel is not followed or left; nothing has changed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// Block 0 gives this follower no part.
    #[error("block 0 of the channel: {0}; if a later config does, join as newcomer")]
    NoPart(#[source] NoPart),
    /// No more channels are held.
    #[error("{limit} channels are held, which is the limit `channels_max`")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The channel is not joined.
    #[error("channel {0} is not joined")]
    NotJoined(ChannelId),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(String),
    /// The follower stops.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a config gives this follower no part in its channel.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoPart {
    /// It names no orderer or follower of my org.
    #[error("the config names no orderer or follower of org {0}")]
    NotNamed(String),
    /// I would have to sign.
    #[error("the config names this orderer's key among those that sign; start without `follow`")]
    Signs,
}

/// A running follower.
pub struct FollowerNode {
    core: CoreHandle,
    store: Arc<dyn BlockStore>,
    relay: Relay,
    own: Own,
    channels_max: usize,
    /// Replaced as a whole when a channel is joined or left, or gets a new config.
    table: SharedTable,
    /// Held while a channel is joined or left: one after the other.
    changing: tokio::sync::Mutex<()>,
    started: Instant,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Who this follower is.
struct Own {
    member: MemberId,
    org: OrgId,
    org_name: String,
    key: ledgercast_crypto::PublicKey,
    settings: Settings,
}

impl Own {
    fn may_follow(&self, config: &ChannelConfig) -> Result<(), NoPart> {
        if config.orderers().iter().any(|orderer| orderer.key == self.key) {
            return Err(NoPart::Signs);
        }
        match config.sources().iter().any(|source| source.org == self.org_name) {
            true => Ok(()),
            false => Err(NoPart::NotNamed(self.org_name.clone())),
        }
    }

    fn flow(&self, restored: RestoredChannel, seed: [u8; 32]) -> Channel {
        let RestoredChannel { configs, tip, epoch_start, .. } = restored;
        Channel::new(self.settings.clone(), configs, tip, epoch_start, self.member, self.org, seed)
    }
}

impl FollowerNode {
    /// Starts everything but the APIs; needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`FollowerError`] names the cause; nothing is left running.
    pub async fn start(settings: FollowerSettings) -> Result<Arc<Self>, FollowerError> {
        let clock = Clock::start();
        let identity = settings.msp.identity(clock.now().wall.as_seconds())?;
        identity.require_role(Role::Orderer).map_err(FollowerError::Role)?;
        let tls = Arc::new(settings.msp.tls.clone().ok_or(FollowerError::NoTls)?);
        let own = Own {
            member: identity.member,
            org: identity.org,
            org_name: identity.org_name.clone(),
            key: settings.msp.key.public(),
            settings: follower_settings(&settings.feed),
        };
        let store = settings.store;
        let stored = restore(&store)?;
        let table = stored.iter().map(|held| (held.name.clone(), held.configs.clone()));
        let table = SharedTable::new(ChannelTable::new(table));
        let (inputs, received) = mpsc::unbounded_channel();
        let tasks = TaskTracker::new();
        let feed = settings.feed.clone();
        let (committer, written) = Committer::start(Arc::clone(&store), settings.writes)?;
        let around = Surroundings {
            clock,
            pool: VerifyPool::start(settings.verify_threads, settings.verify_queue_max)?,
            committer,
            feeds: Feeds::new(settings.feed, Arc::clone(&tls), inputs.clone(), tasks.clone()),
            inputs,
        };
        let waiting_max = settings.requests_waiting_max;
        let (mut core, handle) = Core::new(around, received, written, table.clone(), waiting_max);
        for held in stored {
            let (channel, seed) =
                (held.configs.current().channel(), seed().map_err(FollowerError::Randomness)?);
            tracing::info!(name = %held.name, %channel, "following a stored channel");
            // What it holds it keeps and serves; a later config may name it again.
            if let Err(cause) = own.may_follow(held.configs.current()) {
                tracing::warn!(name = %held.name, %channel, %cause, "the config in force gives no part");
            }
            core.open(channel, own.flow(held, seed));
        }
        let stop = CancellationToken::new();
        let (core_stop, guard) = (stop.clone(), stop.clone().drop_guard());
        tasks.spawn(async move {
            // However the core ends, everything else is to end as well.
            let _guard = guard;
            core.run(core_stop).await;
        });
        Ok(Arc::new(Self {
            core: handle,
            store,
            relay: Relay::new(feed, tls),
            own,
            channels_max: settings.channels_max,
            table,
            changing: tokio::sync::Mutex::new(()),
            started: Instant::now(),
            stop,
            tasks,
        }))
    }

    /// The channels held now.
    pub fn channels(&self) -> Arc<ChannelTable> {
        self.table.current()
    }

    /// Heights of durable blocks by channel, as they grow.
    pub fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.core.heights()
    }

    /// How the channels stand. A config in force that gives this follower no part is a failure: it goes on
    /// as far as the orderers let it, and somebody should know.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn standings(&self) -> Result<Standings, Stopped> {
        let mut standings = self.core.ask(Request::Standings).await?;
        for (channel, _, config) in self.channels().iter() {
            if let (Some(standing), Err(cause)) = (standings.get_mut(&channel), self.own.may_follow(config)) {
                standing.failure.get_or_insert_with(|| cause.to_string());
            }
        }
        Ok(standings)
    }

    /// Joins a channel; joining it again under the same name changes nothing. Block 0 has to give this
    /// follower a part, unless it `is_newcomer`, to whom a later config does.
    ///
    /// # Errors
    /// [`FollowError`] names the cause; nothing has changed.
    pub async fn join(
        &self,
        name: ChannelName,
        genesis: Genesis,
        is_newcomer: bool,
    ) -> Result<(), FollowError> {
        let _changing = self.changing.lock().await;
        if !is_newcomer {
            self.own.may_follow(genesis.config()).map_err(FollowError::NoPart)?;
        }
        let (channel, configs) = (genesis.channel(), ConfigHistory::new(&genesis));
        let table = self.channels();
        if table.config(channel).is_none() && table.iter().count() >= self.channels_max {
            return Err(FollowError::TooMany { limit: self.channels_max });
        }
        let (store, alias, block) = (Arc::clone(&self.store), name.clone(), genesis.clone());
        let is_new = blocking(move || create_unless_held(store.as_ref(), &alias, &block)).await?;
        if is_new {
            let tip = genesis.block().header().clone();
            let restored = RestoredChannel {
                name: name.clone(),
                configs: configs.clone(),
                epoch_start: tip.clone(),
                tip,
            };
            let flow = Box::new(self.own.flow(restored, seed().map_err(FollowError::Randomness)?));
            // Before the flow opens: its first configs may come into force at once.
            self.table.change(|channels| channels.push((name.clone(), configs)));
            self.core.ask(|done| Request::Open(flow, channel, done)).await?;
            tracing::info!(%name, %channel, "joined a channel");
        }
        Ok(())
    }

    /// Leaves a channel and deletes its blocks.
    ///
    /// # Errors
    /// [`FollowError`] names the cause.
    pub async fn leave(&self, channel: ChannelId) -> Result<(), FollowError> {
        let _changing = self.changing.lock().await;
        if !self.core.ask(|done| Request::Close(channel, done)).await? {
            return Err(FollowError::NotJoined(channel));
        }
        self.table.change(|channels| channels.retain(|(_, configs)| configs.current().channel() != channel));
        let store = Arc::clone(&self.store);
        blocking(move || store.remove_channel(channel)).await?;
        tracing::info!(%channel, "left a channel");
        Ok(())
    }

    /// Resolves when the task that follows has ended, whether it was told to or not.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Closes the streams, lets blocks that are on their way to the disk arrive there, and ends.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Nobody to push to or to ask: only the streams matter.
fn follower_settings(feed: &FeedConfig) -> Settings {
    let mut settings = Settings { feed: feed.protocol(), ..Settings::default() };
    settings.feed.is_follower = true;
    settings.dissemination.is_enabled = false;
    settings
}

fn restore(store: &Arc<dyn BlockStore>) -> Result<Vec<RestoredChannel>, FollowerError> {
    let held = store.channels()?.into_iter().map(|held| Ok(restore_channel(store.as_ref(), held)?));
    held.collect()
}

/// Says whether the channel was not held before.
fn create_unless_held(
    store: &dyn BlockStore,
    name: &ChannelName,
    genesis: &Genesis,
) -> Result<bool, StoreError> {
    let held = store.channels()?;
    if held.iter().any(|held| held.genesis.hash() == genesis.hash() && held.name == *name) {
        return Ok(false);
    }
    store.create_channel(name, genesis).map(|()| true)
}

fn seed() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    Ok(seed)
}

/// Runs what waits for the disk beside the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It was not cancelled: blocking work never is once it runs, and the runtime outlives us.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
