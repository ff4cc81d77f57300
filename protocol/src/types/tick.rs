//! One link of an alive's hash chain: it proves that its owner was alive later than the link before, to
//! anybody who holds the alive, at the price of one hash.

use ledgercast_crypto::Digest;
use std::fmt;

/// Bytes of a link. Derived: nobody finds what hashes to given 128 bits in the minutes that a chain lasts.
pub const TICK_BYTES: usize = 16;

/// What each link's hash begins with: no other hash of this protocol makes a link.
const PREFIX: &[u8] = b"ledgercast tick";

/// A link of a hash chain. Its owner shows them in the order in which each hashes to the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick([u8; TICK_BYTES]);

impl Tick {
    /// A link from its bytes.
    pub const fn from_bytes(bytes: [u8; TICK_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; TICK_BYTES] {
        &self.0
    }

    /// The link that was shown before this one.
    #[must_use]
    pub fn before(&self) -> Self {
        let digest = Digest::of_parts(&[PREFIX, &self.0]);
        let mut bytes = [0; TICK_BYTES];
        bytes.copy_from_slice(&digest.as_bytes()[..TICK_BYTES]);
        Self(bytes)
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tick({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_link_is_frozen() {
        let before = Tick::from_bytes([7; TICK_BYTES]).before();

        assert_eq!(before, Tick::from_bytes([7; TICK_BYTES]).before());
        assert_eq!(before.as_bytes()[..4], FROZEN);
    }

    const FROZEN: [u8; 4] = [0x2c, 0x6a, 0x2e, 0x0f];
}
