//! Envelopes: from any client of an org that may write, and in blocks.
//!
//! Bound: 1 KiB and the input. Derived: payload and nonce are slices of the input; one signature.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::Digest;
use ledgercast_protocol::ledger::{ENVELOPE_NONCE_BYTES, Envelope, EnvelopeKind};

/// See the module.
pub const TARGET: Target =
    Target { name: "envelope", bound: Bound { base: 1024, factor: 1, parsed_max: 0 }, property: check };

fn check(trial: &Trial<'_>) {
    let Ok(envelope) = trial.decode(Envelope::decode) else { return };
    assert_eq!(Envelope::decode(envelope.encode()), Ok(envelope.clone()));
    let again = Envelope::decode(envelope.encode()).expect("what we say decodes");
    assert_eq!(again.id(), envelope.id(), "an envelope that is passed on has another id");

    let content = envelope.content();
    let is_unsigned_form = content.creator == Digest::ZERO;
    assert!(is_unsigned_form || ENVELOPE_NONCE_BYTES.contains(&content.nonce.len()));
    if is_unsigned_form && content.kind == EnvelopeKind::Config {
        let made = Envelope::genesis(content.channel, content.payload.clone());
        assert_eq!(made.content(), content);
    }
}
