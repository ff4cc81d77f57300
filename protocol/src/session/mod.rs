//! Sessions: who is on the other side of a connection, and whom to dial.
//!
//! ```text
//! dialer                         listener
//!   │── Hello(certificate) ────────►│  nothing else is said before both certificates are judged;
//!   │◄──────── Hello(certificate) ──│  frames that overtake the verdict are held, a few
//!   │◄────── Channels in common ───►│
//! ```
//!
//! Rules: the certificate's key must be the one that the transport has proven; its role must be peer; its org
//! must be mine or share a channel with me. A session that shows no certificate in time is closed. Of two
//! sessions with one member the one whose dialer has the smaller id stays, on both sides alike; so it dials
//! first, and the other waits a moment. Beyond `sessions_wanted_max` a peer keeps a part of the members,
//! spread over the orgs and another one at each peer. Bootstrap and
//! anchor endpoints are dialed for ever with capped back-off.
//!
//! Limits: sessions (the transport's), held frames per session, dial attempts in flight.
//! Resists: A1 (certificates of the session's own), A7 in part (a stranger costs one handshake), A18 in part.

mod dialing;
mod table;

pub use dialing::{DialTarget, Dialing};
pub use table::{Phase, Session, Sessions};

use std::time::Duration;

/// Times and limits of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A session must have shown its certificate after this time. Default 5 s (the design's).
    pub hello_timeout: Duration,
    /// Frames held while the other side's certificate is judged. Default 64 (guess: a burst of first
    /// messages).
    pub held_frames_max: usize,
    /// First back-off after a failed dial; doubles. Default 500 ms (guess).
    pub dial_backoff_min: Duration,
    /// Longest back-off between dials. Default 25 s, the reference system's reconnect interval.
    pub dial_backoff_max: Duration,
    /// How long a member with a smaller id may take to dial me before I dial it: else both would dial at once
    /// and one session end as a duplicate. Default 500 ms (guess: several slow round trips).
    pub dial_patience: Duration,
    /// Dials under way at once. Default 32 (guess).
    pub dials_in_flight_max: usize,
    /// Sessions that we open ourselves at most. Default 128: a full mesh up to there; see
    /// `docs/adr/062`.
    pub sessions_wanted_max: usize,
    /// Certificates that are kept of other members. Default 4096, as many as members.
    pub certificates_max: usize,
    /// Statements that wait for their member's certificate. Default 1024 (guess).
    pub waiting_statements_max: usize,
    /// Verifications of statements and certificates under way at once. Default 4096 (guess).
    pub pending_verifications_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(5),
            held_frames_max: 64,
            dial_backoff_min: Duration::from_millis(500),
            dial_backoff_max: Duration::from_secs(25),
            dial_patience: Duration::from_millis(500),
            dials_in_flight_max: 32,
            sessions_wanted_max: 128,
            certificates_max: 4096,
            waiting_statements_max: 1024,
            pending_verifications_max: 4096,
        }
    }
}
