//! Values that parse and cannot work: found when a file is read, so that the error names the key's line.

use std::time::Duration;

/// The most places that a queue or table may have by configuration: some are reserved at the start, and more
/// is a mistyped number.
const PLACES_MAX: usize = 1_000_000;

/// A value that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What is wrong, and the cure.
    pub error: String,
}

impl WrongValue {
    pub(super) fn new(section: &'static str, key: &'static str, error: impl ToString) -> Self {
        Self { section, key, error: error.to_string() }
    }
}

/// Keys of a section that are sizes of queues or tables: at least 1, and not absurd.
pub(super) fn places(section: &'static str, keys: &[(&'static str, usize)]) -> Result<(), WrongValue> {
    match keys.iter().find(|(_, places)| !(1..=PLACES_MAX).contains(places)) {
        Some((key, places)) => {
            Err(WrongValue::new(section, key, format!("{places} is not possible; set 1 to {PLACES_MAX}")))
        }
        None => Ok(()),
    }
}

/// A time-out that a living other side can keep, or a pause between two looks, that ends.
pub(super) fn timeout(section: &'static str, key: &'static str, time: Duration) -> Result<(), WrongValue> {
    const TIMEOUT_MIN: Duration = Duration::from_millis(10);
    const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
    match (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&time) {
        true => Ok(()),
        false => {
            Err(WrongValue::new(section, key, format!("{time:?} is not possible; set \"10ms\" to \"1h\"")))
        }
    }
}
