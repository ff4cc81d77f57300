//! What a peer costs when nothing happens, by the kernel's account.

use super::{Story, pace};
use ledgercast_tests::process::Usage;
use std::time::{Duration, Instant};

const SETTLE: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);

/// Percent of one core, caches warm.
const CPU_MAX: f64 = 1.0;
/// Percent of one core as the kernel counts it, however cold the caches are. Measured: 3.4 at the most.
const CPU_COUNTED_MAX: f64 = 5.0;
/// A second, over all threads. A timer that is set again and again shows here, whatever the machine's pace.
const WAKEUPS_MAX: f64 = 100.0;
/// Resident megabytes.
const MEMORY_MAX: f64 = 60.0;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let stage = story.screen.stage(format!("idle for {MEASURED:?}"));
    // A measured interval, not a wait for something.
    std::thread::sleep(SETTLE);
    let (before, started) = (usages(story)?, Instant::now());
    let slowdown = pace::slowdown(MEASURED);
    let (after, elapsed) = (usages(story)?, started.elapsed());
    stage.done("measured");
    let (mut cpu, mut wakeups, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for (before, after) in before.iter().zip(&after) {
        let used = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        cpu.push(100.0 * used / elapsed.as_secs_f64());
        wakeups.push(after.wakeups_since(before) as f64 / elapsed.as_secs_f64());
        memory.push(after.resident_bytes as f64 / 1e6);
    }
    let list = |values: &[f64], digits: usize, unit: &str| {
        let texts: Vec<String> = values.iter().map(|value| format!("{value:.digits$}{unit}")).collect();
        texts.join(", ")
    };
    story.claims.add(
        max(&cpu) / slowdown < CPU_MAX && max(&cpu) < CPU_COUNTED_MAX && max(&wakeups) < WAKEUPS_MAX,
        format!("an idle peer uses less than {CPU_MAX} % of a core, caches warm"),
        format!(
            "{} as counted, to be divided by {slowdown:.1}: so much longer short work takes after a rest on \
             this machine now; up to {:.0} wake-ups a second",
            list(&cpu, 1, " %"),
            max(&wakeups)
        ),
    );
    story.claims.add(
        max(&memory) < MEMORY_MAX,
        format!("an idle peer holds less than {MEMORY_MAX} MB"),
        list(&memory, 0, " MB"),
    );
    Ok(())
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
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
