//! The command line: what is measured, with how many peers, and how long.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Measures Ledgercast over real sockets in one process, beside rust-libp2p's gossipsub.
///
/// Peers run as the daemon does: TCP, Noise and Yamux on the loopback, RocksDB with synced writes. Blocks
/// come from an orderer in the same process over gRPC with mutual TLS; its CPU time is counted apart.
/// gossipsub gets the same blocks and keeps nothing.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) shared: Shared,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Blocks at a steady rate: arrival, durable delivery, bytes, CPU, memory.
    Spread(Load),
    /// All blocks released at once: how long until every peer has all of them.
    Flood(Load),
    /// No blocks: bytes and CPU that a peer uses when nothing happens, and how soon everybody sees everybody.
    Idle(Idle),
    /// A fresh peer fetches a chain that the others have.
    CatchUp(History),
}

#[derive(Args, Debug)]
pub(crate) struct Shared {
    /// Peers, all on one channel.
    #[arg(long, global = true, default_value_t = 16)]
    pub(crate) peers: usize,
    /// Organisations that they are divided among; each has a leader of its own.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) orgs: usize,
    /// Seed of payloads and of the baseline's keys; what the network and the machine do is not replayed.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Folder for keys and stores, on the disk that is to be measured; by default the system's temporary one.
    #[arg(long, global = true)]
    pub(crate) folder: Option<PathBuf>,
    /// Print one JSON object instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Load {
    /// Bytes of a block's payload.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) bytes: usize,
    /// Blocks in a round.
    #[arg(long, default_value_t = 25)]
    pub(crate) blocks: usize,
    /// Blocks a second; `flood` ignores it.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) rate: f64,
    /// Rounds of each system, in turn.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// Seconds without blocks at the start of each round, measured and taken off the CPU of the round.
    #[arg(long, default_value_t = 5)]
    pub(crate) idle_seconds: u64,
    /// Without the baseline.
    #[arg(long)]
    pub(crate) alone: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    /// Seconds to measure.
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Seconds to wait before, after everybody sees everybody.
    #[arg(long, default_value_t = 10)]
    pub(crate) settle_seconds: u64,
    /// Without the baseline.
    #[arg(long)]
    pub(crate) alone: bool,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    /// Bytes of a block's payload.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) bytes: usize,
    /// Blocks of the chain.
    #[arg(long, default_value_t = 1000)]
    pub(crate) blocks: usize,
    /// How often a fresh peer does it.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
}
