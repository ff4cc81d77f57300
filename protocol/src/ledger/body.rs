//! A block's body: its parts, cut by lengths, under one Merkle root.
//!
//! ```text
//! ┌────────┬─────────────┬────────┬─────────────┬─ … ─┬────────┬──────────┐
//! │ length │ certificate │ length │ certificate │     │ length │ envelope │   length: 4 bytes, big-endian
//! └────────┴─────────────┴────────┴─────────────┴─ … ─┴────────┴──────────┘
//!  each distinct creator's certificate once, first ─┘   └─ then the envelopes, in order
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::merkle;
use std::ops::Range;
use thiserror::Error;

const LENGTH_BYTES: usize = 4;

/// A body whose bytes cut cleanly into parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    parts: Vec<Range<usize>>,
}

/// Why bytes are not a body.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BodyError {
    /// A length field or a part ends beyond the body.
    #[error("part {part} of the body ends at byte {end} of {bytes}")]
    Truncated {
        /// Index of the part.
        part: usize,
        /// Where it would end.
        end: usize,
        /// How long the body is.
        bytes: usize,
    },
    /// There are more parts than the header says.
    #[error("body has more than the {0} parts that its header names")]
    TooManyParts(usize),
}

/// Puts a body together part by part.
#[derive(Debug, Default)]
pub struct BodyBuilder {
    bytes: BytesMut,
    part_count: u32,
}

impl Body {
    /// Cuts bytes into at most `part_count_max` parts, the whole of them.
    ///
    /// # Errors
    /// [`BodyError`] when the last part is cut short or there are too many.
    pub fn cut(bytes: Bytes, part_count_max: usize) -> Result<Self, BodyError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if parts.len() == part_count_max {
                return Err(BodyError::TooManyParts(part_count_max));
            }
            let truncated = |end| BodyError::Truncated { part: parts.len(), end, bytes: bytes.len() };
            let start = at + LENGTH_BYTES;
            let length = bytes.get(at..start).ok_or_else(|| truncated(start))?;
            let length = u32::from_be_bytes(length.try_into().expect("four bytes were taken"));
            let end = start.saturating_add(length as usize);
            if end > bytes.len() {
                return Err(truncated(end));
            }
            parts.push(start..end);
            at = end;
        }
        Ok(Self { bytes, parts })
    }

    /// The body's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The number of parts.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// One part, sharing the body's memory.
    pub fn part(&self, index: usize) -> Option<Bytes> {
        self.parts.get(index).map(|range| self.bytes.slice(range.clone()))
    }

    /// All parts in order, sharing the body's memory.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Bytes> + '_ {
        self.parts.iter().map(|range| self.bytes.slice(range.clone()))
    }

    /// The RFC 6962 Merkle tree hash over the parts.
    pub fn root(&self) -> Digest {
        merkle::root(self.parts.iter().map(|range| &self.bytes[range.clone()]))
    }
}

impl BodyBuilder {
    /// Appends one part.
    ///
    /// # Panics
    /// When the part is 4 GiB or longer; configs bound parts far below that.
    pub fn push(&mut self, part: &[u8]) {
        let length = u32::try_from(part.len()).expect("parts are bounded far below 4 GiB");
        self.bytes.put_u32(length);
        self.bytes.put_slice(part);
        self.part_count += 1;
    }

    /// The number of parts so far.
    pub fn part_count(&self) -> u32 {
        self.part_count
    }

    /// The finished body.
    pub fn finish(self) -> Body {
        Body::cut(self.bytes.freeze(), self.part_count as usize).expect("the builder wrote whole parts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[&[u8]]) -> Body {
        let mut builder = BodyBuilder::default();
        parts.iter().for_each(|part| builder.push(part));
        builder.finish()
    }

    #[test]
    fn parts_come_back_as_they_went_in() {
        let body = body(&[b"one", b"", b"three"]);

        let parts: Vec<Bytes> = body.parts().collect();

        assert_eq!(parts, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn equal_bytes_cut_elsewhere_have_another_root() {
        // "\0\0\0\x04" inside a part is payload in one cut and a length in the other.
        let whole = body(&[&[1, 0, 0, 0, 4, 9, 9, 9, 9]]);
        let split = body(&[&[1], &[9, 9, 9, 9]]);

        assert_ne!(whole.root(), split.root());
    }

    #[test]
    fn refuses_cut_bytes_and_surplus_parts() {
        let bytes = body(&[b"one", b"two"]).bytes().clone();

        let short = Body::cut(bytes.slice(..bytes.len() - 1), 2);
        let surplus = Body::cut(bytes, 1);

        assert_eq!(short, Err(BodyError::Truncated { part: 1, end: 14, bytes: 13 }));
        assert_eq!(surplus, Err(BodyError::TooManyParts(1)));
    }
}
