//! Genesis blocks: files that operators give, and blocks that a store holds.
//!
//! Bound: 8 KiB and 24 times the input, and while a certificate in it is parsed 128 times that. Derived: as
//! a config, with a body of one part and its envelope.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::certificate::CERTIFICATE_BYTES_MAX;
use ledgercast_protocol::channel::Genesis;

/// See the module.
pub const TARGET: Target = Target {
    name: "genesis",
    bound: Bound { base: 8 * 1024, factor: 24, parsed_max: CERTIFICATE_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Ok(genesis) = trial.decode(Genesis::decode) else { return };

    let again = Genesis::decode(genesis.block().to_block().encode()).expect("what we say decodes");
    assert_eq!(again.hash(), genesis.hash(), "a genesis block that is passed on is another anchor");
    assert_eq!(again.config().hash(), genesis.config().hash());
    assert_eq!(genesis.config().number(), 0);
    assert_eq!(genesis.channel(), genesis.block().header().channel());
}
