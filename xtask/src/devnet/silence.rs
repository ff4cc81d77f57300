//! A peer that is stopped, not killed: evicted by all others after the expiry and not before, back after it
//! goes on, and it blames nobody for its own pause.

use super::Story;
use super::spread::text;
use crate::evictions;
use crate::network::{CHANNELS, DEADLINE};
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::wait::wait_for;
use std::time::{Duration, Instant};

const SILENT: &str = "peer1.org2";

/// `[membership] expiry` and `alive_interval`, by default.
const EXPIRY: Duration = Duration::from_secs(25);
const ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// From the last sign of life: expiry, the answers to the question, the view's refresh, and a busy machine.
const EVICTION_DEADLINE: Duration = Duration::from_secs(45);

/// One peer's eviction of the silent one: how long after SIGSTOP, and after how much silence by its own
/// clock.
struct Eviction {
    after_stop: Duration,
    silent_for: Duration,
}

pub(super) fn run(story: &mut Story) -> Result<(), String> {
    let cluster = &mut story.network.cluster;
    let others: Vec<String> = cluster.peers().into_iter().filter(|peer| peer != SILENT).collect();
    let before = evictions::counted_by(cluster, &others)?;
    let stage = story.screen.stage(format!("{SILENT} is stopped (SIGSTOP), until all others evict it"));
    cluster.process(SILENT).ok_or("the peer does not run")?.pause()?;
    let stopped = Instant::now();
    let until = (stopped, EVICTION_DEADLINE);
    let evicted = evictions::wait_for_all(cluster, SILENT, &others, until, |count, seconds| {
        stage.show(format!("{count} of {} have, after {seconds:.0} s", others.len()));
    });
    // Whatever came of it: it goes on, for the chapters that follow.
    cluster.process(SILENT).ok_or("the peer does not run")?.resume()?;
    let resumed = Instant::now();
    let evicted = evicted?;
    stage.done("evicted by all");
    let reasons = |(peer, after_stop): (String, Duration)| {
        let silent_for = evictions::logged_silence(&story.network.cluster, &peer)?;
        Ok(Eviction { after_stop, silent_for })
    };
    let evicted = evicted.into_iter().map(reasons).collect::<Result<Vec<_>, String>>()?;
    claim_evictions(story, &evicted);

    let cluster = &story.network.cluster;
    let stage = story.screen.stage(format!("{SILENT} goes on (SIGCONT)"));
    let goals: Vec<(&str, u64)> = CHANNELS
        .iter()
        .map(|(channel, _)| Ok((*channel, story.network.ordered_height(channel)?)))
        .collect::<Result<_, String>>()?;
    let behind: u64 = goals
        .iter()
        .map(|(channel, goal)| Ok(goal.saturating_sub(cluster.height(SILENT, channel)?)))
        .sum::<Result<u64, String>>()?;
    for (channel, goal) in &goals {
        wait_for(&format!("{SILENT} to reach height {goal} of {channel}"), DEADLINE, || {
            let height = cluster.height(SILENT, channel)?;
            if height >= *goal { Ok(()) } else { Err(format!("height {height}")) }
        })?;
    }
    let caught_up = resumed.elapsed();
    wait_for_return(cluster, &others)?;
    let returned = resumed.elapsed();
    stage.done("back at all others");
    let after = evictions::counted_by(cluster, &others)?;
    let own = evictions::counted_by(cluster, &[SILENT.to_owned()])?;
    let foreign = after - before - others.len() as f64;
    story.claims.add(
        // Whoever missed nothing has shown nothing.
        behind > 0,
        "it returns and catches up",
        format!(
            "{behind} blocks made up {:.1} s after SIGCONT, alive at all others after {:.1} s",
            caught_up.as_secs_f64(),
            returned.as_secs_f64()
        ),
    );
    story.claims.add(
        own == 0.0 && foreign == 0.0,
        "nobody else is evicted",
        format!("{own} evictions by the stopped peer, {foreign} of others by the rest"),
    );
    Ok(())
}

fn claim_evictions(story: &mut Story, evicted: &[Eviction]) {
    let bounds = |figure: fn(&Eviction) -> Duration| {
        let seconds = evicted.iter().map(|it| figure(it).as_secs_f64());
        seconds.fold((f64::INFINITY, 0.0_f64), |(low, high), it| (low.min(it), high.max(it)))
    };
    let (soonest, latest) = bounds(|it| it.after_stop);
    let (shortest, longest) = bounds(|it| it.silent_for);
    let is_kept = shortest >= EXPIRY.as_secs_f64() && soonest >= (EXPIRY - ALIVE_INTERVAL).as_secs_f64();
    story.claims.add(
        is_kept,
        format!("a silent peer is evicted by all {} others, not before {EXPIRY:?}", evicted.len()),
        format!(
            "{soonest:.1} to {latest:.1} s after SIGSTOP, \
             {shortest:.1} to {longest:.1} s after its last sign of life"
        ),
    );
}

fn wait_for_return(cluster: &Cluster, others: &[String]) -> Result<(), String> {
    for peer in others {
        wait_for(&format!("{peer} to have {SILENT} back"), DEADLINE, || {
            let view = cluster.member(peer, SILENT)?.unwrap_or_default();
            match text(&view, "state") {
                "alive" => Ok(()),
                other => Err(format!("it is {other}")),
            }
        })?;
    }
    Ok(())
}
