//! PEM texts: certificates, revocation lists and keys in files that operators give, up to 512 KiB.
//!
//! Bound: 8 KiB and 32 times the input, and while a list in it is parsed 128 times that. Derived: the DER is
//! three quarters of the text, then as certificates.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::revocation::REVOCATION_LIST_BYTES_MAX;
use ledgercast_crypto::{Certificate, RevocationList, SecretKey};

/// See the module.
pub const TARGET: Target = Target {
    name: "pem",
    bound: Bound { base: 8 * 1024, factor: 32, parsed_max: REVOCATION_LIST_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Some(text) = trial.text() else { return };
    if let Ok(certificates) = trial.count(|| Certificate::all_from_pem(text)) {
        let written: String = certificates.iter().map(Certificate::to_pem).collect();
        assert_eq!(Certificate::all_from_pem(&written).as_ref(), Ok(&certificates));
        assert_eq!(Certificate::from_pem(text).is_ok(), certificates.len() == 1);
    }
    if let Ok(lists) = trial.count(|| RevocationList::all_from_pem(text)) {
        let written: String = lists.iter().map(RevocationList::to_pem).collect();
        assert_eq!(RevocationList::all_from_pem(&written).as_ref(), Ok(&lists));
    }
    if let Ok(key) = trial.count(|| SecretKey::from_pkcs8_pem(text)) {
        let read = SecretKey::from_pkcs8_pem(&key.to_pkcs8_pem()).expect("what we write is read");
        assert_eq!(read.public(), key.public());
    }
}
