//! What all fuzz targets share: the counting allocator, and a line for each new largest allocation. What must
//! be true of the decoders is in `tests/decoders`.

use ledgercast_decoders::{Meter, Target};
use std::sync::atomic::{AtomicUsize, Ordering};

#[global_allocator]
static METER: Meter = Meter;

/// The largest part of its bound that an input has used so far, in thousandths.
static PERMILLE_MOST: AtomicUsize = AtomicUsize::new(0);

/// Tries one input. A new largest part of the bound is written to standard error, where `cargo xtask fuzz`
/// reads it: at most a thousand lines a run.
pub fn run(target: &'static Target, input: &[u8]) {
    let bytes = target.run(input);
    let bound = target.bound.of(input.len());
    let permille = bytes.saturating_mul(1000) / bound;
    if permille > PERMILLE_MOST.fetch_max(permille, Ordering::Relaxed) {
        eprintln!("LARGEST allocated={bytes} bound={bound} input={} permille={permille}", input.len());
    }
}
