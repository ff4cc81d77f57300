//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// Runs seeds of simulated networks: faults, config updates, liars; every invariant at every event.
#[derive(Parser)]
#[command(name = "cargo xtask swarm")]
pub(crate) struct Arguments {
    /// How many seeds to run at most.
    #[arg(long, default_value_t = 20)]
    pub(crate) seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    pub(crate) first_seed: u64,
    /// Begins no seed after this time.
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
    /// Keeps each seed's outcome in this file, one JSON object a line, and runs only seeds that it has not.
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
    /// Seeds that run at the same time; by default as many as there are processors.
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// For a seed that fails, the most runs in which what it needs to fail is looked for.
    #[arg(long, default_value_t = 200)]
    pub(crate) minimise_runs: usize,
    /// Repeats one plan, as a failing seed prints it.
    #[arg(long, conflicts_with_all = ["slander", "worst_mix", "record"])]
    pub(crate) plan: Option<String>,
    /// Membership only: 16 to 32 peers, 10 % of frames lost, a third slandering; no false eviction.
    #[arg(long, conflicts_with = "worst_mix")]
    pub(crate) slander: bool,
    /// With `--slander`: begins no seed after so many simulated node-hours, those of the record included.
    #[arg(long, requires = "slander")]
    pub(crate) node_hours: Option<f64>,
    /// Looks for the mix of crimes of a third of the peers that costs the honest most.
    #[arg(long)]
    pub(crate) worst_mix: bool,
    /// With `--worst-mix`: how many mixes are tried.
    #[arg(long, default_value_t = 100, requires = "worst_mix")]
    pub(crate) budget: usize,
}
