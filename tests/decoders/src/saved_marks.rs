//! High-water marks: what a peer reads back from its own disk, up to 4 MiB.
//!
//! Bound: 1 KiB and 6 times the input. Derived: of an entry of 56 bytes 56 are held, in nodes of a map that
//! are at least half full, and once more as bytes to be saved.

use crate::{Bound, Target, Trial};
use ledgercast_protocol::membership::resave_marks;

/// See the module.
pub const TARGET: Target =
    Target { name: "saved_marks", bound: Bound { base: 1024, factor: 6, parsed_max: 0 }, property: check };

/// Below what the inputs of a fuzzer hold, so that the bound is met.
const MARKS_MAX: usize = 16;

fn check(trial: &Trial<'_>) {
    let Some(saved) = trial.decode(|bytes| resave_marks(bytes, MARKS_MAX)) else { return };

    assert!(saved.len() <= trial.input().len());
    assert_eq!(resave_marks(saved.clone(), MARKS_MAX), Some(saved));
}
