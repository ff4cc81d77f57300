//! Nearest-rank quantiles of times.

use serde::Serialize;
use std::time::Duration;

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) last: f64,
}

impl Quantiles {
    /// Of these times; `None` when there are none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let last = *times.last()?;
        let at = |percent: usize| {
            // Nearest rank: the smallest time that this share of all does not exceed.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            milliseconds(times[rank - 1])
        };
        Some(Self { p50: at(50), p95: at(95), p99: at(99), last: milliseconds(last) })
    }
}

/// A time in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_nearest_rank() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();

        let quantiles = Quantiles::of(times);

        assert_eq!(quantiles, Some(Quantiles { p50: 100.0, p95: 190.0, p99: 198.0, last: 200.0 }));
    }

    #[test]
    fn one_time_is_every_quantile_and_none_has_no_answer() {
        let one = Quantiles::of(vec![Duration::from_millis(7)]);

        assert_eq!(one, Some(Quantiles { p50: 7.0, p95: 7.0, p99: 7.0, last: 7.0 }));
        assert_eq!(Quantiles::of(Vec::new()), None);
    }
}
