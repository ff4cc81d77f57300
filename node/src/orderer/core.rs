//! The task that owns the sequencer: inputs in, outputs carried out, nothing awaited in between.

use super::lookup::Lookup;
use super::revocations::put_in_force;
use crate::clock::Clock;
use crate::committer::{Committer, Reports, Written};
use crate::verify_pool::VerifyPool;
use bytes::Bytes;
use ledgercast_crypto::RevocationList;
use ledgercast_protocol::Monotonic;
use ledgercast_protocol::channel::ChannelConfig;
use ledgercast_protocol::ledger::VerifiedBlock;
use ledgercast_protocol::ordering::{
    EnvelopeJob, Input, OpenChannel, OpenError, Output, Sequencer, Status, SubmitAnswer, Ticket,
};
use ledgercast_protocol::store::BlockStore;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::CertificateChain;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long blocks that are on their way to the disk may take when the orderer stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The orderer stops; what was submitted and not answered may or may not be ordered.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the orderer is shutting down")]
pub struct Stopped;

/// What the orderer has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers by their kind, as [`SubmitAnswer::kind`] names it.
    pub answers: BTreeMap<&'static str, u64>,
    /// Blocks made.
    pub blocks: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
}

/// How an orderer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every channel.
    pub channels: BTreeMap<ChannelId, Status>,
    /// Since the start.
    pub counters: Counters,
}

/// What may wait for the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLimits {
    /// Submissions that may wait to be looked at for the first time; at the bound submitters wait. Default
    /// 1,024 (guess: two blocks' worth).
    pub submissions_waiting_max: usize,
    /// Requests of admins and metrics; at the bound they wait to be taken. Default 64 (guess: each takes
    /// microseconds).
    pub requests_waiting_max: usize,
}

impl Default for CoreLimits {
    fn default() -> Self {
        Self { submissions_waiting_max: 1024, requests_waiting_max: 64 }
    }
}

#[derive(Debug)]
struct Submission {
    envelope: Bytes,
    creator: CertificateChain,
    answer: oneshot::Sender<SubmitAnswer>,
}

#[derive(Debug)]
enum Request {
    Check(Arc<ChannelConfig>, oneshot::Sender<Result<(), OpenError>>),
    Open(Box<OpenChannel>, oneshot::Sender<Result<(), OpenError>>),
    Close(ChannelId, oneshot::Sender<bool>),
    Revoke(Vec<RevocationList>, oneshot::Sender<()>),
    Snapshot(oneshot::Sender<Snapshot>),
}

/// A handle to the task.
#[derive(Clone, Debug)]
pub(super) struct CoreHandle {
    submissions: mpsc::Sender<Submission>,
    requests: mpsc::Sender<Request>,
    heights: watch::Receiver<BTreeMap<ChannelId, u64>>,
}

pub(super) struct Core {
    sequencer: Sequencer,
    clock: Clock,
    pool: VerifyPool,
    committer: Committer,
    lookup: Lookup,
    timers: BTreeMap<ChannelId, Monotonic>,
    waiting: BTreeMap<Ticket, oneshot::Sender<SubmitAnswer>>,
    ticket_next: u64,
    counters: Counters,
    heights: watch::Sender<BTreeMap<ChannelId, u64>>,
    report: mpsc::UnboundedSender<Input>,
    sources: Option<Sources>,
    /// Told of each config that comes into force.
    on_config: Box<dyn Fn(BlockNumber, Arc<ChannelConfig>) + Send>,
}

struct Sources {
    submissions: mpsc::Receiver<Submission>,
    requests: mpsc::Receiver<Request>,
    /// Verdicts and look-ups; bounded by what the sequencer has outstanding.
    reports: mpsc::UnboundedReceiver<Input>,
    written: Reports,
}

/// The threads around the task, and what the committing one reports.
pub(super) struct Threads {
    pub(super) pool: VerifyPool,
    pub(super) committer: (Committer, Reports),
}

impl CoreHandle {
    pub(super) async fn submit(
        &self,
        envelope: Bytes,
        creator: CertificateChain,
    ) -> Result<SubmitAnswer, Stopped> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { envelope, creator, answer };
        self.submissions.send(submission).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    pub(super) async fn check(&self, config: Arc<ChannelConfig>) -> Result<Result<(), OpenError>, Stopped> {
        self.ask(|answer| Request::Check(config, answer)).await
    }

    pub(super) async fn open(&self, open: OpenChannel) -> Result<Result<(), OpenError>, Stopped> {
        self.ask(|answer| Request::Open(Box::new(open), answer)).await
    }

    /// Says whether the channel was open; returns when nothing more will be written to it.
    pub(super) async fn close(&self, channel: ChannelId) -> Result<bool, Stopped> {
        self.ask(|answer| Request::Close(channel, answer)).await
    }

    /// Puts revocation lists in force; those that are known change nothing.
    pub(super) async fn revoke(&self, lists: Vec<RevocationList>) -> Result<(), Stopped> {
        self.ask(|answer| Request::Revoke(lists, answer)).await
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        self.ask(Request::Snapshot).await
    }

    pub(super) fn heights(&self) -> watch::Receiver<BTreeMap<ChannelId, u64>> {
        self.heights.clone()
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

impl Core {
    /// Puts a sequencer among its threads.
    ///
    /// # Errors
    /// The operating system gives no threads.
    pub(super) fn start(
        sequencer: Sequencer,
        clock: Clock,
        store: &Arc<dyn BlockStore>,
        heights: BTreeMap<ChannelId, u64>,
        Threads { pool, committer: (committer, written) }: Threads,
        limits: CoreLimits,
    ) -> std::io::Result<(Self, CoreHandle)> {
        let (report, reports) = mpsc::unbounded_channel();
        let (submissions, submission_receiver) = mpsc::channel(limits.submissions_waiting_max.max(1));
        let (requests, request_receiver) = mpsc::channel(limits.requests_waiting_max.max(1));
        let (heights, height_receiver) = watch::channel(heights);
        let found = report.clone();
        // Nobody receives when the task has ended; then nobody waits for the answer.
        let lookup = Lookup::start(Arc::clone(store), move |input| drop(found.send(input)))?;
        let sources =
            Sources { submissions: submission_receiver, requests: request_receiver, reports, written };
        let core = Self {
            sequencer,
            clock,
            pool,
            committer,
            lookup,
            timers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ticket_next: 0,
            counters: Counters::default(),
            heights,
            report,
            sources: Some(sources),
            on_config: Box::new(|_, _| {}),
        };
        Ok((core, CoreHandle { submissions, requests, heights: height_receiver }))
    }

    /// Who is told of each config that comes into force, before its block is durable.
    pub(super) fn on_config(&mut self, told: impl Fn(BlockNumber, Arc<ChannelConfig>) + Send + 'static) {
        self.on_config = Box::new(told);
    }

    /// Runs until `stop` is cancelled; then acknowledges the blocks that are on their way to the disk.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let Some(mut sources) = self.sources.take() else { return };
        loop {
            self.fire_timers();
            let next = self.timers.values().min().map(|at| self.clock.instant(*at));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = sources.requests.recv() => self.answer(request),
                () = sleep_until(next) => {}
                written = sources.written.recv() => match written {
                    Some(written) => self.on_written(written),
                    None => {
                        tracing::error!("the committing thread has ended; this orderer stops");
                        return;
                    }
                },
                Some(input) = sources.reports.recv() => self.step(input),
                Some(submission) = sources.submissions.recv() => self.on_submission(submission),
            }
        }
        let finished = tokio::time::timeout(STOP_TIMEOUT, self.finish(&mut sources)).await;
        if finished.is_err() {
            tracing::warn!(
                ?STOP_TIMEOUT,
                "blocks were still being written; their submitters are not answered"
            );
        }
    }

    async fn finish(&mut self, sources: &mut Sources) {
        sources.submissions.close();
        while !self.committer.is_idle() {
            match sources.written.recv().await {
                Some(written) => self.on_written(written),
                None => break,
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now().monotonic;
        let due = self.timers.iter().filter(|(_, at)| **at <= now).map(|(channel, _)| *channel);
        for channel in due.collect::<Vec<_>>() {
            self.timers.remove(&channel);
            self.step(Input::TimerDue(channel));
        }
    }

    fn on_submission(&mut self, submission: Submission) {
        let Submission { envelope, creator, answer } = submission;
        let ticket = Ticket::new(self.ticket_next);
        self.ticket_next += 1;
        self.waiting.insert(ticket, answer);
        self.step(Input::Submit { ticket, envelope, creator });
    }

    /// A write of a channel that was left meanwhile still answers whoever submitted to it.
    fn on_written(&mut self, written: Written) {
        let Written { channel, blocks, result } = written;
        let input = match result {
            Ok(through) => Input::Committed { channel, through },
            Err((number, error)) => Input::CommitFailed { channel, number, error },
        };
        self.tell_written(&input);
        self.step(input);
        self.committer.settle(channel, blocks);
    }

    /// The log and those who follow the chain learn of a write.
    fn tell_written(&self, input: &Input) {
        match input {
            Input::Committed { channel, through } if !self.committer.is_draining(*channel) => {
                let height = through.height().as_u64();
                tracing::debug!(%channel, height, "blocks are durable");
                self.heights.send_modify(|heights| {
                    heights.insert(*channel, height);
                });
            }
            Input::CommitFailed { channel, number, error } => {
                tracing::error!(
                    %channel, %number, %error,
                    "a block could not be stored: the channel orders nothing until a restart"
                );
            }
            _ => {}
        }
    }

    /// Whoever asked may have gone; then nobody misses the answer.
    fn answer(&mut self, request: Request) {
        match request {
            Request::Check(config, answer) => {
                let _ = answer.send(self.sequencer.check_config(&config));
            }
            Request::Open(open, answer) => {
                let (channel, height) = (open.config.channel(), open.tip.number().height().as_u64());
                let opened = self.sequencer.open(*open);
                if opened.is_ok() {
                    self.heights.send_modify(|heights| {
                        heights.insert(channel, height);
                    });
                }
                let _ = answer.send(opened);
            }
            Request::Close(channel, answer) => self.close(channel, answer),
            Request::Revoke(lists, answer) => {
                lists.into_iter().for_each(|list| put_in_force(&mut self.sequencer, list));
                let _ = answer.send(());
            }
            Request::Snapshot(answer) => {
                let channels = self.sequencer.statuses().collect();
                let _ = answer.send(Snapshot { channels, counters: self.counters.clone() });
            }
        }
    }

    fn close(&mut self, channel: ChannelId, answer: oneshot::Sender<bool>) {
        let mut outputs = Vec::new();
        let was_open = self.sequencer.close(channel, &mut outputs);
        self.carry_out(outputs);
        self.timers.remove(&channel);
        self.heights.send_if_modified(|heights| heights.remove(&channel).is_some());
        self.committer.drain(channel, move || {
            let _ = answer.send(was_open);
        });
    }

    fn step(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.sequencer.handle(self.clock.now(), input, &mut outputs);
        self.carry_out(outputs);
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Verify(job) => self.verify(job),
                Output::Find { channel, envelope } => self.lookup.find(channel, envelope),
                Output::Commit(block) => self.commit(block),
                Output::ConfigChanged { number, config } => {
                    let (channel, in_force) = (config.channel(), config.number());
                    tracing::info!(%channel, %number, in_force, "config in force");
                    (self.on_config)(number, config);
                }
                Output::Halted { channel, cause } => {
                    tracing::error!(%channel, cause, "the channel orders nothing more");
                }
                Output::SetTimer { channel, at } => {
                    self.timers.insert(channel, at);
                }
                Output::Acknowledge { ticket, answer } => self.acknowledge(ticket, answer),
            }
        }
    }

    fn verify(&self, job: EnvelopeJob) {
        let (report, copy) = (self.report.clone(), job.clone());
        let work = Box::new(move || drop(report.send(Input::Judged(job.run()))));
        if !self.pool.try_submit(work) {
            // The receiver is ours: it lives as long as this task.
            let _ = self.report.send(Input::Judged(copy.overloaded()));
        }
    }

    fn commit(&mut self, block: VerifiedBlock) {
        let channel = block.header().channel();
        tracing::debug!(
            %channel,
            number = %block.number(),
            envelopes = block.header().header().fields().envelope_count,
            bytes = block.body().bytes().len(),
            "block cut"
        );
        self.counters.blocks += 1;
        self.counters.body_bytes += block.body().bytes().len() as u64;
        self.committer.commit(block);
    }

    fn acknowledge(&mut self, ticket: Ticket, answer: SubmitAnswer) {
        *self.counters.answers.entry(answer.kind()).or_default() += 1;
        if let SubmitAnswer::Refused(refusal) = &answer {
            let cause = refusal.hidden_cause();
            tracing::debug!(kind = refusal.kind(), %refusal, cause, "envelope refused");
        }
        if let Some(submitter) = self.waiting.remove(&ticket) {
            // A submitter that hung up learns by submitting again.
            let _ = submitter.send(answer);
        }
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
