//! Everything about the blocks of one channel: announcements, pushes, repair, range sync, the feed and the
//! commits.
//!
//! ```text
//!  Announce, Complete ─► announce ──► WantHeaders ─┐                     ┌─► Announce to four
//!  claimed heights ────► range_sync ► WantHeaders ─┤                     │
//!                                                  ▼                     │
//!  Headers, Push, Fed ─► proving ─ Job::Headers ─► window: one slot per proven header
//!                                                  ▲                     │
//!  BodyFrame, Fed ──────────────────► assembly ────┘ ─ Job::Body ────────┤─► dissemination: push to children
//!           ▲                                                            │
//!           └── WantBody ◄── repair (what no push brought, history)      └─► Commit in order ─► Complete
//! ```
//!
//! A block is committed when its header is certified and linked to the durable chain and its body is the
//! header's. Nothing of a body is kept before its header is proven, but for a bounded stash while the proof
//! is under way. Where a piece came from never matters, only whether it is right.
//!
//! A block that carries a config update ends what can be judged: headers above it wait (`deferred`) until it
//! is durable and its config in force (`reconfiguring`).
//!
//! A question for headers that has no answer is answered with `Lacking` of a zero hash.

mod assembly;
mod bodies;
mod claims;
mod commits;
mod deferred;
mod feeding;
mod forks;
mod headers;
mod proving;
mod push_watch;
mod pushes;
mod questions;
mod reconfiguring;
mod serve;
mod serving;
mod settings;
mod step;
mod timing;
mod window;

pub use settings::Settings;
pub use window::EPOCH_BLOCKS;

use crate::announce;
use crate::channel::{ChannelConfig, ConfigHistory, UpdateError};
use crate::dissemination;
use crate::event::{BlockTrace, Source};
use crate::feed;
use crate::job::{Job, Verdict};
use crate::leadership::Withheld;
use crate::ledger::{Block, CertifiedHeader, VerifiedHeader};
use crate::output::Outbox;
use crate::range_sync;
use crate::repair;
use crate::store::StoreError;
use crate::time::{Monotonic, Now};
use crate::timer::ChannelTimer;
use crate::types::{BlockNumber, FeedId, Height, MemberId, Neighbour, OrgId};
use crate::wire::{ChannelMessage, Tip};
use deferred::Deferred;
use forks::Forks;
use ledgercast_crypto::Digest;
use proving::Proving;
use push_watch::PushWatch;
use questions::Questions;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serving::Serving;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use step::Step;
use window::Window;

/// What can happen to the blocks of a channel.
#[derive(Clone, Debug)]
pub enum Input {
    /// The channel was joined, or the process started; comes once, first.
    Start,
    /// The channel can be discussed with one more member.
    NeighbourReady(MemberId),
    /// It can no longer be discussed with a member.
    NeighbourGone(MemberId),
    /// A neighbour's state info changed what it claims.
    StateChanged(MemberId),
    /// A neighbour said something about blocks.
    Message {
        /// Who.
        from: MemberId,
        /// What; kinds that are not about blocks are refused.
        message: ChannelMessage,
    },
    /// A member whose org was removed asks for blocks that it may still have.
    FormerAsks {
        /// Who.
        from: MemberId,
        /// What; a question within its right.
        message: ChannelMessage,
    },
    /// Headers or a body were judged.
    Judged(Verdict),
    /// The pool was full: this was not judged.
    Overloaded(Job),
    /// Blocks are durable.
    Committed {
        /// The newest one.
        through: BlockNumber,
    },
    /// A block could not be stored.
    CommitFailed {
        /// The first one that is not durable.
        number: BlockNumber,
        /// Why.
        error: StoreError,
    },
    /// A block was read.
    BlockRead {
        /// Its number.
        number: BlockNumber,
        /// The block, if the store has it undamaged.
        block: Option<Block>,
    },
    /// Headers were read.
    HeadersRead {
        /// For whom.
        asker: MemberId,
        /// Number of the first one.
        first: BlockNumber,
        /// The headers.
        headers: Vec<CertifiedHeader>,
    },
    /// A stream from an orderer brought a block.
    Fed {
        /// The stream.
        feed: FeedId,
        /// The block, unchecked.
        block: Block,
    },
    /// A stream from an orderer brought a header.
    FedHeader {
        /// The stream.
        feed: FeedId,
        /// The header, unchecked.
        header: CertifiedHeader,
    },
    /// A stream from an orderer stands.
    FeedOpened {
        /// Which.
        feed: FeedId,
    },
    /// A stream from an orderer ended.
    FeedEnded {
        /// Which.
        feed: FeedId,
        /// Why, for people.
        cause: String,
    },
    /// The channel is left; comes last.
    Stop,
    /// A config has removed my org, or named it again.
    SetRemoved(bool),
    /// My org has no leader yet; its first one is expected.
    AwaitLeader {
        /// Until then at the latest.
        until: Monotonic,
    },
    /// My org has got its first leader since I joined, maybe me.
    FirstLeader,
    /// I lead my org from now on, or no longer.
    SetLeading(bool),
    /// An operator lets it go on after a fork.
    LiftHalt,
    /// A timer is due.
    TimerDue(ChannelTimer),
}

/// What was counted on one channel since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames whose body, or which themselves, were here already.
    pub frames_duplicate: u64,
    /// Bytes of such frames and of whole blocks that came again.
    pub duplicate_bytes: u64,
    /// Blocks pushed to others.
    pub pushes_sent: u64,
    /// Children that a pusher named although the assignment does not.
    pub children_unassigned: u64,
    /// Children that are not served because they are no neighbours of my org, or too many.
    pub children_refused: u64,
    /// Questions for bodies.
    pub body_questions: u64,
    /// Questions for headers.
    pub header_questions: u64,
    /// Announcements refused at a limit.
    pub announcements_refused: u64,
    /// Blocks committed.
    pub blocks_committed: u64,
}

/// The blocks of one channel.
#[derive(Debug)]
pub struct Channel {
    settings: Settings,
    configs: ConfigHistory,
    me: MemberId,
    org: OrgId,
    window: Window,
    proving: Proving,
    questions: Questions,
    announce: announce::State,
    dissemination: dissemination::State,
    repair: repair::State,
    range_sync: range_sync::State,
    push_watch: PushWatch,
    feed: feed::State,
    serving: Serving,
    /// Blocks handed to the store and not answered.
    commits_in_flight: u64,
    /// Headers that name a config which is not in force yet.
    deferred: Deferred,
    /// Configs that blocks above the tip bring; right by the one in force.
    updates: BTreeMap<BlockNumber, Arc<ChannelConfig>>,
    /// The lowest certified block whose update is not right.
    refused_update: Option<(BlockNumber, UpdateError)>,
    /// Headers that contradict each other.
    forks: Forks,
    /// Members of removed orgs whose questions were taken, who asked last at the end.
    former_askers: VecDeque<MemberId>,
    /// A config has removed my org: the orderers give it nothing more.
    is_removed: bool,
    /// A commit failed: nothing new is taken in or stored until the process restarts.
    failure: Option<String>,
    /// Jobs that a full pool refused.
    refused_jobs: VecDeque<Job>,
    retry_at: Option<Monotonic>,
    traces: VecDeque<(BlockNumber, BlockTrace)>,
    armed: timing::Armed,
    counters: Counters,
}

impl Channel {
    /// The blocks of a channel on top of `tip`, the newest durable header; `epoch_start` is the header at the
    /// start of the tip's epoch. `seed` feeds every random choice.
    pub fn new(
        settings: Settings,
        configs: ConfigHistory,
        tip: VerifiedHeader,
        epoch_start: VerifiedHeader,
        me: MemberId,
        org: OrgId,
        seed: [u8; 32],
    ) -> Self {
        let mut random = ChaCha8Rng::from_seed(seed);
        let body_bytes_max = configs.current().limits().body_bytes_max();
        Self {
            window: Window::new(
                tip,
                epoch_start,
                settings.window_blocks,
                settings.arena_bytes_max,
                body_bytes_max,
            ),
            proving: Proving::new(&settings),
            questions: Questions::new(settings.questions_per_member),
            announce: announce::State::new(settings.announce.clone(), next_seed(&mut random)),
            dissemination: dissemination::State::new(settings.dissemination.clone()),
            repair: repair::State::new(settings.repair.clone(), next_seed(&mut random)),
            range_sync: range_sync::State::new(settings.range_sync.clone(), next_seed(&mut random)),
            push_watch: PushWatch::new(settings.withhold_timeout),
            feed: feed::State::new(settings.feed.clone(), configs.current().channel(), me),
            serving: Serving::new(&settings),
            commits_in_flight: 0,
            deferred: Deferred::new(settings.deferred_headers_max),
            updates: BTreeMap::new(),
            refused_update: None,
            forks: Forks::default(),
            former_askers: VecDeque::new(),
            is_removed: false,
            failure: None,
            refused_jobs: VecDeque::new(),
            retry_at: None,
            traces: VecDeque::new(),
            armed: timing::Armed::default(),
            counters: Counters::default(),
            settings,
            configs,
            me,
            org,
        }
    }

    /// Handles one input. `neighbours` are those with whom the channel can be discussed now.
    pub fn handle(&mut self, now: Now, input: Input, neighbours: &[Neighbour], out: &mut Outbox) {
        let step = &mut Step { now, channel: self.config().channel(), neighbours, out };
        match input {
            Input::Start => self.handle_start(step),
            // What every step ends with looks at the neighbours.
            Input::NeighbourReady(member) | Input::StateChanged(member) => self.show_halt(step, member),
            Input::NeighbourGone(member) => self.handle_gone(step, member),
            Input::Message { from, message } => self.on_message(step, from, message),
            Input::FormerAsks { from, message } => self.on_former(step, from, message),
            Input::Judged(verdict) => self.handle_verdict(step, verdict),
            Input::Overloaded(job) => self.handle_overloaded(step, job),
            Input::Committed { through } => self.handle_committed(step, through),
            Input::CommitFailed { number, error } => self.handle_commit_failed(step, number, &error),
            Input::BlockRead { number, block } => self.handle_block_read(step, number, block),
            Input::HeadersRead { asker, first, headers } => {
                self.handle_headers_read(step, asker, first, headers);
            }
            Input::Fed { feed, block } => self.handle_fed(step, feed, block),
            Input::FedHeader { feed, header } => self.handle_fed_header(step, feed, header),
            Input::FeedOpened { feed } => self.with_feed(step, feed::Input::Opened(feed)),
            Input::FeedEnded { feed, cause } => self.with_feed(step, feed::Input::Ended { feed, cause }),
            Input::Stop => self.with_feed(step, feed::Input::Stop),
            Input::SetRemoved(is_removed) => self.handle_removed(step, is_removed),
            Input::AwaitLeader { until } => self.with_repair(step, repair::Input::AwaitLeader { until }),
            Input::FirstLeader => self.with_repair(step, repair::Input::FirstLeader),
            Input::SetLeading(is_leading) => self.handle_leading(step, is_leading),
            Input::LiftHalt => self.handle_lift_halt(step),
            Input::TimerDue(timer) => self.handle_timer(step, timer),
        }
        self.settle(step);
    }

    fn handle_start(&mut self, step: &mut Step<'_>) {
        self.questions.start(step.now.monotonic);
        self.follow_sources(step);
        self.stop_at_fork(step);
    }

    fn on_message(&mut self, step: &mut Step<'_>, from: MemberId, message: ChannelMessage) {
        match message {
            message if !step.is_neighbour(from) => step.refuse(message.kind(), "not_neighbour", Some(from)),
            ChannelMessage::WantHeaders(want) => self.on_want_headers(step, from, want),
            ChannelMessage::WantBody(want) => self.on_want_body(step, from, want),
            ChannelMessage::Evidence(shown) => self.on_evidence(step, from, *shown),
            message if self.is_stopped() => step.refuse(message.kind(), "channel_stopped", Some(from)),
            ChannelMessage::Announce(tip) => self.on_announced(step, from, tip, false),
            ChannelMessage::Complete(tip) => self.on_announced(step, from, tip, true),
            ChannelMessage::Headers { first, headers } => self.on_headers(step, from, first, headers),
            ChannelMessage::Push(push) => self.on_push(step, from, push),
            ChannelMessage::BodyFrame { header_hash, index, payload } => {
                self.on_frame(step, from, header_hash, index, &payload);
            }
            ChannelMessage::Lacking(tip) => self.on_lacking(step, from, tip),
            message => step.refuse(message.kind(), "not_about_blocks", Some(from)),
        }
    }

    fn handle_verdict(&mut self, step: &mut Step<'_>, verdict: Verdict) {
        match verdict {
            Verdict::Rival { from, error, proof, .. } => self.handle_judged_rival(step, from, error, *proof),
            Verdict::Evidence { from, proof, .. } => self.handle_judged_evidence(step, from, *proof),
            // Jobs that are not tried again must be given up, or their sources are never heard again.
            Verdict::Overloaded(job) => self.handle_overloaded(step, job),
            _ if self.is_stopped() => {}
            Verdict::Headers { from, config, headers } => {
                self.handle_judged_headers(step, from, &config, headers);
            }
            Verdict::Body { from, header, block, update } => {
                self.handle_judged_body(step, from, &header, block, update);
            }
            Verdict::Certificate { .. } | Verdict::Revocation { .. } | Verdict::Statement { .. } => {}
        }
    }

    fn handle_gone(&mut self, step: &mut Step<'_>, member: MemberId) {
        self.window.forget_member(member);
        self.questions.forget(member);
        self.serving.forget(member);
        self.forks.forget(member);
        self.former_askers.retain(|it| *it != member);
        self.forget_deferred_of(Source::Peer(member));
        self.with_announce(step, announce::Input::NeighbourGone(member));
        self.with_repair(step, repair::Input::NeighbourGone(member));
        self.with_range_sync(step, range_sync::Input::NeighbourGone(member));
    }

    /// Number of durable blocks.
    pub fn height(&self) -> Height {
        self.window.tip().number().height()
    }

    /// The configs up to the one in force.
    pub fn configs(&self) -> &ConfigHistory {
        &self.configs
    }

    /// The newest durable block.
    pub fn tip(&self) -> Tip {
        window::tip_of(self.window.tip())
    }

    /// Height of the highest proven header.
    pub fn proven_height(&self) -> Height {
        self.window.proven_height()
    }

    /// The leadership epoch: [`EPOCH_BLOCKS`] blocks of the highest header that a chain of proven ones links
    /// to the tip.
    pub fn epoch(&self) -> u64 {
        self.window.linked().number().as_u64() / EPOCH_BLOCKS
    }

    /// Hash of the header at the epoch's start, the same at all peers.
    pub fn epoch_hash(&self) -> Digest {
        self.window.epoch_start().hash()
    }

    /// Whether I can bring blocks from an orderer; who does not lead has not tried and is taken to reach one.
    /// Whose store failed brings none, so its leadership goes to somebody else.
    pub fn can_reach_orderer(&self) -> bool {
        self.failure.is_none() && self.feed.can_reach_orderer()
    }

    /// The orderers that blocks may be streamed from.
    pub fn sources(&self, now: Monotonic) -> Vec<feed::SourceView> {
        self.feed.sources(now)
    }

    /// A block that nobody pushed to me in time, told once.
    pub(crate) fn take_withheld(&mut self) -> Option<Withheld> {
        self.push_watch.take_verdict()
    }

    /// Bytes of bodies that are not durable yet, frames under way included.
    pub fn payload_buffer_bytes(&self) -> u64 {
        self.window.arena_bytes() + self.proving.stash_bytes()
    }

    /// How the newest durable blocks came here, oldest first.
    pub fn traces(&self) -> impl DoubleEndedIterator<Item = (BlockNumber, &BlockTrace)> {
        self.traces.iter().map(|(number, trace)| (*number, trace))
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let pushes = self.dissemination.counters();
        Counters {
            pushes_sent: pushes.pushes_sent,
            children_unassigned: pushes.children_unassigned,
            children_refused: pushes.children_refused,
            body_questions: self.repair.questions_sent(),
            announcements_refused: self.announce.refused(),
            ..self.counters
        }
    }

    /// Whether a failed commit has stopped the channel.
    pub fn is_stopped(&self) -> bool {
        self.failure.is_some()
    }

    /// Why nothing is stored any more, if that is so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

fn next_seed(random: &mut ChaCha8Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    seed
}

#[cfg(test)]
mod tests;
