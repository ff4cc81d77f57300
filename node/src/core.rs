//! The task that owns the protocol's peer: inputs in, outputs carried out, nothing awaited in between.
//!
//! ```text
//!  network events ─┐                                   ┌─► network handle (send, dial, close)
//!  timers ─────────┤                                   ├─► timers
//!  verdicts ───────┼─► inputs ─► Peer::handle ─► outputs ─► verify pool ─► verdict ┐
//!  store answers ──┤        (this task)                ├─► committer, readers ─────┤
//!  feeds ──────────┤                                   ├─► feeds ──────────────────┘─► inputs
//!  requests ───────┘                                   └─► events (log, metrics, /events)
//! ```
//!
//! Requests wait in a bounded queue; whoever asks waits with them. The other queues into the core have no
//! bound of their own, because this task fills them itself and must not wait for itself; what is outstanding
//! behind them is bounded: verdicts by the pool's queue and the protocol's pending tables, reads, commits and
//! fed blocks by `[blocks]` for each channel, frames by the transport's inbound budget of each session.

use crate::clock::Clock;
use crate::committer::{Committer, Reports, Written};
use crate::feed::{Feeds, Handled};
use crate::metrics::Metrics;
use crate::network::{DialFailure, NetworkEvent, NetworkEvents, NetworkHandle};
use crate::peer::Configs;
use crate::saver::Saver;
use crate::thinning::thinned;
use crate::timers::Timers;
use crate::verify_pool::VerifyPool;
use bytes::Bytes;
use ledgercast_protocol::evidence::Kept;
use ledgercast_protocol::input::Command;
use ledgercast_protocol::ledger::{Block, CertifiedHeader};
use ledgercast_protocol::peer::{Peer, Snapshot};
use ledgercast_protocol::store::BlockStore;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Endpoint, Lane, MemberId, SessionId};
use ledgercast_protocol::{Event, Input, Job, Output, Verdict};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What other tasks ask of the core.
#[derive(Debug)]
pub(crate) enum Request {
    Command(Command, oneshot::Sender<()>),
    Leave(ChannelId, oneshot::Sender<()>),
    Snapshot(oneshot::Sender<Snapshot>),
    Remotes(oneshot::Sender<BTreeMap<SessionId, SocketAddr>>),
    Evidence(ChannelId, oneshot::Sender<Option<Kept>>),
}

/// The core has stopped; nothing can be asked any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer is shutting down")]
pub struct Stopped;

/// What may wait on either side of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLimits {
    /// Requests of the APIs; at the bound they wait to be taken. Default 64 (guess: each takes microseconds).
    pub requests_waiting_max: usize,
    /// Events that a slow listener may lag behind before it loses the oldest. Default 1,024 (guess).
    pub events_max: usize,
}

impl Default for CoreLimits {
    fn default() -> Self {
        Self { requests_waiting_max: 64, events_max: 1024 }
    }
}

/// A cloneable handle to the core's task.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    requests: mpsc::Sender<Request>,
    events: broadcast::Sender<Arc<Event>>,
    heights: watch::Receiver<BTreeMap<ChannelId, u64>>,
}

/// Everything that the core drives.
pub(crate) struct Surroundings {
    pub(crate) clock: Clock,
    pub(crate) network: NetworkHandle,
    pub(crate) store: Arc<dyn BlockStore>,
    pub(crate) pool: VerifyPool,
    pub(crate) committer: Committer,
    pub(crate) saver: Saver,
    pub(crate) feeds: Feeds,
    pub(crate) configs: Configs,
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) struct Core {
    peer: Peer,
    around: Surroundings,
    timers: Timers,
    dials: BTreeMap<u64, Endpoint>,
    dial_next: u64,
    remotes: BTreeMap<SessionId, SocketAddr>,
    outputs: Vec<Output>,
    metrics: Arc<Metrics>,
    events: broadcast::Sender<Arc<Event>>,
    heights: watch::Sender<BTreeMap<ChannelId, u64>>,
}

/// What feeds the core.
pub(crate) struct Sources {
    pub(crate) network: NetworkEvents,
    inputs: mpsc::UnboundedReceiver<Input>,
    written: Reports,
    requests: mpsc::Receiver<Request>,
}

impl CoreHandle {
    /// Hands a command to the peer; returns once it was handled.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn command(&self, command: Command) -> Result<(), Stopped> {
        let (done, handled) = oneshot::channel();
        self.requests.send(Request::Command(command, done)).await.map_err(|_| Stopped)?;
        handled.await.map_err(|_| Stopped)
    }

    /// Has the peer leave a channel; returns once nothing more will be written to it.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn leave(&self, channel: ChannelId) -> Result<(), Stopped> {
        let (done, left) = oneshot::channel();
        self.requests.send(Request::Leave(channel, done)).await.map_err(|_| Stopped)?;
        left.await.map_err(|_| Stopped)
    }

    /// Copies the peer's view.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        let (answer, snapshot) = oneshot::channel();
        self.requests.send(Request::Snapshot(answer)).await.map_err(|_| Stopped)?;
        snapshot.await.map_err(|_| Stopped)
    }

    /// The sockets of open sessions.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn remotes(&self) -> Result<BTreeMap<SessionId, SocketAddr>, Stopped> {
        let (answer, remotes) = oneshot::channel();
        self.requests.send(Request::Remotes(answer)).await.map_err(|_| Stopped)?;
        remotes.await.map_err(|_| Stopped)
    }

    /// The evidence kept of a joined channel.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn evidence(&self, channel: ChannelId) -> Result<Option<Kept>, Stopped> {
        let (answer, evidence) = oneshot::channel();
        self.requests.send(Request::Evidence(channel, answer)).await.map_err(|_| Stopped)?;
        evidence.await.map_err(|_| Stopped)
    }

    /// All that happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Heights of durable blocks by channel, as they grow.
    pub fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.heights.clone()
    }
}

impl Core {
    pub(crate) fn new(
        peer: Peer,
        around: Surroundings,
        (network, inputs, written): (NetworkEvents, mpsc::UnboundedReceiver<Input>, Reports),
        limits: CoreLimits,
    ) -> (Self, Sources, CoreHandle) {
        let (requests, request_receiver) = mpsc::channel(limits.requests_waiting_max.max(1));
        let (events, _) = broadcast::channel(limits.events_max.max(1));
        let (heights, height_receiver) = watch::channel(BTreeMap::new());
        let core = Self {
            peer,
            timers: Timers::default(),
            dials: BTreeMap::new(),
            dial_next: 0,
            remotes: BTreeMap::new(),
            outputs: Vec::new(),
            metrics: Arc::clone(&around.metrics),
            around,
            events: events.clone(),
            heights,
        };
        let sources = Sources { network, inputs, written, requests: request_receiver };
        (core, sources, CoreHandle { requests, events, heights: height_receiver })
    }

    /// Runs until `stop` is cancelled: then it says good-bye and returns.
    pub(crate) async fn run(mut self, mut sources: Sources, stop: CancellationToken) {
        self.step(Input::Start);
        loop {
            let now = self.around.clock.now().monotonic;
            while let Some(timer) = self.timers.pop_due(now) {
                self.step(Input::TimerDue(timer));
            }
            let next = self.timers.next().map(|at| self.around.clock.instant(at));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = sources.requests.recv() => self.answer(request),
                () = sleep_until(next) => {}
                written = sources.written.recv() => match written {
                    Some(written) => self.on_written(written),
                    None => {
                        tracing::error!("the committing thread has ended; this peer stops");
                        break;
                    }
                },
                Some(input) = sources.inputs.recv() => self.step(input),
                event = sources.network.recv() => match event {
                    Some(event) => self.on_network(event),
                    None => {
                        tracing::error!("the transport has ended; this peer stops");
                        break;
                    }
                },
            }
        }
        self.step(Input::Command(Command::Shutdown));
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked may have gone; then nobody misses the answer.
        match request {
            Request::Command(command, done) => {
                self.step(Input::Command(command));
                let _ = done.send(());
            }
            Request::Leave(channel, done) => {
                self.step(Input::Command(Command::Leave { channel }));
                self.around.committer.drain(channel, move || {
                    let _ = done.send(());
                });
            }
            Request::Snapshot(answer) => {
                let _ = answer.send(self.peer.snapshot(self.around.clock.now()));
            }
            Request::Remotes(answer) => {
                let _ = answer.send(self.remotes.clone());
            }
            Request::Evidence(channel, answer) => {
                let _ = answer.send(self.peer.evidence(channel).cloned());
            }
        }
    }

    /// A report of a channel that was left meanwhile is not for the protocol, which knows it no more.
    fn on_written(&mut self, written: Written) {
        let Written { channel, blocks, result } = written;
        if !self.around.committer.is_draining(channel) {
            self.step(match result {
                Ok(through) => Input::Committed { channel, through },
                Err((number, error)) => Input::CommitFailed { channel, number, error },
            });
        }
        self.around.committer.settle(channel, blocks);
    }

    fn on_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Listening { address } => tracing::info!(%address, "listening for peers"),
            NetworkEvent::Opened { session, key, dial, remote } => {
                self.remotes.insert(session, remote);
                let dialed = dial.and_then(|dial| self.dials.remove(&dial));
                self.step(Input::Opened { session, key, dialed });
            }
            NetworkEvent::Frame { session, lane, frame } => {
                self.step(Input::Received { session, lane, frame });
            }
            NetworkEvent::Closed { session, reason } => {
                tracing::debug!(%session, %reason, "connection closed");
                self.remotes.remove(&session);
                self.step(Input::Closed { session });
            }
            NetworkEvent::DialFailed { dial, cause } => {
                if let Some(endpoint) = self.dials.remove(&dial) {
                    tracing::debug!(%endpoint, %cause, "dial failed");
                    let is_refused = matches!(cause, DialFailure::RefusedByOs(_));
                    self.step(Input::DialFailed { endpoint, is_refused });
                }
            }
        }
    }

    fn step(&mut self, input: Input) {
        let now = self.around.clock.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        let handled = Handled::from(&input);
        self.peer.handle(now, input, &mut outputs);
        self.around.feeds.handled(&handled);
        for output in outputs.drain(..) {
            self.carry_out(output);
        }
        self.outputs = outputs;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { session, lane, channel, frame } => self.send(session, lane, channel, frame),
            Output::Dial { endpoint, expect } => self.dial(endpoint, expect),
            Output::Close { session, reason } => {
                tracing::debug!(%session, ?reason, "closing session");
                self.around.network.close(session);
            }
            Output::SetTimer { timer, at } => self.timers.set(timer, at),
            Output::Verify(job) => self.verify(job),
            Output::Commit(block) => self.around.committer.commit(block),
            Output::ReadBlock { channel, number } => self.read_block(channel, number),
            Output::ReadHeaders { channel, asker, first, count } => {
                self.read_headers(channel, asker, first, count);
            }
            Output::Save { key, value } => self.around.saver.save(key, value.to_vec()),
            Output::OpenFeed { channel, feed, source, blocks } => {
                self.around.feeds.open((channel, feed), source, blocks);
            }
            Output::ExtendFeed { channel, feed, through } => {
                self.around.feeds.extend(channel, feed, through);
            }
            Output::CloseFeed { channel, feed } => self.around.feeds.close(channel, feed),
            Output::Event(event) => self.tell(event),
        }
    }

    fn send(&mut self, session: SessionId, lane: Lane, channel: Option<ChannelId>, frame: Bytes) {
        let bytes = frame.len() as u64;
        match self.around.network.send(session, lane, frame) {
            Ok(()) => {
                if let (Some(channel), Some(member)) = (channel, self.peer.member_of(session)) {
                    self.metrics.sent(channel, member, bytes);
                }
            }
            Err(error) => {
                self.metrics.dropped(lane);
                tracing::debug!(%session, ?lane, %error, "frame dropped");
            }
        }
    }

    fn dial(&mut self, endpoint: Endpoint, expect: Option<ledgercast_crypto::PublicKey>) {
        let dial = self.dial_next;
        self.dial_next += 1;
        match self.around.network.dial(dial, endpoint.as_str(), expect) {
            Ok(()) => {
                self.dials.insert(dial, endpoint);
            }
            Err(error) => {
                tracing::debug!(%endpoint, %error, "dial not begun");
                self.queue(Input::DialFailed { endpoint, is_refused: false });
            }
        }
    }

    fn verify(&self, job: Job) {
        let inputs = self.around.inputs.clone();
        let copy = job.clone();
        let work = Box::new(move || {
            let _ = inputs.send(Input::Judged(job.run()));
        });
        if !self.around.pool.try_submit(work) {
            self.queue(Input::Judged(Verdict::Overloaded(copy)));
        }
    }

    fn read_block(&self, channel: ChannelId, number: BlockNumber) {
        let (store, inputs) = (Arc::clone(&self.around.store), self.around.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let block = read_or_log(store.as_ref(), channel, number);
            let _ = inputs.send(Input::BlockRead { channel, number, block });
        });
    }

    fn read_headers(&self, channel: ChannelId, asker: MemberId, first: BlockNumber, count: u32) {
        let (store, inputs) = (Arc::clone(&self.around.store), self.around.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let headers = (0..u64::from(count))
                .map_while(|offset| read_header(store.as_ref(), channel, first.saturating_add(offset)))
                .collect();
            let _ = inputs.send(Input::HeadersRead { channel, asker, first, headers });
        });
    }

    fn tell(&self, event: Event) {
        crate::log::log(&event);
        self.metrics.count(&event);
        match &event {
            Event::BlockCommitted { header, .. } => {
                let height = header.number().height().as_u64();
                self.heights.send_modify(|heights| {
                    heights.insert(header.channel(), height);
                });
            }
            Event::ConfigChanged { channel, number, config } => {
                if let Ok(mut configs) = self.around.configs.lock()
                    && let Some(history) = configs.get_mut(channel)
                {
                    history.apply(*number, Arc::clone(config));
                }
            }
            Event::ChannelJoined { channel, height, .. } => self.heights.send_modify(|heights| {
                heights.insert(*channel, *height);
            }),
            Event::ChannelLeft { channel } => self.heights.send_modify(|heights| {
                heights.remove(channel);
            }),
            _ => {}
        }
        // Nobody may be listening.
        let _ = self.events.send(Arc::new(event));
    }

    /// An input that follows from an output; handled after the step that is under way.
    fn queue(&self, input: Input) {
        // The receiver lives in `Sources`, beside this core.
        let _ = self.around.inputs.send(input);
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn read_or_log(store: &dyn BlockStore, channel: ChannelId, number: BlockNumber) -> Option<Block> {
    store.read(channel, number).unwrap_or_else(|error| {
        thinned!(error, "a stored block cannot be read", %channel, %number, %error);
        None
    })
}

fn read_header(store: &dyn BlockStore, channel: ChannelId, number: BlockNumber) -> Option<CertifiedHeader> {
    let bytes = store.read_header(channel, number).unwrap_or_else(|error| {
        thinned!(error, "a stored header cannot be read", %channel, %number, %error);
        None
    })?;
    let header = CertifiedHeader::decode(bytes).inspect_err(|error| {
        thinned!(error, "a stored header is damaged", %channel, %number, %error);
    });
    header.ok()
}
