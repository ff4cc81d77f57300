//! Fetching the bodies of proven headers from whoever has them: what a push did not bring, and history.
//!
//! - Each proven header without body is a task. A live one waits for the push: base time plus the body at a
//!   minimum rate; once frames come, never longer than the base time for the next one. History is asked for
//!   at once.
//! - In a burst headers overtake bodies. As long as pushed frames of other blocks come, a body may wait
//!   longer: for those that were ahead of it when its header was proven, at the minimum rate as well, up to
//!   `burst_wait_max`. Without such frames it is asked for as ever.
//! - When my org gets its first leader, that one pulls and pushes what it lacks. So a live body that nobody
//!   of my org has said to have is not asked for while that leader is awaited, and waits anew once it leads,
//!   unless questions for it are open. Later leaders follow one that may have withheld, and get no further
//!   time.
//! - First questions go to two holders, disjoint halves, when two frames or more are missing, else to one;
//!   to twice as many after each round that lapsed, up to four. Holders: who committed it, then who claims
//!   the height, then who announced it; the less busy first, my own org first; who let questions lapse comes
//!   later, who has committed offences last. Who says `Lacking` is replaced at once. Once questions have
//!   lapsed, members that have said nothing of the block are asked too, after the others: all who say that
//!   they have it may be liars. When nobody is left, a pause that doubles up to a cap, then anybody.
//! - After a false body the whole is asked from one holder at a time, so that the guilty one is known.
//!
//! Limits: `bodies_in_flight_max` tasks with open questions, lowest numbers first; the arena's room is asked
//! before, for all that is on its way.
//!
//! Resists: withholding (A11, A13, A17: time-outs, other holders), slow answers (A10: the cap per attempt).
//! Who withholds one block of a burst and sends others delays its repair, by `burst_wait_max` at most.

mod holders;
mod task;

use crate::output::Outbox;
use crate::time::{Monotonic, Now};
use crate::types::{BlockNumber, ChannelId, MemberId, Neighbour, OrgId};
use crate::wire::{ChannelMessage, Tip, WantBody};
pub use holders::Holding;
use holders::Ranking;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;
use task::Task;

/// Numbers of the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a holder has for the next frame, and a push for its first byte. Default 1 s (design
    /// baseline).
    pub frame_timeout: Duration,
    /// The rate that a transfer must reach in the end, in bytes per second. Default 1,000,000 (design
    /// baseline).
    pub bytes_per_second_min: u64,
    /// How much longer than alone a body waits for its push behind others, while they come. Default 8 s
    /// (guess: 8 MB at the minimum rate, as much as one lane holds).
    pub burst_wait_max: Duration,
    /// Bodies with open questions at a time; others wait, lowest numbers first. Default 16 (guess).
    pub bodies_in_flight_max: usize,
    /// Open questions per member before others are preferred. Default 4 (guess: a quarter of those in
    /// flight).
    pub questions_per_member: usize,
    /// The first pause after a round in which nobody had the body. Default 250 ms (guess).
    pub pause_min: Duration,
    /// The longest such pause. Default 4 s (derived: the interval of state infos, which bring new holders).
    pub pause_max: Duration,
}

/// What can happen to repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A header is proven and its body is wanted.
    Wanted {
        /// The block.
        tip: Tip,
        /// The body's length.
        body_bytes: u64,
        /// Whether no push is to be expected.
        is_history: bool,
    },
    /// A new frame came.
    Progress {
        /// Of which block.
        number: BlockNumber,
        /// From whom.
        from: MemberId,
    },
    /// All frames are here.
    Complete(BlockNumber),
    /// The body put together from several members is false.
    Mixed {
        /// The block.
        tip: Tip,
        /// The body's length.
        body_bytes: u64,
    },
    /// A member has just said that it has the block.
    Held {
        /// The block.
        number: BlockNumber,
        /// Who.
        by: MemberId,
    },
    /// A member said that it does not have the block.
    Lacking {
        /// Who.
        from: MemberId,
        /// The block.
        number: BlockNumber,
    },
    /// A neighbour is gone.
    NeighbourGone(MemberId),
    /// My org's first leader is expected.
    AwaitLeader {
        /// Until then at the latest.
        until: Monotonic,
    },
    /// My org has got its first leader, maybe me.
    FirstLeader,
    /// Blocks are committed: there may be room for others.
    Committed(BlockNumber),
    /// The time of [`State::next_due`] has come.
    TimerDue,
}

/// What repair looks at, outside itself.
pub trait Bodies {
    /// The frames of a body that are not here, in order.
    fn missing_frames(&self, number: BlockNumber) -> Vec<u32>;
    /// Whether the arena has room for this body beside so many bytes that are asked for and not here yet.
    fn has_room(&self, number: BlockNumber, promised_bytes: u64) -> bool;
    /// What a neighbour has said about a block.
    fn holding(&self, neighbour: &Neighbour, number: BlockNumber) -> Holding;
}

/// What repair decides with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// My org.
    pub org: OrgId,
    /// Whom the channel can be discussed with.
    pub neighbours: &'a [Neighbour],
    /// The bodies under way.
    pub bodies: &'a dyn Bodies,
}

/// The body questions of one channel.
#[derive(Debug)]
pub struct State {
    config: Config,
    random: ChaCha8Rng,
    tasks: BTreeMap<BlockNumber, Task>,
    due: BTreeSet<(Monotonic, BlockNumber)>,
    /// Due tasks that wait for a place in flight or in the arena.
    waiting: BTreeSet<BlockNumber>,
    /// Questions that members let lapse, since their last frame.
    lapses: BTreeMap<MemberId, u32>,
    /// When a frame came last that nobody was asked for.
    pushed: Option<Monotonic>,
    /// Until when my org's first leader is awaited.
    leader_awaited: Option<Monotonic>,
    questions_sent: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_timeout: Duration::from_secs(1),
            bytes_per_second_min: 1_000_000,
            burst_wait_max: Duration::from_secs(8),
            bodies_in_flight_max: 16,
            questions_per_member: 4,
            pause_min: Duration::from_millis(250),
            pause_max: Duration::from_secs(4),
        }
    }
}

impl State {
    /// No questions yet; `seed` feeds the choice among equal holders.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: ChaCha8Rng::from_seed(seed),
            tasks: BTreeMap::new(),
            due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            lapses: BTreeMap::new(),
            pushed: None,
            leader_awaited: None,
            questions_sent: 0,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Now, input: Input, context: &Context<'_>, out: &mut Outbox) {
        let now = now.monotonic;
        match input {
            Input::Wanted { tip, body_bytes, is_history } => self.on_wanted(now, tip, body_bytes, is_history),
            Input::Progress { number, from } => self.on_progress(now, number, from),
            Input::Complete(number) => self.forget(number),
            Input::Mixed { tip, body_bytes } => self.on_mixed(now, tip, body_bytes),
            Input::Held { number, by } => self.on_held(now, number, by, context),
            Input::Lacking { from, number } => self.on_lacking(now, from, number, context, out),
            Input::NeighbourGone(member) => self.on_gone(now, member, context, out),
            Input::AwaitLeader { until } => self.leader_awaited = Some(until),
            Input::FirstLeader => self.on_first_leader(now, context),
            Input::Committed(through) => self.on_committed(through),
            Input::TimerDue => {}
        }
        self.collect_due(now, context);
        self.ask_waiting(now, context, out);
    }

    /// When [`Input::TimerDue`] is wanted.
    pub fn next_due(&self) -> Option<Monotonic> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether a frame of this block is an answer, possibly a late one, to a question to this member.
    pub fn expects(&self, number: BlockNumber, from: MemberId) -> bool {
        self.tasks.get(&number).is_some_and(|task| match task.is_exclusive {
            true => task.open.contains_key(&from),
            false => task.asked_ever.contains(&from),
        })
    }

    /// Whether the body is now taken from one holder at a time.
    pub fn is_exclusive(&self, number: BlockNumber) -> bool {
        self.tasks.get(&number).is_some_and(|task| task.is_exclusive)
    }

    /// How many questions were asked for this block so far.
    pub fn questions(&self, number: BlockNumber) -> u32 {
        self.tasks.get(&number).map_or(0, |task| task.questions)
    }

    /// Whether bodies come by push at this time.
    pub fn are_pushes_flowing(&self, now: Monotonic) -> bool {
        self.pushed.is_some_and(|at| now.saturating_since(at) < self.config.frame_timeout)
    }

    /// Until when the push of this block is waited for behind others of its burst that come; none: it is not.
    pub fn push_awaited_until(&self, now: Monotonic, number: BlockNumber) -> Option<Monotonic> {
        self.tasks.get(&number).and_then(|task| self.postponed(now, task))
    }

    /// How many questions were asked in all.
    pub fn questions_sent(&self) -> u64 {
        self.questions_sent
    }

    fn deadline(&self, body_bytes: u64) -> Duration {
        self.config.frame_timeout.saturating_add(self.at_minimum_rate(body_bytes))
    }

    fn at_minimum_rate(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.config.bytes_per_second_min.max(1))
    }

    fn on_wanted(&mut self, now: Monotonic, tip: Tip, body_bytes: u64, is_history: bool) {
        let wait = if is_history { Duration::ZERO } else { self.deadline(body_bytes) };
        let due = now.saturating_add(wait);
        let burst_wait = if is_history { Duration::ZERO } else { self.burst_wait(tip.number) };
        let task = Task { burst_wait, is_live: !is_history, ..Task::new(tip, body_bytes, now, due) };
        self.tasks.insert(tip.number, task);
        self.due.insert((due, tip.number));
    }

    /// How much longer the push of this block may take because of those ahead of it.
    fn burst_wait(&self, number: BlockNumber) -> Duration {
        let ahead = self.tasks.range(..number).filter(|(_, task)| task.questions == 0);
        let bytes = ahead.fold(0_u64, |sum, (_, task)| sum.saturating_add(task.body_bytes));
        self.at_minimum_rate(bytes).min(self.config.burst_wait_max)
    }

    fn on_mixed(&mut self, now: Monotonic, tip: Tip, body_bytes: u64) {
        self.forget(tip.number);
        let task = Task { is_exclusive: true, ..Task::new(tip, body_bytes, now, now) };
        self.tasks.insert(tip.number, task);
        self.due.insert((now, tip.number));
    }

    fn on_progress(&mut self, now: Monotonic, number: BlockNumber, from: MemberId) {
        self.lapses.remove(&from);
        let Some(task) = self.tasks.get(&number) else {
            return;
        };
        if !task.asked_ever.contains(&from) {
            self.pushed = Some(now);
        }
        let end = task.started.saturating_add(self.deadline(task.body_bytes));
        let due = now.saturating_add(self.config.frame_timeout).min(end);
        if let Some(task) = self.tasks.get_mut(&number) {
            task.empty_rounds = 0;
        }
        // A task that is due already stays so.
        if !self.waiting.contains(&number) {
            self.reschedule(number, due);
        }
    }

    fn on_held(&mut self, now: Monotonic, number: BlockNumber, by: MemberId, context: &Context<'_>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.asked.remove(&by);
        if !task.is_in_flight() && task.empty_rounds > 0 {
            self.reschedule(number, now);
        } else if self.leader_awaited.is_some() {
            self.end_wait_for_leader(now, number, context);
        }
    }

    /// A body that was left to the first leader, and that somebody of my org has, is due as if it were not.
    fn end_wait_for_leader(&mut self, now: Monotonic, number: BlockNumber, context: &Context<'_>) {
        let Some(task) = self.tasks.get(&number).filter(|task| task.is_live && task.questions == 0) else {
            return;
        };
        // What is due already stays so.
        if !is_for_first_leader(task, context) && !self.waiting.contains(&number) {
            let due = task.started.saturating_add(self.deadline(task.body_bytes)).max(now);
            self.reschedule(number, due.min(task.due));
        }
    }

    fn on_lacking(
        &mut self,
        now: Monotonic,
        from: MemberId,
        number: BlockNumber,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        let range = self.tasks.get_mut(&number).and_then(|task| task.open.remove(&from));
        if let Some(range) = range {
            self.replace(now, number, range, context, out);
        }
    }

    fn on_gone(&mut self, now: Monotonic, member: MemberId, context: &Context<'_>, out: &mut Outbox) {
        self.lapses.remove(&member);
        let asked = |task: &mut Task| task.open.remove(&member).map(|range| (task.tip.number, range));
        let open: Vec<_> = self.tasks.values_mut().filter_map(asked).collect();
        for (number, range) in open {
            self.replace(now, number, range, context, out);
        }
    }

    /// What the leader lacks it streams from the orderer at once; what somebody of my org has it may
    /// have as well, and then it pushes nothing.
    fn on_first_leader(&mut self, now: Monotonic, context: &Context<'_>) {
        self.leader_awaited = None;
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.end_wait_for_leader(now, number, context);
        }
        let waits = |task: &Task| !task.is_in_flight() && is_for_first_leader(task, context);
        let tasks = self.tasks.iter().filter(|(_, task)| waits(task));
        for (number, body_bytes) in tasks.map(|it| (*it.0, it.1.body_bytes)).collect::<Vec<_>>() {
            let due = now.saturating_add(self.deadline(body_bytes));
            if let Some(task) = self.tasks.get_mut(&number) {
                task.started = now;
                // Who says now that it has the body is no reason to ask before the push had its time.
                task.empty_rounds = 0;
            }
            self.reschedule(number, due);
        }
    }

    fn on_committed(&mut self, through: BlockNumber) {
        let done: Vec<_> = self.tasks.range(..=through).map(|(number, _)| *number).collect();
        for number in done {
            self.forget(number);
        }
    }

    /// Asks somebody else for what one member turned out not to have.
    fn replace(
        &mut self,
        now: Monotonic,
        number: BlockNumber,
        range: Range<u32>,
        context: &Context<'_>,
        out: &mut Outbox,
    ) {
        match self.choose(number, 1, context).first() {
            Some(next) => self.ask(number, *next, range, context.channel, out),
            None if self.tasks.get(&number).is_some_and(|task| !task.is_in_flight()) => {
                self.pause(now, number)
            }
            None => {}
        }
    }

    fn collect_due(&mut self, now: Monotonic, context: &Context<'_>) {
        while let Some((due, number)) = self.due.first().copied()
            && due <= now
        {
            let task = self.tasks.get(&number);
            let for_leader = task.and_then(|task| self.postponed_for_leader(now, task, context));
            match for_leader.or_else(|| self.postponed(now, task?)) {
                Some(later) => self.reschedule(number, later),
                None => {
                    self.due.remove(&(due, number));
                    self.waiting.insert(number);
                }
            }
        }
    }

    /// Until when a push that is due is waited for all the same: others before it in its burst still come.
    fn postponed(&self, now: Monotonic, task: &Task) -> Option<Monotonic> {
        let end = task.started.saturating_add(self.deadline(task.body_bytes)).saturating_add(task.burst_wait);
        let flows_until = self.pushed?.saturating_add(self.config.frame_timeout);
        (task.questions == 0 && task.empty_rounds == 0)
            .then_some(end.min(flows_until))
            .filter(|later| *later > now && !task.burst_wait.is_zero())
    }

    /// Until when a body that is due is not asked for, because my org's first leader will bring it.
    fn postponed_for_leader(&self, now: Monotonic, task: &Task, context: &Context<'_>) -> Option<Monotonic> {
        let until = self.leader_awaited.filter(|until| *until > now)?;
        let has_begun = (context.bodies.missing_frames(task.tip.number).len() as u64) < task.frame_count();
        let is_left = task.questions == 0 && !has_begun && is_for_first_leader(task, context);
        is_left.then_some(until)
    }

    /// Opens questions for due tasks: again for those in flight, and for others, lowest number first, as long
    /// as there are places and room.
    fn ask_waiting(&mut self, now: Monotonic, context: &Context<'_>, out: &mut Outbox) {
        if self.waiting.is_empty() {
            return;
        }
        let in_flight: Vec<BlockNumber> =
            self.tasks.iter().filter(|it| it.1.is_in_flight()).map(|it| *it.0).collect();
        let mut places = self.config.bodies_in_flight_max.saturating_sub(in_flight.len());
        // What is on its way needs its place too, else it comes and is refused.
        let mut promised = in_flight.iter().map(|number| self.promised_bytes(*number, context)).sum::<u64>();
        for number in in_flight {
            if self.waiting.remove(&number) {
                self.ask_round(now, number, context, out);
            }
        }
        while places > 0
            && let Some(number) = self.waiting.first().copied()
            && context.bodies.has_room(number, promised)
        {
            self.waiting.remove(&number);
            self.ask_round(now, number, context, out);
            if self.tasks.get(&number).is_some_and(Task::is_in_flight) {
                places -= 1;
                promised = promised.saturating_add(self.promised_bytes(number, context));
            }
        }
    }

    /// The bytes of a body of which nothing is here yet.
    fn promised_bytes(&self, number: BlockNumber, context: &Context<'_>) -> u64 {
        let Some(task) = self.tasks.get(&number) else {
            return 0;
        };
        let is_begun = (context.bodies.missing_frames(number).len() as u64) < task.frame_count();
        if is_begun { 0 } else { task.body_bytes }
    }

    /// One attempt: whoever still owes an answer has let it lapse; the missing frames are asked from others.
    fn ask_round(&mut self, now: Monotonic, number: BlockNumber, context: &Context<'_>, out: &mut Outbox) {
        let missing = context.bodies.missing_frames(number);
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let lapsed = std::mem::take(&mut task.open);
        for (member, range) in &lapsed {
            if missing.iter().any(|frame| range.contains(frame)) {
                let lapses = self.lapses.entry(*member).or_default();
                *lapses = lapses.saturating_add(1);
            }
        }
        if !lapsed.is_empty() {
            task.rounds_lapsed = task.rounds_lapsed.saturating_add(1);
        }
        let ranges = task.ranges(&missing);
        let mut chosen = self.choose(number, ranges.len(), context);
        if chosen.is_empty() && !lapsed.is_empty() {
            // Everybody at all was asked, and the time-out was pause enough.
            if let Some(task) = self.tasks.get_mut(&number) {
                task.asked.clear();
            }
            chosen = self.choose(number, ranges.len(), context);
        }
        if chosen.is_empty() {
            return self.pause(now, number);
        }
        for (index, range) in ranges.iter().enumerate() {
            // With fewer holders than questions nobody is asked the same twice.
            let member = chosen[index % chosen.len()];
            if !ranges[..index].iter().skip(index % chosen.len()).step_by(chosen.len()).any(|it| it == range)
            {
                self.ask(number, member, range.clone(), context.channel, out);
            }
        }
        let due = now.saturating_add(self.config.frame_timeout);
        if let Some(task) = self.tasks.get_mut(&number) {
            task.started = now;
        }
        self.reschedule(number, due);
    }

    fn choose(&mut self, number: BlockNumber, count: usize, context: &Context<'_>) -> Vec<MemberId> {
        let Some(task) = self.tasks.get(&number) else {
            return Vec::new();
        };
        let mut load: BTreeMap<MemberId, usize> = BTreeMap::new();
        for member in self.tasks.values().flat_map(|task| task.open.keys()) {
            *load.entry(*member).or_default() += 1;
        }
        let ranking = Ranking {
            number,
            org: context.org,
            load: &load,
            load_preferred: self.config.questions_per_member,
            lapses: &self.lapses,
            // Those who say that they have it may be silent liars, all of them.
            is_anybody: task.empty_rounds > 0 || task.rounds_lapsed > 0,
        };
        let candidates = context.neighbours.iter().filter(|it| !task.asked.contains(&it.member));
        ranking.choose(candidates, count, context.bodies, &mut self.random)
    }

    fn ask(
        &mut self,
        number: BlockNumber,
        member: MemberId,
        range: Range<u32>,
        channel: ChannelId,
        out: &mut Outbox,
    ) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let range = task.note_question(member, range);
        self.questions_sent += 1;
        let want = WantBody { tip: task.tip, first_frame: range.start, frame_count: range.end - range.start };
        out.send_channel(member, channel, ChannelMessage::WantBody(want));
    }

    /// Nobody is left to ask: everybody may be asked again after a pause.
    fn pause(&mut self, now: Monotonic, number: BlockNumber) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.asked.clear();
        let doubled = self.config.pause_min.saturating_mul(1 << task.empty_rounds.min(16));
        task.empty_rounds = task.empty_rounds.saturating_add(1);
        self.reschedule(number, now.saturating_add(doubled.min(self.config.pause_max)));
    }

    fn reschedule(&mut self, number: BlockNumber, due: Monotonic) {
        if let Some(task) = self.tasks.get_mut(&number) {
            self.due.remove(&(task.due, number));
            self.waiting.remove(&number);
            task.due = due;
            self.due.insert((due, number));
        }
    }

    fn forget(&mut self, number: BlockNumber) {
        if let Some(task) = self.tasks.remove(&number) {
            self.due.remove(&(task.due, number));
            self.waiting.remove(&number);
        }
    }
}

/// Whether the first leader of my org is who is to bring this body: nobody of my org has it.
fn is_for_first_leader(task: &Task, context: &Context<'_>) -> bool {
    let mut mine = context.neighbours.iter().filter(|neighbour| neighbour.org == context.org);
    task.is_live && !mine.any(|it| context.bodies.holding(it, task.tip.number) <= Holding::Claimed)
}

#[cfg(test)]
mod tests;
