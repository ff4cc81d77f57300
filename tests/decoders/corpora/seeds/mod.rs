//! Real values of the protocol, the same in every run: what fuzzing starts from.

mod identities;
mod ledger;
mod wire;

use bytes::Bytes;

/// One input.
pub(crate) struct Seed {
    /// The decoder that it is for.
    pub(crate) target: &'static str,
    /// What it is.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

fn seed(target: &'static str, name: impl Into<String>, bytes: impl Into<Bytes>) -> Seed {
    Seed { target, name: name.into(), bytes: bytes.into() }
}

/// All of them.
pub(crate) fn all() -> Vec<Seed> {
    [wire::seeds(), ledger::seeds(), identities::seeds()].into_iter().flatten().collect()
}
