//! A node's two clocks: a monotonic one from its process's start, and a wall clock that may be wrong and
//! may jump.

use ledgercast_protocol::{Monotonic, Now, WallTime};
use std::time::Duration;

/// True wall-clock time at the world's start, in milliseconds since the Unix epoch.
pub(crate) const WORLD_START_MILLIS: u64 = 1_800_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How far the wall clock is ahead of the truth, in milliseconds; negative when it is behind.
    pub(crate) skew_millis: i64,
}

impl Clock {
    /// What a process started at `started` reads at `at`.
    pub(crate) fn now(&self, at: Duration, started: Duration) -> Now {
        let truth = WORLD_START_MILLIS + u64::try_from(at.as_millis()).unwrap_or(u64::MAX / 2);
        Now {
            monotonic: Monotonic::new(at.saturating_sub(started)),
            wall: WallTime::from_millis(truth.saturating_add_signed(self.skew_millis)),
        }
    }
}
