//! What a peer costs when nothing happens, by the kernel's account.

use super::Story;
use ledgercast_tests::process::Usage;
use std::time::{Duration, Instant};

const SETTLE: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);

/// Percent of one core.
const CPU_MAX: f64 = 1.0;
/// Resident megabytes.
const MEMORY_MAX: f64 = 60.0;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let stage = story.screen.stage(format!("idle for {MEASURED:?}"));
    // A measured interval, not a wait for something.
    std::thread::sleep(SETTLE);
    let (before, started) = (usages(story)?, Instant::now());
    std::thread::sleep(MEASURED);
    let (after, elapsed) = (usages(story)?, started.elapsed());
    stage.done("measured");
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / elapsed.as_secs_f64();
        rows.push((100.0 * cpu, after.resident_bytes as f64 / 1e6));
    }
    let cpu_max = rows.iter().map(|row| row.0).fold(0.0, f64::max);
    let memory_max = rows.iter().map(|row| row.1).fold(0.0, f64::max);
    let list = |values: Vec<String>| values.join(", ");
    story.claims.add(
        cpu_max < CPU_MAX,
        format!("an idle peer uses less than {CPU_MAX} % of a core"),
        list(rows.iter().map(|row| format!("{:.1} %", row.0)).collect()),
    );
    story.claims.add(
        memory_max < MEMORY_MAX,
        format!("an idle peer holds less than {MEMORY_MAX} MB"),
        list(rows.iter().map(|row| format!("{:.0} MB", row.1)).collect()),
    );
    Ok(())
}

fn usages(story: &mut Story) -> Result<Vec<Usage>, String> {
    let cluster = &mut story.network.cluster;
    let peers = cluster.peers();
    let usage = |peer: &String| {
        let process = cluster.process(peer).ok_or_else(|| format!("{peer} does not run"))?;
        process.usage().ok_or_else(|| format!("the kernel tells nothing of {peer}"))
    };
    peers.iter().map(usage).collect()
}
