//! Streams from the orderers of one channel: who brings blocks, who headers only, and who is next.
//!
//! ```text
//!  a leader     blocks from one source ───────► its lag behind the headers of all ──► the next source
//!               headers from all the others ──►
//!  everybody    headers from one source, by rank
//! ```
//!
//! Rules
//! - A source is an endpoint of the channel's config, signing orderer or follower alike: what it brings is
//!   checked, and where it came from never matters. Each member ranks the sources by a hash of its own.
//! - A stream that ends or brings nonsense is followed by the next source at once; the source itself rests,
//!   twice as long after each failure, up to a cap of seconds; anything in its turn resets that.
//! - The block source's lags are added up (see `lag`). Beyond the allowance, or when a block does not come at
//!   all, the source is suspected: tried last for a time that doubles. It may go on to show headers.
//! - A stream of headers that stays behind what others have proven is suspected as well.
//! - A source is given up only when there is another one to try: the last one is never given up.
//!
//! Limits: one stream to a source; blocks only as far as there is room; of headers the process takes no more
//! than it has handled. Resists: sources that stall, withhold one block, show headers only, delay each block,
//! or bring false ones (A14); floods of old headers, or of such as are far ahead.

mod lag;
mod pulling;
mod source;
#[cfg(test)]
mod tests;

use crate::channel::{ChannelConfig, OrdererEndpoint};
use crate::event::{Event, FeedChange};
use crate::output::{Outbox, Output};
use crate::time::Monotonic;
use crate::types::{BlockNumber, ChannelId, FeedId, MemberId, SourceId};
use lag::LagMeter;
use pulling::Pull;
use source::{Source, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Numbers of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The first rest of a source whose stream failed; doubles. Default 100 ms, the reference system's.
    pub backoff_min: Duration,
    /// The longest such rest. Default 2 s (derived: a failover should cost no more).
    pub backoff_max: Duration,
    /// The sum of lags at which the block source is changed. Default 500 ms (derived: half of
    /// `withhold_timeout`, so that a leader changes its source before its org changes the leader).
    pub lag_allowance: Duration,
    /// Over how many blocks lags are added up. Default 64 (design baseline).
    pub lag_blocks: usize,
    /// A lag of one block that is not counted. Default 20 ms (guess: what a follower needs to store a block).
    pub lag_tolerance: Duration,
    /// How long a suspected source is tried last, the first time; doubles. Default 10 s (guess).
    pub suspicion_min: Duration,
    /// The longest such time. Default 10 min (guess).
    pub suspicion_max: Duration,
    /// Whether I am a follower: then only orderers that sign are sources. Default false.
    pub is_follower: bool,
}

impl Config {
    /// From where this config lets me stream.
    pub fn sources(&self, config: &ChannelConfig) -> Vec<OrdererEndpoint> {
        match self.is_follower {
            true => config.signing_sources().collect(),
            false => config.sources(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            lag_allowance: Duration::from_millis(500),
            lag_blocks: 64,
            lag_tolerance: Duration::from_millis(20),
            suspicion_min: Duration::from_secs(10),
            suspicion_max: Duration::from_secs(600),
            is_follower: false,
        }
    }
}

/// What a stream brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// Whole blocks from a number on.
    Blocks,
    /// Headers, from the newest one on.
    Headers,
}

/// What can happen to the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These are the sources from now on; who is among them already keeps its stream and its standing.
    Sources(Vec<OrdererEndpoint>),
    /// I lead my org from now on, or no longer.
    SetLeading(bool),
    /// A stream was opened.
    Opened(FeedId),
    /// A stream ended, or never came to be.
    Ended {
        /// Which.
        feed: FeedId,
        /// Why, for people.
        cause: String,
    },
    /// What a source brought is false.
    False {
        /// Which.
        source: SourceId,
        /// Why, in snake case.
        reason: &'static str,
    },
    /// What a stream shows is too far ahead to be of use yet: it rests, and nothing is held against it.
    TooFar(FeedId),
    /// Draw the conclusions of whatever has changed; comes after every step.
    Check,
    /// The channel is left or stands still: close everything, until it goes on.
    Stop,
    /// The channel goes on.
    Resume,
}

/// A header that is proven and whose body is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenHeader {
    /// When it was proven.
    pub at: Monotonic,
    /// The body's length.
    pub body_bytes: u64,
}

/// What the feed looks at, outside itself.
pub trait Room {
    /// The lowest block that is neither here nor being judged.
    fn first_missing(&self) -> BlockNumber;
    /// The last block, from `first` on, that there is room for; `None` when there is room for none.
    fn last_wanted(&self, first: BlockNumber) -> Option<BlockNumber>;
    /// The header of a block that is missing, if it is proven.
    fn proven(&self, number: BlockNumber) -> Option<ProvenHeader>;
    /// The highest number that is proven without a gap below.
    fn proven_tip(&self) -> BlockNumber;
}

/// How a block or header stands to the stream that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The stream was closed meanwhile.
    Stale,
    /// The first one of its stream: it may be old.
    First(SourceId),
    /// The next one.
    Next(SourceId),
    /// Not the next one: the source is suspected for it.
    OutOfTurn,
}

/// One source, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its number.
    pub source: SourceId,
    /// Where it is.
    pub target: Arc<OrdererEndpoint>,
    /// What is streamed from it, if anything.
    pub kind: Option<FeedKind>,
    /// Whether that stream stands.
    pub is_open: bool,
    /// Whether it is tried last.
    pub is_suspected: bool,
}

/// The streams of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    channel: ChannelId,
    me: MemberId,
    sources: BTreeMap<SourceId, Source>,
    source_next: u32,
    feed_next: u64,
    is_leading: bool,
    is_stopped: bool,
    /// Whether an attempt failed since I lead, or since the last stream was opened.
    has_failed: bool,
    pull: Option<Pull>,
    meter: LagMeter,
}

impl State {
    /// No source is known yet.
    pub fn new(config: Config, channel: ChannelId, me: MemberId) -> Self {
        Self {
            meter: LagMeter::new(config.lag_blocks, config.lag_tolerance),
            config,
            channel,
            me,
            sources: BTreeMap::new(),
            source_next: 0,
            feed_next: 0,
            is_leading: false,
            is_stopped: false,
            has_failed: false,
            pull: None,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Monotonic, input: Input, room: &dyn Room, out: &mut Outbox) {
        match input {
            Input::Sources(targets) => self.handle_sources(targets, out),
            Input::SetLeading(is_leading) => self.handle_leading(is_leading, out),
            Input::Opened(feed) => self.handle_opened(now, feed, out),
            Input::Ended { feed, cause } => self.handle_ended(now, feed, cause, out),
            Input::False { source, reason } => self.handle_false(now, source, reason, out),
            Input::TooFar(feed) => self.handle_too_far(now, feed, out),
            Input::Check => self.settle(now, room, out),
            Input::Stop => self.handle_stop(out),
            Input::Resume => self.is_stopped = false,
        }
    }

    fn handle_sources(&mut self, targets: Vec<OrdererEndpoint>, out: &mut Outbox) {
        let gone = self.sources.iter().filter(|(_, source)| !targets.contains(&source.target));
        for source in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(source, out);
            self.sources.remove(&source);
        }
        for target in targets {
            if self.sources.values().all(|source| *source.target != target) {
                let id = SourceId(self.source_next);
                self.source_next = self.source_next.wrapping_add(1);
                self.sources.insert(id, Source::new(self.channel, self.me, target));
            }
        }
    }

    fn handle_leading(&mut self, is_leading: bool, out: &mut Outbox) {
        self.is_leading = is_leading;
        self.has_failed = false;
        if let (false, Some(pull)) = (is_leading, &self.pull) {
            self.close(pull.source, out);
        }
    }

    fn handle_opened(&mut self, now: Monotonic, feed: FeedId, out: &mut Outbox) {
        let Some(id) = self.source_of(feed) else {
            return;
        };
        self.has_failed = false;
        if let Some(stream) = self.sources.get_mut(&id).and_then(|source| source.stream.as_mut()) {
            stream.is_open = true;
            let kind = stream.kind;
            self.tell(id, FeedChange::Opened(kind), out);
        }
        if let Some(pull) = self.pull.as_mut().filter(|pull| pull.source == id) {
            pull.waiting_since = now;
        }
    }

    fn handle_ended(&mut self, now: Monotonic, feed: FeedId, cause: String, out: &mut Outbox) {
        let Some(id) = self.source_of(feed) else {
            return;
        };
        self.has_failed = true;
        self.forget_pull(id);
        let failed = self.sources.get_mut(&id).map(|source| {
            source.fail(now, &self.config);
            source.failures()
        });
        self.tell(id, FeedChange::Lost { cause, failures: failed.unwrap_or_default() }, out);
    }

    /// Who brings something false is not asked again soon, if anybody else can be.
    fn handle_false(&mut self, now: Monotonic, id: SourceId, reason: &'static str, out: &mut Outbox) {
        if self.sources.contains_key(&id) {
            self.tell(id, FeedChange::False { reason }, out);
            self.close(id, out);
            if let Some(source) = self.sources.get_mut(&id) {
                source.suspect(now, &self.config);
            }
        }
    }

    /// A stream that goes on to show what I cannot take would cost me more than a new one later.
    fn handle_too_far(&mut self, now: Monotonic, feed: FeedId, out: &mut Outbox) {
        if let Some(id) = self.source_of(feed) {
            self.close(id, out);
            if let Some(source) = self.sources.get_mut(&id) {
                source.rest(now.saturating_add(self.config.backoff_max));
            }
        }
    }

    fn handle_stop(&mut self, out: &mut Outbox) {
        self.is_stopped = true;
        for id in self.sources.keys().copied().collect::<Vec<_>>() {
            self.close(id, out);
        }
    }

    /// A header came on a stream.
    pub fn on_header(&mut self, now: Monotonic, feed: FeedId, number: BlockNumber, out: &mut Outbox) -> Turn {
        let Some(id) = self.source_of(feed) else {
            return Turn::Stale;
        };
        let Some(source) = self.sources.get_mut(&id) else {
            return Turn::Stale;
        };
        let Some(stream) = source.stream.as_mut().filter(|stream| stream.kind == FeedKind::Headers) else {
            self.handle_false(now, id, "header_out_of_turn", out);
            return Turn::OutOfTurn;
        };
        let last = stream.last_header.replace(number);
        source.progress();
        match last {
            None => Turn::First(id),
            Some(last) if number == last.next() => Turn::Next(id),
            Some(_) => {
                self.handle_false(now, id, "header_out_of_turn", out);
                Turn::OutOfTurn
            }
        }
    }

    /// Sets up the streams that are wanted and are not there.
    fn settle(&mut self, now: Monotonic, room: &dyn Room, out: &mut Outbox) {
        if self.is_stopped {
            return;
        }
        self.judge_lag(now, room, out);
        self.judge_headers(now, room, out);
        if self.is_leading {
            self.pull_blocks(now, room, out);
        }
        self.follow_headers(now, out);
    }

    /// A leader follows headers from everybody who does not bring it blocks, others from one.
    fn follow_headers(&mut self, now: Monotonic, out: &mut Outbox) {
        let streams = self.sources.values().filter_map(Source::kind);
        let has_headers = streams.filter(|kind| *kind == FeedKind::Headers).count() > 0;
        if !self.is_leading && has_headers {
            return self.keep_one_header_stream(now, out);
        }
        let idle = |source: &Source| source.stream.is_none() && source.is_rested(now);
        if self.is_leading {
            let all: Vec<SourceId> = self.ids(|source| idle(source) && !source.is_suspected(now));
            all.into_iter().for_each(|id| self.open(id, FeedKind::Headers, None, out));
        } else if let Some(id) = self.best(now, idle) {
            self.open(id, FeedKind::Headers, None, out);
        }
    }

    fn keep_one_header_stream(&mut self, now: Monotonic, out: &mut Outbox) {
        let of = |source: &Source| source.kind() == Some(FeedKind::Headers);
        let Some(best) = self.best_of(now, |source| of(source) && source.is_open()).or(self.best_of(now, of))
        else {
            return;
        };
        for id in self.ids(|source| of(source)) {
            if id != best {
                self.close(id, out);
            }
        }
    }

    /// A stream of headers that does not show what is proven is no window on the orderers.
    fn judge_headers(&mut self, now: Monotonic, room: &dyn Room, out: &mut Outbox) {
        if self.sources.len() < 2 {
            return;
        }
        let (tip, patience) = (room.proven_tip(), self.config.lag_allowance.saturating_mul(2));
        let mut late = Vec::new();
        for (id, source) in &mut self.sources {
            let Some(stream) = source.stream.as_mut() else {
                continue;
            };
            if stream.kind == FeedKind::Blocks || !stream.is_open {
                continue;
            }
            if stream.last_header.unwrap_or_default() >= tip {
                stream.behind_since = None;
            } else if now.saturating_since(*stream.behind_since.get_or_insert(now)) >= patience {
                late.push((*id, stream.last_header.unwrap_or_default().next()));
            }
        }
        for (id, number) in late {
            self.suspect(now, id, number, patience, out);
        }
    }

    fn suspect(
        &mut self,
        now: Monotonic,
        id: SourceId,
        number: BlockNumber,
        lag: Duration,
        out: &mut Outbox,
    ) {
        self.tell(id, FeedChange::Suspected { number, lag }, out);
        self.close(id, out);
        if let Some(source) = self.sources.get_mut(&id) {
            source.suspect(now, &self.config);
        }
    }

    fn open(
        &mut self,
        id: SourceId,
        kind: FeedKind,
        range: Option<(BlockNumber, BlockNumber)>,
        out: &mut Outbox,
    ) {
        self.close(id, out);
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let feed = FeedId(self.feed_next);
        self.feed_next = self.feed_next.wrapping_add(1);
        source.stream = Some(Stream::new(feed, kind));
        let target = Arc::clone(&source.target);
        out.push(Output::OpenFeed { channel: self.channel, feed, source: target, blocks: range });
    }

    fn close(&mut self, id: SourceId, out: &mut Outbox) {
        self.forget_pull(id);
        if let Some(stream) = self.sources.get_mut(&id).and_then(|source| source.stream.take()) {
            out.push(Output::CloseFeed { channel: self.channel, feed: stream.feed });
        }
    }

    fn forget_pull(&mut self, id: SourceId) {
        if self.pull.as_ref().is_some_and(|pull| pull.source == id) {
            self.pull = None;
        }
    }

    fn tell(&self, id: SourceId, change: FeedChange, out: &mut Outbox) {
        if let Some(source) = self.sources.get(&id) {
            let endpoint = source.target.endpoint.clone();
            out.event(Event::Feed { channel: self.channel, source: id, endpoint, change });
        }
    }

    fn ids(&self, is_meant: impl Fn(&Source) -> bool) -> Vec<SourceId> {
        self.sources.iter().filter(|(_, source)| is_meant(source)).map(|(id, _)| *id).collect()
    }

    fn best_of(&self, now: Monotonic, is_meant: impl Fn(&Source) -> bool) -> Option<SourceId> {
        let meant = self.sources.iter().filter(|(_, source)| is_meant(source));
        meant.min_by_key(|(_, source)| source.order(now)).map(|(id, _)| *id)
    }

    /// The source to try next.
    fn best(&self, now: Monotonic, is_meant: impl Fn(&Source) -> bool) -> Option<SourceId> {
        self.best_of(now, |source| is_meant(source) && source.is_rested(now))
    }

    /// Whose stream this is, unless it was closed.
    pub fn source_of(&self, feed: FeedId) -> Option<SourceId> {
        let is_its = |source: &Source| source.stream.as_ref().is_some_and(|stream| stream.feed == feed);
        self.sources.iter().find(|(_, source)| is_its(source)).map(|(id, _)| *id)
    }

    /// Whether I pull blocks for my org.
    pub fn is_leading(&self) -> bool {
        self.is_leading
    }

    /// Whether this source brings my blocks.
    pub fn is_pulled(&self, source: SourceId) -> bool {
        self.pull.as_ref().is_some_and(|pull| pull.source == source)
    }

    /// Whether an orderer can be reached, as far as is known: only a leader that failed knows better.
    pub fn can_reach_orderer(&self) -> bool {
        !self.is_leading || !self.has_failed || self.sources.values().any(Source::is_open)
    }

    /// When something is due by itself.
    pub fn next_due(&self, now: Monotonic, room: &dyn Room) -> Option<Monotonic> {
        if self.is_stopped {
            return None;
        }
        let is_served = match self.is_leading {
            true => self.pull.is_some(),
            false => self.sources.values().any(|source| source.stream.is_some()),
        };
        let idle = self.sources.values().filter(|source| source.stream.is_none());
        let rests = idle.flat_map(|source| {
            let headers_at = self.is_leading.then(|| source.rests_until().max(source.suspected_until));
            let any_at = (!is_served).then(|| source.rests_until());
            headers_at.into_iter().chain(any_at).filter(|at| *at > now)
        });
        let patience = self.config.lag_allowance.saturating_mul(2);
        let streams = self.sources.values().filter_map(|source| source.stream.as_ref());
        let behind = streams.filter_map(|stream| stream.behind_since.map(|at| at.saturating_add(patience)));
        rests.chain(behind).chain(self.lag_due(room)).min()
    }

    /// All sources.
    pub fn sources(&self, now: Monotonic) -> Vec<SourceView> {
        let view = |(id, source): (&SourceId, &Source)| SourceView {
            source: *id,
            target: Arc::clone(&source.target),
            kind: source.kind(),
            is_open: source.is_open(),
            is_suspected: source.is_suspected(now),
        };
        self.sources.iter().map(view).collect()
    }
}
