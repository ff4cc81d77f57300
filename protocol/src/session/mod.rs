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
//! sessions with one member the one whose dialer has the smaller id stays, of two of one dialer the one
//! that it dialed later, which its hello says: both sides choose alike, so one stays. So the smaller id dials
//! first, and the other waits a moment. Beyond `sessions_wanted_max` a peer keeps a part of the members,
//! spread over the orgs and another one at each peer. Bootstrap and anchor endpoints are dialed for ever
//! with capped back-off.
//!
//! Limits: sessions (the transport's), of them inbound ones per org, held frames per session, dial attempts
//! in flight, and what a member may say per second ([`Rates`]).
//! Resists: A1 (certificates of the session's own), A7 (sessions and certificates by org), A18.

mod dialing;
mod rates;
mod table;

pub use dialing::{DialTarget, Dialing};
pub use rates::{Rated, Rates};
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
    /// Sessions that we open ourselves at most. Default 64: a full mesh up to there.
    pub sessions_wanted_max: usize,
    /// Inbound sessions of one org at once; one more is closed before we show our certificate. Default 96
    /// (derived: half of the inbound sessions that the transport holds, so that no org takes all).
    pub sessions_inbound_per_org: usize,
    /// Certificates that are kept of other members. Default 4096, as many as members. At the bound the oldest
    /// that nobody needs makes room, of the org that has most; a newcomer for whom there is none is refused.
    pub certificates_max: usize,
    /// Certificates that are kept of one org's members; at the bound its own oldest make room. Default 1024
    /// (derived: a quarter).
    pub certificates_per_org: usize,
    /// Statements that wait for their member's certificate; at the bound the oldest is dropped. Default 1024
    /// (guess).
    pub waiting_statements_max: usize,
    /// The same of one session. Default 256 (derived: a quarter).
    pub waiting_statements_per_session: usize,
    /// Verifications of statements under way at once, and of certificates; more are refused. Default 4096
    /// (guess).
    pub pending_verifications_max: usize,
    /// The same that one session has caused. Default 2048 (derived: half, so that nobody takes all).
    pub pending_verifications_per_session: usize,
    /// Bytes of revocation lists that are kept, in memory and on disk; a list beyond is refused. Default 2
    /// MiB (derived: eight of the largest; most have under 4 KiB).
    pub revocation_bytes_max: usize,
    /// KiB of revocation lists sent to one member per second; more is not answered. Default 512 (derived: one
    /// of the largest, and small ones).
    pub revocation_kib_per_second: u32,
    /// How often revocation lists are compared with all sessions, and validity with the clock even when
    /// nothing should expire: a clock may be set. Default 30 s (guess).
    pub certificate_check_interval: Duration,
    /// Signed statements that a member may send per second. Default 1024 (derived: 4,096 members state
    /// something every 4 s). Beyond this rate and the two below a message is dropped and counted.
    pub statements_per_second: u32,
    /// Certificates that a member may send per second. Default 512 (derived: with the burst a full table).
    pub certificates_per_second: u32,
    /// Other messages that a member may send per second, answers and pushed bodies excepted. Default 8192
    /// (guess: a catching-up peer asks for every block).
    pub messages_per_second: u32,
    /// Seconds of each rate that a member may use up at once. Default 8 (derived: a full digest exchange).
    pub rate_burst_seconds: u32,
    /// How long a member may go on above a rate before its session ends. Default 5 s (guess).
    pub excess_max: Duration,
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
            sessions_wanted_max: 64,
            sessions_inbound_per_org: 96,
            certificates_max: 4096,
            certificates_per_org: 1024,
            waiting_statements_max: 1024,
            waiting_statements_per_session: 256,
            pending_verifications_max: 4096,
            pending_verifications_per_session: 2048,
            revocation_bytes_max: 2 * 1024 * 1024,
            revocation_kib_per_second: 512,
            certificate_check_interval: Duration::from_secs(30),
            statements_per_second: 1024,
            certificates_per_second: 512,
            messages_per_second: 8192,
            rate_burst_seconds: 8,
            excess_max: Duration::from_secs(5),
        }
    }
}
