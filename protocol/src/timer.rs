//! Every timer that a peer can set; equal timers replace each other.

use crate::types::{ChannelId, MemberId, SessionId};

/// A timer of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A new session must have shown its certificate by now.
    Hello(SessionId),
    /// Look who should be dialed.
    Dial,
    /// Look whose certificate has expired; compare revocation lists.
    Certificates,
    /// A quarantine ends, or an offence is forgiven.
    Standing,
    /// Emit an alive, exchange digests.
    Alive,
    /// Measure awake time; look for the silent.
    Awake,
    /// A question about a silent member should be answered by now.
    Question(MemberId),
    /// Write the high-water marks.
    Marks,
    /// A timer of one channel.
    Channel(ChannelId, ChannelTimer),
}

/// A timer of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelTimer {
    /// Exchange state infos; compare tips.
    State,
    /// Judge and renew leadership.
    Leadership,
    /// The oldest outstanding body or header question is late.
    Repair,
    /// A range question is late.
    RangeSync,
}
