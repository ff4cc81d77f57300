//! What a peer holds right now, in figures that cost nothing to take: for metrics, and for checks after every
//! step.

use super::Peer;

/// Figures of a peer, each with a bound in its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Open sessions.
    pub sessions: usize,
    /// Certificates kept of other members.
    pub certificates: usize,
    /// Statements under verification.
    pub pending_statements: usize,
    /// Certificates under verification.
    pub pending_certificates: usize,
    /// Statements that wait for their member's certificate.
    pub waiting_statements: usize,
    /// Members with offences or quarantines that are not forgotten.
    pub standings: usize,
    /// Bytes of bodies on their way, of the channel that has most.
    pub payload_buffer_bytes_max: u64,
}

impl Peer {
    /// Takes the figures.
    pub fn load(&self) -> Load {
        let (pending_statements, pending_certificates, waiting_statements) = self.pending.lengths();
        let payload = self.channels.values().map(|joined| joined.flow.payload_buffer_bytes());
        Load {
            sessions: self.sessions.len(),
            certificates: self.identities.len(),
            pending_statements,
            pending_certificates,
            waiting_statements,
            standings: self.standings.len(),
            payload_buffer_bytes_max: payload.max().unwrap_or_default(),
        }
    }
}
