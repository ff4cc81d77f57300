//! How far a source's blocks lag behind their headers, summed over its last blocks.
//!
//! A block's lag is how long it was waited for while its header was proven and the block before it had come,
//! less the time that its body takes on my link. The sum is bounded, not each lag: a source that delays every
//! block by a little costs one time-out in total.

use std::collections::VecDeque;
use std::time::Duration;

/// A transfer shorter than this tells no rate: what comes in one read was waiting already.
const SAMPLE_MIN: Duration = Duration::from_millis(10);

/// The rate that every link is taken to have, in bytes a second: a source that is slow from the start must
/// not set its own measure.
const RATE_MIN: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct LagMeter {
    blocks: usize,
    tolerance: Duration,
    lags: VecDeque<Duration>,
    /// Of the same number of blocks, over all sources: the link is mine.
    rates: VecDeque<u64>,
}

impl LagMeter {
    pub(super) fn new(blocks: usize, tolerance: Duration) -> Self {
        Self { blocks: blocks.max(1), tolerance, lags: VecDeque::new(), rates: VecDeque::new() }
    }

    /// The time that a body may take: twice what it takes at the best rate seen, and what is not worth
    /// counting.
    pub(super) fn allowed(&self, body_bytes: u64) -> Duration {
        let best = self.rates.iter().copied().max().unwrap_or(RATE_MIN).max(RATE_MIN);
        let micros = u128::from(body_bytes) * 2_000_000 / u128::from(best);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).saturating_add(self.tolerance)
    }

    /// A block came after this wait; returns the sum over the last blocks.
    pub(super) fn note(&mut self, waited: Duration, body_bytes: u64) -> Duration {
        let lag = waited.saturating_sub(self.allowed(body_bytes));
        let micros = waited.max(SAMPLE_MIN).as_micros().max(1);
        let rate = u128::from(body_bytes) * 1_000_000 / micros;
        push(&mut self.rates, u64::try_from(rate).unwrap_or(u64::MAX), self.blocks);
        push(&mut self.lags, lag, self.blocks);
        self.sum()
    }

    pub(super) fn sum(&self) -> Duration {
        self.lags.iter().fold(Duration::ZERO, |sum, lag| sum.saturating_add(*lag))
    }

    /// Whether as many blocks have come as are judged together.
    pub(super) fn is_full(&self) -> bool {
        self.lags.len() >= self.blocks
    }

    /// Another source, or another try: nothing is held against it.
    pub(super) fn restart(&mut self) {
        self.lags.clear();
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T, length: usize) {
    if ring.len() >= length {
        ring.pop_front();
    }
    ring.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_millis(20);

    #[test]
    fn lags_below_the_tolerance_do_not_add_up() {
        let mut meter = LagMeter::new(64, TOLERANCE);

        for _ in 0..100 {
            assert_eq!(meter.note(TOLERANCE, 1000), Duration::ZERO);
        }

        assert!(meter.is_full());
    }

    #[test]
    fn a_large_body_has_the_time_that_it_takes_at_the_best_rate_seen() {
        let mut meter = LagMeter::new(4, TOLERANCE);
        assert_eq!(meter.allowed(1_000_000), Duration::from_millis(2_020));

        meter.note(Duration::from_millis(100), 1_000_000);
        assert_eq!(meter.allowed(1_000_000), Duration::from_millis(220));

        assert_eq!(meter.note(Duration::from_millis(320), 1_000_000), Duration::from_millis(100));
    }

    #[test]
    fn only_the_last_blocks_count() {
        let mut meter = LagMeter::new(4, TOLERANCE);
        meter.note(Duration::from_secs(1), 0);

        for _ in 0..4 {
            meter.note(Duration::ZERO, 0);
        }

        assert_eq!(meter.sum(), Duration::ZERO);
    }
}
