//! The same judgements among real processes, each with its own sockets and store: how long it takes until all
//! see all, until a stopped peer and until a killed one is evicted by all others.

use crate::evictions;
use crate::network::{self, DEADLINE};
use crate::screen::Screen;
use anyhow::{Error, ensure};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::binaries::Binaries;
use ledgercast_tests::cluster::Cluster;
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
    ensure!(odd.is_none(), "{odd:?} peers do not make two orgs of one size");
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
    let stage = screen.stage(format!("starting {peers} peers"));
    cluster.start_all().map_err(Error::msg)?;
    let started = Instant::now();
    cluster.wait_for_members(&cluster.peers(), DEADLINE).map_err(Error::msg)?;
    let full_view = started.elapsed();
    stage.done("all see all");
    let all = cluster.peers();
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
    let counted = evictions::counted_by(&cluster, &observers).map_err(Error::msg)?;
    cluster
        .process(&hung)
        .ok_or_else(|| Error::msg("the peer does not run"))?
        .resume()
        .map_err(Error::msg)?;
    stage.done("evicted by all");
    let false_evictions = counted - 2.0 * observers.len() as f64;
    Ok(Figures { peers, full_view, hung: hung_after?, killed: killed_after, false_evictions })
}

fn evicted(
    cluster: &Cluster,
    member: &str,
    observers: &[String],
) -> anyhow::Result<BTreeMap<String, Duration>> {
    let until = (Instant::now(), EVICTION_DEADLINE);
    evictions::wait_for_all(cluster, member, observers, until, |_, _| {}).map_err(Error::msg)
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
            "full_view_s": full_view,
            "hung_evicted_s": { "first": hung.0, "last": hung.1 },
            "killed_evicted_s": { "first": killed.0, "last": killed.1 },
            "false_evictions": false_evictions,
        });
        return println!("{line}");
    }
    println!("{peers} peers, 2 orgs, one channel, one process each");
    println!("  full view after                {full_view:>8.2} s after the last has started");
    println!("  a hung peer is evicted after   {:.2} to {:.2} s", hung.0, hung.1);
    println!("  a killed peer is evicted after {:.2} to {:.2} s", killed.0, killed.1);
    println!("  evicted and neither            {false_evictions:>8}");
}
