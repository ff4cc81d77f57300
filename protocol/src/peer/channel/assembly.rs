//! A body being put together from frames; its room is taken at once and never grows.

use crate::types::MemberId;
use crate::wire::BODY_FRAME_BYTES;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Assembly {
    buffer: BytesMut,
    received: Vec<bool>,
    missing: usize,
    suppliers: BTreeSet<MemberId>,
}

/// How many frames a body of this length has.
pub(super) fn frame_count(body_bytes: u64) -> u64 {
    body_bytes.div_ceil(BODY_FRAME_BYTES as u64)
}

/// The length of a frame; `None` beyond the body.
pub(super) fn frame_bytes(body_bytes: u64, index: u32) -> Option<u64> {
    let start = u64::from(index) * BODY_FRAME_BYTES as u64;
    let rest = body_bytes.checked_sub(start).filter(|rest| *rest > 0)?;
    Some(rest.min(BODY_FRAME_BYTES as u64))
}

/// One frame of a body; `None` beyond the body.
pub(super) fn frame(body: &Bytes, index: u32) -> Option<Bytes> {
    let length = usize::try_from(frame_bytes(body.len() as u64, index)?).ok()?;
    let start = index as usize * BODY_FRAME_BYTES;
    Some(body.slice(start..start + length))
}

impl Assembly {
    /// Room for a body. The length comes from a proven header and is within the channel's limit.
    pub(super) fn new(body_bytes: u64) -> Self {
        let bytes = usize::try_from(body_bytes).expect("the channel's limit is far below the address space");
        let frames = bytes.div_ceil(BODY_FRAME_BYTES);
        Self {
            buffer: BytesMut::zeroed(bytes),
            received: vec![false; frames],
            missing: frames,
            suppliers: BTreeSet::new(),
        }
    }

    /// Takes a frame whose length was checked; `false` when it is here already.
    pub(super) fn add(&mut self, from: MemberId, index: u32, payload: &[u8]) -> bool {
        let start = index as usize * BODY_FRAME_BYTES;
        let place = self.buffer.get_mut(start..start + payload.len());
        match (self.received.get_mut(index as usize), place) {
            (Some(received), Some(place)) if !*received => {
                place.copy_from_slice(payload);
                *received = true;
                self.missing -= 1;
                self.suppliers.insert(from);
                true
            }
            _ => false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(super) fn missing_frames(&self) -> Vec<u32> {
        let absent = (0..).zip(&self.received).filter(|(_, received)| !**received);
        absent.map(|(index, _)| index).collect()
    }

    /// Whether a frame came from anybody but this member.
    pub(super) fn has_other_supplier(&self, member: MemberId) -> bool {
        self.suppliers.iter().any(|supplier| *supplier != member)
    }

    pub(super) fn finish(self) -> (Bytes, BTreeSet<MemberId>) {
        (self.buffer.freeze(), self.suppliers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::digest::Digest;

    fn member() -> MemberId {
        MemberId::from_digest(Digest::of(b"somebody"))
    }

    #[test]
    fn frames_in_any_order_give_the_body_back() {
        let body = Bytes::from_iter((0..BODY_FRAME_BYTES * 2 + 7).map(|index| (index % 251) as u8));
        let mut assembly = Assembly::new(body.len() as u64);

        for index in [2, 0, 1] {
            assert!(!assembly.is_complete());
            assert!(assembly.add(member(), index, &frame(&body, index).unwrap()));
        }

        assert!(assembly.is_complete());
        assert_eq!(assembly.finish().0, body);
    }

    #[test]
    fn refuses_frames_twice_and_beyond_the_body() {
        let mut assembly = Assembly::new(10);

        assert!(assembly.add(member(), 0, &[1; 10]));
        assert!(!assembly.add(member(), 0, &[2; 10]));
        assert!(!assembly.add(member(), 1, &[2; 10]));
        assert_eq!(frame_bytes(10, 1), None);
        assert_eq!(frame_bytes(BODY_FRAME_BYTES as u64, 1), None);
        assert_eq!(frame_bytes(BODY_FRAME_BYTES as u64 + 1, 1), Some(1));
    }
}
