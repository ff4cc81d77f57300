//! Bounds and times of submission.

use serde::Deserialize;
use std::time::Duration;

/// Bounds and times of submission.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Envelopes sent and not yet answered. Default 1000 (derived: two blocks of the default size, so that
    /// blocks are cut when they are full and not when their time is out).
    pub in_flight_max: usize,
    /// Their bytes together; a single larger one travels alone. Default 16 MiB (guess).
    pub in_flight_bytes_max: usize,
    /// First pause after a failure; doubles with each, starts over with each answer. Default 100 ms (guess).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub backoff_min: Duration,
    /// Longest pause. Default 5 s (guess).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub backoff_max: Duration,
    /// Without any answer for this long, submission fails. Default 60 s (guess: an orderer restarts in less).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub give_up_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            in_flight_max: 1000,
            in_flight_bytes_max: 16 * 1024 * 1024,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            give_up_after: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Checks that these values can work.
    ///
    /// # Errors
    /// Names the first key that cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.in_flight_max == 0 {
            return Err("in_flight_max is 0, must be at least 1".to_owned());
        }
        if self.backoff_min.is_zero() {
            return Err("backoff_min is 0, must be more".to_owned());
        }
        Ok(())
    }
}
