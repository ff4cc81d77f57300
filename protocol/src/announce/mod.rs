//! Announcements: every peer of a channel learns that a block exists, whatever its leader does.
//!
//! - Who first proves a header tells four neighbours its number and hash, spread over the orgs, never the one
//!   that it came from and nobody who claims to have it (infect-and-die). After the commit the same ones get
//!   `Complete`.
//! - An announced header that I lack is asked from its announcer; the others that announce it wait in line
//!   and are asked in turn, one, then two, then four at once, each round for `question_timeout`: so most of
//!   them may be silent. An announcement by itself proves nothing and is kept only that long.
//!
//! Limits: one member opens at most `claims_per_member_max` claims, a claim keeps `announcers_max`
//! announcers, and one number has at most `hashes_per_number_max` claims; what is beyond is refused and
//! counted.
//!
//! Resists: announcements of blocks that do not exist (A8: nothing but a question to the liar follows), and
//! floods of them (A18: the limits).

mod claims;
mod partners;

use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, ChannelId, MemberId, Neighbour};
use crate::wire::{ChannelMessage, Tip, WantHeaders};
pub use claims::Announcer;
use claims::Claims;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers of the announcements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many neighbours are told of a header. Default 4 (design baseline: reaches all of 128 in four
    /// hops).
    pub partners: usize,
    /// Open claims that one member may have started; more are refused. Default 32 (guess: half a second of
    /// blocks).
    pub claims_per_member_max: usize,
    /// Claims over different hashes of one number; more are refused. Default 4 (guess: liars beside the true
    /// one).
    pub hashes_per_number_max: usize,
    /// Announcers kept to a claim; later ones are forgotten. Default 8 (derived: twice the partners).
    pub announcers_max: usize,
    /// How long an announcer has for the header. Default 1 s (guess: several round trips across continents).
    pub question_timeout: Duration,
}

/// What can happen to announcements.
#[derive(Clone, Debug)]
pub enum Input {
    /// A neighbour says that a header exists which I have not proven.
    Announced {
        /// Who.
        from: MemberId,
        /// Which.
        tip: Tip,
        /// Whether it says that it has committed the block.
        is_complete: bool,
        /// Whether this header is being verified already.
        is_being_proven: bool,
    },
    /// I have just proven a header.
    Proven {
        /// Which.
        tip: Tip,
        /// Who it came from, if from a member.
        source: Option<MemberId>,
    },
    /// A block is durable here.
    Committed(Tip),
    /// A neighbour does not have the header that I asked it for.
    Lacking {
        /// Who.
        from: MemberId,
        /// Of which number.
        number: BlockNumber,
    },
    /// A neighbour is gone.
    NeighbourGone(MemberId),
    /// The time of [`State::next_due`] has come.
    TimerDue,
}

/// What announcements look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Whom it can be discussed with.
    pub neighbours: &'a [Neighbour],
}

/// The announcements of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    random: ChaCha8Rng,
    claims: Claims,
    /// Who was told of which header, until its commit.
    told: BTreeMap<BlockNumber, Vec<MemberId>>,
    questions: Vec<(MemberId, WantHeaders)>,
    refused: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            partners: 4,
            claims_per_member_max: 32,
            hashes_per_number_max: 4,
            announcers_max: 8,
            question_timeout: Duration::from_secs(1),
        }
    }
}

impl State {
    /// Announcements of a channel; `seed` feeds the choice of partners.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: ChaCha8Rng::from_seed(seed),
            claims: Claims::default(),
            told: BTreeMap::new(),
            questions: Vec::new(),
            refused: 0,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>, out: &mut Outbox) {
        match input {
            Input::Announced { from, tip, is_complete, is_being_proven } => {
                let announcer = Announcer { member: from, is_complete, at: now.monotonic };
                self.on_announced(now.monotonic, tip, announcer, is_being_proven);
            }
            Input::Proven { tip, source } => self.handle_proven(tip, source, context, out),
            Input::Committed(tip) => self.handle_committed(tip, context, out),
            Input::Lacking { from, number } => self.on_lacking(now.monotonic, from, number),
            Input::NeighbourGone(member) => self.handle_gone(now.monotonic, member),
            Input::TimerDue => self.ask_next_announcers(now.monotonic),
        }
    }

    /// Questions for headers that follow from the inputs so far; the caller sends them and expects the
    /// answers.
    pub fn take_questions(&mut self) -> Vec<(MemberId, WantHeaders)> {
        std::mem::take(&mut self.questions)
    }

    /// Takes out who has announced this header, in order of arrival: called when it is proven.
    pub fn take_announcers(&mut self, tip: Tip) -> Vec<Announcer> {
        self.claims.take(tip)
    }

    /// When [`Input::TimerDue`] is wanted.
    pub fn next_due(&self) -> Option<Monotonic> {
        self.claims.next_due()
    }

    /// How many announcements were refused at a limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn on_announced(&mut self, now: Monotonic, tip: Tip, announcer: Announcer, is_being_proven: bool) {
        if self.claims.add(tip, announcer, &self.config) {
            if !self.claims.is_waiting(tip) {
                match is_being_proven {
                    true => self.claims.wait(tip, now.saturating_add(self.config.question_timeout)),
                    false => self.ask(now, tip),
                }
            }
        } else {
            self.refused += 1;
        }
    }

    fn ask(&mut self, now: Monotonic, tip: Tip) {
        let due = now.saturating_add(self.config.question_timeout);
        let next = self.claims.next_round(tip, due);
        self.ask_each(tip, next);
    }

    fn replace(&mut self, now: Monotonic, tip: Tip, member: MemberId) {
        let due = now.saturating_add(self.config.question_timeout);
        let next = self.claims.replacement(tip, member, due);
        self.ask_each(tip, next);
    }

    fn ask_each(&mut self, tip: Tip, members: Vec<MemberId>) {
        let want = WantHeaders { first: tip.number, count: 1 };
        self.questions.extend(members.into_iter().map(|member| (member, want)));
    }

    fn ask_next_announcers(&mut self, now: Monotonic) {
        for tip in self.claims.due(now) {
            self.ask(now, tip);
        }
    }

    fn on_lacking(&mut self, now: Monotonic, from: MemberId, number: BlockNumber) {
        for tip in self.claims.asked_of(from, number) {
            self.replace(now, tip, from);
        }
    }

    fn handle_gone(&mut self, now: Monotonic, member: MemberId) {
        for tip in self.claims.forget_member(member) {
            self.replace(now, tip, member);
        }
    }

    fn handle_proven(&mut self, tip: Tip, source: Option<MemberId>, context: &Context<'_>, out: &mut Outbox) {
        self.claims.forget_number(tip.number);
        let lacks_it = |neighbour: &&Neighbour| {
            Some(neighbour.member) != source && neighbour.claimed_height.next_block() <= tip.number
        };
        let candidates: Vec<&Neighbour> = context.neighbours.iter().filter(lacks_it).collect();
        let partners = partners::choose(&candidates, self.config.partners, &mut self.random);
        for partner in &partners {
            out.send_channel(*partner, context.channel, ChannelMessage::Announce(tip));
        }
        self.told.insert(tip.number, partners);
    }

    fn handle_committed(&mut self, tip: Tip, context: &Context<'_>, out: &mut Outbox) {
        for partner in self.told.remove(&tip.number).unwrap_or_default() {
            if context.neighbours.iter().any(|neighbour| neighbour.member == partner) {
                out.send_channel(partner, context.channel, ChannelMessage::Complete(tip));
            }
        }
        self.claims.forget_through(tip.number);
    }
}

#[cfg(test)]
mod tests;
