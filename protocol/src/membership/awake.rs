//! The clock on which silence is measured: it stands still while my own process does.

use crate::time::Monotonic;
use std::time::Duration;

/// My awake time: the time in which my loop ran, and so could have heard others.
#[derive(Clone, Debug)]
pub(super) struct AwakeClock {
    counted: Duration,
    measured_at: Monotonic,
    lateness_max: Duration,
}

impl AwakeClock {
    pub(super) fn new(lateness_max: Duration) -> Self {
        Self { counted: Duration::ZERO, measured_at: Monotonic::ZERO, lateness_max }
    }

    pub(super) fn start(&mut self, now: Monotonic) {
        self.measured_at = now;
    }

    /// Counts the time since the last measurement; returns what of it was a pause, if any.
    pub(super) fn measure(&mut self, now: Monotonic) -> Option<Duration> {
        let gap = now.saturating_since(self.measured_at);
        self.counted = self.at(now);
        self.measured_at = now;
        gap.checked_sub(self.lateness_max).filter(|lost| !lost.is_zero())
    }

    /// The awake time at this instant.
    pub(super) fn at(&self, now: Monotonic) -> Duration {
        let gap = now.saturating_since(self.measured_at).min(self.lateness_max);
        self.counted.saturating_add(gap)
    }

    /// The awake time at the last measurement.
    pub(super) fn last(&self) -> Duration {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    #[test]
    fn counts_ordinary_lateness_and_drops_a_pause() {
        let mut clock = AwakeClock::new(Duration::from_secs(1));
        clock.start(at(10_000));

        assert_eq!(clock.measure(at(10_500)), None);
        assert_eq!(clock.measure(at(11_400)), None);
        assert_eq!(clock.at(at(11_500)), Duration::from_millis(1_500));
        assert_eq!(clock.measure(at(41_400)), Some(Duration::from_secs(29)));
        assert_eq!(clock.last(), Duration::from_millis(2_400));
    }

    #[test]
    fn a_clock_that_goes_back_counts_nothing() {
        let mut clock = AwakeClock::new(Duration::from_secs(1));
        clock.start(at(10_000));

        assert_eq!(clock.measure(at(9_000)), None);
        assert_eq!(clock.last(), Duration::ZERO);
    }
}
