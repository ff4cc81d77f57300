//! How much longer this machine takes for short work after a rest than for the same work in a row.
//!
//! An idle peer's work comes in pieces of a twentieth of a millisecond. Where many share a machine, the
//! caches are cold after each rest, and a piece takes a multiple of its time; the kernel counts that as the
//! process's own.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As often as an idle peer wakes up, about.
const REST: Duration = Duration::from_millis(50);
/// A piece is about as long as an idle peer's where caches stay warm (0.1 % of a core at 25 wake-ups a
/// second), and touches as much memory as a few tasks and their code. A guess.
const TABLE_BYTES: usize = 256 << 10;
const STEPS: usize = 4_000;
const STEADY_PIECES: usize = 200;

/// Works in short pieces for as long as this, and gives how many times more of a processor the median piece
/// took than the median of the same pieces without rests; at least 1.
pub(super) fn slowdown(during: Duration) -> f64 {
    let mut table = vec![1u8; TABLE_BYTES];
    let mut at = 0;
    let mut piece = || {
        let started = on_processor();
        for _ in 0..STEPS {
            // Steps that no prefetcher foresees.
            at = (at * 5 + 4099 + usize::from(table[at])) % TABLE_BYTES;
            table[at] = table[at].wrapping_add(1);
        }
        black_box(&table);
        on_processor().saturating_sub(started)
    };
    let steady = median((0..STEADY_PIECES).map(|_| piece()).collect());
    let mut rested = Vec::new();
    let started = Instant::now();
    while started.elapsed() < during {
        std::thread::sleep(REST);
        rested.push(piece());
    }
    (median(rested).as_secs_f64() / steady.as_secs_f64().max(1e-9)).max(1.0)
}

/// The time that this thread has had on a processor: waiting for one is nobody's slowness.
fn on_processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
