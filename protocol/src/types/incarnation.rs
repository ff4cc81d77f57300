//! What orders the statements of one member: the life of its process, then a counter within it.

use super::MemberId;
use crate::time::WallTime;
use std::fmt;

/// The wall-clock milliseconds at which a member's process started; grows with each restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u64);

/// Counts the statements of one kind within an incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// Which statement of a member is meant; the higher (incarnation, sequence) replaces the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Who made the statement.
    pub member: MemberId,
    /// In which life of its process.
    pub incarnation: Incarnation,
    /// As which statement of that life.
    pub sequence: Sequence,
}

impl Incarnation {
    /// An incarnation from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The start time that this incarnation claims.
    pub const fn started_at(self) -> WallTime {
        WallTime::from_millis(self.0)
    }

    /// The smallest later incarnation; saturates.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Sequence {
    /// A sequence from its count.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// The count.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The next sequence; saturates.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The sequence that is so many later; saturates.
    #[must_use]
    pub const fn after(self, count: u32) -> Self {
        Self(self.0.saturating_add(count as u64))
    }
}

impl Mark {
    /// What is compared between two statements of one member.
    pub const fn order(&self) -> (Incarnation, Sequence) {
        (self.incarnation, self.sequence)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
