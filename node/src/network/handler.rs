//! The handler of one connection: opens or accepts its three lanes, then moves frames between them,
//! the session's queues and the events. Runs on the connection's own task, never on the swarm's.

use super::event::{CloseReason, EventSender, NetworkEvent, Receipt};
use super::lane::{OpenLane, PIECE_BYTES, Written};
use super::session::{LANES, Registry, Session, index};
use super::upgrade::{AcceptLane, RequestLane};
use super::watchdog::Watchdog;
use ledgercast_protocol::types::Lane;
use libp2p::Stream;
use libp2p::swarm::handler::{ConnectionEvent, StreamUpgradeError};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How long a closing session may still write its queued control frames (a guess, below what a
/// shutdown allows in all).
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(200);
/// Pieces written before other connections of this thread get their turn.
const PIECES_A_TURN: usize = 64;

/// Tells the behaviour that this connection is finished: it is to be closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished;

#[derive(Debug)]
enum Phase {
    /// Lanes are being opened, until the deadline.
    Opening(Pin<Box<Sleep>>),
    Open,
    /// Only queued control frames are written, until the deadline.
    Closing(Pin<Box<Sleep>>),
    /// The behaviour was told.
    Finished,
}

type Outcome = Poll<ConnectionHandlerEvent<RequestLane, (), Finished>>;

/// The handler of one connection.
#[derive(Debug)]
pub(super) struct Handler {
    session: Arc<Session>,
    registry: Arc<Registry>,
    events: EventSender,
    phase: Phase,
    /// Lanes that we, the dialer, have still to request.
    requests: VecDeque<Lane>,
    lanes: [Option<OpenLane>; 3],
    /// Which of data and pull writes first in the next round.
    pull_first: bool,
    watchdog: Watchdog,
    buffer: Box<[u8]>,
}

impl Handler {
    pub(super) fn new(session: Arc<Session>, registry: Arc<Registry>, events: EventSender) -> Self {
        let deadline = Box::pin(tokio::time::sleep(session.limits().handshake_timeout));
        let requests = if session.dialed { LANES.into() } else { VecDeque::new() };
        let watchdog = Watchdog::new(session.limits().stall_timeout);
        let buffer = vec![0; PIECE_BYTES].into();
        let lanes = [None, None, None];
        let phase = Phase::Opening(deadline);
        Self { session, registry, events, phase, requests, lanes, pull_first: false, watchdog, buffer }
    }

    /// Keeps a lane that the peer opened, or that the peer let us open.
    fn add_lane(&mut self, lane: Lane, stream: Stream) {
        let open = &mut self.lanes[index(lane)];
        if open.is_some() {
            self.session.close(CloseReason::LaneRules(format!("a second {lane:?} lane")));
            return;
        }
        *open = Some(OpenLane::new(lane, stream, self.session.limits().frame_bytes_max(lane)));
        let all = self.lanes.iter().all(Option::is_some);
        if all && !self.session.dialed && matches!(self.phase, Phase::Opening(_)) {
            self.lane(Lane::Control).stage_ready();
            self.open();
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut OpenLane {
        self.lanes[index(lane)].as_mut().expect("callers made sure that all lanes are there")
    }

    fn open(&mut self) {
        self.phase = Phase::Open;
        self.registry.insert(Arc::clone(&self.session));
        let (session, key) = (self.session.id, self.session.key);
        let (dial, remote) = (self.session.dial, self.session.remote);
        self.events.send(NetworkEvent::Opened { session, key, dial, remote }, Receipt::Nothing);
    }

    /// Moves the phase on as far as it goes now.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        if let Some(reason) = self.session.closing() {
            return self.advance_closing(cx, reason);
        }
        if let Phase::Opening(deadline) = &mut self.phase {
            if deadline.as_mut().poll(cx).is_ready() {
                return Err(CloseReason::LanesNotOpened);
            }
            if self.lanes.iter().any(Option::is_none) {
                return Ok(());
            }
            match self.lane(Lane::Control).poll_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
            self.open();
        }
        self.read(cx)?;
        self.write(cx)?;
        let waiting = LANES
            .map(|lane| self.lanes[index(lane)].as_ref().is_some_and(|open| open.is_waiting(&self.session)));
        match self.watchdog.poll(cx, waiting) {
            Some(lane) => Err(CloseReason::Stalled { lane }),
            None => Ok(()),
        }
    }

    fn advance_closing(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Result<(), CloseReason> {
        if matches!(self.phase, Phase::Open) && is_friendly(&reason) {
            self.phase = Phase::Closing(Box::pin(tokio::time::sleep(FAREWELL_TIMEOUT)));
        }
        let Phase::Closing(deadline) = &mut self.phase else { return Err(reason) };
        if deadline.as_mut().poll(cx).is_ready() {
            return Err(reason);
        }
        let session = Arc::clone(&self.session);
        let control = self.lane(Lane::Control);
        while let Poll::Ready(written) = control.write(cx, &session) {
            if written? == Written::Nothing {
                control.flush(cx)?;
                return Err(reason);
            }
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        for lane in self.lanes.iter_mut().flatten() {
            lane.read(cx, &mut self.buffer, &self.session, &self.events)?;
        }
        Ok(())
    }

    /// Control first, before every single piece of the other two, which take turns.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        for _ in 0..PIECES_A_TURN {
            match self.write_piece(cx, Lane::Control)? {
                Poll::Pending => return self.flush(cx),
                Poll::Ready(Written::Some) => continue,
                Poll::Ready(Written::Nothing) => {}
            }
            let turns = if self.pull_first { [Lane::Pull, Lane::Data] } else { [Lane::Data, Lane::Pull] };
            self.pull_first = !self.pull_first;
            let mut written = false;
            for lane in turns {
                if self.write_piece(cx, lane)? == Poll::Ready(Written::Some) {
                    written = true;
                    break;
                }
            }
            if !written {
                return self.flush(cx);
            }
        }
        cx.waker().wake_by_ref();
        self.flush(cx)
    }

    fn write_piece(&mut self, cx: &mut Context<'_>, lane: Lane) -> Result<Poll<Written>, CloseReason> {
        let Some(open) = &mut self.lanes[index(lane)] else { return Ok(Poll::Ready(Written::Nothing)) };
        match open.write(cx, &self.session) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(written) => {
                let written = written?;
                if written == Written::Some {
                    self.watchdog.on_progress(lane);
                }
                Ok(Poll::Ready(written))
            }
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.lanes.iter_mut().flatten().try_for_each(|lane| lane.flush(cx))
    }
}

/// Whether the peer deserves our last control frames.
fn is_friendly(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::Requested | CloseReason::Shutdown)
}

fn lane_failure<E: std::fmt::Display>(error: StreamUpgradeError<E>) -> CloseReason {
    match error {
        StreamUpgradeError::Timeout => CloseReason::LanesNotOpened,
        StreamUpgradeError::Apply(error) => CloseReason::LaneRules(error.to_string()),
        StreamUpgradeError::NegotiationFailed => {
            CloseReason::LaneRules("the peer does not speak our protocol".to_owned())
        }
        StreamUpgradeError::Io(_) => CloseReason::RemoteClosed,
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Finished;
    type InboundProtocol = AcceptLane;
    type OutboundProtocol = RequestLane;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<AcceptLane> {
        SubstreamProtocol::new(AcceptLane, ()).with_timeout(self.session.limits().handshake_timeout)
    }

    /// The phases decide how long a connection lives, not its idleness.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Outcome {
        self.session.register(cx.waker());
        if matches!(self.phase, Phase::Finished) {
            return Poll::Pending;
        }
        if let Err(reason) = self.advance(cx) {
            self.session.close(reason);
            self.phase = Phase::Finished;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Finished));
        }
        if let Some(lane) = self.requests.pop_front() {
            let timeout = self.session.limits().handshake_timeout;
            let protocol = SubstreamProtocol::new(RequestLane(lane), ()).with_timeout(timeout);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    /// Reports what arrived before a peer closed; a close of ours has nothing left to say.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        if matches!(self.phase, Phase::Open) {
            if let Err(reason) = self.read(cx) {
                self.session.close(reason);
            }
            self.phase = Phase::Finished;
        }
        Poll::Ready(None)
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, AcceptLane, RequestLane>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(inbound) => {
                self.add_lane(inbound.protocol.0, inbound.protocol.1);
            }
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => {
                self.add_lane(outbound.protocol.0, outbound.protocol.1);
            }
            ConnectionEvent::DialUpgradeError(failed) => self.session.close(lane_failure(failed.error)),
            ConnectionEvent::ListenUpgradeError(failed) => {
                self.session.close(CloseReason::LaneRules(failed.error.to_string()));
            }
            _ => {}
        }
    }
}
