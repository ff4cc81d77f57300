//! What the transport reports, and the receiving end that gives a session's inbound budget back as
//! its frames are taken.

use super::session::Session;
use bytes::Bytes;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_protocol::types::{Lane, SessionId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use thiserror::Error;
use tokio::sync::mpsc;

/// What a frame costs in a queue beside its bytes, so that empty frames are bounded too (derived:
/// the `Bytes` handle, the event around it and the queue's slot).
pub const FRAME_COST_BYTES: usize = 128;

/// Something that happened on the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEvent {
    /// We accept connections at this address; a wildcard address reports one for each interface.
    Listening {
        /// The bound address, with the port the system chose if none was asked for.
        address: SocketAddr,
    },
    /// A connection is authenticated and both sides have all its lanes.
    Opened {
        /// The connection's number, never used twice.
        session: SessionId,
        /// The key that the peer proved to hold.
        key: PublicKey,
        /// The dial that this connection answers; none if the peer dialed.
        dial: Option<u64>,
        /// The peer's socket.
        remote: SocketAddr,
    },
    /// A frame arrived, in the order in which the peer queued it on this lane.
    Frame {
        /// The connection.
        session: SessionId,
        /// The lane.
        lane: Lane,
        /// The payload.
        frame: Bytes,
    },
    /// A connection that was reported as opened is gone; its number means nothing any more.
    Closed {
        /// The connection.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
    /// A dial led to no session.
    DialFailed {
        /// The number given with the dial.
        dial: u64,
        /// Why.
        cause: DialFailure,
    },
}

/// Why a session ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CloseReason {
    /// Our side asked for it.
    #[error("closed on request")]
    Requested,
    /// This node shuts down.
    #[error("closed by our shutdown")]
    Shutdown,
    /// The peer closed, or its process or link went away.
    #[error("closed by the peer")]
    RemoteClosed,
    /// A lane had queued bytes and wrote none of them for the stall time-out.
    #[error("{lane:?} lane wrote nothing for the stall time-out")]
    Stalled {
        /// The lane.
        lane: Lane,
    },
    /// The peer announced a frame over the lane's limit.
    #[error("{lane:?} frame of {bytes} bytes is longer than {bytes_max}")]
    FrameTooLong {
        /// The lane.
        lane: Lane,
        /// The announced length.
        bytes: usize,
        /// Our limit.
        bytes_max: usize,
    },
    /// The peer broke the rules of lanes: a second one of a kind, an unknown one, one too many.
    #[error("lane rules broken: {0}")]
    LaneRules(String),
    /// The peer authenticated and then did not open its lanes in time.
    #[error("lanes not open within the handshake time-out")]
    LanesNotOpened,
    /// The connection failed below the lanes.
    #[error("connection failed: {0}")]
    Transport(String),
}

/// Why a dial led to no session.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DialFailure {
    /// The operating system reports that nobody is there: refused, unreachable, no such address.
    #[error("refused by the operating system: {0}")]
    RefusedByOs(String),
    /// No answer, no finished handshake or no lanes within their time-outs.
    #[error("timed out")]
    Timeout,
    /// Somebody else than the expected key answered.
    #[error("another key answered")]
    WrongKey,
    /// Our own limit of sessions or pending dials is reached.
    #[error("own limit of connections is reached")]
    OwnLimit,
    /// The address is our own.
    #[error("the address is our own")]
    OwnAddress,
    /// The name has no address, or the handshake failed (another network, not our protocol, closed).
    #[error("{0}")]
    Other(String),
}

/// One of the places that `sessions_max` allows; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Takes a place if fewer than `max` are taken.
    pub(super) fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then_some(count + 1))
            .is_ok()
            .then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is settled when an event is taken.
#[derive(Debug)]
pub(super) enum Receipt {
    Nothing,
    /// The frame's bytes return to the inbound budget of its lane.
    Frame(Arc<Session>, Lane),
    /// The places of a closed session are free only now: so many events can wait, and no more.
    Closed(Vec<Slot>),
}

/// The sending end. Never blocks; what bounds the queue is the budget of every session.
#[derive(Clone, Debug)]
pub(super) struct EventSender(mpsc::UnboundedSender<(NetworkEvent, Receipt)>);

impl EventSender {
    /// Queues an event; without a receiver nobody is interested any more.
    pub(super) fn send(&self, event: NetworkEvent, receipt: Receipt) {
        let _ = self.0.send((event, receipt));
    }
}

/// The events of one node's transport, in order. Taking a frame lets its session read on.
#[derive(Debug)]
pub struct NetworkEvents(mpsc::UnboundedReceiver<(NetworkEvent, Receipt)>);

impl NetworkEvents {
    /// Waits for the next event; none once the transport has shut down.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        self.0.recv().await.map(settle)
    }

    /// Polls for the next event, as [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<NetworkEvent>> {
        self.0.poll_recv(cx).map(|received| received.map(settle))
    }
}

/// A queue of events, at most as long as the sessions' inbound budgets and the dials under way allow.
pub(super) fn channel() -> (EventSender, NetworkEvents) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (EventSender(sender), NetworkEvents(receiver))
}

fn settle((event, receipt): (NetworkEvent, Receipt)) -> NetworkEvent {
    match receipt {
        Receipt::Nothing => {}
        Receipt::Frame(session, lane) => {
            if let NetworkEvent::Frame { frame, .. } = &event {
                session.release_inbound(lane, frame.len());
            }
        }
        Receipt::Closed(slots) => drop(slots),
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_stays_taken_until_its_close_is_taken() {
        let (sender, mut events) = channel();
        let taken = Arc::default();
        let slot = Slot::take(&taken, 1).expect("the only place");
        let closed = NetworkEvent::Closed { session: SessionId(1), reason: CloseReason::Requested };

        sender.send(closed.clone(), Receipt::Closed(vec![slot]));
        assert!(Slot::take(&taken, 1).is_none());

        assert_eq!(events.recv().await, Some(closed));
        assert!(Slot::take(&taken, 1).is_some());
    }
}
