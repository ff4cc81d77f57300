//! What the node asks of its transport. Sending never passes the swarm's task: the frame goes
//! straight into its session's lane.

use super::counted::WireBytes;
use super::event::CloseReason;
use super::refused::{Refused, RefusedCounters};
use super::session::{LaneCounters, Registry, SendError, index};
use bytes::Bytes;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_protocol::types::{Lane, SessionId};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// What the swarm's task is asked.
#[derive(Debug)]
pub(super) enum NetworkCommand {
    Dial { dial: u64, endpoint: String, expect: Option<PublicKey> },
    Shutdown { done: oneshot::Sender<()> },
}

/// Why a dial was not begun; no event will follow.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// Too many dials wait already.
    #[error("too many dials wait already")]
    Busy,
    /// The transport has shut down.
    #[error("transport has shut down")]
    Stopped,
}

/// What crossed the three lanes of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters([LaneCounters; 3]);

impl SessionCounters {
    /// The counters of one lane.
    pub fn lane(&self, lane: Lane) -> LaneCounters {
        self.0[index(lane)]
    }
}

/// TCP payload that all connections moved, handshakes and encryption included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// A clonable handle to the transport. The transport shuts down when the last one is dropped.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    pub(super) commands: mpsc::Sender<NetworkCommand>,
    pub(super) registry: Arc<Registry>,
    pub(super) bytes: Arc<WireBytes>,
    pub(super) refused: Arc<Refused>,
}

impl NetworkHandle {
    /// Queues a frame on a lane of an open session; never waits.
    ///
    /// # Errors
    /// The frame was not queued, for the reason given; the session is as before.
    pub fn send(&self, session: SessionId, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        self.registry.find(session).ok_or(SendError::Gone(session))?.push(lane, frame)
    }

    /// Ends a session: queued control frames are still written if the peer takes them at once, the
    /// rest is dropped. `Closed` follows. A session that is gone already is left alone.
    pub fn close(&self, session: SessionId) {
        if let Some(open) = self.registry.find(session) {
            open.close(CloseReason::Requested);
        }
    }

    /// Dials `host:port`; exactly one `Opened` or `DialFailed` with this `dial` follows.
    ///
    /// # Errors
    /// The dial was not begun.
    pub fn dial(&self, dial: u64, endpoint: &str, expect: Option<PublicKey>) -> Result<(), CommandError> {
        let command = NetworkCommand::Dial { dial, endpoint: endpoint.to_owned(), expect };
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })
    }

    /// What crossed the lanes of an open session, none if it is gone.
    pub fn counters(&self, session: SessionId) -> Option<SessionCounters> {
        let session = self.registry.find(session)?;
        Some(SessionCounters([Lane::Control, Lane::Data, Lane::Pull].map(|lane| session.counters(lane))))
    }

    /// What all connections moved so far.
    pub fn wire_counters(&self) -> WireCounters {
        let (bytes_in, bytes_out) = self.bytes.totals();
        WireCounters { bytes_in, bytes_out }
    }

    /// What peers wanted and did not get so far.
    pub fn refused_counters(&self) -> RefusedCounters {
        self.refused.counters()
    }

    /// Closes every session and the listeners; returns within a second, when the task has ended.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(NetworkCommand::Shutdown { done }).await.is_ok() {
            let _ = ended.await; // dropped without an answer means ended as well
        }
    }
}
