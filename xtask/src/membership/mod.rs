//! `cargo xtask membership`: what membership costs when idle, and how fast it judges, in the simulator; how
//! fast it judges among real processes.

mod processes;

use clap::Args;
use ledgercast_simulator::membership_figures::{self, Figures};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Measures idle traffic and evictions in simulated networks, or evictions among real processes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many peers; may be given several times.
    #[arg(long, default_values_t = [16, 32, 64])]
    peers: Vec<usize>,
    /// The seed.
    #[arg(long, default_value_t = 1, conflicts_with = "processes")]
    seed: u64,
    /// Measures real processes on the loopback: one of them is stopped (SIGSTOP), another one killed
    /// (SIGKILL), when all see all.
    #[arg(long)]
    processes: bool,
    /// Prints one JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let few = arguments.peers.iter().find(|peers| **peers < 8);
    anyhow::ensure!(few.is_none(), "{} peers are too few: two of them are stopped", few.unwrap_or(&0));
    if arguments.processes {
        return processes::run(&arguments.peers, arguments.json);
    }
    for peers in &arguments.peers {
        let started = Instant::now();
        let figures = membership_figures::measure(arguments.seed, *peers)?;
        match arguments.json {
            true => println!("{}", describe(&figures, arguments.seed, started.elapsed())),
            false => print(&figures),
        }
    }
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn describe(figures: &Figures, seed: u64, wall: Duration) -> Value {
    let kinds = figures.by_kind.iter().map(|(kind, (bytes, frames))| {
        json!({ "kind": kind, "bytes_per_second": bytes.round(), "frames_per_second": frames })
    });
    json!({
        "peers": figures.peers,
        "seed": seed,
        "wall_s": seconds(wall),
        "full_view_s": seconds(figures.full_view),
        "sessions_opened_per_pair": figures.sessions_per_pair,
        "sessions_held_max": figures.sessions_max,
        "idle_bytes_per_second_per_peer": figures.bytes_per_second.round(),
        "idle_frames_per_second_per_peer": figures.frames_per_second,
        "idle_by_kind": kinds.collect::<Vec<_>>(),
        "hung_evicted_s": { "first": seconds(figures.hung.0), "last": seconds(figures.hung.1) },
        "killed_evicted_s": { "first": seconds(figures.killed.0), "last": seconds(figures.killed.1) },
        "false_evictions": figures.false_evictions,
    })
}

fn print(figures: &Figures) {
    println!("{} peers, 4 orgs, one channel", figures.peers);
    println!("  full view after                {:>8.2} s", figures.full_view.as_secs_f64());
    println!("  sessions opened for each pair  {:>8.2}", figures.sessions_per_pair);
    println!("  idle, each peer sends          {:>8.0} B/s", figures.bytes_per_second);
    println!("  in frames                      {:>8.2} /s", figures.frames_per_second);
    for (kind, (bytes, frames)) in &figures.by_kind {
        println!("    {kind:<20} {bytes:>8.0} B/s {frames:>8.2} frames/s");
    }
    let span = |(first, last): (Duration, Duration)| {
        format!("{:.2} to {:.2} s", first.as_secs_f64(), last.as_secs_f64())
    };
    println!("  a hung peer is evicted after   {}", span(figures.hung));
    println!("  a killed peer is evicted after {}", span(figures.killed));
    println!("  evicted and neither            {:>8}", figures.false_evictions);
}
