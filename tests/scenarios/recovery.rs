//! How those who missed something get it, and who gets nothing: D7, D8, D10, D11, M11.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_simulator::{LinkSettings, NodeId, World};
use std::collections::BTreeSet;

/// D7
#[test]
fn late_answers_to_many_that_ask_at_once_bring_both_sides_up_to_date() -> Outcome {
    let mut world = World::builder(71)
        .orgs(&[8])
        .channel("trade", &[0])
        .links(LinkSettings::lan().with_latency(millis(600), millis(300)))
        .configure(|_, config| {
            config.channel.dissemination.is_enabled = false;
            config.membership.push_partners_max = 0;
            config.membership.news_partners_max = 0;
        })
        .build()?;
    let trade = world.channel("trade");
    let (all, left, right) = (nodes(0..8), nodes(0..4), nodes(4..8));
    world.run_until("eight see each other", seconds(60), |world| world.see_each_other(&all))?;

    // Each side gets news of which the other one hears nothing; then all ask all at once.
    world.partition(&[&left, &right])?;
    for node in [NodeId(1), NodeId(6)] {
        world.crash(node);
        world.restart(node)?;
    }
    world.submit(trade, 5, 5_000);
    world.run_for(seconds(20))?;
    world.heal();

    world.run_until("both sides know everything", seconds(120), |world| {
        world.are_at_tip(&all, trade)
            && world.see_each_other(&all)
            && knows_new_life(world, NodeId(0), NodeId(6))
            && knows_new_life(world, NodeId(7), NodeId(1))
    })
}

fn knows_new_life(world: &World, at: NodeId, restarted: NodeId) -> bool {
    let member = world.member(restarted);
    let incarnation = world.snapshot(restarted).map(|view| view.incarnation);
    let members = world.snapshot(at).map(|view| view.members).unwrap_or_default();
    members.iter().any(|known| known.member == member && Some(known.incarnation) == incarnation)
}

/// D8
#[test]
fn of_ten_that_meet_five_sources_the_four_that_are_entitled_reach_the_tip_and_nobody_else_gets_a_block()
-> Outcome {
    let mut world = World::builder(72)
        .orgs(&[5, 4, 6])
        .channel("common", &[0, 1, 2])
        .channel("closed", &[0, 1])
        .start_at(|node| Some(if node.0 < 5 { seconds(0) } else { seconds(10) }))
        .build()?;
    let (closed, sources, entitled) = (world.channel("closed"), world.peers_of(0), world.peers_of(1));
    world.submit(closed, 30, 10_000);
    world.run_until("the sources are at the tip", seconds(10), |world| world.are_at_tip(&sources, closed))?;

    world.run_until("all see each other", seconds(30), |world| world.see_each_other(&nodes(0..15)))?;
    for intruder in world.peers_of(2) {
        world.join(intruder, closed)?;
    }
    world.run_until("the four are at the tip", seconds(30), |world| world.are_at_tip(&entitled, closed))?;
    world.run_for(seconds(20))?;

    for intruder in world.peers_of(2) {
        assert!(world.height(intruder, closed) <= 1, "{intruder} holds more than the genesis it brought");
        assert_eq!(world.neighbours(intruder, closed), BTreeSet::new());
    }
    Ok(())
}

/// D10
#[test]
fn after_the_orderers_were_down_a_stopped_leader_is_replaced_and_blocks_flow() -> Outcome {
    let mut world = World::builder(73).orgs(&[6]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..6);
    world.submit_every(trade, 50, 10_000, millis(50));
    world.run_until("six at the tip", seconds(60), |world| world.are_at_tip(&all, trade))?;
    let leader = world.leaders(0, trade)[0];
    let emptied: Vec<NodeId> = all.iter().copied().filter(|node| *node != leader).take(2).collect();

    world.set_orderer_down(true)?;
    for node in &emptied {
        world.restart_empty(*node)?;
    }
    world.run_until("the emptied caught up", seconds(30), |world| world.are_at_tip(&emptied, trade))?;
    world.stop(leader)?;
    world.run_for(seconds(5))?;
    world.set_orderer_down(false)?;
    world.submit(trade, 5, 10_000);

    let rest: Vec<NodeId> = all.iter().copied().filter(|node| *node != leader).collect();
    world.run_until("five at the new tip", seconds(40), |world| world.are_at_tip(&rest, trade))?;
    assert_eq!(world.leaders(0, trade).len(), 1);
    assert_ne!(world.leaders(0, trade), [leader]);
    Ok(())
}

/// D11
#[test]
fn a_channel_whose_block_is_rejected_stands_still_and_the_others_go_on() -> Outcome {
    let mut world = World::builder(74).orgs(&[4]).channel("trade", &[0]).channel("audit", &[0]).build()?;
    let (trade, audit) = (world.channel("trade"), world.channel("audit"));
    let (all, victim) = (nodes(0..4), NodeId(2));
    world.submit(trade, 5, 5_000);
    world.submit(audit, 5, 5_000);
    world.run_until("four at both tips", seconds(20), |world| {
        world.are_at_tip(&all, trade) && world.are_at_tip(&all, audit)
    })?;

    world.refuse_commits(victim, trade);
    world.submit(trade, 5, 5_000);
    world.submit(audit, 5, 5_000);
    let others: Vec<NodeId> = all.iter().copied().filter(|node| *node != victim).collect();
    world.run_until("everything else goes on", seconds(20), |world| {
        world.are_at_tip(&others, trade) && world.are_at_tip(&all, audit)
    })?;
    world.run_for(seconds(30))?;

    assert_eq!(world.height(victim, trade), 6, "it stands where it stood");
    let failure = world.channel_view(victim, trade).and_then(|view| view.failure);
    assert!(failure.is_some_and(|why| why.contains("refuses")), "and says why");
    assert!(world.channel_view(victim, audit).is_some_and(|view| view.failure.is_none()));
    assert!(world.see_each_other(&all));
    Ok(())
}

/// M11, the members: forgotten ones that come back are found again
#[test]
fn two_of_three_that_stop_for_longer_than_the_forget_time_are_found_again() -> Outcome {
    let mut world = World::builder(75)
        .orgs(&[3])
        .configure(|_, config| config.membership.forget_after = seconds(60))
        .build()?;
    world.run_until("three see each other", seconds(20), |world| world.see_each_other(&nodes(0..3)))?;

    world.crash(NodeId(0));
    world.crash(NodeId(1));
    world.run_for(seconds(200))?;
    let forgotten = world.snapshot(NodeId(2)).expect("it runs").members;
    assert!(forgotten.is_empty(), "the two are forgotten: {forgotten:?}");
    world.restart(NodeId(0))?;
    world.restart(NodeId(1))?;

    world.run_until("three see each other again", seconds(60), |world| world.see_each_other(&nodes(0..3)))
}

/// M11, the anchors: an anchor of another org is dialed for ever
#[test]
fn an_anchor_is_never_forgotten() -> Outcome {
    let (anchor, finder) = (NodeId(0), NodeId(2));
    let mut world = World::builder(76)
        .orgs(&[1, 2])
        .channel("trade", &[0, 1])
        .configure(|_, config| config.membership.forget_after = seconds(60))
        .build()?;
    world.run_until("three see each other", seconds(20), |world| world.see_each_other(&nodes(0..3)))?;

    // The finder's own org's anchor stays away, so nobody but the finder can dial.
    world.crash(NodeId(1));
    world.crash(anchor);
    world.run_for(seconds(200))?;
    assert!(world.snapshot(finder).expect("it runs").members.is_empty(), "both are forgotten");
    world.restart(anchor)?;

    world.run_until("the two see each other", seconds(60), |world| world.see_each_other(&[anchor, finder]))
}
