//! Config updates: C4, O5, A25, newcomers, and updates that somebody misses.

use crate::actors::Alives;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::Event;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{LinkSettings, NodeId, World};
use std::collections::BTreeSet;

fn refused_configs(world: &World, node: NodeId) -> Vec<BlockNumber> {
    let refused = world.events(node).iter().filter_map(|(_, event)| match event {
        Event::ConfigRefused { number, .. } => Some(*number),
        _ => None,
    });
    refused.collect()
}

fn removed_at(world: &World, node: NodeId, channel: ChannelId) -> Option<u64> {
    world.channel_view(node, channel)?.removed_at.map(BlockNumber::as_u64)
}

/// C4
#[test]
fn an_org_that_a_config_removes_is_cut_off_at_its_block() -> Outcome {
    for seed in 100..104 {
        let mut world = World::builder(seed)
            .orgs(&[3, 3, 3])
            .channel("trade", &[0, 1, 2])
            .links(LinkSettings::lan().with_loss_percent(2))
            .build()?;
        let trade = world.channel("trade");
        world.submit_every(trade, 20, 4_000, millis(200));
        world.run_for(seconds(5))?;
        world.remove_org(trade, 2);
        let removal = world.source("trade").tip().number().as_u64();
        world.submit_every(trade, 30, 4_000, millis(100));

        let (stay, gone) = ([world.peers_of(0), world.peers_of(1)].concat(), world.peers_of(2));
        world.run_until("those who stay have all blocks", seconds(30), |world| {
            world.are_at_tip(&stay, trade)
        })?;
        world.run_until("the removed know that they are", seconds(60), |world| {
            gone.iter().all(|node| removed_at(world, *node, trade) == Some(removal))
        })?;
        world.run_for(seconds(30))?;

        for node in &gone {
            assert_eq!(world.height(*node, trade), removal + 1, "seed {seed}: frozen at the block");
        }
        for node in &stay {
            let neighbours = world.neighbours(*node, trade);
            assert!(neighbours.iter().all(|other| !gone.contains(other)), "seed {seed}: {neighbours:?}");
            assert_eq!(removed_at(&world, *node, trade), None);
        }
    }
    Ok(())
}

/// The session of a member whose org was removed may outlive the removal; what it says of strangers must not
/// be answered with questions. The oracle of the disclosure rule judges every frame.
#[test]
fn a_member_of_a_removed_org_that_names_strangers_is_asked_nothing() -> Outcome {
    let mut world =
        World::builder(104).orgs(&[2, 2, 2]).channel("trade", &[0, 1]).channel("audit", &[1, 2]).build()?;
    let alives = Alives::listen(&mut world);
    let trade = world.channel("trade");
    let (asked, removed, stranger) = (world.peers_of(0)[0], world.peers_of(1)[0], world.peers_of(2)[0]);
    world.run_until("neighbours on trade", seconds(30), |world| {
        world.neighbours(asked, trade).contains(&removed)
    })?;
    world.run_until("the stranger's alive", seconds(30), |world| {
        !alives.of(world.member(stranger)).is_empty()
    })?;
    let named = Message::Alives(alives.of(world.member(stranger)));
    world.remove_org(trade, 1);
    world.run_until("the removal", seconds(30), |world| world.height(asked, trade) == 2)?;
    let before = world.traffic().of("want_certificates").frames;
    assert!(world.inject(removed, asked, &named), "the session is still there");
    world.run_for(millis(100))?;

    assert_eq!(world.traffic().of("want_certificates").frames, before);
    Ok(())
}

#[test]
fn who_was_down_when_its_org_was_removed_learns_it_on_its_return() -> Outcome {
    let mut world = World::builder(110).orgs(&[3, 3]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    world.submit(trade, 5, 1_000);
    world.run_until("all at the tip", seconds(20), |world| world.are_at_tip(&nodes(0..6), trade))?;
    let late = world.peer(1, 1);
    world.stop(late)?;
    world.submit(trade, 20, 1_000);
    world.run_for(seconds(10))?;
    world.remove_org(trade, 1);
    let removal = world.source("trade").tip().number().as_u64();
    world.submit(trade, 20, 1_000);
    world.run_for(seconds(40))?;

    world.restart(late)?;
    world.run_until("it has read up to its removal", seconds(60), |world| {
        removed_at(world, late, trade) == Some(removal)
    })?;

    assert_eq!(world.height(late, trade), removal + 1);
    Ok(())
}

#[test]
fn a_newcomer_joins_with_the_genesis_block_and_reads_from_the_start() -> Outcome {
    let mut world = World::builder(111)
        .orgs(&[3, 3, 2])
        .channel("trade", &[0, 1])
        .channel("common", &[0, 1, 2])
        .build()?;
    let trade = world.channel("trade");
    world.submit(trade, 300, 500);
    let (old, new) = ([world.peers_of(0), world.peers_of(1)].concat(), world.peers_of(2));
    world.run_until("the old ones at the tip", seconds(60), |world| world.are_at_tip(&old, trade))?;
    for node in &new {
        world.join_as_newcomer(*node, trade)?;
    }
    world.run_for(seconds(10))?;
    assert!(new.iter().all(|node| world.height(*node, trade) == 1), "nothing before its config");

    world.add_org(trade, 2);
    world.submit(trade, 10, 500);

    let all = [old, new].concat();
    world.run_until("everybody at the tip", seconds(60), |world| world.are_at_tip(&all, trade))?;
    world.submit(trade, 3, 500);
    world.run_until("live blocks too", seconds(20), |world| world.are_at_tip(&all, trade))?;
    let others: BTreeSet<NodeId> = all.iter().copied().filter(|node| *node != all[6]).collect();
    world.run_until("a newcomer talks with everybody", seconds(60), |world| {
        world.neighbours(all[6], trade) == others
    })?;
    Ok(())
}

#[test]
fn an_org_that_is_removed_and_added_again_catches_up() -> Outcome {
    let mut world = World::builder(112).orgs(&[3, 2]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    world.submit(trade, 5, 1_000);
    world.run_for(seconds(10))?;
    world.remove_org(trade, 1);
    world.submit(trade, 40, 1_000);
    world.run_for(seconds(20))?;
    let gone = world.peers_of(1);
    assert!(gone.iter().all(|node| world.height(*node, trade) == 7));

    world.add_org(trade, 1);
    world.submit(trade, 5, 1_000);

    world.run_until("all at the tip", seconds(60), |world| world.are_at_tip(&nodes(0..5), trade))?;
    assert!(gone.iter().all(|node| removed_at(&world, *node, trade).is_none()));
    Ok(())
}

/// C4, units
#[test]
fn units_of_readers_cut_off_who_has_none_of_them_and_a_later_config_lets_them_back() -> Outcome {
    let mut world = World::builder(116)
        .orgs(&[3, 3])
        .channel("trade", &[0, 1])
        .units(|node| (node == NodeId(4)).then_some("audit"))
        .build()?;
    let trade = world.channel("trade");
    let (left, bound) = (nodes(0..3).into_iter().chain([NodeId(4)]).collect::<Vec<_>>(), [3, 5].map(NodeId));
    world.submit(trade, 3, 1_000);
    world.run_until("all at the tip", seconds(20), |world| world.are_at_tip(&nodes(0..6), trade))?;

    world.update_config(trade, |next| next.orgs[1].reader_ous = vec!["audit".to_owned()]);
    world.submit(trade, 3, 1_000);
    world.run_until("the others at the tip", seconds(20), |world| world.are_at_tip(&left, trade))?;
    world.run_for(seconds(20))?;
    for node in bound {
        assert_eq!(removed_at(&world, node, trade), Some(4), "{node}");
        assert_eq!(world.height(node, trade), 5, "{node} has the config and nothing after it");
    }
    assert_eq!(world.leaders(1, trade), [NodeId(4)]);

    world.update_config(trade, |next| next.orgs[1].reader_ous = vec!["audit".to_owned(), "peer".to_owned()]);
    world.submit(trade, 3, 1_000);
    world.run_until("all at the tip", seconds(60), |world| world.are_at_tip(&nodes(0..6), trade))?;
    assert!(bound.iter().all(|node| removed_at(&world, *node, trade).is_none()));
    Ok(())
}

/// O5
#[test]
fn orderer_endpoints_that_change_by_config_are_switched_without_waiting() -> Outcome {
    let mut world = World::builder(113).orgs(&[3, 3]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..6);
    world.submit(trade, 5, 1_000);
    world.run_until("all at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    world.run_for(seconds(5))?;

    for endpoint in ["second:7050", "third:7050"] {
        world.replace_orderer(trade, endpoint);
        world.submit(trade, 5, 1_000);
        world.run_until("blocks of the new endpoint", millis(500), |world| world.are_at_tip(&all, trade))?;
    }
    Ok(())
}

/// A25
#[test]
fn a_certified_config_that_too_few_admins_signed_stops_the_channel_before_it() -> Outcome {
    let mut world = World::builder(114).orgs(&[3, 3, 2]).channel("trade", &[0, 1, 2]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..8);
    world.submit(trade, 5, 1_000);
    let update = world.source("trade").changed(|config| config.name = "mine".to_owned(), 1);
    world.submit_update(trade, &update);
    world.submit(trade, 5, 1_000);
    world.run_for(seconds(20))?;

    for node in &all {
        assert_eq!(world.height(*node, trade), 6, "{node} stops before the config block");
        assert_eq!(refused_configs(&world, *node), [BlockNumber::new(6)], "{node} raises an alarm, once");
        let failure = world.channel_view(*node, trade).and_then(|view| view.failure);
        assert!(failure.is_some_and(|it| it.contains("1 orgs, needed are 2 of 3")));
    }
    Ok(())
}

/// A25, the replay
#[test]
fn an_old_config_that_the_orderers_certify_again_stops_the_channel_before_it() -> Outcome {
    let mut world = World::builder(115).orgs(&[3, 3]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    let update = world.source("trade").changed(|config| config.name = "second".to_owned(), usize::MAX);
    world.submit_update(trade, &update);
    world.submit(trade, 3, 1_000);
    world.submit_update(trade, &update);
    world.run_for(seconds(20))?;

    for node in nodes(0..6) {
        assert_eq!(world.height(node, trade), 5);
        assert_eq!(refused_configs(&world, node), [BlockNumber::new(5)]);
    }
    Ok(())
}

#[test]
fn a_peer_that_missed_five_configs_catches_up_over_all_of_them() -> Outcome {
    let mut world = World::builder(116).orgs(&[3, 3, 2]).channel("trade", &[0, 1]).build()?;
    let trade = world.channel("trade");
    let stay = world.peers_of(0);
    world.submit(trade, 5, 1_000);
    world.run_for(seconds(10))?;
    let late = stay[2];
    world.stop(late)?;
    world.run_for(seconds(5))?;

    for node in world.peers_of(2) {
        world.join_as_newcomer(node, trade)?;
    }
    world.add_org(trade, 2);
    world.submit(trade, 100, 1_000);
    world.replace_orderer(trade, "second:7050");
    world.submit(trade, 100, 1_000);
    world.remove_org(trade, 1);
    world.submit(trade, 100, 1_000);
    world.update_config(trade, |config| config.orgs[0].anchors.clear());
    world.update_config(trade, |config| {
        let limits = config.limits.get_or_insert_default();
        limits.batch_timeout_ms = 300;
    });
    world.submit(trade, 100, 1_000);
    let members = [world.peers_of(0), world.peers_of(2)].concat();
    let others: Vec<NodeId> = members.iter().copied().filter(|node| *node != late).collect();
    world.run_until("the others at the tip", seconds(60), |world| world.are_at_tip(&others, trade))?;

    world.restart(late)?;
    world.run_until("the late one too", seconds(10), |world| world.are_at_tip(&members, trade))?;

    let view = world.channel_view(late, trade);
    assert_eq!(view.map(|view| view.config_number), Some(5));
    Ok(())
}

#[test]
fn a_peer_that_crashes_around_a_config_block_has_the_right_config_in_force() -> Outcome {
    for seed in 120..126 {
        let mut world = World::builder(seed).orgs(&[3, 3]).channel("trade", &[0, 1]).build()?;
        let trade = world.channel("trade");
        world.submit(trade, 3, 1_000);
        world.run_for(seconds(10))?;
        world.replace_orderer(trade, "second:7050");
        world.submit(trade, 3, 1_000);
        world.run_for(millis(1 + (seed - 120) * 2))?;
        for node in nodes(0..6) {
            world.crash(node);
        }
        world.run_for(seconds(2))?;
        for node in nodes(0..6) {
            world.restart(node)?;
        }
        world.submit(trade, 3, 1_000);
        world.run_until("all at the tip", seconds(30), |world| world.are_at_tip(&nodes(0..6), trade))?;
    }
    Ok(())
}
