//! High-water marks: the newest statement seen of each member, kept longer than the member, so that a replay
//! is refused by mark or by age.
//!
//! ```text
//! version 1 │ count │ count × ( member │ incarnation │ sequence │ latest wall time )
//!   1 byte  │   4   │              32  │      8      │    8     │        8           big end
//! ```

use crate::time::WallTime;
use crate::types::{Incarnation, Mark, MemberId, Sequence};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ledgercast_crypto::Digest;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;
const ENTRY_BYTES: usize = 56;

/// Why bytes are not a table of marks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum MarksError {
    /// Written by another version.
    #[error("marks are of version {0}, expected {VERSION}")]
    Version(u8),
    /// The length does not fit the count.
    #[error("marks have {0} bytes, which no count of entries has")]
    Length(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HighWater {
    order: (Incarnation, Sequence),
    /// When it was seen, or when it says that it was made, whichever is later: a replay is refused by age
    /// from this time plus twice the clock skew on.
    latest_wall: WallTime,
}

/// The table of marks, at most so many.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    marks: BTreeMap<MemberId, HighWater>,
    count_max: usize,
    has_changed: bool,
}

impl Marks {
    pub(super) fn new(count_max: usize) -> Self {
        Self { marks: BTreeMap::new(), count_max, has_changed: false }
    }

    /// The order of the newest statement seen of a member.
    pub(super) fn order(&self, member: MemberId) -> Option<(Incarnation, Sequence)> {
        self.marks.get(&member).map(|mark| mark.order)
    }

    /// Raises a member's mark. At the bound the oldest mark makes room.
    pub(super) fn raise(&mut self, mark: Mark, latest_wall: WallTime) {
        let known = self.marks.get(&mark.member);
        if known.is_some_and(|known| known.order >= mark.order()) {
            return;
        }
        if known.is_none() && self.marks.len() >= self.count_max {
            let oldest =
                self.marks.iter().min_by_key(|(_, mark)| mark.latest_wall).map(|(member, _)| *member);
            oldest.map(|oldest| self.marks.remove(&oldest));
        }
        self.marks.insert(mark.member, HighWater { order: mark.order(), latest_wall });
        self.has_changed = true;
    }

    /// Drops what age alone refuses by now, but nothing of who is held.
    pub(super) fn prune(&mut self, now: WallTime, keep: Duration, is_held: impl Fn(MemberId) -> bool) {
        let before = self.marks.len();
        self.marks.retain(|member, mark| is_held(*member) || now <= mark.latest_wall.saturating_add(keep));
        self.has_changed |= self.marks.len() != before;
    }

    /// The bytes to keep, if they changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<Bytes> {
        std::mem::take(&mut self.has_changed).then(|| self.encode())
    }

    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + ENTRY_BYTES * self.marks.len());
        bytes.put_u8(VERSION);
        bytes.put_u32(u32::try_from(self.marks.len()).expect("the table is bounded far below"));
        for (member, mark) in &self.marks {
            bytes.put_slice(member.as_bytes());
            bytes.put_u64(mark.order.0.as_millis());
            bytes.put_u64(mark.order.1.as_u64());
            bytes.put_u64(mark.latest_wall.as_millis());
        }
        bytes.freeze()
    }

    /// Takes in what an earlier life kept; entries beyond the bound are left out, the oldest first.
    pub(super) fn restore(&mut self, mut bytes: Bytes) -> Result<(), MarksError> {
        let length = bytes.len();
        if length < HEAD_BYTES {
            return Err(MarksError::Length(length));
        }
        let version = bytes.get_u8();
        if version != VERSION {
            return Err(MarksError::Version(version));
        }
        let count = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
        if count.checked_mul(ENTRY_BYTES) != Some(bytes.len()) {
            return Err(MarksError::Length(length));
        }
        for _ in 0..count {
            let mut member = [0; 32];
            bytes.copy_to_slice(&mut member);
            let member = MemberId::from_digest(Digest::from_bytes(member));
            let incarnation = Incarnation::from_millis(bytes.get_u64());
            let sequence = Sequence::new(bytes.get_u64());
            self.raise(Mark { member, incarnation, sequence }, WallTime::from_millis(bytes.get_u64()));
        }
        self.has_changed = false;
        Ok(())
    }
}

/// Reads a saved table of at most so many marks and saves it again; `None` when it is none.
#[cfg(feature = "saved")]
pub fn resave_marks(saved: Bytes, count_max: usize) -> Option<Bytes> {
    let mut marks = Marks::new(count_max);
    marks.restore(saved).ok()?;
    Some(marks.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(member: u8, incarnation: u64, sequence: u64) -> Mark {
        Mark {
            member: MemberId::from_digest(Digest::from_bytes([member; 32])),
            incarnation: Incarnation::from_millis(incarnation),
            sequence: Sequence::new(sequence),
        }
    }

    fn wall(millis: u64) -> WallTime {
        WallTime::from_millis(millis)
    }

    #[test]
    fn marks_only_rise() {
        let mut marks = Marks::new(4);
        marks.raise(mark(1, 5, 5), wall(1));

        marks.raise(mark(1, 5, 4), wall(2));
        marks.raise(mark(1, 4, 9), wall(2));
        assert_eq!(marks.order(mark(1, 0, 0).member), Some(mark(1, 5, 5).order()));

        marks.raise(mark(1, 6, 0), wall(2));
        assert_eq!(marks.order(mark(1, 0, 0).member), Some(mark(1, 6, 0).order()));
    }

    #[test]
    fn marks_survive_a_restart() {
        let mut marks = Marks::new(4);
        marks.raise(mark(1, 5, 5), wall(1));
        marks.raise(mark(2, 7, 1), wall(2));
        let bytes = marks.take_changed().expect("changed");
        assert_eq!(marks.take_changed(), None);

        let mut restored = Marks::new(4);
        restored.restore(bytes.clone()).expect("valid");

        assert_eq!(restored.encode(), bytes);
        assert_eq!(restored.take_changed(), None);
    }

    #[test]
    fn the_bytes_on_disk_are_frozen() {
        let mut marks = Marks::new(4);
        marks.raise(mark(0xaa, 0x0102, 3), wall(4));

        let expected =
            [&[1, 0, 0, 0, 1][..], &[0xaa; 32], &[0, 0, 0, 0, 0, 0, 1, 2], &[0, 0, 0, 0, 0, 0, 0, 3]];
        assert_eq!(marks.encode(), [expected.concat(), vec![0, 0, 0, 0, 0, 0, 0, 4]].concat());
    }

    #[test]
    fn refuses_bytes_that_are_no_marks() {
        let mut marks = Marks::new(4);

        assert_eq!(marks.restore(Bytes::new()), Err(MarksError::Length(0)));
        assert_eq!(marks.restore(Bytes::from_static(&[2, 0, 0, 0, 0])), Err(MarksError::Version(2)));
        assert_eq!(marks.restore(Bytes::from_static(&[1, 255, 255, 255, 255])), Err(MarksError::Length(5)));
        assert_eq!(marks.restore(Bytes::from_static(&[1, 0, 0, 0, 0, 9])), Err(MarksError::Length(6)));
        assert_eq!(marks.restore(Bytes::from_static(&[1, 0, 0, 0, 0])), Ok(()));
    }

    #[test]
    fn the_oldest_mark_makes_room_at_the_bound() {
        let mut marks = Marks::new(2);
        for (member, seen) in [(1, 10), (2, 5), (3, 20)] {
            marks.raise(mark(member, 1, 1), wall(seen));
        }

        assert!(marks.order(mark(2, 0, 0).member).is_none());
        assert!(marks.order(mark(1, 0, 0).member).is_some());
        assert!(marks.order(mark(3, 0, 0).member).is_some());
    }

    #[test]
    fn a_mark_stays_as_long_as_age_would_admit_its_replay() {
        let mut marks = Marks::new(4);
        marks.raise(mark(1, 1, 1), wall(1_000));
        marks.raise(mark(2, 1, 1), wall(1_000));
        let held = mark(2, 0, 0).member;

        marks.prune(wall(3_000), Duration::from_secs(2), |member| member == held);
        assert!(marks.order(mark(1, 0, 0).member).is_some());

        marks.prune(wall(3_001), Duration::from_secs(2), |member| member == held);
        assert!(marks.order(mark(1, 0, 0).member).is_none());
        assert!(marks.order(held).is_some());
    }
}
