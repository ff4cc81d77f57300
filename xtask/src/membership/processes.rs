//! The same judgements among real processes, each with its own sockets and store: how long it takes until all
//! see all, until a stopped peer and until a killed one is evicted by all others.

use crate::evictions;
use crate::network::{self, DEADLINE};
use crate::screen::Screen;
use anyhow::{Error, ensure};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::binaries::Binaries;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// `[membership] expiry`, and twice as much for a busy machine.
const EVICTION_DEADLINE: Duration = Duration::from_secs(75);

/// What was measured among so many processes.
struct Figures {
    peers: usize,
    full_view: Duration,
    hung: BTreeMap<String, Duration>,
    killed: BTreeMap<String, Duration>,
    false_evictions: f64,
}

pub(super) fn run(sizes: &[usize], json: bool) -> anyhow::Result<()> {
    let screen = Screen::new(!json);
    let odd = sizes.iter().find(|peers| *peers % 2 == 1);
    ensure!(odd.is_none(), "{} peers do not make two orgs of one size", odd.unwrap_or(&0));
    let binaries = Binaries::build().map_err(Error::msg)?;
    let (interrupt, folder) = network::prepare("ledgercast-membership-")?;
    for peers in sizes {
        let figures = measure(&screen, binaries.clone(), &folder.path().join(peers.to_string()), *peers);
        // A failure after an interrupt is only its consequence.
        interrupt.yield_if_received();
        show(&figures?, json);
    }
    Ok(())
}

fn measure(screen: &Screen, binaries: Binaries, folder: &Path, peers: usize) -> anyhow::Result<Figures> {
    let channels = vec!["trade=org1,org2".parse().map_err(Error::msg)?];
    let plan = Plan { orgs: 2, peers_per_org: peers / 2, channels, followers: 0, base_port: None };
    let mut cluster = Cluster::write(binaries, folder, &plan, &[]).map_err(Error::msg)?;
    let all = cluster.peers();
    let stage = screen.stage(format!("starting {peers} peers, and joining each to the channel"));
    let started = Instant::now();
    cluster.start_all().map_err(Error::msg)?;
    wait_for("all to see all", DEADLINE, || all.iter().try_for_each(|peer| sees_all(&cluster, peer, &all)))
        .map_err(Error::msg)?;
    let full_view = started.elapsed();
    stage.done("all see all");
    let (hung, killed) = (all[1].clone(), all[peers / 2 + 1].clone());
    let others = |gone: &[&String]| -> Vec<String> {
        all.iter().filter(|peer| !gone.contains(peer)).cloned().collect()
    };

    // The killed one first: who is stopped would notice it late.
    let stage = screen.stage(format!("{killed} is killed (SIGKILL)"));
    cluster.kill(&killed).map_err(Error::msg)?;
    let observers = others(&[&killed]);
    let killed_after = evicted(&cluster, &killed, &observers)?;
    stage.done("evicted by all");
    let stage = screen.stage(format!("{hung} is stopped (SIGSTOP)"));
    cluster.process(&hung).ok_or_else(|| Error::msg("the peer does not run"))?.pause().map_err(Error::msg)?;
    let observers = others(&[&killed, &hung]);
    let hung_after = evicted(&cluster, &hung, &observers);
    let counted = evictions::counted_by(&cluster, &observers);
    cluster
        .process(&hung)
        .ok_or_else(|| Error::msg("the peer does not run"))?
        .resume()
        .map_err(Error::msg)?;
    let hung_after = hung_after?;
    stage.done("evicted by all");
    let false_evictions = counted.map_err(Error::msg)? - 2.0 * observers.len() as f64;
    Ok(Figures { peers, full_view, hung: hung_after, killed: killed_after, false_evictions })
}

/// Whether a peer takes all others for alive; sessions with all are wanted in small networks only.
fn sees_all(cluster: &Cluster, peer: &str, all: &[String]) -> Result<(), String> {
    let members = cluster.operations(peer).json("/members")?;
    let others = all.iter().filter(|other| *other != peer).map(|other| &cluster.node(other).member);
    let is_alive = |it: &serde_json::Value, id: &String| it["member"] == *id && it["state"] == "alive";
    let views = || members.as_array().into_iter().flatten();
    let missing = others.filter(|id| !views().any(|it| is_alive(it, id))).count();
    if missing == 0 { Ok(()) } else { Err(format!("{peer} lacks {missing}")) }
}

fn evicted(
    cluster: &Cluster,
    member: &str,
    observers: &[String],
) -> anyhow::Result<BTreeMap<String, Duration>> {
    let until = (Instant::now(), EVICTION_DEADLINE);
    evictions::wait_for_all(cluster, member, observers, until, |_, _| {}).map_err(Error::msg)
}

/// The machine's load over the last minute, as the kernel counts it.
fn machine_load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The first and the last of them, in seconds.
fn span(evicted: &BTreeMap<String, Duration>) -> (f64, f64) {
    let seconds = |it: Option<&Duration>| it.copied().unwrap_or_default().as_secs_f64();
    (seconds(evicted.values().min()), seconds(evicted.values().max()))
}

fn show(figures: &Figures, json: bool) {
    let Figures { peers, full_view, false_evictions, .. } = figures;
    let (hung, killed) = (span(&figures.hung), span(&figures.killed));
    let full_view = full_view.as_secs_f64();
    if json {
        let line = json!({
            "peers": peers,
            "processes": true,
            "started_joined_and_full_view_s": full_view,
            "load": machine_load(),
            "hung_evicted_s": { "first": hung.0, "last": hung.1 },
            "killed_evicted_s": { "first": killed.0, "last": killed.1 },
            "false_evictions": false_evictions,
        });
        return println!("{line}");
    }
    println!("{peers} peers, 2 orgs, one channel, one process each");
    println!("  started, joined, full view in  {full_view:>8.2} s");
    println!("  a hung peer is evicted after   {:.2} to {:.2} s", hung.0, hung.1);
    println!("  a killed peer is evicted after {:.2} to {:.2} s", killed.0, killed.1);
    println!("  evicted and neither            {false_evictions:>8}");
}
