//! Blocks: from orderers, in stores, in genesis files and in evidence.
//!
//! Bound: 4 KiB and 12 times the input. Derived: as a header; the body is a slice of the input, and of a part
//! (at least four bytes) the range is kept (16 bytes), in a vector that doubles.

use crate::{Bound, Target, Trial};
use ledgercast_protocol::ledger::{Block, VerifiedBlock};

/// See the module.
pub const TARGET: Target =
    Target { name: "block", bound: Bound { base: 4 * 1024, factor: 12, parsed_max: 0 }, property: check };

fn check(trial: &Trial<'_>) {
    let Ok(block) = trial.decode(Block::decode) else { return };
    assert_eq!(Block::decode(block.encode()), Ok(block.clone()));

    // As a store reads it back: the body must be the header's.
    let Ok(verified) = trial.count(|| VerifiedBlock::from_store(block.clone())) else { return };
    assert_eq!(verified.to_block(), block);
    let fields = block.header.header.fields();
    assert_eq!(verified.envelopes().count(), fields.envelope_count as usize);
    assert_eq!(verified.body().root(), fields.body_root);
    let _ = verified.config_update();
}
