//! What is going to happen, ordered by time and then by the order in which it was scheduled.

use crate::connections::{ConnectionId, Side};
use crate::dials::Attempt;
use crate::feeds::{FeedItem, StreamKey};
use crate::node::NodeId;
use bytes::Bytes;
use ledgercast_protocol::types::{ChannelId, Lane};
use ledgercast_protocol::{Input, Timer};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Counts the processes of one node: what was meant for an earlier one never reaches a later one.
pub(crate) type Life = u64;

#[derive(Debug)]
pub(crate) enum Scheduled {
    /// A node's process starts.
    Start(NodeId),
    /// An input that came from no link: verdicts, store answers, local closes.
    Input(NodeId, Life, Input),
    /// A timer, if it has not been moved since.
    Timer(NodeId, Life, Timer, Duration),
    /// A frame's last bit is at the receiver's end of the wire.
    Frame { connection: ConnectionId, to: Side, lane: Lane, frame: Bytes },
    /// A large frame waits for the receiver's down-link.
    Bulk { connection: ConnectionId, to: Side, lane: Lane, frame: Bytes },
    /// The other side's end of a connection is noticed.
    CloseArrives { connection: ConnectionId, at: Side },
    /// A connection whose wire was cut: does it still stall?
    StallCheck(ConnectionId),
    /// A dial reaches its target.
    DialArrives(Attempt),
    /// The dialer learns that it led nowhere.
    DialFails(Attempt, bool),
    /// The write at the front of a disk's queue is durable.
    DiskDone(NodeId, Life),
    /// A feed's connection attempt comes to its end.
    FeedConnects(StreamKey),
    /// A block or header of a feed arrives, or its end.
    FeedArrives(StreamKey, FeedItem),
    /// The orderer releases the next block of a channel.
    Release(ChannelId),
    /// A liar sends what it has held back.
    LateFrame { connection: ConnectionId, from: Side, lane: Lane, frame: Bytes },
    /// A flooding node does the next of its deeds.
    Flood { flood: usize, count: u64 },
    /// A graceful stop ends.
    Exit(NodeId, Life),
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    sequence: u64,
    scheduled: Scheduled,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Duration, scheduled: Scheduled) {
        self.sequence += 1;
        self.heap.push(Entry { at, sequence: self.sequence, scheduled });
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Duration, Scheduled)> {
        self.heap.pop().map(|entry| (entry.at, entry.scheduled))
    }
}

impl Ord for Entry {
    /// Earliest first: `BinaryHeap` yields its greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
