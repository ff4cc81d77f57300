//! Who pulls for its org: L1 to L7, A13.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::Event;
use ledgercast_protocol::leadership::Mode;
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
    // It may have been passed over meanwhile: that is forgotten after a minute.
    world.run_until("one leader", seconds(70), |world| one_leader_for_all(world, &nodes(0..10)))
}

/// L5
#[test]
fn a_leader_that_cannot_reach_the_orderers_yields() -> Outcome {
    let mut world = ten(47)?;
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
    let first = world.leaders(0, trade)[0];

    world.cut_from_orderer(first, true)?;
    world.submit(trade, 3, 1000);

    world.run_until("all at the tip", seconds(40), |world| world.are_at_tip(&nodes(0..10), trade))?;
    world.run_until("another leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
    let second = world.leaders(0, trade);
    assert_ne!(second, [first]);

    world.cut_from_orderer(first, false)?;
    for _ in 0..30 {
        world.run_for(seconds(2))?;
        assert_eq!(world.leaders(0, trade), second, "it took the lead back");
    }
    Ok(())
}

/// A13, for ever: it pulls, claims, and shows nothing
#[test]
fn a_leader_that_withholds_costs_its_org_one_time_out() -> Outcome {
    let mut world = ten(49)?;
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..10)))?;
    let liar = world.leaders(0, trade)[0];
    let others: Vec<NodeId> = nodes(0..10).into_iter().filter(|node| *node != liar).collect();
    world.run_for(seconds(5))?;

    withhold(&mut world, liar, &["push", "body_frame", "headers", "announce", "complete"]);
    world.submit(trade, 1, 1000);

    world.run_until("nine at the tip", millis(1500), |world| world.are_at_tip(&others, trade))?;
    assert!(others.iter().all(|node| passed_over(world.events(*node)) == 1));
    let leaders = world.leaders(0, trade);
    assert_eq!(leaders.len(), 2, "the liar still claims");
    for _ in 0..50 {
        // As a relay it still costs its children a repair; who is its child three times in a row leads too.
        world.submit(trade, 1, 1000);
        world.run_until("nine at the tip", millis(1500), |world| world.are_at_tip(&others, trade))?;
    }
    let later = world.leaders(0, trade);
    assert!(leaders.iter().all(|leader| later.contains(leader)), "an honest leader was given up: {later:?}");
    assert!(later.len() <= leaders.len() + 1, "{later:?}");
    Ok(())
}

/// A13, some: it serves one half of its org
#[test]
fn a_leader_that_serves_some_only_is_passed_over_by_the_others() -> Outcome {
    let mut world = World::builder(50).orgs(&[2]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    world.run_until("one leader", seconds(15), |world| one_leader_for_all(world, &nodes(0..2)))?;
    let liar = world.leaders(0, trade)[0];
    let victim = NodeId(1 - liar.0);
    world.run_for(seconds(5))?;

    withhold(&mut world, liar, &["push", "body_frame"]);
    world.submit(trade, 1, 1000);

    world.run_until("the victim at the tip", millis(1500), |world| world.are_at_tip(&[victim], trade))?;
    assert_eq!(world.channel_view(victim, trade).map(|view| view.is_leader), Some(true));
    Ok(())
}

/// From now on a node sends nothing of these kinds.
fn withhold(world: &mut World, node: NodeId, kinds: &'static [&'static str]) {
    world.corrupt(node, |sent| match kinds.contains(&sent.peek.kind) {
        true => Vec::new(),
        false => vec![sent.frame.clone()],
    });
}

fn passed_over(events: &[(Duration, Event)]) -> usize {
    events.iter().filter(|(_, event)| matches!(event, Event::LeaderPassedOver { .. })).count()
}

/// Nobody honest is passed over while blocks flow, through several epochs.
#[test]
fn leaders_that_push_are_never_passed_over() -> Outcome {
    let mut world = World::builder(51).orgs(&[8, 8]).channel("trade", &[0, 1]).followers(3).build()?;
    let trade = world.channel("trade");
    world.run_for(seconds(15))?;

    world.submit_every(trade, 300, 100_000, millis(50));
    world.run_for(seconds(16))?;

    assert!(world.are_at_tip(&nodes(0..16), trade));
    for node in nodes(0..16) {
        assert_eq!(passed_over(world.events(node)), 0, "{node}");
    }
    Ok(())
}

/// L7
#[test]
fn static_leaders_lead_whatever_happens_and_nobody_else_does() -> Outcome {
    let mut world = World::builder(52)
        .orgs(&[3])
        .channel("trade", &[0])
        .configure(|node, config| config.leadership.mode = Mode::Static { leads: node.0 == 1 })
        .build()?;
    let trade = world.channel("trade");
    world.cut_from_orderer(NodeId(1), true)?;
    world.submit(trade, 3, 1000);
    world.run_for(seconds(60))?;
    assert_eq!(world.leaders(0, trade), [NodeId(1)]);

    world.cut_from_orderer(NodeId(1), false)?;

    world.run_until("all at the tip", seconds(5), |world| world.are_at_tip(&nodes(0..3), trade))
}

/// L6
#[test]
fn two_orgs_have_two_leaders_each_its_own() -> Outcome {
    let mut world = World::builder(48).orgs(&[4, 4]).channel("trade", &[0, 1]).build()?;

    world.run_until("a leader each", seconds(15), |world| {
        one_leader_for_all(world, &nodes(0..4)) && one_leader_for_all(world, &nodes(4..8))
    })
}
