//! Saved high-water marks: see `ledgercast_decoders::saved_marks`, which states the bound.
#![no_main]

use ledgercast_decoders::saved_marks::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
