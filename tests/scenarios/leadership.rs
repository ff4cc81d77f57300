//! Who pulls for its org: L1, L3, L4.

use crate::{Outcome, nodes, seconds};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

fn one_leader_for_all(world: &World, nodes: &[NodeId]) -> bool {
    let trade = world.channel("trade");
    let views: Vec<_> = nodes.iter().filter_map(|node| world.channel_view(*node, trade)).collect();
    let leading = views.iter().filter(|view| view.is_leader).count();
    leading == 1 && views.iter().all(|view| view.leader.is_some() && view.leader == views[0].leader)
}

fn ten(seed: u64) -> Result<World, Failure> {
    World::builder(seed).orgs(&[10]).channel("trade", &[0]).build()
}

/// L1
#[test]
fn of_ten_that_start_at_once_one_leads_and_stays() -> Outcome {
    let mut world = ten(41)?;
    let all = nodes(0..10);

    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &all))?;
    let trade = world.channel("trade");
    let leader = world.leaders(0, trade);
    for _ in 0..30 {
        world.run_for(seconds(2))?;
        assert_eq!(world.leaders(0, trade), leader, "leadership flapped");
    }
    Ok(())
}

/// L2
#[test]
fn those_that_start_later_do_not_take_the_lead_away() -> Outcome {
    let mut world = World::builder(42)
        .orgs(&[10])
        .channel("trade", &[0])
        .start_at(|node| Some(Duration::from_secs(3) * u32::try_from(node.0).expect("ten nodes")))
        .build()?;
    let trade = world.channel("trade");

    world.run_until("a leader", seconds(15), |world| world.leaders(0, trade).len() == 1)?;
    let leader = world.leaders(0, trade);
    for _ in 0..30 {
        world.run_for(seconds(1))?;
        assert_eq!(world.leaders(0, trade), leader, "a later one took over");
    }
    world.run_until("all agree", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))
}

/// L3
#[test]
fn six_isolated_peers_all_lead_and_one_does_after_the_heal() -> Outcome {
    let mut world = World::builder(43).orgs(&[6]).channel("trade", &[0]).build()?;
    let all = nodes(0..6);
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &all))?;

    let alone: Vec<[NodeId; 1]> = all.iter().map(|node| [*node]).collect();
    let groups: Vec<&[NodeId]> = alone.iter().map(|group| &group[..]).collect();
    world.split_peers(&groups)?;
    world.run_until("six leaders", seconds(45), |world| world.leaders(0, trade).len() == 6)?;
    world.heal();

    world.run_until("one leader again", seconds(60), |world| one_leader_for_all(world, &all))?;
    world.submit(trade, 3, 1000);
    world.run_until("six at the tip", seconds(20), |world| world.are_at_tip(&all, trade))
}

/// L4, killed and stopped in good order
#[test]
fn when_the_leader_stops_another_one_leads_soon() -> Outcome {
    for (seed, is_killed) in [(44, true), (45, false)] {
        let mut world = ten(seed)?;
        let trade = world.channel("trade");
        world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
        let first = world.leaders(0, trade)[0];
        let others: Vec<NodeId> = nodes(0..10).into_iter().filter(|node| *node != first).collect();

        match is_killed {
            true => world.crash(first),
            false => world.stop(first)?,
        }
        world.submit(trade, 3, 1000);

        world.run_until("another leader", seconds(12), |world| one_leader_for_all(world, &others))?;
        world.run_until("nine at the tip", seconds(10), |world| world.are_at_tip(&others, trade))?;
    }
    Ok(())
}

/// L4, hung: its claim runs out, and its org goes on without its eviction
#[test]
fn a_leader_that_hangs_is_replaced_when_its_claim_runs_out() -> Outcome {
    let mut world = ten(46)?;
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
    let first = world.leaders(0, trade)[0];
    let others: Vec<NodeId> = nodes(0..10).into_iter().filter(|node| *node != first).collect();

    world.pause(first);
    world.submit(trade, 3, 1000);
    world.run_until("nine at the tip", seconds(20), |world| world.are_at_tip(&others, trade))?;
    world.resume(first)?;

    world.run_until("ten at the tip", seconds(20), |world| world.are_at_tip(&nodes(0..10), trade))?;
    world.run_until("one leader", seconds(30), |world| one_leader_for_all(world, &nodes(0..10)))
}

/// L5, first half
#[test]
fn a_leader_that_cannot_reach_the_orderers_yields() -> Outcome {
    let mut world = ten(47)?;
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
    let first = world.leaders(0, trade)[0];

    world.cut_from_orderer(first, true)?;
    world.submit(trade, 3, 1000);

    world.run_until("all at the tip", seconds(40), |world| world.are_at_tip(&nodes(0..10), trade))?;
    assert_ne!(world.leaders(0, trade), [first]);
    Ok(())
}

/// L6
#[test]
fn two_orgs_have_two_leaders_each_its_own() -> Outcome {
    let mut world = World::builder(48).orgs(&[4, 4]).channel("trade", &[0, 1]).build()?;

    world.run_until("a leader each", seconds(15), |world| {
        one_leader_for_all(world, &nodes(0..4)) && one_leader_for_all(world, &nodes(4..8))
    })
}
