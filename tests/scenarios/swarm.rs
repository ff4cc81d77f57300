//! The world itself: replay, and a few seeds of the campaign that `cargo xtask swarm` runs at length.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_crypto::Digest;
use ledgercast_simulator::swarm::{self, Plan};
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

fn plan(line: &str) -> Plan {
    line.parse().expect("the line describes a plan")
}

#[test]
fn the_same_seed_gives_the_same_trace() -> Outcome {
    assert_eq!(trace_of(91)?, trace_of(91)?);
    assert_ne!(trace_of(91)?, trace_of(92)?);
    Ok(())
}

#[test]
fn a_seed_of_the_campaign_gives_the_same_report_twice_and_from_its_plan_as_text() -> Outcome {
    for seed in [4, 9] {
        let plan = Plan::draw(seed);
        assert!(!plan.liars.is_empty(), "liars are part of it");

        let first = swarm::run(&plan)?;

        assert_eq!(first, swarm::run(&plan)?);
        assert_eq!(first, swarm::run(&self::plan(&plan.to_string()))?);
    }
    Ok(())
}

#[test]
fn drawn_worlds_with_faults_updates_and_liars_keep_every_invariant() -> Outcome {
    let (mut updates, mut accusations) = (0, 0);
    for seed in 0..24 {
        let report = swarm::run(&Plan::draw(seed))?;
        updates += report.updates;
        accusations += report.accusations;
    }
    assert!(updates > 0, "no config changed");
    assert!(accusations > 0, "no liar was found out");
    Ok(())
}

#[test]
fn fifty_peers_with_loss_a_partition_a_crash_a_pause_and_updates_keep_every_invariant() -> Outcome {
    let report = swarm::run(&plan(
        "seed=0 orgs=17,17,16 channels=0+1,1+2 blocks=60 payload=30000 pause=500 latency=12000 loss=5 \
         faults=partition@15000-55000:0.3+0.4+0.5+0.6+0.7+1.0+1.1+1.2+2.0+2.9+2.11,crash@21000-49000:0.4,\
         pause@21000-49000:1.9 updates=limits@15000:0,orderer@21000:1,org0@22000:0,org2@40000:0",
    ))?;
    assert!(report.updates > 0, "no config changed");
    Ok(())
}

/// A15
#[test]
fn where_orderers_fork_one_channel_all_its_members_halt_with_the_evidence_and_the_other_goes_on() -> Outcome {
    let mut run = swarm::Run::new(&plan(
        "seed=3 orgs=5,4,3 channels=0+1,1+2 blocks=30 payload=9000 pause=300 latency=2000 loss=5 \
         faults=crash@14000-30000:0.1,loss@12000-25000:1.2,split@16000-28000:0.3+0.4+2.1 \
         liars=0.2:replays+payload-withheld,1.3:false-evidence,2.2:silence fork=0@12",
    ))?;
    run.trouble()?;

    let report = run.recover()?;

    assert_eq!(report.halted, 5 + 4 - 2, "everybody honest on the forked channel");
    let audit = run.world.channel("audit");
    assert!(run.world.are_at_tip(&nodes(5..8), audit), "and nobody on the other one");
    Ok(())
}
