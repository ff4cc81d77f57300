//! What a leader asks of the orderer's feed: as many blocks as there is room for.

use super::window::Window;
use crate::time::Monotonic;
use crate::types::BlockNumber;
use std::time::Duration;

/// How long a feed rests after it brought a false block. A guess: long enough not to be a flood.
const REST: Duration = Duration::from_secs(1);

/// A feed that would bring this many blocks that are here already is begun anew above them. A guess: about
/// what a new connection costs.
const SKIPPED_MIN: u64 = 16;

#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) is_leading: bool,
    is_up: Option<bool>,
    /// The last number that was asked for.
    requested: Option<BlockNumber>,
    /// The number that the feed brings next.
    expected: BlockNumber,
    /// The newest number that came in its turn since the feed was started.
    received: Option<BlockNumber>,
    rests_until: Option<Monotonic>,
}

/// What the feed is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedRequest {
    /// Bring these blocks, first and last.
    Feed(BlockNumber, BlockNumber),
    /// A block was lost on the way here, or others brought many meanwhile: begin again at the first.
    Restart(BlockNumber, BlockNumber),
}

impl Feed {
    /// Whether an orderer can be reached, as far as is known: only a leader that failed knows better.
    pub(super) fn can_reach_orderer(&self) -> bool {
        !self.is_leading || self.is_up.unwrap_or(true)
    }

    /// Starts or stops leading; whether a running feed is to be stopped.
    pub(super) fn set_leading(&mut self, is_leading: bool) -> bool {
        self.is_leading = is_leading;
        self.is_up = None;
        self.received = None;
        !is_leading && self.requested.take().is_some()
    }

    /// A feed that was lost goes on by itself where it was.
    pub(super) fn set_up(&mut self, is_up: bool) {
        self.is_up = Some(is_up);
    }

    /// Notes a block that came. What was on its way when the feed was restarted is out of turn.
    pub(super) fn on_received(&mut self, number: BlockNumber) {
        if number == self.expected {
            self.expected = number.next();
            self.received = Some(number);
        }
    }

    /// A block was false: stop, and ask again after a rest.
    pub(super) fn rest(&mut self, now: Monotonic) -> bool {
        self.rests_until = Some(now.saturating_add(REST));
        self.received = None;
        self.requested.take().is_some()
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.rests_until.filter(|_| self.is_leading)
    }

    /// What is to be asked now, if anything.
    pub(super) fn request(
        &mut self,
        now: Monotonic,
        window: &Window,
        blocks_max: u64,
    ) -> Option<FeedRequest> {
        if !self.is_leading || self.rests_until.is_some_and(|until| until > now) {
            return None;
        }
        self.rests_until = None;
        let first = window.lowest_missing();
        let credit = match window.room_for_largest() {
            0 => u64::from(window.has_room_for_largest(first)),
            blocks => blocks.min(blocks_max),
        };
        let through = first.saturating_add(credit.saturating_sub(1)).min(window.end());
        if credit == 0 || first > through {
            return None;
        }
        let Some(last_through) = self.requested else {
            self.start(first, through);
            return Some(FeedRequest::Feed(first, through));
        };
        let is_one_lost = self.received.is_some_and(|received| received >= first);
        if is_one_lost || first.saturating_since(self.expected) > SKIPPED_MIN {
            self.start(first, through);
            return Some(FeedRequest::Restart(first, through));
        }
        // Half of the credit at a time, so that not every block costs a request; at once when the feed has
        // run dry.
        let is_dry = first > last_through;
        let gain = through.saturating_since(last_through);
        if through > last_through && (is_dry || gain >= credit.div_ceil(2)) {
            self.requested = Some(through);
            return Some(FeedRequest::Feed(first, through));
        }
        None
    }

    fn start(&mut self, first: BlockNumber, through: BlockNumber) {
        self.requested = Some(through);
        self.expected = first;
        self.received = None;
    }
}
