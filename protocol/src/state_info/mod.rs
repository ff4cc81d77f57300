//! State infos of one channel (design §6): how far each member is, learnt by comparing digests.
//!
//! Rules
//! - My own is signed anew at most once per interval, and only when my tip changed and somebody could hear
//!   it.
//! - Each interval summaries are compared with one random neighbour, and digests where they differ and at
//!   once with a new one; what is unchanged is not sent again, and nothing is sent per block.
//! - The higher (incarnation, sequence) of a member wins. It dies with its member's eviction; a leave stays
//!   as a mark, so that no older state info undoes it.
//! - Nobody is named to an org that may not know of it.
//!
//! A height in a state info is a claim: it chooses whom to ask, nothing else (A8).
//! Limits: members held, marks per digest, and the work that a session may cause per second.

mod digest;
#[cfg(test)]
mod tests;

use crate::budget::Budget;
use crate::output::Outbox;
use crate::refusal::Refusal;
use crate::time::{Monotonic, Now};
use crate::timer::{ChannelTimer, Timer};
use crate::types::{BlockNumber, ChannelId, Height, Incarnation, Mark, MemberId, Neighbour, OrgId, Sequence};
use crate::wire::{ChannelLeave, ChannelMessage, Signed, StateInfo, Summary, Tip, Verified};
use ledgercast_crypto::{Digest, SecretKey};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Configuration of state infos, for every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between two digests, and the least between two state infos of mine. Guess: the reference system's
    /// default.
    pub interval: Duration,
    /// The most other members held; beyond, a new one is refused. Guess: as many as membership holds.
    pub members_max: usize,
    /// Work that one session may cause per second; a digest or a want counts 8. Guess: ten times what is
    /// honest.
    pub answer_budget_per_second: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Duration::from_secs(4), members_max: 4096, answer_budget_per_second: 64 }
    }
}

/// What a channel's state infos are lent for one step.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Myself.
    pub me: MemberId,
    /// The life of my process.
    pub incarnation: Incarnation,
    /// My signing key.
    pub key: &'a SecretKey,
    /// Whom I can talk to about the channel.
    pub neighbours: &'a [Neighbour],
    /// Whether a member may be named to an org.
    pub may_mention: &'a dyn Fn(MemberId, OrgId) -> bool,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// What can happen to a channel's state infos.
#[derive(Clone, Debug)]
pub enum Input {
    /// The channel is joined and stands at this block.
    Start {
        /// My newest durable block.
        tip: Tip,
    },
    /// My own state changed.
    TipChanged {
        /// Header hash of my newest durable block.
        tip_hash: Digest,
        /// How many blocks I hold.
        height: Height,
        /// The oldest one that I can serve.
        first_block: BlockNumber,
    },
    /// This member can now be talked to.
    NeighbourReady(MemberId),
    /// This member was evicted or left the network.
    MemberGone(MemberId),
    /// A summary of what a neighbour has.
    Summary {
        /// Who.
        from: MemberId,
        /// Of its newest state infos.
        summary: Summary,
    },
    /// What a neighbour has.
    Digest {
        /// Who.
        from: MemberId,
        /// Its newest state infos.
        marks: Vec<Mark>,
    },
    /// A neighbour lacks state infos.
    Want {
        /// Who.
        from: MemberId,
        /// Of these members.
        members: Vec<MemberId>,
    },
    /// A state info that passed [`State::screen`] and its verification.
    StateInfo {
        /// The statement.
        state: Verified<StateInfo>,
        /// Who sent it.
        from: MemberId,
    },
    /// A leave that passed [`State::screen_leave`] and its verification.
    Leave(Verified<ChannelLeave>),
    /// The interval is over.
    TimerDue,
    /// I leave the channel.
    Stop,
}

#[derive(Clone, Debug)]
enum Held {
    State(Verified<StateInfo>),
    Left(Mark),
}

impl Held {
    fn mark(&self) -> Mark {
        match self {
            Self::State(state) => state.mark(),
            Self::Left(mark) => *mark,
        }
    }
}

/// What I would say of myself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnState {
    tip_hash: Digest,
    height: Height,
    first_block: BlockNumber,
}

/// The state infos of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    current: Option<OwnState>,
    own: Option<Verified<StateInfo>>,
    own_signed_at: Monotonic,
    sequence: Sequence,
    held: BTreeMap<MemberId, Held>,
    budget: Budget,
    is_stopped: bool,
    random: ChaCha8Rng,
}

impl State {
    /// Knows nothing; `seed` feeds every random choice.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            budget: Budget::new(config.answer_budget_per_second),
            config,
            current: None,
            own: None,
            own_signed_at: Monotonic::ZERO,
            sequence: Sequence::default(),
            held: BTreeMap::new(),
            is_stopped: false,
            random: ChaCha8Rng::from_seed(seed),
        }
    }

    /// The other members that something is held of.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.held.keys().copied()
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>, out: &mut Outbox) {
        match input {
            Input::Start { tip } => self.handle_start(now, tip, context, out),
            Input::TipChanged { tip_hash, height, first_block } => {
                self.current = Some(OwnState { tip_hash, height, first_block });
            }
            Input::NeighbourReady(member) => self.handle_neighbour_ready(now, member, context, out),
            Input::MemberGone(member) => self.handle_member_gone(member),
            Input::Summary { from, summary } => self.on_summary(now, from, summary, context, out),
            Input::Digest { from, marks } => self.on_digest(now, from, &marks, context, out),
            Input::Want { from, members } => self.on_want(now, from, &members, context, out),
            Input::StateInfo { state, .. } => self.on_state_info(state, context),
            Input::Leave(leave) => self.on_leave(&leave),
            Input::TimerDue => self.handle_interval(now, context, out),
            Input::Stop => self.handle_stop(now, context, out),
        }
    }

    fn handle_start(&mut self, now: Now, tip: Tip, context: &Context<'_>, out: &mut Outbox) {
        let (height, first_block) = (tip.number.height(), BlockNumber::GENESIS);
        self.current = Some(OwnState { tip_hash: tip.header_hash, height, first_block });
        let first = crate::sampling::spread(&mut self.random, self.config.interval);
        let timer = Timer::Channel(context.channel, ChannelTimer::State);
        out.set_timer(timer, now.monotonic.saturating_add(first));
    }

    fn handle_interval(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        if self.is_stopped {
            return;
        }
        let timer = Timer::Channel(context.channel, ChannelTimer::State);
        out.set_timer(timer, now.monotonic.saturating_add(self.config.interval));
        let neighbours: Vec<(MemberId, OrgId)> =
            context.neighbours.iter().map(|neighbour| (neighbour.member, neighbour.org)).collect();
        for (to, org) in crate::sampling::sample(&mut self.random, neighbours, 1) {
            self.refresh_own(now, context);
            let summary = self.summary(org, context);
            out.send_channel(to, context.channel, ChannelMessage::StateSummary(summary));
        }
    }

    fn handle_neighbour_ready(
        &mut self,
        now: Now,
        member: MemberId,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let neighbour = context.neighbours.iter().find(|neighbour| neighbour.member == member);
        if let Some(neighbour) = neighbour.filter(|_| !self.is_stopped) {
            self.refresh_own(now, context);
            self.send_digest(member, neighbour.org, context, out);
        }
    }

    /// Signs my state anew if it, or my incarnation, changed and the last one is an interval old.
    fn refresh_own(&mut self, now: Now, context: &Context<'_>) {
        let Some(current) = self.current else {
            return;
        };
        let is_said = self.own.as_ref().is_some_and(|own| {
            let said = own.statement();
            (said.tip_hash, said.height, said.first_block, said.incarnation)
                == (current.tip_hash, current.height, current.first_block, context.incarnation)
        });
        let is_recent = now.monotonic.saturating_since(self.own_signed_at) < self.config.interval;
        if is_said || (self.own.is_some() && is_recent) {
            return;
        }
        let state = StateInfo {
            member: context.me,
            incarnation: context.incarnation,
            sequence: self.next_sequence(now),
            tip_hash: current.tip_hash,
            height: current.height,
            first_block: current.first_block,
        };
        self.own = Some(Verified::sign(state, context.channel.as_bytes(), context.key));
        self.own_signed_at = now.monotonic;
    }

    /// Milliseconds of the process's clock, at least the last one + 1: so that it also grows over leaving and
    /// joining again within one life.
    fn next_sequence(&mut self, now: Now) -> Sequence {
        let millis = u64::try_from(now.monotonic.since_start().as_millis()).unwrap_or(u64::MAX);
        self.sequence = self.sequence.next().max(Sequence::new(millis));
        self.sequence
    }

    fn handle_member_gone(&mut self, member: MemberId) {
        self.held.remove(&member);
        self.budget.forget(member);
    }

    fn on_state_info(&mut self, state: Verified<StateInfo>, context: &Context<'_>) {
        if state.member() != context.me {
            self.held.insert(state.member(), Held::State(state));
        }
    }

    fn on_leave(&mut self, leave: &Verified<ChannelLeave>) {
        let is_room = self.held.len() < self.config.members_max || self.held.contains_key(&leave.member());
        if is_room {
            self.held.insert(leave.member(), Held::Left(leave.mark()));
        }
    }

    fn handle_stop(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        if std::mem::replace(&mut self.is_stopped, true) || context.neighbours.is_empty() {
            return;
        }
        let leave = ChannelLeave {
            member: context.me,
            incarnation: context.incarnation,
            sequence: self.next_sequence(now),
        };
        let leave = Verified::sign(leave, context.channel.as_bytes(), context.key);
        for neighbour in context.neighbours {
            let message = ChannelMessage::Leave(leave.signed().clone());
            out.send_channel(neighbour.member, context.channel, message);
        }
    }

    /// Whether this state info would be stored.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen(&self, _now: Now, state: &Signed<StateInfo>) -> Result<(), Refusal> {
        let statement = state.statement();
        if statement.first_block >= statement.height.next_block() {
            return Err(Refusal("impossible_range"));
        }
        self.require_newer(state.mark())
    }

    /// Whether this leave would change anything.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen_leave(&self, _now: Now, leave: &Signed<ChannelLeave>) -> Result<(), Refusal> {
        self.require_newer(leave.mark())
    }

    fn require_newer(&self, mark: Mark) -> Result<(), Refusal> {
        if self.own.as_ref().is_some_and(|own| own.member() == mark.member) {
            return Err(Refusal("about_me"));
        }
        match self.held.get(&mark.member).map(|held| held.mark().order()) {
            Some(known) if known == mark.order() => Err(Refusal("known")),
            Some(known) if known > mark.order() => Err(Refusal("stale")),
            Some(_) => Ok(()),
            None if self.held.len() >= self.config.members_max => Err(Refusal("members_full")),
            None => Ok(()),
        }
    }

    /// What a member claims: height, header hash of its tip, oldest block served.
    pub fn height_of(&self, member: MemberId) -> Option<(Height, Digest, BlockNumber)> {
        match self.held.get(&member)? {
            Held::State(state) => {
                let state = state.statement();
                Some((state.height, state.tip_hash, state.first_block))
            }
            Held::Left(_) => None,
        }
    }

    /// The newest state info of each other member.
    pub fn all(&self) -> impl Iterator<Item = &StateInfo> {
        self.states().map(Verified::statement)
    }

    fn states(&self) -> impl Iterator<Item = &Verified<StateInfo>> {
        self.held.values().filter_map(|held| match held {
            Held::State(state) => Some(state),
            Held::Left(_) => None,
        })
    }
}
