//! Learned revocation lists: what a peer reads back from its own disk, up to 4 MiB.
//!
//! Bound: 8 KiB and 24 times the input, and while a list in it is parsed 128 times that. Derived: as
//! revocation lists, and once more as bytes to be saved.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::revocation::REVOCATION_LIST_BYTES_MAX;
use ledgercast_protocol::peer::resave_revocations;

/// See the module.
pub const TARGET: Target = Target {
    name: "saved_revocations",
    bound: Bound { base: 8 * 1024, factor: 24, parsed_max: REVOCATION_LIST_BYTES_MAX },
    property: check,
};

/// Below what the inputs of a fuzzer hold, so that the bound is met.
const BYTES_MAX: usize = 1024;

fn check(trial: &Trial<'_>) {
    let saved = trial.decode(|bytes| resave_revocations(bytes, BYTES_MAX));

    assert!(saved.len() <= trial.input().len());
    assert_eq!(resave_revocations(saved.clone(), BYTES_MAX), saved);
}
