//! Certificates: from any process that reaches a peer's port, up to 8 KiB of DER.
//!
//! Bound: 4 KiB and 24 times the input, and while it is parsed 128 times that: at most 1.2 MiB. Measured: two
//! bytes of a name in an extension have 72 in the parser's vector, which doubles: 108 times.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::certificate::CERTIFICATE_BYTES_MAX;
use ledgercast_crypto::{Certificate, Digest, OrgRoots, Roster};

/// See the module.
pub const TARGET: Target = Target {
    name: "certificate",
    bound: Bound { base: 4 * 1024, factor: 24, parsed_max: CERTIFICATE_BYTES_MAX },
    property: check,
};

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
