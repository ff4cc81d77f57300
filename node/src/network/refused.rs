//! Counts the connections that peers wanted and did not get.

use std::sync::atomic::{AtomicU64, Ordering};

/// Inbound connections refused so far, by what refused them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedCounters {
    /// Too many handshakes were under way.
    pub pending: u64,
    /// All places for sessions were taken.
    pub sessions: u64,
    /// The handshake failed or took too long: another network, another protocol, garbage, silence.
    pub handshakes: u64,
}

/// The counters behind [`RefusedCounters`].
#[derive(Debug, Default)]
pub(super) struct Refused {
    pending: AtomicU64,
    sessions: AtomicU64,
    handshakes: AtomicU64,
}

impl Refused {
    pub(super) fn on_pending(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn on_sessions(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn on_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counters(&self) -> RefusedCounters {
        RefusedCounters {
            pending: self.pending.load(Ordering::Relaxed),
            sessions: self.sessions.load(Ordering::Relaxed),
            handshakes: self.handshakes.load(Ordering::Relaxed),
        }
    }
}
