//! The only place where the node reads clocks for the protocol.

use ledgercast_protocol::{Monotonic, Now, WallTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of this process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The current time on both clocks.
    pub fn now(&self) -> Now {
        // A wall clock before 1970 counts as 1970: peers then refuse our statements and say why.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            monotonic: Monotonic::new(self.start.elapsed()),
            wall: WallTime::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The tokio instant of a point on the monotonic clock.
    pub fn instant(&self, at: Monotonic) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + at.since_start())
    }
}
