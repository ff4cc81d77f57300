//! Evidence: files that anybody may hand to anybody.
//!
//! Bound: 4 KiB and 8 times the input. Derived: as headers; bodies are slices of the input.

use crate::{Bound, Target, Trial};
use ledgercast_protocol::evidence::Evidence;

/// See the module.
pub const TARGET: Target =
    Target { name: "evidence", bound: Bound { base: 4 * 1024, factor: 8, parsed_max: 0 }, property: check };

fn check(trial: &Trial<'_>) {
    let Ok(evidence) = trial.decode(Evidence::decode) else { return };

    assert_eq!(Evidence::decode(evidence.encode()), Ok(evidence));
}
