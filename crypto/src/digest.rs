//! SHA-256 digests: the names of blocks, envelopes, certificates and members.
//! Never a keyed hash and never a password hash.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Bytes of a [`Digest`].
pub const DIGEST_BYTES: usize = 32;

/// A SHA-256 digest, ordered by its bytes and shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// All zero bytes: "no digest", as the previous hash of a first block. No known input hashes to it.
    pub const ZERO: Self = Self([0; DIGEST_BYTES]);

    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes the concatenation of `parts`, without copying them. Borders between parts leave no trace:
    /// who needs them writes lengths.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Takes bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// The first eight hex characters, for logs and tables; not an identifier.
    pub fn short(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = DigestError;

    fn try_from(bytes: &[u8]) -> Result<Self, DigestError> {
        bytes.try_into().map(Self).map_err(|_| DigestError::Length { found: bytes.len() })
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.len() != 2 * DIGEST_BYTES {
            return Err(DigestError::HexLength { found: text.len() });
        }
        let mut bytes = [0; DIGEST_BYTES];
        for (position, pair) in text.as_bytes().chunks_exact(2).enumerate() {
            let high = hex_value(pair[0]).ok_or(DigestError::HexCharacter { position: 2 * position })?;
            let low = hex_value(pair[1]).ok_or(DigestError::HexCharacter { position: 2 * position + 1 })?;
            bytes[position] = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn hex_value(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

/// Bytes or text that are no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The wrong number of bytes.
    #[error("a digest has 32 bytes, found {found}")]
    Length {
        /// Bytes given.
        found: usize,
    },
    /// The wrong number of hex characters.
    #[error("a digest has 64 hex characters, found {found} bytes of text")]
    HexLength {
        /// Bytes of text given.
        found: usize,
    },
    /// A byte of the text that is no hex character.
    #[error("byte {position} of the digest is no hex character")]
    HexCharacter {
        /// Offset into the text, in bytes.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the "abc" example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_the_published_example() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(Digest::of_parts(&[b"a", b"", b"bc"]), Digest::of(b"abc"));
    }

    #[test]
    fn hex_round_trips_in_both_cases() {
        let digest = Digest::of(b"abc");

        assert_eq!(ABC.parse(), Ok(digest));
        assert_eq!(ABC.to_uppercase().parse(), Ok(digest));
        assert_eq!(digest.short(), "ba7816bf");
    }

    #[test]
    fn refuses_what_is_no_digest() {
        assert_eq!("00".parse::<Digest>(), Err(DigestError::HexLength { found: 2 }));
        assert_eq!(ABC.replace('d', "g").parse::<Digest>(), Err(DigestError::HexCharacter { position: 22 }));
        assert_eq!("é".repeat(32).parse::<Digest>(), Err(DigestError::HexCharacter { position: 0 }));
        assert_eq!(Digest::try_from(&[0_u8; 31][..]), Err(DigestError::Length { found: 31 }));
    }
}
