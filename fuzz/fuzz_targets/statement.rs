//! Signed statements: see `ledgercast_decoders::statement`, which states the bound.
#![no_main]

use ledgercast_decoders::statement::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
