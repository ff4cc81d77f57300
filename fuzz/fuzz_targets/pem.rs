//! PEM texts: see `ledgercast_decoders::pem`, which states the bound.
#![no_main]

use ledgercast_decoders::pem::TARGET;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| ledgercast_fuzz::run(&TARGET, input));
