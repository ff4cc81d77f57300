//! Bodies of blocks: runs of parts with their lengths.
//!
//! Bound: 1 KiB and 12 times the input. Derived: a part has at least four bytes, its range 16, in a vector
//! that doubles: while it moves, three times its content.

use crate::{Bound, Target, Trial};
use bytes::Bytes;
use ledgercast_protocol::ledger::{Body, BodyBuilder};

/// See the module.
pub const TARGET: Target =
    Target { name: "body", bound: Bound { base: 1024, factor: 12, parsed_max: 0 }, property: check };

/// Above what the inputs of a fuzzer hold, so that nothing ends there too soon.
const PARTS_MAX: usize = 100_000;

fn check(trial: &Trial<'_>) {
    let Ok(body) = trial.decode(|bytes| Body::cut(bytes, PARTS_MAX)) else { return };
    let parts: Vec<Bytes> = body.parts().collect();

    let mut builder = BodyBuilder::default();
    parts.iter().for_each(|part| builder.push(part));
    let built = builder.finish();
    assert_eq!(built.bytes(), trial.input(), "two bodies have the same parts");
    assert_eq!(built.root(), body.root());
    if let Some(fewer) = parts.len().checked_sub(1) {
        assert!(Body::cut(body.bytes().clone(), fewer).is_err());
    }
}
