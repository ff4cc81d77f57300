//! Leadership of one channel inside my org (design §7): who pulls blocks from the orderers and starts their
//! spread.
//!
//! Rules
//! - Rank is a hash over channel, org, the header hash at the epoch's start and the member: nobody knows it
//!   before the epoch. The best-ranked eligible member claims, and renews its claim before it ends.
//! - An incumbent stays for the epoch, also when a better-ranked member arrives. Of several, the best rank
//!   stays.
//! - A claim past a better-ranked member that I could have heard from does not count; one that was made
//!   before I could see its maker does.
//! - Silence: when nobody leads, the best rank claims at once and each further one a little later. Whose
//!   claim ran out is passed over for the epoch.
//! - Withholding: who led while a header was proven here, and no byte of its body came by push in time, is
//!   passed over as well, whatever it goes on to claim: for the epoch, or a minute where an epoch lasts
//!   longer. If another member has the block, a relay may be at fault: then it takes several in a row.
//!   When nobody else would be left, all but the last one get another chance.
//! - Who leads and reaches no orderer yields to somebody else, and does not take it back at once.
//! - A claim counts only on its maker's own session and for at most `claim_for`, whatever it says.
//!
//! Two leaders at once are harmless: they pull the same blocks twice. So all of this is about cost, not
//! safety. Limits: one claim per eligible member; `passed_over_max` members passed over for withholding,
//! further ones keep their claim. Resists: claims for ever and keys ground for rank (A13) up to one epoch; in
//! epochs shorter than `claim_for` a claim made ahead of time counts too.

mod claims;
mod ranking;
mod role;
#[cfg(test)]
mod tests;
mod withholding;

use crate::event::Event;
use crate::output::Outbox;
use crate::refusal::Refusal;
use crate::time::{Monotonic, Now};
use crate::timer::{ChannelTimer, Timer};
use crate::types::{BlockNumber, ChannelId, Incarnation, MemberId, OrgId, Sequence};
use crate::wire::{Leadership, Signed, Verified};
use claims::Claim;
use ledgercast_crypto::{Digest, SecretKey};
use ranking::Ranking;
use role::OwnClaim;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How leaders are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By rank, as described above.
    Elected,
    /// By configuration; nothing is claimed and nobody is believed.
    Static {
        /// Whether I lead.
        leads: bool,
    },
}

/// Configuration of leadership, for every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long a claim counts. Guess: two and a half renewals.
    pub claim_for: Duration,
    /// Time between two renewals of a claim. Guess.
    pub renew_every: Duration,
    /// How long I listen after a start before I claim. Guess: peers that start together find each other in
    /// it.
    pub grace: Duration,
    /// How much later the next rank claims when the one before stays silent. Guess: many round trips.
    pub patience: Duration,
    /// How long a leader tries to reach an orderer before it yields. Guess: a few attempts.
    pub orderer_patience: Duration,
    /// How long who yielded does not claim. Guess: two claims.
    pub yield_for: Duration,
    /// How far beyond `claim_for` a claim may say that it lasts. Derived: the clock skew that membership
    /// admits.
    pub clock_skew_max: Duration,
    /// How many members of an org lead at a time. Guess: one costs least.
    pub leaders_per_org: usize,
    /// How many blocks in a row must be withheld if others of my org have them in time. Guess: one relay that
    /// drops what it should pass on is rarely mine three times in a row.
    pub withheld_in_a_row: u32,
    /// How long who withholds is passed over, unless the epoch ends before. Guess: one time-out in this time
    /// is a small price; an epoch of a quiet channel may last for days.
    pub pass_over_for: Duration,
    /// How many members are passed over for withholding in one epoch; further ones keep their claim. Guess:
    /// as many as an org has leaders in a minute of one time-out each.
    pub passed_over_max: usize,
    /// How leaders are found.
    pub mode: Mode,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            claim_for: Duration::from_secs(10),
            renew_every: Duration::from_secs(4),
            grace: Duration::from_millis(1_500),
            patience: Duration::from_secs(2),
            orderer_patience: Duration::from_secs(5),
            yield_for: Duration::from_secs(20),
            clock_skew_max: Duration::from_secs(300),
            leaders_per_org: 1,
            withheld_in_a_row: 3,
            pass_over_for: Duration::from_secs(60),
            passed_over_max: 64,
            mode: Mode::Elected,
        }
    }
}

/// What leadership is lent for one step.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Myself.
    pub me: MemberId,
    /// My org.
    pub org: OrgId,
    /// The life of my process.
    pub incarnation: Incarnation,
    /// My signing key.
    pub key: &'a SecretKey,
    /// Living members of my org on the channel that I can talk to, and me.
    pub eligible: &'a [MemberId],
    /// The epoch of the highest proven header.
    pub epoch: u64,
    /// Header hash of the epoch's first block.
    pub epoch_hash: Digest,
    /// Whether an orderer can be reached; meaningful while I lead.
    pub can_reach_orderer: bool,
}

/// What can happen to leadership.
#[derive(Clone, Debug)]
pub enum Input {
    /// The channel is joined.
    Start,
    /// The time that was asked for has come.
    TimerDue,
    /// A claim that passed [`State::screen`] and its verification.
    Claim {
        /// The statement.
        claim: Verified<Leadership>,
        /// Who sent it.
        from: MemberId,
    },
    /// A header was proven, and no byte of its body came by push in time.
    Withheld(Withheld),
    /// This member cannot be talked to any more.
    MemberGone(MemberId),
    /// Something in the context changed.
    ContextChanged,
    /// I leave the channel.
    Stop,
}

/// A block of which no byte came by push in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The block.
    pub number: BlockNumber,
    /// When its header was proven.
    pub since: Monotonic,
    /// How many blocks in a row, this one included.
    pub in_a_row: u32,
    /// Members of my org that have said that they have it.
    pub holders: Vec<MemberId>,
}

/// Leadership of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    is_running: bool,
    /// Until then I listen, and believe claims that I cannot judge.
    listening_until: Monotonic,
    ranking: Ranking,
    epoch: u64,
    epoch_since: Monotonic,
    /// Whether the epoch before was too short to have followed it: I am catching up.
    is_catching_up: bool,
    eligible_since: BTreeMap<MemberId, Monotonic>,
    claims: BTreeMap<MemberId, Claim>,
    /// Whose claim ran out in this epoch.
    silenced: BTreeSet<MemberId>,
    /// Who led and withheld blocks from me, and until when that counts.
    withholding: BTreeMap<MemberId, Monotonic>,
    /// Since when fewer lead than should.
    vacant_since: Option<Monotonic>,
    own: Option<OwnClaim>,
    yielding_until: Option<Monotonic>,
    statement: Option<role::Spoken>,
    sequence: Sequence,
    told: Option<(Option<MemberId>, bool)>,
}

impl State {
    /// Nobody leads yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            is_running: false,
            listening_until: Monotonic::ZERO,
            ranking: Ranking::default(),
            epoch: 0,
            epoch_since: Monotonic::ZERO,
            is_catching_up: false,
            eligible_since: BTreeMap::new(),
            claims: BTreeMap::new(),
            silenced: BTreeSet::new(),
            withholding: BTreeMap::new(),
            vacant_since: None,
            own: None,
            yielding_until: None,
            statement: None,
            sequence: Sequence::default(),
            told: None,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>, out: &mut Outbox) {
        match input {
            Input::Start => self.handle_start(now, context),
            Input::TimerDue | Input::ContextChanged => {}
            Input::Claim { claim, from } => self.on_claim(now, &claim, from, context, out),
            Input::Withheld(withheld) => self.handle_withheld(now, &withheld, context, out),
            Input::MemberGone(member) => self.handle_member_gone(member),
            Input::Stop => self.handle_stop(now, context, out),
        }
        self.settle(now, context, out);
    }

    fn handle_start(&mut self, now: Now, context: &Context<'_>) {
        self.is_running = true;
        self.listening_until = now.monotonic.saturating_add(self.config.grace);
        self.epoch = context.epoch;
        self.epoch_since = now.monotonic;
    }

    fn handle_member_gone(&mut self, member: MemberId) {
        self.claims.remove(&member);
        self.silenced.remove(&member);
        self.eligible_since.remove(&member);
    }

    fn handle_stop(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        if self.own.take().is_some() && self.config.mode == Mode::Elected {
            self.speak(now, false, context, out);
        }
        self.is_running = false;
        self.claims.clear();
        self.tell_change(now, context, out);
    }

    /// Draws the conclusions of whatever has changed.
    fn settle(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        if !self.is_running {
            return;
        }
        if self.config.mode == Mode::Elected {
            self.follow_context(now, context);
            self.expire(now);
            self.reconsider(now, context.me);
            self.keep_best(context.me);
            self.consider_yielding(now, context, out);
            self.consider_claiming(now, context, out);
            self.keep_up(now, context, out);
            let timer = Timer::Channel(context.channel, ChannelTimer::Leadership);
            out.set_timer(timer, self.next_look(now));
        }
        self.tell_change(now, context, out);
    }

    /// Takes over who is eligible and which epoch it is.
    fn follow_context(&mut self, now: Now, context: &Context<'_>) {
        let eligible: BTreeSet<MemberId> = context.eligible.iter().copied().collect();
        self.eligible_since.retain(|member, _| eligible.contains(member));
        for member in &eligible {
            self.eligible_since.entry(*member).or_insert(now.monotonic);
        }
        self.claims.retain(|member, _| eligible.contains(member));
        self.silenced.retain(|member| eligible.contains(member));
        self.ranking.update(context, eligible);
        if context.epoch != self.epoch {
            self.is_catching_up = now.monotonic.saturating_since(self.epoch_since) < self.config.claim_for;
            self.epoch = context.epoch;
            self.epoch_since = now.monotonic;
            self.silenced.clear();
            self.withholding.clear();
            self.vacant_since = None;
            self.judge_held(now, context.me);
        }
    }

    fn tell_change(&mut self, now: Now, context: &Context<'_>, out: &mut Outbox) {
        let is_me = self.is_leader();
        let leader = if is_me { Some(context.me) } else { self.leader(now) };
        let is_news = self.told.map_or(leader.is_some(), |told| told != (leader, is_me));
        if is_news {
            self.told = Some((leader, is_me));
            out.event(Event::LeadershipChanged { channel: context.channel, leader, is_me });
        }
    }

    /// The earliest time at which something changes by itself.
    fn next_look(&self, now: Now) -> Monotonic {
        let later = |at: Monotonic| (at > now.monotonic).then_some(at);
        let claims = self.claims.values().filter_map(|claim| later(claim.until));
        let walk = self.vacant_since.map(|since| {
            let passed = self.passed_over(now).saturating_add(1);
            since.saturating_add(
                self.config.patience.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)),
            )
        });
        let own = self.own.iter().flat_map(|own| [own.until, own.cut_off_at(&self.config)]);
        let renewal = self.statement.iter().map(|spoken| spoken.at.saturating_add(self.config.renew_every));
        let others = walk.into_iter().chain(own).chain(renewal).chain(self.yielding_until);
        let forgiven = self.withholding.values().copied();
        let others = others.chain([self.listening_until]).chain(forgiven).filter_map(later);
        let idle = now.monotonic.saturating_add(self.config.renew_every);
        claims.chain(others).min().unwrap_or(idle).min(idle)
    }

    /// Until when my org finds its first leader, if its best-ranked member or the next one claims; `None`:
    /// nobody is elected.
    pub fn first_leader_until(&self) -> Option<Monotonic> {
        let is_elected = self.is_running && self.config.mode == Mode::Elected;
        is_elected.then(|| self.listening_until.saturating_add(self.config.patience))
    }

    /// Whether this claim would be looked at.
    ///
    /// # Errors
    /// [`Refusal`] names the check.
    pub fn screen(&self, now: Now, claim: &Signed<Leadership>) -> Result<(), Refusal> {
        if self.config.mode != Mode::Elected {
            return Err(Refusal("leaders_are_static"));
        }
        let latest =
            now.wall.saturating_add(self.config.claim_for.saturating_add(self.config.clock_skew_max));
        if claim.statement().until > latest {
            return Err(Refusal("lasts_too_long"));
        }
        match self.claims.get(&claim.member()).map(|held| held.order) {
            Some(known) if known == claim.mark().order() => Err(Refusal("known")),
            Some(known) if known > claim.mark().order() => Err(Refusal("stale")),
            _ => Ok(()),
        }
    }

    /// Whether I lead.
    pub fn is_leader(&self) -> bool {
        match self.config.mode {
            Mode::Elected => self.own.is_some(),
            Mode::Static { leads } => leads && self.is_running,
        }
    }
}
