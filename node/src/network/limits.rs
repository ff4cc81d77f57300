//! The bounds of the transport adapter and what happens at each of them.

use super::event::FRAME_COST_BYTES;
use ledgercast_protocol::types::Lane;
use std::time::Duration;
use thiserror::Error;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Yamux streams that a connection may have at once: three lanes and room for closing ones.
pub(super) const STREAMS_MAX: usize = 8;
/// The window that Yamux grants every stream before it measures anything.
const STREAM_WINDOW_BYTES: usize = 256 * KIB;

/// The bounds of one node's transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections held at once. At the bound a dial fails with `OwnLimit`, an inbound one is closed.
    pub sessions_max: usize,
    /// Inbound connections held at once; the rest of `sessions_max` stays free for our own dials.
    pub sessions_inbound_max: usize,
    /// Handshakes under way, counted for each direction. Beyond it a connection is refused at once.
    pub sessions_pending_max: usize,
    /// Dials that may wait for the transport's task, which takes them at once unless the machine is
    /// overloaded. A dial beyond fails and is tried again later.
    pub dials_waiting_max: usize,
    /// Bytes waiting on the control lane of one session; a frame beyond is refused.
    pub control_queue_bytes_max: usize,
    /// Bytes waiting on the data lane of one session; a frame beyond is refused.
    pub data_queue_bytes_max: usize,
    /// Bytes waiting on the pull lane of one session; a frame beyond is refused.
    pub pull_queue_bytes_max: usize,
    /// Bytes received on one lane and not yet taken by the owner of the events. At the bound the
    /// lane is not read; it can be passed by one frame and one read buffer.
    pub inbound_queue_bytes_max: usize,
    /// The largest control frame; a larger one from a peer ends the session. This and the next two are part
    /// of the wire format, not configuration: a node with smaller ones would end sessions for what all others
    /// may say.
    pub control_frame_bytes_max: usize,
    /// The largest data frame; a larger one from a peer ends the session.
    pub data_frame_bytes_max: usize,
    /// The largest pull frame; a larger one from a peer ends the session.
    pub pull_frame_bytes_max: usize,
    /// Bytes that Yamux may hold for one connection when nobody reads them.
    pub receive_window_bytes_max: usize,
    /// How long a lane may have queued bytes and write none of them before the session is closed.
    pub stall_timeout: Duration,
    /// How long an inbound connection may take until it is authenticated, and then again until its
    /// lanes are open.
    pub handshake_timeout: Duration,
    /// How long name resolution, and after it each connection attempt with its handshake, may take.
    pub dial_timeout: Duration,
}

impl Default for Limits {
    /// The queue sizes, the window and the session counts are guesses; frame sizes and time-outs
    /// are those of the protocol's design.
    fn default() -> Self {
        Self {
            sessions_max: 256,
            sessions_inbound_max: 192,
            sessions_pending_max: 64,
            dials_waiting_max: 1024,
            control_queue_bytes_max: MIB,
            data_queue_bytes_max: 8 * MIB,
            pull_queue_bytes_max: 4 * MIB,
            inbound_queue_bytes_max: 2 * MIB,
            control_frame_bytes_max: 64 * KIB,
            data_frame_bytes_max: 260 * KIB,
            pull_frame_bytes_max: MIB,
            receive_window_bytes_max: 6 * MIB,
            stall_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            dial_timeout: Duration::from_secs(5),
        }
    }
}

/// Why a set of limits cannot work.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LimitsError {
    /// A bound that must be positive is zero.
    #[error("{0} is 0, must be at least 1")]
    Zero(&'static str),
    /// A frame is longer than the wire format can say.
    #[error("{lane:?} frames of {bytes} bytes do not fit into a 32 bit length")]
    FrameBytes {
        /// The lane.
        lane: Lane,
        /// The configured size.
        bytes: usize,
    },
    /// A lane could never carry its largest frame.
    #[error("{lane:?} queue of {queue} bytes cannot hold one frame of {frame} bytes")]
    QueueBytes {
        /// The lane.
        lane: Lane,
        /// The configured queue.
        queue: usize,
        /// The configured frame.
        frame: usize,
    },
    /// The multiplexer could not grant each stream its first window.
    #[error("receive window of {0} bytes is below {min}", min = STREAMS_MAX * STREAM_WINDOW_BYTES)]
    Window(usize),
}

impl LimitsError {
    /// The limit that would have to change.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Zero(key) => key,
            Self::FrameBytes { lane: Lane::Control, .. } => "control_frame_bytes_max",
            Self::FrameBytes { lane: Lane::Data, .. } => "data_frame_bytes_max",
            Self::FrameBytes { lane: Lane::Pull, .. } => "pull_frame_bytes_max",
            Self::QueueBytes { lane: Lane::Control, .. } => "control_queue_bytes_max",
            Self::QueueBytes { lane: Lane::Data, .. } => "data_queue_bytes_max",
            Self::QueueBytes { lane: Lane::Pull, .. } => "pull_queue_bytes_max",
            Self::Window(_) => "receive_window_bytes_max",
        }
    }
}

impl Limits {
    /// The largest frame of a lane, in bytes.
    pub fn frame_bytes_max(&self, lane: Lane) -> usize {
        match lane {
            Lane::Control => self.control_frame_bytes_max,
            Lane::Data => self.data_frame_bytes_max,
            Lane::Pull => self.pull_frame_bytes_max,
        }
    }

    /// The bytes that may wait on a lane.
    pub fn queue_bytes_max(&self, lane: Lane) -> usize {
        match lane {
            Lane::Control => self.control_queue_bytes_max,
            Lane::Data => self.data_queue_bytes_max,
            Lane::Pull => self.pull_queue_bytes_max,
        }
    }

    /// Checks that these limits can work together.
    ///
    /// # Errors
    /// The first limit that cannot.
    pub fn check(&self) -> Result<(), LimitsError> {
        let positive = [
            ("sessions_max", self.sessions_max),
            ("sessions_pending_max", self.sessions_pending_max),
            ("dials_waiting_max", self.dials_waiting_max),
            ("inbound_queue_bytes_max", self.inbound_queue_bytes_max),
            ("stall_timeout", self.stall_timeout.as_millis() as usize),
            ("handshake_timeout", self.handshake_timeout.as_millis() as usize),
            ("dial_timeout", self.dial_timeout.as_millis() as usize),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(LimitsError::Zero(name));
        }
        for lane in [Lane::Control, Lane::Data, Lane::Pull] {
            let (frame, queue) = (self.frame_bytes_max(lane), self.queue_bytes_max(lane));
            if frame == 0 || u32::try_from(frame).is_err() {
                return Err(LimitsError::FrameBytes { lane, bytes: frame });
            }
            if queue < frame.saturating_add(FRAME_COST_BYTES) {
                return Err(LimitsError::QueueBytes { lane, queue, frame });
            }
        }
        if self.receive_window_bytes_max < STREAMS_MAX * STREAM_WINDOW_BYTES {
            return Err(LimitsError::Window(self.receive_window_bytes_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_work_together() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn refuses_a_queue_that_holds_no_frame() {
        let limits = Limits { data_queue_bytes_max: 260 * KIB, ..Limits::default() };

        assert!(matches!(limits.check(), Err(LimitsError::QueueBytes { lane: Lane::Data, .. })));
    }

    #[test]
    fn refuses_zero_sessions_and_a_small_window() {
        let none = Limits { sessions_max: 0, ..Limits::default() };
        let small = Limits { receive_window_bytes_max: MIB, ..Limits::default() };

        assert_eq!(none.check(), Err(LimitsError::Zero("sessions_max")));
        assert_eq!(small.check(), Err(LimitsError::Window(MIB)));
    }
}
