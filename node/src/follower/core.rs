//! The task that owns the channels' block flows: inputs in, outputs carried out, nothing awaited in between.
//! A flow without neighbours that leads for ever is all that a follower needs of the protocol.

use crate::api::grpc::SharedTable;
use crate::clock::Clock;
use crate::committer::{Committer, Reports, Written};
use crate::feed::{Feeds, Handled};
use crate::timers::Timers;
use crate::verify_pool::VerifyPool;
use ledgercast_protocol::feed::SourceView;
use ledgercast_protocol::ledger::VerifiedHeader;
use ledgercast_protocol::output::{Action, Outbox};
use ledgercast_protocol::peer::channel::{self, Channel};
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::{Event, Input, Job, Output, Timer, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// The follower stops.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the follower is shutting down")]
pub struct Stopped;

/// How one channel stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Number of durable blocks.
    pub height: u64,
    /// Height of the best proven header.
    pub proven_height: u64,
    /// Header of the newest durable block.
    pub tip_hash: ledgercast_crypto::Digest,
    /// Number of the config in force.
    pub config_number: u64,
    /// What the operator has to see to, above all why nothing is stored any more.
    pub failure: Option<String>,
    /// The orderers that it follows.
    pub sources: Vec<SourceView>,
}

/// How all channels stand.
pub type Standings = BTreeMap<ChannelId, Standing>;

pub(super) enum Request {
    Open(Box<Channel>, ChannelId, oneshot::Sender<()>),
    Close(ChannelId, oneshot::Sender<bool>),
    Standings(oneshot::Sender<Standings>),
}

#[derive(Clone, Debug)]
pub(super) struct CoreHandle {
    requests: mpsc::Sender<Request>,
    heights: watch::Receiver<BTreeMap<ChannelId, u64>>,
}

impl CoreHandle {
    pub(super) fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.heights.clone()
    }

    /// Asks the task, and waits for its answer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

/// Everything that the task drives.
pub(super) struct Surroundings {
    pub(super) clock: Clock,
    pub(super) pool: VerifyPool,
    pub(super) committer: Committer,
    pub(super) feeds: Feeds,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
}

pub(super) struct Core {
    flows: BTreeMap<ChannelId, Channel>,
    around: Surroundings,
    timers: Timers,
    heights: watch::Sender<BTreeMap<ChannelId, u64>>,
    requests: mpsc::Receiver<Request>,
    received: mpsc::UnboundedReceiver<Input>,
    written: Reports,
    /// Told of each config that comes into force.
    table: SharedTable,
}

impl Core {
    /// Puts the flows among what they drive; so many requests may wait, further ones wait to be taken.
    pub(super) fn new(
        around: Surroundings,
        received: mpsc::UnboundedReceiver<Input>,
        written: Reports,
        table: SharedTable,
        requests_waiting_max: usize,
    ) -> (Self, CoreHandle) {
        let (asked, requests) = mpsc::channel(requests_waiting_max.max(1));
        let (heights, height_receiver) = watch::channel(BTreeMap::new());
        let (flows, timers) = (BTreeMap::new(), Timers::default());
        let core = Self { flows, around, timers, heights, requests, received, written, table };
        (core, CoreHandle { requests: asked, heights: height_receiver })
    }

    /// Runs until `stop` is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let now = self.around.clock.now().monotonic;
            while let Some(timer) = self.timers.pop_due(now) {
                self.on_timer(timer);
            }
            let next = self.timers.next().map(|at| self.around.clock.instant(at));
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(request) = self.requests.recv() => self.answer(request),
                () = sleep_until(next) => {}
                written = self.written.recv() => match written {
                    Some(written) => self.on_written(written),
                    None => {
                        tracing::error!("the committing thread has ended; this follower stops");
                        return;
                    }
                },
                Some(input) = self.received.recv() => self.on_input(input),
            }
        }
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked may have gone; then nobody misses the answer.
        match request {
            Request::Open(flow, channel, done) => {
                self.open(channel, *flow);
                let _ = done.send(());
            }
            Request::Close(channel, done) => {
                self.step(channel, channel::Input::Stop);
                let is_gone = self.flows.remove(&channel).is_some();
                self.heights.send_modify(|heights| {
                    heights.remove(&channel);
                });
                self.around.committer.drain(channel, move || {
                    let _ = done.send(is_gone);
                });
            }
            Request::Standings(answer) => {
                let _ = answer.send(self.standings());
            }
        }
    }

    pub(super) fn open(&mut self, channel: ChannelId, flow: Channel) {
        let height = flow.height().as_u64();
        self.heights.send_modify(|heights| {
            heights.insert(channel, height);
        });
        self.flows.insert(channel, flow);
        self.step(channel, channel::Input::Start);
        self.step(channel, channel::Input::SetLeading(true));
    }

    fn standings(&self) -> Standings {
        let now = self.around.clock.now().monotonic;
        let standing = |flow: &Channel| Standing {
            height: flow.height().as_u64(),
            proven_height: flow.proven_height().as_u64(),
            tip_hash: flow.tip().header_hash,
            config_number: flow.config().number(),
            failure: flow.failure().map(str::to_owned),
            sources: flow.sources(now),
        };
        self.flows.iter().map(|(channel, flow)| (*channel, standing(flow))).collect()
    }

    fn on_timer(&mut self, timer: Timer) {
        if let Timer::Channel(channel, timer) = timer {
            self.step(channel, channel::Input::TimerDue(timer));
        }
    }

    fn on_input(&mut self, input: Input) {
        let handled = Handled::from(&input);
        match input {
            Input::Judged(verdict) => self.on_verdict(verdict),
            Input::Fed { channel, feed, block } => self.step(channel, channel::Input::Fed { feed, block }),
            Input::FedHeader { channel, feed, header } => {
                self.step(channel, channel::Input::FedHeader { feed, header });
            }
            Input::FeedOpened { channel, feed } => self.step(channel, channel::Input::FeedOpened { feed }),
            Input::FeedEnded { channel, feed, cause } => {
                self.step(channel, channel::Input::FeedEnded { feed, cause });
            }
            // Nothing else is ever wanted here, so nothing else comes.
            _ => {}
        }
        self.around.feeds.handled(&handled);
    }

    /// A channel that was left meanwhile has no flow any more.
    fn on_written(&mut self, written: Written) {
        let Written { channel, blocks, result } = written;
        self.step(
            channel,
            match result {
                Ok(through) => channel::Input::Committed { through },
                Err((number, error)) => channel::Input::CommitFailed { number, error },
            },
        );
        self.around.committer.settle(channel, blocks);
    }

    fn on_verdict(&mut self, verdict: Verdict) {
        let channel = match &verdict {
            Verdict::Headers { config, .. } | Verdict::Overloaded(Job::Headers { config, .. }) => {
                config.channel()
            }
            Verdict::Body { header, .. } | Verdict::Overloaded(Job::Body { header, .. }) => header.channel(),
            Verdict::Rival { channel, .. } | Verdict::Evidence { channel, .. } => *channel,
            Verdict::Overloaded(Job::Rival { config, .. } | Job::Evidence { config, .. }) => config.channel(),
            _ => return,
        };
        self.step(channel, channel::Input::Judged(verdict));
    }

    fn step(&mut self, channel: ChannelId, input: channel::Input) {
        let now = self.around.clock.now();
        let mut out = Outbox::default();
        let Some(flow) = self.flows.get_mut(&channel) else {
            return;
        };
        flow.handle(now, input, &[], &mut out);
        for action in out.drain() {
            // Without neighbours nothing is sent and nobody can offend.
            if let Action::Output(output) = action {
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::SetTimer { timer, at } => self.timers.set(timer, at),
            Output::Verify(job) => self.verify(job),
            Output::Commit(block) => self.around.committer.commit(block),
            Output::OpenFeed { channel, feed, source, blocks } => {
                self.around.feeds.open((channel, feed), source, blocks);
            }
            Output::ExtendFeed { channel, feed, through } => {
                self.around.feeds.extend(channel, feed, through);
            }
            Output::CloseFeed { channel, feed } => self.around.feeds.close(channel, feed),
            Output::Event(event) => self.tell(&event),
            _ => {}
        }
    }

    fn verify(&self, job: Job) {
        let (inputs, copy) = (self.around.inputs.clone(), job.clone());
        let work = Box::new(move || drop(inputs.send(Input::Judged(job.run()))));
        if !self.around.pool.try_submit(work) {
            let _ = self.around.inputs.send(Input::Judged(Verdict::Overloaded(copy)));
        }
    }

    fn tell(&self, event: &Event) {
        crate::log::log(event);
        match event {
            Event::BlockCommitted { header, .. } => self.committed(header),
            Event::ConfigChanged { number, config, .. } => {
                self.table.put_in_force(*number, Arc::clone(config));
            }
            _ => {}
        }
    }

    fn committed(&self, header: &VerifiedHeader) {
        let height = header.number().height().as_u64();
        self.heights.send_modify(|heights| {
            heights.insert(header.channel(), height);
        });
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
