//! A node: what outlives its processes (identity, disk, clock, address), and its process while there is one.

use crate::clock::Clock;
use crate::connections::{ConnectionId, Side};
use crate::disk::Disk;
use crate::identities::Credentials;
use crate::links::Wire;
use crate::queue::Life;
use ledgercast_protocol::peer::{Peer, PeerConfig};
use ledgercast_protocol::types::{ChannelId, Endpoint, MemberId, SessionId};
use ledgercast_protocol::{Event, Now, Timer};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// A node of a world, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) org: usize,
    pub(crate) credentials: Credentials,
    pub(crate) config: PeerConfig,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// Channels that its operator has joined it to.
    pub(crate) joined: BTreeSet<ChannelId>,
    pub(crate) process: Option<Process>,
    /// The number of its newest process.
    pub(crate) life: Life,
    pub(crate) uplink: Wire,
    pub(crate) downlink: Wire,
    /// Events of all its processes, refusals and blocks excepted.
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) refusals: BTreeMap<(&'static str, &'static str), u64>,
    /// Verifications that its processes asked for, by kind.
    pub(crate) verifications: BTreeMap<&'static str, u64>,
}

pub(crate) struct Process {
    pub(crate) peer: Peer,
    pub(crate) started: Duration,
    pub(crate) timers: BTreeMap<Timer, Duration>,
    pub(crate) sessions: BTreeMap<SessionId, (ConnectionId, Side)>,
    pub(crate) next_session: u64,
    pub(crate) pending_verifications: usize,
    /// While the process is paused: since when, and what waits for it.
    pub(crate) paused: Option<Paused>,
    pub(crate) is_stopping: bool,
}

#[derive(Debug)]
pub(crate) struct Paused {
    pub(crate) since: Duration,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) bytes_by_session: BTreeMap<SessionId, usize>,
}

#[derive(Debug)]
pub(crate) enum Waiting {
    Input(ledgercast_protocol::Input),
    Timer(Timer, Duration),
}

impl Node {
    pub(crate) fn member(&self) -> MemberId {
        self.credentials.identity.member
    }

    pub(crate) fn listens_on(&self, endpoint: &Endpoint) -> bool {
        self.config.internal_endpoint == *endpoint || self.config.external_endpoint.as_ref() == Some(endpoint)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// What its clocks say; before its first process, the truth on the wall clock only.
    pub(crate) fn now(&self, at: Duration) -> Now {
        self.clock.now(at, self.process.as_ref().map_or(at, |process| process.started))
    }
}

impl Process {
    pub(crate) fn new(peer: Peer, started: Duration) -> Self {
        Self {
            peer,
            started,
            timers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 1,
            pending_verifications: 0,
            paused: None,
            is_stopping: false,
        }
    }

    pub(crate) fn open_session(&mut self, connection: ConnectionId, side: Side) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(session, (connection, side));
        session
    }
}
