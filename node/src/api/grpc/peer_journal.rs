//! What a peer's events tell that its snapshot does not: since when sessions are open, and which channels
//! stand still.

use crate::core::CoreHandle;
use ledgercast_protocol::Event;
use ledgercast_protocol::types::SessionId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;

/// A journal that its own task keeps until the core ends.
#[derive(Debug)]
pub(super) struct PeerJournal {
    started: Instant,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Bounded by the sessions that the transport holds: an entry goes with its session.
    ready: BTreeMap<SessionId, Instant>,
}

impl PeerJournal {
    /// Starts to listen.
    pub(super) fn start(core: &CoreHandle) -> Arc<Self> {
        let journal = Arc::new(Self { started: Instant::now(), entries: Mutex::default() });
        let (mut events, entries) = (core.events(), Arc::downgrade(&journal));
        tokio::spawn(async move {
            loop {
                let received = events.recv().await;
                let Some(journal) = entries.upgrade() else { return };
                match received {
                    Ok(event) => journal.note(&event),
                    // Which sessions closed is not known now: start over, rather than keep what may be gone.
                    Err(RecvError::Lagged(_)) => journal.entries().ready.clear(),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        journal
    }

    fn note(&self, event: &Event) {
        let mut entries = self.entries();
        match event {
            Event::SessionReady { session, .. } => {
                entries.ready.insert(*session, Instant::now());
            }
            Event::SessionClosed { session, .. } => {
                entries.ready.remove(session);
            }
            _ => {}
        }
    }

    /// How long the peer runs.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long a session is ready; for one that was ready before the journal began, how long that is.
    pub(super) fn ready_for(&self, session: SessionId) -> Duration {
        self.entries().ready.get(&session).unwrap_or(&self.started).elapsed()
    }

    /// A panic of another thread leaves the maps whole: each change is one call.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
