//! Equivocations: two headers that contradict each other, from any member of a channel.
//!
//! Bound: 4 KiB and 8 times the input. Derived: as two headers.

use crate::{Bound, Target, Trial};
use ledgercast_protocol::evidence::Equivocation;

/// See the module.
pub const TARGET: Target = Target {
    name: "equivocation",
    bound: Bound { base: 4 * 1024, factor: 8, parsed_max: 0 },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Ok(equivocation) = trial.decode(Equivocation::decode) else { return };

    // In whichever order the headers came, they leave in one.
    let again = Equivocation::decode(equivocation.encode()).expect("what we say decodes");
    assert_eq!(again, equivocation);
    assert_eq!(again.id(), equivocation.id());
}
