//! Signed statements: the five kinds, each tried with the same bytes, as they stand in frames of members.
//!
//! Bound: 4 KiB and 4 times the input. Derived: one struct, a copy of the bytes, an endpoint of at most 260.

use crate::{Bound, Target, Trial};
use ledgercast_crypto::Signature;
use ledgercast_protocol::wire::{Alive, ChannelLeave, Leadership, Leave, Signed, StateInfo, Statement};
use std::fmt::Debug;

/// See the module.
pub const TARGET: Target =
    Target { name: "statement", bound: Bound { base: 4 * 1024, factor: 4, parsed_max: 0 }, property: check };

const SIGNATURE: Signature = Signature::from_bytes([7; 64]);

fn check(trial: &Trial<'_>) {
    kind::<StateInfo>(trial);
    kind::<Leadership>(trial);
    kind::<Leave>(trial);
    kind::<ChannelLeave>(trial);
    let Some(alive) = kind::<Alive>(trial) else { return };

    assert!(!Alive::exclude_each_other(&alive, &alive), "an alive excludes itself");
    if let Some(chain) = alive.statement().ticks {
        assert_eq!(alive.statement().link_of(chain.end), Some(0));
    }
}

fn kind<T: Statement + PartialEq + Debug>(trial: &Trial<'_>) -> Option<Signed<T>> {
    let signed = trial.decode(|bytes| Signed::<T>::decode(bytes, SIGNATURE)).ok()?;
    // What was signed are these bytes, whichever form of protobuf they have: they are passed on as they are.
    assert_eq!(signed.bytes(), trial.input());

    let own = signed.statement().encode();
    assert_eq!(T::decode(own).as_ref().ok(), Some(signed.statement()));
    Some(signed)
}
