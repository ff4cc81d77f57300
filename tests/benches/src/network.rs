//! What the two systems have in common for a measurement: blocks in, deliveries out, bytes counted.

use ledgercast_protocol::event::Route;
use ledgercast_protocol::ledger::VerifiedBlock;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// One block at one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    /// Complete and checked.
    pub(crate) arrived: Instant,
    /// On disk, with all blocks before it; `None`: the system keeps nothing.
    pub(crate) durable: Option<Instant>,
    /// How it came; `None`: the system has one way only.
    pub(crate) route: Option<Route>,
    /// Bytes of the body that came more than once, where the system says.
    pub(crate) duplicate_bytes: u64,
}

/// A running network of peers.
pub(crate) trait Network {
    /// The name in reports.
    const NAME: &'static str;
    /// The name of its threads.
    const THREADS: &'static str;

    /// How long it took until it could be used.
    fn ready_after(&self) -> Duration;

    /// TCP payload that all peers have sent.
    fn bytes_sent(&self) -> u64;

    /// Hands a block to where the system gets it from; returns when that began.
    fn release(&mut self, block: &VerifiedBlock) -> Instant;

    /// How many deliveries a block should have.
    fn deliveries_per_block(&self) -> usize;

    /// Deliveries as they happen.
    fn deliveries(&self) -> &Receiver<Delivery>;

    /// Ends everything.
    fn stop(self);
}
