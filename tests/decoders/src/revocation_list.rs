//! Revocation lists: from any member, and from MSP folders, up to 256 KiB of DER.
//!
//! Bound: 4 KiB and 24 times the input, and while it is parsed 128 times that: at most 38 MiB. Measured: as a
//! certificate; of an entry (at least 19 bytes) the parser makes about 100, and we keep its serial number.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::revocation::{NUMBER_BYTES_MAX, REVOCATION_LIST_BYTES_MAX};
use ledgercast_crypto::{RevocationList, RevocationNumber};

/// See the module.
pub const TARGET: Target = Target {
    name: "revocation_list",
    bound: Bound { base: 4 * 1024, factor: 24, parsed_max: REVOCATION_LIST_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Ok(list) = trial.decode(RevocationList::from_der) else { return };

    assert_eq!(list.der(), trial.input());
    let read = RevocationList::all_from_pem(&list.to_pem());
    assert_eq!(read.as_deref(), Ok(&[list.clone()][..]));
    assert_eq!(list.serials().count(), list.revoked_count());
    assert!(list.serials().all(|serial| serial.first() != Some(&0)));
    let number = list.number().clone();
    assert!(number.as_bytes().len() <= NUMBER_BYTES_MAX && number < number.next());
    assert_eq!(RevocationNumber::from_bytes(number.as_bytes()).as_ref(), Ok(&number));
}
