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

/// Plans that failed once, as small as they could be made: seeds 1205, 1329, 2188 and 2232
#[test]
fn an_org_that_is_removed_and_added_again_goes_on_with_the_next_block() -> Outcome {
    for line in [
        "seed=1205 orgs=1,1 channels=0+1 blocks=1 payload=1000 pause=387 latency=36533 \
         updates=org0@40857:0,org0@43878:0",
        "seed=1329 orgs=1,3 channels=0+1 blocks=23 payload=1000 pause=320 latency=13798 loss=8 \
         updates=org1@53153:0,org1@54258:0",
        "seed=2188 orgs=1,1 channels=0+1 blocks=1 payload=1000 pause=583 latency=9194 \
         updates=org0@26221:0,org0@49275:0",
        "seed=2232 orgs=3,1 channels=0+1 blocks=1 payload=1000 pause=255 latency=1238 \
         updates=org0@16835:0,org0@44642:0",
    ] {
        swarm::run(&plan(line))?;
    }
    Ok(())
}

/// A liar names a member of an org to one of another org, which must not know of it; seed 2316
#[test]
fn who_is_told_of_a_stranger_by_a_liar_names_it_to_nobody_but_that_liar() -> Outcome {
    swarm::run(&plan(
        "seed=2316 orgs=1,2,1 channels=0+1,1+2 blocks=1 payload=1000 pause=670 liars=1.1:slander-conflicts",
    ))?;
    Ok(())
}

/// Who waits to be added takes readers of the channel for members that owe it alives; seed 11001
#[test]
fn who_waited_to_be_added_may_have_evicted_those_who_owed_it_nothing() -> Outcome {
    swarm::run(&plan(
        "seed=11001 orgs=1,1,2 channels=0+1+2,0+1 blocks=1 payload=1000 pause=316 latency=36905 \
         updates=org1@22438:0,org2@45972:1",
    ))?;
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
