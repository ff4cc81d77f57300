//! Connections between processes: three ordered lanes each way over the nodes' links, and how they end.

use crate::checks::{Violation, relays};
use crate::links::Wire;
use crate::node::NodeId;
use crate::peek::Peek;
use crate::queue::{Life, Scheduled};
use crate::traffic::SentFrame;
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::Input;
use ledgercast_protocol::types::{Lane, SessionId};
use std::collections::VecDeque;
use std::time::Duration;

/// What a liar may be asked about somebody whom it named itself.
const ASKED_BACK: [&str; 3] = ["want_certificates", "want_alives", "want_anchors"];
/// Frames above this wait for the receiver's down-link; smaller ones overtake, as with a fair queue.
const BULK_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// An end of a connection: the dialer's or the listener's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

#[derive(Debug)]
pub(crate) struct Connection {
    ends: [End; 2],
    opened: Duration,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) node: NodeId,
    pub(crate) life: Life,
    pub(crate) session: SessionId,
    pub(crate) is_open: bool,
    /// What this end sends, by lane.
    lanes: [SendingLane; 3],
}

#[derive(Debug, Default)]
struct SendingLane {
    last_arrival: Duration,
    /// When each queued frame will have left, and its bytes.
    queued: VecDeque<(Duration, usize)>,
    queued_bytes: usize,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Listener,
            Self::Listener => Self::Dialer,
        }
    }
}

impl Connection {
    pub(crate) fn new(
        opened: Duration,
        dialer: (NodeId, Life, SessionId),
        listener: (NodeId, Life, SessionId),
    ) -> Self {
        let end =
            |(node, life, session)| End { node, life, session, is_open: true, lanes: Default::default() };
        Self { ends: [end(dialer), end(listener)], opened }
    }

    pub(crate) fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }
}

impl SendingLane {
    fn forget_departed(&mut self, now: Duration) {
        while let Some((_, bytes)) = self.queued.front().filter(|(departure, _)| *departure <= now).copied() {
            self.queued.pop_front();
            self.queued_bytes -= bytes;
        }
    }
}

impl World {
    /// A process sends a frame on a session of its own.
    pub(crate) fn send_frame(
        &mut self,
        from: NodeId,
        session: SessionId,
        lane: Lane,
        frame: Bytes,
    ) -> Result<(), Violation> {
        let process = self.nodes[from.0].process.as_ref();
        let Some((connection, side)) = process.and_then(|process| process.sessions.get(&session)).copied()
        else {
            return Ok(());
        };
        let Some(to) = self.connections.get(&connection).map(|it| it.end(side.other()).node) else {
            return Ok(());
        };
        let peek = Peek::at(&frame);
        let sent = SentFrame { at: self.now, from, to, lane, peek, frame: &frame };
        if self.send_altered(&sent, (connection, side)) {
            return Ok(());
        }
        let channels = &self.channels;
        let number_of = |channel, hash| {
            let chain = channels.iter().find(|chain| chain.id() == channel)?;
            chain.number_of(hash)
        };
        self.checks.isolation.on_sent(&sent, number_of)?;
        relays::on_sent(&sent, channels)?;
        // A liar that named somebody to who must not know of it may be asked who that is.
        let is_asked_back = self.liars.contains(&to) && ASKED_BACK.contains(&peek.kind);
        if !is_asked_back {
            let joined = &self.nodes[from.0].joined;
            self.checks.disclosure.on_sent(&sent, &self.checks.isolation, joined)?;
        }
        if let Some(inspector) = &mut self.inspector {
            inspector(&sent).map_err(|found| Violation::Inspector { from, to, kind: peek.kind, found })?;
        }
        self.traffic.count_sent(peek.kind, frame.len());
        self.put_on_wire(connection, side, lane, frame);
        Ok(())
    }

    pub(crate) fn put_on_wire(&mut self, connection: ConnectionId, from: Side, lane: Lane, frame: Bytes) {
        let now = self.now;
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        let (sender, receiver) = (open.end(from).node, open.end(from.other()).node);
        let sending = &mut open.end_mut(from).lanes[lane as usize];
        sending.forget_departed(now);
        if sending.queued_bytes + frame.len() > self.links.lane_bytes_max {
            return self.traffic.count_refused();
        }
        let transmission = self.links.transmission(frame.len());
        // The control lane has strict priority: it passes what waits on the others.
        let departure = match lane {
            Lane::Control => now + transmission,
            _ => self.nodes[sender.0].uplink.occupy(now, transmission),
        };
        sending.queued.push_back((departure, frame.len()));
        sending.queued_bytes += frame.len();
        let is_lost = self.random.chance(self.links.loss_per_million);
        let is_cut = self.groups.as_ref().is_some_and(|group_of| group_of[sender.0] != group_of[receiver.0]);
        if is_lost || is_cut {
            return self.traffic.count_lost();
        }
        let arrival = departure + self.links.latency + self.random.up_to(self.links.jitter);
        let arrival = arrival.max(sending.last_arrival);
        sending.last_arrival = arrival;
        let to = from.other();
        let scheduled = match frame.len() > BULK_BYTES && lane != Lane::Control {
            true => Scheduled::Bulk { connection, to, lane, frame },
            false => Scheduled::Frame { connection, to, lane, frame },
        };
        self.queue.push(arrival, scheduled);
    }

    /// Since when two processes have had a connection that neither has closed; of several, the newest counts.
    pub(crate) fn connected_since(&self, one: NodeId, other: NodeId) -> Option<Duration> {
        let process = self.nodes[one.0].process.as_ref()?;
        let open = process.sessions.values().filter_map(|(connection, side)| {
            let open = self.connections.get(connection)?;
            let (here, there) = (open.end(*side), open.end(side.other()));
            (there.node == other && here.is_open && there.is_open).then_some(open.opened)
        });
        open.max()
    }

    /// A large frame is at the receiver's door and waits for its down-link.
    pub(crate) fn bulk_arrives(&mut self, connection: ConnectionId, to: Side, lane: Lane, frame: Bytes) {
        let Some(open) = self.connections.get(&connection) else {
            return;
        };
        let transmission = self.links.transmission(frame.len());
        let receiver: &mut Wire = &mut self.nodes[open.end(to).node.0].downlink;
        // The first bit arrived a transmission ago; only a busy link delays the last one further.
        let start = self.now.saturating_sub(transmission);
        let at = receiver.occupy(start, transmission).max(self.now);
        self.queue.push(at, Scheduled::Frame { connection, to, lane, frame });
    }

    pub(crate) fn frame_arrives(
        &mut self,
        connection: ConnectionId,
        to: Side,
        lane: Lane,
        frame: Bytes,
    ) -> Result<(), Violation> {
        let Some(open) = self.connections.get(&connection) else {
            return Ok(());
        };
        let (end, sender) = (open.end(to), open.end(to.other()).node);
        if !end.is_open || self.is_cut(sender, end.node) {
            self.traffic.count_lost();
            return Ok(());
        }
        let (node, life, session) = (end.node, end.life, end.session);
        if self.is_deaf_to(node, lane) {
            return Ok(());
        }
        self.deliver(node, life, Input::Received { session, lane, frame })
    }

    /// A process closes a session: what it has sent still arrives, then the other side notices.
    pub(crate) fn close_session(&mut self, node: NodeId, session: SessionId) {
        let process = self.nodes[node.0].process.as_mut();
        let Some((connection, side)) = process.and_then(|process| process.sessions.remove(&session)) else {
            return;
        };
        self.close_end(connection, side);
        let life = self.nodes[node.0].life;
        self.queue.push(self.now, Scheduled::Input(node, life, Input::Closed { session }));
    }

    /// One end is gone; the other learns it after everything that was sent, unless the wire is cut.
    pub(crate) fn close_end(&mut self, connection: ConnectionId, side: Side) {
        let (now, latency) = (self.now, self.links.latency);
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        open.end_mut(side).is_open = false;
        let last_sent = open.end(side).lanes.iter().map(|lane| lane.last_arrival).max().unwrap_or_default();
        let noticed = (now + latency).max(last_sent);
        let at = side.other();
        if open.end(at).is_open {
            self.queue.push(noticed, Scheduled::CloseArrives { connection, at });
        } else {
            self.connections.remove(&connection);
        }
    }

    pub(crate) fn close_arrives(&mut self, connection: ConnectionId, at: Side) -> Result<(), Violation> {
        let Some(open) = self.connections.get(&connection) else {
            return Ok(());
        };
        if self.is_cut(open.end(at).node, open.end(at.other()).node) {
            // The news is lost as everything is; the stalled end gives up by itself.
            let later = self.now + self.links.stall_timeout;
            self.queue.push(later, Scheduled::StallCheck(connection));
            return Ok(());
        }
        self.end_of_side(connection, at)
    }

    /// Both ends of a connection that can still not move a byte give it up.
    pub(crate) fn stall_check(&mut self, connection: ConnectionId) -> Result<(), Violation> {
        let Some(open) = self.connections.get(&connection) else {
            return Ok(());
        };
        let (dialer, listener) = (open.end(Side::Dialer), open.end(Side::Listener));
        let is_half_closed = !dialer.is_open || !listener.is_open;
        if !is_half_closed && !self.is_cut(dialer.node, listener.node) {
            return Ok(());
        }
        self.end_of_side(connection, Side::Dialer)?;
        self.end_of_side(connection, Side::Listener)
    }

    fn end_of_side(&mut self, connection: ConnectionId, side: Side) -> Result<(), Violation> {
        let Some(open) = self.connections.get_mut(&connection) else {
            return Ok(());
        };
        let end = open.end_mut(side);
        let was_open = std::mem::replace(&mut end.is_open, false);
        let (node, life, session) = (end.node, end.life, end.session);
        if !open.end(side.other()).is_open {
            self.connections.remove(&connection);
        }
        if !was_open {
            return Ok(());
        }
        let owner = &mut self.nodes[node.0];
        if let Some(process) = owner.process.as_mut().filter(|_| owner.life == life) {
            process.sessions.remove(&session);
        }
        self.deliver(node, life, Input::Closed { session })
    }
}
