//! The figures of one round, and the conditions under which they were taken; what `--json` prints.

use crate::machine;
use crate::quantiles::Quantiles;
use serde::Serialize;
use std::collections::BTreeMap;

/// A network in which nothing happens.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    /// How long it was watched.
    pub(crate) seconds: f64,
    /// TCP payload sent by all peers together.
    pub(crate) bytes_per_second: f64,
    /// Of the whole process.
    pub(crate) cpu_seconds_per_second: f64,
}

/// One system, one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) system: &'static str,
    /// From the first start until the network could be used.
    pub(crate) ready_ms: f64,
    pub(crate) blocks: usize,
    /// Encoded, header and certificate included; the mean.
    pub(crate) block_bytes: u64,
    /// Bytes sent ÷ (receivers × block).
    pub(crate) bytes_ratio: f64,
    /// TCP payload sent by all peers, membership included.
    pub(crate) bytes_sent: u64,
    /// User and system time for each block and peer, without the source and without what silence costs.
    pub(crate) cpu_ms: f64,
    pub(crate) cpu_user_seconds: f64,
    pub(crate) cpu_system_seconds: f64,
    /// What silence would have cost in that time.
    pub(crate) cpu_idle_seconds: f64,
    /// The orderer's side of the feed.
    pub(crate) cpu_source_seconds: f64,
    pub(crate) cpu_by_thread: BTreeMap<String, f64>,
    /// From the release until a peer had the whole block, checked.
    pub(crate) arrival: Option<Quantiles>,
    /// From the release until it was on the peer's disk with all blocks before it.
    pub(crate) durable: Option<Quantiles>,
    /// From the first release to the last delivery.
    pub(crate) elapsed_ms: f64,
    /// Blocks × peers that nothing reached.
    pub(crate) missed: usize,
    /// Blocks × peers that came as an answer to a question, because the push did not come in time.
    pub(crate) repaired: usize,
    /// Blocks × peers that came as history.
    pub(crate) range_synced: usize,
    /// Bytes of bodies that came more than once.
    pub(crate) duplicate_bytes: u64,
    /// How far resident memory of the process rose above what it was before the blocks.
    pub(crate) memory_peak_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) idle: Idle,
}

/// Under which conditions something was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Conditions {
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) peers: usize,
    pub(crate) orgs: usize,
    pub(crate) processors: usize,
    /// Of one, five and fifteen minutes, before and after.
    pub(crate) load_before: [f64; 3],
    pub(crate) load_after: [f64; 3],
    /// `dev` has debug assertions and less optimisation.
    pub(crate) profile: &'static str,
    pub(crate) allocator: BTreeMap<String, String>,
    pub(crate) versions: BTreeMap<&'static str, &'static str>,
}

impl Conditions {
    /// Those before a measurement.
    pub(crate) fn before(shared: &crate::arguments::Shared) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Self {
            command: format!("cargo xtask bench {}", arguments.join(" ")),
            seed: shared.seed,
            peers: shared.peers,
            orgs: shared.orgs,
            processors: machine::processors(),
            load_before: machine::load(),
            load_after: [f64::NAN; 3],
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            allocator: std::env::vars().filter(|(name, _)| name.starts_with("MALLOC_")).collect(),
            versions: versions(),
        }
    }

    /// Adds those afterwards.
    pub(crate) fn close(&mut self) {
        self.load_after = machine::load();
    }
}

/// What was measured is what the lock file names.
fn versions() -> BTreeMap<&'static str, &'static str> {
    const LOCK: &str = include_str!("../../../Cargo.lock");
    let names = ["libp2p", "libp2p-gossipsub", "libp2p-noise", "yamux", "rocksdb"];
    let version = |name: &str| {
        let (_, after) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        after.split_once('"').map(|(version, _)| version)
    };
    let locked = names.into_iter().filter_map(|name| Some((name, version(name)?)));
    locked.chain([("ledgercast", env!("CARGO_PKG_VERSION"))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_version_in_the_lock_file() {
        let versions = versions();

        assert_eq!(versions.len(), 6, "{versions:?}");
        assert!(versions["libp2p-gossipsub"].starts_with("0."));
    }
}
