//! What a run without a failure did.

use ledgercast_crypto::Digest;
use std::time::Duration;

/// What a run without a failure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Virtual time.
    pub simulated: Duration,
    /// Peers, liars among them.
    pub peers: usize,
    /// Liars.
    pub liars: usize,
    /// Inputs that peers handled.
    pub events: u64,
    /// Blocks that peers delivered.
    pub deliveries: u64,
    /// Frames that were lost.
    pub frames_lost: u64,
    /// Config updates that are in force at all peers of their channel in the end.
    pub updates: u64,
    /// Offences that honest peers told of; each is a liar's, or the run fails.
    pub accusations: u64,
    /// Evictions that honest peers told of: of who was gone, or of liars.
    pub evictions: u64,
    /// Peers that stand still because the orderers forked the channel.
    pub halted: usize,
    /// From the last fault mended and the last block submitted until all were where they belong.
    pub recovery: Duration,
    /// The hash over all events.
    pub trace: Digest,
}

impl Report {
    /// Simulated time of all peers together.
    pub fn node_hours(&self) -> f64 {
        self.simulated.as_secs_f64() * self.peers as f64 / 3600.0
    }
}
