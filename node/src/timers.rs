//! Timers that the core has set, by time; an equal timer replaces the one before.

use ledgercast_protocol::{Monotonic, Timer};
use std::collections::{BTreeMap, BTreeSet};

/// Pending timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due_at: BTreeMap<Timer, Monotonic>,
    queue: BTreeSet<(Monotonic, Timer)>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(crate) fn set(&mut self, timer: Timer, at: Monotonic) {
        if let Some(before) = self.due_at.insert(timer, at) {
            self.queue.remove(&(before, timer));
        }
        self.queue.insert((at, timer));
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Monotonic> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop_due(&mut self, now: Monotonic) -> Option<Timer> {
        let (at, timer) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.due_at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    #[test]
    fn timers_come_due_in_order_and_an_equal_one_replaces() {
        let mut timers = Timers::default();
        timers.set(Timer::Alive, at(5));
        timers.set(Timer::Dial, at(7));
        timers.set(Timer::Alive, at(9));

        assert_eq!(timers.pop_due(at(6)), None);
        assert_eq!(timers.pop_due(at(10)), Some(Timer::Dial));
        assert_eq!(timers.next(), Some(at(9)));
        assert_eq!(timers.pop_due(at(10)), Some(Timer::Alive));
        assert_eq!(timers.pop_due(at(10)), None);
    }
}
