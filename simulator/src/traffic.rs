//! What went over the wires: frames and bytes by kind, and a window through which a scenario sees every
//! frame.

use crate::node::NodeId;
use crate::peek::Peek;
use bytes::Bytes;
use ledgercast_protocol::types::Lane;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Frames and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many frames.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Frames and bytes that nodes have sent, by kind.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    sent: BTreeMap<&'static str, Count>,
    lies: Count,
    lost: u64,
    refused: u64,
}

/// A frame as it leaves a node.
#[derive(Clone, Debug)]
pub struct SentFrame<'a> {
    /// When, from the world's start.
    pub at: Duration,
    /// Whose process sends it.
    pub from: NodeId,
    /// Whose process it is meant for.
    pub to: NodeId,
    /// On which lane.
    pub lane: Lane,
    /// Its kind and channel.
    pub peek: Peek,
    /// Its bytes.
    pub frame: &'a Bytes,
}

/// Says what is wrong with a frame, if anything is.
pub(crate) type Inspector = Box<dyn FnMut(&SentFrame<'_>) -> Result<(), String>>;

impl Traffic {
    pub(crate) fn count_sent(&mut self, kind: &'static str, bytes: usize) {
        let count = self.sent.entry(kind).or_default();
        count.frames += 1;
        count.bytes += bytes as u64;
    }

    /// A liar's frame, as it goes over the wire.
    pub(crate) fn count_lie(&mut self, kind: &'static str, bytes: usize) {
        self.lies.frames += 1;
        self.lies.bytes += bytes as u64;
        self.count_sent(kind, bytes);
    }

    pub(crate) fn count_lost(&mut self) {
        self.lost += 1;
    }

    pub(crate) fn count_refused(&mut self) {
        self.refused += 1;
    }

    /// What was sent of one kind.
    pub fn of(&self, kind: &str) -> Count {
        self.sent.get(kind).copied().unwrap_or_default()
    }

    /// What was sent, by kind.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Count)> + '_ {
        self.sent.iter().map(|(kind, count)| (*kind, *count))
    }

    /// What was sent of all kinds.
    pub fn total(&self) -> Count {
        self.sent.values().fold(Count::default(), |sum, count| Count {
            frames: sum.frames + count.frames,
            bytes: sum.bytes + count.bytes,
        })
    }

    /// What was sent of all kinds by who is no liar.
    pub fn of_honest(&self) -> Count {
        let Count { frames, bytes } = self.total();
        Count { frames: frames - self.lies.frames, bytes: bytes - self.lies.bytes }
    }

    /// Frames that a link lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Frames that a full lane refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.sent {
            writeln!(f, "{kind:<18} {:>9} frames {:>12} bytes", count.frames, count.bytes)?;
        }
        write!(f, "lost {}, refused {}", self.lost, self.refused)
    }
}
