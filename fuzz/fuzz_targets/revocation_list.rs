//! Revocation lists in DER: see `ledgercast_decoders::revocation_list`, which states the bound.
#![no_main]

use ledgercast_decoders::revocation_list::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
