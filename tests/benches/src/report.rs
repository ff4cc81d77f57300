//! Tables for people: one column a round, the ratio of the two systems behind.

use crate::figures::{Conditions, Round};
use crate::gossipsub::Gossipsub;
use crate::network::Network;
use crate::peers::Peers;
use std::fmt::Write as _;

type Figure = fn(&Round) -> Option<f64>;

/// Label, figure, digits behind the point.
const ROWS: [(&str, Figure, usize); 21] = [
    ("ready after, ms", |it| Some(it.ready_ms), 0),
    ("bytes sent ÷ (receivers × block)", |it| Some(it.bytes_ratio), 3),
    ("CPU per block × peer, ms", |it| Some(it.cpu_ms), 2),
    ("arrival p50, ms", |it| it.arrival.map(|it| it.p50), 1),
    ("arrival p95, ms", |it| it.arrival.map(|it| it.p95), 1),
    ("arrival p99, ms", |it| it.arrival.map(|it| it.p99), 1),
    ("arrival last, ms", |it| it.arrival.map(|it| it.last), 1),
    ("durable in order p50, ms", |it| it.durable.map(|it| it.p50), 1),
    ("durable in order p95, ms", |it| it.durable.map(|it| it.p95), 1),
    ("durable in order p99, ms", |it| it.durable.map(|it| it.p99), 1),
    ("durable in order last, ms", |it| it.durable.map(|it| it.last), 1),
    ("first release to last delivery, ms", |it| Some(it.elapsed_ms), 0),
    ("missed, blocks × peers", |it| Some(it.missed as f64), 0),
    ("by repair, blocks × peers", |it| Some(it.repaired as f64), 0),
    ("as history, blocks × peers", |it| Some(it.range_synced as f64), 0),
    ("bodies twice, MB", |it| Some(it.duplicate_bytes as f64 / 1e6), 2),
    ("memory above start, MB a process", |it| Some(it.memory_peak_bytes as f64 / 1e6), 1),
    ("idle bytes sent a second a process", |it| Some(it.idle.bytes_per_second), 0),
    ("idle CPU, % of a core a process", |it| Some(it.idle.cpu_seconds_per_second * 100.0), 2),
    ("source's CPU, s", |it| Some(it.cpu_source_seconds), 2),
    ("CPU in all, s", |it| Some(it.cpu_user_seconds + it.cpu_system_seconds), 2),
];

/// The conditions, the rounds side by side, and ratios of the medians.
pub(crate) fn rounds(conditions: &Conditions, rounds: &[Round]) -> String {
    let mut text = header(conditions);
    let columns = rounds.iter().map(|round| format!("{:>12}", round.system)).collect::<String>();
    line(&mut text, &format!("{:<38}{columns}{:>12}", "", "ratio"));
    for (label, figure, digits) in ROWS {
        let cells = rounds.iter().map(|round| cell(figure(round), digits)).collect::<String>();
        let ratio = median(rounds, Peers::NAME, figure).zip(median(rounds, Gossipsub::NAME, figure));
        let ratio = ratio.filter(|(_, baseline)| *baseline > 0.0).map(|(own, baseline)| own / baseline);
        line(&mut text, &format!("{label:<38}{cells}{}", cell(ratio, 3)));
    }
    for round in rounds.iter().filter(|round| round.system == Peers::NAME) {
        let mut threads: Vec<_> = round.cpu_by_thread.iter().collect();
        threads.sort_by(|left, right| right.1.total_cmp(left.1));
        let shares: Vec<String> = threads.iter().map(|(name, time)| format!("{name} {time:.2}")).collect();
        line(&mut text, &format!("CPU seconds by thread: {}", shares.join(", ")));
    }
    text
}

/// What was run, where, and what else the machine did.
pub(crate) fn header(conditions: &Conditions) -> String {
    let versions = conditions.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let mut text = String::new();
    line(&mut text, &conditions.command);
    line(
        &mut text,
        &format!(
            "{} peers, {} org(s), {} processors, profile {}, load {:.2} → {:.2} (one minute), seed {}",
            conditions.peers,
            conditions.orgs,
            conditions.processors,
            conditions.profile,
            conditions.load_before[0],
            conditions.load_after[0],
            conditions.seed
        ),
    );
    line(&mut text, &versions.collect::<Vec<_>>().join(", "));
    text
}

/// The middle one of a system's rounds.
fn median(rounds: &[Round], system: &str, figure: Figure) -> Option<f64> {
    let mut values: Vec<f64> =
        rounds.iter().filter(|round| round.system == system).filter_map(figure).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    match values.len() % 2 {
        0 => Some(f64::midpoint(values[middle], values[middle + 1])),
        _ => Some(values[middle]),
    }
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| format!("{:>12}", "–"), |value| format!("{value:>12.digits$}"))
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("writing to a string cannot fail");
}
