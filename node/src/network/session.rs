//! One connection as its two users share it: the handle queues frames, the connection's handler
//! writes them. Bounded in bytes by lane; no lock is held across a wake-up or any IO.

use super::event::{CloseReason, FRAME_COST_BYTES};
use super::limits::Limits;
use bytes::Bytes;
use futures::task::AtomicWaker;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_protocol::types::{Lane, SessionId};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Waker;
use thiserror::Error;

/// The lanes in the order of their priority.
pub(super) const LANES: [Lane; 3] = [Lane::Control, Lane::Data, Lane::Pull];

/// The place of a lane in tables of three.
pub(super) fn index(lane: Lane) -> usize {
    match lane {
        Lane::Control => 0,
        Lane::Data => 1,
        Lane::Pull => 2,
    }
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SendError {
    /// The lane's queue has no room; the frame was dropped, the session lives.
    #[error("{lane:?} lane of {session} is full with {queued_bytes} bytes")]
    LaneFull {
        /// The session.
        session: SessionId,
        /// The lane.
        lane: Lane,
        /// What waits there.
        queued_bytes: usize,
    },
    /// The frame is longer than its lane allows; nothing changed.
    #[error("frame of {bytes} bytes is longer than the {bytes_max} of the {lane:?} lane")]
    FrameTooLong {
        /// The lane.
        lane: Lane,
        /// The frame's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The session is closed, closing or was never there.
    #[error("{0} is gone")]
    Gone(SessionId),
}

/// What crossed one lane of a session so far; bytes include the frames' headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneCounters {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes handed to the connection.
    pub bytes_out: u64,
    /// Whole frames received.
    pub frames_in: u64,
    /// Whole frames handed to the connection.
    pub frames_out: u64,
}

#[derive(Debug, Default)]
struct Tally {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    frames_in: AtomicU64,
    frames_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Outbound {
    queues: [VecDeque<Bytes>; 3],
    bytes: [usize; 3],
    closing: Option<CloseReason>,
}

/// What handle and handler share about one connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) key: PublicKey,
    pub(super) dial: Option<u64>,
    pub(super) dialed: bool,
    pub(super) remote: SocketAddr,
    limits: Arc<Limits>,
    outbound: Mutex<Outbound>,
    inbound_bytes: [AtomicUsize; 3],
    tallies: [Tally; 3],
    handler: AtomicWaker,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        key: PublicKey,
        dial: Option<u64>,
        dialed: bool,
        remote: SocketAddr,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            id,
            key,
            dial,
            dialed,
            remote,
            limits,
            outbound: Mutex::default(),
            inbound_bytes: Default::default(),
            tallies: Default::default(),
            handler: AtomicWaker::new(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame for the handler.
    pub(super) fn push(&self, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        let bytes_max = self.limits.frame_bytes_max(lane);
        if frame.len() > bytes_max {
            return Err(SendError::FrameTooLong { lane, bytes: frame.len(), bytes_max });
        }
        let mut outbound = self.outbound();
        if outbound.closing.is_some() {
            return Err(SendError::Gone(self.id));
        }
        let queued_bytes = outbound.bytes[index(lane)];
        let cost = frame.len() + FRAME_COST_BYTES;
        if queued_bytes + cost > self.limits.queue_bytes_max(lane) {
            return Err(SendError::LaneFull { session: self.id, lane, queued_bytes });
        }
        outbound.bytes[index(lane)] += cost;
        outbound.queues[index(lane)].push_back(frame);
        drop(outbound);
        self.handler.wake();
        Ok(())
    }

    /// Takes the next frame to write.
    pub(super) fn pop(&self, lane: Lane) -> Option<Bytes> {
        let mut outbound = self.outbound();
        let frame = outbound.queues[index(lane)].pop_front()?;
        outbound.bytes[index(lane)] -= frame.len() + FRAME_COST_BYTES;
        Some(frame)
    }

    /// Whether frames wait on a lane.
    pub(super) fn is_waiting(&self, lane: Lane) -> bool {
        !self.outbound().queues[index(lane)].is_empty()
    }

    /// Asks the handler to end the session; the first reason stays.
    pub(super) fn close(&self, reason: CloseReason) {
        self.outbound().closing.get_or_insert(reason);
        self.handler.wake();
    }

    /// Why the session is to end or has ended, if it is.
    pub(super) fn closing(&self) -> Option<CloseReason> {
        self.outbound().closing.clone()
    }

    /// Names the handler's task, which is woken by new frames, freed budget and close requests.
    pub(super) fn register(&self, waker: &Waker) {
        self.handler.register(waker);
    }

    /// Whether a lane has used up its inbound budget.
    pub(super) fn is_inbound_full(&self, lane: Lane) -> bool {
        self.inbound_bytes[index(lane)].load(Ordering::Acquire) >= self.limits.inbound_queue_bytes_max
    }

    /// Charges a received frame to its lane's budget.
    pub(super) fn charge_inbound(&self, lane: Lane, frame_bytes: usize) {
        self.inbound_bytes[index(lane)].fetch_add(frame_bytes + FRAME_COST_BYTES, Ordering::AcqRel);
        self.tallies[index(lane)].frames_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a taken frame's bytes back and lets the handler read on if it had to stop.
    pub(super) fn release_inbound(&self, lane: Lane, frame_bytes: usize) {
        let cost = frame_bytes + FRAME_COST_BYTES;
        let before = self.inbound_bytes[index(lane)].fetch_sub(cost, Ordering::AcqRel);
        let max = self.limits.inbound_queue_bytes_max;
        if before >= max && before - cost < max {
            self.handler.wake();
        }
    }

    pub(super) fn count_bytes_in(&self, lane: Lane, bytes: usize) {
        self.tallies[index(lane)].bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, lane: Lane, bytes: usize, frames: u64) {
        self.tallies[index(lane)].bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        self.tallies[index(lane)].frames_out.fetch_add(frames, Ordering::Relaxed);
    }

    /// What crossed a lane so far.
    pub(super) fn counters(&self, lane: Lane) -> LaneCounters {
        let tally = &self.tallies[index(lane)];
        LaneCounters {
            bytes_in: tally.bytes_in.load(Ordering::Relaxed),
            bytes_out: tally.bytes_out.load(Ordering::Relaxed),
            frames_in: tally.frames_in.load(Ordering::Relaxed),
            frames_out: tally.frames_out.load(Ordering::Relaxed),
        }
    }
}

/// The open sessions by number. A session enters it when its lanes are open.
#[derive(Debug, Default)]
pub(super) struct Registry(RwLock<BTreeMap<SessionId, Arc<Session>>>);

impl Registry {
    pub(super) fn insert(&self, session: Arc<Session>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(session.id, session);
    }

    pub(super) fn remove(&self, session: SessionId) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&session).is_some()
    }

    pub(super) fn find(&self, session: SessionId) -> Option<Arc<Session>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&session).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::keys::SecretKey;

    fn session(limits: Limits) -> Session {
        let key = SecretKey::from_seed([1; 32]).public();
        Session::new(SessionId(1), key, None, false, ([127, 0, 0, 1], 1).into(), Arc::new(limits))
    }

    #[test]
    fn full_lane_refuses_and_leaves_the_others() {
        let limits = Limits { data_queue_bytes_max: 1000, ..Limits::default() };
        let session = session(limits);
        let frame = Bytes::from(vec![0; 800]);

        assert_eq!(session.push(Lane::Data, frame.clone()), Ok(()));
        let full = SendError::LaneFull { session: SessionId(1), lane: Lane::Data, queued_bytes: 928 };
        assert_eq!(session.push(Lane::Data, frame.clone()), Err(full));
        assert_eq!(session.push(Lane::Pull, frame.clone()), Ok(()));

        assert_eq!(session.pop(Lane::Data), Some(frame.clone()));
        assert_eq!(session.push(Lane::Data, frame), Ok(()));
    }

    #[test]
    fn empty_frames_fill_a_lane_too() {
        let limits = Limits { control_queue_bytes_max: 10 * FRAME_COST_BYTES, ..Limits::default() };
        let session = session(limits);

        let queued = (0..100).take_while(|_| session.push(Lane::Control, Bytes::new()).is_ok()).count();

        assert_eq!(queued, 10);
    }

    #[test]
    fn closing_session_takes_no_frame_and_keeps_the_first_reason() {
        let session = session(Limits::default());

        session.close(CloseReason::Requested);
        session.close(CloseReason::Shutdown);

        assert_eq!(session.closing(), Some(CloseReason::Requested));
        assert_eq!(session.push(Lane::Control, Bytes::new()), Err(SendError::Gone(SessionId(1))));
    }

    #[test]
    fn inbound_budget_returns_with_the_frame() {
        let limits = Limits { inbound_queue_bytes_max: 500, ..Limits::default() };
        let session = session(limits);

        session.charge_inbound(Lane::Pull, 400);
        assert!(session.is_inbound_full(Lane::Pull));
        assert!(!session.is_inbound_full(Lane::Data));

        session.release_inbound(Lane::Pull, 400);
        assert!(!session.is_inbound_full(Lane::Pull));
    }
}
