//! Kept evidence: what a peer reads back from its own disk, up to 4 MiB.
//!
//! Bound: 4 KiB and 16 times the input. Derived: as headers, in maps beside what protobuf holds.

use crate::{Bound, Target, Trial};
use ledgercast_protocol::evidence::{from_saved, to_saved};

/// See the module.
pub const TARGET: Target = Target {
    name: "kept_evidence",
    bound: Bound { base: 4 * 1024, factor: 16, parsed_max: 0 },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Some(kept) = trial.decode(from_saved) else { return };

    let saved = to_saved(kept.iter().map(|(channel, kept)| (*channel, kept)));
    let again = from_saved(saved).expect("what we save is read back");
    assert_eq!(again, kept);
}
