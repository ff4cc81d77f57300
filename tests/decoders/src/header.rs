//! Certified headers: on orderers' streams, in stores, and inside frames, blocks and evidence.
//!
//! Bound: 4 KiB and 8 times the input. Derived: a header is copied (at most 512 bytes); at most 64 signatures
//! of 64 bytes are held as slices and as ours.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::Digest;
use ledgercast_protocol::ledger::{CertifiedHeader, Header};

/// See the module.
pub const TARGET: Target =
    Target { name: "header", bound: Bound { base: 4 * 1024, factor: 8, parsed_max: 0 }, property: check };

fn check(trial: &Trial<'_>) {
    if let Ok(header) = trial.decode(Header::decode) {
        assert_eq!(header.bytes(), trial.input());
        assert_eq!(header.hash(), Digest::of(trial.input()));
    }
    let Ok(certified) = trial.decode(CertifiedHeader::decode) else { return };

    let fields = certified.header.fields().clone();
    assert!(fields.envelope_count <= fields.part_count);
    assert_eq!(Header::new(fields.clone()).fields(), &fields);
    assert_eq!(CertifiedHeader::decode(certified.encode()), Ok(certified));
}
