//! The world itself: replay, and a few seeds of the campaign that `cargo xtask swarm` runs at length.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_crypto::Digest;
use ledgercast_simulator::swarm::{self, Settings};
use ledgercast_simulator::{Failure, LinkSettings, World};

fn trace_of(seed: u64) -> Result<Digest, Failure> {
    let mut world = World::builder(seed)
        .orgs(&[3, 3])
        .channel("trade", &[0, 1])
        .links(LinkSettings::lan().with_loss_percent(5))
        .build()?;
    let trade = world.channel("trade");
    world.submit_every(trade, 20, 3_000, millis(300));
    world.run_for(seconds(5))?;
    world.crash(nodes(0..6)[1]);
    world.run_for(seconds(5))?;
    world.restart(nodes(0..6)[1])?;
    world.run_for(seconds(20))?;
    Ok(world.trace_hash())
}

#[test]
fn the_same_seed_gives_the_same_trace() -> Outcome {
    assert_eq!(trace_of(91)?, trace_of(91)?);
    assert_ne!(trace_of(91)?, trace_of(92)?);
    Ok(())
}

#[test]
fn fifty_peers_with_loss_a_partition_a_crash_and_a_pause_keep_every_invariant() -> Outcome {
    let mut updates = 0;
    for seed in [0, 1] {
        updates += swarm::run(seed, &Settings::default())?.updates;
    }
    assert!(updates > 0, "no config changed");
    Ok(())
}
