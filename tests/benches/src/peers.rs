//! Ledgercast's side: peers as the daemon runs them, but for their APIs and their log, in one runtime.

use crate::machine;
use crate::network::{Delivery, Network};
use crate::setup::Setup;
use crate::source::Source;
use anyhow::{Context as _, bail};
use futures::future::{join_all, try_join_all};
use ledgercast_client::testnet::NodeSummary;
use ledgercast_crypto::msp::Msp;
use ledgercast_node::clock::Clock;
use ledgercast_node::config::{self, PeerFile};
use ledgercast_node::core::CoreLimits;
use ledgercast_node::peer::{PeerNode, PeerSettings};
use ledgercast_node::store::RocksDbStore;
use ledgercast_protocol::Event;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::store::BlockStore;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How long the peers may take until each sees each other one.
const READY_DEADLINE: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Verifying threads of a peer: a machine's processors are shared by all peers of the process.
const VERIFY_THREADS: usize = 1;

/// Events that may wait for this program; it counts what it misses as a failure.
const EVENTS_MAX: usize = 1 << 16;

/// Running peers of one channel, and their orderer.
pub(crate) struct Peers {
    nodes: Vec<Arc<PeerNode>>,
    source: Source,
    deliveries: Receiver<Delivery>,
    /// Kept so that the receiver never ends, and for peers that come later.
    recorder: Sender<Delivery>,
    ready_after: Duration,
    runtime: Runtime,
}

impl Peers {
    /// Starts all peers and waits until each sees each other one and a leader of its organisation.
    ///
    /// # Errors
    /// A peer does not start, or they do not find each other.
    pub(crate) fn start(setup: &Setup, round: usize) -> anyhow::Result<Self> {
        let peers: Vec<&NodeSummary> = setup.summary.peers.iter().collect();
        Self::start_some(setup, round, &peers)
    }

    /// Starts these peers only.
    ///
    /// # Errors
    /// As [`Peers::start`].
    pub(crate) fn start_some(setup: &Setup, round: usize, peers: &[&NodeSummary]) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(machine::processors())
            .thread_name(Self::THREADS)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let settings = peers.iter().map(|peer| settings(peer, &setup.store(round, &peer.name)));
        let settings = settings.collect::<anyhow::Result<Vec<_>>>()?;
        let source = Source::start(setup)?;
        let (recorder, deliveries) = channel();
        let started = Instant::now();
        let nodes = try_join_all(settings.into_iter().map(|settings| start_node(setup, settings, &recorder)));
        let nodes = runtime.block_on(nodes)?;
        runtime.block_on(wait_until_ready(&nodes))?;
        Ok(Self { nodes, source, deliveries, recorder, ready_after: started.elapsed(), runtime })
    }

    /// Starts one more peer and does not wait for anything.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn add(&mut self, setup: &Setup, round: usize, peer: &NodeSummary) -> anyhow::Result<()> {
        let settings = settings(peer, &setup.store(round, &peer.name))?;
        let node = self.runtime.block_on(start_node(setup, settings, &self.recorder))?;
        self.nodes.push(node);
        Ok(())
    }
}

impl Network for Peers {
    const NAME: &'static str = "ledgercast";
    const THREADS: &'static str = "peers";

    fn ready_after(&self) -> Duration {
        self.ready_after
    }

    fn bytes_sent(&self) -> u64 {
        self.nodes.iter().map(|node| node.network().wire_counters().bytes_out).sum()
    }

    fn release(&mut self, block: &VerifiedBlock) -> Instant {
        let at = Instant::now();
        self.source.release(block);
        at
    }

    fn deliveries_per_block(&self) -> usize {
        self.nodes.len()
    }

    fn deliveries(&self) -> &Receiver<Delivery> {
        &self.deliveries
    }

    fn stop(self) {
        let Self { nodes, source, runtime, .. } = self;
        runtime.block_on(join_all(nodes.iter().map(|node| node.stop())));
        drop((nodes, source));
        runtime.shutdown_timeout(STOP_TIMEOUT);
    }
}

/// Opens the store in a folder.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open_store(folder: &Path) -> anyhow::Result<Arc<dyn BlockStore>> {
    let store = RocksDbStore::open(folder).with_context(|| format!("store {}", folder.display()))?;
    Ok(Arc::new(store))
}

fn settings(peer: &NodeSummary, store: &Path) -> anyhow::Result<PeerSettings> {
    let file: PeerFile = config::load(&peer.config)?;
    let protocol = file.protocol_config();
    let protocol =
        protocol.map_err(|wrong| anyhow::anyhow!("[{}] {}: {}", wrong.section, wrong.key, wrong.error))?;
    let msp = Msp::load(&peer.home.join("msp"))?;
    let settings = PeerSettings::new(&file, protocol, msp, open_store(store)?);
    let core = CoreLimits { events_max: EVENTS_MAX, ..settings.core };
    Ok(PeerSettings { verify_threads: VERIFY_THREADS, core, ..settings })
}

async fn start_node(
    setup: &Setup,
    settings: PeerSettings,
    recorder: &Sender<Delivery>,
) -> anyhow::Result<Arc<PeerNode>> {
    let node = PeerNode::start(settings).await?;
    tokio::spawn(record(node.clock(), node.core().events(), recorder.clone()));
    node.join(setup.channel.clone(), setup.genesis.clone(), false).await?;
    Ok(node)
}

/// Turns one peer's commits into deliveries on the clock that all peers of the process share.
async fn record(clock: Clock, mut events: broadcast::Receiver<Arc<Event>>, recorder: Sender<Delivery>) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Closed) => return,
            // What was missed is missing in the report.
            Err(RecvError::Lagged(_)) => continue,
        };
        let Event::BlockCommitted { header, trace } = event.as_ref() else { continue };
        let (Some(verified), Some(committed)) = (trace.verified, trace.committed) else { continue };
        let delivery = Delivery {
            number: header.number().as_u64(),
            arrived: clock.instant(verified).into_std(),
            durable: Some(clock.instant(committed).into_std()),
            route: trace.body.map(|(_, route, _)| route),
            duplicate_bytes: trace.duplicate_bytes,
        };
        if recorder.send(delivery).is_err() {
            return;
        }
    }
}

async fn wait_until_ready(nodes: &[Arc<PeerNode>]) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut waiting: Vec<&Arc<PeerNode>> = nodes.iter().collect();
    loop {
        let mut lacking = Vec::new();
        for node in waiting {
            let snapshot = node.core().snapshot().await?;
            let is_ready = snapshot
                .channels
                .iter()
                .any(|channel| channel.neighbours.len() == nodes.len() - 1 && channel.leader.is_some());
            if !is_ready {
                lacking.push(node);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        if started.elapsed() > READY_DEADLINE {
            bail!(
                "{} of {} peers do not see all others after {READY_DEADLINE:?}",
                lacking.len(),
                nodes.len()
            );
        }
        waiting = lacking;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
