//! Live headers whose body no push has begun to bring: what is missing for too long was withheld.
//!
//! Bounded by the window: one entry at most for each slot.

use crate::leadership::Withheld;
use crate::time::Monotonic;
use crate::types::{BlockNumber, MemberId};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct PushWatch {
    timeout: Duration,
    awaited: BTreeMap<BlockNumber, Monotonic>,
    in_a_row: u32,
    verdict: Option<Withheld>,
}

impl PushWatch {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, awaited: BTreeMap::new(), in_a_row: 0, verdict: None }
    }

    /// A live header was proven: its body should come by push.
    pub(super) fn expect(&mut self, number: BlockNumber, since: Monotonic) {
        self.awaited.insert(number, since);
    }

    /// A byte of the body came by push.
    pub(super) fn on_pushed(&mut self, number: BlockNumber) {
        self.in_a_row = 0;
        self.awaited.remove(&number);
    }

    /// Everything up to the tip is durable, wherever it came from.
    pub(super) fn on_committed(&mut self, tip: BlockNumber) {
        self.awaited = self.awaited.split_off(&tip.next());
    }

    /// I lead: I push myself, and wait for nobody.
    pub(super) fn clear(&mut self) {
        self.awaited.clear();
    }

    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.awaited.values().min().map(|since| since.saturating_add(self.timeout))
    }

    /// Draws the verdict on what is due. Whoever looks late was paused or busy and blames nobody for it.
    /// `missing` tells of a block whose body is not here which members of my org have said to have it;
    /// `postponed` until when its push waits behind others that come.
    pub(super) fn look(
        &mut self,
        now: Monotonic,
        missing: impl Fn(BlockNumber) -> Option<Vec<MemberId>>,
        postponed: impl Fn(BlockNumber) -> Option<Monotonic>,
    ) {
        let timeout = self.timeout;
        let is_due = |since: &Monotonic| since.saturating_add(timeout) <= now;
        let due = self.awaited.iter().filter(|(_, since)| is_due(since));
        let due: Vec<(BlockNumber, Monotonic)> = due.map(|(number, since)| (*number, *since)).collect();
        for (number, since) in due {
            self.awaited.remove(&number);
            if let Some(until) = postponed(number) {
                let wait = until.saturating_since(now);
                self.awaited.insert(number, since.saturating_add(wait));
                continue;
            }
            let is_late = now.saturating_since(since) > timeout + timeout / 2;
            if let Some(holders) = missing(number).filter(|_| !is_late) {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.verdict = Some(Withheld { number, since, in_a_row: self.in_a_row, holders });
            }
        }
    }

    pub(super) fn take_verdict(&mut self) -> Option<Withheld> {
        self.verdict.take()
    }
}
