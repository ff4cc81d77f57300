//! Keeps equal log lines from flooding: each kind is written once in a while, with the count of those left
//! out. The kinds are named in the code, so there are only so many.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of one kind are written once in this time. A guess: often enough to see that it goes on.
const INTERVAL: Duration = Duration::from_secs(10);

/// What a line is about: its message, and the reason in it if it has one.
type Kind = (&'static str, &'static str);

/// Writes a log line, unless one with the same message was written a moment ago: `thinned!(error, "message",
/// %field)`.
macro_rules! thinned {
    ($level:ident, $message:literal, $($field:tt)+) => {
        if let Some(left_out) = $crate::thinning::pass($message, "") {
            tracing::$level!($($field)+, left_out, $message);
        }
    };
}

pub(crate) use thinned;

static LINES: Thinning = Thinning::new();

/// Whether a line of this kind is to be written now, and then how many were left out since the last one.
pub(crate) fn pass(message: &'static str, reason: &'static str) -> Option<u64> {
    LINES.pass((message, reason), Instant::now())
}

struct Thinning(Mutex<BTreeMap<Kind, Written>>);

struct Written {
    at: Instant,
    left_out: u64,
}

impl Thinning {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    fn pass(&self, kind: Kind, now: Instant) -> Option<u64> {
        // A panic elsewhere leaves the counts whole.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(&kind) {
            Some(written) if now.duration_since(written.at) < INTERVAL => {
                written.left_out = written.left_out.saturating_add(1);
                None
            }
            _ => {
                let before = lines.insert(kind, Written { at: now, left_out: 0 });
                Some(before.map_or(0, |written| written.left_out))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_lines_one_in_an_interval_passes_with_the_count_of_the_others() {
        let (lines, start) = (Thinning::new(), Instant::now());
        let pass = |reason, millis| lines.pass(("offence", reason), start + Duration::from_millis(millis));

        assert_eq!(pass("malformed", 0), Some(0));
        assert_eq!((1..=500).filter_map(|millis| pass("malformed", millis)).count(), 0);
        assert_eq!(pass("bad_signature", 500), Some(0), "another kind has its own count");
        assert_eq!(pass("malformed", 10_000), Some(500));
        assert_eq!(pass("malformed", 20_000), Some(0));
    }
}
