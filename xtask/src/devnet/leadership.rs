//! The peer that pulls blocks for its org is killed: another one takes over, blocks go on, and the killed one
//! catches up after its restart.

use super::Story;
use crate::network::DEADLINE;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use std::time::{Duration, Instant};

const CHANNEL: &str = "trade";
const ORG: &str = "org1";

/// Blocks that show that the next one pulls.
const PULLED: f64 = 5.0;

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let cluster = &mut story.network.cluster;
    let peers: Vec<String> = cluster.peers_on(CHANNEL).into_iter().filter(|it| it.ends_with(ORG)).collect();
    let leader = leader(cluster, &peers)?;
    let next = peers.iter().find(|peer| **peer != leader).ok_or("org1 has one peer only")?.clone();
    let stage = story.screen.stage(format!("{leader}, which pulls {CHANNEL} for {ORG}, is killed (SIGKILL)"));
    let killed = Instant::now();
    cluster.kill(&leader)?;
    let mut progress = Progress::new(killed);
    let led = wait_for(&format!("{next} to lead {ORG} on {CHANNEL}"), DEADLINE, || {
        let view = cluster.channel(&next, CHANNEL)?.unwrap_or_default();
        progress.see(view["height"].as_u64().unwrap_or(0));
        stage.show(format!("{:.0} s", killed.elapsed().as_secs_f64()));
        if view["is_leader"] == true { Ok(killed.elapsed()) } else { Err("it does not".to_owned()) }
    });
    let pulled = led.and_then(|led| {
        let before = pulled(cluster, &next)?;
        wait_for(&format!("{next} to pull {PULLED} blocks"), DEADLINE, || {
            progress.see(cluster.height(&next, CHANNEL)?);
            let count = pulled(cluster, &next)? - before;
            if count >= PULLED { Ok((led, killed.elapsed())) } else { Err(format!("{count} so far")) }
        })
    });
    drop(stage);
    let (led, pulled) = match pulled {
        Ok(times) => times,
        Err(error) => {
            // It runs again in the chapters that follow, whatever came of this one.
            cluster.start(&leader)?;
            return Err(error);
        }
    };
    story.claims.add(
        true,
        "a killed leader is followed by the next",
        format!(
            "{next} leads {} ms after SIGKILL and has pulled {PULLED} blocks after {:.1} s; longest time \
             without a block {:.1} s",
            led.as_millis(),
            pulled.as_secs_f64(),
            progress.longest.as_secs_f64()
        ),
    );
    restart(story, &leader)
}

fn restart(story: &mut Story, leader: &str) -> Result<(), String> {
    let stage = story.screen.stage(format!("{leader} starts again"));
    let goal = story.network.ordered_height(CHANNEL)?;
    let cluster = &mut story.network.cluster;
    let started = Instant::now();
    cluster.start(leader)?;
    let from = cluster.height(leader, CHANNEL)?;
    wait_for(&format!("{leader} to reach height {goal}"), DEADLINE, || {
        let height = cluster.height(leader, CHANNEL)?;
        if height >= goal { Ok(()) } else { Err(format!("height {height}")) }
    })?;
    let seconds = started.elapsed().as_secs_f64();
    stage.done("caught up");
    story.claims.add(
        from > 0,
        "it catches up after its restart",
        format!("height {goal} {seconds:.1} s after the start, first seen at {from}"),
    );
    Ok(())
}

/// The one peer that leads; at the change of an epoch there may be none or two for a moment.
fn leader(cluster: &Cluster, peers: &[String]) -> Result<String, String> {
    wait_for(&format!("one leader of {ORG} on {CHANNEL}"), DEADLINE, || {
        let mut leaders = Vec::new();
        for peer in peers {
            if cluster.channel(peer, CHANNEL)?.unwrap_or_default()["is_leader"] == true {
                leaders.push(peer.clone());
            }
        }
        match leaders.as_slice() {
            [leader] => Ok(leader.clone()),
            _ => Err(format!("{leaders:?} lead")),
        }
    })
}

/// Blocks of the channel that a peer got from the orderer itself.
fn pulled(cluster: &Cluster, peer: &str) -> Result<f64, String> {
    let labels = [("channel", CHANNEL), ("source", "feed")];
    cluster.operations(peer).metric("ledgercast_blocks_committed_total", &labels)
}

/// The longest time in which a height did not grow.
struct Progress {
    height: u64,
    since: Instant,
    longest: Duration,
}

impl Progress {
    fn new(since: Instant) -> Self {
        Self { height: 0, since, longest: Duration::ZERO }
    }

    fn see(&mut self, height: u64) {
        self.longest = self.longest.max(self.since.elapsed());
        if height > self.height {
            (self.height, self.since) = (height, Instant::now());
        }
    }
}
