//! The world's only source of chance: a seeded stream with the few draws that are needed. Never reads the
//! system's.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// Parts per million that mean "always".
pub(crate) const MILLION: u32 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// A stream of its own for each `purpose`, so that more draws for one do not shift another's.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes[8..16].copy_from_slice(&purpose.to_be_bytes());
        Self(ChaCha8Rng::from_seed(bytes))
    }

    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Below `bound`, which must not be zero. The bias of the remainder is below 2⁻³² for the bounds used
    /// here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index of a slice fits")
    }

    /// Whether something of this probability, in parts per million, happens.
    pub(crate) fn chance(&mut self, parts_per_million: u32) -> bool {
        parts_per_million > 0 && self.below(MILLION.into()) < u64::from(parts_per_million)
    }

    /// Uniform from zero up to `bound`.
    pub(crate) fn up_to(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.saturating_add(1).max(1)))
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + self.up_to(high.saturating_sub(low))
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
