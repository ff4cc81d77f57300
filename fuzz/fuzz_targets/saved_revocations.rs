//! Saved revocation lists: see `ledgercast_decoders::saved_revocations`, which states the bound.
#![no_main]

use ledgercast_decoders::saved_revocations::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
