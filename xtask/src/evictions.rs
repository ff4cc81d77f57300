//! Waits until a network's peers have evicted one of them, and reads what they give as their reason.

use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Follows each observer's view until it has evicted the member; gives the time of each since `since`.
///
/// # Errors
/// A peer does not answer, or the deadline has passed: who has evicted it.
pub(crate) fn wait_for_all(
    cluster: &Cluster,
    member: &str,
    observers: &[String],
    (since, deadline): (Instant, Duration),
    show: impl Fn(usize, f64),
) -> Result<BTreeMap<String, Duration>, String> {
    let mut evicted: BTreeMap<String, Duration> = BTreeMap::new();
    wait_for(&format!("all others to evict {member}"), deadline, || {
        let waiting: Vec<&String> = observers.iter().filter(|peer| !evicted.contains_key(*peer)).collect();
        for peer in waiting {
            let view = cluster.member(peer, member)?.unwrap_or_default();
            if view["state"] == "evicted" {
                evicted.insert(peer.clone(), since.elapsed());
            }
        }
        show(evicted.len(), since.elapsed().as_secs_f64());
        match evicted.len() == observers.len() {
            true => Ok(()),
            false => Err(format!("{:?} have", evicted.keys().collect::<Vec<_>>())),
        }
    })?;
    Ok(evicted)
}

/// The silence that a peer gives as its reason, in the last line of its log about an eviction.
///
/// # Errors
/// The log has no such line.
pub(crate) fn logged_silence(cluster: &Cluster, peer: &str) -> Result<Duration, String> {
    let log = fs::read_to_string(cluster.log(peer)).map_err(|error| format!("the log of {peer}: {error}"))?;
    let line = log.lines().rfind(|line| line.contains("member evicted")).unwrap_or_default();
    let field = line.split_whitespace().find_map(|word| word.strip_prefix("silent_for="));
    let seconds = field.and_then(|it| it.trim_end_matches('s').parse::<f64>().ok());
    let silence = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    silence.ok_or_else(|| format!("the log of {peer} gives no silence: {line:?}"))
}

/// Evictions that these peers have counted, by their own metrics; none until the first.
///
/// # Errors
/// A peer does not answer.
pub(crate) fn counted_by(cluster: &Cluster, peers: &[String]) -> Result<f64, String> {
    let count = |peer: &String| cluster.operations(peer).metric_if_any("ledgercast_evictions_total", &[]);
    // A sum of no floats is -0.
    peers.iter().map(count).try_fold(0.0, |sum, count| Ok(sum + count?.unwrap_or(0.0)))
}
