//! Frames on a lane: a length and that many bytes. Pure; never allocates from a declared length.
//!
//! ```text
//! ┌───────────────┬──────────────────────┐
//! │ length u32 BE │ payload, length bytes │
//! └───────────────┴──────────────────────┘
//! ```

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// Bytes in front of every payload.
pub(super) const HEADER_BYTES: usize = 4;
/// What is reserved for a payload before any of it has arrived.
const FIRST_RESERVE_BYTES: usize = 4 * 1024;

/// A peer announced a frame longer than its lane allows.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("frame of {bytes} bytes is longer than {bytes_max}")]
pub(super) struct FrameTooLong {
    pub(super) bytes: usize,
    pub(super) bytes_max: usize,
}

/// The header of a payload of `bytes` bytes, which the caller has checked against its lane's limit.
pub(super) fn header(bytes: usize) -> [u8; HEADER_BYTES] {
    u32::try_from(bytes).expect("limits keep frames below 4 GiB").to_be_bytes()
}

/// Puts frames together from pieces of any size.
#[derive(Debug)]
pub(super) struct FrameDecoder {
    bytes_max: usize,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    payload: BytesMut,
}

impl FrameDecoder {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, header: [0; HEADER_BYTES], header_filled: 0, payload: BytesMut::new() }
    }

    /// Takes bytes from the front of `input` until a frame is whole or `input` is empty.
    ///
    /// # Errors
    /// The announced length is over the lane's limit; the decoder must not be used again.
    pub(super) fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, FrameTooLong> {
        if self.header_filled < HEADER_BYTES {
            let taken = take(input, HEADER_BYTES - self.header_filled);
            self.header[self.header_filled..self.header_filled + taken.len()].copy_from_slice(taken);
            self.header_filled += taken.len();
        }
        if self.header_filled < HEADER_BYTES {
            return Ok(None);
        }
        let bytes = u32::from_be_bytes(self.header) as usize;
        if bytes > self.bytes_max {
            return Err(FrameTooLong { bytes, bytes_max: self.bytes_max });
        }
        if self.payload.capacity() == 0 {
            self.payload.reserve(bytes.min(FIRST_RESERVE_BYTES));
        }
        self.payload.extend_from_slice(take(input, bytes - self.payload.len()));
        if self.payload.len() < bytes {
            return Ok(None);
        }
        self.header_filled = 0;
        Ok(Some(std::mem::take(&mut self.payload).freeze()))
    }
}

fn take<'a>(input: &mut &'a [u8], bytes_max: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(bytes_max.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(payloads: &[&[u8]]) -> Vec<u8> {
        payloads.iter().flat_map(|payload| [&header(payload.len())[..], payload].concat()).collect()
    }

    fn decoded(wire: &[u8], piece_bytes: usize) -> Vec<Bytes> {
        let mut decoder = FrameDecoder::new(1 << 20);
        let mut frames = Vec::new();
        for mut piece in wire.chunks(piece_bytes) {
            while !piece.is_empty() {
                frames.extend(decoder.advance(&mut piece).expect("within the limit"));
            }
        }
        frames
    }

    #[test]
    fn frames_survive_every_cut() {
        let large = vec![7; 70_000];
        let payloads: [&[u8]; 5] = [b"a", b"", b"bcd", &large, b"end"];
        let wire = encoded(&payloads);

        for piece_bytes in [1, 2, 3, 5, 4096, wire.len()] {
            assert_eq!(decoded(&wire, piece_bytes), payloads, "pieces of {piece_bytes} bytes");
        }
    }

    #[test]
    fn refuses_a_frame_over_the_limit_before_its_payload() {
        let mut decoder = FrameDecoder::new(10);

        let result = decoder.advance(&mut &header(11)[..]);

        assert_eq!(result, Err(FrameTooLong { bytes: 11, bytes_max: 10 }));
    }

    #[test]
    fn a_declared_length_reserves_little() {
        let mut decoder = FrameDecoder::new(usize::MAX);

        assert_eq!(decoder.advance(&mut &[0xff; 5][..]), Ok(None));

        assert!(decoder.payload.capacity() <= 2 * FIRST_RESERVE_BYTES);
    }
}
