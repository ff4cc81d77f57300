//! Certificates: from any process that reaches a peer's port, up to 8 KiB of DER.
//!
//! Bound: 4 KiB and 24 times the input. Derived: the parser makes a struct of about 100 bytes of each
//! extension and each attribute of a name, which have at least seven bytes, in vectors that double.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::{Certificate, Digest, OrgRoots, Roster};

/// See the module.
pub const TARGET: Target =
    Target { name: "certificate", bound: Bound { base: 4 * 1024, factor: 24 }, property: check };

fn check(trial: &Trial<'_>) {
    let Ok(certificate) = trial.decode(Certificate::from_der) else { return };

    assert_eq!(certificate.der(), trial.input());
    assert_eq!(certificate.fingerprint(), Digest::of(trial.input()));
    assert_eq!(Certificate::from_pem(&certificate.to_pem()).as_ref(), Ok(&certificate));
    let names = [certificate.org(), certificate.common_name()];
    assert!(!names.iter().any(|name| name.contains(char::is_control)), "a name would write to a terminal");
    let org = OrgRoots::new(certificate.org(), vec![certificate.clone()]);
    if let Ok(roster) = Roster::try_new([org]) {
        assert!(roster.verify(&certificate, &[], certificate.not_before()).is_err(), "a CA is no member");
    }
}
