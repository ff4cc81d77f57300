//! Kept evidence: see `ledgercast_decoders::kept_evidence`, which states the bound.
#![no_main]

use ledgercast_decoders::kept_evidence::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
