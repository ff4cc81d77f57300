//! The stream of blocks that a leader follows: how much is asked for, and whether it comes in time.

use super::source::Source;
use super::{FeedKind, Room, State, Turn};
use crate::output::{Outbox, Output};
use crate::time::Monotonic;
use crate::types::{BlockNumber, FeedId, SourceId};

/// A stream that would bring this many blocks that are here already is begun anew above them. A guess: about
/// what a new connection costs.
const SKIPPED_MIN: u64 = 16;

#[derive(Debug)]
pub(super) struct Pull {
    pub(super) source: SourceId,
    feed: FeedId,
    /// The last number that was asked for.
    through: BlockNumber,
    /// The number that the stream brings next.
    expected: BlockNumber,
    /// The newest number that came in its turn.
    received: Option<BlockNumber>,
    /// Since when the expected block could have been sent, as far as it depends on me.
    pub(super) waiting_since: Monotonic,
    /// Blocks below came from others in the meantime, and that has been counted.
    judged_below: BlockNumber,
}

impl State {
    /// A block came on a stream.
    pub fn on_block(
        &mut self,
        now: Monotonic,
        feed: FeedId,
        number: BlockNumber,
        room: &dyn Room,
        out: &mut Outbox,
    ) -> Turn {
        let Some(id) = self.source_of(feed) else {
            return Turn::Stale;
        };
        let Some(pull) = self.pull.as_mut().filter(|pull| pull.source == id && pull.expected == number)
        else {
            self.handle_false(now, id, "block_out_of_turn", out);
            return Turn::OutOfTurn;
        };
        let is_first = pull.received.is_none();
        pull.received = Some(number);
        pull.expected = number.next();
        let since = std::mem::replace(&mut pull.waiting_since, now);
        let is_judged = number < pull.judged_below;
        let proven = room.proven(number).filter(|_| !is_judged);
        if let Some(proven) = proven {
            let waited = now.saturating_since(since.max(proven.at));
            self.meter.note(waited, proven.body_bytes);
        } else if !is_judged {
            self.meter.note(std::time::Duration::ZERO, 0);
        }
        let is_cleared = self.meter.is_full() && self.meter.sum() < self.config.lag_allowance;
        if let Some(source) = self.sources.get_mut(&id) {
            source.progress();
            if is_cleared {
                source.clear_suspicion();
            }
        }
        if is_first { Turn::First(id) } else { Turn::Next(id) }
    }

    /// Changes the source when its blocks lag, and another one could be tried.
    pub(super) fn judge_lag(&mut self, now: Monotonic, room: &dyn Room, out: &mut Outbox) {
        self.count_what_others_brought(now, room);
        let Some(pull) = &self.pull else {
            return;
        };
        let (id, number) = (pull.source, pull.expected);
        let due = self.lag_due(room).filter(|due| *due <= now);
        let lag = match due {
            // Who looks this late was paused or busy, and blames nobody for it.
            Some(due) if now.saturating_since(due) > self.config.lag_allowance / 2 => {
                self.meter.restart();
                return self.begin_waiting(now);
            }
            Some(_) => self.config.lag_allowance,
            None => self.meter.sum(),
        };
        if lag < self.config.lag_allowance {
            return;
        }
        self.meter.restart();
        let is_other = |source: &Source| source.kind() != Some(FeedKind::Blocks) && !source.is_suspected(now);
        match self.best(now, is_other) {
            Some(_) => self.suspect(now, id, number, lag, out),
            None => self.begin_waiting(now),
        }
    }

    fn begin_waiting(&mut self, now: Monotonic) {
        if let Some(pull) = &mut self.pull {
            pull.waiting_since = now;
        }
    }

    /// A block that others brought first was withheld up to now.
    fn count_what_others_brought(&mut self, now: Monotonic, room: &dyn Room) {
        let Some(pull) = &mut self.pull else {
            return;
        };
        let is_open = self.sources.get(&pull.source).is_some_and(Source::is_open);
        let first = room.first_missing();
        if !is_open || first <= pull.expected || first <= pull.judged_below {
            return;
        }
        let is_news = pull.judged_below <= pull.expected;
        pull.judged_below = first;
        let since = std::mem::replace(&mut pull.waiting_since, now);
        if is_news && let Some(proven) = room.proven(pull.expected) {
            self.meter.note(now.saturating_since(since.max(proven.at)), proven.body_bytes);
        }
    }

    /// When the expected block must be here, as long as nothing else happens.
    pub(super) fn lag_due(&self, room: &dyn Room) -> Option<Monotonic> {
        let pull = self.pull.as_ref()?;
        let is_open = self.sources.get(&pull.source).is_some_and(Source::is_open);
        // What others brought is not waited for, only the time that it takes on the stream.
        let owed = pull.expected.max(pull.judged_below);
        if !is_open || self.sources.len() < 2 || owed > pull.through {
            return None;
        }
        let proven = room.proven(owed)?;
        let left = self.config.lag_allowance.saturating_sub(self.meter.sum());
        let ahead = u32::try_from(owed.saturating_since(pull.expected)).unwrap_or(u32::MAX);
        let bodies = self.meter.allowed(proven.body_bytes).saturating_mul(ahead.saturating_add(1));
        Some(pull.waiting_since.max(proven.at).saturating_add(bodies).saturating_add(left))
    }

    /// Asks for as many blocks as there is room for, from the source that is best to ask.
    pub(super) fn pull_blocks(&mut self, now: Monotonic, room: &dyn Room, out: &mut Outbox) {
        let first = room.first_missing();
        let Some(through) = room.last_wanted(first) else {
            return;
        };
        let Some(pull) = &self.pull else {
            if let Some(id) = self.best(now, |_| true) {
                self.meter.restart();
                self.begin(now, id, first, through, out);
            }
            return;
        };
        let is_one_lost = pull.received.is_some_and(|received| received >= first);
        if is_one_lost || first.saturating_since(pull.expected) > SKIPPED_MIN {
            return self.begin(now, pull.source, first, through, out);
        }
        self.extend(now, first, through, out);
    }

    fn begin(
        &mut self,
        now: Monotonic,
        source: SourceId,
        first: BlockNumber,
        through: BlockNumber,
        out: &mut Outbox,
    ) {
        let feed = FeedId(self.feed_next);
        self.open(source, FeedKind::Blocks, Some((first, through)), out);
        let (expected, judged_below, waiting_since) = (first, first, now);
        let received = None;
        self.pull = Some(Pull { source, feed, through, expected, received, waiting_since, judged_below });
    }

    /// Half of the room at a time, so that not every block costs a request; at once when the stream has run
    /// dry.
    fn extend(&mut self, now: Monotonic, first: BlockNumber, through: BlockNumber, out: &mut Outbox) {
        let Some(pull) = &mut self.pull else {
            return;
        };
        let is_dry = pull.expected > pull.through;
        let (gain, room) = (through.saturating_since(pull.through), through.saturating_since(first) + 1);
        if through > pull.through && (is_dry || gain >= room.div_ceil(2)) {
            pull.through = through;
            if is_dry {
                pull.waiting_since = now;
            }
            out.push(Output::ExtendFeed { channel: self.channel, feed: pull.feed, through });
        }
    }
}
