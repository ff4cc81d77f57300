//! Waiting for a condition with a deadline, and saying what was missing when it did not come.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks until the condition gives a value.
///
/// # Errors
/// What was waited for, and what the last attempt lacked.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(lacking) if started.elapsed() >= deadline => {
                return Err(format!("waited {deadline:?} for {what}: {lacking}"));
            }
            Err(_) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
