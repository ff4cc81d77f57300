//! `cargo xtask swarm`: many seeds of the simulator's standing campaign; a seed that fails is printed with
//! the command that replays it.

use anyhow::bail;
use clap::Args;
use ledgercast_simulator::swarm::{Report, Settings};
use std::time::{Duration, Instant};

/// Runs seeds of a simulated network of 50 peers with loss, a partition, a crash, a pause and config updates.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Seeds that run at the same time; by default as many as there are processors.
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Default)]
struct Totals {
    passed: u64,
    events: u64,
    deliveries: u64,
    updates: u64,
    simulated: Duration,
    recovery_max: Duration,
    failed: Vec<(u64, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::default();
    println!(
        "swarm: {} seeds from {}: {} peers, 3 orgs, 2 channels, {} % of frames lost, a partition that heals",
        arguments.seeds,
        arguments.first_seed,
        settings.peers.iter().sum::<usize>(),
        settings.loss_percent
    );
    let started = Instant::now();
    let totals = run_seeds(arguments, &settings);
    let wall = started.elapsed();
    print_totals(&totals, wall);
    if !totals.failed.is_empty() {
        bail!("{} of {} seeds failed", totals.failed.len(), arguments.seeds);
    }
    Ok(())
}

/// Each job takes the next seed; results are printed as they come.
fn run_seeds(arguments: &Arguments, settings: &Settings) -> Totals {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or_else(processors);
    let next = std::sync::atomic::AtomicU64::new(arguments.first_seed);
    let end = arguments.first_seed.saturating_add(arguments.seeds);
    let totals = std::sync::Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let started = Instant::now();
                    let outcome = run_seed(seed, settings);
                    let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    totals.take(seed, outcome, started.elapsed());
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A panic of a state machine is a failure of its seed like any other.
fn run_seed(seed: u64, settings: &Settings) -> Result<Report, String> {
    let outcome = std::panic::catch_unwind(|| ledgercast_simulator::swarm::run(seed, settings));
    match outcome {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(_) => Err("a panic, see above".to_owned()),
    }
}

impl Totals {
    fn take(&mut self, seed: u64, outcome: Result<Report, String>, wall: Duration) {
        match outcome {
            Ok(report) => {
                self.passed += 1;
                self.events += report.events;
                self.deliveries += report.deliveries;
                self.updates += report.updates;
                self.simulated += report.simulated;
                self.recovery_max = self.recovery_max.max(report.recovery);
                println!(
                    "seed {seed}: passed, {:.0} s simulated in {:.1} s, {} events, {} deliveries, \
                     {} config updates, calm to tip {:.1} s, trace {}",
                    report.simulated.as_secs_f64(),
                    wall.as_secs_f64(),
                    report.events,
                    report.deliveries,
                    report.updates,
                    report.recovery.as_secs_f64(),
                    report.trace.short()
                );
            }
            Err(failure) => {
                println!("seed {seed}: FAILED: {failure}");
                println!("    replay: cargo xtask swarm --seeds 1 --first-seed {seed}");
                self.failed.push((seed, failure));
            }
        }
    }
}

fn print_totals(totals: &Totals, wall: Duration) {
    let seconds = wall.as_secs_f64().max(f64::EPSILON);
    println!();
    println!(
        "{} passed, {} failed; {} events ({:.0}/s), {} deliveries, {} config updates, \
         {:.0} s simulated \
         ({:.1} times real time), slowest recovery {:.1} s",
        totals.passed,
        totals.failed.len(),
        totals.events,
        totals.events as f64 / seconds,
        totals.deliveries,
        totals.updates,
        totals.simulated.as_secs_f64(),
        totals.simulated.as_secs_f64() / seconds,
        totals.recovery_max.as_secs_f64()
    );
    for (seed, failure) in &totals.failed {
        println!("failed: {failure}");
        println!("    replay: cargo xtask swarm --seeds 1 --first-seed {seed}");
    }
}
