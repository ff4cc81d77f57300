//! Catching up on headers: questions upward from the first number that is not proven here.
//!
//! - Behind by `live_blocks` or more: asked at once; by fewer: after `patience`, because announcements are on
//!   their way. One question at a time, of at most `segment_headers`, within the window; the next one when
//!   its headers are proven. What is committed is never asked again, so a restart goes on where it was.
//!   Bodies are `repair`'s.
//! - Asked are members whose claim reaches the number, at random, those that failed me last. A claim is a
//!   reason to ask and proves nothing. Who does not answer, lacks what it claims or answers falsely is left
//!   alone for a time that doubles with each failure.
//! - Only its answer closes a question: whatever else its member sends meanwhile, it lapses without one.
//! - An answer of which something is not proven, such as headers whose config is not in force yet, is given as
//!   long as an answer may take. Then its first missing header is asked for alone, of its giver last.
//! - Who answers with less than was asked and than it claims is asked last, too.
//!
//! Limits: one question open; one claim and one failure count per neighbour.
//!
//! Resists: claimed heights that no header proves (A8), answers that are late or never come (A10): another
//! claimant is asked after `question_timeout`, and buffers hold only the window. Configs that are claimed and
//! do not come: only an answer is waited for, no longer than for a late one.

use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, MemberId, Neighbour};
use crate::wire::WantHeaders;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers of the range sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Headers per question. Default 256 (derived: with quorums of up to 40 signatures they fit a frame of 1
    /// MiB).
    pub segment_headers: u32,
    /// Behind by this many headers, announcements are not waited for. Default 16 (guess).
    pub live_blocks: u64,
    /// How long a small gap may close by itself. Default 1 s (guess: an announcement and its answer).
    pub patience: Duration,
    /// How long an answer may take. Default 2 s (guess: 100 KB at a slow link, and several round trips).
    pub question_timeout: Duration,
    /// The longest time that a member is left alone after failures. Default 60 s (guess).
    pub shunned_max: Duration,
}

/// What can happen to range sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something may have changed: claims, proven headers, time.
    Check,
    /// A neighbour says that this block exists.
    Claimed {
        /// Who.
        by: MemberId,
        /// Which.
        number: BlockNumber,
    },
    /// The answer to the open question came and is being verified.
    Answered {
        /// Who gave it.
        by: MemberId,
        /// The last number in it.
        through: BlockNumber,
    },
    /// Headers of a member are proven, or there was nothing new in its answer.
    Proven(MemberId),
    /// The answer was false, or the member lacks what it claims.
    Failed(MemberId),
    /// A neighbour is gone.
    NeighbourGone(MemberId),
}

/// What range sync looks at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whom the channel can be discussed with.
    pub neighbours: &'a [Neighbour],
    /// The first number whose header is not proven.
    pub first_missing: BlockNumber,
    /// The next number above it whose header is proven, if there is one.
    pub next_proven: Option<BlockNumber>,
    /// The last number that the window has room for.
    pub window_end: BlockNumber,
}

/// The header questions of one channel's catching up.
#[derive(Debug)]
pub struct State {
    config: Config,
    random: ChaCha8Rng,
    /// Highest number that a neighbour has mentioned, beyond the heights that it states.
    claims: BTreeMap<MemberId, BlockNumber>,
    failures: BTreeMap<MemberId, Failures>,
    /// The first missing number, and since when it has been known to exist.
    behind: Option<(BlockNumber, Monotonic)>,
    /// Whether the last headers came by range: the rest of the way is not waited for.
    is_catching_up: bool,
    recheck_at: Option<Monotonic>,
    question: Option<Question>,
    rest: Option<Rest>,
    /// The number that the last answer left missing all its time.
    rested: Option<BlockNumber>,
    questions: Vec<(MemberId, WantHeaders)>,
}

#[derive(Debug)]
struct Question {
    member: MemberId,
    first: BlockNumber,
    last: BlockNumber,
    /// The last number of its answer, once that has come.
    answered: Option<BlockNumber>,
    due: Monotonic,
}

/// How long the answer that left this number missing is given to be of use.
#[derive(Clone, Copy, Debug)]
struct Rest {
    by: MemberId,
    first: BlockNumber,
    until: Monotonic,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Answers that were given their time and left the first number missing, or were shorter than they could
    /// be. Honest ones do so while a config block below them is on its way: a reason to ask others first, and
    /// none to leave its giver alone.
    fruitless: u32,
    shunned_until: Monotonic,
}

impl Failures {
    fn none(now: Monotonic) -> Self {
        Self { count: 0, fruitless: 0, shunned_until: now }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_headers: 256,
            live_blocks: 16,
            patience: Duration::from_secs(1),
            question_timeout: Duration::from_secs(2),
            shunned_max: Duration::from_secs(60),
        }
    }
}

impl State {
    /// Nothing asked yet; `seed` feeds the choice among claimants.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: ChaCha8Rng::from_seed(seed),
            claims: BTreeMap::new(),
            failures: BTreeMap::new(),
            behind: None,
            is_catching_up: false,
            recheck_at: None,
            question: None,
            rest: None,
            rested: None,
            questions: Vec::new(),
        }
    }

    /// Handles one input; questions that follow are taken with [`State::take_questions`].
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>) {
        match input {
            Input::Check => {}
            Input::Claimed { by, number } => self.on_claimed(by, number, context),
            Input::Answered { by, through } => self.on_answered(now.monotonic, by, through),
            Input::Proven(member) => self.on_proven(now.monotonic, member, context),
            Input::Failed(member) => self.on_failed(now.monotonic, member),
            Input::NeighbourGone(member) => self.forget(member),
        }
        self.check(now.monotonic, context);
    }

    /// Questions for headers that follow from the inputs so far; the caller sends them and expects the
    /// answers.
    pub fn take_questions(&mut self) -> Vec<(MemberId, WantHeaders)> {
        std::mem::take(&mut self.questions)
    }

    /// Whether this member's answer from this number on would be history.
    pub fn is_asked(&self, member: MemberId, first: BlockNumber) -> bool {
        self.question.as_ref().is_some_and(|it| it.member == member && it.first == first)
    }

    /// When [`Input::Check`] is wanted.
    pub fn next_due(&self) -> Option<Monotonic> {
        self.recheck_at
    }

    fn on_claimed(&mut self, by: MemberId, number: BlockNumber, context: &Context<'_>) {
        if context.neighbours.iter().any(|it| it.member == by) {
            let claim = self.claims.entry(by).or_insert(number);
            *claim = number.max(*claim);
        }
    }

    fn on_answered(&mut self, now: Monotonic, member: MemberId, through: BlockNumber) {
        if let Some(question) = self.question.as_mut().filter(|it| it.member == member) {
            question.answered = Some(through);
            question.due = now.saturating_add(self.config.question_timeout);
        }
    }

    /// Headers that came unasked are no answer: who trickles them would never be found silent.
    fn on_proven(&mut self, now: Monotonic, member: MemberId, context: &Context<'_>) {
        let is_answered = |it: &mut Question| it.member == member && it.answered.is_some();
        let Some(Question { last, answered: Some(through), .. }) = self.question.take_if(is_answered) else {
            return;
        };
        self.is_catching_up = true;
        let first = context.first_missing;
        let its = context.neighbours.iter().find(|it| it.member == member);
        let claim = its.and_then(|it| self.claim(it)).unwrap_or(last);
        if first <= through {
            let until = now.saturating_add(self.config.question_timeout);
            self.rest = Some(Rest { by: member, first, until });
        } else if through >= last.min(claim) {
            self.failures.remove(&member);
        } else {
            self.count_fruitless(now, member);
        }
    }

    fn count_fruitless(&mut self, now: Monotonic, member: MemberId) {
        let failures = self.failures.entry(member).or_insert(Failures::none(now));
        failures.fruitless = failures.fruitless.saturating_add(1);
    }

    fn on_failed(&mut self, now: Monotonic, member: MemberId) {
        if self.question.take_if(|it| it.member == member).is_none() {
            return;
        }
        self.claims.remove(&member);
        let failures = self.failures.entry(member).or_insert(Failures::none(now));
        failures.count = failures.count.saturating_add(1);
        let shunned = self.config.patience.saturating_mul(1 << failures.count.min(16));
        failures.shunned_until = now.saturating_add(shunned.min(self.config.shunned_max));
    }

    fn forget(&mut self, member: MemberId) {
        self.claims.remove(&member);
        self.failures.remove(&member);
        self.question.take_if(|it| it.member == member);
        self.rest.take_if(|it| it.by == member);
    }

    fn check(&mut self, now: Monotonic, context: &Context<'_>) {
        self.recheck_at = None;
        if let Some(question) = &self.question {
            if question.due > now {
                self.recheck_at = Some(question.due);
                return;
            }
            self.on_failed(now, question.member);
        }
        match self.last_wanted(context) {
            Some(_) if self.is_resting(now, context.first_missing) => {}
            Some(last) => self.ask_if_due(now, last, context),
            None => (self.behind, self.is_catching_up) = (None, false),
        }
    }

    /// Whether the last answer is still given time. Its giver may be honest when that is over: it is asked
    /// last, and not left alone.
    fn is_resting(&mut self, now: Monotonic, first_missing: BlockNumber) -> bool {
        let Some(rest) = self.rest.filter(|rest| rest.first == first_missing) else {
            self.rest = None;
            return false;
        };
        if now < rest.until {
            self.recheck_at = Some(rest.until);
            return true;
        }
        self.rest = None;
        self.rested = Some(rest.first);
        self.count_fruitless(now, rest.by);
        false
    }

    /// The last number to ask for; `None` when no claim and no gap says that there is more.
    fn last_wanted(&self, context: &Context<'_>) -> Option<BlockNumber> {
        let claimed = context.neighbours.iter().filter_map(|it| self.claim(it)).max();
        let known = context.next_proven.and_then(BlockNumber::previous).or(claimed)?;
        let last = known.min(context.window_end);
        (last >= context.first_missing).then_some(last)
    }

    fn claim(&self, neighbour: &Neighbour) -> Option<BlockNumber> {
        let mentioned = self.claims.get(&neighbour.member).copied();
        neighbour.claimed_height.tip().max(mentioned)
    }

    fn ask_if_due(&mut self, now: Monotonic, last: BlockNumber, context: &Context<'_>) {
        let first = context.first_missing;
        let since = match self.behind {
            Some((number, since)) if number == first => since,
            _ => now,
        };
        self.behind = Some((first, since));
        let count = last.saturating_since(first).saturating_add(1);
        let patience_ends = since.saturating_add(self.config.patience);
        if count < self.config.live_blocks && !self.is_catching_up && now < patience_ends {
            self.recheck_at = Some(patience_ends);
            return;
        }
        let Some(member) = self.choose(now, context) else {
            let shunned = self.failures.values().map(|it| it.shunned_until);
            self.recheck_at = shunned.filter(|until| *until > now).min();
            return;
        };
        // What was answered and may yet be of use is not all asked for again: copies of it would pile up.
        let count_max = if self.rested == Some(first) { 1 } else { self.config.segment_headers };
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(count_max);
        let last = first.saturating_add(u64::from(count.saturating_sub(1)));
        let due = now.saturating_add(self.config.question_timeout);
        self.question = Some(Question { member, first, last, answered: None, due });
        self.questions.push((member, WantHeaders { first, count }));
        self.recheck_at = Some(due);
    }

    /// Somebody who claims the first missing number or, below a proven header, anybody; failures last.
    fn choose(&mut self, now: Monotonic, context: &Context<'_>) -> Option<MemberId> {
        let first = context.first_missing;
        let is_gap = context.next_proven.is_some();
        let mut candidates: Vec<(bool, u32, u64, MemberId)> = Vec::new();
        for neighbour in context.neighbours {
            let failures = self.failures.get(&neighbour.member);
            let is_shunned = failures.is_some_and(|it| it.shunned_until > now);
            let has_claimed = self.claim(neighbour).is_some_and(|claim| claim >= first);
            if !is_shunned && neighbour.first_block <= first && (has_claimed || is_gap) {
                let count = failures.map_or(0, |it| it.count.saturating_add(it.fruitless));
                candidates.push((!has_claimed, count, self.random.next_u64(), neighbour.member));
            }
        }
        candidates.into_iter().min().map(|(.., member)| member)
    }
}

#[cfg(test)]
mod tests;
