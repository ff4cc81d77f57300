//! Frames: what any process that reaches a peer's port may send, up to 64 KiB, 260 KiB or 1 MiB by lane.
//!
//! Bound: 4 KiB and 12 times the input, and while a list in it is parsed 128 times that. Derived: an entry
//! of a list is at least as long as the shortest right one, and is held as protobuf's struct and as ours at
//! once, in vectors that double.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::revocation::REVOCATION_LIST_BYTES_MAX;
use ledgercast_protocol::wire::Message;

/// See the module.
pub const TARGET: Target = Target {
    name: "frame",
    bound: Bound { base: 4 * 1024, factor: 12, parsed_max: REVOCATION_LIST_BYTES_MAX },
    property: check,
};

fn check(trial: &Trial<'_>) {
    let Ok(message) = trial.decode(Message::decode) else { return };
    let encoded = message.encode();

    // Not the input's own bytes: fields of later releases are left out, and protobuf has several forms.
    let again = Message::decode(encoded.clone()).expect("what we say decodes");
    assert_eq!(again, message, "a message is another one once it was passed on");
    assert_eq!(again.encode(), encoded);
    assert!(message.travels_on(message.lane()));
    assert!(message.mentioned_members().len() <= encoded.len());
}
