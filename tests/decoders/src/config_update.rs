//! Config updates: payloads that any writer may submit; an orderer decodes them before it judges who signed.
//!
//! Bound: 4 KiB and 16 times the input, and while a certificate in it is parsed 128 times that. Derived: the
//! config is a slice of the input; an admin's certificate is held decoded, beside what the parser makes of
//! it.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::certificate::CERTIFICATE_BYTES_MAX;
use ledgercast_protocol::channel::{ConfigUpdate, SIGNATURES_MAX};

/// See the module.
pub const TARGET: Target = Target {
    name: "config_update",
    bound: Bound { base: 4 * 1024, factor: 16, parsed_max: CERTIFICATE_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Ok(update) = trial.decode(ConfigUpdate::decode) else { return };

    assert!(update.signatures().len() <= SIGNATURES_MAX);
    assert_eq!(ConfigUpdate::decode(update.encode()), Ok(update));
}
