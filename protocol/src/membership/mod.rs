//! Membership (design §5): who is alive, in my own judgement.
//!
//! Rules
//! - Each interval, if I have a session at all: show a tick of my last alive's chain, or sign a new alive;
//!   see `ticks`. Ticks go to a few, and a summary of the view to one: who sees others sends its digest.
//! - News (joined, returned, restarted, left) is forwarded at once to a few. Who misses a member's ticks
//!   asks.
//! - Nobody is named to an org that may not know of it ([`Disclosure`]). Members of an org that shares no
//!   channel with me any more are forgotten at once, and those that only my org still mentions when they fall
//!   silent: without a judgement, for nothing is owed between us.
//! - Silence is measured on my awake time. Before an eviction comes a question, to the member and to others.
//! - Two alives of one member that one process cannot have signed are an alarm; see `duplicates`.
//! - When most members of most orgs look wrong by time, my own clock is suspect, and I evict nobody.
//! - A statement counts if it is above the member's high-water mark and its time is plausible. What comes on
//!   its owner's own session is fresh by that fact.
//!
//! Limits: members, marks, awaited answers, and the work that a session may cause per second; see [`Config`].
//!
//! Resists: replay, also after a restart (A2); copied disks and stolen keys are seen (A3); maximal
//! incarnations, and clocks and disks of earlier lives (A4); slander, for nobody's word evicts
//! (A5); withheld members, for any honest contact compares digests (A6); my own pauses (A20).

mod alive;
mod awake;
mod clocks;
mod config;
mod digest;
mod disclosure;
mod duplicates;
mod eviction;
mod marks;
mod question;
mod screen;
mod table;
#[cfg(test)]
mod tests;
mod ticks;

pub use config::Config;
pub use disclosure::Disclosure;
pub use duplicates::Endpoints;
#[cfg(feature = "saved")]
pub use marks::resave_marks;
pub use table::{MemberStatus, MemberView};

use crate::budget::Budget;
use crate::event::{Event, EvictionReason};
use crate::job::VerifiedConflict;
use crate::output::Outbox;
use crate::sampling;
use crate::time::{Monotonic, Now, WallTime};
use crate::timer::Timer;
use crate::types::{Endpoint, Incarnation, Mark, MemberId, OrgId, Sequence, Tick};
use crate::wire::{Alive, InternalEndpoint, Leave, Signed, Summary, Verified};
use alive::Heard;
use awake::AwakeClock;
use bytes::Bytes;
use clocks::Clocks;
use duplicates::{Duplicates, InMyName};
use ledgercast_crypto::SecretKey;
use marks::Marks;
use question::Relays;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use table::Table;
use ticks::{Index, OwnChain, Passing};

/// Who I am.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// My id.
    pub member: MemberId,
    /// My org.
    pub org: OrgId,
    /// Where other orgs reach me; `None`: they do not know me.
    pub external: Option<Endpoint>,
    /// Where my org reaches me.
    pub internal: Endpoint,
}

/// Whose certificate is known, and of which org it is.
pub trait Identities {
    /// The member's org, if its certificate was accepted.
    fn org(&self, member: MemberId) -> Option<OrgId>;
}

/// What membership is lent for one step.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// My signing key.
    pub key: &'a SecretKey,
    /// Members with a ready session, and their orgs.
    pub sessions: &'a BTreeMap<MemberId, OrgId>,
    /// Accepted certificates.
    pub identities: &'a dyn Identities,
    /// Orgs that my org shares a channel with.
    pub shared_orgs: &'a BTreeSet<OrgId>,
}

/// What can happen to membership.
#[derive(Clone, Debug)]
pub enum Input {
    /// Comes once, first.
    Start,
    /// A session with this member is ready.
    SessionReady(MemberId),
    /// The session with this member ended.
    SessionLost(MemberId),
    /// A config has changed who shares a channel with me.
    OrgsChanged {
        /// Who does no more.
        lost: BTreeSet<OrgId>,
        /// Who does now.
        gained: BTreeSet<OrgId>,
    },
    /// This member's certificate no longer holds: it is gone at once.
    Expelled(MemberId, EvictionReason),
    /// The operating system refused dials to every endpoint of this member, which has no session.
    EndpointsRefused(MemberId),
    /// An alive that passed [`State::screen_alive`] and its verification.
    Alive {
        /// The statement.
        alive: Verified<Alive>,
        /// What travelled beside it, if the alive vouches for it.
        internal: Option<InternalEndpoint>,
        /// The tick that travelled beside it.
        tick: Option<Tick>,
        /// Who sent it.
        from: MemberId,
    },
    /// A leave that passed [`State::screen_leave`] and its verification.
    Leave {
        /// The statement.
        leave: Verified<Leave>,
        /// Who sent it.
        from: MemberId,
    },
    /// Two alives of one member that exclude each other, screened and verified.
    Conflict {
        /// The pair.
        conflict: Box<VerifiedConflict>,
        /// Who sent it.
        from: MemberId,
    },
    /// A member's alive on its own session is older than what I hold of it.
    Behind(MemberId),
    /// What another member has.
    Digest {
        /// Who.
        from: MemberId,
        /// Its newest alives.
        marks: Vec<Mark>,
    },
    /// Whom another member sees.
    ViewDigest {
        /// Who.
        from: MemberId,
        /// A summary of them.
        summary: Summary,
    },
    /// Another member wants what is newer.
    Want {
        /// Who.
        from: MemberId,
        /// What it has.
        marks: Vec<Mark>,
    },
    /// Ticks of whichever members.
    Ticks {
        /// Who sent them.
        from: MemberId,
        /// The ticks.
        ticks: Vec<Tick>,
    },
    /// Another member lacks the alives to which these ticks belong.
    WantAnchors {
        /// Who.
        from: MemberId,
        /// The ticks.
        ticks: Vec<Tick>,
    },
    /// Another member asks for anything newer.
    Question {
        /// Who.
        from: MemberId,
        /// What it has.
        subject: Mark,
        /// Whether it only passes the question on to me.
        passed_on: bool,
    },
    /// One of membership's timers is due.
    TimerDue(Timer),
    /// Say good-bye.
    Shutdown,
}

/// The state of membership.
#[derive(Debug)]
pub struct State {
    config: Config,
    own: Own,
    network: [u8; 32],
    incarnation: Incarnation,
    sequence: Sequence,
    own_internal: InternalEndpoint,
    own_alive: Option<Verified<Alive>>,
    own_chain: Option<OwnChain>,
    /// When I signed or showed anything last.
    own_said_at: Monotonic,
    /// When I last signed because somebody asked.
    own_refreshed_at: Option<Monotonic>,
    index: Index,
    passing: Passing,
    started_at: WallTime,
    has_left: bool,
    members: Table,
    marks: Marks,
    restored_marks: Option<Bytes>,
    awake: AwakeClock,
    clocks: Clocks,
    duplicates: Duplicates,
    /// What was said last in my name that I did not sign.
    in_my_name: Option<InMyName>,
    relays: Relays,
    budget: Budget,
    gone: Vec<MemberId>,
    doubted: Vec<MemberId>,
    random: ChaCha8Rng,
}

impl State {
    /// Knows nobody. `marks` is what an earlier life saved; `network` is the context of all signatures;
    /// `seed` feeds every random choice.
    pub fn new(
        config: Config,
        own: Own,
        network: [u8; 32],
        incarnation: Incarnation,
        marks: Option<Bytes>,
        seed: [u8; 32],
    ) -> Self {
        let mut random = ChaCha8Rng::from_seed(seed);
        let mut salt = [0; 16];
        random.fill_bytes(&mut salt);
        Self {
            own_internal: InternalEndpoint { salt, endpoint: own.internal.clone() },
            members: Table::new(config.members_max, config.members_per_org_max),
            marks: Marks::new(config.members_max.saturating_mul(2)),
            restored_marks: marks,
            awake: AwakeClock::new(config.awake_lateness_max),
            clocks: Clocks::default(),
            duplicates: Duplicates::new(config.members_max, config.alive_interval),
            in_my_name: None,
            relays: Relays::new(config.relayed_questions_max),
            budget: Budget::new(config.answer_budget_per_second),
            sequence: Sequence::default(),
            own_alive: None,
            own_chain: None,
            own_said_at: Monotonic::ZERO,
            own_refreshed_at: None,
            index: Index::default(),
            passing: Passing::default(),
            started_at: incarnation.started_at(),
            has_left: false,
            gone: Vec::new(),
            doubted: Vec::new(),
            config,
            own,
            network,
            incarnation,
            random,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>, out: &mut Outbox) {
        match input {
            Input::Start => self.handle_start(now, out),
            Input::SessionReady(member) => self.handle_session_ready(now, member, context, out),
            Input::OrgsChanged { lost, gained } => self.handle_orgs_changed(now, &lost, &gained, out),
            Input::Expelled(member, reason) => self.handle_expelled(now, member, reason, out),
            Input::SessionLost(member) => {
                self.budget.forget(member);
                self.clocks.forget(member);
            }
            Input::EndpointsRefused(member) => self.handle_endpoints_refused(now, member, context, out),
            Input::Alive { alive, internal, tick, from } => {
                self.on_alive(now, Heard { alive, internal, tick, from }, context, out);
            }
            Input::Leave { leave, from } => self.on_leave(now, &leave, from, context, out),
            Input::Conflict { conflict, from } => self.raise(now, &conflict, from, context, out),
            Input::Behind(member) => self.handle_behind(now, member, context, out),
            Input::Digest { from, marks } => self.on_digest(now, from, &marks, context, out),
            Input::ViewDigest { from, summary } => self.on_view_digest(now, from, summary, context, out),
            Input::Want { from, marks } => self.on_want(now, from, &marks, context, out),
            Input::Ticks { from, ticks } => self.on_ticks(now, from, &ticks, context, out),
            Input::WantAnchors { from, ticks } => self.on_want_anchors(now, from, &ticks, context, out),
            Input::Question { from, subject, passed_on } => {
                self.on_question(now, from, subject, passed_on, context, out);
            }
            Input::TimerDue(timer) => self.handle_timer(now, timer, context, out),
            Input::Shutdown => self.handle_shutdown(context, out),
        }
    }

    fn handle_start(&mut self, now: Now, out: &mut Outbox) {
        if let Some(marks) = self.restored_marks.take()
            && self.marks.restore(marks).is_err()
        {
            out.event(Event::Refused { kind: "marks", reason: "malformed", member: None });
        }
        self.awake.start(now.monotonic);
        self.started_at = now.wall;
        let first = sampling::spread(&mut self.random, self.config.alive_interval);
        out.set_timer(Timer::Alive, now.monotonic.saturating_add(first));
        out.set_timer(Timer::Awake, now.monotonic.saturating_add(self.config.awake_tick));
        out.set_timer(Timer::Marks, now.monotonic.saturating_add(self.config.marks_interval));
    }

    fn handle_timer(&mut self, now: Now, timer: Timer, context: &Context<'_>, out: &mut Outbox) {
        match timer {
            Timer::Alive => self.handle_alive_due(now, context, out),
            Timer::Awake => self.handle_awake(now, context, out),
            Timer::Question(member) => self.judge(now, member, context, out),
            Timer::Marks => self.handle_marks_due(now, out),
            // Not mine.
            Timer::Hello(_) | Timer::Dial | Timer::Certificates | Timer::Standing | Timer::Channel(..) => {}
        }
    }

    fn disclosure<'a>(&self, context: &Context<'a>) -> Disclosure<'a> {
        Disclosure::new(self.own.org, context.shared_orgs)
    }

    /// All other members that are held, alive or not.
    pub fn members(&self) -> impl Iterator<Item = MemberView> {
        let awake = self.awake.last();
        self.members.iter().map(move |(member, entry)| entry.view(member, awake))
    }

    /// Whether a member is alive in my judgement; I am.
    pub fn is_alive(&self, member: MemberId) -> bool {
        member == self.own.member || self.members.get(member).is_some_and(|entry| entry.is_alive())
    }

    /// Whether a member said good-bye.
    pub fn has_left(&self, member: MemberId) -> bool {
        self.members.get(member).is_some_and(|entry| entry.status == MemberStatus::Left)
    }

    /// Whether other orgs may know of a member.
    pub fn is_external(&self, member: MemberId) -> bool {
        match member == self.own.member {
            true => self.own.external.is_some(),
            false => self.members.get(member).is_some_and(|entry| entry.is_external()),
        }
    }

    /// My awake time: that of my own pauses is left out.
    pub fn awake_at(&self, now: Monotonic) -> Duration {
        self.awake.at(now)
    }

    /// The life of my process; a newer one is taken when an earlier life turns out to be ahead of it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// My newest alive, if I have signed one.
    pub fn own_mark(&self) -> Option<Mark> {
        let own = self.own_alive.as_ref()?;
        Some(Mark { sequence: self.sequence, ..own.mark() })
    }

    /// Whether this very alive is what I hold of its member: then it needs no verification.
    pub fn holds(&self, alive: &Signed<Alive>) -> bool {
        self.members.get(alive.member()).is_some_and(|entry| entry.alive.signed() == alive)
    }

    /// Whom to dial where: the living, and now and then the evicted. Who left is waited for.
    pub fn candidates_to_dial(&self, now: Now) -> Vec<(MemberId, Endpoint)> {
        let is_due = |status| match status {
            MemberStatus::Alive => true,
            // It would be refused: it comes by itself once it has another certificate.
            MemberStatus::Evicted { reason: EvictionReason::Revoked, .. } => false,
            MemberStatus::Evicted { at, .. } => self.is_retry_due(now.monotonic.saturating_since(at)),
            MemberStatus::Left => false,
        };
        let due = self.members.iter().filter(|(_, entry)| is_due(entry.status));
        due.filter_map(|(member, entry)| Some((member, entry.endpoint()?.clone()))).collect()
    }

    /// Who is alive and says that it is reached there.
    pub fn member_at(&self, endpoint: &Endpoint) -> Option<MemberId> {
        let is_there = |entry: &table::Entry| {
            let alive = entry.alive.statement();
            alive.external_endpoint.as_ref() == Some(endpoint) || entry.endpoint() == Some(endpoint)
        };
        self.members.alive().find(|(_, entry)| is_there(entry)).map(|(member, _)| member)
    }

    /// True for one alive interval at the end of each retry interval since the eviction.
    fn is_retry_due(&self, evicted_for: Duration) -> bool {
        let every = self.config.evicted_retry_interval.as_millis().max(1);
        let window = self.config.alive_interval.as_millis();
        let millis = evicted_for.as_millis();
        millis >= every && millis % every < window
    }

    /// Takes out who was evicted or left since the last call: their sessions are to be closed.
    pub fn take_gone(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.gone)
    }
}
