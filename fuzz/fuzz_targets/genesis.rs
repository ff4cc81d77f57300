//! Genesis blocks: see `ledgercast_decoders::genesis`, which states the bound.
#![no_main]

use ledgercast_decoders::genesis::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
